import uuid
from collections import namedtuple
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import MissingError
from odoo.tools import SQL

from .. import clock
from . import payload
from .constants import OVERDUE_BATCH_SIZE, OVERDUE_LOOKBACK_DAYS
from .memory import memory_of
from .reading import values

# ``in_payment`` counts as paid: the document is settled, though the bank has not
# confirmed it yet (a state that Odoo Community skips).
SETTLED = ("paid", "in_payment")
OPEN = ("not_paid", "partial")
_Now = namedtuple("_Now", "state payment_state checked")


class AccountMove(models.Model):
    _name = "account.move"
    _inherit = ["account.move", "finance.captured"]

    _finance_fields = _Now._fields

    finance_correlation_id = fields.Char(
        string="Correlation",
        copy=False,
        readonly=True,
        index="btree_not_null",
        help="Joins this document with its events, deliveries, messages and payments.",
    )
    finance_overdue_on = fields.Date(
        string="Announced as Overdue",
        copy=False,
        readonly=True,
        help="The due date that this document has been announced as overdue for.",
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
            self._finance_note_reversal(vals)
        return super().create(vals_list)

    def write(self, vals):
        if "state" in vals:
            # The state was just read to see whether it may change.
            self.env["finance.capture"]._remember_cached(self)
        self._finance_note_reversal(vals)
        return super().write(vals)

    def _finance_note_reversal(self, vals):
        if reversed_id := vals.get("reversed_entry_id"):
            memory_of(self.env.cr).reversed.add(reversed_id)

    # === HOOKS === #

    def _post(self, soft=True):
        posted = super()._post(soft)
        # Posted before, taken back and posted again is a change, too, though the
        # state is the same in the end: what was posted may be something else.
        self.env["finance.capture"]._note(posted, "posted")
        return posted

    # === EVENTS === #

    def _finance_now(self):
        try:
            return {move.id: tuple(values(move, _Now)) for move in self}
        except MissingError:
            return super()._finance_now()

    def _finance_transitions(self, before, now, marks):
        """Return the transitions of a document or entry, see finance.captured.

        What a draft goes through concerns nobody: a document counts from the time
        it is posted. Its payment is told anew whenever it is posted.
        """
        self.ensure_one()
        is_document = self.move_type in payload.OBJECTS
        was = before and before["state"]
        state = now["state"]
        found = []
        if self.reversed_entry_id and not is_document:
            self._finance_touch_reversed(state)
        if state == "posted":
            fresh = was != "posted" or "posted" in marks
            if fresh:
                found.append(("posted", None))
            elif is_document and now["checked"] and not before["checked"]:
                found.append(("approved", None))
            if is_document:
                settled_before = "not_paid" if fresh else before["payment_state"]
                verb = self._finance_payment_verb(settled_before, now["payment_state"])
                if verb:
                    found.append((verb, None))
                if "overdue" in marks and now["payment_state"] in OPEN:
                    found.append(("overdue", None))
            elif "reversed" in marks and self._finance_posted_reversals():
                found.append(("reversed", None))
        elif is_document or was == "posted":
            if state == "cancel" and was != "cancel":
                found.append(("cancelled", None))
            elif state == "draft" and was in ("posted", "cancel"):
                found.append(("reset_to_draft", None))
        return found

    @api.model
    def _finance_payment_verb(self, before, after):
        """Return the verb of a change of the payment state, None without one."""
        if after in SETTLED:
            return None if before in SETTLED else "paid"
        if before == after:
            return None
        if after == "partial":
            return "payment_reversed" if before in SETTLED else "partially_paid"
        if after == "not_paid":
            return "payment_reversed" if before in (*SETTLED, "partial") else None
        if after == "reversed":
            return "reversed"
        return None

    def _finance_posted_reversals(self):
        return self.reversal_move_ids.filtered(lambda move: move.state == "posted")

    def _finance_touch_reversed(self, state):
        """Have the entry that this one reverses looked at, too."""
        capture = self.env["finance.capture"]
        if state == "posted":
            capture._note(self.reversed_entry_id, "reversed")
        else:
            capture._touch("account.move", self.reversed_entry_id.ids)

    def _finance_facts(self):
        return payload.facts(self)

    def _finance_event_values(self, verb, extra=None, facts=None):
        """Return what an event about this document says, see finance.captured."""
        self.ensure_one()
        told = facts["told"] if facts else {}
        data = told.get(self.id)
        if data is None:
            build = (
                payload.document
                if self.move_type in payload.OBJECTS
                else payload.journal_entry
            )
            data = told[self.id] = build(self, facts)
        return [
            {
                "object": payload.OBJECTS.get(self.move_type, "journal_entry"),
                "label": self.name,
                "company": self.company_id,
                "correlation_id": self._finance_correlation(),
                "data": data,
                "last_sequence": facts and facts["sequences"].get(self.id),
            }
        ]

    # === OVERDUE === #

    @api.model
    def _cron_finance_overdue(self):
        """Announce the documents that became overdue, once for each due date.

        Yesterday's are found today. Documents that have been overdue for longer
        than the look-back were announced long ago, or are older than the hub.
        """
        today = clock.now().date()
        domain = [
            ("move_type", "in", list(payload.OBJECTS)),
            ("state", "=", "posted"),
            ("payment_state", "in", OPEN),
            ("invoice_date_due", "<", today),
            ("invoice_date_due", ">=", today - timedelta(OVERDUE_LOOKBACK_DAYS)),
        ]
        cron = self.env["ir.cron"]
        remaining = self._finance_unannounced_overdue(domain, count=True)
        cron._commit_progress(remaining=remaining)
        while moves := self._finance_unannounced_overdue(domain):
            # Beneath the ORM: a posted document must not be touched by a write.
            self.env.cr.execute(
                "UPDATE account_move SET finance_overdue_on = invoice_date_due"
                " WHERE id = ANY(%s)",
                [moves.ids],
            )
            moves.invalidate_recordset(["finance_overdue_on"], flush=False)
            self.env["finance.capture"]._note(moves, "overdue")
            if not cron._commit_progress(len(moves)):
                break

    @api.model
    def _finance_unannounced_overdue(self, domain, count=False):
        query = self.sudo()._search(domain, bypass_access=True)
        query.add_where(
            "account_move.finance_overdue_on IS DISTINCT FROM"
            " account_move.invoice_date_due"
        )
        if count:
            return len(query)
        query.limit = OVERDUE_BATCH_SIZE
        query.order = SQL("account_move.id")
        return self.sudo().browse(query)

    # === CORRELATION === #

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
