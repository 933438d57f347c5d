"""Business records in the shapes of ``contracts.events``.

Values are read from records and cleaned by the contracts; a missing value is left
out, never guessed.
"""

from collections import namedtuple
from decimal import Decimal

from ...contracts import money_string, quantity_string
from ...signing import mask_iban
from .. import clock
from .memory import memory_of
from .reading import values

# Documents that are announced, and the object they are on the wire.
OBJECTS = {
    "out_invoice": "invoice",
    "out_receipt": "invoice",
    "out_refund": "credit_note",
    "in_invoice": "bill",
    "in_receipt": "bill",
    "in_refund": "credit_note",
}
# Documents of the sales side, which bring money in.
SALES = ("out_invoice", "out_receipt", "out_refund")
# Documents that take money out: their lines have the sign of the books.
OUTBOUND = ("in_invoice", "in_receipt", "out_refund")
# Odoo's states, where the contracts spell them otherwise.
STATES = {"cancel": "cancelled", "canceled": "cancelled"}
# Lines of an entry that carry no amount.
HEADINGS = ("line_section", "line_subsection", "line_note")
# How a tax is computed, where the contracts have a word for it.
TAX_KINDS = {"percent", "fixed", "division", "group"}


def legal_entity(company):
    """Return a ``res.company`` as contracts.events.parties.LegalEntity."""
    return company._finance_legal_entity(company.id)


def counterparty(partner):
    """Return a ``res.partner`` as contracts.events.parties.Counterparty."""
    if not partner:
        return None
    country = partner.env["res.country"]._finance_code(partner.country_id.id)
    return _party(partner.id, partner.name, partner.vat, partner.ref, country)


def _party(partner_id, name, vat, reference, country):
    return {
        "id": str(partner_id),
        "name": name or str(partner_id),
        "vat": vat or None,
        "reference": reference or None,
        "country": country or None,
    }


# What only the database knows of documents that are in memory.
_OBJECT_CASES = " ".join(f"WHEN '{kind}' THEN '{o}/'" for kind, o in OBJECTS.items())
_FACTS = f"""
    SELECT move.id,
           EXISTS(SELECT FROM account_move reversal
                   WHERE reversal.reversed_entry_id = move.id),
           (SELECT max(event.sequence) FROM finance_event event
             WHERE event.aggregate = CASE move.move_type {_OBJECT_CASES}
                                     ELSE 'journal_entry/' END || move.id
               AND event.company_id = move.company_id)
      FROM account_move move
     WHERE move.id = ANY(%s)
"""  # noqa: S608 (the constants above)
_PARTIES = """
    SELECT partner.id, partner.name, partner.vat, partner.ref, country.code
      FROM res_partner partner
      LEFT JOIN res_country country ON country.id = partner.country_id
     WHERE partner.id = ANY(%s)
"""
_Party = namedtuple("_Party", "name vat ref country_id")
# What is read of a document and of its lines.
_Document = namedtuple(
    "_Document",
    "move_type state payment_state name ref commercial_partner_id company_id"
    " invoice_date date invoice_date_due currency_id amount_untaxed amount_tax"
    " amount_total amount_residual payment_reference invoice_origin journal_id"
    " reversed_entry_id",
)
_Line = namedtuple(
    "_Line",
    "display_type name product_id product_uom_id quantity price_unit discount"
    " account_id price_subtotal price_total amount_currency tax_ids tax_line_id"
    " analytic_distribution",
)


def facts(moves):
    """Return what the payloads of ``moves`` need beside what is in memory.

    A query for all of what was not read when they were posted, beneath the ORM, and
    one for their partners unless they are in memory: reading whole partners would cost
    more than all the rest. Everything is flushed when this is called.

    :return: dict with ``parties`` {partner id: counterparty}, ``reversed``, the ids of
        moves which have been reversed, ``sequences`` {move id: sequence of its last
        event}, ``told``, room for finished payloads, and ``memo`` for what recurs
    """
    memory = memory_of(moves.env.cr)
    sequences, reversed_ids, unknown = {}, set(), []
    for move_id in moves._ids:
        if move_id in memory.fresh and move_id not in memory.reversed:
            # Most probably nothing was told of it yet: see finance.capture._store.
            sequences[move_id] = 0
        else:
            unknown.append(move_id)
    if unknown:
        moves.env.cr.execute(_FACTS, [unknown])
        for move_id, is_reversed, sequence in moves.env.cr.fetchall():
            if is_reversed:
                reversed_ids.add(move_id)
            sequences[move_id] = sequence or 0
    return {
        "parties": _parties(moves.commercial_partner_id),
        "reversed": reversed_ids,
        "sequences": sequences,
        "told": {},
        "memo": {},
    }


