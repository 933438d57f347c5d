# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""ISO 20022 account statements: camt.053, camt.054 and camt.052 of any version.

One command for each statement (``Stmt``), notification (``Ntfctn``) or report (``Rpt``)
of a file, so that a file of several accounts is never booked to one. The message
definitions are those of ISO 20022, versions 2 to 13; elements are found by local name,
so that a later version reads as far as it says the same.

Only what is booked becomes an entry. What is pending or for information is counted in
a command of its own that does nothing, where people can see it.

Signs: ``CdtDbtInd`` tells the direction on the account, also where ``RvslInd`` is
true; that one tells that the entry takes back an earlier one of the other direction.
Of a return, some banks name the parties as in the original transaction and some as
they are now, so whoever holds another account than ours is the counterparty.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any
from zoneinfo import ZoneInfo

from ..contracts import ContractError, parse_command, utc_text, validate
from . import constants as const
from . import iso20022 as iso
from .base import Adapter, ParsedCommand, bounded_id, digest_id
from .xml_reader import Element, read_xml

#: Element of one account's part: (name of the message, kind of statement).
_PARTS = {
    "Stmt": ("camt.053", "statement"),
    "Ntfctn": ("camt.054", "notification"),
    "Rpt": ("camt.052", "report"),
}
_MESSAGES = ("BkToCstmrStmt", "BkToCstmrDbtCdtNtfctn", "BkToCstmrAcctRpt")
_FORMAT = re.compile(r"camt\.05[234]\.[0-9]{3}\.[0-9]{2}")
_BOOKED = "BOOK"
#: Balances before the first entry and after the last, the best first; ``ITBD`` stands
#: at the seam of two pages of one statement.
_OPENING = ("OPBD", "PRCD")
_CLOSING = ("CLBD",)
_SEAM = "ITBD"
_MAX_SEQUENCE = 2**31 - 1


# === ONE TRANSACTION === #


@dataclass(slots=True)
class _Detail:
    """What is kept of one ``TxDtls``; amounts as (number, currency)."""

    amounts: list[tuple[Decimal, str | None]]
    instructed: tuple[Decimal, str | None] | None
    rate: Decimal | None
    direction: str | None
    end_to_end_id: str | None
    transaction_ref: str | None
    servicer_ref: str | None
    debtor: tuple[str | None, str | None]
    creditor: tuple[str | None, str | None]
    remittance: str | None
    structured: bool
    further: str | None
    bank_code: str | None
    return_reason: str | None
    charges: Decimal


def _detail(element: Element) -> _Detail:
    refs = element.find("Refs") or Element("Refs", {})
    parties = element.find("RltdPties") or Element("RltdPties", {})
    info = element.find("RmtInf")
    reasons = element.find("RtrInf")
    amounts = [
        _money(found)
        for path in (
            ("Amt",),
            ("AmtDtls", "TxAmt", "Amt"),
            ("AmtDtls", "InstdAmt", "Amt"),
        )
        if (found := element.find(*path)) is not None
    ]
    instructed, rate = _original(element)
    return _Detail(
        amounts=[pair for pair in amounts if pair],
        instructed=instructed,
        rate=rate,
        direction=element.value("CdtDbtInd"),
        end_to_end_id=iso.identifier(refs.value("EndToEndId")),
        transaction_ref=_first_id(
            refs, "TxId", "UETR", "InstrId", "ClrSysRef", "ChqNb", "PmtInfId", "MsgId"
        ),
        servicer_ref=iso.identifier(refs.value("AcctSvcrRef")),
        debtor=_party(parties, "Dbtr"),
        creditor=_party(parties, "Cdtr"),
        remittance=iso.words(iso.remittance(info)),
        structured=info is not None and info.find("Strd") is not None,
        further=iso.words([found.text for found in element.all("AddtlTxInf")]),
        bank_code=_bank_code(element.find("BkTxCd")),
        return_reason=iso.code(reasons.find("Rsn")) if reasons is not None else None,
        charges=_charges(element),
    )


def _first_id(refs: Element, *names: str) -> str | None:
    return next(
        (found for name in names if (found := iso.identifier(refs.value(name)))), None
    )


def _money(element: Element) -> tuple[Decimal, str | None] | None:
    """Return what an amount says, None when it is none: the entry's own counts."""
    try:
        return iso.amount(element, "A transaction"), iso.currency(element)
    except ContractError:
        return None


