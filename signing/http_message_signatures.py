# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""HTTP Message Signatures: sign a request, and verify one.

Sources: RFC 9421 (signatures), RFC 9530 (``Content-Digest``), RFC 8941 (structured
fields), RFC 7638 and RFC 8037 (thumbprint of a key, which is our key id).

The algorithms are ``hmac-sha256`` under a ``whsec_`` secret and ``ed25519`` under a
``whsk_`` key, which ``whpk_`` verifies: the same key material as Standard Webhooks, so
that a person meets one form of secret only.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from . import constants as const
from .message_components import content_digest, serialized_parameters, signature_base
from .standard_webhooks import (
    HEADER_ID,
    PRIVATE_PREFIX,
    PUBLIC_PREFIX,
    SECRET_PREFIX,
    VerificationError,
    _check_message_id,
    _check_secret_text,
    _check_time,
    _encode,
    _private_key,
    _public_bytes,
    _public_key,
    _symmetric_key,
)
from .structured_fields import FieldReader, read_binary, read_input

HMAC_SHA256 = "hmac-sha256"
ED25519 = "ed25519"

#: The algorithms by the prefix of the secrets that sign with them.
ALGORITHMS = {HMAC_SHA256: SECRET_PREFIX, ED25519: PRIVATE_PREFIX}

_DIGESTS = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}

# What RFC 8941 lets stand in a string, less the quote and the backslash.
_KEY_ID = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]+")
_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_METHOD = re.compile(r"[A-Z][A-Z-]{0,31}")


@dataclass(frozen=True, slots=True)
class VerifiedRequest:
    """What a good signature vouches for.

    :ivar key_id: which key signed.
    :ivar label: of the signature among those of the request.
    :ivar created: when it was signed, Unix seconds.
    :ivar covered: names of the components that were signed.
    """

    key_id: str
    label: str
    created: int
    covered: tuple[str, ...]


# === KEYS === #


def key_id_of(secret: str) -> str:
    """Return the id that is given to a key where nobody chose another.

    Of a key pair it is the thumbprint of the public key (RFC 7638, RFC 8037); of a
    shared secret a short digest, which does not give the secret away.

    :param secret: ``whsec_``, ``whsk_`` or ``whpk_``.
    :raises VerificationError: ``bad_secret``.
    """
    secret = _check_secret_text(secret)
    if secret.startswith(SECRET_PREFIX):
        digest = hmac.digest(_symmetric_key(secret), b"key id", "sha256")
        return f"hub-{digest.hex()[: const.KEY_ID_DIGITS]}"
    if secret.startswith(PRIVATE_PREFIX):
        public = _public_bytes(_private_key(secret))
    else:
        public = _public_key(secret).public_bytes(Encoding.Raw, PublicFormat.Raw)
    jwk = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(public)}
    canonical = json.dumps(jwk, separators=(",", ":"), sort_keys=True)
    return _base64url(hashlib.sha256(canonical.encode("ascii")).digest())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")


def check_key_id(key_id: object) -> str:
    """Return the id of a key as it is.

    :raises VerificationError: ``bad_key_id`` when it can't stand in a header.
    """
    if (
        not isinstance(key_id, str)
        or len(key_id) > const.KEY_ID_MAX_LENGTH
        or not _KEY_ID.fullmatch(key_id)
    ):
        raise VerificationError(
            "bad_key_id",
            f"A key id has 1 to {const.KEY_ID_MAX_LENGTH} ASCII characters, without "
            "quotes and backslashes. Enter the one that the receiver knows the key by.",
        )
    return key_id


def _verification_key(secret: str):
    secret = _check_secret_text(secret)
    if secret.startswith(SECRET_PREFIX):
        return _symmetric_key(secret)
    if secret.startswith(PUBLIC_PREFIX):
        return _public_key(secret)
    raise VerificationError(
        "bad_secret",
        f"A secret to verify with starts with {SECRET_PREFIX} (shared secret) or "
        f"{PUBLIC_PREFIX} (the sender's public key). Correct it on the credential.",
    )


# === SIGNING === #


