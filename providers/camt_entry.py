# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""One entry (``Ntry``) of an ISO 20022 account statement, with its transactions."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from ..contracts import ContractError
from . import iso20022 as iso
from .camt_detail import Detail, bank_code, charges_of, money, original_amount
from .xml_reader import Element


@dataclass(slots=True)
class Entry:
    """An entry with what has to wait for its statement: the account's currency."""

    number: int
    amount: Decimal
    currency: str | None
    direction: int
    values: dict[str, Any]
    details: list[Detail]
    collective: bool
    counter_value: tuple[Decimal, str | None] | None
    original: tuple[Decimal, str | None] | None
    rate: Decimal | None
    charges: Decimal
    further: str | None


def read_entry(element: Element, number: int, details: list[Detail], batches: int):
    what = f"Entry {number}"
    booked = iso.day(element.find("BookgDt"))
    valued = iso.day(element.find("ValDt"))
    found = element.find("Amt")
    original, rate = original_amount(element)
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
        "bank_code": bank_code(element.find("BkTxCd")) or (single and single.bank_code),
        "reversal": reversal,
    }
    return Entry(
        number=number,
        amount=iso.amount(found, what),
        currency=iso.currency(found),
        direction=iso.sign(element, what),
        values=values,
        details=details,
        collective=collective,
        counter_value=money(counter) if counter is not None else None,
        original=original,
        rate=rate,
        charges=charges_of(element),
        further=iso.words([one.text for one in element.all("AddtlNtryInf")]),
    )


def _amount_of(entry: Entry, currency: str) -> Decimal:
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


def _sides(detail: Detail, direction: int, returned: bool, own: str):
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


def finished(entry: Entry, currency: str, own: str, fallback: date) -> dict:
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


def _paid(entry: Entry, currency: str):
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


def _wording(detail: Detail, further: str | None) -> str | None:
    return detail.remittance or detail.further or further


def _parts(entry: Entry, signed: Decimal, currency: str, own: str) -> list[dict]:
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
