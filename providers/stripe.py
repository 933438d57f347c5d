# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Stripe webhooks (snapshot events), old and current API versions.

Sources: Stripe API reference, "Event types", "The PaymentIntent object", "The Charge
object", "The Refund object", "The Dispute object", "The Payout object", "Currencies";
API changelog. What differs between the versions, and is read either way:

- until 2022-08-01 a payment intent holds its charges (``charges.data``); since then it
  names the last one (``latest_charge``);
- until 2022-08-01 a charge holds its refunds (``refunds.data``); since then
  ``charge.refunded`` says only that there was one, and ``refund.*`` tells of it;
- until 2025-03-31 ("basil") charges and intents name their ``invoice``.

Any reference to another object may be its id or, where somebody expands it on the way,
the object itself.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from ..contracts import (
    Contract,
    ContractError,
    Identifier,
    dump_json,
    parse_json,
    validate,
)
from . import constants as const
from .base import Adapter, ParsedCommand, bounded_id, digest_id
from .minor_units import currency_code, from_minor_units
from .reading import (
    Draft,
    Found,
    body_of,
    fault,
    first_reference,
    ignored,
    unix_day,
    unix_seconds,
)

NAME = "stripe"

# === MAPS === #

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

#: Refund ``status`` to the status of a refund. A cancelled one gave nothing back.
REFUND_STATUSES = {
    "pending": "pending",
    "requires_action": "pending",
    "succeeded": "succeeded",
    "failed": "failed",
    "canceled": "failed",
}

#: Dispute ``status`` to its stage. An inquiry that is closed, and a dispute that was
#: prevented, leave the money where it is. An appeal comes after the loss, which stays
#: until it is won.
DISPUTE_STAGES = {
    "warning_needs_response": "inquiry",
    "warning_under_review": "inquiry",
    "warning_closed": "won",
    "needs_response": "open",
    "under_review": "open",
    "appeal_needs_response": "open",
    "appeal_under_review": "open",
    "won": "won",
    "prevented": "won",
    "lost": "lost",
}

#: Digits after the point where Stripe deviates from ISO 4217 ("Currencies", special
#: cases and zero-decimal currencies).
CURRENCY_EXCEPTIONS = {"ISK": 2, "MGA": 0, "UGX": 2}

#: Why events that look like news are not acted upon.
REASONS = {
    "charge.refunded": "This version of Stripe's API does not say which refund it was. "
    "The events refund.created, refund.updated and refund.failed do; have Stripe send "
    "them.",
    "charge.updated": "Nothing that is booked has changed. Stripe names its balance "
    "transaction here without the fee, which comes with the report of the payout.",
    "payout.created": "The payout is on its way; payout.paid tells when it arrives.",
    "payout.updated": "The payout is on its way; payout.paid tells when it arrives.",
    "payout.canceled": "The payout was cancelled before it was sent, so nothing is "
    "expected at the bank.",
    "payout.reconciliation_completed": "The payout's report can be fetched at Stripe.",
    "checkout.session.expired": "Nobody paid.",
    "checkout.session.async_payment_failed": "payment_intent.payment_failed tells the "
    "same of the payment.",
    "balance.available": "It says what the balance is, not what it is made of.",
}
NO_USE = "The hub has no use for this event."


class StripeOptions(Contract):
    """Settings of a Stripe connection.

    :ivar reference_keys: names under which the metadata of a payment holds the number
        of the invoice or order; the first that is there counts.
    :ivar captures_from: which of Stripe's objects tells that money was taken. Any of
        them will do, as they are about one payment and it is booked once; name one
        where only that one carries the number of the invoice.
    :ivar account: id of the connected account (``acct_…``) this is about. Events of
        other accounts are kept and ignored; without it, those of all connected ones.
    :ivar mode: whether live events, test events or both are taken.
    """

    reference_keys: Annotated[
        list[Identifier], Field(max_length=const.REFERENCE_KEYS_MAX_COUNT)
    ] = list(const.REFERENCE_KEYS)
    captures_from: Literal["any", "payment_intent", "charge", "checkout_session"] = (
        "any"
    )
    account: Identifier | None = None
    mode: Literal["any", "live", "test"] = "any"


