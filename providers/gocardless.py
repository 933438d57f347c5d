# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""GoCardless webhooks: up to 250 events in one request.

Sources: GoCardless API reference, "Events", "Payments", "Refunds", "Payouts",
"Webhooks".

GoCardless names what happened to a payment, and neither its amount nor its invoice.
The adapter does not guess. An amount is taken from

1. the resource itself, under ``linked``, where the answer of ``GET /events?include=…``
   is handed in instead of a webhook, or somebody adds it on the way;
2. the metadata that the shop gave the payment (``resource_metadata``), under the names
   that the settings of the connector say.

Where there is none and money was moved, the payment becomes ``unknown``, with the
reason ``amount_missing``: the status that is resolved by asking the provider, never by
assuming. The hub's other statuses need no amount.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from ..contracts import (
    Contract,
    ContractError,
    CurrencyCode,
    Identifier,
    dump_json,
    validate,
)
from . import constants as const
from .base import Adapter, ParsedCommand, bounded_id, digest_id
from .minor_units import currency_code, from_minor_units
from .reading import Draft, Found, body_of, fault, first_reference, ignored

NAME = "gocardless"

# === MAPS === #

#: ``action`` of a payment to what it means for it.
PAYMENT_ACTIONS = {
    "created": "initiated",
    "customer_approval_granted": "approved",
    "customer_approval_denied": "rejected",
    "submitted": "submitted",
    "resubmission_requested": "submitted",
    "confirmed": "captured",
    "paid_out": "paid_out",
    "cancelled": "cancelled",
    # Before the money came; the bank may still report it late, see _failed.
    "failed": "failed",
    "late_failure_settled": "returned",
    "charged_back": "open",
    "chargeback_cancelled": "won",
}

#: ``action`` of a refund to its status.
REFUND_ACTIONS = {
    "created": "pending",
    "paid": "succeeded",
    "failed": "failed",
    "bounced": "failed",
    "funds_returned": "reversed",
    "refund_returned": "reversed",
}

#: Why events that look like news are not acted upon.
REASONS = {
    "payments:paid_out": "The payout that it is part of tells of it.",
    "payments:chargeback_settled": "The chargeback was told before; this is its place "
    "in a payout.",
    "payments:surcharge_fee_debited": "It comes with the items of the payout.",
    "payments:surcharge_fee_credited": "It comes with the items of the payout.",
    "refunds:refund_settled": "The refund is told of when it is paid; this is its "
    "place in a payout.",
}
NO_USE = "The hub has no use for this event."

AMOUNT_MISSING = "amount_missing"
_ASK = (
    "GoCardless sends no amount with “{event}”. Look {number} up at GoCardless and "
    "enter it here, or have the shop write amount and currency into the metadata of "
    "its payments."
)


class GoCardlessOptions(Contract):
    """Settings of a GoCardless connection.

    :ivar captured: when a payment counts as taken: ``confirmed``, a few days after it
        was submitted, or ``paid_out``, when it leaves GoCardless for the bank.
    :ivar reference_keys: names under which the metadata of a payment holds the number
        of the invoice or order; the first that is there counts.
    :ivar amount_key: name under which the metadata holds the amount as a decimal
        number with a point: ``121.00``.
    :ivar currency_key: name under which the metadata holds the currency.
    :ivar payment_key: name under which the metadata of a refund holds the id of its
        payment (``PM…``).
    :ivar default_currency: currency of amounts whose currency is not said.
    :ivar organisation: id of the organisation this is about, where a partner app
        receives the events of several; those of others are kept and ignored.
    """

    captured: Literal["confirmed", "paid_out"] = "confirmed"
    reference_keys: Annotated[
        list[Identifier], Field(max_length=const.REFERENCE_KEYS_MAX_COUNT)
    ] = list(const.REFERENCE_KEYS)
    amount_key: Identifier = "amount"
    currency_key: Identifier = "currency"
    payment_key: Identifier = "payment"
    default_currency: CurrencyCode | None = None
    organisation: Identifier | None = None


# === SMALL PARTS === #


def _part(event: Found, name: str) -> Found:
    """Return an object inside an event, empty when it is not there."""
    part = event.get(name)
    return Found({}, event.at) if part is None else part.object()


