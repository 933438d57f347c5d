# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Stripe's payments: intents, charges and checkout sessions."""

from .base import ParsedCommand
from .minor_units import from_minor_units
from .reading import Draft, Found, unix_seconds
from .stripe_event import (
    CURRENCY_EXCEPTIONS,
    Event,
    StripeOptions,
    amount_of,
    currency_of,
    id_of,
    known_status,
    newest,
    payment_ref,
    settlements,
)

#: PaymentIntent ``status`` to the execution axis.
INTENT_STATUSES = {
    "requires_payment_method": "initiated",
    "requires_confirmation": "initiated",
    "requires_action": "initiated",
    "requires_source": "initiated",
    "requires_source_action": "initiated",
    "processing": "submitted",
    "requires_capture": "authorised",
    "succeeded": "captured",
    "canceled": "cancelled",
}

#: PaymentIntent ``status`` to the execution axis.
INTENT_STATUSES = {
    "requires_payment_method": "initiated",
    "requires_confirmation": "initiated",
    "requires_action": "initiated",
    "requires_source": "initiated",
    "requires_source_action": "initiated",
    "processing": "submitted",
    "requires_capture": "authorised",
    "succeeded": "captured",
    "canceled": "cancelled",
}

#: ``cancellation_reason`` of an intent that ended because its time was over.
LAPSED = frozenset({"automatic", "expired"})

#: PaymentIntent ``status`` to the execution axis.
INTENT_STATUSES = {
    "requires_payment_method": "initiated",
    "requires_confirmation": "initiated",
    "requires_action": "initiated",
    "requires_source": "initiated",
    "requires_source_action": "initiated",
    "processing": "submitted",
    "requires_capture": "authorised",
    "succeeded": "captured",
    "canceled": "cancelled",
}

#: ``cancellation_reason`` of an intent that ended because its time was over.
LAPSED = frozenset({"automatic", "expired"})

#: Charge ``status`` to the execution axis; ``succeeded`` without ``captured`` is an
#: authorisation.
CHARGE_STATUSES = {"pending": "submitted", "failed": "failed", "succeeded": "captured"}


def _captured(
    event: Event, reference: Found, amount: Found, thing: Found, charge: Found | None
) -> Draft:
    """Return the draft of a capture, the same whoever tells of it."""
    draft = (
        event.draft("payment.captured")
        .put("provider_ref", reference)
        .put("amount", amount)
        .put("currency", currency_of(thing))
        .put("captured_at", event.time)
        # The intent is what was authorised, too.
        .put("parent_ref", reference)
        .put("document_ref", event.reference(thing, charge))
        .put_words("raw_status", thing.get("status"))
        .put_words("description", thing.get("description"))
        .put_ids(invoice=id_of(thing.get("invoice")))
    )
    return _payer(draft, thing, charge)


def _payer(draft: Draft, thing: Found, charge: Found | None) -> Draft:
    """Add who paid and how, of a charge or of what knows less."""
    source = charge if charge is not None else thing
    name = source.get("billing_details", "name")
    method = source.get("payment_method_details", "type")
    if method is None and (kinds := thing.get("payment_method_types")) is not None:
        # The types an intent allows; the one that was used, where there is one only.
        method = kinds.each()[0] if len(kinds.each()) == 1 else None
    draft.put_words("payer_name", name)
    draft.put_words("method", method)
    return draft.put_party(
        "payer",
        external_id=id_of(thing.get("customer")),
        name=name,
        email=source.get("billing_details", "email") or thing.get("receipt_email"),
    )


def read_intent(event: Event) -> list[ParsedCommand]:
    intent = event.thing
    reference = id_of(intent)
    status = intent.need("status")
    charge = newest(intent.get("charges"))
    if charge is None:
        charge = intent.get("latest_charge")
    ids = {"charge": id_of(charge), "invoice": id_of(intent.get("invoice"))}
    inline = charge if charge is not None and isinstance(charge.value, dict) else None
    if event.type == "payment_intent.payment_failed":
        return [event.done(_intent_failed(event, intent).put_ids(**ids))]
    execution = known_status(INTENT_STATUSES, status)
    if execution == "captured":
        if event.options.captures_from not in ("any", "payment_intent"):
            return event.ignore(_told_elsewhere(event.options))
        amount = amount_of(intent, "amount_received", "amount")
        draft = _captured(event, reference, amount, intent, inline)
    elif execution == "authorised":
        draft = (
            event.draft("payment.authorised")
            .put("amount", amount_of(intent, "amount_capturable", "amount"))
            .put("currency", currency_of(intent))
            .put("authorised_at", event.time)
            .put("document_ref", event.reference(intent, inline))
        )
        if inline is not None:
            _expiry(draft, inline)
            draft.put_words("method", inline.get("payment_method_details", "type"))
    elif execution == "cancelled":
        reason = intent.get("cancellation_reason")
        lapsed = reason is not None and reason.value in tuple(LAPSED)
        draft = _failed(event, intent, "expired" if lapsed else "cancelled", reason)
    elif execution is not None:
        draft = (
            event.draft("payment.status_changed")
            .put("execution", execution)
            .put("changed_at", event.time)
            .put("amount", amount_of(intent, "amount"))
            .put("currency", currency_of(intent))
            .put("document_ref", event.reference(intent, inline))
        )
    else:
        return event.not_known(status)
    draft.put("provider_ref", reference).put_words("raw_status", status)
    return [event.done(draft.put_ids(**ids))]


