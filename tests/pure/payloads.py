# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Data that fits a contract, whatever the contract: for property tests of all types."""

import types
from collections.abc import Iterator
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from finance_hub.contracts import EVENT_TYPES, Contract, ContractError, validate_data
from hypothesis import reject
from hypothesis import strategies as st

_LETTERS = st.characters(exclude_categories=("C", "Z"))
_AMOUNTS = st.decimals(Decimal("0.01"), Decimal(999999), places=2)
_PLAIN = {
    Decimal: _AMOUNTS.map(lambda value: format(value, "f")),
    date: st.dates().map(date.isoformat),
    datetime: st.datetimes(
        datetime(1970, 1, 2, tzinfo=timezone.utc).replace(tzinfo=None),
        timezones=st.just(timezone.utc),
    ),
    bool: st.booleans(),
    type(None): st.none(),
    Any: st.none(),
}


@st.composite
def payloads(draw, name: str) -> dict[str, Any]:
    """Draw data of an event type as it goes on the wire."""
    try:
        return validate_data(name, draw(_model(EVENT_TYPES[name].model)))
    except ContractError:
        # The contract joins several fields by a rule which the strategy can't know.
        reject()


def _model(model: type[Contract]) -> st.SearchStrategy:
    required, optional = {}, {}
    for name, field in model.model_fields.items():
        values = st.deferred(
            lambda field=field: _values(field.annotation, *field.metadata)
        )
        (required if field.is_required() else optional)[field.alias or name] = values
    return st.fixed_dictionaries(required, optional=optional)


def _values(annotation: Any, *metadata: Any) -> st.SearchStrategy:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _values(annotation.__origin__, *annotation.__metadata__, *metadata)
    if origin is Literal:
        return st.sampled_from(parts)
    if origin is list:
        return st.lists(_values(parts[0]), max_size=2)
    if origin is dict:
        return st.dictionaries(_values(parts[0]), _values(parts[1]), max_size=2)
    if origin in (Union, types.UnionType):
        return st.one_of(*(_values(part) for part in parts))
    if isinstance(annotation, type) and issubclass(annotation, Contract):
        return _model(annotation)
    if annotation is str:
        pattern = _bound("pattern", metadata)
        if pattern:
            return st.from_regex(pattern, fullmatch=True)
        return st.text(
            _LETTERS,
            min_size=_bound("min_length", metadata) or 1,
            max_size=min(_bound("max_length", metadata) or 8, 8),
        )
    if annotation is int:
        return st.integers(
            _bound("ge", metadata) or 0, min(_bound("le", metadata) or 999, 999)
        )
    return _PLAIN[annotation]


def _bound(name: str, metadata: tuple) -> Any:
    return next(
        (
            value
            for item in _items(metadata)
            if (value := getattr(item, name, None)) is not None
        ),
        None,
    )


def _items(metadata: tuple) -> Iterator[Any]:
    for item in metadata:
        yield item
        yield from getattr(item, "metadata", ())
