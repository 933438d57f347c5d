# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Invoices, vendor bills and credit notes: one document, three objects."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from ..base import (
    OPEN_CHOICE,
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
from . import invoice_v1
from .event_type import EventType
from .invoice_v1 import DocumentState, DocumentType, PaymentState
from .parties import (
    CANONICAL_STATE,
    COUNTERPARTY_SAMPLE,
    LEGAL_ENTITY_SAMPLE,
    Counterparty,
    DocumentLink,
    LegalEntity,
    PaymentLink,
)

TaxKind = Annotated[
    Literal["percent", "fixed", "division", "group", "other"], OPEN_CHOICE
]


class LineTax(Contract):
    """A tax that applies to a line.

    :ivar id: opaque id in Odoo.
    :ivar name: as it stands on the document.
    :ivar amount_type: how it is computed: ``percent`` of the base, ``fixed`` for each
        unit, ``division`` (percent of the price with tax), ``group`` of other taxes,
        or ``other``, by a rule of its own.
    :ivar rate: percent; of a ``fixed`` tax the amount for each unit; absent of a
        group.
    """

    id: Identifier
    name: Label
    amount_type: TaxKind | None = None
    rate: Quantity | None = None


class DocumentTax(Contract):
    """What one tax comes to on a document, in the document's currency.

    :ivar id: opaque id in Odoo.
    :ivar name: as it stands on the document.
    :ivar amount_type: how it is computed, as for a line.
    :ivar rate: percent; of a ``fixed`` tax the amount for each unit.
    :ivar group: the heading it is summed up under on the printed document.
    :ivar base: what it is computed on.
    :ivar amount: the tax itself; zero for exempt and reverse-charged turnover.
    """

    id: Identifier
    name: Label
    group: Label | None = None
    amount_type: TaxKind | None = None
    rate: Quantity | None = None
    base: Money
    amount: Money


class DocumentLine(Contract):
    """One line which carries an amount; headings and notes are left out.

    :ivar amount: without tax, in the document's currency.
    :ivar tax_amount: all taxes of the line together.
    :ivar id: opaque id in Odoo.
    :ivar description: what was sold or bought.
    :ivar product: its code, or its name where it has none.
    :ivar quantity: how much, in ``unit``.
    :ivar unit: unit of measure.
    :ivar unit_price: before discount.
    :ivar discount: percent.
    :ivar account_code: the account in the general ledger.
    :ivar taxes: the taxes that apply to it.
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
    tax_amount: Money | None = None
    taxes: list[LineTax] = []
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
    :ivar taxes: each tax of the document, with base and amount.
    :ivar lines: its lines; headings and notes are left out.
    :ivar payments: what settled it so far.
    :ivar reversal_of: the document this one takes back.
    :ivar reversed_by: the documents which take this one back.
    """

    id: Identifier
    document_type: DocumentType
    direction: Literal["inbound", "outbound"]
    state: Annotated[DocumentState, CANONICAL_STATE]
    payment_state: Annotated[PaymentState, OPEN_CHOICE]
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
    taxes: list[DocumentTax] = []
    lines: list[DocumentLine] = []
    payments: list[PaymentLink] = []
    reversal_of: DocumentLink | None = None
    reversed_by: list[DocumentLink] = []


class PostedDocument(Document):
    """A document that was posted, so that it has a number and a date."""

    number: Label
    invoice_date: PlainDate


# === SAMPLES === #

_TAX_SAMPLE = {"id": "4", "name": "21%", "amount_type": "percent", "rate": "21"}

_LINE_SAMPLE = {
    "description": "Consulting, January",
    "quantity": "10",
    "unit": "Hours",
    "unit_price": "100.00",
    "account_code": "400000",
    "amount": "1000.00",
    "tax_amount": "210.00",
    "taxes": [_TAX_SAMPLE],
    "analytic": {"7": "100"},
}


