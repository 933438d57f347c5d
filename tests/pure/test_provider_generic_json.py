# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""JSON of any system by a mapping."""

import copy
import json

import pytest
from finance_hub.contracts import COMMAND_TYPES, ContractError, validate
from finance_hub.providers import ADAPTERS
from finance_hub.providers.generic_json import GenericJsonOptions
from hypothesis import given, settings
from hypothesis import strategies as st
from mangling import check_harmless, mangled, places, scrambled

ADAPTER = ADAPTERS["generic_json"]


def rule(field, path=None, **values):
    return {"field": field, **({"path": path} if path else {}), **values}


CAPTURED = {
    "name": "Paid orders",
    "events": ["order.paid"],
    "command": "payment.captured",
    "fields": [
        rule("provider_ref", "@.payment.id", convert="text"),
        rule("amount", "@.payment.cents", convert="minor_units"),
        rule("currency", "@.payment.currency", convert="upper"),
        rule("captured_at", "@.payment.at", convert="time"),
        rule("document_ref", "@.order['invoice-no']"),
        rule("method", "@.payment.kind", values={"C": "card", "B": "transfer"}),
        rule("payer.name", "@.customer.name"),
        rule("payer.iban", "@.customer.iban"),
        rule("metadata.shop", "$.shop"),
        rule("raw_status", constant="paid"),
    ],
}
PAYOUT = {
    "name": "Payouts",
    "events": ["payout.sent"],
    "conditions": [{"path": "@.final", "values": ["true"]}],
    "command": "payout.released",
    "fields": [
        rule("payout_ref", "@.number", convert="text"),
        rule("net", "@.total", convert="decimal_comma"),
        rule("currency", constant="EUR"),
        rule("released_at", "@.sent", convert="unix_milliseconds"),
        rule("value_date", "@.value", convert="date"),
        rule("complete", constant=True),
        rule("lines", "@.lines[*]"),
        rule("lines.kind", "@.type", values={"P": "payment", "R": "refund"}),
        rule("lines.provider_ref", "@.ref"),
        rule("lines.gross", "@.gross", convert="decimal"),
        rule("lines.fee", "@.fee", convert="decimal", sign="flip"),
        rule("lines.net", "@.net", convert="decimal"),
    ],
}
OPTIONS = {
    "event_path": "@.type",
    "items_path": "$.events[*]",
    "id_path": "@.id",
    "zone": "Europe/Brussels",
    "mappings": [CAPTURED, PAYOUT],
}
ORDER = {
    "id": 1001,
    "type": "order.paid",
    "order": {"invoice-no": "INV/2026/00042"},
    "payment": {
        "id": 77,
        "cents": 121000,
        "currency": "eur",
        "at": "2026-07-02 04:40:05",
        "kind": "C",
    },
    "customer": {"name": "Azure Interior", "iban": None},
}
SENT = {
    "id": "e2",
    "type": "payout.sent",
    "final": True,
    "number": 9,
    "total": "1.182,55",
    "sent": 1770000005123,
    "value": "2026-02-03T00:00:00",
    "lines": [
        {"type": "P", "ref": "77", "gross": 1210.0, "fee": -17.45, "net": 1192.55},
        {"type": "R", "ref": "78", "gross": "-10.00", "fee": 0, "net": "-10.00"},
    ],
}
BODY = {"shop": "S1", "events": [ORDER, SENT]}


def parsed(body, **changes):
    return ADAPTER.parse({}, json.dumps(body).encode(), {**OPTIONS, **changes})


def with_rules(*rules, body=None, mapping=None, **options):
    """Return the data of a command, some of whose fields are filled by other rules."""
    changed = {each["field"]: each for each in rules}
    mapping = mapping or CAPTURED
    fields = [
        changed.pop(each["field"], each) for each in copy.deepcopy(mapping["fields"])
    ]
    other = {**mapping, "fields": [*fields, *changed.values()]}
    (command,) = parsed(
        body or {"shop": "S1", "events": [ORDER]}, mappings=[other], **options
    )
    return command.data


def refused_options(**changes):
    with pytest.raises(ContractError) as caught:
        validate(GenericJsonOptions, {**OPTIONS, **changes}, "The settings")
    return caught.value


def refused(body, **changes):
    with pytest.raises(ContractError) as caught:
        parsed(body, **changes)
    return caught.value.errors[0]


