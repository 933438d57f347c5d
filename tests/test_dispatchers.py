import os
import threading
import time
from unittest.mock import patch

from odoo import SUPERUSER_ID, api
from odoo.modules.registry import DummyRLock, Registry
from odoo.tests import TransactionCase, tagged

from ..models import constants
from ..models.outbox import holdings
from ..models.outbox.dispatcher import Dispatcher
from .common import LOOPBACK, Receiver

FILL = """
    WITH made AS (
        INSERT INTO finance_event (
            event_id, type, aggregate, sequence, company_id, source, subject, label,
            occurred_at, correlation_id, actor, data, res_model, res_id)
        SELECT %(prefix)s || i, 'finance.invoice.posted.v2',
               %(prefix)s || i %% %(documents)s, i,
               %(company)s, '/odoo/proof/1',
               'invoice/' || i %% %(documents)s, 'PROOF/' || i, now(), 'proof',
               'system', '{}', 'res.partner', 1
          FROM generate_series(1, %(count)s) AS i
         ORDER BY i
        RETURNING id, aggregate, company_id, sequence
    )
    INSERT INTO finance_delivery (
        event_id, endpoint_id, subscription_id, company_id, aggregate, state, lane,
        version, created_at, due_at, attempt_count, throttle_count)
    SELECT id, %(endpoint)s, %(subscription)s, company_id, aggregate, 'waiting',
           %(lane)s, 2, %(due)s, %(due)s, 0, 0
      FROM made
     ORDER BY sequence
"""
CLEAN = (
    "SELECT set_config('finance_hub.purge', 'on', true)",
    "DELETE FROM finance_attempt WHERE endpoint_id = ANY(%s)",
    "UPDATE finance_delivery SET exception_id = NULL WHERE endpoint_id = ANY(%s)",
    "DELETE FROM finance_delivery WHERE endpoint_id = ANY(%s)",
    "DELETE FROM finance_pulse WHERE endpoint_id = ANY(%s)",
    "DELETE FROM finance_endpoint_health WHERE endpoint_id = ANY(%s)",
    "DELETE FROM finance_subscription WHERE endpoint_id = ANY(%s)",
    "DELETE FROM finance_exception WHERE res_model = 'finance.endpoint'"
    " AND res_id = ANY(%s)",
    "DELETE FROM mail_message WHERE model = 'finance.endpoint' AND res_id = ANY(%s)",
    "DELETE FROM mail_followers WHERE res_model = 'finance.endpoint'"
    " AND res_id = ANY(%s)",
    "DELETE FROM finance_endpoint WHERE id = ANY(%s)",
)


