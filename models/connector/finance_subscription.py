from odoo import api, fields, models, tools
from odoo.exceptions import ValidationError

from ...contracts import EVENT_TYPES, ContractError, match, validate_pattern


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

        :return: tuple of (subscription id, endpoint id), one per endpoint
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
                routes.setdefault(subscription.endpoint_id.id, subscription.id)
        return tuple(
            (subscription, endpoint) for endpoint, subscription in routes.items()
        )
