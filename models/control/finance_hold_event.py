from odoo import models

from ..capture import payload_master as payload


class FinanceHold(models.Model):
    """What is announced of holds."""

    _inherit = "finance.hold"

    def _finance_transitions(self, before, now, marks):
        """Return that business with a counterparty is held, see finance.captured."""
        if self.kind != "credit" or self.res_model != "res.partner":
            return []
        was, state = before and before["state"], now["state"]
        found = []
        if "limit_exceeded" in marks:
            found.append(("limit_exceeded", None))
        if state == "active" and was != "active":
            found.append(("hold_placed", None))
        elif state != "active" and was == "active":
            found.append(("hold_released", None))
        return found

    def _finance_event_values(self, verb, extra=None, facts=None):
        """Return what an event about this hold says, see finance.captured."""
        self.ensure_one()
        partner = self._record()
        if not partner:
            return []
        reason = self.release_reason if verb == "hold_released" else self.reason
        return [
            {
                "object": "credit",
                "key": str(partner.id),
                "label": partner.name or str(partner.id),
                "company": self.company_id,
                "correlation_id": self.correlation_id,
                "data": {
                    **payload.credit_limit(partner, self.company_id),
                    "reason": reason,
                },
            }
        ]
