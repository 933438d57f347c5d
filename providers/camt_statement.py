# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""One statement, notification or report of an ISO 20022 file: its commands."""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from ..contracts import ContractError, parse_command, utc_text
from . import iso20022 as iso
from .base import ParsedCommand, bounded_id
from .camt_entry import Entry, finished
from .xml_reader import Element

#: Element of one account's part: (name of the message, kind of statement).
PARTS = {
    "Stmt": ("camt.053", "statement"),
    "Ntfctn": ("camt.054", "notification"),
    "Rpt": ("camt.052", "report"),
}
#: Balances before the first entry and after the last, the best first; ``ITBD`` stands
#: at the seam of two pages of one statement.
_OPENING = ("OPBD", "PRCD")
_CLOSING = ("CLBD",)
_SEAM = "ITBD"
_MAX_SEQUENCE = 2**31 - 1


@dataclass(slots=True)
class Collected:
    """A statement while it is read."""

    entries: list[Entry] = field(default_factory=list)
    skipped: Counter = field(default_factory=Counter)
    count: int = 0


@dataclass(slots=True)
class _Balance:
    kind: str
    amount: Decimal
    currency: str | None
    date: date | None
    moment: datetime | None


def _balances(element: Element, where: ZoneInfo) -> list[_Balance]:
    found = []
    for balance in element.all("Bal"):
        kind = balance.value("Tp", "CdOrPrtry", "Cd") or balance.value("Tp", "Cd")
        if not kind:
            continue
        what = f"The balance {kind[:16]}"
        amount = balance.find("Amt")
        stamp = balance.find("Dt")
        number = iso.amount(amount, what) * iso.sign(balance, what)
        found.append(
            _Balance(
                kind.upper(),
                number,
                iso.currency(amount),
                iso.day(stamp),
                iso.moment(stamp.value("DtTm"), where) if stamp is not None else None,
            )
        )
    return found


def _ends(balances: list[_Balance]) -> tuple[_Balance | None, _Balance | None]:
    """Return opening and closing balance.

    A statement over several days may repeat both for each day; one in several pages
    has an interim balance at each seam.
    """
    openings = [b for kind in _OPENING for b in balances if b.kind == kind]
    closings = [b for kind in _CLOSING for b in balances if b.kind == kind]
    seams = [b for b in balances if b.kind == _SEAM]
    best = openings[0].kind if openings else None
    same = [b for b in openings if b.kind == best]
    opening = min(same, key=lambda b: b.date or date.max, default=None)
    # Among several of one day the last one given.
    closing = max(reversed(closings), key=lambda b: b.date or date.min, default=None)
    if opening is None and seams and (closing is not None or len(seams) > 1):
        opening = seams[0]
    if closing is None and seams and opening is not None and seams[-1] is not opening:
        closing = seams[-1]
    return opening, closing


def _account_currency(
    element: Element, balances: list[_Balance], entries: list[Entry]
) -> str:
    stated = (element.value("Acct", "Ccy") or "").strip().upper()
    if re.fullmatch("[A-Z]{3}", stated):
        return stated
    opening, closing = _ends(balances)
    candidates = [
        *(balance.currency for balance in (opening, closing, *balances) if balance),
        *(entry.currency for entry in entries),
    ]
    found = next(filter(None, candidates), None)
    if not found:
        raise ContractError(
            "The file names no currency of the account, neither there nor at a balance "
            "or entry."
        )
    return found


def _period(element, opening, closing, entries, created):
    """Return (first day, last day) that a statement covers; the first may be None."""
    period = element.find("FrToDt")
    days = [e.values["booking_date"] for e in entries if e.values["booking_date"]]
    start = end = None
    if period is not None:
        start = iso.day_of(period.value("FrDtTm") or period.value("FrDt"))
        end = iso.day_of(period.value("ToDtTm") or period.value("ToDt"))
    end = end or (closing and closing.date) or max(days, default=None)
    end = end or (created and created.date())
    if not end:
        raise ContractError(
            "The file tells no day: neither a period, a balance, an entry nor when it "
            "was made."
        )
    if not start and opening and opening.date:
        # The closing balance of before is that of the day before.
        before = opening.kind == "PRCD" and opening.date < date.max
        start = opening.date + timedelta(days=1) if before else opening.date
    start = start or min(days, default=None)
    return (start if start and start <= end else None), end


def _sequence(element: Element) -> int | None:
    for name in ("ElctrncSeqNb", "LglSeqNb", "RptgSeq"):
        text = element.value(name) or ""
        if text.isascii() and text.isdigit() and len(text) < 20:
            number = int(text)
            return number if number <= _MAX_SEQUENCE else None
    return None


