# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Publishing to an AMQP 0-9-1 broker such as RabbitMQ, with publisher confirms.

One :class:`AmqpTransport` keeps one connection with one channel to one exchange, on
the event loop of whoever calls it. Many messages are in flight on the channel at a
time; the broker's confirms are matched by delivery tag, and what it returns as
unroutable by message id. A message counts as delivered when the broker confirmed it,
that is, when every queue it was routed to has it, on disk if the queue is durable.

When the connection is lost, whatever was in flight is reported as failed, although
the broker may have taken it: the caller sends it again with the same id (at least
once). The next message opens a new connection.

The library ``pika`` is optional and imported when the first connection is made.

Sources: AMQP 0-9-1; RabbitMQ, "Consumer Acknowledgements and Publisher Confirms";
CloudEvents AMQP protocol binding 1.0.2.
"""

import asyncio
import contextlib
import importlib.util
import ipaddress
import logging
import re
import socket
import ssl
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import constants as const
from .addresses import AddressRefused, Network, check_address
from .outcome import Outcome
from .resolver import GuardedResolver

#: "message size 140000000 is larger than configured max size 134217728"
_MAX_SIZE = re.compile(r"larger than (?:the )?(?:configured )?max(?:imum)? size (\d+)")

# AMQP 0-9-1, exchange.declare: "letters, digits, hyphen, underscore, period, or colon".
_EXCHANGE = re.compile(r"[A-Za-z0-9_.:-]+")

# Replies of a broker, AMQP 0-9-1 section 1.2 (constants).
_ACCESS_REFUSED, _NOT_FOUND, _PRECONDITION_FAILED = 403, 404, 406
_CONNECTION_FORCED, _NOT_ALLOWED = 320, 530


def is_available() -> bool:
    """Whether the library ``pika`` is installed."""
    return importlib.util.find_spec("pika") is not None


def check_exchange(name: str | None) -> None:
    """Refuse the name of an exchange that AMQP cannot carry.

    :raises ValueError: saying what is wrong.
    """
    if not name:
        raise ValueError("Enter the name of the broker's exchange.")
    if not _EXCHANGE.fullmatch(name) or len(name) > const.SHORT_STRING_MAX_BYTES:
        raise ValueError(
            "The name of an exchange is made of letters, digits, dots, dashes, colons "
            f"and underscores, at most {const.SHORT_STRING_MAX_BYTES} of them."
        )


def binary_headers(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Return the application properties of a CloudEvent in binary mode.

    ``datacontenttype`` is left out: it travels as the message's ``content_type``. In
    structured mode a message has no such properties; its content type is
    ``application/cloudevents+json``.

    :param attributes: context attributes of the event, ``data`` not among them.
    """
    return {
        const.CLOUDEVENTS_PREFIX + name: str(value)
        for name, value in attributes.items()
        if value is not None and name != "datacontenttype"
    }


class _Failure(Exception):
    """Why something failed: a key of ``outcome.ERRORS``, and technical detail."""

    def __init__(self, key: str, detail: str = ""):
        super().__init__(key, detail)
        self.key = key
        self.detail = detail[:500]

    def again(self) -> "_Failure":
        """Return a copy: one exception is not raised in several tasks."""
        return _Failure(self.key, self.detail)


@dataclass(slots=True)
class _Pending:
    """A message that was sent and is not confirmed yet.

    :ivar done: resolves to ``None`` when confirmed, else to a failure.
    :ivar returned: what the broker said when it sent the message back.
    """

    message_id: str
    size: int
    done: asyncio.Future
    returned: str | None = None


