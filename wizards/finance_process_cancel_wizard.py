from odoo import fields, models


class FinanceProcessCancelWizard(models.TransientModel):
    """Asks why, before processes end without their remaining steps."""

    _name = "finance.process.cancel.wizard"
    _description = "Reason for Cancelling a Process"

    process_ids = fields.Many2many("finance.process", required=True)
    reason = fields.Text(required=True)

    def action_confirm(self):
        """Cancel; the processes themselves check who may."""
        self.ensure_one()
        self.process_ids._cancel(self.reason)
        return {"type": "ir.actions.act_window_close"}
