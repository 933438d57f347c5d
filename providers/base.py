# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What every provider adapter speaks: bytes in, canonical commands out."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..contracts import Contract
from . import constants as const


@dataclass(frozen=True, slots=True)
class ParsedCommand:
    """One canonical instruction out of a message.

    :ivar type: name of the command, ``payment.captured``.
    :ivar external_id: the provider's id of this instruction, unique per connector.
    :ivar occurred_at: when it happened at the provider, UTC; None only where nothing
        is done with it and nothing says when.
    :ivar data: the canonical data, JSON-able, checked by the command's contract.
    :ivar correlation_id: joins it to a business transaction, if the provider says so.
    :ivar causation_id: the provider's id of the message which led to it.
    :ivar ignored: why there is nothing to do, for an event the hub has no use for; its
        ``type`` is then the provider's own, ``stripe:customer.created``, and it is
        kept where people can see it.
    """

    type: str
    external_id: str
    occurred_at: datetime | None
    data: dict[str, Any]
    correlation_id: str | None = None
    causation_id: str | None = None
    ignored: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer a provider expects to a message that was stored.

    :ivar body: as it goes on the wire.
    """

    status: int
    content_type: str
    body: bytes


def whole_body(headers: Mapping, body: bytes) -> bytes:
    """Return what makes two messages of one id the same: all of the body."""
    return body


@dataclass(frozen=True, slots=True)
class Adapter:
    """One provider: how its messages are read.

    :ivar name: what a connector is set to.
    :ivar title: for a list.
    :ivar parse: ``(headers, body, options) -> list[ParsedCommand]``; raises
        ``ContractError`` and nothing else, whatever arrives. ``options`` is the
        wire form of ``options_model``, empty for the defaults.
    :ivar external_id: ``(headers, body) -> str``, the id a message is deduplicated by
        before it is parsed; never raises.
    :ivar fingerprint: ``(headers, body) -> bytes``, of which the digest tells whether
        a message with a known id says the same: for providers whose repetitions
        differ in what means nothing; never raises.
    :ivar options_model: contract of the settings of one connector, if there are any.
    :ivar reply: what the provider wants to hear when a message was stored.
    :ivar max_bytes: largest body it takes, where files come this way; ``None`` is the
        limit of messages.
    """

    name: str
    title: str
    parse: Callable[[Mapping, bytes, Mapping[str, Any]], list[ParsedCommand]]
    external_id: Callable[[Mapping, bytes], str]
    fingerprint: Callable[[Mapping, bytes], bytes] = whole_body
    options_model: type[Contract] | None = None
    reply: Reply | None = None
    max_bytes: int | None = None


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
