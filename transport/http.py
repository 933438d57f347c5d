# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Sends one message by an HTTP POST."""

import asyncio
import socket
import ssl
import time
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import Any

import aiohttp
import yarl
from aiohttp.resolver import ThreadedResolver

from . import constants as const
from .addresses import AddressRefused, check_url
from .authentication import Authenticator, authenticated
from .outcome import Outcome, clean_text, truncate_body
from .proxy import Proxy
from .resolver import GuardedResolver


@dataclass(slots=True)
class HttpOptions:
    """How an endpoint wants its requests.

    :ivar url: where messages are POSTed.
    :ivar headers: sent with every message.
    :ivar signer: has ``sign_request(method, url, message_id, timestamp, body,
        headers) -> dict``, ``None`` to send unsigned.
    :ivar authenticator: shows the receiver who sends.
    :ivar ssl_context: for a client certificate or a private authority.
    :ivar proxy: what to go through.
    """

    url: str
    headers: dict[str, str]
    signer: Any = None
    authenticator: Authenticator | None = None
    ssl_context: ssl.SSLContext | None = None
    proxy: Proxy | None = None


class HttpSender:
    """One run's HTTP connections.

    :param networks: private networks that may be reached, see
        :func:`~.addresses.parse_networks`.
    """

    def __init__(self, networks: Sequence = ()):
        self._networks = tuple(networks)
        self._checked: dict[str, yarl.URL | AddressRefused] = {}
        self._timeouts: dict[float, aiohttp.ClientTimeout] = {}
        self._session = _session(GuardedResolver(self._networks))
        self._through_proxy: aiohttp.ClientSession | None = None

    def _proxied_session(self):
        """Return the connections to the proxy, which may well have a private address.

        What goes through it was checked before.
        """
        if self._through_proxy is None:
            self._through_proxy = _session(ThreadedResolver())
        return self._through_proxy

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()
        if self._through_proxy is not None:
            await self._through_proxy.close()

    async def send(self, parcel) -> tuple[Outcome, dict[str, str]]:
        """POST a parcel; return what came of it and the headers that were sent.

        Of what shows the receiver who sends, only the names of the headers.
        """
        options: HttpOptions = parcel.destination.options
        started_at = time.time()
        url = self._checked.get(options.url) or self._check(options.url)
        headers = {**options.headers, **parcel.headers}
        if isinstance(url, AddressRefused):
            return _refused(url, started_at), headers
        if options.signer is not None:
            headers.update(
                options.signer.sign_request(
                    "POST",
                    # What is requested, which is not always how it was typed.
                    str(url),
                    parcel.message_id,
                    int(started_at),
                    parcel.body,
                    headers,
                )
            )
        proxied: dict[str, Any] = {}
        if options.proxy is not None:
            try:
                target = check_url(options.url, self._networks)
                proxied = await options.proxy.options(target, self._networks)
            except AddressRefused as error:
                return _refused(error, started_at), headers

        rest = parcel, options, started_at, proxied
        if options.authenticator is None:
            return await self._post(url, headers, *rest), headers
        shown = dict(headers)

        async def post(more):
            shown.update(dict.fromkeys(more, const.HIDDEN))
            return await self._post(url, {**headers, **more}, *rest)

        session = self._proxied_session() if proxied else self._session
        outcome = await authenticated(options.authenticator, session, post)
        if not outcome.started_at:
            # There was no access, and so no request.
            outcome = replace(
                outcome,
                started_at=started_at,
                duration_ms=(time.time() - started_at) * 1000.0,
            )
        return outcome, shown

    def _check(self, url) -> yarl.URL | AddressRefused:
        """Return the URL to request, or why it is refused.

        Host names are checked again when they are resolved.
        """
        try:
            # Exactly what was checked, not quoted anew.
            checked = yarl.URL(check_url(url, self._networks).url, encoded=True)
        except AddressRefused as error:
            checked = error
        self._checked[url] = checked
        return checked

    async def _post(
        self, url, headers, parcel, options, started_at, proxied
    ) -> Outcome:
        seconds = parcel.destination.timeout
        timeout = self._timeouts.get(seconds)
        if timeout is None:
            timeout = self._timeouts[seconds] = aiohttp.ClientTimeout(total=seconds)
        started = time.perf_counter()
        connection = _connection.set((0.0, None))
        try:
            session = self._proxied_session() if proxied else self._session
            response = await session.post(
                url,
                data=parcel.body,
                headers=headers,
                allow_redirects=False,
                timeout=timeout,
                ssl=options.ssl_context or True,
                **proxied,
            )
            try:
                answered = time.perf_counter()
                kept, truncated = await _read(response)
            finally:
                response.release()
            ended = time.perf_counter()
            connected, remote_ip = _connection.get()
            status = response.status
            return Outcome(
                status,
                "redirect" if 300 <= status < 400 else None,
                _answer_headers(response.raw_headers),
                kept,
                truncated,
                started_at,
                (ended - started) * 1000.0,
                remote_ip,
                {
                    "connect": round(connected, 3),
                    "answer": round((answered - started) * 1000.0 - connected, 3),
                    "body": round((ended - answered) * 1000.0, 3),
                },
            )
        except Exception as error:
            code = classify(error)
            if code is None:
                raise
            return Outcome(
                error=code,
                started_at=started_at,
                duration_ms=(time.perf_counter() - started) * 1000.0,
                remote_ip=_connection.get()[1],
                phases={"connect": round(_connection.get()[0], 3)},
                detail=clean_text(f"{type(error).__name__}: {error}"[:500]),
            )
        finally:
            _connection.reset(connection)