def _party(parties: Element, role: str) -> tuple[str | None, str | None]:
    """Return (name, account) of debtor or creditor."""
    name = iso.party_name(parties.find(role))
    ultimate = iso.party_name(parties.find(f"Ultmt{role}"))
    return name or ultimate, iso.account_number(parties.find(f"{role}Acct"))


def _original(element: Element) -> tuple[tuple[Decimal, str | None] | None, Any]:
    """Return the amount in the currency that was paid in, and the rate used.

    :param element: ``Ntry`` or ``TxDtls``
    """
    best = rate = None
    for path in ("InstdAmt", "TxAmt", "CntrValAmt"):
        one = element.find("AmtDtls", path)
        if one is None:
            continue
        for exchange in one.all("CcyXchg"):
            rate = rate or _rate(exchange)
        found = one.find("Amt")
        best = best or (_money(found) if found is not None else None)
    return best, rate


def _rate(exchange: Element) -> Decimal | None:
    found = exchange.find("XchgRate")
    if found is None:
        return None
    number = _money(found)
    if not number or number[0] <= 0 or number[0] >= 10**12:
        return None
    with localcontext() as context:
        context.prec = const.DECIMAL_DIGITS
        return round(number[0], 10)


def _charges(element: Element) -> Decimal:
    """Return what the bank kept of a payment, or booked beside it, without sign."""
    total = Decimal(0)
    records = element.all("Chrgs", "Rcrd") or element.all("Chrgs")
    for record in records:
        found = record.find("Amt")
        pair = _money(found) if found is not None else None
        total += pair[0] if pair else Decimal(0)
    return total


def _bank_code(element: Element | None) -> str | None:
    """Return the code of the kind of transaction: ``PMNT-RCDT-ESCT``, or the bank's."""
    if element is None:
        return None
    domain = [
        element.value("Domn", "Cd"),
        element.value("Domn", "Fmly", "Cd"),
        element.value("Domn", "Fmly", "SubFmlyCd"),
    ]
    if domain[0]:
        return iso.identifier("-".join(part for part in domain if part))
    return iso.identifier(element.value("Prtry", "Cd"))


# === ONE ENTRY === #


@dataclass(slots=True)
class _Entry:
    """An entry with what has to wait for its statement: the account's currency."""

    number: int
    amount: Decimal
    currency: str | None
    direction: int
    values: dict[str, Any]
    details: list[_Detail]
    collective: bool
    counter_value: tuple[Decimal, str | None] | None
    original: tuple[Decimal, str | None] | None
    rate: Decimal | None
    charges: Decimal
    further: str | None


def _entry(element: Element, number: int, details: list[_Detail], batches: int):
    what = f"Entry {number}"
    booked = iso.day(element.find("BookgDt"))
    valued = iso.day(element.find("ValDt"))
    found = element.find("Amt")
    original, rate = _original(element)
    counter = element.find("AmtDtls", "CntrValAmt", "Amt")
    # The bank may tell of one transaction out of many, which then is not the entry.
    collective = len(details) != 1 or batches > 1
    single = None if collective else details[0]
    reversal = (element.value("RvslInd") or "").lower() in ("true", "1")
    values = {
        "entry_ref": iso.identifier(element.value("AcctSvcrRef"))
        or (single and single.servicer_ref)
        or iso.identifier(element.value("NtryRef")),
        "booking_date": booked or valued,
        "value_date": valued,
        "bank_code": _bank_code(element.find("BkTxCd"))
        or (single and single.bank_code),
        "reversal": reversal,
    }
    return _Entry(
        number=number,
        amount=iso.amount(found, what),
        currency=iso.currency(found),
        direction=iso.sign(element, what),
        values=values,
        details=details,
        collective=collective,
        counter_value=_money(counter) if counter is not None else None,
        original=original,
        rate=rate,
        charges=_charges(element),
        further=iso.words([one.text for one in element.all("AddtlNtryInf")]),
    )


def _amount_of(entry: _Entry, currency: str) -> Decimal:
    """Return the unsigned amount of an entry in the currency of its account.

    :raises ContractError: when the bank gave it in another one only
    """
    if entry.currency in (None, currency):
        return entry.amount
    for pair in (entry.counter_value, entry.original):
        if pair and pair[1] == currency:
            return pair[0]
    raise ContractError(
        f"Entry {entry.number} is in {entry.currency}, the account in {currency}; ask "
        "the bank for the amount in the currency of the account."
    )