def _sample(
    document_type: str, direction: str, number: str, **changes: Any
) -> dict[str, Any]:
    return {
        "id": "1017",
        "document_type": document_type,
        "direction": direction,
        "state": "posted",
        "payment_state": "not_paid",
        "number": number,
        "counterparty": COUNTERPARTY_SAMPLE,
        "legal_entity": LEGAL_ENTITY_SAMPLE,
        "invoice_date": "2026-01-31",
        "accounting_date": "2026-01-31",
        "due_date": "2026-03-02",
        "currency": "EUR",
        "untaxed_amount": "1000.00",
        "tax_amount": "210.00",
        "total_amount": "1210.00",
        "residual_amount": "1210.00",
        "payment_reference": number,
        "origin": "S00042",
        "taxes": [
            {**_TAX_SAMPLE, "group": "VAT 21%", "base": "1000.00", "amount": "210.00"}
        ],
        "lines": [_LINE_SAMPLE],
        "payments": [],
        "reversed_by": [],
        **changes,
    }


def _paid(amount: str, residual: str, status: str) -> dict[str, Any]:
    payment = {"id": "88", "reference": "PBNK1/2026/00012", "date": "2026-02-10"}
    return {
        "payment_state": status,
        "residual_amount": residual,
        "payments": [{**payment, "amount": amount, "currency": "EUR"}],
    }


# === EVENT TYPES === #

# verb, what happened in a few words, when it is sent, contract, changes to the sample
_VERBS = (
    ("posted", "posted", "is posted", PostedDocument, {}),
    (
        "approved",
        "approved",
        "is marked as reviewed after it was posted",
        PostedDocument,
        {},
    ),
    (
        "partially_paid",
        "partially paid",
        "is paid in part and something stays open",
        PostedDocument,
        _paid("500.00", "710.00", "partial"),
    ),
    (
        "paid",
        "paid",
        "is settled in full, by payments, credit notes or other entries",
        PostedDocument,
        _paid("1210.00", "0.00", "paid"),
    ),
    (
        "overdue",
        "overdue",
        "is open past its due date; once for each due date",
        PostedDocument,
        {},
    ),
    (
        "payment_reversed",
        "payment reversed",
        "is open again because a payment was taken off or returned",
        PostedDocument,
        {},
    ),
    (
        "reversed",
        "reversed",
        "is reversed in full by a counter-document",
        PostedDocument,
        {
            "payment_state": "reversed",
            "residual_amount": "0.00",
            "reversed_by": [{"id": "1020", "number": "R/2026/00003"}],
        },
    ),
    ("cancelled", "cancelled", "is cancelled", Document, {"state": "cancelled"}),
    (
        "reset_to_draft",
        "reset to draft",
        "is taken back to draft; what was said about it before no longer holds",
        Document,
        {"state": "draft"},
    ),
)

# object, its name in a text, the article, team, direction and number of the sample
_OBJECTS = (
    ("invoice", "Invoice", "an", "Receivables", "inbound", "INV/2026/00042"),
    ("bill", "Vendor bill", "a", "Payables", "outbound", "BILL/2026/01/0007"),
    (
        "credit_note",
        "Credit note",
        "a",
        "Receivables",
        "inbound",
        "RINV/2026/00003",
    ),
)


def _versions(
    document_type: str,
    label: str,
    article: str,
    owner: str,
    verb: str,
    words: str,
    when: str,
    model: type[Document],
    sample: dict[str, Any],
) -> tuple[EventType, EventType]:
    newest = EventType(
        object=document_type,
        verb=verb,
        version=2,
        title=f"{label} {words}",
        description=f"Sent when {article} {label.lower()} {when}.",
        model=model,
        sample=sample,
        owner=owner,
    )
    older = replace(
        newest,
        version=1,
        model=_V1_MODELS[model],
        sample=invoice_v1.project(sample),
        projection=invoice_v1.project,
    )
    return newest, older


_V1_MODELS = {
    Document: invoice_v1.Document,
    PostedDocument: invoice_v1.PostedDocument,
}

TYPES = tuple(
    entry
    for object_name, label, article, owner, direction, number in _OBJECTS
    for verb, words, when, model, changes in _VERBS
    for entry in _versions(
        object_name,
        label,
        article,
        owner,
        verb,
        words,
        when,
        model,
        _sample(object_name, direction, number, **changes),
    )
)