# === SMALL PARTS === #


def _id(found: Found | None) -> Found | None:
    """Return the id of a referenced object, expanded or not."""
    if found is None:
        return None
    if isinstance(found.value, dict):
        found = found.need("id")
    return Found(found.text(), found.at)


def _payment_ref(thing: Found, *more: Found | None) -> Found | None:
    """Return the one reference by which a payment is known everywhere.

    That is the payment intent, and the charge only where there is none (payments from
    before intents existed). Every event about a payment, its refunds and its disputes
    names its intent, while an intent may have several charges: those that failed
    before one succeeded. So both kinds of events lead to one transaction, and the
    second of ``payment_intent.succeeded`` and ``charge.succeeded`` finds the payment
    booked.
    """
    if thing.get("object") and thing.value["object"] == "payment_intent":
        return _id(thing)
    for candidate in (thing.get("payment_intent"), *more, thing.get("charge")):
        if candidate is not None:
            expanded = isinstance(candidate.value, dict)
            inner = candidate.get("payment_intent") if expanded else None
            return _id(inner if inner is not None else candidate)
    return None


def _currency(thing: Found) -> Found:
    return thing.need("currency").then(currency_code)


def _amount(thing: Found, *names: str) -> Found:
    """Return the first of these amounts that is there and not zero."""
    currency = _currency(thing).value
    found = next(
        (
            candidate
            for candidate in map(thing.get, names)
            if candidate is not None and candidate.value != 0
        ),
        None,
    )
    if found is None:
        found = thing.need(names[-1])
    return found.then(from_minor_units, currency, CURRENCY_EXCEPTIONS)


def _last(found: Found | None) -> Found | None:
    """Return the newest object of a list object, which Stripe puts first."""
    if found is None:
        return None
    objects = found.need("data").each()
    return objects[0] if objects else None


class _Event:
    """One event and what its parts need to know of it."""

    def __init__(self, event: Found, options: StripeOptions):
        self.options = options
        self.type = event.need("type").text()
        self.id = event.need("id").text()
        self.time = event.need("created").then(unix_seconds)
        self.thing = event.need("data", "object").object()
        self.event = event

    def draft(self, name: str) -> Draft:
        draft = Draft(name, self.thing)
        return draft.put_ids(stripe_event=self.type)

    def done(self, draft: Draft, part: str = "") -> ParsedCommand:
        return draft.command(f"{self.id}/{part}" if part else self.id)

    def ignore(self, why: str | None = None) -> list[ParsedCommand]:
        return [
            ignored(
                NAME,
                self.type,
                self.id,
                self.time,
                why or REASONS.get(self.type, NO_USE),
                {name: self.thing.get(name) for name in ("object", "id", "status")},
            )
        ]

    def not_known(self, status: Found) -> list[ParsedCommand]:
        return self.ignore(
            f"The hub does not know the status {str(status.value)[:64]!r}; nothing was "
            "changed."
        )

    def reference(self, *things: Found | None) -> Found | None:
        """Return the number of the document a payment is for."""
        places = []
        for thing in things:
            if thing is None or not isinstance(thing.value, dict):
                continue
            metadata = thing.get("metadata")
            if metadata is not None:
                places += [metadata.get(key) for key in self.options.reference_keys]
        # Since "basil"; and what a checkout session has for the purpose.
        places += [
            place
            for thing in things
            if thing is not None and isinstance(thing.value, dict)
            for place in (
                thing.get("payment_details", "order_reference"),
                thing.get("client_reference_id"),
            )
        ]
        return first_reference(places)


# === PAYMENTS === #


