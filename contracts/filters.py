# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Filters: which events of its types a subscription takes, as an Odoo domain.

``[("total_amount", ">", 1000), ("counterparty.country", "in", ["BE", "NL"])]``

The fields are those of the event's data, by their names on the wire. A path leads
through objects and lists by dots; through a list it means *any element*, so
``("lines.account_code", "=", "400000")`` takes a document with such a line. Attributes
of the envelope stand below ``event``: ``event.type``, ``event.actor``, ``event.time``.

Conditions are joined by and, unless ``"|"`` or ``"!"`` stand before them, as in every
Odoo domain. ``any`` and ``not any`` take a domain of their own, for several conditions
on one and the same element: ``("lines", "any", [("account_code", "=", "400000"),
("amount", ">", 500)])``.

How values are compared: decimal strings as decimals, to numbers and to decimal
strings; dates as dates, a time with a date by its day in UTC; all else as text.
``False`` stands for what is absent or empty. An ordering or ``like`` is never true of
what is absent; ``!=``, ``not in`` and ``not like`` are.
"""

import ast
import difflib
import operator
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from functools import lru_cache
from typing import Any

from . import constants as const
from .base import ContractError
from .envelope import Envelope
from .events import event_type
from .fields import (
    AMOUNT,
    BOOLEAN,
    CHOICE,
    DATE,
    INTEGER,
    MAPPING,
    OBJECT,
    TIME,
    Field,
    model_fields,
)

# What a condition is made into: (data, attributes) -> whether it holds.
_Matcher = Callable[[dict, dict], bool]
# What a value is tried by.
_Test = Callable[[Any], bool]

_ORDERS = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_LIKES = ("like", "ilike", "=like", "=ilike")
_NEGATIONS = {
    "!=": "=",
    "not in": "in",
    "not like": "like",
    "not ilike": "ilike",
    "not =like": "=like",
    "not =ilike": "=ilike",
    "not any": "any",
}

#: Every operator a condition can have.
OPERATORS = ("=", "=?", *_ORDERS, "in", *_LIKES, "any", *_NEGATIONS)

# How other languages spell some of them.
_MISTAKEN = {"==": "=", "=>": ">=", "=<": "<=", "<>": "!="}

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?").fullmatch
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch
_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]+))?Z?"
).fullmatch
_STEP = re.compile(r"[^\s.\"'\[\]]+").fullmatch

_ATTRIBUTES = tuple(name for name in Envelope.model_fields if name != "data")


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a filter, for those who check or show it.

    :ivar path: ``lines.account_code``.
    :ivar operator: one of :data:`OPERATORS`.
    :ivar value: what it compares with.
    """

    path: str
    operator: str
    value: Any


class Filter:
    """A compiled filter.

    :ivar text: what it was compiled from.
    :ivar conditions: all of them, for a check against the fields that exist.
    """

    __slots__ = ("_match", "conditions", "text")

    def __init__(self, text: str, conditions: Sequence[Condition], match: _Matcher):
        self.text = text
        self.conditions = tuple(conditions)
        self._match = match

    def __repr__(self) -> str:
        return f"Filter({self.text!r})"

    def matches(self, data: dict[str, Any], attributes: dict[str, Any]) -> bool:
        """Whether an event is taken.

        Never raises, whatever the data: a value of another kind does not match.

        :param data: the event's data as it goes on the wire.
        :param attributes: attributes of its envelope, for paths below ``event``.
        """
        return self._match(data, attributes)


def compile_filter(text: str) -> Filter:
    """Return a filter out of a domain's text; an empty one takes everything.

    :raises ContractError: ``D-SCHEMA``, saying what is wrong with it.
    """
    if not isinstance(text, str):
        raise ContractError("A filter is a text, such as [('total_amount', '>', 100)].")
    if len(text) > const.FILTER_MAX_LENGTH:
        raise ContractError(
            f"The filter is longer than {const.FILTER_MAX_LENGTH} characters."
        )
    return _compiled(text)


@lru_cache(maxsize=const.FILTER_CACHE_SIZE)
def _compiled(text: str) -> Filter:
    domain = _literal(text) if text.strip() else []
    conditions: list[Condition] = []
    match = _Compiler(conditions).domain(domain, "", 1)
    return Filter(text, conditions, match)


def _literal(text: str) -> Any:
    try:
        with warnings.catch_warnings():
            # Odd spellings are no more than that.
            warnings.simplefilter("ignore")
            return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise ContractError(
            "The filter is not a domain. Write a list of conditions, such as "
            "[('total_amount', '>', 100)], with plain values only."
        ) from None


