from odoo import Command
from odoo.tests import tagged

from ..contracts import project, validate_data
from .common import FinanceHubCommon


@tagged("post_install", "-at_install")
class TestContractVersions(FinanceHubCommon):
    """cap 26, 27: taxes of documents in version 2, and what version 1 says of them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tax_group = cls.env["account.tax.group"].create(
            {"name": "VAT in the test", "company_id": cls.company.id}
        )
        cls.ten = cls.make_tax("10 % in the test", 10)

    @classmethod
    def make_tax(cls, name, amount, **values):
        return cls.env["account.tax"].create(
            {
                "name": name,
                "amount": amount,
                "tax_group_id": cls.tax_group.id,
                "company_id": cls.company.id,
                **values,
            }
        )

    def posted(self, *lines, **values):
        """Post a document of (price, taxes); return the data of its event."""
        move = self.make_invoice(
            invoice_line_ids=[
                Command.create(
                    {
                        "name": "Line",
                        "quantity": 2,
                        "price_unit": price,
                        "tax_ids": [Command.set(taxes.ids)],
                    }
                )
                for price, taxes in lines
            ],
            **values,
        )
        event = self.events_of(move).filtered(lambda e: ".posted." in e.type)
        self.assertEqual(len(event), 1)
        self.assertFalse(event.problem)
        return event

    def taxes_of(self, event):
        return [
            (tax["name"], tax["base"], tax["amount"]) for tax in event.data["taxes"]
        ]

    def test_lines_and_breakdown(self):
        five = self.make_tax("5 % in the test", 5.5)
        event = self.posted(
            (50, self.ten), (100, self.ten | five), (10, self.env["account.tax"])
        )
        self.assertEqual(event.type, "finance.invoice.posted.v2")
        first, second, third = event.data["lines"]
        self.assertEqual(
            first["taxes"],
            [
                {
                    "id": str(self.ten.id),
                    "name": "10 % in the test",
                    "amount_type": "percent",
                    "rate": "10",
                }
            ],
        )
        self.assertEqual(first["tax_amount"], "10.00")
        self.assertEqual([tax["rate"] for tax in second["taxes"]], ["10", "5.5"])
        self.assertEqual(second["tax_amount"], "31.00")
        self.assertEqual((third["taxes"], third["tax_amount"]), ([], "0.00"))
        self.assertEqual(
            self.taxes_of(event),
            [
                ("10 % in the test", "300.00", "30.00"),
                ("5 % in the test", "200.00", "11.00"),
            ],
        )
        self.assertEqual(event.data["taxes"][0]["group"], "VAT in the test")
        self.assertEqual(event.data["tax_amount"], "41.00")

    def test_each_kind_of_document(self):
        """Amounts are positive for the usual direction of each."""
        for move_type in (
            "out_invoice",
            "out_refund",
            "in_invoice",
            "in_refund",
            "out_receipt",
            "in_receipt",
        ):
            tax = self.ten.copy(
                {
                    "name": f"10 % {move_type}",
                    "type_tax_use": "sale" if "out" in move_type else "purchase",
                }
            )
            event = self.posted((50, tax), move_type=move_type)
            self.assertEqual(
                self.taxes_of(event), [(tax.name, "100.00", "10.00")], move_type
            )

    def test_foreign_currency(self):
        """Base and amount are in the document's currency."""
        currency = self.env["res.currency"].create(
            {
                "name": "TRC",
                "symbol": "T",
                "rounding": 0.001,
                "rate_ids": [Command.create({"name": "2020-01-01", "rate": 4.0})],
            }
        )
        event = self.posted((50, self.ten), currency_id=currency.id)
        self.assertEqual(self.taxes_of(event), [(self.ten.name, "100.000", "10.000")])

    def test_a_tax_on_a_tax(self):
        """The second one's base holds the first one's amount."""
        first = self.make_tax(
            "Excise in the test",
            3,
            amount_type="fixed",
            include_base_amount=True,
            sequence=1,
        )
        second = self.ten.copy({"name": "VAT on it", "sequence": 2})
        event = self.posted((50, first | second))
        self.assertEqual(
            sorted(self.taxes_of(event)),
            [
                ("Excise in the test", "100.00", "6.00"),
                ("VAT on it", "106.00", "10.60"),
            ],
        )
        kinds = {tax["name"]: tax for tax in event.data["lines"][0]["taxes"]}
        self.assertEqual(kinds["Excise in the test"]["amount_type"], "fixed")
        self.assertEqual(kinds["Excise in the test"]["rate"], "3")

    def test_groups_and_nothing_to_pay(self):
        """A group is on the line, its parts in the breakdown; so is a rate of 0."""
        parts = self.make_tax("Part A", 4) | self.make_tax("Part B", 0)
        group = self.make_tax(
            "A and B",
            0,
            amount_type="group",
            children_tax_ids=[Command.set(parts.ids)],
        )
        event = self.posted((50, group))
        (tax,) = event.data["lines"][0]["taxes"]
        self.assertEqual((tax["amount_type"], tax.get("rate")), ("group", None))
        self.assertEqual(
            sorted(self.taxes_of(event)),
            [("Part A", "100.00", "4.00"), ("Part B", "100.00", "0.00")],
        )

    def test_tax_included_in_the_price(self):
        included = self.make_tax("Included", 25, price_include_override="tax_included")
        event = self.posted((50, included))
        self.assertEqual(self.taxes_of(event), [("Included", "80.00", "20.00")])
        self.assertEqual(event.data["lines"][0]["amount"], "80.00")

    def test_version_1_is_what_it_was(self):
        event = self.posted((50, self.ten))
        name, data = project(event.type, event.data, 1)
        self.assertEqual(name, "finance.invoice.posted.v1")
        self.assertEqual(validate_data(name, data), data)
        self.assertNotIn("taxes", data)
        self.assertEqual(data["lines"][0]["taxes"], ["10 % in the test"])
        self.assertNotIn("tax_amount", data["lines"][0])
        self.assertEqual(data["tax_amount"], "10.00")
