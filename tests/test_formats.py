import json

from psycopg2 import IntegrityError

from odoo.exceptions import AccessError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from .common import FinanceHubCommon

ORDER = {
    "id": 7,
    "type": "order.paid",
    "cents": 10000,
    "currency": "usd",
    "at": 1_768_900_000,
    "invoice": "",
}


def line(field_name, path=False, **values):
    return (0, 0, {"field_name": field_name, "path": path, **values})


class FormatCase(FinanceHubCommon):
    def process_json(self, connector, content, message_id="m1"):
        """Return the message of a content after it was processed."""
        outcome = self.env["finance.message"]._receive(
            connector,
            message_id,
            json.dumps(content).encode(),
            {"Content-Type": "application/json"},
            "127.0.0.1",
            "test",
        )
        self.assertEqual(outcome, "new")
        self.process()
        return self.env["finance.message"].search(
            [("connector_id", "=", connector.id), ("external_id", "=", message_id)]
        )


@tagged("post_install", "-at_install")
class TestFormatSettings(FormatCase):
    """cap 30: the settings of a message format are made by people, and checked."""

    def setUp(self):
        super().setUp()
        self.connector = self.make_connector("stripe", adapter="stripe")

    def settings(self):
        return json.loads(self.connector.settings_text)

    def test_all_settings_are_shown_and_only_changes_kept(self):
        self.assertEqual(self.settings()["captures_from"], "any")
        self.assertIsNone(self.settings()["account"])
        self.assertIn("captures_from", self.connector.settings_help)
        self.assertFalse(self.connector.adapter_options)
        self.connector.settings_text = json.dumps(
            {**self.settings(), "captures_from": "charge"}
        )
        self.assertEqual(self.connector.adapter_options, {"captures_from": "charge"})
        self.assertEqual(self.settings()["captures_from"], "charge")
        self.assertIn("invoice", self.settings()["reference_keys"])
        self.connector.settings_text = False
        self.assertFalse(self.connector.adapter_options)

    def test_wrong_settings_are_refused_with_their_place(self):
        for text, words in (
            ("{", "not valid JSON"),
            ("[]", "JSON object"),
            ('{"captures_from": "thin air"}', "/captures_from"),
            ('{"colour": "blue"}', "/colour"),
        ):
            with self.subTest(text), self.assertRaisesRegex(ValidationError, words):
                self.connector.settings_text = text

    def test_another_format_begins_with_its_own_settings(self):
        self.connector.adapter_options = {"captures_from": "charge"}
        form = Form(self.connector)
        form.adapter = "gocardless"
        self.assertEqual(json.loads(form.settings_text)["amount_key"], "amount")
        form.save()
        self.assertFalse(self.connector.adapter_options)
        self.connector.adapter = "canonical"
        self.assertFalse(self.connector.settings_text)
        self.assertFalse(self.connector.settings_help)

    def test_a_format_that_needs_settings_says_so(self):
        connector = self.make_connector("bank", adapter="stripe")
        with self.assertRaisesRegex(ValidationError, "date"):
            connector.adapter = "csv_statement"
        form = Form(connector)
        form.adapter = "csv_statement"
        settings = json.loads(form.settings_text)
        self.assertIsNone(settings["date"])
        form.settings_text = json.dumps(
            {
                **settings,
                "date": "Date",
                "amount": "Amount",
                "account": "BE68539007547034",
                "currency": "EUR",
            }
        )
        form.save()
        self.assertEqual(connector.adapter_options["date"], "Date")

    def test_files_have_settings_of_their_own(self):
        self.connector.file_adapter = "camt"
        shown = json.loads(self.connector.file_settings_text)
        self.assertTrue(shown)
        self.assertIn("<table", self.connector.file_settings_help)
        with self.assertRaisesRegex(ValidationError, "not known"):
            self.connector.file_settings_text = '{"colour": "blue"}'
        self.connector.file_adapter = False
        self.assertFalse(self.connector.file_settings_text)

    def test_a_change_is_on_record(self):
        def records():
            bodies = self.connector.message_ids.mapped("body")
            return len([body for body in bodies if "settings" in body])

        self.assertEqual(records(), 0)
        self.connector.adapter_options = {"mode": "live"}
        self.assertEqual(records(), 1)
        self.connector.name = "Other"
        self.assertEqual(records(), 1)

    def test_administrators_configure(self):
        connector = self.connector.with_user(self.users["administrator"])
        connector.settings_text = '{"mode": "live"}'
        self.assertEqual(connector.adapter_options, {"mode": "live"})
        with mute_logger("odoo.models"), self.assertRaises(AccessError):
            self.connector.with_user(self.users["operator"]).settings_text = "{}"


