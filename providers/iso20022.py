# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the messages of ISO 20022 have in common: times, amounts, parties, words.

Read leniently where banks differ and nothing is lost by it, strictly where money is.
"""

import re
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from ..contracts import Contract, ContractError, clip
from . import constants as const
from .xml_reader import Element

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_DATETIME = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ](?P<clock>[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:\.(?P<fraction>[0-9]+))?)?"
    r"(?P<zone>Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_CURRENCY = re.compile(r"[A-Z]{3}")
#: What banks write where nothing was said.
_NOTHING = frozenset(
    {
        "",
        "NOTPROVIDED",
        "NOT PROVIDED",
        "NOTAVAILABLE",
        "NONREF",
        "NOREF",
        "NA",
        "N/A",
        "NULL",
    }
)
_ID_LENGTH = 256
_NAME_LENGTH = 512
_TEXT_LENGTH = 4000


class BankOptions(Contract):
    """Settings of one bank's files.

    :ivar timezone: in which the bank's times without a zone are, as in the time zone
        database: ``Europe/Amsterdam``.
    """

    timezone: str = Field(default="UTC", max_length=64)

    @field_validator("timezone")
    @classmethod
    def _check_timezone(cls, value: str) -> str:
        zone(value)
        return value


def zone(name: str) -> ZoneInfo:
    """Return a time zone by its name.

    :raises ValueError: when there is none of that name
    """
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise ValueError(
            f"There is no time zone {name[:64]!r}; write it like Europe/Amsterdam."
        ) from None


# === MONEY === #


def amount(element: Element | None, what: str) -> Decimal:
    """Return the number of an amount element.

    :param what: which amount, for the message.
    :raises ContractError: when it is missing or no number.
    """
    text = element.text if element is not None else ""
    if not text:
        raise ContractError(f"{what} has no amount.")
    if len(text) > const.NUMBER_MAX_LENGTH or not _NUMBER.fullmatch(text):
        raise ContractError(f"{what} has an amount that is no decimal number.")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ContractError(
            f"{what} has an amount that is no decimal number."
        ) from None


def plain(number: Decimal) -> str:
    """Return a number as the contracts' decimal string: no needless digits."""
    text = format(number, "f")
    whole, point, fraction = text.partition(".")
    if point:
        fraction = fraction.rstrip("0").ljust(2, "0")
        text = f"{whole}.{fraction}"
    return text.removeprefix("-") if not number else text


def currency(element: Element | None) -> str | None:
    """Return the currency that stands at an amount, if it is one."""
    if element is None:
        return None
    code = element.attributes.get("Ccy", "").strip().upper()
    return code if _CURRENCY.fullmatch(code) else None


def sign(element: Element, what: str, default: int | None = None) -> int:
    """Return 1 for a credit and -1 for a debit.

    :param default: what stands in when nothing is said.
    :raises ContractError: when it is neither.
    """
    code = (element.value("CdtDbtInd") or "").upper()
    if code in ("CRDT", "C", "CR"):
        return 1
    if code in ("DBIT", "D", "DR"):
        return -1
    if not code and default is not None:
        return default
    raise ContractError(f"{what} does not say CRDT or DBIT (CdtDbtInd).")


# === TIME === #


def day(element: Element | None) -> date | None:
    """Return the day of a choice of ``Dt`` and ``DtTm``, as it stands at the bank."""
    if element is None:
        return None
    text = element.value("Dt") or element.value("DtTm") or element.text
    return day_of(text)


