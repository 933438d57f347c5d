import re
from datetime import timedelta
from unittest.mock import patch

from odoo.tests import tagged

from ..models import clock, constants
from ..models.insight import finance_janitor as janitor
from ..models.insight import finance_pulse as pulse
from ..models.insight import glance
from ..models.insight import purging as retention
from ..models.outbox import claiming
from .test_health import NOW, HealthCase

ROWS = 200_000
# What grows without end; other tables have as many rows as there is configuration.
BIG_TABLES = (
    "finance_event",
    "finance_delivery",
    "finance_attempt",
    "finance_message",
    "finance_pulse",
)
# Nodes that read a whole table or index, however few rows are wanted.
SCAN = re.compile(r"(Seq Scan|Bitmap Heap Scan) on (\w+)")


@tagged("post_install", "-at_install")
class TestPlans(HealthCase):
    """Planned for ten million rows: no query of the hub reads a table from end to end.

    The tables are filled with 200,000 rows each, mostly done and some not, as they are
    in real life, and the planner is asked what it would do.
    """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.big = cls.make_endpoint("http://127.0.0.1:9999/", cls.make_connector("big"))
        cls.fill()

    @classmethod
    def fill(cls):
        """Fill the tables beneath the ORM, in seconds."""
        cls.env.flush_all()
        known = {
            "rows": ROWS,
            "company": cls.company.id,
            "endpoint": cls.big.id,
            "connector": cls.big.connector_id.id,
            "subscription": cls.big.subscription_ids.id,
            "now": clock.naive(NOW),
        }
        for table, statement in zip(BIG_TABLES, FILL, strict=True):
            cls.env.cr.execute(statement, known)
            # At once: checks of references were planned when it was empty, and would
            # read it whole for each row of the next.
            cls.env.cr.execute(f"ANALYZE {table}")
        for table in ("finance_endpoint_health", "finance_endpoint"):
            cls.env.cr.execute(f"ANALYZE {table}")

    # === HELPERS === #

    def plan(self, query, parameters):
        self.env.cr.execute(f"EXPLAIN {query}", parameters)
        return "\n".join(line for (line,) in self.env.cr.fetchall())

    def assertNoScan(self, query, parameters, name="query"):
        """Fail when a big table would be read whole."""
        plan = self.plan(query, parameters)
        for node, table in SCAN.findall(plan):
            if node == "Seq Scan" and table in BIG_TABLES:
                self.fail(f"{name} scans {table}:\n{plan}")
        return plan

    def captured(self, work):
        """Run ``work``; return the statements on big tables that it made."""
        statements = []
        cursor = type(self.env.cr)
        execute = cursor.execute

        def spy(cr, query, params=None, **values):
            text = getattr(query, "code", query)
            if isinstance(text, str) and any(t in text for t in BIG_TABLES):
                statements.append(
                    (text, tuple(query.params) if hasattr(query, "params") else params)
                )
            return execute(cr, query, params, **values)

        self.env.flush_all()
        self.env.invalidate_all()
        with patch.object(cursor, "execute", spy):
            work()
        self.assertTrue(statements)
        return statements

    def test_the_tables_are_big(self):
        for table in BIG_TABLES:
            self.env.cr.execute(f"SELECT count(*) FROM {table}")
            self.assertGreaterEqual(self.env.cr.fetchone()[0], ROWS, table)

    def test_the_helper_sees_a_scan(self):
        with self.assertRaisesRegex(AssertionError, "scans finance_attempt"):
            self.assertNoScan(
                "SELECT 1 FROM finance_attempt WHERE response_body = 'x'", None
            )

    # === STATEMENTS === #

    def test_statements(self):
        now = clock.naive(NOW)
        late = now - constants.STUCK_AFTER
        ids = [self.big.id, self.endpoint.id]
        lanes = list(constants.LANES)
        most = constants.REPAIR_BATCH
        page = {
            "after": 1000,
            "page": constants.PURGE_PAGE,
            "type": "finance.x.y.v1",
            "dataclass": "internal",
        }
        stuck = {"lanes": lanes, "late": late, "sample": constants.STUCK_SAMPLE}
        some = {"ids": list(range(1, 200))}
        statements = {
            # What dispatchers ask.
            "busy endpoints": (
                claiming.BUSY_ENDPOINTS,
                {"lane": "standard", "now": now},
            ),
            "claim": (
                claiming.CLAIM,
                {
                    "lane": "standard",
                    "now": now,
                    "endpoints": ids,
                    "room": [400, 400],
                    "due": [claiming.BEGINNING[0]] * 2,
                    "last": [0, 0],
                    "in_hand": [1, 2, 3],
                },
            ),
            # What screens ask.
            "queues": (
                glance.QUEUES,
                {"ids": ids, "lanes": lanes, "most": constants.GLANCE_COUNT_LIMIT},
            ),
            "pulses": (
                glance.PULSES,
                {
                    "ids": ids,
                    "since": now - timedelta(hours=24),
                    "rolled": now - timedelta(hours=2),
                },
            ),
            "rolled": (glance.ROLLED, None),
            # What scheduled actions ask.
            "stuck deliveries": (janitor.STUCK_DELIVERIES, stuck),
            "stuck batches": (janitor.STUCK_BATCHES, stuck),
            "abandoned": (janitor.ABANDONED, {"most": most}),
            "orphans": (janitor.ORPHANS, {"now": now, "most": most}),
            "stuck messages": (janitor.STUCK_MESSAGES, {"late": late, "most": most}),
            "stuck commands": (janitor.STUCK_COMMANDS, {"late": late, "most": most}),
            "stuck replays": (janitor.STUCK_REPLAYS, {"late": late}),
            "last rolled": (pulse.LAST_ROLLED, {"until": now}),
            "roll-up": (
                pulse.ROLL_UP,
                {"since": now - constants.PULSE_ROLL_UP, "until": now},
            ),
            "pulse purge": (
                pulse.PURGE,
                {"span": "minute", "before": now - timedelta(days=3), "most": most},
            ),
            "types": (retention.TYPES, None),
            **{f"{walk.name} page": (walk.page, page) for walk in retention.WALKS},
            **{f"{walk.name} free": (walk.free, some) for walk in retention.WALKS},
            **{f"{walk.name} gone": (walk.remove, some) for walk in retention.WALKS},
        }
        for name, (query, parameters) in statements.items():
            with self.subTest(name):
                self.assertNoScan(query, parameters, name)

    def test_a_backlog_delays_no_other(self):
        """200,000 wait for one endpoint; a fresh event of another is in the first."""
        self.env.cr.execute(
            "UPDATE finance_delivery SET state = 'waiting', lane = 'standard',"
            " batch_id = NULL, due_at = created_at, aggregate = 'backlog/' || id"
            " WHERE endpoint_id = %s",
            [self.big.id],
        )
        waiting = self.env.cr.rowcount
        self.assertGreaterEqual(waiting, ROWS)
        self.env.cr.execute("ANALYZE finance_delivery")
        fresh = self.add_delivery()
        positions = {
            key: claiming.Position() for key in (self.big.id, self.endpoint.id)
        }
        room = dict.fromkeys(positions, 400)
        rows, found = claiming.claim_rows(
            self.env.cr, "standard", room, positions, set()
        )
        self.assertEqual(found, {self.big.id: 400, self.endpoint.id: 1})
        self.assertIn(fresh.id, [row["id"] for row in rows])
        values = {
            "lane": "standard",
            "now": clock.naive(NOW),
            "endpoints": list(room),
            "room": list(room.values()),
            "due": [claiming.BEGINNING[0]] * 2,
            "last": [0, 0],
            "in_hand": list(range(1, 400)),
        }
        self.assertNoScan(claiming.CLAIM, values, "claim")
        self.assertNoScan(claiming.BUSY_ENDPOINTS, values, "busy endpoints")

    def test_removing_follows_references_by_index(self):
        """What a removed row is referred to by is looked up by index, too."""
        self.env.cr.execute(
            """
            SELECT c.conrelid::regclass::text, a.attname
              FROM pg_constraint c
              JOIN pg_attribute a
                ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
             WHERE c.contype = 'f'
               AND c.confrelid IN ('finance_attempt'::regclass,
                                   'finance_delivery'::regclass,
                                   'finance_batch'::regclass,
                                   'finance_event'::regclass)
               AND NOT EXISTS (
                   SELECT FROM pg_index i
                    WHERE i.indrelid = c.conrelid AND i.indkey[0] = a.attnum
                      AND (i.indpred IS NULL
                           OR pg_get_expr(i.indpred, i.indrelid)
                              = '(' || quote_ident(a.attname) || ' IS NOT NULL)'))
            """
        )
        self.assertEqual(self.env.cr.fetchall(), [])

    # === LISTS === #

    def test_lists(self):
        """The first page of each list, as each of its filters asks for it."""
        attempts = self.env["finance.attempt"]
        deliveries = self.env["finance.delivery"]
        events = self.env["finance.event"]
        lists = {
            "attempts": (attempts, []),
            "failed": (attempts, [("error_code", "!=", False)]),
            "of a code": (attempts, [("error_code", "=", "T-TIMEOUT")]),
            "of an answer": (attempts, [("status", "=", 503)]),
            "of an endpoint": (attempts, [("endpoint_id", "=", self.endpoint.id)]),
            "of a delivery": (attempts, [("delivery_id", "=", 7)]),
            "deliveries": (deliveries, []),
            "dead": (deliveries, [("state", "=", "dead")]),
            "waiting": (
                deliveries,
                [("endpoint_id", "=", self.big.id), ("state", "=", "waiting")],
            ),
            "events": (events, []),
            "of a type": (events, [("type", "=", "finance.payment.paid.v1")]),
        }
        operator = self.users["operator"]
        for name, (model, domain) in lists.items():
            records = model.with_user(operator)

            def read(records=records, domain=domain):
                records.search(domain, limit=80)

            for query, parameters in self.captured(read):
                with self.subTest(name):
                    plan = self.assertNoScan(query, parameters, name)
                    self.assertNotIn("Sort Key: finance_event.id", plan)

    def test_health_of_a_big_endpoint(self):
        for query, parameters in self.captured(lambda: self.big.health_text):
            self.assertNoScan(query, parameters)

    def test_forms(self):
        attempt = self.env["finance.attempt"].search([], limit=1)
        for query, parameters in self.captured(
            lambda: attempt.delivery_id.attempt_ids.ids
        ):
            self.assertNoScan(query, parameters)


