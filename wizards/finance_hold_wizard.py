from odoo import api, fields, models
from odoo.exceptions import UserError

from ..models import clock, constants
from ..models.access import require_group
from ..models.hold.finance_hold import STOPPING

HOLDABLE = ("account.move", "account.payment", "res.partner")
MANUAL_KINDS = [
    ("risk", "Risk: nothing is posted until it is released"),
    ("credit", "Credit: no customer invoices until it is released"),
    ("revenue", "Revenue: shown only"),
]


class FinanceHoldWizard(models.TransientModel):
    """Places a hold by hand, with a reason."""

    _name = "finance.hold.wizard"
    _description = "Hold a Document or Counterparty"

    res_model = fields.Char(required=True, readonly=True)
    res_ids = fields.Json(readonly=True)
    kind = fields.Selection(MANUAL_KINDS, required=True, default="risk")
    reason = fields.Text(required=True)
    expires_at = fields.Datetime(
        string="Decision Due", help="Then a person is told; the hold goes on."
    )

    @api.model
    def default_get(self, fields_list):
        values = super().default_get(fields_list)
        values["res_model"] = self.env.context.get("active_model")
        values["res_ids"] = self.env.context.get("active_ids") or []
        return values

    def action_confirm(self):
        """Hold what was selected; whoever holds does not release."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR, constants.GROUP_APPROVER)
        if self.res_model not in HOLDABLE or not self.res_ids:
            raise UserError(self.env._("Select documents, payments or contacts."))
        if self.expires_at and self.expires_at <= clock.naive_now():
            raise UserError(self.env._("The time of the decision is over already."))
        records = self.env[self.res_model].browse(self.res_ids)
        records.check_access("read")
        for record in records:
            if (
                self.kind in STOPPING
                and self.res_model != "res.partner"
                and not record._finance_waits_to_post()
            ):
                raise UserError(
                    self.env._(
                        "“%s” is posted already; there is nothing to stop.",
                        record.display_name,
                    )
                )
            self.env["finance.hold"].sudo()._place(
                record,
                self.kind,
                self.reason,
                origin="person",
                expires_at=self.expires_at,
                company=record.company_id or self.env.company,
            )
        return {"type": "ir.actions.act_window_close"}
