# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""GoCardless webhooks; the other side verifies and reads with GoCardless's package."""

import hashlib
import hmac
import json

import pytest
from finance_hub.contracts import ContractError, fold
from finance_hub.providers import ADAPTERS
from gocardless_pro import webhooks
from hypothesis import given, settings
from hypothesis import strategies as st
from mangling import check_harmless, mangled, scrambled, transitions

ADAPTER = ADAPTERS["gocardless"]
SECRET = "secret of the webhook endpoint"
METADATA = {"invoice": "INV/2026/00042", "amount": "1210.00", "currency": "EUR"}


def event(kind, action, number, links=None, **changes):
    found = {
        "id": f"EV{number}",
        "created_at": f"2026-02-02T0{number}:40:05.123Z",
        "resource_type": kind,
        "action": action,
        "links": links or {"payment": "PM1", "organisation": "OR1"},
        "details": {
            "origin": "bank",
            "cause": f"payment_{action}",
            "description": f"The payment is {action}.",
            "scheme": "sepa_core",
        },
        "metadata": {},
        "resource_metadata": METADATA,
    }
    found.update(changes)
    return found


def payment(action, number=1, **changes):
    return event("payments", action, number, **changes)


def body(*events, **changes):
    return {"events": list(events), "meta": {"webhook_id": "WB1"}, **changes}


def parsed(content, **options):
    """Return the commands of a webhook that GoCardless's package takes as genuine."""
    raw = json.dumps(content).encode()
    signature = hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()
    genuine = webhooks.parse_with_meta(raw, SECRET, signature)
    assert genuine.webhook_id == ADAPTER.external_id({}, raw)
    commands = ADAPTER.parse({"Webhook-Signature": signature}, raw, options)
    assert len(commands) == len(genuine.events)
    return commands


def only(*events, linked=None, **options):
    extra = {"linked": linked} if linked else {}
    (command,) = parsed(body(*events, **extra), **options)
    return command


# === PAYMENTS === #


def test_a_confirmed_payment_whose_metadata_says_how_much():
    command = only(payment("confirmed"))
    assert command.type == "payment.captured" and command.external_id == "EV1"
    assert command.data == {
        "provider_ref": "PM1",
        "amount": "1210.00",
        "currency": "EUR",
        "captured_at": "2026-02-02T01:40:05.123000Z",
        "parent_ref": "PM1",
        "document_ref": "INV/2026/00042",
        "method": "sepa_core",
        "raw_status": "confirmed",
        "metadata": {"event": "EV1"},
    }


def test_without_an_amount_the_provider_is_to_be_asked():
    """An amount is never guessed, and money that moved is never passed over."""
    bare = {"invoice": "INV/2026/00042"}
    command = only(payment("confirmed", resource_metadata=bare))
    assert command.type == "payment.status_changed"
    assert command.data["execution"] == "unknown"
    assert command.data["reason_code"] == "amount_missing"
    assert "PM1" in command.data["reason"] and "metadata" in command.data["reason"]
    assert command.data["document_ref"] == "INV/2026/00042"
    no_currency = {"amount": "12.10"}
    unknown = only(payment("confirmed", resource_metadata=no_currency))
    assert unknown.data["execution"] == "unknown"
    known = only(
        payment("confirmed", resource_metadata=no_currency), default_currency="EUR"
    )
    assert known.data["amount"] == "12.10" and known.data["currency"] == "EUR"


def test_the_resource_itself_wins():
    linked = {
        "payments": [
            {"id": "PM2", "amount": 1, "currency": "EUR"},
            {
                "id": "PM1",
                "amount": 121000,
                "currency": "GBP",
                "metadata": {"order": "S7"},
            },
        ]
    }
    data = only(payment("confirmed", resource_metadata={}), linked=linked).data
    assert (data["amount"], data["currency"]) == ("1210.00", "GBP")
    assert data["document_ref"] == "S7"


