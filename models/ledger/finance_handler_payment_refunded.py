from odoo import models

# Words of the command, and those of the log of a refund.
STATUSES = {"pending": "pending", "succeeded": "full"}


class FinanceHandlerPaymentRefunded(models.AbstractModel):
    """``payment.refunded``: what went back to a payer is booked, or taken back."""

    _name = "finance.handler.payment.refunded"
    _description = "Handler of Payment Refunded"
    _inherit = "finance.handler.payment"

    def _identity_fields(self):
        return ("parent_ref", "amount", "currency")

    def _handle(self, command, content):
        """See finance.handler; ``content`` is contracts.PaymentRefunded.

        :raise CommandWaits: D-ORPHAN while the capture is not known
        :raise CommandError: C-AMOUNT-INTEGRITY, D-UNMAPPED, B-PERIOD-LOCKED,
            D-OWNERSHIP
        """
        currency = self.env["finance.booking"]._currency(content.currency)
        capture = self._capture_of(command, content.parent_ref)
        if content.status != "pending":
            self._check_cash_application(command)
        refund = capture._child(
            command,
            "refund",
            content.refund_ref,
            float(content.amount),
            currency,
            parent_ref=content.parent_ref,
            reason=content.reason,
            document_ref=content.document_ref,
        )
        refund._log(
            command,
            "refund",
            STATUSES.get(content.status, content.status),
            self._naive(content.refunded_at),
        )
        if content.raw_status:
            refund.raw_status = content.raw_status
        refund._follow_refund(content.document_ref)
        self._result(command, refund, refund.payment_id or None)
