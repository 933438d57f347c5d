# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Cursors: where a reader of a list stands, opaque to the reader."""

import hashlib
import re
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode

from . import constants as const
from .base import ContractError

# Version, list, position.
_FIELDS = struct.Struct(">BQQ")
_TEXT = re.compile(r"[A-Za-z0-9_-]{32}")


def encode_cursor(realm: str, list_id: int, position: int) -> str:
    """Return a position in a list as 32 characters that are safe in a URL.

    The checksum is no secret and no protection: whoever may read a list may begin
    anywhere. It tells a cursor that was cut, or that is of another database, from a
    right one, as that would skip or repeat what lies between in silence.

    :param realm: what the cursor is good for, such as the id of a database.
    :param list_id: which list it belongs to.
    :param position: of the last item that was read, 0 before the first.
    """
    fields = _FIELDS.pack(const.CURSOR_VERSION, list_id, position)
    return urlsafe_b64encode(fields + _checksum(realm, fields)).decode()


def decode_cursor(realm: str, text: str) -> tuple[int, int]:
    """Return (list, position) of a cursor.

    :raises ContractError: ``D-SCHEMA``, when it is none of this realm.
    """
    if not _TEXT.fullmatch(text):
        raise _bad_cursor()
    raw = urlsafe_b64decode(text)
    fields, checksum = raw[: _FIELDS.size], raw[_FIELDS.size :]
    if checksum != _checksum(realm, fields):
        raise _bad_cursor()
    version, list_id, position = _FIELDS.unpack(fields)
    if version != const.CURSOR_VERSION:
        raise _bad_cursor()
    return list_id, position


def _checksum(realm: str, fields: bytes) -> bytes:
    return hashlib.blake2b(
        fields,
        digest_size=const.CURSOR_CHECKSUM_BYTES,
        key=hashlib.sha256(realm.encode()).digest(),
    ).digest()


def _bad_cursor() -> ContractError:
    return ContractError(
        "This cursor is not one of this hub, or a part of it is missing. Send what "
        "stood in “next” unchanged, or leave “after” out to begin anew."
    )
