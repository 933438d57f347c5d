# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import json

import pytest
from finance_hub.contracts import (
    COMMAND_TYPES,
    ContractError,
    PaymentCaptured,
    business_key,
    command_json_schema,
    command_type,
    parse_command,
)
from hypothesis import given
from hypothesis import strategies as st

SAMPLE = COMMAND_TYPES["payment.captured"].sample
# Parts of these samples leave out what has a default.
NESTED = {"bank_statement.content", "counterparty.upsert", "posting.request"}


def refused(changes, code="D-SCHEMA", name="payment.captured"):
    data = {**SAMPLE, **changes}
    with pytest.raises(ContractError) as caught:
        parse_command(name, data)
    assert caught.value.code == code
    return caught.value.errors


@pytest.mark.parametrize("name", sorted(COMMAND_TYPES))
def test_samples_fit(name):
    entry = COMMAND_TYPES[name]
    command = parse_command(name, entry.sample)
    assert parse_command(entry.wire_type, command.wire()) == command
    assert entry.sample.items() <= command.wire().items() or entry.name in NESTED
    assert set(entry.business_key) <= set(entry.model.model_fields)
    assert entry.time_field in entry.model.model_fields
    json.dumps(command_json_schema(name))


def test_names():
    assert command_type("payment.captured") is command_type("payment.captured.v1")
    assert command_type("payment.captured").wire_type == "payment.captured.v1"
    refused({}, "D-VERSION", "payment.captured.v2")
    refused({}, "D-VERSION", "payment.stolen.v1")
    refused({}, "D-VERSION", "")


def test_business_key():
    command = parse_command("payment.captured", SAMPLE)
    assert isinstance(command, PaymentCaptured)
    assert business_key(command) == "payment.captured:pay_3f9a"


@pytest.mark.parametrize("field", ["provider_ref", "amount", "currency", "captured_at"])
def test_required(field):
    data = {key: value for key, value in SAMPLE.items() if key != field}
    with pytest.raises(ContractError) as caught:
        parse_command("payment.captured", data)
    assert caught.value.errors[0]["pointer"] == f"/{field}"


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": 1210.0},
        {"amount": "0"},
        {"amount": "-1"},
        {"amount": "1e3"},
        {"currency": "eur"},
        {"captured_at": "2026-02-10"},
        {"provider_ref": ""},
        {"provider_ref": "a\nb"},
        {"document_ref": "x" * 257},
        {"payer_name": "x" * 513},
        {"metadata": {"a": 1}},
        {"metadata": {"a": "x\x00"}},
        {"metadata": {"": "x"}},
        {"metadata": {str(number): "x" for number in range(51)}},
        {"metadata": {"a": "x" * 501}},
        {"metadata": []},
        {"unknown": 1},
    ],
)
def test_refused(changes):
    (error,) = refused(changes)
    assert error["pointer"].startswith("/" + next(iter(changes)))


def test_something_to_match_by_is_needed():
    (error,) = refused({"document_ref": None})
    assert "parent_ref" in error["message"]
    data = {**SAMPLE, "document_ref": None, "parent_ref": "order_1"}
    assert parse_command("payment.captured", data).parent_ref == "order_1"


def test_blanks_around_references_are_cut_off():
    command = parse_command("payment.captured", {**SAMPLE, "document_ref": " INV/1 "})
    assert command.document_ref == "INV/1"


@given(
    st.dictionaries(
        st.sampled_from([*SAMPLE, "metadata", "parent_ref", "x"]),
        st.none() | st.text() | st.integers() | st.floats() | st.lists(st.integers()),
    )
)
def test_parse_raises_nothing_else(changes):
    for data in (changes, {**SAMPLE, **changes}):
        try:
            command = parse_command("payment.captured", data)
        except ContractError as error:
            assert error.errors and error.describe()
        else:
            json.dumps(command.wire())
            assert parse_command("payment.captured", command.wire()) == command


@given(st.text())
def test_unknown_names_raise_nothing_else(name):
    with pytest.raises(ContractError):
        parse_command(name, SAMPLE)
