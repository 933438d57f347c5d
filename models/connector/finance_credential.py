from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from ...signing import (
    SecretBoxError,
    VerificationError,
    generate_secret,
    mask_secret,
    sign,
    verify,
)
from .. import clock, constants
from ..access import create_guarded, refuse_fields, require_group
from ..keyring import secret_box

# How long the previous secret stays valid beside its successor.
ROTATION_OVERLAP = timedelta(hours=24)

# Fields that move by the buttons alone, and the value that a new record has.
GUARDED = {
    "state": "empty",
    "secret_hint": False,
    "secret_set_at": False,
    "previous_valid_until": False,
}
# What a secret was made for; it never serves another purpose.
PURPOSE = ("connector_id", "direction")


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
            ("outbound", "Signs what the hub sends"),
            ("inbound", "Verifies what the hub receives"),
        ],
        required=True,
        default="outbound",
    )
    scheme = fields.Selection(
        [("standard_webhooks", "Standard Webhooks")],
        required=True,
        default="standard_webhooks",
    )
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
    endpoint_ids = fields.One2many("finance.endpoint", "credential_id", "Endpoints")

    # === COMPUTES === #

    @api.depends_context("uid")
    def _compute_secret_input(self):
        self.secret_input = False

    def _inverse_secret_input(self):
        for credential in self:
            secret = credential.secret_input
            # Forgotten before anything can fail or answer with it.
            credential.invalidate_recordset(["secret_input"], flush=False)
            if secret:
                credential._set_secret(secret.strip())

    # === CRUD === #

    def write(self, vals):
        refuse_fields(self.env, vals, GUARDED.keys())
        self._check_purpose(vals)
        result = super().write(vals)
        self.env.registry.clear_cache()
        return result

    @api.model_create_multi
    def create(self, vals_list):
        vals_list = create_guarded(self.env, vals_list, GUARDED)
        credentials = super().create(vals_list)
        self.env.registry.clear_cache()
        return credentials

    # === ACTIONS === #

    def action_generate(self):
        """Make a secret, or its successor, and show it this once.

        :return: a client action that shows the secret; it is stored nowhere in
            clear
        """
        self.ensure_one()
        require_group(self.env, constants.GROUP_ADMINISTRATOR)
        secret = generate_secret()
        self._set_secret(secret)
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

    def _set_secret(self, secret):
        """Encrypt and keep ``secret``; the one before stays valid for a while.

        :param str secret: ``whsec_`` or ``whsk_``/``whpk_`` and base64, see
            Standard Webhooks
        :raise ValidationError: when the secret is malformed
        """
        self.ensure_one()
        require_group(self.env, constants.GROUP_ADMINISTRATOR)
        self.check_access("write")
        self._check_secret(secret)
        now = clock.naive_now()
        credential = self.sudo()
        box = self._box()
        values = {
            "secret_token": box.encrypt(secret),
            "secret_hint": mask_secret(secret),
            "secret_set_at": now,
            "state": "active",
        }
        if credential._readable(box):
            values["previous_secret_token"] = credential.secret_token
            values["previous_valid_until"] = now + ROTATION_OVERLAP
        else:
            values.update(previous_secret_token=False, previous_valid_until=False)
        credential.write(values)

    def _check_secret(self, secret):
        try:
            if self.direction == "inbound":
                _check_verifies(secret)
            else:
                sign(secret, "check", 0, b"")
        except VerificationError as error:
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
        box = self._box()
        secrets = []
        for credential in self.sudo()._usable():
            tokens = [credential.secret_token]
            if (
                credential.previous_secret_token
                and credential.previous_valid_until
                and credential.previous_valid_until > now
            ):
                tokens.append(credential.previous_secret_token)
            try:
                secrets += [box.decrypt(token) for token in tokens]
            except SecretBoxError as error:
                raise credential._unreadable(error) from error
        return secrets

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
                        "The secret of “%s” was made for one system and direction. "
                        "Make another credential instead.",
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


def _check_verifies(secret):
    """Refuse what can't verify a signature.

    :raise VerificationError: ``bad_secret``, saying what is wrong with it
    """
    headers = {
        "webhook-id": "check",
        "webhook-timestamp": "0",
        "webhook-signature": "v1,none",
    }
    try:
        verify([secret], headers, b"", now=0)
    except VerificationError as error:
        # That nothing fits is expected; that the secret is none is the answer.
        if error.code == "bad_secret":
            raise
