# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Stripe events of an old and a current API version.

The other side is Stripe's own package: it signs, verifies and reads the bodies, and its
types say which fields there are today.
"""

import inspect
import json
import re

import pytest
import stripe
from finance_hub.contracts import ContractError, fold
from finance_hub.providers import ADAPTERS
from hypothesis import given, settings
from hypothesis import strategies as st
from mangling import check_harmless, mangled, scrambled, transitions

ADAPTER = ADAPTERS["stripe"]
OLD, NEW = "2020-08-27", "2025-09-30.clover"
T0 = 1_770_000_000  # 2026-02-02T02:40:00Z
SECRET = "whsec_test_of_the_hub"


def intent(**changes):
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "amount": 121000,
        "amount_capturable": 0,
        "amount_received": 121000,
        "currency": "eur",
        "customer": "cus_7",
        "latest_charge": "ch_1",
        "metadata": {"invoice": "INV/2026/00042", "colour": "blue"},
        "payment_method_types": ["card"],
        "receipt_email": "buyer@example.com",
        "status": "succeeded",
        **changes,
    }


def charge(**changes):
    return {
        "id": "ch_1",
        "object": "charge",
        "amount": 121000,
        "amount_captured": 121000,
        "amount_refunded": 0,
        "balance_transaction": "txn_1",
        "billing_details": {"name": "Azure Interior", "email": "a@example.com"},
        "captured": True,
        "created": T0,
        "currency": "eur",
        "customer": "cus_7",
        "description": "Order 7",
        "metadata": {"invoice": "INV/2026/00042"},
        "paid": True,
        "payment_intent": "pi_1",
        "payment_method_details": {"type": "card"},
        "status": "succeeded",
        **changes,
    }


def refund(**changes):
    return {
        "id": "re_1",
        "object": "refund",
        "amount": 21000,
        "charge": "ch_1",
        "created": T0 + 100,
        "currency": "eur",
        "payment_intent": "pi_1",
        "reason": "requested_by_customer",
        "status": "succeeded",
        **changes,
    }


def dispute(**changes):
    return {
        "id": "dp_1",
        "object": "dispute",
        "amount": 121000,
        "balance_transactions": [],
        "charge": "ch_1",
        "created": T0 + 200,
        "currency": "eur",
        "evidence_details": {"due_by": T0 + 900_000},
        "network_reason_code": "10.4",
        "payment_intent": "pi_1",
        "reason": "fraudulent",
        "status": "needs_response",
        **changes,
    }


def payout(**changes):
    return {
        "id": "po_1",
        "object": "payout",
        "amount": 98255,
        "arrival_date": 1_770_076_800,
        "currency": "eur",
        "statement_descriptor": "STRIPE PAYOUT",
        "status": "paid",
        "trace_id": {"status": "supported", "value": "TR123"},
        **changes,
    }


def transaction(**changes):
    return {
        "id": "txn_1",
        "object": "balance_transaction",
        "amount": 121000,
        "available_on": 1_770_076_800,
        "currency": "eur",
        "fee": 1745,
        "net": 119255,
        "status": "available",
        **changes,
    }


def event(kind, thing, version=NEW, **changes):
    return {
        "id": "evt_1",
        "object": "event",
        "api_version": version,
        "created": T0 + 5,
        "data": {"object": thing},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": "req_1", "idempotency_key": None},
        "type": kind,
        **changes,
    }


def parsed(body, **options):
    """Return the commands of an event which Stripe's own package took as genuine."""
    text = json.dumps(body)
    header = stripe.WebhookSignature.generate_signature_header(text, SECRET)
    genuine = stripe.Webhook.construct_event(text, header, SECRET)
    assert genuine.type == body["type"]
    return ADAPTER.parse({"Stripe-Signature": header}, text.encode(), options)


def only(body, **options):
    (command,) = parsed(body, **options)
    return command


# === THE OTHER SIDE === #


@pytest.mark.parametrize(
    ("thing", "model"),
    [
        (intent(), stripe.PaymentIntent),
        (charge(), stripe.Charge),
        (refund(), stripe.Refund),
        (dispute(), stripe.Dispute),
        (payout(), stripe.Payout),
        (transaction(), stripe.BalanceTransaction),
    ],
)
def test_the_fixtures_have_fields_that_stripe_knows(thing, model):
    assert set(thing) <= set(model.__annotations__)
    assert thing["object"] == model.OBJECT_NAME


