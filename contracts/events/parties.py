# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Parts which the data of several objects share."""

from typing import Annotated, Any

from pydantic import BeforeValidator

from ..base import Contract, CurrencyCode, Identifier, Label, Money, PlainDate
from ..classification import PERSONAL


class LegalEntity(Contract):
    """The company whose books it is in.

    :ivar id: opaque id in Odoo.
    :ivar name: registered name.
    :ivar vat: tax id.
    :ivar country: ISO 3166 code of two letters.
    """

    id: Identifier
    name: Label
    vat: Label | None = None
    country: Label | None = None


class Counterparty(Contract):
    """The business partner.

    :ivar id: opaque id in Odoo.
    :ivar name: name of the company, or of the person.
    :ivar vat: tax id.
    :ivar reference: the partner's number in our books.
    :ivar country: ISO 3166 code of two letters.
    """

    id: Identifier
    name: Annotated[Label, PERSONAL]
    vat: Annotated[Label, PERSONAL] | None = None
    reference: Annotated[Label, PERSONAL] | None = None
    country: Label | None = None


class DocumentLink(Contract):
    """Another document, and how much of it was paid where that applies.

    :ivar id: opaque id in Odoo.
    :ivar number: its number, once it has one.
    :ivar amount: how much of it was paid.
    """

    id: Identifier
    number: Label | None = None
    amount: Money | None = None


class PaymentLink(Contract):
    """A payment, credit note or entry that settled a part of a document.

    :ivar id: opaque id in Odoo.
    :ivar reference: its number, or what the payment quotes.
    :ivar amount: its amount in ``currency``, by default the document's.
    :ivar currency: ISO 4217 code of three letters.
    :ivar date: its day in the books.
    """

    id: Identifier | None = None
    reference: Annotated[Label, PERSONAL] | None = None
    amount: Money
    currency: CurrencyCode | None = None
    date: PlainDate


_ODOO_STATES = {"cancel": "cancelled", "canceled": "cancelled"}


def _canonical_state(state: Any) -> Any:
    return _ODOO_STATES.get(state, state) if isinstance(state, str) else state


#: States are spelled one way on the wire, however the books spell them.
CANONICAL_STATE = BeforeValidator(_canonical_state)


LEGAL_ENTITY_SAMPLE = {
    "id": "1",
    "name": "Example Trading Ltd",
    "vat": "GB123456789",
    "country": "GB",
}

COUNTERPARTY_SAMPLE = {
    "id": "42",
    "name": "Azure Interior",
    "vat": "BE0477472701",
    "reference": "C-0042",
    "country": "BE",
}