class _Event:
    """One event and what its parts need to know of it."""

    def __init__(self, event: Found, linked: Found | None, options: GoCardlessOptions):
        self.options = options
        self.event = event
        self.id = event.need("id").text()
        self.kind = event.need("resource_type").text()
        self.action = event.need("action").text()
        self.name = f"{self.kind}:{self.action}"
        self.time = event.need("created_at")
        self.details = _part(event, "details")
        self.metadata = _part(event, "resource_metadata")
        self._linked = linked

    def link(self, name: str) -> Found | None:
        return self.event.get("links", name)

    def resource(self) -> Found | None:
        """Return the resource itself, where it came along."""
        if self._linked is None:
            return None
        number = self.event.need("links", self.kind.removesuffix("s")).text()
        resources = self._linked.get(self.kind)
        for resource in resources.each() if resources is not None else ():
            found = resource.get("id")
            if found is not None and found.value == number:
                return resource
        return None

    def amount(self) -> tuple[Found, Found] | None:
        """Return amount and currency as far as they are known for sure."""
        resource = self.resource()
        if resource is not None and resource.get("amount") is not None:
            currency = resource.need("currency").then(currency_code)
            return (
                resource.need("amount").then(from_minor_units, currency.value),
                currency,
            )
        amount = self.metadata.get(self.options.amount_key)
        if amount is None:
            return None
        currency = self.metadata.get(self.options.currency_key)
        if currency is None and self.options.default_currency is not None:
            currency = Found(self.options.default_currency, self.metadata.at)
        if currency is None:
            return None
        return amount, currency.then(currency_code)

    def reference(self) -> Found | None:
        """Return the number of the document the payment is for."""
        holders = [self.metadata]
        resource = self.resource()
        if resource is not None and resource.get("metadata") is not None:
            holders.append(resource.need("metadata"))
        places = [
            holder.get(key) for holder in holders for key in self.options.reference_keys
        ]
        return first_reference(places)

    def draft(self, name: str) -> Draft:
        draft = Draft(name, self.event).put("raw_status", self.action[:128])
        if name not in ("payout.released", "payout.failed"):
            draft.put_words("reason", self.details.get("description"))
        return draft.put_ids(
            event=self.id,
            cause=self.details.get("cause"),
            mandate=self.link("mandate"),
            scheme=self.details.get("scheme"),
        )

    def ask(self, number: Found) -> ParsedCommand:
        """Return that something is known to have happened, but not how much."""
        draft = (
            self.draft("payment.status_changed")
            .put("provider_ref", number)
            .put("execution", "unknown")
            .put("changed_at", self.time)
            .put("document_ref", self.reference())
            .put("reason_code", AMOUNT_MISSING)
            .put("reason", _ASK.format(event=self.name, number=number.text()))
        )
        return draft.command(self.id)

    def ignore(self, why: str | None = None) -> ParsedCommand:
        links = self.event.get("links")
        return ignored(
            NAME,
            self.name,
            self.id,
            self.time,
            why or REASONS.get(self.name, NO_USE),
            {
                "description": self.details.get("description"),
                **(links.object().value if links is not None else {}),
            },
        )


# === PAYMENTS === #


def _payment(event: _Event) -> ParsedCommand:
    meaning = PAYMENT_ACTIONS.get(event.action)
    if meaning is None:
        return event.ignore()
    number = event.event.need("links", "payment")
    if event.action == event.options.captured:
        return _captured(event, number)
    if meaning == "paid_out":
        return event.ignore()
    if meaning in ("open", "won"):
        return _disputed(event, number, meaning)
    if meaning in ("failed", "returned", "cancelled", "rejected"):
        return _failed(event, number, meaning)
    # Confirmed, where only what is paid out counts.
    meaning = "acknowledged" if meaning == "captured" else meaning
    draft = (
        event.draft("payment.status_changed")
        .put("provider_ref", number)
        .put("execution", meaning)
        .put("changed_at", event.time)
        .put("document_ref", event.reference())
    )
    if known := event.amount():
        draft.put("amount", known[0]).put("currency", known[1])
    return draft.command(event.id)


def _captured(event: _Event, number: Found) -> ParsedCommand:
    known = event.amount()
    if known is None:
        return event.ask(number)
    draft = (
        Draft("payment.captured", event.event)
        .put("provider_ref", number)
        .put("amount", known[0])
        .put("currency", known[1])
        .put("captured_at", event.time)
        .put("parent_ref", number)
        .put("document_ref", event.reference())
        .put("raw_status", event.action)
        .put_words("method", event.details.get("scheme"))
        .put_ids(event=event.id, mandate=event.link("mandate"))
    )
    if (resource := event.resource()) is not None:
        draft.put_words("description", resource.get("description"))
    if (customer := event.link("customer")) is not None:
        draft.put_party("payer", external_id=customer)
    return draft.command(event.id)


def _failed(event: _Event, number: Found, outcome: str) -> ParsedCommand:
    """A payment that did not come about, or came back.

    A direct debit can fail after it was confirmed, and ``failed`` does not say so. It
    takes back nothing: GoCardless may try again by itself, and what was paid out
    follows as ``late_failure_settled``, which does. Who does not want a confirmed
    payment to fail in between chooses ``paid_out`` as the moment that counts.
    """
    draft = (
        event.draft("payment.failed")
        .put("provider_ref", number)
        .put("outcome", outcome)
        .put("failed_at", event.time)
        .put("document_ref", event.reference())
    )
    if known := event.amount():
        draft.put("amount", known[0]).put("currency", known[1])
    draft.put("reason_code", outcome)
    for name in ("cause", "reason_code"):
        draft.put_words("reason_code", event.details.get(name))
    return draft.command(event.id)


