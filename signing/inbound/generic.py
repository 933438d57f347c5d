# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Any provider that signs with HMAC or Ed25519: its scheme is described by settings.

The template says what is signed. ``{body}`` stands for the raw body, ``{timestamp}``
and ``{id}`` for the values of their headers as they come, ``{method}`` for POST,
``{url}`` for the address that was called:

* ``{body}``: the body alone.
* ``{timestamp}.{body}``, ``v0:{timestamp}:{body}``, ``{timestamp}{body}``.
* ``{id}.{timestamp}.{body}``.
* ``{url}{body}``, ``{method}{url}{body}{timestamp}``.

The header may hold several signatures, separated by commas or blanks.
"""

import base64
import binascii
import hmac
import itertools
import re
from collections.abc import Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from .. import constants as const
from ..standard_webhooks import PUBLIC_PREFIX, VerificationError, _check_message_id
from .base import (
    DEFAULTS,
    ENCODINGS,
    Call,
    Preset,
    Proof,
    Settings,
    check_header_name,
    check_secrets,
    check_time,
    check_tolerance,
    clean_text,
    no_match,
    read_time,
    secret_key,
    which_fits,
)

PLACEHOLDERS = ("body", "timestamp", "id", "method", "url")
ALGORITHMS = ("sha256", "sha512")
SECRET_ENCODINGS = ("text", "hex", "base64")
TIMESTAMP_FORMATS = ("seconds", "milliseconds", "iso8601")

_PART = re.compile(r"\{([a-z]+)\}|([^{}]+)")
_PREFIX = re.compile(r"[\x21-\x7e]*")
_SEPARATOR = re.compile(r"[ ,]+")


def verify_hmac(secrets, call, now, settings=DEFAULTS, documents=None) -> Proof:
    """Check an HMAC that the settings describe."""
    check_hmac_settings(settings)
    keys = [
        secret_key(secret, settings.secret_encoding)
        for secret in check_secrets(secrets)
    ]
    content, message_id, timestamp = _content(call, settings)
    encoders = ENCODINGS[settings.encoding]
    expected = []
    for key in keys:
        raw = hmac.digest(key, content, settings.algorithm)
        expected.append([encode(raw) for encode in encoders])
    fitting = which_fits(expected, _signatures(call, settings))
    if timestamp is not None:
        check_time(timestamp, now, settings.tolerance)
    return Proof(fitting, message_id, timestamp)


def verify_ed25519(secrets, call, now, settings=DEFAULTS, documents=None) -> Proof:
    """Check an Ed25519 signature (RFC 8032) that the settings describe."""
    check_settings(settings)
    keys = [_public_key(secret) for secret in check_secrets(secrets)]
    content, message_id, timestamp = _content(call, settings)
    raw = [_decode(text, settings.encoding) for text in _signatures(call, settings)]
    for index, key in enumerate(keys):
        if any(_fits(key, one, content) for one in raw if one is not None):
            if timestamp is not None:
                check_time(timestamp, now, settings.tolerance)
            return Proof(index, message_id, timestamp)
    raise no_match()


def _signatures(call: Call, settings: Settings) -> list[str]:
    """Return the signatures of the header, without their prefix.

    :raises VerificationError: ``missing_header`` or ``malformed_header``.
    """
    items = [item for item in _SEPARATOR.split(call.header(settings.header)) if item]
    prefix = settings.prefix
    found = [item[len(prefix) :] for item in items if item.startswith(prefix)]
    if not 1 <= len(found) <= const.SIGNATURES_MAX_COUNT:
        raise VerificationError(
            "malformed_header",
            f"The header {settings.header} has to hold a signature"
            + (f" that begins with {prefix}." if prefix else "."),
        )
    return found


def _content(call: Call, settings: Settings):
    """Return what has to be signed, the message's id and its time.

    :raises VerificationError: for a header that is not there, or malformed.
    """
    values = {
        "body": call.body,
        "method": call.method.encode("ascii", "replace"),
        "url": call.url.encode("utf-8", "surrogatepass"),
    }
    message_id = timestamp = None
    if settings.timestamp_header:
        text = call.header(settings.timestamp_header, const.MESSAGE_ID_MAX_LENGTH)
        timestamp = read_time(
            text, settings.timestamp_format, settings.timestamp_header
        )
        values["timestamp"] = text.encode("ascii")
    if settings.id_header:
        message_id = _check_message_id(call.header(settings.id_header))
        values["id"] = message_id.encode("ascii")
    content = b"".join(
        values[name] if name else literal.encode("utf-8")
        for name, literal in _parts(settings.template)
    )
    return content, message_id, timestamp


def _parts(template: str) -> list[tuple[str, str]]:
    """Return the template's placeholders and literals, in order.

    :raises VerificationError: ``bad_setting``.
    """
    parts = _PART.findall(template)
    whole = "".join(f"{{{name}}}" if name else literal for name, literal in parts)
    if whole != template or any(
        name and name not in PLACEHOLDERS for name, _literal in parts
    ):
        raise VerificationError(
            "bad_setting",
            "What is signed can be described with "
            + ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
            + " and the characters between them, such as {timestamp}.{body}.",
        )
    return parts


def check_settings(settings: Settings) -> None:
    """Refuse settings under which nothing, or not the whole message, is verified.

    :raises VerificationError: ``bad_setting``.
    """
    check_header_name(settings.header, "The signature's header")
    _check_choice(settings.encoding, ENCODINGS, "encoding of the signature")
    if len(settings.prefix) > const.PREFIX_MAX_LENGTH or not _PREFIX.fullmatch(
        settings.prefix
    ):
        raise VerificationError(
            "bad_setting",
            f"The prefix has at most {const.PREFIX_MAX_LENGTH} visible ASCII "
            "characters, such as sha256=.",
        )
    if len(settings.template) > const.TEMPLATE_MAX_LENGTH:
        raise VerificationError(
            "bad_setting", "The description of what is signed is too long."
        )
    parts = _parts(settings.template)
    names = [name for name, _literal in parts if name]
    if names.count("body") != 1 or len(set(names)) != len(names):
        raise VerificationError(
            "bad_setting",
            "What is signed has to hold {body} once, and nothing twice; otherwise the "
            "body could be changed on the way.",
        )
    for name, header, what in (
        ("timestamp", settings.timestamp_header, "time"),
        ("id", settings.id_header, "id"),
    ):
        if (name in names) != bool(header):
            raise VerificationError(
                "bad_setting",
                f"Enter the header of the {what} and put {{{name}}} into what is "
                f"signed, or neither: a {what} that is not signed proves nothing.",
            )
        if header:
            check_header_name(header, f"The header of the {what}")
    if settings.timestamp_header:
        _check_choice(settings.timestamp_format, TIMESTAMP_FORMATS, "form of the time")
        check_tolerance(settings.tolerance)
    for (name, _literal), (following, _more) in itertools.pairwise(parts):
        if "id" in (name, following) and name and following:
            raise VerificationError(
                "bad_setting",
                "Put a character between {id} and what stands beside it; otherwise "
                "where one ends and the other begins is anybody's guess.",
            )


def check_hmac_settings(settings: Settings) -> None:
    """The same for HMAC, which has two settings more.

    :raises VerificationError: ``bad_setting``.
    """
    check_settings(settings)
    _check_choice(settings.algorithm, ALGORITHMS, "algorithm")
    _check_choice(settings.secret_encoding, SECRET_ENCODINGS, "encoding of the secret")


def _check_choice(value: str, choices: Sequence[str], what: str) -> None:
    if value not in choices:
        raise VerificationError(
            "bad_setting", f"Choose the {what}: {', '.join(choices)}."
        )


def clean_hmac(secret: str, settings: Settings = DEFAULTS) -> str:
    """Return the secret that both sides know.

    :raises VerificationError: ``bad_secret``.
    """
    secret = clean_text(secret)
    if len(secret_key(secret, settings.secret_encoding)) < (
        const.INBOUND_SECRET_MIN_LENGTH
    ):
        raise VerificationError("bad_secret", "The secret is too short to be one.")
    return secret


# === ED25519 === #


def _public_key(text: str) -> Ed25519PublicKey:
    """Return a public key, of ``whpk_…``, 64 hexadecimal digits, base64 or PEM.

    :raises VerificationError: ``bad_secret``.
    """
    text = text.strip()
    try:
        if text.startswith("-----BEGIN"):
            key = load_pem_public_key(text.encode("ascii"))
            if not isinstance(key, Ed25519PublicKey):
                raise ValueError
            return key
        if len(text) == 2 * const.ED25519_PUBLIC_BYTES:
            raw = bytes.fromhex(text)
        else:
            raw = base64.b64decode(text.removeprefix(PUBLIC_PREFIX), validate=True)
        return Ed25519PublicKey.from_public_bytes(raw)
    except Exception:
        # Whatever the library makes of what is no key.
        raise VerificationError(
            "bad_secret",
            "This is no public Ed25519 key. Enter the one that the other side shows: "
            "64 hexadecimal digits, base64, whpk_… or PEM.",
        ) from None


def _decode(text: str, encoding: str) -> bytes | None:
    """Return a signature's bytes, ``None`` unless spelled in a canonical way."""
    try:
        if encoding == "hex":
            raw = bytes.fromhex(text)
        elif encoding == "base64url":
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        else:
            raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if any(encode(raw) == text for encode in ENCODINGS[encoding]) else None


def _fits(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def clean_ed25519(secret: str, settings: Settings = DEFAULTS) -> str:
    """Return the sender's public key.

    :raises VerificationError: ``bad_secret``.
    """
    _public_key(secret)
    return secret.strip()


_DESCRIBED = frozenset(
    {
        "header",
        "encoding",
        "prefix",
        "template",
        "timestamp_header",
        "timestamp_format",
        "id_header",
        "tolerance",
    }
)
HMAC_PRESET = Preset(
    "generic_hmac",
    "Any other: HMAC, described by hand",
    verify_hmac,
    clean_hmac,
    check_hmac_settings,
    uses=_DESCRIBED | {"algorithm", "secret_encoding"},
    generates=True,
)
ED25519_PRESET = Preset(
    "generic_ed25519",
    "Any other: Ed25519, described by hand",
    verify_ed25519,
    clean_ed25519,
    check_settings,
    uses=_DESCRIBED,
    public=True,
)
