import time
from datetime import datetime, timedelta, timezone
from unittest.mock import patch

from odoo.tests import tagged

from ..models import clock, constants
from ..models.outbox import recording
from ..transport.constants import (
    BREAKER_MIN_SAMPLE,
    BREAKER_REST_SECONDS,
)
from .common import FinanceHubCommon, ok, status

NOON = datetime(2026, 3, 10, 12, tzinfo=timezone.utc)


class GateCase(FinanceHubCommon):
    """An endpoint that takes one request at a time, and a clock that stands still."""

    def setUp(self):
        super().setUp()
        self.sink = self.receiver()
        self.endpoint = self.make_endpoint(
            self.sink.url, concurrency=1, retry_schedule="0, 3600, 3600"
        )
        self.at(0)

    def at(self, seconds):
        """Have it be so many seconds after noon."""
        self.set_clock(NOON + timedelta(seconds=seconds))

    def make_events(self, count, endpoint=None):
        """Return deliveries of events of as many documents."""
        for _index in range(count):
            self.make_invoice()
        self.end_transaction()
        return self.env["finance.delivery"].search(
            [("endpoint_id", "=", (endpoint or self.endpoint).id)],
            order="id desc",
            limit=count,
        )

    def set_health(self, **values):
        self.env.flush_all()
        assignments = ", ".join(f"{name} = %s" for name in values)
        self.env.cr.execute(
            f"UPDATE finance_endpoint_health SET {assignments} WHERE endpoint_id = %s",
            [*values.values(), self.endpoint.id],
        )
        self.env.invalidate_all()

    def assertWake(self, wake, seconds):
        """The next job comes at a time after noon, rounded up."""
        self.assertTrue(wake, "nothing would wake the lane")
        late = (wake - NOON).total_seconds() - seconds
        self.assertGreaterEqual(late, 0)
        self.assertLessEqual(late, constants.WAKE_BUCKET.total_seconds())


