from typing import NamedTuple

from odoo import api, fields, models, tools

from ...providers import ADAPTERS, Adapter, Reply
from .. import constants
from ..connector.finance_connector import is_json


class Gate(NamedTuple):
    """What the edge has to know of a connector before it lets a call in.

    :ivar max_bytes: largest body it takes
    :ivar rate: calls per minute, 0 for no limit
    :ivar accepted: what the provider wants to hear when a message was stored
    :ivar refused: what it wants to hear when a call was not verified
    """

    id: int
    name: str
    company_id: int
    state: str
    encrypt_bodies: bool
    max_bytes: int
    rate: int
    accepted: Reply | None
    refused: Reply | None
    adapter: Adapter
    file_adapter: Adapter | None

    def adapter_of(self, headers):
        """Return how a message is read, as ``finance.connector._format_of`` does."""
        if self.file_adapter and not is_json(headers):
            return self.file_adapter
        return self.adapter


class FinanceConnector(models.Model):
    """What a connector lets in, and how it is kept."""

    _inherit = "finance.connector"

    encrypt_bodies = fields.Boolean(
        string="Encrypt What Comes In",
        tracking=True,
        help="Keep the content of messages encrypted. It is decrypted for processing, "
        "and for people with the role “Confidential Content”. For systems that send "
        "personal or confidential data.",
    )
    inbound_rate = fields.Integer(
        string="Calls per Minute",
        tracking=True,
        help="More than this are refused for the moment (429). 0 means no limit.",
    )
    refusal_count = fields.Integer(
        string="Refused Calls", compute="_compute_refusal_count"
    )

    _inbound_rate_range = models.Constraint(
        f"CHECK (inbound_rate BETWEEN 0 AND {constants.MAX_INBOUND_RATE})",
        f"Enter 0 to {constants.MAX_INBOUND_RATE} calls per minute.",
    )

    # === COMPUTES === #

    def _compute_refusal_count(self):
        since = self.env["finance.refusal"]._recently()
        groups = self.env["finance.refusal"]._read_group(
            [("connector_id", "in", self.ids), ("minute", ">=", since)],
            ["connector_id"],
            ["number:sum"],
        )
        counts = {connector.id: number for connector, number in groups}
        for connector in self:
            connector.refusal_count = counts.get(connector.id, 0)

    # === ACTIONS === #

    def action_open_refusals(self):
        self.ensure_one()
        return self._action_related(
            "finance_refusal_action", {"search_default_today": 1}
        )

    # === BUSINESS METHODS === #

    @api.model
    @tools.ormcache("code")
    def _inbound_gate(self, code):
        """Return the :class:`Gate` of a connector, None if there is none.

        Kept in memory until a connector or credential changes: each call asks.
        """
        connector = self.sudo().search([("code", "=", code)], limit=1)
        if not connector:
            return None
        adapter = ADAPTERS[connector.adapter]
        file_adapter = ADAPTERS.get(connector.file_adapter)
        replies = connector._inbound_replies()
        return Gate(
            connector.id,
            connector.name,
            connector.company_id.id,
            connector.state,
            connector.encrypt_bodies,
            max(
                min(
                    known.max_bytes or constants.MAX_BODY_BYTES,
                    constants.MAX_FILE_BYTES,
                )
                for known in filter(None, (adapter, file_adapter))
            ),
            connector.inbound_rate,
            replies.accepted,
            replies.refused,
            adapter,
            file_adapter,
        )