def _sides(detail: _Detail, direction: int, returned: bool, own: str):
    """Return (name, account) of the other side of a transaction.

    Whoever has our own account is us, whatever the bank calls it.
    """
    first, second = (
        (detail.debtor, detail.creditor)
        if direction > 0
        else (detail.creditor, detail.debtor)
    )
    if iso.same_account(first[1], own) or first == (None, None):
        return second if not iso.same_account(second[1], own) else (None, None)
    if returned and second != (None, None) and not iso.same_account(second[1], own):
        # Both could be it: the original transaction went the other way.
        return second
    return first


def _other_amount(pair, amount: Decimal, currency: str, direction: int):
    """Return the fields of an amount that was paid in another currency."""
    if not pair or not pair[0] or pair[1] in (None, currency):
        return {}
    return {
        "original_amount": iso.plain(direction * abs(pair[0])),
        "original_currency": pair[1],
    }


def _finished(entry: _Entry, currency: str, own: str, fallback: date) -> dict:
    """Return an entry as the contract has it."""
    unsigned = _amount_of(entry, currency)
    signed = entry.direction * unsigned
    booked = entry.values.pop("booking_date") or fallback
    values = {
        **entry.values,
        "amount": iso.plain(signed),
        "booking_date": booked.isoformat(),
        "value_date": (entry.values["value_date"] or booked).isoformat(),
    }
    if not entry.collective:
        detail = entry.details[0]
        returned = entry.values["reversal"] or bool(detail.return_reason)
        name, account = _sides(detail, entry.direction, returned, own)
        values.update(
            end_to_end_id=detail.end_to_end_id,
            transaction_ref=detail.transaction_ref,
            counterparty_name=name,
            counterparty_account=account,
            remittance=_wording(detail, entry.further),
            return_reason=detail.return_reason,
            **_other_amount(_paid(entry, currency), signed, currency, entry.direction),
        )
    else:
        parts = _parts(entry, signed, currency, own)
        values["parts"] = parts
        values["remittance"] = iso.words(
            [
                entry.further,
                *([] if parts else [detail.remittance for detail in entry.details]),
            ]
        )
        values.update(_other_amount(entry.original, signed, currency, entry.direction))
    if "original_amount" in values:
        rate = entry.rate or next((d.rate for d in entry.details if d.rate), None)
        values["exchange_rate"] = iso.plain(rate) if rate else None
    return {name: value for name, value in values.items() if value is not None}


def _paid(entry: _Entry, currency: str):
    """Return the amount in another currency of an entry with one transaction."""
    detail = entry.details[0]
    return next(
        (
            pair
            for pair in (detail.instructed, *detail.amounts, entry.original)
            if pair and pair[0] and pair[1] not in (None, currency)
        ),
        None,
    )


def _wording(detail: _Detail, further: str | None) -> str | None:
    return detail.remittance or detail.further or further


def _parts(entry: _Entry, signed: Decimal, currency: str, own: str) -> list[dict]:
    """Return the transactions of a collective entry, if they make up its amount.

    Without that they could not be told from what the bank left out, and nobody could
    split the entry by them.
    """
    sums, parts = [], []
    for number, detail in enumerate(entry.details, 1):
        what = f"Transaction {number} of entry {entry.number}"
        direction = entry.direction
        if detail.direction:
            holder = Element("TxDtls", {})
            mark = Element("CdtDbtInd", {})
            mark.text = detail.direction
            holder.children.append(mark)
            direction = iso.sign(holder, what)
        number_ = next(
            (value for value, code in detail.amounts if code in (None, currency)), None
        )
        if number_ is None:
            return []
        returned = entry.values["reversal"] or bool(detail.return_reason)
        name, account = _sides(detail, direction, returned, own)
        sums.append(direction * number_)
        parts.append(
            {
                "amount": iso.plain(direction * number_),
                "end_to_end_id": detail.end_to_end_id,
                "transaction_ref": detail.transaction_ref or detail.servicer_ref,
                "counterparty_name": name,
                "counterparty_account": account,
                "remittance": detail.remittance or detail.further,
                "return_reason": detail.return_reason,
            }
        )
    difference = signed - sum(sums)
    if difference:
        charges = entry.charges or sum(detail.charges for detail in entry.details)
        if not parts or abs(difference) != charges:
            return []
        parts.append({"amount": iso.plain(difference), "remittance": "Charges"})
    if len(parts) > 1:
        return [
            {name: value for name, value in part.items() if value is not None}
            for part in parts
        ]
    return []


