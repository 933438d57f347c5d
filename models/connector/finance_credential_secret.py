from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from ...signing import SecretBoxError
from .. import clock, constants
from ..access import require_group
from ..keyring import secret_box


class FinanceCredential(models.Model):
    """How a secret comes in, is kept and is taken out: encrypted, and never shown."""

    _inherit = "finance.credential"

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

    # === COMPUTES === #

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

    # === ACTIONS === #

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
