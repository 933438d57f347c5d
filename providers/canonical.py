# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Our own inbound format: CloudEvents whose data is a canonical command.

``type`` is the command with its version, ``payment.captured.v1``; all three content
modes of the CloudEvents 1.0 HTTP binding are read: structured, batched and binary.
A batch is taken as a whole or not at all, so that the sender hears of every fault.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from ..contracts import (
    CONTENT_TYPE_BATCH,
    CONTENT_TYPE_STRUCTURED,
    ContractError,
    Envelope,
    command_type,
    parse_batched,
    parse_command,
    parse_json,
    parse_structured,
    validate,
)
from .base import Adapter, ParsedCommand, bounded_id, digest_id, lower_headers

_JSON_TYPE = re.compile(r"application/(?:json|[a-z0-9.!#$&^_-]+\+json)")


def _content_type(headers: dict[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _envelopes(headers: dict[str, str], body: bytes) -> list[tuple[Envelope, tuple]]:
    """Return the envelopes of a request, each with its place in the body."""
    content_type = _content_type(headers)
    if content_type == CONTENT_TYPE_STRUCTURED:
        return [(parse_structured(body), ("data",))]
    if content_type == CONTENT_TYPE_BATCH:
        return [
            (envelope, (index, "data"))
            for index, envelope in enumerate(parse_batched(body))
        ]
    if "ce-specversion" in headers:
        return [(_binary(headers, content_type, body), ())]
    raise ContractError(
        f"The content type {content_type[:64] or '(none)'!r} is not a CloudEvents "
        f"one. Send {CONTENT_TYPE_STRUCTURED}, {CONTENT_TYPE_BATCH}, or JSON with "
        "ce-* headers."
    )


def _binary(headers: dict[str, str], content_type: str, body: bytes) -> Envelope:
    if not _JSON_TYPE.fullmatch(content_type):
        raise ContractError(
            f"The content type {content_type[:64] or '(none)'!r} is not JSON. Send "
            "the data as application/json."
        )
    attributes: dict[str, Any] = {
        name.removeprefix("ce-"): unquote(value, errors="replace")
        for name, value in headers.items()
        if name.startswith("ce-")
    }
    # The binding forbids a ce-* header for these; the body and its type say it.
    attributes.pop("data", None)
    attributes["datacontenttype"] = content_type
    data = parse_json(body, "The data")
    if not isinstance(data, dict):
        raise ContractError(
            "The data has to be a JSON object.",
            [{"pointer": "", "message": "An object is expected."}],
        )
    return validate(Envelope, {**attributes, "data": data}, "The envelope")


def _name(envelope: Envelope) -> str:
    # CloudEvents: only source and id together are unique.
    return bounded_id(f"{envelope.source}#{envelope.id}")


def _command(envelope: Envelope, at: tuple) -> ParsedCommand:
    entry = command_type(envelope.type)
    if envelope.type != entry.wire_type:
        raise ContractError(
            f"The type has no version; send {entry.wire_type}.", code="D-VERSION"
        )
    if envelope.data is None:
        raise ContractError(
            "The envelope has no data.",
            [{"pointer": "/data", "message": "This field is required."}],
        )
    data = envelope.data
    if envelope.time is not None:
        # A sender that says when once, in the envelope, need not say it again.
        data = {entry.time_field: envelope.time, **data}
    command = parse_command(entry.name, data, at)
    return ParsedCommand(
        type=entry.name,
        external_id=_name(envelope),
        occurred_at=getattr(command, entry.time_field),
        data=command.wire(),
        correlation_id=envelope.correlationid,
        causation_id=envelope.causationid,
    )


def parse(
    headers: Mapping, body: bytes, options: Mapping[str, Any] | None = None
) -> list[ParsedCommand]:
    """Return the commands of a request in the canonical format.

    :param headers: HTTP headers, names in any case.
    :param body: the raw body.
    :param options: there are none.
    :raises ContractError: ``D-SCHEMA`` or ``D-VERSION``; its pointers lead into the
        body as it was sent. Nothing else is raised, whatever arrives.
    """
    return [
        _command(envelope, at)
        for envelope, at in _envelopes(lower_headers(headers), body)
    ]


def external_id(headers: Mapping, body: bytes) -> str:
    """Return the id by which a request is deduplicated before it is parsed.

    The ``webhook-id`` (or ``svix-id``) header; else source and id of the CloudEvent;
    else, for a batch or anything unreadable, the digest of the body. Never raises.
    """
    headers = lower_headers(headers)
    for name in ("webhook-id", "svix-id"):
        if headers.get(name):
            return bounded_id(headers[name])
    if _content_type(headers) != CONTENT_TYPE_BATCH:
        try:
            ((envelope, _at),) = _envelopes(headers, body)
        except ContractError:
            return digest_id(body)
        return _name(envelope)
    return digest_id(body)


ADAPTER = Adapter(
    name="canonical",
    title="Finance Integration Hub (CloudEvents)",
    parse=parse,
    external_id=external_id,
)