# === COMPILING === #


class _Compiler:
    def __init__(self, conditions: list[Condition]):
        self.conditions = conditions

    def domain(self, terms: Any, prefix: str, depth: int) -> _Matcher:
        """Return what a list of conditions and operators means.

        :param prefix: path of the element which an ``any`` around it looks at, with
            its dot.
        """
        if not isinstance(terms, list | tuple):
            raise ContractError("A filter is a list of conditions in square brackets.")
        # From the right, each prefix operator finds its operands on the stack.
        stack: list[tuple[str, list, int]] = []
        for term in reversed(terms):
            if term in ("&", "|", "!") and isinstance(term, str):
                wanted = 1 if term == "!" else 2
                if len(stack) < wanted:
                    raise ContractError(
                        f"After {term!r} there should be {wanted} more "
                        f"condition{'s' if wanted > 1 else ''} in the filter."
                    )
                operands = [stack.pop() for _index in range(wanted)]
                stack.append(self._join(term, operands, depth))
            else:
                stack.append(("", [self._condition(term, prefix, depth)], 0))
        whole = self._join("&", stack[::-1], depth)
        return _matcher(whole)

    def _join(self, term: str, operands: list, depth: int) -> tuple[str, list, int]:
        # A chain of the same operator is one level, however long it is.
        parts: list[_Matcher] = []
        level = 0
        for operand in operands:
            kind, matchers, below = operand
            if kind in (term, "") and term != "!":
                parts += matchers
                level = max(level, below)
            else:
                parts.append(_matcher(operand))
                level = max(level, below + 1)
        if depth + level > const.FILTER_MAX_DEPTH:
            raise _too_deep()
        return term, parts, level

    def _condition(self, term: Any, prefix: str, depth: int) -> _Matcher:
        if not isinstance(term, list | tuple) or len(term) != 3:
            raise ContractError(
                f"{_shown(term)} is no condition. A condition is a field, an operator "
                "and a value, such as ('total_amount', '>', 100)."
            )
        path, name, value = term
        if path in (0, 1) and name == "=" and value == 1 and not isinstance(path, str):
            # What Odoo writes for "always" and "never".
            return (lambda _d, _a: True) if path else (lambda _d, _a: False)
        steps = _steps(path)
        if not isinstance(name, str) or name not in OPERATORS:
            raise _unknown_operator(name)
        if len(self.conditions) >= const.FILTER_MAX_CONDITIONS:
            raise ContractError(
                f"The filter has more than {const.FILTER_MAX_CONDITIONS} conditions."
            )
        self.conditions.append(Condition(prefix + path, name, value))
        positive = _NEGATIONS.get(name, name)
        if positive == "any":
            if depth >= const.FILTER_MAX_DEPTH:
                raise _too_deep()
            inner = self.domain(value, f"{prefix}{path}.", depth + 1)
            return _any_element(steps, inner, positive != name)
        test = _test(positive, value, f"{prefix}{path}")
        if positive != name:
            test = _negated(test)
        if steps[0] == const.FILTER_ATTRIBUTES and not prefix:
            return _attribute(steps, test)
        return _field(steps, test)


def _matcher(operand: tuple[str, list, int]) -> _Matcher:
    kind, parts, _level = operand
    if kind == "!":
        (part,) = parts
        return lambda data, attributes: not part(data, attributes)
    if len(parts) == 1:
        return parts[0]
    if kind == "|":
        return lambda data, attributes: any(part(data, attributes) for part in parts)
    return lambda data, attributes: all(part(data, attributes) for part in parts)


def _too_deep() -> ContractError:
    return ContractError(
        f"The filter is nested deeper than {const.FILTER_MAX_DEPTH} levels."
    )


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:
        # Python does not print whole numbers of thousands of digits.
        return "that value"
    return text if len(text) <= 60 else text[:59] + "…"


def _steps(path: Any) -> tuple[str, ...]:
    if not isinstance(path, str):
        raise ContractError(
            f"{_shown(path)} is no field. Write its name in quotation marks."
        )
    steps = tuple(path.split("."))
    if len(steps) > const.FILTER_MAX_STEPS or not all(map(_STEP, steps)):
        raise ContractError(
            f"{_shown(path)} is no field. Write names joined by dots, such as "
            "counterparty.country."
        )
    return steps