def test_every_event_is_one_that_stripe_knows():
    from finance_hub.providers.stripe import _READERS
    from finance_hub.providers.stripe_event import REASONS

    source = inspect.getsource(inspect.getmodule(stripe.Event))
    known = set(re.findall(r'"([a-z_]+(?:\.[a-z_]+)+)"', source))
    assert set(_READERS) | set(REASONS) <= known


def test_every_status_is_one_that_stripe_knows():
    from finance_hub.providers import stripe_returns as ours

    source = inspect.getsource(inspect.getmodule(stripe.Dispute))
    assert all(f'"{status}"' in source for status in ours.DISPUTE_STAGES)
    source = inspect.getsource(inspect.getmodule(stripe.Refund))
    assert all(f"`{status}`" in source for status in ours.REFUND_STATUSES)


# === PAYMENTS === #


def test_an_intent_that_succeeded():
    command = only(event("payment_intent.succeeded", intent()))
    assert command.type == "payment.captured"
    assert command.external_id == "evt_1"
    assert command.data == {
        "provider_ref": "pi_1",
        "amount": "1210.00",
        "currency": "EUR",
        "captured_at": "2026-02-02T02:40:05Z",
        "parent_ref": "pi_1",
        "document_ref": "INV/2026/00042",
        "payer": {"external_id": "cus_7", "email": "buyer@example.com"},
        "method": "card",
        "raw_status": "succeeded",
        "metadata": {"stripe_event": "payment_intent.succeeded", "charge": "ch_1"},
    }


def test_intent_and_charge_are_one_payment():
    """Whoever comes second finds the payment booked: one key, one amount."""
    from finance_hub.contracts import business_key, parse_command

    commands = [
        only(event("payment_intent.succeeded", intent())),
        only(event("charge.succeeded", charge(), id="evt_2")),
        only(event("charge.captured", charge(), id="evt_3")),
        only(event("charge.succeeded", charge(), OLD, id="evt_4")),
    ]
    keys = {business_key(parse_command(c.type, c.data)) for c in commands}
    assert keys == {"payment.captured:pi_1"}
    for name in ("amount", "currency", "document_ref", "parent_ref", "captured_at"):
        assert len({command.data[name] for command in commands}) == 1


def test_a_charge_without_an_intent_stands_for_itself():
    command = only(event("charge.succeeded", charge(payment_intent=None), OLD))
    assert command.data["provider_ref"] == command.data["parent_ref"] == "ch_1"


def test_an_old_intent_holds_its_charges():
    old = intent(
        charges={"object": "list", "data": [charge(id="ch_2"), charge()]},
        invoice="in_9",
    )
    del old["latest_charge"]
    data = only(event("payment_intent.succeeded", old, OLD)).data
    assert data["metadata"]["charge"] == "ch_2"
    assert data["metadata"]["invoice"] == "in_9"
    assert data["payer_name"] == "Azure Interior"
    assert data["payer"]["email"] == "a@example.com"


def test_expanded_references_are_read_as_their_ids():
    thing = charge(payment_intent=intent(), customer={"id": "cus_7", "object": "c"})
    data = only(event("charge.succeeded", thing)).data
    assert data["provider_ref"] == "pi_1"
    assert data["payer"]["external_id"] == "cus_7"


def test_amounts_follow_the_currency():
    for currency, text in (
        ("jpy", "121000"),
        ("kwd", "121.000"),
        ("isk", "1210.00"),
        ("ugx", "1210.00"),
        ("mga", "121000"),
        ("usd", "1210.00"),
    ):
        body = event("payment_intent.succeeded", intent(currency=currency))
        assert only(body).data["amount"] == text
    with pytest.raises(ContractError) as caught:
        parsed(event("payment_intent.succeeded", intent(currency="zzz")))
    assert caught.value.errors[0]["pointer"] == "/data/object/amount_received"


def test_part_of_an_authorisation_is_captured():
    thing = charge(amount_captured=50000, amount_refunded=71000)
    assert only(event("charge.captured", thing)).data["amount"] == "500.00"
    old = charge(amount_refunded=71000)
    del old["amount_captured"]
    assert only(event("charge.captured", old, OLD)).data["amount"] == "500.00"


