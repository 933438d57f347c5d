import json
from datetime import datetime, timezone
from urllib.parse import parse_qs, urlsplit

from odoo.exceptions import UserError, ValidationError
from odoo.tests import HttpCase, tagged

from ..contracts import encode_cursor, parse_batched, parse_structured
from ..controllers import authentication
from ..models import clock, constants
from .common import FinanceHubCommon


@tagged("post_install", "-at_install")
class TestFeed(FinanceHubCommon, HttpCase):
    """cap 51, 89: the pull feed, over HTTP."""

    def setUp(self):
        super().setUp()
        authentication._recorded.clear()
        self.addCleanup(authentication._recorded.clear)
        self.endpoint = self.make_feed(patterns="finance.invoice.*")
        self.connector = self.endpoint.connector_id
        self.client, self.key = self.make_client(
            self.connector, "event:read", rate_limit=constants.MAX_CALLS_PER_MINUTE
        )

    # === HELPERS === #

    def fetch(self, key=None, accept=None, path="/finance/v1/events", **parameters):
        self.end_transaction()
        headers = {"Authorization": f"Bearer {key or self.key}"}
        if accept:
            headers["Accept"] = accept
        query = "&".join(f"{name}={value}" for name, value in parameters.items())
        response = self.url_open(f"{path}?{query}" if query else path, headers=headers)
        self.env.invalidate_all()
        return response

    def page(self, **parameters):
        response = self.fetch(**parameters)
        self.assertEqual(response.status_code, 200, response.text)
        self.assertEqual(response.headers["Content-Type"], "application/json")
        page = response.json()
        self.assertEqual(set(page), {"events", "next", "has_more"})
        return page

    def refused(self, status, code, **parameters):
        response = self.fetch(**parameters)
        self.assertEqual(response.status_code, status, response.text)
        self.assertEqual(response.headers["Content-Type"], "application/problem+json")
        self.assertEqual(response.json()["code"], code)
        return response

    def bad(self, text, **parameters):
        response = self.refused(400, "D-SCHEMA", **parameters)
        self.assertIn(text, response.json()["detail"])
        self.assertFalse(response.json()["retryable"])

    def follow(self, limit, after="", **parameters):
        """Return the ids of all events, page by page, and the last cursor."""
        ids = []
        for _page in range(50):
            page = self.page(limit=limit, after=after, **parameters)
            self.assertLessEqual(len(page["events"]), limit)
            ids += [event["id"] for event in page["events"]]
            after = page["next"]
            if not page["has_more"]:
                return ids, after
        self.fail("It never ends.")

    def deliveries(self, endpoint=None):
        self.end_transaction()
        return self.env["finance.delivery"].search(
            [("endpoint_id", "=", (endpoint or self.endpoint).id)], order="id"
        )

    def invoices(self, number, **values):
        for _number in range(number):
            self.make_invoice(**values)
        return self.deliveries().event_id.sorted("id").mapped("event_id")

    # === PAGES === #

    def test_empty(self):
        page = self.page()
        self.assertEqual((page["events"], page["has_more"]), ([], False))
        again = self.page(after=page["next"])
        self.assertEqual(again, page)

    def test_what_comes(self):
        invoice = self.make_invoice(100.0)
        delivery = self.deliveries()
        response = self.fetch()
        page = response.json()
        [event] = page["events"]
        self.assertEqual(event["type"], "finance.invoice.posted.v2")
        self.assertEqual(event["data"]["number"], invoice.name)
        self.assertEqual(event["data"]["total_amount"], "100.00")
        self.assertEqual(event["id"], delivery.event_id.event_id)
        self.assertIn(delivery._body(), response.content, "the bytes of any delivery")
        envelope = parse_structured(json.dumps(event).encode())
        self.assertEqual(envelope.subject, f"invoice/{invoice.id}")
        self.assertEqual(response.headers["Cache-Control"], "no-store")
        self.assertNotIn("Set-Cookie", response.headers)

    def test_each_once_and_in_order(self):
        ids = self.invoices(7)
        for limit in (1, 2, 3, 7, 8):
            with self.subTest(limit):
                self.assertEqual(self.follow(limit)[0], ids)

    def test_going_on(self):
        first = self.invoices(3)
        got, cursor = self.follow(2)
        self.assertEqual(got, first)
        everything = self.invoices(2)
        self.assertEqual(self.follow(2, cursor)[0], everything[3:])
        self.assertEqual(
            self.follow(200)[0], everything, "and again from the beginning"
        )

    def test_link(self):
        self.invoices(3)
        ids, path = [], "/finance/v1/events?limit=2&types=finance.invoice.*"
        for _page in range(2):
            response = self.url_open(
                path, headers={"Authorization": f"Bearer {self.key}"}
            )
            ids += [event["id"] for event in response.json()["events"]]
            link = response.links["next"]["url"]
            query = parse_qs(urlsplit(link).query)
            self.assertEqual(query["limit"], ["2"])
            self.assertEqual(query["types"], ["finance.invoice.*"])
            self.assertEqual(query["feed"], [str(self.endpoint.id)])
            self.assertEqual(query["after"], [response.json()["next"]])
            path = link
        self.assertEqual(
            ids, self.deliveries().event_id.sorted("id").mapped("event_id")
        )

    def test_batch(self):
        ids = self.invoices(2)
        batch = "application/cloudevents-batch+json"
        response = self.fetch(accept=batch)
        self.assertEqual(response.headers["Content-Type"], batch)
        self.assertEqual([event.id for event in parse_batched(response.content)], ids)
        response = self.url_open(
            response.links["next"]["url"],
            headers={"Authorization": f"Bearer {self.key}", "Accept": batch},
        )
        self.assertEqual(response.json(), [])
        for accept in (
            "*/*",
            "application/json, */*;q=0.1",
            "text/html",
            "application/*",
        ):
            with self.subTest(accept):
                response = self.fetch(accept=accept)
                self.assertEqual(response.headers["Content-Type"], "application/json")

    def test_types(self):
        invoice = self.make_invoice()
        self.end_transaction()
        invoice.button_draft()
        self.end_transaction()
        invoice.action_post()
        types = [event.type.split(".")[2] for event in self.events_of(invoice)]
        self.assertEqual(types, ["posted", "reset_to_draft", "posted"])
        for pattern, number in {
            "finance.invoice.posted": 2,
            "finance.invoice.reset_to_draft.v2": 1,
            "finance.invoice.reset_to_draft.v1": 0,
            "finance.*": 3,
            "finance.payment.*": 0,
            "finance.payment.*,finance.*.reset_to_draft": 1,
        }.items():
            with self.subTest(pattern):
                ids, cursor = self.follow(1, types=pattern)
                self.assertEqual(len(ids), number)
                self.assertEqual(self.follow(1, cursor, types=pattern)[0], [])
        self.assertEqual(
            set(self.deliveries().mapped("state")),
            {"waiting"},
            "who asks for some has not seen the others",
        )

    def test_types_are_those_that_are_sent(self):
        """Not those that are recorded: the subscription may have an older version."""
        self.endpoint.subscription_ids.version = 1
        self.make_invoice()
        for pattern, number in {"v1": 1, "v2": 0}.items():
            page = self.page(types=f"finance.invoice.posted.{pattern}")
            self.assertEqual(len(page["events"]), number)
        [event] = self.page()["events"]
        self.assertEqual(event["type"], "finance.invoice.posted.v1")

    def test_looking_through_much(self):
        """A page without a match still gets on."""
        self.patch(constants, "FEED_SCAN_ROWS", 2)
        self.invoices(5)
        page = self.page(types="finance.payment.*")
        self.assertEqual((page["events"], page["has_more"]), ([], True))
        seen, cursor = self.follow(5, page["next"], types="finance.payment.*")
        self.assertEqual(seen, [])
        self.assertFalse(self.page(after=cursor)["events"])

    def test_positions_in_portions(self):
        self.patch(constants, "FEED_ADVANCE_ROWS", 2)
        ids = self.invoices(5)
        self.assertEqual(self.follow(200)[0], ids)

    def test_size_of_a_page(self):
        self.patch(constants, "FEED_MAX_BYTES", 10)
        ids = self.invoices(3)
        page = self.page()
        self.assertEqual((len(page["events"]), page["has_more"]), (1, True))
        self.assertEqual(self.follow(200)[0], ids)

    # === ACKNOWLEDGEMENT === #

    def test_acknowledged_by_going_on(self):
        self.invoices(3)
        first = self.page(limit=2)
        self.assertEqual(set(self.deliveries().mapped("state")), {"waiting"})
        self.assertEqual(self.endpoint.waiting_count, 3)
        self.set_clock(datetime(2030, 1, 1, tzinfo=timezone.utc))
        self.client.expires_on = "2031-01-01"
        self.page(limit=2, after=first["next"])
        self.assertEqual(
            self.deliveries().mapped("state"), ["delivered", "delivered", "waiting"]
        )
        self.assertEqual(self.deliveries()[0].delivered_at, clock.naive_now())
        self.assertEqual(self.endpoint.waiting_count, 1)
        self.assertEqual(self.endpoint.feed_head, 3)
        self.assertEqual(self.endpoint.feed_acknowledged, 2)
        self.assertEqual(self.endpoint.feed_acknowledged_at, clock.naive_now())
        self.assertFalse(self.deliveries().attempt_ids)
        pulse = self.env["finance.pulse"].search(
            [("endpoint_id", "=", self.endpoint.id)]
        )
        self.assertEqual((pulse.delivered, pulse.failed), (2, 0))
        self.assertEqual(self.endpoint.last_success_at, clock.naive_now())
        self.assertEqual(self.endpoint.health_text, "Working")

    def test_an_older_cursor_takes_nothing_back(self):
        ids = self.invoices(3)
        first = self.page(limit=1)["next"]
        _all, last = self.follow(1)
        self.page(after=last)
        self.assertEqual(set(self.deliveries().mapped("state")), {"delivered"})
        at = self.endpoint.feed_acknowledged_at
        self.assertEqual(self.follow(5, first)[0], ids[1:])
        self.assertEqual(self.endpoint.feed_acknowledged, 3)
        self.assertEqual(self.endpoint.feed_acknowledged_at, at)
        self.assertEqual(self.page(after=last)["events"], [])

    def test_cancelled_is_passed_over(self):
        ids = self.invoices(3)
        self.page()
        self.deliveries()[1].action_cancel()
        got, cursor = self.follow(1)
        self.assertEqual(got, [ids[0], ids[2]])
        self.assertEqual(self.page(after=cursor)["events"], [])
        self.assertEqual(
            self.deliveries().mapped("state"), ["delivered", "cancelled", "delivered"]
        )
        self.deliveries()[1].action_retry()
        got, _cursor = self.follow(1, cursor)
        self.assertEqual(got, [ids[1]], "sent after all, where it will be read")

    def test_cancelled_before_it_was_seen(self):
        ids = self.invoices(2)
        self.deliveries()[0].action_cancel()
        self.assertEqual(self.follow(1)[0], ids[1:])

    # === WHAT IS IN IT === #

    def test_subscription_decides(self):
        self.endpoint.subscription_ids.patterns = "finance.payment.*"
        self.make_invoice()
        self.assertEqual(self.page()["events"], [])
        self.assertFalse(self.deliveries())

    def test_masks_and_condition(self):
        """Each subscription's own, as for any endpoint."""
        self.endpoint.subscription_ids.write(
            {"mask_personal": True, "filter_domain": "[('total_amount', '>', 150)]"}
        )
        self.make_invoice(100.0)
        self.make_invoice(200.0)
        [event] = self.page()["events"]
        self.assertEqual(event["data"]["total_amount"], "200.00")
        self.assertNotIn(self.partner_a.name, json.dumps(event))
        self.endpoint.subscription_ids.mask_personal = False
        [event] = self.page()["events"]
        self.assertIn(self.partner_a.name, json.dumps(event))

    def test_another_company(self):
        """What happens in another company is in its own feed only."""
        other = self.make_connector(
            "elsewhere",
            company_id=self.env["res.company"].create({"name": "Elsewhere"}).id,
            payment_journal_id=False,
        )
        elsewhere = self.make_feed(other, "finance.invoice.*")
        _client, key = self.make_client(other, "event:read")
        self.make_invoice()
        self.assertEqual(len(self.page()["events"]), 1)
        self.assertEqual(self.page(key=key)["events"], [])
        self.refused(404, "NO-FEED", key=key, feed=self.endpoint.id)
        cursor = self.page()["next"]
        self.bad("another feed", key=key, after=cursor)
        self.assertFalse(self.deliveries(elsewhere))

    def test_several_feeds(self):
        second = self.make_feed(self.connector, "finance.payment.*", name="Second")
        ids = self.invoices(1)
        self.bad("Say which", limit=1)
        self.assertEqual(self.page(feed=second.id)["events"], [])
        [event] = self.page(feed=self.endpoint.id)["events"]
        self.assertEqual(event["id"], ids[0])
        self.assertIn(f"feed={second.id}", second.feed_url)
        self.assertIn(second.feed_url, second.feed_example)

    def test_no_feed(self):
        connector = self.make_connector("none")
        self.make_endpoint("https://example.com/", connector)
        _client, key = self.make_client(connector, "event:read")
        self.refused(404, "NO-FEED", key=key)
        self.refused(404, "NO-FEED", feed="0")
        self.endpoint.active = False
        self.refused(404, "NO-FEED")

    def test_suspended(self):
        self.make_invoice()
        self.endpoint.action_suspend()
        response = self.refused(503, "SUSPENDED")
        self.assertEqual(response.headers["Retry-After"], "300")
        self.make_invoice()
        self.endpoint.action_resume()
        self.assertEqual(len(self.page()["events"]), 2, "kept meanwhile")

    # === WHAT IS REFUSED === #

    def test_parameters(self):
        for limit in ("0", "201", "-1", "x", "1.5", "1_0", "٣", "99999999999"):
            with self.subTest(limit):
                self.bad("from 1 to 200", limit=limit)
        self.bad("“afer” is wrong", afer="x")
        self.bad("“wait” is wrong", wait="20")
        self.bad("once only", limit="1&limit=2")
        self.bad("No event type fits", types="finance.nothing.*")
        self.bad("parts separated by dots", types="%00")
        self.bad("At most 20", types=",".join(f"finance.{n}" for n in range(21)))

    def test_cursors(self):
        self.invoices(2)
        cursor = self.page(limit=1)["next"]
        for bad in ("x", cursor[:-1], cursor + "A", cursor[::-1], "A" * 32, "%ff", "1"):
            with self.subTest(bad):
                self.bad("not one of this hub", after=bad)
        self.assertEqual(len(self.page(after=cursor)["events"]), 1)
        self.assertEqual(len(self.page(after="")["events"]), 2)

    def test_a_cursor_ahead_of_the_feed(self):
        realm = self.env["ir.config_parameter"].get_param("database.uuid")
        for position in (1, 2**31, 2**64 - 1):
            ahead = encode_cursor(realm, self.endpoint.id, position)
            self.refused(409, "CURSOR-AHEAD", after=ahead)

    def test_nothing_but_reading(self):
        self.env.flush_all()
        response = self.url_open(
            "/finance/v1/events",
            data=b"{}",
            headers={"Authorization": f"Bearer {self.key}"},
            method="POST",
        )
        self.assertEqual(response.status_code, 405)


