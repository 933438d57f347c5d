# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The catalogue of outbound events. A new object is one file and one line here."""

import difflib
import re
from typing import Any

from .. import constants as const
from ..base import ContractError
from ..classification import lift
from ..envelope import schema_uri
from . import connector, exception, invoice, payment
from .event_type import EventType

_OBJECTS = (invoice, payment, connector, exception)

#: Every published event type by its full name, ``finance.invoice.posted.v1``.
EVENT_TYPES: dict[str, EventType] = {
    entry.name: entry for module in _OBJECTS for entry in module.TYPES
}

_VERSION = re.compile(r"v[1-9][0-9]*")
_PATTERN = re.compile(r"(?:\*|[a-z0-9_]+)(?:\.(?:\*|[a-z0-9_]+))*")


def event_type(name: str) -> EventType:
    """Return a published event type by its full name.

    :raises ContractError: ``D-VERSION``, naming types that are similar.
    """
    try:
        return EVENT_TYPES[name]
    except (KeyError, TypeError):
        raise ContractError(
            f"There is no event type {str(name)[:128]!r}. {_suggest(str(name))}",
            code="D-VERSION",
        ) from None


def validate_data(name: str, data: Any) -> dict[str, Any]:
    """Return the data of an event as it goes on the wire, checked by its contract.

    :raises ContractError: ``D-VERSION`` for an unknown type, ``D-SCHEMA`` with
        pointers for data which does not fit.
    """
    return event_type(name).validate(data)


def mask_data(
    name: str,
    data: dict[str, Any],
    *,
    personal: bool = False,
    confidential: bool = False,
) -> dict[str, Any]:
    """Return the data of an event without its personal or confidential values.

    The result fits the contract of the type, too: optional fields are left out, the
    values of required ones are replaced, a text by ``***``. With both off it is
    ``data`` itself.

    :param data: as :func:`validate_data` returns it; it is not changed.
    :raises ContractError: ``D-VERSION`` for an unknown type.
    """
    if not (personal or confidential):
        return data
    return event_type(name).mask(data, personal, confidential)


def _suggest(name: str) -> str:
    close = difflib.get_close_matches(
        name[:128], EVENT_TYPES, const.SUGGESTIONS_MAX_COUNT
    )
    if close:
        return f"Similar types: {', '.join(close)}."
    objects = sorted({f"finance.{entry.object}.*" for entry in EVENT_TYPES.values()})
    return f"There are: {', '.join(objects)}."


# === PATTERNS === #


def match(pattern: str, name: str) -> bool:
    """Whether a subscription's pattern takes an event type.

    A pattern is a full name, a name without version (then any version), or has
    ``*`` for a part: at the end it stands for everything that follows, elsewhere for
    exactly one part. ``*``, ``finance.*``, ``finance.invoice.*``,
    ``finance.*.paid``, ``finance.invoice.*.v1``.
    """
    wanted = pattern.split(".")
    parts = name.split(".")
    if wanted[-1] == "*":
        wanted.pop()
        return len(parts) > len(wanted) and _same(wanted, parts)
    if not _VERSION.fullmatch(wanted[-1]) and _VERSION.fullmatch(parts[-1]):
        parts.pop()
    return len(parts) == len(wanted) and _same(wanted, parts)


def _same(wanted: list[str], parts: list[str]) -> bool:
    return all(want in ("*", part) for want, part in zip(wanted, parts, strict=False))


def matching(pattern: str) -> tuple[str, ...]:
    """Return the full names of the published types a pattern takes."""
    return tuple(name for name in EVENT_TYPES if match(pattern, name))


def validate_pattern(pattern: str) -> tuple[str, ...]:
    """Return what a pattern takes, and refuse one that takes nothing.

    :raises ContractError: ``D-SCHEMA``, naming types which exist.
    """
    if not isinstance(pattern, str) or not _PATTERN.fullmatch(pattern):
        raise ContractError(
            "A pattern is parts separated by dots, each a lower-case word or *, such "
            f"as finance.invoice.*. {_suggest(str(pattern))}"
        )
    found = matching(pattern)
    if not found:
        raise ContractError(
            f"No event type fits the pattern {pattern[:128]!r}. {_suggest(pattern)}"
        )
    return found


# === SCHEMA === #


def json_schema(name: str, base_url: str = "") -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of an event type's data.

    :param base_url: address of the hub, for ``$id``.
    :raises ContractError: ``D-VERSION`` for an unknown type.
    """
    entry = event_type(name)
    schema = lift(entry.model.model_json_schema(mode="validation", by_alias=True))
    return {
        **schema,
        "$schema": const.JSON_SCHEMA_DIALECT,
        "$id": schema_uri(name, base_url),
        "title": entry.title,
        "description": entry.description,
        "examples": [entry.sample],
    }
