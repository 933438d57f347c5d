# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Annotated, Literal

from finance_hub.contracts import (
    EVENT_TYPES,
    Contract,
)
from finance_hub.contracts.base import (
    CurrencyCode,
    Description,
    Identifier,
    Label,
    Money,
    PlainDate,
    PositiveMoney,
    Quantity,
    UtcDateTime,
)
from hypothesis import strategies as st

NAMES = sorted(EVENT_TYPES)
POSTED = "finance.invoice.posted.v1"


# === DATA OF EVERY TYPE === #

_words = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=8)
_amounts = st.decimals(Decimal("0.01"), Decimal(999999), places=2)
_moments = st.datetimes(timezones=st.just(timezone.utc))
_VALUES = {str: _words, Decimal: _amounts, date: st.dates(), datetime: _moments}


def data_of(model):
    """Return a strategy of data which fits a contract, on the wire's names."""
    fields = {}
    optional = {}
    for name, field in model.model_fields.items():
        annotation = field.annotation
        for item in field.metadata:
            annotation = Annotated[annotation, item]
        values = st.deferred(lambda annotation=annotation: values_of(annotation))
        kind = fields if field.is_required() else optional
        kind[field.alias or name] = values
    return st.fixed_dictionaries(fields, optional=optional)


_KNOWN = {
    Identifier: _words,
    Label: _words,
    Description: _words,
    CurrencyCode: st.sampled_from(["EUR", "USD", "JPY"]),
    Money: _amounts.map(lambda value: format(value, "f")),
    PositiveMoney: _amounts.map(lambda value: format(value, "f")),
    Quantity: _amounts.map(lambda value: format(value, "f")),
    PlainDate: st.dates().map(date.isoformat),
    UtcDateTime: st.just("2026-02-10T08:15:00Z"),
}


def values_of(annotation):
    origin = getattr(annotation, "__origin__", None)
    metadata = getattr(annotation, "__metadata__", ())
    if annotation in _KNOWN:
        return _KNOWN[annotation]
    if metadata:
        bounds = {}
        for item in metadata:
            for part in (item, *getattr(item, "metadata", ())):
                bounds |= {
                    key: getattr(part, key)
                    for key in ("ge", "le")
                    if hasattr(part, key)
                }
        if origin is int or bounds:
            return st.integers(bounds.get("ge", 0), bounds.get("le", 999))
        for known, strategy in _KNOWN.items():
            # The same type with a marker around it.
            if (
                known.__origin__ is origin
                and metadata[: len(known.__metadata__)] == known.__metadata__
            ):
                return strategy
        return values_of(origin)
    from typing import get_args, get_origin

    if get_origin(annotation) is Literal:
        return st.sampled_from(get_args(annotation))
    if get_origin(annotation) is list:
        return st.lists(values_of(get_args(annotation)[0]), max_size=2)
    if get_origin(annotation) is dict:
        key, value = map(values_of, get_args(annotation))
        return st.dictionaries(key, value, max_size=2)
    if get_args(annotation):
        return st.one_of(*(values_of(part) for part in get_args(annotation)))
    if annotation is type(None):
        return st.none()
    if annotation is bool:
        return st.booleans()
    if annotation is int:
        return st.integers(0, 999)
    if isinstance(annotation, type) and issubclass(annotation, Contract):
        return data_of(annotation)
    return _VALUES[annotation]