def _parties(partners):
    """Return {partner id: counterparty}, out of memory where they are in it."""
    env = partners.env
    caches = [partners._fields[name]._get_cache(env) for name in _Party._fields]
    country_code = env["res.country"]._finance_code
    parties, unknown = {}, []
    for partner_id in partners._ids:
        if all(partner_id in cache for cache in caches):
            name, vat, reference, country_id = (cache[partner_id] for cache in caches)
            country = country_code(country_id)
            parties[partner_id] = _party(partner_id, name, vat, reference, country)
        else:
            unknown.append(partner_id)
    if unknown:
        partners.env.cr.execute(_PARTIES, [unknown])
        for row in partners.env.cr.fetchall():
            parties[row[0]] = _party(*row)
    return parties


def _facts_of(move):
    move.env.flush_all()
    return facts(move)


def document(move, known=None):
    """Return an invoice, bill or credit note as contracts.events.invoice.Document.

    :param dict known: as ``facts`` returns it for this move, among others
    """
    known = known or _facts_of(move)
    memo = known["memo"]
    env = move.env
    doc = values(move, _Document)
    currency, digits = _once(memo, env["res.currency"], doc.currency_id, _currency)
    lines = {line.id: values(line, _Line) for line in move.line_ids}
    return {
        "id": str(move.id),
        "document_type": OBJECTS[doc.move_type],
        "direction": "inbound" if doc.move_type in SALES else "outbound",
        "state": STATES.get(doc.state, doc.state),
        "payment_state": doc.payment_state,
        "number": doc.name or None,
        "reference": doc.ref or None,
        "counterparty": known["parties"].get(doc.commercial_partner_id),
        "legal_entity": env["res.company"]._finance_legal_entity(doc.company_id),
        "invoice_date": _date(doc.invoice_date),
        "accounting_date": _date(doc.date),
        "due_date": _date(doc.invoice_date_due),
        "currency": currency,
        "untaxed_amount": _money(doc.amount_untaxed, digits),
        "tax_amount": _money(doc.amount_tax, digits),
        "total_amount": _money(doc.amount_total, digits),
        "residual_amount": _money(doc.amount_residual, digits),
        "payment_reference": doc.payment_reference or None,
        "origin": doc.invoice_origin or None,
        "journal_code": _once(memo, env["account.journal"], doc.journal_id, _code),
        "taxes": _taxes(env, doc, lines.values(), digits, memo),
        "lines": [
            _line(env, line_id, line, digits, doc.company_id, memo)
            for line_id, line in lines.items()
            if line.display_type == "product"
        ],
        # A document of which nothing is paid has no payment to tell of.
        "payments": []
        if doc.payment_state == "not_paid"
        else [
            {
                "id": str(payment.id),
                "reference": payment.name or payment.memo or None,
                "amount": _amount(payment),
                "currency": payment.currency_id.name,
                "date": _date(payment.date),
            }
            for payment in move.reconciled_payment_ids | move.matched_payment_ids
        ],
        "reversal_of": _link(move.reversed_entry_id) if doc.reversed_entry_id else None,
        "reversed_by": _reversals(move, known),
    }


def payment(record, refund=None, dispute=None):
    """Return an ``account.payment`` as contracts.events.payment.Payment.

    :param refund: the payment that pays it back
    :param dispute: the ``finance.transaction`` of the payer's objection
    """
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
        "refund": {**_link(refund), "amount": _amount(refund)} if refund else None,
        "reason": (dispute and dispute.reason) or None,
        "dispute": {
            "reference": dispute.provider_ref,
            "stage": dispute.dispute,
            "amount": _amount(dispute),
            "due_at": clock.aware(dispute.due_at).isoformat()
            if dispute.due_at
            else None,
        }
        if dispute
        else None,
    }


def journal_entry(move, known=None):
    """Return a journal entry as contracts.events.journal_entry.JournalEntry.

    :param dict known: as ``facts`` returns it for this move, among others
    """
    known = known or _facts_of(move)
    currency = move.company_currency_id
    lines = move.line_ids.filtered(lambda line: line.display_type not in HEADINGS)
    return {
        "id": str(move.id),
        "state": STATES.get(move.state, move.state),
        "number": move.name or None,
        "reference": move.ref or None,
        "date": _date(move.date),
        "legal_entity": legal_entity(move.company_id),
        "journal_code": move.journal_id.code or None,
        "journal_name": move.journal_id.name or None,
        "currency": currency.name,
        "total": money_string(sum(lines.mapped("debit")), currency.decimal_places),
        "lines": [_entry_line(line, currency, move.company_id) for line in lines],
        "origin": _entry_origin(move),
        "reversal_of": _link(move.reversed_entry_id),
        "reversed_by": _reversals(move, known),
    }


