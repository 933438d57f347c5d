# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""CloudEvents in every content mode, read back by the CloudEvents project's library."""

import json
import re
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
from cloudevents.core.bindings.http import (
    HTTPMessage,
    from_binary_event,
    from_structured_event,
)
from finance_hub.contracts import (
    CONTENT_TYPE_STRUCTURED,
    EVENT_TYPES,
    Envelope,
    batched,
    binary,
    binary_from_row,
    dump_json,
    join_batch,
    parse_batched,
    parse_structured,
    schema_uri,
    structured,
    structured_from_row,
    validate,
)
from hypothesis import given
from hypothesis import strategies as st

NAME = "finance.invoice.posted.v2"
ATTRIBUTES = {
    "id": "5c3f4e0e-6f0f-5d57-a8f6-0c3b2f6f9d11",
    "source": "/odoo/0f6f6c1e-8a43-4f0e-9a29-52d0f2b1c001/1",
    "type": NAME,
    "subject": "invoice/1017",
    "time": datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
    "dataschema": schema_uri(NAME),
    "dataclass": "personal",
    "correlationid": None,
    "partitionkey": "invoice/1017",
    "sequence": "00000000000000000007",
    "actor": "user/2",
    "legalentity": "1",
}
DATA = EVENT_TYPES[NAME].sample

visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1)
texts = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), min_size=1
)
attributes = st.fixed_dictionaries(
    {"id": visible, "source": visible, "type": visible},
    optional={
        "subject": texts | st.none(),
        "time": st.datetimes(timezones=st.just(UTC)),
        "dataschema": visible,
        "correlationid": texts,
        "actor": texts,
        "myext": texts,
        "number1": st.integers(0, 2**31 - 1),
        "flag": st.booleans(),
    },
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
    ),
    max_leaves=8,
)
payloads = st.dictionaries(texts, values, max_size=4)


def texts_as(dump):
    """JSON as several writers put it: compact, PostgreSQL's jsonb, escaped."""
    return {
        "compact": dump_json,
        "jsonb": lambda data: json.dumps(data, ensure_ascii=False),
        "escaped": lambda data: json.dumps(data).encode(),
    }[dump]


# === STRUCTURED === #


@given(attributes, payloads, st.sampled_from(["compact", "jsonb", "escaped"]))
def test_a_row_and_an_envelope_say_the_same(attrs, data, dump):
    envelope = Envelope(**attrs, data=data)
    body = structured_from_row(attrs, texts_as(dump)(data))
    assert parse_structured(body) == parse_structured(structured(envelope)) == envelope
    assert body == structured_from_row(
        dict(reversed(attrs.items())), texts_as(dump)(data)
    )
    headers, content = binary_from_row(attrs, texts_as(dump)(data))
    assert headers == binary(envelope)[0]
    assert json.loads(content) == json.loads(binary(envelope)[1]) == data


def test_a_row_without_data():
    body = structured_from_row({"id": "1", "source": "/s", "type": "t"}, "")
    assert body == structured(Envelope(id="1", source="/s", type="t"))
    assert binary_from_row({"id": "1", "source": "/s", "type": "t"}, b"")[1] == b""


def test_batch_of_rows():
    rows = [structured_from_row({**ATTRIBUTES, "id": str(n)}, "{}") for n in range(3)]
    parsed = parse_batched(join_batch(rows))
    assert [item.id for item in parsed] == ["0", "1", "2"]
    assert join_batch([]) == batched([]) == b"[]"
    assert parse_batched(batched(parsed)) == parsed


# === BINARY === #


def test_headers_of_binary_mode():
    envelope = Envelope(**ATTRIBUTES, data=DATA)
    headers, body = binary(envelope)
    assert headers == {
        "Content-Type": "application/json",
        "ce-id": ATTRIBUTES["id"],
        "ce-source": ATTRIBUTES["source"],
        "ce-specversion": "1.0",
        "ce-type": NAME,
        "ce-subject": "invoice/1017",
        "ce-time": "2026-01-31T09:30:00Z",
        "ce-dataschema": ATTRIBUTES["dataschema"],
        "ce-dataclass": "personal",
        "ce-partitionkey": "invoice/1017",
        "ce-sequence": "00000000000000000007",
        "ce-actor": "user/2",
        "ce-legalentity": "1",
    }
    assert json.loads(body) == DATA


@pytest.mark.parametrize(
    ("value", "header"),
    [
        # The examples of the binding, section 3.1.3.2.
        ("Euro € 😀", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
        ('a "b" 5%', "a%20%22b%22%205%25"),
        ("a\r\nInjected: yes", "a%0D%0AInjected:%20yes"),
        ("~!#$&'()*+,-./:;<=>?@[\\]^_`{|}", "~!#$&'()*+,-./:;<=>?@[\\]^_`{|}"),
        (True, "true"),
        (False, "false"),
        (7, "7"),
    ],
)
def test_percent_encoding(value, header):
    headers, _body = binary_from_row({**ATTRIBUTES, "myext": value}, "{}")
    assert headers["ce-myext"] == header


@given(attributes, payloads)
def test_nothing_leaves_a_header(attrs, data):
    headers, _body = binary_from_row(attrs, dump_json(data))
    for name, value in headers.items():
        assert re.fullmatch(r"(ce-[a-z0-9]+|Content-Type)", name)
        assert re.fullmatch(r"[!#-~]*", value)
    read = {
        name.removeprefix("ce-"): unquote(value)
        for name, value in headers.items()
        if name.startswith("ce-")
    }
    for name in ("number1", "flag"):
        if name in read:
            read[name] = json.loads(read[name])
    envelope = validate(Envelope, {**read, "data": data}, "It")
    assert envelope == Envelope(**attrs, data=data)


# === THE LIBRARY OF THE CLOUDEVENTS PROJECT === #


def check(event):
    found = event.get_attributes()
    for name, value in ATTRIBUTES.items():
        assert found.get(name) == value, name
    assert found["specversion"] == "1.0"
    assert event.get_data() == DATA


@pytest.mark.parametrize("from_row", [True, False])
def test_the_cloudevents_library_reads_structured_mode(from_row):
    if from_row:
        body = structured_from_row(ATTRIBUTES, json.dumps(DATA))
    else:
        body = structured(Envelope(**ATTRIBUTES, data=DATA))
    check(
        from_structured_event(
            HTTPMessage({"content-type": CONTENT_TYPE_STRUCTURED}, body)
        )
    )


@pytest.mark.parametrize("from_row", [True, False])
def test_the_cloudevents_library_reads_binary_mode(from_row):
    if from_row:
        message = binary_from_row(ATTRIBUTES, json.dumps(DATA))
    else:
        message = binary(Envelope(**ATTRIBUTES, data=DATA))
    check(from_binary_event(HTTPMessage(*message)))


@given(texts)
def test_the_cloudevents_library_decodes_any_text(text):
    headers, body = binary_from_row({**ATTRIBUTES, "subject": text}, "{}")
    event = from_binary_event(HTTPMessage(headers, body))
    assert event.get_subject() == text
