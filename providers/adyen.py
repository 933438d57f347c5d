# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Adyen standard webhooks: JSON batches of ``NotificationRequestItem``.

Sources: Adyen docs, "Webhook structure and types", "Webhooks API v1" (event codes),
"Dispute webhooks", "Currency codes and minor units".

A payment is known by the PSP reference of its authorisation, which every later event
names as ``originalReference``: captures, refunds and chargebacks alike. So one
authorisation is one payment, booked once. A merchant who captures one authorisation in
several parts sets ``partial_captures``: each capture is then a payment of its own,
under its own PSP reference, with the authorisation as its parent.
"""

import hashlib
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
from .base import Adapter, ParsedCommand, Reply, bounded_id, digest_id
from .minor_units import currency_code, from_minor_units
from .reading import Draft, Found, body_of, fault, first_reference, ignored, words

NAME = "adyen"

# === MAPS === #

#: ``eventCode`` to what it means for the payment, by ``success``; None is nothing.
PAYMENT_EVENTS = {
    # A refused authorisation; the shopper may try again.
    "AUTHORISATION": {True: "authorised", False: "rejected"},
    "PENDING": {True: "submitted", False: None},
    # A capture that was refused leaves the authorisation as it is; a person has to
    # know, which is what "failed" does: it ranks below "authorised".
    "CAPTURE": {True: "captured", False: "failed"},
    # It was accepted before, and the money did not come.
    "CAPTURE_FAILED": {True: "capture_failed", False: "capture_failed"},
    "CANCELLATION": {True: "cancelled", False: None},
    "TECHNICAL_CANCEL": {True: "cancelled", False: None},
    "EXPIRE": {True: "expired", False: None},
}

#: ``eventCode`` to the status of a refund, by ``success``.
REFUND_EVENTS = {
    "REFUND": {True: "succeeded", False: "failed"},
    "REFUND_FAILED": {True: "failed", False: "failed"},
    "REFUNDED_REVERSED": {True: "reversed", False: None},
}

#: ``eventCode`` to the stage of a dispute. Until ``CHARGEBACK`` no money moves.
DISPUTE_EVENTS = {
    "REQUEST_FOR_INFORMATION": "inquiry",
    "NOTIFICATION_OF_CHARGEBACK": "inquiry",
    "CHARGEBACK": "open",
    "PREARBITRATION_OPEN": "open",
    "PREARBITRATION_OPENED": "open",
    "CHARGEBACK_REVERSED": "won",
    "ISSUER_RESPONSE_TIMEFRAME_EXPIRED": "won",
    "PREARBITRATION_WON": "won",
    "PREARBITRATION_ISSUER_WITHDRAWN": "won",
    "SECOND_CHARGEBACK": "lost",
    "PREARBITRATION_LOST": "lost",
}

#: ``additionalData.disputeStatus`` with which ``DISPUTE_DEFENSE_PERIOD_ENDED`` is the
#: end of a dispute.
DISPUTE_LOST_STATUSES = ("Accepted", "Expired", "Lost", "Undefended")

#: Digits after the point where Adyen deviates from ISO 4217 ("Currency codes and
#: minor units"); CNH is not in ISO 4217 at all.
CURRENCY_EXCEPTIONS = {"CLP": 2, "CNH": 2, "CVE": 0, "IDR": 0, "ISK": 2}

#: Why events that look like news are not acted upon.
REASONS = {
    "AUTHORISATION_ADJUSTMENT": "The authorised amount changed; the capture tells what "
    "is taken.",
    "DISPUTE_DEFENSE_PERIOD_ENDED": "The dispute is not decided by this.",
    "NOTIFICATION_OF_FRAUD": "The issuer reports fraud; no money moves.",
    "OFFER_CLOSED": "Nobody paid within the time of the offer.",
    "PAIDOUT_REVERSED": "It comes with the settlement report.",
    "PAYOUT_DECLINE": "It is about a payout to a third party.",
    "PAYOUT_EXPIRE": "It is about a payout to a third party.",
    "PAYOUT_THIRDPARTY": "It is about a payout to a third party.",
    "REFUND_WITH_DATA": "It is about a payout to a third party.",
    "REPORT_AVAILABLE": "A report can be fetched at Adyen. Send a settlement detail "
    "report to the connector that reads those.",
}
NO_USE = "The hub has no use for this event."
REFUSED = "Adyen refused what was asked for, so nothing has changed."


class AdyenOptions(Contract):
    """Settings of an Adyen connection.

    :ivar capture: ``manual`` when Adyen sends CAPTURE, ``automatic`` when payments are
        captured with their authorisation and no CAPTURE comes: then the authorisation
        is booked.
    :ivar partial_captures: whether one authorisation may be captured in several
        parts; each is then a payment of its own.
    :ivar reference_keys: where the number of the invoice or order stands:
        ``merchantReference``, or names of the metadata of the payment.
    :ivar merchant_accounts: the merchant accounts this is about; events of others are
        kept and ignored. Empty means all.
    :ivar mode: whether live events, test events or both are taken.
    """

    capture: Literal["manual", "automatic"] = "manual"
    partial_captures: bool = False
    reference_keys: Annotated[
        list[Identifier], Field(max_length=const.REFERENCE_KEYS_MAX_COUNT)
    ] = [*const.REFERENCE_KEYS, "merchantReference"]
    merchant_accounts: Annotated[
        list[Identifier], Field(max_length=const.ACCOUNTS_MAX_COUNT)
    ] = []
    mode: Literal["any", "live", "test"] = "any"


# === SMALL PARTS === #


def _flag(value: Any) -> bool:
    """Return one of Adyen's booleans, which are texts."""
    if value in (True, "true"):
        return True
    if value in (False, "false"):
        return False
    raise ValueError('"true" or "false" is expected.')


