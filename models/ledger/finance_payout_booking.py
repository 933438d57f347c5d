from odoo import models

# Lines behind which something stands open on the clearing account.
ON_CLEARING = ("payment", "refund", "refund_reversal", "chargeback")
ON_CLEARING += ("chargeback_reversal",)


class FinancePayout(models.Model):
    """The entry of a payout.

    It takes the items off the clearing account and leaves the paid amount there, as
    one open item that waits for the bank line. Fees that no ``payment.settled`` has
    booked go to the fee account in one line, however many items there are.
    """

    _inherit = "finance.payout"

    def _draft(self):
        """Return the entry of the payout as it would be; nothing is changed.

        :raise CommandError: D-UNMAPPED
        """
        self.ensure_one()
        clearing = self.env["finance.booking"]._clearing(self.connector_id)
        followed = self.line_ids.filtered("transaction_id")
        items = self._open_items(followed, clearing)
        draft = Draft(self, clearing)
        for line in followed:
            self._add_item(draft, line, items)
        if not draft.missing:
            self._add_missing(draft)
            self._add_fees(draft)
            self._add_rest(draft)
        return draft

    def _book(self, draft):
        """Book the payout, which is known to add up, and match its items.

        :raise CommandError: B-PERIOD-LOCKED
        """
        self.ensure_one()
        # Thousands of payments get paid here; that is in their history of events, and
        # a note in the chatter of each would take longer than all the rest.
        quiet = self.with_context(tracking_disable=True)
        booking = quiet.env["finance.booking"]
        rows = draft.rows()
        if rows:
            self.move_id = booking._entry(
                self.journal_id,
                self.value_date or self.released_at.date(),
                self.env._("Payout %s", self.payout_ref),
                [row.values for row in rows],
                finance_payout_id=self.id,
                finance_correlation_id=self.correlation_id,
            )
            made = self.move_id.line_ids.sorted("id")
            for line, row in zip(made, rows, strict=True):
                if row.keep:
                    record, field = row.keep
                    record[field] = line
                if row.match:
                    booking._reconcile(line, row.match)
        booking._reconcile(draft.cancelled())
        quiet.env.flush_all()
        self.is_booked = True
        self._match_carried()
        followed = self.line_ids.filtered("transaction_id")
        followed.filtered(
            lambda line: not line.fee_move_id and line.fee
        ).fee_move_id = self.move_id
        self._settle_transactions(followed)

    def _settle_transactions(self, lines):
        """Log that the provider accounted for the transactions of lines."""
        self.env["finance.transition"].create(
            [
                {
                    "transaction_id": transaction.id,
                    "axis": "settlement",
                    "status": "settled",
                    "occurred_at": self.released_at,
                }
                for transaction in lines.transaction_id
            ]
        )

    # === ITEMS === #

    def _open_items(self, lines, clearing):
        """Return {transaction id: open lines on the clearing account}."""
        transactions = lines.transaction_id
        payments = transactions.payment_id
        found = self.env["account.move.line"].search(
            [
                ("account_id", "=", clearing.id),
                ("parent_state", "=", "posted"),
                ("reconciled", "=", False),
                "|",
                ("move_id.origin_payment_id", "in", payments.ids),
                ("move_id.finance_transaction_id", "in", transactions.ids),
            ],
            order="date, id",
        )
        by_payment = {t.payment_id.id: t.id for t in transactions if t.payment_id}
        items = {}
        for line in found:
            move = line.move_id
            owner = by_payment.get(move.origin_payment_id.id) or (
                move.finance_transaction_id.id
            )
            items.setdefault(owner, []).append(line)
        return items

    def _add_item(self, draft, line, items):
        """Take one line of the report off the clearing account.

        Its fee is either booked by an entry of its own, which then stands open beside
        the item, or becomes part of the payout's entry.
        """
        own = items.get(line.transaction_id.id, [])
        fee_move = line.fee_move_id
        if fee_move:
            for item in [item for item in own if item.move_id == fee_move]:
                own.remove(item)
                draft.take(item)
        else:
            draft.fee += line.fee
        fee_moves = line.transaction_id.payout_line_ids.fee_move_id
        sign = 1 if line.gross > 0 else -1
        wanted = abs(line.gross)
        for item in list(own):
            if not wanted or item.move_id in fee_moves or item.balance * sign <= 0:
                continue
            if item.currency_id != self.currency_id:
                draft.take_foreign(item, sign * wanted)
                own.remove(item)
                wanted = 0.0
                break
            rest = abs(item.amount_residual_currency)
            if self.currency_id.compare_amounts(rest, wanted) > 0:
                draft.take_part(item, sign * wanted)
                wanted = 0.0
                break
            own.remove(item)
            draft.take(item)
            wanted = self.currency_id.round(wanted - rest)
        if wanted:
            # So much does not stand open for it.
            if line.accepted:
                draft.strange.append((line, sign * wanted))
            else:
                draft.missing |= line

    def _add_missing(self, draft):
        """Book what a person accepted though the clearing account has it not."""
        for line, amount in draft.strange:
            draft.add(
                self.env._("Not on the books: %s", line.provider_ref),
                self.connector_id._booking_account("adjustment_account_id"),
                -amount,
            )

    def _add_fees(self, draft):
        for line in self.line_ids.filtered(lambda line: line.kind == "fee"):
            draft.fee -= line.net
        if not self.currency_id.is_zero(draft.fee):
            account = self.connector_id._booking_account("fee_account_id")
            draft.add(
                self.env._("Fees of payout %s", self.payout_ref), account, draft.fee
            )

    def _add_rest(self, draft):
        """Add adjustments, reserves, what is carried over, and the paid amount."""
        clearing = draft.clearing
        _ = self.env._
        for line in self.line_ids:
            if line.kind == "reserve":
                name = _("Reserve in payout %s", self.payout_ref)
                draft.add(name, clearing, -line.net, keep=(line, "open_line_id"))
            elif line.kind == "adjustment" and line.returned_payout_id.net_line_id:
                draft.take(line.returned_payout_id.net_line_id)
            elif line.kind == "adjustment" or (
                line.accepted and not line.transaction_id
            ):
                account = self.connector_id._booking_account("adjustment_account_id")
                name = line.description or _("Adjustment in %s", self.payout_ref)
                draft.add(name, account, -line.net)
        name = _("Balance carried over, payout %s", self.payout_ref)
        draft.add(name, clearing, -self.opening, keep=(self, "opening_line_id"))
        draft.add(name, clearing, self.closing, keep=(self, "closing_line_id"))
        if not self.currency_id.is_zero(self.difference):
            account = self.connector_id._booking_account("writeoff_account_id")
            name = _("Difference of payout %s", self.payout_ref)
            draft.add(name, account, -self.difference)
        name = _("Payout %s", self.payout_ref)
        draft.add(name, clearing, self.net, keep=(self, "net_line_id"))

    def _match_carried(self):
        """Match balances and reserves with those of the payouts before and after."""
        booking = self.env["finance.booking"]
        for opening, closing in (
            (self.opening_line_id, None),
            (None, self.closing_line_id),
        ):
            line = opening or closing
            if not line:
                continue
            amount = abs(line.amount_residual_currency)
            name, other = (
                ("closing", "closing_line_id")
                if opening
                else ("opening", "opening_line_id")
            )
            neighbours = self.search(
                [
                    ("journal_id", "=", self.journal_id.id),
                    ("currency_id", "=", self.currency_id.id),
                    ("id", "!=", self.id),
                    (f"{other}.reconciled", "=", False),
                ]
            ).filtered(
                lambda payout, name=name, amount=amount: (
                    not (payout.currency_id.compare_amounts(abs(payout[name]), amount))
                )
            )
            if len(neighbours) == 1:
                booking._reconcile(line, neighbours[other])
        if self.line_ids.open_line_id:
            reserves = self.env["finance.payout.line"].search(
                [
                    ("kind", "=", "reserve"),
                    ("payout_id.journal_id", "=", self.journal_id.id),
                    ("currency_id", "=", self.currency_id.id),
                    ("open_line_id.reconciled", "=", False),
                ]
            )
            booking._reconcile(reserves.open_line_id)


