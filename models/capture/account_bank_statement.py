from odoo import models

from . import payload


class AccountBankStatement(models.Model):
    _name = "account.bank.statement"
    _inherit = ["account.bank.statement", "finance.captured"]

    _finance_fields = ("first_line_index",)

    def _finance_transitions(self, before, now, marks):
        """Return that a statement got its lines: until then it says nothing."""
        was = before and before["first_line_index"]
        return [("imported", None)] if now["first_line_index"] and not was else []

    def _finance_event_values(self, verb, extra=None, facts=None):
        """Return what an event about this statement says, see finance.captured."""
        self.ensure_one()
        return [
            {
                "object": "bank_statement",
                "label": self.name or self.reference or str(self.id),
                "company": self.company_id or self.journal_id.company_id,
                "data": payload.bank_statement(self),
            }
        ]
