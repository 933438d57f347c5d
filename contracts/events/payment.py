# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Payments, incoming and outgoing."""

from typing import Annotated, Any, Literal

from ..base import (
    Contract,
    CurrencyCode,
    Description,
    Identifier,
    Label,
    Money,
    PlainDate,
    UtcDateTime,
)
from ..classification import PERSONAL
from .event_type import EventType
from .parties import (
    CANONICAL_STATE,
    COUNTERPARTY_SAMPLE,
    LEGAL_ENTITY_SAMPLE,
    Counterparty,
    DocumentLink,
    LegalEntity,
)


class Dispute(Contract):
    """An objection that the payer raised with the bank or card scheme.

    :ivar due_at: until when it can be answered.
    """

    reference: Label
    stage: Literal["inquiry", "open", "won", "lost"]
    amount: Money
    due_at: UtcDateTime | None = None


class Payment(Contract):
    """A payment in the books.

    :ivar id: opaque id in Odoo.
    :ivar number: empty before it has one.
    :ivar direction: ``inbound`` is money received, ``outbound`` money paid.
    :ivar state: where it stands.
    :ivar amount: never negative; the direction is beside it.
    :ivar currency: ISO 4217 code of three letters.
    :ivar date: its day in the books.
    :ivar method: how it is paid.
    :ivar reference: what the payment quotes.
    :ivar end_to_end_id: what travels through the banks (ISO 20022 ``EndToEndId``).
    :ivar provider_ref: the payment provider's id.
    :ivar counterparty: who pays or is paid.
    :ivar legal_entity: the company whose books it is in.
    :ivar journal_code: short name of the journal it is in.
    :ivar documents: what it settles, with the amounts.
    :ivar reason: why it was rejected, cancelled, refunded or disputed.
    :ivar refund: the payment that paid it back.
    :ivar dispute: the payer's objection, once there is one.
    """

    id: Identifier
    number: Label | None = None
    direction: Literal["inbound", "outbound"]
    state: Annotated[
        Literal["draft", "in_process", "paid", "rejected", "cancelled"],
        CANONICAL_STATE,
    ]
    amount: Money
    currency: CurrencyCode
    date: PlainDate
    method: Label | None = None
    reference: Annotated[Label, PERSONAL] | None = None
    end_to_end_id: Label | None = None
    provider_ref: Label | None = None
    counterparty: Counterparty | None = None
    legal_entity: LegalEntity | None = None
    journal_code: Label | None = None
    documents: list[DocumentLink] = []
    reason: Annotated[Description, PERSONAL] | None = None
    refund: DocumentLink | None = None
    dispute: Dispute | None = None


def _sample(state: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": "88",
        "number": "PBNK1/2026/00012",
        "direction": "inbound",
        "state": state,
        "amount": "1210.00",
        "currency": "EUR",
        "date": "2026-02-10",
        "method": "Manual Payment",
        "provider_ref": "pay_3f9a",
        "counterparty": COUNTERPARTY_SAMPLE,
        "legal_entity": LEGAL_ENTITY_SAMPLE,
        "reference": "INV/2026/00042",
        "documents": [
            {"id": "1017", "number": "INV/2026/00042", "amount": "1210.00"},
        ],
        **changes,
    }


def _type(verb: str, title: str, when: str, sample: dict[str, Any]) -> EventType:
    return EventType(
        object="payment",
        verb=verb,
        title=title,
        description=f"Sent when a payment {when}.",
        model=Payment,
        sample=sample,
        owner="Payment operations",
    )


TYPES = (
    _type("created", "Payment created", "is entered or registered", _sample("draft")),
    _type(
        "in_process",
        "Payment in process",
        "is confirmed and on its way",
        _sample("in_process"),
    ),
    _type(
        "paid", "Payment paid", "is confirmed by the bank or provider", _sample("paid")
    ),
    _type(
        "rejected",
        "Payment rejected",
        "is refused by the bank or provider",
        _sample("rejected", reason="AC04 account closed"),
    ),
    _type("cancelled", "Payment cancelled", "is cancelled", _sample("cancelled")),
    _type(
        "refunded",
        "Payment refunded",
        "is paid back, in full or in part, by a payment in the other direction",
        _sample(
            "paid",
            refund={"id": "93", "number": "PBNK1/2026/00019", "amount": "1210.00"},
        ),
    ),
    _type(
        "disputed",
        "Payment disputed",
        "is disputed by the payer, or such a dispute changes",
        _sample(
            "paid",
            dispute={
                "reference": "dp_4411",
                "stage": "open",
                "amount": "1210.00",
                "due_at": "2026-02-24T23:59:59Z",
            },
        ),
    ),
)
