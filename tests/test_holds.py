from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, new_test_user, tagged

from ..models.hold.finance_hold import RecordHeld
from .common import FinanceHubCommon


@tagged("post_install", "-at_install")
class TestHolds(FinanceHubCommon):
    """cap 55, 56, 58, 94: what is held stays where it is until somebody decides."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.holds = cls.env["finance.hold"]
        cls.connector = cls.make_connector("risk")
        cls.approver = cls.users["approver"]

    def hold(self, record, kind="risk", reason="Waits for the fraud check", **values):
        return self.holds._place(
            record, kind, reason, connector=self.connector, **values
        )

    def release(self, holds, user=None, reason="Looked at it"):
        holds = holds.with_user(user or self.approver)
        action = holds.action_release()
        wizard = (
            self.env[action["res_model"]]
            .with_user(user or self.approver)
            .with_context(**action["context"])
            .create({"reason": reason})
        )
        return wizard.action_confirm()

    def exceptions(self, code):
        return self.env["finance.exception"].search(
            [("code", "=", code), ("is_open", "=", True)]
        )

    # === WHAT IS STOPPED === #

    def test_posting_is_stopped_in_words(self):
        draft = self.make_invoice(post=False)
        for kind in ("risk", "approval", "exposure", "credit"):
            hold = self.hold(draft, kind)
            with self.subTest(kind), self.assertRaises(RecordHeld) as caught:
                draft.action_post()
            self.assertIn("Waits for the fraud check", str(caught.exception))
            self.assertIn(hold.released_by_text, str(caught.exception))
            self.assertIn(draft.display_name, str(caught.exception))
            self.assertEqual(caught.exception.holds, hold)
            self.holds._release(draft, kind, "Checked")
        draft.action_post()
        self.assertEqual(draft.state, "posted")

    def test_revenue_and_order_holds_are_shown_and_stop_nothing(self):
        draft = self.make_invoice(post=False)
        self.hold(draft, "revenue", "The payment failed")
        self.hold(draft, "order", "Not captured yet")
        draft.action_post()
        self.assertEqual(draft.state, "posted")
        self.assertIn("The payment failed", draft.finance_hold_text)
        self.assertFalse(draft.finance_hold_stops)

    def test_payment_is_stopped(self):
        payment = self.make_payment()
        self.hold(payment)
        with self.assertRaises(RecordHeld):
            payment.action_post()
        self.assertEqual(payment.state, "draft")
        self.holds._release(payment, "risk", "Checked")
        payment.action_post()
        self.assertEqual(payment.state, "in_process")

    def test_counterparty_is_stopped(self):
        """cap 36: a sanctioned counterparty gets neither documents nor money."""
        draft = self.make_invoice(post=False)
        self.hold(self.partner_a, topic="sanctions", reason="On a list")
        with self.assertRaises(RecordHeld):
            draft.action_post()
        with self.assertRaises(RecordHeld):
            self.make_payment("outbound").action_post()
        self.assertIn("On a list", draft.finance_hold_text)
        self.assertTrue(draft.finance_hold_stops)

    def test_money_that_came_in_is_booked(self):
        self.hold(self.partner_a, topic="sanctions", reason="On a list")
        payment = self.make_payment("inbound")
        payment.action_post()
        self.assertEqual(payment.state, "in_process")

    def test_other_counterparties_and_companies_go_on(self):
        self.hold(self.partner_a, topic="sanctions", reason="On a list")
        other = self.make_invoice(partner_id=self.partner_b.id)
        self.assertEqual(other.state, "posted")
        elsewhere = self.setup_other_company()["company"]
        self.holds._active(self.partner_a).write({"company_id": elsewhere.id})
        self.env.flush_all()
        self.assertEqual(self.make_invoice().state, "posted")

    def test_credit_hold_stops_sales_only(self):
        self.hold(self.partner_a, "credit", "Over the limit")
        with self.assertRaises(RecordHeld):
            self.make_invoice()
        bill = self.make_invoice(move_type="in_invoice")
        refund = self.make_invoice(move_type="out_refund")
        self.assertEqual({bill.state, refund.state}, {"posted"})

    def test_several_holds_are_all_named(self):
        draft = self.make_invoice(post=False)
        self.hold(draft, "risk", "First reason", topic="fraud")
        self.hold(draft, "exposure", "Second reason")
        with self.assertRaises(RecordHeld) as caught:
            draft.action_post()
        self.assertIn("First reason", str(caught.exception))
        self.assertIn("Second reason", str(caught.exception))

    def test_one_query_per_posting(self):
        moves = self.env["account.move"].concat(
            *(self.make_invoice(post=False) for _index in range(3))
        )
        moves.mapped("commercial_partner_id.name")
        moves.mapped("move_type")
        self.env.flush_all()
        with self.assertQueryCount(1):
            moves._finance_check_holds()

    def test_only_what_is_marked_is_looked_at(self):
        """The mark is there as long as a hold may stop it, and nobody takes it off."""
        draft = self.make_invoice(post=False)
        self.hold(draft, "revenue")
        self.assertFalse(draft.finance_maybe_held)
        for record in (draft, self.partner_a):
            self.assertFalse(record.finance_maybe_held)
            first, second = self.hold(record), self.hold(record, topic="fraud")
            self.assertTrue(record.finance_maybe_held)
            self.release(first)
            self.assertTrue(record.finance_maybe_held)
            second.cleared_until = fields.Datetime.now()
            self.release(second)
            self.assertTrue(record.finance_maybe_held)
            second.cleared_until = False
            self.assertFalse(record.finance_maybe_held)
            self.hold(record)
            with self.assertRaises(UserError):
                record.with_user(self.approver).write({"finance_maybe_held": False})
            self.holds._mark(record._name)
            self.assertTrue(record.finance_maybe_held)
            with self.assertRaises(RecordHeld):
                draft.action_post()
            self.release(self.holds._active(record, "risk"))
        draft.action_post()
        self.assertEqual(draft.state, "posted")

    # === PLACING === #

    def test_placed_twice_is_one(self):
        draft = self.make_invoice(post=False)
        first = self.hold(draft)
        second = self.hold(draft, reason="Still waits")
        self.assertEqual(first, second)
        self.assertEqual(first.reason, "Still waits")
        self.assertEqual(len(self.holds._active(draft)), 1)

    def test_topics_are_apart(self):
        draft = self.make_invoice(post=False)
        fraud = self.hold(draft, topic="fraud")
        sanctions = self.hold(draft, topic="sanctions")
        self.assertNotEqual(fraud, sanctions)
        self.holds._release(draft, "risk", "No fraud", topic="fraud")
        self.assertEqual((fraud.state, sanctions.state), ("released", "active"))
        with self.assertRaises(RecordHeld):
            draft.action_post()

    def test_the_document_tells(self):
        draft = self.make_invoice(post=False)
        hold = self.hold(draft)
        self.assertEqual(hold.correlation_id, draft.finance_correlation_id)
        self.assertEqual(hold.company_id, self.company)
        self.assertIn(
            "Waits for the fraud check", "".join(draft.message_ids.mapped("body"))
        )
        action = draft.action_open_finance_holds()
        self.assertEqual(self.holds.search(action["domain"]), hold)

    def place_by_hand(self, records, user, **values):
        """Hold records as a person does from the action menu."""
        wizard = (
            self.env["finance.hold.wizard"]
            .with_user(user)
            .with_context(active_model=records._name, active_ids=records.ids)
            .create({"reason": "Looks odd", **values})
        )
        wizard.action_confirm()
        return self.holds._active(records)

    def test_placed_by_hand(self):
        drafts = self.make_invoice(post=False) | self.make_invoice(post=False)
        operator = self.users["operator"]
        holds = self.place_by_hand(drafts, operator)
        self.assertEqual(len(holds), 2)
        self.assertEqual(holds.placed_by_id, operator)
        self.assertEqual(set(holds.mapped("origin")), {"person"})
        with self.assertRaises(RecordHeld):
            drafts.action_post()
        operator.group_ids += self.env.ref("finance_hub.group_approver")
        with self.assertRaises(UserError):
            holds.with_user(operator)._release_by_person("All right after all")
        self.release(holds)
        drafts.action_post()
        self.assertEqual(set(drafts.mapped("state")), {"posted"})

    def test_contact_by_hand(self):
        hold = self.place_by_hand(self.partner_a, self.approver, kind="credit")
        self.assertEqual((hold.company_id, hold.kind), (self.company, "credit"))
        with self.assertRaises(RecordHeld):
            self.make_invoice()

    def test_what_is_posted_is_not_stopped_by_hand(self):
        invoice = self.make_invoice()
        with self.assertRaises(UserError):
            self.place_by_hand(invoice, self.approver)
        self.assertTrue(self.place_by_hand(invoice, self.approver, kind="revenue"))

    def test_by_hand_has_limits(self):
        draft = self.make_invoice(post=False)
        with self.assertRaises(UserError):
            self.place_by_hand(self.env["res.users"], self.approver)
        with self.assertRaises(UserError):
            self.place_by_hand(self.users["operator"], self.approver)
        with self.assertRaises(UserError):
            self.place_by_hand(draft, self.approver, expires_at="2026-01-01")
        for group in ("administrator", "auditor"):
            with self.assertRaises(AccessError):
                self.place_by_hand(draft, self.users[group])

    # === RELEASING === #

    def test_approver_releases_with_a_reason(self):
        draft = self.make_invoice(post=False)
        hold = self.hold(draft)
        self.release(hold, reason="Called the customer")
        self.assertEqual(hold.state, "released")
        self.assertEqual(hold.released_by_id, self.approver)
        self.assertEqual(hold.release_reason, "Called the customer")
        draft.action_post()
        with self.assertRaises(UserError):
            self.release(hold)

    def test_others_do_not_release(self):
        hold = self.hold(self.make_invoice(post=False))
        for group in ("operator", "administrator", "auditor"):
            with self.subTest(group), self.assertRaises(AccessError):
                hold.with_user(self.users[group]).action_release()
            with self.subTest(group), self.assertRaises(AccessError):
                hold.with_user(self.users[group])._release_by_person("Mine")

    def test_whoever_placed_it_does_not_release(self):
        """cap 94"""
        draft = self.make_invoice(post=False)
        hold = self.holds.with_user(self.approver).sudo()._place(draft, "risk", "Odd")
        self.assertEqual(hold.placed_by_id, self.approver)
        with self.assertRaises(UserError):
            hold.with_user(self.approver)._release_by_person("All right after all")
        self.assertEqual(hold.state, "active")

    def test_post_when_released(self):
        accountant = new_test_user(
            self.env,
            "test_accountant",
            "account.group_account_invoice",
            company_id=self.company.id,
            company_ids=[(6, 0, self.company.ids)],
        )
        draft = self.make_invoice(post=False)
        first = self.hold(draft, topic="fraud")
        second = self.hold(draft, "exposure")
        draft.with_user(accountant).action_finance_post_when_released()
        self.release(first)
        self.assertEqual(draft.state, "draft", "the other one holds it still")
        self.release(second)
        self.assertEqual(draft.state, "posted")
        self.assertFalse(draft.finance_post_user_id)

    def test_post_when_released_that_fails_is_told(self):
        accountant = new_test_user(
            self.env,
            "test_accountant",
            "account.group_account_invoice",
            company_id=self.company.id,
            company_ids=[(6, 0, self.company.ids)],
        )
        draft = self.make_invoice(post=False)
        hold = self.hold(draft)
        draft.with_user(accountant).action_finance_post_when_released()
        draft.invoice_line_ids.unlink()
        self.release(hold)
        self.assertEqual((hold.state, draft.state), ("released", "draft"))
        self.assertEqual(draft.activity_ids.user_id, accountant)

    def test_nothing_waits_that_is_not_held(self):
        draft = self.make_invoice(post=False)
        with self.assertRaises(UserError):
            draft.action_finance_post_when_released()
        self.hold(draft)
        with self.assertRaises(AccessError):
            draft.with_user(self.users["operator"]).action_finance_post_when_released()

    def test_nothing_is_deleted(self):
        hold = self.hold(self.make_invoice(post=False))
        with self.assertRaises(UserError):
            hold.unlink()

    # === TIME === #

    def test_guarding_holds_outlast_their_time(self):
        """Silence is no consent."""
        draft = self.make_invoice(post=False)
        hold = self.hold(
            draft,
            expires_at="2026-01-20 10:00:00",
            amount=100.0,
            currency=self.company.currency_id,
        )
        self.holds._cron_expire()
        self.assertTrue(hold.is_overdue)
        self.assertEqual(hold.state, "active")
        exception = self.exceptions("B-RISK-PENDING")
        self.assertEqual((exception.res_id, exception.amount), (hold.id, 100.0))
        with self.assertRaises(RecordHeld):
            draft.action_post()
        self.holds._cron_expire()
        self.assertEqual(exception.occurrences, 1, "told once")
        self.release(hold)
        self.assertEqual(exception.state, "resolved")

    def test_waiting_holds_end(self):
        invoice = self.make_invoice()
        for kind in ("revenue", "order", "credit"):
            hold = self.hold(invoice, kind, expires_at="2026-01-20 10:00:00")
            self.holds._cron_expire()
            self.assertEqual(hold.state, "expired", kind)
        self.assertFalse(self.exceptions("B-RISK-PENDING"))

    def test_not_due_yet(self):
        hold = self.hold(self.make_invoice(), "revenue", expires_at="2999-01-01")
        self.holds._cron_expire()
        self.assertEqual(hold.state, "active")

    # === SCREENS === #

    def test_banners(self):
        draft = self.make_invoice(post=False)
        self.hold(draft)
        self.hold(self.partner_a, topic="sanctions", reason="On a list")
        payment = self.make_payment("outbound")
        for record in (draft, payment, self.partner_a):
            with self.subTest(record._name):
                self.assertIn("On a list", Form(record).finance_hold_text)

    # === HELPERS === #

    def make_payment(self, payment_type="outbound"):
        journal = self.company_data["default_journal_bank"]
        lines = journal.outbound_payment_method_line_ids
        lines.payment_account_id = self.outstanding
        return self.env["account.payment"].create(
            {
                "payment_type": payment_type,
                "partner_type": "supplier",
                "partner_id": self.partner_a.id,
                "amount": 50.0,
                "date": "2026-01-20",
                "journal_id": journal.id,
            }
        )
