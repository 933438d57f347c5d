# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What was published stays: the schemas are compared with the frozen ones."""

import copy
import importlib.util
import json
from pathlib import Path

import jsonschema
import pytest
from finance_hub.contracts import EVENT_TYPES, incompatibilities, json_schema

ADDON = Path(__file__).resolve().parents[2]
PUBLISHED = ADDON / "contracts" / "published"
FROZEN = {path.stem: path for path in PUBLISHED.glob("*.json")}
POSTED = "finance.invoice.posted.v2"

_spec = importlib.util.spec_from_file_location("schemas", ADDON / "scripts/schemas.py")
schemas = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(schemas)


# === THE FROZEN ONES === #


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_every_type_is_frozen_as_it_is(name):
    assert name in FROZEN, "A new type: freeze its schema with `make schemas`."
    frozen = FROZEN[name].read_text(encoding="utf-8")
    schema = json_schema(name)
    assert incompatibilities(json.loads(frozen), schema) == [], (
        "This would break those who read the events: publish a new version."
    )
    assert frozen == schemas.frozen_text(schema), "Renew it with `make schemas`."


@pytest.mark.parametrize("name", sorted(FROZEN))
def test_nothing_that_was_published_is_gone(name):
    assert name in EVENT_TYPES


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_schemas_are_valid_and_take_the_sample(name):
    schema = json_schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(EVENT_TYPES[name].sample)
    # A field that is added later must not break those who validate by this schema.
    validator.validate({**EVENT_TYPES[name].sample, "added_later": 1})


# === WHAT IS A BREAK === #


def changed(change, name=POSTED):
    schema = copy.deepcopy(json_schema(name))
    line = schema["$defs"]["DocumentLine"]
    change(schema, schema["properties"], line["properties"], line)
    return incompatibilities(json_schema(name), schema)


def test_the_same_schema_is_no_break():
    for name in EVENT_TYPES:
        assert incompatibilities(json_schema(name), json_schema(name)) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda s, p, lp, ln: p.update(extra={"type": "string"}),
        lambda s, p, lp, ln: s["required"].append("origin"),
        lambda s, p, lp, ln: p["number"].update(maxLength=5),
        lambda s, p, lp, ln: p["number"].update(description="Another text."),
        lambda s, p, lp, ln: p["state"].update(enum=["draft", "posted"]),
        lambda s, p, lp, ln: lp["product"].update({"x-classification": "personal"}),
        lambda s, p, lp, ln: (
            p["origin"].pop("anyOf")
            and p["origin"].update(type="string", maxLength=512)
        ),
        lambda s, p, lp, ln: p["payment_state"]["enum"].append("new one"),
    ],
)
def test_what_is_no_break(change):
    assert changed(change) == []


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda s, p, lp, ln: p.pop("number"), "number: it is gone"),
        (lambda s, p, lp, ln: lp.pop("amount"), "lines[].amount: it is gone"),
        (lambda s, p, lp, ln: s["required"].remove("currency"), "currency: it was req"),
        (lambda s, p, lp, ln: ln["required"].remove("amount"), "lines[].amount"),
        (lambda s, p, lp, ln: p["number"].update(type="integer"), "number: it was str"),
        (lambda s, p, lp, ln: p["number"].pop("type"), "number: it was string"),
        (lambda s, p, lp, ln: p["state"]["enum"].append("lost"), "state: it could"),
        (lambda s, p, lp, ln: p["state"].pop("enum"), "state: it was one of"),
        (lambda s, p, lp, ln: p["currency"].update(pattern="^.$"), "currency: its pat"),
        (lambda s, p, lp, ln: p["invoice_date"].update(format="date-time"), "format"),
        (lambda s, p, lp, ln: p["number"].update(maxLength=9999), "number: its max"),
        (lambda s, p, lp, ln: p["number"].pop("maxLength"), "number: its maxLength"),
        (
            lambda s, p, lp, ln: p["origin"]["anyOf"].append({"type": "integer"}),
            "origin: it was",
        ),
        (lambda s, p, lp, ln: p["lines"].pop("items"), "lines: its elements"),
        (lambda s, p, lp, ln: p["lines"].update(type="object"), "lines: it was array"),
        (
            lambda s, p, lp, ln: lp["analytic"]["additionalProperties"].update(
                type="number"
            ),
            "lines[].analytic[]",
        ),
        (lambda s, p, lp, ln: lp["product"].pop("x-classification"), "confidential"),
        (
            lambda s, p, lp, ln: p["counterparty"].update(anyOf=[{"type": "string"}]),
            "counterparty",
        ),
    ],
)
def test_what_is_a_break(change, where):
    found = changed(change)
    assert found and any(where in fault for fault in found), found


def test_version_2_of_documents_could_not_have_been_version_1():
    name = "finance.invoice.posted.v1"
    faults = incompatibilities(json_schema(name), json_schema(POSTED))
    assert any("lines[].taxes[]" in fault for fault in faults)


# === FREEZING === #


def test_freezing(tmp_path):
    done, refused = schemas.freeze(tmp_path)
    assert len(done) == len(EVENT_TYPES) and not refused
    assert schemas.freeze(tmp_path) == ([], [])

    path = tmp_path / f"{POSTED}.json"
    schema = json.loads(path.read_text())
    # Published without this field: it is new, and may come.
    del schema["properties"]["origin"]
    path.write_text(schemas.frozen_text(schema))
    assert schemas.freeze(tmp_path) == ([f"changed: {POSTED}"], [])
    assert "origin" in path.read_text()

    # Published with a field that is no longer there: refused, and nothing is written.
    schema["properties"]["gone"] = {"type": "string"}
    path.write_text(schemas.frozen_text(schema))
    (tmp_path / "finance.bill.paid.v1.json").unlink()
    done, refused = schemas.freeze(tmp_path)
    assert not done and refused == [f"{POSTED}, gone: it is gone."]
    assert not (tmp_path / "finance.bill.paid.v1.json").exists()


def test_a_type_that_was_published_cannot_go(tmp_path):
    schemas.freeze(tmp_path)
    (tmp_path / "finance.gone.away.v1.json").write_text("{}")
    assert "finance.gone.away.v1" in schemas.freeze(tmp_path)[1][0]
