from typing import NamedTuple

from markupsafe import Markup

from odoo import api, fields, models, tools
from odoo.exceptions import UserError, ValidationError

from ...contracts import (
    EVENT_TYPES,
    ContractError,
    Filter,
    check_filter,
    choose_version,
    compile_filter,
    newest,
    validate_pattern,
)
from .. import constants

NEWEST_VERSION = max(declared.version for declared in EVENT_TYPES.values())


class Subscriber(NamedTuple):
    """A subscription as routing sees it.

    :ivar realtime: whether an event is due at once, rather than collected for a batch
    :ivar version: of the contract in which it gets the event
    :ivar condition: on the content, None for none
    :ivar pulled: whether its endpoint is a feed
    """

    subscription_id: int
    endpoint_id: int
    lane: str
    realtime: bool
    version: int
    condition: Filter | None
    connector_id: int
    pulled: bool


class FinanceSubscription(models.Model):
    """Which events go to an endpoint."""

    _name = "finance.subscription"
    _description = "Finance Subscription"
    _inherit = ["finance.remembered"]
    _order = "endpoint_id, id"

    name = fields.Char(required=True)
    active = fields.Boolean(default=True)
    endpoint_id = fields.Many2one(
        "finance.endpoint", required=True, index=True, ondelete="cascade"
    )
    connector_id = fields.Many2one(
        related="endpoint_id.connector_id", store=True, index=True
    )
    company_id = fields.Many2one(
        related="endpoint_id.company_id", store=True, index=True
    )
    patterns = fields.Char(
        string="Event Types",
        required=True,
        default="finance.invoice.*",
        help="Event types separated by commas; * stands for anything, as in "
        "finance.invoice.* or finance.*.paid.v1.",
    )
    version = fields.Integer(
        string="Contract Version",
        default=lambda self: NEWEST_VERSION,
        aggregator=False,
        help="The newest version of the contracts that this subscriber understands. "
        "A type that has no such version yet is sent in its newest one. 0 means: "
        "always the newest.",
    )
    filter_domain = fields.Char(
        string="Only If",
        help="A condition on the content, as an Odoo domain: "
        "[('total_amount', '>', 1000), ('counterparty.country', '=', 'BE')]",
    )
    content_mode = fields.Selection(
        [
            ("structured", "Structured (one JSON document)"),
            ("binary", "Binary (attributes in headers)"),
            ("batched", "Batched (a JSON list of events)"),
        ],
        required=True,
        default="structured",
        help="How an event is written, see CloudEvents over HTTP.",
    )
    delivery_mode = fields.Selection(
        [
            ("realtime", "Real Time"),
            ("micro_batch", "Micro-batch"),
            ("batch_file", "Batch File"),
        ],
        required=True,
        default="realtime",
        help="Real time: each event at once. Micro-batch: several in one request, when "
        "enough came together or the first has waited long enough. Batch file: a file "
        "with a manifest, on a schedule.",
    )
    batch_count = fields.Integer(
        string="Events per Batch", default=constants.DEFAULT_BATCH_COUNT
    )
    batch_seconds = fields.Integer(
        string="Longest Wait (s)", default=constants.DEFAULT_BATCH_SECONDS
    )
    file_format = fields.Selection(
        [("jsonl", "JSON Lines"), ("csv", "CSV")], default="jsonl"
    )
    file_interval_number = fields.Integer(string="Every", default=1)
    file_interval_type = fields.Selection(
        [
            ("hours", "Hours"),
            ("days", "Days"),
            ("weeks", "Weeks"),
            ("months", "Months"),
        ],
        default="days",
    )
    file_next_at = fields.Datetime(
        string="Next File", default=fields.Datetime.now, help="In your time zone."
    )
    lane = fields.Selection(
        [("critical", "Critical"), ("standard", "Standard"), ("bulk", "Bulk")],
        required=True,
        default="standard",
        help="Each lane has dispatchers of its own, so that bulk never holds up what "
        "is critical.",
    )
    mask_personal = fields.Boolean(
        string="Hide Personal Data",
        help="Names, tax numbers and references of persons are left out or masked.",
    )
    mask_confidential = fields.Boolean(
        string="Hide Confidential Data",
        help="Prices, accounts and analytic details are left out or masked.",
    )
    matched_types = fields.Char(compute="_compute_matched_types")
    preview = fields.Html(
        string="Would Have Matched", compute="_compute_preview", sanitize=False
    )

    # === COMPUTES === #

    @api.depends("patterns", "version")
    def _compute_matched_types(self):
        for subscription in self:
            subscription.matched_types = ", ".join(subscription._types())

    @api.depends("patterns", "version", "filter_domain", "endpoint_id")
    def _compute_preview(self):
        for subscription in self:
            subscription.preview = subscription._render_preview()

    def _render_preview(self):
        """Return in words which of the latest events would have come here."""
        self.ensure_one()
        try:
            condition = self._filter()
            types = self._types()
        except ContractError as error:
            return Markup('<span class="text-danger">%s</span>') % error.message
        company = self.endpoint_id.company_id or self.env.company
        # Both as its reader may see them, and from an index.
        events = self.env["finance.event"].search(
            [("company_id", "=", company.id)], limit=constants.PREVIEW_EVENTS
        )
        taken = events.filtered(
            lambda event: (
                self._choose_version(event.type)
                and (
                    condition is None
                    or condition.matches(event.sudo().data, event._filter_attributes())
                )
            )
        )
        if not types:
            return Markup('<span class="text-danger">%s</span>') % self.env._(
                "No event type has this name."
            )
        if not events:
            return Markup('<span class="text-muted">%s</span>') % self.env._(
                "There are no events yet to try this on."
            )
        summary = self.env._(
            "%(taken)s of the latest %(all)s events.", taken=len(taken), all=len(events)
        )
        lines = Markup().join(
            Markup("<li>%s · %s <code>%s</code></li>")
            % (
                fields.Datetime.to_string(event.occurred_at),
                event.label,
                event.type,
            )
            for event in taken[: constants.PREVIEW_LINES]
        )
        return Markup("<div>%s</div><ul>%s</ul>") % (summary, lines)

    def _types(self):
        """Return the names of the event types that come here, as they are sent."""
        self.ensure_one()
        patterns, pin = self._pattern_list(), self.version or None
        names = (
            choose_version(patterns, pin, name)
            for name in EVENT_TYPES
            if newest(name).name == name
        )
        return [name for name in names if name]

    def _filter(self):
        """Return the condition on the content, None if there is none.

        :raise ContractError: when it can't be read
        """
        self.ensure_one()
        text = self._filter_text()
        return compile_filter(text) if text else None

    def _filter_text(self):
        text = (self.filter_domain or "").strip()
        return "" if text == "[]" else text

    # === CONSTRAINTS === #

    @api.constrains("patterns")
    def _check_patterns(self):
        for subscription in self:
            if not subscription._pattern_list():
                raise ValidationError(
                    self.env._("Name at least one event type, or * for all of them.")
                )
            for pattern in subscription._pattern_list():
                try:
                    validate_pattern(pattern)
                except ContractError as error:
                    raise ValidationError(str(error)) from error

    @api.constrains("filter_domain", "patterns")
    def _check_filter(self):
        for subscription in self:
            try:
                condition = subscription._filter()
                if condition is not None:
                    check_filter(condition, subscription._recorded_types())
            except ContractError as error:
                raise ValidationError(error.message) from error

    @api.constrains("content_mode", "delivery_mode", "endpoint_id")
    def _check_modes(self):
        for subscription in self:
            if subscription.endpoint_id.transport == "feed":
                if subscription.delivery_mode != "realtime":
                    raise ValidationError(
                        self.env._("A pull feed has events one by one: real time.")
                    )
            elif (
                subscription.delivery_mode == "micro_batch"
                and subscription.content_mode != "batched"
            ):
                raise ValidationError(
                    self.env._("A micro-batch is written as a batch: choose Batched.")
                )

    _batch_count_range = models.Constraint(
        f"CHECK (batch_count BETWEEN 1 AND {constants.MAX_BATCH_COUNT})",
        f"A batch has 1 to {constants.MAX_BATCH_COUNT} events.",
    )
    _batch_seconds_range = models.Constraint(
        f"CHECK (batch_seconds BETWEEN 1 AND {constants.MAX_BATCH_SECONDS})",
        f"The longest wait must be 1 to {constants.MAX_BATCH_SECONDS} seconds.",
    )
    _file_interval_range = models.Constraint(
        "CHECK (file_interval_number BETWEEN 1 AND 1000)",
        "Files come every 1 to 1000 hours, days, weeks or months.",
    )
    _file_schedule_present = models.Constraint(
        "CHECK (delivery_mode <> 'batch_file' OR (file_next_at IS NOT NULL"
        " AND file_format IS NOT NULL AND file_interval_type IS NOT NULL))",
        "Say when the next file is due, how often, and in what format.",
    )
    _version_range = models.Constraint(
        "CHECK (version >= 0)", "The contract version is 1, 2 and so on, or 0."
    )

    @api.onchange("delivery_mode")
    def _onchange_delivery_mode(self):
        if self.delivery_mode == "micro_batch":
            self.content_mode = "batched"

    # === CRUD === #

    def write(self, vals):
        if "endpoint_id" in vals:
            self._refuse_moving(vals["endpoint_id"])
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_only_unused(self):
        if (
            self.env["finance.delivery"]
            .sudo()
            .search_count([("subscription_id", "in", self.ids)], limit=1)
        ):
            raise UserError(
                self.env._(
                    "Events went to this subscription, and their history is kept. "
                    "Archive it instead."
                )
            )

    # === BUSINESS METHODS === #

    def _refuse_moving(self, endpoint_id):
        """Refuse another endpoint while events are on their way to this one.

        :raise UserError: saying what to do instead
        """
        moved = self.filtered(lambda s: s.endpoint_id.id != endpoint_id)
        if (
            self.env["finance.delivery"]
            .sudo()
            .search_count(
                [
                    ("subscription_id", "in", moved.ids),
                    ("state", "in", ("waiting", "parked", "dead")),
                ],
                limit=1,
            )
        ):
            raise UserError(
                self.env._(
                    "Events of this subscription are still on their way to its "
                    "endpoint. Make a second subscription at the other endpoint, and "
                    "archive this one."
                )
            )

    def _pattern_list(self):
        self.ensure_one()
        return [
            part.strip() for part in (self.patterns or "").split(",") if part.strip()
        ]

    @api.model
    @tools.ormcache("company_id", "event_type")
    def _routes(self, company_id, event_type):
        """Return where an event of a company goes.

        Cached, as it is asked for inside every posting transaction. Suspended
        connectors and endpoints are routed to as well: what happens meanwhile is
        kept for them.

        :return: tuple of :class:`Subscriber`, one per endpoint and version
        """
        subscriptions = self.sudo().search(
            [
                ("company_id", "=", company_id),
                ("endpoint_id.active", "=", True),
                ("connector_id.active", "=", True),
                ("connector_id.state", "in", ("live", "suspended")),
            ]
        )
        routes = {}
        for subscription in subscriptions:
            chosen = subscription._choose_version(event_type)
            if chosen is None:
                continue
            # Two versions of an event are two messages; two subscriptions that want
            # the same one are not, unless a condition decides which of them does.
            routes.setdefault(
                (subscription.endpoint_id.id, chosen, subscription._filter_text()),
                Subscriber(
                    subscription.id,
                    subscription.endpoint_id.id,
                    subscription.lane,
                    subscription.delivery_mode == "realtime",
                    chosen,
                    subscription._filter(),
                    subscription.connector_id.id,
                    subscription.endpoint_id.transport == "feed",
                ),
            )
        return tuple(routes.values())

    def _recorded_types(self):
        """Return the types, as they are recorded, that come here in some version."""
        return [
            name
            for name in EVENT_TYPES
            if newest(name).name == name and self._choose_version(name)
        ]

    def _choose_version(self, event_type):
        """Return the version in which the subscription gets an event, None if not.

        :param str event_type: the type in which the event is recorded
        """
        self.ensure_one()
        name = choose_version(self._pattern_list(), self.version or None, event_type)
        return name and EVENT_TYPES[name].version