def _captured(
    event: _Event, reference: Found, amount: Found, thing: Found, charge: Found | None
) -> Draft:
    """Return the draft of a capture, the same whoever tells of it."""
    draft = (
        event.draft("payment.captured")
        .put("provider_ref", reference)
        .put("amount", amount)
        .put("currency", _currency(thing))
        .put("captured_at", event.time)
        # The intent is what was authorised, too.
        .put("parent_ref", reference)
        .put("document_ref", event.reference(thing, charge))
        .put_words("raw_status", thing.get("status"))
        .put_words("description", thing.get("description"))
        .put_ids(invoice=_id(thing.get("invoice")))
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
        external_id=_id(thing.get("customer")),
        name=name,
        email=source.get("billing_details", "email") or thing.get("receipt_email"),
    )


def _intent(event: _Event) -> list[ParsedCommand]:
    intent = event.thing
    reference = _id(intent)
    status = intent.need("status")
    charge = _last(intent.get("charges"))
    if charge is None:
        charge = intent.get("latest_charge")
    ids = {"charge": _id(charge), "invoice": _id(intent.get("invoice"))}
    inline = charge if charge is not None and isinstance(charge.value, dict) else None
    if event.type == "payment_intent.payment_failed":
        return [event.done(_intent_failed(event, intent).put_ids(**ids))]
    execution = _known(INTENT_STATUSES, status)
    if execution == "captured":
        if event.options.captures_from not in ("any", "payment_intent"):
            return event.ignore(_told_elsewhere(event.options))
        amount = _amount(intent, "amount_received", "amount")
        draft = _captured(event, reference, amount, intent, inline)
    elif execution == "authorised":
        draft = (
            event.draft("payment.authorised")
            .put("amount", _amount(intent, "amount_capturable", "amount"))
            .put("currency", _currency(intent))
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
            .put("amount", _amount(intent, "amount"))
            .put("currency", _currency(intent))
            .put("document_ref", event.reference(intent, inline))
        )
    else:
        return event.not_known(status)
    draft.put("provider_ref", reference).put_words("raw_status", status)
    return [event.done(draft.put_ids(**ids))]


def _intent_failed(event: _Event, intent: Found) -> Draft:
    error = intent.get("last_payment_error")
    code = reason = None
    if error is not None:
        code = error.get("decline_code") or error.get("code") or error.get("type")
        reason = error.get("message")
    return _failed(event, intent, "failed", code, reason)


def _failed(
    event: _Event,
    thing: Found,
    outcome: str,
    code: Found | None,
    reason: Found | None = None,
) -> Draft:
    draft = (
        event.draft("payment.failed")
        .put("provider_ref", _payment_ref(thing) or _id(thing))
        .put("outcome", outcome)
        .put("failed_at", event.time)
        .put("amount", _amount(thing, "amount"))
        .put("currency", _currency(thing))
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


def _charge(event: _Event) -> list[ParsedCommand]:
    charge = event.thing
    reference = _payment_ref(charge) or _id(charge)
    ids = {"charge": _id(charge), "invoice": _id(charge.get("invoice"))}
    status = charge.need("status")
    execution = _known(CHARGE_STATUSES, status)
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
            .put("amount", _amount(charge, "amount"))
            .put("currency", _currency(charge))
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
            .put("amount", _amount(charge, "amount"))
            .put("currency", _currency(charge))
            .put("document_ref", event.reference(charge))
        )
    else:
        return event.not_known(status)
    draft.put("provider_ref", reference).put_words("raw_status", status)
    return [event.done(draft.put_ids(**ids))]


def _charge_captured(
    event: _Event, charge: Found, reference: Found, ids: dict
) -> list[ParsedCommand]:
    commands = _settled(event, charge.get("balance_transaction"), reference)
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
        return _amount(charge, "amount_captured")
    amount, back = charge.need("amount"), charge.get("amount_refunded")
    if back is not None and type(amount.value) is type(back.value) is int:
        amount = Found(amount.value - back.value, amount.at)
    return amount.then(from_minor_units, _currency(charge).value, CURRENCY_EXCEPTIONS)


