# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The AsyncAPI 3.0 document of everything the hub sends and takes.

Operations are told from the hub's side: it *sends* events to the endpoints of its
subscribers and *receives* commands.
"""

import json
from typing import Any
from urllib.parse import urlsplit

from . import constants as const
from .commands import COMMAND_TYPES
from .commands import json_schema as command_schema
from .envelope import CONTENT_TYPE_JSON, CONTENT_TYPE_STRUCTURED, Envelope
from .events import EVENT_TYPES, EventType, json_schema, sample_event

_SUBSCRIBER = "subscriber"
_HUB = "hub"
_SIGNATURE = "standardWebhooks"


def asyncapi(base_url: str, version: str = "1.0.0") -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document.

    :param base_url: address of the hub, ``https://erp.example``.
    :param version: version of the product, for ``info``.
    """
    schemas = _Schemas()
    schemas.add("CloudEvent", _envelope_schema())
    messages = {
        **{entry.name: _event_message(entry, schemas) for entry in _newest_first()},
        **{
            entry.wire_type: _command_message(name, schemas)
            for name, entry in COMMAND_TYPES.items()
        },
    }
    channels, operations = _outbound()
    inbound_channels, inbound_operations = _inbound()
    return {
        "asyncapi": "3.0.0",
        "id": const.ASYNCAPI_ID,
        "info": {
            "title": "Finance Integration Hub",
            "version": version,
            "description": (
                "Finance events as CloudEvents 1.0 in signed HTTP requests (Standard "
                "Webhooks 1.0.0), at least once and in order for each subject; "
                "commands the same way in the other direction. This document shows "
                "structured mode; a subscription can ask for binary or batched mode."
            ),
            "license": {
                "name": "LGPL-3.0-or-later",
                "url": "https://www.gnu.org/licenses/lgpl-3.0.html",
            },
            "tags": [{"name": name} for name in _objects()],
        },
        "defaultContentType": CONTENT_TYPE_STRUCTURED,
        "servers": _servers(base_url),
        "channels": {**channels, **inbound_channels},
        "operations": {**operations, **inbound_operations},
        "components": {
            "messages": messages,
            "messageTraits": {"signed": _signed_headers()},
            "schemas": schemas.found,
            "securitySchemes": {
                _SIGNATURE: {
                    "type": "httpApiKey",
                    "name": "webhook-signature",
                    "in": "header",
                    "description": (
                        "Standard Webhooks 1.0.0: `v1,` and the base64 of "
                        "HMAC-SHA256, or `v1a,` and that of Ed25519, over "
                        "`{webhook-id}.{webhook-timestamp}.{body}`."
                    ),
                }
            },
        },
    }


def _newest_first() -> list[EventType]:
    # The newest version gives its parts their plain names.
    return sorted(EVENT_TYPES.values(), key=lambda entry: (-entry.version, entry.name))


def _objects() -> list[str]:
    return list(dict.fromkeys(entry.object for entry in EVENT_TYPES.values()))


def _reference(*parts: str) -> dict[str, str]:
    path = "/".join(part.replace("~", "~0").replace("/", "~1") for part in parts)
    return {"$ref": f"#/{path}"}


# === SERVERS, CHANNELS, OPERATIONS === #


def _servers(base_url: str) -> dict[str, Any]:
    hub = urlsplit(base_url)
    return {
        _SUBSCRIBER: {
            "host": "{host}",
            "protocol": "https",
            "description": "The endpoint of a subscriber, at any address it chooses.",
            "variables": {
                "host": {
                    "default": "receiver.example",
                    "description": "Host of the endpoint.",
                }
            },
            "security": [_reference("components", "securitySchemes", _SIGNATURE)],
        },
        _HUB: {
            "host": hub.netloc or "localhost",
            "protocol": hub.scheme or "https",
            **({"pathname": hub.path.rstrip("/")} if hub.path.strip("/") else {}),
            "description": "This hub.",
            "security": [_reference("components", "securitySchemes", _SIGNATURE)],
        },
    }


