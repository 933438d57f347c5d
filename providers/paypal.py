# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""PayPal webhooks: payments v2 (captures, authorizations), sales of v1, disputes,
payouts.

Sources: PayPal developer docs, "Webhook event names", "Payments API v2", "Payments API
v1" (sale), "Disputes API v1", "Payouts API v1".

A payment is known by the id of its capture (or sale), which refunds and disputes name;
the order or authorisation it belongs to is its parent. One authorisation may be
captured several times, and each capture is a payment of its own.
"""

from collections.abc import Mapping
from decimal import Decimal, localcontext
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from ..contracts import Contract, ContractError, Identifier, dump_json, validate
from . import constants as const
from .base import Adapter, ParsedCommand, bounded_id, digest_id
from .reading import (
    Draft,
    Found,
    body_of,
    fault,
    first_reference,
    ignored,
    plain_decimal,
)

NAME = "paypal"

# === MAPS === #

#: Event types of captures, sales and authorisations to what they mean for a payment.
PAYMENT_EVENTS = {
    "PAYMENT.AUTHORIZATION.CREATED": "authorised",
    "PAYMENT.AUTHORIZATION.VOIDED": "cancelled",
    "PAYMENT.CAPTURE.COMPLETED": "captured",
    "PAYMENT.CAPTURE.PENDING": "submitted",
    "PAYMENT.CAPTURE.DENIED": "rejected",
    "PAYMENT.CAPTURE.DECLINED": "rejected",
    "PAYMENT.SALE.COMPLETED": "captured",
    "PAYMENT.SALE.PENDING": "submitted",
    "PAYMENT.SALE.DENIED": "rejected",
}

#: Event types of refunds; what became of one stands in its status.
REFUND_EVENTS = frozenset(
    {
        "PAYMENT.CAPTURE.REFUNDED",
        "PAYMENT.SALE.REFUNDED",
        "PAYMENT.REFUND.COMPLETED",
        "PAYMENT.REFUND.PENDING",
        "PAYMENT.REFUND.FAILED",
        "PAYMENT.REFUND.CANCELLED",
    }
)
REVERSAL_EVENTS = frozenset({"PAYMENT.CAPTURE.REVERSED", "PAYMENT.SALE.REVERSED"})

#: ``status`` (v2) or ``state`` (v1) of a refund to the hub's.
REFUND_STATUSES = {
    "COMPLETED": "succeeded",
    "PENDING": "pending",
    "FAILED": "failed",
    "CANCELLED": "failed",
}

#: ``dispute_life_cycle_stage`` of a dispute that is not decided. From the claim on,
#: PayPal holds the money.
DISPUTE_LIFE_CYCLE = {
    "INQUIRY": "inquiry",
    "CHARGEBACK": "open",
    "PRE_ARBITRATION": "open",
    "ARBITRATION": "open",
}

#: ``dispute_outcome.outcome_code`` of one that is.
DISPUTE_OUTCOMES = {
    "RESOLVED_BUYER_FAVOUR": "lost",
    "RESOLVED_WITH_PAYOUT": "won",
    "RESOLVED_SELLER_FAVOUR": "won",
    "CANCELED_BY_BUYER": "won",
    "DENIED": "won",
    "ACCEPTED": "lost",
    "NONE": "won",
}

#: Event types of single payments to others (Payouts API) to what they mean.
PAYOUT_ITEM_EVENTS = {
    "PAYMENT.PAYOUTS-ITEM.SUCCEEDED": "acknowledged",
    "PAYMENT.PAYOUTS-ITEM.UNCLAIMED": "submitted",
    "PAYMENT.PAYOUTS-ITEM.HELD": "held",
    "PAYMENT.PAYOUTS-ITEM.BLOCKED": "failed",
    "PAYMENT.PAYOUTS-ITEM.DENIED": "rejected",
    "PAYMENT.PAYOUTS-ITEM.FAILED": "failed",
    "PAYMENT.PAYOUTS-ITEM.CANCELED": "cancelled",
    "PAYMENT.PAYOUTS-ITEM.RETURNED": "returned",
    "PAYMENT.PAYOUTS-ITEM.REFUNDED": "returned",
}

#: Why events that look like news are not acted upon.
REASONS = {
    "CHECKOUT.ORDER.APPROVED": "The buyer agreed; the capture tells of the money.",
    "CHECKOUT.ORDER.COMPLETED": "The capture tells of the money.",
    "PAYMENT.PAYOUTSBATCH.DENIED": "The items of the batch tell of themselves.",
    "PAYMENT.PAYOUTSBATCH.PROCESSING": "The items of the batch tell of themselves.",
    "PAYMENT.PAYOUTSBATCH.SUCCESS": "The items of the batch tell of themselves.",
}
NO_USE = "The hub has no use for this event."
REVERSED = (
    "PayPal took the money back because of a dispute, and the CUSTOMER.DISPUTE events "
    "tell of that. If they are not switched on at PayPal, set “reversals” to “refund”."
)


class PayPalOptions(Contract):
    """Settings of a PayPal connection.

    :ivar reference_keys: where the number of the invoice or order stands:
        ``invoice_id`` or ``custom_id``; the first that is there counts.
    :ivar fees: whether the fee that PayPal names with a capture is booked at once.
        Switch it off where it is booked from a report.
    :ivar reversals: what a reversed capture is: part of a ``dispute``, of which the
        dispute's own events tell, or a ``refund``.
    """

    reference_keys: Annotated[
        list[Identifier], Field(max_length=const.REFERENCE_KEYS_MAX_COUNT)
    ] = ["invoice_id", "custom_id"]
    fees: bool = True
    reversals: Literal["dispute", "refund"] = "dispute"


#: Names by which v1 calls what v2 calls otherwise.
_V1_NAMES = {"invoice_id": "invoice_number", "custom_id": "custom"}


# === SMALL PARTS === #


def _either(found: Found, *names: str) -> Found | None:
    """Return the first of these fields that is there."""
    return next(
        (value for name in names if (value := found.get(name)) is not None), None
    )


def _money(found: Found) -> tuple[Found, Found]:
    """Return amount and currency, as v2 or as v1 names them."""
    found = found.object()
    currency = _either(found, "currency_code", "currency")
    if currency is None:
        raise fault((*found.at, "currency_code"), "This field is required.")
    amount = _either(found, "value", "total")
    if amount is None:
        raise fault((*found.at, "value"), "This field is required.")
    return amount, currency


def _linked(resource: Found, relation: str, segment: str) -> Found | None:
    """Return the id at the end of a HATEOAS link: ``…/captures/{id}``.

    The address is read and never called.
    """
    links = resource.get("links")
    for link in links.each() if links is not None else ():
        rel, href = link.get("rel"), link.get("href")
        if rel is None or href is None or rel.value != relation:
            continue
        try:
            parts = urlsplit(href.text()).path.strip("/").split("/")
        except ValueError:
            continue
        if len(parts) >= 2 and parts[-2] == segment:
            return Found(parts[-1], href.at)
    return None


class _Event:
    """One event and what its parts need to know of it."""

    def __init__(self, event: Found, options: PayPalOptions):
        self.options = options
        self.event = event
        self.id = event.need("id").text()
        self.type = event.need("event_type").text()
        self.created = event.need("create_time")
        self.thing = event.need("resource").object()

    @property
    def time(self) -> Found:
        """When it happened; the event is made up to minutes later."""
        return _either(self.thing, "update_time", "create_time") or self.created

    def reference(self) -> Found | None:
        places = []
        for key in self.options.reference_keys:
            places.append(self.thing.get(key))
            if key in _V1_NAMES:
                places.append(self.thing.get(_V1_NAMES[key]))
        return first_reference(places)

    def parent(self) -> Found | None:
        """Return the order or authorisation of a capture."""
        related = self.thing.get("supplementary_data", "related_ids")
        for name in ("authorization_id", "order_id"):
            if related is not None and (found := related.get(name)) is not None:
                return found
        return (
            _linked(self.thing, "up", "authorizations")
            or _linked(self.thing, "up", "orders")
            or _either(self.thing, "parent_payment", "billing_agreement_id")
        )

    def draft(self, name: str, money: Found | None = None) -> Draft:
        draft = Draft(name, self.thing)
        if money is not None:
            amount, currency = _money(money)
            draft.put("amount", amount).put("currency", currency)
        status = _either(self.thing, "status", "state", "transaction_status")
        return draft.put_words("raw_status", status).put_ids(
            paypal_event=self.type,
            order=self.thing.get("supplementary_data", "related_ids", "order_id"),
            custom_id=_either(self.thing, "custom_id", "custom"),
        )

    def ignore(self, why: str | None = None) -> list[ParsedCommand]:
        return [
            ignored(
                NAME,
                self.type,
                self.id,
                self.created,
                why or REASONS.get(self.type, NO_USE),
                {
                    "summary": self.event.get("summary"),
                    **{name: self.thing.get(name) for name in ("id", "status")},
                },
            )
        ]


# === PAYMENTS === #


def _payment(event: _Event) -> list[ParsedCommand]:
    meaning = PAYMENT_EVENTS[event.type]
    number = event.thing.need("id")
    if meaning == "captured":
        return _captured(event, number)
    money = event.thing.need("amount")
    if meaning == "authorised":
        draft = (
            event.draft("payment.authorised", money)
            .put("authorised_at", event.time)
            .put("expires_at", _either(event.thing, "expiration_time", "valid_until"))
        )
    elif meaning == "submitted":
        draft = (
            event.draft("payment.status_changed", money)
            .put("execution", meaning)
            .put("changed_at", event.time)
            .put_words("reason", _reason(event))
        )
    else:
        draft = (
            event.draft("payment.failed", money)
            .put("outcome", meaning)
            .put("failed_at", event.time)
            .put_words("reason", event.event.get("summary"))
            .put("reason_code", meaning)
            .put_words("reason_code", _reason(event))
        )
    draft.put("provider_ref", number).put("parent_ref", event.parent())
    return [draft.put("document_ref", event.reference()).command(event.id)]


def _reason(event: _Event) -> Found | None:
    return event.thing.get("status_details", "reason") or _either(
        event.thing, "reason_code", "pending_reason"
    )


def _captured(event: _Event, number: Found) -> list[ParsedCommand]:
    payer = event.thing.get("payer")
    name = None
    if payer is not None:
        name = payer.get("name", "surname") or payer.get("email_address")
    draft = (
        event.draft("payment.captured", event.thing.need("amount"))
        .put("provider_ref", number)
        .put("captured_at", event.time)
        # Without an order it stands for itself.
        .put("parent_ref", event.parent() or number)
        .put("document_ref", event.reference())
        .put("method", "paypal")
        .put_words("payer_name", name)
        .put_words("description", event.thing.get("note_to_payer"))
    )
    if payer is not None:
        draft.put_party(
            "payer",
            external_id=_either(payer, "payer_id"),
            name=name,
            email=payer.get("email_address"),
        )
    commands = [draft.command(event.id)]
    if event.options.fees:
        commands += _settled(event, number)
    return commands


def _settled(event: _Event, number: Found) -> list[ParsedCommand]:
    """Return the settlement of a capture: PayPal credits its balance at once.

    Nothing, where PayPal does not name the fee, pays out later or in another currency:
    its report tells then.
    """
    thing = event.thing
    breakdown = thing.get("seller_receivable_breakdown")
    mode = thing.get("disbursement_mode")
    if mode is not None and mode.value != "INSTANT":
        return []
    if breakdown is not None and breakdown.get("paypal_fee") is not None:
        gross, currency = _money(breakdown.need("gross_amount"))
        net, net_currency = _money(breakdown.need("net_amount"))
        exchanged = breakdown.get("exchange_rate") is not None
    elif thing.get("transaction_fee") is not None:
        gross, currency = _money(thing.need("amount"))
        fee, net_currency = _money(thing.need("transaction_fee"))
        net = gross.then(_less, fee.value)
        exchanged = thing.get("receivable_amount") is not None
    else:
        return []
    if exchanged or currency.value != net_currency.value:
        return []
    draft = (
        event.draft("payment.settled")
        .put("provider_ref", number)
        .put("settlement_ref", number)
        .put("gross", gross)
        # All that is kept back, fees of a platform included.
        .put("fee", gross.then(_less, net.value))
        .put("net", net)
        .put("currency", currency)
        .put("settled_at", event.time)
        .put("value_date", event.time.then(lambda value: str(value)[:10]))
    )
    return [draft.command(f"{event.id}/settled")]


def _less(value: Any, other: Any) -> str:
    """Return the difference of two decimal texts."""
    with localcontext() as context:
        context.prec = 2 * const.AMOUNT_MAX_LENGTH
        difference = Decimal(plain_decimal(value)) - Decimal(plain_decimal(other))
        return format(difference, "f")


# === REFUNDS AND DISPUTES === #


def _refund(event: _Event) -> list[ParsedCommand]:
    refund = event.thing
    parent = (
        _linked(refund, "up", "captures")
        or refund.get("supplementary_data", "related_ids", "capture_id")
        or _either(refund, "sale_id", "capture_id")
        or _linked(refund, "sale", "sale")
        or _linked(refund, "up", "sale")
    )
    if parent is None:
        raise fault(
            (*refund.at, "links"),
            'The capture that is refunded is expected as the link "up".',
        )
    status = _either(refund, "status", "state")
    known = "succeeded"
    if status is not None and event.type not in REVERSAL_EVENTS:
        known = REFUND_STATUSES.get(str(status.value).upper())
    if known is None:
        return event.ignore(
            f"The hub does not know the status {str(status.value)[:64]!r}; nothing was "
            "changed."
        )
    draft = (
        event.draft("payment.refunded")
        .put("parent_ref", parent)
        .put("refund_ref", refund.need("id"))
        .put("refunded_at", event.time)
        .put("status", known)
        .put_words("reason", _either(refund, "note_to_payer", "reason", "reason_code"))
    )
    amount, currency = _money(refund.need("amount"))
    # v1 writes refunds with a minus.
    draft.put(
        "amount", amount.then(lambda value: plain_decimal(value).removeprefix("-"))
    )
    return [draft.put("currency", currency).command(event.id)]


def _reversal(event: _Event) -> list[ParsedCommand]:
    if event.options.reversals == "dispute":
        return event.ignore(REVERSED)
    return _refund(event)


def _dispute(event: _Event) -> list[ParsedCommand]:
    dispute = event.thing
    outcome = dispute.get("dispute_outcome", "outcome_code")
    stage = _dispute_stage(event, outcome)
    if stage is None:
        return event.ignore("The hub does not know this stage; nothing was changed.")
    transactions = dispute.need("disputed_transactions").each()
    if not transactions:
        raise fault(
            (*dispute.at, "disputed_transactions"), "A transaction is expected."
        )
    commands = []
    for transaction in transactions:
        only = len(transactions) == 1
        number = transaction.need("seller_transaction_id")
        money = (
            dispute.need("dispute_amount") if only else transaction.need("gross_amount")
        )
        reference = dispute.need("dispute_id")
        suffix = "" if only else f":{number.text()}"
        draft = (
            event.draft("payment.disputed", money)
            .put("parent_ref", number)
            .put("dispute_ref", Found(reference.text() + suffix, reference.at))
            .put("stage", stage)
            .put("disputed_at", event.time)
            .put_words("reason_code", dispute.get("reason"))
        )
        if stage in ("inquiry", "open"):
            draft.put("due", dispute.get("seller_response_due_date"))
        if outcome is not None:
            draft.put_words("raw_status", outcome)
        commands.append(draft.command(event.id + suffix))
    return commands


def _dispute_stage(event: _Event, outcome: Found | None) -> str | None:
    status = event.thing.get("status")
    if event.type.endswith(".RESOLVED") or (
        status is not None and status.value == "RESOLVED"
    ):
        return DISPUTE_OUTCOMES.get(str(outcome.value)) if outcome else None
    stage = event.thing.get("dispute_life_cycle_stage")
    if stage is None:
        return "open"
    return DISPUTE_LIFE_CYCLE.get(str(stage.value))


# === PAYMENTS TO OTHERS === #


def _payout_item(event: _Event) -> list[ParsedCommand]:
    """What became of a payment we made; it is known by our own id, if we gave one."""
    meaning = PAYOUT_ITEM_EVENTS[event.type]
    item = event.thing
    ours = item.get("payout_item", "sender_item_id")
    number = item.need("payout_item_id")
    money = item.need("payout_item", "amount")
    processed = item.get("time_processed") or event.created
    if meaning in ("acknowledged", "submitted", "held"):
        draft = (
            event.draft("payment.status_changed", money)
            .put("execution", meaning)
            .put("changed_at", processed)
        )
    else:
        draft = (
            event.draft("payment.failed", money)
            .put("outcome", meaning)
            .put("failed_at", processed)
            .put("reason_code", meaning)
            .put_words("reason_code", item.get("errors", "name"))
        )
    return [
        draft.put("provider_ref", first_reference([ours, number]) or number)
        .put("document_ref", first_reference([ours]))
        .put_words("reason", item.get("errors", "message"))
        .put_ids(
            payout_item=number,
            payout_batch=item.get("payout_batch_id"),
            transaction=item.get("transaction_id"),
        )
        .command(event.id)
    ]


# === DISPATCH === #

_READERS = {
    **dict.fromkeys(PAYMENT_EVENTS, _payment),
    **dict.fromkeys(REFUND_EVENTS, _refund),
    **dict.fromkeys(REVERSAL_EVENTS, _reversal),
    **dict.fromkeys(PAYOUT_ITEM_EVENTS, _payout_item),
    "CUSTOMER.DISPUTE.CREATED": _dispute,
    "CUSTOMER.DISPUTE.UPDATED": _dispute,
    "CUSTOMER.DISPUTE.RESOLVED": _dispute,
}


def parse(
    headers: Mapping, body: bytes, options: Mapping[str, Any] | None = None
) -> list[ParsedCommand]:
    """Return the commands of one PayPal event.

    :param options: wire form of :class:`PayPalOptions`.
    :raises ContractError: ``D-SCHEMA``; its pointers lead into the body.
    """
    chosen = validate(PayPalOptions, dict(options or {}), "The format's settings")
    event = _Event(body_of(body, "The event"), chosen)
    reader = _READERS.get(event.type)
    return reader(event) if reader else event.ignore()


def external_id(headers: Mapping, body: bytes) -> str:
    """Return the id of the event, or the digest of what is none. Never raises."""
    try:
        return bounded_id(body_of(body, "The event").need("id").text())
    except ContractError:
        return digest_id(body)


#: The rest tells of the delivery: ``transmissions``, ``status``, ``links``.
_FACTS = ("id", "event_type", "create_time", "resource_type", "resource")


def fingerprint(headers: Mapping, body: bytes) -> bytes:
    """Return what of an event is the same when it is sent again. Never raises."""
    try:
        event = body_of(body, "The event").value
    except ContractError:
        return body
    return dump_json({name: event.get(name) for name in _FACTS})


ADAPTER = Adapter(
    name=NAME,
    title="PayPal",
    parse=parse,
    external_id=external_id,
    fingerprint=fingerprint,
    options_model=PayPalOptions,
)
