import json

from odoo import api, fields, models
from odoo.exceptions import UserError

from ...contracts import EVENT_TYPES
from .. import constants
from ..access import require_group
from ..guard import OWN_ROW, drop_former, guard, only, setting
from ..privacy.showing import shown_data
from .unlocked import Unlocked, keep


class FinanceEvent(models.Model):
    """One immutable row of the outbox.

    Rows are written by ``finance.capture`` beneath the ORM; the database itself
    refuses to change or delete them.
    """

    _name = "finance.event"
    _description = "Finance Event"
    _order = "id desc"
    _rec_name = "label"
    _log_access = False

    event_id = fields.Char(string="Event ID", required=True, readonly=True)
    type = fields.Char(required=True, readonly=True)
    aggregate = fields.Char(required=True, readonly=True)
    sequence = fields.Integer(required=True, readonly=True)
    company_id = Unlocked("res.company", required=True, readonly=True)
    source = fields.Char(required=True, readonly=True)
    subject = fields.Char(required=True, readonly=True)
    label = fields.Char(string="Document", required=True, readonly=True)
    occurred_at = fields.Datetime(required=True, readonly=True)
    correlation_id = fields.Char(required=True, readonly=True)
    causation_id = fields.Char(string="Caused By", readonly=True)
    actor = fields.Char(required=True, readonly=True)
    # As it is, confidential fields included; ``data_text`` is what people are shown.
    data = fields.Json(
        required=True, readonly=True, groups=constants.GROUP_CONFIDENTIAL
    )
    problem = fields.Text(
        readonly=True, help="Why the content breaks its contract, if it does."
    )
    res_model = fields.Char(string="Model", required=True, readonly=True)
    res_id = fields.Many2oneReference(
        string="Record", model_field="res_model", required=True, readonly=True
    )
    title = fields.Char(string="What Happened", compute="_compute_title")
    data_text = fields.Text(string="Content", compute="_compute_data_text")
    delivery_ids = fields.One2many("finance.delivery", "event_id", "Deliveries")
    delivery_state = fields.Selection(
        [
            ("none", "Nobody Subscribed"),
            ("waiting", "On Its Way"),
            ("delivered", "Delivered"),
            ("failed", "Needs Attention"),
        ],
        compute="_compute_delivery_state",
    )

    _event_id_unique = models.UniqueIndex("(event_id)")
    # No two events of an aggregate have the same place in it.
    _aggregate_unique = models.UniqueIndex("(aggregate, sequence, company_id)")
    _correlation_idx = models.Index("(correlation_id)")
    _record_idx = models.Index("(res_model, res_id)")
    # With all that a replay picks by, so that skipping what it does not want reads
    # no row.
    _company_idx = models.Index("(company_id, id DESC) INCLUDE (type, occurred_at)")
    _occurred_idx = models.Index("(company_id, type, occurred_at, id)")
    _type_idx = models.Index("(type, id DESC)")

    def init(self):
        """Make the database refuse what the ORM must never do."""
        drop_former(self.env.cr, self._table, "finance_event_immutable")
        guard(
            self.env.cr,
            self._table,
            delete=(setting("purge"), OWN_ROW),
            update=(f"{setting('pseudonymise')} AND {only('data', 'label')}",),
        )
        keep(self, "company_id")

    # === COMPUTES === #

    @api.depends("type")
    def _compute_title(self):
        for event in self:
            # A type that is no longer published is still in the log.
            known = EVENT_TYPES.get(event.type)
            event.title = known.title if known else event.type

    @api.depends("data", "type")
    @api.depends_context("uid")
    def _compute_data_text(self):
        for event in self:
            data = shown_data(self.env, event.type, event.sudo().data)
            event.data_text = json.dumps(data, indent=2, ensure_ascii=False)

    @api.depends("delivery_ids.state")
    def _compute_delivery_state(self):
        for event in self:
            states = set(event.delivery_ids.mapped("state")) - {"cancelled"}
            if event.problem or "dead" in states:
                event.delivery_state = "failed"
            elif not states:
                event.delivery_state = "none"
            elif states == {"delivered"}:
                event.delivery_state = "delivered"
            else:
                event.delivery_state = "waiting"

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):  # pylint: disable=method-required-super
        raise UserError(
            self.env._("Events are recorded by what happens, never by hand.")
        )

    def write(self, vals):  # pylint: disable=method-required-super
        raise UserError(self.env._("An event that was recorded never changes."))

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("An event that was recorded is never deleted."))

    # === ACTIONS === #

    def action_open_record(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": self.res_model,
            "res_id": self.res_id,
            "view_mode": "form",
            "views": [(False, "form")],
        }

    def action_open_trace(self):
        self.ensure_one()
        self.check_access("read")
        return self.env["finance.trace.step"]._action_for(
            self.correlation_id, self.label
        )

    def action_send_again(self):
        """Open a replay of the chosen events, to be counted and given a reason."""
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        return self.env["finance.replay"]._action_new(self)

    # === BUSINESS METHODS === #

    def _filter_attributes(self):
        """Return what a subscription's condition may ask beside the content."""
        self.ensure_one()
        return filter_attributes(self)


def filter_attributes(event):
    """Return the attributes of an event, or of its row, by their names on the wire."""
    return {
        "type": event.type,
        "subject": event.subject,
        "source": event.source,
        "actor": event.actor,
        "partitionkey": event.aggregate,
        "correlationid": event.correlation_id,
        "causationid": event.causation_id or None,
    }
