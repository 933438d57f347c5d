from odoo.tests import tagged

from .common import GROUPS, status
from .touring import TourCase


@tagged("post_install", "-at_install")
class TestTours(TourCase):
    """cap 66, 69, 71, 72: each screen does for its people what it is there for."""

    def setUp(self):
        super().setUp()
        self.sink = self.receiver()
        self.sink.answers = [status(500)]
        warehouse = self.make_connector("tour-warehouse", name="Tour Warehouse")
        self.endpoint = self.make_endpoint(
            self.sink.url,
            warehouse,
            patterns="finance.invoice.*",
            name="Tour Warehouse",
            retry_schedule="0",
        )
        self.shop = self.make_connector("tour-shop", name="Tour Shop")
        self.credential = self.make_credential(self.shop, "inbound")
        self.invoice = self.make_invoice(100.0, name="TOUR/2026/0001")
        self.dispatch()
        self.sink.answers = [status(200)]
        self.end_transaction()

    # === HELPERS === #

    def receive_unmatched(self):
        """Return the failed command of a payment that names no invoice."""
        _outcome, message = self.receive(
            self.shop,
            self.cloud_event(
                self.captured("ORDER-4711", "pay_unmatched"), "msg_unmatched"
            ),
            "msg_unmatched",
        )
        self.process()
        return message.command_ids

    def receive_paid(self):
        """Return an invoice that a message paid, and the message, which came twice."""
        invoice = self.make_invoice(100.0, name="TOUR/2026/0002")
        body = self.cloud_event(self.captured(invoice.name, "pay_paid"), "msg_paid")
        _outcome, message = self.receive(self.shop, body, "msg_paid")
        self.process()
        self.receive(self.shop, body, "msg_paid")
        self.assertEqual(invoice.payment_state, "paid")
        return invoice, message

    def receive_garbage(self):
        _outcome, message = self.receive(
            self.shop, b"this is no message", "msg_garbage"
        )
        self.process()
        self.assertEqual(message.state, "failed")
        return message

    def delivery(self):
        return self.events_of(self.invoice).delivery_ids

    def exception_of(self, record):
        return self.env["finance.exception"].search(
            [("res_model", "=", record._name), ("res_id", "=", record.id)]
        )

    # === EXCEPTIONS === #

    def test_exception_retry(self):
        """An operator reads what happened, takes it on and tries again."""
        exception = self.delivery().exception_id
        self.walk("finance_hub_exception_retry", "operator", "finance_exception_action")
        self.assertEqual(exception.user_id, self.users["operator"])
        self.assertEqual(exception.state, "in_progress")
        self.assertEqual(self.delivery().state, "waiting")
        self.dispatch()
        self.assertEqual(self.delivery().state, "delivered")
        self.assertEqual(exception.state, "resolved")

    def test_exception_correct(self):
        """An operator chooses the right invoice, and the payment is booked."""
        command = self.receive_unmatched()
        exception = self.exception_of(command)
        self.walk(
            "finance_hub_exception_correct", "operator", "finance_exception_action"
        )
        self.assertEqual(command.state, "superseded")
        correction = command.correction_ids
        self.assertEqual(correction.data["document_ref"], "TOUR/2026/0001")
        self.assertEqual(correction.corrected_by_id, self.users["operator"])
        self.assertEqual(
            correction.correction_reason, "The customer confirmed the invoice"
        )
        self.assertEqual(self.invoice.payment_state, "not_paid")
        self.process()
        self.assertEqual(correction.state, "applied")
        self.assertEqual(self.invoice.payment_state, "paid")
        self.assertEqual(exception.state, "resolved")

    def test_exception_cancel(self):
        exception = self.exception_of(self.receive_unmatched())
        self.walk(
            "finance_hub_exception_cancel", "operator", "finance_exception_action"
        )
        self.assertEqual(exception.state, "cancelled")
        self.assertEqual(exception.resolution, "The shop refunded it")
        self.assertEqual(exception.resolved_by_id, self.users["operator"])

    def test_exception_list(self):
        """Several can be taken on at once, from the list."""
        exception = self.exception_of(self.receive_unmatched())
        self.walk("finance_hub_exception_list", "operator", "finance_exception_action")
        self.assertEqual(exception.user_id, self.users["operator"])

    def test_exception_auditor(self):
        """An auditor sees all of it and finds nothing to press."""
        exception = self.exception_of(self.receive_unmatched())
        self.walk(
            "finance_hub_exception_auditor", "auditor", "finance_exception_action"
        )
        self.assertEqual(exception.state, "open")

    # === GOING OUT === #

    def test_events(self):
        self.walk("finance_hub_events", "auditor", "finance_event_action")

    def test_deliveries(self):
        """An operator looks at the attempt and sends again."""
        delivery = self.delivery()
        self.walk("finance_hub_deliveries", "operator", "finance_delivery_action")
        self.assertEqual(delivery.state, "waiting")
        self.dispatch()
        self.assertEqual(delivery.state, "delivered")

    def test_delivery_cancel(self):
        delivery = self.delivery()
        exception = delivery.exception_id
        self.walk("finance_hub_delivery_cancel", "operator", "finance_delivery_action")
        self.assertEqual(delivery.state, "cancelled")
        self.assertEqual(exception.state, "resolved")

    # === COMING IN === #

    def test_messages(self):
        message = self.receive_garbage()
        self.walk("finance_hub_messages", "operator", "finance_message_action")
        self.assertEqual(message.state, "received")
        self.process()
        self.assertEqual(message.state, "failed", "it still makes no sense")

    def test_message_arrivals(self):
        self.receive_paid()
        self.walk("finance_hub_message_arrivals", "auditor", "finance_message_action")

    def test_commands(self):
        command = self.receive_unmatched()
        self.walk("finance_hub_commands", "operator", "finance_command_action")
        self.assertEqual(command.state, "received")
        self.process()
        self.assertEqual(command.state, "failed")

    def test_command_result(self):
        self.receive_paid()
        self.walk("finance_hub_command_result", "auditor", "finance_command_action")

    def test_transactions(self):
        self.receive_paid()
        self.walk("finance_hub_transactions", "auditor", "finance_transaction_action")

    # === CONNECTIONS === #

    def test_connector_from_nothing_to_live(self):
        """Set up by an administrator, put live by an approver, all by mouse."""
        self.walk(
            "finance_hub_connector_setup", "administrator", "finance_connector_action"
        )
        connector = self.env["finance.connector"].search(
            [("code", "=", "toured-ledger")]
        )
        self.assertEqual(connector.state, "draft")
        self.assertEqual(connector.endpoint_ids.url, "https://example.com/hook")
        credential = connector.credential_ids
        self.assertEqual(connector.endpoint_ids.credential_id, credential)
        self.assertEqual(credential.state, "empty")
        self.walk(
            "finance_hub_credential_generate",
            "administrator",
            "finance_credential_action",
        )
        self.assertEqual(credential.state, "active")
        self.assertEqual(len(credential._secrets()), 1)
        self.make_tested(connector)
        self.walk(
            "finance_hub_connector_request", "administrator", "finance_connector_action"
        )
        self.assertEqual(connector.state, "in_review")
        self.walk(
            "finance_hub_connector_approve", "approver", "finance_connector_action"
        )
        self.assertEqual(connector.state, "live")
        self.assertEqual(connector.requested_by_id, self.users["administrator"])
        self.assertEqual(connector.approved_by_id, self.users["approver"])

    def test_connector_suspend(self):
        self.receive_unmatched()
        self.make_tested(self.shop)
        self.walk(
            "finance_hub_connector_suspend", "approver", "finance_connector_action"
        )
        self.assertEqual(self.shop.state, "live")

    def test_endpoints(self):
        self.walk("finance_hub_endpoints", "administrator", "finance_endpoint_action")
        self.assertEqual(self.endpoint.state, "live")
        self.assertEqual(self.endpoint.retry_schedule, "0, 60")

    def test_test_event(self):
        """An administrator tests an endpoint and reads what it answered."""
        self.sink.answers = [status(500), status(200)]
        self.walk("finance_hub_test_event", "administrator", "finance_endpoint_action")
        self.assertEqual(len(self.sink.events), 3, "one of set-up, two tests")
        self.assertEqual(self.sink.events[-1]["type"], "finance.connector.ping.v1")

    def test_health(self):
        self.walk("finance_hub_health", "operator", "finance_endpoint_action")

    def test_subscriptions(self):
        self.walk(
            "finance_hub_subscriptions", "administrator", "finance_subscription_action"
        )
        subscription = self.env["finance.subscription"].search(
            [("name", "=", "Toured subscription")]
        )
        self.assertEqual(subscription.endpoint_id, self.endpoint)
        self.assertEqual(subscription.patterns, "finance.payment.*")

    def test_credential_rotate(self):
        self.walk(
            "finance_hub_credential_rotate",
            "administrator",
            "finance_credential_action",
        )
        self.assertEqual(self.credential.state, "revoked")
        self.assertEqual(self.credential._secrets(), [])

    def test_client_and_feed(self):
        """From nothing to a feed that somebody can read."""
        feeder = self.make_connector("tour-feeder", name="Tour Feeder")
        self.make_feed(feeder, name="Tour Feed")
        self.walk("finance_hub_client_setup", "administrator", "finance_client_action")
        client = feeder.client_ids
        self.assertEqual(client.state, "active")
        self.assertTrue(client._may("event:read"))
        self.assertNotEqual(client.key_prefix, client.previous_key_prefix)
        self.walk("finance_hub_feed_endpoint", "operator", "finance_endpoint_action")

    def test_credential_in_connector(self):
        """A secret can be rotated from the connector that it belongs to."""
        before = self.credential._secrets()
        self.walk(
            "finance_hub_credential_in_connector",
            "administrator",
            "finance_connector_action",
        )
        after = self.credential._secrets()
        self.assertEqual(len(after), 2)
        self.assertEqual(after[1:], before, "the one before stays valid for a while")

    # === ALL OF IT === #

    def test_timeline(self):
        """From a paid invoice to everything that belongs to it."""
        invoice, _message = self.receive_paid()
        self.dispatch()
        self.walk(
            "finance_hub_timeline",
            "auditor",
            url=f"/odoo/action-account.action_move_out_invoice_type/{invoice.id}",
        )

    def test_menus(self):
        """Each screen opens from its menu, for every role."""
        self.receive_unmatched()
        self.receive_paid()
        self.receive_garbage()
        for group in GROUPS:
            with self.subTest(group):
                self.walk("finance_hub_menus", group, url="/odoo")
