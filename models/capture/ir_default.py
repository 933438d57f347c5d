from odoo import models

from . import payload_master as payload


class IrDefault(models.Model):
    """The credit limit that counterparties of a company have by default.

    It is a default value of a company-dependent field, so no partner is written.
    """

    _name = "ir.default"
    _inherit = ["ir.default", "finance.captured"]

    _finance_fields = ("json_value", "field_id", "company_id")

    def _finance_transitions(self, before, now, marks):
        """Return that the default credit limit changed."""
        if self.field_id != self.env.ref("account.field_res_partner__credit_limit"):
            return []
        return [("limit_changed", None)] if before != now else []

    def _finance_event_values(self, verb, extra=None, facts=None):
        """Return what events about the limit say, see finance.captured."""
        self.ensure_one()
        if self.user_id or self.condition:
            return []
        capture = self.env["finance.capture"]
        return [
            {
                "object": "credit",
                "key": f"company-{company.id}",
                "label": company.name,
                "company": company,
                "data": payload.credit_limit(self.env["res.partner"], company),
            }
            for company in capture._companies_of(self, self.company_id)
        ]
