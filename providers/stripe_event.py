# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""One Stripe event: what the readers of its objects share."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from ..contracts import Contract, Identifier
from . import constants as const
from .base import ParsedCommand
from .minor_units import currency_code, from_minor_units
from .reading import Draft, Found, first_reference, ignored, unix_day, unix_seconds

NAME = "stripe"


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


def id_of(found: Found | None) -> Found | None:
    """Return the id of a referenced object, expanded or not."""
    if found is None:
        return None
    if isinstance(found.value, dict):
        found = found.need("id")
    return Found(found.text(), found.at)


def payment_ref(thing: Found, *more: Found | None) -> Found | None:
    """Return the one reference by which a payment is known everywhere.

    That is the payment intent, and the charge only where there is none (payments from
    before intents existed). Every event about a payment, its refunds and its disputes
    names its intent, while an intent may have several charges: those that failed
    before one succeeded. So both kinds of events lead to one transaction, and the
    second of ``payment_intent.succeeded`` and ``charge.succeeded`` finds the payment
    booked.
    """
    if thing.get("object") and thing.value["object"] == "payment_intent":
        return id_of(thing)
    for candidate in (thing.get("payment_intent"), *more, thing.get("charge")):
        if candidate is not None:
            expanded = isinstance(candidate.value, dict)
            inner = candidate.get("payment_intent") if expanded else None
            return id_of(inner if inner is not None else candidate)
    return None


def currency_of(thing: Found) -> Found:
    return thing.need("currency").then(currency_code)


def amount_of(thing: Found, *names: str) -> Found:
    """Return the first of these amounts that is there and not zero."""
    currency = currency_of(thing).value
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


def newest(found: Found | None) -> Found | None:
    """Return the newest object of a list object, which Stripe puts first."""
    if found is None:
        return None
    objects = found.need("data").each()
    return objects[0] if objects else None


class Event:
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


def known_status(statuses: Mapping[str, str], status: Found) -> str | None:
    return statuses.get(status.value) if isinstance(status.value, str) else None


def settlements(
    event: Event, transaction: Found | None, reference: Found
) -> list[ParsedCommand]:
    """Return the settlement that a balance transaction tells of.

    Stripe sends the transaction's id alone, which says nothing; it is an object in
    disputes, and wherever somebody expands it on the way.
    """
    if transaction is None or not isinstance(transaction.value, dict):
        return []
    number = id_of(transaction)
    draft = (
        event.draft("payment.settled")
        .put("provider_ref", reference)
        .put("settlement_ref", number)
        .put("currency", currency_of(transaction))
        .put("settled_at", event.time)
        .put("value_date", transaction.need("available_on").then(unix_day))
        .put_words("raw_status", transaction.get("status"))
    )
    currency = draft.data["currency"]
    for name, source in (("gross", "amount"), ("fee", "fee"), ("net", "net")):
        value = transaction.need(source)
        draft.put(name, value.then(from_minor_units, currency, CURRENCY_EXCEPTIONS))
    return [event.done(draft, number.value)]
