from odoo.tests import Form, tagged

from .common import FinanceHubCommon


@tagged("post_install", "-at_install")
class TestTax(FinanceHubCommon):
    """cap 15, 37: taxes by a tax service are compared, and never written."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.connector = cls.make_connector("tax")
        cls.tax = cls.env["account.tax"].create(
            {"name": "VAT 21 (test)", "amount": 21.0, "type_tax_use": "sale"}
        )
        cls.low = cls.env["account.tax"].create(
            {"name": "VAT 9 (test)", "amount": 9.0, "type_tax_use": "sale"}
        )
        cls.make_mapping("tax", "V21", cls.tax)
        cls.make_mapping("tax", "V9", cls.low)
        cls.invoice = cls.make_taxed()

    @classmethod
    def make_taxed(cls, post=True, **values):
        lines = [("Books", 100.0, cls.low), ("Pens", 1000.0, cls.tax)]
        return cls.make_invoice(
            post=post,
            invoice_line_ids=[
                (
                    0,
                    0,
                    {
                        "name": name,
                        "quantity": 1,
                        "price_unit": price,
                        "tax_ids": [(6, 0, tax.ids)],
                    },
                )
                for name, price, tax in lines
            ],
            **values,
        )

    def send(self, total="219.00", lines=None, at="10:00", document=None, **values):
        """Send a calculation; return the command."""
        self.messages = getattr(self, "messages", 0) + 1
        message_id = f"msg_{self.messages}"
        data = {
            "document": document or self.invoice.name,
            "determination_ref": f"tx_{self.messages}",
            "currency": "USD",
            "total_tax": total,
            "determined_at": f"2026-02-10T{at}:00Z",
            "lines": self.lines() if lines is None else lines,
            **values,
        }
        body = self.cloud_event(data, message_id, type="tax.determination.v1")
        _outcome, message = self.receive(self.connector, body, message_id)
        self.process()
        return message.command_ids

    @staticmethod
    def lines(**changes):
        first = {
            "line": 1,
            "tax": "V9",
            "rate": "9",
            "base": "100.00",
            "amount": "9.00",
        }
        second = {
            "line": 2,
            "tax": "V21",
            "rate": "21",
            "base": "1000.00",
            "amount": "210.00",
        }
        return [first, {**second, **changes}]

    def exceptions(self, code):
        return self.env["finance.exception"].search(
            [("code", "=", code), ("is_open", "=", True)]
        )

    # === AGREEMENT === #

    def test_agreed(self):
        command = self.send()
        self.assertEqual(command.state, "applied", command.error)
        self.assertEqual(self.invoice.finance_tax_state, "agreed")
        self.assertEqual(self.invoice.finance_tax_reference, "tx_1")
        self.assertEqual(str(self.invoice.finance_tax_determined_at)[:10], "2026-02-10")
        self.assertEqual(Form(self.invoice).finance_tax_state, "agreed")

    def test_by_kind_of_tax(self):
        lines = [
            {"tax": "V9", "base": "100.00", "amount": "9.00"},
            {"tax": "V21", "base": "1000.00", "amount": "210.00"},
        ]
        self.assertEqual(self.send(lines=lines).state, "applied")
        lines[0]["amount"], lines[1]["amount"] = "210.00", "9.00"
        command = self.send(lines=lines, at="11:00")
        self.assertEqual(command.error_code, "D-TAX-MISMATCH")
        self.assertIn("VAT 9 (test)", command.error)

    def test_total_alone(self):
        self.assertEqual(self.send(lines=[]).state, "applied")

    def test_rounding_of_each_line_is_no_difference(self):
        command = self.send("219.01", self.lines(amount="210.01"))
        self.assertEqual(command.state, "applied", command.error)

    def test_credit_note_with_either_sign(self):
        refund = self.make_taxed(move_type="out_refund")
        self.assertEqual(self.send(document=refund.name).state, "applied")
        negative = [
            {**line, "base": f"-{line['base']}", "amount": f"-{line['amount']}"}
            for line in self.lines()
        ]
        command = self.send("-219.00", negative, "11:00", refund.name)
        self.assertEqual(command.state, "applied", command.error)

    # === DIFFERENCES === #

    def test_difference_in_words(self):
        command = self.send("199.00", self.lines(amount="190.00", rate="19"))
        self.assertEqual(
            (command.state, command.error_code), ("failed", "D-TAX-MISMATCH")
        )
        exception = self.exceptions("D-TAX-MISMATCH")
        for words in (
            "Line 2 (Pens)",
            "210.00",
            "190.00",
            "20.00",
            "All taxes",
            "19 %",
        ):
            self.assertIn(words, exception.cause)
        self.assertNotIn("Line 1", exception.cause)
        self.assertEqual(self.invoice.finance_tax_state, "differs")
        self.assertIn("Line 2 (Pens)", self.invoice.finance_tax_report)
        self.assertEqual(self.invoice.amount_tax, 219.0, "compared, never written")

    def test_two_roundings_on_one_line_are_a_difference(self):
        command = self.send("219.02", self.lines(amount="210.02"))
        self.assertEqual(command.error_code, "D-TAX-MISMATCH")

    def test_another_tax(self):
        command = self.send(lines=self.lines(tax="V9"))
        self.assertEqual(command.error_code, "D-TAX-MISMATCH")
        self.assertIn("VAT 9 (test)", command.error)

    def test_another_base_and_line(self):
        command = self.send(lines=self.lines(base="900.00"))
        self.assertIn("base", command.error)
        command = self.send(lines=self.lines(line=7), at="11:00")
        self.assertIn("no such line", command.error)

    def test_another_currency(self):
        command = self.send(currency="EUR")
        self.assertEqual(command.error_code, "D-TAX-MISMATCH")

    def test_agreed_after_the_document_was_corrected(self):
        draft = self.make_taxed(post=False)
        subject = f"invoice/{draft.id}"
        command = self.send("199.00", [], document=subject)
        self.assertEqual(draft.finance_tax_state, "differs")
        draft.invoice_line_ids[1].price_unit = (199.0 - 9.0) / 0.21
        self.exceptions("D-TAX-MISMATCH").with_user(
            self.users["operator"]
        ).action_retry()
        self.process()
        self.assertEqual(command.state, "applied", command.error)
        self.assertEqual(draft.finance_tax_state, "agreed")
        self.assertFalse(draft.finance_tax_report)
        self.assertFalse(self.exceptions("D-TAX-MISMATCH"))

    # === ORDER === #

    def test_older_calculation_is_ignored(self):
        self.send()
        command = self.send("1.00", at="09:00")
        self.assertEqual((command.state, command.error_code), ("ignored", "D-STALE"))
        self.assertEqual(self.invoice.finance_tax_state, "agreed")

    def test_calculation_before_its_document(self):
        number = self.invoice.name
        following = number[:-1] + str(int(number[-1]) + 1)
        command = self.send(document=following)
        self.assertEqual((command.state, command.error_code), ("waiting", "D-ORPHAN"))
        self.assertFalse(self.exceptions("D-ORPHAN"))
        invoice = self.make_taxed()
        self.assertEqual(invoice.name, following)
        self.process()
        self.assertEqual(command.state, "applied", command.error)
        self.assertEqual(invoice.finance_tax_state, "agreed")

    def test_unmapped_code_waits(self):
        lines = self.lines(tax="V99")
        command = self.send(lines=lines)
        self.assertEqual((command.state, command.error_code), ("waiting", "D-UNMAPPED"))
        self.assertFalse(self.invoice.finance_tax_state)

    def test_changed_documents_are_not_agreed_any_more(self):
        self.send()
        self.invoice.button_draft()
        self.assertFalse(self.invoice.finance_tax_state)
