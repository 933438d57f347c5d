from odoo import models

from . import payload_master as payload


class ResPartnerBank(models.Model):
    _name = "res.partner.bank"
    _inherit = ["res.partner.bank", "finance.captured"]

    _finance_fields = ("allow_out_payment",)

    def _finance_transitions(self, before, now, marks):
        """Return whether payments to the account became allowed or forbidden.

        A new account is not trusted, which needs no saying.
        """
        was = bool(before and before["allow_out_payment"])
        trusted = bool(now["allow_out_payment"])
        if was == trusted:
            return []
        return [("trusted" if trusted else "untrusted", None)]

    def _finance_event_values(self, verb, extra=None, facts=None):
        """Return what events about this account say, see finance.captured."""
        self.ensure_one()
        capture = self.env["finance.capture"]
        return [
            {
                "object": "bank_account",
                "label": payload.masked_account(self),
                "company": company,
                "data": payload.bank_account(self, company),
            }
            for company in capture._companies_of(self, self.company_id)
        ]
