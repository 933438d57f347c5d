from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from ...transport import (
    RETRY_SCHEDULE,
    AddressRefused,
    check_url,
    format_schedule,
    parse_schedule,
)
from .. import constants
from ..access import create_guarded, refuse_fields, require_group
from ..networks import allowed_networks

# Fields that move by the buttons alone, and the value that a new record has.
GUARDED = {"state": "live", "suspended_reason": False}


class FinanceEndpoint(models.Model):
    """Where events of a connector go."""

    _name = "finance.endpoint"
    _description = "Finance Endpoint"
    _inherit = ["mail.thread"]
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
    url = fields.Char(
        string="Address",
        required=True,
        tracking=True,
        help="Events are POSTed to this address, by HTTPS. Private addresses must "
        "be allowed by the administrator of the server.",
    )
    credential_id = fields.Many2one(
        "finance.credential",
        string="Signing Credential",
        domain="[('connector_id', '=', connector_id), ('direction', '=', 'outbound')]",
        check_company=True,
        ondelete="restrict",
        tracking=True,
    )
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
    subscription_ids = fields.One2many(
        "finance.subscription", "endpoint_id", "Subscriptions"
    )
    delivery_ids = fields.One2many("finance.delivery", "endpoint_id", "Deliveries")
    waiting_count = fields.Integer(compute="_compute_waiting_count")

    _timeout_range = models.Constraint(
        f"CHECK (timeout BETWEEN 1 AND {constants.MAX_TIMEOUT})",
        f"The timeout must be 1 to {constants.MAX_TIMEOUT} seconds.",
    )
    _concurrency_range = models.Constraint(
        f"CHECK (concurrency BETWEEN 1 AND {constants.MAX_CONCURRENCY})",
        f"Requests at a time must be 1 to {constants.MAX_CONCURRENCY}.",
    )

    # === COMPUTES === #

    def _compute_waiting_count(self):
        groups = self.env["finance.delivery"]._read_group(
            [("endpoint_id", "in", self.ids), ("state", "in", ("waiting", "sending"))],
            ["endpoint_id"],
            ["__count"],
        )
        counts = {endpoint.id: count for endpoint, count in groups}
        for endpoint in self:
            endpoint.waiting_count = counts.get(endpoint.id, 0)

    # === CONSTRAINTS === #

    @api.constrains("url")
    def _check_url(self):
        networks = allowed_networks()
        for endpoint in self:
            try:
                check_url(endpoint.url, networks)
            except AddressRefused as error:
                raise ValidationError(
                    self.env._(
                        "The address %(url)s can't be used: %(error)s",
                        url=endpoint.url,
                        error=error,
                    )
                ) from error

    @api.constrains("credential_id", "connector_id")
    def _check_credential(self):
        for endpoint in self:
            credential = endpoint.credential_id
            if credential and (
                credential.connector_id != endpoint.connector_id
                or credential.direction != "outbound"
            ):
                raise ValidationError(
                    self.env._(
                        "“%s” can't sign what goes to this endpoint. Choose a "
                        "credential of the same connector that signs what the hub "
                        "sends.",
                        credential.name,
                    )
                )

    @api.constrains("retry_schedule")
    def _check_retry_schedule(self):
        for endpoint in self:
            try:
                parse_schedule(endpoint.retry_schedule)
            except ValueError as error:
                raise ValidationError(str(error)) from error

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):
        return super().create(create_guarded(self.env, vals_list, GUARDED))

    def write(self, vals):
        refuse_fields(self.env, vals, GUARDED.keys())
        result = super().write(vals)
        # Routing reads endpoints from a cache.
        self.env.registry.clear_cache()
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_only_unused(self):
        if (
            self.env["finance.delivery"]
            .sudo()
            .search_count([("endpoint_id", "in", self.ids)], limit=1)
        ):
            raise UserError(
                self.env._(
                    "This endpoint has deliveries, and their history is kept. "
                    "Archive it instead."
                )
            )

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
        self.env["finance.exception"].sudo().search(
            [
                ("res_model", "=", self._name),
                ("res_id", "in", self.ids),
                ("code", "in", ("T-GONE", "T-INTERNAL")),
                ("is_open", "=", True),
            ]
        )._resolve(self.env._("The endpoint was resumed"))
        self.env["finance.delivery"]._wake_after_commit()
        return True

    # === BUSINESS METHODS === #

    def _suspend(self, reason):
        """Suspend the endpoints of ``self``.

        :param str reason: shown to whoever asks why nothing is sent
        """
        self.sudo().write({"state": "suspended", "suspended_reason": reason})