@pytest.mark.parametrize(
    ("kind", "thing", "name", "field", "status"),
    [
        (
            "payment_intent.created",
            intent(status="requires_payment_method"),
            "payment.status_changed",
            "execution",
            "initiated",
        ),
        (
            "payment_intent.requires_action",
            intent(status="requires_action"),
            "payment.status_changed",
            "execution",
            "initiated",
        ),
        (
            "payment_intent.processing",
            intent(status="processing"),
            "payment.status_changed",
            "execution",
            "submitted",
        ),
        (
            "charge.pending",
            charge(status="pending"),
            "payment.status_changed",
            "execution",
            "submitted",
        ),
        (
            "payment_intent.canceled",
            intent(status="canceled", cancellation_reason="requested_by_customer"),
            "payment.failed",
            "outcome",
            "cancelled",
        ),
        (
            "payment_intent.canceled",
            intent(status="canceled", cancellation_reason="automatic"),
            "payment.failed",
            "outcome",
            "expired",
        ),
        (
            "charge.expired",
            charge(captured=False),
            "payment.failed",
            "outcome",
            "expired",
        ),
        (
            "charge.failed",
            charge(status="failed", failure_code="card_declined"),
            "payment.failed",
            "reason_code",
            "card_declined",
        ),
        (
            "payment_intent.payment_failed",
            intent(
                status="requires_payment_method",
                last_payment_error={
                    "code": "card_declined",
                    "decline_code": "lost_card",
                },
            ),
            "payment.failed",
            "reason_code",
            "lost_card",
        ),
    ],
)
def test_statuses_before_the_capture(kind, thing, name, field, status):
    command = only(event(kind, thing))
    assert command.type == name
    assert command.data[field] == status
    assert command.data["provider_ref"] == "pi_1"
    assert command.data["amount"] == "1210.00"


def test_authorisations():
    for body in (
        event(
            "payment_intent.amount_capturable_updated",
            intent(status="requires_capture", amount_capturable=121000),
        ),
        event("charge.succeeded", charge(captured=False, amount_captured=0)),
    ):
        command = only(body)
        assert command.type == "payment.authorised"
        assert command.data["provider_ref"] == "pi_1"
        assert command.data["amount"] == "1210.00"
    card = {"type": "card", "card": {"capture_before": T0 + 600}}
    body = event(
        "charge.succeeded", charge(captured=False, payment_method_details=card)
    )
    assert only(body).data["expires_at"] == "2026-02-02T02:50:00Z"


def test_a_checkout_session_may_be_what_names_the_order():
    session = {
        "id": "cs_1",
        "object": "checkout.session",
        "amount_total": 121000,
        "client_reference_id": "S00042",
        "currency": "eur",
        "customer_details": {"name": "Azure Interior", "email": "a@example.com"},
        "metadata": {},
        "payment_intent": "pi_1",
        "payment_status": "paid",
    }
    data = only(event("checkout.session.completed", session)).data
    assert data["provider_ref"] == "pi_1" and data["document_ref"] == "S00042"
    assert data["amount"] == "1210.00" and data["payer_name"] == "Azure Interior"
    unpaid = event(
        "checkout.session.completed", {**session, "payment_status": "unpaid"}
    )
    assert only(unpaid).ignored
    chosen = {"captures_from": "checkout_session"}
    assert not only(event("checkout.session.completed", session), **chosen).ignored
    assert only(event("payment_intent.succeeded", intent()), **chosen).ignored
    assert only(event("charge.succeeded", charge()), **chosen).ignored


def test_references():
    body = event("charge.succeeded", charge(metadata={"our_no": "A-1", "invoice": "B"}))
    assert only(body).data["document_ref"] == "B"
    assert only(body, reference_keys=["our_no"]).data["document_ref"] == "A-1"
    assert "document_ref" not in only(body, reference_keys=["x"]).data
    unusable = charge(metadata={"invoice": "x" * 300, "order": " S7 "})
    assert only(event("charge.succeeded", unusable)).data["document_ref"] == "S7"
    newest = intent(metadata={}, payment_details={"order_reference": "S8"})
    body = event("payment_intent.succeeded", newest)
    assert only(body).data["document_ref"] == "S8"


# === FEES, REFUNDS, DISPUTES, PAYOUTS === #


