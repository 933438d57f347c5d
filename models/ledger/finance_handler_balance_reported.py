from odoo import models

from .errors import CommandIgnored


class FinanceHandlerBalanceReported(models.AbstractModel):
    """``balance.reported``: what the bank says is kept beside what the books say."""

    _name = "finance.handler.balance.reported"
    _description = "Handler of Balance Reported"
    _inherit = "finance.handler.bank_statement.content"

    def _identity_fields(self):
        return ("amount", "currency")

    def _handle(self, command, content):
        """See finance.handler; ``content`` is contracts.BalanceReported.

        :raise CommandError: D-UNMAPPED
        :raise CommandIgnored: D-STALE when a later balance is known
        """
        journal = self._journal_of(
            command, content.account, content.currency, content.as_of.date()
        )
        journal._finance_lock_import()
        balance = self.env["finance.reported.balance"]._note(
            journal, content.kind, content.amount, content.as_of, command
        )
        if not balance:
            raise CommandIgnored(
                "D-STALE",
                self.env._(
                    "A later balance of “%s” is known; this one is history.",
                    journal.name,
                ),
            )
        command.write({"res_model": balance._name, "res_id": balance.id})
