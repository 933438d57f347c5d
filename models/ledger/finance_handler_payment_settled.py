from odoo import models


class FinanceHandlerPaymentSettled(models.AbstractModel):
    """``payment.settled``: the provider's fee is booked, once for each settlement."""

    _name = "finance.handler.payment.settled"
    _description = "Handler of Payment Settled"
    _inherit = "finance.handler.payment"

    def _identity_fields(self):
        return ("gross", "fee", "currency")

    def _handle(self, command, content):
        """See finance.handler; ``content`` is contracts.PaymentSettled.

        :raise CommandWaits: D-ORPHAN while the capture or refund is not known
        :raise CommandError: D-UNMAPPED, B-PERIOD-LOCKED, C-AMOUNT-INTEGRITY
        """
        currency = self.env["finance.booking"]._currency(content.currency)
        transaction = self.env["finance.transaction"]._booked(
            command.connector_id, content.provider_ref
        )
        if transaction:
            transaction = self._in_case(command, transaction)
        else:
            transaction = self._capture_of(command, content.provider_ref)
        line = transaction.env["finance.payout.line"]._settle(
            command, content, transaction, currency
        )
        transaction._log(
            command, "settlement", "settled", self._naive(content.settled_at)
        )
        self._result(command, transaction, line.fee_move_id or None)
