# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import copy
import json
from typing import Annotated, Literal

import pytest
from finance_hub.contracts import (
    CONFIDENTIAL,
    EVENT_TYPES,
    PERSONAL,
    Contract,
    ContractError,
    EventType,
    event_type,
    json_schema,
    mask_data,
    validate,
    validate_data,
)
from finance_hub.contracts.base import (
    CurrencyCode,
    Identifier,
    Label,
    Money,
    PlainDate,
    PositiveMoney,
    UtcDateTime,
)
from finance_hub.contracts.classification import mask_model
from hypothesis import given, settings
from hypothesis import strategies as st
from payloads import payloads
from pydantic import Field

NAMES = sorted(EVENT_TYPES)
POSTED = "finance.invoice.posted.v2"


def texts_of(value):
    """Yield every text in a value, at any depth."""
    if isinstance(value, dict):
        for item in value.values():
            yield from texts_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item)
    elif isinstance(value, str):
        yield value


# === EVERY TYPE === #


@settings(max_examples=8)
@pytest.mark.parametrize("name", NAMES)
@given(data=st.data(), personal=st.booleans(), confidential=st.booleans())
def test_masked_data_fits_its_contract(name, data, personal, confidential):
    payload = data.draw(payloads(name))
    before = copy.deepcopy(payload)
    masked = mask_data(name, payload, personal=personal, confidential=confidential)
    assert payload == before
    assert (masked is payload) == (not (personal or confidential))
    fits = validate_data(name, masked)
    again = mask_data(name, fits, personal=personal, confidential=confidential)
    assert again == masked
    assert_nothing_is_left(json_schema(name), masked, personal, confidential)


def assert_nothing_is_left(schema, data, personal, confidential, definitions=None):
    """Walk by the published schema, which knows nothing of how masking works."""
    definitions = definitions or schema.get("$defs", {})
    hidden = {"personal"} if personal else set()
    hidden |= {"confidential"} if confidential else set()
    for name, value in data.items():
        field = schema["properties"][name]
        if field.get("x-classification") in hidden:
            assert name in schema["required"]
            assert value in ("***", "XXX", "0", "1", 0, 1, False, [], {}) or value in (
                "1970-01-01",
                "1970-01-01T00:00:00Z",
            )
            continue
        for part in (field, *field.get("anyOf", ()), field.get("items", {})):
            if "$ref" in part:
                inner = definitions[part["$ref"].rpartition("/")[2]]
                for item in value if isinstance(value, list) else [value]:
                    assert_nothing_is_left(
                        inner, item, personal, confidential, definitions
                    )


@pytest.mark.parametrize("name", NAMES)
def test_dataclass_is_the_highest_of_the_schema(name):
    text = json.dumps(json_schema(name))
    entry = event_type(name)
    if '"x-classification": "personal"' in text:
        assert entry.dataclass in ("personal", "restricted")
    elif '"x-classification": "confidential"' in text:
        assert entry.dataclass in ("confidential", "restricted")
    else:
        assert entry.dataclass in ("internal", "confidential", "restricted")


# === DOCUMENTS === #


def test_a_document_without_personal_data():
    sample = EVENT_TYPES[POSTED].sample
    masked = mask_data(POSTED, sample, personal=True)
    assert masked["counterparty"] == {"id": "42", "name": "***", "country": "BE"}
    assert "payment_reference" not in masked
    assert masked["number"] == sample["number"]
    assert masked["total_amount"] == sample["total_amount"]
    (line,) = masked["lines"]
    assert "description" not in line and line["unit_price"] == "100.00"


def test_a_document_without_confidential_data():
    masked = mask_data(POSTED, EVENT_TYPES[POSTED].sample, confidential=True)
    (line,) = masked["lines"]
    assert set(line) == {
        "description",
        "quantity",
        "unit",
        "amount",
        "tax_amount",
        "taxes",
    }
    assert masked["counterparty"]["name"] == "Azure Interior"


def test_both_leave_no_name():
    masked = mask_data(
        POSTED, EVENT_TYPES[POSTED].sample, personal=True, confidential=True
    )
    assert not {"Azure Interior", "BE0477472701", "100.00", "400000"} & set(
        texts_of(masked)
    )


