# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import csv
import hashlib
import io
import json
from collections import Counter
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import jsonschema
import pytest
from finance_hub.contracts import (
    EVENT_TYPES,
    ContractError,
    Manifest,
    batch_file_name,
    csv_columns,
    csv_file,
    jsonl,
    manifest,
    manifest_schema,
    mask_data,
    parse_structured,
    validate,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from payloads import payloads

POSTED = "finance.invoice.posted.v2"
PAID = "finance.payment.paid.v1"
NOW = datetime(2026, 2, 1, 0, 0, 5, tzinfo=timezone.utc)
EVENT = {
    "id": "e1",
    "source": "/odoo/d/1",
    "type": POSTED,
    "subject": "invoice/1017",
    "time": NOW - timedelta(hours=1),
    "correlationid": None,
    "sequence": "00000000000000000007",
    "data": EVENT_TYPES[POSTED].sample,
}
PAYMENT = {**EVENT, "id": "e2", "type": PAID, "data": EVENT_TYPES[PAID].sample}


@st.composite
def events(draw):
    name = draw(st.sampled_from(sorted(EVENT_TYPES)))
    return {
        **EVENT,
        "id": draw(st.uuids().map(str)),
        "type": name,
        "actor": draw(st.none() | st.text("=+-@\t\r\n,;\"'x1", min_size=1, max_size=5)),
        "data": draw(payloads(name)),
    }


batches = st.lists(events(), max_size=4)


def read_csv(content):
    """Read as RFC 4180 has it: lines end in CRLF, quotes are doubled."""
    return list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))


def made(batch, content=b"x", **changes):
    return manifest(
        batch,
        content,
        **{
            "batch_id": "b-1",
            "sequence": 42,
            "endpoint_id": "5",
            "endpoint_name": "Data warehouse",
            "subscription_id": "7",
            "subscription_name": "Everything",
            "period_from": NOW - timedelta(days=1),
            "period_to": NOW,
            "created_at": NOW,
            "file_format": "jsonl",
            **changes,
        },
    )


# === JSON LINES === #


@settings(max_examples=30)
@given(batches)
def test_each_line_is_a_cloudevent(batch):
    content = jsonl(batch)
    lines = content.splitlines()
    assert content.count(b"\n") == len(batch) == len(lines)
    for line, event in zip(lines, batch, strict=True):
        read = parse_structured(line)
        assert (read.id, read.type, read.data) == (
            event["id"],
            event["type"],
            event["data"],
        )
        assert read.time == event["time"]


# === CSV === #


STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def says(cell, text):
    """Whether a cell is a text, with the apostrophe where it looks like a formula."""
    return cell == text or (text.startswith(STARTS) and cell == f"'{text}")


def found_in(data, path):
    for step in path:
        data = data.get(step) if isinstance(data, dict) else None
    return data


@settings(max_examples=30)
@given(batches)
def test_every_value_can_be_read_back(batch):
    content = csv_file(batch)
    rows = read_csv(content)
    assert len(rows) == len(batch)
    for row, event in zip(rows, batch, strict=True):
        assert says(row["id"], event["id"])
        assert says(row["actor"], event["actor"] or "")
        assert row["time"] == "2026-01-31T23:00:05Z"
        for column, cell in row.items():
            if not column.startswith("data."):
                continue
            value = found_in(event["data"], column.split(".")[1:])
            if value is None or (isinstance(value, dict) and not cell):
                # Of another type it is a text; here its fields have columns.
                assert cell == ""
            elif isinstance(value, dict | list | bool | int):
                assert json.loads(cell) == value
            else:
                assert says(cell, value)
        for text in scalars_of(event["data"]):
            assert any(says(cell, text) for cell in row.values())


def scalars_of(value):
    """Return all texts outside of lists and mappings, which are JSON in one cell."""
    found = set()
    for name, item in value.items():
        if isinstance(item, dict) and name != "analytic":
            found |= scalars_of(item)
        elif isinstance(item, str):
            found.add(item)
    return found


@settings(max_examples=30)
@given(batches)
def test_no_cell_is_a_formula(batch):
    for row in read_csv(csv_file(batch)):
        for cell in row.values():
            assert cell[:1] not in ("=", "@", "\t", "\r", "\n")
            if cell[:1] in ("+", "-"):
                Decimal(cell)


@pytest.mark.parametrize(
    ("typed", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "'\t=1"),
        ("-12.50", "-12.50"),
        ("+32", "+32"),
        ("1=1", "1=1"),
        ("'=1", "'=1"),
        ('a,"b"\r\nc', 'a,"b"\r\nc'),
    ],
)
def test_cells(typed, cell):
    (row,) = read_csv(csv_file([{**EVENT, "actor": typed}]))
    assert row["actor"] == cell