class MessageSigner:
    """Signs many requests under the same keys; the keys are decoded once.

    :param keys: pairs of key id and secret, ``whsec_`` or ``whsk_``. With several,
        each request carries one signature per key: ``sig1``, ``sig2``, in their order.
    :param components: what is covered; :data:`~.constants.COVERED` and those of
        :data:`~.constants.COVERED_HEADERS` which are there by default.
    :param name_algorithm: whether the signature names its algorithm (``alg``).
    :raises VerificationError: ``bad_secret`` or ``bad_key_id``.
    """

    __slots__ = ("_components", "_keys")

    def __init__(
        self,
        keys: Sequence[tuple[str, str]],
        components: Sequence[str] | None = None,
        name_algorithm: bool = True,
    ):
        self._components = tuple(components) if components is not None else None
        self._keys = tuple(
            self._key(f"sig{number}", key_id, secret, name_algorithm)
            for number, (key_id, secret) in enumerate(keys, 1)
        )
        if not self._keys:
            raise VerificationError(
                "bad_secret",
                "There is no key to sign with. Generate one on the credential.",
            )

    @staticmethod
    def _key(label: str, key_id: str, secret: str, name_algorithm: bool):
        check_key_id(key_id)
        secret = _check_secret_text(secret)
        if secret.startswith(SECRET_PREFIX):
            key, private_sign, algorithm = _symmetric_key(secret), None, HMAC_SHA256
        elif secret.startswith(PRIVATE_PREFIX):
            key, private_sign, algorithm = None, _private_key(secret).sign, ED25519
        else:
            raise VerificationError(
                "bad_secret",
                f"A signing secret starts with {SECRET_PREFIX} (shared secret) or "
                f"{PRIVATE_PREFIX} (private key). Generate one on the credential.",
            )
        return label, key_id, algorithm if name_algorithm else None, key, private_sign

    def __repr__(self):
        return f"<MessageSigner of {len(self._keys)} key(s)>"

    def sign_request(
        self,
        method: str,
        url: str,
        message_id: str,
        timestamp: int,
        body: bytes,
        headers: Mapping[str, str],
    ) -> dict[str, str]:
        """Return the headers to add to a request.

        They are ``Content-Digest``, ``Signature-Input``, ``Signature``, and
        ``webhook-id``, by which the receiver knows a message that comes again.

        :param method: in capitals.
        :param url: the absolute URL, exactly as it is sent.
        :param message_id: stable over the retries of one message.
        :param timestamp: Unix seconds of this attempt.
        :param body: the exact bytes which are sent.
        :param headers: what else is sent; never changed.
        :raises VerificationError: ``malformed_header`` or ``missing_header``.
        """
        if type(timestamp) is not int or timestamp < 0:
            raise VerificationError(
                "malformed_header",
                "The timestamp has to be a whole number of Unix seconds.",
            )
        if not _METHOD.fullmatch(method):
            raise VerificationError(
                "malformed_header", "The method of the request is malformed."
            )
        added = {
            HEADER_ID: _check_message_id(message_id),
            "Content-Digest": content_digest(body),
        }
        fields = {name.lower(): value for name, value in headers.items()}
        fields.update((name.lower(), value) for name, value in added.items())
        components = self._components
        if components is None:
            components = (
                *const.COVERED,
                *(name for name in const.COVERED_HEADERS if name in fields),
            )
        inputs, signatures = [], []
        for label, key_id, algorithm, key, private_sign in self._keys:
            parameters = serialized_parameters(components, timestamp, key_id, algorithm)
            base = signature_base(components, parameters, method, url, fields)
            raw = (
                hmac.digest(key, base, "sha256")
                if key is not None
                else private_sign(base)
            )
            inputs.append(f"{label}={parameters}")
            signatures.append(f"{label}=:{_encode(raw)}:")
        added["Signature-Input"] = ", ".join(inputs)
        added["Signature"] = ", ".join(signatures)
        return added


# === HEADERS === #


def _fields_of(headers: Mapping) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in headers.items():
        text_name = name.decode("latin-1") if isinstance(name, bytes) else str(name)
        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        key = text_name.lower()
        if fields.setdefault(key, text) != text:
            raise VerificationError(
                "malformed_header",
                f"The header {key[:64]!r} was sent twice with different values.",
            )
    return fields


def _header(fields: Mapping[str, str], name: str) -> str:
    value = fields.get(name, "")
    if not value.strip():
        raise VerificationError(
            "missing_header",
            f"The request has no {name} header. Sign it as RFC 9421 describes.",
        )
    if len(value) > const.MESSAGE_HEADER_MAX_LENGTH or not value.isascii():
        raise VerificationError(
            "malformed_header", f"The header {name} is too long or not ASCII."
        )
    return value


# === VERIFICATION === #