class Row:
    """A line of an entry to be.

    :ivar dict values: of the journal item
    :ivar match: journal items to match it with
    :ivar keep: (record, field) that remembers it
    """

    def __init__(self, values, match=None, keep=None):
        self.values = values
        self.match = match
        self.keep = keep


class Draft:
    """The lines of an entry while it is made up.

    Items in the payout's currency are taken together; what is taken in part, or is in
    another currency, has a line of its own, so that the right item is matched.

    :ivar float fee: what goes to the fee account
    :ivar missing: lines of the report for which nothing stands open
    :ivar strange: [(line, amount)] of such that a person accepted
    """

    def __init__(self, payout, clearing):
        self.payout = payout
        self.clearing = clearing
        self.fee = 0.0
        self.missing = payout.env["finance.payout.line"]
        self.strange = []
        self._whole = []
        self._rows = []
        self._foreign = False

    @property
    def _date(self):
        return self.payout.value_date or self.payout.released_at.date()

    def _values(self, name, account, amount):
        payout = self.payout
        return payout.env["finance.booking"]._line(
            name, account, amount, payout.currency_id, payout.company_id, self._date
        )

    def add(self, name, account, amount, match=None, keep=None):
        """Add a line; nothing is added for nothing."""
        if not self.payout.currency_id.is_zero(amount):
            self._rows.append(Row(self._values(name, account, amount), match, keep))

    def take(self, item):
        """Take an item away, as far as it is open."""
        self._whole.append(item)

    def take_part(self, item, amount):
        """Take a part of an item away."""
        name = self.payout.env._("Part paid out by %s", self.payout.payout_ref)
        self.add(name, self.clearing, -amount, match=item)

    def take_foreign(self, item, amount):
        """Take an item in another currency away; the provider changed the money.

        :param float amount: what it came to, in the payout's currency
        """
        payout = self.payout
        company = payout.company_id
        name = payout.env._("Changed by the provider, %s", payout.payout_ref)
        self._foreign = True
        self._rows.append(
            Row(
                {
                    "name": name,
                    "account_id": self.clearing.id,
                    "currency_id": item.currency_id.id,
                    "amount_currency": -item.amount_residual_currency,
                    "balance": -item.amount_residual,
                },
                item,
            )
        )
        worth = payout.currency_id._convert(
            amount, company.currency_id, company, self._date
        )
        gain = company.currency_id.round(worth - item.amount_residual)
        if company.currency_id.is_zero(gain):
            return
        account = (
            company.income_currency_exchange_account_id
            if gain > 0
            else company.expense_currency_exchange_account_id
        )
        self._rows.append(
            Row(
                {
                    "name": name,
                    "account_id": account.id,
                    "currency_id": company.currency_id.id,
                    "amount_currency": -gain,
                    "balance": -gain,
                }
            )
        )

    def _items(self):
        return self.payout.env["account.move.line"].union(*self._whole)

    def _total(self):
        total = sum(self._items().mapped("amount_residual_currency"))
        return 0.0 if self.payout.currency_id.is_zero(total) else total

    def cancelled(self):
        """Return the items that come to nothing together: they match each other."""
        items = self._items()
        return items if not self._total() else items.browse()

    def rows(self):
        """Return the rows of the entry; they balance to the cent."""
        payout = self.payout
        rows = list(self._rows)
        if self._total():
            name = payout.env._("Items of payout %s", payout.payout_ref)
            values = self._values(name, self.clearing, -self._total())
            rows.insert(0, Row(values, self._items()))
        company = payout.company_id.currency_id
        if rows and (self._foreign or payout.currency_id != company):
            # What conversion rounds away stays with the last line, the paid amount,
            # and becomes an exchange difference when the bank line comes.
            values = rows[-1].values
            off = sum(row.values["balance"] for row in rows)
            values["balance"] = company.round(values["balance"] - off)
        return rows
