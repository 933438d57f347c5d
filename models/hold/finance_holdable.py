from odoo import api, fields, models

from ..access import refuse_fields
from ..windows import list_of


class FinanceHoldable(models.AbstractModel):
    """What can be held: a document, a payment, a counterparty."""

    _name = "finance.holdable"
    _description = "Finance Holdable"

    finance_hold_text = fields.Text(
        string="Held", compute="_compute_finance_hold_text", compute_sudo=True
    )
    finance_hold_stops = fields.Boolean(
        string="Stopped by a Hold",
        compute="_compute_finance_hold_text",
        compute_sudo=True,
    )
    finance_maybe_held = fields.Boolean(
        string="May Be Held",
        copy=False,
        readonly=True,
        help="Kept by the holds themselves: without it nothing has to be looked up "
        "before it is posted.",
    )

    def write(self, vals):
        # True does no harm: it is looked at more closely then.
        if not vals.get("finance_maybe_held", True):
            refuse_fields(self.env, vals, {"finance_maybe_held"})
        return super().write(vals)

    def _compute_finance_hold_text(self):
        by_record = self._finance_holds_by_record()
        for record in self:
            holds = by_record.get(record.id, self.env["finance.hold"])
            record.finance_hold_text = "\n".join(
                self.env._(
                    "%(kind)s hold: %(reason)s Released by %(released_by)s.",
                    kind=hold._kind_label(),
                    reason=hold._reason_sentence(),
                    released_by=hold.released_by_text,
                )
                for hold in holds
            )
            record.finance_hold_stops = any(hold._stops() for hold in holds)

    def _finance_holds_by_record(self):
        """Return {id: active holds} of the records themselves."""
        found = {}
        for hold in self.env["finance.hold"]._active(self):
            found[hold.res_id] = found.get(hold.res_id, hold.browse()) | hold
        return found

    # === ACTIONS === #

    def action_open_finance_holds(self):
        """Show the holds of the record, those of the past, too."""
        self.ensure_one()
        self.env["finance.hold"].check_access("read")
        return list_of(
            self.env,
            "finance_hold_action",
            [("res_model", "=", self._name), ("res_id", "=", self.id)],
        )

    # === HOOKS === #

    @api.model
    def _finance_holdable_states(self):
        """Return the states in which the record still waits to be posted."""
        return ("draft",)

    def _finance_waits_to_post(self):
        """Return whether a clearance of the record is still needed."""
        self.ensure_one()
        return self.state in self._finance_holdable_states()