class AmqpTransport:
    """Publishes messages to one exchange of one broker.

    It belongs to the event loop in which it is used first.

    :param host: name or literal address. Every address of the name is checked, and
        the connection goes to the checked address; TLS still verifies the name.
    :param vhost: virtual host, ``/`` being the usual default.
    :param username: with an empty one and TLS, the client certificate in
        ``ssl_context`` is the login (SASL EXTERNAL).
    :param ssl_context: for ``amqps``, with the client certificate if there is one;
        ``None`` for ``amqp``, which is not encrypted.
    :param exchange: its name. It must be there, unless ``declare`` is true.
    :param declare: create the exchange where it is missing: topic, durable.
    :param heartbeat: seconds between heartbeats.
    :param networks: private networks that may be reached, see
        :func:`~.addresses.parse_networks`.
    :param app_id: ``app_id`` of every message.
    :param resolver: looks names up; the operating system's by default.
    :raises ValueError: for an exchange name that AMQP cannot carry.
    """

    def __init__(
        self,
        host: str,
        port: int,
        vhost: str,
        username: str,
        password: str,
        ssl_context: ssl.SSLContext | None = None,
        *,
        exchange: str,
        declare: bool = False,
        heartbeat: int = const.AMQP_HEARTBEAT,
        networks: Sequence[Network] = (),
        app_id: str = const.AMQP_APP_ID,
        resolver: Any = None,
    ):
        check_exchange(exchange)
        self._host = host
        self._port = port
        self._vhost = vhost
        self._username = username
        self._password = password
        self._ssl_context = ssl_context
        self._exchange = exchange
        self._declare = declare
        self._heartbeat = heartbeat
        self._networks = tuple(networks)
        self._app_id = app_id
        self._inner_resolver = resolver
        self._session: _Session | None = None
        self._connecting: asyncio.Task | None = None
        self._refusal: _Failure | None = None
        self._refused_until = 0.0
        self._max_size: int | None = None
        self._closed = False

    # === PUBLISHING === #

    async def publish(
        self,
        routing_key: str,
        message_id: str,
        body: bytes,
        content_type: str,
        headers: Mapping[str, Any],
        timestamp: int,
        timeout: float,
        *,
        event_type: str = "",
        correlation_id: str = "",
    ) -> Outcome:
        """Send one message and wait for the broker's confirm.

        The message is persistent and mandatory: where no queue is bound for it, the
        broker sends it back and the outcome says so.

        :param message_id: the event's id, the same for every attempt.
        :param headers: application properties: texts, whole numbers, booleans.
        :param timestamp: Unix seconds.
        :param timeout: seconds for everything, connecting included.
        :return: never raises for what the network or the broker does
        """
        started_at, started = time.time(), time.perf_counter()
        phases: dict[str, float] = {}
        session = None
        try:
            properties = self._properties(
                message_id,
                body,
                content_type,
                headers,
                timestamp,
                event_type,
                correlation_id,
            )
            if len(routing_key.encode()) > const.SHORT_STRING_MAX_BYTES:
                raise _Failure("too_large", "The routing key is too long.")
            deadline = asyncio.get_running_loop().time() + timeout
            session = await self._ready(deadline)
            # Sent again, it would end the session for all the others again.
            if self._max_size is not None and len(body) > self._max_size:
                raise _Failure(
                    "too_large", f"The broker takes at most {self._max_size} bytes."
                )
            connected = time.perf_counter()
            phases["connect"] = round((connected - started) * 1000.0, 3)
            await session.send(routing_key, message_id, body, properties, deadline)
            phases["confirm"] = round((time.perf_counter() - connected) * 1000.0, 3)
            error, detail = None, f"exchange {self._exchange}, key {routing_key}"
        except _Failure as failure:
            error, detail = failure.key, failure.detail
        return Outcome(
            error=error,
            confirmed=error is None,
            started_at=started_at,
            duration_ms=(time.perf_counter() - started) * 1000.0,
            remote_ip=session.address if session else None,
            phases=phases,
            detail=detail,
        )

    def _properties(
        self,
        message_id,
        body,
        content_type,
        headers,
        timestamp,
        event_type,
        correlation_id,
    ) -> dict:
        """Return the properties of a message, which are known to fit into frames."""
        table = {_text(name): _value(value) for name, value in headers.items()}
        short = (message_id, content_type, event_type, correlation_id, *table)
        if any(len(text.encode()) > const.SHORT_STRING_MAX_BYTES for text in short):
            raise _Failure("too_large", "A property of the message is too long.")
        if len(body) > const.AMQP_BODY_MAX_BYTES or (
            sum(len(name) + len(str(value).encode()) for name, value in table.items())
            > const.AMQP_HEADERS_MAX_BYTES
        ):
            raise _Failure("too_large", f"The message has {len(body)} bytes.")
        return {
            "app_id": self._app_id,
            "content_type": content_type,
            "correlation_id": correlation_id or None,
            "delivery_mode": 2,  # persistent
            "headers": table,
            "message_id": message_id,
            "timestamp": max(int(timestamp), 0),
            "type": event_type or None,
        }

    # === CONNECTING === #

    async def _ready(self, deadline: float) -> "_Session":
        """Return a session that takes messages now.

        :raises _Failure: when there is none before the deadline.
        """
        loop = asyncio.get_running_loop()
        while True:
            session = self._session
            if session is not None and session.max_size is not None:
                self._max_size = session.max_size
            if session is None or session.lost:
                session = await self._connected(loop, deadline)
            if not session.blocked:
                return session
            try:
                # Whatever is sent to a blocked broker may be taken minutes later.
                await asyncio.wait_for(
                    session.unblocked.wait(), max(deadline - loop.time(), 0)
                )
            except asyncio.TimeoutError:
                raise _Failure("amqp_blocked", session.blocked) from None

    async def _connected(self, loop, deadline) -> "_Session":
        if self._closed:
            raise _Failure("cancelled", "The connection was closed by the hub.")
        if self._connecting is None:
            if self._refusal and loop.time() < self._refused_until:
                raise self._refusal.again()
            # One for all who wait, and not cancelled with the first who gives up.
            self._connecting = loop.create_task(self._connect())
        try:
            result = await asyncio.wait_for(
                asyncio.shield(self._connecting), max(deadline - loop.time(), 0)
            )
        except asyncio.TimeoutError:
            raise _Failure("connect", "No connection to the broker in time.") from None
        except asyncio.CancelledError:
            if self._closed:
                raise _Failure("cancelled", "The hub closed the connection.") from None
            raise
        if isinstance(result, _Failure):
            raise result.again()
        return result

    async def _connect(self) -> "_Session | _Failure":
        try:
            self._session = await self._open_any()
            self._refusal = None
            return self._session
        except _Failure as failure:
            loop = asyncio.get_running_loop()
            self._refusal = failure
            self._refused_until = loop.time() + const.AMQP_RECONNECT_PAUSE
            return failure
        finally:
            self._connecting = None

    async def _open_any(self) -> "_Session":
        """Open a session at the first address that lets us."""
        if not is_available():
            raise _Failure("amqp_library", "No module named 'pika'.")
        last = None
        for address in await self._addresses():
            session = _Session(self._exchange, address)
            try:
                await asyncio.wait_for(
                    session.open(self._parameters(address), self._declare),
                    const.AMQP_CONNECT_TIMEOUT,
                )
                return session
            except asyncio.TimeoutError:
                session.drop()
                last = _Failure("connect", f"{address} did not answer in time.")
            except _Failure as failure:
                session.drop()
                if failure.key != "connect":
                    raise
                last = failure
            except BaseException:
                session.drop()
                raise
        raise last

    async def _addresses(self) -> list[str]:
        resolver = GuardedResolver(self._networks, self._inner_resolver)
        try:
            if _is_literal(self._host):
                check_address(self._host, self._networks)
                return [self._host]
            found = await resolver.resolve(self._host, self._port, socket.AF_UNSPEC)
        except AddressRefused as error:
            raise _Failure("address_refused", str(error)) from None
        except OSError as error:
            raise _Failure("dns", f"{self._host}: {error}") from None
        finally:
            await resolver.close()
        return list(dict.fromkeys(result["host"] for result in found))

    def _parameters(self, address: str):
        import pika
        from pika.credentials import ExternalCredentials

        if not self._username and self._ssl_context is not None:
            credentials = ExternalCredentials()
        else:
            credentials = pika.PlainCredentials(self._username, self._password)
        return pika.ConnectionParameters(
            host=address,
            port=self._port,
            virtual_host=self._vhost,
            credentials=credentials,
            heartbeat=self._heartbeat,
            ssl_options=(
                None
                if self._ssl_context is None
                else pika.SSLOptions(self._ssl_context, self._host)
            ),
            connection_attempts=1,
            socket_timeout=const.AMQP_CONNECT_TIMEOUT,
            stack_timeout=const.AMQP_CONNECT_TIMEOUT,
            client_properties={"connection_name": self._app_id},
        )

    # === THE END === #

    async def close(self) -> None:
        """Wait a moment for outstanding confirms, then say good-bye to the broker.

        What is still unconfirmed then, and whatever is published later, comes out as
        ``cancelled``.
        """
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if self._session is not None:
            await self._session.close()
            self._session = None


