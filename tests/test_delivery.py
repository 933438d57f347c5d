import json
from datetime import datetime, timedelta, timezone
from unittest.mock import patch

from psycopg2 import errors
from standardwebhooks import Webhook, WebhookVerificationError

from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import SQL, mute_logger

from ..models import constants
from ..models.outbox import body
from ..models.outbox.dispatcher import Dispatcher
from .common import FinanceHubCommon, status


@tagged("post_install", "-at_install")
class TestDelivery(FinanceHubCommon):
    """cap 27, 70, 96: deliveries arrive signed, in order, or end with a person."""

    def setUp(self):
        super().setUp()
        self.sink = self.receiver()
        self.endpoint = self.make_endpoint(self.sink.url, retry_schedule="0, 60, 600")

    def delivery_of(self, record):
        return self.events_of(record)[-1].delivery_ids

    # === THE GOOD CASE === #

    def test_delivered_and_verified_by_the_reference_library(self):
        self.endpoint.credential_id._set_secret("whsec_" + "A" * 32)
        invoice = self.make_invoice()
        statistics = self.dispatch()
        self.assertEqual(statistics.delivered, 1)
        headers, body = self.sink.requests[0]
        event = Webhook("whsec_" + "A" * 32).verify(body, headers)
        self.assertEqual(event["type"], "finance.invoice.posted.v2")
        self.assertEqual(event["data"]["number"], invoice.name)
        self.assertEqual(event["specversion"], "1.0")
        self.assertEqual(event["correlationid"], invoice.finance_correlation_id)
        self.assertEqual(headers["webhook-id"], event["id"])
        self.assertEqual(
            headers["Content-Type"], "application/cloudevents+json; charset=utf-8"
        )
        with self.assertRaises(WebhookVerificationError):
            Webhook("whsec_" + "B" * 32).verify(body, headers)

    def test_attempt_is_kept(self):
        delivery = self.delivery_of(self.make_invoice())
        self.dispatch()
        self.assertEqual(delivery.state, "delivered")
        self.assertTrue(delivery.delivered_at)
        attempt = delivery.attempt_ids
        self.assertEqual(attempt.outcome, "delivered")
        self.assertEqual(attempt.status, 200)
        self.assertEqual(attempt.number, 1)
        self.assertEqual(attempt.remote_ip, "127.0.0.1")
        self.assertGreater(attempt.duration_ms, 0)
        self.assertEqual(attempt.response_body, "{}")
        self.assertIn("webhook-signature", attempt.request_headers)
        self.assertEqual(
            json.loads(attempt.request_body), json.loads(self.sink.requests[0][1])
        )

    def test_delivered_once(self):
        self.make_invoice()
        self.dispatch()
        self.assertEqual(self.dispatch().delivered, 0)
        self.assertEqual(len(self.sink.requests), 1)

    def test_rotation_signs_with_both(self):
        first = "whsec_" + "A" * 32
        self.endpoint.credential_id._set_secret(first)
        self.endpoint.credential_id._set_secret("whsec_" + "B" * 32)
        self.make_invoice()
        self.dispatch()
        headers, body = self.sink.requests[0]
        Webhook(first).verify(body, headers)
        Webhook("whsec_" + "B" * 32).verify(body, headers)
        self.later(hours=25)
        self.make_invoice()
        self.dispatch()
        self.assertEqual(len(self.sink.requests[-1][0]["webhook-signature"].split()), 1)

    # === FAILURES === #

    def test_retries_by_schedule_to_the_end(self):
        self.sink.answers = [status(500)]
        delivery = self.delivery_of(self.make_invoice())
        start = datetime.now(timezone.utc)
        self.dispatch()
        self.assertEqual((delivery.state, delivery.attempt_count), ("waiting", 1))
        self.assertGreaterEqual(
            delivery.due_at, (start + timedelta(seconds=60)).replace(tzinfo=None)
        )
        self.assertEqual(self.dispatch().failed, 0, "not due yet")
        self.later(minutes=2)
        self.dispatch()
        self.assertEqual((delivery.state, delivery.attempt_count), ("waiting", 2))
        self.later(hours=1)
        self.dispatch()
        self.assertEqual((delivery.state, delivery.attempt_count), ("dead", 3))
        self.assertEqual(
            delivery.attempt_ids.mapped("outcome"), ["dead", "retry", "retry"]
        )
        self.assertEqual(set(delivery.attempt_ids.mapped("error_code")), {"T-5XX"})
        exception = delivery.exception_id
        self.assertEqual(exception.code, "T-DEADLETTER")
        self.assertEqual(exception.connector_id, self.endpoint.connector_id)
        ids = {headers["webhook-id"] for headers, _body in self.sink.requests}
        self.assertEqual(len(ids), 1, "the id is the same at every attempt")
        bodies = {body for _headers, body in self.sink.requests}
        self.assertEqual(len(bodies), 1, "and so are the bytes")

    def test_person_retries_and_it_is_solved(self):
        self.sink.answers = [status(500)]
        self.endpoint.retry_schedule = "0"
        delivery = self.delivery_of(self.make_invoice())
        self.dispatch()
        exception = delivery.exception_id
        operator = self.users["operator"]
        exception.with_user(operator).action_retry()
        self.assertEqual((exception.state, delivery.state), ("in_progress", "waiting"))
        self.sink.answers = [status(200)]
        self.dispatch()
        self.assertEqual((exception.state, delivery.state), ("resolved", "delivered"))

    def test_person_retries_in_vain(self):
        self.sink.answers = [status(500)]
        self.endpoint.retry_schedule = "0"
        delivery = self.delivery_of(self.make_invoice())
        self.dispatch()
        exception = delivery.exception_id
        exception.with_user(self.users["operator"]).action_retry()
        self.dispatch()
        self.assertEqual(exception.state, "open")
        self.assertEqual(exception.occurrences, 2)

    def test_one_cause_one_exception(self):
        """Many given-up deliveries of one endpoint are one thing to decide."""
        self.sink.answers = [status(500)]
        self.endpoint.retry_schedule = "0"
        for _index in range(3):
            self.make_invoice()
        self.dispatch()
        exception = self.env["finance.exception"].search(
            [("code", "=", "T-DEADLETTER"), ("is_open", "=", True)]
        )
        self.assertEqual(len(exception), 1)
        self.assertEqual(exception.occurrences, 3)
        self.assertEqual(len(exception.delivery_ids), 3)

    def test_retry_after_is_honoured_and_costs_nothing(self):
        self.sink.answers = [status(429, Retry_After="900")]
        delivery = self.delivery_of(self.make_invoice())
        self.dispatch()
        self.assertEqual((delivery.attempt_count, delivery.throttle_count), (0, 1))
        self.assertEqual(delivery.attempt_ids.outcome, "throttled")
        wait = delivery.due_at - datetime.now(timezone.utc).replace(tzinfo=None)
        self.assertGreater(wait, timedelta(seconds=890))

    def test_gone_suspends_the_endpoint(self):
        self.sink.answers = [status(410)]
        delivery = self.delivery_of(self.make_invoice())
        self.dispatch()
        self.assertEqual(self.endpoint.state, "suspended")
        self.assertEqual(delivery.state, "waiting")
        exception = self.env["finance.exception"].search([("code", "=", "T-GONE")])
        self.assertTrue(exception.is_open)
        self.sink.answers = [status(200)]
        self.assertEqual(self.dispatch().delivered, 0)
        self.endpoint.with_user(self.users["administrator"]).action_resume()
        self.assertEqual(exception.state, "resolved")
        delivery.with_user(self.users["operator"]).action_retry()
        self.assertEqual(self.dispatch().delivered, 1)

    def test_redirect_is_not_followed(self):
        self.sink.answers = [status(302, Location=self.sink.url)]
        delivery = self.delivery_of(self.make_invoice())
        self.dispatch()
        self.assertEqual(delivery.state, "waiting")
        self.assertEqual(len(self.sink.requests), 1)
        self.assertEqual(delivery.attempt_ids.error_code, "T-REDIRECT")

    def test_nobody_listens(self):
        delivery = self.delivery_of(self.make_invoice())
        self.sink.close()
        self.addCleanup(setattr, self.sink, "close", self.sink.close)
        self.sink.close = lambda: None
        self.dispatch()
        self.assertEqual(delivery.attempt_ids.error_code, "T-CONNECT")
        self.assertEqual(delivery.state, "waiting")

    def test_client_errors_can_end_it_at_once(self):
        self.endpoint.dead_on_client_error = True
        self.sink.answers = [status(400)]
        delivery = self.delivery_of(self.make_invoice())
        self.dispatch()
        self.assertEqual(delivery.state, "dead")

    def test_address_that_is_no_longer_allowed(self):
        """The guard checks when it sends, not only when the address is entered."""
        delivery = self.delivery_of(self.make_invoice())
        with patch.dict("os.environ", {"FINANCE_HUB_ALLOWED_NETWORKS": ""}):
            self.dispatch()
        self.assertEqual(delivery.attempt_ids.error_code, "T-ADDRESS")
        self.assertFalse(self.sink.requests)

    def test_event_that_cannot_be_written_keeps_nothing_back(self):
        """One broken row is set aside with an exception; the others go."""
        broken, fine = self.make_invoice(), self.make_invoice()
        delivery = self.delivery_of(broken)
        original = body.message

        def message(row, form, version):
            if row["subject"] == f"invoice/{broken.id}":
                raise ValueError("no such type")
            return original(row, form, version)

        with (
            patch.object(body, "message", message),
            self.assertLogs("odoo.addons.finance_hub", "ERROR"),
        ):
            statistics = self.dispatch()
        self.env.invalidate_all()
        self.assertEqual(statistics.delivered, 1)
        self.assertEqual(self.sink.events[0]["subject"], f"invoice/{fine.id}")
        self.assertEqual(delivery.state, "dead")
        self.assertEqual(delivery.exception_id.code, "D-SCHEMA")
        delivery.exception_id.with_user(self.users["operator"]).action_retry()
        self.assertEqual(self.dispatch().delivered, 1)

    def test_unreadable_secret_suspends_and_asks(self):
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE finance_credential SET secret_token = 'garbage' WHERE id = %s",
            [self.endpoint.credential_id.id],
        )
        self.env.invalidate_all()
        self.make_invoice()
        self.dispatch()
        self.env.invalidate_all()
        self.assertEqual(self.endpoint.state, "suspended")
        self.assertTrue(
            self.env["finance.exception"].search([("code", "=", "T-INTERNAL")])
        )

    # === ORDER === #

    def test_order_per_document(self):
        """Later events of a document wait for the earlier one, at no cost."""
        invoice = self.make_invoice()
        first = self.delivery_of(invoice)
        self.sink.answers = [status(500), status(200)]
        self.dispatch()
        invoice.button_draft()
        second = self.delivery_of(invoice)
        other = self.delivery_of(self.make_invoice())
        self.dispatch()
        self.assertEqual(first.state, "waiting")
        self.assertEqual((second.state, second.attempt_count), ("waiting", 0))
        self.assertEqual(second.blocked_by_id, first)
        self.assertEqual(other.state, "delivered")
        self.later(minutes=5)
        self.dispatch()
        self.assertEqual(first.state, "delivered")
        self.assertEqual(second.state, "delivered")
        types = [
            event["type"]
            for event in self.sink.events
            if event["partitionkey"] == f"invoice/{invoice.id}"
        ]
        self.assertEqual(types[-1], "finance.invoice.reset_to_draft.v2")

    def test_first_failure_stops_the_lane(self):
        """Two due events of one document: the second is not tried after a failure."""
        invoice = self.make_invoice()
        self.end_transaction()
        invoice.button_draft()
        self.sink.answers = [status(500)]
        statistics = self.dispatch()
        self.assertEqual((statistics.failed, statistics.released), (1, 1))
        self.assertEqual(len(self.sink.requests), 1)

    def test_poisoned_document_parks_itself(self):
        self.endpoint.retry_schedule = "0"
        invoice = self.make_invoice()
        first = self.delivery_of(invoice)
        self.sink.answers = [status(500), status(200)]
        self.dispatch()
        self.assertEqual(first.state, "dead")
        invoice.button_draft()
        second = self.delivery_of(invoice)
        other = self.delivery_of(self.make_invoice())
        self.dispatch()
        self.assertEqual((second.state, other.state), ("parked", "delivered"))
        self.assertEqual(second.blocked_by_id, first)
        first.with_user(self.users["operator"]).action_cancel()
        self.dispatch()
        self.assertEqual((first.state, second.state), ("cancelled", "delivered"))

    # === CRASHES === #

    def test_decision_of_a_person_wins_over_what_was_in_flight(self):
        """Cancelled while the request was on its way: it stays cancelled."""
        self.sink.answers = [status(500)]
        delivery = self.delivery_of(self.make_invoice())
        original = Dispatcher._record

        def cancelled_meanwhile(dispatcher, results):
            delivery.write({"state": "cancelled"})
            self.env.flush_all()
            return original(dispatcher, results)

        with patch.object(Dispatcher, "_record", cancelled_meanwhile):
            self.dispatch()
        self.env.invalidate_all()
        self.assertEqual(delivery.state, "cancelled")
        self.assertEqual(len(delivery.attempt_ids), 1, "what was tried is logged")

    # === SUSPENSION === #

    def test_suspended_connector_keeps_what_happens(self):
        connector = self.endpoint.connector_id
        # As it is configured now it went live.
        connector.state = "live"
        connector.with_user(self.users["administrator"]).action_suspend()
        delivery = self.delivery_of(self.make_invoice())
        self.assertEqual(self.dispatch().delivered, 0)
        self.assertEqual(delivery.state, "waiting")
        connector.with_user(self.users["administrator"]).action_resume()
        self.assertEqual(self.dispatch().delivered, 1)

    # === WAKING === #

    def test_wakes_once_per_transaction(self):
        self.make_invoice()
        self.make_invoice()
        self.end_transaction()
        wakes = [
            function
            for function in self.env.cr.postcommit._funcs
            if "_wake_after_commit" in function.__qualname__
        ]
        self.assertEqual(len(wakes), 1)
        # Odoo's own callbacks take longer than everything up to the receiver.
        self.assertIs(self.env.cr.postcommit._funcs[0], wakes[0])

    def jobs(self, lane="standard"):
        return self.env["queue.job"].search(
            [
                ("identity_key", "=like", f"%._job_dispatch.{lane}%"),
                ("state", "=", "pending"),
            ]
        )

    def test_equal_jobs_are_not_doubled(self):
        self.env["finance.delivery"]._wake("standard")
        self.env["finance.delivery"]._wake("standard")
        self.assertEqual(len(self.jobs()), 1)

    def test_a_job_is_what_with_delay_makes(self):
        deliveries = self.env["finance.delivery"]
        deliveries._wake("standard")
        ours = self.jobs()
        method, channel, description = deliveries._wake_job("standard")
        theirs = deliveries.with_context(company_id=False).with_delay(
            channel=channel, description=description, identity_key="another"
        )
        getattr(theirs, method)("standard")
        columns = [
            name
            for name, field in ours._fields.items()
            if field.store and field.column_type
        ]
        rows = []
        for identity in (ours.identity_key, "another"):
            self.env.flush_all()
            self.env.cr.execute(
                SQL(
                    "SELECT %s FROM queue_job WHERE identity_key = %s",
                    SQL(", ").join(map(SQL.identifier, columns)),
                    identity,
                )
            )
            (row,) = self.env.cr.dictfetchall()
            self.assertTrue(row.pop("uuid"))
            self.assertTrue(row.pop("date_created"))
            del row["id"], row["identity_key"]
            rows.append(row)
        self.assertEqual(*rows)

    def test_each_lane_has_its_channel(self):
        for lane in constants.LANES:
            self.env["finance.delivery"]._wake(lane)
            channel = f"root.finance_hub.dispatch.{lane}"
            self.assertEqual(self.jobs(lane).channel, channel)

    def test_sweep_finds_a_lost_wake_up(self):
        self.env["finance.delivery"]._cron_sweep()
        self.assertFalse(self.jobs(), "nothing is due")
        self.delivery_of(self.make_invoice())
        self.env["finance.delivery"]._cron_sweep()
        self.assertEqual(len(self.jobs()), 1)
        self.assertFalse(self.jobs("bulk"), "nothing in the other lanes")

    def test_next_wake_is_for_the_retry(self):
        self.sink.answers = [status(500)]
        delivery = self.delivery_of(self.make_invoice())
        self.dispatch()
        with self.enter_registry_test_mode():
            wake = Dispatcher(self.env.registry, threads=False).next_wake()
        due = delivery.due_at.replace(tzinfo=timezone.utc)
        self.assertGreaterEqual(wake, due)
        self.assertLessEqual(wake - due, constants.WAKE_BUCKET)

    # === THE DATABASE === #

    def test_events_are_immutable_in_the_database(self):
        event = self.events_of(self.make_invoice())
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(errors.InsufficientPrivilege),
            self.env.cr.savepoint(),
        ):
            self.env.cr.execute(
                "UPDATE finance_event SET label = 'x' WHERE id = %s", [event.id]
            )
        for action in (
            lambda: event.write({"label": "x"}),
            event.unlink,
            lambda: event.create({}),
        ):
            with self.assertRaises(UserError):
                action()

    def test_committed_events_are_never_deleted(self):
        """Only the purge may, which says so for its transaction."""
        insert = """
            INSERT INTO finance_event (
                event_id, type, aggregate, sequence, company_id, source, subject,
                label, occurred_at, correlation_id, actor, data, res_model, res_id)
            VALUES ('immutable', 'x', 'x', 1, %s, 'x', 'x', 'x', now(), 'x', 'x', '{}',
                    'x', 1)
        """
        delete = "DELETE FROM finance_event WHERE event_id = 'immutable'"
        main_company = self.env.ref("base.main_company").id
        with self.registry.cursor() as cr:
            cr.execute(insert, [main_company])
        try:
            with (
                mute_logger("odoo.sql_db"),
                self.assertRaises(errors.InsufficientPrivilege),
                self.registry.cursor() as cr,
            ):
                cr.execute(delete)
        finally:
            with self.registry.cursor() as cr:
                cr.execute("SELECT set_config('finance_hub.purge', 'on', true)")
                cr.execute(delete)

    def test_claim_uses_the_index(self):
        """No plan for claiming scans the table of deliveries."""
        self.env.cr.execute(
            "SELECT indexdef FROM pg_indexes WHERE tablename = 'finance_delivery'"
        )
        definitions = " ".join(row[0] for row in self.env.cr.fetchall())
        self.assertIn("(endpoint_id, lane, due_at, id) WHERE", definitions)
        self.assertIn("(endpoint_id, aggregate, id) WHERE", definitions)
