# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What every provider adapter speaks: bytes in, canonical commands out."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from . import constants as const


@dataclass(frozen=True, slots=True)
class ParsedCommand:
    """One canonical instruction out of a message.

    :ivar type: name of the command, ``payment.captured``.
    :ivar external_id: the provider's id of this instruction, unique per connector.
    :ivar occurred_at: when it happened at the provider, UTC.
    :ivar data: the canonical data, JSON-able, checked by the command's contract.
    :ivar correlation_id: joins it to a business transaction, if the provider says so.
    :ivar causation_id: the provider's id of the message which led to it.
    """

    type: str
    external_id: str
    occurred_at: datetime
    data: dict[str, Any]
    correlation_id: str | None = None
    causation_id: str | None = None


@dataclass(frozen=True, slots=True)
class Adapter:
    """One provider: how its messages are read.

    :ivar name: what a connector is set to.
    :ivar title: for a list.
    :ivar parse: ``(headers, body) -> list[ParsedCommand]``; raises ``ContractError``
        and nothing else, whatever arrives.
    :ivar external_id: ``(headers, body) -> str``, the id a message is deduplicated by
        before it is parsed; never raises.
    """

    name: str
    title: str
    parse: Callable[[Mapping, bytes], list[ParsedCommand]]
    external_id: Callable[[Mapping, bytes], str]


def lower_headers(headers: Mapping) -> dict[str, str]:
    """Return headers under lower-case names, values as stripped text."""
    found: dict[str, str] = {}
    for name, value in headers.items():
        found.setdefault(_text(name).lower(), _text(value).strip(" \t"))
    return found


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def bounded_id(text: str) -> str:
    """Return an external id that can be stored and indexed.

    Whatever is too long or holds characters a column cannot take is replaced by its
    digest, which is as good for telling two ids apart.
    """
    if len(text) <= const.EXTERNAL_ID_MAX_LENGTH and text.isprintable():
        return text
    return digest_id(text.encode("utf-8", "surrogatepass"))


def digest_id(body: bytes) -> str:
    """Return the id of a message which brings none: the digest of its bytes."""
    return "sha256:" + hashlib.sha256(body).hexdigest()
