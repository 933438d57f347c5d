# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import json
from datetime import UTC, datetime

import pytest
from finance_hub.contracts import COMMAND_TYPES, ContractError
from finance_hub.providers import ADAPTERS, ParsedCommand
from hypothesis import given
from hypothesis import strategies as st

ADAPTER = ADAPTERS["canonical"]
SAMPLE = COMMAND_TYPES["payment.captured"].sample
STRUCTURED = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}
BINARY = {
    "Content-Type": "application/json",
    "CE-SpecVersion": "1.0",
    "ce-id": "evt_1",
    "ce-source": "/provider%20x/live",
    "ce-type": "payment.captured.v1",
    "ce-time": "2026-02-10T08:16:00Z",
    "ce-correlationid": "c-1",
}
EVENT = {
    "specversion": "1.0",
    "id": "evt_1",
    "source": "/provider/live",
    "type": "payment.captured.v1",
    "time": "2026-02-10T08:16:00Z",
    "correlationid": "c-1",
    "causationid": "order-1",
    "data": SAMPLE,
}


def body(**changes):
    event = {**EVENT, **changes}
    return json.dumps({k: v for k, v in event.items() if v is not None}).encode()


def refused(headers, content, code="D-SCHEMA"):
    with pytest.raises(ContractError) as caught:
        ADAPTER.parse(headers, content)
    assert caught.value.code == code
    return caught.value


# === PARSING === #


def test_structured():
    assert ADAPTER.parse(STRUCTURED, body()) == [
        ParsedCommand(
            type="payment.captured",
            external_id="/provider/live#evt_1",
            occurred_at=datetime(2026, 2, 10, 8, 15, tzinfo=UTC),
            data={**SAMPLE, "metadata": {}},
            correlation_id="c-1",
            causation_id="order-1",
        )
    ]


def test_binary():
    # A space has to be percent-encoded in a header, and no source may hold one.
    refused(BINARY, json.dumps(SAMPLE).encode())
    headers = {**BINARY, "ce-source": "/provider%2Dx/live"}
    (command,) = ADAPTER.parse(headers, json.dumps(SAMPLE).encode())
    assert command.external_id == "/provider-x/live#evt_1"
    assert command.data == {**SAMPLE, "metadata": {}}
    assert command.correlation_id == "c-1"


def test_binary_data_has_to_be_a_json_object():
    headers = {**BINARY, "ce-source": "/p"}
    refused(headers, b"[]")
    refused(headers, b"x")
    refused({**headers, "Content-Type": "text/plain"}, json.dumps(SAMPLE).encode())


def test_batch():
    events = [{**EVENT, "id": f"evt_{number}"} for number in range(3)]
    commands = ADAPTER.parse(BATCH, json.dumps(events).encode())
    assert [command.external_id[-5:] for command in commands] == [
        "evt_0",
        "evt_1",
        "evt_2",
    ]
    events[1] = {**EVENT, "data": {**SAMPLE, "amount": 5.5}}
    error = refused(BATCH, json.dumps(events).encode())
    assert error.errors[0]["pointer"] == "/1/data/amount"


def test_the_envelopes_time_stands_in():
    data = {key: value for key, value in SAMPLE.items() if key != "captured_at"}
    (command,) = ADAPTER.parse(STRUCTURED, body(data=data))
    assert command.data["captured_at"] == "2026-02-10T08:16:00Z"
    assert command.occurred_at == datetime(2026, 2, 10, 8, 16, tzinfo=UTC)
    refused(STRUCTURED, body(data=data, time=None))


def test_faults_are_placed():
    error = refused(STRUCTURED, body(data={**SAMPLE, "amount": 5.5}))
    assert error.errors[0]["pointer"] == "/data/amount"
    assert refused(STRUCTURED, body(data=None)).errors[0]["pointer"] == "/data"
    assert refused(STRUCTURED, body(id=None)).errors[0]["pointer"] == "/id"


def test_types():
    refused(STRUCTURED, body(type="payment.captured"), "D-VERSION")
    refused(STRUCTURED, body(type="payment.captured.v2"), "D-VERSION")
    refused(STRUCTURED, body(type="finance.invoice.paid.v1"), "D-VERSION")


@pytest.mark.parametrize(
    "headers", [{}, {"Content-Type": "application/json"}, {"Content-Type": ""}]
)
def test_other_content_types_are_refused_with_advice(headers):
    assert "application/cloudevents+json" in refused(headers, body()).message


# === EXTERNAL ID === #


def test_external_id():
    for name in ("webhook-id", "Webhook-Id", "svix-id"):
        assert ADAPTER.external_id({**STRUCTURED, name: "msg_1"}, body()) == "msg_1"
    assert ADAPTER.external_id(STRUCTURED, body()) == "/provider/live#evt_1"
    binary = {**BINARY, "ce-source": "/p"}
    assert ADAPTER.external_id(binary, json.dumps(SAMPLE).encode()) == "/p#evt_1"


def test_two_sources_may_use_one_id():
    ids = {ADAPTER.external_id(STRUCTURED, body(source=s)) for s in ("/a", "/b")}
    assert len(ids) == 2


def test_without_an_id_the_bytes_are_it():
    for headers in ({}, STRUCTURED, BATCH):
        first = ADAPTER.external_id(headers, b"x")
        assert first.startswith("sha256:")
        assert first == ADAPTER.external_id(headers, b"x")
        assert first != ADAPTER.external_id(headers, b"y")


def test_ids_can_be_stored():
    for value in ("x" * 257, "a\x00b", "a\nb"):
        assert ADAPTER.external_id({"webhook-id": value}, b"").startswith("sha256:")


# === PROPERTIES === #

header_names = st.sampled_from(
    [
        "Content-Type",
        "ce-specversion",
        "ce-id",
        "ce-source",
        "ce-type",
        "ce-x",
        "ce-data",
    ]
) | st.text(max_size=6)
header_values = st.sampled_from(
    [
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
        "application/json",
        "1.0",
        "payment.captured.v1",
        "%ff%00",
    ]
) | st.text(max_size=10)


@given(
    st.dictionaries(header_names, header_values, max_size=7),
    st.binary(max_size=80) | st.just(json.dumps(SAMPLE).encode()) | st.just(body()),
)
def test_arbitrary_requests_raise_nothing_else(headers, content):
    identifier = ADAPTER.external_id(headers, content)
    assert 0 < len(identifier) <= 256 and "\x00" not in identifier
    try:
        commands = ADAPTER.parse(headers, content)
    except ContractError as error:
        assert error.code in ("D-SCHEMA", "D-VERSION") and error.describe()
    else:
        json.dumps([command.data for command in commands])


@given(st.data())
def test_mangled_messages_raise_nothing_else(data):
    content = bytearray(body())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    for headers in (STRUCTURED, BATCH, {**BINARY, "ce-source": "/p"}):
        ADAPTER.external_id(headers, bytes(content))
        try:
            ADAPTER.parse(headers, bytes(content))
        except ContractError:
            continue


def test_the_catalogue():
    for name, adapter in ADAPTERS.items():
        assert adapter.name == name and adapter.title
