# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Standard Webhooks 1.0.0: sign what leaves, verify what arrives.

Source: the Standard Webhooks specification 1.0.0 (``spec/standard-webhooks.md``).

* Signed bytes are ``{message id}.{unix seconds}.{raw body}``.
* ``v1,`` + base64 of HMAC-SHA256 under a ``whsec_`` secret.
* ``v1a,`` + base64 of Ed25519; ``whsk_`` signs, ``whpk_`` verifies.
* The signature header holds one or more signatures separated by spaces, so that a
  secret can be rotated while both the old and the new one are valid.
"""

import base64
import binascii
import hmac
import re
import secrets as random_source
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from . import constants as const

SECRET_PREFIX = "whsec_"  # noqa: S105
PRIVATE_PREFIX = "whsk_"
PUBLIC_PREFIX = "whpk_"

HEADER_ID = "webhook-id"
HEADER_TIMESTAMP = "webhook-timestamp"
HEADER_SIGNATURE = "webhook-signature"

#: Header families in the order they are looked for. A message is read from one
#: family only: mixing them would let an unsigned header stand beside a signed one.
_HEADER_FAMILIES = (
    (HEADER_ID, HEADER_TIMESTAMP, HEADER_SIGNATURE),
    ("svix-id", "svix-timestamp", "svix-signature"),
)

# The visible ASCII characters: what every HTTP stack carries unchanged.
_MESSAGE_ID = re.compile(r"[\x21-\x7e]+")
_TIMESTAMP_END = 10**const.TIMESTAMP_MAX_DIGITS
_TIMESTAMP = re.compile(rf"(?:0|[1-9][0-9]{{0,{const.TIMESTAMP_MAX_DIGITS - 1}}})")


class VerificationError(ValueError):
    """A message or a secret was refused.

    :ivar code: one of ``missing_header``, ``malformed_header``,
        ``timestamp_too_old``, ``timestamp_too_new``, ``no_matching_signature`` and
        ``bad_secret``; of the inbound presets also ``malformed_body``,
        ``bad_setting``, ``untrusted_certificate``, ``bad_token``,
        ``address_not_allowed`` and ``unavailable`` (to be tried again later).
    :ivar message: a sentence for a person, which says what to do. It never contains
        a secret or a part of one.
    :ivar authentic: whether the signature is right and the time alone is not: somebody
        sends again what was good once.
    """

    def __init__(self, code: str, message: str, authentic: bool = False):
        super().__init__(message)
        self.code = code
        self.message = message
        self.authentic = authentic


@dataclass(frozen=True, slots=True)
class Verified:
    """What a good signature vouches for.

    :ivar message_id: the sender's id of the message, stable over its retries.
    :ivar timestamp: when this attempt was signed, Unix seconds.
    """

    message_id: str
    timestamp: int


# === SECRETS === #


def generate_secret() -> str:
    """Return a new symmetric secret, ``whsec_`` and base64 of random bytes."""
    return SECRET_PREFIX + _encode(random_source.token_bytes(const.SECRET_BYTES))


def generate_key_pair() -> tuple[str, str]:
    """Return a new Ed25519 pair ``(whsk_…, whpk_…)``: ours, and the receiver's."""
    private = Ed25519PrivateKey.generate()
    seed = private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    public = _public_bytes(private)
    return PRIVATE_PREFIX + _encode(seed + public), PUBLIC_PREFIX + _encode(public)


def public_key_of(secret: str) -> str:
    """Return the public key of a private one, ``whpk_…`` of ``whsk_…``.

    :raises VerificationError: ``bad_secret``.
    """
    secret = _check_secret_text(secret)
    if not secret.startswith(PRIVATE_PREFIX):
        raise VerificationError(
            "bad_secret",
            f"A private key starts with {PRIVATE_PREFIX}. Generate a new key pair.",
        )
    return PUBLIC_PREFIX + _encode(_public_bytes(_private_key(secret)))


def public_key_pem(secret: str) -> str:
    """Return the public key of ``whsk_…`` or ``whpk_…`` as PEM (RFC 8410).

    :raises VerificationError: ``bad_secret``.
    """
    secret = _check_secret_text(secret)
    if secret.startswith(PRIVATE_PREFIX):
        secret = public_key_of(secret)
    key = _public_key(secret)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _encode(raw: bytes) -> str:
    # What base64.b64encode does, without its detour: this runs for every message.
    return binascii.b2a_base64(raw, newline=False).decode("ascii")


