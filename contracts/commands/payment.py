# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Commands about payments."""

from typing import Literal

from pydantic import model_validator

from ..base import (
    Contract,
    CurrencyCode,
    Identifier,
    LongText,
    Money,
    PlainDate,
    PositiveMoney,
    Text,
    UtcDateTime,
)
from .command_type import CommandType
from .common import Metadata, Party


class _Payment(Contract):
    """What all commands about one payment say.

    :ivar provider_ref: the provider's id of the payment; with the connector it names
        the transaction.
    :ivar raw_status: the provider's own word for what happened, kept as it came.
    :ivar metadata: further values, kept and not interpreted.
    """

    provider_ref: Identifier
    raw_status: Text | None = None
    metadata: Metadata = {}


class PaymentAuthorised(_Payment):
    """A payer's money is promised; nothing is booked yet.

    :ivar amount: what is promised, greater than zero.
    :ivar authorised_at: when it was authorised, not when it was reported.
    :ivar expires_at: until when it can be captured.
    :ivar parent_ref: the provider's id of the order or intent it belongs to.
    :ivar document_ref: number or payment reference of the invoice or order.
    """

    amount: PositiveMoney
    currency: CurrencyCode
    authorised_at: UtcDateTime
    expires_at: UtcDateTime | None = None
    parent_ref: Identifier | None = None
    document_ref: Identifier | None = None
    payer: Party | None = None
    method: Text | None = None


class PaymentCaptured(_Payment):
    """Money was taken from a payer and is on its way to us.

    :ivar provider_ref: the provider's id of the capture; with the connector it names
        the payment, so that it is booked once.
    :ivar amount: gross, greater than zero.
    :ivar captured_at: when it was captured, not when it was reported.
    :ivar parent_ref: the provider's id of what was captured: order, authorisation.
    :ivar document_ref: number or payment reference of the invoice that is paid.
    :ivar payer: who paid; finds the invoice when no reference does.
    :ivar method: how it was paid: ``card``, ``sepa_debit`` …
    """

    amount: PositiveMoney
    currency: CurrencyCode
    captured_at: UtcDateTime
    parent_ref: Identifier | None = None
    document_ref: Identifier | None = None
    payer: Party | None = None
    payer_name: Text | None = None
    method: Text | None = None
    description: LongText | None = None

    @model_validator(mode="after")
    def _check_references(self):
        if self.parent_ref is None and self.document_ref is None:
            raise ValueError(
                "Send parent_ref or document_ref, so that the payment can be matched."
            )
        return self


class PaymentSettled(_Payment):
    """The provider has accounted for a payment: its fee is known.

    :ivar provider_ref: of the capture.
    :ivar settlement_ref: the provider's id of this settlement; one payment may be
        settled in several parts.
    :ivar gross: what was captured; negative for a settled refund or chargeback.
    :ivar fee: what the provider keeps; negative when it gives some back.
    :ivar net: ``gross`` less ``fee``.
    :ivar value_date: from when the money counts.
    :ivar payout_ref: the payout it will be part of, where that is known.
    """

    settlement_ref: Identifier | None = None
    gross: Money
    fee: Money
    net: Money
    currency: CurrencyCode
    settled_at: UtcDateTime
    value_date: PlainDate
    payout_ref: Identifier | None = None

    @model_validator(mode="after")
    def _check_net(self):
        if self.gross - self.fee != self.net:
            raise ValueError("net has to be gross less fee.")
        return self


class PaymentFailed(_Payment):
    """A payment did not come about, or came back.

    :ivar outcome: the status it ends in; ``returned`` and ``capture_failed`` take
        back what was captured.
    :ivar reason_code: the provider's or the scheme's code: ``AM04``.
    :ivar reason: the same in words.
    :ivar amount: what failed; absent means all of it.
    """

    outcome: Literal[
        "failed", "rejected", "cancelled", "expired", "capture_failed", "returned"
    ] = "failed"
    reason_code: Identifier
    reason: LongText | None = None
    failed_at: UtcDateTime
    amount: PositiveMoney | None = None
    currency: CurrencyCode | None = None
    parent_ref: Identifier | None = None
    document_ref: Identifier | None = None


class PaymentStatusChanged(_Payment):
    """A payment moved on without money being booked.

    For what banks and providers report between the start and the end, such as
    ISO 20022 ``ACCP`` and ``PDNG``.

    :ivar execution: where it stands now; ``unknown`` is resolved by asking, never by
        sending it again.
    :ivar settlement: what the bank says of the money, such as ``settled`` for ISO 20022
        ``ACSC`` and ``ACCC``; absent says nothing of it.
    """

    execution: Literal[
        "initiated",
        "pending_approval",
        "approved",
        "held",
        "submitted",
        "acknowledged",
        "unknown",
    ]
    settlement: Literal["pending", "settled"] | None = None
    changed_at: UtcDateTime
    reason_code: Identifier | None = None
    reason: LongText | None = None
    amount: PositiveMoney | None = None
    currency: CurrencyCode | None = None
    parent_ref: Identifier | None = None
    document_ref: Identifier | None = None


