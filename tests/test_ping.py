import json

from standardwebhooks import Webhook

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..transport.constants import ANSWER_HEADER_MAX_LENGTH
from .common import FinanceHubCommon, status


@tagged("post_install", "-at_install")
class TestPing(FinanceHubCommon):
    """The test button: a real request, the real answer, and what it means."""

    def setUp(self):
        super().setUp()
        self.sink = self.receiver()
        self.connector = self.make_connector("shop", environment="test")
        self.endpoint = self.make_endpoint(self.sink.url, self.connector, name="Shop")
        self.admin = self.users["administrator"]

    def ping(self, endpoint=None):
        """Press the button as an administrator; return what the dialog shows."""
        endpoint = endpoint or self.endpoint
        action = endpoint.with_user(self.admin).action_test()
        self.assertEqual(action["target"], "new")
        return (
            self.env[action["res_model"]].with_user(self.admin).browse(action["res_id"])
        )

    def test_it_arrives(self):
        secret = "whsec_" + "A" * 32
        self.endpoint.credential_id._set_secret(secret)
        dialog = self.ping()
        [(headers, body)] = self.sink.requests
        event = Webhook(secret).verify(body, headers)
        self.assertEqual(event["type"], "finance.connector.ping.v1")
        self.assertEqual(event["id"], headers["webhook-id"])
        self.assertEqual(event["data"]["connector"]["id"], str(self.connector.id))
        self.assertEqual(event["data"]["endpoint"]["name"], "Shop")
        self.assertEqual(event["data"]["sent_by"], "Test administrator")
        self.assertIn("“shop” (Test)", event["data"]["message"])
        self.assertTrue(dialog.arrived)
        self.assertEqual(dialog.status, 200)
        self.assertEqual(dialog.remote_ip, "127.0.0.1")
        self.assertEqual(dialog.response_body, "{}")
        self.assertEqual(dialog.event_key, event["id"])
        self.assertIn("It arrived: “Shop” answered 200", dialog.headline)
        self.assertIn("webhook-signature: v1,", dialog.request_headers)
        self.assertEqual(json.loads(dialog.request_body), event)
        self.assertIn("waiting for the answer", dialog.phases_text)

    def test_no_trace_in_the_outbox(self):
        before = self.env["finance.event"].search_count([])
        self.ping()
        self.assertEqual(self.env["finance.event"].search_count([]), before)
        self.assertFalse(self.endpoint.delivery_ids)

    def test_logged(self):
        self.ping()
        message = self.endpoint.message_ids[0]
        self.assertIn("Test event sent by Test administrator", message.body)
        self.assertIn("answered 200", message.body)
        self.assertEqual(message.author_id, self.admin.partner_id)

    def test_answers_in_plain_words(self):
        cases = {
            401: ("did not accept the hub's credential", "Compare the secret"),
            404: ("does not know this URL", "Correct the endpoint's URL"),
            410: ("no longer exists", "new URL"),
            429: ("slower pace", "waits as asked"),
            500: ("The receiver failed", "tell the receiver's team"),
            302: ("redirect", "final URL"),
        }
        for code, (cause, next_step) in cases.items():
            with self.subTest(code):
                self.sink.answers = [status(code)]
                dialog = self.ping()
                self.assertFalse(dialog.arrived)
                self.assertEqual(dialog.status, code)
                self.assertIn(cause, dialog.headline)
                self.assertIn(next_step, dialog.next_step)
        self.assertEqual(self.endpoint.state, "live", "a test changes nothing")
        self.assertFalse(self.endpoint.health_ids.failing_since)

    def test_nobody_answers(self):
        port = self.sink.server_port
        self.sink.shutdown()
        self.sink.server_close()
        dialog = self.ping()
        self.assertFalse(dialog.arrived)
        self.assertIn("No connection", dialog.headline)
        self.assertIn(str(port), dialog.detail)
        self.assertFalse(dialog.status)

    def test_secrets_are_masked(self):
        self.sink.answers = [status(200, Set_Cookie="session=topsecret-value")]
        dialog = self.ping()
        self.assertNotIn("topsecret-value", dialog.response_headers)
        for secret in self.endpoint.credential_id._secrets():
            text = str(dialog.read())
            self.assertNotIn(secret, text)

    def test_before_going_live(self):
        """So that nobody puts a connection live that never worked."""
        self.connector.state = "draft"
        self.assertTrue(self.ping().arrived)
        self.endpoint._suspend("by hand")
        self.assertTrue(self.ping().arrived)
        self.assertEqual(self.endpoint.state, "suspended")

    def test_form_of_the_subscription(self):
        self.endpoint.subscription_ids.content_mode = "binary"
        self.ping()
        headers, body = self.sink.requests[-1]
        self.assertEqual(headers["ce-type"], "finance.connector.ping.v1")
        self.assertIn("connector", json.loads(body))
        self.endpoint.subscription_ids.content_mode = "batched"
        self.ping()
        headers, body = self.sink.requests[-1]
        self.assertIn("cloudevents-batch+json", headers["Content-Type"])
        self.assertEqual(len(json.loads(body)), 1)

    def test_without_a_secret(self):
        self.endpoint.credential_id.action_revoke()
        with self.assertRaises(UserError):
            self.ping()
        self.assertFalse(self.sink.requests)

    def test_feed(self):
        self.endpoint.transport = "feed"
        with self.assertRaisesRegex(UserError, "the other side fetches"):
            self.ping()

    def test_only_administrators(self):
        for group in ("operator", "approver", "auditor"):
            with (
                self.subTest(group),
                mute_logger("odoo.models"),
                self.assertRaises(AccessError),
            ):
                self.endpoint.with_user(self.users[group]).action_test()
        self.assertFalse(self.sink.requests)

    def test_by_the_connector(self):
        connector = self.connector.with_user(self.admin)
        self.assertEqual(connector.action_test()["res_model"], "finance.ping.wizard")
        self.make_endpoint(self.sink.url, self.connector, name="Second")
        self.connector.invalidate_recordset()
        action = connector.action_test()
        self.assertEqual(action["res_model"], "finance.endpoint")
        self.assertEqual(self.env["finance.endpoint"].search_count(action["domain"]), 2)

    def test_again(self):
        dialog = self.ping()
        self.sink.answers = [status(503)]
        action = dialog.action_send_again()
        second = self.env["finance.ping.wizard"].browse(action["res_id"])
        self.assertFalse(second.arrived)
        self.assertNotEqual(second.event_key, dialog.event_key)

    def test_a_long_answer(self):
        """Not more than is kept, and nothing that the database can't hold."""
        self.sink.answers = [status(200, X_Long="x" * 5000)]
        dialog = self.ping()
        self.assertIn("x" * ANSWER_HEADER_MAX_LENGTH, dialog.response_headers)
        self.assertNotIn("x" * 5000, dialog.response_headers)