def bank_statement(statement):
    """Return a statement as contracts.events.bank_statement.BankStatement."""
    currency = statement.currency_id
    digits = currency.decimal_places
    account = statement.journal_id.bank_account_id
    return {
        "id": str(statement.id),
        "reference": statement.name or statement.reference or str(statement.id),
        "legal_entity": legal_entity(statement.journal_id.company_id),
        "journal_code": statement.journal_id.code or None,
        "account": mask_iban(account.acc_number) or None,
        "currency": currency.name,
        "date": _date(statement.date),
        "opening": money_string(statement.balance_start, digits),
        "closing": money_string(statement.balance_end_real, digits),
        "count": len(statement.line_ids),
        "gaps": _statement_gaps(statement, digits),
    }


def reconciliation(group, matches):
    """Return a group of matches as contracts.events.reconciliation.Reconciliation.

    :param group: all ``account.partial.reconcile`` of the group
    :param matches: those of them which it is about
    """
    company = group.company_id[:1]
    digits = company.currency_id.decimal_places
    lines = group.debit_move_id | group.credit_move_id
    amounts = {}
    for partial in matches:
        for move in (partial.debit_move_id.move_id, partial.credit_move_id.move_id):
            amounts[move] = amounts.get(move, 0.0) + partial.amount
    partners = lines.partner_id.commercial_partner_id
    accounts = lines.account_id
    return {
        "id": str(min(group.ids)),
        "legal_entity": legal_entity(company),
        "counterparty": counterparty(partners) if len(partners) == 1 else None,
        "account_code": accounts._finance_code(accounts.id, company.id)
        if len(accounts) == 1
        else None,
        "currency": company.currency_id.name,
        "amount": money_string(sum(matches.mapped("amount")), digits),
        "full": all(lines.mapped("reconciled")),
        "documents": [
            {**_matched(move), "amount": money_string(amount, digits)}
            for move, amount in amounts.items()
        ],
    }


def merged_reconciliation(parts):
    """Return what several undone matches of one group come to.

    :param list parts: what ``reconciliation`` returned for each of them
    """
    documents = {}
    for part in parts:
        for document in part["documents"]:
            key = document["kind"], document["id"]
            known = documents.get(key)
            amount = Decimal(document["amount"])
            if known:
                amount += Decimal(known["amount"])
            documents[key] = {**document, "amount": str(amount)}
    return {
        **parts[0],
        "amount": str(sum(Decimal(part["amount"]) for part in parts)),
        "full": False,
        "documents": list(documents.values()),
    }


def _reversals(move, known):
    if move.id not in known["reversed"]:
        return []
    return [_link(other) for other in move.reversal_move_ids if other.state == "posted"]


def _amount(record):
    return money_string(record.amount, record.currency_id.decimal_places)


def _matched(move):
    if move.move_type in OBJECTS:
        kind, record_id = OBJECTS[move.move_type], move.id
    elif move.origin_payment_id:
        kind, record_id = "payment", move.origin_payment_id.id
    elif move.statement_line_id:
        kind, record_id = "bank_transaction", move.statement_line_id.id
    else:
        kind, record_id = "journal_entry", move.id
    return {"kind": kind, "id": str(record_id), "number": move.name or None}


def _entry_origin(move):
    payment = move.origin_payment_id
    transaction = move.statement_line_id
    if payment:
        reference = payment.name or payment.memo or None
        return {"kind": "payment", "id": str(payment.id), "reference": reference}
    if transaction:
        reference = transaction.payment_ref or None
        return {
            "kind": "bank_transaction",
            "id": str(transaction.id),
            "reference": reference,
        }
    if move.tax_cash_basis_rec_id or move.tax_cash_basis_origin_move_id:
        return {"kind": "cash_basis_tax"}
    if move.journal_id == move.company_id.currency_exchange_journal_id:
        return {"kind": "exchange_difference"}
    return {"kind": "manual"}


