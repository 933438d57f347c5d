# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Sends the engine's parcels to brokers: what :class:`~.http.HttpSender` is to HTTP.

A parcel carries a CloudEvent as it goes over HTTP. The HTTP headers of binary mode
become application properties, by the CloudEvents AMQP protocol binding 1.0.2.
"""

import asyncio
import json
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from . import constants as const
from .addresses import AddressRefused, check_amqp_url
from .amqp import AmqpTransport, binary_headers
from .outcome import Outcome
from .routing_key import format_routing_key

_STRUCTURED = "application/cloudevents+json"
_CONTENT_TYPE = "content-type"
_ATTRIBUTE = "ce-"


@dataclass(slots=True)
class AmqpOptions:
    """How an endpoint wants its messages.

    :ivar url: ``amqps://host:port/vhost``, see :func:`~.addresses.check_amqp_url`.
    :ivar exchange: its name.
    :ivar declare: create the exchange where it is missing: topic, durable.
    :ivar routing_key: a template, see :func:`~.routing_key.check_routing_key`.
    :ivar username: with an empty one, the client certificate in ``ssl_context`` is
        the login.
    :ivar ssl_context: for a client certificate or a private authority.
    :ivar signer: has ``sign_request(method, url, message_id, timestamp, body,
        headers) -> dict``, ``None`` to send unsigned. Only a signature over id, time
        and body makes sense (Standard Webhooks).
    """

    url: str
    exchange: str
    declare: bool = False
    routing_key: str = const.ROUTING_KEY
    username: str = ""
    password: str = ""
    ssl_context: ssl.SSLContext | None = None
    signer: Any = None


class AmqpSender:
    """One run's connections to brokers, one for each destination.

    :param networks: private networks that may be reached, see
        :func:`~.addresses.parse_networks`.
    """

    def __init__(self, networks: Sequence = ()):
        self._networks = tuple(networks)
        self._transports: dict[int, AmqpTransport | Outcome] = {}
        self._default_context: ssl.SSLContext | None = None

    async def close(self) -> None:
        """Close every connection."""
        open_ = [t for t in self._transports.values() if isinstance(t, AmqpTransport)]
        await asyncio.gather(*(transport.close() for transport in open_))

    async def send(self, parcel) -> tuple[Outcome, dict[str, str]]:
        """Publish a parcel; return what came of it and the headers that were sent.

        Beside the headers, the answer names exchange, routing key and message id.
        """
        options: AmqpOptions = parcel.destination.options
        now = time.time()
        transport = self._transport(parcel.destination)
        if isinstance(transport, Outcome):
            return _refused(transport.error, transport.detail, now), {}
        content_type, headers, event = _message(parcel)
        try:
            routing_key = format_routing_key(
                options.routing_key, event["type"], event.get("legalentity") or ""
            )
        except ValueError as error:
            return _refused("too_large", str(error), now), {}
        if options.signer is not None:
            headers.update(
                options.signer.sign_request(
                    "POST",
                    options.url,
                    parcel.message_id,
                    int(now),
                    parcel.body,
                    {"Content-Type": content_type},
                )
            )
        outcome = await transport.publish(
            routing_key=routing_key,
            message_id=parcel.message_id,
            body=parcel.body,
            content_type=content_type,
            headers=headers,
            timestamp=int(now),
            timeout=parcel.destination.timeout,
            event_type=event["type"],
            correlation_id=event.get("correlationid") or "",
        )
        sent = {
            "Exchange": options.exchange,
            "Routing-Key": routing_key,
            "Message-Id": parcel.message_id,
            "Content-Type": content_type,
        }
        return outcome, {**sent, **headers}

    def _transport(self, destination) -> AmqpTransport | Outcome:
        """Return the connection of a destination, or the outcome of a refused URL."""
        key, options = destination.key, destination.options
        if key not in self._transports:
            self._transports[key] = self._make(options)
        return self._transports[key]

    def _make(self, options) -> AmqpTransport | Outcome:
        try:
            target, vhost = check_amqp_url(options.url, self._networks)
        except AddressRefused as error:
            return Outcome(error="address_refused", detail=str(error))
        context = None
        if target.scheme == "amqps":
            context = options.ssl_context
            if context is None:
                if self._default_context is None:
                    self._default_context = ssl.create_default_context()
                context = self._default_context
        return AmqpTransport(
            target.host,
            target.port,
            vhost,
            options.username,
            options.password,
            context,
            exchange=options.exchange,
            declare=options.declare,
            networks=self._networks,
        )


def _refused(error, detail, now) -> Outcome:
    return Outcome(error=error, detail=detail[:500], started_at=now)


def _message(parcel) -> tuple[str, dict[str, str], dict[str, str]]:
    """Return (content type, application properties, attributes) of a parcel."""
    content_type, attributes, headers = "", {}, {}
    for name, value in parcel.headers.items():
        lower = name.lower()
        if lower == _CONTENT_TYPE:
            content_type = value
        elif lower.startswith(_ATTRIBUTE):
            # In HTTP they are percent-encoded (binding for HTTP, section 3.1.3.2).
            attributes[lower.removeprefix(_ATTRIBUTE)] = unquote(value)
        else:
            headers[name] = value
    headers.update(binary_headers(attributes))
    if not attributes and content_type.startswith(_STRUCTURED):
        attributes = _attributes(parcel.body)
    if not isinstance(attributes.get("type"), str):
        attributes = {"type": const.AMQP_BATCH_TYPE}
    return content_type, headers, attributes


def _attributes(body: bytes) -> dict:
    """Return the attributes of a structured event."""
    try:
        event = json.loads(body)
    except ValueError:
        return {}
    if not isinstance(event, dict):
        return {}
    return {name: value for name, value in event.items() if isinstance(value, str)}
