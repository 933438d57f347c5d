from odoo import fields, models


class FinanceReasonWizard(models.TransientModel):
    """Asks why, before exceptions are cancelled."""

    _name = "finance.reason.wizard"
    _description = "Reason for Cancelling Finance Exceptions"

    exception_ids = fields.Many2many("finance.exception", required=True)
    reason = fields.Text(required=True)

    def action_confirm(self):
        self.exception_ids._cancel(self.reason)
        return {"type": "ir.actions.act_window_close"}
