# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Commands of the credit and risk systems about limits and exposure."""

from pydantic import model_validator

from ..base import Contract, CurrencyCode, Identifier, Money, UtcDateTime
from .command_type import CommandType


class _AsOf(Contract):
    """A figure about a counterparty at a moment.

    :ivar counterparty: the sender's id of the counterparty, or its reference in Odoo.
    :ivar as_of: when it was right; an older figure than the known one is ignored.
    :ivar version: of the figure, where the sender counts them; text.
    """

    counterparty: Identifier
    amount: Money
    currency: CurrencyCode
    as_of: UtcDateTime
    version: Identifier | None = None

    @model_validator(mode="after")
    def _check_amount(self):
        if self.amount < 0:
            raise ValueError("amount cannot be negative.")
        return self


class CreditLimitUpdate(_AsOf):
    """The credit limit of a counterparty; zero means no credit."""


class ExposureUpdate(_AsOf):
    """What a counterparty owes us or may come to owe, as the risk system sees it."""


_SAMPLE = {
    "counterparty": "C-1042",
    "amount": "10000.00",
    "currency": "EUR",
    "as_of": "2026-02-10T08:15:00Z",
    "version": "7",
}

TYPES = (
    CommandType(
        name="credit_limit.update",
        title="Credit limit",
        description="Sets the credit limit, and places or releases the credit hold.",
        model=CreditLimitUpdate,
        business_key=("counterparty", "as_of"),
        time_field="as_of",
        sample=_SAMPLE,
    ),
    CommandType(
        name="exposure.update",
        title="Exposure",
        description="Keeps the exposure, and places or releases the credit hold.",
        model=ExposureUpdate,
        business_key=("counterparty", "as_of"),
        time_field="as_of",
        sample={**_SAMPLE, "amount": "8150.00"},
    ),
)
