# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""A blind index: finds what is encrypted without telling what it is.

Beside an encrypted row stands a keyed digest of each of its terms. Whoever has the
key can look a term up; whoever has the table alone can neither read terms nor try
likely ones, as a plain digest would let him.
"""

import base64
import hashlib
import hmac
import secrets

#: Bytes of a mark: enough that two terms do not meet among billions.
MARK_BYTES = 16
KEY_BYTES = 32


def generate_index_key() -> bytes:
    """Return a new key of 32 random bytes."""
    return secrets.token_bytes(KEY_BYTES)


def blind_mark(key: bytes, term: str) -> str:
    """Return the mark of a term: 22 characters of base64 for URLs.

    HMAC-SHA256 (RFC 2104), its first 16 bytes.

    :raises ValueError: when the key is shorter than 32 bytes
    """
    if len(key) < KEY_BYTES:
        raise ValueError(f"The key of an index has {KEY_BYTES} bytes or more.")
    digest = hmac.new(key, term.encode("utf-8", "surrogatepass"), hashlib.sha256)
    return base64.urlsafe_b64encode(digest.digest()[:MARK_BYTES]).decode().rstrip("=")
