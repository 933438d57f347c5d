# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Whether an endpoint may be sent to at this moment."""

from dataclasses import dataclass, field
from datetime import datetime, timezone

from . import constants as const
from .breaker import Breaker, verdict
from .outcome import Outcome
from .retry import parse_retry_after


@dataclass(slots=True)
class Gate:
    """The breaker of an endpoint, and the pause it asked for.

    :ivar paused_until: Unix seconds; the receiver asked for nothing before that.
    :ivar changed: set when the pause changes; the caller resets it.
    """

    breaker: Breaker = field(default_factory=Breaker)
    paused_until: float = 0.0
    changed: bool = False

    def admits(self, now: float) -> bool:
        """Whether a request may go now."""
        return now >= self.paused_until and self.breaker.admits(now)

    def opens_at(self, now: float) -> float | None:
        """Return when it is worth asking again, ``None`` when it is open."""
        moment = max(self.paused_until, self.breaker.probe_at or 0.0)
        return moment if moment > now else None

    def note(self, outcome: Outcome, now: float, era: object | None = None) -> None:
        """Take in one result.

        A 429, a 503 with Retry-After, or a broker short of memory is about the endpoint
        and not about the one message: everything to it waits as long as was asked.

        :param era: of the breaker when the request was let through, see
            :meth:`~.breaker.Breaker.record`.
        """
        self.breaker.record(verdict(outcome), now, era)
        throttled = outcome.status == 429 or outcome.error == "amqp_blocked"
        if not throttled and outcome.status != 503:
            return
        asked = parse_retry_after(
            outcome.header("retry-after"), datetime.fromtimestamp(now, timezone.utc)
        )
        if asked is None and throttled:
            asked = const.THROTTLE_DELAY
        if asked and now + asked > self.paused_until:
            self.paused_until = now + asked
            self.changed = True
