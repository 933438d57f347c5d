import logging
from datetime import time, timedelta

from markupsafe import Markup
from psycopg2.errors import SerializationFailure
from psycopg2.extras import execute_values

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain

from ...contracts import EVENT_TYPES, ContractError, newest, validate_pattern
from .. import clock, constants
from ..access import create_guarded, refuse_fields, require_group
from .replay_selection import STATE_OF_ROW, Selection

_logger = logging.getLogger(__name__)

# A transaction that lost a race is simply run again.
MAX_TRIES = 5
# Stands for the id of a row that is about to be inserted: above all others.
NEW_ROW = float("inf")

NOT_COUNTED = {
    "counts": False,
    "total": 0,
    "document_total": 0,
    "count_complete": False,
    "counted_by_id": False,
    "counted_at": False,
    "until_event_id": 0,
}
# Fields that move by the buttons alone, and the value that a new record has.
GUARDED = {
    "state": "draft",
    "requested_by_id": False,
    "approved_by_id": False,
    "started_at": False,
    "finished_at": False,
    "running_since": False,
    "figures_before": 0,
    "cursor_event_id": 0,
    "cursor_document": False,
    "all_made": False,
    "next_due_at": False,
    "enqueued": 0,
    "final_delivered": 0,
    "final_failed": 0,
    "problem": False,
    **NOT_COUNTED,
}
# What is chosen: once counted, a change asks for a new count.
CRITERIA = {
    "kind",
    "company_id",
    "endpoint_ids",
    "subscription_ids",
    "patterns",
    "occurred_from",
    "occurred_to",
    "aggregate",
    "event_ids",
    "with_delivered",
    "with_given_up",
    "with_cancelled",
    "with_unsent",
    "with_documents",
}
OVER_STATES = ("done", "cancelled")


