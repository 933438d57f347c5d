"""What every kind of credential speaks."""

from typing import NamedTuple

from ....providers import Reply
from ....signing.constants import MASK
from ....transport import Authenticator

SIGNING, AUTHENTICATION, CERTIFICATE = (
    "signing",
    "authentication",
    "client_certificate",
)
ED25519 = "ed25519"
# Stands in for a secret that is not there yet, to check the settings around it.
PLACEHOLDER = "placeholder"


class InboundReplies(NamedTuple):
    """What a provider wants to hear, whatever the connector's adapter says.

    :ivar accepted: to a message that was verified and stored; ``None`` for the
        adapter's own answer
    :ivar refused: to a call that was not verified; ``None`` for the hub's own answer
    """

    accepted: Reply | None = None
    refused: Reply | None = None


class Scheme:
    """A kind of credential.

    :ivar title: as it is chosen
    :ivar purpose: ``signing``, ``authentication`` or ``client_certificate``
    :ivar rotates: whether the secret before stays in force for a while
    """

    title = ""
    purpose = AUTHENTICATION
    rotates = False

    def can_generate(self, credential) -> bool:
        """Return whether the hub makes the secret, rather than the other side."""
        return False

    def generate(self, credential) -> str:
        """Return a new secret."""
        raise NotImplementedError

    def clean(self, credential, secret, passphrase=None) -> str:
        """Return what is kept of a secret that was entered.

        :raise ValueError: when it can't be used; the message says why
        """
        return secret

    def hint(self, secret) -> str:
        """Return by what a person knows the secret again."""
        return MASK

    def public_key(self, credential, secret) -> str | bool:
        """Return what the receiver verifies with, False if there is no such thing."""
        return False

    def key_id(self, credential, secret) -> str | bool:
        """Return the id of a new key, False if keys have none."""
        return False

    def check_settings(self, credential) -> None:
        """Refuse settings beside the secret that can't work.

        :raise ValueError: saying what is wrong
        """

    def signer(self, credential):
        """Return what signs with all secrets in force."""
        raise NotImplementedError

    def authenticator(self, credential, secret, proxy, ca_pem) -> Authenticator:
        """Return what sends the secret along."""
        raise NotImplementedError
