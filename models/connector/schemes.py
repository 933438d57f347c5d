"""What a credential can be: one class per scheme.

A scheme says what the secret has to look like, whether the hub can make one, and what
becomes of it: a signer, an authenticator or a client certificate.
"""

from functools import lru_cache

from ...signing import (
    ALGORITHMS,
    MessageSigner,
    Signer,
    VerificationError,
    check_key_id,
    generate_key_pair,
    generate_secret,
    key_id_of,
    mask_secret,
    public_key_of,
    public_key_pem,
    sign,
    verify,
)
from ...signing.constants import MASK
from ...transport import (
    Authenticator,
    Basic,
    Bearer,
    ClientCredentials,
    StaticHeaders,
    check_pair,
    client_context,
    parse_headers,
    parse_parameters,
    read_private_key,
)
from ..networks import allowed_networks

SIGNING, AUTHENTICATION, CERTIFICATE = (
    "signing",
    "authentication",
    "client_certificate",
)
ED25519 = "ed25519"
# Stands in for a secret that is not there yet, to check the settings around it.
PLACEHOLDER = "placeholder"


class Scheme:
    """A kind of credential.

    :ivar title: as it is chosen
    :ivar purpose: ``signing``, ``authentication`` or ``client_certificate``
    :ivar inbound: whether it can verify what comes in, too
    :ivar rotates: whether the secret before stays in force for a while
    """

    title = ""
    purpose = AUTHENTICATION
    inbound = False
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


# === SIGNATURES === #


class StandardWebhooks(Scheme):
    """One secret that both sides know."""

    title = "Signature: Standard Webhooks, shared secret (v1)"
    purpose = SIGNING
    inbound = True
    rotates = True
    prefix = "whsec_"
    wanted = "This scheme needs a shared secret, which starts with whsec_."

    def can_generate(self, credential):
        return True

    def generate(self, credential):
        return generate_secret()

    def clean(self, credential, secret, passphrase=None):
        secret = secret.strip()
        prefix = self.expected_prefix(credential)
        if not secret.startswith(prefix):
            raise ValueError(self.wanted)
        if credential.direction == "inbound":
            _check_verifies(secret)
        else:
            sign(secret, "check", 0, b"")
        return secret

    def expected_prefix(self, credential):
        """Return how a secret of this scheme begins."""
        return self.prefix

    def hint(self, secret):
        return mask_secret(secret)

    def signer(self, credential):
        return Signer(credential._secrets())


class StandardWebhooksEd25519(StandardWebhooks):
    """A key pair: the hub signs, whoever has the public key verifies."""

    title = "Signature: Standard Webhooks, key pair (v1a)"
    wanted = (
        "This scheme needs a private key (whsk_) to sign what the hub sends, or the "
        "sender's public key (whpk_) to verify what it receives."
    )

    def can_generate(self, credential):
        # The sender keeps its private key to itself.
        return credential.direction == "outbound"

    def generate(self, credential):
        return generate_key_pair()[0]

    def expected_prefix(self, credential):
        return "whpk_" if credential.direction == "inbound" else "whsk_"

    def public_key(self, credential, secret):
        return secret if credential.direction == "inbound" else public_key_of(secret)


class HttpMessageSignatures(Scheme):
    """RFC 9421: covers method and address, too."""

    title = "Signature: HTTP Message Signatures (RFC 9421)"
    purpose = SIGNING
    rotates = True

    def can_generate(self, credential):
        return True

    def generate(self, credential):
        if credential.signature_algorithm == ED25519:
            return generate_key_pair()[0]
        return generate_secret()

    def clean(self, credential, secret, passphrase=None):
        secret = secret.strip()
        prefix = ALGORITHMS[credential.signature_algorithm]
        if not secret.startswith(prefix):
            raise ValueError(
                f"The algorithm {credential.signature_algorithm} needs a secret that "
                f"starts with {prefix}; a key in base64 becomes one with {prefix} "
                "put before it."
            )
        MessageSigner([("check", secret)])
        return secret

    def hint(self, secret):
        return mask_secret(secret)

    def public_key(self, credential, secret):
        return (
            public_key_pem(secret)
            if credential.signature_algorithm == ED25519
            else False
        )

    def key_id(self, credential, secret):
        return key_id_of(secret)

    def check_settings(self, credential):
        if credential.key_id:
            check_key_id(credential.key_id)

    def signer(self, credential):
        key_ids = [credential.key_id, credential.previous_key_id]
        # The newest secret stands first; the one before has ended most of the time.
        return MessageSigner(list(zip(key_ids, credential._secrets(), strict=False)))


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