class FinanceReplay(models.Model):
    """Events that are sent again, or to a new subscriber, in a pace of their own.

    A replay makes deliveries of events that exist; it changes no event, so that a
    receiver gets the same id and the same bytes as before. It works in chunks: the
    deliveries of a chunk and the place it has come to are written in one
    transaction, so a crash neither loses an event nor sends one twice.
    """

    _name = "finance.replay"
    _description = "Finance Replay"
    _inherit = ["finance.waking", "mail.thread"]
    _order = "id desc"
    _check_company_auto = True

    kind = fields.Selection(
        [("replay", "Send Again"), ("backfill", "Backfill")],
        required=True,
        default="replay",
        help="Send again: what was sent before, or should have been. Backfill: a new "
        "subscriber gets what happened before it subscribed.",
    )
    state = fields.Selection(
        [
            ("draft", "Draft"),
            ("counted", "Counted"),
            ("to_approve", "To Approve"),
            ("running", "Running"),
            ("paused", "Paused"),
            ("done", "Done"),
            ("cancelled", "Cancelled"),
        ],
        required=True,
        default="draft",
        readonly=True,
        copy=False,
        tracking=True,
    )
    reason = fields.Text(tracking=True, help="Why this is sent; kept for good.")
    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    endpoint_ids = fields.Many2many(
        "finance.endpoint",
        "finance_replay_endpoint_rel",
        string="Send To",
        required=True,
        check_company=True,
        domain="[('company_id', '=', company_id)]",
    )
    subscription_ids = fields.Many2many(
        "finance.subscription",
        "finance_replay_subscription_rel",
        string="Only for Subscriptions",
        check_company=True,
        domain="[('endpoint_id', 'in', endpoint_ids)]",
        help="Empty means every subscription of these endpoints.",
    )
    patterns = fields.Char(
        string="Event Types",
        required=True,
        default="*",
        help="Event types separated by commas; * stands for anything, as in "
        "finance.invoice.* or finance.*.paid.v1. What an endpoint has not subscribed "
        "to is not sent to it.",
    )
    occurred_from = fields.Datetime(
        string="Happened From", help="In your time zone. Empty means from the start."
    )
    occurred_to = fields.Datetime(
        string="Happened Before", help="In your time zone. Empty means until now."
    )
    aggregate = fields.Char(
        string="Only the Document",
        help="All that happened to one document, such as invoice/12.",
    )
    event_ids = fields.Many2many(
        "finance.event",
        "finance_replay_event_rel",
        string="Only These Events",
        check_company=True,
        copy=False,
    )
    event_count = fields.Integer(string="Picked Events", compute="_compute_event_count")
    with_delivered = fields.Boolean(
        string="Delivered", help="Sent again: the receiver gets them a second time."
    )
    with_given_up = fields.Boolean(
        string="Given Up",
        default=True,
        help="With what waits behind them in the same document.",
    )
    with_cancelled = fields.Boolean(string="Cancelled")
    with_unsent = fields.Boolean(
        string="Never Sent",
        default=True,
        help="What happened before the endpoint had subscribed to it.",
    )
    with_documents = fields.Boolean(
        string="Documents From Before the Hub",
        help="Also documents that were there before this app was installed: an event "
        "is recorded for each of them, with the document as it is today.",
    )
    rate = fields.Integer(
        string="Deliveries per Second",
        required=True,
        default=constants.REPLAY_DEFAULT_RATE,
        tracking=True,
        help="Never faster than this. What happens meanwhile is sent at once, as "
        "ever, and does not wait for this.",
    )
    # === THE COUNT === #
    counts = fields.Json(readonly=True, copy=False)
    count_html = fields.Html(string="What Would Be Sent", compute="_compute_count_html")
    total = fields.Integer(
        string="Deliveries", readonly=True, copy=False, aggregator=False
    )
    document_total = fields.Integer(
        string="Deliveries of Documents", readonly=True, copy=False, aggregator=False
    )
    count_complete = fields.Boolean(readonly=True, copy=False)
    total_text = fields.Char(string="To Send", compute="_compute_total_text")
    counted_by_id = fields.Many2one("res.users", readonly=True, copy=False)
    counted_at = fields.Datetime(readonly=True, copy=False)
    until_event_id = fields.Integer(readonly=True, copy=False, aggregator=False)
    needs_approval = fields.Boolean(compute="_compute_needs_approval")
    # === WHO === #
    requested_by_id = fields.Many2one(
        "res.users", readonly=True, copy=False, tracking=True
    )
    approved_by_id = fields.Many2one(
        "res.users", readonly=True, copy=False, tracking=True
    )
    # === HOW FAR === #
    started_at = fields.Datetime(string="Started", readonly=True, copy=False)
    finished_at = fields.Datetime(string="Finished", readonly=True, copy=False)
    running_since = fields.Datetime(readonly=True, copy=False)
    figures_before = fields.Integer(readonly=True, copy=False, aggregator=False)
    cursor_event_id = fields.Integer(readonly=True, copy=False, aggregator=False)
    cursor_document = fields.Json(readonly=True, copy=False)
    all_made = fields.Boolean(readonly=True, copy=False)
    next_due_at = fields.Datetime(readonly=True, copy=False)
    problem = fields.Text(readonly=True, copy=False)
    enqueued = fields.Integer(
        readonly=True,
        copy=False,
        aggregator=False,
        help="Deliveries made so far; they are made shortly before they are due.",
    )
    final_delivered = fields.Integer(readonly=True, copy=False, aggregator=False)
    final_failed = fields.Integer(readonly=True, copy=False, aggregator=False)
    waiting = fields.Integer(compute="_compute_figures")
    delivered = fields.Integer(string="Arrived", compute="_compute_figures")
    failed = fields.Integer(
        string="Needs Attention",
        compute="_compute_figures",
        help="Given up, or behind one that was given up.",
    )
    percent = fields.Float(string="Progress", compute="_compute_figures")
    measured_rate = fields.Float(
        string="Measured per Second", compute="_compute_figures", digits=(12, 1)
    )
    expected_end_at = fields.Datetime(string="Expected End", compute="_compute_figures")

    _rate_range = models.Constraint(
        f"CHECK (rate BETWEEN 1 AND {constants.REPLAY_MAX_RATE})",
        f"Send 1 to {constants.REPLAY_MAX_RATE} deliveries per second.",
    )
    _reason_present = models.Constraint(
        "CHECK (state IN ('draft', 'counted', 'cancelled')"
        " OR btrim(COALESCE(reason, '')) <> '')",
        "Say why this is sent.",
    )
    _running_idx = models.Index("(id) WHERE state = 'running'")

    # === COMPUTES === #

    @api.depends("kind")
    def _compute_display_name(self):
        labels = dict(self._fields["kind"]._description_selection(self.env))
        for replay in self:
            label = labels.get(replay.kind, "")
            replay.display_name = f"{label} {replay._origin.id or ''}".strip()

    @api.depends("event_ids")
    def _compute_event_count(self):
        for replay in self:
            replay.event_count = len(replay.event_ids)

    @api.depends("kind", "total", "document_total", "count_complete")
    def _compute_needs_approval(self):
        for replay in self:
            replay.needs_approval = (
                replay.kind == "backfill"
                or not replay.count_complete
                or replay.total > constants.REPLAY_APPROVAL_THRESHOLD
            )

    @api.depends("total", "document_total", "count_complete", "counted_at")
    def _compute_total_text(self):
        for replay in self:
            total = replay.total + replay.document_total
            if not replay.counted_at:
                replay.total_text = False
            elif replay.count_complete:
                replay.total_text = f"{total:,}"
            else:
                replay.total_text = self.env._("more than %s", f"{total:,}")

    @api.depends("counts", "total_text")
    def _compute_count_html(self):
        for replay in self:
            replay.count_html = replay.counts and replay._count_html()

    def _compute_figures(self):
        groups = (
            self.env["finance.delivery"]
            .sudo()
            ._read_group(
                [
                    ("replay_id", "in", self.filtered("started_at").ids),
                    ("company_id", "in", self.company_id.ids),
                ],
                ["replay_id", "state"],
                ["__count"],
            )
        )
        figures = {}
        for replay_id, state, count in groups:
            figures.setdefault(replay_id, {})[state] = count
        now = clock.naive_now()
        for replay in self:
            found = figures.get(replay.id, {})
            replay.waiting = found.get("waiting", 0)
            if replay.state in OVER_STATES:
                replay.delivered = replay.final_delivered
                replay.failed = replay.final_failed
            else:
                replay.delivered = found.get("delivered", 0)
                replay.failed = found.get("dead", 0) + found.get("parked", 0)
            replay._compute_progress(now)

    def _compute_progress(self, now):
        self.ensure_one()
        finished = self.delivered + self.failed
        if self.all_made:
            total = self.enqueued
        elif self.count_complete:
            total = max(self.enqueued, self.total + self.document_total)
        elif self.enqueued and self.cursor_event_id:
            # How many there are is known only where one has been.
            total = self.enqueued * self.until_event_id / self.cursor_event_id
        else:
            total = 0
        if self.state == "done":
            self.percent = 100
        else:
            self.percent = min(100.0 * finished / total, 100.0) if total else 0
        self.measured_rate = 0
        self.expected_end_at = False
        if self.state == "running" and self.running_since:
            seconds = max((now - self.running_since).total_seconds(), 1)
            self.measured_rate = max(finished - self.figures_before, 0) / seconds
            # Before anything has arrived, the pace that was asked for is all we know.
            pace = min(self.measured_rate or self.rate, self.rate)
            if total > finished:
                left = timedelta(seconds=(total - finished) / pace)
                self.expected_end_at = (now + left).replace(microsecond=0)

    def _count_html(self):
        """Return the result of the dry run as tables for people."""
        self.ensure_one()
        counts = self.counts
        states = {
            "delivered": self.env._("Delivered before"),
            "given_up": self.env._("Given up before"),
            "cancelled": self.env._("Cancelled before"),
            "unsent": self.env._("Never sent"),
        }
        endpoints = {str(endpoint.id): endpoint.name for endpoint in self.endpoint_ids}

        def title(name):
            known = EVENT_TYPES.get(name)
            return f"{known.title} ({name})" if known else name

        def table(heading, rows):
            if not rows:
                return Markup()
            return Markup(
                '<table class="table table-sm"><thead><tr><th>%s</th>'
                '<th class="text-end">%s</th></tr></thead><tbody>%s</tbody>'
                "</table>"
            ) % (
                heading,
                self.env._("Number"),
                Markup().join(
                    Markup('<tr><td>%s</td><td class="text-end">%s</td></tr>')
                    % (label, f"{number:,}")
                    for label, number in rows
                ),
            )

        def by_number(found, label):
            ordered = sorted(found.items(), key=lambda item: -item[1])
            return [(label(key), number) for key, number in ordered]

        parts = [
            table(
                self.env._("What happened"), by_number(counts.get("types", {}), title)
            ),
            table(
                self.env._("Earlier delivery"),
                by_number(counts.get("states", {}), lambda key: states[key]),
            ),
            table(
                self.env._("Send to"),
                by_number(
                    counts.get("endpoints", {}), lambda key: endpoints.get(key, key)
                ),
            ),
            table(
                self.env._("Documents from before the hub"),
                by_number(counts.get("documents", {}), title),
            ),
        ]
        if counts.get("first"):
            first, last = (
                fields.Datetime.context_timestamp(
                    self, fields.Datetime.from_string(counts[key])
                ).strftime("%Y-%m-%d %H:%M")
                for key in ("first", "last")
            )
            parts.append(
                Markup("<p>%s</p>")
                % self.env._("From %(first)s to %(last)s.", first=first, last=last)
            )
        if counts.get("sample"):
            parts.append(
                Markup("<p>%s</p>")
                % self.env._("For example: %s", ", ".join(counts["sample"]))
            )
        return Markup().join(parts)

    # === CONSTRAINTS === #

    @api.constrains("patterns")
    def _check_patterns(self):
        for replay in self:
            if not replay._pattern_list():
                raise ValidationError(
                    self.env._("Name at least one event type, or * for all of them.")
                )
            for pattern in replay._pattern_list():
                try:
                    validate_pattern(pattern)
                except ContractError as error:
                    raise ValidationError(str(error)) from error

    @api.constrains("endpoint_ids", "subscription_ids", "company_id")
    def _check_endpoints(self):
        for replay in self:
            if not replay.endpoint_ids:
                raise ValidationError(self.env._("Say where to send to."))
            if replay.subscription_ids.endpoint_id - replay.endpoint_ids:
                raise ValidationError(
                    self.env._(
                        "The subscriptions must be of the endpoints you send to."
                    )
                )

    @api.constrains("event_ids")
    def _check_event_ids(self):
        for replay in self:
            if len(replay.event_ids) > constants.REPLAY_MAX_CHOSEN:
                raise ValidationError(
                    self.env._(
                        "More than %s events can't be picked one by one. Choose them "
                        "by time and type instead.",
                        f"{constants.REPLAY_MAX_CHOSEN:,}",
                    )
                )

    @api.constrains("occurred_from", "occurred_to")
    def _check_times(self):
        for replay in self:
            start, end = replay.occurred_from, replay.occurred_to
            if start and end and start >= end:
                raise ValidationError(self.env._("The time ends before it begins."))

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):
        return super().create(create_guarded(self.env, vals_list, GUARDED))

    def write(self, vals):
        refuse_fields(self.env, vals, GUARDED.keys())
        if self.env.su:
            return super().write(vals)
        if (CRITERIA | {"reason"}) & vals.keys():
            for replay in self:
                replay._expect_state("draft", "counted")
        if "rate" in vals:
            for replay in self:
                replay._expect_state("draft", "counted", "running", "paused")
        result = super().write(vals)
        if CRITERIA & vals.keys():
            self.filtered(lambda replay: replay.state == "counted").sudo().write(
                {"state": "draft", **NOT_COUNTED}
            )
        return result

    # === ACTIONS === #

    def action_count(self):
        """Count what would be sent; nothing is."""
        self._begin(constants.GROUP_OPERATOR)
        for replay in self:
            replay._expect_state("draft", "counted")
            replay.sudo()._count(self.env.user)
        return True

    def action_start(self):
        """Begin to send, where no second person is needed."""
        self._begin(constants.GROUP_OPERATOR)
        for replay in self:
            replay._expect_state("counted")
            replay._expect_ready()
            if replay.needs_approval:
                raise UserError(
                    self.env._(
                        "This needs somebody else's approval: press Request Approval."
                    )
                )
            replay.sudo().requested_by_id = self.env.user
            replay.sudo()._start()
        return True

    def action_request_approval(self):
        """Ask an approver to let it begin."""
        self._begin(constants.GROUP_OPERATOR)
        for replay in self:
            replay._expect_state("counted")
            replay._expect_ready()
            replay._log(self.env._("Approval requested"), replay.reason)
            replay.sudo().write(
                {"state": "to_approve", "requested_by_id": self.env.user.id}
            )
        return True

    def action_approve(self):
        """Let it begin: a second person's decision."""
        self._begin(constants.GROUP_APPROVER)
        for replay in self:
            replay._expect_state("to_approve")
            if self.env.user in (
                replay.requested_by_id | replay.counted_by_id | replay.create_uid
            ):
                raise UserError(
                    self.env._(
                        "You prepared or requested this yourself, so somebody else "
                        "must approve it."
                    )
                )
            replay.sudo().approved_by_id = self.env.user
            replay._log(self.env._("Approved"))
            replay.sudo()._start()
        return True

    def action_reject(self):
        """Send it back to whoever requested it."""
        self._begin(constants.GROUP_APPROVER)
        for replay in self:
            replay._expect_state("to_approve")
            replay._log(self.env._("Rejected"))
            replay.sudo().write(
                {"state": "draft", "requested_by_id": False, **NOT_COUNTED}
            )
        return True

    def action_pause(self):
        """Hold back what is not sent yet."""
        self._begin(constants.GROUP_OPERATOR, constants.GROUP_APPROVER)
        for replay in self:
            replay._expect_state("running")
            replay.sudo()._hold()
            replay._log(self.env._("Paused"))
        return True

    def action_resume(self):
        """Go on where it was paused."""
        self._begin(constants.GROUP_OPERATOR, constants.GROUP_APPROVER)
        for replay in self:
            replay._expect_state("paused")
            replay._log(self.env._("Resumed"))
            replay.sudo()._go_on()
        return True

    def action_cancel(self):
        """End it; what is not sent yet stays unsent."""
        self._begin(constants.GROUP_OPERATOR, constants.GROUP_APPROVER)
        for replay in self:
            replay._expect_state("draft", "counted", "to_approve", "running", "paused")
            replay.sudo()._call_off()
            replay._log(self.env._("Cancelled"))
        return True

    def action_refresh(self):
        """Have the figures shown anew."""
        self.check_access("read")
        return True

    def action_open_deliveries(self):
        self.ensure_one()
        self.check_access("read")
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "finance_hub.finance_delivery_action"
        )
        action["domain"] = [("replay_id", "=", self.id)]
        action["context"] = {}
        return action

    def _begin(self, *groups):
        """Check that the user may press the button, and for these records."""
        require_group(self.env, *groups)
        self.check_access("read")

    @api.model
    def _action_new(self, events=None, endpoints=None, **defaults):
        """Return the action that opens a new replay, filled in.

        :param events: recordset of ``finance.event`` to send again
        :param endpoints: recordset of ``finance.endpoint`` to send to; by default
            those that the events were for
        :param defaults: further ``default_…`` values
        :raise UserError: when it would concern several companies
        """
        context = dict(defaults)
        if events:
            if len(events) > constants.REPLAY_MAX_CHOSEN:
                raise UserError(
                    self.env._(
                        "More than %s events can't be picked one by one. Open Replays "
                        "and choose them by time and type.",
                        f"{constants.REPLAY_MAX_CHOSEN:,}",
                    )
                )
            endpoints = endpoints or events.delivery_ids.endpoint_id
            context.update(
                default_event_ids=[fields.Command.set(events.ids)],
                default_with_delivered=True,
                default_with_cancelled=True,
            )
        companies = (events or endpoints).company_id
        if len(companies) > 1:
            raise UserError(
                self.env._("Choose what belongs to one company: a replay is for one.")
            )
        context["default_company_id"] = companies.id
        context["default_endpoint_ids"] = [fields.Command.set(endpoints.ids)]
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Send Again"),
            "res_model": self._name,
            "views": [(False, "form")],
            "context": context,
        }

    @api.model
    def _action_for_documents(self, records):
        """Return the action that sends all events of accounting documents again.

        :param records: recordset of a model that has events
        :raise UserError: when there are none
        """
        require_group(self.env, constants.GROUP_OPERATOR)
        records.check_access("read")
        events = self.env["finance.event"].search(
            [("res_model", "=", records._name), ("res_id", "in", records.ids)],
            order="id",
            limit=constants.REPLAY_MAX_CHOSEN + 1,
        )
        if not events:
            raise UserError(
                self.env._(
                    "There are no finance events of this. What was there before the "
                    "hub is sent by a backfill of the endpoint."
                )
            )
        return self._action_new(events)

    # === BUSINESS METHODS === #

    def _pattern_list(self):
        self.ensure_one()
        return [
            part.strip() for part in (self.patterns or "").split(",") if part.strip()
        ]

    def _states(self):
        """Return the states of earlier deliveries that are chosen."""
        self.ensure_one()
        if self.kind == "backfill":
            return ["unsent"]
        chosen = {
            "delivered": self.with_delivered,
            "given_up": self.with_given_up,
            "cancelled": self.with_cancelled,
            "unsent": self.with_unsent,
        }
        return [state for state, wanted in chosen.items() if wanted]

    def _expect_state(self, *states):
        self.ensure_one()
        if self.state not in states:
            labels = dict(self._fields["state"]._description_selection(self.env))
            raise UserError(
                self.env._(
                    "This is %(state)s; it is possible only from: %(allowed)s.",
                    state=labels[self.state],
                    allowed=", ".join(labels[state] for state in states),
                )
            )

    def _expect_ready(self):
        """Refuse to begin without a reason, or for nothing."""
        self.ensure_one()
        if not (self.reason or "").strip():
            raise UserError(self.env._("Say why this is sent: fill in the reason."))
        if not self.total and not self.document_total:
            raise UserError(
                self.env._("There is nothing to send. Choose more, and count again.")
            )

    def _log(self, text, reason=None):
        """Keep who did what, and why, in the chatter."""
        self.ensure_one()
        self.sudo().message_post(
            body=f"{text}: {reason}" if reason else text,
            author_id=self.env.user.partner_id.id,
        )

    def _count(self, user):
        self.ensure_one()
        if not self._states():
            raise UserError(self.env._("Choose at least one kind of earlier delivery."))
        self.env.flush_all()
        self.env.cr.execute("SELECT COALESCE(max(id), 0) FROM finance_event")
        # What happens from now on reaches its subscribers without us.
        self.until_event_id = self.env.cr.fetchone()[0]
        selection = Selection(self)
        counts = selection.count()
        documents = {}
        if self._wants_documents():
            documents, complete = self._count_documents(selection.types)
            counts["complete"] = counts["complete"] and complete
        counts["documents"] = documents
        for key in ("first", "last"):
            if counts[key]:
                counts[key] = fields.Datetime.to_string(counts[key])
        self.write(
            {
                "state": "counted",
                "counts": counts,
                "total": counts["total"],
                "document_total": self._deliveries_of(documents, selection),
                "count_complete": counts["complete"],
                "counted_by_id": user.id,
                "counted_at": clock.naive_now(),
            }
        )
        self.with_user(user)._log(
            self.env._("Counted: %s deliveries to make", self.total_text)
        )

    @staticmethod
    def _deliveries_of(documents, selection):
        """Return how many deliveries documents make, at all subscribers together."""
        return sum(
            documents.get(event_type, 0) for event_type, _e, _v in selection.targets
        )

    # === STARTING AND STOPPING === #

    def _start(self):
        self.ensure_one()
        now = clock.naive_now()
        counts = self.counts or {}
        # Where all is counted, what lies before the first match need not be read.
        cursor = (counts.get("first_id") or 1) - 1 if self.count_complete else 0
        self.write(
            {
                "state": "running",
                "started_at": now,
                "running_since": now,
                "figures_before": 0,
                "cursor_event_id": cursor,
                "next_due_at": now,
            }
        )
        self._log(
            self.env._(
                "Started: %(total)s deliveries, at most %(rate)s per second",
                total=self.total_text,
                rate=self.rate,
            ),
            self.reason,
        )
        self._wake_after_commit()

    def _hold(self):
        """Take back the time of what waits, so that no dispatcher finds it."""
        self.ensure_one()
        self.env.cr.execute(
            """
            UPDATE finance_delivery SET due_at = NULL
             WHERE replay_id = %s AND state = 'waiting'
            """,
            [self.id],
        )
        self.env["finance.delivery"].invalidate_model(flush=False)
        self.state = "paused"

    def _go_on(self):
        """Spread what was held back over the time from now on, in its order."""
        self.ensure_one()
        now = clock.naive_now()
        self.env.cr.execute(
            """
            WITH held AS (
                SELECT d.id, row_number() OVER (ORDER BY d.id) - 1 AS place
                  FROM finance_delivery d
                  JOIN finance_subscription s ON s.id = d.subscription_id
                 WHERE d.replay_id = %(replay)s AND d.state = 'waiting'
                   AND d.due_at IS NULL AND s.delivery_mode = 'realtime'
            )
            UPDATE finance_delivery d
               SET due_at = %(now)s + held.place * %(step)s * interval '1 second'
              FROM held
             WHERE d.id = held.id
            """,
            {"replay": self.id, "now": now, "step": 1 / self.rate},
        )
        held = self.env.cr.rowcount
        self.env["finance.delivery"].invalidate_model(flush=False)
        self.invalidate_recordset(flush=False)
        self.write(
            {
                "state": "running",
                "problem": False,
                "running_since": now,
                "figures_before": self.delivered + self.failed,
                "next_due_at": now + timedelta(seconds=held / self.rate),
            }
        )
        self._wake_after_commit()
        self.env["finance.delivery"]._wake_after_commit(("bulk",))

    def _call_off(self):
        """Give up what waits; what was given up before is so again."""
        self.ensure_one()
        if self.started_at:
            self.env.cr.execute(
                """
                UPDATE finance_delivery
                   SET state = CASE WHEN created_at >= %(started)s THEN 'cancelled'
                                    WHEN exception_id IS NULL THEN 'parked'
                                    ELSE 'dead' END
                 WHERE replay_id = %(replay)s AND state = 'waiting'
                """,
                {"replay": self.id, "started": self.started_at},
            )
        self._close("cancelled")

    def _close(self, state):
        """End the replay, and keep its figures."""
        self.ensure_one()
        self.env["finance.delivery"].invalidate_model(flush=False)
        self.invalidate_recordset(flush=False)
        self.write(
            {
                "state": state,
                "finished_at": clock.naive_now(),
                "final_delivered": self.delivered,
                "final_failed": self.failed,
            }
        )
        if not self.started_at:
            return
        # What was given up before and could not be sent now either keeps its place
        # in the ordinary stream: what comes after it waits for a person, as before.
        self.env.cr.execute(
            """
            UPDATE finance_delivery SET replay_id = NULL
             WHERE replay_id = %(replay)s AND state IN ('dead', 'parked')
               AND created_at < %(started)s
            """,
            {"replay": self.id, "started": self.started_at},
        )
        self._release()

    def _release(self):
        """Let go what was parked behind deliveries that this replay has brought.

        They are of the ordinary stream, which waits for nothing else of a replay;
        but they were parked until a person decided about what came before, and this
        replay is that decision.
        """
        self.ensure_one()
        self.env.cr.execute(
            """
            UPDATE finance_delivery d
               SET state = 'waiting',
                   due_at = CASE WHEN d.due_at IS NOT NULL THEN %(now)s END
             WHERE d.state = 'parked'
               AND d.endpoint_id = ANY(%(endpoints)s)
               AND d.replay_id IS NULL
               -- What this replay has not come to yet is still its own.
               AND d.event_id <= %(cursor)s
               AND EXISTS (
                   SELECT 1 FROM finance_delivery r
                    WHERE r.event_id < d.event_id AND r.endpoint_id = d.endpoint_id
                      AND r.aggregate = d.aggregate AND r.replay_id = %(replay)s)
               AND NOT EXISTS (
                   SELECT 1 FROM finance_delivery b
                    WHERE b.endpoint_id = d.endpoint_id
                      AND b.aggregate = d.aggregate
                      AND b.event_id < d.event_id
                      AND (b.state = 'dead' AND b.replay_id IS NULL
                           OR b.state IN ('waiting', 'parked', 'dead')
                              AND b.replay_id = %(replay)s))
         RETURNING d.lane
            """,
            {
                "now": clock.naive_now(),
                "endpoints": self.endpoint_ids.ids,
                "replay": self.id,
                "cursor": self.cursor_event_id,
            },
        )
        lanes = {lane for (lane,) in self.env.cr.fetchall()}
        self.env["finance.delivery"].invalidate_model(flush=False)
        if lanes:
            self.env["finance.delivery"]._wake_after_commit(lanes)

    # === WORKING === #

    @api.model
    def _wake_job(self, lane):
        return (
            "_job_run",
            "root.finance_hub.replay",
            self.env._("Send finance events again"),
        )

    @api.model
    def _job_run(self):
        """Make the deliveries of all running replays, for a bounded time.

        Each chunk is a transaction of its own, and replays take turns.

        :return: what was done, for the job's result
        """
        deadline = clock.now() + constants.REPLAY_BUDGET
        self.env.cr.execute("SELECT id FROM finance_replay WHERE state = 'running'")
        busy = [replay_id for (replay_id,) in self.env.cr.fetchall()]
        waits, chunks = False, 0
        while busy and clock.now() < deadline:
            for replay_id in list(busy):
                outcome = self._advance(replay_id)
                chunks += outcome == "more"
                waits = waits or outcome == "wait"
                if outcome != "more":
                    busy.remove(replay_id)
        if busy:
            self._wake()
        elif waits:
            self._wake(eta=clock.now() + constants.REPLAY_RECHECK)
        return f"{chunks} chunks"

    @api.model
    def _advance(self, replay_id):
        """Work on one chunk of a replay, in a transaction of its own.

        :return: ``more``, ``wait`` (look again later) or ``idle``
        """
        for attempt in range(1, MAX_TRIES + 1):
            try:
                with self.env.registry.cursor() as cr:
                    env = api.Environment(cr, SUPERUSER_ID, {})
                    # Whoever presses a button holds the row; it is their turn.
                    cr.execute(
                        "SELECT state FROM finance_replay WHERE id = %s"
                        " FOR UPDATE SKIP LOCKED",
                        [replay_id],
                    )
                    found = cr.fetchone()
                    if not found:
                        return "wait"
                    if found[0] != "running":
                        return "idle"
                    return env[self._name].browse(replay_id)._step()
            except SerializationFailure:
                if attempt == MAX_TRIES:
                    _logger.info("finance_hub: replay %s lost its races", replay_id)
                    return "wait"
            except Exception as error:
                _logger.exception("finance_hub: replay %s", replay_id)
                self._stop_with(replay_id, error)
                return "idle"
        return "wait"

    @api.model
    def _stop_with(self, replay_id, error):
        """Pause a replay that can't go on, and have a person look at it."""
        with self.env.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            replay = env[self._name].browse(replay_id)
            replay._hold()
            replay.problem = str(error) or type(error).__name__
            replay._log(env._("Stopped by an error"), replay.problem)
            env["finance.exception"]._open(
                "T-INTERNAL",
                company=replay.company_id,
                record=replay,
                fingerprint=f"replay:{replay_id}",
                summary=env._("%s was stopped by an error", replay.display_name),
                cause=replay.problem,
            )

    @api.model
    def _cron_sweep(self):
        """Find running replays that no job works on; see ``finance.waking``."""
        if self.sudo().search_count([("state", "=", "running")], limit=1):
            self._wake()

    def _step(self):
        """Make the deliveries of the next chunk; write how far that is.

        :return: as :meth:`_advance`
        """
        self.ensure_one()
        if self.all_made:
            return self._finish_if_done()
        now = clock.naive_now()
        self._release()
        if self.next_due_at > now + constants.REPLAY_LEAD or self._is_behind():
            return "wait"
        selection = Selection(self)
        recorded = self.cursor_event_id < self.until_event_id
        if recorded:
            ids, cursor = selection.next_ids(self.cursor_event_id)
            at_end = cursor >= self.until_event_id
            values = {
                "cursor_event_id": cursor,
                "all_made": at_end and not self._wants_documents(),
            }
        else:
            ids, place = self._next_documents(selection.types)
            values = {"cursor_document": place, "all_made": place is None}
        made = self._make(selection, selection.pairs(ids, recorded), now)
        self.write(
            {
                **values,
                "enqueued": self.enqueued + made,
                "next_due_at": max(self.next_due_at, now)
                + timedelta(seconds=made / self.rate),
            }
        )
        return "more"

    # === DOCUMENTS FROM BEFORE === #

    def _wants_documents(self):
        return self.kind == "backfill" and self.with_documents

    @staticmethod
    def _document_types(event_types):
        """Return the types in which events are recorded now, among ``event_types``.

        In the order of the catalogue, which is that of a document's life.
        """
        return [
            name
            for name, entry in EVENT_TYPES.items()
            if name in event_types and newest(entry.base_name).name == name
        ]

    def _document_source(self, event_type):
        """Return what an event type can be made of after the fact.

        :return: (recordset of the model, domain of the documents of the company and
            time without such an event), None where Odoo does not keep that past
        """
        self.ensure_one()
        try:
            model, domain = self.env["finance.capture"]._backfill_domain(event_type)
        except ValueError:
            return None
        records = self.env[model].with_context(active_test=False)
        domain = Domain(domain)
        if "company_id" in records._fields:
            # What companies share belongs to each of them.
            domain &= Domain("company_id", "in", [False, self.company_id.id])
        if "date" in records._fields:
            moment, start, end = "date", self._first_day(), self._day_after()
        else:
            moment, start, end = "create_date", self.occurred_from, self.occurred_to
        if start:
            domain &= Domain(moment, ">=", start)
        if end:
            domain &= Domain(moment, "<", end)
        entry = EVENT_TYPES[event_type]
        known = [
            f"finance.{entry.object}.{entry.verb}.v{version}"
            for version in range(1, entry.version + 1)
        ]
        recorded = self.env["finance.event"]._search(
            [
                ("res_model", "=", model),
                ("type", "in", known),
                ("company_id", "=", self.company_id.id),
            ]
        )
        return records, domain & Domain("id", "not in", recorded.subselect("res_id"))

    def _first_day(self):
        return self.occurred_from and self.occurred_from.date()

    def _day_after(self):
        """Return the first day that is wholly after the time chosen."""
        end = self.occurred_to
        if end and end.time() > time():
            end += timedelta(days=1)
        return end and end.date()

    def _count_documents(self, event_types):
        """Return {event type: number of documents}, and whether that is all."""
        found, complete = {}, True
        for event_type in self._document_types(event_types):
            if source := self._document_source(event_type):
                records, domain = source
                limit = constants.REPLAY_COUNT_LIMIT
                number = records.search_count(domain, limit=limit + 1)
                if number > limit:
                    number, complete = limit, False
                if number:
                    found[event_type] = number
        return found, complete

    def _next_documents(self, event_types):
        """Record the events of the next documents.

        :return: (event ids, place to go on from, None when there are no more)
        """
        wanted = self._document_types(event_types)
        place = self.cursor_document or {"type": wanted[0] if wanted else "", "id": 0}
        if place["type"] not in wanted:
            return [], None
        after = place["id"]
        for event_type in wanted[wanted.index(place["type"]) :]:
            if source := self._document_source(event_type):
                records, domain = source
                documents = records.search(
                    domain & Domain("id", ">", after),
                    order="id",
                    limit=constants.REPLAY_DOCUMENT_CHUNK,
                )
                if documents:
                    ids = self.env["finance.capture"]._backfill(
                        documents, EVENT_TYPES[event_type].verb
                    )
                    return sorted(ids), {"type": event_type, "id": documents[-1].id}
            after = 0
        return [], None

    # === MAKING DELIVERIES === #

    def _is_behind(self):
        """Whether the receivers have enough to do already."""
        most = max(
            constants.REPLAY_MIN_BACKLOG,
            int(self.rate * constants.REPLAY_LEAD.total_seconds()),
        )
        self.env.cr.execute(
            """
            SELECT count(*) FROM (
                SELECT 1 FROM finance_delivery
                 WHERE replay_id = %s AND state = 'waiting'
                 LIMIT %s) w
            """,
            [self.id, most],
        )
        return self.env.cr.fetchone()[0] >= most

    def _finish_if_done(self):
        self._release()
        self.env.cr.execute(
            "SELECT 1 FROM finance_delivery"
            " WHERE replay_id = %s AND state = 'waiting' LIMIT 1",
            [self.id],
        )
        if self.env.cr.fetchone():
            return "wait"
        self._close("done")
        self._log(
            self.env._(
                "Done: %(made)s deliveries, %(delivered)s delivered, %(failed)s need "
                "attention",
                made=self.enqueued,
                delivered=self.final_delivered,
                failed=self.final_failed,
            )
        )
        return "idle"

    def _make(self, selection, pairs, now):
        """Make the deliveries of a chunk, spread over time by the rate.

        What was given up is armed again as long as that keeps the order of its
        document, which is the order of the rows; otherwise a new row takes its place.

        :param pairs: in the order in which they are to arrive
        :return: how many deliveries were made
        """
        if not pairs:
            return 0
        started = max(self.next_due_at, now)
        last = self._last_rows(pairs)
        new, again, replaced, lanes = [], [], [], {"bulk"}
        for index, pair in enumerate(pairs):
            subscriber = selection.subscriber(pair)
            due_at = None
            if subscriber.realtime:
                due_at = started + timedelta(seconds=index / self.rate)
            else:
                lanes.add(subscriber.lane)
            stream = (pair.endpoint_id, pair.aggregate)
            given_up = STATE_OF_ROW[pair.state] == "given_up"
            if (
                given_up
                and pair.delivery_version == subscriber.version
                and last.get(stream, 0) < pair.delivery_id
            ):
                last[stream] = pair.delivery_id
                again.append((pair.delivery_id, due_at, subscriber.subscription_id))
                continue
            # Above all there is; further ones of the chunk follow in their order.
            last[stream] = NEW_ROW
            if given_up:
                replaced.append(pair.delivery_id)
            new.append(
                (
                    pair.event_id,
                    pair.endpoint_id,
                    subscriber.subscription_id,
                    self.company_id.id,
                    pair.aggregate,
                    "waiting",
                    "bulk",
                    subscriber.version,
                    now,
                    due_at,
                    0,
                    0,
                    subscriber.pulled,
                    self.id,
                    pair.exception_id if given_up else None,
                )
            )
        cr = self.env.cr._obj
        if again:
            execute_values(
                cr,
                f"""
                UPDATE finance_delivery d
                   SET state = 'waiting', lane = 'bulk', replay_id = {int(self.id)},
                       attempt_count = 0, throttle_count = 0, batch_id = NULL,
                       feed_position = NULL,
                       due_at = v.due_at, subscription_id = v.subscription_id
                  FROM (VALUES %s) AS v (id, due_at, subscription_id)
                 WHERE d.id = v.id
                """,  # noqa: S608 (a number)
                again,
                template="(%s, %s::timestamp, %s)",
                page_size=len(again),
            )
        if replaced:
            self.env.cr.execute(
                "UPDATE finance_delivery SET state = 'cancelled', exception_id = NULL"
                " WHERE id = ANY(%s)",
                [replaced],
            )
        if new:
            execute_values(
                cr,
                """
                INSERT INTO finance_delivery (
                    event_id, endpoint_id, subscription_id, company_id, aggregate,
                    state, lane, version, created_at, due_at, attempt_count,
                    throttle_count, pulled, replay_id, exception_id
                ) VALUES %s
                """,
                new,
                page_size=len(new),
            )
        self.env["finance.delivery"].invalidate_model(flush=False)
        self.env["finance.delivery"]._wake_after_commit(lanes)
        return len(pairs)

    def _last_rows(self, pairs):
        """Return {(endpoint id, aggregate): last row of this replay that is unsent}."""
        if not any(STATE_OF_ROW[pair.state] == "given_up" for pair in pairs):
            return {}
        self.env.cr.execute(
            """
            SELECT endpoint_id, aggregate, max(id)
              FROM finance_delivery
             WHERE endpoint_id = ANY(%s) AND aggregate = ANY(%s)
               AND state IN ('waiting', 'parked', 'dead') AND replay_id = %s
             GROUP BY endpoint_id, aggregate
            """,
            [
                list({pair.endpoint_id for pair in pairs}),
                list({pair.aggregate for pair in pairs}),
                self.id,
            ],
        )
        return {
            (endpoint_id, aggregate): row_id
            for endpoint_id, aggregate, row_id in self.env.cr.fetchall()
        }
