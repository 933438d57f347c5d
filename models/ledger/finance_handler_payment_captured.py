from odoo import models
from odoo.fields import Domain

from .. import clock
from .errors import CommandError


class FinanceHandlerPaymentCaptured(models.AbstractModel):
    """``payment.captured``: a payment is registered and matched to its invoice.

    The payment is booked on the outstanding account of the connector's journal,
    where the provider's payout is expected, and reconciled with the invoice. What is
    paid too much stays open on the customer's account and is reported.
    """

    _name = "finance.handler.payment.captured"
    _description = "Handler of Payment Captured"
    _inherit = "finance.handler"

    def _identity_fields(self):
        return ("amount", "currency")

    def _handle(self, command, content):
        """See finance.handler; ``content`` is contracts.PaymentCaptured.

        :raise CommandError: B-UNMATCHED, B-AMBIGUOUS, D-UNMAPPED, B-PERIOD-LOCKED
        """
        currency = self._currency(content.currency)
        method_line = self._method_line(command.connector_id)
        invoice = self._find_invoice(command, content)
        date = content.captured_at.date()
        self._check_period(command.company_id, date, method_line.journal_id)

        # From here on, everything belongs to the invoice's case.
        correlation_id = invoice._finance_correlation()
        command._join_case(correlation_id)
        handler = self.with_context(finance_correlation_id=correlation_id)
        residual = invoice.amount_residual

        payment = handler._book_payment(
            command, content, invoice, currency, method_line
        )
        transaction = handler.env["finance.transaction"]._for(
            command, content.provider_ref, float(content.amount), currency
        )
        transaction.write(
            {
                "payment_id": payment.id,
                "move_id": invoice.id,
                "correlation_id": correlation_id,
            }
        )
        captured_at = clock.naive(content.captured_at)
        transaction._log(command, "execution", "captured", captured_at)
        transaction._log(command, "accounting", "posted", clock.naive_now())
        command.write(
            {
                "transaction_id": transaction.id,
                "res_model": payment._name,
                "res_id": payment.id,
            }
        )
        if currency == invoice.currency_id:
            surplus = float(content.amount) - residual
            if currency.compare_amounts(surplus, 0.0) > 0:
                self._report_surplus(command, content, invoice, surplus)

    # === WHAT IS NEEDED === #

    def _currency(self, code):
        currency = self.env["res.currency"].search([("name", "=", code)])
        if not currency:
            raise CommandError(
                "D-UNMAPPED",
                self.env._(
                    "The currency %s is not active in Odoo. Activate it, then retry.",
                    code,
                ),
            )
        return currency

    def _method_line(self, connector):
        journal = connector.payment_journal_id
        if not journal:
            raise CommandError(
                "D-UNMAPPED",
                self.env._(
                    "“%s” has no payment journal. Choose one on the connector, then "
                    "retry.",
                    connector.name,
                ),
            )
        lines = journal.inbound_payment_method_line_ids
        line = lines.filtered("payment_account_id")[:1]
        if not line:
            raise CommandError(
                "D-UNMAPPED",
                self.env._(
                    "The journal “%s” has no outstanding receipts account. Set one "
                    "on its incoming payments, then retry.",
                    journal.name,
                ),
            )
        return line

    def _find_invoice(self, command, content):
        """Return the one posted customer invoice that the payment is for."""
        if content.document_ref:
            found = self._invoices_by_reference(command, content.document_ref)
        else:
            found = (
                self.env["finance.transaction"]
                .search(
                    [
                        ("connector_id", "=", command.connector_id.id),
                        ("provider_ref", "=", content.parent_ref),
                    ]
                )
                .move_id
            )
        reference = content.document_ref or content.parent_ref
        if not found:
            raise CommandError(
                "B-UNMATCHED",
                self.env._(
                    "No posted customer invoice has the number or payment reference "
                    "“%s”. Correct the reference and resubmit.",
                    reference,
                ),
            )
        if len(found) > 1:
            raise CommandError(
                "B-AMBIGUOUS",
                self.env._(
                    "“%(reference)s” fits several invoices: %(numbers)s. Correct the "
                    "reference to the number of the right one and resubmit.",
                    reference=reference,
                    numbers=", ".join(found.mapped("name")),
                ),
            )
        return found

    def _invoices_by_reference(self, command, reference):
        """Return the invoices of a reference; a number outranks a payment reference."""
        posted = Domain(
            [
                ("company_id", "=", command.company_id.id),
                ("move_type", "in", ("out_invoice", "out_receipt")),
                ("state", "=", "posted"),
            ]
        )
        moves = self.env["account.move"]
        return moves.search(posted & Domain("name", "=", reference), limit=5) or (
            moves.search(posted & Domain("payment_reference", "=", reference), limit=5)
        )

    def _check_period(self, company, date, journal):
        """Refuse a date in a locked period: it is never moved silently."""
        locks = company._get_violated_lock_dates(date, False, journal)
        if locks:
            raise CommandError(
                "B-PERIOD-LOCKED",
                self.env._(
                    "The payment is dated %(date)s, but the books are locked until "
                    "%(lock)s.",
                    date=date.isoformat(),
                    lock=locks[-1][0].isoformat(),
                ),
            )

    # === WHAT IS DONE === #

    def _book_payment(self, command, content, invoice, currency, method_line):
        payment = self.env["account.payment"].create(
            {
                "payment_type": "inbound",
                "partner_type": "customer",
                "partner_id": invoice.commercial_partner_id.id,
                "amount": float(content.amount),
                "currency_id": currency.id,
                "date": content.captured_at.date(),
                "journal_id": method_line.journal_id.id,
                "payment_method_line_id": method_line.id,
                "memo": invoice.name,
                "payment_reference": content.provider_ref,
                "finance_provider_ref": content.provider_ref,
                "invoice_ids": [(6, 0, invoice.ids)],
            }
        )
        payment.action_post()
        open_lines = (payment.move_id.line_ids | invoice.line_ids).filtered(
            lambda line: (
                line.account_id == payment.destination_account_id
                and not line.reconciled
            )
        )
        if open_lines.move_id == payment.move_id | invoice:
            open_lines.reconcile()
        payment.message_post(
            body=self.env._(
                "Registered by the connector “%(connector)s” from message %(message)s.",
                connector=command.connector_id.name,
                message=command.message_id.external_id,
            )
        )
        return payment

    def _report_surplus(self, command, content, invoice, surplus):
        self.env["finance.exception"]._open(
            "B-OVERPAY",
            company=command.company_id,
            record=invoice,
            connector=command.connector_id,
            fingerprint=f"payment:{command.connector_id.id}:{content.provider_ref}",
            summary=self.env._(
                "%(invoice)s was overpaid by %(amount)s",
                invoice=invoice.name,
                amount=invoice.currency_id.format(surplus),
            ),
            cause=self.env._(
                "The payment %(reference)s is booked in full. The surplus is open on "
                "the customer's account.",
                reference=content.provider_ref,
            ),
            correlation_id=command.correlation_id,
            amount=surplus,
            currency=invoice.currency_id,
        )
