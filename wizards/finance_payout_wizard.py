from odoo import fields, models


class FinancePayoutWizard(models.TransientModel):
    """Asks why a payout is booked though it does not add up."""

    _name = "finance.payout.wizard"
    _description = "Book a Payout as It Is"

    payout_id = fields.Many2one("finance.payout", required=True)
    unknown_count = fields.Integer(related="payout_id.unknown_count")
    difference = fields.Monetary(related="payout_id.difference")
    currency_id = fields.Many2one(related="payout_id.currency_id")
    reason = fields.Text(required=True)

    def action_confirm(self):
        """Book the payout."""
        self.ensure_one()
        self.payout_id._accept(self.reason)
        return {"type": "ir.actions.act_window_close"}
