from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain

from ...transport import (
    CLIENT_SECRET_BASIC,
    CLIENT_SECRET_POST,
)
from .. import constants
from ..access import create_guarded, refuse_fields, require_group
from .schemes import (
    AUTHENTICATION,
    CERTIFICATE,
    INBOUND,
    OUTBOUND,
    SCHEMES,
    SIGNING,
    scheme_of,
)

# Fields that move by the buttons alone, and the value that a new record has.
GUARDED = {
    "state": "empty",
    "secret_hint": False,
    "secret_set_at": False,
    "previous_valid_until": False,
    "previous_key_id": False,
    "public_key": False,
    "certificate_subject": False,
    "certificate_issuer": False,
    "certificate_fingerprint": False,
}
# What a secret was made for; it never serves another purpose, nor is it sent to
# another token server.
PURPOSE = (
    "connector_id",
    "direction",
    "scheme",
    "signature_algorithm",
    "token_url",
    "inbound_secret_encoding",
    "proxy_form",
)


class FinanceCredential(models.Model):
    """A secret of a connector: encrypted at rest, shown once."""

    _name = "finance.credential"
    _description = "Finance Credential"
    _inherit = ["mail.thread"]
    _order = "connector_id, direction, id desc"
    _check_company_auto = True

    name = fields.Char(required=True)
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
    direction = fields.Selection(
        [
            ("outbound", "For what the hub sends"),
            ("inbound", "For what the hub receives"),
        ],
        required=True,
        default="outbound",
    )
    scheme = fields.Selection(
        [(name, scheme.title) for name, scheme in SCHEMES.items()],
        string="Kind",
        required=True,
        default="standard_webhooks",
        tracking=True,
    )
    purpose = fields.Selection(
        [
            (SIGNING, "Signature"),
            (AUTHENTICATION, "Access"),
            (CERTIFICATE, "Client Certificate"),
        ],
        compute="_compute_purpose",
        store=True,
    )
    serves_both = fields.Boolean(compute="_compute_serves_both")
    can_generate = fields.Boolean(compute="_compute_can_generate")
    state = fields.Selection(
        [
            ("empty", "No Secret Yet"),
            ("active", "Active"),
            ("revoked", "Revoked"),
        ],
        required=True,
        default="empty",
        readonly=True,
        copy=False,
        tracking=True,
    )
    secret_hint = fields.Char(readonly=True, copy=False)
    secret_set_at = fields.Datetime(readonly=True, copy=False, tracking=True)
    previous_valid_until = fields.Datetime(
        readonly=True,
        copy=False,
        help="Until then, the secret before the last rotation is accepted, and "
        "messages are signed with both.",
    )
    expires_at = fields.Datetime(
        string="Expires",
        copy=False,
        tracking=True,
        help="When the other side stops accepting it. The hub reminds you in time. "
        "Of a certificate it is read from the certificate.",
    )

    # === SIGNATURES === #
    signature_algorithm = fields.Selection(
        [
            ("ed25519", "Ed25519 (key pair)"),
            ("hmac-sha256", "HMAC-SHA256 (shared secret)"),
        ],
        string="Algorithm",
        default="ed25519",
        required=True,
    )
    key_id = fields.Char(
        string="Key ID",
        copy=False,
        tracking=True,
        help="Tells the receiver which key to verify with. Left empty, one is made "
        "with the key; enter another if the receiver gave you one.",
    )
    previous_key_id = fields.Char(readonly=True, copy=False)
    public_key = fields.Text(
        readonly=True,
        copy=False,
        help="Give it to the other side, which verifies with it. It is no secret.",
    )

    # === ACCESS === #
    username = fields.Char(string="User Name", tracking=True)
    token_url = fields.Char(
        string="Token Address",
        tracking=True,
        help="Where the hub asks for a token, by HTTPS: the token endpoint of the "
        "other side's OAuth 2 server.",
    )
    client_id = fields.Char(string="Client ID", tracking=True)
    scope = fields.Char(
        tracking=True, help="What to ask for, separated by blanks. Often empty."
    )
    audience = fields.Char(
        tracking=True, help="For whom the token is to be. Only some servers want it."
    )
    token_auth_method = fields.Selection(
        [
            (CLIENT_SECRET_BASIC, "In the header (client_secret_basic)"),
            (CLIENT_SECRET_POST, "In the form (client_secret_post)"),
        ],
        string="Client Secret Is Sent",
        default=CLIENT_SECRET_BASIC,
        required=True,
    )
    token_parameters = fields.Text(
        string="Further Parameters",
        help="One name=value a line, if the token server wants more, such as "
        "resource=https://api.example.com.",
    )

    endpoint_ids = fields.One2many("finance.endpoint", "credential_id", "Endpoints")
    used_by_ids = fields.Many2many("finance.endpoint", compute="_compute_used_by_ids")

    # === COMPUTES === #

    @api.depends("scheme")
    def _compute_serves_both(self):
        for credential in self:
            credential.serves_both = (
                credential.scheme in INBOUND and credential.scheme in OUTBOUND
            )

    @api.depends("scheme")
    def _compute_purpose(self):
        for credential in self:
            credential.purpose = (
                SCHEMES[credential.scheme].purpose if credential.scheme else False
            )

    @api.depends("scheme", "direction", "signature_algorithm")
    def _compute_can_generate(self):
        for credential in self:
            credential.can_generate = bool(
                credential.scheme and credential._scheme().can_generate(credential)
            )

    def _compute_used_by_ids(self):
        fields_ = ("credential_id", "auth_credential_id", "client_certificate_id")
        for credential in self:
            credential.used_by_ids = self.env["finance.endpoint"].search(
                Domain.OR([(name, "in", credential.ids)] for name in fields_)
            )

    @api.onchange("scheme")
    def _onchange_scheme(self):
        if self.scheme and self.scheme not in INBOUND:
            self.direction = "outbound"
        elif self.scheme and self.scheme not in OUTBOUND:
            self.direction = "inbound"

    # === CONSTRAINTS === #

    @api.constrains("scheme", "direction")
    def _check_direction(self):
        for credential in self:
            if credential.direction == "inbound" and credential.scheme not in INBOUND:
                raise ValidationError(
                    self.env._(
                        "“%s” can't verify what the hub receives. Choose another kind "
                        "for that.",
                        credential.name,
                    )
                )
            if credential.direction == "outbound" and credential.scheme not in OUTBOUND:
                raise ValidationError(
                    self.env._(
                        "“%s” can only verify what the hub receives. Choose another "
                        "kind for what it sends.",
                        credential.name,
                    )
                )

    @api.constrains(
        "scheme",
        "key_id",
        "username",
        "token_url",
        "client_id",
        "scope",
        "audience",
        "token_parameters",
        "inbound_header",
        "inbound_algorithm",
        "inbound_encoding",
        "inbound_secret_encoding",
        "inbound_prefix",
        "inbound_template",
        "inbound_timestamp_header",
        "inbound_timestamp_format",
        "inbound_id_header",
        "inbound_tolerance",
        "token_issuer",
        "token_algorithms",
        "token_claims",
        "proxy_networks",
        "proxy_form",
    )
    def _check_settings(self):
        for credential in self:
            try:
                credential._scheme().check_settings(credential)
            except ValueError as error:
                raise ValidationError(
                    self.env._(
                        "“%(name)s” can't work like this: %(error)s",
                        name=credential.name,
                        error=error,
                    )
                ) from error

    # === CRUD === #

    def write(self, vals):
        refuse_fields(self.env, vals, GUARDED.keys())
        self._check_purpose(vals)
        after = {}
        if "key_id" in vals and vals.get("secret_input"):
            # It is the new key's id; until that is stored, the old one keeps its own.
            vals = dict(vals)
            after = {"key_id": vals.pop("key_id")}
        result = super().write(vals)
        if after:
            super().write(after)
        if {"certificate_pem", "scheme", "expires_at"} & vals.keys():
            self._read_certificates()
        if {"certificate_pem", "expires_at", "state"} & vals.keys():
            self._close_expiry()
        self.env.registry.clear_cache()
        return result

    @api.model_create_multi
    def create(self, vals_list):
        vals_list = [
            # What serves one direction only needs not be told it.
            {"direction": "inbound", **vals}
            if vals.get("scheme") in INBOUND and vals["scheme"] not in OUTBOUND
            else vals
            for vals in create_guarded(self.env, vals_list, GUARDED)
        ]
        credentials = super().create(vals_list)
        credentials._read_certificates()
        self.env.registry.clear_cache()
        return credentials

    # === ACTIONS === #

    def action_generate(self):
        """Make a secret or a key pair, or its successor.

        :return: a client action that shows the secret this once, as it is stored
            nowhere in clear; of a key pair nothing secret ever leaves
        """
        self.ensure_one()
        require_group(self.env, constants.GROUP_ADMINISTRATOR)
        self.check_access("write")
        if not self.can_generate:
            raise UserError(
                self.env._("The other side gives this secret. Enter it on the form.")
            )
        secret = self._scheme().generate(self)
        self._set_secret(secret)
        if self.public_key:
            return {
                "type": "ir.actions.client",
                "tag": "display_notification",
                "params": {
                    "type": "success",
                    "sticky": True,
                    "title": self.env._("New key pair of %s", self.name),
                    "message": self.env._(
                        "Copy the public key and give it to the other side. The "
                        "private key stays in the hub."
                    ),
                    # Closing nothing makes the form show the new key.
                    "next": {"type": "ir.actions.act_window_close"},
                },
            }
        return {
            "type": "ir.actions.client",
            "tag": "finance_hub.show_secret",
            "target": "new",
            "name": self.env._("Secret of %s", self.name),
            "params": {
                "secret": secret,
                "name": self.name,
                "overlap_until": fields.Datetime.to_string(self.previous_valid_until)
                or False,
            },
        }

    def action_revoke(self):
        """End the secret at once, its predecessor too."""
        require_group(self.env, constants.GROUP_ADMINISTRATOR)
        self.check_access("write")
        self.sudo().write(
            {
                "state": "revoked",
                "secret_token": False,
                "previous_secret_token": False,
                "previous_valid_until": False,
                "secret_hint": False,
                "public_key": False,
                "key_id": False,
                "previous_key_id": False,
            }
        )
        return True

    # === BUSINESS METHODS === #

    def _scheme(self):
        """Return how this kind of credential works."""
        return scheme_of(self.scheme, self.direction)

    def _usable(self):
        """Return the credentials of ``self`` that hold a secret."""
        return self.filtered(lambda credential: credential.state == "active")

    def _check_purpose(self, vals):
        """Refuse to turn a stored secret to another system or direction."""
        for credential in self:
            changed = any(
                name in vals
                and vals[name]
                != credential._fields[name].convert_to_write(
                    credential[name], credential
                )
                for name in PURPOSE
            )
            if changed and credential.state != "empty":
                raise UserError(
                    self.env._(
                        "The secret of “%s” was made for one system, direction, kind "
                        "and token address. Make another credential instead.",
                        credential.name,
                    )
                )
