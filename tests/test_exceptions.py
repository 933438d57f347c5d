from datetime import datetime, timedelta, timezone

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from ..contracts import TAXONOMY
from .common import FinanceHubCommon, status


@tagged("post_install", "-at_install")
class TestExceptions(FinanceHubCommon):
    """cap 66, 67, 69, 71: one queue, with class, owner, severity and what to do."""

    def open(self, code="B-UNMATCHED", fingerprint="x", **values):
        connector = values.pop("connector", None)
        return self.env["finance.exception"]._open(
            code,
            company=self.company,
            record=connector or self.company,
            connector=connector,
            fingerprint=fingerprint,
            summary="Something happened",
            cause="This is why",
            **values,
        )

    def test_every_code_can_be_opened(self):
        for code, kind in TAXONOMY.items():
            exception = self.open(code, fingerprint=code)
            self.assertEqual(exception.klass, kind.klass)
            self.assertEqual(exception.severity, kind.severity)
            self.assertEqual(exception.code_title, kind.title)
            self.assertEqual(exception.next_step, kind.next_step)
            self.assertTrue(exception.next_step)
            if kind.due:
                self.assertEqual(exception.due_at - exception.opened_at, kind.due)

    def test_same_cause_is_counted(self):
        first, second = self.open(), self.open()
        self.assertEqual(first, second)
        self.assertEqual(first.occurrences, 2)
        self.assertNotEqual(self.open(fingerprint="y"), first)

    def test_same_cause_after_the_end_is_a_new_case(self):
        first = self.open()
        first._resolve("Done")
        self.assertNotEqual(self.open(), first)

    def test_ranking(self):
        low = self.open("T-TIMEOUT", "a")
        critical = self.open("C-SIGNATURE", "b")
        medium = self.open("B-UNMATCHED", "c")
        ranked = self.env["finance.exception"].search([("is_open", "=", True)])
        self.assertEqual(
            (ranked & (low | critical | medium)).ids, [critical.id, medium.id, low.id]
        )

    def test_search_for_open_ones(self):
        opened, closed = self.open(), self.open(fingerprint="y")
        closed._resolve("Done")
        found = self.env["finance.exception"].search([("is_open", "=", True)])
        self.assertIn(opened, found)
        self.assertNotIn(closed, found)
        self.assertIn(
            closed, self.env["finance.exception"].search([("is_open", "=", False)])
        )

    def test_overdue(self):
        exception = self.open()
        self.assertFalse(exception.is_overdue)
        self.later(days=30)
        exception.invalidate_recordset()
        self.assertTrue(exception.is_overdue)
        exception._resolve("Done")
        self.assertFalse(exception.is_overdue)

    def test_take_on(self):
        exception = self.open()
        exception.with_user(self.users["operator"]).action_assign_to_me()
        self.assertEqual(exception.user_id, self.users["operator"])

    def test_cancel_needs_a_reason_and_keeps_it(self):
        exception = self.open()
        operator = self.users["operator"]
        action = exception.with_user(operator).action_cancel()
        wizard = (
            self.env["finance.reason.wizard"]
            .with_user(operator)
            .with_context(**action["context"])
            .create({"reason": "A test payment"})
        )
        wizard.action_confirm()
        self.assertEqual(exception.state, "cancelled")
        self.assertEqual(exception.resolution, "A test payment")
        self.assertEqual(exception.resolved_by_id, operator)
        with self.assertRaises(UserError):
            exception.with_user(operator)._cancel("again")

    def test_solved_by_hand(self):
        """What is settled outside of the hub is closed with how it was done."""
        exception = self.open("B-OVERPAY")
        operator = self.users["operator"]
        action = exception.with_user(operator).action_solve()
        self.env["finance.reason.wizard"].with_user(operator).with_context(
            **action["context"]
        ).create({"reason": "Paid back by bank transfer"}).action_confirm()
        self.assertEqual(exception.state, "resolved")
        self.assertEqual(exception.resolution, "Paid back by bank transfer")
        self.assertEqual(exception.resolved_by_id, operator)

    def test_what_can_be_retried_is_not_solved_by_hand(self):
        sink = self.receiver()
        sink.answers = [status(500)]
        endpoint = self.make_endpoint(sink.url, retry_schedule="0")
        self.make_invoice()
        self.dispatch()
        exception = endpoint.delivery_ids.exception_id
        with self.assertRaises(UserError):
            exception.with_user(self.users["operator"])._solve("I called them")

    def test_cancel_lets_followers_go(self):
        sink = self.receiver()
        endpoint = self.make_endpoint(sink.url, retry_schedule="0")
        invoice = self.make_invoice()
        self.end_transaction()
        sink.answers = [status(500), status(200)]
        self.dispatch()
        invoice.button_draft()
        exception = endpoint.delivery_ids.exception_id
        exception.with_user(self.users["operator"])._cancel("Not needed there")
        self.dispatch()
        self.assertEqual(
            endpoint.delivery_ids.sorted("id").mapped("state"),
            ["cancelled", "delivered"],
        )

    def test_nothing_to_retry(self):
        exception = self.open("C-SIGNATURE")
        self.assertFalse(exception.can_retry)
        with self.assertRaises(UserError):
            exception.with_user(self.users["operator"]).action_retry()

    def test_buttons_are_for_operators(self):
        exception = self.open()
        for group in ("auditor", "administrator", "approver"):
            for method in ("action_retry", "action_assign_to_me", "action_cancel"):
                with self.assertRaises(AccessError):
                    getattr(exception.with_user(self.users[group]), method)()

    def test_moments_are_utc(self):
        exception = self.open()
        age = datetime.now(timezone.utc) - exception.opened_at.replace(
            tzinfo=timezone.utc
        )
        self.assertLess(abs(age), timedelta(minutes=1))
