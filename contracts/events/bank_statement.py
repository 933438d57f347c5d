# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Bank statements."""

from typing import Annotated, Literal

from pydantic import Field

from ..base import Contract, CurrencyCode, Identifier, Label, Money, PlainDate
from ..classification import PERSONAL
from .event_type import EventType
from .parties import LEGAL_ENTITY_SAMPLE, LegalEntity


class StatementGap(Contract):
    """Something between this statement and a complete chain of statements.

    :ivar kind: ``opening``: it does not begin where the one before ended;
        ``closing``: its transactions do not lead from opening to closing balance.
    :ivar previous: reference of the statement before.
    """

    kind: Literal["opening", "closing"]
    expected: Money
    actual: Money
    previous: Label | None = None


class BankStatement(Contract):
    """A bank statement with its control figures.

    :ivar account: masked account number, ``DE89****3000``.
    :ivar opening: balance before the first transaction.
    :ivar closing: balance which the bank states after the last.
    :ivar count: number of transactions.
    :ivar gaps: empty when the chain of balances is complete.
    """

    id: Identifier
    reference: Label
    legal_entity: LegalEntity
    journal_code: Label | None = None
    account: Annotated[Label, PERSONAL] | None = None
    currency: CurrencyCode
    date: PlainDate | None = None
    opening: Money
    closing: Money
    count: Annotated[int, Field(ge=0)]
    gaps: list[StatementGap] = []


TYPES = (
    EventType(
        object="bank_statement",
        verb="imported",
        title="Bank statement imported",
        description="Sent when a bank statement with its transactions is in the books, "
        "imported or entered.",
        model=BankStatement,
        sample={
            "id": "61",
            "reference": "BNK1 Statement 2026-02-10",
            "legal_entity": LEGAL_ENTITY_SAMPLE,
            "journal_code": "BNK1",
            "account": "DE89****3000",
            "currency": "EUR",
            "date": "2026-02-10",
            "opening": "5000.00",
            "closing": "6210.00",
            "count": 3,
            "gaps": [
                {
                    "kind": "opening",
                    "expected": "4900.00",
                    "actual": "5000.00",
                    "previous": "BNK1 Statement 2026-02-09",
                }
            ],
        },
        owner="Treasury",
    ),
)
