"""Events of Odoo apps that may be installed or not.

The addon does not depend on these apps, so it can't extend their models by
inheritance. Where they are installed, their classes get the same hooks when the
registry is built that ``finance.captured`` gives to others.
"""

from . import payload_master as payload
from .finance_captured import FinanceCaptured
from .memory import NEW, memory_of

APPROVED_STATES = ("approved", "posted", "in_payment", "paid")


# === PURCHASE === #


def _order_transitions(order, before, now, marks):
    found = []
    if now["state"] == "purchase":
        if not before or before["state"] != "purchase":
            found.append(("approved", None))
        if "received" in marks and _received(order):
            found.append(("received", None))
    return found


def _received(order):
    """Return whether received quantities differ from the transaction's beginning."""
    known = memory_of(order.env.cr).before.get("purchase.order.line", {})
    for line in order.order_line:
        if line.id in known:
            before = known[line.id]
            was = 0.0 if before is NEW else before[0] or 0.0
            if line.qty_received != was:
                return True
    return False


def _order_values(order, verb, extra=None, facts=None):
    return [
        {
            "object": "purchase_order",
            "label": order.name,
            "company": order.company_id,
            "data": payload.purchase_order(order),
        }
    ]


def _lines_collect(lines, touched):
    """Have the orders looked at whose received quantities may have changed."""
    orders = lines.browse(touched).exists().order_id
    lines.env["finance.capture"]._note(orders, "received")
    return [], []


# === EXPENSES === #


def _expense_transitions(expense, before, now, marks):
    was, state = before and before["state"], now["state"]
    found = []
    if state in ("submitted", *APPROVED_STATES) and was in (None, "draft", "refused"):
        found.append(("received", None))
    if state in APPROVED_STATES and was not in APPROVED_STATES:
        found.append(("approved", None))
    return found


def _expense_values(expense, verb, extra=None, facts=None):
    return [
        {
            "object": "expense",
            "label": expense.name or str(expense.id),
            "company": expense.company_id,
            "data": payload.expense(expense),
        }
    ]


# === HOOKS === #

COMMON = {
    "_finance_now": FinanceCaptured._finance_now,
    "_finance_facts": FinanceCaptured._finance_facts,
    "_finance_collect": FinanceCaptured._finance_collect,
}
# {model: what its class gets}
MODELS = {
    "purchase.order": {
        **COMMON,
        "_finance_fields": ("state",),
        "_finance_transitions": _order_transitions,
        "_finance_event_values": _order_values,
    },
    "purchase.order.line": {
        "_finance_fields": ("qty_received",),
        "_finance_collect": _lines_collect,
    },
    "hr.expense": {
        **COMMON,
        "_finance_fields": ("state",),
        "_finance_transitions": _expense_transitions,
        "_finance_event_values": _expense_values,
    },
}
PATCHED = ("_create", "_write_multi")


def install(registry):
    """Give the classes of installed apps their hooks."""
    for name, attributes in MODELS.items():
        if name not in registry:
            continue
        model = registry[name]
        uninstall_from(model)
        for attribute, value in attributes.items():
            setattr(model, attribute, value)
        # Methods nobody else patches: base_automation takes its own patches off by
        # deleting the attribute, whoever set it.
        model._create = _make_create(model._create)
        model._write_multi = _make_write_multi(model._write_multi)


def uninstall(registry):
    """Take all hooks off again."""
    for name in MODELS:
        if name in registry:
            uninstall_from(registry[name])


def uninstall_from(model):
    """Take the hooks off one class, if it has them."""
    for attribute in (*MODELS[model._name], *PATCHED):
        if attribute in vars(model):
            delattr(model, attribute)


def _make_create(origin):
    def _create(self, data_list):
        records = origin(self, data_list)
        self.env["finance.capture"]._created(records)
        return records

    return _create


def _make_write_multi(origin):
    def _write_multi(self, vals_list):
        self.env["finance.capture"]._changing(self, vals_list)
        return origin(self, vals_list)

    return _write_multi
