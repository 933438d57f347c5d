# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Requests to post: accruals, payroll, trades, hedges, intercompany allocations."""

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
    Quantity,
    Text,
    UtcDateTime,
)
from .command_type import CommandType
from .common import Metadata

_Unsigned = Annotated[Money, Field(ge=0)]


class PostingLine(Contract):
    """One line; codes are the sender's and are mapped.

    :ivar account: the sender's account code.
    :ivar debit: in the currency of the request; one of debit and credit is absent.
    :ivar counterparty: the sender's id of the counterparty.
    :ivar cost_centre: the sender's code, becomes an analytic account.
    :ivar tax: the sender's tax code.
    """

    account: Identifier
    debit: _Unsigned | None = None
    credit: _Unsigned | None = None
    label: Text | None = None
    counterparty: Identifier | None = None
    cost_centre: Identifier | None = None
    product: Identifier | None = None
    tax: Identifier | None = None
    quantity: Quantity | None = None
    due_date: PlainDate | None = None

    @model_validator(mode="after")
    def _check_side(self):
        if (self.debit is None) == (self.credit is None):
            raise ValueError("Send either debit or credit.")
        return self


class PostingRequest(Contract):
    """An entry another system asks to be posted.

    Whether it balances is checked when it is handled, so that the refusal is kept
    with the request.

    :ivar business_key: the sender's key; the same key is never posted twice.
    :ivar company: the sender's code of the legal entity; absent means that of the
        connector.
    :ivar date: accounting date; never moved in silence.
    :ivar journal: the sender's journal code; absent means the one of the connector.
    :ivar kind: what it is; decides which approvals it needs.
    :ivar reversal_date: when an accrual is reversed.
    :ivar preparer: who made it; cannot be the one who approves it.
    """

    business_key: Identifier
    company: Identifier | None = None
    date: PlainDate
    currency: CurrencyCode
    journal: Identifier | None = None
    kind: Literal[
        "journal",
        "accrual",
        "trade",
        "hedge",
        "valuation",
        "intercompany",
        "payroll",
        "expense",
        "tax",
        "opening",
    ] = "journal"
    reference: Text | None = None
    description: LongText | None = None
    preparer: Text
    prepared_at: UtcDateTime
    reversal_date: PlainDate | None = None
    lines: Annotated[
        list[PostingLine],
        Field(min_length=2, max_length=const.POSTING_MAX_LINES),
    ]
    metadata: Metadata = {}


TYPES = (
    CommandType(
        name="posting.request",
        title="Posting request",
        description="Checks, maps and posts a journal entry, or holds it for approval.",
        model=PostingRequest,
        business_key=("business_key",),
        time_field="prepared_at",
        sample={
            "business_key": "payroll-2026-01",
            "date": "2026-01-31",
            "currency": "EUR",
            "kind": "payroll",
            "reference": "Payroll January",
            "preparer": "Payroll service",
            "prepared_at": "2026-02-01T08:00:00Z",
            "lines": [
                {"account": "6000", "debit": "52000.00", "cost_centre": "R&D"},
                {"account": "1740", "credit": "52000.00"},
            ],
        },
    ),
)
