# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Credit: limits, exposure and holds."""

from functools import partial
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


class Credit(Contract):
    """The credit a counterparty has in one company.

    :ivar scope: ``company_default`` is the limit of every counterparty that has none
        of its own.
    :ivar limit: zero means no credit; absent means that none is set.
    :ivar exposure: what it owes, where that is known.
    :ivar document: what is held, or took it over the limit.
    """

    id: Identifier
    legal_entity: LegalEntity
    scope: Literal["counterparty", "company_default"]
    counterparty: Counterparty | None = None
    currency: CurrencyCode
    limit: Annotated[Money, CONFIDENTIAL] | None = None
    exposure: Annotated[Money, CONFIDENTIAL] | None = None
    as_of: UtcDateTime
    document: Label | None = None
    reason: Annotated[Description, PERSONAL] | None = None


_SAMPLE = {
    "id": "42",
    "legal_entity": LEGAL_ENTITY_SAMPLE,
    "scope": "counterparty",
    "counterparty": COUNTERPARTY_SAMPLE,
    "currency": "EUR",
    "limit": "10000.00",
    "exposure": "8150.00",
    "as_of": "2026-01-31T09:30:00Z",
}
_OVER = {**_SAMPLE, "exposure": "10950.00", "document": "INV/2026/00042"}

_type = partial(EventType, object="credit", model=Credit, owner="Credit control")

TYPES = (
    _type(
        verb="limit_changed",
        title="Credit limit changed",
        description="Sent when the credit limit of a counterparty, or the default of a "
        "company, changes.",
        sample=_SAMPLE,
    ),
    _type(
        verb="limit_exceeded",
        title="Credit limit exceeded",
        description="Sent when a document takes a counterparty over its credit limit.",
        sample=_OVER,
    ),
    _type(
        verb="hold_placed",
        title="Credit hold placed",
        description="Sent when business with a counterparty is held for credit "
        "reasons.",
        sample={**_OVER, "reason": "Over the limit"},
    ),
    _type(
        verb="hold_released",
        title="Credit hold released",
        description="Sent when a credit hold ends.",
        sample={**_SAMPLE, "reason": "Payment received"},
    ),
)
