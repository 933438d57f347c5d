"""The order of the feed under real concurrency: real connections, real commits."""

import json
import random
import threading
import uuid
from collections import defaultdict
from unittest.mock import patch

from odoo import SUPERUSER_ID, api
from odoo.tests import TransactionCase, tagged

from ..models import constants

EVENT_TYPE = "finance.invoice.posted.v1"


class Writer:
    """A business transaction that writes events of documents, on its own connection.

    It holds each of its documents until it ends, as the row of an invoice is held by
    whoever changes it.
    """

    def __init__(self, case):
        self.case = case
        self.cr = case.cursor()
        self.written = []

    def announce(self, aggregate):
        cr, case = self.cr, self.case
        event_id = str(uuid.uuid4())
        cr.execute(
            """
            INSERT INTO finance_event (event_id, type, aggregate, sequence, company_id,
                source, subject, label, occurred_at, correlation_id, actor, data,
                res_model, res_id)
            VALUES (%(id)s, %(type)s, %(aggregate)s, %(sequence)s, %(company)s, '/test',
                    %(aggregate)s, 'Test', now() AT TIME ZONE 'UTC', %(id)s, 'user/1',
                    '{}', 'res.company', %(company)s)
            RETURNING id
            """,
            {
                "id": event_id,
                "type": EVENT_TYPE,
                "aggregate": aggregate,
                # Any number that is not taken: the order is that of the ids.
                "sequence": uuid.uuid4().int % 2**31,
                "company": case.company_id,
            },
        )
        cr.execute(
            """
            INSERT INTO finance_delivery (event_id, endpoint_id, company_id, aggregate,
                state, lane, created_at, attempt_count, throttle_count, pulled)
            VALUES (%s, %s, %s, %s, 'waiting', 'standard', now() AT TIME ZONE 'UTC',
                    0, 0, true)
            """,
            [cr.fetchone()[0], case.endpoint_id, case.company_id, aggregate],
        )
        self.written.append((aggregate, event_id))

    def commit(self):
        self.cr.commit()  # pylint: disable=invalid-commit
        for aggregate, event_id in self.written:
            self.case.committed[aggregate].append(event_id)
        self.cr.close()

    def rollback(self):
        self.cr.rollback()
        self.cr.close()


class Reader:
    """Who follows the feed; each call is a transaction, as in a request.

    The environment is made where the test runs: while Odoo loads its modules, other
    threads can't make one.
    """

    def __init__(self, case):
        self.case = case
        self.position = 0
        self.read = []
        self.began = False
        self.env = api.Environment(case.cursor(), SUPERUSER_ID, {})
        self.feed = self.env["finance.feed"].browse(case.feed_id)

    def begin(self):
        """Begin a transaction: from here on it sees what was committed before."""
        self.env.cr.execute("SELECT count(*) FROM finance_delivery")
        self.began = True

    def end(self, limit):
        """Read in the transaction begun, or in a new one, and commit."""
        self.env.invalidate_all()
        page = self.feed._read(self.position, limit)
        self.env.cr.commit()  # pylint: disable=invalid-commit
        self.began = False
        events = [json.loads(body) for body in page.bodies]
        self.read += [(event["partitionkey"], event["id"]) for event in events]
        self.position = page.position
        return page

    def follow(self):
        for _page in range(1000):
            if not self.end(constants.FEED_MAX_LIMIT).more:
                return
        self.case.fail("It never ends.")


