# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The fields of a contract, as a person reads them: path, kind, class, meaning."""

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel

from .classification import alias, field_class
from .docs import descriptions

AMOUNT = "decimal"
DATE = "date"
TIME = "date-time"
TEXT = "text"
INTEGER = "integer"
BOOLEAN = "boolean"
CHOICE = "choice"
OBJECT = "object"
MAPPING = "mapping"

_KINDS = {
    Decimal: AMOUNT,
    date: DATE,
    datetime: TIME,
    str: TEXT,
    int: INTEGER,
    bool: BOOLEAN,
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a contract.

    :ivar path: names on the wire joined by dots, through lists, too:
        ``lines.unit_price``.
    :ivar kind: ``decimal``, ``date``, ``date-time``, ``text``, ``integer``,
        ``boolean``, ``choice``, ``object`` or ``mapping``.
    :ivar many: whether it is a list of that.
    :ivar required: whether it is in every event (within what it is part of).
    :ivar classification: ``internal``, ``confidential`` or ``personal``; what it is
        part of may have a higher one, which then counts.
    :ivar description: what it means, in plain words; may be empty.
    :ivar values: what a ``choice`` is one of.
    """

    path: str
    kind: str
    many: bool
    required: bool
    classification: str
    description: str
    values: tuple[str, ...] = ()


@cache
def model_fields(model: type[BaseModel]) -> tuple[Field, ...]:
    """Return all fields of a contract in their order, nested ones after their own."""
    return tuple(_walk(model, "", ()))


def _walk(model: type[BaseModel], prefix: str, within: tuple) -> Iterator[Field]:
    meanings = descriptions(model)
    for name, field in model.model_fields.items():
        kind, many, parts, values = _kind(field.annotation)
        path = prefix + alias(name, field)
        yield Field(
            path=path,
            kind=kind,
            many=many,
            required=field.is_required(),
            classification=field_class(field),
            description=field.description or meanings.get(name, ""),
            values=values,
        )
        for part in parts:
            # A model which contains itself is described once.
            if part not in within:
                yield from _walk(part, f"{path}.", (*within, part))


def _kind(annotation: Any) -> tuple[str, bool, list, tuple[str, ...]]:
    """Return (kind, whether many, models, choices) of a type."""
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = annotation.__origin__
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return CHOICE, False, [], tuple(str(part) for part in parts)
    if origin in (list, tuple, set, frozenset):
        kind, _many, models, values = _kind(parts[0])
        return kind, True, models, values
    if origin is dict:
        return MAPPING, False, [], ()
    if origin in (typing.Union, types.UnionType):
        found = [_kind(part) for part in parts if part is not type(None)]
        models = [model for entry in found for model in entry[2]]
        return (*found[0][:2], models, found[0][3])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return OBJECT, False, [annotation], ()
    return _KINDS.get(annotation, TEXT), False, [], ()
