# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Batch files: many events in one file, and a manifest to check it against.

An *event* here is the dictionary that a structured CloudEvent is: the attributes of
its envelope, and ``data``.
"""

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from . import constants as const
from .base import (
    Contract,
    CurrencyCode,
    Identifier,
    Label,
    Money,
    UtcDateTime,
    validate,
)
from .envelope import Envelope, dump_json, row_attributes
from .events import EVENT_TYPES
from .fields import MAPPING, OBJECT, model_fields

JSONL = "jsonl"
CSV = "csv"

CONTENT_TYPES = {JSONL: "application/jsonl", CSV: "text/csv; charset=utf-8"}

#: The first columns of a CSV file, the same in each.
ENVELOPE_COLUMNS = tuple(
    name
    for name in Envelope.model_fields
    if name not in ("data", "specversion", "datacontenttype")
)

_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?").fullmatch


# === FILES === #


def jsonl(events: Iterable[Mapping[str, Any]]) -> bytes:
    """Return events as JSON Lines: a structured CloudEvent on each line, UTF-8.

    No events are an empty file.
    """
    return b"".join(
        dump_json({**row_attributes(_attributes(event)), "data": event.get("data")})
        + b"\n"
        for event in events
    )


def csv_columns(type_names: Iterable[str]) -> tuple[str, ...]:
    """Return the columns of a CSV file of these types, whatever is in the events.

    First the attributes of the envelope, then the fields of the data below ``data.``,
    in the order of the contracts. Objects have a column for each of their fields,
    lists and mappings one column of JSON.
    """
    columns = dict.fromkeys(ENVELOPE_COLUMNS)
    for name in type_names:
        entry = EVENT_TYPES.get(name)
        if entry is None:
            continue
        inside: set[str] = set()
        for field in model_fields(entry.model):
            if field.path.rpartition(".")[0] in inside:
                # A part of a list, which has a column as a whole.
                inside.add(field.path)
            elif field.many or field.kind == MAPPING:
                inside.add(field.path)
                columns[f"data.{field.path}"] = None
            elif field.kind != OBJECT:
                columns[f"data.{field.path}"] = None
    return tuple(columns)


def csv_file(
    events: Iterable[Mapping[str, Any]], type_names: Iterable[str] = ()
) -> bytes:
    """Return events as CSV: RFC 4180, UTF-8, a line of column names first.

    A text which a spreadsheet would take for a formula has an apostrophe before it;
    numbers are left alone.

    :param type_names: the types the file is for, so that the columns stay the same
        from file to file; without them they are those of the events.
    """
    events = list(events)
    names = tuple(type_names) or sorted({str(event.get("type")) for event in events})
    columns = list(csv_columns(names))
    rows = [_row(event) for event in events]
    known = set(columns)
    # Types that are no longer published have no contract to take columns from.
    columns += sorted({name for row in rows for name in row} - known)
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([row.get(column, "") for column in columns] for row in rows)
    return out.getvalue().encode("utf-8")


def _attributes(event: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "data"}


def _row(event: Mapping[str, Any]) -> dict[str, str]:
    attributes = row_attributes(_attributes(event))
    row = {
        name: _cell(value)
        for name, value in attributes.items()
        if name not in ("specversion", "datacontenttype")
    }
    _flatten(event.get("data") or {}, "data.", row, _lists_of(event.get("type")))
    return row


def _lists_of(type_name: Any) -> frozenset[str]:
    entry = EVENT_TYPES.get(type_name)
    fields = model_fields(entry.model) if entry else ()
    return frozenset(
        f"data.{field.path}" for field in fields if field.many or field.kind == MAPPING
    )


def _flatten(value: Mapping, prefix: str, row: dict[str, str], whole: frozenset):
    for name, item in value.items():
        column = prefix + name
        if isinstance(item, Mapping) and column not in whole:
            _flatten(item, f"{column}.", row, whole)
        elif item is not None:
            row[column] = _cell(item)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping | list):
        return dump_json(value).decode()
    text = str(value)
    if text.startswith(const.FORMULA_STARTS) and not _NUMBER(text):
        # OWASP, CSV injection: the text is then shown, not computed.
        return f"'{text}"
    return text


# === MANIFEST === #


class BatchEndpoint(Contract):
    """Where a batch goes.

    :ivar id: opaque id in Odoo.
    :ivar name: as it is called on the screens.
    """

    id: Identifier
    name: Label


class BatchSubscription(Contract):
    """What the receiver subscribed to; its batches are numbered.

    :ivar id: opaque id in Odoo.
    :ivar name: as it is called on the screens.
    """

    id: Identifier
    name: Label


class BatchPeriod(Contract):
    """When the events of a batch happened.

    :ivar start: from this moment on, ``from`` on the wire.
    :ivar end: before this moment, ``to`` on the wire.
    """

    start: Annotated[UtcDateTime, Field(alias="from")]
    end: Annotated[UtcDateTime, Field(alias="to")]


class BatchFile(Contract):
    """The file a manifest is about.

    :ivar name: file name, without folders.
    :ivar format: ``jsonl`` or ``csv``.
    :ivar size: in bytes.
    :ivar sha256: digest of its bytes, hexadecimal.
    """

    name: Annotated[
        str,
        StringConstraints(
            strict=True,
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
            max_length=const.FILE_NAME_MAX_LENGTH,
        ),
    ]
    format: Literal["jsonl", "csv"]
    content_type: Identifier
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9a-f]{64}$")]


class ControlTotal(Contract):
    """What the events of one type and currency add up to.

    :ivar type: full name of the event type.
    :ivar field: the field that is added up.
    :ivar currency: ISO 4217 code of three letters.
    :ivar count: how many events are in the total.
    :ivar total: the sum.
    """

    type: Identifier
    field: Literal["total_amount", "amount"]
    currency: CurrencyCode
    count: Annotated[int, Field(ge=1)]
    total: Money


class Manifest(Contract):
    """What is in a batch file, so that a receiver can tell whether all of it came.

    :ivar schema_version: of the manifest itself.
    :ivar batch_id: names the batch for ever; sent again, it keeps it.
    :ivar sequence: 1 for the first batch of a subscription, then one more each time:
        a gap is a batch that did not come.
    :ivar endpoint: where it goes.
    :ivar subscription: what it is a batch of.
    :ivar period: when the events happened.
    :ivar created_at: when the file was written.
    :ivar count: how many events are in it.
    :ivar counts: how many of each type.
    :ivar control_totals: sums by type and currency.
    :ivar file: name, size and digest of the file.
    """

    schema_version: Literal["1"] = "1"
    batch_id: Identifier
    sequence: Annotated[int, Field(ge=1)]
    endpoint: BatchEndpoint
    subscription: BatchSubscription
    period: BatchPeriod
    created_at: UtcDateTime
    count: Annotated[int, Field(ge=0)]
    counts: dict[Identifier, Annotated[int, Field(ge=1)]]
    control_totals: list[ControlTotal]
    file: BatchFile

    @model_validator(mode="after")
    def _check_counts(self):
        if sum(self.counts.values()) != self.count:
            raise ValueError("The counts of the types have to add up to the count.")
        if self.period.start > self.period.end:
            raise ValueError("The period ends before it begins.")
        return self


def manifest(
    events: Iterable[Mapping[str, Any]],
    content: bytes,
    *,
    batch_id: str,
    sequence: int,
    endpoint_id: str,
    endpoint_name: str,
    subscription_id: str,
    subscription_name: str,
    period_from: datetime,
    period_to: datetime,
    created_at: datetime,
    file_format: str,
    file_name: str | None = None,
) -> dict[str, Any]:
    """Return the manifest of a batch file as it goes on the wire.

    :param events: what is in the file.
    :param content: the bytes of the file as they are sent.
    :param sequence: number of the batch among those of its subscription, from 1 on.
    :param period_from: aware; the events happened from here on.
    :param period_to: aware; and before this moment.
    :param file_format: ``jsonl`` or ``csv``.
    :param file_name: :func:`batch_file_name` by default.
    :raises ContractError: ``D-SCHEMA`` when the values do not fit a manifest.
    """
    events = list(events)
    values = {
        "batch_id": batch_id,
        "sequence": sequence,
        "endpoint": {"id": endpoint_id, "name": endpoint_name},
        "subscription": {"id": subscription_id, "name": subscription_name},
        "period": {"from": period_from, "to": period_to},
        "created_at": created_at,
        "count": len(events),
        "counts": dict(sorted(Counter(event["type"] for event in events).items())),
        "control_totals": _control_totals(events),
        "file": {
            "name": file_name
            or batch_file_name(subscription_id, sequence, created_at, file_format),
            "format": file_format,
            "content_type": CONTENT_TYPES.get(file_format, ""),
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        },
    }
    return validate(Manifest, values, "The manifest").wire()


def _control_totals(events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    sums: dict[tuple[str, str, str], list] = {}
    for event in events:
        data = event.get("data") or {}
        field = next(
            (name for name in const.CONTROL_TOTAL_FIELDS if name in data), None
        )
        if field is None or "currency" not in data:
            continue
        key = (event["type"], field, data["currency"])
        total = sums.setdefault(key, [0, Decimal()])
        total[0] += 1
        total[1] += Decimal(data[field])
    return [
        {
            "type": type_name,
            "field": field,
            "currency": currency,
            "count": count,
            "total": format(total, "f"),
        }
        for (type_name, field, currency), (count, total) in sorted(sums.items())
    ]


def batch_file_name(
    endpoint_id: str, sequence: int, created_at: datetime, file_format: str
) -> str:
    """Return ``finance-5-000042-20260131T093000Z.jsonl``: sorts as it was written."""
    moment = created_at.astimezone(timezone.utc)
    return f"finance-{endpoint_id}-{sequence:06d}-{moment:%Y%m%dT%H%M%SZ}.{file_format}"


def manifest_schema(base_url: str = "") -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a manifest.

    :param base_url: address of the hub, for ``$id``.
    """
    return {
        **Manifest.model_json_schema(mode="validation", by_alias=True),
        "$schema": const.JSON_SCHEMA_DIALECT,
        "$id": base_url.rstrip("/") + const.MANIFEST_SCHEMA_PATH,
        "title": "Batch manifest",
    }
