# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What the values of a filter are compared by: decimals, dates, texts, patterns."""

import operator
import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from . import constants as const
from .base import ContractError

# What a value is tried by.
Test = Callable[[Any], bool]

ORDERS = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?").fullmatch
is_date_text = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch
_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]+))?Z?"
).fullmatch


def shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:
        # Python does not print whole numbers of thousands of digits.
        return "that value"
    return text if len(text) <= 60 else text[:59] + "…"


# === COMPARING === #


def number_of(value: Any) -> Decimal | None:
    if isinstance(value, str):
        return Decimal(value) if _NUMBER(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return Decimal(value) if isinstance(value, int) else Decimal(repr(value))


def moment_of(value: Any) -> datetime | None:
    """Return a time in UTC out of a text; a date is its midnight."""
    if not isinstance(value, str):
        return None
    if is_date_text(value):
        value += "T00:00:00Z"
    found = _MOMENT(value)
    if not found:
        return None
    day, clock, fraction = found.groups()
    try:
        return datetime.fromisoformat(
            f"{day}T{clock}.{(fraction or '0')[:6].ljust(6, '0')}"
        )
    except ValueError:
        return None


def day_of(value: Any) -> str | None:
    """Return the day of a date or time, both of which begin with it."""
    if not isinstance(value, str) or not (is_date_text(value) or _MOMENT(value)):
        return None
    return value[:10]


def _is_empty(value: Any) -> bool:
    return value is None or value is False or value == ""


def value_test(name: str, value: Any, path: str) -> Test:
    if name == "=?":
        if value is None or value is False:
            return lambda _found: True
        name = "="
    if name == "in":
        return _in(value, path)
    value = _plain(value, path)
    if name == "=":
        return _equal(value)
    if name in ORDERS:
        return _ordered(name, value, path)
    return _like(name, value, path)


def _plain(value: Any, path: str) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int) and abs(value) < 10**const.NUMBER_MAX_LENGTH:
        return value
    if isinstance(value, float) and value == value and abs(value) != float("inf"):
        return value
    raise ContractError(
        f"{path} can't be compared with {shown(value)}. Write a text, a number, True "
        "or False; lists only after in and not in."
    )


def negated(test: Test) -> Test:
    return lambda found: not test(found)


def _equal(value: Any) -> Test:
    if value is None or value is False:
        return _is_empty
    if value is True:
        return lambda found: found is True
    number = number_of(value)
    if number is not None:
        if isinstance(value, str):
            return lambda found: found == value or number_of(found) == number
        return lambda found: number_of(found) == number
    if is_date_text(value):
        return lambda found: found == value or day_of(found) == value
    moment = moment_of(value)
    if moment is not None:
        return lambda found: found == value or moment_of(found) == moment
    return lambda found: found == value


def _ordered(name: str, value: Any, path: str) -> Test:
    order = ORDERS[name]
    if value is None or isinstance(value, bool):
        raise ContractError(f"{path} can't be {name} {value}. Compare with a value.")
    number = number_of(value)
    if number is not None:

        def by_number(found):
            left = number_of(found)
            if left is not None:
                return order(left, number)
            return (
                isinstance(value, str)
                and isinstance(found, str)
                and order(found, value)
            )

        return by_number
    if is_date_text(value):

        def by_day(found):
            left = day_of(found)
            return left is not None and order(left, value)

        return by_day
    moment = moment_of(value)
    if moment is not None:

        def by_moment(found):
            left = moment_of(found)
            return left is not None and order(left, moment)

        return by_moment
    return lambda found: isinstance(found, str) and order(found, value)


def _in(values: Any, path: str) -> Test:
    if not isinstance(values, list | tuple):
        raise ContractError(
            f"After {path} in there should be a list, such as ['EUR', 'USD']."
        )
    if len(values) > const.FILTER_MAX_VALUES:
        raise ContractError(
            f"A list of the filter has more than {const.FILTER_MAX_VALUES} values."
        )
    values = [_plain(value, path) for value in values]
    texts = frozenset(value for value in values if isinstance(value, str))
    numbers = frozenset(
        number for value in values if (number := number_of(value)) is not None
    )
    # Dates, True and False: few, and compared as = does.
    others = [
        _equal(value)
        for value in values
        if not isinstance(value, str) and number_of(value) is None
    ] + [_equal(value) for value in texts if moment_of(value) is not None]

    def is_in(found):
        if isinstance(found, str) and found in texts:
            return True
        if numbers and number_of(found) in numbers:
            return True
        return any(test(found) for test in others)

    return is_in


# === LIKE === #


def _like(name: str, value: Any, path: str) -> Test:
    if not isinstance(value, str):
        raise ContractError(f"After {path} {name} there should be a text.")
    if not name.startswith("="):
        if not value:
            return lambda _found: True
        value = f"%{value}%"
    folded = name.endswith("ilike")
    pieces = _pieces(value.casefold() if folded else value)

    def like(found):
        if isinstance(found, bool) or not isinstance(found, str | int | float):
            return False
        text = str(found)
        return _fits(pieces, text.casefold() if folded else text)

    return like


def _pieces(pattern: str) -> list[tuple[str, Callable | None]]:
    r"""Return what stands between the % of an SQL pattern: (text, search).

    ``_`` stands for one character, ``\`` takes the next one as it is. ``search`` is
    for pieces with ``_``. There is no repetition in any of these expressions, so no
    pattern takes longer than its length times that of the text.
    """
    pieces: list[tuple[str, Callable | None]] = []
    text, regex, wild = "", "", False
    characters = iter(pattern)
    for character in characters:
        if character == "%":
            pieces.append((text, re.compile(regex, re.DOTALL) if wild else None))
            text, regex, wild = "", "", False
            continue
        if character == "_":
            wild = True
            text += character
            regex += "."
            continue
        literal = next(characters, "\\") if character == "\\" else character
        text += literal
        regex += re.escape(literal)
    pieces.append((text, re.compile(regex, re.DOTALL) if wild else None))
    return pieces


def _fits(pieces: list, text: str) -> bool:
    if len(pieces) == 1:
        return len(text) == len(pieces[0][0]) and _at(pieces[0], text, 0)
    first, *middle, last = pieces
    if not _at(first, text, 0):
        return False
    end = len(text) - len(last[0])
    place = len(first[0])
    if end < place or not _at(last, text, end):
        return False
    for piece in middle:
        # The leftmost place leaves the most room for what follows.
        place = _find(piece, text, place, end)
        if place < 0:
            return False
        place += len(piece[0])
    return True


def _at(piece: tuple, text: str, place: int) -> bool:
    wanted, pattern = piece
    if pattern is None:
        return text.startswith(wanted, place)
    return pattern.match(text, place) is not None


def _find(piece: tuple, text: str, start: int, end: int) -> int:
    wanted, pattern = piece
    if pattern is None:
        return text.find(wanted, start, end)
    found = pattern.search(text, start, end)
    return found.start() if found else -1
