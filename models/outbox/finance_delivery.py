import json
import logging

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from .. import clock, constants
from ..access import require_group
from ..privacy.showing import shown_text
from . import batching, body
from .claiming import busy_endpoints
from .dispatcher import Dispatcher
from .finance_event import filter_attributes
from .unlocked import Unlocked, keep

_logger = logging.getLogger(__name__)


class FinanceDelivery(models.Model):
    """An event on its way to one endpoint.

    A narrow row: what is sent stays with the event, what came back with the
    attempts, so that marking a row costs little.
    """

    _name = "finance.delivery"
    _inherit = ["finance.waking"]
    _description = "Finance Delivery"
    _order = "id desc"
    _rec_name = "event_id"
    _log_access = False

    event_id = Unlocked(
        "finance.event", required=True, index=True, readonly=True, ondelete="restrict"
    )
    endpoint_id = Unlocked(
        "finance.endpoint", required=True, readonly=True, ondelete="restrict"
    )
    subscription_id = Unlocked(
        "finance.subscription", readonly=True, ondelete="restrict"
    )
    connector_id = fields.Many2one(
        related="endpoint_id.connector_id", search="_search_connector_id"
    )
    # That of the event.
    company_id = Unlocked("res.company", required=True, readonly=True)
    aggregate = fields.Char(required=True, readonly=True)
    state = fields.Selection(
        [
            ("waiting", "Waiting"),
            ("parked", "Parked"),
            ("delivered", "Delivered"),
            ("dead", "Given Up"),
            ("cancelled", "Cancelled"),
        ],
        required=True,
        readonly=True,
        help="Parked: an earlier event of the same document was given up, and the "
        "order is kept until somebody decides.",
    )
    lane = fields.Selection(
        [("critical", "Critical"), ("standard", "Standard"), ("bulk", "Bulk")],
        required=True,
        readonly=True,
    )
    version = fields.Integer(
        readonly=True,
        aggregator=False,
        help="The version of the contract that this subscriber gets.",
    )
    batch_id = fields.Many2one(
        "finance.batch", readonly=True, index="btree_not_null", ondelete="restrict"
    )
    replay_id = fields.Integer(readonly=True, aggregator=False)
    feed_position = fields.Integer(readonly=True, aggregator=False)
    created_at = fields.Datetime(required=True, readonly=True)
    due_at = fields.Datetime(string="Next Attempt", readonly=True)
    delivered_at = fields.Datetime(readonly=True)
    attempt_count = fields.Integer(string="Tries", readonly=True)
    throttle_count = fields.Integer(
        readonly=True, help="How often the receiver asked to slow down."
    )
    last_status = fields.Integer(string="Last Answer", readonly=True, aggregator=False)
    last_error = fields.Char(readonly=True)
    exception_id = fields.Many2one(
        "finance.exception", readonly=True, index="btree_not_null", ondelete="set null"
    )
    attempt_ids = fields.One2many("finance.attempt", "delivery_id", "Attempts")
    event_type = fields.Char(related="event_id.type", string="Event Type")
    event_title = fields.Char(related="event_id.title", string="What Happened")
    occurred_at = fields.Datetime(related="event_id.occurred_at")
    correlation_id = fields.Char(related="event_id.correlation_id")
    body_text = fields.Text(string="Content", compute="_compute_body_text")
    blocked_by_id = fields.Many2one(
        "finance.delivery",
        string="Waits for",
        compute="_compute_blocked_by_id",
        help="An earlier event of the same document that must arrive first.",
    )

    # What is due: the claim starts at the head of one endpoint and lane.
    _claim_idx = models.Index(
        "(endpoint_id, lane, due_at, id) WHERE state = 'waiting' AND due_at IS NOT NULL"
    )
    # What a batch is made of: collected, without a time of its own.
    _collect_idx = models.Index(
        "(subscription_id, id)"
        " WHERE state = 'waiting' AND due_at IS NULL AND batch_id IS NULL"
    )
    # Who goes before whom in one document.
    _order_idx = models.Index(
        "(endpoint_id, aggregate, id) WHERE state IN ('waiting', 'parked', 'dead')"
    )
    # The rows that people look for are few, however long the table.
    _open_idx = models.Index(
        "(state, id DESC) WHERE state IN ('waiting', 'parked', 'dead', 'cancelled')"
    )
    # How many of an endpoint need somebody, and whose exception they hang on.
    _stuck_idx = models.Index("(endpoint_id, state) WHERE state IN ('parked', 'dead')")
    _dead_idx = models.Index("(exception_id, endpoint_id) WHERE state = 'dead'")
    _endpoint_idx = models.Index("(endpoint_id, id DESC)")
    # How far a replay is: counted without reading a row.
    _replay_idx = models.Index("(replay_id, state, id) WHERE replay_id IS NOT NULL")
    _feed_position_unique = models.UniqueIndex(
        "(endpoint_id, feed_position) WHERE feed_position IS NOT NULL"
    )

    def init(self):
        result = super().init()
        keep(self, "event_id", "endpoint_id", "subscription_id")
        return result

    # === COMPUTES === #

    def _search_connector_id(self, operator, value):
        return [("endpoint_id.connector_id", operator, value)]

    @api.depends("event_id", "endpoint_id")
    def _compute_display_name(self):
        for delivery in self:
            delivery.display_name = (
                f"{delivery.event_id.label} → {delivery.endpoint_id.name}"
            )

    @api.depends_context("uid")
    def _compute_body_text(self):
        for delivery in self:
            shown = shown_text(
                self.env,
                delivery._body().decode(),
                delivery.sudo().endpoint_id.connector_id,
            )
            delivery.body_text = json.dumps(
                json.loads(shown), indent=2, ensure_ascii=False
            )[: constants.PREVIEW_CHARS]

    def _compute_blocked_by_id(self):
        for delivery in self:
            delivery.blocked_by_id = (
                self.search(
                    [
                        ("endpoint_id", "=", delivery.endpoint_id.id),
                        ("aggregate", "=", delivery.aggregate),
                        ("state", "in", ("waiting", "parked", "dead")),
                        ("due_at", "!=", False),
                        ("replay_id", "=", delivery.replay_id),
                        ("id", "<", delivery.id),
                    ],
                    order="id",
                    limit=1,
                )
                if delivery.state in ("waiting", "parked")
                else False
            )

    # === ACTIONS === #

    def action_retry(self):
        """Send again, at once and with a fresh schedule.

        Deliveries that wait are pulled forward; given-up and cancelled ones begin
        anew. What was delivered is left alone. What is in a batch that has not arrived
        goes with that batch: it holds others, and a file has its totals.
        """
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        deliveries = self.filtered(
            lambda delivery: (
                delivery.state in ("waiting", "parked", "dead", "cancelled")
            )
        )
        if not deliveries:
            raise UserError(
                self.env._(
                    "Nothing to send: what you chose is delivered, or waits behind an "
                    "earlier event that has to be decided first."
                )
            )
        batches = deliveries.batch_id.filtered(lambda b: b.state in ("waiting", "dead"))
        if batches:
            batches.sudo()._rearm()
        deliveries.filtered(lambda d: d.batch_id not in batches).sudo()._rearm()
        return True

    def action_cancel(self):
        """Give a delivery up for good, so that what waits behind it can go."""
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        deliveries = self.filtered(lambda d: d.state in ("waiting", "parked", "dead"))
        if not deliveries:
            raise UserError(self.env._("Only what is not delivered can be cancelled."))
        exceptions = deliveries.exception_id
        deliveries = deliveries.sudo()
        batches = deliveries.batch_id.filtered(lambda b: b.state in ("waiting", "dead"))
        for batch in batches.filtered(lambda b: b.format != "cloudevents"):
            raise UserError(
                self.env._(
                    "What is in a file can't be taken out of it. Cancel the whole "
                    "batch: %s.",
                    batch.display_name,
                )
            )
        leaving = deliveries.filtered(lambda d: d.batch_id in batches)
        leaving.batch_id = False
        deliveries.write({"state": "cancelled", "exception_id": False})
        batching.recount(self.env, batches.subscription_id)
        deliveries._unpark()
        exceptions.sudo()._resolve_if_done(self.env._("Deliveries cancelled"))
        return True

    def action_open_event(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "finance.event",
            "res_id": self.event_id.id,
            "views": [(False, "form")],
        }

    def action_open_trace(self):
        self.ensure_one()
        self.check_access("read")
        return self.env["finance.trace.step"]._action_for(
            self.correlation_id, self.event_id.label
        )

    # === BUSINESS METHODS === #

    def _rearm(self):
        """Make the deliveries due now, with all attempts of the schedule ahead.

        What was in a batch goes on its own, and what was parked behind a delivery
        follows it.
        """
        self.write(
            {
                "state": "waiting",
                "due_at": clock.naive_now(),
                "attempt_count": 0,
                "throttle_count": 0,
                "batch_id": False,
            }
        )
        self._unpark()

    def _unpark(self):
        """Let what was parked behind ``self`` be looked at again."""
        self.flush_model()
        self.env.execute_query(
            SQL(
                """
                UPDATE finance_delivery d
                   SET state = 'waiting',
                       due_at = CASE WHEN d.due_at IS NULL THEN NULL ELSE %s END
                  FROM finance_delivery p
                 WHERE p.id = ANY(%s)
                   AND d.endpoint_id = p.endpoint_id AND d.aggregate = p.aggregate
                   AND d.id > p.id AND d.state = 'parked'
             RETURNING d.id
                """,
                clock.naive_now(),
                self.ids,
            )
        )
        self.invalidate_model(flush=False)
        self._wake_after_commit()

    def _message(self):
        """Return (headers, body) of the request, as a dispatcher sends it."""
        self.ensure_one()
        self.flush_recordset()
        subscription = self.subscription_id.sudo()
        form = body.form(
            subscription.content_mode,
            subscription.mask_personal,
            subscription.mask_confidential,
        )
        return body.message(body.row(self.event_id), form, self.version)

    def _body(self):
        """Return the request body as bytes."""
        return self._message()[1]

    # === ROUTING === #

    @api.model
    def _routed(self, events):
        """Return the deliveries that events set out on.

        One for each endpoint and version; none of what breaks its contract.

        :param events: list of (id, ``capture.insertion.EventRow``)
        :return: list of dicts in JSON types
        """
        routes = self.env["finance.subscription"]._routes
        deliveries, lanes = [], set()
        for event_pk, row in events:
            if row.problem:
                continue
            taken = set()
            for subscriber in routes(row.company_id, row.type):
                target = (subscriber.endpoint_id, subscriber.version)
                if target in taken or not _wants(subscriber, row):
                    continue
                taken.add(target)
                lanes.add(subscriber.lane)
                deliveries.append(
                    {
                        "event_id": event_pk,
                        "endpoint_id": subscriber.endpoint_id,
                        "subscription_id": subscriber.subscription_id,
                        "company_id": row.company_id,
                        "aggregate": row.aggregate,
                        "lane": subscriber.lane,
                        "version": subscriber.version,
                        "realtime": subscriber.realtime,
                        "pulled": subscriber.pulled,
                    }
                )
        if lanes:
            # The one list of new deliveries that may have been read before.
            self.env["finance.endpoint"].invalidate_model(["delivery_ids"], flush=False)
            self._wake_after_commit(lanes)
        return deliveries

    @api.model
    def _recorded(self, events):
        """Report what can't be sent of new events.

        :param events: list of (id, ``capture.insertion.EventRow``)
        """
        for event_pk, row in events:
            if row.problem:
                self._report_problem(event_pk, row)

    @api.model
    def _report_problem(self, event_pk, row):
        """Open the exception of an event that can't be sent."""
        self.env["finance.exception"]._open(
            "D-SCHEMA",
            company=self.env["res.company"].browse(row.company_id),
            record=self.env["finance.event"].browse(event_pk),
            fingerprint=f"event:{event_pk}",
            summary=self.env._(
                "%(label)s: the event can't be sent, its content breaks the contract.",
                label=row.label,
            ),
            cause=row.problem,
            correlation_id=row.correlation_id,
        )

    # === WAKING === #

    @api.model
    def _wake_job(self, lane):
        return (
            "_job_dispatch",
            f"root.finance_hub.dispatch.{lane}",
            self.env._("Deliver finance events (%s lane)", lane),
        )

    @api.model
    def _wake_after_commit(self, lanes=constants.LANES):
        return super()._wake_after_commit(lanes)

    # === JOBS AND CRONS === #

    @api.model
    def _job_dispatch(self, lane):
        """Deliver what is due in a lane, for a bounded time; see Dispatcher."""
        dispatcher = Dispatcher(self.env.registry, lane)
        statistics = dispatcher.run()
        if statistics.out_of_time:
            self._wake(lane)
        elif eta := dispatcher.next_wake():
            self._wake(lane, eta)
        return str(statistics)

    @api.model
    def _cron_sweep(self):
        """Find what no job was made for.

        queue_job's identity keys ignore jobs that are running, so a wake-up can
        fall between the end of a dispatcher's search and the end of its job. This
        is the guarantee that nothing waits for ever.
        """
        for lane in constants.LANES:
            if busy_endpoints(self.env.cr, lane, clock.naive_now()):
                self._wake(lane)


def _wants(subscriber, row):
    """Whether a subscriber takes an event, beyond its type.

    What is said of an endpoint or connector never goes there: a system that is down
    would be told of it by the way that is down, and of that again.
    """
    if row.res_model == "finance.endpoint" and row.res_id == subscriber.endpoint_id:
        return False
    if row.res_model == "finance.connector" and row.res_id == subscriber.connector_id:
        return False
    condition = subscriber.condition
    if condition is None:
        return True
    return condition.matches(json.loads(row.data), filter_attributes(row))