def _charge_updated(event: _Event) -> list[ParsedCommand]:
    """The balance transaction of a charge was made; its fee is known if expanded."""
    charge = event.thing
    reference = _payment_ref(charge) or _id(charge)
    return (
        _settled(event, charge.get("balance_transaction"), reference) or event.ignore()
    )


def _session(event: _Event) -> list[ParsedCommand]:
    """A checkout session, which may be all that carries the number of the invoice."""
    session = event.thing
    intent = session.get("payment_intent")
    paid = session.get("payment_status")
    if intent is None or paid is None or paid.value != "paid":
        return event.ignore("Nothing was paid by this session yet.")
    if event.options.captures_from not in ("any", "checkout_session"):
        return event.ignore(_told_elsewhere(event.options))
    reference = _id(intent)
    amount = _amount(session, "amount_total")
    inline = intent if isinstance(intent.value, dict) else None
    draft = _captured(event, reference, amount, session, inline)
    draft.put_words("raw_status", paid)
    details = session.get("customer_details")
    if details is not None:
        draft.put_words("payer_name", details.get("name"))
        draft.put_party(
            "payer",
            external_id=_id(session.get("customer")),
            name=details.get("name"),
            email=details.get("email"),
        )
    return [event.done(draft.put_ids(checkout_session=_id(session)))]


def _told_elsewhere(options: StripeOptions) -> str:
    return (
        f"Captures are taken from {options.captures_from} events, as the settings of "
        "the connector say."
    )


def _settled(
    event: _Event, transaction: Found | None, reference: Found
) -> list[ParsedCommand]:
    """Return the settlement that a balance transaction tells of.

    Stripe sends the transaction's id alone, which says nothing; it is an object in
    disputes, and wherever somebody expands it on the way.
    """
    if transaction is None or not isinstance(transaction.value, dict):
        return []
    number = _id(transaction)
    draft = (
        event.draft("payment.settled")
        .put("provider_ref", reference)
        .put("settlement_ref", number)
        .put("currency", _currency(transaction))
        .put("settled_at", event.time)
        .put("value_date", transaction.need("available_on").then(unix_day))
        .put_words("raw_status", transaction.get("status"))
    )
    currency = draft.data["currency"]
    for name, source in (("gross", "amount"), ("fee", "fee"), ("net", "net")):
        value = transaction.need(source)
        draft.put(name, value.then(from_minor_units, currency, CURRENCY_EXCEPTIONS))
    return [event.done(draft, number.value)]


# === REFUNDS AND DISPUTES === #


def _refunded(event: _Event) -> list[ParsedCommand]:
    """``charge.refunded``: the refunds where the charge holds them."""
    charge = event.thing
    refunds = charge.get("refunds", "data")
    if refunds is None:
        return event.ignore()
    commands = []
    for refund in refunds.each():
        draft = _refund_draft(event, refund, _payment_ref(charge) or _id(charge))
        if draft is None:
            return event.not_known(refund.need("status"))
        if draft.data["status"] != "failed":
            # The charge lists its old refunds, too: each happened when it was made.
            draft.put("refunded_at", refund.need("created").then(unix_seconds))
        commands.append(event.done(draft, refund.need("id").text()))
    return commands or event.ignore()


def _refund(event: _Event) -> list[ParsedCommand]:
    refund = event.thing
    reference = _payment_ref(refund)
    if reference is None:
        return event.ignore("It belongs to no payment, but to a customer's balance.")
    draft = _refund_draft(event, refund, reference)
    if draft is None:
        return event.not_known(refund.need("status"))
    settled = []
    if draft.data["status"] == "succeeded":
        settled = _settled(event, refund.get("balance_transaction"), reference)
    return [event.done(draft), *settled]