# === MAPPING === #


def test_each_item_becomes_its_command():
    captured, released = parsed(BODY)
    assert captured.type == "payment.captured" and captured.external_id == "1001"
    assert captured.data == {
        "provider_ref": "77",
        "amount": "1210.00",
        "currency": "EUR",
        "captured_at": "2026-07-02T02:40:05Z",
        "document_ref": "INV/2026/00042",
        "method": "card",
        "payer": {"name": "Azure Interior"},
        "metadata": {"shop": "S1"},
        "raw_status": "paid",
    }
    assert released.type == "payout.released" and released.external_id == "e2"
    assert released.data == {
        "payout_ref": "9",
        "net": "1182.55",
        "currency": "EUR",
        "released_at": "2026-02-02T02:40:05.123000Z",
        "value_date": "2026-02-03",
        "opening": "0",
        "closing": "0",
        "complete": True,
        "metadata": {},
        "lines": [
            {
                "kind": "payment",
                "provider_ref": "77",
                "gross": "1210.0",
                "fee": "17.45",
                "net": "1192.55",
            },
            {
                "kind": "refund",
                "provider_ref": "78",
                "gross": "-10.00",
                "fee": "0",
                "net": "-10.00",
            },
        ],
    }


def test_a_message_may_be_one_item_and_a_list_may_be_the_message():
    (command,) = parsed(ORDER, items_path=None)
    assert command.data["amount"] == "1210.00"
    assert len(parsed([ORDER, ORDER], items_path="$")) == 2
    assert len(parsed({"events": [ORDER]}, items_path="$.events")) == 1
    assert parsed({"events": []}) == []


def test_every_mapping_that_fits_makes_a_command():
    second = {**CAPTURED, "name": "Again", "events": []}
    commands = parsed({"events": [ORDER]}, mappings=[CAPTURED, second, PAYOUT])
    assert [command.external_id for command in commands] == ["1001", "1001/1"]


def test_what_no_mapping_is_for_is_kept_and_ignored():
    other = {"id": 5, "type": "order.created"}
    draft = {**SENT, "final": False}
    first, second, third = parsed({"events": [other, draft, 7]})
    assert first.type == "generic_json:order.created" and first.ignored
    assert first.external_id == "5" and first.occurred_at is None
    assert second.type == "generic_json:payout.sent"
    assert third.type == "generic_json:message"
    assert all(c.ignored for c in parsed(BODY, mappings=[]))


def test_conditions():
    for values, fits in (
        (["C"], True),
        (["B", "C"], True),
        (["B"], False),
        ([""], False),
    ):
        condition = {"path": "@.payment.kind", "values": values}
        mapping = {**CAPTURED, "conditions": [condition]}
        (command,) = parsed({"events": [ORDER]}, mappings=[mapping])
        assert (command.ignored is None) == fits
    number = {"path": "@.payment.cents", "values": ["121000"]}
    mapping = {**CAPTURED, "conditions": [number]}
    assert not parsed({"events": [ORDER]}, mappings=[mapping])[0].ignored


# === CONVERSIONS === #


def amount(value, convert, **more):
    order = {**ORDER, "payment": {**ORDER["payment"], "cents": value}}
    return with_rules(
        rule("amount", "@.payment.cents", convert=convert, **more),
        body={"shop": "S1", "events": [order]},
    )["amount"]


@pytest.mark.parametrize(
    ("value", "convert", "more", "text"),
    [
        ("12.34", "as_is", {}, "12.34"),
        (12.34, "decimal", {}, "12.34"),
        (12, "decimal", {}, "12"),
        (" 12.34 ", "decimal", {}, "12.34"),
        ("1.234,56", "decimal_comma", {}, "1234.56"),
        ("1 234,56", "decimal_comma", {}, "1234.56"),
        ("1'234,56", "decimal_comma", {}, "1234.56"),
        (12.5, "decimal_comma", {}, "12.5"),
        (1234, "minor_units", {}, "12.34"),
        ("1234", "minor_units", {}, "12.34"),
        (-1234, "minor_units", {"sign": "flip"}, "12.34"),
        ("-12.34", "decimal", {"sign": "positive"}, "12.34"),
        ("12.34", "decimal", {"sign": "positive"}, "12.34"),
        (-5, "integer", {"sign": "positive"}, "5"),
        ("-5", "as_is", {"sign": "flip"}, "5"),
    ],
)
def test_amounts(value, convert, more, text):
    assert amount(value, convert, **more) == text