def _outbound() -> tuple[dict[str, Any], dict[str, Any]]:
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for name in _objects():
        channels[name] = {
            # The address is the subscriber's own.
            "address": None,
            "title": f"Events about {name.replace('_', ' ')}",
            "description": "Sent to every endpoint with a subscription for them.",
            "servers": [_reference("servers", _SUBSCRIBER)],
            "messages": {},
        }
    for entry in EVENT_TYPES.values():
        channels[entry.object]["messages"][entry.name] = _reference(
            "components", "messages", entry.name
        )
        operation = operations.setdefault(
            entry.base_name,
            {
                "action": "send",
                "channel": _reference("channels", entry.object),
                "title": entry.title,
                "summary": entry.description,
                "tags": [{"name": entry.object}],
                "security": [_reference("components", "securitySchemes", _SIGNATURE)],
                "bindings": _POST,
                "messages": [],
            },
        )
        operation["messages"].append(
            _reference("channels", entry.object, "messages", entry.name)
        )
    return channels, operations


_POST = {"http": {"method": "POST", "bindingVersion": "0.3.0"}}


def _inbound() -> tuple[dict[str, Any], dict[str, Any]]:
    channel = {
        "address": const.INBOUND_PATH,
        "title": "Commands",
        "description": "Signed messages of a connected system to the hub.",
        "servers": [_reference("servers", _HUB)],
        "parameters": {
            "connector": {"description": "The address part of the connector's webhook."}
        },
        "messages": {
            entry.wire_type: _reference("components", "messages", entry.wire_type)
            for entry in COMMAND_TYPES.values()
        },
    }
    operations = {
        entry.name: {
            "action": "receive",
            "channel": _reference("channels", "commands"),
            "title": entry.title,
            "summary": entry.description,
            "security": [_reference("components", "securitySchemes", _SIGNATURE)],
            "bindings": _POST,
            "messages": [
                _reference("channels", "commands", "messages", entry.wire_type)
            ],
        }
        for entry in COMMAND_TYPES.values()
    }
    return {"commands": channel}, operations


# === MESSAGES === #


def _event_message(entry: EventType, schemas: "_Schemas") -> dict[str, Any]:
    schemas.add(entry.name, json_schema(entry.name), f"v{entry.version}")
    message = _message(
        entry.name, entry.title, entry.description, sample_event(entry.name)
    )
    if entry.deprecated:
        message["x-deprecated"] = True
        message["description"] += " A newer version is published."
    message["x-classification"] = entry.dataclass
    message["tags"] = [{"name": entry.object}]
    return message


def _command_message(name: str, schemas: "_Schemas") -> dict[str, Any]:
    entry = COMMAND_TYPES[name]
    schemas.add(entry.wire_type, command_schema(name), f"v{entry.version}")
    sample = {
        "specversion": const.SPECVERSION,
        "id": "evt_1",
        "source": "/shop",
        "type": entry.wire_type,
        "time": const.SAMPLE_TIME,
        "datacontenttype": CONTENT_TYPE_JSON,
        "correlationid": const.SAMPLE_CORRELATION,
        "data": entry.sample,
    }
    return _message(entry.wire_type, entry.title, entry.description, sample)


def _message(
    name: str, title: str, description: str, sample: dict[str, Any]
) -> dict[str, Any]:
    return {
        "name": name,
        "title": title,
        "summary": description,
        "description": description,
        "contentType": CONTENT_TYPE_STRUCTURED,
        "traits": [_reference("components", "messageTraits", "signed")],
        "correlationId": {
            "description": "Joins everything that belongs to one business case.",
            "location": "$message.payload#/correlationid",
        },
        "payload": {
            "allOf": [
                _reference("components", "schemas", "CloudEvent"),
                {
                    "type": "object",
                    "required": ["data"],
                    "properties": {
                        "type": {"const": name},
                        "data": _reference("components", "schemas", name),
                    },
                },
            ]
        },
        "examples": [{"name": "sample", "summary": title, "payload": sample}],
    }


