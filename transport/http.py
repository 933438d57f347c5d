# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Sends one message by an HTTP POST."""

import asyncio
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import yarl

from . import constants as const
from .addresses import AddressRefused, check_url
from .outcome import Outcome
from .resolver import GuardedResolver


@dataclass(slots=True)
class HttpOptions:
    """How an endpoint wants its requests.

    :ivar url: where messages are POSTed.
    :ivar headers: sent with every message.
    :ivar signer: has ``sign_request(method, url, message_id, timestamp, body,
        headers) -> dict``, ``None`` to send unsigned.
    :ivar authenticator: has ``async headers(session) -> dict`` and ``invalidate()``.
    :ivar ssl_context: for a client certificate or a private authority.
    :ivar proxy: URL of the proxy to go through.
    """

    url: str
    headers: dict[str, str]
    signer: Any = None
    authenticator: Any = None
    ssl_context: ssl.SSLContext | None = None
    proxy: str | None = None


class HttpSender:
    """One run's HTTP connections.

    :param networks: private networks that may be reached, see
        :func:`~.addresses.parse_networks`.
    """

    def __init__(self, networks: Sequence = ()):
        self._networks = tuple(networks)
        self._checked: dict[str, yarl.URL | Outcome] = {}
        self._timeouts: dict[float, aiohttp.ClientTimeout] = {}
        self._connector = aiohttp.TCPConnector(
            limit=0,
            resolver=GuardedResolver(self._networks),
            ttl_dns_cache=const.DNS_TTL,
            keepalive_timeout=const.KEEPALIVE,
        )
        trace = aiohttp.TraceConfig()
        trace.on_dns_resolvehost_start.append(_began("dns"))
        trace.on_dns_resolvehost_end.append(_ended("dns"))
        trace.on_connection_create_start.append(_began("connect"))
        trace.on_connection_create_end.append(_ended("connect"))
        self._session = aiohttp.ClientSession(
            connector=self._connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            trace_configs=[trace],
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def send(self, parcel) -> tuple[Outcome, dict[str, str]]:
        """POST a parcel; return what came of it and the headers that were sent.

        The headers hold secrets: whoever keeps them masks them.
        """
        options: HttpOptions = parcel.destination.options
        url = self._check(options.url)
        started_at, started = time.time(), time.perf_counter()
        if isinstance(url, Outcome):
            return _timed(url, started_at, started), dict(options.headers)
        headers = {**options.headers, **parcel.headers}
        if options.signer is not None:
            headers.update(
                options.signer.sign_request(
                    "POST",
                    options.url,
                    parcel.message_id,
                    int(started_at),
                    parcel.body,
                    headers,
                )
            )
        outcome = await self._authenticated(url, headers, parcel, options)
        return _timed(outcome, started_at, started), headers

    async def _authenticated(self, url, headers, parcel, options) -> Outcome:
        authenticator = options.authenticator
        if authenticator is None:
            return await self._post(url, headers, parcel, options)
        for last in (False, True):
            try:
                headers.update(await authenticator.headers(self._session))
            except Exception as error:
                if classify(error) is None:
                    raise
                return Outcome(error="auth", detail=str(error)[:500])
            outcome = await self._post(url, headers, parcel, options)
            # A token that was revoked early: asked for once more, within the attempt.
            if outcome.status != 401 or last or not authenticator.invalidate():
                break
        return outcome

    def _check(self, url) -> yarl.URL | Outcome:
        """Return the URL to request, or the outcome of a refused one.

        Host names are checked again when they are resolved.
        """
        if url not in self._checked:
            try:
                # Exactly what was checked, not quoted anew.
                self._checked[url] = yarl.URL(
                    check_url(url, self._networks).url, encoded=True
                )
            except AddressRefused as error:
                self._checked[url] = Outcome(error="address_refused", detail=str(error))
        return self._checked[url]

    async def _post(self, url, headers, parcel, options) -> Outcome:
        seconds = parcel.destination.timeout
        timeout = self._timeouts.get(seconds)
        if timeout is None:
            timeout = self._timeouts[seconds] = aiohttp.ClientTimeout(total=seconds)
        phases: dict[str, float] = {}
        started = time.perf_counter()
        try:
            async with self._session.post(
                url,
                data=parcel.body,
                headers=headers,
                allow_redirects=False,
                timeout=timeout,
                proxy=options.proxy,
                ssl=options.ssl_context or True,
                trace_request_ctx=phases,
            ) as response:
                answered = time.perf_counter()
                remote_ip = _peer(response)
                kept, truncated = await _read(response)
                ended = time.perf_counter()
                connecting = sum(phases.values())
                phases["answer"] = (answered - started) * 1000.0 - connecting
                phases["body"] = (ended - answered) * 1000.0
                return Outcome(
                    status=response.status,
                    error="redirect" if 300 <= response.status < 400 else None,
                    headers=dict(response.headers),
                    body=kept,
                    truncated=truncated,
                    remote_ip=remote_ip,
                    phases=_rounded(phases),
                )
        except Exception as error:
            code = classify(error)
            if code is None:
                raise
            return Outcome(
                error=code,
                detail=f"{type(error).__name__}: {error}"[:500],
                phases=_rounded(phases),
            )


def _timed(outcome, started_at, started) -> Outcome:
    return Outcome(
        status=outcome.status,
        error=outcome.error,
        headers=outcome.headers,
        body=outcome.body,
        truncated=outcome.truncated,
        started_at=started_at,
        duration_ms=(time.perf_counter() - started) * 1000.0,
        remote_ip=outcome.remote_ip,
        phases=outcome.phases,
        detail=outcome.detail,
    )


def _rounded(phases):
    # While a phase runs, its beginning stands in its place, as a negative number.
    return {name: round(ms, 3) for name, ms in phases.items() if ms >= 0}


def _began(phase):
    async def note(_session, context, _params):
        context.trace_request_ctx[phase] = -time.perf_counter() * 1000.0

    return note


def _ended(phase):
    async def note(_session, context, _params):
        phases = context.trace_request_ctx
        phases[phase] += time.perf_counter() * 1000.0
        if phase == "connect":
            # Resolving the name is part of connecting to aiohttp.
            phases[phase] -= max(phases.get("dns", 0.0), 0.0)

    return note


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
    """Read what is kept of the body; a longer one ends the connection."""
    kept = bytearray()
    async for chunk in response.content.iter_chunked(const.BODY_KEPT_BYTES):
        kept += chunk
        if len(kept) > const.BODY_KEPT_BYTES:
            response.close()
            return bytes(kept[: const.BODY_KEPT_BYTES]), True
    return bytes(kept), False


def _peer(response) -> str | None:
    """Return the address that answered, where the connection still tells."""
    connection = response.connection
    if connection is None or connection.transport is None:
        return response.url.host if response.url.host[:1].isdigit() else None
    peer = connection.transport.get_extra_info("peername")
    return peer[0] if peer else None
