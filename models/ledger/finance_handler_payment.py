from odoo import models

from .. import clock, constants
from .errors import CommandWaits


class FinanceHandlerPayment(models.AbstractModel):
    """What the handlers of payments have in common."""

    _name = "finance.handler.payment"
    _description = "Base of Payment Handlers"
    _inherit = "finance.handler"

    def _capture_of(self, command, ref):
        """Return the booked payment that a command is about, see ``_in_case``.

        :raise CommandWaits: D-ORPHAN while it is not known
        """
        transactions = self.env["finance.transaction"]
        connector = command.connector_id
        transaction = transactions._captured(connector, [ref]).get(ref)
        if transaction is None:
            raise CommandWaits(
                "D-ORPHAN",
                self.env._(
                    "The capture of %s has not arrived yet. This is tried again when "
                    "it does.",
                    ref,
                ),
                key=transactions._wait_key(connector, ref),
                grace=constants.ORPHAN_GRACE,
            )
        return self._in_case(command, transaction)

    def _in_case(self, command, transaction):
        """Return a transaction, alone in its use; what it books is part of its case."""
        transaction._lock()
        command._join_case(transaction.correlation_id)
        return transaction.with_context(
            finance_correlation_id=transaction.correlation_id
        )

    def _check_cash_application(self, command):
        """Refuse to change what is paid where another system has the say about it.

        Where Odoo has it, what providers report is just what Odoo goes by.

        :raise CommandError: D-OWNERSHIP
        """
        ownership = self.env["finance.ownership"]
        if ownership._owner_of(command.company_id, "cash_application"):
            ownership._check(command.connector_id, "cash_application")

    def _result(self, command, transaction, record=None):
        """Keep with the command what came of it."""
        record = record or transaction
        command.write(
            {
                "transaction_id": transaction.id,
                "res_model": record._name,
                "res_id": record.id,
            }
        )

    def _naive(self, moment):
        return clock.naive(moment)
