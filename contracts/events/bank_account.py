# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Bank accounts of business partners, and whether they may be paid to."""

from functools import partial
from typing import Annotated

from ..base import Contract, CurrencyCode, Identifier, Label
from ..classification import PERSONAL
from .event_type import EventType
from .parties import (
    COUNTERPARTY_SAMPLE,
    LEGAL_ENTITY_SAMPLE,
    Counterparty,
    LegalEntity,
)


class BankAccount(Contract):
    """A bank account.

    :ivar account: masked, ``DE89****3000``: never the whole number.
    :ivar trusted: whether money may be sent to it.
    """

    id: Identifier
    legal_entity: LegalEntity
    account: Annotated[Label, PERSONAL]
    bank: Label | None = None
    bic: Label | None = None
    currency: CurrencyCode | None = None
    counterparty: Counterparty
    trusted: bool


_SAMPLE = {
    "id": "19",
    "legal_entity": LEGAL_ENTITY_SAMPLE,
    "account": "DE89****3000",
    "bank": "Example Bank",
    "bic": "EXAMDEFF",
    "counterparty": COUNTERPARTY_SAMPLE,
    "trusted": True,
}

_type = partial(EventType, object="bank_account", model=BankAccount, owner="Treasury")

TYPES = (
    _type(
        verb="trusted",
        title="Bank account trusted",
        description="Sent when payments to a bank account become allowed.",
        sample=_SAMPLE,
    ),
    _type(
        verb="untrusted",
        title="Bank account no longer trusted",
        description="Sent when payments to a bank account are no longer allowed.",
        sample={**_SAMPLE, "trusted": False},
    ),
)
