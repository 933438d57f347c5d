from datetime import datetime, time, timedelta, timezone
from ipaddress import IPv6Address, ip_address

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from ...signing import (
    api_key_matches,
    api_key_prefix,
    generate_api_key,
)
from ...transport import AddressRefused, parse_networks
from .. import clock, constants
from ..access import create_guarded, refuse_fields, require_group

# Fields that move by the buttons alone, and the value that a new record has.
GUARDED = {
    "state": "draft",
    "key_prefix": False,
    "key_set_at": False,
    "previous_key_prefix": False,
    "previous_valid_until": False,
}


class FinanceClient(models.Model):
    """A machine identity of the REST API, with scopes.

    Its key is shown once and stored as a digest only.
    """

    _name = "finance.client"
    _description = "Finance API Client"
    _inherit = ["mail.thread"]
    _order = "connector_id, name, id"

    name = fields.Char(required=True, tracking=True)
    connector_id = fields.Many2one(
        "finance.connector",
        required=True,
        index=True,
        ondelete="cascade",
    )
    # Always the connector's, so there is nothing to compare them with.
    company_id = fields.Many2one(
        related="connector_id.company_id", store=True, index=True
    )
    environment = fields.Selection(related="connector_id.environment", store=True)
    user_id = fields.Many2one(
        "res.users",
        string="Owner",
        required=True,
        default=lambda self: self.env.user,
        tracking=True,
        domain="[('share', '=', False)]",
        help="The person who answers for what this client does.",
    )
    scope_ids = fields.Many2many(
        "finance.scope",
        string="May",
        tracking=True,
        help="What the client may do. Give it nothing that it does not need.",
    )
    expires_on = fields.Date(
        required=True,
        default=lambda self: (
            clock.now().date() + timedelta(days=constants.DEFAULT_KEY_DAYS)
        ),
        tracking=True,
        help="The last day on which the key is accepted, by UTC.",
    )
    state = fields.Selection(
        [("draft", "No Key Yet"), ("active", "Active"), ("revoked", "Revoked")],
        required=True,
        default="draft",
        readonly=True,
        copy=False,
        tracking=True,
    )
    allowed_networks = fields.Char(
        string="Only From",
        tracking=True,
        help="Networks that the client may call from, separated by commas, such as "
        "192.0.2.0/24, 2001:db8::/32. Empty means: from anywhere.",
    )
    rate_limit = fields.Integer(
        string="Calls per Minute",
        required=True,
        default=constants.DEFAULT_CALLS_PER_MINUTE,
        tracking=True,
        help="More calls than that are refused until there is room again. So many may "
        "come at once after a pause.",
    )
    key_prefix = fields.Char(
        string="Key",
        readonly=True,
        copy=False,
        help="The public part of the key. The rest of it is stored nowhere.",
    )
    key_set_at = fields.Datetime(readonly=True, copy=False, tracking=True)
    previous_key_prefix = fields.Char(string="Previous Key", readonly=True, copy=False)
    previous_valid_until = fields.Datetime(
        readonly=True,
        copy=False,
        help="Until then, the key before the last rotation is accepted, too.",
    )
    # Nobody reads these through the ORM but this module.
    key_digest = fields.Char(groups=fields.NO_ACCESS, copy=False)
    previous_key_digest = fields.Char(groups=fields.NO_ACCESS, copy=False)
    usage_ids = fields.One2many("finance.client.usage", "client_id")
    last_used_at = fields.Datetime(string="Last Used", related="usage_ids.last_used_at")
    last_used_from = fields.Char(related="usage_ids.last_used_from")
    last_used_key = fields.Char(
        string="With the Key",
        related="usage_ids.last_used_key",
        help="Tells after a rotation whether the other side has changed over.",
    )
    is_expired = fields.Boolean(compute="_compute_is_expired")

    _rate_range = models.Constraint(
        f"CHECK (rate_limit BETWEEN 1 AND {constants.MAX_CALLS_PER_MINUTE})",
        f"Calls per minute must be 1 to {constants.MAX_CALLS_PER_MINUTE}.",
    )
    _key_prefix_unique = models.UniqueIndex("(key_prefix) WHERE key_prefix IS NOT NULL")
    _previous_key_prefix_unique = models.UniqueIndex(
        "(previous_key_prefix) WHERE previous_key_prefix IS NOT NULL"
    )

    # === COMPUTES === #

    @api.depends("expires_on")
    def _compute_is_expired(self):
        now = clock.now()
        for client in self:
            client.is_expired = bool(client.expires_on and now >= client._ends_at())

    # === CONSTRAINTS === #

    @api.constrains("allowed_networks")
    def _check_allowed_networks(self):
        for client in self:
            try:
                parse_networks(client.allowed_networks)
            except AddressRefused as error:
                raise ValidationError(str(error)) from error

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):
        clients = super().create(create_guarded(self.env, vals_list, GUARDED))
        self.env["finance.client.usage"].sudo().create(
            [
                {
                    "client_id": client.id,
                    "tokens": client.rate_limit,
                    "tokens_at": clock.naive_now(),
                }
                for client in clients
            ]
        )
        return clients

    def write(self, vals):
        refuse_fields(self.env, vals, GUARDED.keys())
        for client in self:
            if (
                client.state != "draft"
                and vals.get("connector_id", client.connector_id.id)
                != client.connector_id.id
            ):
                raise UserError(
                    self.env._(
                        "The key of “%s” was made for one system. Make another client "
                        "instead.",
                        client.name,
                    )
                )
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_only_draft(self):
        if any(client.state != "draft" for client in self):
            raise UserError(
                self.env._(
                    "A client that had a key keeps its history. Revoke it instead of "
                    "deleting it."
                )
            )

    # === ACTIONS === #

    def action_generate(self):
        """Make a key, or its successor, and show it this once.

        :return: a client action that shows the key; it is stored nowhere in clear
        """
        self.ensure_one()
        require_group(self.env, constants.GROUP_ADMINISTRATOR)
        self.check_access("write")
        if self.is_expired:
            raise UserError(
                self.env._("“%s” has expired. Choose a later day first.", self.name)
            )
        client = self.sudo()
        new = self._new_key()
        now = clock.naive_now()
        values = {
            "state": "active",
            "key_prefix": new.prefix,
            "key_digest": new.digest,
            "key_set_at": now,
            "previous_key_prefix": False,
            "previous_key_digest": False,
            "previous_valid_until": False,
        }
        if client.state == "active":
            values.update(
                previous_key_prefix=client.key_prefix,
                previous_key_digest=client.key_digest,
                previous_valid_until=now + constants.KEY_OVERLAP,
            )
        client.write(values)
        return {
            "type": "ir.actions.client",
            "tag": "finance_hub.show_secret",
            "target": "new",
            "name": self.env._("API key of %s", self.name),
            "params": {
                "secret": new.key,
                "name": self.name,
                "overlap_until": fields.Datetime.to_string(client.previous_valid_until)
                or False,
            },
        }

    def action_revoke(self):
        """End the key at once, its predecessor too.

        The digests are kept: who calls with a revoked key shall be known.
        """
        require_group(self.env, constants.GROUP_ADMINISTRATOR)
        self.check_access("write")
        self.sudo().write({"state": "revoked", "previous_valid_until": False})
        return True

    # === BUSINESS METHODS === #

    @api.model
    def _new_key(self):
        """Return a key whose public part nobody has."""
        while True:
            new = generate_api_key()
            if not self._by_prefix(new.prefix):
                return new

    @api.model
    def _by_prefix(self, prefix):
        return self.sudo().search(
            [
                "|",
                ("key_prefix", "=", prefix),
                ("previous_key_prefix", "=", prefix),
            ],
            limit=1,
        )

    @api.model
    def _identify(self, key):
        """Return whose key it is, an empty recordset when nobody's.

        Also for a key that is no longer accepted; see :meth:`_key_problem`.

        :param str key: as it came
        """
        prefix = api_key_prefix(key)
        client = self._by_prefix(prefix) if prefix else self.browse()
        # One comparison for each, known or not: the time tells nothing.
        digest = (
            client.previous_key_digest
            if client and client.previous_key_prefix == prefix
            else client.key_digest
        )
        return client if api_key_matches(key, digest or None) else self.browse()

    def _key_problem(self, key):
        """Return why a key of this client is not accepted, None if it is.

        :return: (code, sentence for whoever calls)
        """
        self.ensure_one()
        now = clock.now()
        if self.state != "active":
            return "KEY-REVOKED", "This key was revoked. Ask the hub's administrator."
        if now >= self._ends_at():
            return (
                "KEY-EXPIRED",
                f"This client ended with {self.expires_on}. Ask the hub's "
                "administrator for a later day.",
            )
        if api_key_prefix(key) == self.previous_key_prefix and (
            not self.previous_valid_until
            or self.previous_valid_until <= clock.naive(now)
        ):
            return (
                "KEY-REPLACED",
                "This key was replaced by a newer one, and the time to change over "
                "has ended. Use the newer one.",
            )
        return None

    def _ends_at(self):
        """Return the first moment at which the key is not accepted any more."""
        return datetime.combine(
            self.expires_on + timedelta(days=1), time.min, timezone.utc
        )

    def _may_come_from(self, remote_addr):
        """Return whether calls from an address are accepted.

        :param str remote_addr: IPv4 or IPv6; what is none comes from nowhere
        """
        self.ensure_one()
        networks = parse_networks(self.allowed_networks)
        if not networks:
            return True
        try:
            address = ip_address(remote_addr or "")
        except ValueError:
            return False
        # The way a dual-stack socket writes an IPv4 address.
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(
            address.version == network.version and address in network
            for network in networks
        )

    def _may(self, scope):
        """Return whether the client holds a scope, such as ``event:read``."""
        self.ensure_one()
        return scope in self.scope_ids.mapped("name")

    def _usable(self):
        """Return those of ``self`` that could call now, as far as their key goes."""
        return self.filtered(
            lambda client: client.state == "active" and not client.is_expired
        )
