import json
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import pairwise
from unittest.mock import patch

import psycopg2

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from ..contracts import EVENT_TYPES
from ..models import clock, constants
from ..models.capture.insertion import EventRow
from ..models.outbox.replay_selection import Selection
from .common import FinanceHubCommon, status

POSTED = max(name for name in EVENT_TYPES if name.startswith("finance.invoice.posted."))
PAID = max(name for name in EVENT_TYPES if name.startswith("finance.invoice.paid."))
CREATED = max(
    name for name in EVENT_TYPES if name.startswith("finance.payment.created.")
)
START = datetime(2026, 3, 1, 8, 0)  # noqa: DTZ001 (as Odoo stores times)


class ReplayCase(FinanceHubCommon):
    def setUp(self):
        super().setUp()
        self.sink = self.receiver()
        self.connector = self.make_connector()
        self.endpoint = self.make_endpoint(
            self.sink.url,
            self.connector,
            patterns="finance.invoice.*, finance.payment.*",
            retry_schedule="0",
        )
        self.operator = self.users["operator"]
        self.approver = self.users["approver"]
        self.number = 0

    # === BUILDERS === #

    def record(self, count=1, event_type=POSTED, company=None, at=START, **values):
        """Write events as the capture does, without any delivery."""
        company = company or self.company
        entry = EVENT_TYPES[event_type]
        rows = []
        for index in range(count):
            self.number += 1
            subject = (
                values.get("aggregate") or f"{entry.object}/{9_000_000 + self.number}"
            )
            rows.append(
                EventRow(
                    event_id=f"test-{company.id}-{self.number}",
                    type=event_type,
                    aggregate=subject,
                    sequence=self.number,
                    company_id=company.id,
                    source=f"/odoo/test/{company.id}",
                    subject=subject,
                    label=f"DOC/{self.number}",
                    occurred_at=at + timedelta(seconds=index),
                    correlation_id=f"case-{self.number}",
                    causation_id=None,
                    actor="user/1",
                    data=json.dumps(entry.sample),
                    problem=values.get("problem"),
                    res_model="account.move",
                    res_id=9_000_000 + self.number,
                )
            )
        written = self.env["finance.capture"]._insert_events(rows)
        return self.env["finance.event"].browse([pk for pk, _row in written])

    def deliver(self, events, state="delivered", endpoint=None, **values):
        """Give events an earlier delivery in a state."""
        endpoint = endpoint or self.endpoint
        return self.env["finance.delivery"].create(
            [
                {
                    "event_id": event.id,
                    "endpoint_id": endpoint.id,
                    "subscription_id": endpoint.subscription_ids[:1].id,
                    "company_id": event.company_id.id,
                    "aggregate": event.aggregate,
                    "state": state,
                    "lane": "standard",
                    "version": EVENT_TYPES[event.type].version,
                    "created_at": event.occurred_at,
                    "due_at": event.occurred_at,
                    "attempt_count": 0,
                    "throttle_count": 0,
                    **values,
                }
                for event in events
            ]
        )

    def replay(self, user=None, **values):
        return (
            self.env["finance.replay"]
            .with_user(user or self.operator)
            .create(
                {
                    "company_id": self.company.id,
                    "endpoint_ids": [(6, 0, self.endpoint.ids)],
                    "reason": "The receiver lost its data",
                    "rate": constants.REPLAY_MAX_RATE,
                    **values,
                }
            )
        )

    def started(self, **values):
        replay = self.replay(**values)
        replay.action_count()
        if replay.needs_approval:
            replay.action_request_approval()
            replay.with_user(self.approver).action_approve()
        else:
            replay.action_start()
        return replay

    # === STAGES === #

    def work(self):
        """Run the job once, as the runner does."""
        self.env.flush_all()
        with self.enter_registry_test_mode():
            result = self.env["finance.replay"]._job_run()
        self.env.invalidate_all()
        return result

    def work_off(self, replay):
        """Let time pass until everything of a replay is made."""
        for minute in range(1, 100):
            self.work()
            if replay.all_made:
                return
            self.later(minutes=2 * minute)
        self.fail("the replay does not come to an end")

    def rows(self, replay):
        return self.env["finance.delivery"].search(
            [("replay_id", "=", replay.id)], order="id"
        )

    def send(self, lane="bulk"):
        """Dispatch what is due in a lane."""
        self.env.flush_all()
        statistics = self.dispatch(lane)
        self.env.invalidate_all()
        return statistics


