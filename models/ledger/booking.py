from odoo import api, models

from ..consent import covered
from .errors import CommandError


class FinanceBooking(models.AbstractModel):
    """The entries that payments make, right by Odoo's own rules.

    Captured money stands on the outstanding account of the payment journal, called
    the clearing account here, until the provider pays it out: captures in debit;
    fees, refunds, returns and disputes in credit; the payout takes it all away.
    """

    _name = "finance.booking"
    _description = "Finance Booking"

    # === WHAT IS NEEDED === #

    @api.model
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

    @api.model
    def _method_line(self, connector):
        """Return the incoming payment method whose account is the clearing account."""
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
        if not line.payment_account_id.reconcile:
            raise CommandError(
                "D-UNMAPPED",
                self.env._(
                    "The outstanding receipts account “%(account)s” of the journal "
                    "“%(journal)s” does not allow reconciliation. Allow it on the "
                    "account, then retry.",
                    account=line.payment_account_id.display_name,
                    journal=journal.name,
                ),
            )
        return line

    @api.model
    def _clearing(self, connector):
        return self._method_line(connector).payment_account_id

    @api.model
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

    # === ENTRIES === #

    @api.model
    def _line(self, name, account, amount, currency, company, date, partner=None):
        """Return the values of one line of an entry.

        :param float amount: in ``currency``; debit is positive
        """
        return {
            "name": name,
            "account_id": account.id,
            "partner_id": partner.id if partner else False,
            "currency_id": currency.id,
            "amount_currency": currency.round(amount),
            "balance": currency._convert(amount, company.currency_id, company, date),
        }

    @api.model
    def _entry(self, journal, date, ref, lines, post=True, **values):
        """Make a journal entry of ``lines``, posted or as a proposal."""
        if post:
            self._check_period(journal.company_id, date, journal)
        move = self.env["account.move"].create(
            {
                "move_type": "entry",
                "journal_id": journal.id,
                "date": date,
                "ref": ref,
                "line_ids": [(0, 0, line) for line in lines],
                **values,
            }
        )
        if post:
            # What a provider reports has happened: nobody is asked.
            with covered():
                move._post(soft=False)
        return move

    @api.model
    def _entry_of(self, transaction, date, name, debit, credit, amount, **values):
        """Move an amount from one account to another for a transaction.

        :param debit: account, or (account, partner)
        :param credit: the same
        """
        journal = transaction.connector_id.payment_journal_id
        company, currency = transaction.company_id, transaction.currency_id
        lines = []
        for side, sign in ((debit, 1), (credit, -1)):
            account, partner = side if isinstance(side, tuple) else (side, None)
            lines.append(
                self._line(
                    name, account, sign * amount, currency, company, date, partner
                )
            )
        return self._entry(
            journal,
            date,
            name,
            lines,
            finance_transaction_id=transaction.id,
            finance_correlation_id=transaction.correlation_id,
            **values,
        )

    @api.model
    def _reconcile(self, *lines):
        """Match open lines of one account; nothing happens without two sides."""
        found = self.env["account.move.line"].union(*lines)
        found = found.filtered(lambda line: not line.reconciled)
        if any(line.balance > 0 for line in found) and any(
            line.balance < 0 for line in found
        ):
            found.reconcile()

    @api.model
    def _receivable(self, moves):
        return moves.line_ids.filtered(
            lambda line: line.account_type in ("asset_receivable", "liability_payable")
        )

    # === CAPTURE === #

    @api.model
    def _registered(self, command, content, currency):
        """Return the payment that a person registered for a capture by hand, if any.

        It quotes the provider's reference and no other transaction has it.

        :raise CommandError: B-AMBIGUOUS when it says something else
        """
        reference = content.provider_ref
        payments = self.env["account.payment"].search(
            [
                ("company_id", "=", command.company_id.id),
                ("payment_type", "=", "inbound"),
                ("state", "in", ("draft", "in_process", "paid")),
                "|",
                "|",
                ("finance_provider_ref", "=", reference),
                ("payment_reference", "=", reference),
                ("memo", "=", reference),
            ]
        )
        if not payments:
            return payments
        followed = self.env["finance.transaction"].search(
            [("payment_id", "in", payments.ids)]
        )
        payments -= followed.payment_id
        fitting = payments.filtered(
            lambda payment: (
                payment.currency_id == currency
                and not currency.compare_amounts(payment.amount, float(content.amount))
            )
        )
        if len(fitting) == 1:
            return fitting
        if payments:
            raise CommandError(
                "B-AMBIGUOUS",
                self.env._(
                    "Payments registered by hand quote %(reference)s, but not one of "
                    "them alone with this amount: %(names)s. Correct or cancel them, "
                    "then retry.",
                    reference=reference,
                    names=", ".join(payments.mapped("display_name")),
                ),
            )
        return payments

    @api.model
    def _capture_values(
        self, content, invoices, currency, method_line, lines, writeoff
    ):
        """Return the values of the payment of a capture.

        :param lines: the open receivable lines that it pays
        :param writeoff: (what is missing and written off, account)
        """
        date = content.captured_at.date()
        partner = invoices.commercial_partner_id
        journal = method_line.journal_id
        values = {
            "payment_type": "inbound",
            "partner_type": "customer",
            "partner_id": partner.id,
            "amount": float(content.amount),
            "currency_id": currency.id,
            "date": date,
            "journal_id": journal.id,
            "payment_method_line_id": method_line.id,
            "memo": ", ".join(invoices.mapped("name")),
            "payment_reference": content.provider_ref,
            "finance_provider_ref": content.provider_ref,
            "invoice_ids": [(6, 0, invoices.ids)],
        }
        if lines:
            values["destination_account_id"] = lines[0].account_id.id
        missing, account = writeoff
        if missing:
            values["write_off_line_vals"] = [
                self._line(
                    self.env._("Difference of %s", ", ".join(invoices.mapped("name"))),
                    account,
                    missing,
                    currency,
                    journal.company_id,
                    date,
                    partner,
                )
            ]
        return values

    @api.model
    def _writeoff(self, connector, amount, invoices, currency):
        """Return what is missing to pay invoices and small enough to write off.

        :return: (difference in ``currency``, account); (0.0, None) otherwise
        """
        if any(invoice.currency_id != currency for invoice in invoices):
            return 0.0, None
        missing = sum(invoices.mapped("amount_residual")) - amount
        if currency.compare_amounts(missing, 0.0) <= 0:
            return 0.0, None
        holder = next(
            (c for c in connector._payment_family() if c.writeoff_account_id), None
        )
        if not holder:
            return 0.0, None
        limit = holder._writeoff_limit(sum(invoices.mapped("amount_total")), currency)
        if currency.compare_amounts(missing, limit) > 0:
            return 0.0, None
        return currency.round(missing), holder.writeoff_account_id

    # === BACK === #

    @api.model
    def _reverse_payment(self, transaction, date, reason, amount=None):
        """Take a booked payment back: its document is open again.

        The payment itself stays, as it happened; a reversing entry follows it, dated
        when the money went back. On the clearing account both stay open until the
        provider's payout takes them away.

        :param amount: in the transaction's currency; all of it by default
        :return: the reversing entry
        """
        payment = transaction.payment_id
        inbound = payment.payment_type == "inbound"
        lines = self._receivable(payment.move_id)
        amount = payment.amount if amount is None else amount
        whole = not payment.currency_id.compare_amounts(amount, payment.amount)
        # Part of a payment opens its documents for that part only.
        documents = payment.reconciled_invoice_ids
        lines.remove_move_reconcile()
        account = (lines.account_id or payment.destination_account_id)[:1]
        clearing = payment.outstanding_account_id
        holder = (account, payment.partner_id)
        name = self.env._(
            "%(payment)s taken back: %(reason)s", payment=payment.name, reason=reason
        )
        if whole:
            move = self._reversal(transaction, date, name)
        else:
            move = self._entry_of(
                transaction,
                date,
                name,
                holder if inbound else clearing,
                clearing if inbound else holder,
                amount,
                finance_role="return",
            )
        self._reconcile(lines, self._receivable(move))
        rest = lines.filtered(lambda line: not line.reconciled)
        if rest:
            self._reconcile(rest, self._receivable(documents))
        return move

    @api.model
    def _reversal(self, transaction, date, name):
        """Reverse the entry of a payment with all its lines, write-offs included."""
        move = transaction.payment_id.move_id
        self._check_period(move.company_id, date, move.journal_id)
        reversal = move._reverse_moves(
            [
                {
                    "date": date,
                    "ref": name,
                    "finance_transaction_id": transaction.id,
                    "finance_correlation_id": transaction.correlation_id,
                    "finance_role": "return",
                }
            ]
        )
        with covered():
            reversal._post(soft=False)
        # Odoo matches all of it with the original; but both are in the provider's
        # report, which takes them off the clearing account.
        clearing = transaction.payment_id.outstanding_account_id
        reversal.line_ids.filtered(
            lambda line: line.account_id == clearing
        ).remove_move_reconcile()
        return reversal

    # === REFUND === #

    @api.model
    def _book_refund(self, refund, date, reason):
        """Book what went back to the payer, on the account where it came from.

        :param refund: the ``finance.transaction`` of the refund
        :return: the payment
        """
        capture = refund.parent_id.payment_id
        journal = capture.journal_id
        self._check_period(refund.company_id, date, journal)
        method_line = journal.outbound_payment_method_line_ids[:1]
        if not method_line:
            raise CommandError(
                "D-UNMAPPED",
                self.env._(
                    "The journal “%s” has no outgoing payment method. Add one, then "
                    "retry.",
                    journal.name,
                ),
            )
        payment = self.env["account.payment"].create(
            {
                "payment_type": "outbound",
                "partner_type": "customer",
                "partner_id": capture.partner_id.id,
                "amount": refund.amount,
                "currency_id": refund.currency_id.id,
                "date": date,
                "journal_id": journal.id,
                "payment_method_line_id": method_line.id,
                "destination_account_id": capture.destination_account_id.id,
                "memo": self.env._("Refund of %s", refund.parent_id.move_id.name)
                if refund.parent_id.move_id
                else reason or refund.provider_ref,
                "payment_reference": refund.provider_ref,
                "finance_provider_ref": refund.provider_ref,
                "finance_source_payment_id": capture.id,
            }
        )
        # Computed from the method, unless it is written afterwards.
        payment.outstanding_account_id = capture.outstanding_account_id
        with covered():
            payment.action_post()
        return payment

    @api.model
    def _match_refund(self, refund, reference=None):
        """Match a refund with its credit note, or with what was paid too much.

        :return: whether there is something it pays
        """
        lines = self._receivable(refund.payment_id.move_id)
        matching = self.env["finance.matching"]
        note = matching._credit_note(
            refund, reference, refund.amount, refund.currency_id
        )
        if note:
            refund.credit_note_id = note
            self._reconcile(lines, self._receivable(note))
            return True
        capture = self._receivable(refund.parent_id.payment_id.move_id)
        surplus = -sum(capture.mapped("amount_residual_currency"))
        if refund.currency_id.compare_amounts(surplus, refund.amount) >= 0:
            self._reconcile(lines, capture)
            return True
        return False

    @api.model
    def _match_posted_credit_notes(self, notes):
        """Match credit notes that are posted with refunds that wait for one."""
        transactions = self.env["finance.transaction"]
        invoices = notes.reversed_entry_id
        waiting = transactions.search(
            [
                ("kind", "=", "refund"),
                ("payment_id", "!=", False),
                ("refund", "in", ("partial", "full")),
                "|",
                ("credit_note_id", "in", notes.ids),
                ("parent_id.move_id", "in", invoices.ids),
            ]
        )
        for refund in waiting:
            proposed = refund.credit_note_id
            if proposed.state == "posted" and proposed not in notes:
                continue
            lines = self._receivable(refund.payment_id.move_id)
            if all(lines.mapped("reconciled")):
                continue
            if proposed in notes:
                self._reconcile(lines, self._receivable(proposed))
            elif self._match_refund(refund):
                refund._withdraw(proposed)

    # === DISPUTE === #

    @api.model
    def _book_dispute(self, dispute, date, back=False):
        """Move the contested amount to the dispute account, or back from there."""
        account = dispute.connector_id._booking_account("dispute_account_id")
        clearing = dispute.parent_id.payment_id.outstanding_account_id
        partner = dispute.parent_id.payment_id.partner_id
        held = (account, partner)
        if back:
            name = self.env._("Dispute %s won", dispute.provider_ref)
            debit, credit = clearing, held
        else:
            name = self.env._("Dispute %s", dispute.provider_ref)
            debit, credit = held, clearing
        move = self._entry_of(
            dispute,
            date,
            name,
            debit,
            credit,
            dispute.amount,
            finance_role="dispute_back" if back else "dispute",
        )
        if account.reconcile:
            lines = dispute.entry_ids.line_ids.filtered(
                lambda line: (
                    line.account_id == account and line.parent_state == "posted"
                )
            )
            self._reconcile(lines)
        return move

    @api.model
    def _propose_loss(self, dispute, date):
        """Draft what a lost dispute costs; a person decides whether it is so."""
        connector = dispute.connector_id
        account = connector._booking_account("dispute_account_id")
        payment = dispute.parent_id.payment_id
        loss = connector.dispute_loss_account_id
        cost = loss or (payment.destination_account_id, payment.partner_id)
        name = self.env._("Dispute %s lost", dispute.provider_ref)
        return self._entry_of(
            dispute,
            date,
            name,
            cost,
            (account, payment.partner_id),
            dispute.amount,
            post=False,
            finance_role="loss",
        )
