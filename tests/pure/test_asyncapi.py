# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import json
from pathlib import Path

import jsonschema
import pytest
from finance_hub.contracts import (
    COMMAND_TYPES,
    EVENT_TYPES,
    Envelope,
    asyncapi,
    event_type,
    json_schema,
    schema_uri,
    structured,
)

OFFICIAL = Path(__file__).parent / "fixtures" / "asyncapi-3.0.0.json"
DOCUMENT = asyncapi("https://erp.example", "19.0.1.0.0")


def validator_of(schema):
    """References lead from the root of the document, so its components are there."""
    return jsonschema.Draft7Validator(
        {"allOf": [schema], "components": DOCUMENT["components"]}
    )


def resolve(reference):
    value = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        value = value[part.replace("~1", "/").replace("~0", "~")]
    return value


def references(value):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = value.values()
    if not isinstance(value, str | bytes) and hasattr(value, "__iter__"):
        for item in value:
            yield from references(item)


@pytest.mark.parametrize(
    "base_url",
    ["https://erp.example", "http://localhost:8069", "https://h.example/odoo/"],
)
def test_it_fits_the_official_schema(base_url):
    schema = json.loads(OFFICIAL.read_text())
    document = json.loads(json.dumps(asyncapi(base_url)))
    jsonschema.Draft7Validator(schema).validate(document)


def test_the_official_schema_refuses_a_wrong_document():
    schema = json.loads(OFFICIAL.read_text())
    document = {**DOCUMENT, "channels": {"x": {"adress": None}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema).validate(document)


def test_every_reference_leads_somewhere():
    found = set(references(DOCUMENT))
    assert found
    for reference in found:
        assert reference.startswith("#/") and resolve(reference) is not None


def test_every_type_is_a_message_of_an_operation():
    messages = DOCUMENT["components"]["messages"]
    assert set(messages) == set(EVENT_TYPES) | {
        entry.wire_type for entry in COMMAND_TYPES.values()
    }
    told = {
        reference["$ref"].rpartition("/")[2]
        for operation in DOCUMENT["operations"].values()
        for reference in operation["messages"]
    }
    assert told == set(messages)
    assert DOCUMENT["operations"]["finance.invoice.posted"]["action"] == "send"
    assert DOCUMENT["operations"]["payment.captured"]["action"] == "receive"


@pytest.mark.parametrize("name", sorted(DOCUMENT["components"]["messages"]))
def test_messages_describe_what_is_sent(name):
    message = DOCUMENT["components"]["messages"][name]
    validator = validator_of(message["payload"])
    for example in message["examples"]:
        validator.validate(example["payload"])
        wrong = {**example["payload"], "data": {"unknown": 1}}
        assert list(validator.iter_errors(wrong))
        assert list(validator.iter_errors({**example["payload"], "type": "other"}))
    if name in EVENT_TYPES:
        sent = structured(
            Envelope(
                id="1",
                source="/odoo/d/1",
                type=name,
                subject="invoice/1017",
                time="2026-01-31T09:30:00Z",
                dataschema=schema_uri(name),
                data=EVENT_TYPES[name].sample,
            )
        )
        validator.validate(json.loads(sent))


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_each_version_has_its_own_parts(name):
    """Versions which call different things by one name do not mix."""
    published = jsonschema.Draft202012Validator(json_schema(name))
    here = validator_of({"$ref": f"#/components/schemas/{name}"})
    for other in EVENT_TYPES.values():
        if other.base_name == event_type(name).base_name:
            assert here.is_valid(other.sample) == published.is_valid(other.sample)


def test_older_versions_are_marked():
    messages = DOCUMENT["components"]["messages"]
    assert messages["finance.invoice.posted.v1"]["x-deprecated"] is True
    assert "x-deprecated" not in messages["finance.invoice.posted.v2"]


def test_headers_and_security():
    headers = DOCUMENT["components"]["messageTraits"]["signed"]["headers"]
    assert set(headers["required"]) == {
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    }
    for operation in DOCUMENT["operations"].values():
        assert operation["security"]