def test_an_unknown_type():
    with pytest.raises(ContractError):
        mask_data("finance.nothing.v1", {}, personal=True)


# === SCHEMA === #


def test_schemas_say_it_on_the_property():
    schema = json_schema(POSTED)
    line = schema["$defs"]["DocumentLine"]["properties"]
    party = schema["$defs"]["Counterparty"]["properties"]
    assert party["name"]["x-classification"] == "personal"
    assert party["vat"]["x-classification"] == "personal"
    assert line["unit_price"]["x-classification"] == "confidential"
    assert line["analytic"]["x-classification"] == "confidential"
    assert "x-classification" not in line["amount"]
    assert "x-classification" not in json.dumps(party["vat"]["anyOf"])


# === ANY CONTRACT === #


class Inner(Contract):
    id: Identifier
    name: Annotated[Label, PERSONAL]


class Other(Contract):
    code: Identifier
    price: Annotated[Money, CONFIDENTIAL]


class Everything(Contract):
    text: Annotated[Label, PERSONAL]
    currency: Annotated[CurrencyCode, PERSONAL]
    amount: Annotated[Money, CONFIDENTIAL]
    positive: Annotated[PositiveMoney, CONFIDENTIAL]
    day: Annotated[PlainDate, PERSONAL]
    moment: Annotated[UtcDateTime, PERSONAL]
    count: Annotated[int, Field(ge=1), CONFIDENTIAL]
    yes: Annotated[bool, CONFIDENTIAL]
    labels: Annotated[list[Label], PERSONAL]
    klass: Annotated[Label, PERSONAL, Field(alias="class")]
    whole: Annotated[Inner, CONFIDENTIAL] | None = None
    by_key: dict[Label, Inner] = {}
    either: list[Inner | Other] = []
    several: list[list[Inner]] = []


EVERYTHING = {
    "text": "t",
    "currency": "EUR",
    "amount": "5.00",
    "positive": "5.00",
    "day": "2026-01-31",
    "moment": "2026-01-31T09:30:00Z",
    "count": 5,
    "yes": True,
    "labels": ["l"],
    "class": "c",
    "whole": {"id": "1", "name": "n"},
    "by_key": {"k": {"id": "1", "name": "n"}},
    "either": [{"id": "1", "name": "n"}, {"code": "1", "price": "2.00"}],
    "several": [[{"id": "1", "name": "n"}], []],
}


def test_every_kind_of_field():
    validate(Everything, EVERYTHING, "It")
    masked = mask_model(Everything, EVERYTHING, True, True)
    assert masked == {
        "text": "***",
        "currency": "XXX",
        "amount": "0",
        "positive": "1",
        "day": "1970-01-01",
        "moment": "1970-01-01T00:00:00Z",
        "count": 1,
        "yes": False,
        "labels": [],
        "class": "***",
        "by_key": {"k": {"id": "1", "name": "***"}},
        "either": [{"id": "1", "name": "***"}, {"code": "1", "price": "0"}],
        "several": [[{"id": "1", "name": "***"}], []],
    }
    validate(Everything, masked, "It")


def test_only_the_class_that_is_asked_for():
    masked = mask_model(Everything, EVERYTHING, False, True)
    assert masked["text"] == "t" and masked["by_key"] == EVERYTHING["by_key"]
    assert "whole" not in masked and masked["either"][1]["price"] == "0"


def test_what_no_value_can_stand_in_for_is_refused():
    class Odd(Contract):
        state: Annotated[Literal["open", "closed"], PERSONAL]

    with pytest.raises(TypeError, match="optional"):
        mask_model(Odd, {"state": "open"}, True, False)


def test_a_declared_dataclass_only_raises():
    def declared(**values):
        return EventType(
            object="thing",
            verb="done",
            title="Thing",
            description="Sent.",
            model=Inner,
            sample={},
            owner="Nobody",
            **values,
        ).dataclass

    assert declared() == "personal"
    assert declared(dataclass="internal") == "personal"
    assert declared(dataclass="restricted") == "restricted"
    with pytest.raises(ValueError, match="secretive"):
        declared(dataclass="secretive")