def _intent_failed(event: Event, intent: Found) -> Draft:
    error = intent.get("last_payment_error")
    code = reason = None
    if error is not None:
        code = error.get("decline_code") or error.get("code") or error.get("type")
        reason = error.get("message")
    return _failed(event, intent, "failed", code, reason)


def _failed(
    event: Event,
    thing: Found,
    outcome: str,
    code: Found | None,
    reason: Found | None = None,
) -> Draft:
    draft = (
        event.draft("payment.failed")
        .put("provider_ref", payment_ref(thing) or id_of(thing))
        .put("outcome", outcome)
        .put("failed_at", event.time)
        .put("amount", amount_of(thing, "amount"))
        .put("currency", currency_of(thing))
        .put("document_ref", event.reference(thing))
        .put_words("reason_code", code)
        .put_words("reason", reason)
        .put_words("raw_status", thing.get("status"))
    )
    # The contract wants a code; the event's own name says as much as Stripe does.
    draft.data.setdefault("reason_code", outcome)
    return draft


def _expiry(draft: Draft, charge: Found):
    before = charge.get("payment_method_details", "card", "capture_before")
    if before is not None:
        draft.put("expires_at", before.then(unix_seconds))


def read_charge(event: Event) -> list[ParsedCommand]:
    charge = event.thing
    reference = payment_ref(charge) or id_of(charge)
    ids = {"charge": id_of(charge), "invoice": id_of(charge.get("invoice"))}
    status = charge.need("status")
    execution = known_status(CHARGE_STATUSES, status)
    captured = charge.get("captured")
    if event.type == "charge.expired":
        draft = _failed(event, charge, "expired", None)
    elif execution == "failed":
        code = charge.get("outcome", "network_decline_code")
        code = charge.get("failure_code") or code
        draft = _failed(event, charge, "failed", code, charge.get("failure_message"))
    elif execution == "captured" and captured is not None and not captured.value:
        draft = (
            event.draft("payment.authorised")
            .put("amount", amount_of(charge, "amount"))
            .put("currency", currency_of(charge))
            .put("authorised_at", event.time)
            .put("document_ref", event.reference(charge))
            .put_words("method", charge.get("payment_method_details", "type"))
        )
        _expiry(draft, charge)
    elif execution == "captured":
        return _charge_captured(event, charge, reference, ids)
    elif execution is not None:
        draft = (
            event.draft("payment.status_changed")
            .put("execution", execution)
            .put("changed_at", event.time)
            .put("amount", amount_of(charge, "amount"))
            .put("currency", currency_of(charge))
            .put("document_ref", event.reference(charge))
        )
    else:
        return event.not_known(status)
    draft.put("provider_ref", reference).put_words("raw_status", status)
    return [event.done(draft.put_ids(**ids))]


def _charge_captured(
    event: Event, charge: Found, reference: Found, ids: dict
) -> list[ParsedCommand]:
    commands = settlements(event, charge.get("balance_transaction"), reference)
    if event.options.captures_from in ("any", "charge"):
        amount = _captured_amount(charge)
        draft = _captured(event, reference, amount, charge, charge).put_ids(**ids)
        return [event.done(draft), *commands]
    return commands or event.ignore(_told_elsewhere(event.options))


def _captured_amount(charge: Found) -> Found:
    """Return how much of a charge was taken.

    Before there was ``amount_captured``, what was not captured of an authorisation
    stood as refunded.
    """
    if charge.get("amount_captured") is not None:
        return amount_of(charge, "amount_captured")
    amount, back = charge.need("amount"), charge.get("amount_refunded")
    if back is not None and type(amount.value) is type(back.value) is int:
        amount = Found(amount.value - back.value, amount.at)
    return amount.then(from_minor_units, currency_of(charge).value, CURRENCY_EXCEPTIONS)


def read_charge_update(event: Event) -> list[ParsedCommand]:
    """The balance transaction of a charge was made; its fee is known if expanded."""
    charge = event.thing
    reference = payment_ref(charge) or id_of(charge)
    return (
        settlements(event, charge.get("balance_transaction"), reference)
        or event.ignore()
    )


def read_session(event: Event) -> list[ParsedCommand]:
    """A checkout session, which may be all that carries the number of the invoice."""
    session = event.thing
    intent = session.get("payment_intent")
    paid = session.get("payment_status")
    if intent is None or paid is None or paid.value != "paid":
        return event.ignore("Nothing was paid by this session yet.")
    if event.options.captures_from not in ("any", "checkout_session"):
        return event.ignore(_told_elsewhere(event.options))
    reference = id_of(intent)
    amount = amount_of(session, "amount_total")
    inline = intent if isinstance(intent.value, dict) else None
    draft = _captured(event, reference, amount, session, inline)
    draft.put_words("raw_status", paid)
    details = session.get("customer_details")
    if details is not None:
        draft.put_words("payer_name", details.get("name"))
        draft.put_party(
            "payer",
            external_id=id_of(session.get("customer")),
            name=details.get("name"),
            email=details.get("email"),
        )
    return [event.done(draft.put_ids(checkout_session=id_of(session)))]


def _told_elsewhere(options: StripeOptions) -> str:
    return (
        f"Captures are taken from {options.captures_from} events, as the settings of "
        "the connector say."
    )
