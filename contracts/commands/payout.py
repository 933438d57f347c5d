# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Commands about payouts: what a provider pays into the bank."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, model_validator

from .. import constants as const
from ..base import (
    Contract,
    CurrencyCode,
    Identifier,
    LongText,
    Money,
    PlainDate,
    Text,
    UtcDateTime,
)
from .command_type import CommandType
from .common import Metadata


class PayoutLine(Contract):
    """One line of a settlement report.

    :ivar kind: what it is; ``fee`` stands for charges that belong to no payment,
        ``reserve`` for money held back or given free again.
    :ivar line_ref: the provider's id of the line, where it has one.
    :ivar provider_ref: of the payment, refund or dispute it belongs to.
    :ivar gross: signed, before fees: refunds and chargebacks are negative.
    :ivar fee: what the provider keeps of it; negative when it gives some back.
    :ivar net: ``gross`` less ``fee``: what it adds to the payout.
    """

    kind: Literal[
        "payment",
        "refund",
        "refund_reversal",
        "chargeback",
        "chargeback_reversal",
        "fee",
        "adjustment",
        "reserve",
    ]
    line_ref: Identifier | None = None
    provider_ref: Identifier | None = None
    parent_ref: Identifier | None = None
    document_ref: Identifier | None = None
    occurred_at: UtcDateTime | None = None
    gross: Money
    fee: Money = Decimal(0)
    net: Money
    description: LongText | None = None

    @model_validator(mode="after")
    def _check_net(self):
        if self.gross - self.fee != self.net:
            raise ValueError("net has to be gross less fee.")
        return self


class PayoutReleased(Contract):
    """The provider has sent money to the bank.

    Whether the lines add up is a control, not a contract: a report that does not is
    kept and shown to a person.

    :ivar payout_ref: the provider's id of the payout or settlement batch.
    :ivar net: what arrives at the bank, in ``currency``; negative when the provider
        collects.
    :ivar lines: what it is made of; absent when the report comes separately.
    :ivar complete: whether ``lines`` are all there are; ``False`` for an announcement
        whose report comes separately.
    :ivar opening: balance carried over from the payout before, part of ``net``.
    :ivar closing: balance carried over to the next one, kept out of ``net``.
    :ivar bank_reference: what the line on the bank statement will say.
    """

    payout_ref: Identifier
    net: Money
    currency: CurrencyCode
    released_at: UtcDateTime
    value_date: PlainDate | None = None
    opening: Money = Decimal(0)
    closing: Money = Decimal(0)
    lines: Annotated[list[PayoutLine], Field(max_length=const.STATEMENT_MAX_LINES)] = []
    complete: bool = True
    bank_reference: Text | None = None
    description: LongText | None = None
    raw_status: Text | None = None
    metadata: Metadata = {}


class PayoutFailed(Contract):
    """Money the provider had sent came back to it.

    :ivar payout_ref: the payout that failed.
    """

    payout_ref: Identifier
    failed_at: UtcDateTime
    reason_code: Identifier | None = None
    reason: LongText | None = None
    raw_status: Text | None = None


TYPES = (
    CommandType(
        name="payout.released",
        title="Payout released",
        description="Checks the payout against its lines, books the fees, and expects "
        "the bank line.",
        model=PayoutReleased,
        # Announced without its lines first, and reported with them later.
        business_key=("payout_ref", "complete"),
        time_field="released_at",
        sample={
            "payout_ref": "po_71b2",
            "net": "982.55",
            "currency": "EUR",
            "released_at": "2026-02-12T06:00:00Z",
            "value_date": "2026-02-12",
            "lines": [
                {
                    "kind": "payment",
                    "provider_ref": "pay_3f9a",
                    "gross": "1210.00",
                    "fee": "17.45",
                    "net": "1192.55",
                },
                {
                    "kind": "refund",
                    "provider_ref": "re_71b2",
                    "parent_ref": "pay_3f9a",
                    "gross": "-210.00",
                    "fee": "0",
                    "net": "-210.00",
                },
            ],
        },
    ),
    CommandType(
        name="payout.failed",
        title="Payout failed",
        description="The bank line is no longer expected, and a person is told.",
        model=PayoutFailed,
        business_key=("payout_ref",),
        time_field="failed_at",
        sample={
            "payout_ref": "po_71b2",
            "failed_at": "2026-02-13T06:00:00Z",
            "reason_code": "account_closed",
        },
    ),
)
