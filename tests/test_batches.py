import csv
import hashlib
import io
import json
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from email import message_from_bytes
from unittest.mock import patch

from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from standardwebhooks import Webhook

from odoo.exceptions import UserError
from odoo.tests import tagged

from ..models import clock, constants
from ..models.outbox import body
from .common import FinanceHubCommon, ok, status

NOON = datetime(2026, 3, 10, 12, tzinfo=timezone.utc)
SECRET = "whsec_" + "A" * 32


class BatchCase(FinanceHubCommon):
    """A subscription that gets its events together."""

    VALUES = {
        "content_mode": "batched",
        "delivery_mode": "micro_batch",
        "batch_count": 4,
        "batch_seconds": 60,
    }

    def setUp(self):
        super().setUp()
        self.sink = self.receiver()
        self.at(0)
        self.endpoint = self.make_endpoint(self.sink.url, retry_schedule="0, 60")
        self.endpoint.credential_id._set_secret(SECRET)
        self.subscription = self.endpoint.subscription_ids
        self.subscription.write({"patterns": "finance.invoice.*", **self.VALUES})

    def at(self, seconds):
        self.set_clock(NOON + timedelta(seconds=seconds))

    def dispatch(self, lane="standard"):
        return self.run_lane(lane)[0]

    def make_events(self, count):
        invoices = [self.make_invoice(100 + number) for number in range(count)]
        self.end_transaction()
        return invoices

    @property
    def batches(self):
        return self.env["finance.batch"].search(
            [("subscription_id", "=", self.subscription.id)], order="number"
        )

    @property
    def deliveries(self):
        return self.env["finance.delivery"].search(
            [("endpoint_id", "=", self.endpoint.id)], order="id"
        )

    def sent(self):
        """Return the ids of the documents in each request."""
        return [
            [int(event["subject"].split("/")[1]) for event in events]
            for events in self.sink.events
        ]

    def refuse(self, invoice, code=422):
        """Have the receiver refuse whatever names a document."""

        def answer(_headers, content):
            named = f'"invoice/{invoice.id}"'.encode() in content
            return (code if named else 200), {}

        self.sink.answers = [answer]