def _session(resolver) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=_TimedConnector(
            limit=0,
            resolver=resolver,
            ttl_dns_cache=const.DNS_TTL,
            keepalive_timeout=const.KEEPALIVE,
        ),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


#: How long the present request waited for its connection, in milliseconds, and the
#: address that it has connected to.
_connection: ContextVar[tuple[float, str | None]] = ContextVar(
    "connection", default=(0.0, None)
)


class _TimedConnector(aiohttp.TCPConnector):
    """Tells how long a connection took: name, TCP and TLS; nothing when reused."""

    async def connect(self, req, traces, timeout):
        started, peer = time.perf_counter(), None
        try:
            connection = await super().connect(req, traces, timeout)
            if connection.transport is not None:
                peer = connection.transport.get_extra_info("peername")
            return connection
        finally:
            _connection.set(
                ((time.perf_counter() - started) * 1000.0, peer[0] if peer else None)
            )


@lru_cache(maxsize=256)
def _answer_headers(raw_headers) -> dict[str, str]:
    """Return what is kept of an answer's headers; a hostile one sends many.

    Kept for the next, as a receiver answers with the same ones for a second or longer.
    """
    return {
        _header_text(name): _header_text(value)
        for name, value in islice(raw_headers, const.ANSWER_HEADERS_MAX_COUNT)
    }


def _header_text(raw: bytes) -> str:
    text = raw.decode("utf-8", "surrogateescape")
    return clean_text(text[: const.ANSWER_HEADER_MAX_LENGTH])


def _refused(error, started_at) -> Outcome:
    return Outcome(
        error="address_refused",
        started_at=started_at,
        duration_ms=(time.time() - started_at) * 1000.0,
        detail=str(error),
    )


def classify(error: BaseException) -> str | None:
    """Return the key of :data:`~.outcome.ERRORS` for an exception of a request.

    ``None`` for an exception that is not about the network.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, AddressRefused):
            return "address_refused"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, (asyncio.TimeoutError, TimeoutError)):
        return "timeout"
    if isinstance(error, (aiohttp.ClientSSLError, ssl.SSLError)):
        return "tls"
    if isinstance(error, (aiohttp.ClientConnectorDNSError, socket.gaierror)):
        return "dns"
    if isinstance(error, aiohttp.InvalidURL):
        return "address_refused"
    if isinstance(error, (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
        return "connect"
    if isinstance(error, (aiohttp.ClientResponseError, aiohttp.ClientPayloadError)):
        return "protocol"
    if isinstance(error, (aiohttp.ClientError, OSError, ValueError)):
        return "connect"
    return None


async def _read(response) -> tuple[bytes, bool]:
    """Read what is kept of the body; a longer one ends the connection.

    The status is the answer. A body that does not come, or breaks off, changes nothing
    of what the receiver said; sending again would only make it take the message twice.
    """
    content, kept = response.content, bytearray()
    try:
        if content.is_eof():
            # It came with the head, as short ones do: nothing to wait for.
            return truncate_body(content.read_nowait(const.BODY_KEPT_BYTES + 1))
        async for chunk in content.iter_chunked(const.BODY_KEPT_BYTES):
            kept += chunk
            if len(kept) > const.BODY_KEPT_BYTES:
                response.close()
                return bytes(kept[: const.BODY_KEPT_BYTES]), True
    except (aiohttp.ClientError, asyncio.TimeoutError, OSError):
        response.close()
        return bytes(kept), True
    return bytes(kept), False