@tagged("post_install", "-at_install")
class TestBreaker(GateCase):
    """cap 101: an endpoint that fails is left in peace, and tried with one request."""

    def trip(self):
        self.sink.answers = [status(500)]
        deliveries = self.make_events(BREAKER_MIN_SAMPLE + 5)
        self.dispatch()
        self.sink.requests.clear()
        return deliveries

    def test_opens_by_the_rate_and_spares_the_rest(self):
        self.sink.answers = [status(500)]
        deliveries = self.make_events(BREAKER_MIN_SAMPLE + 5)
        statistics, wake = self.run_lane()
        self.assertEqual(len(self.sink.requests), BREAKER_MIN_SAMPLE)
        self.assertEqual(statistics.failed, BREAKER_MIN_SAMPLE)
        health = self.health_of(self.endpoint)
        self.assertEqual((health.breaker, health.trips), ("open", 1))
        self.assertEqual(health.opened_at, clock.naive(NOON))
        untouched = deliveries.filtered(lambda d: not d.attempt_count)
        self.assertEqual(len(untouched), 5)
        self.assertEqual(set(untouched.mapped("state")), {"waiting"})
        self.assertWake(wake, BREAKER_REST_SECONDS)

    def test_rests(self):
        self.trip()
        self.at(BREAKER_REST_SECONDS - 5)
        _statistics, wake = self.run_lane()
        self.assertFalse(self.sink.requests)
        self.assertWake(wake, BREAKER_REST_SECONDS)

    def test_one_request_that_fails_doubles_the_rest(self):
        self.trip()
        self.at(BREAKER_REST_SECONDS)
        _statistics, wake = self.run_lane()
        self.assertEqual(len(self.sink.requests), 1)
        health = self.health_of(self.endpoint)
        self.assertEqual((health.breaker, health.trips), ("open", 2))
        self.assertWake(wake, BREAKER_REST_SECONDS * 3)

    def test_one_request_that_succeeds_lets_all_go(self):
        deliveries = self.trip()
        self.sink.answers = [ok]
        # When the retries are due, whatever their jitter.
        self.at(2 * 3600)
        statistics, _wake = self.run_lane()
        self.assertEqual(statistics.delivered, len(deliveries))
        health = self.health_of(self.endpoint)
        self.assertEqual((health.breaker, health.trips), ("closed", 0))
        self.assertFalse(health.probe_at)
        self.assertEqual(set(deliveries.mapped("state")), {"delivered"})

    def test_a_closed_one_wakes_the_other_lanes(self):
        self.trip()
        self.sink.answers = [ok]
        self.at(BREAKER_REST_SECONDS)
        with patch.object(
            self.env.registry["finance.delivery"], "_wake_after_commit"
        ) as wake:
            self.dispatch()
        wake.assert_called_once_with()

    def test_another_lane_has_the_one_request(self):
        """Two lanes want to try; the second one waits for what the first one finds."""
        self.trip()
        self.at(BREAKER_REST_SECONDS)
        lease = timedelta(seconds=40)
        took = [
            recording.take_probe(
                self.env.cr, self.endpoint.id, clock.naive_now(), lease
            )
            for _lane in range(2)
        ]
        self.assertEqual(took, [True, False])
        _statistics, wake = self.run_lane()
        self.assertFalse(self.sink.requests)
        self.assertWake(wake, BREAKER_REST_SECONDS + 40)
        self.at(BREAKER_REST_SECONDS + 41)
        self.run_lane()
        self.assertEqual(len(self.sink.requests), 1, "who took it died")

    def test_what_another_lane_found_is_believed(self):
        self.trip()
        self.set_health(
            breaker="closed", probe_at=None, trips=0, closed_at=clock.naive(NOON)
        )
        self.sink.answers = [ok]
        self.assertEqual(self.dispatch().delivered, 5)

    def test_asked_to_wait_while_on_trial(self):
        """A 429 to the one request decides nothing, and another one follows it."""
        self.trip()
        self.sink.answers = [status(429, Retry_After="30"), ok]
        self.at(BREAKER_REST_SECONDS)
        _statistics, wake = self.run_lane()
        self.assertEqual(len(self.sink.requests), 1)
        self.assertEqual(self.health_of(self.endpoint).breaker, "open")
        self.assertWake(wake, BREAKER_REST_SECONDS + 30)
        self.at(BREAKER_REST_SECONDS + 60)
        self.dispatch()
        self.assertEqual(self.health_of(self.endpoint).breaker, "closed")

    def test_nothing_to_try_it_with(self):
        """What is due waits behind a predecessor: the one request is not used up."""
        deliveries = self.trip()
        self.env.cr.execute(
            "UPDATE finance_delivery SET due_at = %s WHERE attempt_count = 0",
            [clock.naive(NOON + timedelta(hours=2))],
        )
        self.at(BREAKER_REST_SECONDS)
        first = deliveries.filtered("attempt_count")[0]
        behind = self.env["finance.delivery"].create(
            {
                "event_id": first.event_id.id,
                "endpoint_id": self.endpoint.id,
                "subscription_id": first.subscription_id.id,
                "company_id": self.company.id,
                "aggregate": first.aggregate,
                "state": "waiting",
                "lane": "standard",
                "created_at": clock.naive_now(),
                "due_at": clock.naive_now(),
            }
        )
        self.run_lane()
        self.assertFalse(self.sink.requests)
        self.assertGreater(behind.due_at, clock.naive_now())
        health = self.health_of(self.endpoint)
        self.assertEqual(health.breaker, "open")
        self.assertLessEqual(health.probe_at, clock.naive_now())


