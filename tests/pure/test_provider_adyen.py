# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Adyen's standard webhooks; the other side signs and verifies with Adyen's package."""

import base64
import json

import pytest
from Adyen.util import generate_notification_sig, is_valid_hmac_notification
from finance_hub.contracts import ContractError, fold
from finance_hub.providers import ADAPTERS
from hypothesis import given, settings
from hypothesis import strategies as st
from mangling import check_harmless, mangled, scrambled, transitions

ADAPTER = ADAPTERS["adyen"]
KEY = "0123456789ABCDEF" * 4


def item(code="AUTHORISATION", **changes):
    found = {
        "additionalData": {"metadata.invoice": "INV/2026/00042", "cardHolderName": "A"},
        "amount": {"currency": "EUR", "value": 121000},
        "eventCode": code,
        "eventDate": "2026-02-02T03:40:05+01:00",
        "merchantAccountCode": "AzureShop",
        "merchantReference": "S00042",
        "paymentMethod": "visa",
        "pspReference": "881A",
        "reason": "",
        "success": "true",
    }
    found.update(changes)
    return {name: value for name, value in found.items() if value is not None}


def later(code, psp="992B", **changes):
    return item(code, pspReference=psp, originalReference="881A", **changes)


def batch(*items, live="false"):
    return {
        "live": live,
        "notificationItems": [{"NotificationRequestItem": each} for each in items],
    }


def parsed(*items, live="false", **options):
    """Return the commands of a batch which Adyen's own package takes as genuine."""
    for each in items:
        each["additionalData"] = {
            **each.get("additionalData", {}),
            "hmacSignature": base64.b64encode(
                base64.b64decode(generate_notification_sig(each, KEY))
            ).decode(),
        }
        assert is_valid_hmac_notification(each, KEY)
    return ADAPTER.parse({}, json.dumps(batch(*items, live=live)).encode(), options)


def only(*items, **options):
    (command,) = parsed(*items, **options)
    return command


# === PAYMENTS === #


def test_an_authorisation():
    command = only(item())
    assert command.type == "payment.authorised"
    assert command.external_id == "881A:AUTHORISATION:true"
    assert command.data == {
        "provider_ref": "881A",
        "amount": "1210.00",
        "currency": "EUR",
        "authorised_at": "2026-02-02T02:40:05Z",
        "document_ref": "INV/2026/00042",
        "method": "visa",
        "payer": {"name": "A"},
        "raw_status": "AUTHORISATION true",
        "metadata": {
            "merchantAccountCode": "AzureShop",
            "merchantReference": "S00042",
            "pspReference": "881A",
        },
    }
    assert only(item(amount={"currency": "EUR", "value": 0})).ignored


def test_a_capture_belongs_to_its_authorisation():
    data = only(later("CAPTURE")).data
    assert (data["provider_ref"], data["parent_ref"]) == ("881A", "881A")
    assert data["metadata"]["pspReference"] == "992B"
    own = only(later("CAPTURE"), partial_captures=True).data
    assert (own["provider_ref"], own["parent_ref"]) == ("992B", "881A")
    with pytest.raises(ContractError) as caught:
        parsed(item("CAPTURE"))
    pointer = "/notificationItems/0/NotificationRequestItem/originalReference"
    assert caught.value.errors[0]["pointer"] == pointer


def test_automatic_capture_books_the_authorisation_once():
    from finance_hub.contracts import business_key, parse_command

    commands = parsed(item(), later("CAPTURE"), capture="automatic")
    assert [command.type for command in commands] == ["payment.captured"] * 2
    keys = {business_key(parse_command(c.type, c.data)) for c in commands}
    assert keys == {"payment.captured:881A"}


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        (item(success="false", reason="Refused"), "rejected"),
        (later("CAPTURE", success="false", reason="Too late"), "failed"),
        (later("CAPTURE_FAILED"), "capture_failed"),
        (later("CANCELLATION"), "cancelled"),
        (later("TECHNICAL_CANCEL"), "cancelled"),
        (later("EXPIRE"), "expired"),
        (
            later("CANCEL_OR_REFUND", additionalData={"modification.action": "cancel"}),
            "cancelled",
        ),
    ],
)
def test_payments_that_end(event, outcome):
    command = only(event)
    assert command.type == "payment.failed"
    assert command.data["outcome"] == outcome
    assert command.data["provider_ref"] == "881A"
    assert command.data["reason_code"] == (event["reason"] or outcome)


