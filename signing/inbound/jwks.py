# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Bearer tokens signed by an issuer whose keys are published (JWT by JWKS).

Sources: RFC 7519 (JWT), RFC 7515 (JWS), RFC 7517 (JWK), RFC 8725 (best practice), RFC
9068 (access tokens). Signatures are checked by the optional package PyJWT. A token says
who calls; it does not sign the body.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any

from .. import constants as const
from ..standard_webhooks import VerificationError
from .base import DEFAULTS, Preset, Proof, Settings, check_secrets
from .documents import check_documents
from .shared import credentials

KIND = "jwks"

_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")
_ADDRESS = re.compile(r"https?://[\x21-\x7e]{1,2000}")


def verify(secrets, call, now, settings=DEFAULTS, documents=None) -> Proof:
    """Check a token; the "secrets" are addresses of key sets."""
    check_settings(settings)
    check_documents(documents)
    token = credentials(call, "Bearer")
    header, claims = _read(token)
    algorithm = header.get("alg")
    if algorithm not in settings.algorithms:
        raise _bad_token("it is signed by an algorithm that is not accepted")
    if "crit" in header or "b64" in header:
        raise _bad_token("its header asks for what the hub does not know")
    # Who is not meant costs no fetching.
    _check_claims(claims, now, settings)
    refused = None
    for index, url in enumerate(check_secrets(secrets)):
        try:
            key = _key(documents, url, header, now)
            _check_signature(token, key, algorithm)
        except VerificationError as error:
            refused = refused or error
        else:
            identity = claims.get("sub") or claims.get("client_id")
            return Proof(
                index,
                timestamp=_number(claims, "iat"),
                identity=identity if isinstance(identity, str) else None,
            )
    raise refused


# === THE TOKEN === #


def _read(token: str) -> tuple[dict, dict]:
    """Return header and claims of a token, not verified yet.

    :raises VerificationError: ``bad_token``.
    """
    parts = token.split(".")
    if len(token) > const.JWT_MAX_LENGTH or len(parts) != 3:
        raise _bad_token("it has not the form of a signed JWT")
    header, claims, _signature = map(_decode, parts)
    return _object(header), _object(claims)


def _decode(text: str) -> bytes:
    if not _SEGMENT.fullmatch(text):
        raise _bad_token("it has not the form of a signed JWT")
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise _bad_token("it has not the form of a signed JWT") from None
    # One canonical spelling only: a token has no second valid form.
    if base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=") != text:
        raise _bad_token("it has not the form of a signed JWT")
    return raw


def _object(raw: bytes) -> dict:
    try:
        found = json.loads(raw, object_pairs_hook=_unambiguous)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _bad_token("its header and its claims have to be JSON objects")
    return found


def _unambiguous(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _check_claims(claims: Mapping, now: float, settings: Settings) -> None:
    """Refuse a token that is not for us, not from whom we trust, or not for now.

    :raises VerificationError: ``bad_token``, ``timestamp_too_old`` or
        ``timestamp_too_new``.
    """
    expires, leeway = _number(claims, "exp"), settings.leeway
    if expires is None:
        raise _bad_token("it never ends; the claim exp is required")
    if now >= expires + leeway:
        raise VerificationError(
            "timestamp_too_old",
            "The token has expired. Ask the issuer for a new one, and check the clock.",
        )
    for name in ("nbf", "iat"):
        begins = _number(claims, name)
        if begins is not None and begins > now + leeway:
            raise VerificationError(
                "timestamp_too_new",
                f"The token is not valid yet ({name}). Check the clocks of both "
                "machines.",
            )
    if claims.get("iss") != settings.issuer:
        raise _bad_token("it is from another issuer (iss)")
    audience = claims.get("aud")
    meant = audience if isinstance(audience, list) else [audience]
    if not any(one in settings.audiences for one in meant if isinstance(one, str)):
        raise _bad_token("it is for another audience (aud)")
    for name, wanted in settings.claims:
        if wanted not in _words(name, claims.get(name)):
            raise _bad_token(f"its claim {name} is not the one that is required")


def _words(name: str, value: Any) -> list[str]:
    """Return a claim's values as texts."""
    if isinstance(value, list):
        return [word for item in value for word in _words("", item)]
    if isinstance(value, str):
        return value.split(" ") if name in ("scope", "scp") else [value]
    if isinstance(value, bool):
        return ["true" if value else "false"]
    return [str(value)] if isinstance(value, int) else []


def _number(claims: Mapping, name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not 0 <= value < 10**const.TIMESTAMP_MAX_DIGITS
    ):
        raise _bad_token(f"its claim {name} is no time")
    return float(value)


def _bad_token(what: str) -> VerificationError:
    return VerificationError(
        "bad_token",
        f"The token is refused: {what}. Compare issuer, audience and keys on both "
        "sides.",
    )


# === THE KEYS === #


def _key(documents, url: str, header: Mapping, now: float) -> Mapping:
    """Return the key of a token's header.

    :raises VerificationError: ``bad_token`` or ``unavailable``.
    """
    for renew in (False, True):
        keys = documents.get(KIND, url, read_key_set, now, renew=renew)
        found = [
            key
            for key in keys
            if key.get("kid") == header.get("kid")
            and key.get("alg", header["alg"]) == header["alg"]
            and key.get("kty") == _key_type(header["alg"])
        ]
        if not found and "kid" not in header and len(keys) == 1:
            found = [key for key in keys if key.get("kty") == _key_type(header["alg"])]
        if found:
            return found[0]
    raise _bad_token("it is signed by a key that the issuer does not publish")


def _key_type(algorithm: str) -> str:
    return {"RS": "RSA", "PS": "RSA", "ES": "EC"}.get(algorithm[:2], "OKP")


def read_key_set(raw: bytes) -> tuple[dict, ...]:
    """Return the keys of a key set that verify signatures.

    :raises VerificationError: ``unavailable``.
    """
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError):
        content = None
    keys = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(keys, list) or len(keys) > const.JWKS_MAX_COUNT:
        raise VerificationError(
            "unavailable",
            "What is found at the address of the keys is no key set (JWKS). Correct "
            "the address on the credential.",
        )
    return tuple(
        key
        for key in keys
        if isinstance(key, dict)
        and key.get("use", "sig") == "sig"
        and (not isinstance(key.get("key_ops"), list) or "verify" in key["key_ops"])
        # Secret keys have no place in what everybody can read.
        and key.get("kty") in ("RSA", "EC", "OKP")
        and "d" not in key
    )


