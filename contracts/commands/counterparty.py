# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Commands about counterparties: customers and suppliers."""

from typing import Annotated, Literal

from pydantic import Field

from .. import constants as const
from ..base import Contract, CurrencyCode, Identifier, Text, UtcDateTime
from .command_type import CommandType
from .common import Metadata


class Address(Contract):
    """A postal address.

    :ivar country: ISO 3166-1 alpha-2.
    """

    street: Text | None = None
    street2: Text | None = None
    city: Text | None = None
    zip: Identifier | None = None
    state: Identifier | None = None
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None


class BankAccount(Contract):
    """A bank account of the counterparty; it is never trusted without a person.

    :ivar number: IBAN or national number, blanks allowed.
    """

    number: Identifier
    bic: Identifier | None = None
    currency: CurrencyCode | None = None
    holder: Text | None = None


#: What a sender can say has no value any more, as absence says nothing.
Clearable = Literal[
    "vat",
    "registration",
    "reference",
    "email",
    "phone",
    "website",
    "street",
    "street2",
    "city",
    "zip",
    "state",
    "parent",
    "payment_terms",
    "supplier_payment_terms",
]


class CounterpartyUpsert(Contract):
    """A counterparty as another system knows it; what is absent stays as it is.

    :ivar external_id: the sender's id, which names it for ever.
    :ivar changed_at: when it was changed there; an older change is ignored.
    :ivar kind: absent means a company, if it is created.
    :ivar parent: the sender's id of the group or head office.
    :ivar payment_terms: the sender's code, is mapped.
    :ivar status: ``blocked`` stops new business.
    :ivar cleared: names of fields that have no value there any more.
    """

    external_id: Identifier
    changed_at: UtcDateTime
    name: Text
    kind: Literal["company", "person"] | None = None
    roles: list[Literal["customer", "supplier"]] = []
    vat: Identifier | None = None
    registration: Identifier | None = None
    reference: Identifier | None = None
    email: Text | None = None
    phone: Identifier | None = None
    website: Text | None = None
    language: Identifier | None = None
    address: Address | None = None
    parent: Identifier | None = None
    payment_terms: Identifier | None = None
    supplier_payment_terms: Identifier | None = None
    bank_accounts: Annotated[
        list[BankAccount], Field(max_length=const.PARTY_MAX_BANK_ACCOUNTS)
    ] = []
    status: Literal["active", "blocked"] | None = None
    cleared: list[Clearable] = []
    metadata: Metadata = {}


TYPES = (
    CommandType(
        name="counterparty.upsert",
        title="Counterparty",
        description="Creates or changes a counterparty, unless it may be a duplicate "
        "or another system owns it.",
        model=CounterpartyUpsert,
        business_key=("external_id", "changed_at"),
        time_field="changed_at",
        sample={
            "external_id": "C-1042",
            "changed_at": "2026-02-10T08:15:00Z",
            "name": "Azure Interior",
            "roles": ["customer"],
            "vat": "US12345677",
            "email": "accounting@azure-interior.example",
            "address": {"city": "Fremont", "country": "US"},
        },
    ),
)
