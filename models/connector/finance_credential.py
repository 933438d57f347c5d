from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain

from ...signing import SecretBoxError
from ...signing.constants import (
    JWT_ALGORITHMS,
    JWT_DEFAULT_ALGORITHMS,
    TOLERANCE_SECONDS,
)
from ...transport import (
    CLIENT_SECRET_BASIC,
    CLIENT_SECRET_POST,
    check_pair,
    client_context,
    read_certificate,
)
from .. import clock, constants
from ..access import create_guarded, refuse_fields, require_group
from ..keyring import secret_box
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

    # === WHAT COMES IN === #
    inbound_header = fields.Char(
        string="Header",
        tracking=True,
        help="Name of the header that holds the signature, the key or the certificate, "
        "such as X-Signature.",
    )
    inbound_algorithm = fields.Selection(
        [("sha256", "HMAC-SHA256"), ("sha512", "HMAC-SHA512")],
        string="Hash",
        default="sha256",
        required=True,
        tracking=True,
    )
    inbound_encoding = fields.Selection(
        [
            ("hex", "Hexadecimal digits"),
            ("base64", "Base64"),
            ("base64url", "Base64 for URLs"),
        ],
        string="Signature Is Written In",
        default="hex",
        required=True,
        tracking=True,
    )
    inbound_secret_encoding = fields.Selection(
        [
            ("text", "Text, used as it is"),
            ("hex", "Hexadecimal digits"),
            ("base64", "Base64"),
        ],
        string="Secret Is Written In",
        default="text",
        required=True,
        tracking=True,
    )
    inbound_prefix = fields.Char(
        string="Prefix",
        tracking=True,
        help="What stands in the header before the signature, such as sha256= or v1=. "
        "Often nothing.",
    )
    inbound_template = fields.Char(
        string="What Is Signed",
        default="{body}",
        tracking=True,
        help="{body} stands for the content, {timestamp} and {id} for the values of "
        "their headers, {url} for the connector's address, {method} for POST. Write "
        "what the other side describes, such as {timestamp}.{body}.",
    )
    inbound_timestamp_header = fields.Char(
        string="Header of the Time",
        tracking=True,
        help="Name of the header with the time of signing. Left empty if the other "
        "side signs no time; then a copied message is known by its id alone.",
    )
    inbound_timestamp_format = fields.Selection(
        [
            ("seconds", "Unix seconds"),
            ("milliseconds", "Unix milliseconds"),
            ("iso8601", "ISO 8601, UTC (2026-01-31T12:00:00Z)"),
        ],
        string="Time Is Written In",
        default="seconds",
        required=True,
        tracking=True,
    )
    inbound_id_header = fields.Char(
        string="Header of the ID",
        tracking=True,
        help="Name of the header with the message's id, if it is signed along.",
    )
    inbound_tolerance = fields.Integer(
        string="Tolerance (Seconds)",
        default=TOLERANCE_SECONDS,
        required=True,
        tracking=True,
        help="How old a signature may be, and how far ahead the other side's clock.",
    )
    token_issuer = fields.Char(
        string="Issuer",
        tracking=True,
        help="Who gives the tokens out: the claim iss, exactly as it is written.",
    )
    token_algorithms = fields.Char(
        string="Algorithms",
        default=" ".join(JWT_DEFAULT_ALGORITHMS),
        tracking=True,
        help="What may sign a token, separated by blanks: some of "
        + ", ".join(JWT_ALGORITHMS)
        + ".",
    )
    token_claims = fields.Text(
        string="Required Claims",
        tracking=True,
        help="One name=value a line, such as sub=shop or scope=finance:write. A token "
        "without them is refused, though the issuer signed it.",
    )
    proxy_networks = fields.Char(
        string="Reverse Proxies",
        tracking=True,
        help="Addresses or networks of the reverse proxies that check client "
        "certificates, separated by commas, such as 10.0.0.5. A header from anywhere "
        "else proves nothing.",
    )
    proxy_form = fields.Selection(
        [
            ("fingerprint", "The SHA-256 fingerprint"),
            ("certificate", "The whole certificate"),
            ("subject", "The subject"),
        ],
        string="The Proxy Sends",
        default="fingerprint",
        required=True,
        tracking=True,
    )

    # === CLIENT CERTIFICATE === #
    certificate_pem = fields.Text(
        string="Certificate",
        copy=False,
        help="The certificate in PEM form, with the certificates of its chain behind "
        "it. Never the private key.",
    )
    certificate_subject = fields.Char(
        string="Issued To", readonly=True, copy=False, tracking=True
    )
    certificate_issuer = fields.Char(string="Issued By", readonly=True, copy=False)
    certificate_fingerprint = fields.Char(
        string="Fingerprint (SHA-256)", readonly=True, copy=False, tracking=True
    )

    # Ciphertext only; nobody reads it through the ORM but this module.
    secret_token = fields.Char(groups=fields.NO_ACCESS, copy=False)
    previous_secret_token = fields.Char(groups=fields.NO_ACCESS, copy=False)
    secret_input = fields.Char(
        string="Secret",
        compute="_compute_secret_input",
        inverse="_inverse_secret_input",
        help="Enter the secret that the other side gave you. It is stored "
        "encrypted and can't be read again.",
        copy=False,
        exportable=False,
    )
    # The same for secrets of several lines: headers, private keys.
    secret_lines_input = fields.Text(
        string="Secret Lines",
        compute="_compute_secret_input",
        inverse="_inverse_secret_input",
        copy=False,
        exportable=False,
    )
    passphrase_input = fields.Char(
        string="Passphrase",
        compute="_compute_secret_input",
        inverse="_inverse_secret_input",
        help="Of the private key, if it has one. It is used once and not kept.",
        copy=False,
        exportable=False,
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

    @api.depends_context("uid")
    def _compute_secret_input(self):
        self.secret_input = False
        self.secret_lines_input = False
        self.passphrase_input = False

    def _inverse_secret_input(self):
        names = ["secret_input", "secret_lines_input", "passphrase_input"]
        for credential in self:
            secret = credential.secret_input or credential.secret_lines_input
            passphrase = credential.passphrase_input
            # Forgotten before anything can fail or answer with it.
            credential.invalidate_recordset(names, flush=False)
            if secret:
                credential._set_secret(secret, passphrase)

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

    @api.model
    def action_reencrypt(self):
        """Encrypt every stored secret under the newest key.

        The last step of a key rotation: afterwards the old key can go.
        :return: how many credentials were encrypted anew
        """
        require_group(self.env, constants.GROUP_ADMINISTRATOR)
        box = self._box()
        changed = 0
        for credential in self.sudo().search([("secret_token", "!=", False)]):
            values = {}
            for name in ("secret_token", "previous_secret_token"):
                token = credential[name]
                if token and not box.is_current(token):
                    try:
                        values[name] = box.rotate(token)
                    except SecretBoxError as error:
                        raise credential._unreadable(error) from error
            if values:
                credential.write(values)
                changed += 1
        return changed

    # === BUSINESS METHODS === #

    def _scheme(self):
        """Return how this kind of credential works."""
        return scheme_of(self.scheme, self.direction)

    def _set_secret(self, secret, passphrase=None):
        """Encrypt and keep ``secret``; a signing one before stays valid for a while.

        :param str secret: as the scheme wants it, see :mod:`.schemes`
        :param str passphrase: of a private key, used once and not kept
        :raise ValidationError: when the secret can't be used
        """
        self.ensure_one()
        require_group(self.env, constants.GROUP_ADMINISTRATOR)
        self.check_access("write")
        secret = self._check_secret(secret, passphrase)
        scheme = self._scheme()
        now = clock.naive_now()
        credential = self.sudo()
        box = self._box()
        rotating = scheme.rotates and credential._readable(box)
        values = {
            "secret_token": box.encrypt(secret),
            "secret_hint": scheme.hint(secret),
            "secret_set_at": now,
            "state": "active",
            "public_key": scheme.public_key(credential, secret),
        }
        # An id that was entered before there was a key is the first key's.
        if rotating or not credential.key_id:
            values["key_id"] = scheme.key_id(credential, secret)
        if rotating:
            values["previous_secret_token"] = credential.secret_token
            values["previous_valid_until"] = now + constants.ROTATION_OVERLAP
            values["previous_key_id"] = credential.key_id
        else:
            values.update(
                previous_secret_token=False,
                previous_valid_until=False,
                previous_key_id=False,
            )
        credential.write(values)

    def _check_secret(self, secret, passphrase=None):
        """Return what is kept of a secret.

        :raise ValidationError: when it can't be used
        """
        try:
            return self._scheme().clean(self, secret, passphrase)
        except ValueError as error:
            raise ValidationError(
                self.env._(
                    "This secret can't be used: %s",
                    error,
                )
            ) from error

    def _usable(self):
        """Return the credentials of ``self`` that hold a secret."""
        return self.filtered(lambda credential: credential.state == "active")

    def _secrets(self):
        """Return the secrets in force, the newest first.

        :return: list of clear-text secrets; keep it in memory only
        :raise UserError: when a secret can't be decrypted
        """
        now = clock.naive_now()
        return [
            secret
            for secret, until in self._dated_secrets()
            if not until or until > now
        ]

    def _dated_secrets(self):
        """Return the secrets that are in force, and until when, the newest first.

        :return: list of (clear-text secret, naive UTC or None); in memory only
        :raise UserError: when a secret can't be decrypted
        """
        now = clock.naive_now()
        box = self._box()
        secrets = []
        for credential in self.sudo()._usable():
            tokens = [(credential.secret_token, None)]
            until = credential.previous_valid_until
            if credential.previous_secret_token and until and until > now:
                tokens.append((credential.previous_secret_token, until))
            try:
                secrets += [(box.decrypt(token), end) for token, end in tokens]
            except SecretBoxError as error:
                raise credential._unreadable(error) from error
        return secrets

    def _signer(self):
        """Return what signs requests, with all secrets in force.

        :return: has ``sign_request(method, url, message_id, timestamp, body,
            headers)``, which gives the headers to add
        :raise UserError: when a secret can't be decrypted
        :raise ValueError: when there is none
        """
        if not self:
            raise UserError(self.env._("Choose a signing credential on the endpoint."))
        return self._scheme().signer(self)

    def _authenticator(self, proxy=None, ca_pem=None):
        """Return what gets access to a receiver.

        :param proxy: the :class:`~..transport.Proxy` to fetch a token through
        :param str ca_pem: authorities of the token server, if they are private
        :rtype: transport.Authenticator
        :raise UserError: when there is no secret, or it can't be decrypted
        :raise ValueError: when the settings can't work any more
        """
        self.ensure_one()
        return self._scheme().authenticator(self, self._only_secret(), proxy, ca_pem)

    def _login(self):
        """Return (user name, password) of a credential of the scheme ``basic``.

        :return: two empty texts when ``self`` is empty
        :raise UserError: when there is no password, or it can't be decrypted
        """
        if not self:
            return "", ""
        return self.username or "", self._only_secret()

    def _client_context(self, ca_pem=None):
        """Return the TLS settings with which the hub shows its certificate.

        :param str ca_pem: the authorities the receiver's certificate comes from
        :rtype: ssl.SSLContext
        :raise UserError: when there is no key, or it can't be decrypted
        :raise ValueError: when certificate and key can't be used
        """
        self.ensure_one()
        return client_context(
            self.certificate_pem, self._only_secret(), ca_pem=ca_pem or None
        )

    def _only_secret(self):
        secrets = self._secrets()
        if not secrets:
            raise UserError(
                self.env._("“%s” has no secret. Enter it on the credential.", self.name)
            )
        return secrets[0]

    # === CERTIFICATES AND EXPIRY === #

    def _read_certificates(self):
        """Show what the certificates of ``self`` say.

        :raise ValidationError: when one can't be read or does not fit its key
        """
        for credential in self:
            if credential.scheme != "client_certificate":
                continue
            pem = credential.certificate_pem
            values = {
                "certificate_subject": False,
                "certificate_issuer": False,
                "certificate_fingerprint": False,
                "expires_at": False,
            }
            try:
                if pem:
                    certificate = read_certificate(pem)
                    values = {
                        "certificate_subject": certificate.subject,
                        "certificate_issuer": certificate.issuer,
                        "certificate_fingerprint": certificate.fingerprint,
                        "expires_at": clock.naive(certificate.valid_until),
                    }
                for key in credential._secrets():
                    check_pair(pem or "", key)
            except ValueError as error:
                raise ValidationError(str(error)) from error
            if any(credential[name] != value for name, value in values.items()):
                # Comes by here once more and then finds nothing to do.
                credential.sudo().write(values)

    @api.model
    def _cron_expiring(self):
        """Open an exception for what expires soon, or has."""
        now = clock.naive_now()
        horizon = now + timedelta(days=constants.EXPIRY_NOTICES[0])
        for credential in self.search(
            [("state", "=", "active"), ("expires_at", "<=", horizon)]
        ):
            left = credential.expires_at - now
            notice = min(
                days
                for days in constants.EXPIRY_NOTICES
                if left <= timedelta(days=days)
            )
            credential._open_expiry(notice)

    def _open_expiry(self, notice):
        """Say once that the credential expires within ``notice`` days."""
        self.ensure_one()
        exceptions = self.env["finance.exception"].sudo()
        fingerprint = f"credential:{self.id}:{self.expires_at:%Y%m%d}:{notice}"
        # Whoever closed it has decided; the next notice is another one.
        if exceptions.search_count(
            [("fingerprint", "=", f"T-CERT-EXPIRING:{fingerprint}")], limit=1
        ):
            return
        self._close_expiry(force=True)
        day = fields.Date.to_string(self.expires_at.date())
        used_by = ", ".join(self.used_by_ids.mapped("name"))
        exceptions._open(
            "T-CERT-EXPIRING",
            company=self.company_id,
            record=self,
            connector=self.connector_id,
            fingerprint=fingerprint,
            summary=(
                self.env._("%(name)s expires on %(day)s", name=self.name, day=day)
                if notice
                else self.env._("%(name)s expired on %(day)s", name=self.name, day=day)
            ),
            cause=(
                self.env._(
                    "Used by: %s. Nothing can be delivered there without it.", used_by
                )
                if used_by
                else self.env._("No endpoint uses it at the moment.")
            ),
        )

    def _close_expiry(self, force=False):
        """Close the exceptions of what no longer expires soon."""
        horizon = clock.naive_now() + timedelta(days=constants.EXPIRY_NOTICES[0])
        renewed = self.filtered(
            lambda credential: (
                force
                or credential.state != "active"
                or not credential.expires_at
                or credential.expires_at > horizon
            )
        )
        if renewed:
            self.env["finance.exception"].sudo().search(
                [
                    ("code", "=", "T-CERT-EXPIRING"),
                    ("res_model", "=", self._name),
                    ("res_id", "in", renewed.ids),
                    ("is_open", "=", True),
                ]
            )._resolve(
                self.env._("Reported anew, as the day came nearer")
                if force
                else self.env._("The credential was renewed or ended")
            )

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

    # === ENCRYPTION === #

    @api.model
    def _box(self):
        """Return the box that encrypts secrets.

        :raise UserError: when the server's keys are unusable
        """
        try:
            return secret_box()
        except SecretBoxError as error:
            raise UserError(str(error)) from error

    def _readable(self, box):
        """Return whether there is a secret that can still be decrypted."""
        token = self.sudo().secret_token
        try:
            return bool(token and box.decrypt(token))
        except SecretBoxError:
            return False

    def _unreadable(self, error):
        """Return the error that tells a person whose secret can't be decrypted."""
        return UserError(
            self.env._(
                "The secret of “%(name)s” can't be decrypted: %(error)s",
                name=self.name,
                error=error,
            )
        )