# === AUTHENTICATION === #


class Headers(Scheme):
    """Lines such as ``X-Api-Key: 4711``."""

    title = "Access: fixed headers (API key)"

    def clean(self, credential, secret, passphrase=None):
        headers = parse_headers(secret)
        return "\n".join(f"{name}: {value}" for name, value in headers.items())

    def hint(self, secret):
        return ", ".join(f"{name}: {MASK}" for name in parse_headers(secret))

    def authenticator(self, credential, secret, proxy, ca_pem):
        return StaticHeaders(secret)


class UserAndPassword(Scheme):
    """RFC 7617."""

    title = "Access: user name and password (Basic)"

    def clean(self, credential, secret, passphrase=None):
        secret = secret.strip("\r\n")
        Basic(credential.username or "", secret)
        return secret

    def check_settings(self, credential):
        Basic(credential.username or "", PLACEHOLDER)

    def authenticator(self, credential, secret, proxy, ca_pem):
        return Basic(credential.username or "", secret)


class Token(Scheme):
    """RFC 6750."""

    title = "Access: bearer token"

    def clean(self, credential, secret, passphrase=None):
        secret = secret.strip()
        if secret.lower().startswith("bearer "):
            secret = secret[len("bearer ") :].strip()
        Bearer(secret)
        return secret

    def hint(self, secret):
        return mask_secret(secret)

    def authenticator(self, credential, secret, proxy, ca_pem):
        return Bearer(secret)


class OAuth2(Scheme):
    """RFC 6749, section 4.4: a token of its own, renewed when it ends."""

    title = "Access: OAuth 2 client credentials"

    def clean(self, credential, secret, passphrase=None):
        secret = secret.strip()
        self._credentials(credential, secret)
        return secret

    def check_settings(self, credential):
        self._credentials(credential, PLACEHOLDER)

    def hint(self, secret):
        return mask_secret(secret)

    def authenticator(self, credential, secret, proxy, ca_pem):
        return _client(
            credential.env.cr.dbname,
            credential.id,
            proxy=proxy,
            ca_pem=ca_pem or None,
            **self._settings(credential, secret),
        )

    @staticmethod
    def _credentials(credential, secret):
        return ClientCredentials(**OAuth2._settings(credential, secret))

    @staticmethod
    def _settings(credential, secret):
        return {
            "token_url": credential.token_url or "",
            "client_id": credential.client_id or "",
            "client_secret": secret,
            "scope": credential.scope or "",
            "audience": credential.audience or "",
            "parameters": parse_parameters(credential.token_parameters or None),
            "method": credential.token_auth_method,
            "networks": tuple(allowed_networks()),
        }


@lru_cache(maxsize=256)
def _client(_database, _credential_id, *, proxy, ca_pem, **settings):
    """Return the one object that keeps a credential's token in this process.

    A job runs for seconds and a token lives for an hour: each job asking for its own
    would be more requests for tokens than for events. Any changed setting makes a new
    one.
    """
    context = client_context(ca_pem=ca_pem) if ca_pem else None
    return ClientCredentials(proxy=proxy, ssl_context=context, **settings)


# === CLIENT CERTIFICATES === #


class ClientCertificate(Scheme):
    """The hub shows a certificate while the connection is made (mTLS)."""

    title = "Access: client certificate (mTLS)"
    purpose = CERTIFICATE

    def clean(self, credential, secret, passphrase=None):
        key = read_private_key(secret.strip() + "\n", passphrase or None)
        check_pair(credential.certificate_pem or "", key)
        return key


#: By the value of the field ``scheme``.
SCHEMES = {
    "standard_webhooks": StandardWebhooks(),
    "standard_webhooks_ed25519": StandardWebhooksEd25519(),
    "http_message_signatures": HttpMessageSignatures(),
    "static_headers": Headers(),
    "basic": UserAndPassword(),
    "bearer": Token(),
    "oauth2": OAuth2(),
    "client_certificate": ClientCertificate(),
}
