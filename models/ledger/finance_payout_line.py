from odoo import api, fields, models

from .. import clock
from .errors import CommandError

KINDS = [
    ("payment", "Payment"),
    ("refund", "Refund"),
    ("refund_reversal", "Refund Reversal"),
    ("chargeback", "Chargeback"),
    ("chargeback_reversal", "Chargeback Reversal"),
    ("fee", "Fee"),
    ("adjustment", "Adjustment"),
    ("reserve", "Reserve"),
]
# Lines about a payment, and the kind of transaction behind each.
FOLLOWED = {
    "payment": "payment",
    "refund": "refund",
    "refund_reversal": "refund",
    "chargeback": "dispute",
    "chargeback_reversal": "dispute",
}
# Lines that report by themselves that money went back to a payer.
REPORTING = ("refund", "chargeback")


class FinancePayoutLine(models.Model):
    """What a provider accounted for: one line of a settlement.

    A line comes with the report of a payout, or before it by a command
    ``payment.settled``. Both may tell of the same; then it is one line, whichever
    comes first, and its fee is booked once.
    """

    _name = "finance.payout.line"
    _description = "Finance Payout Line"
    _order = "payout_id, id"
    _rec_name = "provider_ref"

    payout_id = fields.Many2one(
        "finance.payout", readonly=True, index="btree_not_null", ondelete="restrict"
    )
    connector_id = fields.Many2one(
        "finance.connector", required=True, readonly=True, ondelete="restrict"
    )
    company_id = fields.Many2one(
        related="connector_id.company_id", store=True, index=True
    )
    kind = fields.Selection(KINDS, required=True, readonly=True)
    settlement_ref = fields.Char(string="Line Reference", readonly=True)
    provider_ref = fields.Char(string="Provider Reference", readonly=True)
    parent_ref = fields.Char(readonly=True)
    document_ref = fields.Char(readonly=True)
    description = fields.Char(readonly=True)
    occurred_at = fields.Datetime(readonly=True)
    value_date = fields.Date(readonly=True)
    currency_id = fields.Many2one("res.currency", required=True, readonly=True)
    gross = fields.Monetary(readonly=True)
    fee = fields.Monetary(readonly=True)
    net = fields.Monetary(readonly=True)
    transaction_id = fields.Many2one(
        "finance.transaction", readonly=True, index="btree_not_null"
    )
    returned_payout_id = fields.Many2one(
        "finance.payout", readonly=True, help="The failed payout that came back."
    )
    settled_command_id = fields.Many2one(
        "finance.command", string="Settled By", readonly=True
    )
    fee_move_id = fields.Many2one(
        "account.move", string="Fee Entry", readonly=True, index="btree_not_null"
    )
    open_line_id = fields.Many2one(
        "account.move.line", readonly=True, index="btree_not_null"
    )
    accepted = fields.Boolean(
        readonly=True,
        help="A person decided to book the line though its payment is not known.",
    )
    state = fields.Selection(
        [
            ("unknown", "Payment Unknown"),
            ("differs", "Amount Differs"),
            ("matched", "Matched"),
        ],
        required=True,
        default="unknown",
        readonly=True,
    )

    _unknown_idx = models.Index("(provider_ref) WHERE state = 'unknown'")
    _unknown_parent_idx = models.Index("(parent_ref) WHERE state = 'unknown'")
    _unknown_line_idx = models.Index("(settlement_ref) WHERE state = 'unknown'")
    _settlement_idx = models.UniqueIndex(
        "(transaction_id, settlement_ref, kind)"
        " WHERE payout_id IS NULL AND settlement_ref IS NOT NULL"
    )

    # === MATCHING === #

    def _match(self):
        """Find the transactions of lines whose payment is not known yet."""
        lines = self.filtered(
            lambda line: line.state == "unknown" and not line.accepted
        )
        loose = lines.filtered(lambda line: line.kind not in FOLLOWED)
        loose._match_returned()
        loose.state = "matched"
        lines -= loose
        if not lines:
            return
        connector = lines.connector_id[:1]
        transactions = self.env["finance.transaction"]
        refs = {
            ref
            for name in ("settlement_ref", "provider_ref", "parent_ref")
            for ref in lines.mapped(name)
        }
        payments = transactions._captured(connector, refs)
        children = transactions.search(
            [
                ("connector_id", "in", connector._payment_family().ids),
                ("kind", "!=", "payment"),
                "|",
                ("provider_ref", "in", list(refs - {False})),
                ("parent_id", "in", [t.id for t in set(payments.values())]),
            ]
        )
        by_ref = {(child.kind, child.provider_ref): child for child in children}
        matched, reported = {}, transactions
        for line in lines:
            kind = FOLLOWED[line.kind]
            payment = payments.get(line.provider_ref) or payments.get(line.parent_ref)
            if kind == "payment":
                # The capture itself, before the order or authorisation behind it.
                found = payments.get(line.settlement_ref) or payment
            else:
                found = by_ref.get((kind, line.provider_ref)) or line._match_child(
                    kind, payment, children
                )
                if not found and payment and payment.accounting == "reversed":
                    # Some providers call what came back a chargeback.
                    found = payment
                if not found and payment:
                    # Not while these very lines are being matched.
                    found = line._report(
                        kind, payment.with_context(finance_matching=True)
                    )
                    children |= found
                    reported |= found.with_env(self.env)
            if found:
                matched.setdefault(found, self.browse())
                matched[found] |= line
        for transaction, found in matched.items():
            found.write({"transaction_id": transaction.id, "state": "matched"})
        self._merge(matched)
        reported._tell_waiting()

    def _match_returned(self):
        """Find the failed payouts that come back in adjustments."""
        for line in self.filtered(lambda line: line.kind == "adjustment"):
            ref = line.provider_ref or line.parent_ref
            payout = ref and self.env["finance.payout"]._known(line.connector_id, ref)
            if payout and payout.failed_at and payout != line.payout_id:
                line.returned_payout_id = payout

    def _match_child(self, kind, payment, children):
        """Return the only refund or dispute of a payment that a line can mean."""
        amount = abs(self.gross)
        found = children.filtered(
            lambda child: (
                child.kind == kind
                and child.parent_id == payment
                and not child.currency_id.compare_amounts(child.amount, amount)
                and not any(
                    other.kind == self.kind and other.payout_id
                    for other in child.payout_line_ids
                )
            )
        )
        return found if payment and len(found) == 1 else found.browse()

    def _report(self, kind, payment):
        """Book a refund or chargeback that is known from the report alone.

        :return: its transaction, empty when the line does not report one
        """
        transactions = self.env["finance.transaction"]
        if self.kind not in REPORTING:
            return transactions
        own = self.provider_ref not in (
            False,
            payment.provider_ref,
            payment.parent_ref,
        )
        moment = self.occurred_at or self.payout_id.released_at
        return payment._report_child(
            kind,
            self.provider_ref if own else f"{self.payout_id.payout_ref}/{self.id}",
            -self.gross,
            self.currency_id,
            moment,
            reason=self.description,
            reported=not own,
        )

    @api.model
    def _merge(self, matched):
        """Make one line of two that tell of the same settlement.

        :param dict matched: {transaction: lines of a report just matched with it}
        """
        for transaction, lines in matched.items():
            alone = transaction.payout_line_ids.filtered(
                lambda line: not line.payout_id
            )
            for line in lines:
                twin = alone._twin(line.settlement_ref, line.gross, line.fee)
                if not twin:
                    continue
                alone -= twin
                if not line._agrees(twin.gross, twin.fee):
                    line.state = "differs"
                    continue
                line.write(
                    {
                        "settled_command_id": twin.settled_command_id.id,
                        "fee_move_id": twin.fee_move_id.id,
                    }
                )
                twin.unlink()

    def _twin(self, settlement_ref, gross, fee):
        """Return the line among ``self`` that tells of the same settlement, if any.

        One with the same reference, else one with the same amounts: a provider's
        events and its reports may name one settlement differently.
        """
        if settlement_ref:
            named = self.filtered(lambda line: line.settlement_ref == settlement_ref)
            if named:
                return named[:1]
        return self.filtered(lambda line: line._agrees(gross, fee))[:1]

    def _agrees(self, gross, fee):
        """Return whether the line has these amounts."""
        return not self.currency_id.compare_amounts(
            self.gross, gross
        ) and not self.currency_id.compare_amounts(self.fee, fee)

    # === SETTLED === #

    @api.model
    def _settle(self, command, content, transaction, currency):
        """Book the fee of a settled payment once, see payment.settled.

        :return: the line
        """
        gross, fee = float(content.gross), float(content.fee)
        candidates = transaction.payout_line_ids.filtered(
            lambda line: not line.settled_command_id
        )
        line = candidates._twin(content.settlement_ref, gross, fee)
        if line and not line._agrees(gross, fee):
            raise CommandError(
                "C-AMOUNT-INTEGRITY",
                self.env._(
                    "%(reference)s was settled before with a fee of %(fee)s. Ask the "
                    "sender which one is right; nothing was booked for this one.",
                    reference=content.provider_ref,
                    fee=line.currency_id.format(line.fee),
                ),
            )
        if line:
            line.settled_command_id = command
        else:
            line = self.create(
                {
                    "connector_id": transaction.connector_id.id,
                    "kind": self._kind_of(transaction, gross),
                    "settlement_ref": content.settlement_ref,
                    "provider_ref": content.provider_ref,
                    "occurred_at": clock.naive(content.settled_at),
                    "value_date": content.value_date,
                    "currency_id": currency.id,
                    "gross": gross,
                    "fee": fee,
                    "net": float(content.net),
                    "transaction_id": transaction.id,
                    "settled_command_id": command.id,
                    "state": "matched",
                }
            )
        if not line.fee_move_id and not currency.is_zero(line.fee):
            line.fee_move_id = line._book_fee(content.value_date)
        return line

    @api.model
    def _kind_of(self, transaction, gross):
        if transaction.kind == "refund":
            return "refund" if gross < 0 else "refund_reversal"
        if transaction.kind == "dispute":
            return "chargeback" if gross < 0 else "chargeback_reversal"
        return "payment"

    def _book_fee(self, date):
        """Book what the provider keeps of a payment: Dr fees, Cr clearing."""
        self.ensure_one()
        transaction = self.transaction_id
        connector = transaction.connector_id
        booking = self.env["finance.booking"]
        company = connector.company_id
        name = self.env._("Fee of %s", transaction.provider_ref)
        lines = [
            booking._line(name, account, amount, self.currency_id, company, date)
            for account, amount in (
                (connector._booking_account("fee_account_id"), self.fee),
                (booking._clearing(connector), -self.fee),
            )
        ]
        return booking._entry(
            connector.payment_journal_id,
            date,
            name,
            lines,
            finance_transaction_id=transaction.id,
            finance_correlation_id=transaction.correlation_id,
        )
