# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The words every contract is written in: money, time, text, and refusing them.

On the wire money is a decimal string and never a float, a time is RFC 3339 in UTC
with ``Z``, a date is ISO 8601, an id is an opaque string.
"""

import re
from datetime import date, datetime, timezone
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation, localcontext
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import core_schema

from . import constants as const
from .docs import descriptions, summary

_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATETIME = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]"
    r"(?P<clock>[0-9]{2}:[0-9]{2}:[0-9]{2})"
    r"(?:\.(?P<fraction>[0-9]{1,12}))?"
    r"(?P<zone>[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
# C0, DEL and C1 control characters, line and paragraph separators. NUL among them
# cannot be stored by PostgreSQL at all.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_BUT_LINES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_SURROGATES = re.compile("[\ud800-\udfff]")


class ContractError(ValueError):
    """What arrived, or was asked for, does not fit a contract.

    :ivar code: a code of the exception taxonomy: ``D-SCHEMA`` or ``D-VERSION``.
    :ivar message: a sentence for a person, which says what to do.
    :ivar errors: ``[{"pointer": …, "message": …}]``, the pointer a JSON Pointer
        (RFC 6901) into what was sent. Values are not repeated: they may be personal.
    """

    def __init__(
        self,
        message: str,
        errors: list[dict[str, str]] | None = None,
        code: str = "D-SCHEMA",
    ):
        super().__init__(message)
        self.code = code
        self.message = message
        self.errors = list(errors or ())

    @property
    def summary(self) -> str:
        """The message alone, for a single line."""
        return self.message

    def describe(self) -> str:
        """Return the message and every fault on a line of its own."""
        faults = (
            f"{error['pointer'] or '(the whole)'}: {error['message']}"
            for error in self.errors
        )
        return "\n".join((self.message, *faults))


# === MONEY AND QUANTITIES === #


def _decimal(value: Any, digits: int, scale: int) -> Decimal:
    if isinstance(value, float):
        raise ValueError(
            'Numbers with a decimal point are not exact: send a string such as "12.34".'
        )
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError("The number has to be finite.")
        value = format(value, "f")
    elif isinstance(value, int) and not isinstance(value, bool):
        if abs(value) >= 10**digits:
            raise ValueError(f"The number has more than {digits} digits.")
        value = str(value)
    if not isinstance(value, str):
        raise ValueError('Send a decimal string such as "12.34".')
    if len(value) > digits + 2 or not _DECIMAL.fullmatch(value):
        raise ValueError(
            'Send a decimal string such as "12.34": digits and at most one point, no '
            f"blanks, separators or exponent, at most {digits} digits."
        )
    whole, _point, fraction = value.lstrip("-").partition(".")
    if len(fraction) > scale:
        raise ValueError(f"At most {scale} digits may follow the decimal point.")
    if len(whole) + len(fraction) > digits:
        raise ValueError(f"The number has more than {digits} digits.")
    number = Decimal(value)
    # "-0.00" means nothing that "0.00" does not.
    return number if number else abs(number)


class _Quickly:
    """Tries compiled code first; what that does not take, the validator looks at.

    Nearly all that the books send is plain, and every amount and date of an event
    comes through here while somebody waits for the posting.
    """

    def __init__(self, schema: core_schema.CoreSchema):
        self.schema = schema

    def __get_pydantic_core_schema__(self, source, handler):
        careful = handler(source)
        return core_schema.union_schema(
            [(self.schema, _QUICK), (careful, _CAREFUL)],
            mode="left_to_right",
            serialization=careful.get("serialization"),
        )

    def __get_pydantic_json_schema__(self, schema, handler):
        return handler(schema["choices"][1][0])


# The steps which pydantic adds to the place of a fault.
_QUICK, _CAREFUL = "[quick]", "[careful]"


def _plain_decimal(digits: int, scale: int) -> _Quickly:
    pattern = rf"^(?:0|[1-9][0-9]{{0,{digits - scale - 1}}})(?:\.[0-9]{{1,{scale}}})?$"
    return _Quickly(
        core_schema.chain_schema(
            [
                core_schema.str_schema(strict=True, pattern=pattern),
                core_schema.no_info_plain_validator_function(Decimal),
            ]
        )
    )


def _decimal_text(value: Decimal) -> str:
    return format(value, "f")


def _decimal_schema(scale: int, description: str) -> WithJsonSchema:
    return WithJsonSchema(
        {
            "type": "string",
            "pattern": rf"^-?(0|[1-9][0-9]*)(\.[0-9]{{1,{scale}}})?$",
            "description": description,
        }
    )


def _positive(value: Decimal) -> Decimal:
    if value <= 0:
        raise ValueError("The amount has to be greater than zero.")
    return value


#: A decimal amount in the currency named beside it; a string on the wire.
Money = Annotated[
    Decimal,
    BeforeValidator(
        lambda value: _decimal(value, const.MONEY_MAX_DIGITS, const.MONEY_MAX_SCALE)
    ),
    _plain_decimal(const.MONEY_MAX_DIGITS, const.MONEY_MAX_SCALE),
    _decimal_schema(const.MONEY_MAX_SCALE, "Decimal amount as a string."),
]

#: The same, greater than zero.
PositiveMoney = Annotated[Money, AfterValidator(_positive)]

#: A quantity, rate or percentage; a string on the wire.
Quantity = Annotated[
    Decimal,
    BeforeValidator(
        lambda value: _decimal(
            value, const.QUANTITY_MAX_DIGITS, const.QUANTITY_MAX_SCALE
        )
    ),
    PlainSerializer(_decimal_text, return_type=str),
    _plain_decimal(const.QUANTITY_MAX_DIGITS, const.QUANTITY_MAX_SCALE),
    _decimal_schema(const.QUANTITY_MAX_SCALE, "Decimal number as a string."),
]

CurrencyCode = Annotated[
    str, StringConstraints(strict=True, pattern=r"^[A-Z]{3}$", max_length=3)
]


# By digits after the point: below it a number has no more than 15 digits.
_PLAIN_BELOW = [10.0 ** (15 - scale) for scale in range(const.MONEY_MAX_SCALE + 1)]
# What repr() says of a float which is a quantity as it stands.
_PLAIN_QUANTITY = re.compile(
    rf"-?[0-9]{{1,15}}\.[0-9]{{1,{const.QUANTITY_MAX_SCALE}}}"
).fullmatch


def _exact(value: float | int | str | Decimal) -> Decimal:
    # repr() is the shortest text which is this float: 0.1 stays 0.1.
    number = Decimal(repr(value) if isinstance(value, float) else value)
    if not number.is_finite():
        raise ValueError("The number has to be finite.")
    return number


def money_string(value: float | int | str | Decimal, decimals: int = 2) -> str:
    """Return an amount out of the books as the contracts' decimal string.

    :param value: the amount; a float is read as the decimal it prints as.
    :param decimals: digits after the point, those of the currency; beyond six the
        amount is rounded to six, which is all the contracts can say.
    :raises ValueError: when it is no finite number or has too many digits.
    """
    decimals = min(max(decimals, 0), const.MONEY_MAX_SCALE)
    if type(value) is float and abs(value) < _PLAIN_BELOW[decimals]:
        # Adding zero turns -0.0 into 0.0.
        text = f"{value + 0.0:.{decimals}f}"
        # Nearly all amounts are rounded already. No two decimals of 15 digits are the
        # same float, so one that reads back as the amount is what it prints as.
        if float(text) == value:
            return text
    with localcontext() as context:
        context.prec = 2 * const.MONEY_MAX_DIGITS
        try:
            number = _exact(value).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
        except InvalidOperation:
            raise ValueError("The amount is no number, or far too large.") from None
    return _decimal_text(
        _decimal(number, const.MONEY_MAX_DIGITS, const.MONEY_MAX_SCALE)
    )


def quantity_string(value: float | int | str | Decimal) -> str:
    """Return a quantity, rate or percentage as the contracts' decimal string.

    Rounded to ten digits after the point, trailing zeros left out: ``"2"``, ``"0.5"``.

    :raises ValueError: when it is no finite number or has too many digits.
    """
    if type(value) is float:
        text = repr(value + 0.0)
        if _PLAIN_QUANTITY(text):
            return text.removesuffix(".0")
    with localcontext() as context:
        context.prec = 2 * const.QUANTITY_MAX_DIGITS
        try:
            number = _exact(value).quantize(
                Decimal(1).scaleb(-const.QUANTITY_MAX_SCALE), ROUND_HALF_UP
            )
        except InvalidOperation:
            raise ValueError("The quantity is no number, or far too large.") from None
    text = _decimal_text(number)
    text = text.rstrip("0").rstrip(".")
    return _decimal_text(
        _decimal(
            "0" if text in ("", "-0") else text,
            const.QUANTITY_MAX_DIGITS,
            const.QUANTITY_MAX_SCALE,
        )
    )


# === TIME === #


def _utc_datetime(value: Any) -> datetime:
    if isinstance(value, str):
        match = _DATETIME.fullmatch(value)
        if not match:
            raise ValueError(
                "Send a time with its zone as RFC 3339, such as 2026-01-31T09:30:00Z."
            )
        # Some systems send nanoseconds; what is finer than a microsecond is cut off.
        fraction = (match["fraction"] or "0")[:6].ljust(6, "0")
        zone = "+00:00" if match["zone"] in "Zz" else match["zone"]
        try:
            value = datetime.fromisoformat(
                f"{match['day']}T{match['clock']}.{fraction}{zone}"
            )
        except ValueError:
            raise ValueError("There is no such time; check day and hour.") from None
    if not isinstance(value, datetime):
        raise ValueError("Send a time as a string such as 2026-01-31T09:30:00Z.")
    if value.tzinfo is None:
        raise ValueError("The time has no zone. Add Z for UTC.")
    try:
        return value.astimezone(timezone.utc)
    except OverflowError:
        raise ValueError("There is no such time in UTC.") from None


def utc_text(value: datetime) -> str:
    """Return a timezone-aware time as RFC 3339 in UTC: ``2026-01-31T09:30:00Z``.

    :raises ValueError: when the time is naive.
    """
    if value.tzinfo is None:
        raise ValueError("The time has no zone.")
    return value.astimezone(timezone.utc).replace(tzinfo=None).isoformat() + "Z"


def _plain_date(value: Any) -> date:
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValueError("There is no such day.") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise ValueError("Send a date as a string such as 2026-01-31.")


#: A moment, always UTC. Strings need a zone; naive times are refused.
UtcDateTime = Annotated[
    datetime,
    BeforeValidator(_utc_datetime),
    PlainSerializer(utc_text, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]

#: A calendar day.
PlainDate = Annotated[
    date,
    BeforeValidator(_plain_date),
    _Quickly(
        core_schema.chain_schema(
            [
                core_schema.str_schema(strict=True, pattern=f"^{_DATE.pattern}$"),
                core_schema.date_schema(strict=False),
            ]
        )
    ),
    WithJsonSchema({"type": "string", "format": "date"}),
]


# === TEXT === #


def has_unstorable(text: str) -> bool:
    """Whether a text holds NUL or half a surrogate pair, which no database takes."""
    return "\x00" in text or (
        not text.isascii() and _SURROGATES.search(text) is not None
    )


def single_line(value: str) -> str:
    """Return a text of one line as it is; for use as a validator.

    :raises ValueError: when it holds line breaks or control characters.
    """
    if value.isprintable():
        return value
    if _CONTROL.search(value) or _SURROGATES.search(value):
        raise ValueError("Control characters and line breaks are not allowed here.")
    return value


def several_lines(value: str) -> str:
    """Return a text as it is; for use as a validator.

    :raises ValueError: when it holds control characters other than line breaks.
    """
    if _CONTROL_BUT_LINES.search(value.replace("\r\n", "\n")) or _SURROGATES.search(
        value
    ):
        raise ValueError("Control characters are not allowed here.")
    return value


def clip(value: Any, length: int, lines: bool = False) -> Any:
    """Return a text made fit to leave: no control characters, at most ``length``.

    Control characters become blanks, except line breaks and tabs when ``lines``; what
    is cut off is marked by ``…``. Anything but a text is returned as it is.
    """
    if not isinstance(value, str):
        return value
    if len(value) <= length and value.isprintable():
        return value
    if lines:
        value = value.replace("\r\n", "\n")
    value = (_CONTROL_BUT_LINES if lines else _CONTROL).sub(" ", value)
    value = _SURROGATES.sub("\ufffd", value)
    return value if len(value) <= length else value[: length - 1] + "…"


#: An id or reference that is compared: 1 to 256 characters, blanks around it cut off.
Identifier = Annotated[
    str,
    StringConstraints(
        strict=True,
        strip_whitespace=True,
        min_length=1,
        max_length=const.IDENTIFIER_MAX_LENGTH,
    ),
    AfterValidator(single_line),
]

#: One line of text from outside; refused when it is too long.
Text = Annotated[
    str,
    StringConstraints(
        strict=True,
        strip_whitespace=True,
        min_length=1,
        max_length=const.NAME_MAX_LENGTH,
    ),
    AfterValidator(single_line),
]

#: Several lines of text from outside; refused when they are too long.
LongText = Annotated[
    str,
    StringConstraints(strict=True, max_length=const.DESCRIPTION_MAX_LENGTH),
    AfterValidator(several_lines),
]


def _cleaner(length: int, lines: bool = False) -> BeforeValidator:
    def clean(value: Any) -> Any:
        return clip(value, length, lines)

    return BeforeValidator(clean)


# The constraint stands before the cleaning, which runs first all the same: so pydantic
# checks it in its own, compiled code.

#: One line of text that leaves: cleaned and cut rather than refused.
Label = Annotated[
    str,
    StringConstraints(strict=True, max_length=const.NAME_MAX_LENGTH),
    _cleaner(const.NAME_MAX_LENGTH),
]

#: Several lines of text that leave: cleaned and cut rather than refused.
Description = Annotated[
    str,
    StringConstraints(strict=True, max_length=const.DESCRIPTION_MAX_LENGTH),
    _cleaner(const.DESCRIPTION_MAX_LENGTH, lines=True),
]


class _OpenChoice:
    def __get_pydantic_json_schema__(self, schema, handler):
        return {**handler(schema), const.OPEN_CHOICE_KEYWORD: True}


#: Marks a choice to which values may be added without a new version of the contract;
#: its readers are told to let those pass which they do not know.
OPEN_CHOICE = _OpenChoice()


# === MODELS === #


class Contract(BaseModel):
    """Base of everything in the public language: immutable, nothing unknown."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,
        # Time, money and text types check for themselves; anything else is not
        # converted either: "1" is no number and 1 is no text.
        strict=True,
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema, handler):
        """Give every property its meaning, which stands in the docstring."""
        found = handler(schema)
        inner = handler.resolve_ref_schema(found)
        inner["description"] = summary(cls)
        meanings = descriptions(cls)
        for name, field in cls.model_fields.items():
            described = inner.get("properties", {}).get(field.alias or name)
            if described is not None and name in meanings:
                described["description"] = meanings[name]
        return found

    def wire(self) -> dict[str, Any]:
        """Return the JSON-able form: strings, numbers, lists; ``None`` left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


Model = TypeVar("Model", bound=BaseModel)


def pointer(parts: tuple[str | int, ...]) -> str:
    """Return a JSON Pointer (RFC 6901), ``/lines/0/amount``; ``""`` is the whole."""
    return "".join(
        "/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts
    )


def _plain_message(error: dict[str, Any]) -> str:
    kind = error["type"]
    if kind == "missing":
        return "This field is required."
    if kind == "extra_forbidden":
        return "This field is not known. Remove it or correct its name."
    if kind == "value_error":
        return error["msg"].removeprefix("Value error, ")
    return error["msg"]


def validate(
    model: type[Model], data: Any, what: str, at: tuple[str | int, ...] = ()
) -> Model:
    """Return ``data`` as an instance of ``model``.

    :param what: what is being read, for the message: ``"The envelope"``.
    :param at: where ``data`` stands in what was sent, for the pointers.
    :raises ContractError: ``D-SCHEMA``, with a pointer for every fault.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        faults = [
            fault
            for fault in error.errors(include_url=False, include_context=False)
            if fault["loc"][-1:] != (_QUICK,)
        ]
    errors = [
        {
            "pointer": pointer((*at, *_location(fault["loc"]))),
            "message": _plain_message(fault),
        }
        for fault in faults[: const.ERRORS_MAX_COUNT]
    ]
    count = "one fault" if len(faults) == 1 else f"{len(faults)} faults"
    raise ContractError(f"{what} does not fit its contract, {count}.", errors)


def _location(parts: tuple[str | int, ...]) -> tuple[str | int, ...]:
    if parts[-1:] == (_CAREFUL,):
        parts = parts[:-1]
    # pydantic names a faulty key of a mapping by a further "[key]" step.
    return tuple(part for part in parts if part != "[key]")
