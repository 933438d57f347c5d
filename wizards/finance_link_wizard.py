from odoo import api, fields, models
from odoo.exceptions import UserError

from ..models import constants
from ..models.access import require_group

FIELD_OF = {
    "document": "move_id",
    "payment": "payment_id",
    "bank": "statement_line_id",
    "party": "partner_id",
}


class FinanceLinkWizard(models.TransientModel):
    """Asks what an exception is about, and says what follows from it."""

    _name = "finance.link.wizard"
    _description = "Link a Finance Exception"

    exception_id = fields.Many2one("finance.exception", required=True, readonly=True)
    company_id = fields.Many2one(related="exception_id.company_id", related_sudo=False)
    kind = fields.Selection(
        [
            ("document", "An Invoice or Entry"),
            ("payment", "A Payment"),
            ("bank", "A Bank Line"),
            ("party", "A Counterparty"),
        ],
        string="It Is About",
        required=True,
        default="document",
    )
    move_id = fields.Many2one(
        "account.move",
        string="Document",
        domain="[('company_id', '=', company_id), ('state', '=', 'posted'),"
        " ('origin_payment_id', '=', False)]",
    )
    payment_id = fields.Many2one(
        "account.payment",
        domain="[('company_id', '=', company_id), ('state', '!=', 'draft')]",
    )
    statement_line_id = fields.Many2one(
        "account.bank.statement.line",
        string="Bank Line",
        domain="[('company_id', '=', company_id), ('is_reconciled', '=', False)]",
    )
    partner_id = fields.Many2one("res.partner", string="Counterparty")
    fitting_ids = fields.Many2many(
        "account.move",
        string="Open With This Amount",
        compute="_compute_fitting_ids",
        help="Invoices that are open with exactly the amount at stake.",
    )
    effect = fields.Text(string="What Will Happen", compute="_compute_effect")
    reason = fields.Text(required=True)

    @api.model
    def default_get(self, fields_list):
        values = super().default_get(fields_list)
        exception = self.env["finance.exception"].browse(values.get("exception_id"))
        if exception and "kind" in fields_list:
            values["kind"] = self._likely(exception)
        return values

    @api.model
    def _likely(self, exception):
        command = exception.command_id
        waits = {"counterparty": "party", "payment": "payment"}
        for kind, choice in waits.items():
            if command and command._waits_for(kind):
                return choice
        return "bank" if exception.res_model == "finance.payout" else "document"

    @api.depends("exception_id")
    def _compute_fitting_ids(self):
        for wizard in self:
            exception = wizard.exception_id
            domain = [
                ("company_id", "=", exception.company_id.id),
                ("move_type", "in", ("out_invoice", "out_receipt")),
                ("state", "=", "posted"),
                ("payment_state", "in", ("not_paid", "partial")),
                ("currency_id", "=", exception.currency_id.id),
                ("amount_residual", "=", exception.amount),
            ]
            moves = self.env["account.move"]
            wizard.fitting_ids = (
                moves.search(domain, limit=constants.SUGGESTIONS_SHOWN)
                if exception.currency_id and exception.amount
                else moves
            )

    @api.depends("kind", "move_id", "payment_id", "statement_line_id", "partner_id")
    def _compute_effect(self):
        for wizard in self:
            record = wizard._chosen()
            exception = wizard.exception_id.sudo()
            wizard.effect = (
                exception._link_sentence(exception._link_way(record), record)
                if record
                else False
            )

    def _chosen(self):
        return self[FIELD_OF[self.kind]] if self.kind else self.move_id.browse()

    def action_link(self):
        """Keep what was chosen, and do what follows from it."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR)
        record = self._chosen()
        if not record:
            raise UserError(self.env._("Choose what it is about."))
        self.exception_id._link(record, self.reason)
        return {"type": "ir.actions.act_window_close"}
