from odoo import models

from .. import clock
from .errors import CommandError, CommandIgnored


class FinanceHandlerPaymentCaptured(models.AbstractModel):
    """``payment.captured``: a payment is registered and matched to its invoices.

    The payment is booked on the outstanding account of the connector's journal,
    where the provider's payout is expected, and reconciled with the invoices. What is
    paid too much stays open on the customer's account and is reported; what is
    missing is reported, unless it is the early payment discount or small enough to be
    written off.
    """

    _name = "finance.handler.payment.captured"
    _description = "Handler of Payment Captured"
    _inherit = "finance.handler.payment"

    def _identity_fields(self):
        return ("amount", "currency")

    def _handle(self, command, content):
        """See finance.handler; ``content`` is contracts.PaymentCaptured.

        :raise CommandError: B-UNMATCHED, B-AMBIGUOUS, D-UNMAPPED, B-PERIOD-LOCKED,
            D-OWNERSHIP
        """
        booking = self.env["finance.booking"]
        currency = booking._currency(content.currency)
        method_line = booking._method_line(command.connector_id)
        known = self.env["finance.transaction"]._known(
            command.connector_id, content.provider_ref
        )
        self._refuse_twice(known, content, currency)
        self._check_cash_application(command)
        registered = command._linked("account.payment") or booking._registered(
            command, content, currency
        )
        invoices = registered and self._paid_by(registered)
        if not invoices:
            invoices = self.env["finance.matching"]._invoices(
                command, content, currency
            )
        booking._check_period(
            command.company_id, content.captured_at.date(), method_line.journal_id
        )

        # From here on, everything belongs to the invoice's case.
        correlation_id = invoices[0]._finance_correlation()
        command._join_case(correlation_id)
        handler = self.with_context(finance_correlation_id=correlation_id)
        if registered:
            payment = handler._adopt_payment(
                command, content, invoices, registered, method_line
            )
        else:
            payment = handler._book_payment(
                command, content, invoices, currency, method_line
            )
        transaction = handler._follow(
            command, content, invoices, payment, currency, correlation_id
        )
        self._result(command, transaction, payment)
        self._report_difference(command, content, invoices, payment)
        self._release_holds(command, invoices)
        transaction._tell_waiting()

    def _refuse_twice(self, known, content, currency):
        """Stop at a capture that is booked already, however long ago.

        :raise CommandError: C-AMOUNT-INTEGRITY when it says another amount
        :raise CommandIgnored: when it says the same
        """
        if not known.captured_amount:
            return
        if known.currency_id != currency or currency.compare_amounts(
            known.captured_amount, float(content.amount)
        ):
            raise CommandError(
                "C-AMOUNT-INTEGRITY",
                self.env._(
                    "%(reference)s was captured before with %(amount)s. Ask the "
                    "sender which one is right; nothing was booked for this one.",
                    reference=content.provider_ref,
                    amount=known.currency_id.format(known.captured_amount),
                ),
            )
        raise CommandIgnored(
            "D-STALE", self.env._("%s is booked already.", content.provider_ref)
        )

    # === WHAT IS DONE === #

    def _paid_by(self, payment):
        """Return the invoices that a payment registered by hand pays, if any."""
        return (payment.reconciled_invoice_ids | payment.invoice_ids).filtered(
            lambda move: move.state == "posted" and move.is_sale_document(True)
        )

    def _open_lines(self, invoices):
        lines = self.env["finance.booking"]._receivable(invoices)
        return lines.filtered(lambda line: not line.reconciled).sorted(
            lambda line: (line.date_maturity or line.date, line.id)
        )

    def _book_payment(self, command, content, invoices, currency, method_line):
        booking = self.env["finance.booking"]
        lines = self._open_lines(invoices)
        amount, paid_on = float(content.amount), content.captured_at.date()
        discount = booking._discount(amount, invoices, currency, paid_on)
        writeoff = (
            (0.0, None)
            if discount
            else booking._writeoff(command.connector_id, amount, invoices, currency)
        )
        values = booking._capture_values(
            content, invoices, currency, method_line, lines, writeoff
        )
        if discount:
            values["write_off_line_vals"] = discount
        payment = self.env["account.payment"].create(values)
        payment.action_post()
        self._match(payment, lines)
        payment.message_post(
            body=self.env._(
                "Registered by the connector “%(connector)s” from message %(message)s.",
                connector=command.connector_id.name,
                message=command.message_id.external_id,
            )
        )
        if discount:
            payment.message_post(
                body=self.env._(
                    "It was paid in time for the early payment discount, which is "
                    "written off: %s.",
                    currency.format(sum(line["amount_currency"] for line in discount)),
                )
            )
        return payment

    def _adopt_payment(self, command, content, invoices, payment, method_line):
        """Go on with a payment that a person registered, instead of doubling it."""
        payment.write({"finance_provider_ref": content.provider_ref})
        if payment.state == "draft":
            payment.write(
                {
                    "journal_id": method_line.journal_id.id,
                    "payment_method_line_id": method_line.id,
                    "date": content.captured_at.date(),
                }
            )
            payment.action_post()
        if payment.outstanding_account_id != method_line.payment_account_id:
            raise CommandError(
                "B-AMBIGUOUS",
                self.env._(
                    "The payment %(payment)s, registered by hand for %(reference)s, is "
                    "not on the account “%(account)s” where the provider pays out. "
                    "Cancel it or book it over, then retry.",
                    payment=payment.display_name,
                    reference=content.provider_ref,
                    account=method_line.payment_account_id.display_name,
                ),
            )
        self._match(payment, self._open_lines(invoices))
        payment.message_post(
            body=self.env._(
                "Confirmed by the connector “%(connector)s” with message %(message)s.",
                connector=command.connector_id.name,
                message=command.message_id.external_id,
            )
        )
        return payment

    def _match(self, payment, lines):
        """Match a payment with the lines of invoices on its account."""
        own = payment.move_id.line_ids.filtered(
            lambda line: (
                line.account_id == payment.destination_account_id
                and not line.reconciled
            )
        )
        lines = lines.filtered(lambda line: line.account_id == own.account_id)
        self.env["finance.booking"]._reconcile(own, lines)

    def _follow(self, command, content, invoices, payment, currency, correlation_id):
        """Return the transaction, which knows what was booked."""
        amount = float(content.amount)
        transaction = self.env["finance.transaction"]._for(
            command, content.provider_ref, amount, currency
        )
        transaction._lock()
        transaction.write(
            {
                "payment_id": payment.id,
                "move_id": invoices[0].id,
                "correlation_id": correlation_id,
                "captured_amount": amount,
                "parent_ref": content.parent_ref or transaction.parent_ref,
                "document_ref": content.document_ref or transaction.document_ref,
                "method": content.method or transaction.method,
                "raw_status": content.raw_status or transaction.raw_status,
            }
        )
        captured_at = clock.naive(content.captured_at)
        transaction._log(command, "execution", "captured", captured_at)
        transaction._log(command, "accounting", "posted", captured_at)
        transaction._log(command, "reconciliation", "tentative", captured_at)
        transaction._follow_authorisation(command, captured_at)
        return transaction

    # === WHAT IS LEFT === #

    def _report_difference(self, command, content, invoices, payment):
        """Tell of what was paid too much or too little."""
        own = payment.move_id.line_ids.filtered(
            lambda line: line.account_id == payment.destination_account_id
        )
        surplus = -sum(own.mapped("amount_residual_currency"))
        if payment.currency_id.compare_amounts(surplus, 0.0) > 0:
            self._report_surplus(command, content, invoices[0], payment, surplus)
        for invoice in invoices:
            missing = invoice.amount_residual
            if invoice.currency_id.is_zero(missing):
                for code in ("B-SHORTPAY", "B-RETURNED"):
                    invoice_exceptions = self._open_exceptions(code, invoice)
                    invoice_exceptions._resolve(
                        self.env._("Paid by %s", content.provider_ref)
                    )
            elif not self._pays_installments(invoice):
                self._report_shortage(command, content, invoice, missing)

    def _open_exceptions(self, code, invoice):
        return self.env["finance.transaction"]._open_exceptions(code, invoice)

    def _pays_installments(self, invoice):
        """Return whether what is paid of an invoice is whole installments of it."""
        lines = self.env["finance.booking"]._receivable(invoice)
        return len(lines) > 1 and all(
            line.reconciled
            or not line.currency_id.compare_amounts(
                line.amount_residual_currency, line.amount_currency
            )
            for line in lines
        )

    def _report_shortage(self, command, content, invoice, missing):
        self.env["finance.exception"]._open(
            "B-SHORTPAY",
            company=command.company_id,
            record=invoice,
            connector=command.connector_id,
            fingerprint=f"move:{invoice.id}",
            summary=self.env._(
                "%(amount)s of %(invoice)s are still open",
                invoice=invoice.name,
                amount=invoice.currency_id.format(missing),
            ),
            cause=self.env._(
                "The payment %(reference)s is booked and pays %(invoice)s in part.",
                reference=content.provider_ref,
                invoice=invoice.name,
            ),
            correlation_id=command.correlation_id,
            amount=missing,
            currency=invoice.currency_id,
        )

    def _report_surplus(self, command, content, invoice, payment, surplus):
        self.env["finance.exception"]._open(
            "B-OVERPAY",
            company=command.company_id,
            record=invoice,
            connector=command.connector_id,
            fingerprint=f"payment:{command.connector_id.id}:{content.provider_ref}",
            summary=self.env._(
                "%(invoice)s was overpaid by %(amount)s",
                invoice=invoice.name,
                amount=payment.currency_id.format(surplus),
            ),
            cause=self.env._(
                "The payment %(reference)s is booked in full. The surplus is open on "
                "the customer's account.",
                reference=content.provider_ref,
            ),
            correlation_id=command.correlation_id,
            amount=surplus,
            currency=payment.currency_id,
        )

    def _release_holds(self, command, invoices):
        """Let go what was held because the payment had failed."""
        if "finance.hold" not in self.env:
            return
        for invoice in invoices:
            for kind in ("revenue", "order"):
                self.env["finance.hold"]._release(
                    invoice, kind, self.env._("Paid"), command=command
                )