def _signed_headers() -> dict[str, Any]:
    return {
        "name": "signed",
        "summary": "Headers of every request (Standard Webhooks 1.0.0).",
        "headers": {
            "type": "object",
            "required": ["webhook-id", "webhook-timestamp", "webhook-signature"],
            "properties": {
                "webhook-id": {
                    "type": "string",
                    "description": "Id of the message, the same at every attempt; "
                    "use it to recognise one that came before.",
                },
                "webhook-timestamp": {
                    "type": "string",
                    "pattern": "^[0-9]+$",
                    "description": "Unix time of this attempt, in seconds.",
                },
                "webhook-signature": {
                    "type": "string",
                    "description": "Signatures separated by blanks, each `v1,` or "
                    "`v1a,` and base64; one that fits is enough.",
                },
            },
        },
    }


# === SCHEMAS === #


def _envelope_schema() -> dict[str, Any]:
    schema = Envelope.model_json_schema(mode="serialization", by_alias=True)
    properties = {
        name: _required(definition) for name, definition in schema["properties"].items()
    }
    properties["data"] = {"type": "object", "description": "The payload of the type."}
    return {
        "type": "object",
        "title": "CloudEvent",
        "description": "A CloudEvents 1.0 envelope with the hub's extensions.",
        "required": ["id", "source", "specversion", "type"],
        "properties": properties,
        "additionalProperties": True,
    }


def _required(definition: dict[str, Any]) -> dict[str, Any]:
    """Return a property without null: an absent attribute is left out."""
    options = [
        option for option in definition.get("anyOf", ()) if option.get("type") != "null"
    ]
    found = {
        key: value
        for key, value in definition.items()
        if key not in ("anyOf", "default", "title")
    }
    if len(options) == 1:
        found = {**options[0], **found}
    return found


class _Schemas:
    """All schemas of the document, parts of the same content only once.

    AsyncAPI resolves references from the document's root, so what stands in ``$defs``
    of each JSON Schema moves to ``components/schemas``.
    """

    def __init__(self):
        self.found: dict[str, Any] = {}
        self._names: dict[str, str] = {}

    def add(self, name: str, schema: dict[str, Any], suffix: str = "") -> None:
        definitions = schema.get("$defs", {})
        whole = {
            key: value
            for key, value in schema.items()
            if key not in ("$defs", "$schema", "$id")
        }
        self.found[name] = self._moved(whole, definitions, suffix)

    def _moved(self, value: Any, definitions: dict[str, Any], suffix: str) -> Any:
        if isinstance(value, list):
            return [self._moved(item, definitions, suffix) for item in value]
        if not isinstance(value, dict):
            return value
        moved = {
            key: self._moved(item, definitions, suffix) for key, item in value.items()
        }
        target = value.get("$ref")
        if isinstance(target, str) and target.startswith("#/$defs/"):
            part = target.removeprefix("#/$defs/")
            moved["$ref"] = "#/components/schemas/" + self._part(
                part, definitions, suffix
            )
        return moved

    def _part(self, name: str, definitions: dict[str, Any], suffix: str) -> str:
        # Definitions lead on to others: equal is what is equal with all of these.
        content = json.dumps([name, _reachable(name, definitions)], sort_keys=True)
        known = self._names.get(content)
        if known is None:
            known = name if name not in self.found else f"{name}.{suffix}"
            number = 2
            while known in self.found:
                known = f"{name}.{suffix}.{number}"
                number += 1
            self._names[content] = known
            # Taken before its own parts are moved: it may contain itself.
            self.found[known] = {}
            self.found[known] = self._moved(definitions[name], definitions, suffix)
        return known


def _reachable(name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    pending = [name]
    while pending:
        current = pending.pop()
        if current in found:
            continue
        found[current] = definitions[current]
        pending += _targets(definitions[current])
    return found


def _targets(value: Any) -> list[str]:
    if isinstance(value, list):
        return [target for item in value for target in _targets(item)]
    if not isinstance(value, dict):
        return []
    found = [target for item in value.values() for target in _targets(item)]
    if isinstance(value.get("$ref"), str):
        found.append(value["$ref"].removeprefix("#/$defs/"))
    return found
