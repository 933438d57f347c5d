from typing import NamedTuple

from odoo import api, fields, models, tools
from odoo.exceptions import ValidationError

from ...contracts import EVENT_TYPES, ContractError, match, validate_pattern
from .. import constants

NEWEST_VERSION = max(declared.version for declared in EVENT_TYPES.values())


class Subscriber(NamedTuple):
    """A subscription as routing sees it.

    :ivar realtime: whether an event is due at once, rather than collected for a batch
    """

    subscription_id: int
    endpoint_id: int
    lane: str
    realtime: bool


class FinanceSubscription(models.Model):
    """Which events go to an endpoint."""

    _name = "finance.subscription"
    _description = "Finance Subscription"
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

    # === COMPUTES === #

    @api.depends("patterns")
    def _compute_matched_types(self):
        for subscription in self:
            patterns = subscription._pattern_list()
            subscription.matched_types = ", ".join(
                name
                for name in EVENT_TYPES
                if any(match(pattern, name) for pattern in patterns)
            )

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

    @api.constrains("delivery_mode", "endpoint_id")
    def _check_delivery_mode(self):
        for subscription in self:
            if (
                subscription.endpoint_id.transport == "feed"
                and subscription.delivery_mode != "realtime"
            ):
                raise ValidationError(
                    self.env._(
                        "“%s” is a pull feed: its reader decides how much it fetches "
                        "at a time. Choose real time.",
                        subscription.endpoint_id.name,
                    )
                )

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):
        subscriptions = super().create(vals_list)
        self.env.registry.clear_cache()
        return subscriptions

    def write(self, vals):
        result = super().write(vals)
        self.env.registry.clear_cache()
        return result

    def unlink(self):
        result = super().unlink()
        self.env.registry.clear_cache()
        return result

    # === BUSINESS METHODS === #

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

        :return: tuple of :class:`Subscriber`, one per endpoint
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
            if any(match(p, event_type) for p in subscription._pattern_list()):
                routes.setdefault(
                    subscription.endpoint_id.id,
                    Subscriber(
                        subscription.id,
                        subscription.endpoint_id.id,
                        subscription.lane,
                        # A feed is fetched, so nothing in it is ever due.
                        subscription.delivery_mode == "realtime"
                        and subscription.endpoint_id.transport != "feed",
                    ),
                )
        return tuple(routes.values())
