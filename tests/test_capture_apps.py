from odoo.tests import tagged

from .common import FinanceHubCommon


# Not among the standard tests: it needs a database with purchase and hr_expense.
# odoo -d DB -i finance_hub,purchase,hr_expense --test-tags finance_hub_apps
@tagged("post_install", "-at_install", "-standard", "finance_hub_apps")
class TestCaptureApps(FinanceHubCommon):
    """cap 22: events of apps that the addon does not depend on."""

    def test_apps_are_installed(self):
        self.assertIn("purchase.order", self.env)
        self.assertIn("hr.expense", self.env)

    # === PURCHASE === #

    def order(self):
        order = self.env["purchase.order"].create(
            {
                "partner_id": self.partner_a.id,
                "order_line": [
                    (
                        0,
                        0,
                        {
                            "product_id": self.product_a.id,
                            "product_qty": 4,
                            "price_unit": 250.0,
                        },
                    )
                ],
            }
        )
        self.end_transaction()
        return order

    def test_order_approved(self):
        order = self.order()
        self.assertEqual(self.verbs_of(order), [])
        order.button_confirm()
        self.assertEqual(self.verbs_of(order), ["approved"])
        event = self.events_of(order)
        self.assertFalse(event.problem)
        self.assertEqual(event.data["lines"][0]["quantity"], "4")

    def test_order_received(self):
        order = self.order()
        order.button_confirm()
        self.end_transaction()
        line = order.order_line
        line.qty_received_method = "manual"
        with self.env.cr.savepoint():
            line.qty_received = 2
        line.qty_received = 3
        self.assertEqual(self.verbs_of(order), ["approved", "received"])
        event = self.events_of(order)[-1]
        self.assertFalse(event.problem)
        self.assertEqual(event.data["lines"][0]["received"], "3")
        self.assertFalse(event.data["fully_received"])

    def test_received_and_corrected_is_silent(self):
        order = self.order()
        order.button_confirm()
        self.end_transaction()
        line = order.order_line
        line.qty_received_method = "manual"
        with self.env.cr.savepoint():
            line.qty_received = 2
        line.qty_received = 0
        self.assertEqual(self.verbs_of(order), ["approved"])

    # === EXPENSES === #

    def test_expense(self):
        employee = self.env["hr.employee"].create(
            {
                "name": "Test Employee",
                "company_id": self.company.id,
                "expense_manager_id": self.env.user.id,
            }
        )
        expense = self.env["hr.expense"].create(
            {
                "name": "Train",
                "employee_id": employee.id,
                "product_id": self.product_a.id,
                "total_amount_currency": 84.5,
                "company_id": self.company.id,
                "manager_id": self.env.user.id,
            }
        )
        self.assertEqual(self.verbs_of(expense), [])
        expense.action_submit()
        self.assertEqual(self.verbs_of(expense), ["received"])
        expense._do_approve(check=False)
        self.assertEqual(self.verbs_of(expense), ["received", "approved"])
        self.assertFalse(any(self.events_of(expense).mapped("problem")))

    # === HOOKS === #

    def test_hooks_are_taken_off(self):
        model = self.registry["purchase.order"]
        self.assertIn("_finance_collect", vars(model))
        capture = self.env["finance.capture"]
        capture._unregister_hook()
        self.addCleanup(capture._register_hook)
        self.assertFalse({"_finance_collect", "_create"} & vars(model).keys())