def _refund_draft(event: _Event, refund: Found, reference: Found) -> Draft | None:
    """Return the draft of a refund; None when its status is not known."""
    # Absent in the oldest versions, in which a refund was always final.
    status = refund.get("status")
    known = "succeeded" if status is None else _known(REFUND_STATUSES, status)
    if known is None:
        return None
    return (
        event.draft("payment.refunded")
        .put("parent_ref", reference)
        .put("refund_ref", _id(refund))
        .put("amount", _amount(refund, "amount"))
        .put("currency", _currency(refund))
        .put("refunded_at", event.time)
        .put("status", known)
        .put_words("reason", refund.get("failure_reason") or refund.get("reason"))
        .put_words("raw_status", status)
        .put_ids(charge=_id(refund.get("charge")))
    )


def _dispute(event: _Event) -> list[ParsedCommand]:
    dispute = event.thing
    reference = _payment_ref(dispute)
    if reference is None:
        raise fault((*dispute.at, "charge"), "This field is required.")
    status = dispute.need("status")
    stage = _known(DISPUTE_STAGES, status)
    if stage is None:
        return event.not_known(status)
    draft = (
        event.draft("payment.disputed")
        .put("parent_ref", reference)
        .put("dispute_ref", _id(dispute))
        .put("stage", stage)
        .put("amount", _amount(dispute, "amount"))
        .put("currency", _currency(dispute))
        .put("disputed_at", event.time)
        .put_words("reason_code", dispute.get("network_reason_code"))
        .put_words("reason", dispute.get("reason"))
        .put_words("raw_status", status)
        .put_ids(charge=_id(dispute.get("charge")))
    )
    due = dispute.get("evidence_details", "due_by")
    if due is not None and stage in ("inquiry", "open"):
        draft.put("due", due.then(unix_seconds))
    commands = [event.done(draft)]
    transactions = dispute.get("balance_transactions")
    if event.type in (
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
    ):
        # Disputes hold theirs in full, the fee for the dispute included.
        for transaction in transactions.each() if transactions is not None else ():
            commands += _settled(event, transaction, reference)
    return commands


# === PAYOUTS === #


def _payout_paid(event: _Event) -> list[ParsedCommand]:
    payout = event.thing
    draft = (
        event.draft("payout.released")
        .put("payout_ref", _id(payout))
        .put("net", _amount(payout, "amount"))
        .put("currency", _currency(payout))
        .put("released_at", event.time)
        # What it is made of stands in the payout's report.
        .put("complete", False)
        .put_words("raw_status", payout.get("status"))
        .put_words("description", payout.get("description"))
        .put_words("bank_reference", payout.get("statement_descriptor"))
        .put_ids(
            balance_transaction=_id(payout.get("balance_transaction")),
            trace_id=payout.get("trace_id", "value"),
        )
    )
    arrival = payout.get("arrival_date")
    if arrival is not None:
        draft.put("value_date", arrival.then(unix_day))
    return [event.done(draft)]


def _payout_failed(event: _Event) -> list[ParsedCommand]:
    payout = event.thing
    draft = (
        Draft("payout.failed", payout)
        .put("payout_ref", _id(payout))
        .put("failed_at", event.time)
        .put_words("reason_code", payout.get("failure_code"))
        .put_words("reason", payout.get("failure_message"))
        .put_words("raw_status", payout.get("status"))
    )
    return [event.done(draft)]


# === DISPATCH === #

