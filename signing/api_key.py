# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""API keys: ``fhk_<8 characters>_<43 characters>``.

The first part is public and finds the key's owner; the second is 256 random bits in
base64url. Only a digest is ever stored. A plain SHA-256 is enough, as there is nothing
to guess: what makes passwords need a slow hash is that people choose them.
"""

import hashlib
import hmac
import re
import secrets
from typing import NamedTuple

from . import constants as const

_KEY = re.compile(
    rf"({const.API_KEY_MARK}[{const.API_KEY_ALPHABET}]{{{const.API_KEY_PREFIX_CHARS}}})"
    r"_[A-Za-z0-9_-]{43}"
)


class ApiKey(NamedTuple):
    """A new key.

    :ivar key: the whole of it; shown once, kept nowhere.
    :ivar prefix: its public part, ``fhk_<8 characters>``.
    :ivar digest: what is stored, 64 hexadecimal digits.
    """

    key: str
    prefix: str
    digest: str


def generate_api_key() -> ApiKey:
    """Return a new key."""
    public = "".join(
        secrets.choice(const.API_KEY_ALPHABET)
        for _ in range(const.API_KEY_PREFIX_CHARS)
    )
    prefix = f"{const.API_KEY_MARK}{public}"
    key = f"{prefix}_{secrets.token_urlsafe(const.API_KEY_BYTES)}"
    return ApiKey(key, prefix, api_key_digest(key))


def api_key_prefix(key: str) -> str | None:
    """Return the public part of a key, ``None`` for what cannot be one."""
    found = _KEY.fullmatch(key)
    return found and found[1]


def api_key_digest(key: str) -> str:
    """Return what is stored of a key: its SHA-256, in hexadecimal."""
    return hashlib.sha256(key.encode()).hexdigest()


def api_key_matches(key: str, digest: str | None) -> bool:
    """Whether ``digest`` is that of ``key``; as slow for a wrong one as for a right.

    :param digest: what is stored; ``None`` or empty fits no key.
    """
    fits = hmac.compare_digest(api_key_digest(key), digest or "0" * 64)
    return fits and bool(digest)