def _entry_line(line, currency, company):
    foreign = line.currency_id != currency
    digits = currency.decimal_places
    return {
        "id": str(line.id),
        "account_code": line.account_id._finance_code(line.account_id.id, company.id),
        "account_name": line.account_id.name or None,
        "description": line.name or None,
        "counterparty": counterparty(line.partner_id.commercial_partner_id),
        "debit": money_string(line.debit, digits),
        "credit": money_string(line.credit, digits),
        "amount_currency": money_string(
            line.amount_currency, line.currency_id.decimal_places
        )
        if foreign
        else None,
        "line_currency": line.currency_id.name if foreign else None,
        "taxes": [tax.name for tax in line.tax_ids],
        "analytic": _analytic(line.analytic_distribution),
    }


def _analytic(distribution):
    return {
        accounts: quantity_string(percent)
        for accounts, percent in (distribution or {}).items()
    }


def _statement_gaps(statement, digits):
    gaps = []
    previous = statement.search(
        [
            ("first_line_index", "<", statement.first_line_index),
            ("journal_id", "=", statement.journal_id.id),
        ],
        limit=1,
        order="first_line_index DESC",
    )
    differ = statement.currency_id.compare_amounts
    if previous and differ(statement.balance_start, previous.balance_end_real):
        gaps.append(
            {
                "kind": "opening",
                "expected": money_string(previous.balance_end_real, digits),
                "actual": money_string(statement.balance_start, digits),
                "previous": previous.name or None,
            }
        )
    if differ(statement.balance_end, statement.balance_end_real):
        gaps.append(
            {
                "kind": "closing",
                "expected": money_string(statement.balance_end_real, digits),
                "actual": money_string(statement.balance_end, digits),
            }
        )
    return gaps


def _line(env, line_id, line, digits, company_id, memo):
    product_id, unit_id = line.product_id, line.product_uom_id
    subtotal, total = line.price_subtotal or 0.0, line.price_total or 0.0
    return {
        "id": str(line_id),
        "description": line.name or None,
        "product": _once(memo, env["product.product"], product_id, _product)
        if product_id
        else None,
        "quantity": quantity_string(line.quantity or 0.0),
        "unit": _once(memo, env["uom.uom"], unit_id, _name) if unit_id else None,
        "unit_price": quantity_string(line.price_unit or 0.0),
        "discount": quantity_string(line.discount) if line.discount else None,
        "account_code": env["account.account"]._finance_code(
            line.account_id, company_id
        ),
        "amount": money_string(subtotal, digits),
        "tax_amount": money_string(total - subtotal, digits),
        "taxes": [_once(memo, env["account.tax"], tax, _tax) for tax in line.tax_ids],
        "analytic": _analytic(line.analytic_distribution),
    }


def _once(memo, model, record_id, build):
    """Return ``build(record)``, which is the same for all documents of a batch."""
    key = model._name, record_id
    value = memo.get(key)
    if value is None:
        value = memo[key] = build(model.browse(record_id))
    return value


def _money(amount, digits):
    return money_string(amount or 0.0, digits)


def _product(record):
    return record.default_code or record.name or None


def _name(record):
    return record.name or None


def _code(record):
    return record.code or None


def _currency(record):
    return record.name, record.decimal_places


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


def _taxes(env, doc, lines, digits, memo):
    """Return each tax of a document with base and amount, in its currency.

    They are summed up from the entry's lines: a tax stands on the lines it is
    computed on, which are tax lines, too, where a tax is part of the next one's base.
    Taxes which come to nothing (exempt, reverse charge) have a base just the same.
    """
    taxes = env["account.tax"]
    sign = 1 if doc.move_type in OUTBOUND else -1
    sums = {}
    for line in lines:
        amount = (line.amount_currency or 0.0) * sign
        applied = line.tax_ids
        if any(
            _once(memo, taxes, tax, _tax)["amount_type"] == "group" for tax in applied
        ):
            applied = taxes.browse(applied).flatten_taxes_hierarchy()._ids
        for tax in applied:
            sums.setdefault(tax, [0.0, 0.0])[0] += amount
        if line.tax_line_id:
            sums.setdefault(line.tax_line_id, [0.0, 0.0])[1] += amount
    return [
        {
            **_once(memo, taxes, tax, _tax),
            "group": taxes.browse(tax).tax_group_id.name or None,
            "base": money_string(base, digits),
            "amount": money_string(amount, digits),
        }
        for tax, (base, amount) in sums.items()
    ]


def _link(move):
    return {"id": str(move.id), "number": move.name or None} if move else None


def _date(value):
    return value.isoformat() if value else None
