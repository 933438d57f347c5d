"""How the hub knows who calls it: one line per preset of the signing room."""

import re
from functools import lru_cache

import certifi

from ....providers import Reply
from ....signing import (
    PRESETS,
    Settings,
    VerificationError,
    generate_secret,
    generate_text,
    key_id_of,
    mask_secret,
)
from ....signing.constants import JWT_LEEWAY_SECONDS, MASK
from ....transport import check_url, parse_networks, parse_parameters
from ... import constants
from ...networks import allowed_networks
from .base import AUTHENTICATION, SIGNING, InboundReplies, Scheme

EMPTY = b""
TEXT = "text/plain"


class Inbound(Scheme):
    """A preset of the signing room, with the settings of a credential.

    :ivar preset: :class:`signing.Preset`
    :ivar replies: what the provider wants to hear
    """

    rotates = True

    def __init__(self, preset, title, purpose=SIGNING, replies=None):
        self.preset = PRESETS[preset]
        self.title = title
        self.purpose = purpose
        self.replies = replies or InboundReplies()

    def can_generate(self, credential):
        return self.preset.generates

    def generate(self, credential):
        return generate_text(self.settings(credential).secret_encoding)

    def clean(self, credential, secret, passphrase=None):
        return self.preset.clean(secret, self.settings(credential))

    def hint(self, secret):
        if not self.preset.public:
            return mask_secret(secret)
        is_short = len(secret) <= constants.HINT_MAX_CHARS and "\n" not in secret
        return secret if is_short else MASK

    def check_settings(self, credential):
        self.preset.check_settings(self.settings(credential))

    def settings(self, credential):
        """Return what stands beside the secret, as the preset reads it.

        :rtype: signing.Settings
        :raise ValueError: for what can't be read
        """
        return Settings(
            **{name: _READERS[name](credential) for name in self.preset.uses}
        )


class SharedSecret(Inbound):
    """Standard Webhooks with one secret that both sides know."""

    prefix = "whsec_"
    wanted = "This scheme needs a shared secret, which starts with whsec_."

    def can_generate(self, credential):
        return True

    def generate(self, credential):
        return generate_secret()

    def clean(self, credential, secret, passphrase=None):
        if not secret.strip().startswith(self.prefix):
            raise VerificationError("bad_secret", self.wanted)
        return super().clean(credential, secret)


class PublicKey(SharedSecret):
    """Standard Webhooks with the sender's public key."""

    prefix = "whpk_"
    wanted = (
        "This scheme needs the sender's public key (whpk_) to verify what the hub "
        "receives."
    )

    def can_generate(self, credential):
        # The sender keeps its private key to itself.
        return False

    def public_key(self, credential, secret):
        return secret


class MessageSignatures(Inbound):
    """RFC 9421: the sender names its key by an id."""

    def can_generate(self, credential):
        return credential.signature_algorithm == "hmac-sha256"

    def generate(self, credential):
        return generate_secret()

    def key_id(self, credential, secret):
        return key_id_of(secret)


class PayPal(Inbound):
    """Verified by certificates that lead to one of the public authorities."""

    def settings(self, credential):
        return Settings(roots=_public_roots())


class IssuedToken(Inbound):
    """What is entered is the address of the issuer's keys."""

    def clean(self, credential, secret, passphrase=None):
        address = super().clean(credential, secret)
        return check_url(address, allowed_networks()).url


@lru_cache(maxsize=1)
def _public_roots():
    with open(certifi.where(), "rb") as file:
        return file.read()


def _words(text):
    return tuple(word for word in re.split(r"[,\s]+", text or "") if word)


#: By the name of the setting: how it is read from a credential.
_READERS = {
    "header": lambda credential: (credential.inbound_header or "").strip(),
    "algorithm": lambda credential: credential.inbound_algorithm or "",
    "encoding": lambda credential: credential.inbound_encoding or "",
    "secret_encoding": lambda credential: credential.inbound_secret_encoding or "",
    "prefix": lambda credential: (credential.inbound_prefix or "").strip(),
    "template": lambda credential: (credential.inbound_template or "").strip(),
    "timestamp_header": lambda credential: (
        credential.inbound_timestamp_header or ""
    ).strip(),
    "timestamp_format": lambda credential: credential.inbound_timestamp_format or "",
    "id_header": lambda credential: (credential.inbound_id_header or "").strip(),
    "tolerance": lambda credential: credential.inbound_tolerance,
    "username": lambda credential: credential.username or "",
    "key_ids": lambda credential: (
        credential.key_id or "",
        credential.previous_key_id or "",
    ),
    "issuer": lambda credential: (credential.token_issuer or "").strip(),
    "audiences": lambda credential: _words(credential.audience),
    "algorithms": lambda credential: _words(credential.token_algorithms),
    "claims": lambda credential: parse_parameters(credential.token_claims or None),
    "leeway": lambda credential: JWT_LEEWAY_SECONDS,
    "proxies": lambda credential: parse_networks(credential.proxy_networks),
    "form": lambda credential: credential.proxy_form or "",
}

#: Xero compares both; Intuit asks for 200 and nothing else.
_XERO = InboundReplies(Reply(200, TEXT, EMPTY), Reply(401, TEXT, EMPTY))
_QUICKBOOKS = InboundReplies(accepted=Reply(200, TEXT, EMPTY))

#: By the value of the field ``scheme``.
INBOUND = {
    "standard_webhooks": SharedSecret(
        "standard_webhooks", "Signature: Standard Webhooks, shared secret (v1)"
    ),
    "standard_webhooks_ed25519": PublicKey(
        "standard_webhooks", "Signature: Standard Webhooks, key pair (v1a)"
    ),
    "stripe": Inbound("stripe", "Provider: Stripe"),
    "adyen": Inbound("adyen", "Provider: Adyen, standard webhooks"),
    "adyen_platform": Inbound(
        "adyen_platform", "Provider: Adyen, platform and banking webhooks"
    ),
    "gocardless": Inbound("gocardless", "Provider: GoCardless"),
    "paypal": PayPal("paypal", "Provider: PayPal"),
    "shopify": Inbound("shopify", "Provider: Shopify"),
    "github": Inbound("github", "Provider: GitHub, and who signs alike"),
    "xero": Inbound("xero", "Provider: Xero", replies=_XERO),
    "quickbooks": Inbound(
        "quickbooks", "Provider: QuickBooks Online", replies=_QUICKBOOKS
    ),
    "http_message_signatures": MessageSignatures(
        "http_message_signatures", "Signature: HTTP Message Signatures (RFC 9421)"
    ),
    "generic_hmac": Inbound("generic_hmac", "Signature: HMAC, described by hand"),
    "generic_ed25519": Inbound(
        "generic_ed25519", "Signature: Ed25519, described by hand"
    ),
    "api_key": Inbound("api_key", "Access: API key in a header", AUTHENTICATION),
    "basic": Inbound("basic", "Access: user name and password (Basic)", AUTHENTICATION),
    "bearer": Inbound("bearer", "Access: bearer token", AUTHENTICATION),
    "jwt": IssuedToken(
        "jwt", "Access: token signed by an issuer (JWT)", AUTHENTICATION
    ),
    "proxy_certificate": Inbound(
        "proxy_certificate",
        "Access: client certificate, seen by a proxy (mTLS)",
        AUTHENTICATION,
    ),
}
