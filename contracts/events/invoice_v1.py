# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Invoices, vendor bills and credit notes in version 1, as it was published.

It never changes. Events are captured in the newest version and projected to this one
for whoever subscribed to it.
"""

from typing import Annotated, Any, Literal

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
from .parties import (
    CANONICAL_STATE,
    Counterparty,
    DocumentLink,
    LegalEntity,
    PaymentLink,
)

DocumentType = Literal["invoice", "bill", "credit_note"]

DocumentState = Literal["draft", "posted", "cancelled"]

PaymentState = Literal[
    "not_paid",
    "in_payment",
    "partial",
    "paid",
    "reversed",
    "blocked",
    "invoicing_legacy",
]


class DocumentLine(Contract):
    """One line which carries an amount; headings and notes are left out.

    :ivar amount: without tax, in the document's currency.
    :ivar id: opaque id in Odoo.
    :ivar description: what was sold or bought.
    :ivar product: its code, or its name where it has none.
    :ivar quantity: how much, in ``unit``.
    :ivar unit: unit of measure.
    :ivar unit_price: before discount.
    :ivar discount: percent.
    :ivar account_code: the account in the general ledger.
    :ivar taxes: names of the taxes.
    :ivar analytic: percent by analytic accounts, the key being their opaque ids
        joined by commas (one account per plan).
    """

    id: Identifier | None = None
    description: Annotated[Description, PERSONAL] | None = None
    product: Annotated[Label, CONFIDENTIAL] | None = None
    quantity: Quantity
    unit: Label | None = None
    unit_price: Annotated[Quantity, CONFIDENTIAL] | None = None
    discount: Annotated[Quantity, CONFIDENTIAL] | None = None
    account_code: Annotated[Label, CONFIDENTIAL] | None = None
    amount: Money
    taxes: list[Label] = []
    analytic: Annotated[dict[Label, Quantity], CONFIDENTIAL] = {}


class Document(Contract):
    """An invoice, bill or credit note.

    Amounts are in ``currency`` and positive for the usual direction of the document.

    :ivar id: opaque id in Odoo.
    :ivar document_type: what it is.
    :ivar direction: ``inbound`` on the sales side, where invoices bring money in;
        ``outbound`` on the purchase side.
    :ivar state: where it stands in the books.
    :ivar payment_state: whether and how it was settled.
    :ivar number: empty for a draft which was never numbered.
    :ivar reference: the other side's number, on a vendor bill.
    :ivar counterparty: the customer or vendor.
    :ivar legal_entity: the company whose books it is in.
    :ivar invoice_date: the day on the document.
    :ivar accounting_date: the day it counts in the books.
    :ivar due_date: by when it is to be paid.
    :ivar currency: ISO 4217 code of three letters.
    :ivar untaxed_amount: without tax.
    :ivar tax_amount: all taxes together.
    :ivar total_amount: with tax.
    :ivar payment_reference: what the payer is asked to quote.
    :ivar origin: the order or contract it came from.
    :ivar journal_code: short name of the journal it is in.
    :ivar residual_amount: what is still open.
    :ivar lines: its lines; headings and notes are left out.
    :ivar payments: what settled it so far.
    :ivar reversal_of: the document this one takes back.
    :ivar reversed_by: the documents which take this one back.
    """

    id: Identifier
    document_type: DocumentType
    direction: Literal["inbound", "outbound"]
    state: Annotated[DocumentState, CANONICAL_STATE]
    payment_state: PaymentState
    number: Label | None = None
    reference: Annotated[Label, PERSONAL] | None = None
    counterparty: Counterparty | None = None
    legal_entity: LegalEntity
    invoice_date: PlainDate | None = None
    accounting_date: PlainDate | None = None
    due_date: PlainDate | None = None
    currency: CurrencyCode
    untaxed_amount: Money
    tax_amount: Money
    total_amount: Money
    residual_amount: Money
    payment_reference: Annotated[Label, PERSONAL] | None = None
    origin: Label | None = None
    journal_code: Label | None = None
    lines: list[DocumentLine] = []
    payments: list[PaymentLink] = []
    reversal_of: DocumentLink | None = None
    reversed_by: list[DocumentLink] = []


class PostedDocument(Document):
    """A document that was posted, so that it has a number and a date."""

    number: Label
    invoice_date: PlainDate


# === PROJECTION === #


def project(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data of version 2 as version 1 says it.

    Taxes are named only; their amounts, and the breakdown of the document, are left
    out.

    :param data: as contracts.events.invoice.Document goes on the wire.
    """
    older = {name: value for name, value in data.items() if name != "taxes"}
    if "lines" in data:
        older["lines"] = [_line(line) for line in data["lines"]]
    return older


def _line(line: dict[str, Any]) -> dict[str, Any]:
    older = {name: value for name, value in line.items() if name != "tax_amount"}
    if "taxes" in line:
        older["taxes"] = [tax["name"] for tax in line["taxes"]]
    return older
