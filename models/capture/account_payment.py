import uuid

from odoo import api, fields, models
from odoo.exceptions import MissingError

from . import payload

RECEIVABLE_PAYABLE = ("asset_receivable", "liability_payable")

# Payment states of Odoo, and the verb with which reaching one is announced.
VERBS = {
    "in_process": "in_process",
    "paid": "paid",
    "canceled": "cancelled",
    "rejected": "rejected",
}


class AccountPayment(models.Model):
    _name = "account.payment"
    _inherit = ["account.payment", "finance.captured"]

    _finance_fields = ("state",)

    finance_correlation_id = fields.Char(
        string="Correlation",
        copy=False,
        readonly=True,
        index="btree_not_null",
        help="Joins this payment with its message, invoice, events and deliveries.",
    )

    finance_provider_ref = fields.Char(
        string="Provider Reference",
        copy=False,
        readonly=True,
        index="btree_not_null",
        help="The payment provider's id of this payment.",
    )

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):
        correlation_id = self.env.context.get("finance_correlation_id")
        for vals in vals_list:
            vals.setdefault(
                "finance_correlation_id", correlation_id or str(uuid.uuid4())
            )
        return super().create(vals_list)

    # === ACTIONS === #

    def action_open_finance_trace(self):
        """Show everything that belongs to this payment, in order of time."""
        self.ensure_one()
        return self.env["finance.trace.step"]._action_for(
            self.finance_correlation_id, self.display_name
        )

    # === EVENTS === #

    def _finance_now(self):
        try:
            return {payment.id: (payment.state,) for payment in self}
        except MissingError:
            return super()._finance_now()

    def _finance_transitions(self, before, now, marks):
        """Return the transitions of a payment, see finance.captured.

        A payment that was created and confirmed in one transaction tells both.
        """
        found = [] if before else [("created", None)]
        verb = VERBS.get(now["state"])
        if verb and (not before or before["state"] != now["state"]):
            found.append((verb, None))
        if "refunded" in marks and self._finance_refunds(marks["refunded"]):
            found.append(("refunded", marks["refunded"]))
        if "disputed" in marks:
            found.append(("disputed", marks["disputed"]))
        self._finance_touch_source(now)
        return found

    def _finance_refunds(self, refund_id):
        """Return the payment that pays this one back, if it still does."""
        refund = self.browse(refund_id).exists()
        if refund.state not in ("in_process", "paid"):
            return self.browse()
        if self._finance_source(refund) == self:
            return refund
        lines = self.move_id.line_ids & refund._finance_counterpart_lines()
        return refund if lines else self.browse()

    def _finance_counterpart_lines(self):
        """Return the lines that this payment's receivable or payable is matched to."""
        lines = self.move_id.line_ids.filtered(
            lambda line: line.account_type in RECEIVABLE_PAYABLE
        )
        return (
            lines.matched_debit_ids.debit_move_id
            | lines.matched_credit_ids.credit_move_id
        )

    @api.model
    def _finance_source(self, payment):
        """Return the payment that ``payment`` was made to refund.

        Odoo's module of payment providers keeps it, and so does the hub for refunds
        that a provider reports.
        """
        if payment.finance_source_payment_id:
            return payment.finance_source_payment_id
        if "source_payment_id" not in self._fields:
            return self.browse()
        return payment.source_payment_id

    def _finance_touch_source(self, now):
        """Have the payment that this one refunds looked at, too."""
        source = self._finance_source(self)
        if source and now["state"] in ("in_process", "paid"):
            self.env["finance.capture"]._note(source, "refunded", self.id)

    def _finance_note_refunds(self, partials):
        """Note the payments which ``partials`` match with a payment back.

        A refund is a payment in the other direction that is matched with this one
        on a receivable or payable account. Two payments of an internal transfer
        meet on a transfer account, and are none.
        """
        for partial in partials:
            debit, credit = partial.debit_move_id, partial.credit_move_id
            if debit.account_type not in RECEIVABLE_PAYABLE:
                continue
            one = debit.move_id.origin_payment_id
            other = credit.move_id.origin_payment_id
            if one and other and one.payment_type != other.payment_type:
                first, second = (one | other).sorted(lambda p: (p.date, p.id))
                self.env["finance.capture"]._note(first, "refunded", second.id)

    def _finance_event_values(self, verb, extra=None, facts=None):
        """Return what an event about this payment says, see finance.captured."""
        self.ensure_one()
        dispute = self.env["finance.transaction"]
        if verb == "disputed":
            dispute = dispute.browse(extra)
        return [
            {
                "object": "payment",
                "label": self.name or self.memo or str(self.id),
                "company": self.company_id,
                "correlation_id": self.finance_correlation_id,
                "data": payload.payment(
                    self, self.browse(extra) if verb == "refunded" else None, dispute
                ),
            }
        ]
