"""How endpoints are doing, for many of them in a constant number of queries.

Nothing here scans: queues are counted from partial indexes up to a limit, traffic is
read from the pulses.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .. import clock, constants

QUEUES = """
    SELECT n.id,
           (SELECT count(*) FROM (
                SELECT FROM finance_delivery d
                 WHERE d.endpoint_id = n.id AND d.state = 'waiting'
                   AND d.due_at IS NOT NULL
                 LIMIT %(most)s) AS due)
           -- By the subscription and by the batch alone, as their indexes hold them:
           -- told of the endpoint, too, the planner walks over all that wait.
           + (SELECT count(*) FROM (
                SELECT FROM finance_subscription s
                  JOIN finance_delivery d ON d.subscription_id = s.id
                 WHERE s.endpoint_id = n.id AND d.state = 'waiting'
                   AND d.due_at IS NULL AND d.batch_id IS NULL
                 LIMIT %(most)s) AS collected)
           + (SELECT count(*) FROM (
                SELECT FROM finance_batch b
                  JOIN finance_delivery d ON d.batch_id = b.id
                 WHERE b.endpoint_id = n.id AND b.state = 'waiting'
                   AND d.state = 'waiting'
                 LIMIT %(most)s) AS batched),
           (SELECT count(*) FROM (
                SELECT FROM finance_delivery d
                 WHERE d.endpoint_id = n.id AND d.state = 'parked'
                 LIMIT %(most)s) AS parked),
           (SELECT count(*) FROM (
                SELECT FROM finance_delivery d
                 WHERE d.endpoint_id = n.id AND d.state = 'dead'
                 LIMIT %(most)s) AS dead),
           LEAST(
               (SELECT min(head.due_at)
                  FROM unnest(%(lanes)s) AS l(lane)
                 CROSS JOIN LATERAL (
                    SELECT d.due_at FROM finance_delivery d
                     WHERE d.endpoint_id = n.id AND d.lane = l.lane
                       AND d.state = 'waiting' AND d.due_at IS NOT NULL
                     ORDER BY d.due_at LIMIT 1) AS head),
               (SELECT min(head.due_at)
                  FROM unnest(%(lanes)s) AS l(lane)
                 CROSS JOIN LATERAL (
                    SELECT b.due_at FROM finance_batch b
                     WHERE b.endpoint_id = n.id AND b.lane = l.lane
                       AND b.state = 'waiting'
                     ORDER BY b.due_at LIMIT 1) AS head))
      FROM unnest(%(ids)s) AS n(id)
"""

HEALTH = """
    SELECT endpoint_id, breaker, opened_at, probe_at, paused_until, failing_since,
           last_success_at, last_failure_at, last_error, tokens
      FROM finance_endpoint_health
     WHERE endpoint_id = ANY(%(ids)s)
"""

# Whole hours from the rows of hours; what is not rolled up yet, from those of minutes.
PULSES = """
    SELECT endpoint_id, started_at, delivered, failed, throttled, duration_ms
      FROM finance_pulse
     WHERE endpoint_id = ANY(%(ids)s) AND span = 'hour'
       AND started_at >= %(since)s AND started_at < %(rolled)s
     UNION ALL
    SELECT endpoint_id, started_at, delivered, failed, throttled, duration_ms
      FROM finance_pulse
     WHERE endpoint_id = ANY(%(ids)s) AND span = 'minute' AND started_at >= %(rolled)s
"""

ROLLED = """
    SELECT max(started_at) FROM finance_pulse WHERE span = 'hour'
