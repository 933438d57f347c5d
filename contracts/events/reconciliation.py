# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Reconciliations: journal items matched with each other, and control totals."""

from typing import Annotated, Literal

from ..base import (
    Contract,
    CurrencyCode,
    Description,
    Identifier,
    Label,
    Money,
    UtcDateTime,
)
from ..classification import CONFIDENTIAL, PERSONAL
from .event_type import EventType
from .parties import (
    COUNTERPARTY_SAMPLE,
    LEGAL_ENTITY_SAMPLE,
    Counterparty,
    LegalEntity,
)


class MatchedDocument(Contract):
    """A document that takes part.

    :ivar amount: how much of it is matched, in the currency of the company.
    """

    kind: Literal[
        "invoice", "bill", "credit_note", "payment", "bank_transaction", "journal_entry"
    ]
    id: Identifier
    number: Label | None = None
    amount: Money


class Reconciliation(Contract):
    """Journal items which are matched with each other: one group.

    :ivar id: of the group, opaque; it stays while the group grows.
    :ivar full: whether nothing is left open in the group.
    :ivar amount: sum of the matches, in ``currency``, that of the company; of
        ``undone`` what was taken apart.
    """

    id: Identifier
    legal_entity: LegalEntity
    counterparty: Counterparty | None = None
    account_code: Annotated[Label, CONFIDENTIAL] | None = None
    currency: CurrencyCode
    amount: Money
    full: bool
    documents: list[MatchedDocument] = []


class Drift(Contract):
    """A control total that does not agree.

    :ivar control: what was compared.
    :ivar expected: what the other system, or the control account, says.
    :ivar actual: what the books say.
    """

    id: Identifier
    legal_entity: LegalEntity
    control: Label
    currency: CurrencyCode
    expected: Money
    actual: Money
    as_of: UtcDateTime
    system: Label | None = None
    detail: Annotated[Description, PERSONAL] | None = None


_SAMPLE = {
    "id": "311",
    "legal_entity": LEGAL_ENTITY_SAMPLE,
    "counterparty": COUNTERPARTY_SAMPLE,
    "account_code": "400000",
    "currency": "EUR",
    "amount": "1210.00",
    "full": True,
    "documents": [
        {
            "kind": "invoice",
            "id": "1017",
            "number": "INV/2026/00042",
            "amount": "1210.00",
        },
        {
            "kind": "payment",
            "id": "88",
            "number": "PBNK1/2026/00012",
            "amount": "1210.00",
        },
    ],
}

TYPES = (
    EventType(
        object="reconciliation",
        verb="completed",
        title="Items reconciled",
        description="Sent when journal items are matched with each other: one event "
        "for a group, however many matches it has; full says whether something stays "
        "open.",
        model=Reconciliation,
        sample=_SAMPLE,
        owner="General ledger",
    ),
    EventType(
        object="reconciliation",
        verb="undone",
        title="Reconciliation undone",
        description="Sent when matches are taken apart again.",
        model=Reconciliation,
        sample={**_SAMPLE, "full": False},
        owner="General ledger",
    ),
    EventType(
        object="reconciliation",
        verb="drift_detected",
        title="Drift detected",
        description="Sent when a control total of another system or account does not "
        "agree with the books.",
        model=Drift,
        sample={
            "id": "ar-control-2026-01",
            "legal_entity": LEGAL_ENTITY_SAMPLE,
            "control": "Receivables against the revenue platform",
            "currency": "EUR",
            "expected": "15230.00",
            "actual": "15210.00",
            "as_of": "2026-01-31T23:00:00Z",
            "system": "Revenue platform",
        },
        owner="Controlling",
    ),
)
