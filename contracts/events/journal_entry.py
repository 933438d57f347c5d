# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Journal entries: everything posted in the ledger that is no invoice or bill."""

from functools import partial
from typing import Annotated, Literal

from ..base import (
    Contract,
    CurrencyCode,
    Description,
    Identifier,
    Label,
    Money,
    PlainDate,
    Quantity,
)
from ..classification import CONFIDENTIAL, PERSONAL
from .event_type import EventType
from .parties import (
    CANONICAL_STATE,
    LEGAL_ENTITY_SAMPLE,
    Counterparty,
    DocumentLink,
    LegalEntity,
)


class EntryOrigin(Contract):
    """What an entry was made for.

    :ivar kind: ``payment``, ``bank_transaction`` (a line of a bank statement),
        ``exchange_difference`` and ``cash_basis_tax`` (made when items are matched),
        or ``manual`` for everything else.
    :ivar id: of the payment or bank transaction, opaque.
    """

    kind: Literal[
        "payment",
        "bank_transaction",
        "exchange_difference",
        "cash_basis_tax",
        "manual",
    ]
    id: Identifier | None = None
    reference: Annotated[Label, PERSONAL] | None = None


class EntryLine(Contract):
    """One journal item.

    :ivar debit: in the entry's ``currency``, zero on the credit side.
    :ivar amount_currency: signed, in ``line_currency``, where that is another one.
    :ivar analytic: percent by analytic accounts, the key being their opaque ids
        joined by commas (one account per plan).
    """

    id: Identifier
    account_code: Annotated[Label, CONFIDENTIAL] | None = None
    account_name: Annotated[Label, CONFIDENTIAL] | None = None
    description: Annotated[Description, PERSONAL] | None = None
    counterparty: Counterparty | None = None
    debit: Money
    credit: Money
    amount_currency: Money | None = None
    line_currency: CurrencyCode | None = None
    taxes: list[Label] = []
    analytic: Annotated[dict[Label, Quantity], CONFIDENTIAL] = {}


class JournalEntry(Contract):
    """A journal entry. Debits and credits are in the currency of the company.

    :ivar id: opaque id in Odoo.
    :ivar total: of the debits, which is that of the credits.
    :ivar origin: what it was made for.
    """

    id: Identifier
    state: Annotated[Literal["draft", "posted", "cancelled"], CANONICAL_STATE]
    number: Label | None = None
    reference: Annotated[Label, PERSONAL] | None = None
    date: PlainDate
    legal_entity: LegalEntity
    journal_code: Label | None = None
    journal_name: Label | None = None
    currency: CurrencyCode
    total: Money
    lines: list[EntryLine] = []
    origin: EntryOrigin
    reversal_of: DocumentLink | None = None
    reversed_by: list[DocumentLink] = []


_SAMPLE = {
    "id": "2051",
    "state": "posted",
    "number": "MISC/2026/01/0004",
    "reference": "Accrual January",
    "date": "2026-01-31",
    "legal_entity": LEGAL_ENTITY_SAMPLE,
    "journal_code": "MISC",
    "journal_name": "Miscellaneous Operations",
    "currency": "EUR",
    "total": "350.00",
    "lines": [
        {
            "id": "8811",
            "account_code": "613000",
            "account_name": "Rent",
            "description": "Rent of January",
            "debit": "350.00",
            "credit": "0.00",
            "taxes": [],
            "analytic": {"7": "100"},
        },
        {
            "id": "8812",
            "account_code": "449000",
            "account_name": "Accrued charges",
            "debit": "0.00",
            "credit": "350.00",
            "taxes": [],
            "analytic": {},
        },
    ],
    "origin": {"kind": "manual"},
    "reversed_by": [],
}

_type = partial(
    EventType, object="journal_entry", model=JournalEntry, owner="General ledger"
)

TYPES = (
    _type(
        verb="posted",
        title="Journal entry posted",
        description="Sent when a journal entry is posted. Invoices, bills and credit "
        "notes have events of their own; entries of payments, bank transactions and "
        "exchange differences are sent here, and origin says so.",
        sample=_SAMPLE,
    ),
    _type(
        verb="reversed",
        title="Journal entry reversed",
        description="Sent when the entry that reverses a journal entry is posted.",
        sample={
            **_SAMPLE,
            "reversed_by": [{"id": "2077", "number": "MISC/2026/02/0001"}],
        },
    ),
    _type(
        verb="reset_to_draft",
        title="Journal entry reset to draft",
        description="Sent when a posted journal entry is taken back to draft; what was "
        "said about it before no longer holds.",
        sample={**_SAMPLE, "state": "draft"},
    ),
    _type(
        verb="cancelled",
        title="Journal entry cancelled",
        description="Sent when a posted journal entry is cancelled.",
        sample={**_SAMPLE, "state": "cancelled"},
    ),
)
