import logging
import os

from odoo import api, fields, models, tools
from odoo.tools import config

from ...signing import (
    SecretBoxError,
    generate_seal_key,
    mark_key,
    seal_key_id,
    seal_public_key,
)
from .. import clock
from ..keyring import secret_box
from .guard import guard_trail

_logger = logging.getLogger(__name__)

ENV_VARIABLE = "FINANCE_HUB_AUDIT_PUBLIC_KEYS"
CONFIG_OPTION = "finance_hub_audit_public_keys"


def configured_keys():
    """Return the public keys that the server's configuration trusts, hexadecimal.

    Needed for keys that this server can't decrypt, see :class:`FinanceAuditKey`.
    """
    raw = os.environ.get(ENV_VARIABLE) or config.get(CONFIG_OPTION) or ""
    return [key.strip().lower() for key in raw.split(",") if key.strip()]


class FinanceAuditKey(models.Model):
    """A key pair that seals are signed by; the private part is encrypted.

    A key is trusted because this server can decrypt its private part: nobody can put a
    key of his own into the database. One that can't be read any more (the database is
    a copy on another machine, or the encryption keys were lost) gets a successor; what
    it signed counts where its public key is named in the server's configuration.
    """

    _name = "finance.audit.key"
    _description = "Finance Audit Key"
    _order = "id desc"
    _rec_name = "key_id"
    _log_access = False

    key_id = fields.Char(required=True, readonly=True)
    public_key = fields.Char(required=True, readonly=True)
    made_at = fields.Datetime(required=True, readonly=True)
    # Ciphertext only; nobody reads it through the ORM but this module.
    secret_token = fields.Char(groups=fields.NO_ACCESS, required=True)

    _key_unique = models.UniqueIndex("(key_id)")

    def init(self):
        """Make the database refuse what nobody must do."""
        guard_trail(self.env.cr, self._table)

    @api.model
    def _ensure(self):
        """Return the id of the key in use, after making one if none can be read."""
        row = self._current()
        if row:
            return row[0]
        seed = generate_seal_key()
        public_key = seal_public_key(seed)
        key = self.sudo().create(
            {
                "key_id": seal_key_id(public_key),
                "public_key": public_key,
                "made_at": clock.naive_now(),
                "secret_token": secret_box().encrypt(seed.hex()),
            }
        )
        self.env.registry.clear_cache()
        return key.id

    @api.model
    def _current(self):
        """Return (id, private key) of the newest key that can be read, or None."""
        for key_id, token in self._tokens():
            seed = self._open(token)
            if seed:
                return key_id, seed
        return None

    @api.model
    def _mark_keys(self):
        """Return {id: key of its marks} of the keys that can be read."""
        keys = {key_id: self._open(token) for key_id, token in self._tokens()}
        return {key_id: mark_key(seed) for key_id, seed in keys.items() if seed}

    @api.model
    def _trusted(self):
        """Return the public keys that seals may be signed by, hexadecimal."""
        seeds = [self._open(token) for _id, token in self._tokens()]
        # Computed, as the column beside it is anybody's who can write it.
        return [seal_public_key(seed) for seed in seeds if seed] + configured_keys()

    @api.model
    def _reencrypt(self):
        """Encrypt the private keys under the server's newest encryption key."""
        box = secret_box()
        for key in self.sudo().search([]):
            if self._open(key.secret_token) and not box.is_current(key.secret_token):
                key.secret_token = box.rotate(key.secret_token)
        self.env.flush_all()
        self.env.registry.clear_cache()

    @api.model
    @tools.ormcache()
    def _tokens(self):
        """Return ((id, ciphertext), …), the newest first."""
        self.env.cr.execute(
            "SELECT id, secret_token FROM finance_audit_key ORDER BY id DESC"
        )
        return tuple(self.env.cr.fetchall())

    @api.model
    def _open(self, token):
        try:
            return bytes.fromhex(secret_box().decrypt(token))
        except (SecretBoxError, ValueError) as error:
            _logger.warning("finance_hub: an audit key can't be read: %s", error)
            return None
