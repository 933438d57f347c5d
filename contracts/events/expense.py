# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Expenses of employees; only where Odoo's Expenses is installed."""

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
)
from ..classification import CONFIDENTIAL, PERSONAL
from .event_type import EventType
from .parties import LEGAL_ENTITY_SAMPLE, DocumentLink, LegalEntity


class Expense(Contract):
    """An expense.

    :ivar paid_by: ``employee`` is to be reimbursed, ``company`` paid itself.
    :ivar amount: with taxes, in ``currency``.
    :ivar entry: the entry or bill it was posted as.
    """

    id: Identifier
    legal_entity: LegalEntity
    description: Annotated[Description, PERSONAL]
    employee: Annotated[Label, PERSONAL] | None = None
    category: Annotated[Label, CONFIDENTIAL] | None = None
    state: Literal[
        "draft", "submitted", "approved", "posted", "in_payment", "paid", "refused"
    ]
    paid_by: Literal["employee", "company"]
    currency: CurrencyCode
    amount: Money
    tax_amount: Money
    date: PlainDate | None = None
    account_code: Annotated[Label, CONFIDENTIAL] | None = None
    approved_by: Annotated[Label, PERSONAL] | None = None
    entry: DocumentLink | None = None


_SAMPLE = {
    "id": "33",
    "legal_entity": LEGAL_ENTITY_SAMPLE,
    "description": "Train to the customer",
    "employee": "Marc Demo",
    "category": "Travel",
    "state": "approved",
    "paid_by": "employee",
    "currency": "EUR",
    "amount": "84.50",
    "tax_amount": "4.78",
    "date": "2026-01-29",
    "approved_by": "Mitchell Admin",
}

_type = partial(EventType, object="expense", model=Expense, owner="Payables")

TYPES = (
    _type(
        verb="approved",
        title="Expense approved",
        description="Sent when an expense is approved.",
        sample=_SAMPLE,
    ),
    _type(
        verb="received",
        title="Expense received",
        description="Sent when an employee submits an expense.",
        sample={
            name: value
            for name, value in {**_SAMPLE, "state": "submitted"}.items()
            if name != "approved_by"
        },
    ),
)
