from datetime import datetime, timedelta, timezone
from unittest.mock import patch

from odoo.tests import tagged

from ..models import clock, constants
from .common import FinanceHubCommon

NOW = datetime(2026, 3, 10, 13, 45, tzinfo=timezone.utc)


class HealthCase(FinanceHubCommon):
    """An endpoint, a clock that stands still, and rows as a dispatcher writes them."""

    def setUp(self):
        super().setUp()
        self.set_clock(NOW)
        self.env.user.tz = "UTC"
        self.endpoint = self.make_endpoint("http://127.0.0.1:9999/hook")
        self.connector = self.endpoint.connector_id
        self.age_configuration()

    def age_configuration(self):
        """Have connectors and endpoints last changed long ago."""
        self.env.flush_all()
        for table in ("finance_connector", "finance_endpoint"):
            self.env.cr.execute(f"UPDATE {table} SET write_date = '2026-01-01'")
        self.env.invalidate_all()

    def set_health(self, endpoint=None, **values):
        """Write an endpoint's health beneath the ORM, as a dispatcher does."""
        self.env.flush_all()
        assignments = ", ".join(f"{name} = %s" for name in values)
        self.env.cr.execute(
            f"UPDATE finance_endpoint_health SET {assignments} WHERE endpoint_id = %s",
            [*values.values(), (endpoint or self.endpoint).id],
        )
        self.env.invalidate_all()

    def add_pulse(self, ago, endpoint=None, span="minute", lane="standard", **values):
        """Add what was sent some time ago."""
        endpoint = endpoint or self.endpoint
        started_at = clock.naive(NOW - ago).replace(second=0, microsecond=0)
        if span == "hour":
            started_at = started_at.replace(minute=0)
        columns = {
            "endpoint_id": endpoint.id,
            "company_id": endpoint.company_id.id,
            "lane": lane,
            "span": span,
            "started_at": started_at,
            "delivered": 0,
            "failed": 0,
            "throttled": 0,
            "duration_ms": 0.0,
            **values,
        }
        self.insert("finance_pulse", columns)

    def insert(self, table, columns):
        self.env.flush_all()
        self.env.cr.execute(
            f"INSERT INTO {table} ({', '.join(columns)})"
            f" VALUES ({', '.join(['%s'] * len(columns))}) RETURNING id",
            list(columns.values()),
        )
        self.env.invalidate_all()
        return self.env.cr.fetchone()[0]

    def add_delivery(self, endpoint=None, event=None, **values):
        """Add a delivery of a new invoice's event, or of the given one."""
        endpoint = endpoint or self.endpoint
        event = event or self.add_event()
        columns = {
            "event_id": event.id,
            "endpoint_id": endpoint.id,
            "subscription_id": endpoint.subscription_ids[:1].id or None,
            "company_id": endpoint.company_id.id,
            "aggregate": event.aggregate,
            "state": "waiting",
            "lane": "standard",
            "created_at": clock.naive_now(),
            "due_at": clock.naive_now(),
            "attempt_count": 0,
            "throttle_count": 0,
            **values,
        }
        row_id = self.insert("finance_delivery", columns)
        return self.env["finance.delivery"].browse(row_id)

    def add_event(self, **values):
        """Add an event to the outbox, beneath everything."""
        self.env.cr.execute("SELECT COALESCE(max(id), 0) + 1 FROM finance_event")
        (number,) = self.env.cr.fetchone()
        columns = {
            "event_id": f"test-{number}",
            "type": "finance.invoice.posted.v1",
            "aggregate": f"invoice/test-{number}",
            "sequence": 1,
            "company_id": self.company.id,
            "source": "/odoo/test/1",
            "subject": f"invoice/test-{number}",
            "label": f"INV/{number}",
            "occurred_at": clock.naive_now(),
            "correlation_id": f"test-{number}",
            "actor": "user/1",
            "data": "{}",
            "res_model": "account.move",
            "res_id": 1,
            **values,
        }
        return self.env["finance.event"].browse(self.insert("finance_event", columns))

    def add_attempt(self, delivery, **values):
        columns = {
            "delivery_id": delivery.id,
            "endpoint_id": delivery.endpoint_id.id,
            "company_id": delivery.company_id.id,
            "number": 1,
            "started_at": clock.naive_now(),
            "duration_ms": 12.5,
            "outcome": "delivered",
            "status": 200,
            "url": delivery.endpoint_id.url,
            **values,
        }
        row_id = self.insert("finance_attempt", columns)
        return self.env["finance.attempt"].browse(row_id)

    def fresh(self, field, record=None, **context):
        """Return a field as it would be read in a new request.

        :return: a text, with the blanks that a keyboard has
        """
        self.env.flush_all()
        self.env.invalidate_all()
        record = (record or self.endpoint).with_context(**context)
        value = record[field]
        return value.replace("\u202f", " ") if isinstance(value, str) else value

    def stuck(self):
        """Return the open exceptions of the janitor."""
        return self.env["finance.exception"].search(
            [("code", "=", "T-STUCK"), ("is_open", "=", True)]
        )