def test_a_refused_capture_leaves_the_authorisation():
    commands = parsed(item(), later("CAPTURE", success="false"))
    assert fold(transitions(commands))["execution"] == "authorised"
    commands += parsed(later("CAPTURE", psp="993C"))
    assert fold(transitions(commands))["execution"] == "captured"


def test_a_cancellation_of_everything_may_name_no_amount():
    zero = later("CANCELLATION", amount={"currency": "EUR", "value": 0})
    assert "amount" not in only(zero).data


def test_pending():
    assert only(item("PENDING")).data["execution"] == "submitted"


def test_amounts_follow_adyens_table():
    for currency, text in (
        ("JPY", "121000"),
        ("BHD", "121.000"),
        ("CLP", "1210.00"),
        ("ISK", "1210.00"),
        ("IDR", "121000"),
        ("CVE", "121000"),
    ):
        amount = {"currency": currency, "value": 121000}
        assert only(item(amount=amount)).data["amount"] == text


def test_references():
    plain = item(additionalData={})
    assert only(plain).data["document_ref"] == "S00042"
    keys = {"reference_keys": ["merchantReference"]}
    assert only(item(), **keys).data["document_ref"] == "S00042"
    assert "document_ref" not in only(item(), reference_keys=["x"]).data


# === REFUNDS AND DISPUTES === #


@pytest.mark.parametrize(
    ("code", "success", "status"),
    [
        ("REFUND", "true", "succeeded"),
        ("REFUND", "false", "failed"),
        ("REFUND_FAILED", "true", "failed"),
        ("REFUNDED_REVERSED", "true", "reversed"),
    ],
)
def test_refunds(code, success, status):
    data = only(later(code, success=success)).data
    assert (data["parent_ref"], data["refund_ref"]) == ("881A", "992B")
    assert (data["amount"], data["status"]) == ("1210.00", status)


def test_cancel_or_refund():
    action = {"modification.action": "refund"}
    assert only(later("CANCEL_OR_REFUND", additionalData=action)).data["refund_ref"]
    assert only(later("CANCEL_OR_REFUND", success="false")).ignored
    with pytest.raises(ContractError) as caught:
        parsed(later("CANCEL_OR_REFUND"))
    assert caught.value.errors[0]["pointer"].endswith("/modification.action")


@pytest.mark.parametrize(
    ("code", "stage"),
    [
        ("REQUEST_FOR_INFORMATION", "inquiry"),
        ("NOTIFICATION_OF_CHARGEBACK", "inquiry"),
        ("CHARGEBACK", "open"),
        ("CHARGEBACK_REVERSED", "won"),
        ("ISSUER_RESPONSE_TIMEFRAME_EXPIRED", "won"),
        ("PREARBITRATION_WON", "won"),
        ("PREARBITRATION_ISSUER_WITHDRAWN", "won"),
        ("SECOND_CHARGEBACK", "lost"),
        ("PREARBITRATION_LOST", "lost"),
    ],
)
def test_disputes(code, stage):
    extra = {
        "chargebackReasonCode": "10.4",
        "defensePeriodEndsAt": "2026-03-01T10:15:30+01:00",
        "capturePspReference": "992B",
    }
    event = later(code, psp="994D", additionalData=extra, reason="Other Fraud")
    data = only(event).data
    assert (data["parent_ref"], data["dispute_ref"]) == ("881A", "994D")
    assert (data["stage"], data["reason_code"]) == (stage, "10.4")
    assert data.get("due") == (
        "2026-03-01T09:15:30Z" if stage in ("inquiry", "open") else None
    )
    parts = only(event, partial_captures=True).data
    assert parts["parent_ref"] == "992B"


def test_an_undefended_dispute_is_lost():
    code = "DISPUTE_DEFENSE_PERIOD_ENDED"
    lost = later(code, additionalData={"disputeStatus": "Undefended"})
    assert only(lost).data["stage"] == "lost"
    assert only(later(code, additionalData={"disputeStatus": "Pending"})).ignored


# === WHAT IS NOT FOR US === #


@pytest.mark.parametrize(
    "code",
    [
        "REPORT_AVAILABLE",
        "PAYOUT_THIRDPARTY",
        "PAYOUT_DECLINE",
        "PAIDOUT_REVERSED",
        "RECURRING_CONTRACT",
        "SOMETHING_NEW",
    ],
)
def test_other_events_are_kept_and_ignored(code):
    command = only(item(code))
    assert command.type == f"adyen:{code}" and command.ignored
    assert command.data["pspReference"] == "881A"


