# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How confidential each value of a payload is, and payloads without such values.

A field of a contract is marked where it is declared::

    name: Annotated[Label, PERSONAL]
    unit_price: Annotated[Quantity, CONFIDENTIAL] | None = None

Without a marker a value is internal: ids, dates, states, currencies and the amounts
without which an event says nothing. A marked field stays marked in every list and
model it stands in. The published JSON Schemas say it as ``x-classification``.
"""

import types
import typing
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Literal, Union

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from . import constants as const

INTERNAL = "internal"
#: Figures and codes which tell how a company does business.
CONFIDENTIAL_CLASS = "confidential"
#: What names or describes a person: names, tax ids, free texts, bank accounts.
PERSONAL_CLASS = "personal"
#: Not for a marker: an event type which is declared so as a whole.
RESTRICTED = "restricted"

#: The classes, each higher than the one before.
CLASSES = (INTERNAL, CONFIDENTIAL_CLASS, PERSONAL_CLASS, RESTRICTED)


class Classification:
    """A marker for ``Annotated``; it changes nothing but the JSON Schema.

    :ivar name: ``personal`` or ``confidential``.
    """

    __slots__ = ("name",)

    def __init__(self, name: str):
        self.name = name

    def __repr__(self) -> str:
        return self.name.upper()

    def __get_pydantic_json_schema__(self, core_schema, handler):
        schema = handler(core_schema)
        if "$ref" in schema:
            # Beside a reference, not inside of what it points at.
            return {**schema, const.CLASSIFICATION_KEYWORD: self.name}
        schema[const.CLASSIFICATION_KEYWORD] = self.name
        return schema


PERSONAL = Classification(PERSONAL_CLASS)
CONFIDENTIAL = Classification(CONFIDENTIAL_CLASS)


def highest(classes: typing.Iterable[str]) -> str:
    """Return the highest of classes, ``internal`` when there are none."""
    return max(classes, key=CLASSES.index, default=INTERNAL)


# === READING MODELS === #


def alias(name: str, field: FieldInfo) -> str:
    """Return the name of a field on the wire."""
    return field.serialization_alias or field.alias or name


def field_class(field: FieldInfo) -> str:
    """Return the class a field is marked with, ``internal`` without a marker."""
    return highest(
        marker.name for marker in (*_markers(field.annotation), *_own(field.metadata))
    )


def _own(metadata: typing.Iterable[Any]) -> Iterator[Classification]:
    return (item for item in metadata if isinstance(item, Classification))


def _markers(annotation: Any) -> Iterator[Classification]:
    """Yield the markers of a type, those of its parts included (lists, optionals)."""
    if typing.get_origin(annotation) is typing.Annotated:
        yield from _own(annotation.__metadata__)
        yield from _markers(annotation.__origin__)
    elif typing.get_origin(annotation) is not Literal:
        for part in typing.get_args(annotation):
            yield from _markers(part)


def _bare(annotation: Any) -> Any:
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = annotation.__origin__
    return annotation


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models a type is made of, at any depth of lists and optionals."""
    annotation = _bare(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif typing.get_origin(annotation) is not Literal:
        for part in typing.get_args(annotation):
            yield from models_in(part)


@cache
def model_classes(model: type[BaseModel]) -> frozenset[str]:
    """Return all classes of a model's fields, those of nested models included."""
    return frozenset(_model_classes(model, set()))


def _model_classes(model: type[BaseModel], seen: set) -> set[str]:
    if model in seen:
        return set()
    seen.add(model)
    found = set()
    for field in model.model_fields.values():
        found.add(field_class(field))
        for part in models_in(field.annotation):
            found |= _model_classes(part, seen)
    return found


# === MASKING === #

# What is done with a value: returns the new one.
_Change = Callable[[Any], Any]
_LEAVE_OUT = object()

# Tried in this order; the first which the field's own type accepts replaces a
# required value.
_REPLACEMENTS = (
    const.MASK_TEXT,
    const.MASK_CURRENCY,
    const.MASK_NUMBER,
    const.MASK_POSITIVE_NUMBER,
    const.MASK_DATE,
    const.MASK_TIME,
    0,
    1,
    False,
    [],
    {},
)


def mask_model(
    model: type[BaseModel], data: dict[str, Any], personal: bool, confidential: bool
) -> dict[str, Any]:
    """Return the data of a contract without its marked values.

    :param data: the wire form; it is not changed.
    """
    if not (personal or confidential) or not isinstance(data, dict):
        return data
    hidden = frozenset(
        name
        for name, wanted in (
            (PERSONAL_CLASS, personal),
            (CONFIDENTIAL_CLASS, confidential),
        )
        if wanted
    )
    return _apply(_plan(model, hidden), data)


def _apply(plan: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    masked = {}
    for name, value in data.items():
        change = plan.get(name)
        if change is None:
            masked[name] = value
        elif change is not _LEAVE_OUT:
            masked[name] = change(value)
    return masked


@cache
def _plan(model: type[BaseModel], hidden: frozenset[str]) -> dict[str, Any]:
    """Return {name on the wire: what is done with it} of the fields that change."""
    plan = {}
    for name, field in model.model_fields.items():
        change = _field_change(field, hidden)
        if change is not None:
            plan[alias(name, field)] = change
    return plan


def _field_change(field: FieldInfo, hidden: frozenset[str]) -> Any:
    if field_class(field) in hidden:
        if not field.is_required():
            return _LEAVE_OUT
        replacement = _replacement(field)
        return lambda _value: replacement
    return _type_change(field.annotation, hidden)


def _replacement(field: FieldInfo) -> Any:
    annotation = field.annotation
    for item in field.metadata:
        annotation = typing.Annotated[annotation, item]
    # Models bring their own configuration, and pydantic refuses a second one.
    config = None if list(models_in(annotation)) else ConfigDict(strict=True)
    adapter = TypeAdapter(annotation, config=config)
    for candidate in _REPLACEMENTS:
        try:
            adapter.validate_python(candidate)
        except ValidationError:
            continue
        return candidate
    raise TypeError(
        "A required field is marked, but nothing can stand in for its value: "
        f"{annotation}. Make it optional, or mark the fields inside of it."
    )


def _type_change(annotation: Any, hidden: frozenset[str]) -> _Change | None:
    """Return what is done with a value of a type, ``None`` when nothing."""
    annotation = _bare(annotation)
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not set(hidden) & model_classes(annotation):
            return None
        # Looked up at the time of use: a model may contain itself.
        return lambda value: _apply(_plan(annotation, hidden), value)
    if origin in (list, tuple, set, frozenset):
        change = _type_change(parts[0], hidden)
        return change and (lambda value: [change(item) for item in value])
    if origin is dict:
        change = _type_change(parts[1], hidden)
        return change and (
            lambda value: {key: change(item) for key, item in value.items()}
        )
    if origin in (Union, types.UnionType):
        return _union_change(parts, hidden)
    return None


def _union_change(parts: tuple[Any, ...], hidden: frozenset[str]) -> _Change | None:
    changes = [(part, _type_change(part, hidden)) for part in parts]
    if not any(change for _part, change in changes):
        return None
    if len([part for part in parts if part is not type(None)]) == 1:
        change = next(change for _part, change in changes if change)
        return lambda value: value if value is None else change(value)
    adapters = [
        (
            TypeAdapter(
                part,
                config=None if list(models_in(part)) else ConfigDict(strict=True),
            ),
            change,
        )
        for part, change in changes
    ]

    def choose(value):
        for adapter, change in adapters:
            try:
                adapter.validate_python(value)
            except ValidationError:
                continue
            return change(value) if change else value
        # Data of no known shape is not passed on unmasked.
        raise TypeError("A value fits none of the shapes its contract allows.")

    return choose


# === SCHEMA === #


def lift(schema: Any) -> Any:
    """Return a JSON Schema with every classification on the property itself.

    A marker inside of an optional value ends up in ``anyOf``, where nobody who reads
    the properties looks for it.
    """
    if isinstance(schema, list):
        return [lift(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    lifted = {key: lift(value) for key, value in schema.items()}
    options = lifted.get("anyOf")
    if isinstance(options, list):
        found = {
            option.pop(const.CLASSIFICATION_KEYWORD)
            for option in options
            if isinstance(option, dict) and const.CLASSIFICATION_KEYWORD in option
        }
        if found:
            lifted[const.CLASSIFICATION_KEYWORD] = highest(found)
    return lifted
