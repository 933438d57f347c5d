"""Endpoints of a message broker; publishing itself is tested against a real one."""

import os
import sys
from unittest.mock import patch

from odoo.exceptions import ValidationError
from odoo.tests import Form, tagged

from ..models.outbox.routes import load_route
from .common import FinanceHubCommon

BROKER = "amqps://broker.example.com:5671/finance"


@tagged("post_install", "-at_install")
class TestAmqpEndpoint(FinanceHubCommon):
    def make(self, url=BROKER, networks="", **values):
        values = {"transport": "amqp", "amqp_exchange": "finance.events", **values}
        with patch.dict(os.environ, {"FINANCE_HUB_ALLOWED_NETWORKS": networks}):
            return self.make_endpoint(url, self.connector, None, **values)

    def setUp(self):
        super().setUp()
        self.connector = self.make_connector("broker")

    def test_a_broker(self):
        endpoint = self.make()
        self.assertEqual(endpoint.amqp_routing_key, "{type}")
        self.assertFalse(endpoint.amqp_declare_exchange)
        self.assertTrue(self.make(amqp_routing_key=False))
        self.assertTrue(self.make(amqp_routing_key="erp.{company}.{object}.{verb}"))

    def test_addresses_of_brokers(self):
        self.assertTrue(self.make("amqp://127.0.0.1:5672/x", "127.0.0.0/8"))
        for url, networks in (
            ("https://broker.example.com/", ""),
            ("amqp://broker.example.com/", ""),
            ("amqp://127.0.0.1/", ""),
            ("amqps://10.1.2.3/", ""),
            ("amqps://10.1.2.3/", "127.0.0.0/8"),
            ("amqps://169.254.169.254/", "0.0.0.0/0"),
            ("amqps://guest:guest@broker.example.com/", ""),
            ("amqps://broker.example.com/a/b", ""),
        ):
            with (
                self.subTest(url=url, networks=networks),
                self.assertRaisesRegex(ValidationError, "can't be used"),
            ):
                self.make(url, networks)

    def test_an_address_belongs_to_its_transport(self):
        endpoint = self.make()
        with self.assertRaisesRegex(ValidationError, "only https://"):
            endpoint.transport = "https"
        endpoint.write({"transport": "https", "url": "https://example.com/hook"})
        with self.assertRaisesRegex(ValidationError, "only amqps://"):
            endpoint.transport = "amqp"

    def test_exchange_and_routing_key(self):
        for values, message in (
            ({"amqp_exchange": False}, "name of the broker's exchange"),
            ({"amqp_exchange": "not good"}, "letters, digits"),
            ({"amqp_exchange": "x" * 256}, "at most 255"),
            ({"amqp_routing_key": "{name}"}, "is not known"),
            ({"amqp_routing_key": "#"}, "A routing key is made of"),
        ):
            with (
                self.subTest(values=values),
                self.assertRaisesRegex(ValidationError, message),
            ):
                self.make(**values)
        endpoint = self.make()
        with self.assertRaises(ValidationError):
            endpoint.amqp_exchange = False

    def test_credentials_of_a_broker(self):
        values = {"connector_id": self.connector.id, "direction": "outbound"}
        create = self.env["finance.credential"].create
        login = create(
            {
                **values,
                "name": "Login",
                "scheme": "basic",
                "username": "hub",
                "secret_input": "hub-password",
            }
        )
        endpoint = self.make(
            auth_credential_id=login.id, amqp_declare_exchange=True, concurrency=7
        )
        route = load_route(endpoint)
        self.assertEqual(route.destination.transport, "amqp")
        options = route.destination.options
        self.assertEqual((options.username, options.password), ("hub", "hub-password"))
        self.assertEqual((options.url, options.exchange), (BROKER, "finance.events"))
        self.assertTrue(options.declare)
        self.assertTrue(options.signer)
        endpoint.credential_id = False
        self.assertIsNone(load_route(endpoint).destination.options.signer)
        token = create({**values, "name": "Token", "scheme": "bearer"})
        with self.assertRaisesRegex(ValidationError, "user name and password"):
            endpoint.auth_credential_id = token
        endpoint.auth_credential_id = login
        requests = create(
            {**values, "name": "Requests", "scheme": "http_message_signatures"}
        )
        with self.assertRaisesRegex(ValidationError, "Standard Webhooks"):
            endpoint.credential_id = requests

    def test_other_transports_need_no_exchange(self):
        endpoint = self.make_endpoint("https://example.com/hook", self.connector)
        self.assertFalse(endpoint.amqp_exchange)

    def test_without_the_library(self):
        with (
            patch.dict(sys.modules, {"pika": None}),
            self.assertRaisesRegex(ValidationError, "pip install pika"),
        ):
            self.make()

    def test_the_form_asks_for_what_the_transport_needs(self):
        form = Form(self.env["finance.endpoint"])
        form.name = "Broker"
        form.connector_id = self.connector
        form.url = "https://example.com/hook"
        self.assertTrue(form._get_modifier("amqp_exchange", "invisible"))
        self.assertFalse(form._get_modifier("url", "invisible"))
        form.transport = "amqp"
        form.url = BROKER
        self.assertFalse(form._get_modifier("amqp_exchange", "invisible"))
        self.assertTrue(form._get_modifier("amqp_exchange", "required"))
        form.amqp_exchange = "finance.events"
        endpoint = form.save()
        self.assertEqual(endpoint.transport, "amqp")
