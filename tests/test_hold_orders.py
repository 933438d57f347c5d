from odoo.exceptions import UserError
from odoo.tests import tagged

from ..models.approval.finance_policed import ConsentMissing
from ..models.hold.finance_hold import RecordHeld
from .common import FinanceHubCommon


# Not among the standard tests: it needs a database with sale.
# odoo -d DB -i finance_hub,sale --test-tags finance_hub_sale
@tagged("post_install", "-at_install", "-standard", "finance_hub_sale")
class TestHoldOrders(FinanceHubCommon):
    """cap 55, 58: an order is confirmed when what holds it has come."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.connector = cls.make_connector("shop")
        cls.holds = cls.env["finance.hold"]

    def order(self, **values):
        return self.env["sale.order"].create(
            {
                "partner_id": self.partner_a.id,
                "company_id": self.company.id,
                "order_line": [
                    (
                        0,
                        0,
                        {
                            "product_id": self.product_a.id,
                            "price_unit": 250.0,
                            "tax_ids": [(5,)],
                        },
                    )
                ],
                **values,
            }
        )

    def capture(self, order, amount, message_id):
        body = self.cloud_event(
            self.captured(order.name, f"pay_{message_id}", amount), message_id
        )
        _outcome, message = self.receive(self.connector, body, message_id)
        self.process()
        return message.command_ids

    def test_confirmed_after_capture(self):
        order = self.order(user_id=self.users["operator"].id)
        hold = self.holds._place(order, "order", "Waits for the payment")
        with self.assertRaises(RecordHeld) as caught:
            order.action_confirm()
        self.assertIn("Waits for the payment", str(caught.exception))
        with self.assertRaises(RecordHeld):
            order.write({"state": "sale"})
            self.env.flush_all()
        self.env.invalidate_all()
        self.assertEqual(order.state, "draft")
        self.capture(order, "100.00", "m1")
        self.assertEqual(hold.state, "active", "a part is not the whole")
        command = self.capture(order, "250.00", "m2")
        self.assertEqual(command.error_code, "B-UNMATCHED", "no invoice yet")
        self.assertEqual((hold.state, hold.release_command_id), ("released", command))
        self.assertEqual(order.activity_ids.user_id, self.users["operator"])
        order.action_confirm()
        self.env.flush_all()
        self.assertEqual(order.state, "sale")

    def test_kinds(self):
        for kind in ("risk", "exposure", "credit", "approval"):
            order = self.order()
            self.holds._place(order, kind, "Not yet")
            with self.subTest(kind), self.assertRaises(RecordHeld):
                order.action_confirm()
        order = self.order()
        self.holds._place(order, "revenue", "The payment failed")
        order.action_confirm()
        self.assertEqual(order.state, "sale")

    def test_customers(self):
        other = self.setup_other_company()["company"]
        hold = self.holds._place(
            self.partner_a, "risk", "On a list", topic="sanctions", company=other
        )
        self.order().action_confirm()
        hold.company_id = self.company
        self.env.flush_all()
        with self.assertRaises(RecordHeld):
            self.order().action_confirm()
        self.order(partner_id=self.partner_b.id).action_confirm()

    def test_credit_looks_at_todays_figures(self):
        self.partner_a.with_company(self.company).credit_limit = 300.0
        hold = self.holds._place(
            self.partner_a,
            "credit",
            "Over the limit",
            origin="check",
            company=self.company,
        )
        self.assertFalse(hold._over_limit_by(0.0))
        self.order().action_confirm()
        two = self.order() | self.order()
        with self.assertRaises(RecordHeld):
            two.action_confirm()

    def test_policy_holds_until_capture(self):
        policy = self.env["finance.policy"].create(
            {
                "name": "Large orders after payment",
                "company_id": self.company.id,
                "on_sales_order": True,
                "amount_from": 200.0,
            }
        )
        with self.assertRaises(UserError):
            policy._check_ready()
        policy.write({"effect": "hold", "hold_kind": "order"})
        policy._check_ready()
        policy.state = "active"
        small = self.order()
        small.order_line.price_unit = 150.0
        order = self.order()
        (small | order).action_confirm()
        self.env.flush_all()
        self.assertEqual((small.state, order.state), ("sale", "draft"))
        hold = self.holds._active(order)
        self.assertEqual(
            (hold.kind, hold.amount, hold.policy_ids.id), ("order", 250.0, policy.id)
        )
        other = self.order()
        with self.assertRaises(ConsentMissing):
            other.write({"state": "sale"})
            self.env.flush_all()
        self.env.invalidate_all()
        self.capture(order, "250.00", "m3")
        self.assertEqual(hold.state, "released")
        order.order_line.price_unit = 900.0
        order.action_confirm()
        self.assertEqual(order.state, "draft", "it is another order now")
        self.assertEqual(self.holds._active(order).amount, 900.0)
        self.capture(order, "900.00", "m4")
        order.action_confirm()
        self.env.flush_all()
        self.assertEqual(order.state, "sale")
        policy.state = "draft"
        self.assertIn("of 2", policy.preview)
