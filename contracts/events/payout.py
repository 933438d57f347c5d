# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Payouts of payment providers."""

from typing import Annotated, Literal

from pydantic import Field

from ..base import Contract, CurrencyCode, Identifier, Label, Money, PlainDate
from .event_type import EventType
from .parties import LEGAL_ENTITY_SAMPLE, LegalEntity


class PayoutItem(Contract):
    """One part of a payout.

    :ivar amount: signed: fees, refunds and disputes are negative.
    """

    kind: Literal["payment", "refund", "dispute", "fee", "adjustment"]
    provider_ref: Label | None = None
    payment_id: Identifier | None = None
    amount: Money


class Payout(Contract):
    """A payout: what the provider paid into the bank, and what it is made of.

    :ivar gross: payments, before anything is taken off.
    :ivar net: what arrived: gross less fees and refunds.
    :ivar count: number of items, also when not all of them are listed.
    """

    id: Identifier
    provider: Label
    provider_ref: Label
    legal_entity: LegalEntity
    currency: CurrencyCode
    gross: Money
    fees: Money
    refunds: Money
    net: Money
    value_date: PlainDate | None = None
    bank_transaction_id: Identifier | None = None
    count: Annotated[int, Field(ge=0)]
    items: list[PayoutItem] = []


TYPES = (
    EventType(
        object="payout",
        verb="reconciled",
        title="Payout reconciled",
        description="Sent when a payout agrees with its items and with the bank.",
        model=Payout,
        sample={
            "id": "12",
            "provider": "Payment provider",
            "provider_ref": "po_71b2",
            "legal_entity": LEGAL_ENTITY_SAMPLE,
            "currency": "EUR",
            "gross": "1210.00",
            "fees": "17.45",
            "refunds": "0.00",
            "net": "1192.55",
            "value_date": "2026-02-12",
            "bank_transaction_id": "940",
            "count": 2,
            "items": [
                {
                    "kind": "payment",
                    "provider_ref": "pay_3f9a",
                    "payment_id": "88",
                    "amount": "1210.00",
                },
                {"kind": "fee", "amount": "-17.45"},
            ],
        },
        owner="Treasury",
    ),
)
