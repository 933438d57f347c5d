from odoo import api, fields, models


def sanitized(number):
    """Return an account number without blanks and punctuation, in capitals."""
    return "".join(filter(str.isalnum, number or "")).upper()


class AccountJournal(models.Model):
    _inherit = "account.journal"

    # Written by every import, so that two imports into one journal never run at once.
    finance_import_count = fields.Integer(readonly=True, copy=False)

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):
        journals = super().create(vals_list)
        journals._finance_provide_account()
        return journals

    def write(self, vals):
        result = super().write(vals)
        if not {"bank_account_id", "currency_id", "active"}.isdisjoint(vals):
            self._finance_provide_account()
        return result

    # === BUSINESS METHODS === #

    def _finance_provide_account(self):
        """Have those statements tried again that waited for a journal."""
        for journal in self:
            number = sanitized(journal.bank_account_id.acc_number)
            if number:
                self.env["finance.command"].sudo()._provide(
                    f"bank_account:{number}", journal.company_id
                )

    def _finance_lock_import(self):
        """Make imports into this journal wait for each other.

        Whoever comes second has looked at the lines without those of the first; its
        transaction fails by serialization and is run again.
        """
        self.ensure_one()
        self.env.cr.execute(
            """
            UPDATE account_journal
               SET finance_import_count = COALESCE(finance_import_count, 0) + 1
             WHERE id = %s
            """,
            [self.id],
        )
