"""What the order of commands holds for."""

import hashlib
import json
import zlib

from .. import constants

# Fields of a command's content that name the object it is about, the one that others
# hang on first: a refund belongs to its payment.
FIELDS = (
    "parent_ref",
    "provider_ref",
    "payout_ref",
    "account",
    "counterparty",
    "external_id",
    "subject",
    "document",
    "business_key",
)
MAX_LENGTH = 200


def aggregate_of(data):
    """Return the name of the object that a command is about, None if there is none.

    Two commands of one connector with the same name are applied in the order in which
    they came, and never at the same time.

    :param data: the content of a command, as in its contract
    """
    if not isinstance(data, dict):
        return None
    value = next((data[name] for name in FIELDS if data.get(name)), None)
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    if len(text) > MAX_LENGTH:
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    return text


def track_of(aggregate, default):
    """Return the track, below ``constants.TRACKS``, on which commands are applied.

    :param int default: number of what has no aggregate
    """
    if aggregate is None:
        return default % constants.TRACKS
    return zlib.crc32(aggregate.encode()) % constants.TRACKS
