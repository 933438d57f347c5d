"""Business records in the shapes of ``contracts.events``.

Values are read from records and cleaned by the contracts; a missing value is left
out, never guessed.
"""

from ...contracts import money_string, quantity_string

# Documents that are announced, and the object they are on the wire.
OBJECTS = {
    "out_invoice": "invoice",
    "out_receipt": "invoice",
    "out_refund": "credit_note",
    "in_invoice": "bill",
    "in_receipt": "bill",
    "in_refund": "credit_note",
}
# Odoo's states, where the contracts spell them otherwise.
STATES = {"cancel": "cancelled", "canceled": "cancelled"}
# How a tax is computed, where the contracts have a word for it.
TAX_KINDS = {"percent", "fixed", "division", "group"}


def legal_entity(company):
    """Return a ``res.company`` as contracts.events.parties.LegalEntity."""
    return {
        "id": str(company.id),
        "name": company.name,
        "vat": company.vat or None,
        "country": company.country_id.code or None,
    }


def counterparty(partner):
    """Return a ``res.partner`` as contracts.events.parties.Counterparty."""
    if not partner:
        return None
    return {
        "id": str(partner.id),
        "name": partner.name or str(partner.id),
        "vat": partner.vat or None,
        "reference": partner.ref or None,
        "country": partner.country_id.code or None,
    }


def document(move):
    """Return an invoice, bill or credit note as contracts.events.invoice.Document."""
    # Account codes depend on the company.
    move = move.with_company(move.company_id)
    digits = move.currency_id.decimal_places
    reversals = move.reversal_move_ids.filtered(lambda other: other.state == "posted")
    return {
        "id": str(move.id),
        "document_type": OBJECTS[move.move_type],
        "direction": "inbound" if move.is_sale_document(True) else "outbound",
        "state": STATES.get(move.state, move.state),
        "payment_state": move.payment_state,
        "number": move.name or None,
        "reference": move.ref or None,
        "counterparty": counterparty(move.commercial_partner_id),
        "legal_entity": legal_entity(move.company_id),
        "invoice_date": _date(move.invoice_date),
        "accounting_date": _date(move.date),
        "due_date": _date(move.invoice_date_due),
        "currency": move.currency_id.name,
        "untaxed_amount": money_string(move.amount_untaxed, digits),
        "tax_amount": money_string(move.amount_tax, digits),
        "total_amount": money_string(move.amount_total, digits),
        "residual_amount": money_string(move.amount_residual, digits),
        "payment_reference": move.payment_reference or None,
        "origin": move.invoice_origin or None,
        "journal_code": move.journal_id.code or None,
        "taxes": _taxes(move, digits),
        "lines": [
            _line(line, digits)
            for line in move.invoice_line_ids
            if line.display_type == "product"
        ],
        "payments": [
            {
                "id": str(payment.id),
                "reference": payment.name or payment.memo or None,
                "amount": money_string(
                    payment.amount, payment.currency_id.decimal_places
                ),
                "currency": payment.currency_id.name,
                "date": _date(payment.date),
            }
            for payment in move.reconciled_payment_ids | move.matched_payment_ids
        ],
        "reversal_of": _link(move.reversed_entry_id),
        "reversed_by": [_link(other) for other in reversals],
    }


def payment(record):
    """Return an ``account.payment`` as contracts.events.payment.Payment."""
    documents = record.reconciled_invoice_ids | record.reconciled_bill_ids
    return {
        "id": str(record.id),
        "number": record.name or None,
        "direction": record.payment_type,
        "state": STATES.get(record.state, record.state),
        "amount": money_string(record.amount, record.currency_id.decimal_places),
        "currency": record.currency_id.name,
        "date": _date(record.date),
        "method": record.payment_method_line_id.name or None,
        "reference": record.payment_reference or record.memo or None,
        "provider_ref": record.finance_provider_ref or None,
        "counterparty": counterparty(record.partner_id.commercial_partner_id),
        "legal_entity": legal_entity(record.company_id),
        "journal_code": record.journal_id.code or None,
        "documents": [_link(invoice) for invoice in documents],
    }


def _line(line, digits):
    return {
        "id": str(line.id),
        "description": line.name or None,
        "product": line.product_id.default_code or line.product_id.name or None,
        "quantity": quantity_string(line.quantity),
        "unit": line.product_uom_id.name or None,
        "unit_price": quantity_string(line.price_unit),
        "discount": quantity_string(line.discount) if line.discount else None,
        "account_code": line.account_id.code or None,
        "amount": money_string(line.price_subtotal, digits),
        "tax_amount": money_string(line.price_total - line.price_subtotal, digits),
        "taxes": [_tax(tax) for tax in line.tax_ids],
        "analytic": {
            accounts: quantity_string(percent)
            for accounts, percent in (line.analytic_distribution or {}).items()
        },
    }


def _tax(tax):
    """Return an ``account.tax`` as contracts.events.invoice.LineTax."""
    kind = tax.amount_type
    return {
        "id": str(tax.id),
        "name": tax.name,
        "amount_type": kind if kind in TAX_KINDS else "other",
        # A group has no rate of its own, neither has a formula.
        "rate": quantity_string(tax.amount)
        if kind in TAX_KINDS and kind != "group"
        else None,
    }


def _taxes(move, digits):
    """Return each tax of a document with base and amount, in its currency.

    They are summed up from the entry's lines: a tax stands on the lines it is
    computed on, which are tax lines, too, where a tax is part of the next one's base.
    Taxes which come to nothing (exempt, reverse charge) have a base just the same.
    """
    sums = {}
    for line in move.line_ids:
        amount = line.amount_currency * move.direction_sign
        taxes = line.tax_ids
        if any(tax.amount_type == "group" for tax in taxes):
            taxes = taxes.flatten_taxes_hierarchy()
        for tax in taxes:
            sums.setdefault(tax, [0.0, 0.0])[0] += amount
        if line.tax_line_id:
            sums.setdefault(line.tax_line_id, [0.0, 0.0])[1] += amount
    return [
        {
            **_tax(tax),
            "group": tax.tax_group_id.name or None,
            "base": money_string(base, digits),
            "amount": money_string(amount, digits),
        }
        for tax, (base, amount) in sums.items()
    ]


def _link(move):
    return {"id": str(move.id), "number": move.name or None} if move else None


def _date(value):
    return value.isoformat() if value else None
