import logging

from odoo import api, fields, models, tools

from ...signing import (
    SecretBoxError,
    generate_seal_key,
    mark_key,
    seal_key_id,
    seal_public_key,
)
from .. import clock
from ..keyring import secret_box

_logger = logging.getLogger(__name__)


class FinanceAuditKey(models.Model):
    """A key pair that seals are signed by; the private part is encrypted.

    A key that the server can't read any more (it is a copy of the database on another
    machine, or the encryption keys were lost) gets a successor; what it signed can
    still be verified.
    """

    _name = "finance.audit.key"
    _description = "Finance Audit Key"
    _order = "id desc"
    _rec_name = "key_id"
    _log_access = False

    key_id = fields.Char(string="Key", required=True, readonly=True)
    public_key = fields.Char(required=True, readonly=True)
    made_at = fields.Datetime(required=True, readonly=True)
    # Ciphertext only; nobody reads it through the ORM but this module.
    secret_token = fields.Char(groups=fields.NO_ACCESS, required=True)

    _key_unique = models.UniqueIndex("(key_id)")

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
