from decimal import Decimal

from odoo import models

from .. import clock, constants
from .account_journal import sanitized
from .errors import MORE, CommandError, CommandWaits
from .statement_matching import MANUAL, Entry, amount_text, content_key, match

JOURNAL_TYPES = ("bank", "cash", "credit")


class FinanceHandlerBankStatementContent(models.AbstractModel):
    """``bank_statement.content``: the entries come into the books, each once.

    What a statement, a notification and a report tell of the same entry is one bank
    transaction; equal entries of one statement are as many as there are. The balances
    are checked: what is wrong is reported, and what is there is imported all the same,
    as each entry is a fact of its own.
    """

    _name = "finance.handler.bank_statement.content"
    _description = "Handler of Bank Statement"
    _inherit = "finance.handler"

    def _identity_fields(self):
        return ("opening", "closing", "entries")

    def _handle(self, command, content):
        """See finance.handler; ``content`` is contracts.BankStatementContent.

        :return: ``MORE`` while entries are left for another transaction
        :raise CommandError: D-UNMAPPED, D-OWNERSHIP, B-PERIOD-LOCKED
        """
        journal = self._journal_of(
            command, content.account, content.account_currency, content.to_date
        )
        self.env["finance.ownership"]._check(
            command.connector_id, "bank_transactions", journal
        )
        journal._finance_lock_import()
        statement = self._statement(command, content, journal)
        repeated = self._repeated(statement, content)
        new = [
            entry
            for entry, line_id in zip(content.entries, repeated, strict=True)
            if line_id is None
        ]
        self._check_period(command.company_id, journal, new)
        step, rest = (
            new[: constants.STATEMENT_STEP],
            new[constants.STATEMENT_STEP :],
        )
        lines = self._create_lines(command, statement, step)
        statement.new_count += len(lines)
        if lines and "finance.payout" in self.env:
            self.env["finance.payout"]._match_statement_lines(lines)
        if rest:
            # Called again, it finds what is there already.
            statement.state = "importing"
            return MORE
        statement.state = "complete"
        known = self.env["account.bank.statement.line"].browse(
            [line_id for line_id in repeated if line_id is not None]
        )
        claimed = self._claim(statement, content, repeated)
        self._into_books(statement, content, lines, claimed, known)
        command.write({"res_model": statement._name, "res_id": statement.id})
        statement._check()
        statement._check_followers()
        if statement.has_closing and content.kind != "notification":
            self.env["finance.reported.balance"]._note(
                journal, "booked", content.closing, self._closing_time(content), command
            )
        self.env["finance.awaited.statement"]._arrived(statement, content)
        return None

    # === THE JOURNAL === #

    def _journal_of(self, command, account, currency, day):
        """Return the journal of an account; never that of another one.

        :param str account: IBAN or number, as it came
        :param str currency: of the account
        :param day: for which, where mappings change
        :raise CommandError: D-UNMAPPED when there is none, or of another currency
        """
        number = sanitized(account)
        journals = self.env["account.journal"].search(
            [
                ("company_id", "=", command.company_id.id),
                ("type", "in", JOURNAL_TYPES),
                ("bank_account_id.sanitized_acc_number", "=", number),
            ]
        )
        if not journals:
            chosen = command.connector_id.payment_journal_id
            if chosen and _fits(number, chosen.bank_account_id.acc_number):
                journals = chosen
        if not journals:
            journals = self._mapped_journal(command, account, day)
        if not journals:
            raise CommandWaits(
                "D-UNMAPPED",
                self.env._(
                    "No bank journal of %(company)s has the account %(account)s. Enter "
                    "the number as the bank account of its journal, or map it to the "
                    "journal; what waits is imported then.",
                    company=command.company_id.name,
                    account=account,
                ),
                f"bank_account:{number}",
            )
        fitting = journals.filtered(lambda j: _currency(j).name == currency)
        if not fitting:
            raise CommandError(
                "D-UNMAPPED",
                self.env._(
                    "The statement is in %(currency)s, but the journal “%(journal)s” "
                    "is kept in %(other)s. Give the account's journal that currency, "
                    "then retry.",
                    currency=currency,
                    journal=journals[0].name,
                    other=_currency(journals[0]).name,
                ),
            )
        return fitting[0]

    def _mapped_journal(self, command, account, day):
        """Return the journal that a steward mapped the account to, if any can."""
        # Whether there is one or not, the account may get a journal of its own.
        kind = self.env["finance.mapping.domain"]._named("journal")
        journal = self.env["finance.mapping"]._resolve_or_empty(
            command.connector_id, kind, account, day
        )
        other = sanitized(journal.bank_account_id.acc_number)
        if other and not _fits(sanitized(account), other):
            raise CommandError(
                "D-UNMAPPED",
                self.env._(
                    "The account %(account)s is mapped to the journal “%(journal)s”, "
                    "which belongs to the account %(other)s. Correct the mapping or "
                    "the journal, then retry.",
                    account=account,
                    journal=journal.name,
                    other=journal.bank_account_id.acc_number,
                ),
            )
        return journal

    # === THE STATEMENT === #

    def _statement(self, command, content, journal):
        """Return the record of the statement; one that is sent again is updated."""
        statements = self.env["finance.statement"]
        values = {
            "made_at": clock.naive(content.created_at),
            "has_opening": content.opening is not None,
            "opening": float(content.opening or 0),
            "has_closing": content.closing is not None,
            "closing": float(content.closing or 0),
            "entry_count": len(content.entries),
            "total": float(sum((e.amount for e in content.entries), Decimal(0))),
        }
        known = statements._same(journal, content)
        if known:
            if values["made_at"] >= known.made_at:
                known.write(values)
            return known
        return statements.create(
            {
                **values,
                "journal_id": journal.id,
                "currency_id": _currency(journal).id,
                "connector_id": command.connector_id.id,
                "command_id": command.id,
                "reference": content.statement_ref,
                "account": content.account,
                "kind": content.kind,
                "sequence": content.sequence or 0,
                "from_date": content.from_date or content.to_date,
                "to_date": content.to_date,
            }
        )

    # === WHAT IS THERE ALREADY === #

    def _repeated(self, statement, content):
        """Return for each entry the id of the line that it repeats, or None."""
        if not content.entries:
            return []
        digits = statement.currency_id.decimal_places
        entries = [_compared(entry, digits, statement) for entry in content.entries]
        return match(entries, self._lines_there(statement, entries, digits))

    def _lines_there(self, statement, entries, digits):
        """Return the journal's lines of the days of the entries, to compare with.

        Without those of statements which can't have an entry in common with this one.
        """
        first, last = min(e.day for e in entries), max(e.day for e in entries)
        self.env.flush_all()
        self.env.cr.execute(
            """
            SELECT line.id, line.finance_booking_date, line.internal_index, line.amount,
                   line.finance_entry_ref, line.finance_end_to_end_id,
                   line.finance_entry_key, line.finance_statement_id
              FROM account_bank_statement_line line
              JOIN account_move move ON move.id = line.move_id
             WHERE line.journal_id = %(journal)s AND move.state = 'posted'
               AND (line.finance_booking_date BETWEEN %(first)s AND %(last)s
                    OR (line.finance_booking_date IS NULL
                        AND line.internal_index >= %(low)s
                        AND line.internal_index < %(high)s))
             ORDER BY line.id
            """,
            {
                "journal": statement.journal_id.id,
                "first": first,
                "last": last,
                "low": first.strftime("%Y%m%d"),
                # Sorts behind every index of the last day.
                "high": last.strftime("%Y%m%d") + ":",
            },
        )
        rows = self.env.cr.fetchall()
        others = self.env["finance.statement"].browse(
            {row[7] for row in rows if row[7]}
        )
        by_id = {other.id: other for other in others if not _disjoint(statement, other)}
        return [
            Entry(
                day=booked or _day_of_index(index),
                amount=amount_text(amount or 0.0, digits),
                entry_ref=reference,
                end_to_end_id=end_to_end,
                key=key or "",
                kind=by_id[origin].kind if origin else MANUAL,
                source=origin,
                line_id=line_id,
            )
            for (
                line_id,
                booked,
                index,
                amount,
                reference,
                end_to_end,
                key,
                origin,
            ) in rows
            if not origin or origin in by_id
        ]

    def _claim(self, statement, content, repeated):
        """Make lines that notifications brought the statement's own.

        What the statement tells more of them is kept: a notification has the
        transactions of a collective entry, or the statement does.

        :return: the lines that belong to no statement of Odoo yet
        """
        pairs = [
            (entry, line_id)
            for entry, line_id in zip(content.entries, repeated, strict=True)
            if line_id is not None
        ]
        # Together, so that they are read together.
        lines = self.env["account.bank.statement.line"].browse(
            [line_id for _entry, line_id in pairs]
        )
        claimed = []
        for (entry, _line_id), line in zip(pairs, lines, strict=True):
            values = {}
            if entry.parts and not line.finance_parts:
                values["finance_parts"] = [part.wire() for part in entry.parts]
            if content.kind == "statement" and not line.statement_id:
                claimed.append(line.id)
                if line.finance_statement_id != statement:
                    values["finance_statement_id"] = statement.id
            if not line.finance_booking_date:
                # Entered by a person; from now on known to be the bank's.
                values.update(
                    finance_booking_date=entry.booking_date,
                    finance_entry_ref=entry.entry_ref,
                    finance_end_to_end_id=entry.end_to_end_id,
                )
            if values:
                line.write(values)
        return lines.browse(claimed)

    # === WHAT IS NEW === #

    def _check_period(self, company, journal, entries):
        """Refuse entries in a locked period: none is dated otherwise silently."""
        days = sorted({entry.booking_date for entry in entries})
        locked = [
            (day, locks)
            for day in days
            if (locks := company._get_violated_lock_dates(day, False, journal))
        ]
        if locked:
            day, locks = locked[0]
            raise CommandError(
                "B-PERIOD-LOCKED",
                self.env._(
                    "Entries of the statement are booked on %(date)s, but the books "
                    "are locked until %(lock)s. Nothing was imported.",
                    date=day.isoformat(),
                    lock=locks[-1][0].isoformat(),
                ),
            )

    def _create_lines(self, command, statement, entries):
        """Create the bank transactions of entries."""
        lines = self.env["account.bank.statement.line"]
        partners = self._partners(command.company_id, entries)
        currencies = self._currencies(entries)
        ids = []
        size = constants.STATEMENT_CHUNK
        for start in range(0, len(entries), size):
            chunk = [
                self._line_values(command, statement, entry, partners, currencies)
                for entry in entries[start : start + size]
            ]
            ids += lines.create(chunk).ids
            if start + size < len(entries):
                # What was made is needed no more: memory stays flat.
                self.env.flush_all()
                self.env.invalidate_all(flush=False)
        return lines.browse(ids)

    def _line_values(self, command, statement, entry, partners, currencies):
        digits = statement.currency_id.decimal_places
        label = entry.remittance or entry.counterparty_name or entry.end_to_end_id
        values = {
            "journal_id": statement.journal_id.id,
            "date": entry.booking_date,
            "amount": float(entry.amount),
            "payment_ref": label or entry.entry_ref or entry.bank_code or "/",
            "partner_name": entry.counterparty_name,
            "account_number": entry.counterparty_account,
            "partner_id": partners.get(sanitized(entry.counterparty_account)),
            "transaction_type": entry.bank_code,
            "transaction_details": entry.model_dump(
                mode="json", exclude_none=True, exclude={"parts"}
            ),
            "finance_statement_id": statement.id,
            "finance_command_id": command.id,
            "finance_booking_date": entry.booking_date,
            "finance_value_date": entry.value_date,
            "finance_entry_ref": entry.entry_ref,
            "finance_end_to_end_id": entry.end_to_end_id,
            "finance_entry_key": _compared(entry, digits, statement).key,
            "finance_return_reason": entry.return_reason,
            "finance_reversal": entry.reversal,
            "finance_parts": [part.wire() for part in entry.parts] or False,
        }
        foreign = currencies.get(entry.original_currency)
        if foreign and foreign != statement.currency_id and entry.original_amount:
            amount = abs(entry.original_amount)
            values["foreign_currency_id"] = foreign.id
            values["amount_currency"] = float(amount if entry.amount > 0 else -amount)
        return values

    def _currencies(self, entries):
        """Return {code: active currency} of what was paid in another one."""
        codes = {e.original_currency for e in entries if e.original_currency}
        found = self.env["res.currency"].search([("name", "in", list(codes))])
        return {currency.name: currency for currency in found}

    def _partners(self, company, entries):
        """Return {account number: partner id}, where an account is one partner's."""
        numbers = {sanitized(e.counterparty_account) for e in entries} - {""}
        owners = {}
        for bank in self.env["res.partner.bank"].search(
            [
                ("sanitized_acc_number", "in", list(numbers)),
                ("company_id", "in", [False, company.id]),
            ]
        ):
            owners.setdefault(bank.sanitized_acc_number, set()).add(bank.partner_id.id)
        return {
            number: partners.pop()
            for number, partners in owners.items()
            if len(partners) == 1
        }

    # === ODOO'S STATEMENT === #

    def _into_books(self, statement, content, lines, claimed, known):
        """Make, or extend, Odoo's bank statement of the lines.

        Lines that belong to another statement stay there; the balance before the
        remaining ones is what leads to the closing balance.
        """
        if content.kind != "statement":
            return
        own = lines | claimed
        if statement.statement_id:
            if own:
                self._extend(statement, own)
            return
        if not own:
            statement.statement_id = known.statement_id[:1]
            return
        values = {
            "name": self._statement_name(statement),
            "reference": statement.reference,
            "journal_id": statement.journal_id.id,
            "line_ids": [(6, 0, own.ids)],
        }
        if statement.has_closing:
            values["balance_end_real"] = statement.closing
        if statement.has_opening:
            values["balance_start"] = statement.opening
            if len(own) < statement.entry_count and statement.has_closing:
                missing = sum(own.mapped("amount"))
                values["balance_start"] = statement.closing - missing
        statement.statement_id = self.env["account.bank.statement"].create(values)

    def _extend(self, statement, lines):
        """Add lines to Odoo's statement of one that was sent again."""
        booked = statement.statement_id
        values = {"line_ids": [(4, line.id) for line in lines]}
        if statement.has_closing:
            values["balance_end_real"] = statement.closing
        if statement.has_opening:
            values["balance_start"] = statement.opening
        booked.write(values)

    def _statement_name(self, statement):
        first, last = statement.from_date.isoformat(), statement.to_date.isoformat()
        period = last if first == last else f"{first} – {last}"
        number = f" {statement.sequence}" if statement.sequence else ""
        return f"{statement.journal_id.code}{number} {period}"

    def _closing_time(self, content):
        """Return when the closing balance held: at the end of its day, in UTC."""
        return clock.end_of_day(content.to_date)