# One in fifty is not done. Times are a row a second, backwards from now.
FILL = (
    """
    INSERT INTO finance_event (
        event_id, type, aggregate, sequence, company_id, source, subject, label,
        occurred_at, correlation_id, actor, data, res_model, res_id)
    SELECT 'plan-' || i,
           (ARRAY['finance.invoice.posted.v1', 'finance.invoice.paid.v1',
                  'finance.payment.paid.v1'])[1 + i %% 3],
           'plan/' || i / 3, i %% 3 + 1, %(company)s, '/odoo/plan/1', 'plan/' || i / 3,
           'PLAN/' || i, %(now)s - make_interval(secs => %(rows)s - i),
           'plan-' || i / 3, 'user/1', '{}', 'account.move', i
      FROM generate_series(1, %(rows)s) AS i
    """,
    """
    INSERT INTO finance_delivery (
        event_id, endpoint_id, subscription_id, company_id, aggregate, state, lane,
        created_at, due_at, delivered_at, attempt_count, throttle_count)
    SELECT e.id, %(endpoint)s, %(subscription)s, e.company_id, e.aggregate,
           CASE WHEN e.res_id %% 50 > 0 THEN 'delivered'
                WHEN e.res_id %% 200 = 0 THEN 'dead'
                WHEN e.res_id %% 100 = 0 THEN 'parked'
                ELSE 'waiting' END,
           (ARRAY['standard', 'bulk', 'critical'])[1 + e.res_id %% 3],
           e.occurred_at,
           CASE WHEN e.res_id %% 500 = 50 THEN NULL ELSE e.occurred_at END,
           e.occurred_at, 1, 0
      FROM finance_event e
     WHERE e.event_id LIKE 'plan-%%'
     ORDER BY e.id
    """,
    """
    INSERT INTO finance_attempt (
        delivery_id, endpoint_id, company_id, number, started_at, duration_ms, outcome,
        status, error_code)
    SELECT d.id, d.endpoint_id, d.company_id, 1, d.created_at, 10,
           CASE WHEN d.state = 'delivered' THEN 'delivered' ELSE 'retry' END,
           CASE WHEN d.state = 'delivered' THEN 200 ELSE 500 END,
           CASE WHEN d.state = 'delivered' THEN NULL ELSE 'T-5XX' END
      FROM finance_delivery d
     WHERE d.endpoint_id = %(endpoint)s
     ORDER BY d.id
    """,
    """
    INSERT INTO finance_message (
        connector_id, company_id, external_id, received_at, state, body, attempt_count)
    SELECT %(connector)s, %(company)s, 'plan-' || i,
           %(now)s - make_interval(secs => %(rows)s - i),
           CASE WHEN i %% 1000 = 0 THEN 'received' ELSE 'processed' END,
           CASE WHEN i > %(rows)s / 2 THEN 'e30='::bytea END, 0
      FROM generate_series(1, %(rows)s) AS i
    """,
    """
    INSERT INTO finance_pulse (
        endpoint_id, company_id, lane, span, started_at, delivered, failed, throttled,
        duration_ms)
    SELECT %(endpoint)s, %(company)s,
           (ARRAY['critical', 'standard', 'bulk'])[1 + i %% 3],
           CASE WHEN i %% 60 < 3 THEN 'hour' ELSE 'minute' END,
           date_trunc('minute', %(now)s::timestamp) - make_interval(mins => i / 3),
           1, 0, 0, 10
      FROM generate_series(0, %(rows)s) AS i
    """,
)