def test_a_fee_is_known_where_the_balance_transaction_is():
    assert only(event("charge.updated", charge())).ignored
    body = event("charge.updated", charge(balance_transaction=transaction()))
    command = only(body)
    assert command.type == "payment.settled" and command.external_id == "evt_1/txn_1"
    assert command.data == {
        "provider_ref": "pi_1",
        "settlement_ref": "txn_1",
        "gross": "1210.00",
        "fee": "17.45",
        "net": "1192.55",
        "currency": "EUR",
        "settled_at": "2026-02-02T02:40:05Z",
        "value_date": "2026-02-03",
        "raw_status": "available",
        "metadata": {"stripe_event": "charge.updated"},
    }
    wrong = charge(balance_transaction=transaction(net=1))
    with pytest.raises(ContractError) as caught:
        parsed(event("charge.updated", wrong))
    assert caught.value.errors[0]["pointer"] == "/data/object"
    both = charge(balance_transaction=transaction())
    kinds = [c.type for c in parsed(event("charge.succeeded", both))]
    assert kinds == ["payment.captured", "payment.settled"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("pending", "pending"),
        ("requires_action", "pending"),
        ("succeeded", "succeeded"),
        ("failed", "failed"),
        ("canceled", "failed"),
    ],
)
def test_refunds(status, expected):
    for kind in ("refund.created", "refund.updated", "charge.refund.updated"):
        data = only(event(kind, refund(status=status))).data
        assert data["parent_ref"] == "pi_1" and data["refund_ref"] == "re_1"
        assert (data["amount"], data["status"]) == ("210.00", expected)
    assert only(event("refund.updated", refund(status="odd"))).ignored
    lonely = refund(payment_intent=None, charge=None)
    assert only(event("refund.created", lonely)).ignored


def test_an_old_charge_holds_its_refunds_and_a_new_one_does_not():
    thing = charge(
        amount_refunded=31000,
        refunds={
            "object": "list",
            "data": [refund(id="re_2", amount=10000, payment_intent=None), refund()],
        },
    )
    first, second = parsed(event("charge.refunded", thing, OLD))
    assert (first.data["refund_ref"], first.data["amount"]) == ("re_2", "100.00")
    assert first.data["parent_ref"] == second.data["parent_ref"] == "pi_1"
    assert first.external_id == "evt_1/re_2"
    new = only(event("charge.refunded", charge(amount_refunded=31000)))
    assert new.type == "stripe:charge.refunded" and "refund.created" in new.ignored


@pytest.mark.parametrize(
    ("status", "stage"),
    [
        ("warning_needs_response", "inquiry"),
        ("warning_under_review", "inquiry"),
        ("warning_closed", "won"),
        ("needs_response", "open"),
        ("under_review", "open"),
        ("won", "won"),
        ("lost", "lost"),
        ("prevented", "won"),
    ],
)
def test_disputes(status, stage):
    data = only(event("charge.dispute.updated", dispute(status=status))).data
    assert data["parent_ref"] == "pi_1" and data["dispute_ref"] == "dp_1"
    assert (data["stage"], data["reason_code"]) == (stage, "10.4")
    assert ("due" in data) == (stage in ("inquiry", "open"))
    assert only(event("charge.dispute.closed", dispute(status="odd"))).ignored


def test_a_dispute_brings_its_fee():
    withdrawn = dispute(
        balance_transactions=[
            transaction(id="txn_9", amount=-121000, fee=1500, net=-122500)
        ]
    )
    disputed, settled = parsed(event("charge.dispute.funds_withdrawn", withdrawn))
    assert disputed.data["stage"] == "open"
    assert settled.data["provider_ref"] == "pi_1"
    assert settled.data["gross"] == "-1210.00" and settled.data["fee"] == "15.00"


def test_payouts():
    command = only(event("payout.paid", payout()))
    assert command.type == "payout.released"
    assert (
        command.data["net"] == "982.55" and command.data["value_date"] == "2026-02-03"
    )
    assert command.data["bank_reference"] == "STRIPE PAYOUT"
    assert command.data["complete"] is False and command.data["lines"] == []
    failed = only(event("payout.failed", payout(failure_code="account_closed")))
    assert failed.type == "payout.failed"
    assert failed.data["reason_code"] == "account_closed"
    assert only(event("payout.paid", payout(amount=-500))).data["net"] == "-5.00"
    for kind in ("payout.created", "payout.canceled", "payout.updated"):
        assert only(event(kind, payout())).ignored


