"""What the hub shows others: one class per kind of credential."""

from functools import lru_cache

from ....signing import (
    ALGORITHMS,
    MessageSigner,
    Signer,
    check_key_id,
    generate_key_pair,
    generate_secret,
    key_id_of,
    mask_secret,
    public_key_of,
    public_key_pem,
    sign,
)
from ....signing.constants import MASK
from ....transport import (
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
from ...networks import allowed_networks
from .base import CERTIFICATE, ED25519, PLACEHOLDER, SIGNING, Scheme

# === SIGNATURES === #


class StandardWebhooks(Scheme):
    """One secret that both sides know."""

    title = "Signature: Standard Webhooks, shared secret (v1)"
    purpose = SIGNING
    rotates = True
    prefix = "whsec_"
    wanted = "This scheme needs a shared secret, which starts with whsec_."

    def can_generate(self, credential):
        return True

    def generate(self, credential):
        return generate_secret()

    def clean(self, credential, secret, passphrase=None):
        secret = secret.strip()
        if not secret.startswith(self.prefix):
            raise ValueError(self.wanted)
        sign(secret, "check", 0, b"")
        return secret

    def hint(self, secret):
        return mask_secret(secret)

    def signer(self, credential):
        return Signer(credential._secrets())


class StandardWebhooksEd25519(StandardWebhooks):
    """A key pair: the hub signs, whoever has the public key verifies."""

    title = "Signature: Standard Webhooks, key pair (v1a)"
    prefix = "whsk_"
    wanted = (
        "This scheme needs a private key (whsk_) to sign what the hub sends. (A public "
        "key, whpk_, verifies what it receives.)"
    )

    def generate(self, credential):
        return generate_key_pair()[0]

    def public_key(self, credential, secret):
        return public_key_of(secret)


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
OUTBOUND = {
    "standard_webhooks": StandardWebhooks(),
    "standard_webhooks_ed25519": StandardWebhooksEd25519(),
    "http_message_signatures": HttpMessageSignatures(),
    "static_headers": Headers(),
    "basic": UserAndPassword(),
    "bearer": Token(),
    "oauth2": OAuth2(),
    "client_certificate": ClientCertificate(),
}