@pytest.mark.parametrize("amount", ["1.210,00", "1210,00", "-5.00", "0", "abc", 5.5])
def test_an_amount_that_is_none_is_refused_at_its_place(amount):
    wrong = {**METADATA, "amount": amount}
    with pytest.raises(ContractError) as caught:
        parsed(body(payment("confirmed", resource_metadata=wrong)))
    pointer = "/events/0/resource_metadata/amount"
    assert caught.value.errors[0]["pointer"] == pointer


@pytest.mark.parametrize(
    ("action", "execution"),
    [
        ("created", "initiated"),
        ("customer_approval_granted", "approved"),
        ("submitted", "submitted"),
        ("resubmission_requested", "submitted"),
    ],
)
def test_statuses_on_the_way(action, execution):
    command = only(payment(action, resource_metadata={}))
    assert command.type == "payment.status_changed"
    assert command.data["execution"] == execution
    assert "amount" not in command.data


def test_a_failure_takes_back_only_what_was_paid_out():
    details = {"cause": "insufficient_funds", "reason_code": "AM04"}
    data = only(payment("failed", details=details)).data
    assert (data["outcome"], data["reason_code"]) == ("failed", "AM04")
    late = only(payment("late_failure_settled", resource_metadata={}))
    assert late.type == "payment.failed" and late.data["outcome"] == "returned"


def test_the_moment_that_counts_can_be_chosen():
    events = [payment("confirmed", 1), payment("paid_out", 2)]
    assert [c.ignored is None for c in parsed(body(*events))] == [True, False]
    confirmed, paid = parsed(body(*events), captured="paid_out")
    assert confirmed.data["execution"] == "acknowledged"
    assert paid.type == "payment.captured" and paid.data["amount"] == "1210.00"


def test_other_ends():
    for action, outcome in (
        ("cancelled", "cancelled"),
        ("customer_approval_denied", "rejected"),
    ):
        data = only(payment(action, resource_metadata={})).data
        assert data["outcome"] == outcome
        assert data["reason_code"] == f"payment_{action}"


def test_chargebacks():
    opened = only(payment("charged_back"))
    assert opened.type == "payment.disputed"
    assert (opened.data["parent_ref"], opened.data["dispute_ref"]) == ("PM1", "PM1")
    assert (opened.data["stage"], opened.data["amount"]) == ("open", "1210.00")
    assert only(payment("chargeback_cancelled")).data["stage"] == "won"
    blind = only(payment("charged_back", resource_metadata={}))
    assert blind.data["execution"] == "unknown"


# === REFUNDS AND PAYOUTS === #


def refund(action, **changes):
    return event("refunds", action, 3, links={"refund": "RF1"}, **changes)


def test_refunds():
    linked = {
        "refunds": [
            {
                "id": "RF1",
                "amount": 21000,
                "currency": "EUR",
                "links": {"payment": "PM1"},
            }
        ]
    }
    for action, status in (
        ("created", "pending"),
        ("paid", "succeeded"),
        ("failed", "failed"),
        ("funds_returned", "reversed"),
    ):
        data = only(refund(action, resource_metadata={}), linked=linked).data
        assert (data["parent_ref"], data["refund_ref"]) == ("PM1", "RF1")
        assert (data["amount"], data["status"]) == ("210.00", status)
    told = {**METADATA, "payment": "PM9"}
    assert only(refund("paid", resource_metadata=told)).data["parent_ref"] == "PM9"


def test_a_refund_of_nothing_known_is_to_be_asked_for():
    assert only(refund("created")).ignored
    command = only(refund("paid"))
    assert command.data["provider_ref"] == "RF1"
    assert command.data["execution"] == "unknown"


