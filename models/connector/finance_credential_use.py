from odoo import models
from odoo.exceptions import UserError

from ...transport import client_context


class FinanceCredential(models.Model):
    """What a credential is used by: signer, authenticator, TLS settings."""

    _inherit = "finance.credential"

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
