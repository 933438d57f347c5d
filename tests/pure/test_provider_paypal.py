# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""PayPal webhooks of payments v1 and v2, disputes and payouts.

PayPal's own package has the types of what a v2 event holds; the fixtures are checked
against them.
"""

import json

import pytest
from finance_hub.contracts import ContractError, business_key, fold, parse_command
from finance_hub.providers import ADAPTERS
from hypothesis import given, settings
from hypothesis import strategies as st
from mangling import check_harmless, mangled, scrambled, transitions

ADAPTER = ADAPTERS["paypal"]
API = "https://api.paypal.com"


def money(value, currency="EUR"):
    return {"value": value, "currency_code": currency}


def link(relation, path):
    return {"href": f"{API}{path}", "rel": relation, "method": "GET"}


def capture(**changes):
    return {
        "id": "CAP1",
        "status": "COMPLETED",
        "amount": money("1210.00"),
        "invoice_id": "INV/2026/00042",
        "custom_id": "S00042",
        "final_capture": True,
        "disbursement_mode": "INSTANT",
        "seller_receivable_breakdown": {
            "gross_amount": money("1210.00"),
            "paypal_fee": money("41.49"),
            "net_amount": money("1168.51"),
        },
        "links": [
            link("self", "/v2/payments/captures/CAP1"),
            link("up", "/v2/checkout/orders/ORD1"),
        ],
        "create_time": "2026-02-02T02:40:00Z",
        "update_time": "2026-02-02T02:40:05Z",
        **changes,
    }


def refund(**changes):
    return {
        "id": "REF1",
        "status": "COMPLETED",
        "amount": money("210.00"),
        "note_to_payer": "Returned goods",
        "links": [
            link("self", "/v2/payments/refunds/REF1"),
            link("up", "/v2/payments/captures/CAP1"),
        ],
        "create_time": "2026-02-03T02:40:00Z",
        "update_time": "2026-02-03T02:40:05Z",
        **changes,
    }


def authorization(**changes):
    return {
        "id": "AUT1",
        "status": "CREATED",
        "amount": money("1210.00"),
        "invoice_id": "INV/2026/00042",
        "expiration_time": "2026-03-02T02:40:00Z",
        "links": [link("up", "/v2/checkout/orders/ORD1")],
        "create_time": "2026-02-02T02:30:00Z",
        **changes,
    }


def dispute(**changes):
    return {
        "dispute_id": "PP-D-1",
        "disputed_transactions": [{"seller_transaction_id": "CAP1"}],
        "dispute_amount": money("1210.00"),
        "reason": "MERCHANDISE_OR_SERVICE_NOT_RECEIVED",
        "status": "OPEN",
        "dispute_life_cycle_stage": "INQUIRY",
        "seller_response_due_date": "2026-02-20T00:00:00.000Z",
        "create_time": "2026-02-10T00:00:00.000Z",
        "update_time": "2026-02-10T00:00:01.000Z",
        **changes,
    }


def payout_item(**changes):
    return {
        "payout_item_id": "ITEM1",
        "payout_batch_id": "BATCH1",
        "transaction_status": "SUCCESS",
        "payout_item": {"amount": money("50.00"), "sender_item_id": "BILL/2026/0007"},
        "time_processed": "2026-02-02T02:40:05Z",
        **changes,
    }


def event(kind, resource, **changes):
    return {
        "id": "WH-1",
        "event_version": "1.0",
        "create_time": "2026-02-02T02:41:00.000Z",
        "resource_type": "capture",
        "event_type": kind,
        "summary": "Something happened",
        "resource": resource,
        "links": [],
        **changes,
    }


def parsed(body, **options):
    return ADAPTER.parse({}, json.dumps(body).encode(), options)


def only(body, **options):
    (command,) = parsed(body, **options)
    return command


# === PAYMENTS === #


def test_a_capture_brings_its_fee():
    captured, settled = parsed(event("PAYMENT.CAPTURE.COMPLETED", capture()))
    assert captured.type == "payment.captured" and captured.external_id == "WH-1"
    assert captured.data == {
        "provider_ref": "CAP1",
        "amount": "1210.00",
        "currency": "EUR",
        "captured_at": "2026-02-02T02:40:05Z",
        "parent_ref": "ORD1",
        "document_ref": "INV/2026/00042",
        "method": "paypal",
        "raw_status": "COMPLETED",
        "metadata": {
            "paypal_event": "PAYMENT.CAPTURE.COMPLETED",
            "custom_id": "S00042",
        },
    }
    assert settled.type == "payment.settled" and settled.external_id == "WH-1/settled"
    assert settled.data["provider_ref"] == "CAP1"
    assert [settled.data[name] for name in ("gross", "fee", "net")] == [
        "1210.00",
        "41.49",
        "1168.51",
    ]
    assert settled.data["value_date"] == "2026-02-02"
    only(event("PAYMENT.CAPTURE.COMPLETED", capture()), fees=False)


def test_a_fee_that_is_not_final_is_left_to_the_report():
    exchanged = capture()["seller_receivable_breakdown"] | {
        "exchange_rate": {"value": "1.1"},
        "receivable_amount": money("1300.00", "USD"),
    }
    for changes in (
        {"disbursement_mode": "DELAYED"},
        {"seller_receivable_breakdown": None},
        {"seller_receivable_breakdown": exchanged},
    ):
        only(event("PAYMENT.CAPTURE.COMPLETED", capture(**changes)))


def test_the_parent_is_found_wherever_it_stands():
    related = {"related_ids": {"order_id": "ORD2", "authorization_id": "AUT2"}}
    body = event("PAYMENT.CAPTURE.COMPLETED", capture(supplementary_data=related))
    assert parsed(body)[0].data["parent_ref"] == "AUT2"
    up = [link("up", "/v2/payments/authorizations/AUT3")]
    body = event("PAYMENT.CAPTURE.COMPLETED", capture(links=up))
    assert parsed(body)[0].data["parent_ref"] == "AUT3"
    body = event("PAYMENT.CAPTURE.COMPLETED", capture(links=[]))
    assert parsed(body)[0].data["parent_ref"] == "CAP1"


def test_a_sale_of_v1():
    sale = {
        "id": "SALE1",
        "state": "completed",
        "amount": {"total": "30.00", "currency": "USD"},
        "transaction_fee": {"value": "1.17", "currency": "USD"},
        "parent_payment": "PAY-1",
        "invoice_number": "INV/2026/00043",
        "create_time": "2026-02-02T02:40:00Z",
    }
    captured, settled = parsed(event("PAYMENT.SALE.COMPLETED", sale))
    assert captured.data["amount"] == "30.00" and captured.data["currency"] == "USD"
    assert captured.data["document_ref"] == "INV/2026/00043"
    assert captured.data["parent_ref"] == "PAY-1"
    assert (settled.data["fee"], settled.data["net"]) == ("1.17", "28.83")
    back = {
        "id": "REF9",
        "state": "completed",
        "sale_id": "SALE1",
        "amount": {"total": "-30.00", "currency": "USD"},
        "create_time": "2026-02-03T02:40:00Z",
    }
    data = only(event("PAYMENT.SALE.REFUNDED", back)).data
    assert (data["parent_ref"], data["amount"]) == ("SALE1", "30.00")


@pytest.mark.parametrize(
    ("kind", "resource", "name", "field", "status"),
    [
        (
            "PAYMENT.CAPTURE.PENDING",
            capture(status="PENDING", status_details={"reason": "ECHECK"}),
            "payment.status_changed",
            "execution",
            "submitted",
        ),
        (
            "PAYMENT.CAPTURE.DENIED",
            capture(status="DENIED"),
            "payment.failed",
            "outcome",
            "rejected",
        ),
        (
            "PAYMENT.CAPTURE.DECLINED",
            capture(status="DECLINED", status_details={"reason": "OTHER"}),
            "payment.failed",
            "reason_code",
            "OTHER",
        ),
        (
            "PAYMENT.AUTHORIZATION.VOIDED",
            authorization(status="VOIDED"),
            "payment.failed",
            "outcome",
            "cancelled",
        ),
    ],
)
def test_statuses(kind, resource, name, field, status):
    command = only(event(kind, resource))
    assert command.type == name and command.data[field] == status
    assert command.data["provider_ref"] == resource["id"]


def test_an_authorisation():
    data = only(event("PAYMENT.AUTHORIZATION.CREATED", authorization())).data
    assert (data["provider_ref"], data["parent_ref"]) == ("AUT1", "ORD1")
    assert data["expires_at"] == "2026-03-02T02:40:00Z"


def test_references():
    body = event("PAYMENT.CAPTURE.DENIED", capture())
    assert only(body, reference_keys=["custom_id"]).data["document_ref"] == "S00042"
    assert "document_ref" not in only(body, reference_keys=["x"]).data


# === REFUNDS AND DISPUTES === #


def test_refunds():
    for status, expected in (
        ("COMPLETED", "succeeded"),
        ("PENDING", "pending"),
        ("FAILED", "failed"),
        ("CANCELLED", "failed"),
    ):
        data = only(event("PAYMENT.CAPTURE.REFUNDED", refund(status=status))).data
        assert (data["parent_ref"], data["refund_ref"]) == ("CAP1", "REF1")
        assert (data["amount"], data["status"]) == ("210.00", expected)
    assert only(event("PAYMENT.CAPTURE.REFUNDED", refund(status="ODD"))).ignored
    with pytest.raises(ContractError) as caught:
        parsed(event("PAYMENT.CAPTURE.REFUNDED", refund(links=[])))
    assert caught.value.errors[0]["pointer"] == "/resource/links"


def test_a_reversal_is_told_by_its_dispute_unless_that_is_not_switched_on():
    body = event("PAYMENT.CAPTURE.REVERSED", refund())
    assert "CUSTOMER.DISPUTE" in only(body).ignored
    data = only(body, reversals="refund").data
    assert (data["parent_ref"], data["status"]) == ("CAP1", "succeeded")


@pytest.mark.parametrize(
    ("changes", "stage"),
    [
        ({}, "inquiry"),
        ({"dispute_life_cycle_stage": "CHARGEBACK"}, "open"),
        ({"dispute_life_cycle_stage": "ARBITRATION"}, "open"),
        (
            {
                "status": "RESOLVED",
                "dispute_outcome": {"outcome_code": "RESOLVED_BUYER_FAVOUR"},
            },
            "lost",
        ),
        (
            {
                "status": "RESOLVED",
                "dispute_outcome": {"outcome_code": "RESOLVED_SELLER_FAVOUR"},
            },
            "won",
        ),
    ],
)
def test_disputes(changes, stage):
    data = only(event("CUSTOMER.DISPUTE.UPDATED", dispute(**changes))).data
    assert (data["parent_ref"], data["dispute_ref"]) == ("CAP1", "PP-D-1")
    assert (data["stage"], data["amount"]) == (stage, "1210.00")
    assert ("due" in data) == (stage in ("inquiry", "open"))


def test_a_dispute_of_several_payments_is_one_for_each():
    several = [
        {"seller_transaction_id": "CAP1", "gross_amount": money("1000.00")},
        {"seller_transaction_id": "CAP2", "gross_amount": money("210.00")},
    ]
    body = event("CUSTOMER.DISPUTE.CREATED", dispute(disputed_transactions=several))
    commands = parsed(body)
    assert [command.data["amount"] for command in commands] == ["1000.00", "210.00"]
    keys = {business_key(parse_command(c.type, c.data)) for c in commands}
    assert len(keys) == 2 and len({c.external_id for c in commands}) == 2


def test_an_outcome_that_is_not_known_changes_nothing():
    assert only(event("CUSTOMER.DISPUTE.RESOLVED", dispute(status="RESOLVED"))).ignored


# === PAYMENTS TO OTHERS === #


@pytest.mark.parametrize(
    ("verb", "field", "status"),
    [
        ("SUCCEEDED", "execution", "acknowledged"),
        ("UNCLAIMED", "execution", "submitted"),
        ("HELD", "execution", "held"),
        ("FAILED", "outcome", "failed"),
        ("DENIED", "outcome", "rejected"),
        ("CANCELED", "outcome", "cancelled"),
        ("RETURNED", "outcome", "returned"),
    ],
)
def test_payout_items(verb, field, status):
    item = payout_item(errors={"name": "RECEIVER_UNREGISTERED", "message": "Unknown"})
    data = only(event(f"PAYMENT.PAYOUTS-ITEM.{verb}", item)).data
    assert (data["provider_ref"], data[field]) == ("BILL/2026/0007", status)
    assert data["amount"] == "50.00"
    assert data["metadata"]["payout_item"] == "ITEM1"
    unnamed = payout_item(payout_item={"amount": money("50.00")})
    data = only(event(f"PAYMENT.PAYOUTS-ITEM.{verb}", unnamed)).data
    assert data["provider_ref"] == "ITEM1"


# === WHAT IS NOT FOR US === #


@pytest.mark.parametrize(
    "kind",
    [
        "CHECKOUT.ORDER.APPROVED",
        "PAYMENT.PAYOUTSBATCH.SUCCESS",
        "BILLING.PLAN.CREATED",
        "SOMETHING.NEW",
    ],
)
def test_other_events_are_kept_and_ignored(kind):
    command = only(event(kind, {"id": "X1", "status": "OK"}))
    assert command.type == f"paypal:{kind}" and command.ignored
    assert command.data["id"] == "X1"


def test_external_id_and_fingerprint():
    def told(body):
        raw = json.dumps(body).encode()
        return ADAPTER.external_id({}, raw), ADAPTER.fingerprint({}, raw)

    body = event("PAYMENT.CAPTURE.COMPLETED", capture())
    again = {**body, "transmissions": [{"http_status": 500}], "status": "PENDING"}
    assert told(body)[0] == "WH-1" and told(body) == told(again)
    other = event("PAYMENT.CAPTURE.COMPLETED", capture(id="CAP2"))
    assert told(other)[1] != told(body)[1]
    assert ADAPTER.external_id({}, b"").startswith("sha256:")


# === PROPERTIES === #

LIFE = [
    event("PAYMENT.CAPTURE.PENDING", capture(status="PENDING")),
    event("PAYMENT.CAPTURE.COMPLETED", capture()),
    event("PAYMENT.CAPTURE.REFUNDED", refund(status="PENDING")),
    event(
        "PAYMENT.CAPTURE.REFUNDED",
        refund(update_time="2026-02-04T00:00:00Z"),
        id="WH-2",
    ),
    event("CUSTOMER.DISPUTE.CREATED", dispute()),
    event("CUSTOMER.DISPUTE.UPDATED", dispute(dispute_life_cycle_stage="CHARGEBACK")),
    event(
        "CUSTOMER.DISPUTE.RESOLVED",
        dispute(
            status="RESOLVED",
            dispute_outcome={"outcome_code": "RESOLVED_BUYER_FAVOUR"},
        ),
    ),
]
SALE = {
    "id": "SALE1",
    "amount": {"total": "30.00", "currency": "USD"},
    "transaction_fee": {"value": "1.17", "currency": "USD"},
    "create_time": "2026-02-02T02:40:00Z",
}
BODIES = [
    *LIFE,
    event("PAYMENT.SALE.COMPLETED", SALE),
    event("PAYMENT.AUTHORIZATION.CREATED", authorization()),
    event("PAYMENT.PAYOUTS-ITEM.FAILED", payout_item()),
    event("PAYMENT.CAPTURE.REVERSED", refund()),
    event("CHECKOUT.ORDER.APPROVED", {"id": "ORD1"}),
]


@given(st.permutations(LIFE), st.lists(st.sampled_from(LIFE), max_size=5))
def test_any_order_ends_in_the_same_state(order, repeated):
    def state(bodies):
        commands = [command for body in bodies for command in parsed(body)]
        distinct = {json.dumps([c.type, c.data], sort_keys=True) for c in commands}
        return distinct, fold(transitions(commands))

    commands, final = state([*order, *repeated])
    assert (commands, final) == state(LIFE)
    assert final == {
        "execution": "captured",
        "settlement": "settled",
        "refund": "full",
        "dispute": "lost",
    }


@settings(max_examples=400)
@given(mangled(BODIES), st.sampled_from([{}, {"reversals": "refund"}]))
def test_mangled_events_are_refused_or_read(content, options):
    check_harmless(ADAPTER, content, options)


@given(scrambled(BODIES) | st.binary(max_size=80))
def test_any_bytes_are_refused_or_read(content):
    check_harmless(ADAPTER, content)
