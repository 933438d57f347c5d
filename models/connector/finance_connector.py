import re

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ...contracts import ContractError, validate
from ...providers import ADAPTERS
from .. import constants
from ..access import require_group
from ..windows import list_of

CONTENT_TYPE = "content-type"
CODE_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{1,62}")


def is_json(headers):
    """Return whether a message says that it is JSON; all else is a file.

    :param headers: mapping of the request's headers, names in any case
    """
    content_type = next(
        (value for name, value in headers.items() if name.lower() == CONTENT_TYPE), ""
    )
    return "json" in content_type.lower()


class FinanceConnector(models.Model):
    """One connected system in one company and environment."""

    _name = "finance.connector"
    _description = "Finance Connector"
    _inherit = ["finance.remembered", "finance.reviewed", "mail.activity.mixin"]
    _order = "name, id"
    _check_company_auto = True
    _state_in_force = "live"
    _retired_from = ("draft", "in_review", "live", "suspended")

    name = fields.Char(required=True, tracking=True)
    code = fields.Char(
        required=True,
        copy=False,
        tracking=True,
        help="Names the connector in addresses, for example the one that the "
        "external system posts to. Lower-case letters, digits, - and _.",
    )
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    environment = fields.Selection(
        [("production", "Production"), ("test", "Test")],
        required=True,
        default="test",
        tracking=True,
    )
    state = fields.Selection(
        selection_add=[
            ("in_review",),
            ("live", "Live"),
            ("suspended", "Suspended"),
            ("retired",),
        ],
        ondelete={"live": "set default", "suspended": "set default"},
    )
    user_id = fields.Many2one(
        "res.users",
        string="Owner",
        default=lambda self: self.env.user,
        tracking=True,
        domain="[('share', '=', False)]",
        help="The person who answers for this connection.",
    )
    criticality = fields.Selection(
        [
            ("critical", "Critical"),
            ("standard", "Standard"),
            ("bulk", "Bulk"),
        ],
        required=True,
        default="standard",
        tracking=True,
    )
    runbook = fields.Html(
        help="What to do when this connection fails: whom to call, what to check, "
        "how to recover.",
    )
    requested_by_id = fields.Many2one(string="Go-live Requested By")
    approved_by_id = fields.Many2one(string="Go-live Approved By")
    endpoint_ids = fields.One2many("finance.endpoint", "connector_id", "Endpoints")
    credential_ids = fields.One2many(
        "finance.credential", "connector_id", "Credentials"
    )
    client_ids = fields.One2many("finance.client", "connector_id", "API Clients")
    adapter = fields.Selection(
        selection="_selection_adapter",
        string="Message Format",
        default="canonical",
        required=True,
        help="How messages from this system are understood.",
    )
    adapter_options = fields.Json(
        string="Format Settings (raw)",
        copy=True,
        help="Settings of the message format, as its contract says.",
    )
    file_adapter = fields.Selection(
        selection="_selection_adapter",
        string="File Format",
        help="How files from this system are understood, such as settlement reports "
        "beside notifications: whatever comes that is not JSON.",
    )
    file_adapter_options = fields.Json(
        string="File Settings (raw)",
        copy=True,
        help="Settings of the file format, as its contract says.",
    )
    payment_journal_id = fields.Many2one(
        "account.journal",
        check_company=True,
        domain="[('type', 'in', ('bank', 'cash', 'credit')),"
        " ('company_id', '=', company_id)]",
        help="Payments that this system reports are registered in this journal.",
    )
    inbound_url = fields.Char(compute="_compute_inbound_url")
    message_waiting_count = fields.Integer(compute="_compute_counts")

    _code_unique = models.Constraint(
        "UNIQUE (code)",
        "Another connector has this code already; choose a different one.",
    )

    # === COMPUTES === #

    @api.model
    def _selection_adapter(self):
        return [(name, adapter.title) for name, adapter in ADAPTERS.items()]

    @api.depends("code")
    def _compute_inbound_url(self):
        for connector in self:
            connector.inbound_url = (
                f"{connector.get_base_url()}/finance/v1/inbound/{connector.code}"
                if connector.code
                else False
            )

    def _compute_counts(self):
        groups = self.env["finance.message"]._read_group(
            [("connector_id", "in", self.ids), ("state", "=", "received")],
            ["connector_id"],
            ["__count"],
        )
        messages = {connector.id: count for connector, count in groups}
        for connector in self:
            connector.message_waiting_count = messages.get(connector.id, 0)

    # === CONSTRAINTS === #

    @api.constrains("code")
    def _check_code(self):
        for connector in self:
            if not CODE_PATTERN.fullmatch(connector.code):
                raise ValidationError(
                    self.env._(
                        "The code “%s” can't be part of an address. Use 2 to 63 "
                        "lower-case letters, digits, - or _, and begin with a "
                        "letter or digit.",
                        connector.code,
                    )
                )

    @api.constrains(
        "adapter", "adapter_options", "file_adapter", "file_adapter_options"
    )
    def _check_adapter_options(self):
        formats = [
            pair
            for connector in self
            for pair in (
                (connector.adapter, connector.adapter_options),
                (connector.file_adapter, connector.file_adapter_options),
            )
        ]
        for name, settings in formats:
            model = ADAPTERS[name].options_model if name else None
            if not model:
                if settings:
                    raise ValidationError(
                        self.env._("This message format has no settings.")
                    )
                continue
            try:
                validate(model, settings or {}, self.env._("The format's settings"))
            except ContractError as error:
                raise ValidationError(error.describe()) from error

    # === ACTIONS === #

    def action_suspend(self):
        """Stop sending and accepting; what arrives meanwhile is kept."""
        require_group(self.env, constants.GROUP_ADMINISTRATOR, constants.GROUP_APPROVER)
        for connector in self:
            connector._expect_state("live")
        self.sudo().write({"state": "suspended"})
        return True

    def action_resume(self):
        """Go on sending and accepting."""
        require_group(self.env, constants.GROUP_ADMINISTRATOR, constants.GROUP_APPROVER)
        for connector in self:
            connector._expect_state("suspended")
        self.sudo().write({"state": "live"})
        self.env["finance.delivery"]._wake_after_commit()
        return True

    def action_open_exceptions(self):
        self.ensure_one()
        return self._action_related(
            "finance_exception_action", {"search_default_open": 1}
        )

    def action_open_messages(self):
        self.ensure_one()
        return self._action_related("finance_message_action")

    def action_open_deliveries(self):
        self.ensure_one()
        return self._action_related("finance_delivery_action")

    # === BUSINESS METHODS === #

    def _format_of(self, headers):
        """Return how a message is read: (Adapter, its settings).

        :param headers: mapping of the request's headers, names in any case
        """
        self.ensure_one()
        if self.file_adapter and not is_json(headers):
            return ADAPTERS[self.file_adapter], self.file_adapter_options or {}
        return ADAPTERS[self.adapter], self.adapter_options or {}

    def _file_format(self):
        """Return the :class:`Adapter` of this system's files, None if it has none."""
        self.ensure_one()
        known = (ADAPTERS.get(self.file_adapter), ADAPTERS[self.adapter])
        return next(
            (adapter for adapter in known if adapter and adapter.max_bytes), None
        )

    def _action_related(self, xmlid, context=None):
        self.check_access("read")
        domain = [("connector_id", "=", self.id)]
        return list_of(self.env, xmlid, domain, context=context)

    def _has_inbound_credential(self):
        inbound = self.credential_ids.filtered(lambda c: c.direction == "inbound")
        return bool(inbound._usable())
