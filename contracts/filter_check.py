# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Whether the fields of a filter exist, and can be compared as they are."""

import difflib
from collections.abc import Iterable
from datetime import date
from typing import Any

from . import constants as const
from .base import ContractError
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
from .filter_values import is_date_text, moment_of, number_of, shown
from .filters import LIKES, NEGATIONS, Condition, Filter


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
    name = NEGATIONS.get(condition.operator, condition.operator)
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
    if name in LIKES:
        return None
    for value in values:
        if value is None or isinstance(value, bool):
            continue
        fault = _value_fault(field, value)
        if fault:
            return f"{field.path} {fault}, not {shown(value)}."
    return None


def _value_fault(field: Field, value: Any) -> str | None:
    if field.kind in (AMOUNT, INTEGER) and number_of(value) is None:
        return "is a number; compare it with one, such as 100 or '99.95'"
    if field.kind == BOOLEAN:
        return "is yes or no; compare it with True or False"
    if field.kind in (DATE, TIME):
        if _is_day(value) or (field.kind == TIME and moment_of(value) is not None):
            return None
        return f"is a {field.kind}; compare it with one, such as '2026-01-31'"
    if field.kind == CHOICE and value not in field.values:
        close = difflib.get_close_matches(str(value), field.values, 1, 0)
        return f"is one of {', '.join(field.values)} (nearest: {close[0]})"
    return None


def _is_day(value: Any) -> bool:
    if not isinstance(value, str) or not is_date_text(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True
