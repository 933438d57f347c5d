# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""PayPal: ``PAYPAL-TRANSMISSION-ID``, ``-TIME``, ``-SIG``, ``PAYPAL-CERT-URL``,
``PAYPAL-AUTH-ALGO``.

Source: PayPal, "Integrate webhooks: verify webhook messages". Signed by SHA256withRSA
is ``{id}|{time}|{webhook id}|{crc32 of the body, decimal}``.

The certificate's address comes with the call, so it is the attacker's to choose: only
HTTPS addresses at PayPal are fetched, the certificate has to lead to a trusted root and
to bear PayPal's name, and only then its key counts. What the signature covers of the
body is a CRC-32, which binds it far less than a digest would: whoever holds one signed
call could make another body fit it. So a transmission must not count for two events,
and the address of the endpoint be kept to PayPal. A message itself is known by the id
of its event: PayPal repeats that, and its transmission may be another one.
"""

import base64
import binascii
import re
import zlib
from dataclasses import dataclass
from datetime import datetime, timezone

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from .. import constants as const
from ..standard_webhooks import VerificationError, _check_time, _encode
from .base import (
    DEFAULTS,
    Call,
    Preset,
    Proof,
    Settings,
    check_secrets,
    clean_text,
    no_match,
    read_time,
)
from .documents import check_documents

ID, TIME, SIGNATURE, CERTIFICATE, ALGORITHM = (
    "Paypal-Transmission-Id",
    "Paypal-Transmission-Time",
    "Paypal-Transmission-Sig",
    "Paypal-Cert-Url",
    "Paypal-Auth-Algo",
)
KIND = "paypal"

_ID = re.compile(rf"[\x21-\x7b\x7d\x7e]{{1,{const.MESSAGE_ID_MAX_LENGTH}}}")
# One spelling, without a port, user, query or dots in the path.
_URL = re.compile(
    r"https://((?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]+)"
    r"(/[A-Za-z0-9_-]{1,64}){1,8}"
)
_WEBHOOK_ID = re.compile(r"[A-Za-z0-9-]+")


@dataclass(frozen=True, slots=True)
class _Signer:
    """The key of a certificate that is PayPal's, and when it counts."""

    key: RSAPublicKey
    valid_from: float
    valid_until: float


def verify(secrets, call, now, settings=DEFAULTS, documents=None) -> Proof:
    """Check a call; the "secrets" are ids of the webhook, as PayPal shows them."""
    secrets = check_secrets(secrets)
    check_documents(documents)
    transmission = call.header(ID)
    if not _ID.fullmatch(transmission):
        raise VerificationError("malformed_header", f"The header {ID} is malformed.")
    moment = call.header(TIME)
    timestamp = read_time(moment, "iso8601", TIME)
    _check_time(timestamp, now, const.PAYPAL_TOLERANCE_SECONDS)
    if timestamp - now > settings.tolerance:
        _check_time(timestamp, now, settings.tolerance)
    if call.header(ALGORITHM) != "SHA256withRSA":
        raise VerificationError(
            "malformed_header",
            f"The header {ALGORITHM} names an algorithm that is not accepted. Only "
            "SHA256withRSA is.",
        )
    signature = _signature(call)
    url = check_certificate_url(call.header(CERTIFICATE))
    signer = documents.get(
        KIND, url, lambda pem: read_chain(pem, settings.roots, now), now
    )
    if not signer.valid_from <= now <= signer.valid_until:
        raise VerificationError(
            "untrusted_certificate",
            "The certificate that PayPal signed with is not valid at this time.",
        )
    checksum = zlib.crc32(call.body)
    fits = [
        _fits(signer.key, signature, f"{transmission}|{moment}|{webhook_id}|{checksum}")
        for webhook_id in secrets
    ]
    if not any(fits):
        raise no_match()
    return Proof(fits.index(True), transmission, timestamp)


def _signature(call: Call) -> bytes:
    text = call.header(SIGNATURE)
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if not raw or _encode(raw) != text:
        raise VerificationError(
            "malformed_header", f"The header {SIGNATURE} is not in base64."
        )
    return raw


def _fits(key: RSAPublicKey, signature: bytes, content: str) -> bool:
    try:
        key.verify(
            signature, content.encode("utf-8"), padding.PKCS1v15(), hashes.SHA256()
        )
    except InvalidSignature:
        return False
    return True


def check_certificate_url(url: str) -> str:
    """Return the address of a certificate, if it is one of PayPal's.

    :raises VerificationError: ``untrusted_certificate``.
    """
    found = _URL.fullmatch(url)
    if not found or not found[1].endswith(const.PAYPAL_HOST_SUFFIX):
        raise VerificationError(
            "untrusted_certificate",
            f"The header {CERTIFICATE} does not lead to a certificate at PayPal, so it "
            "is not fetched.",
        )
    return url


def read_chain(pem: bytes, roots: bytes, now: float) -> _Signer:
    """Return the key of a certificate, once it is shown to be PayPal's.

    :param pem: the certificate, with those that lead to a root behind it.
    :param roots: PEM certificates of the trusted authorities.
    :raises VerificationError: ``untrusted_certificate``, or ``unavailable`` where the
        library is too old to verify a chain.
    """
    try:
        from cryptography.x509 import verification
    except ImportError as error:
        raise VerificationError(
            "unavailable",
            "PayPal's certificates can be verified with version 42 of the Python "
            "package cryptography, or newer. Upgrade it.",
        ) from error
    try:
        chain = x509.load_pem_x509_certificates(pem)
        trusted = x509.load_pem_x509_certificates(roots)
        if not 1 <= len(chain) <= const.PAYPAL_CHAIN_MAX_COUNT:
            raise ValueError
        leaf = chain[0]
        verifier = (
            verification.PolicyBuilder()
            .store(verification.Store(trusted))
            .time(datetime.fromtimestamp(now, timezone.utc).replace(tzinfo=None))
            .build_server_verifier(x509.DNSName(_name_of(leaf)))
        )
        verifier.verify(leaf, chain[1:])
        key = leaf.public_key()
        if not isinstance(key, RSAPublicKey) or key.key_size < const.RSA_MIN_BITS:
            raise ValueError
        return _Signer(
            key,
            leaf.not_valid_before_utc.timestamp(),
            leaf.not_valid_after_utc.timestamp(),
        )
    except Exception as error:
        # Whatever the libraries make of it: what can't be shown to be PayPal's is not.
        raise VerificationError(
            "untrusted_certificate",
            "The certificate that the call names is not one of PayPal that a trusted "
            "authority gave out and that is valid now.",
        ) from error


def _name_of(leaf: x509.Certificate) -> str:
    """Return the name by which the certificate is PayPal's.

    :raises ValueError: when it has none.
    """
    names = leaf.extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    ).value.get_values_for_type(x509.DNSName)
    for name in names:
        if name.startswith(f"{const.PAYPAL_CERTIFICATE_NAME}.") and name.endswith(
            const.PAYPAL_HOST_SUFFIX
        ):
            return name
    raise ValueError("no name of PayPal")


def clean(secret: str, settings: Settings = DEFAULTS) -> str:
    """Return the id of the webhook.

    :raises VerificationError: ``bad_secret``.
    """
    secret = clean_text(secret)
    if not _WEBHOOK_ID.fullmatch(secret):
        raise VerificationError(
            "bad_secret",
            "Enter the webhook's id, letters and digits such as 8PT597110X687430L. It "
            "stands beside the webhook in PayPal's developer dashboard.",
        )
    return secret


PRESET = Preset("paypal", "PayPal", verify, clean, public=True)