_READERS = {
    "payment_intent.created": _intent,
    "payment_intent.requires_action": _intent,
    "payment_intent.partially_funded": _intent,
    "payment_intent.processing": _intent,
    "payment_intent.amount_capturable_updated": _intent,
    "payment_intent.succeeded": _intent,
    "payment_intent.payment_failed": _intent,
    "payment_intent.canceled": _intent,
    "charge.succeeded": _charge,
    "charge.captured": _charge,
    "charge.pending": _charge,
    "charge.failed": _charge,
    "charge.expired": _charge,
    "charge.updated": _charge_updated,
    "charge.refunded": _refunded,
    "charge.refund.updated": _refund,
    "refund.created": _refund,
    "refund.updated": _refund,
    "refund.failed": _refund,
    "charge.dispute.created": _dispute,
    "charge.dispute.updated": _dispute,
    "charge.dispute.closed": _dispute,
    "charge.dispute.funds_withdrawn": _dispute,
    "charge.dispute.funds_reinstated": _dispute,
    "checkout.session.completed": _session,
    "checkout.session.async_payment_succeeded": _session,
    "payout.paid": _payout_paid,
    "payout.failed": _payout_failed,
}


def _known(statuses: Mapping[str, str], status: Found) -> str | None:
    return statuses.get(status.value) if isinstance(status.value, str) else None


def parse(
    headers: Mapping, body: bytes, options: Mapping[str, Any] | None = None
) -> list[ParsedCommand]:
    """Return the commands of one Stripe event.

    :param options: wire form of :class:`StripeOptions`.
    :raises ContractError: ``D-SCHEMA``; its pointers lead into the body.
    """
    chosen = validate(StripeOptions, dict(options or {}), "The format's settings")
    found = body_of(body, "The event")
    kind = found.get("object")
    if kind is not None and kind.value == "v2.core.event":
        return [
            ignored(
                NAME,
                found.need("type").text(),
                found.need("id").text(),
                found.need("created"),
                "A thin event holds no data. Have Stripe send snapshot events.",
                {"id": found.get("related_object", "id")},
            )
        ]
    event = _Event(found, chosen)
    refusal = _not_ours(event)
    if refusal:
        return event.ignore(refusal)
    reader = _READERS.get(event.type)
    return reader(event) if reader else event.ignore()


def _not_ours(event: _Event) -> str | None:
    """Return why an event is of another account or mode; None when it is ours."""
    account, options = event.event.get("account"), event.options
    if (account.value if account is not None else None) != options.account:
        return (
            "It belongs to another Stripe account than the settings of the connector "
            "name."
        )
    live = event.event.get("livemode")
    if live is not None and options.mode == ("test" if live.value else "live"):
        return f"Only {options.mode} events are taken, as the settings say."
    return None


def external_id(headers: Mapping, body: bytes) -> str:
    """Return the id of the event, or the digest of what is none. Never raises."""
    try:
        return bounded_id(body_of(body, "The event").need("id").text())
    except ContractError:
        return digest_id(body)


#: What may differ when Stripe sends an event again, or sends it to a second endpoint
#: of another API version at the same address while it is upgraded.
_MEANINGLESS = ("api_version", "pending_webhooks", "request")

#: What of the object has to be the same: its identity and all that is booked. The
#: rest depends on the API version.
_FACTS = (
    "amount",
    "amount_captured",
    "amount_received",
    "amount_refunded",
    "amount_total",
    "created",
    "currency",
    "id",
    "object",
    "status",
)


def fingerprint(headers: Mapping, body: bytes) -> bytes:
    """Return what of an event is the same when it is sent again. Never raises."""
    try:
        event = parse_json(body, "The event")
    except ContractError:
        return body
    if not isinstance(event, dict):
        return body
    facts = {
        name: value
        for name, value in event.items()
        if name not in _MEANINGLESS and name != "data"
    }
    data = event.get("data")
    thing = data.get("object") if isinstance(data, dict) else None
    if not isinstance(thing, dict):
        return body
    facts["data"] = {name: thing.get(name) for name in _FACTS}
    return dump_json(facts)


ADAPTER = Adapter(
    name=NAME,
    title="Stripe",
    parse=parse,
    external_id=external_id,
    fingerprint=fingerprint,
    options_model=StripeOptions,
)