@tagged("post_install", "-at_install")
class TestReplaySelection(ReplayCase):
    """cap 28: what is sent again is what was chosen, and what was counted."""

    def check(self, expected, **values):
        """A dry run counts ``expected``, and that is what is sent."""
        replay = self.replay(**values)
        replay.action_count()
        if not expected:
            self.assertEqual(replay.total, 0)
            with self.assertRaisesRegex(UserError, "nothing to send"):
                replay.action_start()
            return replay
        self.assertTrue(replay.count_complete)
        replay.action_start()
        self.work_off(replay)
        rows = self.rows(replay)
        self.assertEqual(rows.event_id, expected)
        self.assertEqual(len(rows), replay.total)
        self.assertEqual(replay.enqueued, replay.total)
        return replay

    def test_by_type(self):
        posted, paid = self.record(3), self.record(2, PAID)
        created = self.record(1, CREATED)
        self.check(posted | paid, patterns="finance.invoice.*")
        self.check(created, patterns="finance.payment.created")
        more = self.record(2, PAID)
        replay = self.check(more, patterns="finance.*.paid", with_delivered=True)
        self.assertEqual(replay.counts["types"], {PAID: 2})

    def test_by_an_older_version(self):
        """A pattern may name the version that the subscriber knows."""
        posted = self.record(2)
        self.check(posted, patterns="finance.invoice.posted.v1")

    def test_by_time(self):
        early = self.record(3, at=START)
        middle = self.record(3, at=START + timedelta(hours=1))
        self.record(3, at=START + timedelta(hours=2))
        replay = self.check(
            middle,
            occurred_from=START + timedelta(hours=1),
            occurred_to=START + timedelta(hours=2),
        )
        self.assertEqual(replay.counts["first"], "2026-03-01 09:00:00")
        self.assertEqual(replay.counts["last"], "2026-03-01 09:00:02")
        self.check(early, occurred_to=START + timedelta(minutes=1))

    def test_by_document(self):
        wanted = self.record(2, aggregate="invoice/7") | self.record(
            1, PAID, aggregate="invoice/7"
        )
        self.record(2, aggregate="invoice/70")
        self.check(wanted, aggregate="invoice/7")

    def test_by_events(self):
        events = self.record(5)
        wanted = events[1] | events[3]
        self.check(wanted, event_ids=[(6, 0, wanted.ids)])

    def test_by_endpoint(self):
        other = self.make_endpoint(
            self.sink.url, self.connector, patterns="finance.invoice.paid"
        )
        posted, paid = self.record(2), self.record(2, PAID)
        replay = self.check(paid, endpoint_ids=[(6, 0, other.ids)])
        self.assertEqual(self.rows(replay).endpoint_id, other)
        both = self.started(endpoint_ids=[(6, 0, (self.endpoint | other).ids)])
        self.assertEqual(
            both.counts["endpoints"], {str(self.endpoint.id): 4}, "paid waits there"
        )
        self.assertEqual(both.total, len(posted | paid))

    def test_by_subscription(self):
        self.endpoint.subscription_ids.patterns = "finance.invoice.posted"
        second = self.env["finance.subscription"].create(
            {
                "name": "Second",
                "endpoint_id": self.endpoint.id,
                "patterns": "finance.invoice.paid",
            }
        )
        self.record(2)
        paid = self.record(2, PAID)
        replay = self.check(paid, subscription_ids=[(6, 0, second.ids)])
        self.assertEqual(self.rows(replay).subscription_id, second)

    def test_each_version_is_a_message(self):
        """An endpoint with two versions of a type gets both again."""
        self.env["finance.subscription"].create(
            {
                "name": "Old",
                "endpoint_id": self.endpoint.id,
                "patterns": "finance.invoice.posted",
                "version": 1,
            }
        )
        event = self.record()
        replay = self.check(event | event)
        self.assertEqual(sorted(self.rows(replay).mapped("version")), [1, 2])

    def test_by_state(self):
        states = ("delivered", "dead", "parked", "cancelled", "waiting")
        events = {state: self.record(2) for state in states}
        for state, found in events.items():
            self.deliver(found, state)
        unsent = self.record(2)
        none = dict.fromkeys(
            ("with_delivered", "with_given_up", "with_cancelled", "with_unsent"), False
        )
        # What waits is on its way: it is never sent a second time beside that.
        for field, expected in (
            ("with_delivered", events["delivered"]),
            ("with_given_up", events["dead"] | events["parked"]),
            ("with_cancelled", events["cancelled"]),
            ("with_unsent", unsent),
        ):
            with self.subTest(field):
                replay = self.check(expected, **{**none, field: True})
                self.assertEqual(
                    replay.counts["states"],
                    {field.removeprefix("with_"): len(expected)},
                )
        with self.assertRaises(UserError):
            self.replay(**none).action_count()

    def test_the_newest_delivery_decides(self):
        """Given up, then delivered by hand: it counts as delivered."""
        event = self.record()
        self.deliver(event, "dead")
        self.deliver(event, "delivered")
        self.check(self.env["finance.event"])
        self.check(event, with_delivered=True)

    def test_what_nobody_subscribed_to_is_not_sent(self):
        self.endpoint.subscription_ids.patterns = "finance.invoice.paid"
        self.record(2)
        self.check(self.env["finance.event"])

    def test_what_breaks_its_contract_is_not_sent(self):
        self.record(2, problem="number: missing")
        self.check(self.env["finance.event"])

    def test_what_happens_after_the_count_is_not_part_of_it(self):
        before = self.record(2)
        replay = self.replay()
        replay.action_count()
        self.record(2)
        replay.action_start()
        self.work_off(replay)
        self.assertEqual(self.rows(replay).event_id, before)

    def test_no_other_company(self):
        other = self.env["res.company"].create({"name": "Elsewhere"})
        foreign = self.record(3, company=other)
        mine = self.record(2)
        self.check(mine)
        picked = self.replay(event_ids=[(6, 0, mine.ids)], with_delivered=True)
        self.env.cr.execute(
            "INSERT INTO finance_replay_event_rel VALUES (%s, %s)",
            [picked.id, foreign[0].id],
        )
        picked.sudo().invalidate_recordset()
        self.assertIn(foreign[0], picked.sudo().event_ids)
        picked.sudo()._count(self.operator)
        self.assertEqual(picked.total, 0, "mine wait, and the foreign one is not ours")

    def test_endpoints_of_another_company_are_refused(self):
        other = self.env["res.company"].create({"name": "Elsewhere"})
        connector = self.make_connector(
            "elsewhere", company_id=other.id, payment_journal_id=False
        )
        endpoint = self.make_endpoint(self.sink.url, connector)
        with mute_logger("odoo.models"), self.assertRaises(UserError):
            self.replay(endpoint_ids=[(6, 0, endpoint.ids)])

    # === THE DRY RUN === #

    def test_dry_run_sends_nothing_and_tells_everything(self):
        self.record(3)
        self.deliver(self.record(2, PAID), "dead")
        before = self.env["finance.delivery"].search_count([])
        replay = self.replay()
        replay.action_count()
        self.assertEqual(self.env["finance.delivery"].search_count([]), before)
        self.assertEqual((replay.state, replay.total), ("counted", 5))
        text = str(replay.count_html)
        for word in (POSTED, PAID, "Never sent", "Given up before", "DOC/"):
            self.assertIn(word, text)
        self.assertEqual(replay.counted_by_id, self.operator)
        self.assertIn("5", " ".join(replay.message_ids.mapped("body")))

    def test_labels_are_escaped(self):
        self.record(1)
        self.endpoint.name = "<script>alert(1)</script>"
        replay = self.replay()
        replay.action_count()
        self.assertNotIn("<script", str(replay._count_html()))

    def test_counting_stops_at_a_limit(self):
        self.record(30)
        with (
            patch.object(constants, "REPLAY_COUNT_LIMIT", 20),
            patch.object(constants, "REPLAY_CHUNK", 7),
        ):
            for values in ({}, {"event_ids": [(6, 0, self.record(25).ids)]}):
                replay = self.replay(**values)
                replay.action_count()
                self.assertEqual((replay.total, replay.count_complete), (20, False))
                self.assertEqual(replay.total_text, "more than 20")
                self.assertTrue(replay.needs_approval)

    def test_a_limited_count_sends_all(self):
        events = self.record(30)
        with patch.object(constants, "REPLAY_COUNT_LIMIT", 20):
            replay = self.started()
        self.work_off(replay)
        self.assertEqual(self.rows(replay).event_id, events)

    def test_counting_stops_after_a_while(self):
        self.record(10)
        moment = clock.now()
        ticks = iter(range(10_000))
        with (
            patch.object(constants, "REPLAY_CHUNK", 2),
            patch.object(
                clock, "now", lambda: moment + timedelta(seconds=5 * next(ticks))
            ),
        ):
            replay = self.replay()
            replay.action_count()
        self.assertFalse(replay.count_complete)
        self.assertLess(replay.total, 10)

    def test_a_change_asks_for_a_new_count(self):
        self.record(2)
        replay = self.replay()
        replay.action_count()
        replay.reason = "Another reason"
        self.assertEqual(replay.state, "counted")
        replay.patterns = "finance.invoice.paid"
        self.assertEqual((replay.state, replay.total), ("draft", 0))
        with self.assertRaises(UserError):
            replay.action_start()

    def test_no_query_reads_a_table(self):
        """Counting and working find their rows by indexes."""
        self.record(50)
        replay = self.replay(occurred_from=START).sudo()
        self.env.flush_all()
        replay.until_event_id = 10**9
        selection = Selection(replay)
        self.env.flush_all()
        self.env.cr.execute("ANALYZE finance_event")
        self.env.cr.execute("SET LOCAL enable_seqscan = off")
        plans = []
        cr = self.env.cr
        original = type(cr).execute

        def explain(cursor, query, params=None, **kwargs):
            if "finance_event" in str(query) and "EXPLAIN" not in str(query):
                original(cursor, "EXPLAIN " + query, params)
                plans.append("\n".join(row[0] for row in cursor.fetchall()))
            return original(cursor, query, params, **kwargs)

        with patch.object(type(cr), "execute", explain):
            selection.count()
            ids, _cursor = selection.next_ids(0)
            selection.pairs(ids)
        self.assertTrue(plans)
        for plan in plans:
            self.assertNotIn("Seq Scan on finance_event", plan)
            self.assertNotIn("Seq Scan on finance_delivery", plan)


