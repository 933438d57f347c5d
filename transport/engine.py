# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Sends what is claimed, many at a time, and hands back what became of it.

The engine knows neither Odoo nor a database: it is given two callables, one that
claims messages and one that records results. Messages of one lane (one aggregate at
one endpoint) go one after the other, and the first failure stops the lane; lanes go
side by side, as many per endpoint as it takes.
"""

import asyncio
import contextlib
import socket
import ssl
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import yarl

from . import constants as const
from .addresses import AddressRefused, check_url
from .outcome import Outcome
from .resolver import GuardedResolver


@dataclass(slots=True)
class Destination:
    """An endpoint as the engine sees it.

    :ivar key: identifies the endpoint.
    :ivar url: where messages are POSTed.
    :ivar signer: has ``sign_headers(message_id, timestamp, body) -> dict``.
    :ivar headers: sent with every message.
    :ivar timeout: seconds for one request, connecting included.
    :ivar concurrency: requests in flight at a time.
    """

    key: int
    url: str
    signer: Any
    headers: dict[str, str]
    timeout: float
    concurrency: int


@dataclass(slots=True)
class Parcel:
    """One message on its way to one destination.

    :ivar lane: messages with the same lane are sent in order.
    :ivar ticket: whatever the caller needs to record the result.
    """

    destination: Destination
    lane: str
    message_id: str
    body: bytes
    ticket: Any = None


@dataclass(slots=True)
class Result:
    """What became of a parcel; without an outcome it was never tried."""

    parcel: Parcel
    outcome: Outcome | None
    request_headers: dict[str, str] = field(default_factory=dict)


class Engine:
    """One run: claim, send and record until nothing is left or time is up.

    :param claim: called with the number of parcels in hand by destination key,
        returns more parcels, or none when nothing is due. May block.
    :param record: called with a list of results. May block. A result that it fails
        to record is lost to this run: the claim behind it must expire by itself.
    :param budget: seconds during which new parcels are claimed.
    :param networks: private networks that may be reached, see
        :func:`~.addresses.parse_networks`.
    :param threads: call ``claim`` and ``record`` in a thread beside the event loop;
        when false they run in the loop's own thread.
    """

    def __init__(
        self,
        claim: Callable[[dict[int, int]], Sequence[Parcel]],
        record: Callable[[list[Result]], None],
        *,
        budget: float,
        networks: Sequence = (),
        threads: bool = True,
    ):
        self._claim = claim
        self._record = record
        self._budget = budget
        self._networks = tuple(networks)
        self._threads = threads
        self._in_hand: Counter[int] = Counter()
        self._slots: dict[int, asyncio.Semaphore] = {}
        self._results: deque[Result] = deque()
        self._lanes: set[asyncio.Task] = set()
        self._progress: asyncio.Event | None = None
        self._checked: dict[str, str | Outcome] = {}

    def run(self) -> bool:
        """Run to the end.

        :return: whether the budget ended the run while there was still work
        """
        if not self._threads:
            return asyncio.run(self._run(None))
        # One thread: the callables need not be safe against each other.
        with ThreadPoolExecutor(1, "finance-hub-engine") as executor:
            return asyncio.run(self._run(executor))

    # === THE LOOP === #

    async def _run(self, executor) -> bool:
        self._progress = asyncio.Event()
        deadline = time.monotonic() + self._budget
        connector = aiohttp.TCPConnector(
            limit=0,
            resolver=GuardedResolver(self._networks),
            ttl_dns_cache=const.DNS_TTL,
        )
        async with aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        ) as session:
            try:
                return await self._drive(session, executor, deadline)
            finally:
                for lane in self._lanes:
                    lane.cancel()
                await asyncio.gather(*self._lanes, return_exceptions=True)
                if self._results:
                    await self._flush(executor)

    async def _drive(self, session, executor, deadline) -> bool:
        dry = False  # the last claim found nothing, and nothing was recorded since
        flushed_at = time.monotonic()
        while True:
            now = time.monotonic()
            in_time = now < deadline
            if in_time and not dry:
                parcels = await self._call(executor, self._claim, dict(self._in_hand))
                dry = not parcels
                self._start(session, parcels, deadline)
            if self._results and (
                len(self._results) >= const.RECORD_BATCH
                or now - flushed_at >= const.RECORD_INTERVAL
                or not self._lanes
            ):
                await self._flush(executor)
                flushed_at = time.monotonic()
                # What waited behind the recorded ones may go now.
                dry = False
                continue
            if not self._lanes and not self._results:
                if not in_time:
                    return not dry
                if dry:
                    return False
                continue
            await self._wait(flushed_at)

    async def _wait(self, flushed_at):
        """Wait for a result, at most until the next batch is to be recorded."""
        self._progress.clear()
        pause = const.RECORD_INTERVAL
        if self._results:
            pause -= time.monotonic() - flushed_at
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._progress.wait(), max(pause, const.MIN_PAUSE))

    async def _flush(self, executor):
        batch = [self._results.popleft() for _ in range(len(self._results))]
        await self._call(executor, self._record, batch)

    async def _call(self, executor, function, argument):
        if executor is None:
            return function(argument)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(executor, function, argument)

    # === LANES === #

    def _start(self, session, parcels, deadline):
        lanes: dict[tuple[int, str], list[Parcel]] = {}
        for parcel in parcels:
            key = parcel.destination.key
            self._in_hand[key] += 1
            lanes.setdefault((key, parcel.lane), []).append(parcel)
        for (key, _lane), lane_parcels in lanes.items():
            if key not in self._slots:
                self._slots[key] = asyncio.Semaphore(
                    lane_parcels[0].destination.concurrency
                )
            task = asyncio.create_task(self._lane(session, lane_parcels, deadline))
            self._lanes.add(task)
            task.add_done_callback(self._lanes.discard)

    async def _lane(self, session, parcels, deadline):
        """Send the parcels of one lane in order, up to the first failure."""
        started = None
        open_ = True
        waiting = deque(parcels)
        try:
            while waiting and open_:
                async with self._slots[waiting[0].destination.key]:
                    now = time.monotonic()
                    started = started or now
                    if now >= deadline or now - started > const.LANE_BUDGET:
                        break
                    result = await self._send(session, waiting[0])
                waiting.popleft()
                self._finish(result)
                open_ = result.outcome.delivered
        finally:
            for parcel in waiting:
                self._finish(Result(parcel, None))

    def _finish(self, result):
        key = result.parcel.destination.key
        self._in_hand[key] -= 1
        self._results.append(result)
        self._progress.set()

    # === ONE REQUEST === #

    async def _send(self, session, parcel) -> Result:
        destination = parcel.destination
        started_at, started = time.time(), time.perf_counter()
        headers = {
            **destination.headers,
            **destination.signer.sign_headers(
                parcel.message_id, int(started_at), parcel.body
            ),
        }
        outcome = checked = self._check(destination.url)
        if isinstance(checked, str):
            outcome = await self._post(
                session, checked, headers, parcel.body, destination.timeout
            )
        elapsed = (time.perf_counter() - started) * 1000.0
        return Result(
            parcel,
            Outcome(
                status=outcome.status,
                error=outcome.error,
                headers=outcome.headers,
                body=outcome.body,
                truncated=outcome.truncated,
                started_at=started_at,
                duration_ms=elapsed,
                remote_ip=outcome.remote_ip,
                phases=outcome.phases,
                detail=outcome.detail,
            ),
            headers,
        )

    def _check(self, url) -> str | Outcome:
        """Return the canonical URL, or the outcome of a refused one.

        Host names are checked again when they are resolved.
        """
        if url not in self._checked:
            try:
                self._checked[url] = check_url(url, self._networks).url
            except AddressRefused as error:
                self._checked[url] = Outcome(error="address_refused", detail=str(error))
        return self._checked[url]

    async def _post(self, session, url, headers, body, timeout) -> Outcome:
        started = time.perf_counter()
        try:
            async with session.post(
                # Exactly what was checked, not quoted anew.
                yarl.URL(url, encoded=True),
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout),
            ) as response:
                answered = time.perf_counter()
                remote_ip = _peer(response)
                kept, truncated = await _read(response)
                return Outcome(
                    status=response.status,
                    error="redirect" if 300 <= response.status < 400 else None,
                    headers=dict(response.headers),
                    body=kept,
                    truncated=truncated,
                    remote_ip=remote_ip,
                    phases={
                        "answer": round((answered - started) * 1000.0, 3),
                        "body": round((time.perf_counter() - answered) * 1000.0, 3),
                    },
                )
        except Exception as error:
            code = classify(error)
            if code is None:
                raise
            return Outcome(error=code, detail=f"{type(error).__name__}: {error}"[:500])


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
