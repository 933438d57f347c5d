# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import json
import uuid
from datetime import UTC, datetime

import pytest
from finance_hub.contracts import (
    ContractError,
    Envelope,
    batched,
    event_id,
    event_source,
    event_subject,
    parse_batched,
    parse_structured,
    schema_uri,
    sequence_text,
    structured,
)
from finance_hub.contracts import constants as const
from hypothesis import given
from hypothesis import strategies as st

WHOLE = {
    "id": "5c3f4e0e-6f0f-5d57-a8f6-0c3b2f6f9d11",
    "source": "/odoo/0f6f6c1e-8a43-4f0e-9a29-52d0f2b1c001/1",
    "specversion": "1.0",
    "type": "finance.invoice.posted.v1",
    "subject": "invoice/1017",
    "time": "2026-01-31T09:30:00Z",
    "datacontenttype": "application/json",
    "dataschema": "/finance/v1/event-types/finance.invoice.posted.v1/schema",
    "correlationid": "c",
    "causationid": "m",
    "partitionkey": "invoice/1017",
    "sequence": "00000000000000000007",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "actor": "user/2",
    "legalentity": "1",
    "dataclass": "confidential",
    "data": {"number": "INV/2026/00042", "name": "Bücher"},
}

MINIMAL = {"id": "1", "source": "/s", "specversion": "1.0", "type": "t"}


def parse(**changes):
    return parse_structured(json.dumps({**MINIMAL, **changes}).encode())


def refused(body, code="D-SCHEMA"):
    with pytest.raises(ContractError) as caught:
        parse_structured(body)
    assert caught.value.code == code
    return caught.value


# === ROUND TRIP === #


def test_bytes_are_deterministic_and_compact():
    envelope = Envelope(**WHOLE)
    body = structured(envelope)
    assert body == structured(Envelope(**dict(reversed(WHOLE.items()))))
    assert body == structured(parse_structured(body))
    assert json.loads(body) == WHOLE
    assert "Bücher".encode() in body and b": " not in body


def test_time_may_be_pythons_own():
    envelope = Envelope(**{**WHOLE, "time": datetime(2026, 1, 31, 9, 30, tzinfo=UTC)})
    assert structured(envelope) == structured(Envelope(**WHOLE))


def test_absent_attributes_are_left_out():
    body = json.loads(structured(Envelope(id="1", source="/s", type="t")))
    assert body == {**MINIMAL, "datacontenttype": "application/json"}
    assert parse(subject=None, myext=None).subject is None


def test_unknown_extensions_are_kept():
    envelope = parse(myext="x", number1=5, flag=True)
    body = json.loads(structured(envelope))
    assert (body["myext"], body["number1"], body["flag"]) == ("x", 5, True)


def test_batch():
    body = batched([Envelope(**WHOLE), Envelope(id="2", source="/s", type="t")])
    assert [item.id for item in parse_batched(body)] == [WHOLE["id"], "2"]
    assert parse_batched(b"[]") == []
    with pytest.raises(ContractError):
        parse_batched(b"{}")
    with pytest.raises(ContractError) as caught:
        parse_batched(json.dumps([MINIMAL, {**MINIMAL, "id": ""}]).encode())
    assert caught.value.errors[0]["pointer"] == "/1/id"
    with pytest.raises(ContractError):
        parse_batched(json.dumps([MINIMAL] * (const.BATCH_MAX_COUNT + 1)).encode())


# === REFUSALS === #


@pytest.mark.parametrize("name", ["id", "source", "type"])
def test_required_attributes(name):
    body = {key: value for key, value in MINIMAL.items() if key != name}
    assert refused(json.dumps(body).encode()).errors[0]["pointer"] == f"/{name}"


@pytest.mark.parametrize(
    "changes",
    [
        {"specversion": "0.3"},
        {"specversion": 1.0},
        {"id": 5},
        {"id": "a b"},
        {"id": "é"},
        {"id": "x" * 257},
        {"source": ""},
        {"source": "a b"},
        {"time": "2026-01-31T09:30:00"},
        {"time": 5},
        {"data": [1]},
        {"data": "x"},
        {"data_base64": "AAAA"},
        {"My-Ext": "x"},
        {"toolongextensionname1": "x"},
        {"myext": {"a": 1}},
        {"myext": 1.5},
        {"myext": "x" * 1025},
        {"subject": ""},
        {"subject": "a\x00b"},
        {"data": {"a": "\x00"}},
        {"data": {"\x00": "a"}},
    ],
)
def test_refused_attributes(changes):
    refused(json.dumps({**MINIMAL, **changes}).encode())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"[]",
        b"null",
        b"5",
        b'"x"',
        b"\xff",
        "\ufeff{}".encode(),
        b'{"id": "1", "id": "2"}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1e999}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": "\\ud800"}',
        b"[" * 100_000,
        b'{"data":' + b"[" * 33 + b"]" * 33 + b"}",
        b" " * (const.ENVELOPE_MAX_BYTES + 1),
    ],
    ids=range(17),
)
def test_refused_bodies(body):
    assert refused(body).message.endswith((".", ")"))


def test_a_malformed_traceparent_never_fails_a_message():
    assert parse(traceparent="nonsense").traceparent is None
    assert parse(traceparent=5).traceparent is None
    assert parse(traceparent=WHOLE["traceparent"]).traceparent == WHOLE["traceparent"]


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_else(body):
    refused(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*WHOLE, "x", "X"]), json_values, max_size=6))
def test_arbitrary_attributes_raise_nothing_else(changes):
    for base in (MINIMAL, WHOLE):
        body = json.dumps({**base, **changes}).encode()
        try:
            envelope = parse_structured(body)
        except ContractError as error:
            assert error.describe()
        else:
            assert parse_structured(structured(envelope)) == envelope


# === BUILDING === #


def test_event_id_is_stable():
    parts = ("/odoo/db/1", "invoice/7", "posted", 1)
    # Receivers know events by these ids: another value here is a broken promise.
    assert event_id(*parts) == "103bfb79-6501-538e-9c8f-a623f7bbe3c9"
    assert uuid.UUID(event_id(*parts)).version == 5
    others = [
        ("/odoo/db/2", "invoice/7", "posted", 1),
        ("/odoo/db/1", "invoice/8", "posted", 1),
        ("/odoo/db/1", "invoice/7", "paid", 1),
        ("/odoo/db/1", "invoice/7", "posted", 2),
    ]
    assert len({event_id(*each) for each in (parts, *others)}) == 5


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", min_codepoint=32), max_size=4),
        min_size=6,
        max_size=6,
    )
)
def test_event_ids_do_not_collide(texts):
    first, second = tuple(texts[:3]), tuple(texts[3:])
    assert (event_id(*first, 1) == event_id(*second, 1)) == (first == second)


def test_parts():
    assert event_source("db", 1) == "/odoo/db/1"
    assert event_subject("invoice", 7) == "invoice/7"
    assert sequence_text(7) == "0" * 19 + "7"
    assert sorted(map(sequence_text, (10, 9, 100))) == [
        sequence_text(9),
        sequence_text(10),
        sequence_text(100),
    ]
    for number in (-1, 10**20):
        with pytest.raises(ValueError):
            sequence_text(number)
    name = "finance.invoice.posted.v1"
    assert schema_uri(name) == WHOLE["dataschema"]
    assert (
        schema_uri(name, "https://hub.example/")
        == "https://hub.example" + WHOLE["dataschema"]
    )