@tagged("post_install", "-at_install")
class TestReplayDecisions(ReplayCase):
    """cap 78: a reason, a second person, and a way to stop."""

    def counted(self, count=2, **values):
        self.record(count)
        replay = self.replay(**values)
        replay.action_count()
        return replay

    def test_a_reason_is_needed(self):
        replay = self.counted(reason="  ")
        with self.assertRaisesRegex(UserError, "reason"):
            replay.action_start()
        replay.kind = "backfill"
        replay.action_count()
        with self.assertRaisesRegex(UserError, "reason"):
            replay.action_request_approval()
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(psycopg2.errors.CheckViolation),
            self.env.cr.savepoint(),
        ):
            replay.sudo().state = "running"
            replay.flush_recordset()

    def test_small_ones_need_nobody(self):
        replay = self.counted()
        self.assertFalse(replay.needs_approval)
        replay.action_start()
        self.assertEqual(replay.state, "running")
        bodies = " ".join(replay.message_ids.mapped("body"))
        self.assertIn("The receiver lost its data", bodies)

    def test_large_ones_need_somebody_else(self):
        with patch.object(constants, "REPLAY_APPROVAL_THRESHOLD", 3):
            self.assertFalse(self.counted(1).needs_approval)
            replay = self.counted(3)
            self.assertEqual(replay.total, 4)
            self.assertTrue(replay.needs_approval)
            with self.assertRaisesRegex(UserError, "approval"):
                replay.action_start()
            replay.action_request_approval()
        self.assertEqual(replay.state, "to_approve")
        self.assertFalse(self.rows(replay))
        with self.assertRaises(AccessError):
            replay.action_approve()
        replay.with_user(self.approver).action_approve()
        self.assertEqual(
            (replay.state, replay.approved_by_id), ("running", self.approver)
        )
        self.assertEqual(replay.requested_by_id, self.operator)

    def test_four_eyes(self):
        """Whoever prepared, counted or requested it does not approve it."""
        both = self.users["approver"].copy({"login": "both"})
        both.group_ids |= self.env.ref("finance_hub.group_operator")
        for role in ("creator", "counter", "requester"):
            people = dict.fromkeys(("creator", "counter", "requester"), self.operator)
            people[role] = both
            self.record(1)
            replay = self.replay(people["creator"], kind="backfill")
            replay.with_user(people["counter"]).action_count()
            replay.with_user(people["requester"]).action_request_approval()
            with self.subTest(role), self.assertRaisesRegex(UserError, "somebody else"):
                replay.with_user(both).action_approve()
            self.assertEqual(replay.state, "to_approve")

    def test_a_backfill_always_needs_approval(self):
        replay = self.counted(kind="backfill")
        self.assertTrue(replay.needs_approval)

    def test_rejected_is_a_draft_again(self):
        replay = self.counted(kind="backfill")
        replay.action_request_approval()
        with self.assertRaises(UserError):
            replay.patterns = "*"
        replay.with_user(self.approver).action_reject()
        self.assertEqual((replay.state, replay.total), ("draft", 0))

    def test_nobody_writes_what_buttons_decide(self):
        replay = self.counted()
        for values in (
            {"state": "running"},
            {"total": 1},
            {"count_complete": True},
            {"cursor_event_id": 5},
            {"approved_by_id": self.operator.id},
        ):
            with self.subTest(values), self.assertRaises(UserError):
                replay.write(values)
            with self.subTest(values), self.assertRaises(UserError):
                self.replay(**values)

    def test_what_runs_is_not_changed(self):
        replay = self.started(**{"event_ids": [(6, 0, self.record(2).ids)]})
        for values in ({"patterns": "*"}, {"reason": "x"}, {"with_delivered": True}):
            with self.subTest(values), self.assertRaises(UserError):
                replay.write(values)
        replay.rate = 5
        self.assertEqual(replay.rate, 5)

    def test_rate_has_limits(self):
        for rate in (0, constants.REPLAY_MAX_RATE + 1):
            with (
                mute_logger("odoo.sql_db"),
                self.assertRaises(psycopg2.errors.CheckViolation),
                self.env.cr.savepoint(),
            ):
                self.replay(rate=rate).flush_recordset()

    def test_nonsense_is_refused(self):
        for values in (
            {"patterns": "finance.nonsense"},
            {"patterns": " , "},
            {"occurred_from": START, "occurred_to": START},
            {"endpoint_ids": [(5,)]},
        ):
            with self.subTest(values), self.assertRaises(ValidationError):
                self.replay(**values)

    def test_too_many_by_hand(self):
        events = self.record(4)
        with patch.object(constants, "REPLAY_MAX_CHOSEN", 3):
            with self.assertRaises(UserError):
                events.with_user(self.operator).action_send_again()
            with self.assertRaises(ValidationError):
                self.replay(event_ids=[(6, 0, events.ids)])

    # === THE DOORS === #

    def open(self, action):
        records = (
            self.env[action["res_model"]]
            .with_user(self.operator)
            .with_context(**action["context"])
        )
        form = Form(records)
        form.reason = "Asked for"
        return form.save()

    def test_from_events(self):
        events = self.record(3)
        self.deliver(events)
        chosen = events[:2]
        replay = self.open(chosen.with_user(self.operator).action_send_again())
        self.assertEqual(replay.event_ids, chosen)
        self.assertEqual(replay.endpoint_ids, self.endpoint)
        replay.action_count()
        self.assertEqual(replay.total, 2)

    def test_from_an_endpoint(self):
        self.record(2)
        endpoint = self.endpoint.with_user(self.operator)
        replay = self.open(endpoint.action_replay())
        self.assertEqual((replay.kind, replay.endpoint_ids), ("replay", self.endpoint))
        replay = self.open(endpoint.action_backfill())
        self.assertEqual(replay.kind, "backfill")
        replay.action_count()
        self.assertEqual(replay.total, 2)

    def test_from_a_document(self):
        """By the action menu of an invoice."""
        invoice = self.make_invoice()
        events = self.events_of(invoice)
        menu = self.env.ref("finance_hub.action_send_move_again")

        def press(user, record):
            return (
                menu.with_user(user)
                .with_context(active_model=record._name, active_ids=record.ids)
                .run()
            )

        replay = self.open(press(self.operator, invoice))
        self.assertEqual(replay.event_ids, events)
        with self.assertRaises(AccessError):
            press(self.users["auditor"], invoice)
        with self.assertRaisesRegex(UserError, "no finance events"):
            press(self.operator, self.make_invoice(post=False))

    def test_one_company_at_a_time(self):
        other = self.env["res.company"].create({"name": "Elsewhere"})
        events = self.record(1) | self.record(1, company=other)
        with self.assertRaisesRegex(UserError, "one company"):
            events.action_send_again()


