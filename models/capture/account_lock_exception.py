from odoo import models

from . import payload_master as payload


class AccountLockException(models.Model):
    """An exception to a lock date opens the period for somebody, for a while."""

    _name = "account.lock_exception"
    _inherit = ["account.lock_exception", "finance.captured"]

    _finance_fields = ("active",)

    def _finance_transitions(self, before, now, marks):
        """Return whether the exception was granted or revoked.

        One that simply runs out raises nothing: it said so when it was granted.
        """
        was = bool(before and before["active"])
        granted = bool(now["active"])
        if was == granted:
            return []
        return [("unlocked" if granted else "locked", None)]

    def _finance_event_values(self, verb, extra=None, facts=None):
        """Return what an event about this exception says, see finance.captured."""
        self.ensure_one()
        company = self.company_id
        return [
            {
                "object": "period",
                "key": f"{company.id}-{self.id}",
                "label": company.name,
                "company": company,
                "data": payload.period(
                    company,
                    self.lock_date_field,
                    company[self.lock_date_field],
                    None,
                    exception=self,
                ),
            }
        ]