def _unknown_operator(name: Any) -> ContractError:
    name = _shown(name)
    close = _MISTAKEN.get(name.strip("'"))
    if close is None:
        close = difflib.get_close_matches(name.strip("'").lower(), OPERATORS, 1, 0)[0]
    return ContractError(
        f"There is no operator {name}. Did you mean {close!r}? There are: "
        f"{', '.join(OPERATORS)}."
    )


# === FINDING VALUES === #


def _field(steps: tuple[str, ...], test: _Test) -> _Matcher:
    if len(steps) == 1:
        (name,) = steps

        def match_field(data, _attributes):
            value = data.get(name)
            if isinstance(value, list):
                return any(map(test, value or (None,)))
            return test(value)

        return match_field
    return lambda data, _attributes: any(map(test, _values(data, steps)))


def _attribute(steps: tuple[str, ...], test: _Test) -> _Matcher:
    if len(steps) != 2 or steps[1] not in _ATTRIBUTES:
        close = difflib.get_close_matches(steps[-1], _ATTRIBUTES, 1, 0)
        raise ContractError(
            f"The envelope has no attribute {'.'.join(steps[1:])!r}. Did you mean "
            f"event.{close[0]}? There are: {', '.join(_ATTRIBUTES)}."
        )
    name = steps[1]
    return lambda _data, attributes: test(_attribute_text(attributes.get(name)))


def _attribute_text(value: Any) -> Any:
    if isinstance(value, datetime):
        if value.tzinfo:
            value = value.astimezone(timezone.utc).replace(tzinfo=None)
        return f"{value.isoformat()}Z"
    return value


def _values(data: Any, steps: Iterable[str]) -> list[Any]:
    """Return the values at a path, one for each element of the lists on its way."""
    found = [data]
    for step in steps:
        found = [
            value
            for item in found
            for value in (
                # An element of a list that is the last step is a value itself.
                item if isinstance(item, list) else (item,)
            )
        ]
        found = [item.get(step) if isinstance(item, dict) else None for item in found]
    return [
        value
        for item in found
        for value in ((item or (None,)) if isinstance(item, list) else (item,))
    ]


def _any_element(steps: tuple[str, ...], inner: _Matcher, negated: bool) -> _Matcher:
    def match(data, attributes):
        return negated != any(
            inner(item, attributes)
            for item in _values(data, steps)
            if isinstance(item, dict)
        )

    return match


# === COMPARING === #


def _number(value: Any) -> Decimal | None:
    if isinstance(value, str):
        return Decimal(value) if _NUMBER(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return Decimal(value) if isinstance(value, int) else Decimal(repr(value))


def _moment(value: Any) -> datetime | None:
    """Return a time in UTC out of a text; a date is its midnight."""
    if not isinstance(value, str):
        return None
    if _DAY(value):
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


def _day(value: Any) -> str | None:
    """Return the day of a date or time, both of which begin with it."""
    if not isinstance(value, str) or not (_DAY(value) or _MOMENT(value)):
        return None
    return value[:10]


def _is_empty(value: Any) -> bool:
    return value is None or value is False or value == ""


def _test(name: str, value: Any, path: str) -> _Test:
    if name == "=?":
        if value is None or value is False:
            return lambda _found: True
        name = "="
    if name == "in":
        return _in(value, path)
    value = _plain(value, path)
    if name == "=":
        return _equal(value)
    if name in _ORDERS:
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
        f"{path} can't be compared with {_shown(value)}. Write a text, a number, True "
        "or False; lists only after in and not in."
    )


def _negated(test: _Test) -> _Test:
    return lambda found: not test(found)


def _equal(value: Any) -> _Test:
    if value is None or value is False:
        return _is_empty
    if value is True:
        return lambda found: found is True
    number = _number(value)
    if number is not None:
        if isinstance(value, str):
            return lambda found: found == value or _number(found) == number
        return lambda found: _number(found) == number
    if _DAY(value):
        return lambda found: found == value or _day(found) == value
    moment = _moment(value)
    if moment is not None:
        return lambda found: found == value or _moment(found) == moment
    return lambda found: found == value


def _ordered(name: str, value: Any, path: str) -> _Test:
    order = _ORDERS[name]
    if value is None or isinstance(value, bool):
        raise ContractError(f"{path} can't be {name} {value}. Compare with a value.")
    number = _number(value)
    if number is not None:

        def by_number(found):
            left = _number(found)
            if left is not None:
                return order(left, number)
            return (
                isinstance(value, str)
                and isinstance(found, str)
                and order(found, value)
            )

        return by_number
    if _DAY(value):

        def by_day(found):
            left = _day(found)
            return left is not None and order(left, value)

        return by_day
    moment = _moment(value)
    if moment is not None:

        def by_moment(found):
            left = _moment(found)
            return left is not None and order(left, moment)

        return by_moment
    return lambda found: isinstance(found, str) and order(found, value)


