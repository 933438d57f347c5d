import logging
from typing import NamedTuple

from odoo import models
from odoo.exceptions import UserError

from ...providers.base import Reply
from ...signing import VerificationError, verify
from .. import clock

_logger = logging.getLogger(__name__)


class InboundReplies(NamedTuple):
    """What the provider of a connector wants to hear, whatever its adapter says.

    :ivar accepted: to a message that was verified and stored; ``None`` for the
        adapter's own answer
    :ivar refused: to one that was not verified; ``None`` for the hub's own answer
    """

    accepted: Reply | None = None
    refused: Reply | None = None


class FinanceConnector(models.Model):
    """How a connector knows who calls it."""

    _inherit = "finance.connector"

    def _verify_inbound(self, headers, body, remote_addr, url):
        """Return the name of what vouches for a call.

        :param headers: mapping of the request's headers
        :param bytes body: as it came
        :param str remote_addr: where the call comes from, a proxy's address if there
            is one that Odoo does not trust
        :param str url: the absolute address that was called
        :raise VerificationError: when nothing does; its ``code`` says why
        """
        self.ensure_one()
        credentials = self.credential_ids.filtered(
            lambda credential: credential.direction == "inbound"
        )
        try:
            secrets = credentials._secrets()
        except UserError as error:
            # Closed, not open: what can't be verified is refused.
            _logger.error("finance_hub: %s", error)
            raise VerificationError(
                "bad_secret",
                "The secret of this connection can't be read at the moment. Its "
                "administrator has to be told.",
            ) from error
        verify(secrets, headers, body, clock.now().timestamp())
        return ", ".join(credentials._usable().mapped("name"))

    def _inbound_replies(self):
        """Return what the provider wants to hear, see :class:`InboundReplies`."""
        return InboundReplies()