@tagged("post_install", "-at_install")
class TestDispatchers(TransactionCase):
    """cap 29, 101, 105: several dispatchers on real connections, and their deaths."""

    def setUp(self):
        super().setUp()
        self.startPatcher(
            patch.dict(os.environ, {"FINANCE_HUB_ALLOWED_NETWORKS": LOOPBACK})
        )
        # Odoo's runner of tests holds it, and dispatchers work in threads.
        self.startPatcher(patch.object(Registry, "_lock", DummyRLock()))
        self.endpoint_ids = []
        self.addCleanup(self.clean)
        with self.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            connector = env["finance.connector"].create(
                {
                    "name": "Proof",
                    "code": "proof",
                    "company_id": env.ref("base.main_company").id,
                    "runbook": "<p>Call the owner.</p>",
                }
            )
            connector.state = "live"
            credential = env["finance.credential"].create(
                {
                    "name": "Proof",
                    "connector_id": connector.id,
                    "direction": "outbound",
                }
            )
            credential.action_generate()
            self.connector_id, self.credential_id = connector.id, credential.id
            self.company_id = connector.company_id.id

    def clean(self):
        with self.registry.cursor() as cr:
            for statement in CLEAN:
                cr.execute(
                    statement, [self.endpoint_ids] if "%s" in statement else None
                )
            cr.execute("DELETE FROM finance_event WHERE source = '/odoo/proof/1'")
            for table, model, record_id in (
                ("finance_credential", "finance.credential", self.credential_id),
                ("finance_connector", "finance.connector", self.connector_id),
            ):
                cr.execute(f"DELETE FROM {table} WHERE id = %s", [record_id])
                cr.execute(
                    "DELETE FROM mail_message WHERE model = %s AND res_id = %s",
                    [model, record_id],
                )

    def endpoint(self, answer=None, **values):
        """Return (id, receiver) of an endpoint that is committed."""
        sink = Receiver()
        self.addCleanup(sink.close)
        if answer:
            sink.answers = [answer]
        with self.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            endpoint = env["finance.endpoint"].create(
                {
                    "name": f"Proof {len(self.endpoint_ids)}",
                    "connector_id": self.connector_id,
                    "url": sink.url,
                    "credential_id": self.credential_id,
                    **values,
                }
            )
            env["finance.subscription"].create(
                {
                    "name": "Proof",
                    "endpoint_id": endpoint.id,
                    # Nothing that happens by itself.
                    "patterns": "finance.expense.approved.v1",
                }
            )
            self.endpoint_ids.append(endpoint.id)
            return endpoint.id, sink

    def fill(self, endpoint_id, count, documents=None, lane="standard", due="now"):
        with self.registry.cursor() as cr:
            cr.execute(
                "SELECT id FROM finance_subscription WHERE endpoint_id = %s",
                [endpoint_id],
            )
            (subscription_id,) = cr.fetchone()
            cr.execute(
                FILL,
                {
                    "prefix": f"proof-{endpoint_id}-{lane}-{time.monotonic_ns()}-",
                    "documents": documents or count,
                    "company": self.company_id,
                    "count": count,
                    "endpoint": endpoint_id,
                    "subscription": subscription_id,
                    "lane": lane,
                    "due": f"{due}",
                },
            )

    def states(self, endpoint_id):
        with self.registry.cursor() as cr:
            cr.execute(
                "SELECT state, count(*) FROM finance_delivery WHERE endpoint_id = %s"
                " GROUP BY state",
                [endpoint_id],
            )
            return dict(cr.fetchall())

    def run_all(self, *lanes, **values):
        """Run dispatchers at the same time; return them."""
        dispatchers = [Dispatcher(self.registry, lane, **values) for lane in lanes]
        failed = []

        def run(dispatcher):
            # As in the thread of a job.
            threading.current_thread().dbname = self.env.cr.dbname
            try:
                dispatcher.run()
            except Exception as error:
                failed.append(error)

        threads = [
            threading.Thread(target=run, args=(dispatcher,))
            for dispatcher in dispatchers
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertFalse(failed)
        return dispatchers

    def assertOnceInOrder(self, sink, count):
        """Each event came once, and each document's in their order."""
        ids = [headers["webhook-id"] for headers, _body in sink.requests]
        self.assertEqual((len(ids), len(set(ids))), (count, count))
        last = {}
        for event in sink.events:
            number = int(event["sequence"])
            self.assertGreater(number, last.get(event["partitionkey"], 0))
            last[event["partitionkey"]] = number

    def locks(self):
        with self.registry.cursor() as cr:
            cr.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
                " AND classid BETWEEN %s AND %s AND objid::int = ANY(%s)",
                [
                    constants.ENDPOINT_LOCK_CLASS,
                    constants.ENDPOINT_LOCK_CLASS + len(constants.LANES),
                    self.endpoint_ids,
                ],
            )
            return cr.fetchone()[0]

    def test_two_in_one_lane_share_and_never_send_twice(self):
        sinks = [self.endpoint() for _index in range(4)]
        for endpoint_id, _sink in sinks:
            self.fill(endpoint_id, 100, documents=20)
        dispatchers = self.run_all("standard", "standard")
        for endpoint_id, sink in sinks:
            self.assertOnceInOrder(sink, 100)
            self.assertEqual(self.states(endpoint_id), {"delivered": 100})
        total = sum(dispatcher.statistics.delivered for dispatcher in dispatchers)
        self.assertEqual(total, 400)
        self.assertFalse(self.locks())

    def test_three_lanes_at_one_limited_and_failing_endpoint(self):
        """All of them write its health row all the time; none of them fails for it."""
        answers = iter(range(10**9))

        def answer(_headers, _body):
            # Seldom, and never in step with three lanes: no breaker is to open.
            return (500 if next(answers) % 7 == 0 else 200), {}

        endpoint_id, sink = self.endpoint(
            answer,
            rate_limit=300,
            rate_burst=20,
            retry_schedule="0, 0, 0, 0, 0, 0, 0, 0",
        )
        for lane in constants.LANES:
            self.fill(endpoint_id, 60, lane=lane)
        started = time.monotonic()
        self.run_all(*constants.LANES)
        seconds = time.monotonic() - started
        self.assertEqual(self.states(endpoint_id), {"delivered": 180})
        self.assertLessEqual(len(sink.requests), 20 + 300 * seconds)
        with self.registry.cursor() as cr:
            cr.execute(
                "SELECT count(*), count(*) FILTER (WHERE outcome = 'delivered')"
                " FROM finance_attempt WHERE endpoint_id = %s",
                [endpoint_id],
            )
            self.assertEqual(cr.fetchone(), (len(sink.requests), 180))

    def test_two_lanes_try_a_resting_endpoint_with_one_request(self):
        endpoint_id, sink = self.endpoint(
            lambda _h, _b: (time.sleep(0.3), (500, {}))[1]
        )
        for lane in ("critical", "bulk"):
            self.fill(endpoint_id, 10, lane=lane)
        with self.registry.cursor() as cr:
            cr.execute(
                "UPDATE finance_endpoint_health SET breaker = 'open', trips = 1,"
                " opened_at = now() - interval '1 hour', probe_at = now()"
                " - interval '1 hour' WHERE endpoint_id = %s",
                [endpoint_id],
            )
        self.run_all("critical", "bulk")
        self.assertEqual(len(sink.requests), 1)

    def test_a_crash_loses_nothing_and_leaves_nothing_hanging(self):
        """Recording fails in the middle: what was sent is sent again, with its id."""
        endpoint_id, sink = self.endpoint(concurrency=2)
        self.fill(endpoint_id, 2000, documents=20)
        original, times = Dispatcher._record_in, []

        def record_in(dispatcher, *args):
            times.append(1)
            if len(times) == 2:
                raise RuntimeError("killed")
            return original(dispatcher, *args)

        with (
            patch.object(Dispatcher, "_record_in", record_in),
            self.assertRaisesRegex(RuntimeError, "killed"),
        ):
            Dispatcher(self.registry, "standard").run()
        self.assertFalse(self.locks(), "nobody else would be let in")
        left = self.states(endpoint_id)
        self.assertTrue(0 < left["waiting"] < 2000, left)
        Dispatcher(self.registry, "standard").run()
        self.assertEqual(self.states(endpoint_id), {"delivered": 2000})
        ids = [headers["webhook-id"] for headers, _body in sink.requests]
        self.assertEqual(len(set(ids)), 2000)
        self.assertGreater(len(ids), 2000, "at least once, not exactly once")

    def test_a_lock_is_given_back_when_a_route_cannot_be_loaded(self):
        endpoint_id, _sink = self.endpoint()
        self.fill(endpoint_id, 1)
        with (
            patch.object(holdings, "load_gates", side_effect=RuntimeError("no")),
            self.assertRaisesRegex(RuntimeError, "no"),
        ):
            Dispatcher(self.registry, "standard").run()
        self.assertFalse(self.locks())

    def test_a_thousand_of_one_document_beside_one_that_hangs(self):
        release = threading.Event()
        self.addCleanup(release.set)
        hanging, _sink = self.endpoint(lambda _h, _b: (release.wait(3), (200, {}))[1])
        self.fill(hanging, 5)
        endpoint_id, sink = self.endpoint()
        self.fill(endpoint_id, 1000, documents=1)
        self.run_all("standard")
        self.assertOnceInOrder(sink, 1000)
