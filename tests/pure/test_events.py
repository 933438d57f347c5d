# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import copy
import json
import re
from datetime import date

import pytest
from finance_hub.contracts import (
    CLASSES,
    EVENT_TYPES,
    ContractError,
    event_type,
    json_schema,
    match,
    matching,
    validate_data,
    validate_pattern,
)
from hypothesis import given
from hypothesis import strategies as st

NAMES = sorted(EVENT_TYPES)
POSTED = "finance.invoice.posted.v1"


# === CATALOGUE === #


def test_what_is_published():
    # A published type stays: this list only ever grows.
    documents = ("bill", "credit_note", "invoice")
    verbs = (
        "cancelled",
        "paid",
        "partially_paid",
        "payment_reversed",
        "posted",
        "reset_to_draft",
        "reversed",
    )
    payments = ("cancelled", "created", "in_process", "paid", "rejected")
    assert set(NAMES) >= {
        *(f"finance.{document}.{verb}.v1" for document in documents for verb in verbs),
        *(f"finance.payment.{verb}.v1" for verb in payments),
        "finance.connector.ping.v1",
        "finance.connector.delivery_exhausted.v1",
        "finance.exception.opened.v1",
        "finance.exception.resolved.v1",
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_type_is_complete(name):
    entry = event_type(name)
    assert entry.name == name
    assert re.fullmatch(r"finance\.[a-z_]+\.[a-z_]+\.v[0-9]+", name)
    assert entry.title and entry.description.endswith(".") and entry.owner
    assert entry.dataclass in CLASSES
    assert entry.dataschema == f"/finance/v1/event-types/{name}/schema"


@pytest.mark.parametrize("name", NAMES)
def test_samples_fit_and_are_what_leaves(name):
    sample = EVENT_TYPES[name].sample
    before = copy.deepcopy(sample)
    leaving = validate_data(name, sample)
    assert leaving == sample == before
    assert validate_data(name, json.loads(json.dumps(leaving))) == leaving


@pytest.mark.parametrize("name", NAMES)
def test_schemas(name):
    schema = json_schema(name, "https://hub.example")
    json.dumps(schema)
    assert schema["$id"] == f"https://hub.example/finance/v1/event-types/{name}/schema"
    assert schema["type"] == "object" and "additionalProperties" not in schema
    assert set(schema["required"]) <= set(schema["properties"])
    assert set(EVENT_TYPES[name].sample) <= set(schema["properties"])
    # Amounts are never numbers.
    assert '"type": "number"' not in json.dumps(schema)


def test_unknown_types_name_similar_ones():
    with pytest.raises(ContractError) as caught:
        event_type("finance.invoice.post.v1")
    assert caught.value.code == "D-VERSION" and POSTED in caught.value.message
    with pytest.raises(ContractError):
        event_type(None)


# === DOCUMENTS === #


def document(**changes):
    return {**EVENT_TYPES[POSTED].sample, **changes}


def fault(name, data):
    with pytest.raises(ContractError) as caught:
        validate_data(name, data)
    return caught.value.errors[0]["pointer"]


def test_what_a_posted_document_needs():
    for field in ("number", "invoice_date", "legal_entity", "currency", "total_amount"):
        data = document()
        del data[field]
        assert fault(POSTED, data) == f"/{field}"
    data = document(number="")
    del data["invoice_date"], data["counterparty"], data["due_date"]
    assert validate_data("finance.invoice.reset_to_draft.v1", data)


def test_values_of_the_books_become_those_of_the_wire():
    data = document(
        state="cancel", invoice_date=date(2026, 1, 31), due_date=None, lines=[]
    )
    leaving = validate_data("finance.invoice.cancelled.v1", data)
    assert leaving["state"] == "cancelled"
    assert leaving["invoice_date"] == "2026-01-31"
    assert "due_date" not in leaving and leaving["lines"] == []


def test_faults_are_placed():
    assert fault(POSTED, document(total_amount=1210.0)) == "/total_amount"
    lines = [{"description": "x", "quantity": "1", "amount": 5.5}]
    assert fault(POSTED, document(lines=lines)) == "/lines/0/amount"
    assert fault(POSTED, document(state="open")) == "/state"
    assert fault(POSTED, document(state=5)) == "/state"
    assert fault(POSTED, document(more=1)) == "/more"


def test_a_document_leaves_whatever_was_typed():
    long = "S00001, " * 500 + "\x0b\u2028"
    leaving = validate_data(
        POSTED, document(origin=long, payment_reference=long, reference=long)
    )
    assert len(leaving["origin"]) == 512


def test_exceptions_say_class_on_the_wire():
    sample = EVENT_TYPES["finance.exception.opened.v1"].sample
    assert validate_data("finance.exception.opened.v1", sample)["class"] == "business"
    assert "class" in json_schema("finance.exception.opened.v1")["properties"]


# === PATTERNS === #


@pytest.mark.parametrize(
    "pattern",
    [
        "*",
        "finance.*",
        "finance.invoice.*",
        "finance.invoice.*.v1",
        "finance.*.posted",
        "finance.*.posted.v1",
        "finance.*.*",
        "finance.*.*.v1",
        "*.*.*.*",
        "*.invoice.posted",
        "finance.invoice.posted",
        "finance.invoice.posted.*",
        "finance.invoice.posted.v1",
    ],
)
def test_patterns_which_take_it(pattern):
    assert match(pattern, POSTED)
    assert POSTED in validate_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "finance",
        "invoice.*",
        "finance.bill.*",
        "finance.invoice",
        "finance.invoice.post",
        "finance.invoice.posted.v2",
        "finance.invoice.*.v2",
        "finance.invoice.posted.v1.*",
        "finance.inv*",
        "Finance.invoice.posted",
        "finance..posted",
    ],
)
def test_patterns_which_do_not(pattern):
    assert not match(pattern, POSTED)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        ".",
        "finance.inv*",
        "finance.invoice.post",
        "FINANCE.*",
        "a b",
        None,
        "*.",
        "x" * 999,
    ],
)
def test_patterns_which_take_nothing_are_refused(pattern):
    with pytest.raises(ContractError) as caught:
        validate_pattern(pattern)
    assert "finance." in caught.value.message


def test_a_version_is_not_taken_for_a_verb():
    # v10 is another version, not a longer name.
    assert not match("finance.invoice.posted.v1", "finance.invoice.posted.v10")
    assert match("finance.invoice.posted", "finance.invoice.posted.v10")


def test_matching():
    assert len(matching("finance.invoice.*.v1")) == 9
    assert set(matching("*")) == set(NAMES)


@given(st.text(alphabet="finance.*v1ok_", max_size=20), st.sampled_from(NAMES))
def test_match_is_total_and_agrees_with_matching(pattern, name):
    assert match(pattern, name) == (name in matching(pattern))