@tagged("post_install", "-at_install")
class TestMicroBatches(BatchCase):
    """cap 18, 28: several events in one request."""

    def test_by_count(self):
        invoices = self.make_events(9)
        statistics, wake = self.run_lane()
        self.assertEqual(statistics.delivered, 8)
        ids = [invoice.id for invoice in invoices]
        self.assertEqual(self.sent(), [ids[:4], ids[4:8]])
        self.assertEqual(self.batches.mapped("number"), [1, 2])
        self.assertEqual(set(self.batches.mapped("state")), {"delivered"})
        self.assertEqual(self.deliveries[-1].state, "waiting")
        self.assertEqual(wake, NOON + timedelta(seconds=60))

    def test_by_time(self):
        self.make_events(2)
        self.assertEqual(self.dispatch().delivered, 0)
        # Well before: what is due within a moment, a run waits for.
        self.at(50)
        self.assertEqual(self.dispatch().delivered, 0)
        self.at(60)
        self.assertEqual(self.dispatch().delivered, 2)
        self.assertEqual(len(self.sink.requests), 1)
        self.assertEqual(set(self.deliveries.mapped("attempt_count")), {1})

    def test_verified_by_the_libraries_of_others(self):
        invoices = self.make_events(4)
        self.dispatch()
        headers, content = self.sink.requests[0]
        batch = self.batches
        self.assertEqual(headers["webhook-id"], batch.batch_key)
        self.assertEqual(
            headers["Content-Type"], "application/cloudevents-batch+json; charset=utf-8"
        )
        Webhook(SECRET).verify(content, headers)
        # The library has no batches: each element is a structured event (section 3.3).
        single = {"content-type": "application/cloudevents+json"}
        events = [
            from_structured_event(HTTPMessage(single, json.dumps(element).encode()))
            for element in json.loads(content)
        ]
        self.assertEqual(
            [event.get_subject() for event in events],
            [f"invoice/{invoice.id}" for invoice in invoices],
        )
        self.assertEqual(events[0].get_data()["number"], invoices[0].name)
        attempt = batch.attempt_ids
        self.assertEqual((attempt.outcome, attempt.body_check), ("delivered", "same"))

    def test_retry_sends_the_same(self):
        self.sink.answers = [status(500), ok]
        self.make_events(4)
        self.dispatch()
        batch = self.batches
        self.assertEqual((batch.state, batch.attempt_count), ("waiting", 1))
        self.make_events(4)
        self.dispatch()
        self.assertEqual(len(self.sink.requests), 1, "the next ones keep behind")
        self.endpoint.invalidate_recordset()
        self.assertEqual(self.endpoint.waiting_count, 8, "in a batch or not yet")
        self.at(100)
        self.dispatch()
        first, second, third = self.sink.requests
        self.assertEqual(first[1], second[1])
        self.assertEqual(first[0]["webhook-id"], second[0]["webhook-id"])
        self.assertNotEqual(second[1], third[1])

    # === WHAT CAN'T BE TAKEN === #

    def test_the_one_that_is_refused_is_found_and_the_others_arrive(self):
        self.endpoint.dead_on_client_error = True
        invoices = self.make_events(4)
        self.refuse(invoices[1])
        self.dispatch()
        states = dict(zip(invoices, self.deliveries.mapped("state"), strict=True))
        self.assertEqual(states.pop(invoices[1]), "dead")
        self.assertEqual(set(states.values()), {"delivered"})
        ids = [invoice.id for invoice in invoices]
        self.assertEqual(self.sent(), [ids, ids[:2], ids[:1], ids[1:2], ids[2:]])
        self.assertEqual(
            sorted(self.batches.mapped("state")),
            ["dead", "delivered", "delivered", "split", "split"],
        )
        dead = self.batches.filtered(lambda batch: batch.state == "dead")
        self.assertEqual(dead.exception_id.code, "T-DEADLETTER")
        self.assertEqual(dead.delivery_ids.exception_id, dead.exception_id)

    def test_the_log_shows_what_was_sent_before_it_was_split(self):
        invoices = self.make_events(4)
        self.refuse(invoices[3])
        self.dispatch()
        checks = self.env["finance.attempt"].search([]).mapped("body_check")
        self.assertEqual(set(checks), {"same"})

    def test_order_through_halves_of_halves(self):
        """Sent in the order of the events, however often they are cut."""
        self.subscription.batch_count = 8
        invoices = self.make_events(8)
        self.refuse(invoices[0])
        self.dispatch()
        arrived = [
            sent
            for sent, answered in zip(
                self.sent(),
                self.env["finance.attempt"].search([], order="id").mapped("status"),
                strict=True,
            )
            if answered == 200
        ]
        flat = [invoice_id for sent in arrived for invoice_id in sent]
        self.assertEqual(flat, sorted(flat))

    def test_what_follows_a_refused_one_is_parked(self):
        """Of the same document, and in a half that has not left yet."""
        self.endpoint.dead_on_client_error = True
        poisoned = self.make_invoice()
        self.end_transaction()
        self.make_events(1)
        poisoned.button_draft()
        self.end_transaction()
        self.make_events(1)
        original = poisoned.id

        def answer(_headers, content):
            posted = any(
                event["subject"] == f"invoice/{original}" and "posted" in event["type"]
                for event in json.loads(content)
            )
            return (422 if posted else 200), {}

        self.sink.answers = [answer]
        self.dispatch()
        states = self.deliveries.mapped("state")
        self.assertEqual(states, ["dead", "delivered", "parked", "delivered"])
        self.assertFalse(self.deliveries[2].batch_id)
        self.sink.answers = [ok]
        dead = self.batches.filtered(lambda batch: batch.state == "dead")
        dead.with_user(self.users["operator"]).action_retry()
        self.at(61)
        self.dispatch()
        self.at(122)
        self.dispatch()
        self.assertEqual(set(self.deliveries.mapped("state")), {"delivered"})
        self.assertEqual(dead.exception_id.state, "resolved")
        kinds = [
            event["type"].split(".")[2]
            for events in self.sink.events
            for event in events
            if event["subject"] == f"invoice/{original}"
        ]
        self.assertEqual(kinds[-2:], ["posted", "reset_to_draft"])

    def test_collected_behind_one_that_was_given_up(self):
        """More of them than a batch has events: they keep nobody else."""
        self.endpoint.dead_on_client_error = True
        self.subscription.batch_count = 1
        poisoned = self.make_events(1)[0]
        self.refuse(poisoned)
        self.dispatch()
        self.sink.answers = [ok]
        for _index in range(3):
            poisoned.button_draft()
            self.end_transaction()
            poisoned.action_post()
            self.end_transaction()
        fine = self.make_events(1)[0]
        self.dispatch()
        self.assertEqual(self.sent()[-1], [fine.id])
        parked = self.deliveries.filtered(lambda d: d.state == "parked")
        self.assertGreaterEqual(len(parked), 3)
        self.deliveries[0].exception_id.with_user(self.users["operator"])._cancel("no")
        self.dispatch()
        self.assertEqual(set(parked.mapped("state")), {"delivered"})

    def test_an_event_that_cannot_be_written_does_not_block_the_lane(self):
        invoices = self.make_events(4)
        original = body.structured

        def structured(row, form, version):
            if row["subject"] == f"invoice/{invoices[2].id}":
                raise KeyError("anything")
            return original(row, form, version)

        with (
            patch.object(body, "structured", structured),
            self.assertLogs("odoo.addons.finance_hub", "ERROR"),
        ):
            statistics = self.dispatch()
        self.env.invalidate_all()
        self.assertEqual(statistics.delivered, 3)
        broken = self.deliveries[2]
        self.assertEqual(broken.state, "dead")
        self.assertEqual(broken.exception_id.code, "D-SCHEMA")
        self.assertEqual(self.batches.event_count, 3)

    # === PEOPLE === #

    def test_a_dead_batch_is_retried_from_its_exception(self):
        self.endpoint.retry_schedule = "0"
        self.sink.answers = [status(500), ok]
        self.make_events(4)
        self.dispatch()
        batch = self.batches
        self.assertEqual(batch.state, "dead")
        exception = batch.exception_id
        self.assertEqual(exception.occurrences, 4)
        self.assertTrue(exception.can_retry)
        exception.with_user(self.users["operator"]).action_retry()
        self.dispatch()
        self.assertEqual((batch.state, exception.state), ("delivered", "resolved"))
        self.assertEqual(self.sink.requests[0][1], self.sink.requests[1][1])

    def test_a_delivery_of_a_dead_batch_goes_with_it(self):
        self.endpoint.retry_schedule = "0"
        self.sink.answers = [status(500), ok]
        self.make_events(4)
        self.dispatch()
        self.deliveries[1].with_user(self.users["operator"]).action_retry()
        self.assertEqual(self.batches.state, "waiting")
        self.dispatch()
        self.assertEqual(set(self.deliveries.mapped("state")), {"delivered"})

    def test_cancelling(self):
        self.sink.answers = [status(500), ok]
        self.make_events(4)
        self.dispatch()
        self.batches.with_user(self.users["operator"]).action_cancel()
        self.assertEqual(set(self.deliveries.mapped("state")), {"cancelled"})
        with self.assertRaises(UserError):
            self.batches.with_user(self.users["operator"]).action_cancel()
        with self.assertRaises(UserError):
            self.batches.with_user(self.users["operator"]).action_retry()
        self.at(100)
        self.assertEqual(self.dispatch().delivered, 0)

    def test_one_that_is_cancelled_leaves_its_batch(self):
        self.sink.answers = [status(500), ok]
        invoices = self.make_events(4)
        self.dispatch()
        self.deliveries[1].with_user(self.users["operator"]).action_cancel()
        self.assertEqual(self.batches.event_count, 3)
        self.at(100)
        self.dispatch()
        expected = [invoice.id for invoice in invoices if invoice != invoices[1]]
        self.assertEqual(self.sent()[-1], expected)
        self.assertEqual(self.deliveries[1].state, "cancelled")

    # === CHANGES MEANWHILE === #

    def test_archived_with_events_collected(self):
        """They leave, as single events do; nothing spins, nothing stays."""
        self.make_events(2)
        self.subscription.active = False
        _statistics, wake = self.run_lane()
        self.assertEqual(wake, NOON + timedelta(seconds=60))
        self.at(60)
        statistics, wake = self.run_lane()
        self.assertEqual(statistics.delivered, 2)
        self.assertFalse(wake)

    def test_suspended_in_the_middle_of_a_run(self):
        """No batch is formed or sent once the endpoint is suspended."""
        self.sink.answers = [status(410)]
        self.make_events(8)
        self.dispatch()
        self.assertEqual(self.endpoint.state, "suspended")
        self.assertEqual((len(self.sink.requests), len(self.batches)), (1, 1))


