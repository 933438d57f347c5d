# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Sends what is claimed, many at a time, and hands back what became of it.

The engine knows neither Odoo nor a database: it is given two callables, one that
claims messages and one that records results. Messages of one lane (one aggregate at
one endpoint) go one after the other, and the first failure stops the lane; lanes go
side by side, as many per endpoint as it takes. An endpoint whose gate is shut gets
nothing, and what was claimed for it is handed back untried.
"""

import asyncio
import contextlib
import logging
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from . import constants as const
from .amqp_sender import AmqpSender
from .gate import Gate
from .http import HttpSender
from .outcome import Outcome

_logger = logging.getLogger(__name__)

#: What carries messages, by the name of the transport: a class whose instances have
#: ``async send(parcel) -> (Outcome, headers)`` and ``async close()``.
SENDERS: dict[str, Callable[..., Any]] = {"https": HttpSender, "amqp": AmqpSender}


@dataclass(slots=True)
class Destination:
    """An endpoint as the engine sees it.

    :ivar key: identifies the endpoint.
    :ivar transport: a key of :data:`SENDERS`.
    :ivar options: what that transport needs to know, such as
        :class:`~.http.HttpOptions`.
    :ivar timeout: seconds for one message, connecting included.
    :ivar concurrency: messages in flight at a time.
    :ivar window: messages in hand at most, an even number; more are claimed when
        half of them are done.
    :ivar gate: whether it may be sent to at all.
    """

    key: int
    transport: str
    options: Any
    timeout: float
    concurrency: int
    window: int
    gate: Gate = field(default_factory=Gate)


@dataclass(slots=True)
class Parcel:
    """One message on its way to one destination.

    :ivar lane: messages with the same lane are sent in order.
    :ivar headers: of this message, beside those of the destination.
    :ivar ticket: whatever the caller needs to record the result.
    """

    destination: Destination
    lane: str
    message_id: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    ticket: Any = None


@dataclass(slots=True)
class Result:
    """What became of a parcel; without an outcome it was never tried."""

    parcel: Parcel
    outcome: Outcome | None
    request_headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Claim:
    """What a claim brought.

    :ivar again_in: seconds until it is worth asking again although nothing came,
        ``None`` when nobody knows.
    :ivar more: whether more may wait than what came.
    """

    parcels: Sequence[Parcel] = ()
    again_in: float | None = None
    more: bool = True


class _Lane:
    __slots__ = ("failed", "key", "parcels", "queued")

    def __init__(self, key):
        self.key = key
        self.parcels: deque[Parcel] = deque()
        # Queued at its destination, or in the hands of a worker.
        self.queued = False
        # Stays until the failure is recorded: what is claimed before that must not
        # overtake it.
        self.failed = False


class _Desk:
    """The lanes of one destination that have something to send."""

    __slots__ = ("ready", "sending", "workers")

    def __init__(self):
        self.ready: deque[_Lane] = deque()
        self.workers = 0
        # Since when (monotonic) the lanes await an answer, the oldest first.
        self.sending: dict[_Lane, float] = {}

    def awaits_since(self) -> float | None:
        return next(iter(self.sending.values()), None)


class Engine:
    """One run: claim, send and record until nothing is left or time is up.

    :param claim: called with the number of parcels in hand by destination key,
        returns a :class:`Claim`. May block.
    :param record: called with a list of results. May block. A result that it fails
        to record is lost to this run, and its message will be sent again.
    :param budget: seconds during which new parcels are claimed; some more when a
        destination keeps the run waiting for its answer, which the others go on in.
    :param networks: private networks that may be reached, see
        :func:`~.addresses.parse_networks`.
    :param threads: call ``claim`` and ``record`` in a thread beside the event loop
        while messages are on their way; when false always in the loop's own thread.
    :param now: the present time, Unix seconds, for the gates.
    """

    def __init__(
        self,
        claim: Callable[[dict[int, int]], Claim],
        record: Callable[[list[Result]], None],
        *,
        budget: float,
        networks: Sequence = (),
        threads: bool = True,
        now: Callable[[], float] = time.time,
    ):
        self._claim = claim
        self._record = record
        self._budget = budget
        self._networks = tuple(networks)
        self._threads = threads
        self._now = now
        self._in_hand: Counter[int] = Counter()
        self._desks: dict[int, _Desk] = {}
        self._lanes: dict[tuple[int, str], _Lane] = {}
        self._results: deque[Result] = deque()
        self._workers: set[asyncio.Task] = set()
        self._senders: dict[str, Any] = {}
        self._progress: asyncio.Event | None = None
        self._deadline = 0.0
        # Past the deadline: whether others go on, and who does not.
        self._overtime = False
        self._late: set[int] = set()
        self._claimed_at = 0.0
        # When to claim again (monotonic), None for not before a result is recorded.
        self._claim_at: float | None = 0.0

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
        self._deadline = time.monotonic() + self._budget
        try:
            return await self._drive(executor)
        finally:
            for worker in self._workers:
                worker.cancel()
            await asyncio.gather(*self._workers, return_exceptions=True)
            for sender in self._senders.values():
                await sender.close()
            if self._results:
                await self._flush(executor)

    async def _drive(self, executor) -> bool:
        flushed_at = time.monotonic()
        while True:
            now = time.monotonic()
            in_time = now < self._deadline or self._goes_on(now)
            if (
                in_time
                and self._claim_at is None
                and self._workers
                and now - self._claimed_at >= const.LOOK_INTERVAL
            ):
                # Others must not wait for whoever does not answer.
                self._claim_at = now
            if in_time and self._claim_at is not None and now >= self._claim_at:
                # Cleared first: a worker may ask for more while this one runs.
                self._claim_at = None
                claim = await self._call(executor, self._claim, self._hands())
                self._start(claim.parcels)
                self._plan(claim)
                self._claimed_at = time.monotonic()
            if self._results and (
                len(self._results) >= const.RECORD_BATCH
                or now - flushed_at >= const.RECORD_INTERVAL
                or not self._workers
            ):
                await self._flush(executor)
                flushed_at = time.monotonic()
                # What waited behind the recorded ones may go now.
                self._claim_at = 0.0
                continue
            if not self._workers and not self._results:
                if not in_time:
                    return self._claim_at is not None
                if self._claim_at is None:
                    return False
            await self._wait(flushed_at, in_time)

    def _goes_on(self, now) -> bool:
        """Whether to work overtime: somebody has not answered yet."""
        late = set()
        if now < self._deadline + const.OVERTIME:
            for key, desk in self._desks.items():
                since = desk.awaits_since()
                if since is not None and now - since >= const.LATE_ANSWER:
                    late.add(key)
        self._late |= late
        self._overtime = bool(late)
        return self._overtime

    def _may_send(self, key) -> bool:
        return time.monotonic() < self._deadline or (
            self._overtime and key not in self._late
        )

    def _hands(self) -> dict[int, int]:
        """Return what is in hand by destination, for a claim."""
        # Whoever is late gets nothing more in this run.
        return {**self._in_hand, **dict.fromkeys(self._late, sys.maxsize)}

    def _plan(self, claim):
        """Decide when to claim again, unless a worker asked for it meanwhile."""
        if self._claim_at is not None:
            return
        if claim.parcels and claim.more:
            self._claim_at = 0.0
        elif claim.again_in is not None and claim.again_in <= const.IDLE_WAIT:
            self._claim_at = time.monotonic() + claim.again_in

    async def _wait(self, flushed_at, in_time):
        """Wait for a result, at most until something is to be done without one."""
        now = time.monotonic()
        pause = const.RECORD_INTERVAL
        if self._results:
            pause -= now - flushed_at
        if in_time and self._claim_at is not None:
            pause = min(pause, self._claim_at - now)
        if pause <= 0:
            # Let the workers run, at least.
            await asyncio.sleep(0)
            return
        self._progress.clear()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._progress.wait(), pause)

    async def _flush(self, executor):
        failed = [lane for lane in self._lanes.values() if lane.failed]
        batch = [self._results.popleft() for _ in range(len(self._results))]
        await self._call(executor, self._record, batch)
        for lane in failed:
            if not lane.queued:
                self._lanes.pop(lane.key, None)

    async def _call(self, executor, function, argument):
        # With nothing on its way there is nothing to go on with meanwhile.
        if executor is None or not self._workers:
            return function(argument)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(executor, function, argument)

    # === LANES === #

    def _start(self, parcels):
        for parcel in parcels:
            destination = parcel.destination
            key = destination.key
            self._in_hand[key] += 1
            lane_key = (key, parcel.lane)
            lane = self._lanes.get(lane_key)
            if lane is None:
                lane = self._lanes[lane_key] = _Lane(lane_key)
            elif lane.failed:
                self._finish(Result(parcel, None))
                continue
            lane.parcels.append(parcel)
            if lane.queued:
                continue
            lane.queued = True
            desk = self._desks.get(key)
            if desk is None:
                desk = self._desks[key] = _Desk()
            desk.ready.append(lane)
            if desk.workers < destination.concurrency:
                self._hire(desk, destination)

    def _hire(self, desk, destination):
        desk.workers += 1
        task = asyncio.create_task(self._work(desk, destination))
        self._workers.add(task)
        task.add_done_callback(self._workers.discard)

    async def _work(self, desk, destination):
        """Send what the lanes of one destination hold, until there is none."""
        lane = None
        try:
            sender = self._sender(destination.transport)
            while desk.ready:
                lane = desk.ready.popleft()
                if await self._serve(lane, sender, destination, desk):
                    # Its turn is over: it goes on behind the others.
                    desk.ready.append(lane)
                lane = None
        finally:
            desk.workers -= 1
            if lane is not None:
                self._release(lane)
            self._progress.set()

    async def _serve(self, lane, sender, destination, desk) -> bool:
        """Send the parcels of one lane in order, up to the first failure.

        :return: whether there are more, after this turn
        """
        gate = destination.gate
        turn = time.monotonic() + const.LANE_TURN
        while lane.parcels:
            now = time.monotonic()
            if now > turn:
                return True
            if not self._may_send(destination.key) or not gate.admits(self._now()):
                break
            parcel = lane.parcels[0]
            era = gate.breaker.era
            desk.sending[lane] = now
            try:
                outcome, headers = await sender.send(parcel)
            except Exception as error:
                # Not the network's doing; the message must not be tried for ever.
                _logger.exception("could not send %s", parcel.message_id)
                outcome, headers = Outcome(error="internal", detail=repr(error)), {}
            finally:
                del desk.sending[lane]
            gate.note(outcome, self._now(), era)
            lane.parcels.popleft()
            lane.failed = not outcome.delivered
            self._finish(Result(parcel, outcome, headers))
            if lane.failed:
                break
        self._release(lane)
        return False

    def _release(self, lane):
        """Hand back what a lane still holds, untried."""
        while lane.parcels:
            self._finish(Result(lane.parcels.popleft(), None))
        lane.queued = False
        if not lane.failed:
            self._lanes.pop(lane.key, None)

    def _finish(self, result):
        destination = result.parcel.destination
        left = self._in_hand[destination.key] = self._in_hand[destination.key] - 1
        self._results.append(result)
        if left * 2 == destination.window:
            self._claim_at = 0.0
            self._progress.set()
        elif len(self._results) >= const.RECORD_BATCH:
            self._progress.set()

    def _sender(self, transport):
        if transport not in self._senders:
            self._senders[transport] = SENDERS[transport](self._networks)
        return self._senders[transport]