"""


@dataclass(slots=True)
class Traffic:
    """What was sent in a time: requests, and the milliseconds that they took."""

    delivered: int = 0
    failed: int = 0
    throttled: int = 0
    duration_ms: float = 0.0

    def add(self, other) -> None:
        """Take in other traffic."""
        self.delivered += other.delivered
        self.failed += other.failed
        self.throttled += other.throttled
        self.duration_ms += other.duration_ms

    @property
    def success_rate(self) -> float | None:
        """Share of the requests that arrived; ``None`` without any.

        A receiver that asks for patience has not failed.
        """
        total = self.delivered + self.failed
        return self.delivered / total if total else None

    @property
    def mean_ms(self) -> float | None:
        """Milliseconds of a request on average; ``None`` without any."""
        total = self.delivered + self.failed + self.throttled
        return self.duration_ms / total if total else None


@dataclass(slots=True)
class Glance:
    """One endpoint, or several taken together.

    :ivar waiting: deliveries on their way, counted up to ``GLANCE_COUNT_LIMIT``;
        the same for ``parked`` and ``dead``
    :ivar oldest_due_at: when the oldest waiting one was or is due, naive UTC
    :ivar hours: traffic of the last 24 hours, the oldest first, the last one running
    :ivar hour: traffic of the last 60 minutes
    :ivar before_rest: traffic in the minutes before the breaker opened
    """

    breaker: str = "closed"
    opened_at: datetime | None = None
    probe_at: datetime | None = None
    paused_until: datetime | None = None
    failing_since: datetime | None = None
    last_success_at: datetime | None = None
    last_failure_at: datetime | None = None
    last_error: str | None = None
    tokens: float | None = None
    waiting: int = 0
    parked: int = 0
    dead: int = 0
    oldest_due_at: datetime | None = None
    hours: list[Traffic] = field(
        default_factory=lambda: [Traffic() for _hour in range(constants.GLANCE_HOURS)]
    )
    hour: Traffic = field(default_factory=Traffic)
    before_rest: Traffic = field(default_factory=Traffic)

    @property
    def day(self) -> Traffic:
        """Traffic of all hours together."""
        total = Traffic()
        for hour in self.hours:
            total.add(hour)
        return total

    def past_due(self, now: datetime) -> timedelta | None:
        """Return how long the oldest waiting one is due, ``None`` if none is."""
        if self.oldest_due_at is None or self.oldest_due_at >= now:
            return None
        return now - self.oldest_due_at

    def add(self, other) -> None:
        """Take in the queues and the traffic of another endpoint."""
        self.waiting += other.waiting
        self.parked += other.parked
        self.dead += other.dead
        if other.oldest_due_at and (
            self.oldest_due_at is None or other.oldest_due_at < self.oldest_due_at
        ):
            self.oldest_due_at = other.oldest_due_at
        self.hour.add(other.hour)
        for mine, theirs in zip(self.hours, other.hours, strict=True):
            mine.add(theirs)


def hour_of(moment: datetime) -> datetime:
    """Return the beginning of the hour of ``moment``."""
    return moment.replace(minute=0, second=0, microsecond=0)


def glances(cr, endpoint_ids, window: timedelta) -> dict[int, Glance]:
    """Return a glance of each endpoint, by four queries however many there are.

    :param endpoint_ids: what the caller may see; nothing is checked here
    :param window: how far a circuit breaker looks back
    """
    found = {endpoint_id: Glance() for endpoint_id in endpoint_ids}
    if not found:
        return found
    ids = list(found)
    now = clock.naive_now()
    cr.execute(HEALTH, {"ids": ids})
    for endpoint_id, *values in cr.fetchall():
        glance = found[endpoint_id]
        (
            glance.breaker,
            glance.opened_at,
            glance.probe_at,
            glance.paused_until,
            glance.failing_since,
            glance.last_success_at,
            glance.last_failure_at,
            glance.last_error,
            glance.tokens,
        ) = values
    cr.execute(
        QUEUES,
        {
            "ids": ids,
            "lanes": list(constants.LANES),
            "most": constants.GLANCE_COUNT_LIMIT,
        },
    )
    for endpoint_id, waiting, parked, dead, oldest_due_at in cr.fetchall():
        glance = found[endpoint_id]
        glance.waiting, glance.parked, glance.dead = waiting, parked, dead
        glance.oldest_due_at = oldest_due_at
    _read_pulses(cr, found, now, window)
    return found


def _read_pulses(cr, found, now, window):
    last_hour = hour_of(now)
    since = last_hour - timedelta(hours=constants.GLANCE_HOURS - 1)
    cr.execute(ROLLED)
    (rolled,) = cr.fetchone()
    # The last hour by minutes in any case.
    rolled = rolled + timedelta(hours=1) if rolled else since
    rolled = max(since, min(rolled, hour_of(now - timedelta(hours=1))))
    cr.execute(PULSES, {"ids": list(found), "since": since, "rolled": rolled})
    for endpoint_id, started_at, *counts in cr.fetchall():
        glance, traffic = found[endpoint_id], Traffic(*counts)
        place = int((hour_of(started_at) - since) / timedelta(hours=1))
        if 0 <= place < len(glance.hours):
            glance.hours[place].add(traffic)
        if started_at < rolled:
            continue
        if started_at > now - timedelta(hours=1):
            glance.hour.add(traffic)
        opened_at = glance.opened_at
        # A pulse stands for the whole minute that it begins.
        before = window + timedelta(minutes=1)
        if opened_at and opened_at - before < started_at <= opened_at:
            glance.before_rest.add(traffic)