@tagged("post_install", "-at_install")
class TestJsonMapping(FormatCase):
    """cap 30: any system's JSON, mapped in a form."""

    def setUp(self):
        super().setUp()
        self.connector = self.make_connector("mapped", adapter="generic_json")

    def test_a_mapping_makes_payments(self):
        self.connector.json_event_path = "@.type"
        self.make_json_mapping(self.connector, events="order.paid, order.settled")
        invoice = self.make_invoice(100.0)
        message = self.process_json(self.connector, {**ORDER, "invoice": invoice.name})
        self.assertEqual(message.state, "processed", message.error)
        command = message.command_ids
        self.assertEqual(command.state, "applied", command.error)
        self.assertEqual(invoice.amount_residual, 0.0)
        other = self.process_json(
            self.connector, {**ORDER, "type": "order.seen"}, "m2"
        ).command_ids
        self.assertEqual(other.state, "ignored")
        self.assertEqual(other.type, "generic_json:order.seen")
        self.assertFalse(other.occurred_at)

    def test_it_is_compiled_whenever_it_changes(self):
        mapping = self.make_json_mapping(self.connector)
        options = self.connector.adapter_options
        self.assertEqual(options["zone"], "UTC")
        self.assertEqual(options["mappings"][0]["name"], "Paid orders")
        self.assertEqual(len(options["mappings"][0]["fields"]), 5)
        line_ = mapping.line_ids.filtered(lambda each: each.field_name == "amount")
        line_.path = "@.total"
        self.assertIn('"@.total"', json.dumps(self.connector.adapter_options))
        mapping.line_ids = [line("method", constant="card")]
        self.assertIn('"card"', json.dumps(self.connector.adapter_options))
        mapping.line_ids.filtered(lambda each: each.constant == "card").unlink()
        self.assertNotIn('"card"', json.dumps(self.connector.adapter_options))
        mapping.write({"condition_path": "@.status", "condition_values": "a, b"})
        compiled = self.connector.adapter_options["mappings"][0]
        self.assertEqual(
            compiled["conditions"], [{"path": "@.status", "values": ["a", "b"]}]
        )
        mapping.active = False
        self.assertEqual(self.connector.adapter_options["mappings"], [])
        mapping.active = True
        self.assertEqual(len(self.connector.adapter_options["mappings"]), 1)
        other = self.make_connector("other", adapter="generic_json")
        mapping.connector_id = other
        self.assertEqual(self.connector.adapter_options["mappings"], [])
        self.assertEqual(len(other.adapter_options["mappings"]), 1)
        mapping.unlink()
        self.assertEqual(other.adapter_options["mappings"], [])

    def test_the_order_of_mappings_is_kept(self):
        second = self.make_json_mapping(self.connector, name="Second", sequence=2)
        self.make_json_mapping(self.connector, name="First", sequence=1)
        names = [each["name"] for each in self.connector.adapter_options["mappings"]]
        self.assertEqual(names, ["First", "Second"])
        second.sequence = 0
        names = [each["name"] for each in self.connector.adapter_options["mappings"]]
        self.assertEqual(names, ["Second", "First"])

    def test_what_can_not_work_is_refused_in_the_words_of_the_form(self):
        mapping = self.make_json_mapping(self.connector)
        amount = mapping.line_ids.filtered(lambda each: each.field_name == "amount")
        for change, words in (
            (lambda: amount.write({"path": "total"}), "“amount”.*begins with"),
            (lambda: amount.write({"constant": "5"}), "“amount”.*path or a constant"),
            (lambda: amount.write({"field_name": "amont"}), "“Paid orders”.*amont"),
            (amount.unlink, "“Paid orders”.*needs the field amount"),
            (lambda: amount.write({"translation": "x"}), "no pair"),
            (lambda: mapping.write({"events": "a"}), "event_path"),
            (lambda: self.connector.write({"json_zone": "Mars"}), "Time Zone"),
            (lambda: self.connector.write({"json_id_path": "id"}), "Item ID"),
            (
                lambda: mapping.write({"condition_path": "@.a"}),
                "“Paid orders”.*at least 1",
            ),
        ):
            with (
                self.subTest(words),
                self.assertRaisesRegex(ValidationError, words),
                self.env.cr.savepoint(),
            ):
                change()
            self.env.invalidate_all()

    def test_translations_and_typed_constants(self):
        self.make_json_mapping(
            self.connector,
            name="Payouts",
            command="payout.released",
            line_ids=[
                line("payout_ref", "@.id"),
                line("net", "@.net"),
                line("currency", constant="EUR"),
                line("released_at", "@.at", convert="time"),
                line("complete", constant="false"),
                line("lines", "@.lines[*]"),
                line("lines.kind", "@.k", translation="P = payment\n\nF=fee"),
                line("lines.gross", "@.g"),
                line("lines.net", "@.n", sign="keep", default_value="0"),
            ],
        )
        message = self.process_json(
            self.connector,
            {
                "id": "PO1",
                "net": "9.00",
                "at": "2026-01-20T10:00:00Z",
                "lines": [
                    {"k": "P", "g": "10.00", "n": "10.00"},
                    {"k": "F", "g": "-1.00", "n": "-1.00"},
                ],
            },
        )
        data = message.command_ids.data
        self.assertIs(data["complete"], False)
        self.assertEqual([each["kind"] for each in data["lines"]], ["payment", "fee"])

    def test_a_person_makes_one(self):
        """A new mapping offers what its command needs."""
        administrator = self.users["administrator"]
        form = Form(
            self.env["finance.json.mapping"]
            .with_user(administrator)
            .with_context(default_connector_id=self.connector.id)
        )
        form.name = "Failed payments"
        form.command = "payment.failed"
        offered = [each["field_name"] for each in form.line_ids._records]
        self.assertEqual(
            offered,
            ["provider_ref", "reason_code", "failed_at", "parent_ref", "document_ref"],
        )
        for index, path in enumerate(("@.id", "@.why", "@.when")):
            with form.line_ids.edit(index) as each:
                each.path = path
        mapping = form.save()
        self.assertIn("reason_code", mapping.command_help)
        (compiled,) = self.connector.adapter_options["mappings"]
        self.assertEqual(len(compiled["fields"]), 3, "lines without a source are none")

    def test_a_copy_of_a_connector_has_its_mappings(self):
        self.make_json_mapping(self.connector)
        copy = self.connector.copy({"code": "copied"})
        self.assertEqual(copy.json_mapping_ids.name, "Paid orders")
        self.assertNotEqual(copy.json_mapping_ids, self.connector.json_mapping_ids)
        self.assertEqual(copy.adapter_options, self.connector.adapter_options)

    def test_only_administrators_map(self):
        mapping = self.make_json_mapping(self.connector)
        for group in ("operator", "approver", "auditor"):
            with (
                self.subTest(group),
                mute_logger("odoo.models"),
                self.assertRaises(AccessError),
            ):
                mapping.with_user(self.users[group]).name = "Mine"
        mapping.with_user(self.users["administrator"]).name = "Ours"
        self.assertEqual(self.connector.adapter_options["mappings"][0]["name"], "Ours")

    def test_a_mapping_needs_a_connector(self):
        with mute_logger("odoo.sql_db"), self.assertRaises(IntegrityError):
            self.env["finance.json.mapping"].create({"name": "Nowhere"})
            self.env.flush_all()
