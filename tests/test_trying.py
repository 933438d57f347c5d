import base64
import json

from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, new_test_user, tagged
from odoo.tools import mute_logger

from ..models import constants
from .common import FinanceHubCommon

CHARGE = {
    "id": "evt_1",
    "object": "event",
    "type": "charge.succeeded",
    "created": 1_768_900_000,
    "livemode": True,
    "data": {
        "object": {
            "id": "ch_1",
            "object": "charge",
            "amount": 10000,
            "amount_captured": 10000,
            "captured": True,
            "currency": "usd",
            "metadata": {"invoice": "INV/1"},
            "payment_intent": "pi_1",
            "status": "succeeded",
        }
    },
}


@tagged("post_install", "-at_install")
class TestTrying(FinanceHubCommon):
    """cap 30: what a message would become is seen before it comes."""

    def setUp(self):
        super().setUp()
        self.connector = self.make_connector("stripe", adapter="stripe")

    def try_(self, content, connector=None, user="operator", **values):
        """Return the wizard after a content was tried."""
        connector = connector or self.connector
        action = connector.with_user(self.users[user]).action_try_message()
        wizard = self.env[action["res_model"]].browse(action["res_id"])
        wizard = wizard.with_user(self.users[user])
        if content is not None:
            content = content if isinstance(content, str) else json.dumps(content)
        wizard.write({"content": content, **values})
        answer = wizard.action_try()
        self.assertEqual(answer["res_id"], wizard.id)
        return wizard

    def counts(self):
        return [
            self.env[model].search_count([])
            for model in (
                "finance.message",
                "finance.command",
                "finance.transaction",
                "finance.exception",
                "account.payment",
            )
        ]

    def test_commands_are_shown_and_nothing_happens(self):
        before = self.counts()
        wizard = self.try_(CHARGE)
        self.assertTrue(wizard.understood)
        self.assertEqual(wizard.message_name, "evt_1")
        self.assertFalse(wizard.note)
        result = wizard.result_ids
        self.assertEqual(
            (result.title, result.verdict, result.business_key, result.external_id),
            ("Payment captured", "command", "pi_1", "evt_1"),
        )
        self.assertEqual(json.loads(result.data_text)["amount"], "100.00")
        self.assertEqual(self.counts(), before)
        with Form(wizard):
            pass

    def test_faults_point_at_the_value(self):
        wrong = json.loads(json.dumps(CHARGE))
        wrong["data"]["object"]["amount_captured"] = "many"
        before = self.counts()
        wizard = self.try_(wrong)
        self.assertFalse(wizard.understood)
        self.assertFalse(wizard.result_ids)
        fault = wizard.fault_ids
        self.assertEqual(fault.pointer, "/data/object/amount_captured")
        self.assertEqual(fault.excerpt, '"many"')
        self.assertIn("whole number", fault.message)
        self.assertEqual(self.counts(), before)
        # Corrected in place, the faults are gone.
        wizard.content = json.dumps(CHARGE)
        wizard.action_try()
        self.assertFalse(wizard.fault_ids)
        self.assertEqual(len(wizard.result_ids), 1)

    def test_what_is_ignored_says_why(self):
        wizard = self.try_({**CHARGE, "type": "customer.created"})
        self.assertTrue(wizard.understood)
        self.assertIn("no use", wizard.headline)
        self.assertEqual(wizard.result_ids.verdict, "ignored")
        self.assertEqual(wizard.result_ids.title, "stripe:customer.created")

    def test_no_json_at_all(self):
        wizard = self.try_("<xml/>")
        self.assertFalse(wizard.understood)
        self.assertIn("JSON", wizard.headline)

    def test_every_format_can_be_tried(self):
        from ..providers import ADAPTERS

        for name, adapter in ADAPTERS.items():
            values = {"adapter": name}
            if name == "csv_statement":
                values["adapter_options"] = {
                    "date": "Date",
                    "amount": "Amount",
                    "account": "BE68539007547034",
                    "currency": "EUR",
                }
            connector = self.make_connector(f"try-{name.replace('_', '-')}", **values)
            with self.subTest(adapter.title):
                wizard = self.try_("{}", connector)
                self.assertTrue(wizard.headline)

    def test_our_own_format(self):
        own = self.make_connector("own")
        body = self.cloud_event(self.captured("INV/1")).decode()
        self.assertEqual(self.try_(body, own).result_ids.business_key, "pay_1")
        headers = "Content-Type: application/json\nce-specversion: 1.0\nce-id: 1\n"
        headers += "ce-source: /s\nce-type: payment.captured.v1\n"
        wizard = self.try_(self.captured("INV/1"), own, headers_text=headers)
        self.assertEqual(wizard.result_ids.external_id, "/s#1")

    def test_files(self):
        self.connector.file_adapter = "adyen_settlement"
        content = base64.b64encode(b"Company Account,Merchant Account\n")
        wizard = self.try_(None, upload=content, read_as="file")
        self.assertFalse(wizard.understood)
        self.assertNotIn("JSON", wizard.headline)
        wizard = self.try_(CHARGE)
        self.assertTrue(wizard.understood, "still a message")

    def test_a_received_message(self):
        _outcome, message = self.receive(
            self.connector, json.dumps(CHARGE).encode(), "evt_1"
        )
        action = message.with_user(self.users["operator"]).action_try()
        wizard = self.env["finance.try.wizard"].browse(action["res_id"])
        self.assertEqual(wizard.connector_id, self.connector)
        wizard.with_user(self.users["operator"]).action_try()
        self.assertEqual(wizard.result_ids.business_key, "pi_1")
        self.assertFalse(wizard.content, "what is kept is not copied")
        self.assertFalse(message.command_ids)
        # Pasted, it is known.
        self.assertIn("came before", self.try_(CHARGE).note)
        other = self.make_connector("other", adapter="stripe")
        with self.assertRaises(UserError):
            self.try_(None, other, message_id=message.id)

    def test_an_encrypted_message_is_for_those_who_may_read_it(self):
        self.connector.encrypt_bodies = True
        _outcome, message = self.receive(
            self.connector, json.dumps(CHARGE).encode(), "evt_1"
        )
        operator = self.users["operator"]
        action = message.with_user(operator).action_try()
        wizard = self.env["finance.try.wizard"].browse(action["res_id"])
        with self.assertRaisesRegex(UserError, "encrypted"):
            wizard.with_user(operator).action_try()
        operator.group_ids += self.env.ref(constants.GROUP_CONFIDENTIAL)
        wizard.with_user(operator).action_try()
        self.assertEqual(wizard.result_ids.business_key, "pi_1")

    def test_nothing_to_try(self):
        for values in ({}, {"content": "   "}):
            with self.subTest(values), self.assertRaises(UserError):
                self.try_(values.get("content"))

    def test_mapped_json_is_tried_by_its_mapping(self):
        connector = self.make_connector("mapped", adapter="generic_json")
        self.make_json_mapping(connector)
        order = {"id": 7, "cents": 1, "currency": "usd", "at": 0, "invoice": "INV/1"}
        self.assertEqual(self.try_(order, connector).result_ids.business_key, "7")
        fault = self.try_({**order, "cents": 1.5}, connector).fault_ids
        self.assertEqual((fault.pointer, fault.excerpt), ("/cents", "1.5"))

    def test_operators_and_administrators_try(self):
        self.try_(CHARGE, user="administrator")
        for group in ("approver", "auditor"):
            with (
                self.subTest(group),
                mute_logger("odoo.models"),
                self.assertRaises(AccessError),
            ):
                self.try_(CHARGE, user=group)

    def test_other_companies_can_not_be_tried(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        foreigner = new_test_user(
            self.env,
            "test_foreign_operator",
            "finance_hub.group_operator",
            company_id=company.id,
            company_ids=[(6, 0, company.ids)],
        )
        with mute_logger("odoo.models"), self.assertRaises(AccessError):
            self.env["finance.try.wizard"].with_user(foreigner).create(
                {"connector_id": self.connector.id, "content": json.dumps(CHARGE)}
            ).action_try()
