# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What every inbound preset speaks: a call in, a proof or a refusal out.

Presets fail closed: without a secret, a header or a document to verify with, nothing is
accepted. Signatures are compared as text in their one canonical spelling, so that no
second form of a good signature exists, in constant time, and under every secret in
force without stopping at the first that fits.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets as random_source
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from .. import constants as const
from ..standard_webhooks import VerificationError, _check_time, _encode

_TIMESTAMP = re.compile(rf"(?:0|[1-9][0-9]{{0,{const.TIMESTAMP_MAX_DIGITS - 1}}})")
_MILLISECONDS = re.compile(
    rf"(?:0|[1-9][0-9]{{0,{const.TIMESTAMP_MS_MAX_DIGITS - 1}}})"
)
_ISO_TIME = re.compile(
    r"([0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9])"
    r"(\.[0-9]{1,9})?Z"
)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^`|~-]+")


class Call:
    """A call from outside, as it came.

    :ivar headers: name to value, text or bytes; names are case-insensitive.
    :ivar body: the raw bytes, before any parsing.
    :ivar method: in capitals.
    :ivar url: the absolute URL by which the hub is known to the sender; may be given
        as a function, which is called when somebody asks.
    :ivar peer: the address of whoever is connected to the server: the caller, or the
        reverse proxy before it.
    """

    __slots__ = ("_url", "body", "headers", "method", "peer")

    def __init__(
        self,
        headers: Mapping,
        body: bytes,
        method: str = "POST",
        url: str | Callable[[], str] = "",
        peer: str | None = None,
    ):
        self.headers = headers
        self.body = body
        self.method = method
        self._url = url
        self.peer = peer

    @property
    def url(self) -> str:
        return self._url if isinstance(self._url, str) else self._url()

    def header(self, name: str, max_length: int = const.HEADER_MAX_LENGTH) -> str:
        """Return the value of a header.

        :raises VerificationError: ``missing_header`` or ``malformed_header``; the
            latter also when it came twice with different values: which of them was
            signed is anybody's guess.
        """
        if len(self.headers) > const.HEADERS_MAX_COUNT:
            raise VerificationError(
                "malformed_header",
                f"The request has more than {const.HEADERS_MAX_COUNT} headers.",
            )
        wanted = name.lower()
        values = {
            _text(value).strip(" \t")
            for key, value in self.headers.items()
            if _text(key).lower() == wanted
        }
        if not any(values):
            raise VerificationError(
                "missing_header",
                f"The request has no {name} header. Check that the sender signs its "
                "calls, and that no proxy takes the header away.",
            )
        if len(values) > 1:
            raise VerificationError(
                "malformed_header",
                f"The header {name} was sent twice with different values. Send it "
                "once.",
            )
        (value,) = values
        if len(value) > max_length or not value.isascii():
            raise VerificationError(
                "malformed_header", f"The header {name} is too long or not ASCII."
            )
        return value


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


@dataclass(frozen=True, slots=True)
class Settings:
    """What stands beside the secret; each preset uses a few of these.

    :ivar header: name of the header with the signature, key or certificate.
    :ivar algorithm: ``sha256`` or ``sha512``.
    :ivar encoding: of the signature: ``hex``, ``base64`` or ``base64url``.
    :ivar secret_encoding: of the secret: ``text``, ``hex`` or ``base64``.
    :ivar prefix: before the signature, such as ``sha256=``.
    :ivar template: what is signed, see :mod:`.generic`.
    :ivar timestamp_header: name of the header with the time, empty if there is none.
    :ivar timestamp_format: ``seconds``, ``milliseconds`` or ``iso8601``.
    :ivar id_header: name of the header with the message's id, empty if there is none.
    :ivar tolerance: accepted age and lead of a signature, in seconds.
    :ivar username: of Basic.
    :ivar key_ids: ids of the keys, in the order of the secrets.
    :ivar issuer: who gives tokens out.
    :ivar audiences: for whom a token may be; one of them has to be in it.
    :ivar algorithms: what may sign a token, of :data:`~..constants.JWT_ALGORITHMS`.
    :ivar claims: further claims a token must hold, as pairs of name and value.
    :ivar leeway: accepted inaccuracy of the clocks, in seconds.
    :ivar proxies: networks of the proxies that may vouch for a client certificate.
    :ivar form: how they do: ``fingerprint``, ``certificate`` or ``subject``.
    :ivar roots: PEM certificates of the authorities that are trusted.
    """

    header: str = ""
    algorithm: str = "sha256"
    encoding: str = "hex"
    secret_encoding: str = "text"  # noqa: S105
    prefix: str = ""
    template: str = "{body}"
    timestamp_header: str = ""
    timestamp_format: str = "seconds"
    id_header: str = ""
    tolerance: float = const.TOLERANCE_SECONDS
    username: str = ""
    key_ids: tuple[str, ...] = ()
    issuer: str = ""
    audiences: tuple[str, ...] = ()
    algorithms: tuple[str, ...] = const.JWT_DEFAULT_ALGORITHMS
    claims: tuple[tuple[str, str], ...] = ()
    leeway: float = const.JWT_LEEWAY_SECONDS
    proxies: tuple = ()
    form: str = "fingerprint"
    roots: bytes = b""


DEFAULTS = Settings()


@dataclass(frozen=True, slots=True)
class Proof:
    """What vouches for a call.

    :ivar secret: which of the secrets fits; 0 is the newest.
    :ivar message_id: the sender's id of the message, if it is signed.
    :ivar timestamp: when it was signed, Unix seconds, if that is known.
    :ivar identity: who called, if the scheme says more than that a secret was known.
    """

    secret: int = 0
    message_id: str | None = None
    timestamp: float | None = None
    identity: str | None = None


def _no_settings(settings: Settings) -> None:
    """Nothing to check."""


@dataclass(frozen=True, slots=True)
class Preset:
    """One way to know who calls.

    :ivar name: what a credential is set to.
    :ivar title: for a list.
    :ivar verify: ``(secrets, call, now, settings, documents) -> Proof``; raises
        :class:`VerificationError` and nothing else, whatever arrives. ``secrets`` are
        those in force, the newest first; ``now`` is in Unix seconds; ``documents`` is
        a :class:`~.documents.Documents`, needed by what fetches keys.
    :ivar clean: ``(secret, settings) -> str``, what is kept of a secret that a person
        entered; raises :class:`VerificationError`.
    :ivar check_settings: refuses settings that can't work.
    :ivar uses: names of the settings it reads.
    :ivar generates: whether the secret may be made here and given to the other side.
    :ivar public: whether the "secret" is none, but a key, an id or an address.
    """

    name: str
    title: str
    verify: Callable[..., Proof]
    clean: Callable[[str, Settings], str]
    check_settings: Callable[[Settings], None] = _no_settings
    uses: frozenset[str] = frozenset()
    generates: bool = False
    public: bool = False


# === SECRETS === #


def check_secrets(secrets: Sequence[str]) -> Sequence[str]:
    """Return the secrets; refuse if there is none.

    :raises VerificationError: ``bad_secret``.
    """
    if isinstance(secrets, str):
        secrets = (secrets,)
    if not secrets or not all(isinstance(item, str) and item for item in secrets):
        raise VerificationError(
            "bad_secret",
            "There is no secret to verify with, so nothing is accepted. Add a "
            "credential to the connector.",
        )
    return secrets


def clean_text(secret: str, settings: Settings = DEFAULTS) -> str:
    """Return a secret that is used as text, without the blanks around it.

    :raises VerificationError: ``bad_secret``.
    """
    secret = secret.strip() if isinstance(secret, str) else ""
    if not (
        const.INBOUND_SECRET_MIN_LENGTH
        <= len(secret)
        <= const.INBOUND_SECRET_MAX_LENGTH
    ):
        raise VerificationError(
            "bad_secret",
            f"The secret has to have {const.INBOUND_SECRET_MIN_LENGTH} to "
            f"{const.INBOUND_SECRET_MAX_LENGTH} characters. Copy it again from the "
            "other side, whole.",
        )
    if any(ord(character) < 32 or ord(character) == 127 for character in secret):
        raise VerificationError(
            "bad_secret",
            "The secret holds a line break or another control character. Copy it "
            "again, as one line.",
        )
    return secret


def generate_text(encoding: str = "text") -> str:
    """Return a new secret, as text that fits any header.

    :param encoding: ``text``, ``hex`` or ``base64``.
    """
    if encoding == "hex":
        return random_source.token_hex(const.INBOUND_SECRET_BYTES)
    if encoding == "base64":
        return _encode(random_source.token_bytes(const.INBOUND_SECRET_BYTES))
    return random_source.token_urlsafe(const.INBOUND_SECRET_BYTES)


def secret_key(secret: str, encoding: str = "text") -> bytes:
    """Return the bytes of a secret.

    :raises VerificationError: ``bad_secret``.
    """
    try:
        if encoding == "hex":
            return bytes.fromhex(secret)
        if encoding == "base64":
            return base64.b64decode(secret, validate=True)
        return secret.encode("utf-8")
    except (binascii.Error, ValueError):
        raise VerificationError(
            "bad_secret",
            f"The secret is not in {encoding} form. Copy it again from the other side, "
            "or correct the credential's setting.",
        ) from None


# === SIGNATURES === #

#: Encoders of a signature, by the value of the setting; the first is what is usual.
ENCODINGS: dict[str, tuple[Callable[[bytes], str], ...]] = {
    "hex": (bytes.hex, lambda raw: raw.hex().upper()),
    "base64": (_encode,),
    "base64url": (
        lambda raw: base64.urlsafe_b64encode(raw).decode("ascii"),
        lambda raw: base64.urlsafe_b64encode(raw).decode("ascii").rstrip("="),
    ),
}


def which_fits(expected: Sequence[Sequence[str]], given: Sequence[str]) -> int:
    """Return which of the secrets made one of the given signatures.

    :param expected: of each secret the spellings of its signature.
    :param given: what the call carries, ASCII.
    :raises VerificationError: ``no_matching_signature``.
    """
    fits = []
    for spellings in expected:
        fit = False
        for one in spellings:
            for other in given:
                fit |= hmac.compare_digest(one, other)
        fits.append(fit)
    if not any(fits):
        raise no_match()
    return fits.index(True)


def no_match() -> VerificationError:
    """Return the refusal of a signature that does not fit."""
    return VerificationError(
        "no_matching_signature",
        "No signature fits this call under the known secrets. Check that both sides "
        "have the same secret, and that the body arrives byte for byte as it was "
        "signed.",
    )


def same_text(one: str, other: str) -> bool:
    """Whether two texts are the same, in a time that tells nothing of either."""
    return hmac.compare_digest(_digest(one), _digest(other))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def body_hmac(
    header: str,
    encoding: str,
    prefix: str = "",
    key: Callable[[str], bytes] = secret_key,
):
    """Return a ``verify`` for the HMAC-SHA256 of the raw body in a header.

    Of the encoding only the usual spelling counts.

    :param key: makes the bytes of a secret.
    """
    encode = ENCODINGS[encoding][0]

    def verify(secrets, call, now, settings=DEFAULTS, documents=None) -> Proof:
        secrets = check_secrets(secrets)
        given = without_prefix(header, call.header(header), prefix)
        return Proof(
            which_fits(
                [
                    (encode(hmac.digest(key(secret), call.body, "sha256")),)
                    for secret in secrets
                ],
                [given],
            )
        )

    return verify


def without_prefix(header: str, value: str, prefix: str) -> str:
    """Return a header's value without what has to stand before it.

    :raises VerificationError: ``malformed_header``.
    """
    if not value.startswith(prefix):
        raise VerificationError(
            "malformed_header", f"The header {header} has to begin with {prefix}."
        )
    return value[len(prefix) :]


# === TIME === #


def read_time(text: str, form: str, header: str) -> float:
    """Return the Unix seconds of a header's value.

    :param form: ``seconds``, ``milliseconds`` or ``iso8601`` (in UTC, with ``Z``).
    :raises VerificationError: ``malformed_header``.
    """
    if form == "seconds" and _TIMESTAMP.fullmatch(text):
        return int(text)
    if form == "milliseconds" and _MILLISECONDS.fullmatch(text):
        return int(text) / 1000
    if form == "iso8601":
        found = _ISO_TIME.fullmatch(text)
        if found:
            try:
                moment = datetime.fromisoformat(found[1]).replace(tzinfo=timezone.utc)
                return moment.timestamp() + float(f"0{found[2] or '.0'}")
            except (ValueError, OverflowError):
                # There is no such moment.
                found = None
    wanted = {
        "seconds": "a whole number of Unix seconds",
        "milliseconds": "a whole number of Unix milliseconds",
    }.get(form, "a time such as 2026-01-31T12:00:00Z")
    raise VerificationError(
        "malformed_header", f"The time in the header {header} is not {wanted}."
    )


def check_time(timestamp: float, now: float, tolerance: float) -> None:
    """Refuse what was signed too long ago, or in the future.

    To be called when the signature has been found right: the refusal says so.

    :raises VerificationError: ``timestamp_too_old`` or ``timestamp_too_new``.
    """
    _check_time(timestamp, now, tolerance, authentic=True)


# === SETTINGS === #


def check_header_name(name: str, what: str) -> None:
    """Refuse what is no name of a header, or one that proxies and Odoo take away.

    :raises VerificationError: ``bad_setting``.
    """
    if (
        not isinstance(name, str)
        or len(name) > const.HEADER_NAME_MAX_LENGTH
        or not _HEADER_NAME.fullmatch(name)
    ):
        raise VerificationError(
            "bad_setting",
            f"{what} has to be the name of a header, such as X-Signature: letters, "
            "digits and dashes, without a colon.",
        )


def check_tolerance(tolerance: float) -> None:
    """Refuse a tolerance that makes the time worthless.

    :raises VerificationError: ``bad_setting``.
    """
    if not 1 <= tolerance <= const.TOLERANCE_MAX_SECONDS:
        raise VerificationError(
            "bad_setting",
            f"The tolerance has to be 1 to {const.TOLERANCE_MAX_SECONDS} seconds; "
            f"{const.TOLERANCE_SECONDS} is usual.",
        )
