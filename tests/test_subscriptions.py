import json

from cloudevents.core.bindings.http import (
    HTTPMessage,
    from_binary_event,
    from_structured_event,
)
from standardwebhooks import Webhook

from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged

from .common import FinanceHubCommon, ok, status

SECRET = "whsec_" + "A" * 32
POSTED = "finance.invoice.posted"


@tagged("post_install", "-at_install")
class TestSubscriptions(FinanceHubCommon):
    """cap 17, 19, 20, 90: who gets what, in which form."""

    def setUp(self):
        super().setUp()
        self.sink = self.receiver()
        self.endpoint = self.make_endpoint(self.sink.url, patterns=None)
        self.endpoint.credential_id._set_secret(SECRET)

    def subscribe(self, patterns="finance.invoice.posted.*", endpoint=None, **values):
        return self.make_subscription(endpoint or self.endpoint, patterns, **values)

    def deliveries(self):
        self.end_transaction()
        return self.env["finance.delivery"].search(
            [("endpoint_id.connector_id", "=", self.endpoint.connector_id.id)],
            order="id",
        )

    def types(self):
        return [event["type"] for event in self.sink.events]

    # === VERSIONS === #

    def test_a_pinned_version_stays(self):
        self.subscribe(version=1)
        invoice = self.make_invoice()
        self.dispatch()
        self.assertEqual(self.types(), [f"{POSTED}.v1"])
        (event,) = self.sink.events
        self.assertIn(f"{POSTED}.v1", event["dataschema"])
        self.assertEqual(self.deliveries().version, 1)
        self.assertEqual(event["data"]["number"], invoice.name)

    def test_zero_is_always_the_newest(self):
        self.subscribe(version=0)
        self.make_invoice()
        self.dispatch()
        self.assertEqual(self.types(), [f"{POSTED}.v2"])

    def test_two_versions_at_one_endpoint(self):
        """While a receiver changes over it gets both, under the same id."""
        self.subscribe(version=1)
        self.subscribe(version=2)
        self.make_invoice()
        self.dispatch()
        self.assertEqual(sorted(self.types()), [f"{POSTED}.v1", f"{POSTED}.v2"])
        self.assertEqual(len({event["id"] for event in self.sink.events}), 1)

    def test_two_versions_at_two_endpoints(self):
        other_sink = self.receiver()
        other = self.make_endpoint(other_sink.url, self.endpoint.connector_id, None)
        self.subscribe(version=1)
        self.subscribe(version=2, endpoint=other)
        self.make_invoice()
        self.dispatch()
        self.assertEqual(self.types(), [f"{POSTED}.v1"])
        self.assertEqual([e["type"] for e in other_sink.events], [f"{POSTED}.v2"])

    def test_two_subscriptions_of_one_version_are_one_message(self):
        self.subscribe()
        self.subscribe("finance.*.posted.*")
        self.make_invoice()
        self.assertEqual(len(self.deliveries()), 1)

    # === CONDITIONS === #

    def test_a_condition_decides(self):
        self.subscribe(filter_domain="[('total_amount', '>', 150)]")
        self.make_invoice(100)
        large = self.make_invoice(200)
        self.dispatch()
        self.assertEqual(
            [event["data"]["number"] for event in self.sink.events], [large.name]
        )

    def test_the_first_whose_condition_holds_sends_it(self):
        """Two conditions that both hold make one message, not two."""
        self.subscribe(filter_domain="[('total_amount', '>', 150)]")
        self.subscribe(filter_domain="[('total_amount', '>', 50)]")
        self.make_invoice(100)
        self.make_invoice(200)
        self.assertEqual(len(self.deliveries()), 2)

    def test_a_condition_that_cannot_be_read_is_refused(self):
        for text in ("total_amount > 5", "[('no_such_field', '=', 1)]", "[("):
            with self.subTest(text), self.assertRaises(ValidationError):
                self.subscribe(filter_domain=text)

    def test_archived_gets_nothing(self):
        """What was on its way stays, and goes once the endpoint is back."""
        self.subscribe()
        self.make_invoice()
        self.end_transaction()
        self.endpoint.active = False
        self.dispatch()
        self.assertFalse(self.types())
        self.endpoint.active = True
        self.dispatch()
        self.assertEqual(len(self.types()), 1)

    def test_it_stays_at_its_endpoint_while_events_are_on_their_way(self):
        subscription = self.subscribe()
        other = self.make_endpoint(
            self.sink.url, connector=self.endpoint.connector_id, patterns=None
        )
        self.make_invoice()
        self.end_transaction()
        with self.assertRaisesRegex(UserError, "on their way"):
            subscription.endpoint_id = other
        self.dispatch()
        subscription.endpoint_id = other
        self.assertEqual(subscription.endpoint_id, other)

    def test_preview(self):
        self.make_invoice(100)
        large = self.make_invoice(200)
        self.end_transaction()
        subscription = self.subscribe(filter_domain="[('total_amount', '>', 150)]")
        self.assertIn("1 of the latest", subscription.preview)
        self.assertIn(large.name, subscription.preview)
        subscription.invalidate_recordset()
        form = subscription.new(origin=subscription)
        form.filter_domain = "[("
        self.assertIn("text-danger", form.preview)

    def test_preview_escapes_what_is_shown(self):
        invoice = self.make_invoice(post=False)
        invoice.name = "<script>alert(1)</script>"
        invoice.action_post()
        self.end_transaction()
        subscription = self.subscribe()
        self.assertNotIn("<script>", subscription.preview)

    # === FORMS === #

    def test_each_form_is_read_by_the_library(self):
        subscription = self.subscribe()
        for mode in ("structured", "binary", "batched"):
            with self.subTest(mode):
                subscription.content_mode = mode
                self.sink.requests.clear()
                invoice = self.make_invoice()
                self.dispatch()
                headers, content = self.sink.requests[0]
                Webhook(SECRET).verify(content, headers)
                if mode == "binary":
                    event = from_binary_event(HTTPMessage(headers, content))
                    self.assertEqual(headers["Content-Type"], "application/json")
                elif mode == "batched":
                    (element,) = json.loads(content)
                    event = from_structured_event(
                        HTTPMessage(
                            {"content-type": "application/cloudevents+json"},
                            json.dumps(element).encode(),
                        )
                    )
                else:
                    event = from_structured_event(HTTPMessage(headers, content))
                self.assertEqual(event.get_subject(), f"invoice/{invoice.id}")
                self.assertEqual(event.get_data()["number"], invoice.name)
                self.assertEqual(event.get_id(), headers["webhook-id"])

    # === MASKS === #

    def mask_case(self, **values):
        self.partner_a.write({"name": "Person Of The Test", "vat": False})
        subscription = self.subscribe(**values)
        self.make_invoice(123.45)
        delivery = self.deliveries()
        self.dispatch()
        return subscription, delivery, self.sink.requests[0][1].decode()

    def test_personal_data_is_hidden_in_what_is_sent_and_shown(self):
        _subscription, delivery, sent = self.mask_case(mask_personal=True)
        auditor = delivery.with_user(self.users["auditor"])
        attempt = auditor.attempt_ids
        for text in (
            sent,
            auditor.body_text,
            attempt.request_body,
            attempt.curl,
            json.dumps(attempt.request_headers),
        ):
            self.assertNotIn("Person Of The Test", text)
        self.assertEqual(attempt.body_check, "same")

    def test_without_the_mask_it_is_there(self):
        _subscription, delivery, sent = self.mask_case()
        self.assertIn("Person Of The Test", sent)
        self.assertIn("Person Of The Test", delivery.body_text)

    def test_confidential_data_is_hidden(self):
        _subscription, _delivery, sent = self.mask_case(mask_confidential=True)
        self.assertNotIn('"unit_price":"123.45"', sent.replace(" ", ""))
        self.assertIn("Person Of The Test", sent)

    def test_a_mask_set_while_rows_wait_holds_for_them(self):
        """A retry leaves out what the first attempt sent, and the log says so."""
        self.sink.answers = [status(500), ok]
        self.endpoint.retry_schedule = "0, 60"
        subscription, delivery, sent = self.mask_case()
        self.assertIn("Person Of The Test", sent)
        subscription.mask_personal = True
        self.later(minutes=5)
        self.dispatch()
        self.assertNotIn("Person Of The Test", self.sink.requests[1][1].decode())
        self.assertEqual(
            delivery.attempt_ids.sorted("id").mapped("body_check"), ["changed", "same"]
        )

    def test_a_mask_set_in_the_middle_of_a_run_holds_for_the_next_claim(self):
        """Not only for the next run."""
        subscription = self.subscribe()
        self.partner_a.name = "Person Of The Test"
        self.endpoint.concurrency = 1
        for _index in range(30):
            self.make_invoice()
        self.deliveries()

        def answer(_headers, _body):
            if len(self.sink.requests) == 1:
                subscription.mask_personal = True
                self.env.flush_all()
            return 200, {}

        # The claim after the first 20 (one request at a time) sees the change.
        self.sink.answers = [answer]
        self.dispatch()
        named = [
            "Person Of The Test" in body.decode() for _h, body in self.sink.requests
        ]
        self.assertEqual(len(named), 30)
        self.assertTrue(named[0])
        self.assertFalse(named[-1])

    # === LIFE === #

    def test_archived_gets_nothing_new_and_what_waits_still_leaves(self):
        subscription = self.subscribe()
        self.make_invoice()
        self.end_transaction()
        subscription.active = False
        self.make_invoice()
        self.assertEqual(len(self.deliveries()), 1)
        self.assertEqual(self.dispatch().delivered, 1)

    def test_what_is_said_of_an_endpoint_never_goes_there(self):
        """Nor what is said of its connector; others hear of it."""
        self.subscribe("finance.connector.*")
        watcher_sink = self.receiver()
        watcher = self.make_endpoint(
            watcher_sink.url, self.make_connector("watcher"), "finance.connector.*"
        )
        self.endpoint._announce("degraded", "It fails")
        self.end_transaction()
        events = self.env["finance.event"].search(
            [("type", "=like", "finance.connector.%")]
        )
        self.assertTrue(events)
        self.assertEqual(events.delivery_ids.endpoint_id, watcher)
        self.dispatch()
        self.assertEqual(len(watcher_sink.requests), len(events))
        self.assertFalse(self.sink.requests)

    def test_of_another_company_nothing_comes(self):
        other = self.setup_other_company()["company"]
        connector = self.make_connector(
            "elsewhere", company_id=other.id, payment_journal_id=False
        )
        endpoint = self.make_endpoint(self.sink.url, connector)
        self.make_invoice()
        self.end_transaction()
        self.assertFalse(
            self.env["finance.delivery"].search([("endpoint_id", "=", endpoint.id)])
        )
