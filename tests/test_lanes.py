from datetime import timedelta
from unittest.mock import patch

from psycopg2.errors import DeadlockDetected, SerializationFailure

from odoo.tests import tagged

from ..models import clock, constants
from ..models.outbox import body
from ..models.outbox.claiming import Position, claim_rows
from ..models.outbox.dispatcher import Dispatcher
from .common import FinanceHubCommon, ok, status

POSTED, RESET = "finance.invoice.posted.*", "finance.invoice.reset_to_draft.*"


@tagged("post_install", "-at_install")
class TestLanes(FinanceHubCommon):
    """cap 29, 104: lanes hold up nothing but what has to stay in order."""

    def setUp(self):
        super().setUp()
        self.sink = self.receiver()
        self.endpoint = self.make_endpoint(self.sink.url, patterns=None)
        self.first = self.make_subscription(self.endpoint, POSTED, lane="bulk")
        self.second = self.make_subscription(self.endpoint, RESET, lane="critical")

    def dispatch(self, lane="standard"):
        # A lane that waits for another looks again each second until its time is up.
        return self.run_lane(lane, budget=timedelta(seconds=0.5))[0]

    def deliveries(self):
        self.end_transaction()
        return self.env["finance.delivery"].search(
            [("endpoint_id", "=", self.endpoint.id)], order="id"
        )

    def types(self):
        return [event["type"].split(".")[2] for event in self.sink.events]

    def waiting_lanes(self):
        return self.env.cr.postcommit.data.pop(
            "finance_hub.wake.finance.delivery", None
        )

    # === LANES === #

    def test_each_lane_by_itself(self):
        self.make_invoice()
        self.assertEqual(self.deliveries().lane, "bulk")
        for lane in ("critical", "standard"):
            self.assertEqual(self.dispatch(lane).delivered, 0)
        self.assertEqual(self.dispatch("bulk").delivered, 1)

    def test_only_the_lanes_concerned_are_woken(self):
        self.end_transaction()
        self.waiting_lanes()
        invoice = self.make_invoice()
        self.end_transaction()
        self.assertEqual(self.waiting_lanes(), {"bulk"})
        invoice.button_draft()
        self.end_transaction()
        self.assertEqual(self.waiting_lanes(), {"critical"})
        invoice.action_post()
        self.end_transaction()
        invoice.button_draft()
        self.end_transaction()
        self.assertEqual(self.waiting_lanes(), {"bulk", "critical"})
        self.make_invoice(post=False)
        self.end_transaction()
        self.assertIsNone(self.waiting_lanes(), "nothing to send, nobody to wake")

    def test_a_document_in_two_lanes_keeps_its_order(self):
        invoice = self.make_invoice()
        self.end_transaction()
        invoice.button_draft()
        first, second = self.deliveries()
        self.assertEqual((first.lane, second.lane), ("bulk", "critical"))
        statistics, wake = self.run_lane("critical", budget=timedelta(seconds=0.5))
        self.assertEqual(statistics.delivered, 0)
        self.assertEqual((second.state, second.attempt_count), ("waiting", 0))
        self.assertTrue(wake, "the faster lane looks again by itself")
        self.assertEqual(self.dispatch("bulk").delivered, 1)
        self.later(seconds=2)
        self.assertEqual(self.dispatch("critical").delivered, 1)
        self.assertEqual(self.types(), ["posted", "reset_to_draft"])

    def test_given_up_in_one_lane_parks_in_the_other(self):
        self.endpoint.retry_schedule = "0"
        self.sink.answers = [status(500), ok]
        invoice = self.make_invoice()
        self.dispatch("bulk")
        invoice.button_draft()
        first, second = self.deliveries()
        self.dispatch("critical")
        self.assertEqual((first.state, second.state), ("dead", "parked"))
        operator = self.users["operator"]
        first.exception_id.with_user(operator).action_retry()
        self.assertEqual(second.state, "waiting", "to be looked at again")
        self.dispatch("critical")
        self.dispatch("bulk")
        self.later(seconds=2)
        self.dispatch("critical")
        self.assertEqual(self.types(), ["posted", "posted", "reset_to_draft"])
        self.assertEqual(set((first + second).mapped("state")), {"delivered"})

    def test_cancelling_the_exception_lets_the_next_go(self):
        self.endpoint.retry_schedule = "0"
        self.sink.answers = [status(500), ok]
        invoice = self.make_invoice()
        self.dispatch("bulk")
        invoice.button_draft()
        first, second = self.deliveries()
        self.dispatch("critical")
        first.exception_id.with_user(self.users["operator"])._cancel("not needed")
        self.dispatch("critical")
        self.assertEqual((first.state, second.state), ("cancelled", "delivered"))

    # === LOST RACES === #

    def lose_once(self, error):
        """Have the first claim that found something lose its race at the end."""
        original, lost = Dispatcher._claim_in, []

        def claim_in(dispatcher, *args):
            claimed = original(dispatcher, *args)
            if claimed.claim.parcels and not lost:
                lost.append(True)
                raise error
            return claimed

        self.startPatcher(patch.object(Dispatcher, "_claim_in", claim_in))
        return lost

    def test_a_claim_that_lost_a_race_took_nothing(self):
        """Else its rows would wait for the next run, and their successors overtake."""
        for error in (SerializationFailure(), DeadlockDetected()):
            with self.subTest(type(error).__name__):
                lost = self.lose_once(error)
                self.make_invoice()
                self.assertEqual(self.dispatch("bulk").delivered, 1)
                self.assertTrue(lost)

    def test_a_recording_that_lost_a_race_is_repeated_whole(self):
        """The breaker's state is saved by the second try, too."""
        self.sink.answers = [status(429, Retry_After="100")]
        original, lost = Dispatcher._record_in, []

        def record_in(dispatcher, cr, *args):
            # The savepoint of a test begins with the first statement of its cursor.
            cr.execute("SELECT 1")
            original(dispatcher, cr, *args)
            if not lost:
                lost.append(True)
                raise SerializationFailure

        self.make_invoice()
        with patch.object(Dispatcher, "_record_in", record_in):
            self.dispatch("bulk")
        self.assertTrue(lost)
        self.assertTrue(self.health_of(self.endpoint).paused_until)
        self.assertEqual(len(self.deliveries().attempt_ids), 1)

    # === ORDER === #

    def test_what_follows_an_event_that_cannot_be_written(self):
        """Both are claimed together; the second is parked, not sent."""
        self.second.lane = "bulk"
        invoice = self.make_invoice()
        self.end_transaction()
        invoice.button_draft()
        first, second = self.deliveries()
        original = body.message

        def message(row, form, version):
            if row["sequence"] == first.event_id.sequence:
                raise KeyError("anything")
            return original(row, form, version)

        with (
            patch.object(body, "message", message),
            self.assertLogs("odoo.addons.finance_hub", "ERROR"),
        ):
            self.dispatch("bulk")
        self.env.invalidate_all()
        self.assertFalse(self.sink.requests)
        self.assertEqual((first.state, second.state), ("dead", "parked"))
        first.with_user(self.users["operator"]).action_retry()
        self.dispatch("bulk")
        self.assertEqual(self.types(), ["posted", "reset_to_draft"])

    def test_what_is_due_earlier_than_the_last_claimed_is_found(self):
        """While a neighbour always has more, a row that came late is not skipped."""
        busy = self.make_endpoint(
            self.receiver().url, self.make_connector("busy"), patterns=None
        )
        self.make_subscription(busy, POSTED, lane="bulk")
        for _index in range(3):
            self.make_invoice()
        early, *_rest = self.deliveries()
        now = clock.naive_now()
        positions = {
            self.endpoint.id: Position(now + timedelta(hours=1), early.id),
            busy.id: Position(),
        }
        room = {self.endpoint.id: 1, busy.id: 1}
        with patch.object(clock, "now", return_value=clock.now() + timedelta(hours=2)):
            rows, found = claim_rows(self.env.cr, "bulk", room, positions, set())
        self.assertEqual([row["endpoint_id"] for row in rows], [busy.id])
        self.assertEqual(found, {busy.id: 1}, "by endpoint, so that one can begin anew")

    def test_a_thousand_events_of_one_document(self):
        """All in their order, in one run."""
        invoice = self.make_invoice()
        model = self.deliveries()
        self.env.flush_all()
        self.env.cr.execute(
            """
            WITH made AS (
                INSERT INTO finance_event (
                    event_id, type, aggregate, sequence, company_id, source, subject,
                    label, occurred_at, correlation_id, actor, data, res_model, res_id)
                SELECT 'many-' || i, e.type, e.aggregate, e.sequence + i, e.company_id,
                       e.source, e.subject, e.label, e.occurred_at, e.correlation_id,
                       e.actor, e.data, e.res_model, e.res_id
                  FROM finance_event e, generate_series(1, 1000) AS i
                 WHERE e.id = %s
                 ORDER BY i
                RETURNING id, sequence
            )
            INSERT INTO finance_delivery (
                event_id, endpoint_id, subscription_id, company_id, aggregate, state,
                lane, version, created_at, due_at, attempt_count, throttle_count)
            SELECT m.id, d.endpoint_id, d.subscription_id, d.company_id, d.aggregate,
                   'waiting', 'bulk', d.version, d.created_at, d.due_at, 0, 0
              FROM made m, finance_delivery d
             WHERE d.id = %s
             ORDER BY m.sequence
            """,
            [model.event_id.id, model.id],
        )
        self.env.invalidate_all()
        statistics, _wake = self.run_lane("bulk")
        self.assertEqual(statistics.delivered, 1001)
        order = [int(event["sequence"]) for event in self.sink.events]
        self.assertEqual(order, sorted(order))
        self.assertEqual(len(set(order)), 1001)
        self.assertTrue(invoice)

    def test_held_back_by_a_paused_replay(self):
        """The janitor does not set free what a paused replay holds."""
        self.make_invoice()
        delivery = self.deliveries()
        replay = self.env["finance.replay"].create(
            {
                "company_id": self.company.id,
                "endpoint_ids": [(6, 0, self.endpoint.ids)],
                "reason": "Because",
            }
        )
        replay.state = "paused"
        delivery.write({"replay_id": replay.id, "due_at": False})
        self.env["finance.janitor"]._check_orphans()
        self.assertFalse(delivery.due_at)
        replay.state = "cancelled"
        self.env.flush_all()
        self.env["finance.janitor"]._check_orphans()
        self.assertTrue(delivery.due_at)
        self.assertEqual(set(constants.LANES), {"critical", "standard", "bulk"})