class _Item:
    """One notification and what its parts need to know of it."""

    def __init__(self, item: Found, options: AdyenOptions):
        self.options = options
        self.item = item.object()
        self.code = item.need("eventCode").text()
        self.number = item.need("pspReference").text()
        self.success = item.need("success").then(_flag).value
        self.time = item.need("eventDate")
        self.original = item.get("originalReference")
        if self.original is not None and self.original.value == "":
            self.original = None
        extra = item.get("additionalData")
        self.extra = Found({}, item.at) if extra is None else extra.object()

    @property
    def id(self) -> str:
        return _item_id(self.item.value)

    @property
    def payment(self) -> Found:
        """The PSP reference of the authorisation."""
        return self.original or self.item.need("pspReference")

    def need_original(self) -> Found:
        return self.item.need("originalReference")

    def amount(self) -> tuple[Found, Found]:
        currency = self.item.need("amount", "currency").then(currency_code)
        value = self.item.need("amount", "value")
        return (
            value.then(from_minor_units, currency.value, CURRENCY_EXCEPTIONS),
            currency,
        )

    def draft(self, name: str) -> Draft:
        amount, currency = self.amount()
        return (
            Draft(name, self.item)
            .put("amount", amount)
            .put("currency", currency)
            .put("raw_status", f"{self.code} {str(self.success).lower()}"[:128])
            .put_ids(
                merchantAccountCode=self.item.get("merchantAccountCode"),
                merchantReference=self.item.get("merchantReference"),
                pspReference=self.number,
            )
        )

    def reference(self) -> Found | None:
        """Return the number of the document the payment is for."""
        places = []
        for key in self.options.reference_keys:
            if key == "merchantReference":
                places.append(self.item.get("merchantReference"))
            else:
                places += [self.extra.get(f"metadata.{key}"), self.extra.get(key)]
        return first_reference(places)

    def ignore(self, why: str | None = None) -> ParsedCommand:
        return ignored(
            NAME,
            self.code,
            self.id,
            self.time,
            why or REASONS.get(self.code, NO_USE),
            {
                name: self.item.get(name)
                for name in (
                    "pspReference",
                    "originalReference",
                    "merchantReference",
                    "reason",
                )
            },
        )


def _item_id(item: dict) -> str:
    """Return what Adyen tells two notifications apart by."""
    parts = (item.get(name) for name in ("pspReference", "eventCode", "success"))
    return ":".join(str(part).lower() if part is True else str(part) for part in parts)


# === PAYMENTS === #