@tagged("post_install", "-at_install")
class TestFeedEndpoint(FinanceHubCommon):
    """What a feed's endpoint and connector ask for."""

    def test_goes_live_with_a_client(self):
        connector = self.make_connector("golive", "draft")
        endpoint = self.make_feed(connector)
        with self.assertRaisesRegex(UserError, "an API client with a key"):
            connector.action_request_review()
        client, _key = self.make_client(connector, "invoice:read")
        endpoint.invalidate_recordset()
        with self.assertRaisesRegex(UserError, "an API client with a key"):
            connector.action_request_review()
        client.scope_ids = self.env.ref("finance_hub.scope_event_read")
        endpoint.invalidate_recordset()
        self.assertEqual(endpoint.feed_client_ids, client)
        connector.action_request_review()
        self.assertEqual(connector.state, "in_review")

    def test_transport_stays_once_used(self):
        feed = self.make_feed()
        feed.write({"transport": "https", "url": "https://example.com/"})
        feed.transport = "feed"
        self.assertEqual(len(feed.feed_ids), 1)
        self.make_invoice()
        self.end_transaction()
        with self.assertRaisesRegex(UserError, "Make another endpoint"):
            feed.write({"transport": "https", "url": "https://example.com/"})
        hook = self.make_endpoint("https://example.com/", self.make_connector("hook"))
        self.make_invoice()
        self.end_transaction()
        with self.assertRaisesRegex(UserError, "Make another endpoint"):
            hook.transport = "feed"

    def test_no_batches(self):
        feed = self.make_feed()
        with self.assertRaisesRegex(ValidationError, "one by one"):
            feed.subscription_ids.delivery_mode = "micro_batch"
        hook = self.make_endpoint("https://example.com/", self.make_connector("hook"))
        hook.subscription_ids.write(
            {"delivery_mode": "micro_batch", "content_mode": "batched"}
        )
        with self.assertRaisesRegex(ValidationError, "one by one"):
            hook.transport = "feed"