@tagged("post_install", "-at_install")
class TestReplayWork(ReplayCase):
    """cap 28: the same events, in order, in a pace of their own, whatever happens."""

    def test_same_id_same_bytes(self):
        invoice = self.make_invoice()
        self.dispatch()
        replay = self.started(with_delivered=True)
        self.work()
        self.assertEqual(self.send().delivered, 1)
        first, second = self.sink.requests
        self.assertEqual(first[1], second[1])
        self.assertEqual(first[0]["webhook-id"], second[0]["webhook-id"])
        event = self.events_of(invoice)
        self.assertEqual(event.event_id, second[0]["webhook-id"])
        self.work()
        self.assertEqual((replay.state, replay.delivered), ("done", 1))
        self.assertEqual(replay.percent, 100)
        self.assertIn("1 delivered", " ".join(replay.message_ids.mapped("body")))

    def test_masks_apply(self):
        self.endpoint.subscription_ids.mask_personal = True
        self.make_invoice()
        self.dispatch()
        self.started(with_delivered=True)
        self.work()
        self.send()
        bodies = {body for _headers, body in self.sink.requests}
        self.assertEqual(len(bodies), 1)
        self.assertNotIn(self.partner_a.name.encode(), bodies.pop())

    def test_given_up_rows_are_armed_again(self):
        self.sink.answers = [status(500)]
        invoice = self.make_invoice()
        self.dispatch()
        delivery = self.events_of(invoice).delivery_ids
        exception = delivery.exception_id
        self.assertEqual((delivery.state, exception.state), ("dead", "open"))
        self.sink.answers = [status(200)]
        replay = self.started()
        self.work()
        self.assertEqual(self.rows(replay), delivery, "the row itself")
        self.assertEqual((delivery.state, delivery.attempt_count), ("waiting", 0))
        self.assertEqual(delivery.lane, "bulk")
        self.send()
        self.assertEqual((delivery.state, exception.state), ("delivered", "resolved"))

    def test_order_is_kept_when_rows_are_armed_again(self):
        """An older row of a later event must not overtake a newer one of an earlier."""
        first = self.record(1, aggregate="invoice/7")
        second = self.record(1, PAID, aggregate="invoice/7")
        third = self.record(1, aggregate="invoice/7")
        dead = self.deliver(second, "dead")
        parked = self.deliver(third, "parked")
        replay = self.started()
        self.work()
        rows = self.rows(replay)
        self.assertEqual(rows.mapped("event_id.id"), (first | second | third).ids)
        self.assertEqual(dead.state, "cancelled", "a new row took its place")
        self.assertEqual(parked.state, "cancelled")
        self.send()
        self.assertEqual(
            [event["id"] for event in self.sink.events],
            (first | second | third).mapped("event_id"),
        )

    def test_order_across_chunks(self):
        """The same, where the chunks are one event each."""
        first = self.record(1, aggregate="invoice/7")
        second = self.record(1, PAID, aggregate="invoice/7")
        self.deliver(second, "dead")
        with patch.object(constants, "REPLAY_CHUNK", 1):
            replay = self.started()
            self.work()
        self.assertEqual(self.rows(replay).mapped("event_id.id"), (first | second).ids)

    def test_armed_rows_stay_where_order_allows(self):
        first = self.record(1, aggregate="invoice/7")
        second = self.record(1, PAID, aggregate="invoice/7")
        dead = self.deliver(first, "dead")
        parked = self.deliver(second, "parked")
        replay = self.started()
        self.work()
        self.assertEqual(self.rows(replay), dead | parked)
        self.send()
        self.assertEqual(
            [event["id"] for event in self.sink.events],
            (first | second).mapped("event_id"),
        )

    def test_a_failure_parks_the_rest_of_its_document(self):
        events = self.record(3, aggregate="invoice/7")
        other = self.record(1)
        # Which of the two documents arrives first is left to chance; and the receiver
        # is another thread, which must not read records.
        wanted = other.event_id.encode()
        self.sink.answers = [
            lambda _headers, body: (200 if wanted in body else 500, {})
        ]
        replay = self.started()
        self.work()
        self.send()
        self.later(minutes=1)
        self.send()
        states = {row.event_id: row.state for row in self.rows(replay)}
        self.assertEqual([states[e] for e in events], ["dead", "parked", "parked"])
        self.assertEqual(states[other], "delivered")
        self.work()
        self.assertEqual(
            (replay.state, replay.delivered, replay.failed), ("done", 1, 3)
        )

    def test_what_was_parked_outside_of_it_follows(self):
        """Only the first is chosen; what waited behind it goes once it has arrived."""
        events = self.record(3, aggregate="invoice/7")
        self.deliver(events[0], "dead")
        parked = self.deliver(events[1:], "parked")
        replay = self.started(event_ids=[(6, 0, events[0].ids)])
        self.work()
        self.assertEqual(set(parked.mapped("state")), {"parked"})
        self.send()
        self.work()
        self.assertEqual(replay.state, "done")
        self.assertEqual(set(parked.mapped("state")), {"waiting"})
        self.send("standard")
        self.assertEqual(
            [event["id"] for event in self.sink.events], events.mapped("event_id")
        )

    def test_what_fails_again_keeps_its_place(self):
        events = self.record(2, aggregate="invoice/7")
        dead = self.deliver(events[0], "dead")
        parked = self.deliver(events[1], "parked")
        self.sink.answers = [status(500)]
        replay = self.started(event_ids=[(6, 0, events[0].ids)])
        self.work()
        self.send()
        self.work()
        self.assertEqual((replay.state, replay.failed), ("done", 1))
        self.assertEqual((dead.state, parked.state), ("dead", "parked"))
        self.assertFalse(dead.replay_id, "it is of the ordinary stream again")

    # === PACE === #

    def test_rate_spreads_what_is_due(self):
        self.set_clock(clock.now())
        self.record(21)
        with patch.object(constants, "REPLAY_CHUNK", 8):
            replay = self.started(rate=10)
            self.work()
        rows = self.rows(replay)
        gaps = {
            round((b.due_at - a.due_at).total_seconds(), 3) for a, b in pairwise(rows)
        }
        self.assertEqual(gaps, {0.1})
        self.assertEqual(set(rows.mapped("lane")), {"bulk"})
        self.assertEqual(self.send().delivered, 1, "the others are not due")
        self.later(seconds=1)
        self.assertGreaterEqual(self.send().delivered, 5)

    def test_made_shortly_before_they_are_due(self):
        """However many there are, few rows wait."""
        self.set_clock(clock.now())
        self.record(40)
        with (
            patch.object(constants, "REPLAY_CHUNK", 5),
            patch.object(constants, "REPLAY_LEAD", timedelta(seconds=10)),
        ):
            replay = self.started(rate=1)
            self.work()
            self.assertEqual(len(self.rows(replay)), 15)
            jobs = self.env["queue.job"].search([("method_name", "=", "_job_run")])
            self.assertTrue(jobs.filtered("eta"), "and the job comes again")
            self.work()
            self.assertEqual(len(self.rows(replay)), 15)
            self.later(seconds=15)
            self.work()
            self.assertGreater(len(self.rows(replay)), 15)

    def test_a_receiver_that_lags_gets_no_more(self):
        self.record(40)
        with (
            patch.object(constants, "REPLAY_CHUNK", 5),
            patch.object(constants, "REPLAY_MIN_BACKLOG", 10),
            patch.object(constants, "REPLAY_LEAD", timedelta(milliseconds=5)),
        ):
            replay = self.started()
            for minute in range(1, 6):
                self.later(minutes=minute)
                self.work()
            self.assertEqual(len(self.rows(replay)), 10)
            self.send()
            self.work()
            self.assertGreater(len(self.rows(replay)), 10)

    def test_live_events_do_not_wait(self):
        """Of the same document, while its replay is on its way."""
        invoice = self.make_invoice()
        self.dispatch()
        self.set_clock(clock.now())
        self.record(20)
        replay = self.started(rate=1, with_delivered=True)
        self.work()
        self.assertEqual(len(self.rows(replay)), 21)
        self.sink.requests.clear()
        invoice.button_draft()
        self.assertEqual(self.dispatch().delivered, 1)
        self.assertIn("reset_to_draft", self.sink.events[0]["type"])
        waiting = self.rows(replay).filtered(lambda row: row.state == "waiting")
        self.assertEqual(len(waiting), 21)

    def test_batches_are_collected(self):
        self.endpoint.subscription_ids.write(
            {"delivery_mode": "micro_batch", "content_mode": "batched"}
        )
        events = self.record(5)
        replay = self.started()
        self.work()
        self.assertFalse(any(self.rows(replay).mapped("due_at")))
        self.later(hours=1)
        self.send("standard")
        self.assertEqual(len(self.sink.requests), 1)
        self.assertEqual(
            [event["id"] for event in self.sink.events[0]], events.mapped("event_id")
        )
        self.work()
        self.assertEqual((replay.state, replay.delivered), ("done", 5))

    # === STOP AND GO === #

    def test_pause_holds_back_and_resume_goes_on(self):
        self.set_clock(clock.now())
        self.record(30)
        with (
            patch.object(constants, "REPLAY_CHUNK", 10),
            patch.object(constants, "REPLAY_LEAD", timedelta(seconds=1)),
        ):
            replay = self.started(rate=10)
            self.work()
            self.assertEqual(replay.enqueued, 20)
            replay.action_pause()
            self.later(hours=1)
            self.work()
            self.assertEqual(self.send().delivered, 0)
            self.assertEqual(replay.enqueued, 20, "nothing is made either")
            self.set_clock(clock.now())
            replay.with_user(self.approver).action_resume()
            rows = self.rows(replay)
            dues = rows.mapped("due_at")
            self.assertEqual(dues, sorted(dues))
            self.assertEqual((dues[-1] - dues[0]).total_seconds(), 1.9)
            self.later(hours=2)
            self.work()
            self.assertTrue(replay.all_made)
        self.later(hours=3)
        self.send()
        self.work()
        self.assertEqual((replay.state, replay.delivered), ("done", 30))
        ids = [event["id"] for event in self.sink.events]
        self.assertEqual(len(set(ids)), len(ids), "none twice")

    def test_cancel_leaves_things_as_they_were(self):
        unsent = self.record(2)
        given_up = self.record(2, aggregate="invoice/7")
        dead = self.deliver(given_up[0], "dead")
        exception = self.env["finance.exception"]._open(
            "T-DEADLETTER",
            company=self.company,
            record=self.endpoint,
            fingerprint="test",
            summary="test",
            cause="test",
        )
        dead.exception_id = exception
        parked = self.deliver(given_up[1], "parked")
        replay = self.started(rate=1)
        self.work()
        self.assertEqual(replay.waiting, 4)
        replay.action_cancel()
        self.env.invalidate_all()
        self.assertEqual(replay.state, "cancelled")
        self.assertEqual((dead.state, parked.state), ("dead", "parked"))
        self.assertFalse(dead.replay_id or parked.replay_id)
        self.assertEqual(set(unsent.delivery_ids.mapped("state")), {"cancelled"})
        self.later(hours=1)
        self.work()
        self.assertEqual(self.send().delivered, 0)
        with self.assertRaises(UserError):
            replay.action_resume()

    def test_an_error_stops_it_and_asks(self):
        self.record(5)
        replay = self.started()
        with (
            patch.object(Selection, "pairs", side_effect=ValueError("broken")),
            mute_logger("odoo.addons.finance_hub.models.outbox.finance_replay_run"),
        ):
            self.work()
        self.assertEqual((replay.state, replay.problem), ("paused", "broken"))
        exception = self.env["finance.exception"].search([("res_id", "=", replay.id)])
        self.assertEqual(exception.code, "T-INTERNAL")
        replay.action_resume()
        self.work()
        self.assertEqual(replay.enqueued, 5)

    def test_a_crash_loses_nothing_and_doubles_nothing(self):
        """The process ends after a chunk's deliveries, before its place is written."""
        events = self.record(10)
        replay = self.started()
        model = type(replay)
        original = model.write
        writes = []

        def write(records, vals):
            if "cursor_event_id" in vals:
                writes.append(vals)
                if len(writes) == 2:
                    records.env.cr.execute(
                        "SELECT count(*) FROM finance_delivery WHERE replay_id = %s",
                        [records.id],
                    )
                    writes.append(records.env.cr.fetchone()[0])
                    raise SystemExit("killed")
            return original(records, vals)

        with (
            patch.object(constants, "REPLAY_CHUNK", 4),
            patch.object(model, "write", write),
            # Odoo's own assertRaises would take back the first chunk, too.
            suppress(SystemExit),
        ):
            self.work()
            self.fail("it was not killed")
        self.assertEqual(writes[2], 8, "the deliveries of the chunk were there")
        self.env.invalidate_all()
        self.assertEqual(len(self.rows(replay)), 4)
        self.work_off(replay)
        self.assertEqual(self.rows(replay).mapped("event_id.id"), events.ids)

    def test_chunks_that_end_with_the_last_event(self):
        """However the last chunk falls, it is over when all are made."""
        events = self.record(4)
        for values in ({}, {"event_ids": [(6, 0, events.ids)]}):
            with patch.object(constants, "REPLAY_CHUNK", 2):
                replay = self.started(with_delivered=True, **values)
                self.work()
            self.assertTrue(replay.all_made)
            self.assertEqual(self.rows(replay).event_id, events)
            self.rows(replay).state = "delivered"

    def test_the_sweep_finds_a_lost_job(self):
        jobs = self.env["queue.job"]
        domain = [("method_name", "=", "_job_run"), ("state", "=", "pending")]
        self.env["finance.replay"]._cron_sweep()
        self.assertFalse(jobs.search(domain))
        self.record(2)
        self.started()
        self.env["finance.replay"]._cron_sweep()
        self.env["finance.replay"]._cron_sweep()
        job = jobs.search(domain)
        self.assertEqual(len(job), 1)
        self.assertEqual(job.channel, "root.finance_hub.replay")

    def test_replays_take_turns(self):
        first, second = self.record(6), self.record(6, PAID)
        with patch.object(constants, "REPLAY_CHUNK", 2):
            one = self.started(patterns="finance.invoice.posted")
            two = self.started(patterns="finance.invoice.paid")
            self.work()
        rows = (self.rows(one) | self.rows(two)).sorted("id")
        self.assertEqual(
            [row.replay_id for row in rows[:4]], [one.id] * 2 + [two.id] * 2
        )
        self.assertEqual(self.rows(one).event_id, first)
        self.assertEqual(self.rows(two).event_id, second)

    def test_progress(self):
        self.set_clock(clock.now())
        self.record(20)
        replay = self.started(rate=1)
        self.work()
        self.later(seconds=10)
        self.send()
        self.env.invalidate_all()
        self.assertGreaterEqual(replay.delivered, 10)
        self.assertAlmostEqual(replay.percent, 100 * replay.delivered / 20)
        self.assertEqual(replay.waiting, 20 - replay.delivered)
        self.assertGreater(replay.expected_end_at, clock.naive_now())
        self.assertAlmostEqual(replay.measured_rate, 1.1, delta=0.3)
        action = replay.action_open_deliveries()
        self.assertEqual(
            self.env["finance.delivery"].search_count(action["domain"]), 20
        )

    def test_it_stands_in_the_timeline(self):
        event = self.record()
        replay = self.started()
        self.work()
        steps = self.env["finance.trace.step"].search(
            [("correlation_id", "=", event.correlation_id)]
        )
        step = steps.filtered(lambda s: s.kind == "replay")
        self.assertEqual((step.res_model, step.res_id), ("finance.replay", replay.id))
        self.assertIn("The receiver lost its data", step.label)
        self.assertEqual(len(set(steps.ids)), len(steps))