def _disputed(event: _Event, number: Found, stage: str) -> ParsedCommand:
    known = event.amount()
    if known is None:
        return event.ask(number)
    draft = (
        event.draft("payment.disputed")
        .put("parent_ref", number)
        # A payment is charged back once, and the chargeback has no id of its own.
        .put("dispute_ref", number)
        .put("stage", stage)
        .put("amount", known[0])
        .put("currency", known[1])
        .put("disputed_at", event.time)
        .put_words("reason_code", event.details.get("cause"))
    )
    return draft.put_words("reason_code", event.details.get("reason_code")).command(
        event.id
    )


# === REFUNDS AND PAYOUTS === #


def _refund(event: _Event) -> ParsedCommand:
    status = REFUND_ACTIONS.get(event.action)
    if status is None:
        return event.ignore()
    number = event.event.need("links", "refund")
    resource = event.resource()
    payment = event.link("payment")
    if payment is None and resource is not None:
        payment = resource.get("links", "payment")
    if payment is None:
        payment = event.metadata.get(event.options.payment_key)
    known = event.amount()
    if known is None or payment is None:
        if status == "pending":
            return event.ignore(
                "GoCardless says neither the amount nor the payment; nothing has been "
                "paid back yet."
            )
        return event.ask(number)
    draft = (
        event.draft("payment.refunded")
        .put("parent_ref", payment)
        .put("refund_ref", number)
        .put("amount", known[0])
        .put("currency", known[1])
        .put("refunded_at", event.time)
        .put("status", status)
    )
    return draft.command(event.id)


def _payout(event: _Event) -> ParsedCommand:
    if event.action != "paid":
        return event.ignore()
    number = event.event.need("links", "payout")
    known = event.amount()
    if known is None:
        return event.ask(number)
    resource = event.resource()
    draft = (
        event.draft("payout.released")
        .put("payout_ref", number)
        .put("net", known[0])
        .put("currency", known[1])
        .put("released_at", event.time)
        # What it is made of stands in its payout items.
        .put("complete", False)
    )
    if resource is not None:
        draft.put("value_date", resource.get("arrival_date"))
        draft.put_words("bank_reference", resource.get("reference"))
    return draft.command(event.id)


# === DISPATCH === #

_READERS = {"payments": _payment, "refunds": _refund, "payouts": _payout}


def parse(
    headers: Mapping, body: bytes, options: Mapping[str, Any] | None = None
) -> list[ParsedCommand]:
    """Return the commands of a batch of events, in their order.

    A batch is taken as a whole or not at all.

    :param options: wire form of :class:`GoCardlessOptions`.
    :raises ContractError: ``D-SCHEMA``; its pointers lead into the body.
    """
    chosen = validate(GoCardlessOptions, dict(options or {}), "The format's settings")
    found = body_of(body, "The webhook")
    events = found.need("events").each()
    if len(events) > const.ITEMS_MAX_COUNT:
        raise fault(
            ("events",), f"At most {const.ITEMS_MAX_COUNT} events are taken at once."
        )
    linked = found.get("linked")
    return [_command(_Event(event, linked, chosen)) for event in events]


def _command(event: _Event) -> ParsedCommand:
    wanted = event.options.organisation
    organisation = event.link("organisation")
    if wanted and organisation is not None and organisation.value != wanted:
        return event.ignore(
            "It belongs to another organisation than the settings of the connector "
            "name."
        )
    reader = _READERS.get(event.kind)
    return reader(event) if reader else event.ignore()


def external_id(headers: Mapping, body: bytes) -> str:
    """Return the webhook's id, else the digest of its events' ids. Never raises."""
    try:
        found = body_of(body, "The webhook")
        number = found.get("meta", "webhook_id")
        if number is not None:
            return bounded_id(number.text())
        ids = [event.need("id").text() for event in found.need("events").each()]
    except ContractError:
        return digest_id(body)
    return digest_id(dump_json(ids)) if ids else digest_id(body)


def fingerprint(headers: Mapping, body: bytes) -> bytes:
    """Return the events, which are the same when they are sent again. Never raises."""
    try:
        return dump_json(body_of(body, "The webhook").need("events").value)
    except ContractError:
        return body


ADAPTER = Adapter(
    name=NAME,
    title="GoCardless",
    parse=parse,
    external_id=external_id,
    fingerprint=fingerprint,
    options_model=GoCardlessOptions,
)