@tagged("post_install", "-at_install")
class TestPause(GateCase):
    """cap 100, 101: Retry-After is about the endpoint, and costs no attempt."""

    def test_429_pauses_all_of_the_endpoint(self):
        self.sink.answers = [status(429, Retry_After="300")]
        deliveries = self.make_events(5)
        _statistics, wake = self.run_lane()
        self.assertEqual(len(self.sink.requests), 1)
        self.assertEqual(sum(deliveries.mapped("attempt_count")), 0)
        self.assertEqual(sum(deliveries.mapped("throttle_count")), 1)
        paused = self.health_of(self.endpoint).paused_until
        self.assertEqual(paused, clock.naive(NOON + timedelta(seconds=300)))
        self.assertWake(wake, 300)
        self.sink.answers = [ok]
        self.at(299)
        self.assertEqual(self.dispatch().delivered, 0)
        self.at(400)
        self.assertEqual(self.dispatch().delivered, 5)

    def test_it_pauses_other_lanes_too(self):
        self.sink.answers = [status(429, Retry_After="300")]
        self.make_events(1)
        self.dispatch()
        self.endpoint.subscription_ids.lane = "critical"
        self.make_events(1)
        _statistics, wake = self.run_lane("critical")
        self.assertEqual(len(self.sink.requests), 1)
        self.assertWake(wake, 300)

    def test_503_with_retry_after(self):
        """The same, but the endpoint failed: the one attempt counts."""
        self.sink.answers = [status(503, Retry_After="120")]
        deliveries = self.make_events(3)
        _statistics, wake = self.run_lane()
        self.assertEqual(len(self.sink.requests), 1)
        self.assertEqual(sum(deliveries.mapped("attempt_count")), 1)
        self.assertWake(wake, 120)

    def test_other_endpoints_go_on(self):
        other = self.receiver()
        self.make_endpoint(other.url, self.make_connector("other"))
        self.sink.answers = [status(429, Retry_After="300")]
        self.make_events(3)
        self.assertEqual(self.dispatch().delivered, 3)
        self.assertEqual(len(other.requests), 3)


@tagged("post_install", "-at_install")
class TestRate(GateCase):
    """cap 102: never faster than the endpoint wants, over all lanes and runs."""

    def setUp(self):
        super().setUp()
        self.endpoint.write({"rate_limit": 0.1, "rate_burst": 3})

    def tokens(self):
        return self.health_of(self.endpoint).tokens

    def test_burst_then_rate(self):
        deliveries = self.make_events(8)
        statistics, wake = self.run_lane()
        self.assertEqual(statistics.delivered, 3)
        self.assertWake(wake, 10)
        self.assertEqual(self.dispatch().delivered, 0, "over two runs")
        self.at(10)
        statistics, wake = self.run_lane()
        self.assertEqual(statistics.delivered, 1)
        self.assertWake(wake, 20)
        self.at(3600)
        self.assertEqual(self.dispatch().delivered, 3, "no more gathers than a burst")
        self.assertEqual(sum(deliveries.mapped("throttle_count")), 0)

    def test_over_two_lanes(self):
        self.make_events(2)
        self.assertEqual(self.dispatch().delivered, 2)
        self.endpoint.subscription_ids.lane = "critical"
        self.make_events(2)
        statistics, wake = self.run_lane("critical")
        self.assertEqual(statistics.delivered, 1)
        self.assertWake(wake, 10)

    def test_unused_tokens_are_given_back(self):
        self.make_events(1)
        self.dispatch()
        self.assertEqual(self.tokens(), 2)
        self.dispatch()
        self.assertEqual(self.tokens(), 2)

    def test_tokens_of_what_was_not_tried_are_given_back(self):
        self.sink.answers = [status(429, Retry_After="60")]
        self.make_events(3)
        statistics, _wake = self.run_lane()
        self.assertEqual((statistics.failed, statistics.released), (1, 2))
        self.assertEqual(self.tokens(), 2)

    def test_a_batch_has_as_many_tokens_as_events(self):
        self.endpoint.subscription_ids.write(
            {
                "content_mode": "batched",
                "delivery_mode": "micro_batch",
                "batch_count": 5,
            }
        )
        self.make_events(5)
        statistics, wake = self.run_lane()
        self.assertEqual((statistics.delivered, len(self.sink.requests)), (5, 1))
        self.assertEqual(self.tokens(), -2, "on credit")
        self.make_events(5)
        statistics, wake = self.run_lane()
        self.assertEqual(statistics.delivered, 0)
        self.assertWake(wake, 30)
        self.at(30)
        self.assertEqual(self.dispatch().delivered, 5)

    def test_a_breaker_on_trial_without_a_token(self):
        """The one request needs a token as well; without one nobody has tried."""
        self.set_health(
            breaker="open",
            probe_at=clock.naive(NOON),
            trips=1,
            tokens=0,
            tokens_at=clock.naive(NOON),
        )
        self.make_events(2)
        self.at(1)
        _statistics, wake = self.run_lane()
        self.assertFalse(self.sink.requests)
        self.assertEqual(self.health_of(self.endpoint).breaker, "open")
        self.assertWake(wake, 10)
        self.at(10)
        self.dispatch()
        self.assertEqual(self.health_of(self.endpoint).breaker, "closed")


