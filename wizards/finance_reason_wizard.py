from odoo import fields, models


class FinanceReasonWizard(models.TransientModel):
    """Asks why, or how, before exceptions are closed."""

    _name = "finance.reason.wizard"
    _description = "Reason for Closing Finance Exceptions"

    exception_ids = fields.Many2many("finance.exception", required=True)
    outcome = fields.Selection(
        [("resolved", "Solved"), ("cancelled", "Cancelled")],
        required=True,
        default="cancelled",
    )
    reason = fields.Text(required=True)

    def action_confirm(self):
        self.ensure_one()
        if self.outcome == "resolved":
            self.exception_ids._solve(self.reason)
        else:
            self.exception_ids._cancel(self.reason)
        return {"type": "ir.actions.act_window_close"}
