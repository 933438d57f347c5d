# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Counterparties: customers and vendors as commercial entities."""

from functools import partial
from typing import Annotated

from ..base import Contract, Description, Identifier, Label
from ..classification import CONFIDENTIAL, PERSONAL
from .event_type import EventType
from .parties import LEGAL_ENTITY_SAMPLE, LegalEntity


class ExternalId(Contract):
    """The counterparty's id in another system."""

    system: Label
    id: Identifier


class CounterpartyRecord(Contract):
    """A business partner as it is now.

    :ivar registry: number in a company register.
    :ivar customer_terms: payment terms granted to it, by name.
    :ivar supplier_terms: payment terms it grants.
    :ivar is_customer: whether it has been invoiced.
    :ivar external_ids: under which other systems know it.
    :ivar changed_fields: names of the fields which changed; empty when created.
    :ivar reason: why it was approved or blocked.
    """

    id: Identifier
    legal_entity: LegalEntity
    name: Annotated[Label, PERSONAL]
    is_company: bool
    active: bool
    vat: Annotated[Label, PERSONAL] | None = None
    registry: Annotated[Label, PERSONAL] | None = None
    reference: Annotated[Label, PERSONAL] | None = None
    email: Annotated[Label, PERSONAL] | None = None
    phone: Annotated[Label, PERSONAL] | None = None
    street: Annotated[Label, PERSONAL] | None = None
    street2: Annotated[Label, PERSONAL] | None = None
    zip: Annotated[Label, PERSONAL] | None = None
    city: Annotated[Label, PERSONAL] | None = None
    state: Label | None = None
    country: Label | None = None
    is_customer: bool
    is_supplier: bool
    customer_terms: Annotated[Label, CONFIDENTIAL] | None = None
    supplier_terms: Annotated[Label, CONFIDENTIAL] | None = None
    external_ids: list[ExternalId] = []
    changed_fields: list[Label] = []
    reason: Annotated[Description, PERSONAL] | None = None


_SAMPLE = {
    "id": "42",
    "legal_entity": LEGAL_ENTITY_SAMPLE,
    "name": "Azure Interior",
    "is_company": True,
    "active": True,
    "vat": "BE0477472701",
    "reference": "C-0042",
    "email": "accounts@azure.example",
    "street": "Rue de la Loi 16",
    "zip": "1000",
    "city": "Brussels",
    "country": "BE",
    "is_customer": True,
    "is_supplier": False,
    "customer_terms": "30 days",
    "external_ids": [],
    "changed_fields": [],
}

_type = partial(
    EventType, object="counterparty", model=CounterpartyRecord, owner="Master data"
)

TYPES = (
    _type(
        verb="created",
        title="Counterparty created",
        description="Sent when a customer or vendor is entered; contact persons of one "
        "are not announced.",
        sample=_SAMPLE,
    ),
    _type(
        verb="changed",
        title="Counterparty changed",
        description="Sent when something that matters to accounting changes: names, "
        "tax ids, addresses, payment terms, whether it is in use.",
        sample={**_SAMPLE, "changed_fields": ["street", "zip"]},
    ),
    _type(
        verb="approved",
        title="Counterparty approved",
        description="Sent when a counterparty passed the approval that a policy asks "
        "for.",
        sample={**_SAMPLE, "reason": "Documents checked"},
    ),
    _type(
        verb="blocked",
        title="Counterparty blocked",
        description="Sent when a counterparty can no longer be used: it was archived, "
        "or a policy blocks it.",
        sample={
            **_SAMPLE,
            "active": False,
            "changed_fields": ["active"],
            "reason": "archived",
        },
    ),
)