def _currency(journal):
    return journal.currency_id or journal.company_id.currency_id


def _fits(number, other):
    """Whether two numbers are one account's, one perhaps the end of an IBAN."""
    other = sanitized(other)
    if not number or not other:
        return False
    shorter, longer = sorted((number, other), key=len)
    if shorter == longer:
        return True
    return len(shorter) >= constants.ACCOUNT_MIN_LENGTH and longer.endswith(shorter)


def _compared(entry, digits, statement):
    """Return an entry of a statement the way it is compared."""
    amount = amount_text(entry.amount, digits)
    return Entry(
        day=entry.booking_date,
        amount=amount,
        entry_ref=entry.entry_ref,
        end_to_end_id=entry.end_to_end_id,
        key=content_key(
            entry.booking_date,
            amount,
            entry.end_to_end_id,
            entry.transaction_ref,
            entry.counterparty_account,
            entry.remittance,
        ),
        kind=statement.kind,
        source=statement.id,
        anonymous=not (entry.entry_ref or entry.end_to_end_id or entry.transaction_ref),
    )


def _day_of_index(index):
    """Return the day that a line's internal index begins with."""
    return clock.day(index[:8])


def _disjoint(statement, other):
    """Whether two statements of one account can't have an entry in common.

    They can't where one ends before the other begins, or begins where the other ends:
    two statements of a day, one after the other, may have equal entries.
    """
    if statement == other:
        return False
    if not (statement.kind == other.kind == "statement"):
        return False
    if statement.to_date < other.from_date or other.to_date < statement.from_date:
        return True
    return _follows(statement, other) or _follows(other, statement)


def _follows(later, earlier):
    """Whether one statement begins on the day, and with the balance, another ended."""
    if not (earlier.has_closing and later.has_opening):
        return False
    same = later.currency_id.compare_amounts
    if earlier.to_date != later.from_date or same(earlier.closing, later.opening):
        return False
    if earlier.from_date == later.from_date != later.to_date:
        # Longer than the other, and of the same first day: it has it in itself.
        return False
    numbered = earlier.sequence and later.sequence
    if numbered:
        return earlier.sequence < later.sequence
    # Without numbers, one that is the same in every figure may be the same one.
    return bool(same(earlier.opening, later.opening) or not earlier.has_opening)