def test_columns_depend_on_the_types_alone():
    columns = csv_columns([POSTED, PAID])
    assert columns[:4] == ("id", "source", "type", "subject")
    assert "data.counterparty.name" in columns and "data.lines" in columns
    assert not any(column.startswith("data.lines.") for column in columns)
    assert "data.counterparty" not in columns
    for batch in ([], [EVENT], [PAYMENT], [EVENT, PAYMENT]):
        header = csv_file(batch, [POSTED, PAID]).split(b"\r\n")[0]
        assert header.decode() == ",".join(columns)
    masked = {**EVENT, "data": mask_data(POSTED, EVENT["data"], personal=True)}
    assert csv_file([masked]).split(b"\r\n")[0] == csv_file([EVENT]).split(b"\r\n")[0]


def test_lines_end_as_rfc_4180_has_it():
    content = csv_file([EVENT, PAYMENT])
    assert content.endswith(b"\r\n") and content.count(b"\r\n") == 3


def test_a_type_that_is_no_longer_published():
    gone = {
        **EVENT,
        "type": "finance.gone.away.v1",
        "data": {"a": {"b": "c"}, "d": [1]},
    }
    (row,) = read_csv(csv_file([gone]))
    assert (row["data.a.b"], row["data.d"]) == ("c", "[1]")


# === MANIFEST === #


def test_a_manifest():
    content = jsonl([EVENT, EVENT, PAYMENT])
    found = made([EVENT, EVENT, PAYMENT], content)
    assert found == {
        "schema_version": "1",
        "batch_id": "b-1",
        "sequence": 42,
        "endpoint": {"id": "5", "name": "Data warehouse"},
        "subscription": {"id": "7", "name": "Everything"},
        "period": {"from": "2026-01-31T00:00:05Z", "to": "2026-02-01T00:00:05Z"},
        "created_at": "2026-02-01T00:00:05Z",
        "count": 3,
        "counts": {POSTED: 2, PAID: 1},
        "control_totals": [
            {
                "type": POSTED,
                "field": "total_amount",
                "currency": "EUR",
                "count": 2,
                "total": "2420.00",
            },
            {
                "type": PAID,
                "field": "amount",
                "currency": "EUR",
                "count": 1,
                "total": "1210.00",
            },
        ],
        "file": {
            "name": "finance-7-000042-20260201T000005Z.jsonl",
            "format": "jsonl",
            "content_type": "application/jsonl",
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        },
    }
    jsonschema.validate(found, manifest_schema("https://hub.example"))
    assert validate(Manifest, found, "It").wire() == found


@settings(max_examples=30)
@given(batches, st.sampled_from(["jsonl", "csv"]))
def test_a_manifest_adds_up(batch, file_format):
    content = jsonl(batch) if file_format == "jsonl" else csv_file(batch)
    found = made(batch, content, file_format=file_format)
    jsonschema.validate(found, manifest_schema())
    assert found["counts"] == Counter(event["type"] for event in batch)
    assert found["file"]["sha256"] == hashlib.sha256(content).hexdigest()
    for entry in found["control_totals"]:
        amounts = [
            Decimal(event["data"][entry["field"]])
            for event in batch
            if event["type"] == entry["type"]
            and event["data"].get("currency") == entry["currency"]
            and entry["field"] in event["data"]
        ]
        assert (entry["count"], Decimal(entry["total"])) == (len(amounts), sum(amounts))
    money = [
        event
        for event in batch
        if {"total_amount", "amount"} & set(event["data"])
        and "currency" in event["data"]
    ]
    assert sum(entry["count"] for entry in found["control_totals"]) == len(money)


@pytest.mark.parametrize(
    "changes",
    [
        {"sequence": 0},
        {"batch_id": ""},
        {"file_format": "xlsx"},
        {"file_name": "../passwd"},
        {"file_name": "a/b.csv"},
        {"period_to": NOW - timedelta(days=2)},
        {"created_at": NOW.replace(tzinfo=None)},
    ],
)
def test_what_is_no_manifest(changes):
    with pytest.raises((ContractError, ValueError)):
        made([EVENT], file_name=changes.pop("file_name", "a.jsonl"), **changes)


def test_file_names_sort_as_they_were_written():
    names = [
        batch_file_name("5", number, NOW + timedelta(seconds=number), "csv")
        for number in (1, 9, 10, 999_999)
    ]
    assert names == sorted(names)
