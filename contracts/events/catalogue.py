# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The catalogue of outbound events. A new object is one file and one line here."""

import copy
import difflib
import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from .. import constants as const
from ..base import Contract, ContractError
from ..classification import lift
from ..envelope import (
    CONTENT_TYPE_JSON,
    event_id,
    event_source,
    schema_uri,
    sequence_text,
)
from . import (
    approval,
    bank_account,
    bank_statement,
    connector,
    counterparty,
    credit,
    currency_rate,
    exception,
    expense,
    invoice,
    journal_entry,
    payment,
    payout,
    period,
    posting_request,
    purchase_order,
    reconciliation,
)
from .event_type import EventType

_OBJECTS = (
    invoice,
    payment,
    payout,
    journal_entry,
    bank_statement,
    reconciliation,
    counterparty,
    bank_account,
    credit,
    period,
    currency_rate,
    posting_request,
    approval,
    expense,
    purchase_order,
    connector,
    exception,
)

#: Every published event type by its full name, ``finance.invoice.posted.v1``.
EVENT_TYPES: dict[str, EventType] = {
    entry.name: entry for module in _OBJECTS for entry in module.TYPES
}

_VERSION = re.compile(r"v[1-9][0-9]*")


def _by_base_name() -> dict[str, dict[int, EventType]]:
    found: dict[str, dict[int, EventType]] = {}
    for entry in EVENT_TYPES.values():
        found.setdefault(entry.base_name, {})[entry.version] = entry
    for base_name, entries in found.items():
        ordered = dict(sorted(entries.items()))
        *older, newest = ordered.values()
        if newest.projection or not all(entry.projection for entry in older):
            raise ValueError(
                f"{base_name}: every version but the newest needs a projection."
            )
        found[base_name] = ordered
    return found


#: The published versions of each type: {name without version: {version: type}}, the
#: oldest first.
_VERSIONS = _by_base_name()
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


def validated_json(name: str, data: Any) -> str:
    """Return what :func:`validate_data` does as JSON text."""
    return event_type(name).validate_json(data)


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


# === VERSIONS === #


def versions(name: str) -> tuple[int, ...]:
    """Return the published versions of a type, the oldest first.

    :param name: with or without a version.
    :raises ContractError: ``D-VERSION`` for an unknown type.
    """
    return tuple(_versions(name))


def newest(name: str) -> EventType:
    """Return the newest version of a type, the one events are recorded in.

    :param name: with or without a version.
    :raises ContractError: ``D-VERSION`` for an unknown type.
    """
    return next(reversed(_versions(name).values()))


def _versions(name: str) -> dict[int, EventType]:
    if isinstance(name, str):
        if name in EVENT_TYPES:
            name = EVENT_TYPES[name].base_name
        if name in _VERSIONS:
            return _VERSIONS[name]
    raise ContractError(
        f"There is no event type {str(name)[:128]!r}. {_suggest(str(name))}",
        code="D-VERSION",
    )


def project(
    type_name: str, data: dict[str, Any], version: int
) -> tuple[str, dict[str, Any]]:
    """Return an event as an older version says it: (full type name, data).

    :param type_name: the version in which the event was recorded.
    :param data: as :func:`validate_data` returned it; it is not changed.
    :param version: the version that is wanted; the same one is ``data`` itself.
    :raises ContractError: ``D-VERSION`` for an unknown type, a version which was
        never published, or one newer than the event.
    """
    entry = event_type(type_name)
    if version == entry.version:
        return type_name, data
    published = _VERSIONS[entry.base_name]
    if version not in published or version > entry.version:
        raise ContractError(
            f"An event of the type {type_name} can't be said in version {version}; "
            f"there are: {', '.join(str(v) for v in published if v <= entry.version)}.",
            code="D-VERSION",
        )
    for step in reversed(published):
        if version <= step < entry.version:
            data = published[step].projection(data)
    return published[version].name, data


def choose_version(
    patterns: Iterable[str], pin: int | None, type_name: str
) -> str | None:
    """Return the version of an event that a subscription gets, as full type name.

    It is the highest published one which a pattern takes, not above the pin, and not
    newer than the event itself (one that was recorded before a new version came).

    :param patterns: with or without versions, with ``*`` for parts, see :func:`match`.
    :param pin: the highest version the subscriber wants; ``None`` is the newest.
    :param type_name: the version in which the event was recorded.
    :return: ``None`` when the subscription does not take the event.
    """
    entry = EVENT_TYPES.get(type_name)
    if entry is None:
        return None
    highest_wanted = entry.version if pin is None else min(pin, entry.version)
    for version, candidate in reversed(_VERSIONS[entry.base_name].items()):
        if version <= highest_wanted and any(
            match(pattern, candidate.name) for pattern in patterns
        ):
            return candidate.name
    return None


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


# === SAMPLES === #


def sample_event(name: str, base_url: str = "") -> dict[str, Any]:
    """Return an event of a type as it goes on the wire in structured mode.

    :param base_url: address of the hub, for ``dataschema``.
    :raises ContractError: ``D-VERSION`` for an unknown type.
    """
    entry = event_type(name)
    subject = f"{entry.object}/{entry.sample.get('id', '1')}"
    source = event_source(const.SAMPLE_DATABASE, 1)
    return {
        "specversion": const.SPECVERSION,
        "id": event_id(source, subject, entry.verb, 1),
        "source": source,
        "type": name,
        "subject": subject,
        "time": const.SAMPLE_TIME,
        "datacontenttype": CONTENT_TYPE_JSON,
        "dataschema": schema_uri(name, base_url),
        "dataclass": entry.dataclass,
        "correlationid": const.SAMPLE_CORRELATION,
        "partitionkey": subject,
        "sequence": sequence_text(1),
        "actor": "user/2",
        "legalentity": "1",
        "data": copy.deepcopy(entry.sample),
    }


# === SCHEMA === #


@cache
def _model_schema(model: type[Contract]) -> dict[str, Any]:
    schema = model.model_json_schema(mode="validation", by_alias=True)
    return _open(lift(schema))


def _open(schema: Any) -> Any:
    """Return a schema which lets unknown fields pass.

    Fields may be added without a new version; who checks what comes by the schema of
    the day they subscribed must not refuse it then. What the hub sends it checks
    itself, and more strictly.
    """
    if isinstance(schema, list):
        return [_open(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _open(value)
        for key, value in schema.items()
        if not (key == "additionalProperties" and value is False)
    }


def json_schema(name: str, base_url: str = "") -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of an event type's data.

    :param base_url: address of the hub, for ``$id``.
    :raises ContractError: ``D-VERSION`` for an unknown type.
    """
    entry = event_type(name)
    return {
        **copy.deepcopy(_model_schema(entry.model)),
        "$schema": const.JSON_SCHEMA_DIALECT,
        "$id": schema_uri(name, base_url),
        "title": entry.title,
        "description": entry.description,
        "examples": [entry.sample],
    }