def test_payouts():
    paid = event("payouts", "paid", 4, links={"payout": "PO1"}, resource_metadata={})
    linked = {
        "payouts": [
            {
                "id": "PO1",
                "amount": 119255,
                "currency": "EUR",
                "arrival_date": "2026-02-04",
                "reference": "AZURE-PO1",
            }
        ]
    }
    data = only(paid, linked=linked).data
    assert (data["payout_ref"], data["net"]) == ("PO1", "1192.55")
    assert data["value_date"] == "2026-02-04"
    assert data["bank_reference"] == "AZURE-PO1"
    assert only(paid).data["execution"] == "unknown"


# === WHAT IS NOT FOR US === #


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        ("payments", "paid_out"),
        ("payments", "chargeback_settled"),
        ("payments", "something_new"),
        ("refunds", "refund_settled"),
        ("payouts", "fx_rate_confirmed"),
        ("mandates", "created"),
        ("something", "new"),
    ],
)
def test_other_events_are_kept_and_ignored(kind, action):
    command = only(event(kind, action, 5))
    assert command.type == f"gocardless:{kind}:{action}" and command.ignored
    assert command.data["payment"] == "PM1"


def test_other_organisations():
    assert only(payment("confirmed"), organisation="OR2").ignored
    assert not only(payment("confirmed"), organisation="OR1").ignored


def test_up_to_250_events_at_once():
    events = [payment("created", id=f"EV{number}") for number in range(250)]
    commands = parsed(body(*events))
    assert len({command.external_id for command in commands}) == 250


# === TELLING MESSAGES APART === #


def test_external_id_and_fingerprint():
    def told(content):
        raw = json.dumps(content).encode()
        return ADAPTER.external_id({}, raw), ADAPTER.fingerprint({}, raw)

    first = body(payment("created"))
    assert told(first)[0] == "WB1"
    assert told({**first, "more": 1}) == told(first)
    assert told(body(payment("confirmed")))[1] != told(first)[1]
    unnamed = {"events": first["events"]}
    assert told(unnamed)[0] == told({**unnamed, "more": 1})[0]
    assert told(unnamed)[0].startswith("sha256:")
    assert told({"events": []})[0].startswith("sha256:")


# === PROPERTIES === #

LIFE = [
    payment("created", 1),
    payment("submitted", 2),
    payment("failed", 3, details={"will_attempt_retry": True}),
    payment("resubmission_requested", 4),
    payment("confirmed", 5),
    payment("paid_out", 6),
    payment("charged_back", 7),
]
REFUND = {"id": "RF1", "amount": 1, "currency": "EUR", "links": {"payment": "PM1"}}
BODIES = [
    *(body(each) for each in LIFE),
    body(*LIFE),
    body(refund("paid"), linked={"refunds": [REFUND]}),
    body(event("payouts", "paid", 4, links={"payout": "PO1"})),
    {"events": LIFE},
]


@given(st.permutations(LIFE), st.lists(st.sampled_from(LIFE), max_size=5))
def test_any_order_ends_in_the_same_state(order, repeated):
    def state(events):
        commands = parsed(body(*events))
        distinct = {json.dumps([c.type, c.data], sort_keys=True) for c in commands}
        return distinct, fold(transitions(commands))

    commands, final = state([*order, *repeated])
    assert (commands, final) == state(LIFE)
    assert final == {"execution": "captured", "dispute": "open"}


LATE = ("confirmed", "failed", "paid_out", "late_failure_settled")


@given(st.permutations([payment(action, n) for n, action in enumerate(LATE, 1)]))
def test_a_late_failure_takes_the_payment_back_in_any_order(events):
    assert fold(transitions(parsed(body(*events)))) == {"execution": "returned"}


@settings(max_examples=400)
@given(
    mangled(BODIES),
    st.sampled_from([{}, {"default_currency": "EUR", "captured": "paid_out"}]),
)
def test_mangled_webhooks_are_refused_or_read(content, options):
    check_harmless(ADAPTER, content, options)


@given(scrambled(BODIES) | st.binary(max_size=80))
def test_any_bytes_are_refused_or_read(content):
    check_harmless(ADAPTER, content)
