# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Circuit breaker: an endpoint that fails most of the time is left in peace.

Opens by the *rate* of failures over a window, once there is a minimum sample; after a
rest it lets one request through, and that one decides. A pure state machine: the
caller says what time it is.
"""

from collections import deque
from dataclasses import dataclass, field

from . import constants as const
from .outcome import Outcome

CLOSED = "closed"
OPEN = "open"
HALF_OPEN = "half_open"


def verdict(outcome: Outcome) -> bool | None:
    """Return what an outcome says of the endpoint's health.

    :return: true when it works, false when it does not, ``None`` when the outcome
        says nothing of it: a 429 or its like (it works, and asks for patience), an
        attempt that the hub itself broke off.
    """
    if outcome.delivered:
        return True
    if (
        outcome.status == 429
        or outcome.error == "cancelled"
        or outcome.error in const.THROTTLE_ERRORS
    ):
        return None
    if outcome.error is not None:
        return outcome.error in const.MESSAGE_ERRORS
    status = outcome.status
    if status is None or status >= 500 or status < 400:
        return False
    # Whoever is not let in, or is at the wrong address, fails with every message;
    # other refusals are about the message.
    return status not in const.BREAKER_CLIENT_ERRORS


@dataclass(slots=True)
class Breaker:
    """The breaker of one endpoint.

    Times are Unix seconds.

    :ivar state: ``closed`` lets everything through, ``open`` nothing, ``half_open``
        one request.
    :ivar probe_at: when an open one may try again.
    :ivar trips: how often it opened since the last success.
    :ivar changed: set when the state changes; the caller resets it.
    :ivar era: another object after each change of the state. Answers to what was let
        through in an earlier one come too late to say anything.
    """

    state: str = CLOSED
    opened_at: float | None = None
    probe_at: float | None = None
    trips: int = 0
    changed: bool = False
    probing: bool = False
    era: object = field(default_factory=object)
    _buckets: deque[list[float]] = field(default_factory=deque)

    def seed(self, succeeded: int, failed: int, now: float) -> None:
        """Begin with what earlier runs saw within the window."""
        if succeeded or failed:
            self._buckets.append([now, succeeded, failed])

    def adopt(
        self, state: str, opened_at: float | None, probe_at: float | None, trips: int
    ) -> None:
        """Take over what another run made of it."""
        if state == CLOSED:
            if self.state == OPEN:
                self._close()
                self.changed = False
            return
        if self.state == CLOSED:
            self.era = object()
        self.state, self.opened_at, self.probe_at = OPEN, opened_at, probe_at
        self.trips = trips

    def admits(self, now: float) -> bool:
        """Whether a request may go now. A half-open breaker says so once."""
        if self.state == CLOSED:
            return True
        if self.state == OPEN or self.probing:
            return False
        self.probing = True
        return True

    def half_open(self) -> None:
        """Let one request through; the caller has seen that ``probe_at`` came."""
        self.state = HALF_OPEN
        self.probing = False
        self.era = object()

    def put_off(self, now: float) -> None:
        """Have another request decide: this one did not, or was not even made."""
        self.state = OPEN
        self.probe_at = now
        self.probing = False
        self.era = object()
        self.changed = True

    def record(
        self, healthy: bool | None, now: float, era: object | None = None
    ) -> None:
        """Take in one result, see :func:`verdict`.

        :param era: the breaker's ``era`` when the request was let through; the present
            one by default.
        """
        if era is not None and era is not self.era:
            return
        if self.state == HALF_OPEN:
            if healthy is None:
                self.put_off(now)
            elif healthy:
                self._close()
            else:
                self._open(now)
            return
        if healthy is None or self.state == OPEN:
            return
        self._count(healthy, now)
        if healthy:
            return
        succeeded, failed = self.counts(now)
        total = succeeded + failed
        if (
            total >= const.BREAKER_MIN_SAMPLE
            and failed / total >= const.BREAKER_FAILURE_RATE
        ):
            self._open(now)

    def counts(self, now: float) -> tuple[int, int]:
        """Return (succeeded, failed) within the window."""
        self._forget(now)
        return (
            int(sum(bucket[1] for bucket in self._buckets)),
            int(sum(bucket[2] for bucket in self._buckets)),
        )

    def _count(self, healthy, now):
        self._forget(now)
        if (
            not self._buckets
            or now - self._buckets[-1][0] >= const.BREAKER_BUCKET_SECONDS
        ):
            self._buckets.append([now, 0, 0])
        self._buckets[-1][1 if healthy else 2] += 1

    def _forget(self, now):
        oldest = now - const.BREAKER_WINDOW_SECONDS
        while self._buckets and self._buckets[0][0] < oldest:
            self._buckets.popleft()

    def _open(self, now):
        rest = min(
            const.BREAKER_REST_SECONDS * 2 ** min(self.trips, 16),
            const.BREAKER_REST_MAX_SECONDS,
        )
        self.state = OPEN
        self.opened_at = now
        self.probe_at = now + rest
        self.trips += 1
        self.probing = False
        self.era = object()
        self.changed = True

    def _close(self):
        self.state = CLOSED
        self.opened_at = self.probe_at = None
        self.trips = 0
        self.probing = False
        self.era = object()
        self._buckets.clear()
        self.changed = True
