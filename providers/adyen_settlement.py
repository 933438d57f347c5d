# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Adyen's settlement detail report (CSV): what each payout is made of.

Columns are found by their names, in any order and among any others, as Adyen's report
configuration decides them ("Settlement details report" of its documentation). One
``payout.released`` for each batch and net currency: ``opening`` and ``closing`` are the
balances carried over from the batch before and to the next, ``net`` what the rows of
type ``MerchantPayout`` send to the bank, and every other row is a line, in the net
currency. Whether they add up (opening + lines - closing = net) is a control of whoever
books it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from ..contracts import ContractError, parse_command, utc_text
from . import constants as const
from . import iso20022 as iso
from .base import Adapter, ParsedCommand, bounded_id, digest_id
from .tables import decoded, number, rows

#: What the rows of each type are; the keys without blanks, in lower case.
KINDS = {
    "settled": "payment",
    "refunded": "refund",
    "refundedreversed": "refund_reversal",
    "chargeback": "chargeback",
    "secondchargeback": "chargeback",
    "chargebackreversed": "chargeback_reversal",
    "fee": "fee",
    "misccosts": "fee",
    "paymentcost": "fee",
    "invoicededuction": "fee",
    "reserveadjustment": "reserve",
    "depositcorrection": "reserve",
}
_PAYOUT = "merchantpayout"
_TRANSFER = "balancetransfer"
#: Everything Adyen names otherwise, such as SettledReversed or ManualCorrected.
_OTHER = "adjustment"

_REQUIRED = (
    "Type",
    "Net Currency",
    "Net Debit (NC)",
    "Net Credit (NC)",
    "Batch Number",
)
_FEES = ("Commission (NC)", "Markup (NC)", "Scheme Fees (NC)", "Interchange (NC)")
_WORD = re.compile("[^a-z0-9]+")
_STAMPS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d")
#: Hours from UTC of the abbreviations in Adyen's reports; others are looked up in the
#: time zone database.
_OFFSETS = {
    "UTC": 0, "GMT": 0, "BST": 1, "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "EET": 2,
    "EEST": 3, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6,
    "PST": -8, "PDT": -7, "BRT": -3, "SGT": 8, "HKT": 8, "JST": 9, "AEST": 10,
    "AEDT": 11, "NZST": 12, "NZDT": 13,
}  # fmt: skip


def _key(name: str) -> str:
    """Return a column's name the way it is compared: letters and digits."""
    return _WORD.sub("", name.lower())


@dataclass(slots=True)
class _Batch:
    """What is collected of one batch in one currency."""

    merchant: str
    number: str
    currency: str
    opening: Decimal = Decimal(0)
    closing: Decimal = Decimal(0)
    net: Decimal = Decimal(0)
    paid_at: datetime | None = None
    last_at: datetime | None = None
    bank_reference: str | None = None
    lines: list[dict] = field(default_factory=list)


class _Row:
    """One row: its cells by the names of their columns."""

    def __init__(self, line: int, cells: list[str], columns: dict[str, int]):
        self.line = line
        self._cells = cells
        self._columns = columns

    def text(self, *names: str) -> str:
        for name in names:
            place = self._columns.get(_key(name))
            if place is not None and place < len(self._cells):
                found = self._cells[place].strip()
                if found:
                    return found
        return ""

    def money(self, name: str) -> Decimal:
        text = self.text(name)
        if not text:
            return Decimal(0)
        try:
            return number(text)
        except ValueError:
            raise ContractError(
                f"Line {self.line}: “{name}” is no decimal number."
            ) from None

    def moment(self) -> datetime | None:
        for stamp, place in (
            ("Booking Date", "Booking Date TimeZone"),
            ("Creation Date", "TimeZone"),
        ):
            text = self.text(stamp)
            for form in _STAMPS if text else ():
                try:
                    found = datetime.strptime(text, form)  # noqa: DTZ007 (just below)
                    zoned = found.replace(tzinfo=_zone(self.text(place, "TimeZone")))
                    zoned.astimezone(timezone.utc)
                    return zoned
                except (ValueError, OverflowError):
                    continue
            if text:
                raise ContractError(
                    f"Line {self.line}: “{stamp}” is no time like 2026-01-31 09:30:00."
                )
        return None


def _zone(name: str):
    if name in _OFFSETS:
        return timezone(timedelta(hours=_OFFSETS[name]))
    try:
        return iso.zone(name)
    except ValueError:
        return timezone.utc


def _table(body: bytes):
    """Yield the rows of a report.

    :raises ContractError: when a column is missing or a row is longer than the header
    """
    text = decoded(body, "utf-8")
    first = text.lstrip().splitlines()[0]
    delimiter = max((",", ";", "\t"), key=first.count)
    columns: dict[str, int] = {}
    for line, cells in rows(text, delimiter, '"'):
        if not columns:
            for place, name in enumerate(cells):
                columns.setdefault(_key(name), place)
            missing = [name for name in _REQUIRED if _key(name) not in columns]
            if missing:
                raise ContractError(
                    "This is no settlement detail report of Adyen: it has no column "
                    f"{', '.join(missing)}."
                )
            width = len(cells)
            continue
        if len(cells) > width and any(cell.strip() for cell in cells[width:]):
            raise ContractError(
                f"Line {line} has {len(cells)} cells, but there are {width} columns."
            )
        yield _Row(line, cells, columns)


