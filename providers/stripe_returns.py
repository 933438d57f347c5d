# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What Stripe gives back or pays out: refunds, disputes, payouts."""

from .base import ParsedCommand
from .reading import Draft, Found, fault, unix_day, unix_seconds
from .stripe_event import (
    Event,
    amount_of,
    currency_of,
    id_of,
    known_status,
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


def read_refunds(event: Event) -> list[ParsedCommand]:
    """``charge.refunded``: the refunds where the charge holds them."""
    charge = event.thing
    refunds = charge.get("refunds", "data")
    if refunds is None:
        return event.ignore()
    commands = []
    for refund in refunds.each():
        draft = _refund_draft(event, refund, payment_ref(charge) or id_of(charge))
        if draft is None:
            return event.not_known(refund.need("status"))
        if draft.data["status"] != "failed":
            # The charge lists its old refunds, too: each happened when it was made.
            draft.put("refunded_at", refund.need("created").then(unix_seconds))
        commands.append(event.done(draft, refund.need("id").text()))
    return commands or event.ignore()


def read_refund(event: Event) -> list[ParsedCommand]:
    refund = event.thing
    reference = payment_ref(refund)
    if reference is None:
        return event.ignore("It belongs to no payment, but to a customer's balance.")
    draft = _refund_draft(event, refund, reference)
    if draft is None:
        return event.not_known(refund.need("status"))
    settled = []
    if draft.data["status"] == "succeeded":
        settled = settlements(event, refund.get("balance_transaction"), reference)
    return [event.done(draft), *settled]


def _refund_draft(event: Event, refund: Found, reference: Found) -> Draft | None:
    """Return the draft of a refund; None when its status is not known."""
    # Absent in the oldest versions, in which a refund was always final.
    status = refund.get("status")
    known = "succeeded" if status is None else known_status(REFUND_STATUSES, status)
    if known is None:
        return None
    return (
        event.draft("payment.refunded")
        .put("parent_ref", reference)
        .put("refund_ref", id_of(refund))
        .put("amount", amount_of(refund, "amount"))
        .put("currency", currency_of(refund))
        .put("refunded_at", event.time)
        .put("status", known)
        .put_words("reason", refund.get("failure_reason") or refund.get("reason"))
        .put_words("raw_status", status)
        .put_ids(charge=id_of(refund.get("charge")))
    )


def read_dispute(event: Event) -> list[ParsedCommand]:
    dispute = event.thing
    reference = payment_ref(dispute)
    if reference is None:
        raise fault((*dispute.at, "charge"), "This field is required.")
    status = dispute.need("status")
    stage = known_status(DISPUTE_STAGES, status)
    if stage is None:
        return event.not_known(status)
    draft = (
        event.draft("payment.disputed")
        .put("parent_ref", reference)
        .put("dispute_ref", id_of(dispute))
        .put("stage", stage)
        .put("amount", amount_of(dispute, "amount"))
        .put("currency", currency_of(dispute))
        .put("disputed_at", event.time)
        .put_words("reason_code", dispute.get("network_reason_code"))
        .put_words("reason", dispute.get("reason"))
        .put_words("raw_status", status)
        .put_ids(charge=id_of(dispute.get("charge")))
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
            commands += settlements(event, transaction, reference)
    return commands


def read_payout(event: Event) -> list[ParsedCommand]:
    payout = event.thing
    draft = (
        event.draft("payout.released")
        .put("payout_ref", id_of(payout))
        .put("net", amount_of(payout, "amount"))
        .put("currency", currency_of(payout))
        .put("released_at", event.time)
        # What it is made of stands in the payout's report.
        .put("complete", False)
        .put_words("raw_status", payout.get("status"))
        .put_words("description", payout.get("description"))
        .put_words("bank_reference", payout.get("statement_descriptor"))
        .put_ids(
            balance_transaction=id_of(payout.get("balance_transaction")),
            trace_id=payout.get("trace_id", "value"),
        )
    )
    arrival = payout.get("arrival_date")
    if arrival is not None:
        draft.put("value_date", arrival.then(unix_day))
    return [event.done(draft)]


def read_payout_failure(event: Event) -> list[ParsedCommand]:
    payout = event.thing
    draft = (
        Draft("payout.failed", payout)
        .put("payout_ref", id_of(payout))
        .put("failed_at", event.time)
        .put_words("reason_code", payout.get("failure_code"))
        .put_words("reason", payout.get("failure_message"))
        .put_words("raw_status", payout.get("status"))
    )
    return [event.done(draft)]
