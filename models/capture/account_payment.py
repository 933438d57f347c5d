import uuid

from odoo import api, fields, models

from . import payload

CONTRACT_VERSION = 1

# Payment states of Odoo, and the verb with which reaching one is announced.
VERBS = {
    "in_process": "in_process",
    "paid": "paid",
    "canceled": "cancelled",
    "rejected": "rejected",
}


class AccountPayment(models.Model):
    _inherit = "account.payment"

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
        payments = super().create(vals_list)
        capture = self.env["finance.capture"]
        capture._snapshot_new(payments, "state")
        capture._note(payments, "created")
        return payments

    def write(self, vals):
        if "state" in vals:
            self.env["finance.capture"]._snapshot(self, "state")
        return super().write(vals)

    # === HOOKS === #

    def _compute_state(self):
        self.env["finance.capture"]._snapshot(self, "state")
        return super()._compute_state()

    # === ACTIONS === #

    def action_open_finance_trace(self):
        """Show everything that belongs to this payment, in order of time."""
        self.ensure_one()
        return self.env["finance.trace.step"]._action_for(
            self.finance_correlation_id, self.display_name
        )

    # === EVENTS === #

    def _finance_verb(self, field_name, before, after):
        """Return the verb of a change of state, None where it has none."""
        return VERBS.get(after)

    def _finance_event_values(self, verb):
        """Return what an event about this payment says, see finance.capture."""
        self.ensure_one()
        return {
            "object": "payment",
            "version": CONTRACT_VERSION,
            "label": self.name or self.memo or str(self.id),
            "company": self.company_id,
            "correlation_id": self.finance_correlation_id,
            "data": payload.payment(self),
        }
