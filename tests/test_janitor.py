from datetime import timedelta

from odoo.tests import tagged
from odoo.tools import mute_logger

from ..models import clock, constants
from .test_health import NOW, HealthCase

LATE = clock.naive(NOW - constants.STUCK_AFTER - timedelta(minutes=1))


@tagged("post_install", "-at_install")
class TestJanitor(HealthCase):
    """cap 83: what is stuck is found, repaired where that is safe, and told."""

    def tend(self):
        self.env["finance.janitor"]._cron_tend()
        self.env.invalidate_all()

    def jobs(self, method):
        return self.env["queue.job"].search(
            [("method_name", "=", method), ("state", "=", "pending")]
        )

    # === DELIVERIES === #

    def test_nothing_is_stuck(self):
        self.add_delivery()
        self.tend()
        self.assertFalse(self.stuck())

    def test_stuck_delivery(self):
        """Due for long, and nothing tried: woken, told once, closed by itself."""
        delivery = self.add_delivery(due_at=LATE, lane="critical")
        self.tend()
        exception = self.stuck()
        self.assertEqual(len(exception), 1)
        self.assertEqual(exception._record(), self.endpoint)
        self.assertEqual(exception.connector_id, self.connector)
        self.assertIn("lane “critical”", exception.cause)
        self.assertIn("16 min past due", exception.cause)
        self.assertEqual(self.jobs("_job_dispatch").args, ["critical"])
        exception.state = "in_progress"
        self.tend()
        self.assertEqual(self.stuck(), exception)
        self.assertEqual(exception.state, "in_progress", "whoever works on it goes on")
        self.assertEqual(exception.occurrences, 1)
        self.env.cr.execute("UPDATE finance_delivery SET state = 'delivered'")
        self.env.invalidate_all()
        self.tend()
        self.assertFalse(self.stuck())
        self.assertEqual(exception.state, "resolved")
        self.assertEqual(delivery.state, "delivered")

    def test_age_counts_from_when_it_is_due(self):
        self.add_delivery(
            created_at=clock.naive(NOW - timedelta(days=3)),
            due_at=clock.naive(NOW - timedelta(minutes=5)),
        )
        self.tend()
        self.assertFalse(self.stuck())

    def test_what_is_in_the_way(self):
        """Each of these is a reason to wait, and none is an alarm."""
        self.add_delivery(due_at=LATE)
        reasons = {
            "suspended": lambda: self.endpoint._suspend("by hand"),
            "connector": lambda: self.connector.write({"state": "suspended"}),
            "archived": lambda: self.endpoint.write({"active": False}),
            "resting": lambda: self.set_health(
                breaker="open", probe_at=clock.naive(NOW + timedelta(minutes=1))
            ),
            "just rested": lambda: self.set_health(
                breaker="open", probe_at=clock.naive(NOW - timedelta(minutes=1))
            ),
            "asked to wait": lambda: self.set_health(
                paused_until=clock.naive(NOW + timedelta(hours=1))
            ),
            "quiet": lambda: self.endpoint.write({"quiet_windows": "13:00-15:00"}),
            "quiet till now": lambda: self.endpoint.write(
                {"quiet_windows": "13:00-13:40"}
            ),
            "at work": lambda: self.add_pulse(timedelta(minutes=5), failed=1),
            # Refused on the screen once there are deliveries.
            "feed": lambda: self.env.cr.execute(
                "UPDATE finance_endpoint SET transport = 'feed' WHERE id = %s",
                [self.endpoint.id],
            ),
        }
        for name, reason in reasons.items():
            with self.subTest(name), self.env.cr.savepoint() as savepoint:
                reason()
                self.age_configuration()
                self.tend()
                self.assertFalse(self.stuck())
                savepoint.rollback()
            self.env.invalidate_all()
        self.tend()
        self.assertTrue(self.stuck(), "without a reason it is stuck")

    def test_just_resumed(self):
        """What was kept is old, and has had no chance yet."""
        self.add_delivery(due_at=LATE)
        self.env.cr.execute(
            "UPDATE finance_endpoint SET write_date = %s", [clock.naive(NOW)]
        )
        self.tend()
        self.assertFalse(self.stuck())

    def test_rest_that_nobody_ended(self):
        self.add_delivery(due_at=LATE)
        self.set_health(breaker="open", probe_at=LATE)
        self.tend()
        self.assertTrue(self.stuck())

    def test_other_lanes_are_no_sign_of_life(self):
        self.add_delivery(due_at=LATE)
        self.add_pulse(timedelta(minutes=5), lane="bulk", delivered=1)
        self.tend()
        self.assertIn("lane “standard”", self.stuck().cause)

    def test_behind_an_earlier_one(self):
        """Waiting for the retry of its predecessor, a delivery is not stuck."""
        first = self.add_delivery(due_at=clock.naive(NOW + timedelta(hours=5)))
        self.add_delivery(event=first.event_id, due_at=LATE)
        self.tend()
        self.assertFalse(self.stuck())

    # === BATCHES === #

    def add_batch(self, **values):
        return self.env["finance.batch"].create(
            {
                "batch_key": f"batch-{self.env['finance.batch'].search_count([])}",
                "subscription_id": self.endpoint.subscription_ids.id,
                "endpoint_id": self.endpoint.id,
                "company_id": self.company.id,
                "lane": "bulk",
                "format": "cloudevents",
                "number": 1,
                "event_count": 1,
                "created_at": LATE,
                "due_at": LATE,
                **values,
            }
        )

    def test_stuck_batch(self):
        batch = self.add_batch()
        self.tend()
        self.assertIn("lane “bulk”", self.stuck().cause)
        self.assertEqual(self.jobs("_job_dispatch").args, ["bulk"])
        batch.state = "delivered"
        self.env.flush_all()
        self.tend()
        self.assertFalse(self.stuck())

    # === REPAIRS === #

    def test_collected_for_nothing(self):
        """The subscription wants events singly now; what was collected goes, too."""
        delivery = self.add_delivery(due_at=None)
        self.endpoint.subscription_ids.write(
            {"delivery_mode": "micro_batch", "content_mode": "batched"}
        )
        self.env.flush_all()
        self.tend()
        self.assertFalse(delivery.due_at)
        self.endpoint.subscription_ids.write(
            {"delivery_mode": "realtime", "content_mode": "structured"}
        )
        self.env.flush_all()
        self.tend()
        self.assertEqual(delivery.due_at, clock.naive(NOW))

    def test_given_up_before_nobody(self):
        """A given-up delivery whose exception is missing or closed gets one."""
        lost = self.add_delivery(state="dead", last_error="answer 500")
        closed = self.add_delivery(state="dead", last_error="answer 500")
        fine = self.add_delivery(state="dead")
        exceptions = self.env["finance.exception"]

        def opened(fingerprint):
            return exceptions._open(
                "T-DEADLETTER",
                company=self.company,
                record=self.endpoint,
                fingerprint=fingerprint,
                summary="Given up",
                cause="Test",
            )

        fine.exception_id = opened("a")
        closed.exception_id = opened("b")
        closed.exception_id.state = "resolved"
        before = closed.exception_id
        self.tend()
        self.assertEqual(lost.exception_id.code, "T-DEADLETTER")
        self.assertEqual(lost.exception_id.cause, "answer 500")
        self.assertTrue(lost.exception_id.is_open)
        self.assertEqual(closed.exception_id, lost.exception_id)
        self.assertNotEqual(closed.exception_id, before)
        self.assertNotEqual(fine.exception_id, lost.exception_id)
        occurrences = lost.exception_id.occurrences
        self.tend()
        self.assertEqual(lost.exception_id.occurrences, occurrences)

    def test_endpoint_without_health(self):
        self.env.cr.execute("DELETE FROM finance_endpoint_health")
        self.env.invalidate_all()
        self.tend()
        self.assertEqual(self.endpoint.health_ids.breaker, "closed")
        self.assertEqual(self.endpoint.health_ids.company_id, self.company)

    # === INBOX === #

    def add_message(self, external_id="m1", **values):
        return self.env["finance.message"].browse(
            self.insert(
                "finance_message",
                {
                    "connector_id": self.connector.id,
                    "company_id": self.company.id,
                    "external_id": external_id,
                    "received_at": LATE,
                    "state": "received",
                    "body": b"e30=",
                    "attempt_count": 0,
                    **values,
                },
            )
        )

    def test_stuck_messages(self):
        message = self.add_message()
        self.tend()
        self.assertEqual(self.stuck()._record(), self.connector)
        self.assertIn("1 messages wait, the oldest for 16 min", self.stuck().cause)
        self.assertTrue(self.jobs("_job_process"))
        message.state = "processed"
        self.env.flush_all()
        self.tend()
        self.assertFalse(self.stuck())

    def test_messages_that_wait_rightly(self):
        self.add_message(next_attempt_at=clock.naive(NOW + timedelta(minutes=1)))
        self.tend()
        self.assertFalse(self.stuck(), "its next attempt comes")
        self.add_message("m2")
        self.add_message(
            "m3",
            state="processed",
            processed_at=clock.naive(NOW - timedelta(minutes=1)),
        )
        self.tend()
        self.assertFalse(self.stuck(), "the queue moves")

    def test_stuck_command(self):
        message = self.add_message(state="processed", processed_at=LATE)
        command = self.env["finance.command"].create(
            {
                "message_id": message.id,
                "type": "payment.captured.v1",
                "data": {"provider_ref": "pay_1"},
                "state": "received",
            }
        )
        self.env.flush_all()
        self.env.cr.execute("UPDATE finance_command SET write_date = %s", [LATE])
        self.env.invalidate_all()
        self.tend()
        self.assertIn("1 commands waited", self.stuck().cause)
        self.assertEqual(message.state, "received", "handed to the job again")
        self.assertEqual(command.state, "received")

    # === REPLAYS === #

    def test_stuck_replay(self):
        replay = self.env["finance.replay"].create(
            {
                "company_id": self.company.id,
                "endpoint_ids": [(6, 0, self.endpoint.ids)],
                "reason": "Because",
            }
        )
        replay.write({"state": "running", "next_due_at": LATE})
        self.env.flush_all()
        self.env.cr.execute("UPDATE finance_replay SET write_date = %s", [LATE])
        waiting = self.add_delivery(
            replay_id=replay.id, due_at=clock.naive(NOW + timedelta(hours=1))
        )
        self.tend()
        self.assertFalse(self.stuck(), "it waits for what is on its way")
        waiting.state = "delivered"
        self.env.flush_all()
        self.tend()
        self.assertEqual(self.stuck()._record(), replay)
        self.assertEqual(self.stuck().company_id, self.company)
        self.assertTrue(self.jobs("_job_run"))
        replay.state = "done"
        self.env.flush_all()
        self.tend()
        self.assertFalse(self.stuck())

    # === JOBS === #

    def test_failed_jobs(self):
        self.env["finance.delivery"]._wake("bulk")
        job = self.jobs("_job_dispatch")
        job.write({"state": "failed", "exc_message": "Disk full"})
        self.env.flush_all()
        self.tend()
        self.assertIn("Disk full", self.stuck().cause)
        self.assertIn("root.finance_hub.dispatch.bulk", self.stuck().summary)
        job.state = "done"
        self.env.flush_all()
        self.tend()
        self.assertFalse(self.stuck())

    def test_a_check_that_fails(self):
        """The others are made, and nothing is called solved meanwhile."""
        self.add_delivery(due_at=LATE)
        self.tend()
        self.assertTrue(self.stuck())
        janitor = type(self.env["finance.janitor"])

        def broken(_self):
            raise ValueError("broken")

        self.patch(janitor, "_check_deliveries", broken)
        self.env.cr.execute("DELETE FROM finance_endpoint_health")
        with mute_logger("odoo.addons.finance_hub.models.insight.finance_janitor"):
            self.tend()
        self.assertTrue(self.stuck())
        self.assertTrue(self.endpoint.health_ids)

    def test_as_a_scheduled_action(self):
        self.add_delivery(due_at=LATE)
        with self.enter_registry_test_mode():
            self.env.ref("finance_hub.cron_tend").method_direct_trigger()
        self.assertTrue(self.stuck())
