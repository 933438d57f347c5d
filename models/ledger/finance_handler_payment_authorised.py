from odoo import models


class FinanceHandlerPaymentAuthorised(models.AbstractModel):
    """``payment.authorised``: a status; nothing is booked."""

    _name = "finance.handler.payment.authorised"
    _description = "Handler of Payment Authorised"
    _inherit = "finance.handler.payment"

    def _identity_fields(self):
        return ("amount", "currency")

    def _handle(self, command, content):
        """See finance.handler; ``content`` is contracts.PaymentAuthorised."""
        currency = self.env["finance.booking"]._currency(content.currency)
        invoice = self.env["finance.matching"]._peek(command, content)
        if invoice:
            command._join_case(invoice._finance_correlation())
        transaction = self.env["finance.transaction"]._for(
            command,
            content.provider_ref,
            float(content.amount),
            currency,
            parent_ref=content.parent_ref,
            document_ref=content.document_ref,
            method=content.method,
            move_id=invoice.id,
            expires_at=content.expires_at and self._naive(content.expires_at),
        )
        transaction._lock()
        command._join_case(transaction.correlation_id)
        transaction._log(
            command, "execution", "authorised", self._naive(content.authorised_at)
        )
        if content.raw_status:
            transaction.raw_status = content.raw_status
        transaction._follow_captures()
        self._result(command, transaction)
