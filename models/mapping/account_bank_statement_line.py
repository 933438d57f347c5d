from odoo import api, models

from .changes import changing

# What the bank says; what Odoo makes of it stays open.
MIRRORED = {
    "amount",
    "amount_currency",
    "foreign_currency_id",
    "date",
    "journal_id",
    "payment_ref",
    "account_number",
    "partner_name",
    "transaction_type",
    "transaction_details",
    "unique_import_id",
}
# What a change of the journal entry would write through.
SYNCHRONISED = {"amount", "amount_currency", "foreign_currency_id"}


class AccountBankStatementLine(models.Model):
    """Transactions of a bank that owns them are read-only; reconciling is not."""

    _inherit = "account.bank.statement.line"

    @api.model_create_multi
    def create(self, vals_list):
        lines = super().create(vals_list)
        if not self.env.su:
            lines._finance_refuse_mirrored()
        return lines

    def write(self, vals):
        if self.env["finance.ownership"]._mirrored("bank_transactions"):
            touched = MIRRORED
            if self.env.su:
                # Odoo writes back as superuser what a person changes in the entry.
                through = self.env.context.get("skip_account_move_synchronization")
                ours = self.env.context.get("finance_command_id")
                touched = SYNCHRONISED if through and not ours else set()
            changing(self, vals, touched)._finance_refuse_mirrored()
        return super().write(vals)

    def unlink(self):
        if not self.env.su:
            self._finance_refuse_mirrored()
        return super().unlink()

    def _finance_refuse_mirrored(self):
        """Refuse, if the bank owns the transactions of one of these journals.

        :raise UserError: naming the bank's connector
        """
        ownership = self.env["finance.ownership"]
        if not ownership._mirrored("bank_transactions"):
            return
        for line in self:
            owner = ownership._owner_of(
                line.company_id, "bank_transactions", line.journal_id
            )
            if owner:
                ownership._refuse(owner, line.payment_ref or line.display_name)
