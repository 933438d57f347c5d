# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Adyen: standard notifications, signed item by item, and those of the platform.

Source: Adyen, "Verify HMAC signatures". The key is shown in hexadecimal digits and
used as the bytes they stand for.

Of a standard notification each item carries its signature in the body. It covers eight
values joined by colons, and nothing else: not the event's date, not the reason, not the
method of payment. Where a value holds a colon the join would be ambiguous, so only the
merchant's reference may.
"""

import hmac
import json
import re
from collections.abc import Mapping
from typing import Any

from .. import constants as const
from ..standard_webhooks import VerificationError, _encode
from .base import DEFAULTS, Preset, Proof, body_hmac, check_secrets, no_match

SIGNATURE = "hmacSignature"
HEADER = "HmacSignature"

_KEY = re.compile(rf"[0-9A-Fa-f]{{{2 * const.ADYEN_KEY_BYTES}}}")


def verify(secrets, call, now, settings=DEFAULTS, documents=None) -> Proof:
    """Check every item of a standard notification."""
    keys = [_key(secret) for secret in check_secrets(secrets)]
    fitting = [_which_key(keys, item) for item in _items(call.body)]
    if None in fitting:
        raise no_match()
    return Proof(max(fitting))


def _which_key(keys: list[bytes], item: Mapping) -> int | None:
    additional = item.get("additionalData")
    given = additional.get(SIGNATURE) if isinstance(additional, dict) else None
    if not isinstance(given, str) or not given or not given.isascii():
        raise VerificationError(
            "missing_header",
            f"An item has no {SIGNATURE} in its additionalData. Generate an HMAC key "
            "for the webhook in Adyen's Customer Area.",
        )
    content = signed_text(item).encode("utf-8", "surrogatepass")
    fits = [
        hmac.compare_digest(_encode(hmac.digest(key, content, "sha256")), given)
        for key in keys
    ]
    return fits.index(True) if True in fits else None


def signed_text(item: Mapping) -> str:
    """Return what is signed of an item.

    :raises VerificationError: ``malformed_body``.
    """
    amount = item.get("amount", {})
    if not isinstance(amount, dict):
        raise _malformed("the amount of an item is no object")
    values = [
        _value(item, "pspReference"),
        _value(item, "originalReference"),
        _value(item, "merchantAccountCode"),
        _value(item, "merchantReference", colon=True),
        _value(amount, "value"),
        _value(amount, "currency"),
        _value(item, "eventCode"),
        _value(item, "success"),
    ]
    return ":".join(values)


def _value(item: Mapping, name: str, colon: bool = False) -> str:
    value: Any = item.get(name)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, str) or (":" in value and not colon):
        raise _malformed(f"the value {name} of an item can't be signed as it is")
    return value


def _items(body: bytes) -> list[dict]:
    try:
        content = json.loads(body, object_pairs_hook=_unambiguous)
    except (ValueError, RecursionError):
        raise _malformed("it is no JSON, or names a value twice") from None
    wrapped = content.get("notificationItems") if isinstance(content, dict) else None
    if (
        not isinstance(wrapped, list)
        or not 1 <= len(wrapped) <= const.ADYEN_ITEMS_MAX_COUNT
    ):
        raise _malformed("it has no notificationItems, or too many")
    items = [
        entry.get("NotificationRequestItem") if isinstance(entry, dict) else None
        for entry in wrapped
    ]
    if not all(isinstance(item, dict) for item in items):
        raise _malformed("an entry has no NotificationRequestItem")
    return items


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict:
    found = dict(pairs)
    # Of a name that comes twice, another reader might take the other value.
    if len(found) != len(pairs):
        raise ValueError
    return found


def _malformed(what: str) -> VerificationError:
    return VerificationError(
        "malformed_body",
        f"The body is not a standard notification of Adyen: {what}. Choose “Standard "
        "webhook” and JSON in Adyen's Customer Area.",
    )


def _key(secret: str) -> bytes:
    if not _KEY.fullmatch(secret):
        raise VerificationError(
            "bad_secret",
            f"Adyen's HMAC key has {2 * const.ADYEN_KEY_BYTES} hexadecimal digits. "
            "Copy it again from the webhook's settings in Adyen's Customer Area.",
        )
    return bytes.fromhex(secret)


def clean(secret: str, settings=DEFAULTS) -> str:
    """Return the HMAC key.

    :raises VerificationError: ``bad_secret``.
    """
    secret = secret.strip()
    _key(secret)
    return secret


_verify_body = body_hmac(HEADER, "base64", key=_key)

PRESET = Preset("adyen", "Adyen, standard webhooks", verify, clean)
PLATFORM_PRESET = Preset(
    "adyen_platform", "Adyen, platform and banking webhooks", _verify_body, clean
)
