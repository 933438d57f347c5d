from odoo import models


class FinanceHandlerPaymentStatusChanged(models.AbstractModel):
    """``payment.status_changed``: a status between start and end; nothing is booked."""

    _name = "finance.handler.payment.status_changed"
    _description = "Handler of Payment Status Changed"
    _inherit = "finance.handler.payment.failed"

    def _handle(self, command, content):
        """See finance.handler; ``content`` is contracts.PaymentStatusChanged.

        An outcome that is not known is told to a person if it stays so, see
        finance.transaction; it is asked for, and never sent again.
        """
        invoice = self.env["finance.matching"]._peek(command, content)
        payment = self._outgoing_payment(command, content.provider_ref)
        if invoice:
            command._join_case(invoice._finance_correlation())
        elif payment.finance_correlation_id:
            command._join_case(payment.finance_correlation_id)
        transaction = self._transaction_of(
            command, content, invoice, payment, payment_id=payment.id
        )
        transaction._log(
            command, "execution", content.execution, self._naive(content.changed_at)
        )
        if content.settlement:
            # What the bank says of the money itself, such as ISO 20022 ACSC.
            transaction._log(
                command,
                "settlement",
                content.settlement,
                self._naive(content.changed_at),
            )
        values = {"raw_status": content.raw_status, "reason": content.reason}
        transaction.write({k: v for k, v in values.items() if v})
        self._result(command, transaction)
