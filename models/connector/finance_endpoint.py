import pytz

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from ...transport import (
    RETRY_SCHEDULE,
    ROUTING_KEY,
    AddressRefused,
    check_amqp_url,
    check_authorities,
    check_routing_key,
    check_url,
    client_context,
    format_schedule,
    parse_quiet,
    parse_schedule,
)
from ...transport.amqp import check_exchange, is_available
from .. import constants
from .. import proxy as server_proxy
from ..access import create_guarded, refuse_fields, require_group
from ..networks import allowed_networks
from .schemes import AUTHENTICATION, CERTIFICATE, SIGNING

# Fields that move by the buttons alone, and the value that a new record has.
GUARDED = {"state": "live", "suspended_reason": False}

# The fields that hold a credential, and what it has to be for.
CREDENTIALS = {
    "credential_id": SIGNING,
    "auth_credential_id": AUTHENTICATION,
    "client_certificate_id": CERTIFICATE,
}


class FinanceEndpoint(models.Model):
    """Where events of a connector go."""

    _name = "finance.endpoint"
    _description = "Finance Endpoint"
    _inherit = ["finance.remembered", "mail.thread"]
    _order = "connector_id, name, id"
    _check_company_auto = True

    name = fields.Char(required=True, tracking=True)
    connector_id = fields.Many2one(
        "finance.connector",
        required=True,
        index=True,
        ondelete="cascade",
        check_company=True,
    )
    company_id = fields.Many2one(
        related="connector_id.company_id", store=True, index=True
    )
    active = fields.Boolean(default=True)
    transport = fields.Selection(
        [("https", "HTTPS"), ("amqp", "AMQP (RabbitMQ)"), ("feed", "Pull Feed")],
        required=True,
        default="https",
        tracking=True,
        help="HTTPS: events are POSTed to the address. AMQP: they are published to an "
        "exchange of a message broker. Pull feed: the external system fetches them "
        "itself, page by page.",
    )
    url = fields.Char(
        string="Address",
        tracking=True,
        help="HTTPS: where events are POSTed, such as https://host.example/path. "
        "AMQP: the broker, such as amqps://broker.example:5671/vhost, without user "
        "name and password. Private addresses must be allowed by the administrator of "
        "the server.",
    )
    amqp_exchange = fields.Char(
        string="Exchange",
        tracking=True,
        help="The topic exchange of the broker that events are published to. Queues "
        "that are bound to it get what their binding asks for.",
    )
    amqp_declare_exchange = fields.Boolean(
        string="Create the Exchange",
        tracking=True,
        help="Create it as a durable topic exchange where the broker has none of this "
        "name. Otherwise the broker's team does.",
    )
    amqp_routing_key = fields.Char(
        string="Routing Key",
        tracking=True,
        default=ROUTING_KEY,
        help="By this key queues choose. {type} is the event type, such as "
        "finance.invoice.posted.v1; {object}, {verb} and {version} are parts of it, "
        "{company} is the number of the company. A message that no queue asks for "
        "comes back and counts as failed.",
    )
    credential_id = fields.Many2one(
        "finance.credential",
        string="Signing Credential",
        domain="[('connector_id', '=', connector_id), ('direction', '=', 'outbound'),"
        " ('purpose', '=', 'signing')]",
        check_company=True,
        ondelete="restrict",
        tracking=True,
    )
    auth_credential_id = fields.Many2one(
        "finance.credential",
        string="Access",
        domain="[('connector_id', '=', connector_id),"
        " ('purpose', '=', 'authentication')]",
        check_company=True,
        index="btree_not_null",
        ondelete="restrict",
        tracking=True,
        help="How the receiver lets the hub in: an API key, a user name and password, "
        "a token. Empty if the signature is enough for it.",
    )
    client_certificate_id = fields.Many2one(
        "finance.credential",
        domain="[('connector_id', '=', connector_id),"
        " ('purpose', '=', 'client_certificate')]",
        check_company=True,
        index="btree_not_null",
        ondelete="restrict",
        tracking=True,
        help="The certificate that the hub shows while it connects (mTLS), if the "
        "receiver asks for one.",
    )
    ca_pem = fields.Text(
        string="Private Authority",
        help="Only if the receiver's certificate comes from a private authority: the "
        "authority's certificate in PEM form. Then the receiver is verified against "
        "it alone.",
    )
    use_proxy = fields.Boolean(
        string="Through the Proxy",
        default=True,
        tracking=True,
        help="Send through the proxy of the server. Switch it off for a receiver "
        "inside of your own network.",
    )
    proxy_configured = fields.Boolean(compute="_compute_proxy_configured")
    state = fields.Selection(
        [("live", "Live"), ("suspended", "Suspended")],
        required=True,
        default="live",
        readonly=True,
        copy=False,
        tracking=True,
    )
    suspended_reason = fields.Char(readonly=True, copy=False)
    timeout = fields.Integer(
        string="Timeout (s)", default=constants.DEFAULT_TIMEOUT, required=True
    )
    concurrency = fields.Integer(
        string="Requests at a Time",
        default=constants.DEFAULT_CONCURRENCY,
        required=True,
    )
    retry_schedule = fields.Char(
        required=True,
        default=lambda self: format_schedule(RETRY_SCHEDULE),
        help="Seconds to wait before each attempt, separated by commas; the first "
        "is the first attempt. After the last one fails, a person decides.",
    )
    dead_on_client_error = fields.Boolean(
        string="Give Up on Client Errors",
        help="Answers such as 400 or 404 will not get better by trying again: go to "
        "the exception desk at once.",
    )
    rate_limit = fields.Float(
        string="Events per Second",
        tracking=True,
        help="Never faster than this, over all lanes together. 0 means no limit.",
    )
    rate_burst = fields.Integer(
        string="Burst",
        help="How many may go at once after a pause. 0 means as many as one second's.",
    )
    quiet_windows = fields.Char(
        tracking=True,
        help="When the other side wants nothing: times of the day, with days of the "
        "week if not every day, as in “Mon-Fri 22:00-06:00; Sun”. What happens "
        "meanwhile is kept.",
    )
    quiet_tz = fields.Selection(
        selection="_selection_tz",
        string="Time Zone",
        default=lambda self: self.env.user.tz or "UTC",
    )
    suspend_after_days = fields.Integer(
        string="Suspend After (days)",
        default=constants.DEFAULT_SUSPEND_AFTER_DAYS,
        required=True,
        help="After so many days without a single success, the endpoint is suspended "
        "and its owner told. 0 means never.",
    )
    health_ids = fields.One2many(
        "finance.endpoint.health", "endpoint_id", "Health Records"
    )
    subscription_ids = fields.One2many(
        "finance.subscription", "endpoint_id", "Subscriptions"
    )
    delivery_ids = fields.One2many("finance.delivery", "endpoint_id", "Deliveries")

    _timeout_range = models.Constraint(
        f"CHECK (timeout BETWEEN 1 AND {constants.MAX_TIMEOUT})",
        f"The timeout must be 1 to {constants.MAX_TIMEOUT} seconds.",
    )
    _concurrency_range = models.Constraint(
        f"CHECK (concurrency BETWEEN 1 AND {constants.MAX_CONCURRENCY})",
        f"Requests at a time must be 1 to {constants.MAX_CONCURRENCY}.",
    )

    _rate_range = models.Constraint(
        f"CHECK (rate_limit BETWEEN 0 AND {constants.MAX_RATE}"
        f" AND rate_burst BETWEEN 0 AND {constants.MAX_RATE})",
        f"Rate and burst must be 0 to {constants.MAX_RATE}.",
    )
    _suspend_range = models.Constraint(
        f"CHECK (suspend_after_days BETWEEN 0 AND {constants.MAX_SUSPEND_AFTER_DAYS})",
        f"Suspension must come after 0 (never) to {constants.MAX_SUSPEND_AFTER_DAYS} "
        "days.",
    )
    _url_present = models.Constraint(
        "CHECK (transport = 'feed' OR url IS NOT NULL)",
        "Say where to send to.",
    )

    # === COMPUTES === #

    @api.model
    def _selection_tz(self):
        return [(name, name) for name in sorted(pytz.common_timezones)]

    def _compute_proxy_configured(self):
        self.proxy_configured = server_proxy.is_configured()

    # === CONSTRAINTS === #

    @api.constrains("url", "transport")
    def _check_url(self):
        networks = allowed_networks()
        for endpoint in self.filtered("url"):
            check = check_amqp_url if endpoint.transport == "amqp" else check_url
            try:
                check(endpoint.url, networks)
            except AddressRefused as error:
                raise ValidationError(
                    self.env._(
                        "The address %(url)s can't be used: %(error)s",
                        url=endpoint.url,
                        error=error,
                    )
                ) from error

    @api.constrains("transport", "credential_id", "auth_credential_id")
    def _check_amqp_credentials(self):
        for endpoint in self.filtered(lambda e: e.transport == "amqp"):
            login, signing = endpoint.auth_credential_id, endpoint.credential_id
            if login and login.scheme != "basic":
                raise ValidationError(
                    self.env._(
                        "A broker asks for user name and password. Choose a credential "
                        "of that kind instead of “%s”.",
                        login.name,
                    )
                )
            if signing.scheme == "http_message_signatures":
                raise ValidationError(
                    self.env._(
                        "“%s” signs HTTP requests, which a broker never sees. Choose a "
                        "credential for Standard Webhooks.",
                        signing.name,
                    )
                )

    @api.constrains("transport", "amqp_exchange", "amqp_routing_key")
    def _check_amqp(self):
        for endpoint in self:
            if endpoint.transport != "amqp":
                continue
            if not is_available():
                raise ValidationError(
                    self.env._(
                        "This server can't speak AMQP yet: the Python package pika is "
                        "missing. Ask its administrator to install it (pip install "
                        "pika) and to restart Odoo."
                    )
                )
            try:
                check_exchange(endpoint.amqp_exchange)
                check_routing_key(endpoint.amqp_routing_key)
            except ValueError as error:
                raise ValidationError(str(error)) from error

    @api.constrains(
        "credential_id", "auth_credential_id", "client_certificate_id", "connector_id"
    )
    def _check_credential(self):
        for endpoint in self:
            for name, purpose in CREDENTIALS.items():
                credential = endpoint[name]
                if credential and (
                    credential.connector_id != endpoint.connector_id
                    or credential.direction != "outbound"
                    or credential.purpose != purpose
                ):
                    field = self._fields[name]._description_string(self.env)
                    raise ValidationError(
                        self.env._(
                            "“%(name)s” can't be the %(field)s of this endpoint. "
                            "Choose a credential of the same connector that is made "
                            "for what the hub sends and of the right kind.",
                            name=credential.name,
                            field=field,
                        )
                    )

    @api.constrains("ca_pem")
    def _check_ca_pem(self):
        for endpoint in self.filtered("ca_pem"):
            try:
                check_authorities(endpoint.ca_pem)
            except ValueError as error:
                raise ValidationError(str(error)) from error

    @api.constrains("retry_schedule")
    def _check_retry_schedule(self):
        for endpoint in self:
            try:
                parse_schedule(endpoint.retry_schedule)
            except ValueError as error:
                raise ValidationError(str(error)) from error

    @api.constrains("quiet_windows")
    def _check_quiet_windows(self):
        for endpoint in self:
            try:
                parse_quiet(endpoint.quiet_windows)
            except ValueError as error:
                raise ValidationError(str(error)) from error

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):
        endpoints = super().create(create_guarded(self.env, vals_list, GUARDED))
        self.env["finance.endpoint.health"].sudo().create(
            [{"endpoint_id": endpoint.id} for endpoint in endpoints]
        )
        return endpoints

    def write(self, vals):
        refuse_fields(self.env, vals, GUARDED.keys())
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_only_unused(self):
        if self._has_deliveries():
            raise UserError(
                self.env._(
                    "This endpoint has deliveries, and their history is kept. "
                    "Archive it instead."
                )
            )

    def _has_deliveries(self):
        deliveries = self.env["finance.delivery"].sudo()
        return bool(deliveries.search_count([("endpoint_id", "in", self.ids)], limit=1))

    # === ACTIONS === #

    def action_suspend(self):
        """Stop sending to this endpoint; what is due is kept."""
        require_group(self.env, constants.GROUP_ADMINISTRATOR)
        self.check_access("write")
        self._suspend(self.env._("by %s", self.env.user.name))
        return True

    def action_resume(self):
        """Send again, beginning with what was kept."""
        require_group(self.env, constants.GROUP_ADMINISTRATOR)
        self.check_access("write")
        self.sudo().write({"state": "live", "suspended_reason": False})
        self.env["finance.exception"].sudo()._about(
            self, "T-GONE", "T-INTERNAL", "T-SUSPENDED"
        )._resolve(self.env._("The endpoint was resumed"))
        self.env["finance.delivery"]._wake_after_commit()
        return True

    def action_replay(self):
        """Open a replay to these endpoints, to be counted and given a reason."""
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        return self.env["finance.replay"]._action_new(endpoints=self)

    def action_backfill(self):
        """Open a backfill of these endpoints, to be counted and given a reason."""
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        return self.env["finance.replay"]._action_new(
            endpoints=self, default_kind="backfill"
        )

    # === BUSINESS METHODS === #

    def _proxy(self):
        """Return the proxy to send through, None to send straight.

        :rtype: transport.Proxy
        :raise ValueError: when the server's setting is malformed
        """
        self.ensure_one()
        return server_proxy.proxy() if self.use_proxy else None

    def _authenticator(self):
        """Return what gets access to the receiver, None if nothing is needed.

        :rtype: transport.Authenticator
        :raise UserError: when its secret is missing or can't be decrypted
        :raise ValueError: when its settings can't work
        """
        self.ensure_one()
        credential = self.auth_credential_id
        if not credential:
            return None
        return credential._authenticator(proxy=self._proxy(), ca_pem=self.ca_pem)

    def _ssl_context(self):
        """Return the TLS settings of the receiver, None for the usual ones.

        :rtype: ssl.SSLContext
        :raise UserError: when the key of the certificate can't be decrypted
        :raise ValueError: when a certificate can't be used
        """
        self.ensure_one()
        if self.client_certificate_id:
            return self.client_certificate_id._client_context(self.ca_pem)
        return client_context(ca_pem=self.ca_pem) if self.ca_pem else None

    def _suspend(self, reason):
        """Suspend the endpoints of ``self``.

        :param str reason: shown to whoever asks why nothing is sent
        """
        self.sudo().write({"state": "suspended", "suspended_reason": reason})