@pytest.mark.parametrize(
    ("value", "convert"),
    [
        (12.34, "as_is"),
        (1.1e300, "decimal"),
        (0.1234567890123456, "decimal"),
        ("1E3", "decimal"),
        ("12,34", "decimal"),
        (True, "decimal"),
        ("1,2,3", "decimal_comma"),
        (12.5, "minor_units"),
        ("-3", "decimal"),
        ({}, "decimal"),
        ([], "text"),
        ("x", "integer"),
        ("1.5", "integer"),
        ("maybe", "boolean"),
    ],
)
def test_what_is_no_amount_is_refused_at_its_place(value, convert):
    with pytest.raises(ContractError) as caught:
        amount(value, convert)
    (error,) = caught.value.errors
    assert error["pointer"] == "/events/0/payment/cents"


@pytest.mark.parametrize(
    ("value", "convert", "text"),
    [
        (1770000005, "unix_seconds", "2026-02-02T02:40:05Z"),
        ("1770000005", "unix_seconds", "2026-02-02T02:40:05Z"),
        (1770000005.5, "unix_seconds", "2026-02-02T02:40:05.500000Z"),
        (1770000005000, "unix_milliseconds", "2026-02-02T02:40:05Z"),
        ("2026-02-02T02:40:05Z", "time", "2026-02-02T02:40:05Z"),
        ("2026-02-02T03:40:05+01:00", "time", "2026-02-02T02:40:05Z"),
        ("2026-02-02T03:40:05", "time", "2026-02-02T02:40:05Z"),
        ("2026-02-02", "time", "2026-02-01T23:00:00Z"),
    ],
)
def test_times(value, convert, text):
    order = {**ORDER, "payment": {**ORDER["payment"], "at": value}}
    data = with_rules(
        rule("captured_at", "@.payment.at", convert=convert),
        body={"shop": "S1", "events": [order]},
    )
    assert data["captured_at"] == text


@pytest.mark.parametrize(
    ("value", "convert"),
    [
        ("soon", "time"),
        (5, "time"),
        ("0001-01-01T00:00:00", "time"),
        (10**30, "unix_seconds"),
        ("x", "unix_seconds"),
        (True, "unix_milliseconds"),
    ],
)
def test_what_is_no_time_is_refused(value, convert):
    order = {**ORDER, "payment": {**ORDER["payment"], "at": value}}
    with pytest.raises(ContractError) as caught:
        with_rules(
            rule("captured_at", "@.payment.at", convert=convert),
            body={"shop": "S1", "events": [order]},
        )
    assert caught.value.errors[0]["pointer"] == "/events/0/payment/at"


def test_translations_and_defaults():
    order = {**ORDER, "payment": {**ORDER["payment"], "kind": "X"}}
    body = {"shop": "S1", "events": [order]}
    with pytest.raises(ContractError) as caught:
        with_rules(body=body)
    assert caught.value.errors[0]["pointer"] == "/events/0/payment/kind"
    kinds = {"C": "card"}
    chosen = rule("method", "@.payment.kind", values=kinds, default="other")
    assert with_rules(chosen, body=body)["method"] == "other"
    absent = rule("method", "@.payment.none", default="other")
    assert with_rules(absent)["method"] == "other"
    assert "method" not in with_rules(rule("method", "@.payment.none"))


# === FAULTS === #


def test_faults_lead_to_the_value_they_are_about():
    order = {**ORDER, "payment": {**ORDER["payment"], "id": ""}}
    error = refused({"events": [SENT, order]})
    assert error["pointer"] == "/events/1/payment/id"
    assert error["message"].startswith("provider_ref: ")
    missing = {**ORDER, "payment": {}}
    assert refused({"events": [missing]})["pointer"] == "/events/0"
    line = {**SENT["lines"][0], "net": "1.00"}
    error = refused({"events": [{**SENT, "lines": [SENT["lines"][1], line]}]})
    assert error["pointer"] == "/events/0/lines/1"
    assert "net has to be gross less fee" in error["message"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ([rule("amont", "@.x")], "no field 'amont'"),
        ([rule("payer", "@.x")], "parts of payer"),
        ([rule("metadata", "@.x")], "parts of metadata"),
        ([rule("amount", "@.x"), rule("amount", "@.y")], "twice"),
        ([rule("amount", "x")], "begins with"),
        ([rule("amount")], "path or a constant"),
        ([rule("amount", "@.x", constant="5")], "path or a constant"),
        ([rule("amount", "@.x")], "needs the field"),
        ([rule("amount", "@.x", convert="magic")], "Input should be"),
        ([], "at least 1"),
    ],
)
def test_settings_that_can_not_work_are_refused(fields, words):
    error = refused_options(mappings=[{**CAPTURED, "fields": fields}])
    assert words in error.describe()