def test_what_adyen_refused_changes_nothing():
    assert only(later("CANCELLATION", success="false")).ignored


def test_other_accounts_and_modes():
    assert only(item(), merchant_accounts=["Another"]).ignored
    assert not only(item(), merchant_accounts=["AzureShop"]).ignored
    assert only(item(), mode="live").ignored
    assert not only(item(), mode="live", live="true").ignored


def test_a_batch_is_taken_whole_or_not():
    assert [c.type for c in parsed(item(), later("CAPTURE"), later("REFUND"))] == [
        "payment.authorised",
        "payment.captured",
        "payment.refunded",
    ]
    broken = later("REFUND", amount={"currency": "EUR", "value": "12,10"})
    with pytest.raises(ContractError) as caught:
        ADAPTER.parse({}, json.dumps(batch(item(), broken)).encode())
    assert caught.value.errors[0]["pointer"] == (
        "/notificationItems/1/NotificationRequestItem/amount/value"
    )


def test_the_answer_is_what_adyen_wants():
    assert (ADAPTER.reply.status, ADAPTER.reply.body) == (200, b"[accepted]")


# === TELLING MESSAGES APART === #


def test_external_id_and_fingerprint():
    def told(*items):
        raw = json.dumps(batch(*items)).encode()
        return ADAPTER.external_id({}, raw), ADAPTER.fingerprint({}, raw)

    again = item(additionalData={"other": "1"}, eventDate="2026-02-02T03:41:00+01:00")
    assert told(item())[0] == "881A:AUTHORISATION:true"
    assert told(item()) == told(again)
    assert told(item(success="false"))[0] == "881A:AUTHORISATION:false"
    less = item(amount={"currency": "EUR", "value": 1})
    assert told(less)[0] == told(item())[0] and told(less)[1] != told(item())[1]
    both = told(item(), later("CAPTURE"))[0]
    assert both.startswith("sha256:") and both == told(again, later("CAPTURE"))[0]
    assert both != told(later("CAPTURE"), item())[0]
    assert ADAPTER.external_id({}, b"{}").startswith("sha256:")


# === PROPERTIES === #

LIFE = [
    item(success="false", pspReference="881A"),
    item(eventDate="2026-02-02T03:45:05+01:00"),
    later("CAPTURE", eventDate="2026-02-02T04:00:00+01:00"),
    later("REFUND", psp="995E", eventDate="2026-02-03T04:00:00+01:00"),
    later("REFUND_FAILED", psp="995E", eventDate="2026-02-05T04:00:00+01:00"),
    later("NOTIFICATION_OF_CHARGEBACK", psp="994D"),
    later("CHARGEBACK", psp="994D", eventDate="2026-02-06T04:00:00+01:00"),
    later("CHARGEBACK_REVERSED", psp="994D", eventDate="2026-02-07T04:00:00+01:00"),
    later("SECOND_CHARGEBACK", psp="994D", eventDate="2026-02-09T04:00:00+01:00"),
]
BODIES = [
    *(batch(each) for each in LIFE),
    batch(*LIFE),
    batch(later("CANCEL_OR_REFUND", additionalData={"modification.action": "refund"})),
    batch(later("DISPUTE_DEFENSE_PERIOD_ENDED")),
    batch(item("REPORT_AVAILABLE")),
]


@given(st.permutations(LIFE), st.lists(st.sampled_from(LIFE), max_size=5))
def test_any_order_ends_in_the_same_state(order, repeated):
    def state(items):
        commands = [command for each in items for command in parsed(dict(each))]
        distinct = {json.dumps([c.type, c.data], sort_keys=True) for c in commands}
        return distinct, fold(transitions(commands))

    commands, final = state([*order, *repeated])
    assert (commands, final) == state(LIFE)
    assert final == {"execution": "captured", "refund": "failed", "dispute": "lost"}


@settings(max_examples=400)
@given(
    mangled(BODIES),
    st.sampled_from(
        [{}, {"capture": "automatic"}, {"partial_captures": True, "mode": "live"}]
    ),
)
def test_mangled_batches_are_refused_or_read(content, options):
    check_harmless(ADAPTER, content, options)


@given(scrambled(BODIES) | st.binary(max_size=80))
def test_any_bytes_are_refused_or_read(content):
    check_harmless(ADAPTER, content)
