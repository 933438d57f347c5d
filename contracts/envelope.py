# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The CloudEvents 1.0 envelope every event leaves in and every command arrives in.

Source: CloudEvents 1.0.2, JSON event format 1.0.2; extensions: distributed tracing,
partitioning, sequence.
"""

import json
import re
import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import (
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    model_validator,
)

from . import constants as const
from .base import (
    Contract,
    ContractError,
    UtcDateTime,
    has_unstorable,
    utc_text,
    validate,
)

CONTENT_TYPE_JSON = "application/json"
CONTENT_TYPE_STRUCTURED = "application/cloudevents+json"
CONTENT_TYPE_BATCH = "application/cloudevents-batch+json"

_VISIBLE = r"^[\x21-\x7e]+$"
_EXTENSION = re.compile(rf"[a-z0-9]{{1,{const.EXTENSION_NAME_MAX_LENGTH}}}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def _traceparent(value: Any) -> Any:
    # W3C trace context: a malformed traceparent is ignored, it never fails a message.
    if isinstance(value, str) and _TRACEPARENT.fullmatch(value):
        return value
    return None


_Id = Annotated[
    str, StringConstraints(strict=True, pattern=_VISIBLE, max_length=256, min_length=1)
]
_Uri = Annotated[
    str, StringConstraints(strict=True, pattern=_VISIBLE, max_length=1024, min_length=1)
]
_Extension = Annotated[
    str,
    StringConstraints(
        strict=True, min_length=1, max_length=const.EXTENSION_VALUE_MAX_LENGTH
    ),
]


class Envelope(Contract):
    """One event or command with its context.

    Unknown extension attributes are kept, as CloudEvents asks; a ``null`` attribute
    counts as absent.

    :ivar id: with ``source`` it names the event for ever: a replay keeps it.
    :ivar source: whose event it is, a URI reference: ``/odoo/<database>/<company>``.
    :ivar type: ``finance.<object>.<verb>.v<N>``, or ``<command>.v<N>``.
    :ivar subject: ``<object>/<stable id>``.
    :ivar time: when it happened, UTC.
    :ivar dataschema: where the JSON Schema of ``data`` is published.
    :ivar correlationid: joins everything that belongs to one business transaction.
    :ivar causationid: id of the message which led to this one.
    :ivar partitionkey: the aggregate; order is kept within it.
    :ivar sequence: zero-padded position within the aggregate.
    :ivar traceparent: W3C trace context.
    :ivar actor: who did it.
    :ivar legalentity: the company's opaque id.
    :ivar dataclass: how confidential ``data`` is.
    :ivar data: the payload by the contract of ``type``.
    """

    model_config = ConfigDict(extra="allow")

    id: _Id
    source: _Uri
    specversion: Literal["1.0"] = const.SPECVERSION
    type: _Id
    subject: _Extension | None = None
    time: UtcDateTime | None = None
    datacontenttype: _Extension | None = CONTENT_TYPE_JSON
    dataschema: _Uri | None = None
    correlationid: _Extension | None = None
    causationid: _Extension | None = None
    partitionkey: _Extension | None = None
    sequence: _Extension | None = None
    traceparent: Annotated[str | None, BeforeValidator(_traceparent)] = None
    actor: _Extension | None = None
    legalentity: _Extension | None = None
    dataclass: _Extension | None = None
    data: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _leave_out_null(cls, data):
        if isinstance(data, dict):
            return {name: value for name, value in data.items() if value is not None}
        return data

    @model_validator(mode="after")
    def _check_extensions(self):
        for name, value in (self.model_extra or {}).items():
            if name == "data_base64":
                raise ValueError("Binary data is not accepted; send JSON in data.")
            if not _EXTENSION.fullmatch(name):
                raise ValueError(
                    "Names of extension attributes are lower-case letters and digits, "
                    f"at most {const.EXTENSION_NAME_MAX_LENGTH}."
                )
            if not isinstance(value, str | int):
                raise ValueError(
                    "The value of an extension attribute is a text, a whole number or "
                    "true or false."
                )
            if isinstance(value, str) and len(value) > const.EXTENSION_VALUE_MAX_LENGTH:
                raise ValueError(
                    "The value of an extension attribute has at most "
                    f"{const.EXTENSION_VALUE_MAX_LENGTH} characters."
                )
        for name, value in self:
            if isinstance(value, str) and has_unstorable(value):
                raise ValueError(f"The attribute {name} holds unusable characters.")
        return self


# === BUILDING === #


def event_source(database: str, company_id: int | str) -> str:
    """Return ``/odoo/<database uuid>/<company id>``."""
    return f"/odoo/{database}/{company_id}"


def event_subject(object_name: str, stable_id: int | str) -> str:
    """Return ``<object>/<stable id>``."""
    return f"{object_name}/{stable_id}"


def sequence_text(number: int) -> str:
    """Return a position as text which sorts like the number.

    :raises ValueError: when it is negative or too long.
    """
    if number < 0 or number >= 10**const.SEQUENCE_DIGITS:
        raise ValueError("A sequence is a number from 0 on.")
    return f"{number:0{const.SEQUENCE_DIGITS}d}"


def event_id(source: str, subject: str, transition: str, sequence: int | str) -> str:
    """Return the id of an event: the same for the same transition, for ever.

    UUIDv5 (RFC 9562) of the four parts, so that a replay or a second capture of one
    transition is recognised as the same event by every receiver.
    """
    # The unit separator cannot occur in the parts, so no two quadruples collide.
    return str(
        uuid.uuid5(
            const.EVENT_NAMESPACE,
            "\x1f".join((source, subject, transition, str(sequence))),
        )
    )


def schema_uri(name: str, base_url: str = "") -> str:
    """Return where the JSON Schema of an event type is published.

    :param name: full type name.
    :param base_url: address of the hub; without it the answer is a URI reference.
    """
    return base_url.rstrip("/") + const.SCHEMA_PATH.format(name=name)


# Made once: json.dumps() would make a new encoder for every message.
_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode


def dump_json(value: Any) -> bytes:
    """Return compact UTF-8 JSON with sorted keys: equal values, equal bytes.

    :raises ValueError: for NaN and infinity, which are not JSON.
    """
    return _encode(value).encode("utf-8")


def structured(envelope: Envelope) -> bytes:
    """Return an envelope as ``application/cloudevents+json``.

    Absent attributes are left out and keys are sorted, so a replay is byte for byte
    what was sent first.
    """
    attributes = envelope.model_dump(mode="json", exclude={"data"}, exclude_none=True)
    if envelope.data is not None:
        attributes["data"] = envelope.data
    return dump_json(attributes)


def batched(envelopes: list[Envelope]) -> bytes:
    """Return envelopes as ``application/cloudevents-batch+json``."""
    return join_batch(structured(envelope) for envelope in envelopes)


def binary(envelope: Envelope) -> tuple[dict[str, str], bytes]:
    """Return an envelope in binary mode: (headers, body).

    Source: HTTP protocol binding for CloudEvents 1.0.2, section 3.1. Attributes are
    ``ce-*`` headers, percent-encoded; the body is the data alone, and ``Content-Type``
    its type, which has no ``ce-*`` header.
    """
    attributes = envelope.model_dump(mode="json", exclude={"data"}, exclude_none=True)
    data = None if envelope.data is None else dump_json(envelope.data)
    return _binary(attributes, data)


# === BUILDING FROM STORED ROWS === #

# An event's data is stored as JSON and checked when it was stored. Sending it puts it
# into the envelope as it stands: reading and writing it again would be the larger
# part of the work of a delivery.


def structured_from_row(attributes: dict[str, Any], data_json: str | bytes) -> bytes:
    """Return what :func:`structured` would, out of data which is JSON already.

    Nothing is checked. Equal attributes and data give equal bytes.

    :param attributes: the envelope's, without ``data``: texts, whole numbers,
        booleans, aware datetimes; absent where ``None``.
    :param data_json: the JSON text of the data; empty for an event without.
    """
    head = dump_json(row_attributes(attributes))
    data_json = _bytes(data_json)
    if not data_json:
        return head
    return b"".join((head[:-1], b',"data":', data_json, b"}"))


def binary_from_row(
    attributes: dict[str, Any], data_json: str | bytes
) -> tuple[dict[str, str], bytes]:
    """Return what :func:`binary` would, out of data which is JSON already.

    :param attributes: as for :func:`structured_from_row`.
    :param data_json: the JSON text of the data; empty for an event without.
    """
    return _binary(row_attributes(attributes), _bytes(data_json))


def join_batch(bodies: Iterable[bytes]) -> bytes:
    """Return structured bodies as one ``application/cloudevents-batch+json``."""
    return b"[" + b",".join(bodies) + b"]"


def row_attributes(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of an envelope as JSON says them, absent ones left out."""
    found = {
        "specversion": const.SPECVERSION,
        "datacontenttype": CONTENT_TYPE_JSON,
    }
    for name, value in attributes.items():
        if value is None:
            continue
        found[name] = utc_text(value) if isinstance(value, datetime) else value
    return found


