# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Commands about bank accounts: statements and balances."""

from typing import Annotated, Literal

from pydantic import Field

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

_Account = Annotated[
    Identifier,
    Field(description="IBAN or the bank's number of the account, blanks allowed."),
]


class StatementPart(Contract):
    """One of the transactions that the bank put into one entry.

    :ivar amount: signed, in the currency of the account.
    """

    amount: Money
    end_to_end_id: Identifier | None = None
    transaction_ref: Identifier | None = None
    counterparty_name: Text | None = None
    counterparty_account: Identifier | None = None
    remittance: LongText | None = None
    return_reason: Identifier | None = None


class StatementEntry(Contract):
    """One booked entry of a statement.

    :ivar entry_ref: the bank's reference; not unique at every bank, so it does not
        decide alone what is a duplicate.
    :ivar amount: signed, in the currency of the account: money in is positive.
    :ivar original_amount: in ``original_currency``, where the account has another.
    :ivar exchange_rate: the bank's, between the two.
    :ivar remittance: what the payer wrote, structured references first.
    :ivar reversal: whether it takes back an earlier entry.
    :ivar parts: the transactions behind a collective entry; their sum is ``amount``.
    """

    entry_ref: Identifier | None = None
    amount: Money
    booking_date: PlainDate
    value_date: PlainDate | None = None
    end_to_end_id: Identifier | None = None
    transaction_ref: Identifier | None = None
    counterparty_name: Text | None = None
    counterparty_account: Identifier | None = None
    remittance: LongText | None = None
    bank_code: Identifier | None = None
    original_amount: Money | None = None
    original_currency: CurrencyCode | None = None
    exchange_rate: Quantity | None = None
    return_reason: Identifier | None = None
    reversal: bool = False
    parts: Annotated[
        list[StatementPart], Field(max_length=const.STATEMENT_MAX_LINES)
    ] = []


class BankStatementAvailable(Contract):
    """The bank has a statement ready; it comes separately.

    :ivar statement_ref: the bank's id of it.
    :ivar sha256: digest of the file, lower-case hexadecimal.
    """

    account: _Account
    statement_ref: Identifier
    format: Identifier
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    from_date: PlainDate | None = None
    to_date: PlainDate
    available_at: UtcDateTime


class BankStatementContent(Contract):
    """A statement with its entries.

    Whether opening, entries and closing add up is a control, not a contract.

    :ivar statement_ref: the bank's id; some banks begin again each year, so it names
        the statement together with account and period.
    :ivar sequence: number in the chain of statements, where the bank gives one.
    :ivar opening: balance before the first entry; absent for a notification.
    :ivar closing: balance after the last entry.
    :ivar kind: a ``statement`` has balances; a ``report`` (of the day so far) and a
        ``notification`` tell of single entries, which the statement will repeat.
    """

    account: _Account
    account_currency: CurrencyCode
    statement_ref: Identifier
    sequence: Annotated[int, Field(ge=0)] | None = None
    kind: Literal["statement", "report", "notification"] = "statement"
    format: Identifier
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    from_date: PlainDate | None = None
    to_date: PlainDate
    opening: Money | None = None
    opening_date: PlainDate | None = None
    closing: Money | None = None
    created_at: UtcDateTime
    entries: Annotated[
        list[StatementEntry], Field(max_length=const.STATEMENT_MAX_LINES)
    ] = []
    servicer: Identifier | None = None


class BalanceReported(Contract):
    """The balance of an account at a moment, as the bank sees it.

    :ivar kind: ``booked`` is what the statement will say; ``available`` counts what
        is pending and what may be overdrawn.
    """

    account: _Account
    currency: CurrencyCode
    amount: Money
    kind: Literal["booked", "available"] = "booked"
    as_of: UtcDateTime


TYPES = (
    CommandType(
        name="bank_statement.available",
        title="Bank statement available",
        description="Expects the statement, and tells when it does not come.",
        model=BankStatementAvailable,
        business_key=("account", "statement_ref", "to_date"),
        time_field="available_at",
        sample={
            "account": "DE75512108001245126199",
            "statement_ref": "2026-00031",
            "format": "camt.053",
            "from_date": "2026-01-31",
            "to_date": "2026-01-31",
            "available_at": "2026-02-01T05:00:00Z",
        },
    ),
    CommandType(
        name="bank_statement.content",
        title="Bank statement",
        description="Imports the entries once, and checks the chain of balances.",
        model=BankStatementContent,
        # A bank that sends a statement again, corrected, makes it anew.
        business_key=(
            "account",
            "statement_ref",
            "from_date",
            "to_date",
            "kind",
            "created_at",
        ),
        time_field="created_at",
        sample={
            "account": "DE75512108001245126199",
            "account_currency": "EUR",
            "statement_ref": "2026-00031",
            "sequence": 31,
            "format": "camt.053",
            "from_date": "2026-01-31",
            "to_date": "2026-01-31",
            "opening": "1000.00",
            "closing": "1982.55",
            "created_at": "2026-02-01T05:00:00Z",
            "entries": [
                {
                    "entry_ref": "2026013100001",
                    "amount": "982.55",
                    "booking_date": "2026-01-31",
                    "value_date": "2026-01-31",
                    "counterparty_name": "Payment provider",
                    "remittance": "po_71b2",
                }
            ],
        },
    ),
    CommandType(
        name="balance.reported",
        title="Balance reported",
        description="Keeps the balance the bank reports, and compares it with the "
        "books.",
        model=BalanceReported,
        business_key=("account", "kind", "as_of"),
        time_field="as_of",
        sample={
            "account": "DE75512108001245126199",
            "currency": "EUR",
            "amount": "1982.55",
            "kind": "booked",
            "as_of": "2026-02-01T05:00:00Z",
        },
    ),
)
