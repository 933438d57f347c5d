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
from typing import Any

from ..contracts import ContractError, dump_json, parse_json, validate
from .base import Adapter, ParsedCommand, bounded_id, digest_id
from .reading import body_of, ignored
from .stripe_event import NAME, Event, StripeOptions
from .stripe_payments import (
    read_charge,
    read_charge_update,
    read_intent,
    read_session,
)
from .stripe_returns import (
    read_dispute,
    read_payout,
    read_payout_failure,
    read_refund,
    read_refunds,
)

_READERS = {
    "payment_intent.created": read_intent,
    "payment_intent.requires_action": read_intent,
    "payment_intent.partially_funded": read_intent,
    "payment_intent.processing": read_intent,
    "payment_intent.amount_capturable_updated": read_intent,
    "payment_intent.succeeded": read_intent,
    "payment_intent.payment_failed": read_intent,
    "payment_intent.canceled": read_intent,
    "charge.succeeded": read_charge,
    "charge.captured": read_charge,
    "charge.pending": read_charge,
    "charge.failed": read_charge,
    "charge.expired": read_charge,
    "charge.updated": read_charge_update,
    "charge.refunded": read_refunds,
    "charge.refund.updated": read_refund,
    "refund.created": read_refund,
    "refund.updated": read_refund,
    "refund.failed": read_refund,
    "charge.dispute.created": read_dispute,
    "charge.dispute.updated": read_dispute,
    "charge.dispute.closed": read_dispute,
    "charge.dispute.funds_withdrawn": read_dispute,
    "charge.dispute.funds_reinstated": read_dispute,
    "checkout.session.completed": read_session,
    "checkout.session.async_payment_succeeded": read_session,
    "payout.paid": read_payout,
    "payout.failed": read_payout_failure,
}


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
    event = Event(found, chosen)
    refusal = _not_ours(event)
    if refusal:
        return event.ignore(refusal)
    reader = _READERS.get(event.type)
    return reader(event) if reader else event.ignore()


def _not_ours(event: Event) -> str | None:
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
