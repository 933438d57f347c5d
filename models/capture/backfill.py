"""The past: for which records events can be told afterwards, and when it was."""

from datetime import datetime, time

from ...contracts import newest
from .payload import OBJECTS

SETTLED = ("paid", "in_payment")


def _moves(object_name):
    types = [kind for kind, name in OBJECTS.items() if name == object_name]
    return [("move_type", "in", types)]


_POSTED = ("state", "=", "posted")
# {(object, verb): (model, domain)}
_DOMAINS = {
    **{
        (object_name, verb): ("account.move", [*_moves(object_name), *conditions])
        for object_name in ("invoice", "bill", "credit_note")
        for verb, conditions in {
            "posted": [_POSTED],
            "partially_paid": [_POSTED, ("payment_state", "=", "partial")],
            "paid": [_POSTED, ("payment_state", "in", SETTLED)],
            "reversed": [_POSTED, ("payment_state", "=", "reversed")],
            "cancelled": [("state", "=", "cancel")],
        }.items()
    },
    ("journal_entry", "posted"): (
        "account.move",
        [("move_type", "=", "entry"), _POSTED],
    ),
    ("payment", "created"): ("account.payment", []),
    ("payment", "in_process"): ("account.payment", [("state", "=", "in_process")]),
    ("payment", "paid"): ("account.payment", [("state", "=", "paid")]),
    ("payment", "rejected"): ("account.payment", [("state", "=", "rejected")]),
    ("payment", "cancelled"): ("account.payment", [("state", "=", "canceled")]),
    ("counterparty", "created"): (
        "res.partner",
        ["|", ("parent_id", "=", False), ("is_company", "=", True)],
    ),
    ("bank_statement", "imported"): (
        "account.bank.statement",
        [("first_line_index", "!=", False)],
    ),
    ("bank_account", "trusted"): (
        "res.partner.bank",
        [("allow_out_payment", "=", True)],
    ),
}


def domain_of(type_name):
    """Return (model, domain) of the records a type can be told about afterwards.

    :raises ValueError: for an unknown type, or one whose past is not kept by Odoo
    """
    entry = newest(type_name)
    try:
        return _DOMAINS[entry.object, entry.verb]
    except KeyError:
        raise ValueError(
            f"Events of the type {type_name} can't be made for the past: Odoo does not "
            "keep when they happened. Choose one of: "
            + ", ".join(f"finance.{name}.{verb}" for name, verb in _DOMAINS)
            + "."
        ) from None


def extra_of(verb):
    """Return what ``_finance_event_values`` gets beside the verb."""
    return [] if verb == "created" else None


def moment(record, verb):
    """Return when something happened, as far as Odoo knows; naive, UTC.

    A document is posted on its accounting date and settled when its last match was
    made; a day without a time is its beginning.
    """
    when = None
    if record._name == "account.move" and verb != "cancelled":
        when = record.date
        if verb != "posted":
            lines = record.line_ids
            matches = lines.matched_debit_ids | lines.matched_credit_ids
            when = max(matches.mapped("create_date"), default=when)
    elif record._name == "account.payment" and verb not in ("created", "cancelled"):
        when = record.date
    elif verb in ("cancelled", "rejected", "trusted"):
        when = record.write_date
    when = when or record.create_date
    if not isinstance(when, datetime):
        when = datetime.combine(when, time())
    return when