def test_more_settings_that_can_not_work():
    lines = [each for each in PAYOUT["fields"] if each["field"] != "lines"]
    error = refused_options(mappings=[{**PAYOUT, "fields": lines}])
    assert "a field lines" in error.describe()
    constant = [*lines, rule("lines", constant="x")]
    error = refused_options(mappings=[{**PAYOUT, "fields": constant}])
    assert "list and needs a path" in error.describe()
    error = refused_options(mappings=[{**CAPTURED, "command": "payment.stolen"}])
    assert "no command" in error.describe()
    assert "time zone" in refused_options(zone="Mars/Olympus").describe()
    assert "event_path" in refused_options(event_path=None).describe()
    with pytest.raises(ContractError):
        parsed(BODY, unknown=1)


@pytest.mark.parametrize("name", sorted(COMMAND_TYPES))
def test_every_command_can_be_mapped_to_itself(name):
    """A message which is a command's sample, mapped field by field, comes out again."""
    from finance_hub.contracts import model_fields, parse_command

    entry = COMMAND_TYPES[name]
    known = {each.path: each for each in model_fields(entry.model)}
    sample = parse_command(name, entry.sample).wire()
    rules = []
    for path, each in known.items():
        parent, _dot, _own = path.rpartition(".")
        if any(known[p].kind == "mapping" for p in (path, parent) if p in known):
            continue
        within = [up for up in known if path.startswith(f"{up}.") and known[up].many]
        start = path.removeprefix(f"{max(within, key=len)}.") if within else path
        if each.kind == "object" and not each.many:
            continue
        rules.append(rule(path, f"@.{start}{'[*]' if each.many else ''}"))
    mapping = {"name": name, "command": name, "fields": rules}
    options = {"mappings": [mapping]}
    (command,) = ADAPTER.parse({}, json.dumps(sample).encode(), options)
    expected = {key: value for key, value in sample.items() if key != "metadata"}
    found = {key: value for key, value in command.data.items() if key != "metadata"}
    assert found == expected


# === TELLING MESSAGES APART === #


def test_external_id():
    raw = json.dumps(BODY).encode()
    assert ADAPTER.external_id({"Webhook-Id": "m1"}, raw) == "m1"
    assert ADAPTER.external_id({"Idempotency-Key": "k1"}, raw) == "k1"
    assert ADAPTER.external_id({"X-Request-Id": "r1"}, raw).startswith("sha256:")


# === PROPERTIES === #


@settings(max_examples=400)
@given(mangled([BODY, {"events": [ORDER]}, {"events": [SENT]}]))
def test_mangled_messages_are_refused_or_read(content):
    check_harmless(ADAPTER, content, OPTIONS)


@given(scrambled([BODY]) | st.binary(max_size=80))
def test_any_bytes_are_refused_or_read(content):
    check_harmless(ADAPTER, content, OPTIONS)


@given(st.permutations([ORDER, SENT]))
def test_the_order_of_items_changes_no_command(events):
    def known(commands):
        return sorted(json.dumps([c.type, c.external_id, c.data]) for c in commands)

    assert known(parsed({"shop": "S1", "events": events})) == known(parsed(BODY))


@given(mangled([OPTIONS]))
def test_mangled_settings_are_refused_or_work(content):
    try:
        options = json.loads(content)
        check_harmless(ADAPTER, json.dumps(BODY).encode(), options)
    except (TypeError, ValueError):
        # Settings that are no object never come to an adapter.
        assert not isinstance(options, dict)


def test_the_mangling_reaches_everything():
    assert ("events", 0, "payment", "cents") in places(BODY)