# === WHAT IS NOT FOR US === #


def test_other_events_are_kept_and_ignored():
    command = only(event("customer.created", {"id": "cus_7", "object": "customer"}))
    assert command.type == "stripe:customer.created" and command.ignored
    assert command.data == {
        "event": "customer.created",
        "object": "customer",
        "id": "cus_7",
    }
    odd = event("payment_intent.succeeded", intent(status="teleported"))
    assert "teleported" in only(odd).ignored


def test_thin_events_say_what_to_do():
    body = {
        "id": "evt_2",
        "object": "v2.core.event",
        "type": "v1.billing.meter.error_report_triggered",
        "created": "2026-02-02T02:40:00.000Z",
    }
    (command,) = ADAPTER.parse({}, json.dumps(body).encode())
    assert "snapshot" in command.ignored


def test_events_of_other_accounts_and_modes_are_ignored():
    body = event("payment_intent.succeeded", intent(), account="acct_1")
    assert only(body).ignored
    assert not only(body, account="acct_1").ignored
    assert only(body, account="acct_2").ignored
    own = event("payment_intent.succeeded", intent())
    assert only(own, account="acct_1").ignored
    assert only(own, mode="live").ignored
    assert not only(own, mode="test").ignored


def test_settings_are_checked():
    with pytest.raises(ContractError):
        ADAPTER.parse({}, json.dumps(event("x", {"object": "y"})).encode(), {"z": 1})


# === TELLING MESSAGES APART === #


def test_external_id_and_fingerprint():
    body = event("charge.succeeded", charge())
    again = {**body, "pending_webhooks": 0, "request": None}
    upgraded = event("charge.succeeded", charge(invoice="in_1", refunds={}), OLD)
    other = event("charge.succeeded", charge(amount=1))

    def told(content):
        raw = json.dumps(content).encode()
        return ADAPTER.external_id({}, raw), ADAPTER.fingerprint({}, raw)

    assert told(body)[0] == "evt_1"
    assert told(body) == told(again) == told(upgraded)
    assert told(body)[1] != told(other)[1]
    assert ADAPTER.external_id({}, b"[").startswith("sha256:")
    assert ADAPTER.fingerprint({}, b"[") == b"["


# === PROPERTIES === #

LIFE = [
    event("payment_intent.created", intent(status="requires_action"), id="evt_a"),
    event(
        "charge.failed",
        charge(id="ch_0", status="failed", failure_code="x"),
        id="evt_b",
        created=T0 + 6,
    ),
    event(
        "payment_intent.payment_failed",
        intent(status="requires_payment_method"),
        id="evt_c",
        created=T0 + 6,
    ),
    event("payment_intent.processing", intent(status="processing"), id="evt_d"),
    event("charge.succeeded", charge(), OLD, id="evt_e", created=T0 + 9),
    event("payment_intent.succeeded", intent(), id="evt_f", created=T0 + 10),
    event("charge.updated", charge(balance_transaction=transaction()), id="evt_g"),
    event("refund.created", refund(status="pending"), id="evt_h", created=T0 + 100),
    event("refund.updated", refund(), id="evt_i", created=T0 + 120),
    event(
        "charge.refunded",
        charge(refunds={"object": "list", "data": [refund()]}),
        OLD,
        id="evt_j",
        created=T0 + 121,
    ),
    event("refund.failed", refund(status="failed"), id="evt_k", created=T0 + 300),
    event("charge.dispute.created", dispute(), id="evt_l", created=T0 + 200),
    event(
        "charge.dispute.closed", dispute(status="lost"), id="evt_m", created=T0 + 400
    ),
]
BODIES = [
    *LIFE,
    event("payout.paid", payout()),
    event("payout.failed", payout(failure_code="x")),
    event(
        "charge.dispute.funds_withdrawn",
        dispute(balance_transactions=[transaction()]),
    ),
    event("customer.created", {"id": "cus_7", "object": "customer"}),
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
        "refund": "failed",
        "dispute": "lost",
    }


@settings(max_examples=400)
@given(mangled(BODIES))
def test_mangled_events_are_refused_or_read(content):
    check_harmless(ADAPTER, content)


@given(scrambled(BODIES) | st.binary(max_size=80))
def test_any_bytes_are_refused_or_read(content):
    check_harmless(ADAPTER, content)