def _in(values: Any, path: str) -> _Test:
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
        number for value in values if (number := _number(value)) is not None
    )
    # Dates, True and False: few, and compared as = does.
    others = [
        _equal(value)
        for value in values
        if not isinstance(value, str) and _number(value) is None
    ] + [_equal(value) for value in texts if _moment(value) is not None]

    def is_in(found):
        if isinstance(found, str) and found in texts:
            return True
        if numbers and _number(found) in numbers:
            return True
        return any(test(found) for test in others)

    return is_in


# === LIKE === #


def _like(name: str, value: Any, path: str) -> _Test:
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


# === CHECKING === #


def check_filter(filter: Filter, type_names: Iterable[str]) -> None:
    """Check that the fields of a filter exist and can be compared as they are.

    A field has to exist in one of the types at least; events of the others count as
    having it empty.

    :param type_names: full names of the types the filter is used for.
    :raises ContractError: ``D-SCHEMA``, naming the nearest field or value;
        ``D-VERSION`` for an unknown type.
    """
    known: dict[str, list[Field]] = {}
    for name in type_names:
        for field in model_fields(event_type(name).model):
            known.setdefault(field.path, []).append(field)
    if not known:
        return
    for condition in filter.conditions:
        if condition.path.split(".")[0] != const.FILTER_ATTRIBUTES:
            _check_condition(condition, known)


def _check_condition(condition: Condition, known: dict[str, list[Field]]) -> None:
    fields = known.get(condition.path)
    if fields is None:
        parent = condition.path
        while "." in parent:
            parent = parent.rpartition(".")[0]
            if any(field.kind == MAPPING for field in known.get(parent, ())):
                # The keys of a mapping are anybody's.
                return
        raise _unknown_field(condition.path, known)
    faults = [_fault(condition, field) for field in fields]
    if all(faults):
        raise ContractError(faults[0])


def _unknown_field(path: str, known: dict[str, Any]) -> ContractError:
    close = difflib.get_close_matches(path, known, const.SUGGESTIONS_MAX_COUNT, 0.5)
    last = path.rpartition(".")[2]
    # A field is often right, and only where it stands is not.
    close = list(
        dict.fromkeys(
            [*(name for name in known if name.split(".")[-1] == last), *close]
        )
    )[: const.SUGGESTIONS_MAX_COUNT]
    if close:
        hint = f"Did you mean {close[0]!r}?"
        if close[1:]:
            hint += f" Similar: {', '.join(close[1:])}."
    else:
        hint = f"There are: {', '.join(name for name in known if '.' not in name)}."
    return ContractError(f"The events have no field {path!r}. {hint}")


def _fault(condition: Condition, field: Field) -> str | None:
    """Return what is wrong with comparing a field so, ``None`` when nothing is."""
    name = _NEGATIONS.get(condition.operator, condition.operator)
    values = condition.value if name == "in" else [condition.value]
    if name == "any":
        if field.kind == OBJECT:
            return None
        return f"{field.path} has no fields of its own, so {name!r} can't be used."
    if field.kind in (OBJECT, MAPPING) and any(
        value not in (None, False) for value in values
    ):
        return (
            f"{field.path} is no single value. Write one of its fields, such as "
            f"'{field.path}.id', or compare it with False."
        )
    if name in _LIKES:
        return None
    for value in values:
        if value is None or isinstance(value, bool):
            continue
        fault = _value_fault(field, value)
        if fault:
            return f"{field.path} {fault}, not {_shown(value)}."
    return None


def _value_fault(field: Field, value: Any) -> str | None:
    if field.kind in (AMOUNT, INTEGER) and _number(value) is None:
        return "is a number; compare it with one, such as 100 or '99.95'"
    if field.kind == BOOLEAN:
        return "is yes or no; compare it with True or False"
    if field.kind in (DATE, TIME):
        if _is_day(value) or (field.kind == TIME and _moment(value) is not None):
            return None
        return f"is a {field.kind}; compare it with one, such as '2026-01-31'"
    if field.kind == CHOICE and value not in field.values:
        close = difflib.get_close_matches(str(value), field.values, 1, 0)
        return f"is one of {', '.join(field.values)} (nearest: {close[0]})"
    return None


def _is_day(value: Any) -> bool:
    if not isinstance(value, str) or not _DAY(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True