def _text(value) -> str:
    """Return a text that UTF-8 can carry."""
    return str(value).encode(errors="replace").decode()


def _value(value):
    """Return the value of a header as AMQP can carry it."""
    if isinstance(value, bool) or (
        isinstance(value, int) and -(2**63) <= value < 2**63
    ):
        return value
    return _text(value)


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class _Session:
    """One connection with its channel, from opening it to its end.

    :ivar address: the address connected to.
    :ivar lost: why the session is over; ``None`` while it lasts.
    :ivar blocked: why the broker takes nothing now; empty when it does.
    :ivar unblocked: set when it takes messages again, or the session is over.
    :ivar max_size: the broker's limit in bytes, once it ended a session over it.
    """

    def __init__(self, exchange: str, address: str):
        self.address = address
        self.lost: _Failure | None = None
        self.blocked = ""
        self.unblocked = asyncio.Event()
        self.max_size: int | None = None
        self._loop = asyncio.get_running_loop()
        self._exchange = exchange
        self._workflow: Any = None
        self._connection: Any = None
        self._channel: Any = None
        self._step: asyncio.Future | None = None
        self._ended = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._last_tag = 0
        self._pending: dict[int, _Pending] = {}
        self._tags: dict[str, deque[int]] = {}

    # === OPENING === #

    async def open(self, parameters, declare: bool) -> None:
        """Connect, log in, open the channel, find the exchange, ask for confirms.

        :raises _Failure: naming what went wrong.
        """
        from pika.adapters.asyncio_connection import AsyncioConnection

        # It logs as errors what is an outcome here.
        logger = logging.getLogger("pika")
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.CRITICAL)

        def connect(done):
            self._workflow = AsyncioConnection.create_connection(
                [parameters], done, custom_ioloop=self._loop
            )

        connection = await self._take(connect)
        self._connection, self._workflow = connection, None
        connection.add_on_close_callback(self._on_closed)
        self._connection.add_on_connection_blocked_callback(self._on_blocked)
        self._connection.add_on_connection_unblocked_callback(self._on_unblocked)
        self._channel = await self._take(
            lambda done: self._connection.channel(on_open_callback=done)
        )
        self._channel.add_on_close_callback(self._on_channel_closed)
        self._channel.add_on_return_callback(self._on_returned)
        await self._take(
            lambda done: self._channel.exchange_declare(
                self._exchange,
                exchange_type="topic",
                passive=not declare,
                durable=True,
                callback=done,
            )
        )
        await self._take(
            lambda done: self._channel.confirm_delivery(self._on_confirm, done)
        )
        self._step = None

    async def _take(self, start):
        """Run one step of opening; ``start`` is given what to call when it is done."""
        step = self._step = self._loop.create_future()

        def done(result):
            if not step.done():
                step.set_result(result)

        if self.lost:
            raise self.lost.again()
        start(done)
        result = await step
        if isinstance(result, _Failure):
            raise result.again()
        if isinstance(result, Exception):
            raise classify(result)
        return result

    # === SENDING === #

    async def send(self, routing_key, message_id, body, properties, deadline) -> None:
        """Send a message and wait for its confirm.

        :raises _Failure: when it was not confirmed.
        """
        import pika

        try:
            self._channel.basic_publish(
                self._exchange,
                routing_key,
                body,
                pika.BasicProperties(**properties),
                mandatory=True,
            )
        except pika.exceptions.AMQPError as error:
            # Nothing was sent, so no delivery tag was used up either.
            failure = self.lost or _Failure("connect", repr(error))
            raise failure.again() from None
        self._last_tag += 1
        tag, pending = (
            self._last_tag,
            _Pending(message_id, len(body), self._loop.create_future()),
        )
        self._pending[tag] = pending
        self._tags.setdefault(message_id, deque()).append(tag)
        self._idle.clear()
        try:
            failure = await asyncio.wait_for(
                pending.done, max(deadline - self._loop.time(), 0)
            )
        except asyncio.TimeoutError:
            if self.blocked:
                raise _Failure(
                    "amqp_blocked",
                    f"{self.blocked} The message was under way and may still arrive.",
                ) from None
            raise _Failure(
                "amqp_timeout", "The message may have arrived without a confirm."
            ) from None
        finally:
            self._forget(tag)
        if failure is not None:
            raise failure.again()

    def _forget(self, tag) -> _Pending | None:
        pending = self._pending.pop(tag, None)
        if pending is not None:
            tags = self._tags[pending.message_id]
            tags.remove(tag)
            if not tags:
                del self._tags[pending.message_id]
            if not self._pending:
                self._idle.set()
        return pending

    def _settle(self, tag, failure: _Failure | None) -> None:
        pending = self._forget(tag)
        if pending is None or pending.done.done():
            return  # nobody waits any longer
        if failure is None and pending.returned is not None:
            failure = _Failure("amqp_unroutable", pending.returned)
        pending.done.set_result(failure)

    # === WHAT THE BROKER SAYS === #

    def _on_confirm(self, frame) -> None:
        method = frame.method
        tags = [method.delivery_tag]
        if method.multiple:
            # Tags are handed out in rising order, and dictionaries keep it.
            tags = []
            for tag in self._pending:
                if tag > method.delivery_tag and method.delivery_tag:
                    break
                tags.append(tag)
        refused = None
        if method.NAME == "Basic.Nack":
            refused = _Failure("amqp_nack", "basic.nack")
        for tag in tags:
            self._settle(tag, refused)

    def _on_returned(self, _channel, method, properties, _body) -> None:
        # A returned message is confirmed right afterwards. Several with one id have
        # the same fate, so it does not matter which is which.
        for tag in self._tags.get(properties.message_id, ()):
            pending = self._pending[tag]
            if pending.returned is None:
                pending.returned = (
                    f"{method.reply_code} {method.reply_text}, exchange "
                    f"{method.exchange}, key {method.routing_key}"
                )
                return

    def _on_blocked(self, _connection, frame) -> None:
        self.blocked = f"The broker said: {frame.method.reason or 'blocked'}."
        self.unblocked.clear()

    def _on_unblocked(self, _connection, _frame) -> None:
        self.blocked = ""
        self.unblocked.set()

    def _on_channel_closed(self, _channel, reason) -> None:
        self._lose(reason)
        self.drop()

    def _on_closed(self, _connection, reason) -> None:
        self._lose(reason)
        self._ended.set()

    def _lose(self, reason) -> None:
        """End the session: whoever waits for something gets the failure."""
        if self.lost is None:
            self.lost = classify(reason)
        failure = self.lost
        found = _MAX_SIZE.search(failure.detail)
        limit = self.max_size = int(found[1]) if found else None
        self.blocked = ""
        self.unblocked.set()
        if self._step is not None and not self._step.done():
            self._step.set_result(failure)
        for tag, pending in list(self._pending.items()):
            if limit is not None and pending.size > limit:
                self._settle(tag, _Failure("too_large", failure.detail))
            else:
                self._settle(tag, failure)

    # === THE END === #

    def drop(self) -> None:
        """Begin to close the connection, without waiting."""
        connection, workflow = self._connection, self._workflow
        if self.lost is None:
            self.lost = _Failure("cancelled", "The hub closed the connection.")
        if workflow is not None:
            self._workflow = None
            # It may have come to its end in this very moment.
            with contextlib.suppress(Exception):
                workflow.abort()
        if connection is not None and not (
            connection.is_closed or connection.is_closing
        ):
            with contextlib.suppress(Exception):
                connection.close()

    async def close(self) -> None:
        """Close politely; a broker that does not answer is left without a good-bye."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._idle.wait(), const.AMQP_CLOSE_TIMEOUT)
        self.drop()
        try:
            await asyncio.wait_for(self._ended.wait(), const.AMQP_CLOSE_TIMEOUT)
        except asyncio.TimeoutError:
            error = OSError("The broker did not answer the good-bye.")
            # pika has no public way to let go without the broker's answer.
            self._connection._terminate_stream(error)
            self._lose(error)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._ended.wait(), const.AMQP_CLOSE_TIMEOUT)


# === WHAT EXCEPTIONS MEAN === #


def classify(error: BaseException) -> _Failure:
    """Return what an exception of ``pika`` means."""
    from pika import exceptions
    from pika.adapters.utils import connection_workflow as workflow

    chain = list(_causes(error))
    innermost = chain[-1]
    detail = _describe(innermost)
    for cause in chain:
        if isinstance(cause, ssl.SSLError) and not isinstance(
            cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError)
        ):
            return _Failure("tls", _describe(cause))
    # A client certificate is refused after the handshake; pika keeps the text only.
    if isinstance(innermost, exceptions.AMQPError) and "SSLError(" in str(innermost):
        return _Failure("tls", detail)
    if isinstance(innermost, exceptions.ChannelClosedByBroker):
        return _Failure(
            {
                _ACCESS_REFUSED: "amqp_denied",
                _NOT_FOUND: "amqp_exchange",
                _PRECONDITION_FAILED: _precondition(innermost.reply_text),
            }.get(innermost.reply_code, "amqp_channel"),
            detail,
        )
    if isinstance(innermost, exceptions.ConnectionClosedByClient):
        return _Failure("cancelled", detail)
    if isinstance(innermost, exceptions.ConnectionClosedByBroker):
        return _Failure(
            {
                _ACCESS_REFUSED: "amqp_login",
                _NOT_ALLOWED: "amqp_vhost",
                _CONNECTION_FORCED: "connect",
            }.get(innermost.reply_code, "amqp_channel"),
            detail,
        )
    # These two guess from the moment at which the broker went away. Only one that
    # said good-bye refused us; one that broke off may just have died.
    if isinstance(innermost, exceptions.ProbableAuthenticationError):
        return _Failure(_guess(innermost, "amqp_login"), detail)
    if isinstance(innermost, exceptions.ProbableAccessDeniedError):
        return _Failure(_guess(innermost, "amqp_vhost"), detail)
    if isinstance(innermost, exceptions.AuthenticationError):
        return _Failure("amqp_login", detail)
    if isinstance(
        innermost,
        (exceptions.IncompatibleProtocolError, exceptions.ProtocolSyntaxError),
    ):
        return _Failure("amqp_protocol", detail)
    if any(isinstance(c, workflow.AMQPConnectorTransportSetupError) for c in chain):
        return _Failure("tls", detail)
    return _Failure("connect", detail)


def _precondition(text: str) -> str:
    # A message beyond the broker's limit is this one's own failure; the others on the
    # channel are sent again.
    return "connect" if _MAX_SIZE.search(text) else "amqp_exchange"


def _guess(error, key: str) -> str:
    return key if "ClosedByBroker" in str(error) else "connect"


def _causes(error: BaseException):
    """Yield an exception of ``pika`` and what it wraps, outermost first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        wrapped = getattr(error, "exceptions", None) or (
            getattr(error, "exception", None),
            *(arg for arg in error.args if isinstance(arg, BaseException)),
        )
        inner = [item for item in wrapped if isinstance(item, BaseException)]
        error = inner[-1] if inner else None


def _describe(error: BaseException) -> str:
    code = getattr(error, "reply_code", None)
    if code is not None:
        return f"{code} {error.reply_text}"
    return f"{type(error).__name__}: {error}"
