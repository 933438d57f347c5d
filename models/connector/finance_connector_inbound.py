import logging
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from odoo import api, fields, models, tools
from odoo.exceptions import UserError, ValidationError
from odoo.http import request

from ...signing import Call, Documents, Preset, Settings, VerificationError, is_in
from ...transport import fetch, parse_networks
from .. import clock
from ..networks import allowed_networks
from ..proxy import proxy
from .schemes import INBOUND, InboundReplies

_logger = logging.getLogger(__name__)


def _fetch(url):
    """Return a document of the outside world, under the server's own guard.

    :raise ValueError: when it could not be had
    """
    return fetch(url, allowed_networks(), proxy())


# Keys and certificates that calls are verified with; one for each server process, and
# for all of its databases, as nothing of it is secret.
documents = Documents(_fetch)


#: What a caller is answered by the code of a refusal, where that is not 401: 503 has
#: the sender try again later.
REFUSAL_STATUSES = {"address_not_allowed": 403, "unavailable": 503}


class Verifier(NamedTuple):
    """What a credential verifies with, in memory only.

    :ivar secrets: (clear text, in force until, None for ever), the newest first
    :ivar settings: None when what is configured can't be used
    """

    name: str
    preset: Preset
    secrets: tuple[tuple[str, datetime | None], ...]
    settings: Settings | None


class Policy(NamedTuple):
    """Whom a connector lets in.

    :ivar networks: where calls may come from; empty for anywhere
    :ivar all_must: whether one credential is not enough
    """

    networks: tuple
    all_must: bool
    verifiers: tuple[Verifier, ...]


class FinanceConnector(models.Model):
    """How a connector knows who calls it."""

    _inherit = "finance.connector"

    inbound_networks = fields.Text(
        string="Only From",
        tracking=True,
        help="Networks that calls may come from, one a line, such as 192.0.2.0/24 or "
        "2001:db8::1. Calls from elsewhere are refused before anything else is looked "
        "at. Empty means: from anywhere.",
    )
    inbound_match = fields.Selection(
        [
            ("any", "One of the credentials is enough"),
            ("all", "All of the credentials have to fit"),
        ],
        string="Proof",
        required=True,
        default="any",
        tracking=True,
        help="Matters only with several credentials for what the hub receives: one is "
        "enough while you change from one kind to another; all of them have to fit "
        "where the other side sends, say, a signature and a password.",
    )

    # === CONSTRAINTS === #

    @api.constrains("inbound_networks")
    def _check_inbound_networks(self):
        for connector in self:
            try:
                parse_networks(connector.inbound_networks)
            except ValueError as error:
                raise ValidationError(str(error)) from error

    # === BUSINESS METHODS === #

    def _verify_inbound(self, headers, body, remote_addr, url, peer_addr=None):
        """Return the name of what vouches for a call.

        :param headers: mapping of the request's headers
        :param bytes body: as it came
        :param str remote_addr: where the call comes from
        :param str url: the address that was called
        :param str peer_addr: who is connected to the server, where that is a reverse
            proxy that Odoo trusts (``proxy_mode``); by default what the present HTTP
            request says, else ``remote_addr``
        :raise VerificationError: when nothing does. Its ``code`` says why:
            ``address_not_allowed`` is a matter of where the call comes from,
            ``unavailable`` one of not being able to verify just now, so that the call
            may be sent again later; all others are final.
        """
        self.ensure_one()
        policy = self._inbound_policy()
        if policy.networks and not is_in(remote_addr, policy.networks):
            raise VerificationError(
                "address_not_allowed",
                "Calls from this address are not accepted. If it is one of the "
                "sender's, its network has to be added to the connector.",
            )
        if not policy.verifiers:
            raise VerificationError(
                "bad_secret",
                "There is no secret to verify with, so nothing is accepted. Add a "
                "credential to the connector.",
            )
        call = Call(
            headers,
            body,
            "POST",
            lambda: self._address_called(url),
            peer_addr or _peer_of_request() or remote_addr,
        )
        vouched, refusals = [], []
        for verifier in policy.verifiers:
            try:
                vouched.append(self._vouch(verifier, call))
            except VerificationError as error:
                refusals.append(error)
                if policy.all_must:
                    raise
            else:
                if not policy.all_must:
                    break
        if not vouched:
            raise _most_telling(refusals)
        return ", ".join(vouched)

    def _address_called(self, url):
        """Return the address of a call, at the host that the sender was told.

        What a caller says of the host is no more than its word.
        """
        called, known = urlsplit(url), urlsplit(self.get_base_url())
        return called._replace(scheme=known.scheme, netloc=known.netloc).geturl()

    def _vouch(self, verifier, call):
        """Return the credential's name if it vouches for a call.

        :raise VerificationError: if it does not
        """
        now = clock.now()
        naive = clock.naive(now)
        secrets = [
            secret for secret, until in verifier.secrets if not until or until > naive
        ]
        if verifier.settings is None:
            raise VerificationError(
                "bad_secret",
                "The credential of this connection can't be used at the moment. Its "
                "administrator has to be told.",
            )
        proof = verifier.preset.verify(
            secrets, call, now.timestamp(), verifier.settings, documents
        )
        if proof.secret:
            # Tells after a rotation that the other side has not changed over yet.
            return self.env._("%s (previous secret)", verifier.name)
        return verifier.name

    @tools.ormcache("self.id")
    def _inbound_policy(self):
        """Return the :class:`Policy` of the connector.

        Kept in memory until a connector or a credential changes: each call asks.
        """
        connector = self.sudo()
        credentials = connector.credential_ids.filtered(
            lambda credential: credential.direction == "inbound"
        )
        return Policy(
            parse_networks(connector.inbound_networks),
            connector.inbound_match == "all",
            tuple(
                _verifier(credential)
                for credential in credentials._usable()
                if credential.scheme in INBOUND
            ),
        )

    def _inbound_replies(self):
        """Return what the provider wants to hear.

        :rtype: schemes.InboundReplies
        """
        self.ensure_one()
        for credential in self.sudo().credential_ids._usable():
            if credential.direction == "inbound" and credential.scheme in INBOUND:
                replies = INBOUND[credential.scheme].replies
                if any(replies):
                    return replies
        return InboundReplies()


def _verifier(credential):
    scheme = INBOUND[credential.scheme]
    try:
        secrets = tuple(credential._dated_secrets())
        settings = scheme.settings(credential)
    except (UserError, ValueError, OSError) as error:
        # Closed, not open: what can't be verified is refused.
        _logger.error("finance_hub: %s: %s", credential.name, error)
        secrets, settings = (), None
    return Verifier(credential.name, scheme.preset, secrets, settings)


def _most_telling(refusals):
    """Return the refusal that helps the sender most.

    That it may come back later, else that what it sent is wrong, rather than that it
    did not send what another credential would ask for.
    """
    return min(
        refusals,
        key=lambda error: (
            error.code != "unavailable",
            not error.authentic,
            error.code in ("missing_header", "malformed_header"),
        ),
    )


def _peer_of_request():
    """Return who is connected to the server, where Odoo shows whom it stands for."""
    if not request:
        return None
    before = request.httprequest.environ.get("werkzeug.proxy_fix.orig") or {}
    return before.get("REMOTE_ADDR")