@tagged("post_install", "-at_install")
class TestHealth(HealthCase):
    """cap 83, 101: how an endpoint is doing, in words, in constant queries."""

    def test_new_endpoint(self):
        self.assertEqual(self.fresh("health_text"), "Not used yet")
        self.assertEqual(self.fresh("health_level"), "idle")
        self.assertFalse(self.fresh("pause_text"))
        self.assertFalse(self.fresh("success_hour"))
        self.assertEqual(self.endpoint.waiting_text, "0")

    def test_working(self):
        self.set_health(last_success_at=clock.naive(NOW))
        self.add_pulse(
            timedelta(minutes=5), delivered=199, failed=1, duration_ms=200 * 34.0
        )
        self.assertEqual(self.fresh("health_text"), "Working")
        self.assertEqual(self.fresh("health_level"), "good")
        self.assertEqual(self.fresh("success_hour"), "99.5 %")
        self.assertEqual(self.endpoint.answer_time, "34 ms")
        self.assertEqual(self.fresh("health_text", self.connector), "Working")
        self.assertEqual(self.fresh("health_level", self.connector), "good")

    def test_all_but_one_is_not_all(self):
        self.add_pulse(timedelta(minutes=5), delivered=99_999, failed=1)
        self.assertEqual(self.fresh("success_hour"), "99.9 %")
        self.add_pulse(timedelta(minutes=5), lane="bulk", delivered=0)
        self.env.cr.execute("UPDATE finance_pulse SET failed = 0")
        self.env.invalidate_all()
        self.assertEqual(self.fresh("success_hour"), "100 %")

    def test_resting(self):
        opened = clock.naive(NOW - timedelta(minutes=1))
        self.set_health(
            breaker="open",
            opened_at=opened,
            probe_at=clock.naive(NOW + timedelta(minutes=20)),
            failing_since=opened,
        )
        self.add_pulse(timedelta(minutes=1), delivered=8, failed=12)
        self.add_pulse(timedelta(minutes=30), failed=500)
        self.assertEqual(
            self.fresh("health_text"),
            "Resting until 2:05 PM, 12 of the last 20 requests failed",
        )
        self.assertEqual(self.fresh("pause_text"), "Resting until 2:05 PM")
        self.assertEqual(self.fresh("health_level"), "bad")
        self.assertEqual(self.fresh("health_level", self.connector), "bad")
        self.assertEqual(
            self.fresh("health_text", self.connector), "Resting until 2:05 PM"
        )

    def test_rest_is_over(self):
        self.set_health(
            breaker="open",
            opened_at=clock.naive(NOW - timedelta(minutes=1)),
            probe_at=clock.naive(NOW - timedelta(seconds=1)),
        )
        self.assertEqual(self.fresh("health_text"), "About to try again")
        self.assertFalse(self.fresh("pause_text"))
        self.set_health(breaker="half_open")
        self.assertEqual(self.fresh("health_text"), "Trying again with one request")

    def test_another_day_is_named(self):
        self.set_health(
            breaker="open",
            opened_at=clock.naive(NOW),
            probe_at=clock.naive(NOW + timedelta(hours=12)),
        )
        self.assertEqual(self.fresh("health_text"), "Resting until 03/11/2026 1:45 AM")

    def test_times_are_the_readers(self):
        self.set_health(paused_until=clock.naive(NOW + timedelta(minutes=20)))
        self.assertEqual(
            self.fresh("pause_text", tz="Asia/Tokyo"), "Asked to wait until 11:05 PM"
        )

    def test_failing(self):
        self.set_health(
            failing_since=clock.naive(NOW - timedelta(minutes=5)),
            last_error="The receiver failed (answer 500).",
        )
        self.assertEqual(self.fresh("health_text"), "Failing since 1:40 PM")
        self.assertEqual(self.fresh("health_level"), "warning")
        self.assertEqual(
            self.endpoint.last_failure, "The receiver failed (answer 500)."
        )

    def test_quiet(self):
        self.endpoint.quiet_windows = "12:00-15:00"
        self.endpoint.quiet_tz = "UTC"
        self.assertEqual(self.fresh("pause_text"), "Quiet until 3:00 PM")
        self.add_delivery(due_at=clock.naive(NOW - timedelta(hours=1)))
        self.assertEqual(self.fresh("health_level"), "idle", "that is agreed")
        self.endpoint.quiet_tz = "Europe/Berlin"
        self.assertEqual(self.fresh("pause_text"), "Quiet until 2:00 PM")
        self.endpoint.quiet_windows = "01:00-02:00"
        self.assertFalse(self.fresh("pause_text"))

    def test_rate_limited(self):
        self.endpoint.rate_limit = 5
        self.assertFalse(self.fresh("pause_text"), "nothing waits")
        self.add_delivery(due_at=clock.naive(NOW - timedelta(minutes=2)))
        self.assertEqual(
            self.fresh("pause_text"), "Rate limited to 5 events per second"
        )

    def test_suspended(self):
        self.endpoint._suspend("answer 410")
        self.assertEqual(self.fresh("health_text"), "Suspended")
        self.assertEqual(self.fresh("pause_text"), "Suspended: answer 410")
        self.assertEqual(self.fresh("health_level"), "bad")

    def test_connector_is_off(self):
        self.connector.state = "draft"
        self.assertEqual(self.fresh("health_level"), "off")
        self.assertEqual(self.fresh("health_text"), "Off: the connector is not live")
        self.assertEqual(self.fresh("health_level", self.connector), "off")
        self.connector.state = "suspended"
        self.assertEqual(self.fresh("health_level"), "bad")
        self.assertEqual(self.fresh("pause_text"), "Suspended: the whole connector")

    def test_queues(self):
        late = clock.naive(NOW - timedelta(hours=3))
        self.add_delivery(due_at=late, created_at=late)
        self.add_delivery(due_at=clock.naive(NOW + timedelta(hours=1)))
        self.add_delivery(due_at=None)
        self.add_delivery(state="parked")
        self.add_delivery(state="dead")
        self.add_delivery(state="dead")
        self.add_delivery(state="delivered", due_at=late)
        self.assertEqual(self.endpoint.waiting_count, 3)
        self.assertEqual(self.endpoint.parked_count, 1)
        self.assertEqual(self.endpoint.dead_count, 2)
        self.assertEqual(self.fresh("past_due_text"), "3 h")
        self.assertEqual(self.fresh("health_level"), "warning")
        self.assertEqual(self.connector.delivery_waiting_count, 4)
        self.assertEqual(self.connector.dead_count, 2)
        self.assertEqual(self.fresh("past_due_text", self.connector), "3 h")

    def test_a_planned_retry_is_not_past_due(self):
        """The age that counts begins when it is due, not when it was made."""
        self.add_delivery(
            created_at=clock.naive(NOW - timedelta(days=2)),
            due_at=clock.naive(NOW + timedelta(hours=5)),
        )
        self.assertFalse(self.fresh("past_due_text"))

    def test_counting_ends_somewhere(self):
        with patch.object(constants, "GLANCE_COUNT_LIMIT", 3):
            for _number in range(5):
                self.add_delivery()
            self.assertEqual(self.endpoint.waiting_text, "3+")

    def test_sparkline(self):
        self.add_pulse(timedelta(minutes=10), delivered=5, failed=2)
        self.add_pulse(timedelta(hours=1, minutes=10), delivered=3)
        self.add_pulse(timedelta(hours=23), span="hour", delivered=7, throttled=4)
        self.add_pulse(timedelta(hours=24), span="hour", delivered=1000)
        # Rolled up already: counted once.
        self.add_pulse(timedelta(hours=5), span="hour", failed=9)
        self.add_pulse(timedelta(hours=5), failed=9)
        chart = self.endpoint.pulse_chart
        self.assertEqual(len(chart["hours"]), 24)
        self.assertEqual(chart["title"], "Last 24 hours: 15 delivered, 11 failed")
        self.assertEqual(chart["hours"][-1]["delivered"], 5)
        self.assertEqual(chart["hours"][-1]["failed"], 2)
        self.assertEqual(chart["hours"][-1]["at"], "2026-03-10T13:00:00+00:00")
        self.assertEqual(chart["hours"][-2]["delivered"], 3)
        self.assertEqual(chart["hours"][0]["delivered"], 7)
        self.assertEqual(chart["hours"][0]["throttled"], 4)
        self.assertEqual(chart["hours"][-6]["failed"], 9)
        self.assertEqual(self.fresh("success_hour"), "71.4 %")
        self.assertEqual(self.connector.pulse_chart, chart)

    def test_minutes_that_were_not_rolled_up(self):
        """Without the scheduled action the picture is the same."""
        self.add_pulse(timedelta(hours=20), delivered=4)
        self.assertEqual(self.endpoint.success_day, "100 %")
        self.assertEqual(sum(h["delivered"] for h in self.hours()), 4)

    def hours(self):
        return self.endpoint.pulse_chart["hours"]

    def test_a_constant_number_of_queries(self):
        def count(endpoints):
            self.env.invalidate_all()
            endpoints.mapped("name")
            endpoints.connector_id.mapped("state")
            before = self.env.cr.sql_log_count
            endpoints.mapped("health_text")
            return self.env.cr.sql_log_count - before

        self.add_pulse(timedelta(minutes=3), delivered=1)
        count(self.endpoint)
        one = count(self.endpoint)
        many = self.env["finance.endpoint"].create(
            [
                {
                    "name": f"Endpoint {number}",
                    "connector_id": self.connector.id,
                    "url": f"http://127.0.0.1:9999/{number}",
                    "credential_id": self.endpoint.credential_id.id,
                }
                for number in range(99)
            ]
        )
        for endpoint in many[:10]:
            self.add_pulse(timedelta(minutes=3), endpoint, delivered=1)
        self.env.flush_all()
        self.assertEqual(count(self.endpoint | many), one)
        # Four of its own; the others look up who reads, and in which time zone.
        self.assertLessEqual(one, 8)

        self.env.invalidate_all()
        self.connector.mapped("endpoint_ids.name")
        before = self.env.cr.sql_log_count
        self.assertEqual(self.connector.delivery_waiting_count, 0)
        self.assertLessEqual(self.env.cr.sql_log_count - before, 8)

    def test_roles_see_it(self):
        self.add_delivery()
        for group in ("operator", "approver", "administrator", "auditor"):
            endpoint = self.endpoint.with_user(self.users[group])
            self.assertEqual(endpoint.waiting_count, 1)
            action = endpoint.action_open_waiting()
            self.assertEqual(
                self.env["finance.delivery"].search_count(action["domain"]), 1
            )