class PaymentRefunded(Contract):
    """Money goes back to a payer.

    :ivar parent_ref: ``provider_ref`` of the captured payment.
    :ivar refund_ref: the provider's id of the refund.
    :ivar amount: of this refund, greater than zero.
    :ivar status: ``failed`` and ``reversed`` take back what was booked.
    :ivar reason: why, in the provider's words.
    """

    parent_ref: Identifier
    refund_ref: Identifier
    amount: PositiveMoney
    currency: CurrencyCode
    refunded_at: UtcDateTime
    status: Literal["pending", "succeeded", "failed", "reversed"] = "succeeded"
    reason: LongText | None = None
    document_ref: Identifier | None = None
    raw_status: Text | None = None
    metadata: Metadata = {}


class PaymentDisputed(Contract):
    """A payer contests a payment.

    :ivar parent_ref: ``provider_ref`` of the captured payment.
    :ivar dispute_ref: the provider's id of the dispute.
    :ivar stage: ``inquiry`` asks only; ``open`` takes the money away; ``won`` gives
        it back; ``lost`` is the end.
    :ivar amount: what is contested, greater than zero.
    :ivar due: until when evidence can be sent.
    """

    parent_ref: Identifier
    dispute_ref: Identifier
    stage: Literal["inquiry", "open", "won", "lost"]
    amount: PositiveMoney
    currency: CurrencyCode
    disputed_at: UtcDateTime
    due: UtcDateTime | None = None
    reason_code: Identifier | None = None
    reason: LongText | None = None
    raw_status: Text | None = None
    metadata: Metadata = {}


_MOMENT = "2026-02-10T08:15:00Z"

TYPES = (
    CommandType(
        name="payment.authorised",
        title="Payment authorised",
        description="Keeps the status; nothing is booked.",
        model=PaymentAuthorised,
        business_key=("provider_ref",),
        time_field="authorised_at",
        sample={
            "provider_ref": "pi_3f9a",
            "amount": "1210.00",
            "currency": "EUR",
            "authorised_at": _MOMENT,
            "document_ref": "INV/2026/00042",
            "method": "card",
        },
    ),
    CommandType(
        name="payment.captured",
        title="Payment captured",
        description="Registers a payment and matches it to its invoice.",
        model=PaymentCaptured,
        business_key=("provider_ref",),
        time_field="captured_at",
        sample={
            "provider_ref": "pay_3f9a",
            "amount": "1210.00",
            "currency": "EUR",
            "captured_at": _MOMENT,
            "document_ref": "INV/2026/00042",
            "payer_name": "Azure Interior",
            "method": "card",
        },
    ),
    CommandType(
        name="payment.settled",
        title="Payment settled",
        description="Books the provider's fee and marks the payment settled.",
        model=PaymentSettled,
        business_key=("provider_ref", "settlement_ref"),
        time_field="settled_at",
        sample={
            "provider_ref": "pay_3f9a",
            "gross": "1210.00",
            "fee": "17.45",
            "net": "1192.55",
            "currency": "EUR",
            "settled_at": _MOMENT,
            "value_date": "2026-02-12",
        },
    ),
    CommandType(
        name="payment.failed",
        title="Payment failed",
        description="Holds the revenue, tells a person, and takes back what was "
        "booked.",
        model=PaymentFailed,
        business_key=("provider_ref", "outcome"),
        time_field="failed_at",
        sample={
            "provider_ref": "pay_3f9a",
            "outcome": "returned",
            "reason_code": "AM04",
            "reason": "Insufficient funds",
            "failed_at": _MOMENT,
        },
    ),
    CommandType(
        name="payment.status_changed",
        title="Payment status changed",
        description="Keeps the status between start and end; nothing is booked.",
        model=PaymentStatusChanged,
        business_key=("provider_ref", "execution", "changed_at"),
        time_field="changed_at",
        sample={
            "provider_ref": "E2E-2026-0042",
            "execution": "acknowledged",
            "changed_at": _MOMENT,
            "raw_status": "ACSP",
        },
    ),
    CommandType(
        name="payment.refunded",
        title="Payment refunded",
        description="Books what goes back to the payer, or proposes a credit note.",
        model=PaymentRefunded,
        business_key=("refund_ref", "status"),
        time_field="refunded_at",
        sample={
            "parent_ref": "pay_3f9a",
            "refund_ref": "re_71b2",
            "amount": "210.00",
            "currency": "EUR",
            "refunded_at": _MOMENT,
            "status": "succeeded",
            "reason": "requested_by_customer",
        },
    ),
    CommandType(
        name="payment.disputed",
        title="Payment disputed",
        description="Moves the contested amount to the dispute account and plans the "
        "task with its deadline.",
        model=PaymentDisputed,
        business_key=("dispute_ref", "stage"),
        time_field="disputed_at",
        sample={
            "parent_ref": "pay_3f9a",
            "dispute_ref": "dp_5e01",
            "stage": "open",
            "amount": "1210.00",
            "currency": "EUR",
            "disputed_at": _MOMENT,
            "due": "2026-02-24T23:59:59Z",
            "reason_code": "10.4",
        },
    ),
)