def _payment(item: _Item, status: str) -> ParsedCommand:
    if status == "authorised":
        if item.item.need("amount", "value").value == 0:
            return item.ignore("The amount is zero: a card was checked or stored.")
        if item.options.capture == "automatic":
            status = "captured"
    if status == "captured":
        return _captured(item)
    if status == "authorised":
        draft = (
            item.draft("payment.authorised")
            .put("provider_ref", item.payment)
            .put("authorised_at", item.time)
            .put("document_ref", item.reference())
            .put_words("method", item.item.get("paymentMethod"))
        )
        return _payer(item, draft).command(item.id)
    if status == "submitted":
        draft = (
            item.draft("payment.status_changed")
            .put("provider_ref", item.payment)
            .put("execution", status)
            .put("changed_at", item.time)
            .put("document_ref", item.reference())
        )
        return draft.command(item.id)
    return _failed(item, status)


def _captured(item: _Item) -> ParsedCommand:
    own = item.options.partial_captures and item.original is not None
    if item.code == "CAPTURE":
        item.need_original()
    draft = (
        item.draft("payment.captured")
        .put("provider_ref", item.item.need("pspReference") if own else item.payment)
        .put("captured_at", item.time)
        .put("parent_ref", item.payment)
        .put("document_ref", item.reference())
        .put_words("method", item.item.get("paymentMethod"))
    )
    return _payer(item, draft).command(item.id)


def _payer(item: _Item, draft: Draft) -> Draft:
    name = item.extra.get("cardHolderName") or item.extra.get("ownerName")
    draft.put_party(
        "payer",
        external_id=item.extra.get("shopperReference"),
        name=name,
        email=item.extra.get("shopperEmail"),
        iban=item.extra.get("iban"),
    )
    if draft.name == "payment.captured":
        draft.put_words("payer_name", name)
    return draft


def _failed(item: _Item, outcome: str) -> ParsedCommand:
    if item.original is None and item.code not in ("AUTHORISATION", "EXPIRE"):
        return item.ignore("It names no payment, so nothing can be cancelled by it.")
    reference = item.payment
    if outcome == "capture_failed" and item.options.partial_captures:
        reference = item.item.need("pspReference")
    draft = (
        item.draft("payment.failed")
        .put("provider_ref", reference)
        .put("outcome", outcome)
        .put("failed_at", item.time)
        .put_words("reason", item.item.get("reason"))
    )
    if item.code == "AUTHORISATION":
        draft.put("document_ref", item.reference())
    else:
        draft.put("parent_ref", item.original)
    if not draft.data["amount"].strip("0."):
        # A cancellation is of everything and may say so by zero.
        del draft.data["amount"]
    code = words(item.extra.value.get("refusalReasonRaw")) or words(
        item.item.value.get("reason")
    )
    draft.put("reason_code", (code or outcome)[: const.REFERENCE_MAX_LENGTH])
    return draft.command(item.id)


def _cancel_or_refund(item: _Item) -> ParsedCommand:
    if not item.success:
        return item.ignore(REFUSED)
    action = item.extra.get("modification.action")
    what = action.value if action is not None else None
    if what == "cancel":
        return _failed(item, "cancelled")
    if what == "refund":
        return _refund(item, "succeeded")
    raise fault(
        (*item.extra.at, "modification.action"),
        "Adyen has to say whether it was cancelled or refunded: “cancel” or “refund” "
        "is expected here. Switch the field on in Adyen's webhook settings.",
    )


# === REFUNDS AND DISPUTES === #


def _refund(item: _Item, status: str) -> ParsedCommand:
    draft = (
        item.draft("payment.refunded")
        .put("parent_ref", item.need_original())
        .put("refund_ref", item.item.need("pspReference"))
        .put("refunded_at", item.time)
        .put("status", status)
        .put_words("reason", item.item.get("reason"))
    )
    return draft.command(item.id)


def _dispute(item: _Item, stage: str) -> ParsedCommand:
    parent = item.need_original()
    if item.options.partial_captures:
        # Disputes name the capture that is contested; refunds do not.
        parent = item.extra.get("capturePspReference") or parent
    code = item.extra.get("chargebackReasonCode") or item.extra.get("rfiReasonCode")
    draft = (
        item.draft("payment.disputed")
        .put("parent_ref", parent)
        .put("dispute_ref", item.item.need("pspReference"))
        .put("stage", stage)
        .put("disputed_at", item.time)
        .put_words("reason_code", code)
        .put_words("reason", item.item.get("reason"))
    )
    if stage in ("inquiry", "open"):
        draft.put("due", item.extra.get("defensePeriodEndsAt"))
    return draft.command(item.id)