# === ONE STATEMENT === #


@dataclass(slots=True)
class _Open:
    """A statement while it is read."""

    entries: list[_Entry] = field(default_factory=list)
    skipped: Counter = field(default_factory=Counter)
    count: int = 0


@dataclass(slots=True)
class _Balance:
    kind: str
    amount: Decimal
    currency: str | None
    date: date | None
    moment: datetime | None


class _File:
    """Collects the statements of a file while it streams by.

    :ivar statements: (name of the element, its head, what was collected)
    """

    def __init__(self) -> None:
        self.header = Element("GrpHdr", {})
        self.statements: list[tuple[str, Element, _Open]] = []
        self._open = _Open()
        self._details: list[_Detail] = []

    def ended(self, path: tuple[str, ...], element: Element) -> bool:
        if element.name == "TxDtls" and "Ntry" in path:
            self._details.append(_detail(element))
            return True
        if element.name == "Ntry" and len(path) > 1 and path[-2] in _PARTS:
            self._add(element)
            return True
        if element.name == "GrpHdr" and len(path) > 1 and path[-2] in _MESSAGES:
            self.header = element
            return True
        if element.name in _PARTS and len(path) > 1 and path[-2] in _MESSAGES:
            self.statements.append((element.name, element, self._open))
            self._open = _Open()
            return True
        return False

    def _add(self, element: Element) -> None:
        details, self._details = self._details, []
        self._open.count += 1
        status = element.find("Sts")
        # What is on a statement is booked, unless it says otherwise.
        state = (iso.code(status) or _BOOKED).upper()
        if state != _BOOKED:
            self._open.skipped[state] += 1
            return
        counts = [
            int(text)
            for text in (b.value("NbOfTxs") for b in element.all("NtryDtls", "Btch"))
            if text and text.isascii() and text.isdigit() and len(text) < 10
        ]
        self._open.entries.append(
            _entry(element, self._open.count, details, max(counts, default=0))
        )


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
    element: Element, balances: list[_Balance], entries: list[_Entry]
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


class _Part:
    """One statement, notification or report: its commands."""

    def __init__(self, file: _File, position: int, where: ZoneInfo, about: dict):
        name, self.element, self.open = file.statements[position]
        self.message, self.kind = _PARTS[name]
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
                _finished(entry, self.currency, self.account, self.end)
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


# === THE FILE === #


def parse(
    headers: Mapping, body: bytes, options: Mapping[str, Any] | None = None
) -> list[ParsedCommand]:
    """Return one ``bank_statement.content`` for each statement of a file.

    Behind it, a command that is ignored counts what is not booked, and the balances of
    a report become ``balance.reported``.

    :param body: XML in any encoding that it names.
    :param options: of :class:`iso20022.BankOptions`.
    :raises ContractError: ``D-SCHEMA``. Nothing else is raised, whatever arrives.
    """
    settings = validate(iso.BankOptions, dict(options or {}), "The format's settings")
    file = _File()
    root = read_xml(body, file.ended)
    if not file.statements:
        raise ContractError(
            "This is no bank statement of ISO 20022: there is no Stmt, Ntfctn or Rpt "
            f"in it. Its root element is {root.name[:64]}."
        )
    match = _FORMAT.search(body[:4096].decode("latin-1"))
    about = {
        "sha256": hashlib.sha256(body).hexdigest(),
        "format": match and match.group(),
    }
    where = iso.zone(settings.timezone)
    return [
        command
        for position in range(len(file.statements))
        for command in _Part(file, position, where, about).commands()
    ]


def external_id(headers: Mapping, body: bytes) -> str:
    """Return the digest of the bytes: banks use a message id again. Never raises."""
    return digest_id(body)


ADAPTER = Adapter(
    name="camt",
    title="Bank statements (ISO 20022 camt.052, camt.053, camt.054)",
    parse=parse,
    external_id=external_id,
    options_model=iso.BankOptions,
    max_bytes=const.FILE_MAX_BYTES,
)
