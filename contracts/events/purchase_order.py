# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Purchase orders; only where Odoo's Purchase is installed."""

from functools import partial
from typing import Annotated

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
    COUNTERPARTY_SAMPLE,
    LEGAL_ENTITY_SAMPLE,
    Counterparty,
    LegalEntity,
)


class OrderLine(Contract):
    """One ordered line.

    :ivar received: how much arrived so far.
    :ivar billed: how much was billed so far.
    :ivar amount: without tax, in the order's currency.
    """

    id: Identifier
    description: Annotated[Description, PERSONAL] | None = None
    product: Annotated[Label, CONFIDENTIAL] | None = None
    quantity: Quantity
    received: Quantity
    billed: Quantity
    unit_price: Annotated[Quantity, CONFIDENTIAL] | None = None
    amount: Money


class PurchaseOrder(Contract):
    """A purchase order, for the three-way match of order, receipt and bill.

    :ivar fully_received: whether everything ordered has arrived.
    """

    id: Identifier
    number: Label
    legal_entity: LegalEntity
    counterparty: Counterparty
    vendor_reference: Annotated[Label, PERSONAL] | None = None
    currency: CurrencyCode
    untaxed_amount: Money
    total_amount: Money
    order_date: PlainDate | None = None
    approved_on: PlainDate | None = None
    buyer: Annotated[Label, PERSONAL] | None = None
    fully_received: bool
    lines: list[OrderLine] = []


_LINE = {
    "id": "501",
    "description": "Desk",
    "product": "DESK-01",
    "quantity": "4",
    "received": "0",
    "billed": "0",
    "unit_price": "250.00",
    "amount": "1000.00",
}
_SAMPLE = {
    "id": "27",
    "number": "P00027",
    "legal_entity": LEGAL_ENTITY_SAMPLE,
    "counterparty": COUNTERPARTY_SAMPLE,
    "currency": "EUR",
    "untaxed_amount": "1000.00",
    "total_amount": "1210.00",
    "order_date": "2026-01-20",
    "approved_on": "2026-01-21",
    "buyer": "Mitchell Admin",
    "fully_received": False,
    "lines": [_LINE],
}

_type = partial(
    EventType, object="purchase_order", model=PurchaseOrder, owner="Payables"
)

TYPES = (
    _type(
        verb="approved",
        title="Purchase order approved",
        description="Sent when a purchase order is confirmed.",
        sample=_SAMPLE,
    ),
    _type(
        verb="received",
        title="Purchase order received",
        description="Sent when something of a purchase order arrives, or a received "
        "quantity is corrected.",
        sample={
            **_SAMPLE,
            "fully_received": True,
            "lines": [{**_LINE, "received": "4"}],
        },
    ),
)
