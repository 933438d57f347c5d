import uuid

from odoo import api, fields, models

from . import payload

CONTRACT_VERSION = 2


class AccountMove(models.Model):
    _inherit = "account.move"

    finance_correlation_id = fields.Char(
        string="Correlation",
        copy=False,
        readonly=True,
        index="btree_not_null",
        help="Joins this document with its events, deliveries, messages and payments.",
    )
    finance_event_count = fields.Integer(compute="_compute_finance_event_count")

    def _compute_finance_event_count(self):
        groups = (
            self.env["finance.event"]
            .sudo()
            ._read_group(
                [("res_model", "=", "account.move"), ("res_id", "in", self.ids)],
                ["res_id"],
                ["__count"],
            )
        )
        counts = dict(groups)
        for move in self:
            move.finance_event_count = counts.get(move.id, 0)

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):
        correlation_id = self.env.context.get("finance_correlation_id")
        for vals in vals_list:
            vals.setdefault(
                "finance_correlation_id", correlation_id or str(uuid.uuid4())
            )
        moves = super().create(vals_list)
        self.env["finance.capture"]._snapshot_new(moves, "payment_state")
        return moves

    def write(self, vals):
        # Posting is noted by _post; here, what undoes it. A posted document that is
        # cancelled passes through draft first, and the snapshot collapses that.
        if vals.get("state") in ("draft", "cancel"):
            self.env["finance.capture"]._snapshot(self, "state")
        return super().write(vals)

    # === HOOKS === #

    def _post(self, soft=True):
        posted = super()._post(soft)
        self.env["finance.capture"]._note(
            posted.filtered(lambda move: move.move_type in payload.OBJECTS), "posted"
        )
        return posted

    def _compute_payment_state(self):
        self.env["finance.capture"]._snapshot(self, "payment_state")
        return super()._compute_payment_state()

    # === EVENTS === #

    def _finance_verb(self, field_name, before, after):
        """Return the verb of a change of ``field_name``, None where it has none.

        ``in_payment`` counts as paid: the document is settled, though the bank has
        not confirmed it yet (a state that Odoo Community skips).
        """
        self.ensure_one()
        if self.move_type not in payload.OBJECTS:
            return None
        if field_name == "state":
            return {"cancel": "cancelled", "draft": "reset_to_draft"}.get(after)
        if self.state != "posted":
            return None
        settled = ("paid", "in_payment")
        if after in settled:
            return None if before in settled else "paid"
        if after == "partial":
            return "payment_reversed" if before in settled else "partially_paid"
        if after == "not_paid":
            return "payment_reversed" if before in (*settled, "partial") else None
        if after == "reversed":
            return "reversed"
        return None

    def _finance_event_values(self, verb):
        """Return what an event about this document says, see finance.capture."""
        self.ensure_one()
        return {
            "object": payload.OBJECTS[self.move_type],
            "version": CONTRACT_VERSION,
            "label": self.name,
            "company": self.company_id,
            "correlation_id": self._finance_correlation(),
            "data": payload.document(self),
        }

    def _finance_correlation(self):
        """Return the correlation id; one is made for documents from before."""
        self.ensure_one()
        if not self.finance_correlation_id:
            dbuuid = self.env["ir.config_parameter"].sudo().get_param("database.uuid")
            correlation_id = str(
                uuid.uuid5(uuid.UUID(dbuuid), f"account.move/{self.id}")
            )
            # Beneath the ORM: a posted document must not be touched by a write,
            # and this runs at the very end of a transaction.
            self.env.cr.execute(
                "UPDATE account_move SET finance_correlation_id = %s WHERE id = %s",
                [correlation_id, self.id],
            )
            self.invalidate_recordset(["finance_correlation_id"], flush=False)
            return correlation_id
        return self.finance_correlation_id

    # === ACTIONS === #

    def action_open_finance_trace(self):
        """Show everything that belongs to this document, in order of time."""
        self.ensure_one()
        return self.env["finance.trace.step"]._action_for(
            self._finance_correlation(), self.display_name
        )