def _public_bytes(private: Ed25519PrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _decode_secret(secret: str, prefix: str) -> bytes:
    try:
        return base64.b64decode(secret[len(prefix) :].encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError, ValueError):
        raise VerificationError(
            "bad_secret",
            f"The part of the secret after {prefix} is not base64. Copy the secret "
            "again, whole, without quotes or line breaks.",
        ) from None


def _check_secret_text(secret: object) -> str:
    if not isinstance(secret, str) or not secret.strip():
        raise VerificationError(
            "bad_secret",
            "The secret is empty. Enter the secret which both sides share.",
        )
    return secret.strip()


def _symmetric_key(secret: str) -> bytes:
    key = _decode_secret(secret, SECRET_PREFIX)
    if not const.SECRET_MIN_BYTES <= len(key) <= const.SECRET_MAX_BYTES:
        raise VerificationError(
            "bad_secret",
            f"The secret holds {len(key)} bytes; Standard Webhooks asks for "
            f"{const.SECRET_MIN_BYTES} to {const.SECRET_MAX_BYTES}. Generate a new "
            "one.",
        )
    return key


def _private_key(secret: str) -> Ed25519PrivateKey:
    raw = _decode_secret(secret, PRIVATE_PREFIX)
    if len(raw) != const.ED25519_PRIVATE_BYTES:
        raise VerificationError(
            "bad_secret",
            f"The private key holds {len(raw)} bytes instead of "
            f"{const.ED25519_PRIVATE_BYTES}. Generate a new key pair.",
        )
    private = Ed25519PrivateKey.from_private_bytes(raw[: const.ED25519_SEED_BYTES])
    if not hmac.compare_digest(_public_bytes(private), raw[const.ED25519_SEED_BYTES :]):
        raise VerificationError(
            "bad_secret",
            "The two halves of the private key do not belong together. Copy the key "
            "again or generate a new key pair.",
        )
    return private


def _public_key(secret: str) -> Ed25519PublicKey:
    raw = _decode_secret(secret, PUBLIC_PREFIX)
    if len(raw) != const.ED25519_PUBLIC_BYTES:
        raise VerificationError(
            "bad_secret",
            f"The public key holds {len(raw)} bytes instead of "
            f"{const.ED25519_PUBLIC_BYTES}. Copy it again from the sender.",
        )
    return Ed25519PublicKey.from_public_bytes(raw)


# === SIGNING === #


def _check_message_id(message_id: object) -> str:
    if not isinstance(message_id, str) or not message_id:
        raise VerificationError(
            "malformed_header", "The message id is empty. Every message needs one."
        )
    if len(message_id) > const.MESSAGE_ID_MAX_LENGTH:
        raise VerificationError(
            "malformed_header",
            f"The message id is longer than {const.MESSAGE_ID_MAX_LENGTH} characters. "
            "Use a shorter one, for example a UUID.",
        )
    if not _MESSAGE_ID.fullmatch(message_id):
        raise VerificationError(
            "malformed_header",
            "The message id may hold visible ASCII characters only. Use letters, "
            "digits, dashes and underscores.",
        )
    return message_id


def _authenticated(begun: hmac.HMAC, content: bytes) -> bytes:
    code = begun.copy()
    code.update(content)
    return code.digest()


class Signer:
    """Signs many messages under the same secrets; the keys are decoded once.

    :param secrets: one or several ``whsec_`` or ``whsk_`` secrets. With several,
        each message carries one signature per secret, in their order.
    :raises VerificationError: ``bad_secret`` when there is none or one is unusable.
    """

    __slots__ = ("_schemes",)

    def __init__(self, secrets: Sequence[str]):
        if isinstance(secrets, str):
            secrets = (secrets,)
        self._schemes = tuple(self._scheme(secret) for secret in secrets)
        if not self._schemes:
            raise VerificationError(
                "bad_secret",
                "There is no secret to sign with. Generate one on the credential.",
            )

    @staticmethod
    def _scheme(secret: str):
        secret = _check_secret_text(secret)
        if secret.startswith(SECRET_PREFIX):
            # Begun once and copied for each message: cheaper than the function that
            # does all at once, which also gives up the interpreter for each message,
            # and whoever takes it keeps it for milliseconds.
            return "v1,", hmac.new(_symmetric_key(secret), digestmod="sha256"), None
        if secret.startswith(PRIVATE_PREFIX):
            return "v1a,", None, _private_key(secret).sign
        raise VerificationError(
            "bad_secret",
            f"A signing secret starts with {SECRET_PREFIX} (shared secret) or "
            f"{PRIVATE_PREFIX} (private key). Generate one on the credential.",
        )

    def __repr__(self):
        return f"<Signer of {len(self._schemes)} secret(s)>"

    def sign(self, message_id: str, timestamp: int, body: bytes) -> str:
        """Return the value of the signature header.

        :param message_id: stable over the retries of one message.
        :param timestamp: Unix seconds of this attempt.
        :param body: the exact bytes which are sent.
        :raises VerificationError: ``malformed_header`` for an unusable id or time.
        """
        _check_message_id(message_id)
        if type(timestamp) is not int or not 0 <= timestamp < _TIMESTAMP_END:
            raise VerificationError(
                "malformed_header",
                "The timestamp has to be a whole number of Unix seconds.",
            )
        content = b"%b.%d.%b" % (message_id.encode("ascii"), timestamp, body)
        return " ".join(
            [
                scheme
                + _encode(
                    _authenticated(begun, content)
                    if begun is not None
                    else private_sign(content)
                )
                for scheme, begun, private_sign in self._schemes
            ]
        )

    def sign_headers(
        self, message_id: str, timestamp: int, body: bytes
    ) -> dict[str, str]:
        """Return the three ``webhook-*`` headers; see :meth:`sign`."""
        return {
            HEADER_ID: message_id,
            HEADER_TIMESTAMP: str(timestamp),
            HEADER_SIGNATURE: self.sign(message_id, timestamp, body),
        }

    def sign_request(
        self,
        _method: str,
        _url: str,
        message_id: str,
        timestamp: int,
        body: bytes,
        _headers: Mapping[str, str],
    ) -> dict[str, str]:
        """Return the headers to add to a request, as every signer does.

        Standard Webhooks cover neither the method nor the URL nor other headers.
        """
        return self.sign_headers(message_id, timestamp, body)


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Return one signature, ``v1,…`` for ``whsec_`` and ``v1a,…`` for ``whsk_``.

    :raises VerificationError: ``bad_secret`` or ``malformed_header``.
    """
    return Signer((secret,)).sign(message_id, timestamp, body)


def sign_headers(
    secrets: Sequence[str], message_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """Return the ``webhook-*`` headers signed under every one of ``secrets``.

    :raises VerificationError: ``bad_secret`` or ``malformed_header``.
    """
    return Signer(secrets).sign_headers(message_id, timestamp, body)


# === VERIFICATION === #


def _header_text(name: str, value: object) -> str:
    if isinstance(value, bytes):
        try:
            value = value.decode("ascii")
        except UnicodeDecodeError:
            value = None
    if not isinstance(value, str) or not value.isascii():
        raise VerificationError(
            "malformed_header",
            f"The header {name} holds characters outside of ASCII. Send it as plain "
            "text.",
        )
    return value.strip(" \t")


def _pick_headers(headers: Mapping) -> tuple[str, str, str]:
    """Return id, timestamp and signature of the first family which is present."""
    wanted = {name for family in _HEADER_FAMILIES for name in family}
    found: dict[str, str] = {}
    for name, value in headers.items():
        text_name = name.decode("latin-1") if isinstance(name, bytes) else str(name)
        key = text_name.lower()
        if key not in wanted:
            continue
        text = _header_text(key, value)
        # Which of two different values was signed is anybody's guess: refuse both.
        if found.setdefault(key, text) != text:
            raise VerificationError(
                "malformed_header",
                f"The header {key} was sent twice with different values. Send it once.",
            )
    for family in _HEADER_FAMILIES:
        if any(name in found for name in family):
            break
    else:
        family = _HEADER_FAMILIES[0]
    missing = [name for name in family if not found.get(name)]
    if missing:
        raise VerificationError(
            "missing_header",
            f"The request has no {', '.join(missing)} header. Sign the request as "
            "Standard Webhooks describes and send all three headers.",
        )
    return found[family[0]], found[family[1]], found[family[2]]


def _verification_keys(secrets: Sequence[str]):
    if isinstance(secrets, str):
        secrets = (secrets,)
    symmetric: list[bytes] = []
    public: list[Ed25519PublicKey] = []
    for secret in map(_check_secret_text, secrets or ()):
        if secret.startswith(SECRET_PREFIX):
            symmetric.append(_symmetric_key(secret))
        elif secret.startswith(PUBLIC_PREFIX):
            public.append(_public_key(secret))
        else:
            raise VerificationError(
                "bad_secret",
                f"A secret to verify with starts with {SECRET_PREFIX} (shared secret) "
                f"or {PUBLIC_PREFIX} (the sender's public key). Correct it on the "
                "credential.",
            )
    if not symmetric and not public:
        raise VerificationError(
            "bad_secret",
            "There is no secret to verify with, so nothing is accepted. Add a "
            "credential to the connector.",
        )
    return symmetric, public


def _check_time(
    timestamp: float, now: float, tolerance: float, authentic: bool = False
):
    if now - timestamp > tolerance:
        raise VerificationError(
            "timestamp_too_old",
            f"The message was signed {now - timestamp:.0f} seconds ago; "
            f"{tolerance:.0f} are accepted. Sign every attempt anew, and check the "
            "sender's clock.",
            authentic,
        )
    if timestamp - now > tolerance:
        raise VerificationError(
            "timestamp_too_new",
            f"The message was signed {timestamp - now:.0f} seconds in the future; "
            f"{tolerance:.0f} are accepted. Check the clocks of both machines.",
            authentic,
        )


def _matches_public(key: Ed25519PublicKey, signature: str, content: bytes) -> bool:
    try:
        raw = base64.b64decode(signature, validate=True)
        # The last character of base64 has spare bits; only the one canonical
        # spelling counts, so that a signature has no second valid form.
        if _encode(raw) != signature:
            return False
        key.verify(raw, content)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def verify(
    secrets: Sequence[str],
    headers: Mapping,
    body: bytes,
    now: float,
    tolerance: float = const.TOLERANCE_SECONDS,
) -> Verified:
    """Check that a message was signed with one of the secrets, recently.

    Comparison takes constant time, header names are case-insensitive, and the
    ``svix-*`` names are read as well. Without any secret nothing is accepted.

    :param secrets: ``whsec_`` secrets and ``whpk_`` public keys; any may match.
    :param headers: header name to value.
    :param body: the raw bytes as received, before any parsing.
    :param now: the present time, Unix seconds.
    :param tolerance: accepted age and accepted lead of the signature, in seconds.
    :raises VerificationError: and nothing else, whatever the headers and the body.
    """
    symmetric, public = _verification_keys(secrets)
    message_id, timestamp_text, signature_text = _pick_headers(headers)
    _check_message_id(message_id)
    if not _TIMESTAMP.fullmatch(timestamp_text):
        raise VerificationError(
            "malformed_header",
            "The timestamp header is not a whole number of Unix seconds.",
        )
    if len(signature_text) > const.SIGNATURE_HEADER_MAX_LENGTH:
        raise VerificationError(
            "malformed_header", "The signature header is too long. Send fewer ones."
        )
    signatures = [
        item.partition(",")[::2]
        for item in signature_text.split(" ", const.SIGNATURES_MAX_COUNT)[
            : const.SIGNATURES_MAX_COUNT
        ]
        if "," in item
    ]
    if not signatures:
        raise VerificationError(
            "malformed_header",
            "The signature header holds no signature. It looks like v1,<base64>, "
            "several of them separated by spaces.",
        )
    timestamp = int(timestamp_text)
    content = b"%b.%b.%b" % (
        message_id.encode("ascii"),
        timestamp_text.encode("ascii"),
        body,
    )
    expected = [_encode(hmac.digest(key, content, "sha256")) for key in symmetric]
    # Every pair is compared, without stopping at the first match, so that the time
    # taken does not tell which secret or which signature was the right one.
    matched = False
    for scheme, signature in signatures:
        if scheme == "v1":
            for candidate in expected:
                matched |= hmac.compare_digest(candidate, signature)
        elif scheme == "v1a":
            for key in public:
                matched |= _matches_public(key, signature, content)
    if not matched:
        raise VerificationError(
            "no_matching_signature",
            "No signature fits this body under the known secrets. Check that both "
            "sides have the same secret, and that the body is signed and sent byte "
            "for byte the same.",
        )
    _check_time(timestamp, now, tolerance, authentic=True)
    return Verified(message_id, timestamp)
