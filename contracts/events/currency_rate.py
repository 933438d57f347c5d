# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Currency rates."""

from ..base import Contract, CurrencyCode, Identifier, PlainDate, Quantity
from .event_type import EventType
from .parties import LEGAL_ENTITY_SAMPLE, LegalEntity


class CurrencyRate(Contract):
    """A rate from a day on.

    :ivar rate: units of ``currency`` for one unit of ``base_currency``, that of the
        company.
    :ivar shared: whether it holds for all companies.
    """

    id: Identifier
    legal_entity: LegalEntity
    currency: CurrencyCode
    base_currency: CurrencyCode
    rate: Quantity
    date: PlainDate
    shared: bool


TYPES = (
    EventType(
        object="currency_rate",
        verb="updated",
        title="Currency rate updated",
        description="Sent when a currency rate is entered or corrected.",
        model=CurrencyRate,
        sample={
            "id": "733",
            "legal_entity": LEGAL_ENTITY_SAMPLE,
            "currency": "USD",
            "base_currency": "EUR",
            "rate": "1.0834",
            "date": "2026-01-31",
            "shared": True,
        },
        owner="Treasury",
    ),
)
