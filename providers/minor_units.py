# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Amounts in the smallest unit of a currency, as most providers send them.

Source of the exponents: ISO 4217, list one (active codes). A provider that deviates
brings its own exceptions.
"""

from collections.abc import Mapping
from decimal import Decimal, localcontext
from typing import Any

from . import constants as const

#: Digits after the point which are not two.
_EXPONENTS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_TWO = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD "
    "BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUC CUP CVE CZK DKK DOP DZD "
    "EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HRK HTG HUF IDR ILS "
    "INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT "
    "MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR "
    "PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP STN SVC SYP "
    "SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER "
    "ZAR ZMW ZWG ZWL"
)

#: Digits after the point of every currency.
ISO_4217: dict[str, int] = {
    **dict.fromkeys(_TWO.split(), 2),
    **{code: digits for digits, codes in _EXPONENTS.items() for code in codes.split()},
}

#: Enough for any whole number that a body may hold.
_PRECISION = 80


def from_minor_units(
    value: Any, currency: str, exceptions: Mapping[str, int] | None = None
) -> str:
    """Return an amount in minor units as a decimal string: 1210 EUR is ``12.10``.

    :param value: a whole number; a text of digits will do, too.
    :param currency: ISO 4217 code in capital letters.
    :param exceptions: digits after the point where the provider deviates.
    :raises ValueError: when it is no whole number, or the currency is not known: a
        guess could be wrong by a factor of a hundred.
    """
    if isinstance(value, str) and len(value) <= const.AMOUNT_MAX_LENGTH:
        digits = value.removeprefix("-")
        value = int(value) if digits.isascii() and digits.isdigit() else value
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("A whole number in the currency's smallest unit is expected.")
    digits = (exceptions or {}).get(currency, ISO_4217.get(currency))
    if digits is None:
        raise ValueError(
            f"How many decimals {currency[:8]!r} has is not known, so the amount can't "
            "be read."
        )
    with localcontext() as context:
        context.prec = _PRECISION
        return format(Decimal(value).scaleb(-digits), "f")


def currency_code(value: Any) -> str:
    """Return a currency code in capital letters; some providers send small ones.

    :raises ValueError: when it is no code.
    """
    if not isinstance(value, str) or len(value) != 3 or not value.isascii():
        raise ValueError("A currency code of three letters is expected.")
    return value.upper()