@tagged("post_install", "-at_install")
class TestBackfill(ReplayCase):
    """cap 28: a new subscriber gets what happened before it came."""

    def setUp(self):
        super().setUp()
        self.endpoint.subscription_ids.patterns = "finance.invoice.*"

    def forget(self, records):
        """Take away the events of documents, as if the hub had not been there."""
        events = self.events_of(records)
        self.env.cr.execute("SET LOCAL finance_hub.purge = 'on'")
        self.env.cr.execute(
            "DELETE FROM finance_delivery WHERE event_id = ANY(%s)", [events.ids]
        )
        self.env.cr.execute(
            "DELETE FROM finance_event WHERE id = ANY(%s)", [events.ids]
        )
        self.env.cr.execute("SET LOCAL finance_hub.purge = 'off'")
        self.env.invalidate_all()

    def pay(self, invoice):
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=invoice.ids
        ).create({"journal_id": self.journal.id}).action_create_payments()
        self.end_transaction()

    def test_from_the_outbox(self):
        """What happened before the subscription, in order, and nothing twice."""
        events = self.record(5, aggregate="invoice/7")
        seen = self.record(2)
        self.deliver(seen)
        lost = self.record(1)
        self.deliver(lost, "dead")
        replay = self.started(kind="backfill", with_delivered=True)
        self.assertEqual(replay.total, 5)
        self.work()
        self.send()
        self.assertEqual(
            [event["id"] for event in self.sink.events], events.mapped("event_id")
        )
        self.work()
        self.assertEqual((replay.state, replay.delivered), ("done", 5))
        again = self.replay(kind="backfill")
        again.action_count()
        self.assertEqual(again.total, 0)

    def test_documents_from_before(self):
        old, paid, draft = (
            self.make_invoice(100.0),
            self.make_invoice(200.0),
            self.make_invoice(post=False),
        )
        self.end_transaction()
        self.pay(paid)
        self.forget(old | paid | draft)
        recent = self.make_invoice(300.0)
        self.assertEqual(self.verbs_of(recent), ["posted"])
        replay = self.replay(kind="backfill", with_documents=True)
        replay.action_count()
        posted = max(n for n in EVENT_TYPES if n.startswith("finance.invoice.posted"))
        known = self.env["account.move"].search_count(
            [
                ("move_type", "=", "out_invoice"),
                ("state", "=", "posted"),
                ("company_id", "=", self.company.id),
                ("id", "!=", recent.id),
            ]
        )
        self.assertEqual(replay.counts["documents"][posted], known)
        self.assertTrue(replay.needs_approval)
        replay.action_request_approval()
        replay.with_user(self.approver).action_approve()
        with patch.object(constants, "REPLAY_DOCUMENT_CHUNK", 1):
            self.work_off(replay)
        self.assertEqual(replay.enqueued, replay.total + replay.document_total)
        self.assertEqual(self.verbs_of(old), ["posted"])
        self.assertEqual(self.verbs_of(paid), ["posted", "paid"])
        self.assertFalse(self.events_of(draft))
        self.later(hours=1)
        self.send()
        of_paid = [
            event["type"].split(".")[2]
            for event in self.sink.events
            if event["subject"] == f"invoice/{paid.id}"
        ]
        self.assertEqual(of_paid, ["posted", "paid"])
        self.assertNotIn(
            f"invoice/{recent.id}", [event["subject"] for event in self.sink.events]
        )
        again = self.replay(kind="backfill", with_documents=True)
        again.action_count()
        self.assertEqual(again.total + again.document_total, 0)

    def test_documents_by_date(self):
        january = self.make_invoice()
        february = self.make_invoice(invoice_date="2026-02-10", date="2026-02-10")
        self.end_transaction()
        self.forget(january | february)
        replay = self.started(
            kind="backfill",
            with_documents=True,
            occurred_from="2026-02-01 00:00:00",
            occurred_to="2026-03-01 00:00:00",
        )
        self.work_off(replay)
        self.assertIn(february.id, self.rows(replay).event_id.mapped("res_id"))
        self.assertFalse(self.events_of(january))

    def test_documents_survive_a_crash(self):
        """Events and deliveries of a chunk are one transaction with its place."""
        invoices = self.env["account.move"].union(
            *(self.make_invoice() for _i in range(4))
        )
        self.end_transaction()
        self.forget(invoices)
        replay = self.started(kind="backfill", with_documents=True)
        model = type(replay)
        original = model.write
        writes = []

        def write(records, vals):
            if "cursor_document" in vals:
                writes.append(vals)
                if len(writes) == 2:
                    raise SystemExit("killed")
            return original(records, vals)

        with (
            patch.object(constants, "REPLAY_DOCUMENT_CHUNK", 1),
            patch.object(model, "write", write),
            # Odoo's own assertRaises would take back the first chunk, too.
            suppress(SystemExit),
        ):
            self.work()
            self.fail("it was not killed")
        self.env.invalidate_all()
        made = len(self.rows(replay))
        self.assertEqual(made, 1)
        self.work_off(replay)
        for invoice in invoices:
            self.assertEqual(self.verbs_of(invoice), ["posted"])
            self.assertEqual(
                len(self.events_of(invoice).delivery_ids.filtered("replay_id")), 1
            )

    def test_documents_of_other_companies_are_not_read(self):
        other = self.env["res.company"].create({"name": "Elsewhere"})
        replay = self.replay(kind="backfill", with_documents=True).sudo()
        records, domain = replay._document_source(POSTED)
        self.assertEqual(records._name, "account.move")
        before = records.search_count(domain)
        self.make_invoice()
        self.end_transaction()
        self.assertEqual(records.search_count(domain), before, "it has its event")
        elsewhere = self.env["finance.replay"].new({"company_id": other.id})
        records, domain = elsewhere._document_source(POSTED)
        self.assertEqual(records.search_count(domain), 0)

    def test_what_can_not_be_told_is_left_out(self):
        replay = self.replay(kind="backfill", with_documents=True).sudo()
        self.assertIsNone(
            replay._document_source(
                max(n for n in EVENT_TYPES if ".reset_to_draft." in n)
            )
        )
