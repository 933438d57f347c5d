# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A client certificate that a reverse proxy has verified and vouches for.

TLS ends at the proxy, which writes into a header whose certificate it saw: the SHA-256
fingerprint (Caddy, Envoy, HAProxy), the whole certificate (nginx:
``$ssl_client_escaped_cert``, Traefik, AWS), or the subject. Anybody can send a header,
so it counts only when the connection comes from one of the proxies; and the proxy has
to overwrite what a caller sends under that name.
"""

import base64
import binascii
import hashlib
import ipaddress
import re
from urllib.parse import unquote

from .. import constants as const
from ..standard_webhooks import VerificationError
from .base import (
    DEFAULTS,
    Preset,
    Proof,
    Settings,
    check_header_name,
    check_secrets,
    clean_text,
    same_text,
)

FORMS = ("fingerprint", "certificate", "subject")
DEFAULT_HEADER = "X-Client-Cert"

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_PEM = re.compile(
    r"\s*-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----"
)


def verify(secrets, call, now, settings=DEFAULTS, documents=None) -> Proof:
    """Check what a proxy says of the caller's certificate."""
    secrets = check_secrets(secrets)
    check_settings(settings)
    if not is_in(call.peer, settings.proxies):
        raise VerificationError(
            "address_not_allowed",
            "Client certificates are vouched for by a reverse proxy, and the call did "
            "not come through one that is trusted here.",
        )
    value = call.header(
        settings.header or DEFAULT_HEADER, const.CERTIFICATE_HEADER_MAX_LENGTH
    )
    if settings.form == "fingerprint":
        value = read_fingerprint(value)
    elif settings.form == "certificate":
        value = _fingerprint_of(value)
    fits = [same_text(value, _comparable(secret, settings)) for secret in secrets]
    if not any(fits):
        raise VerificationError(
            "no_matching_signature",
            "The caller's certificate is not the one of this connection. Compare the "
            "fingerprints on both sides.",
        )
    return Proof(fits.index(True), identity=value)


def is_in(address: str | None, networks) -> bool:
    """Whether an address is in one of the networks; what is none is in no network.

    :param networks: of :mod:`ipaddress`.
    """
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    # The way a dual-stack socket writes an IPv4 address.
    if found.version == 6 and found.ipv4_mapped:
        found = found.ipv4_mapped
    return any(
        found.version == network.version and found in network for network in networks
    )


def read_fingerprint(text: str) -> str:
    """Return a SHA-256 fingerprint as 64 hexadecimal digits in lower case.

    :raises VerificationError: ``malformed_header``.
    """
    found = text.strip().replace(":", "").lower()
    if not _FINGERPRINT.fullmatch(found):
        raise VerificationError(
            "malformed_header",
            "A SHA-256 fingerprint has 64 hexadecimal digits. (Forty are SHA-1, which "
            "is not accepted; have the proxy send the whole certificate instead.)",
        )
    return found


def _fingerprint_of(text: str) -> str:
    """Return the SHA-256 fingerprint of a certificate, PEM or DER in base64."""
    # A plus stands for itself here, as it belongs to base64.
    plain = unquote(text)
    found = _PEM.match(plain)
    encoded = re.sub(r"\s+", "", found[1] if found else plain)
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not raw:
        raise VerificationError(
            "malformed_header",
            "The header does not hold a certificate, URL-encoded PEM or base64.",
        )
    return hashlib.sha256(raw).hexdigest()


def _comparable(secret: str, settings: Settings) -> str:
    if settings.form == "subject":
        return secret
    try:
        return read_fingerprint(secret)
    except VerificationError as error:
        raise VerificationError("bad_secret", error.message) from None


def clean(secret: str, settings: Settings = DEFAULTS) -> str:
    """Return the fingerprint or the subject of the caller's certificate.

    A certificate in PEM form is turned into its fingerprint.

    :raises VerificationError: ``bad_secret``.
    """
    if settings.form == "subject":
        return clean_text(secret)
    if "-----BEGIN CERTIFICATE-----" in secret:
        try:
            return _fingerprint_of(secret)
        except VerificationError as error:
            raise VerificationError("bad_secret", error.message) from None
    return _comparable(secret, settings)


def check_settings(settings: Settings) -> None:
    """Refuse settings under which anybody could vouch for himself.

    :raises VerificationError: ``bad_setting``.
    """
    check_header_name(settings.header or DEFAULT_HEADER, "The certificate's header")
    if settings.form not in FORMS:
        raise VerificationError(
            "bad_setting", f"Choose what the proxy sends: {', '.join(FORMS)}."
        )
    if not settings.proxies:
        raise VerificationError(
            "bad_setting",
            "Enter the addresses of the reverse proxies: from anywhere else the header "
            "proves nothing.",
        )
    if any(network.prefixlen == 0 for network in settings.proxies):
        raise VerificationError(
            "bad_setting",
            "A network that holds every address would let anybody vouch for himself.",
        )


PRESET = Preset(
    "proxy_certificate",
    "Client certificate (mTLS), verified by a reverse proxy",
    verify,
    clean,
    check_settings,
    uses=frozenset({"header", "form", "proxies"}),
    public=True,
)
