"""Orders of Odoo's sales app, where it is installed: they are held like documents.

The addon does not depend on the app, so it can't extend its model by inheritance. The
class gets what it needs when the registry is built, as in ``capture.apps``.
"""

import hashlib
import json

from ..approval.finance_policed import ConsentMissing
from ..consent import Subject, checked, is_covered, unchecked
from ..hold.finance_hold import STOPPING

MODEL = "sale.order"
OPEN = ("draft", "sent")
CONFIRMED = "sale"
# Holds of the order itself that stop its confirmation. Those of its customer do as
# they do for invoices.
ORDER_KINDS = ("order", *STOPPING)
PATCHED = (
    "action_confirm",
    "_write_multi",
    "_finance_approval_version",
    "_finance_policy_subjects",
    "_finance_unmet",
    "_finance_check_holds",
    "_finance_waits_to_post",
    "_finance_post_released",
)


def install(registry):
    """Give the class of orders its hooks."""
    if MODEL not in registry:
        return
    order = registry[MODEL]
    uninstall_from(order)
    order._finance_approval_version = _version
    order._finance_policy_subjects = _subjects
    order._finance_unmet = _unmet
    order._finance_check_holds = _check_holds
    order._finance_waits_to_post = _waits_to_post
    order._finance_post_released = _post_released
    order.action_confirm = _make_action_confirm(order.action_confirm)
    # Whatever way the state takes. Not write(): base_automation takes its own patch
    # off by deleting the attribute, whoever set it.
    order._write_multi = _make_write_multi(order._write_multi)


def uninstall(registry):
    """Take all hooks off again."""
    if MODEL in registry:
        uninstall_from(registry[MODEL])


def uninstall_from(order):
    for name in PATCHED:
        if name in vars(order):
            delattr(order, name)


def _make_action_confirm(origin):
    def action_confirm(self):
        self._finance_check_holds()
        unmet = self._finance_unmet()
        for order, (policies, amount) in unmet.items():
            for policy in policies:
                policy._place_hold(order.sudo(), amount)
        going = self - self.browse(order.id for order in unmet)
        if not going:
            return True
        with checked(going):
            return origin(going)

    return action_confirm


def _make_write_multi(origin):
    def _write_multi(self, vals_list):
        confirmed = [
            order.id
            for order, vals in zip(self, vals_list, strict=True)
            if vals.get("state") == CONFIRMED
        ]
        if confirmed:
            orders = unchecked(self.browse(confirmed))
            orders._finance_check_holds()
            unmet = orders._finance_unmet()
            if unmet:
                raise ConsentMissing(
                    self.env._(
                        "%s waits for a verdict. Press Confirm: that asks for it.",
                        ", ".join(order.name for order in unmet),
                    )
                )
        return origin(self, vals_list)

    return _write_multi


# === POLICIES === #


def _version(order):
    """Return a digest of what a verdict is about, see finance.approvable."""
    order = order.sudo()
    content = [
        order.partner_id.id,
        order.currency_id.id,
        order.amount_total,
        [
            [line.product_id.id, line.product_uom_qty, line.price_unit, line.discount]
            for line in order.order_line.sorted("id")
        ],
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def _subjects(orders):
    """See finance.policed."""
    return [
        Subject(
            key=order.id,
            kind="sales_order",
            company=order.company_id,
            amount=order.amount_total / (order.currency_rate or 1.0),
            partners=order.partner_id | order.partner_id.commercial_partner_id,
            connector_ids=set(),
            record=order,
        )
        for order in orders.sudo()
    ]


def _unmet(orders):
    """Return {order: (policies, amount)} of what waits for a verdict still."""
    policies = orders.env["finance.policy"]
    if not orders or is_covered() or not policies._asks_about(MODEL):
        return {}
    subjects = {subject.key: subject for subject in orders._finance_policy_subjects()}
    matched = policies._matching(list(subjects.values()))
    records = orders.browse(matched).sudo()
    cleared = orders.env["finance.hold"]._cleared(records, matched) if matched else {}
    unmet = {}
    for order_id, needed in matched.items():
        met = cleared.get(order_id, set())
        left = needed.filtered(
            lambda policy, met=met: policy.effect == "hold" and policy.id not in met
        )
        if left:
            unmet[orders.browse(order_id)] = (left, subjects[order_id].amount)
    return unmet


# === HOLDS === #


def _check_holds(orders):
    """Stop the confirmation of what is held, and of customers that are.

    :raise RecordHeld: naming each hold and what releases it
    """
    if not orders:
        return
    orders = orders.sudo()
    holds = orders.env["finance.hold"]._stopping(
        MODEL,
        orders._ids,
        orders.partner_id.commercial_partner_id._ids,
        orders.company_id._ids,
        kinds=ORDER_KINDS,
    )
    stopping = holds.filtered(lambda hold: _stops(hold, orders))
    if stopping:
        stopping._raise()


def _stops(hold, orders):
    if hold.res_model == MODEL:
        return True
    theirs = orders.filtered(
        lambda order: (
            order.partner_id.commercial_partner_id.id == hold.res_id
            and order.company_id == hold.company_id
        )
    )
    if not theirs or hold.kind == "order":
        return False
    due = sum(order.amount_total / (order.currency_rate or 1.0) for order in theirs)
    return hold.kind != "credit" or hold._over_limit_by(due)


def _waits_to_post(order):
    """Return whether a clearance of the order is still needed."""
    return order.state in OPEN


def _post_released(orders):
    """Tell the salesperson that an order can be confirmed, once nothing holds it."""
    for order in orders:
        held = order.env["finance.hold"]._active(order)
        if order.state not in OPEN or not order.user_id or held:
            continue
        order.activity_schedule(
            "mail.mail_activity_data_todo",
            user_id=order.user_id.id,
            summary=order.env._("Released: %s can be confirmed", order.name),
        )
