"""Master data and the hub's own condition in the shapes of ``contracts.events``.

See ``payload`` for documents, payments and the ledger.
"""

from datetime import timezone

from ...contracts import money_string, quantity_string, utc_text
from ...signing import mask_iban
from .. import clock
from .payload import _date, _link, counterparty, legal_entity

# Odoo's lock date fields, and what they lock.
LOCKS = {
    "fiscalyear_lock_date": "all",
    "sale_lock_date": "sales",
    "purchase_lock_date": "purchases",
    "tax_lock_date": "tax",
    "hard_lock_date": "hard",
}


def counterparty_record(partner, company, verb, changed, references=()):
    """Return a partner as contracts.events.counterparty.CounterpartyRecord.

    :param company: in whose name it is told, as terms depend on it
    :param list changed: names of the fields that changed, as on the wire
    :param references: its ``finance.reference`` of whatever company
    """
    partner = partner.with_company(company)
    return {
        "id": str(partner.id),
        "legal_entity": legal_entity(company),
        "name": partner.name or str(partner.id),
        "is_company": partner.is_company,
        "active": partner.active,
        "vat": partner.vat or None,
        "registry": partner.company_registry or None,
        "reference": partner.ref or None,
        "email": partner.email or None,
        "phone": partner.phone or None,
        "street": partner.street or None,
        "street2": partner.street2 or None,
        "zip": partner.zip or None,
        "city": partner.city or None,
        "state": partner.state_id.code or None,
        "country": partner.country_id.code or None,
        "is_customer": partner.customer_rank > 0,
        "is_supplier": partner.supplier_rank > 0,
        "customer_terms": partner.property_payment_term_id.name or None,
        "supplier_terms": partner.property_supplier_payment_term_id.name or None,
        "external_ids": [
            {"system": reference.connector_id.name, "id": reference.external_id}
            for reference in references
            if reference.company_id == company
        ],
        "changed_fields": changed,
        "reason": _blocked_reason(changed) if verb == "blocked" else None,
    }


def _blocked_reason(changed):
    return "archived" if "active" in changed else "blocked for new business"


def masked_account(bank):
    """Return the account number of a ``res.partner.bank``, masked."""
    return mask_iban(bank.acc_number) or "***"


def bank_account(bank, company):
    """Return a ``res.partner.bank`` as contracts.events.bank_account.BankAccount."""
    return {
        "id": str(bank.id),
        "legal_entity": legal_entity(company),
        "account": masked_account(bank),
        "bank": bank.bank_id.name or None,
        "bic": bank.bank_id.bic or None,
        "currency": bank.currency_id.name or None,
        "counterparty": counterparty(bank.partner_id.commercial_partner_id),
        "trusted": bank.allow_out_payment,
    }


def credit_limit(partner, company):
    """Return a credit limit as contracts.events.credit.Credit.

    :param partner: whose limit it is; empty for the default of the company
    """
    partner = partner.with_company(company)
    currency = company.currency_id
    digits = currency.decimal_places
    if partner:
        limit, exposure = partner.credit_limit, money_string(partner.credit, digits)
    else:
        field = partner._fields["credit_limit"]
        limit, exposure = field.get_company_dependent_fallback(partner) or 0.0, None
    return {
        "id": str(partner.id) if partner else f"company-{company.id}",
        "legal_entity": legal_entity(company),
        "scope": "counterparty" if partner else "company_default",
        "counterparty": counterparty(partner),
        "currency": currency.name,
        "limit": money_string(limit, digits),
        "exposure": exposure,
        "as_of": utc_text(clock.now()),
    }


def period(company, field_name, date, previous, exception=None):
    """Return a lock date as contracts.events.period.Period.

    :param str field_name: one of Odoo's ``LOCK_DATE_FIELDS``
    :param exception: an ``account.lock_exception``, where it is about one
    """
    return {
        "id": str(company.id),
        "legal_entity": legal_entity(company),
        "lock": LOCKS[field_name],
        "date": _date(date),
        "previous_date": _date(previous),
        "exception": _lock_exception(exception) if exception else None,
    }


def _lock_exception(exception):
    return {
        "id": str(exception.id),
        "person": exception.user_id.name or None,
        "date": _date(exception.lock_date),
        "until": _moment(exception.end_datetime),
        "reason": exception.reason or None,
    }


def currency_rate(rate, company):
    """Return a rate as contracts.events.currency_rate.CurrencyRate."""
    return {
        "id": str(rate.id),
        "legal_entity": legal_entity(company),
        "currency": rate.currency_id.name,
        "base_currency": company.currency_id.name,
        "rate": quantity_string(rate.with_company(company).company_rate),
        "date": _date(rate.name),
        "shared": not rate.company_id,
    }


