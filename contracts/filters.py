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
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from . import constants as const
from .base import ContractError
from .envelope import Envelope
from .filter_values import ORDERS, Test, negated, shown, value_test

# What a condition is made into: (data, attributes) -> whether it holds.
_Matcher = Callable[[dict, dict], bool]

LIKES = ("like", "ilike", "=like", "=ilike")
NEGATIONS = {
    "!=": "=",
    "not in": "in",
    "not like": "like",
    "not ilike": "ilike",
    "not =like": "=like",
    "not =ilike": "=ilike",
    "not any": "any",
}

#: Every operator a condition can have.
OPERATORS = ("=", "=?", *ORDERS, "in", *LIKES, "any", *NEGATIONS)

# How other languages spell some of them.
_MISTAKEN = {"==": "=", "=>": ">=", "=<": "<=", "<>": "!="}

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
                f"{shown(term)} is no condition. A condition is a field, an operator "
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
        positive = NEGATIONS.get(name, name)
        if positive == "any":
            if depth >= const.FILTER_MAX_DEPTH:
                raise _too_deep()
            inner = self.domain(value, f"{prefix}{path}.", depth + 1)
            return _any_element(steps, inner, positive != name)
        test = value_test(positive, value, f"{prefix}{path}")
        if positive != name:
            test = negated(test)
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


def _steps(path: Any) -> tuple[str, ...]:
    if not isinstance(path, str):
        raise ContractError(
            f"{shown(path)} is no field. Write its name in quotation marks."
        )
    steps = tuple(path.split("."))
    if len(steps) > const.FILTER_MAX_STEPS or not all(map(_STEP, steps)):
        raise ContractError(
            f"{shown(path)} is no field. Write names joined by dots, such as "
            "counterparty.country."
        )
    return steps


def _unknown_operator(name: Any) -> ContractError:
    name = shown(name)
    close = _MISTAKEN.get(name.strip("'"))
    if close is None:
        close = difflib.get_close_matches(name.strip("'").lower(), OPERATORS, 1, 0)[0]
    return ContractError(
        f"There is no operator {name}. Did you mean {close!r}? There are: "
        f"{', '.join(OPERATORS)}."
    )


# === FINDING VALUES === #


def _field(steps: tuple[str, ...], test: Test) -> _Matcher:
    if len(steps) == 1:
        (name,) = steps

        def match_field(data, _attributes):
            value = data.get(name)
            if isinstance(value, list):
                return any(map(test, value or (None,)))
            return test(value)

        return match_field
    return lambda data, _attributes: any(map(test, _values(data, steps)))


def _attribute(steps: tuple[str, ...], test: Test) -> _Matcher:
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