def _servicer(element: Element) -> str | None:
    agent = element.find("Acct", "Svcr", "FinInstnId")
    if agent is None:
        return None
    return iso.identifier(
        agent.value("BICFI")
        or agent.value("BIC")
        or agent.value("ClrSysMmbId", "MmbId")
        or agent.value("Nm")
    )


class Part:
    """One statement, notification or report: its commands."""

    def __init__(self, file, position: int, where: ZoneInfo, about: dict):
        name, self.element, self.open = file.statements[position]
        self.message, self.kind = PARTS[name]
        self.where = where
        self.about = about
        self.message_id = iso.identifier(file.header.value("MsgId"))
        self.reference = (
            iso.identifier(self.element.value("Id"))
            or self.message_id
            or f"{position + 1}"
        )
        self.name = bounded_id(f"{self.message_id}:{self.reference}:{position}")
        self.account = iso.account_number(self.element.find("Acct"))
        if not self.account:
            raise ContractError(f"“{self.reference}” names no account (Acct/Id).")
        self.created = iso.moment(self.element.value("CreDtTm"), where) or iso.moment(
            file.header.value("CreDtTm"), where
        )
        self.balances = _balances(self.element, where)
        self.currency = _account_currency(
            self.element, self.balances, self.open.entries
        )
        opening, closing = _ends(
            [b for b in self.balances if b.currency in (None, self.currency)]
        )
        self.opening, self.closing = opening, closing
        self.start, self.end = _period(
            self.element, opening, closing, self.open.entries, self.created
        )
        self.created = self.created or iso.end_of(self.end, where)

    def commands(self) -> list[ParsedCommand]:
        return [self._content(), *self._skipped(), *self._reported()]

    def _command(self, kind: str, name: str, moment: datetime, data: dict):
        command = parse_command(kind, data)
        return ParsedCommand(
            type=kind, external_id=name, occurred_at=moment, data=command.wire()
        )

    def _content(self) -> ParsedCommand:
        data = {
            "account": self.account,
            "account_currency": self.currency,
            "statement_ref": self.reference,
            "sequence": _sequence(self.element),
            "kind": self.kind,
            "format": self.about["format"] or self.message,
            "sha256": self.about["sha256"],
            "from_date": self.start and self.start.isoformat(),
            "to_date": self.end.isoformat(),
            "created_at": utc_text(self.created),
            "servicer": _servicer(self.element),
            "entries": [
                finished(entry, self.currency, self.account, self.end)
                for entry in self.open.entries
            ],
        }
        if self.kind != "notification":
            if self.opening:
                data["opening"] = iso.plain(self.opening.amount)
                data["opening_date"] = (
                    self.opening.date and self.opening.date.isoformat()
                )
            if self.closing:
                data["closing"] = iso.plain(self.closing.amount)
        data = {name: value for name, value in data.items() if value is not None}
        return self._command("bank_statement.content", self.name, self.created, data)

    def _skipped(self) -> list[ParsedCommand]:
        """Return the entries that are not booked, for people to see."""
        if not self.open.skipped:
            return []
        states = ", ".join(
            f"{count} {state[:16]}"
            for state, count in sorted(self.open.skipped.items())
        )
        return [
            ParsedCommand(
                type=f"{self.message}:not_booked",
                external_id=bounded_id(f"{self.name}:not_booked"),
                occurred_at=self.created,
                data={
                    "account": self.account,
                    "statement_ref": self.reference,
                    "counts": {
                        state[:16]: count
                        for state, count in sorted(self.open.skipped.items())
                    },
                },
                ignored=f"Not booked yet, so not imported: {states}. The bank sends "
                "them again once they are booked.",
            )
        ]

    def _reported(self) -> list[ParsedCommand]:
        """Return the balances of a report on the day so far.

        A statement's are in the statement itself.
        """
        if self.kind != "report":
            return []
        latest: dict[str, _Balance] = {}
        for balance in self.balances:
            kind = {"ITBD": "booked", "CLBD": "booked", "ITAV": "available"}.get(
                balance.kind
            )
            if kind and balance.currency in (None, self.currency):
                latest[kind] = balance
        return [
            self._command(
                "balance.reported",
                bounded_id(f"{self.name}:{kind}"),
                balance.moment or self.created,
                {
                    "account": self.account,
                    "currency": self.currency,
                    "amount": iso.plain(balance.amount),
                    "kind": kind,
                    "as_of": utc_text(balance.moment or self.created),
                },
            )
            for kind, balance in latest.items()
        ]