# === DISPATCH === #


def _command(item: _Item) -> ParsedCommand:
    accounts = item.options.merchant_accounts
    account = item.item.get("merchantAccountCode")
    if accounts and (account is None or account.value not in accounts):
        return item.ignore(
            "It belongs to another merchant account than the settings of the "
            "connector name."
        )
    if item.code == "CANCEL_OR_REFUND":
        return _cancel_or_refund(item)
    if item.code in DISPUTE_EVENTS:
        return _dispute(item, DISPUTE_EVENTS[item.code])
    if item.code == "DISPUTE_DEFENSE_PERIOD_ENDED":
        status = item.extra.value.get("disputeStatus")
        if status in DISPUTE_LOST_STATUSES:
            return _dispute(item, "lost")
        return item.ignore()
    for events, read in ((PAYMENT_EVENTS, _payment), (REFUND_EVENTS, _refund)):
        if item.code in events:
            meaning = events[item.code][item.success]
            return item.ignore(REFUSED) if meaning is None else read(item, meaning)
    return item.ignore()


def _items(body: Found) -> list[Found]:
    wrapped = body.need("notificationItems").each()
    if len(wrapped) > const.ITEMS_MAX_COUNT:
        raise fault(
            ("notificationItems",),
            f"At most {const.ITEMS_MAX_COUNT} items are taken at once.",
        )
    return [each.need("NotificationRequestItem") for each in wrapped]


def parse(
    headers: Mapping, body: bytes, options: Mapping[str, Any] | None = None
) -> list[ParsedCommand]:
    """Return the commands of a batch of notifications.

    A batch is taken as a whole or not at all.

    :param options: wire form of :class:`AdyenOptions`.
    :raises ContractError: ``D-SCHEMA``; its pointers lead into the body.
    """
    chosen = validate(AdyenOptions, dict(options or {}), "The format's settings")
    found = body_of(body, "The notification")
    items = [_Item(item, chosen) for item in _items(found)]
    live = found.get("live")
    is_live = live is not None and live.then(_flag).value
    if live is not None and chosen.mode == ("test" if is_live else "live"):
        why = f"Only {chosen.mode} events are taken, as the settings say."
        return [item.ignore(why) for item in items]
    return [_command(item) for item in items]


def external_id(headers: Mapping, body: bytes) -> str:
    """Return PSP reference, event code and success of the notification.

    For a batch the digest of those of all its items. Never raises.
    """
    try:
        items = [item.value for item in _items(body_of(body, "The notification"))]
    except ContractError:
        return digest_id(body)
    if not items or not all(
        isinstance(item, dict) and item.get("pspReference") and item.get("eventCode")
        for item in items
    ):
        return digest_id(body)
    ids = [_item_id(item) for item in items]
    return bounded_id(ids[0]) if len(ids) == 1 else digest_id(dump_json(ids))


#: What Adyen itself signs of a notification; the rest may differ in a repetition.
_SIGNED = (
    "pspReference",
    "originalReference",
    "merchantAccountCode",
    "merchantReference",
    "amount",
    "eventCode",
    "success",
)


def fingerprint(headers: Mapping, body: bytes) -> bytes:
    """Return what of a batch is the same when it is sent again. Never raises."""
    try:
        items = [item.value for item in _items(body_of(body, "The notification"))]
        live = parse_json(body).get("live")
    except ContractError:
        return body
    if not all(isinstance(item, dict) for item in items):
        return body
    facts = [{name: item.get(name) for name in _SIGNED} for item in items]
    return hashlib.sha256(dump_json([live, facts])).digest()


ADAPTER = Adapter(
    name=NAME,
    title="Adyen (standard webhooks)",
    parse=parse,
    external_id=external_id,
    fingerprint=fingerprint,
    options_model=AdyenOptions,
    # Adyen docs, "Accept webhooks": the body has to be this.
    reply=Reply(200, "text/plain", b"[accepted]"),
)