def _add(batch: _Batch, row: _Row) -> None:
    kind = _key(row.text("Type"))
    moment = row.moment()
    if moment and (batch.last_at is None or moment > batch.last_at):
        batch.last_at = moment
    net = row.money("Net Credit (NC)") - row.money("Net Debit (NC)")
    reference = row.text("Modification Merchant Reference", "Modification Reference")
    if kind == _PAYOUT:
        # Leaves the batch, arrives at the bank.
        batch.net -= net
        batch.paid_at = moment or batch.paid_at
        batch.bank_reference = batch.bank_reference or iso.line(
            row.text("Modification Reference", "Modification Merchant Reference")
        )
    elif kind == _TRANSFER and _is_closing(reference, net):
        batch.closing -= net
    elif kind == _TRANSFER:
        batch.opening += net
    else:
        batch.lines.append(_line(kind, net, moment, row))
    if len(batch.lines) > const.CSV_MAX_ROWS:
        raise ContractError("The report has too many rows.")


def _is_closing(reference: str, net: Decimal) -> bool:
    """Whether a balance goes to the next batch, instead of coming from the last."""
    text = reference.lower()
    if " to batch" in text:
        return True
    if " from batch" in text:
        return False
    return net < 0


def _line(kind: str, net: Decimal, moment: datetime | None, row: _Row) -> dict:
    known = KINDS.get(kind, _OTHER)
    charged = sum((row.money(name) for name in _FEES), Decimal(0))
    fee = -net if known == "fee" else charged
    payment = iso.identifier(row.text("Psp Reference"))
    modification = iso.identifier(row.text("Modification Reference"))
    values = {
        "kind": known,
        "line_ref": modification or payment,
        "provider_ref": payment
        if known in ("payment", "fee", "reserve")
        else modification or payment,
        "parent_ref": payment,
        "document_ref": iso.identifier(
            row.text("Merchant Reference", "Modification Merchant Reference")
        ),
        "occurred_at": utc_text(moment) if moment else None,
        "gross": iso.plain(net + fee),
        "fee": iso.plain(fee),
        "net": iso.plain(net),
        "description": _description(row, known),
    }
    return {name: value for name, value in values.items() if value is not None}


def _description(row: _Row, known: str) -> str | None:
    """Return what the line is for people: type, method, and what was paid in."""
    pieces: list[str | None] = [row.text("Type"), row.text("Payment Method")]
    currency, net_currency = row.text("Gross Currency"), row.text("Net Currency")
    if currency and currency != net_currency:
        gross = row.text("Gross Credit (GC)") or f"-{row.text('Gross Debit (GC)')}"
        pieces += [gross, currency, "@", row.text("Exchange Rate")]
    if known in ("fee", "reserve", _OTHER):
        pieces.append(row.text("Modification Reference"))
        pieces.append(row.text("Modification Merchant Reference"))
    return iso.words(pieces)


def _command(batch: _Batch) -> ParsedCommand:
    released = batch.paid_at or batch.last_at
    if released is None:
        raise ContractError(f"Batch {batch.number} has no row with a Creation Date.")
    data = {
        "payout_ref": _name(batch),
        "net": iso.plain(batch.net),
        "currency": batch.currency,
        "released_at": utc_text(released),
        "value_date": released.date().isoformat(),
        "opening": iso.plain(batch.opening),
        "closing": iso.plain(batch.closing),
        "lines": batch.lines,
        "bank_reference": batch.bank_reference,
        "description": f"Adyen settlement batch {batch.number}",
        "metadata": {"batch": batch.number, "merchant_account": batch.merchant},
    }
    data = {name: value for name, value in data.items() if value not in (None, "")}
    return ParsedCommand(
        type="payout.released",
        external_id=bounded_id(data["payout_ref"]),
        occurred_at=released.astimezone(timezone.utc),
        data=parse_command("payout.released", data).wire(),
    )


def _name(batch: _Batch) -> str:
    """Return what names a payout: a batch number is one merchant account's."""
    parts = [batch.merchant, batch.number, batch.currency]
    return bounded_id("/".join(part for part in parts if part))


def parse(
    headers: Mapping, body: bytes, options: Mapping[str, Any] | None = None
) -> list[ParsedCommand]:
    """Return one ``payout.released`` for each batch and currency of a report.

    :param options: there are none.
    :raises ContractError: ``D-SCHEMA``. Nothing else is raised, whatever arrives.
    """
    batches: dict[tuple[str, str, str], _Batch] = {}
    for row in _table(body):
        merchant = iso.identifier(row.text("Merchant Account", "Company Account")) or ""
        batch = iso.identifier(row.text("Batch Number"))
        currency = row.text("Net Currency").upper()
        if not batch or not currency:
            raise ContractError(
                f"Line {row.line} has no batch number or no net currency."
            )
        key = (merchant, batch, currency)
        if key not in batches:
            batches[key] = _Batch(*key)
        _add(batches[key], row)
    if not batches:
        raise ContractError("The report has no rows.")
    return [_command(batch) for batch in batches.values()]


def external_id(headers: Mapping, body: bytes) -> str:
    """Return the digest of the bytes: a report has no id. Never raises."""
    return digest_id(body)


ADAPTER = Adapter(
    name="adyen_settlement",
    title="Adyen settlement detail report (CSV)",
    parse=parse,
    external_id=external_id,
    max_bytes=const.FILE_MAX_BYTES,
)
