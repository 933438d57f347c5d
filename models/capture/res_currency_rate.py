from odoo import models

from . import payload_master as payload


class ResCurrencyRate(models.Model):
    _name = "res.currency.rate"
    _inherit = ["res.currency.rate", "finance.captured"]

    _finance_fields = ("rate", "name", "currency_id", "company_id")

    def _finance_transitions(self, before, now, marks):
        """Return that a rate was entered or corrected."""
        return [("updated", None)] if before != now and now["rate"] else []

    def _finance_event_values(self, verb, extra=None, facts=None):
        """Return what events about this rate say, see finance.captured."""
        self.ensure_one()
        capture = self.env["finance.capture"]
        return [
            {
                "object": "currency_rate",
                "label": f"{self.currency_id.name} {self.name}",
                "company": company,
                "data": payload.currency_rate(self, company),
            }
            for company in capture._companies_of(self, self.company_id)
        ]