def check_content_digest(value: str, body: bytes) -> None:
    """Refuse a body that does not fit its ``Content-Digest`` (RFC 9530).

    Every digest whose algorithm is known has to fit, and at least one has to be known.

    :raises VerificationError: ``malformed_header`` or ``no_matching_signature``.
    """
    reader = FieldReader("content-digest", value)
    known = {
        name: digest
        for name, digest in reader.dictionary(read_binary).items()
        if name in _DIGESTS
    }
    if not known:
        raise VerificationError(
            "malformed_header",
            "The header Content-Digest names no algorithm the hub knows. Use sha-256 "
            "or sha-512.",
        )
    fits = [
        hmac.compare_digest(_DIGESTS[name](body).digest(), digest)
        for name, digest in known.items()
    ]
    if not all(fits):
        raise VerificationError(
            "no_matching_signature",
            "The body does not fit its Content-Digest: it was changed on the way, or "
            "the digest was made of other bytes.",
        )


def verify_request(
    keys: Mapping[str, str],
    method: str,
    url: str,
    headers: Mapping,
    body: bytes,
    now: float,
    tolerance: float = const.TOLERANCE_SECONDS,
    required: Sequence[str] = const.COVERED,
) -> VerifiedRequest:
    """Check that a request was signed with one of the keys, recently.

    :param keys: key id to secret: ``whsec_`` or ``whpk_``.
    :param url: the absolute URL that the sender called.
    :param now: the present time, Unix seconds.
    :param tolerance: accepted age and accepted lead of the signature, in seconds.
    :param required: components which a signature has to cover to count.
    :raises VerificationError: and nothing else, whatever the headers and the body.
    """
    known = {key_id: _verification_key(secret) for key_id, secret in keys.items()}
    if not known:
        raise VerificationError(
            "bad_secret",
            "There is no key to verify with, so nothing is accepted. Add a credential "
            "to the connector.",
        )
    fields = _fields_of(headers)
    inputs = FieldReader(
        "signature-input", _header(fields, "signature-input")
    ).dictionary(read_input)
    signatures = FieldReader("signature", _header(fields, "signature")).dictionary(
        read_binary
    )
    refused = VerificationError(
        "no_matching_signature",
        "No signature fits this request under the known keys. Check the key, its id, "
        "and that method, URL and body are signed as they are sent.",
    )
    for label, (items, parameters, serialized) in inputs.items():
        key = known.get(parameters.get("keyid"))
        if key is None or label not in signatures:
            continue
        try:
            components = _check_input(items, parameters, key, required)
            base = signature_base(components, serialized, method, url, fields)
            if not _fits(key, signatures[label], base):
                continue
            if "content-digest" in components:
                check_content_digest(_header(fields, "content-digest"), body)
            created = parameters["created"]
            _check_time(created, now, tolerance, authentic=True)
            expires = parameters.get("expires")
            if isinstance(expires, int) and expires < now:
                raise VerificationError(
                    "timestamp_too_old",
                    "The signature has expired. Sign anew.",
                    authentic=True,
                )
        except VerificationError as error:
            refused = error
            continue
        return VerifiedRequest(parameters["keyid"], label, created, components)
    raise refused


def _check_input(items, parameters, key, required) -> tuple[str, ...]:
    """Return the names of what is covered, once it is what we ask for."""
    components = tuple(name for name, _options in items)
    if any(options for _name, options in items) or len(set(components)) != len(
        components
    ):
        raise VerificationError(
            "malformed_header",
            "The signature covers a component twice or with parameters, which the hub "
            "does not know.",
        )
    if any(
        not name.startswith("@") and not _HEADER_NAME.fullmatch(name)
        for name in components
    ):
        raise VerificationError(
            "malformed_header", "The signature covers a header with an impossible name."
        )
    missing = [name for name in required if name not in components]
    if missing:
        raise VerificationError(
            "malformed_header",
            f"The signature does not cover {', '.join(missing)}. Cover all of "
            f"{', '.join(required)}.",
        )
    created = parameters.get("created")
    if type(created) is not int or created < 0:
        raise VerificationError(
            "malformed_header",
            "The signature does not say when it was made. Add the parameter created.",
        )
    algorithm = HMAC_SHA256 if isinstance(key, bytes) else ED25519
    if parameters.get("alg", algorithm) != algorithm:
        raise VerificationError(
            "malformed_header",
            f"The signature names another algorithm than its key is for: {algorithm}.",
        )
    return components


def _fits(key: bytes | Ed25519PublicKey, signature: bytes, base: bytes) -> bool:
    if isinstance(key, bytes):
        return hmac.compare_digest(hmac.digest(key, base, "sha256"), signature)
    try:
        key.verify(signature, base)
    except InvalidSignature:
        return False
    return True
