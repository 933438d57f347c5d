from itertools import permutations

from odoo.tests import new_test_user, tagged

from ..models.hold.finance_hold import RecordHeld
from .common import FinanceHubCommon


@tagged("post_install", "-at_install")
class TestDecisions(FinanceHubCommon):
    """cap 36, 39, 55: verdicts of fraud, sanctions and risk systems."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.connector = cls.make_connector("risk")
        cls.holds = cls.env["finance.hold"]

    def setUp(self):
        super().setUp()
        self.draft = self.make_invoice(post=False)
        self.subject = f"invoice/{self.draft.id}"
        self.messages = 0

    def send(self, verdict="approved", decided="10:00", **values):
        """Send a verdict of 2026-02-10; return the command."""
        self.messages += 1
        message_id = f"msg_{self.messages}"
        data = {
            "subject": self.subject,
            "decision_ref": f"rd_{self.messages}",
            "kind": "fraud",
            "verdict": verdict,
            "decided_at": f"2026-02-10T{decided}:00Z",
            "expires_at": "2999-01-01T00:00:00Z",
            **values,
        }
        body = self.cloud_event(data, message_id, type="risk.decision.v1")
        _outcome, message = self.receive(self.connector, body, message_id)
        self.process()
        return message.command_ids

    def hold(self, topic="fraud", **values):
        return self.holds._place(
            self.draft, "risk", "Waits for the fraud check", topic=topic, **values
        )

    def exceptions(self, code):
        return self.env["finance.exception"].search(
            [("code", "=", code), ("is_open", "=", True)]
        )

    def refused(self, record=None):
        try:
            (record or self.draft)._finance_check_holds()
        except RecordHeld:
            return True
        return False

    # === THE VERDICTS === #

    def test_approved_releases(self):
        hold = self.hold()
        command = self.send(score="12")
        self.assertEqual(command.state, "applied", command.error)
        self.assertEqual((hold.state, hold.verdict), ("released", "approved"))
        self.assertEqual((hold.verdict_reference, hold.verdict_score), ("rd_1", "12"))
        self.assertEqual(hold.release_command_id, command)
        self.assertEqual((command.res_model, command.res_id), (hold._name, hold.id))
        self.draft.action_post()
        self.assertEqual(self.draft.state, "posted")

    def test_approved_posts_what_somebody_wanted_posted(self):
        accountant = new_test_user(
            self.env,
            "test_accountant",
            "account.group_account_invoice",
            company_id=self.company.id,
            company_ids=[(6, 0, self.company.ids)],
        )
        self.hold()
        self.draft.with_user(accountant).action_finance_post_when_released()
        self.send()
        self.assertEqual(self.draft.state, "posted")

    def test_approved_posts_nothing_that_nobody_confirmed(self):
        self.hold()
        self.send()
        self.assertEqual(self.draft.state, "draft")

    def test_rejected_stays_held(self):
        hold = self.hold()
        command = self.send("rejected", reason="Stolen card")
        self.assertEqual(command.state, "applied", command.error)
        self.assertEqual((hold.state, hold.reason), ("active", "Stolen card"))
        exception = self.exceptions("B-RISK-REJECTED")
        self.assertEqual((exception.res_id, exception.amount), (hold.id, 100.0))
        self.assertIn("Stolen card", exception.cause)
        self.assertTrue(self.refused())

    def test_rejected_holds_what_nothing_held(self):
        self.send("rejected")
        hold = self.holds._active(self.draft)
        self.assertEqual((hold.kind, hold.topic), ("risk", "fraud"))
        self.assertTrue(self.refused())

    def test_rejected_after_it_was_posted(self):
        self.draft.action_post()
        self.send("rejected", subject=self.draft.name)
        self.assertIn("posted before", self.exceptions("B-RISK-REJECTED").cause)
        self.assertIn("Released by", self.draft.finance_hold_text)

    def test_review_gives_more_time(self):
        hold = self.hold(expires_at="2026-02-10 09:00:00")
        self.holds._cron_expire()
        self.assertTrue(self.exceptions("B-RISK-PENDING"))
        self.send("review", expires_at="2999-05-05T00:00:00Z")
        self.assertEqual((hold.state, hold.is_overdue), ("active", False))
        self.assertEqual(str(hold.expires_at), "2999-05-05 00:00:00")
        self.assertFalse(self.exceptions("B-RISK-PENDING"))

    def test_only_its_own_kind(self):
        fraud, sanctions = self.hold("fraud"), self.hold("sanctions")
        generic, exposure = (
            self.hold(None),
            self.holds._place(self.draft, "exposure", "Not calculated"),
        )
        self.send(kind="sanctions")
        self.assertEqual(sanctions.state, "released")
        self.send(kind="exposure")
        self.assertEqual(exposure.state, "released")
        self.send(kind="risk")
        self.assertEqual(generic.state, "released")
        self.assertEqual(fraud.state, "active")

    def test_sanctions_on_a_counterparty(self):
        self.send(
            "rejected",
            kind="sanctions",
            subject=f"counterparty/{self.partner_a.id}",
            reason="On a list",
        )
        self.assertTrue(self.refused())
        other = self.make_invoice(post=False, partner_id=self.partner_b.id)
        self.assertFalse(self.refused(other))
        self.send(
            kind="sanctions",
            decided="11:00",
            subject=f"counterparty/{self.partner_a.id}",
        )
        self.assertFalse(self.refused())
        self.assertFalse(self.exceptions("B-RISK-REJECTED"))

    # === ORDER AND TIME === #

    def test_the_latest_verdict_counts_in_any_order(self):
        """cap 39"""
        verdicts = [("review", "10:00"), ("approved", "11:00"), ("rejected", "12:00")]
        for index, order in enumerate(permutations(verdicts)):
            self.draft = self.make_invoice(post=False)
            self.subject = f"invoice/{self.draft.id}"
            for verdict, decided in order:
                self.send(verdict, decided)
            with self.subTest(order=order):
                self.assertTrue(self.refused())
                [hold] = self.holds._active(self.draft)
                self.assertEqual(hold.verdict, "rejected")
                self.assertEqual(len(self.exceptions("B-RISK-REJECTED")), index + 1)

    def test_approved_last_in_any_order(self):
        verdicts = [("rejected", "10:00"), ("review", "11:00"), ("approved", "12:00")]
        for order in permutations(verdicts):
            self.draft = self.make_invoice(post=False)
            self.subject = f"invoice/{self.draft.id}"
            for verdict, decided in order:
                self.send(verdict, decided)
            with self.subTest(order=order):
                self.assertFalse(self.refused())
                self.assertFalse(self.holds._active(self.draft))
                self.assertFalse(self.exceptions("B-RISK-REJECTED"))

    def test_at_the_same_moment_the_careful_one_counts(self):
        for order in permutations(("approved", "rejected")):
            self.draft = self.make_invoice(post=False)
            self.subject = f"invoice/{self.draft.id}"
            for verdict in order:
                self.send(verdict)
            self.assertTrue(self.refused(), order)

    def test_older_is_ignored(self):
        self.send("rejected", "12:00")
        command = self.send("approved", "11:00")
        self.assertEqual((command.state, command.error_code), ("ignored", "D-STALE"))
        self.assertTrue(self.refused())

    def test_expired_verdict_is_none(self):
        hold = self.hold()
        command = self.send(expires_at="2026-02-10T10:00:01Z")
        self.assertEqual(
            (command.state, command.error_code), ("ignored", "B-RISK-PENDING")
        )
        self.assertEqual(hold.state, "active")
        self.assertTrue(self.refused())
        self.assertEqual(self.exceptions("B-RISK-PENDING").res_id, hold.id)
        self.send(decided="11:00")
        self.assertFalse(self.exceptions("B-RISK-PENDING"))

    def test_expired_verdict_on_what_is_not_held(self):
        command = self.send(expires_at="2026-02-10T10:00:01Z")
        exception = self.exceptions("B-RISK-PENDING")
        self.assertEqual((exception.command_id, command.state), (command, "ignored"))
        self.send(decided="11:00")
        self.assertEqual(exception.state, "resolved")

    def test_clearance_ends_before_the_posting(self):
        """An approval that expires before the document is posted is none either."""
        hold = self.hold()
        self.send()
        self.assertFalse(self.refused())
        hold.cleared_until = "2026-02-11 00:00:00"
        self.env.flush_all()
        self.assertTrue(self.refused(), "at once, whenever the scheduled action runs")
        self.holds._cron_expire()
        [again] = self.holds._active(self.draft)
        self.assertNotEqual(again, hold)
        self.assertFalse(hold.cleared_until)
        self.assertTrue(self.exceptions("B-RISK-PENDING"))
        self.send(decided="11:00")
        self.assertFalse(self.refused())
        self.assertFalse(self.exceptions("B-RISK-PENDING"))

    def test_clearance_of_what_was_posted_is_over(self):
        hold = self.hold()
        self.send()
        self.draft.action_post()
        hold.cleared_until = "2026-02-11 00:00:00"
        self.holds._cron_expire()
        self.assertFalse(self.holds._active(self.draft))
        self.assertFalse(hold.cleared_until)

    def test_verdict_before_anything_was_held(self):
        command = self.send()
        self.assertEqual(command.state, "applied", command.error)
        self.assertFalse(self.refused())
        self.send("rejected", "09:00")
        self.assertFalse(self.refused(), "the earlier verdict came later")

    def test_same_again(self):
        self.send(decision_ref="rd")
        command = self.send(decision_ref="rd")
        self.assertEqual(command.state, "ignored")
        command = self.send("rejected", decision_ref="rd")
        self.assertEqual(command.error_code, "C-AMOUNT-INTEGRITY")

    # === THE SUBJECT === #

    def test_verdict_before_its_document(self):
        number = self.make_invoice().name
        following = number[:-1] + str(int(number[-1]) + 1)
        command = self.send("rejected", subject=following)
        self.assertEqual((command.state, command.error_code), ("waiting", "D-ORPHAN"))
        invoice = self.make_invoice()
        self.assertEqual(invoice.name, following)
        self.process()
        self.assertEqual(command.state, "applied", command.error)
        self.assertEqual(self.holds._active(invoice).verdict, "rejected")

    def test_subject_of_another_company(self):
        company = self.setup_other_company()["company"]
        self.connector = self.make_connector(
            "foreign", company_id=company.id, payment_journal_id=False
        )
        self.assertEqual(self.send("rejected").state, "waiting")
        self.assertFalse(self.refused())

    def test_object_has_to_be_right(self):
        for subject in (f"bill/{self.draft.id}", "invoice/0", "nothing/1", "x"):
            self.assertEqual(self.send("rejected", subject=subject).state, "waiting")

    def test_payment(self):
        payment = self.env["account.payment"].create(
            {
                "payment_type": "outbound",
                "partner_id": self.partner_b.id,
                "amount": 10.0,
                "journal_id": self.journal.id,
            }
        )
        self.send("rejected", subject=f"payment/{payment.id}")
        with self.assertRaises(RecordHeld):
            payment.action_post()

    def test_held_posting_request(self):
        """cap 55: an entry is held until a risk check passes."""
        connector = self.make_connector(
            "payroll",
            posting_journal_id=self.company_data["default_journal_misc"].id,
            posting_approval="always",
        )
        for code, name in (("1", "expense"), ("2", "payable")):
            self.make_mapping(
                "account", code, self.company_data[f"default_account_{name}"]
            )
        body = self.cloud_event(
            {
                "business_key": "k",
                "date": "2026-01-31",
                "currency": "USD",
                "preparer": "Payroll",
                "prepared_at": "2026-02-01T08:00:00Z",
                "lines": [
                    {"account": "1", "debit": "5.00"},
                    {"account": "2", "credit": "5.00"},
                ],
            },
            "p",
            type="posting.request.v1",
        )
        _outcome, message = self.receive(connector, body, "p")
        self.process()
        request = self.env["finance.posting.request"]._of(connector, "k")
        self.send("review", subject=f"posting_request/{request.id}")
        request.approval_id._decide("approved", "Agrees")
        self.process()
        self.assertEqual(message.command_ids.state, "held", "the risk check, too")
        self.send(decided="11:00", subject=f"posting_request/{request.id}")
        self.process()
        self.assertEqual(message.command_ids.state, "applied")
        self.assertEqual(request.state, "posted")