def _bytes(text: str | bytes) -> bytes:
    return text.encode("utf-8") if isinstance(text, str) else text


def _binary(
    attributes: dict[str, Any], data: bytes | None
) -> tuple[dict[str, str], bytes]:
    headers = {"Content-Type": attributes.get("datacontenttype") or CONTENT_TYPE_JSON}
    for name, value in attributes.items():
        if name != "datacontenttype":
            headers[f"ce-{name}"] = _header_value(value)
    return headers, data or b""


def _header_value(value: Any) -> str:
    """Return an attribute as a header says it.

    Percent-encoded are blank, quotation mark, percent sign and all that is not
    printable ASCII; booleans and numbers are spelled as CloudEvents does.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return text if _HEADER_SAFE(text) else quote(text, safe=_HEADER_SAFE_PUNCTUATION)


# U+0021 to U+007E without the quotation mark and the percent sign.
_HEADER_SAFE = re.compile(r"[!#$&-~]*").fullmatch
_HEADER_SAFE_PUNCTUATION = "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~"


# === READING === #


def _refuse_constant(_name: str):
    raise ValueError("NaN and Infinity are not JSON.")


def _bounded_int(text: str) -> int:
    if len(text) > const.NUMBER_MAX_LENGTH:
        raise ValueError("A number is too long.")
    return int(text)


def _bounded_float(text: str) -> float:
    number = float(text)
    if len(text) > const.NUMBER_MAX_LENGTH or number in (
        float("inf"),
        float("-inf"),
    ):
        raise ValueError("A number is too long.")
    return number


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        # Two programs may take different ones of them, so neither is taken.
        raise ValueError("A key stands twice in one object.")
    return found


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_keys,
    parse_constant=_refuse_constant,
    parse_int=_bounded_int,
    parse_float=_bounded_float,
)


def parse_json(body: bytes, what: str = "The message") -> Any:
    """Return the value of a JSON text from outside.

    Refused beside bad syntax: more than ``ENVELOPE_MAX_BYTES`` or
    ``ENVELOPE_MAX_DEPTH``, a key twice in one object, NaN, overlong numbers, NUL and
    half surrogate pairs.

    :raises ContractError: ``D-SCHEMA``.
    """
    if len(body) > const.ENVELOPE_MAX_BYTES:
        raise ContractError(
            f"{what} is larger than {const.ENVELOPE_MAX_BYTES} bytes. Split it."
        )
    try:
        value = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise ContractError(f"{what} is not UTF-8 text.") from None
    except RecursionError:
        raise _too_deep(what) from None
    except ValueError as error:
        raise ContractError(f"{what} is not valid JSON: {error}") from None
    _check_tree(value, what)
    return value


def _too_deep(what: str) -> ContractError:
    return ContractError(
        f"{what} is nested deeper than {const.ENVELOPE_MAX_DEPTH} levels."
    )


def _check_tree(value: Any, what: str):
    pending = [(value, 1)]
    while pending:
        item, depth = pending.pop()
        if isinstance(item, str):
            if has_unstorable(item):
                raise ContractError(
                    f"{what} holds characters which are no text (NUL or half of a "
                    "surrogate pair)."
                )
        elif isinstance(item, dict | list):
            if depth > const.ENVELOPE_MAX_DEPTH:
                raise _too_deep(what)
            if isinstance(item, dict):
                pending.extend((key, depth) for key in item)
                item = item.values()
            pending.extend((child, depth + 1) for child in item)


def parse_structured(body: bytes) -> Envelope:
    """Return the envelope in an ``application/cloudevents+json`` body.

    :raises ContractError: ``D-SCHEMA``, with JSON pointers into the body.
    """
    return validate(Envelope, parse_json(body, "The envelope"), "The envelope")


def parse_batched(body: bytes) -> list[Envelope]:
    """Return the envelopes in an ``application/cloudevents-batch+json`` body.

    :raises ContractError: ``D-SCHEMA``, with JSON pointers into the body.
    """
    items = parse_json(body, "The batch")
    if not isinstance(items, list):
        raise ContractError(
            "The batch has to be a JSON array of envelopes.",
            [{"pointer": "", "message": "An array is expected."}],
        )
    if len(items) > const.BATCH_MAX_COUNT:
        raise ContractError(
            f"The batch holds more than {const.BATCH_MAX_COUNT} events. Split it."
        )
    return [
        validate(Envelope, item, "The envelope", (index,))
        for index, item in enumerate(items)
    ]