@tagged("post_install", "-at_install")
class TestFeedOrder(TransactionCase):
    """cap 51: nothing is skipped, nothing comes twice, each document in order."""

    def setUp(self):
        super().setUp()
        self.committed = defaultdict(list)
        self.company_id = self.env.company.id
        with self.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            connector = env["finance.connector"].create(
                {"name": "Order", "code": f"order-{uuid.uuid4().hex[:12]}"}
            )
            endpoint = env["finance.endpoint"].create(
                {
                    "name": "Order",
                    "connector_id": connector.id,
                    "transport": "feed",
                }
            )
            self.connector_id = connector.id
            self.endpoint_id = endpoint.id
            self.feed_id = endpoint.feed_ids.id
        self.addCleanup(self.remove)

    def cursor(self):
        """A connection of its own, beside that of the test."""
        cr = self.registry.cursor()
        self.addCleanup(cr.close)
        return cr

    def remove(self):
        with self.cursor() as cr:
            cr.execute("SET LOCAL finance_hub.purge = 'on'")
            cr.execute(
                "DELETE FROM finance_delivery WHERE endpoint_id = %s"
                " RETURNING event_id",
                [self.endpoint_id],
            )
            ids = [event_id for (event_id,) in cr.fetchall()]
            cr.execute("DELETE FROM finance_event WHERE id = ANY(%s)", [ids])
            env = api.Environment(cr, SUPERUSER_ID, {})
            env["finance.endpoint"].browse(self.endpoint_id).unlink()
            env["finance.connector"].browse(self.connector_id).unlink()

    def assertWhole(self, reader):
        """Everything committed was read, once, each document in its order."""
        everything = sorted(
            event_id for events in self.committed.values() for event_id in events
        )
        read = [event_id for _aggregate, event_id in reader.read]
        self.assertEqual(len(read), len(set(read)), "nothing twice")
        self.assertEqual(sorted(read), everything, "nothing skipped, nothing invented")
        by_aggregate = defaultdict(list)
        for aggregate, event_id in reader.read:
            by_aggregate[aggregate].append(event_id)
        committed = {name: ids for name, ids in self.committed.items() if ids}
        self.assertEqual(dict(by_aggregate), committed, "in order")

    # === CASES === #

    def test_written_earlier_committed_later(self):
        """The row with the lower id appears after the reader has passed its place."""
        slow, fast = Writer(self), Writer(self)
        slow.announce("a")
        fast.announce("b")
        fast.commit()
        reader = Reader(self)
        self.assertFalse(reader.end(10).more)
        self.assertEqual(len(reader.read), 1)
        slow.commit()
        reader.end(10)
        self.assertWhole(reader)

    def test_a_reader_that_began_too_early(self):
        """It neither gives positions nor reads past those that it does not see."""
        late = Writer(self)
        late.announce("late")
        for number in range(3):
            writer = Writer(self)
            writer.announce(f"early-{number}")
            writer.commit()
        stale, other = Reader(self), Reader(self)
        stale.begin()
        late.commit()
        # Gives a position to what the first does not see, and to no other.
        with patch.object(constants, "FEED_ADVANCE_ROWS", 1):
            self.assertTrue(other.end(10).more)
        self.assertEqual([aggregate for aggregate, _id in other.read], ["late"])
        page = stale.end(10)
        self.assertEqual((page.bodies, page.position, page.more), ([], 0, True))
        stale.follow()
        other.follow()
        self.assertWhole(stale)
        self.assertWhole(other)
        self.assertEqual(stale.read, other.read, "one order for all")

    def test_two_readers_at_once(self):
        """The second reads what there is; it neither waits nor fails."""
        first = Writer(self)
        first.announce("a")
        first.commit()
        holder, other = Reader(self), Reader(self)
        holder.end(10)
        second = Writer(self)
        second.announce("b")
        second.commit()
        with self.cursor() as cr:
            cr.execute(
                "SELECT 1 FROM finance_feed WHERE id = %s FOR UPDATE", [self.feed_id]
            )
            page = other.end(10)
            self.assertEqual(([a for a, _id in other.read], page.more), (["a"], True))
        other.follow()
        self.assertWhole(other)

    def test_a_call_that_is_undone(self):
        """A crash after positions were given, before the commit: they never were."""
        writer = Writer(self)
        writer.announce("a")
        writer.commit()
        with self.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            page = env["finance.feed"].browse(self.feed_id)._read(0, 10)
            self.assertEqual(len(page.bodies), 1)
            cr.rollback()
        reader = Reader(self)
        reader.end(10)
        self.assertWhole(reader)
        self.assertEqual(reader.position, 1)

    def test_every_interleaving(self):
        """Random schedules of writers, readers and old snapshots, each replayable."""
        for seed in range(12):
            self.run_schedule(random.Random(seed))

    def run_schedule(self, chance):
        self.committed.clear()
        with self.cursor() as cr:
            cr.execute("SELECT head FROM finance_feed WHERE id = %s", [self.feed_id])
            head = cr.fetchone()[0]
        readers = [Reader(self) for _number in range(3)]
        for reader in readers:
            reader.position = head
        writers = []
        with patch.object(constants, "FEED_ADVANCE_ROWS", chance.choice((1, 2, 5, 50))):
            for _step in range(60):
                move = chance.random()
                if move < 0.35 and len(writers) < 5:
                    writers.append(Writer(self))
                elif move < 0.65 and writers:
                    writer = chance.choice(writers)
                    held = {a for w in writers if w is not writer for a, _ in w.written}
                    free = [name for name in "abcdefgh" if name not in held]
                    for _event in range(chance.randint(1, 3) if free else 0):
                        writer.announce(chance.choice(free))
                elif move < 0.8 and writers:
                    writer = writers.pop(chance.randrange(len(writers)))
                    if chance.random() < 0.2:
                        writer.rollback()
                    else:
                        writer.commit()
                else:
                    reader = chance.choice(readers)
                    if not reader.began and chance.random() < 0.5:
                        reader.begin()
                    else:
                        reader.end(chance.randint(1, 6))
            for writer in writers:
                writer.commit()
            for reader in readers:
                reader.end(1)
                reader.follow()
                self.assertWhole(reader)
        self.assertEqual(readers[0].read, readers[1].read)
        self.assertEqual(readers[0].read, readers[2].read)
        for reader in readers:
            reader.env.cr.close()

    def test_threads(self):
        """Writers and readers truly at the same time."""
        names = [f"document-{number}" for number in range(12)]
        locks = {name: threading.Lock() for name in names}
        done = threading.Event()
        problems = []

        def write(seed):
            chance = random.Random(seed)
            try:
                for _transaction in range(25):
                    chosen = sorted(chance.sample(names, chance.randint(1, 3)))
                    for name in chosen:
                        locks[name].acquire()
                    try:
                        writer = Writer(self)
                        for name in chosen:
                            writer.announce(name)
                        if chance.random() < 0.15:
                            writer.rollback()
                        else:
                            writer.commit()
                    finally:
                        for name in chosen:
                            locks[name].release()
            except Exception as error:
                problems.append(error)

        def read(reader, seed):
            chance = random.Random(seed)
            try:
                while not done.is_set():
                    reader.end(chance.randint(1, 20))
            except Exception as error:
                problems.append(error)

        readers = [Reader(self) for _number in range(3)]
        writing = [threading.Thread(target=write, args=(n,)) for n in range(6)]
        reading = [
            threading.Thread(target=read, args=(reader, n))
            for n, reader in enumerate(readers)
        ]
        for thread in writing + reading:
            thread.start()
        for thread in writing:
            thread.join()
        done.set()
        for thread in reading:
            thread.join()
        self.assertEqual(problems, [])
        for reader in readers:
            reader.follow()
            self.assertWhole(reader)

    # === THE COUNT OF CALLS === #

    def test_the_rate_holds_over_processes(self):
        """Many calls at one moment, on many connections: none too many, none lost."""
        allowed_calls, calls, threads = 100, 30, 6
        with self.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            client = env["finance.client"].create(
                {
                    "name": "Rate",
                    "connector_id": self.connector_id,
                    "rate_limit": allowed_calls,
                }
            )
            client_id = client.id
            moment = client.usage_ids.tokens_at
        outcomes = []

        def caller():
            env = api.Environment(self.cursor(), SUPERUSER_ID, {})
            client = env["finance.client"].browse(client_id)
            client.fetch(["rate_limit"])

            def call():
                for _call in range(calls):
                    outcomes.append(
                        env["finance.client.usage"]._count(client, "fhk", "::1")[0]
                    )

            return call

        with patch("odoo.addons.finance_hub.models.clock.naive_now", lambda: moment):
            running = [threading.Thread(target=caller()) for _number in range(threads)]
            for thread in running:
                thread.start()
            for thread in running:
                thread.join()
        self.assertEqual(len(outcomes), calls * threads)
        self.assertEqual(sum(outcomes), allowed_calls)