def _check_signature(token: str, key: Mapping, algorithm: str) -> None:
    try:
        import jwt
    except ImportError as error:
        raise VerificationError(
            "unavailable",
            "Tokens can be verified with the Python package PyJWT, which this server "
            "does not have. Its administrator can install it: pip install PyJWT.",
        ) from error
    try:
        public = jwt.PyJWK(dict(key), algorithm=algorithm).key
        if getattr(public, "key_size", const.RSA_MIN_BITS) < const.RSA_MIN_BITS and (
            _key_type(algorithm) == "RSA"
        ):
            raise ValueError
        jwt.PyJWS(algorithms=[algorithm]).decode(
            token, key=public, algorithms=[algorithm]
        )
    except Exception as error:
        # Whatever the library makes of a hostile token or of a broken key.
        raise VerificationError(
            "no_matching_signature",
            "The token's signature does not fit the issuer's key.",
        ) from error


# === SETTINGS === #


def check_settings(settings: Settings) -> None:
    """Refuse settings under which a token of anybody could count.

    :raises VerificationError: ``bad_setting``.
    """
    if not settings.issuer or not settings.audiences:
        raise VerificationError(
            "bad_setting",
            "Enter issuer and audience: otherwise a token that the same issuer gave "
            "out for something else would be accepted.",
        )
    if not settings.algorithms or not set(settings.algorithms) <= set(
        const.JWT_ALGORITHMS
    ):
        raise VerificationError(
            "bad_setting",
            f"Algorithms are some of {', '.join(const.JWT_ALGORITHMS)}; never none, "
            "and never one with a shared secret (HS…).",
        )
    if len(settings.claims) > const.JWT_CLAIMS_MAX_COUNT:
        raise VerificationError("bad_setting", "These are too many claims.")
    if not 0 <= settings.leeway <= const.JWT_LEEWAY_MAX_SECONDS:
        raise VerificationError(
            "bad_setting",
            f"The clocks may differ by 0 to {const.JWT_LEEWAY_MAX_SECONDS} seconds.",
        )


def clean(secret: str, settings: Settings = DEFAULTS) -> str:
    """Return the address of a key set; whether it may be fetched, its fetcher says.

    :raises VerificationError: ``bad_secret``.
    """
    secret = secret.strip()
    if not _ADDRESS.fullmatch(secret):
        raise VerificationError(
            "bad_secret",
            "Enter the address of the issuer's keys, such as "
            "https://login.example.com/.well-known/jwks.json.",
        )
    return secret


PRESET = Preset(
    "jwt",
    "Token signed by an issuer (JWT, keys by JWKS)",
    verify,
    clean,
    check_settings,
    uses=frozenset({"issuer", "audiences", "algorithms", "claims", "leeway"}),
    public=True,
)