@tagged("post_install", "-at_install")
class TestBatchFiles(BatchCase):
    """cap 28: a file with a manifest, on a schedule."""

    VALUES = {
        "delivery_mode": "batch_file",
        "file_format": "jsonl",
        "file_interval_number": 1,
        "file_interval_type": "days",
        "file_next_at": clock.naive(NOON),
    }

    def parts(self, number=-1):
        """Return {part: (headers, bytes)} of a request."""
        headers, content = self.sink.requests[number]
        # The library reads JSON only; its signature is that of any bytes.
        timestamp = datetime.fromtimestamp(
            int(headers["webhook-timestamp"]), timezone.utc
        )
        self.assertIn(
            Webhook(SECRET).sign(
                headers["webhook-id"], timestamp, content.decode("utf-8")
            ),
            headers["webhook-signature"].split(),
        )
        message = message_from_bytes(
            b"Content-Type: " + headers["Content-Type"].encode() + b"\r\n\r\n" + content
        )
        return {
            part.get_param("name", header="Content-Disposition"): (
                part,
                part.get_payload(decode=True),
            )
            for part in message.get_payload()
        }

    def test_jsonl_with_manifest(self):
        invoices = self.make_events(3)
        self.dispatch()
        parts = self.parts()
        manifest = json.loads(parts["manifest"][1])
        part, content = parts["file"]
        self.assertEqual(
            hashlib.sha256(content).hexdigest(), manifest["file"]["sha256"]
        )
        self.assertEqual(len(content), manifest["file"]["size"])
        self.assertEqual(part.get_filename(), manifest["file"]["name"])
        events = [json.loads(line) for line in content.splitlines()]
        self.assertEqual(
            [event["data"]["number"] for event in events],
            [invoice.name for invoice in invoices],
        )
        self.assertEqual((manifest["count"], manifest["sequence"]), (3, 1))
        total = sum(Decimal(event["data"]["total_amount"]) for event in events)
        self.assertIn(
            total,
            [
                Decimal(value)
                for row in manifest["control_totals"]
                for value in row.values()
                if str(value).replace(".", "").replace("-", "").isdigit()
            ],
        )
        self.assertEqual(set(self.deliveries.mapped("state")), {"delivered"})
        following = clock.naive(NOON + timedelta(days=1))
        self.assertEqual(self.subscription.file_next_at, following)

    def test_csv(self):
        self.subscription.file_format = "csv"
        invoices = self.make_events(2)
        self.dispatch()
        content = self.parts()["file"][1].decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(content)))
        self.assertEqual(
            [row["subject"] for row in rows],
            [f"invoice/{invoice.id}" for invoice in invoices],
        )

    def test_an_empty_file_says_that_nothing_happened(self):
        self.dispatch()
        parts = self.parts()
        self.assertEqual(json.loads(parts["manifest"][1])["count"], 0)
        self.assertEqual(parts["file"][1], b"")
        self.assertEqual(
            (self.batches.state, self.batches.event_count), ("delivered", 0)
        )

    def test_an_empty_file_that_is_given_up(self):
        """It has no event on which its exception could hang."""
        self.endpoint.retry_schedule = "0"
        self.sink.answers = [status(500), ok]
        self.dispatch()
        exception = self.batches.exception_id
        self.assertEqual((self.batches.state, exception.is_open), ("dead", True))
        self.assertTrue(exception.can_retry)
        exception.with_user(self.users["operator"]).action_retry()
        self.dispatch()
        self.assertEqual(
            (self.batches.state, exception.state), ("delivered", "resolved")
        )

    def test_not_before_its_time(self):
        self.subscription.file_next_at = clock.naive(NOON + timedelta(minutes=5))
        self.make_events(1)
        statistics, wake = self.run_lane()
        self.assertEqual(statistics.delivered, 0)
        self.assertEqual(wake, NOON + timedelta(minutes=5))
        self.at(300)
        self.assertEqual(self.dispatch().delivered, 1)
        self.at(400)
        self.make_events(1)
        self.assertEqual(self.dispatch().delivered, 0)

    def test_after_a_long_rest_there_is_one_file(self):
        self.subscription.file_next_at = clock.naive(NOON - timedelta(days=30))
        self.make_events(1)
        self.dispatch()
        self.assertEqual(len(self.batches), 1)
        self.assertGreater(self.subscription.file_next_at, clock.naive(NOON))

    def test_more_than_fit_into_one(self):
        with patch.object(constants, "BATCH_FILE_MAX_EVENTS", 2):
            self.make_events(5)
            self.dispatch()
        self.assertEqual(self.batches.mapped("event_count"), [2, 2, 1])
        names = self.batches.attachment_id.mapped("name")
        self.assertEqual(len(set(names)), 3)
        self.assertEqual(set(self.batches.mapped("state")), {"delivered"})

    def test_a_retry_sends_the_same_bytes(self):
        self.sink.answers = [status(500), ok]
        self.make_events(2)
        self.dispatch()
        self.subscription.write({"mask_personal": True, "file_format": "csv"})
        self.at(100)
        self.dispatch()
        self.assertEqual(self.sink.requests[0][1], self.sink.requests[1][1])
        self.assertEqual(set(self.batches.attempt_ids.mapped("body_check")), {"same"})

    def test_a_file_is_never_split(self):
        self.sink.answers = [status(422)]
        self.make_events(2)
        self.dispatch()
        self.assertEqual(self.batches.mapped("state"), ["waiting"])

    def test_nothing_is_taken_out_of_a_file(self):
        self.sink.answers = [status(500), ok]
        self.make_events(2)
        self.dispatch()
        with self.assertRaisesRegex(UserError, "Cancel the whole batch"):
            self.deliveries[0].with_user(self.users["operator"]).action_cancel()
        self.deliveries[0].with_user(self.users["operator"]).action_retry()
        self.assertTrue(self.deliveries[0].batch_id)
        self.dispatch()
        self.assertEqual(self.sink.requests[0][1], self.sink.requests[1][1])

    def test_a_file_that_is_missing_is_not_sent_empty(self):
        self.sink.answers = [status(500), ok]
        self.make_events(2)
        self.dispatch()
        self.batches.attachment_id.sudo().raw = b"not what it was"
        self.at(100)
        with self.assertLogs("odoo.addons.finance_hub", "ERROR"):
            self.dispatch()
        self.env.invalidate_all()
        self.assertEqual(len(self.sink.requests), 1)
        self.assertEqual(self.batches.state, "dead")
        self.assertEqual(self.batches.exception_id.code, "T-INTERNAL")
        self.assertEqual(set(self.deliveries.mapped("state")), {"dead"})

    def test_archived(self):
        """A last file with what was collected; no empty ones for ever."""
        self.make_events(1)
        self.subscription.active = False
        self.assertEqual(self.dispatch().delivered, 1)
        self.at(10 * 24 * 3600)
        _statistics, wake = self.run_lane()
        self.assertEqual(len(self.batches), 1)
        self.assertFalse(wake)