@tagged("post_install", "-at_install")
class TestQuiet(GateCase):
    """cap 103: when the other side wants nothing, nothing is sent."""

    def test_waits_for_the_end(self):
        self.endpoint.write({"quiet_windows": "11:00-12:05", "quiet_tz": "UTC"})
        deliveries = self.make_events(2)
        _statistics, wake = self.run_lane()
        self.assertFalse(self.sink.requests)
        self.assertWake(wake, 300)
        self.at(300)
        self.assertEqual(self.dispatch().delivered, 2)
        self.assertEqual(sum(deliveries.mapped("throttle_count")), 0)

    def test_by_the_clock_of_the_zone(self):
        self.endpoint.write(
            {"quiet_windows": "12:30-13:30", "quiet_tz": "Europe/Brussels"}
        )
        self.make_events(1)
        _statistics, wake = self.run_lane()
        self.assertFalse(self.sink.requests)
        self.assertFalse(wake, "later than jobs are made for: the sweep finds it")
        self.at(1800)
        self.assertEqual(self.dispatch().delivered, 1)

    def test_an_overdue_batch_does_not_keep_the_lane_spinning(self):
        """A batch that nobody may form now, beside an endpoint that is awake."""
        self.endpoint.write({"quiet_windows": "11:00-12:05", "quiet_tz": "UTC"})
        self.endpoint.subscription_ids.write(
            {
                "content_mode": "batched",
                "delivery_mode": "micro_batch",
                "batch_seconds": 1,
            }
        )
        other = self.receiver()
        self.make_endpoint(other.url, self.make_connector("other"))
        self.make_events(2)
        self.at(10)
        started = time.monotonic()
        statistics, wake = self.run_lane()
        self.assertLess(time.monotonic() - started, 5)
        self.assertFalse(statistics.out_of_time)
        self.assertEqual(len(other.requests), 2)
        self.assertWake(wake, 300)
        self.at(300)
        self.assertEqual(self.dispatch().delivered, 2)


@tagged("post_install", "-at_install")
class TestPulse(GateCase):
    """cap 73: what was sent is counted by minute and lane."""

    def test_counted(self):
        self.sink.answers = [ok, status(500), status(429, Retry_After="1"), ok]
        self.make_events(4)
        self.dispatch()
        self.endpoint.subscription_ids.lane = "bulk"
        self.at(90)
        self.make_events(1)
        self.dispatch("bulk")
        pulses = self.env["finance.pulse"].search(
            [("endpoint_id", "=", self.endpoint.id)], order="started_at"
        )
        self.assertEqual(
            [
                (p.lane, p.started_at, p.delivered, p.failed, p.throttled)
                for p in pulses
            ],
            [
                ("standard", clock.naive(NOON), 1, 1, 1),
                ("bulk", clock.naive(NOON + timedelta(minutes=1)), 1, 0, 0),
            ],
        )
        self.assertTrue(all(pulse.duration_ms > 0 for pulse in pulses))
