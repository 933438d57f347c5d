# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""One transaction (``TxDtls``) of an ISO 20022 account statement."""

from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any

from ..contracts import ContractError
from . import constants as const
from . import iso20022 as iso
from .xml_reader import Element


@dataclass(slots=True)
class Detail:
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


def read_detail(element: Element) -> Detail:
    refs = element.find("Refs") or Element("Refs", {})
    parties = element.find("RltdPties") or Element("RltdPties", {})
    info = element.find("RmtInf")
    reasons = element.find("RtrInf")
    amounts = [
        money(found)
        for path in (
            ("Amt",),
            ("AmtDtls", "TxAmt", "Amt"),
            ("AmtDtls", "InstdAmt", "Amt"),
        )
        if (found := element.find(*path)) is not None
    ]
    instructed, rate = original_amount(element)
    return Detail(
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
        bank_code=bank_code(element.find("BkTxCd")),
        return_reason=iso.code(reasons.find("Rsn")) if reasons is not None else None,
        charges=charges_of(element),
    )


def _first_id(refs: Element, *names: str) -> str | None:
    return next(
        (found for name in names if (found := iso.identifier(refs.value(name)))), None
    )


def money(element: Element) -> tuple[Decimal, str | None] | None:
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


def original_amount(element: Element) -> tuple[tuple[Decimal, str | None] | None, Any]:
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
        best = best or (money(found) if found is not None else None)
    return best, rate


def _rate(exchange: Element) -> Decimal | None:
    found = exchange.find("XchgRate")
    if found is None:
        return None
    number = money(found)
    if not number or number[0] <= 0 or number[0] >= 10**12:
        return None
    with localcontext() as context:
        context.prec = const.DECIMAL_DIGITS
        return round(number[0], 10)


def charges_of(element: Element) -> Decimal:
    """Return what the bank kept of a payment, or booked beside it, without sign."""
    total = Decimal(0)
    records = element.all("Chrgs", "Rcrd") or element.all("Chrgs")
    for record in records:
        found = record.find("Amt")
        pair = money(found) if found is not None else None
        total += pair[0] if pair else Decimal(0)
    return total


def bank_code(element: Element | None) -> str | None:
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
