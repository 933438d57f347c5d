from odoo import models
from odoo.fields import Domain

from .errors import CommandIgnored

# Outcomes that take back what was captured.
TAKEN_BACK = ("returned", "capture_failed")
# Outcomes that are nobody's failure.
QUIET = ("cancelled",)


class FinanceHandlerPaymentFailed(models.AbstractModel):
    """``payment.failed``: what came back is open again, and people are told."""

    _name = "finance.handler.payment.failed"
    _description = "Handler of Payment Failed"
    _inherit = "finance.handler.payment"

    def _handle(self, command, content):
        """See finance.handler; ``content`` is contracts.PaymentFailed.

        :raise CommandWaits: D-ORPHAN for a return of what is not known to be captured
        :raise CommandError: D-UNMAPPED, B-PERIOD-LOCKED, D-OWNERSHIP
        """
        if content.outcome in TAKEN_BACK:
            transaction = self._take_back(command, content)
        else:
            transaction = self._give_up(command, content)
        transaction.reason = content.reason or content.reason_code
        if content.raw_status:
            transaction.raw_status = content.raw_status
        self._result(command, transaction)

    # === AFTER THE CAPTURE === #

    def _take_back(self, command, content):
        outgoing = self._outgoing(command, content)
        transaction = outgoing or self._capture_of(command, content.provider_ref)
        if "reversed" in transaction._stages("accounting"):
            raise CommandIgnored(
                "D-STALE",
                self.env._("%s was taken back already.", content.provider_ref),
            )
        if not outgoing:
            self._check_cash_application(command)
        moment = self._naive(content.failed_at)
        payment = transaction.payment_id
        invoices = payment.reconciled_invoice_ids or transaction.move_id
        reason = self._reason(content)
        self.env["finance.booking"]._reverse_payment(
            transaction,
            moment.date(),
            reason,
            None if content.amount is None else float(content.amount),
        )
        transaction._log(command, "execution", content.outcome, moment)
        transaction._log(command, "accounting", "reversed", moment)
        transaction._log(command, "reconciliation", "unreconciled", moment)
        for invoice in invoices:
            self._tell(command, transaction, invoice, reason)
        if not invoices:
            self._open(command, transaction, payment, reason)
        transaction._tell_waiting()
        return transaction

    def _outgoing(self, command, content):
        """Return the transaction of an outgoing payment that came back, if it is one.

        It is known by its end-to-end id; a bank reports it, without a capture.
        """
        transactions = self.env["finance.transaction"]
        payment = self._outgoing_payment(command, content.provider_ref)
        if not payment:
            return transactions
        transaction = transactions._for(
            command, content.provider_ref, payment.amount, payment.currency_id
        )
        transaction.write(
            {
                "payment_id": payment.id,
                "correlation_id": payment.finance_correlation_id
                or transaction.correlation_id,
            }
        )
        return self._in_case(command, transaction)

    def _outgoing_payment(self, command, ref):
        payments = self.env["account.payment"].search(
            Domain("company_id", "=", command.company_id.id)
            & Domain("payment_type", "=", "outbound")
            & Domain("state", "in", ("in_process", "paid"))
            & Domain("finance_source_payment_id", "=", False)
            & (
                Domain("finance_provider_ref", "=", ref)
                | Domain("payment_reference", "=", ref)
                | Domain("name", "=", ref)
            ),
            limit=2,
        )
        return payments if len(payments) == 1 else payments.browse()

    # === BEFORE THE CAPTURE === #

    def _give_up(self, command, content):
        invoice = self.env["finance.matching"]._peek(command, content)
        if invoice:
            command._join_case(invoice._finance_correlation())
        payment = self._outgoing_payment(command, content.provider_ref)
        transaction = self._transaction_of(command, content, invoice, payment)
        transaction._log(
            command, "execution", content.outcome, self._naive(content.failed_at)
        )
        # A payer may have tried again, and succeeded: then nothing is wrong.
        if transaction.execution != content.outcome or content.outcome in QUIET:
            return transaction
        invoice = invoice or transaction.move_id or self._of_parent(transaction)
        if invoice and invoice.payment_state in ("not_paid", "partial"):
            transaction.move_id = invoice
            self._tell(command, transaction, invoice, self._reason(content))
        elif payment and not payment.is_matched:
            self._open(command, transaction, payment, self._reason(content))
        return transaction

    def _transaction_of(self, command, content, invoice, payment, **values):
        """Return the transaction of a status that comes before any capture, locked.

        :param invoice: the document it is for, empty if that is not known
        :param payment: the outgoing payment it is, empty if it is none
        :param values: of a new transaction
        """
        currency = (
            self.env["finance.booking"]._currency(content.currency)
            if content.currency
            else payment.currency_id or command.company_id.currency_id
        )
        transaction = self.env["finance.transaction"]._for(
            command,
            content.provider_ref,
            float(content.amount or payment.amount or 0),
            currency,
            parent_ref=content.parent_ref,
            document_ref=content.document_ref,
            move_id=invoice.id,
            **values,
        )
        transaction._lock()
        command._join_case(transaction.correlation_id)
        return transaction

    def _of_parent(self, transaction):
        """Return the document that the order or authorisation behind it is for."""
        if not transaction.parent_ref:
            return transaction.move_id
        return transaction._known(
            transaction.connector_id, transaction.parent_ref
        ).move_id

    # === PEOPLE === #

    def _reason(self, content):
        if content.reason:
            return f"{content.reason} ({content.reason_code})"
        return content.reason_code

    def _tell(self, command, transaction, invoice, reason):
        self._open(command, transaction, invoice, reason)
        if "finance.hold" in self.env:
            self.env["finance.hold"]._place(
                invoice,
                "revenue",
                self.env._(
                    "The payment %(reference)s failed: %(reason)s",
                    reference=transaction.provider_ref,
                    reason=reason,
                ),
                connector=command.connector_id,
                command=command,
            )
        self.env["finance.booking"]._tell_customer(transaction, invoice, reason)

    def _open(self, command, transaction, record, reason):
        taken_back = transaction.execution in TAKEN_BACK
        summary = (
            self.env._(
                "Payment %(reference)s of %(record)s came back",
                reference=transaction.provider_ref,
                record=record.display_name,
            )
            if taken_back
            else self.env._(
                "Payment %(reference)s of %(record)s failed",
                reference=transaction.provider_ref,
                record=record.display_name,
            )
        )
        cause = self.env._("The provider's reason: %s.", reason)
        if taken_back:
            cause += " " + self.env._(
                "The payment was reversed, and what it paid is open again."
            )
        elif record._name == "account.payment":
            cause += " " + self.env._(
                "The payment stands in the books as on its way: cancel it, or pay "
                "again another way."
            )
        self.env["finance.exception"]._open(
            "B-RETURNED",
            company=command.company_id,
            record=record,
            connector=command.connector_id,
            fingerprint=f"transaction:{transaction.id}",
            summary=summary,
            cause=cause,
            correlation_id=transaction.correlation_id,
            amount=transaction.captured_amount or transaction.amount,
            currency=transaction.currency_id,
        )