@tagged("post_install", "-at_install")
class TestPulses(HealthCase):
    """Minutes become hours, and go."""

    def roll_up(self):
        self.env["finance.pulse"]._roll_up()

    def rows(self, span):
        return self.env["finance.pulse"].search([("span", "=", span)])

    def test_roll_up(self):
        self.add_pulse(timedelta(hours=2), delivered=5, failed=1, duration_ms=60.0)
        self.add_pulse(
            timedelta(hours=2, minutes=3), delivered=2, throttled=3, duration_ms=5.0
        )
        self.add_pulse(timedelta(hours=2), lane="bulk", delivered=9)
        self.add_pulse(timedelta(minutes=5), delivered=100)
        self.roll_up()
        hours = self.rows("hour").sorted("lane")
        self.assertEqual(hours.mapped("lane"), ["bulk", "standard"])
        self.assertEqual(hours.mapped("delivered"), [9, 7])
        self.assertEqual(hours[1].failed, 1)
        self.assertEqual(hours[1].throttled, 3)
        self.assertEqual(hours[1].duration_ms, 65.0)
        self.assertEqual(str(hours[1].started_at), "2026-03-10 11:00:00")

    def test_again_changes_nothing(self):
        self.add_pulse(timedelta(hours=2), delivered=5)
        self.roll_up()
        self.roll_up()
        self.assertEqual(self.rows("hour").mapped("delivered"), [5])

    def test_late_commits_are_counted(self):
        self.add_pulse(timedelta(hours=2), delivered=5)
        self.roll_up()
        self.add_pulse(timedelta(hours=2, minutes=1), delivered=1)
        self.roll_up()
        self.assertEqual(self.rows("hour").mapped("delivered"), [6])

    def test_after_a_pause_of_the_cron(self):
        self.add_pulse(timedelta(hours=60), delivered=5)
        self.add_pulse(timedelta(hours=2), delivered=7)
        self.roll_up()
        self.assertEqual(sum(self.rows("hour").mapped("delivered")), 12)

    def test_purge(self):
        self.add_pulse(constants.PULSE_MINUTES_KEPT + timedelta(minutes=5))
        self.add_pulse(constants.PULSE_MINUTES_KEPT - timedelta(minutes=5))
        self.add_pulse(constants.PULSE_HOURS_KEPT + timedelta(hours=5), span="hour")
        self.add_pulse(constants.PULSE_HOURS_KEPT - timedelta(hours=5), span="hour")
        pulses = self.env["finance.pulse"]
        now = clock.naive_now()
        self.assertEqual(pulses._purge("minute", now - constants.PULSE_MINUTES_KEPT), 1)
        self.assertEqual(pulses._purge("hour", now - constants.PULSE_HOURS_KEPT), 1)
        self.assertEqual(len(self.rows("minute")), 1)
        self.assertEqual(len(self.rows("hour")), 1)