def exception(record, verb):
    """Return a ``finance.exception`` as contracts.events.exception.Exception…"""
    about = f"{record.res_model}/{record.res_id}" if record.res_model else None
    data = {
        "id": str(record.id),
        "code": record.code,
        "class": record.klass,
        "title": record.code_title or record.code,
        "owner": record.owner_team or None,
        "severity": record.severity,
        "summary": record.summary or None,
        "next_step": record.next_step or None,
        "subject": about,
        "connector": record.connector_id.name or None,
        "correlation_id": record.correlation_id or None,
        "opened_at": _moment(record.opened_at),
        "due_at": _moment(record.due_at),
    }
    if verb == "escalated":
        data.update(
            escalated_at=_moment(record.escalated_at) or utc_text(clock.now()),
            escalated_to=record.escalated_to_id.name or None,
            level=max(record.escalation_level, 1),
        )
    if verb == "resolved":
        data.update(
            resolved_at=_moment(record.resolved_at) or utc_text(clock.now()),
            resolution="cancelled" if record.state == "cancelled" else "resolved",
            resolved_by=record.resolved_by_id.name or None,
            reason=record.resolution or None,
        )
    return data


def condition(connector, endpoint, reason):
    """Return how a connector is doing as contracts.events.connector.Condition."""
    return {
        "connector": _named(connector),
        "endpoint": _named(endpoint) if endpoint else None,
        "reason": reason or None,
        "at": utc_text(clock.now()),
    }


def delivery_exhausted(delivery, reason):
    """Return a given-up delivery as contracts.events.connector.DeliveryExhausted."""
    attempts = delivery.attempt_ids.sorted("id")
    return {
        "connector": _named(delivery.endpoint_id.connector_id),
        "endpoint": _named(delivery.endpoint_id),
        "delivery_id": str(delivery.id),
        "event_id": delivery.event_id.event_id,
        "event_type": delivery.event_id.type,
        "attempts": delivery.attempt_count,
        "first_attempt_at": _moment(attempts[:1].started_at),
        "last_attempt_at": _moment(attempts[-1:].started_at),
        "status": delivery.last_status or None,
        "error_code": delivery.last_error or None,
        "detail": reason or None,
    }


def purchase_order(order):
    """Return a ``purchase.order`` as contracts.events.purchase_order.PurchaseOrder."""
    digits = order.currency_id.decimal_places
    lines = order.order_line.filtered(lambda line: not line.display_type)
    return {
        "id": str(order.id),
        "number": order.name,
        "legal_entity": legal_entity(order.company_id),
        "counterparty": counterparty(order.partner_id.commercial_partner_id),
        "vendor_reference": order.partner_ref or None,
        "currency": order.currency_id.name,
        "untaxed_amount": money_string(order.amount_untaxed, digits),
        "total_amount": money_string(order.amount_total, digits),
        "order_date": _day(order.date_order),
        "approved_on": _day(order.date_approve),
        "buyer": order.user_id.name or None,
        "fully_received": all(line.qty_received >= line.product_qty for line in lines),
        "lines": [
            {
                "id": str(line.id),
                "description": line.name or None,
                "product": line.product_id.default_code or line.product_id.name or None,
                "quantity": quantity_string(line.product_qty),
                "received": quantity_string(line.qty_received),
                "billed": quantity_string(line.qty_invoiced),
                "unit_price": quantity_string(line.price_unit),
                "amount": money_string(line.price_subtotal, digits),
            }
            for line in lines
        ],
    }


def expense(record):
    """Return an ``hr.expense`` as contracts.events.expense.Expense."""
    record = record.with_company(record.company_id)
    digits = record.currency_id.decimal_places
    paid_by = "employee" if record.payment_mode == "own_account" else "company"
    return {
        "id": str(record.id),
        "legal_entity": legal_entity(record.company_id),
        "description": record.name or str(record.id),
        "employee": record.employee_id.name or None,
        "category": record.product_id.name or None,
        "state": record.state,
        "paid_by": paid_by,
        "currency": record.currency_id.name,
        "amount": money_string(record.total_amount_currency, digits),
        "tax_amount": money_string(record.tax_amount_currency, digits),
        "date": _date(record.date),
        "account_code": record.account_id.code or None,
        "approved_by": record.manager_id.name or None
        if record.state not in ("draft", "submitted")
        else None,
        "entry": _link(record.account_move_id),
    }


def _named(record):
    return {"id": str(record.id), "name": record.name}


def _moment(value):
    """Return a stored time (UTC, naive) as text."""
    return utc_text(value.replace(tzinfo=timezone.utc)) if value else None


def _day(value):
    return value.date().isoformat() if value else None
