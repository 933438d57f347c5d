from odoo import api, fields, models
from odoo.exceptions import UserError

from ..contracts import parse_command
from ..models import constants
from ..models.access import require_group
from ..models.mapping.duplicates import UPSERT


class FinancePartyWizard(models.TransientModel):
    """Say who a counterparty is that may be known already."""

    _name = "finance.party.wizard"
    _description = "Link or Create a Counterparty"

    command_id = fields.Many2one("finance.command", required=True, readonly=True)
    company_id = fields.Many2one(related="command_id.company_id", related_sudo=False)
    connector_id = fields.Many2one(
        related="command_id.connector_id", related_sudo=False
    )
    sent = fields.Text(related="command_id.data_text", related_sudo=False)
    sent_name = fields.Char(string="Sent As", compute="_compute_sent_name")
    line_ids = fields.One2many(
        "finance.party.wizard.line", "wizard_id", "Who It May Be", readonly=True
    )
    partner_id = fields.Many2one(
        "res.partner",
        string="It Is",
        domain="[('company_id', 'in', (company_id, False))]",
        help="The counterparty that was meant. What the system sends is taken over "
        "into it from now on.",
    )
    reason = fields.Char(help="Why; kept with the exception.")

    @api.depends("command_id")
    def _compute_sent_name(self):
        for wizard in self:
            data = wizard.command_id.data or {}
            wizard.sent_name = f"{data.get('name')} ({data.get('external_id')})"

    @api.model_create_multi
    def create(self, vals_list):
        """Fill in who it may be."""
        wizards = super().create(vals_list)
        for wizard in wizards.filtered(lambda wizard: not wizard.line_ids):
            wizard.command_id.check_access("read")
            command = wizard.command_id.sudo()
            if command.type != UPSERT:
                continue
            handler = command._handler()
            found = handler._candidates(
                command.connector_id, parse_command(command.type, command.data)
            )
            wizard.line_ids = [
                (
                    0,
                    0,
                    {
                        "partner_id": partner.id,
                        "why": handler._reason(reasons),
                        "score": weight,
                    },
                )
                for partner, weight, reasons in found
            ]
        return wizards

    def _open(self):
        """Return the action that shows the form; its lines have buttons of their own,
        so it is stored already."""
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Link or Create"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "target": "new",
        }

    def action_link(self):
        """It is a known counterparty: link it, and apply what was sent."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR)
        if not self.partner_id:
            raise UserError(self.env._("Choose the counterparty that was meant."))
        self.partner_id.check_access("read")
        partner = self.partner_id.sudo().commercial_partner_id
        if partner.company_id - self.command_id.company_id:
            raise UserError(
                self.env._("“%s” belongs to another company.", partner.display_name)
            )
        commands = self._waiting()
        self.env["finance.reference"].sudo()._link(
            self.command_id.sudo().connector_id,
            partner,
            self.command_id.sudo().data["external_id"],
        )
        return self._resubmit(
            commands, self.env._("Linked to %s", partner.display_name)
        )

    def action_create(self):
        """It is somebody new."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR)
        commands = self._waiting()
        commands.write({"party_is_new": True})
        return self._resubmit(commands, self.env._("Created as a new counterparty"))

    def _waiting(self):
        if not (self.reason or "").strip():
            raise UserError(self.env._("Say why; it is kept with the exception."))
        self.command_id.check_access("read")
        self.command_id._expect_undecided()
        return self.command_id.sudo()._same_party()

    def _resubmit(self, commands, text):
        exceptions = commands._exceptions()
        exceptions.with_user(self.env.user)._log_action(text, self.reason)
        exceptions.write({"state": "in_progress"})
        commands._resubmit()
        return {"type": "ir.actions.act_window_close"}


class FinancePartyWizardLine(models.TransientModel):
    _name = "finance.party.wizard.line"
    _description = "Counterparty That May Be Meant"
    _order = "score desc, id"

    wizard_id = fields.Many2one("finance.party.wizard", ondelete="cascade")
    partner_id = fields.Many2one("res.partner", readonly=True)
    vat = fields.Char(related="partner_id.vat", related_sudo=False)
    city = fields.Char(related="partner_id.city", related_sudo=False)
    email = fields.Char(related="partner_id.email", related_sudo=False)
    why = fields.Char(readonly=True)
    score = fields.Integer(readonly=True)

    def action_choose(self):
        """Take this one as the counterparty that was meant."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR)
        self.wizard_id.partner_id = self.partner_id
        return self.wizard_id._open()
