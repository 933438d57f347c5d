from odoo import models

from . import payload_payout as payload


class FinancePayout(models.Model):
    _name = "finance.payout"
    _inherit = ["finance.payout", "finance.captured"]

    _finance_fields = ("state",)

    def _finance_transitions(self, before, now, marks):
        """Return that a payout agrees with its items and the bank."""
        was = before and before["state"]
        if now["state"] == "reconciled" and was != "reconciled":
            return [("reconciled", None)]
        return []

    def _finance_event_values(self, verb, extra=None, facts=None):
        """Return what an event about this payout says, see finance.captured."""
        self.ensure_one()
        return [
            {
                "object": "payout",
                "label": self.payout_ref,
                "company": self.company_id,
                "correlation_id": self.correlation_id,
                "data": payload.payout(self),
            }
        ]
