import logging

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from ...contracts import ContractError, validate_pattern
from .. import clock, constants
from ..access import create_guarded, refuse_fields, require_group
from .replay_selection import Selection

_logger = logging.getLogger(__name__)

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
            self.env["finance.duty"]._check(
                replay,
                "replay",
                {
                    "requested": replay.requested_by_id,
                    "made": replay.counted_by_id | replay.create_uid,
                },
                message=self.env._(
                    "You prepared or requested this yourself, so somebody else must "
                    "approve it."
                ),
                retry="action_approve",
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
