# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Something the caller knows and sends along: API key, Basic, a token that stays.

Sources: RFC 7617 (Basic), RFC 6750 (bearer). The body is not signed, so all of these
stand and fall with TLS, and with the secret.
"""

import base64

from ..standard_webhooks import VerificationError
from .base import (
    DEFAULTS,
    Call,
    Preset,
    Proof,
    Settings,
    check_header_name,
    check_secrets,
    clean_text,
    same_text,
)

AUTHORIZATION = "Authorization"
DEFAULT_KEY_HEADER = "X-Api-Key"


def verify_api_key(secrets, call, now, settings=DEFAULTS, documents=None) -> Proof:
    """Check a key in a header of its own."""
    check_secrets(secrets)
    given = call.header(settings.header or DEFAULT_KEY_HEADER)
    return _known(given, secrets, "The key is not the one of this connection.")


def verify_basic(secrets, call, now, settings=DEFAULTS, documents=None) -> Proof:
    """Check user name and password."""
    check_secrets(secrets)
    check_basic_settings(settings)
    expected = [
        base64.b64encode(f"{settings.username}:{secret}".encode()).decode("ascii")
        for secret in secrets
    ]
    proof = _known(
        credentials(call, "Basic"),
        expected,
        "User name or password are not those of this connection.",
    )
    return Proof(proof.secret, identity=settings.username)


def verify_bearer(secrets, call, now, settings=DEFAULTS, documents=None) -> Proof:
    """Check a token that both sides know."""
    check_secrets(secrets)
    return _known(
        credentials(call, "Bearer"),
        secrets,
        "The token is not the one of this connection.",
    )


def credentials(call: Call, scheme: str) -> str:
    """Return what stands behind the name of the scheme in ``Authorization``.

    :raises VerificationError: ``missing_header`` or ``malformed_header``.
    """
    name, _blank, rest = call.header(AUTHORIZATION).partition(" ")
    rest = rest.strip(" ")
    if name.lower() != scheme.lower() or not rest:
        raise VerificationError(
            "malformed_header",
            f"The header {AUTHORIZATION} has to hold {scheme} and what belongs to it.",
        )
    return rest


def _known(given: str, secrets, message: str) -> Proof:
    fits = [same_text(given, secret) for secret in secrets]
    if not any(fits):
        raise VerificationError(
            "no_matching_signature", f"{message} Compare it on both sides."
        )
    return Proof(fits.index(True))


def clean_visible(secret: str, settings: Settings = DEFAULTS) -> str:
    """Return a key or a token: visible ASCII characters, as headers carry them.

    :raises VerificationError: ``bad_secret``.
    """
    secret = clean_text(secret)
    if not secret.isascii() or " " in secret:
        raise VerificationError(
            "bad_secret",
            "A key or a token in a header holds no blanks and nothing outside of "
            "ASCII. Copy it again from the other side.",
        )
    return secret


def clean_token(secret: str, settings: Settings = DEFAULTS) -> str:
    """Return a token, without the word Bearer before it.

    :raises VerificationError: ``bad_secret``.
    """
    secret = secret.strip()
    if secret.lower().startswith("bearer "):
        secret = secret[len("bearer ") :]
    return clean_visible(secret)


def check_key_settings(settings: Settings) -> None:
    """Refuse a header that can't be one.

    :raises VerificationError: ``bad_setting``.
    """
    check_header_name(settings.header or DEFAULT_KEY_HEADER, "The key's header")


def check_basic_settings(settings: Settings) -> None:
    """Refuse a user name that Basic can't carry.

    :raises VerificationError: ``bad_setting``.
    """
    if not settings.username or ":" in settings.username:
        raise VerificationError(
            "bad_setting", "Enter the user name; it must not hold a colon."
        )


API_KEY_PRESET = Preset(
    "api_key",
    "API key in a header",
    verify_api_key,
    clean_visible,
    check_key_settings,
    uses=frozenset({"header"}),
    generates=True,
)
BASIC_PRESET = Preset(
    "basic",
    "User name and password (Basic)",
    verify_basic,
    clean_text,
    check_basic_settings,
    uses=frozenset({"username"}),
    generates=True,
)
BEARER_PRESET = Preset(
    "bearer", "Bearer token", verify_bearer, clean_token, generates=True
)
