from odoo import api, fields, models
from odoo.exceptions import UserError

SCOPE = "event:read"


class FinanceEndpoint(models.Model):
    """An endpoint that the other side fetches from: what it needs beside the rest."""

    _inherit = "finance.endpoint"

    feed_ids = fields.One2many("finance.feed", "endpoint_id")
    feed_head = fields.Integer(
        string="Offered",
        related="feed_ids.head",
        help="Events that were put into the feed since it began.",
    )
    feed_acknowledged = fields.Integer(
        string="Fetched",
        related="feed_ids.acknowledged",
        help="Up to which of them the other side has fetched them.",
    )
    feed_acknowledged_at = fields.Datetime(
        string="Last Fetched", related="feed_ids.acknowledged_at"
    )
    feed_url = fields.Char(compute="_compute_feed_url", string="Feed Address")
    feed_example = fields.Char(compute="_compute_feed_url", string="How to Call It")
    feed_client_ids = fields.Many2many(
        "finance.client",
        string="Who May Read It",
        compute="_compute_feed_client_ids",
        help="Clients of the same connector that may read events and whose key is "
        "valid.",
    )

    # === COMPUTES === #

    @api.depends("transport")
    def _compute_feed_url(self):
        for endpoint in self:
            url = example = False
            if endpoint.transport == "feed" and endpoint.ids:
                url = (
                    f"{endpoint.get_base_url()}/finance/v1/events"
                    f"?feed={endpoint.ids[0]}"
                )
                example = f"curl -H 'Authorization: Bearer fhk_…' '{url}'"
            endpoint.feed_url = url
            endpoint.feed_example = example

    @api.depends("transport", "connector_id")
    def _compute_feed_client_ids(self):
        for endpoint in self:
            endpoint.feed_client_ids = (
                endpoint.connector_id.client_ids._usable().filtered(
                    lambda client: client._may(SCOPE)
                )
                if endpoint.transport == "feed"
                else False
            )

    # === CONSTRAINTS === #

    @api.constrains("transport")
    def _check_subscriptions(self):
        self.subscription_ids._check_modes()

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):
        endpoints = super().create(vals_list)
        endpoints._begin_feed()
        return endpoints

    def write(self, vals):
        transport = vals.get("transport")
        if transport:
            changed = self.filtered(
                lambda endpoint: (
                    endpoint.transport != transport
                    and "feed" in (endpoint.transport, transport)
                )
            )
            changed._refuse_if_used()
        result = super().write(vals)
        if transport:
            self._begin_feed()
        return result

    # === BUSINESS METHODS === #

    def _begin_feed(self):
        """Make the feeds of those of ``self`` that are to have one."""
        feeds = self.env["finance.feed"].sudo()
        feeds.create(
            [
                {"endpoint_id": endpoint.id}
                for endpoint in self
                if endpoint.transport == "feed" and not endpoint.sudo().feed_ids
            ]
        )

    def _refuse_if_used(self):
        """Refuse to turn an endpoint with a history into a feed, or back.

        What waits was ordered and counted for the one, and would be sent again, or
        never, by the other.
        """
        if self._has_deliveries():
            raise UserError(
                self.env._(
                    "This endpoint has deliveries. Make another endpoint instead, and "
                    "archive this one."
                )
            )
