from odoo import fields, models

from ..windows import list_of


class AccountMove(models.Model):
    _inherit = "account.move"

    finance_transaction_id = fields.Many2one(
        "finance.transaction",
        string="Provider Transaction",
        copy=False,
        readonly=True,
        index="btree_not_null",
        help="What the payment provider reported that made this entry.",
    )
    finance_payout_id = fields.Many2one(
        "finance.payout",
        string="Payout",
        copy=False,
        readonly=True,
        index="btree_not_null",
        help="The payout of a payment provider that this entry books.",
    )
    finance_role = fields.Char(
        string="Part in the Transaction",
        copy=False,
        readonly=True,
        help="What this entry is for: dispute, dispute_back, loss, return.",
    )
    finance_transaction_count = fields.Integer(
        compute="_compute_finance_transaction_count"
    )

    def _compute_finance_transaction_count(self):
        groups = (
            self.env["finance.transaction"]
            .sudo()
            ._read_group([("move_id", "in", self.ids)], ["move_id"], ["__count"])
        )
        counts = dict(groups)
        for move in self:
            move.finance_transaction_count = counts.get(move, 0)

    def _post(self, soft=True):
        posted = super()._post(soft)
        credit_notes = posted.filtered(lambda move: move.move_type == "out_refund")
        if credit_notes:
            self.env["finance.booking"].sudo()._match_posted_credit_notes(credit_notes)
        return posted

    def action_open_finance_transactions(self):
        """Show the provider's transactions about this document."""
        self.ensure_one()
        self.check_access("read")
        return list_of(
            self.env, "finance_transaction_action", [("move_id", "=", self.id)]
        )