def day_of(text: str | None) -> date | None:
    """Return the calendar day that a date or time begins with, None for nothing."""
    if not text:
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def moment(text: str | None, where: ZoneInfo) -> datetime | None:
    """Return a time in UTC; one without a zone is taken as ``where``'s."""
    match = _DATETIME.fullmatch(text or "")
    if not match:
        return None
    try:
        found = datetime.fromisoformat(
            f"{match['day']}T{match['clock'] or '00:00:00'}"
        ).replace(microsecond=int((match["fraction"] or "0")[:6].ljust(6, "0")))
        offset = match["zone"]
        if not offset:
            found = found.replace(tzinfo=where)
        elif offset == "Z":
            found = found.replace(tzinfo=timezone.utc)
        else:
            digits = offset[1:].replace(":", "")
            shift = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
            found = found.replace(
                tzinfo=timezone(-shift if offset[0] == "-" else shift)
            )
        return found.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None


def end_of(day_: date, where: ZoneInfo) -> datetime:
    """Return the last second of a day at the bank, in UTC.

    :raises ContractError: when there is no such time
    """
    try:
        return datetime.combine(day_, time(23, 59, 59), where).astimezone(timezone.utc)
    except OverflowError:
        raise ContractError("A date is out of range.") from None


# === WORDS === #


def identifier(text: str | None) -> str | None:
    """Return an id fit for the contracts, None for what only says there is none."""
    if not text:
        return None
    text = " ".join(clip(text, 4 * _ID_LENGTH).split())
    return None if text.upper() in _NOTHING else clip(text, _ID_LENGTH)


def line(text: str | None) -> str | None:
    """Return a name fit for the contracts, if there is one."""
    text = " ".join(clip(text or "", 4 * _NAME_LENGTH).split())
    return clip(text, _NAME_LENGTH) or None


def words(pieces: list[str | None]) -> str | None:
    """Return texts in one line, each once, if there are any."""
    seen: dict[str, None] = {}
    for piece in pieces:
        cleaned = " ".join(clip(piece or "", _TEXT_LENGTH).split())
        if cleaned and cleaned.upper() not in _NOTHING:
            seen.setdefault(cleaned)
    return clip(" ".join(seen), _TEXT_LENGTH) or None


def code(element: Element | None) -> str | None:
    """Return the code of a choice of ``Cd`` and ``Prtry``, or the text itself."""
    if element is None:
        return None
    return identifier(
        element.value("Cd")
        or element.value("Prtry")
        or element.value("Prtry", "Cd")
        or element.value("Prtry", "Id")
        or element.text
    )


def remittance(element: Element | None) -> list[str | None]:
    """Return what the payer wrote, structured references first.

    :param element: ``RmtInf``
    """
    if element is None:
        return []
    structured = element.all("Strd")
    pieces: list[str | None] = []
    for one in structured:
        pieces += [found.text for found in one.all("CdtrRefInf", "Ref")]
        # The first version had it without a wrapping element.
        pieces += [found.text for found in one.all("CdtrRefInf", "CdtrRef")]
    for one in structured:
        pieces += [found.text for found in one.all("RfrdDocInf", "Nb")]
        pieces += [found.text for found in one.all("RfrdDocInf", "RfrdDocNb")]
    pieces += [found.text for found in element.all("Ustrd")]
    for one in structured:
        pieces += [found.text for found in one.all("AddtlRmtInf")]
    return pieces


def account_number(element: Element | None) -> str | None:
    """Return IBAN or number of an account element."""
    if element is None:
        return None
    return identifier(
        element.value("Id", "IBAN")
        or element.value("Id", "Othr", "Id")
        or element.value("Id", "BBAN")
        or element.value("Id", "UPIC")
        or element.value("Id", "PrtryAcct", "Id")
        or element.value("Prxy", "Id")
    )


def same_account(one: str | None, other: str | None) -> bool:
    """Whether two numbers are one account's, however they are spelled."""
    if not one or not other:
        return False
    return _bare(one) == _bare(other)


def _bare(number: str) -> str:
    return "".join(filter(str.isalnum, number)).upper()


def party_name(element: Element | None) -> str | None:
    """Return the name of a party, in the form of any version."""
    if element is None:
        return None
    return line(
        element.value("Nm")
        or element.value("Pty", "Nm")
        or element.value("Agt", "FinInstnId", "Nm")
    )
