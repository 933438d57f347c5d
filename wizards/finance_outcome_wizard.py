from odoo import fields, models

from ..models import clock


class FinanceOutcomeWizard(models.TransientModel):
    """Asks what the provider said about a payment whose outcome was not known."""

    _name = "finance.outcome.wizard"
    _description = "Outcome of a Finance Transaction"

    transaction_id = fields.Many2one("finance.transaction", required=True)
    # A capture or a return moves money: those are booked by the provider's own
    # message, which it can send again.
    status = fields.Selection(
        [
            ("acknowledged", "Accepted, on Its Way"),
            ("authorised", "Authorised"),
            ("failed", "Failed"),
            ("rejected", "Rejected"),
            ("cancelled", "Cancelled"),
            ("expired", "Expired"),
        ],
        string="What Happened",
        required=True,
    )
    occurred_at = fields.Datetime(
        string="When", required=True, default=lambda self: clock.naive_now()
    )
    reason = fields.Text(string="How Do You Know", required=True)

    def action_confirm(self):
        """Log the outcome with the transaction."""
        self.ensure_one()
        self.transaction_id._record_outcome(self.status, self.occurred_at, self.reason)
        return {"type": "ir.actions.act_window_close"}
