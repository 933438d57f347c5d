from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, tagged

from .test_posting_request import PostingCommon


@tagged("post_install", "-at_install")
class TestApprovals(PostingCommon):
    """cap 35, 54, 94: consent of a second person, here or in another tool."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.connector.posting_approval = "always"
        cls.workflow = cls.make_connector("workflow")

    def setUp(self):
        super().setUp()
        self.command = self.send(self.data())
        self.subject = self.request()
        self.approval = self.subject.approval_id

    def outcome(self, connector=None, **values):
        """Send what a workflow tool decided; return the command."""
        self.messages += 1
        message_id = f"msg_{self.messages}"
        body = self.cloud_event(
            {
                "subject": self.approval.subject,
                "version": self.approval.version,
                "decision": "approved",
                "approver": "chief.accountant@example.com",
                "decided_at": "2026-02-10T08:15:00Z",
                **values,
            },
            message_id,
            type="approval.outcome.v1",
        )
        connector = connector or self.workflow
        _outcome, message = self.receive(connector, body, message_id)
        self.process()
        return message.command_ids

    # === A PERSON DECIDES === #

    def test_approved_with_a_reason(self):
        self.decide(self.approval, reason="Agrees with the payroll report")
        self.assertEqual(self.approval.state, "approved")
        self.assertEqual(self.approval.decided_by_id, self.users["approver"])
        self.assertEqual(self.approval.reason, "Agrees with the payroll report")
        self.process()
        self.assertEqual(self.subject.state, "posted")

    def test_decided_once(self):
        self.decide(self.approval)
        for decision in ("approve", "reject"):
            with self.assertRaises(UserError):
                self.decide(self.approval, decision)

    def test_roles(self):
        for group in ("operator", "administrator", "auditor"):
            approval = self.approval.with_user(self.users[group])
            self.assertFalse(approval.can_decide, group)
            for decision in ("approve", "reject"):
                with self.subTest(group), self.assertRaises(AccessError):
                    getattr(approval, f"action_{decision}")()
            with self.subTest(group), self.assertRaises(AccessError):
                approval._decide_by_person("approved", "Mine")
        with self.assertRaises(AccessError):
            self.approval.with_user(self.users["approver"]).action_withdraw()
        self.assertTrue(self.approval.with_user(self.users["approver"]).can_decide)

    def test_whoever_asked_does_not_decide(self):
        self.approval.requested_by_id = self.users["approver"]
        with self.assertRaises(UserError) as caught:
            self.decide(self.approval)
        self.assertIn("somebody else", str(caught.exception))

    def test_withdrawn(self):
        self.decide(self.approval, "withdraw", self.users["operator"], "Sent twice")
        self.assertEqual(self.approval.state, "withdrawn")
        self.assertEqual(
            (self.subject.state, self.command.state), ("rejected", "ignored")
        )
        self.assertIn("Sent twice", self.subject.reason)

    def test_changed_since_is_not_approved(self):
        self.subject.version = "another"
        for decision in ("approve", "reject"):
            with self.assertRaises(UserError) as caught:
                self.decide(self.approval, decision)
            self.assertIn("changed", str(caught.exception))
        self.assertEqual(self.approval.state, "requested")

    def test_new_version_withdraws_the_old_request(self):
        self.subject.version = "another"
        newer = self.env["finance.approval"]._request(
            self.subject, title="Post it", requested_by="Payroll service"
        )
        self.assertEqual((self.approval.state, newer.state), ("withdrawn", "requested"))
        self.assertEqual(self.subject.state, "held", "the newer request decides")
        again = self.env["finance.approval"]._request(self.subject, title="Post it")
        self.assertEqual(again, newer)

    # === ANOTHER TOOL DECIDES === #

    def test_outcome_is_applied(self):
        """cap 35"""
        command = self.outcome(reason="Signed in the tool")
        self.assertEqual(command.state, "applied", command.error)
        self.assertEqual(self.approval.state, "approved")
        self.assertEqual(self.approval.decided_by, "chief.accountant@example.com")
        self.assertFalse(self.approval.decided_by_id)
        self.assertEqual(self.approval.command_id, command)
        self.process()
        self.assertEqual(self.subject.state, "posted")
        decided = self.events_of(self.approval)[-1]
        self.assertFalse(decided.problem)
        self.assertEqual(decided.data["approver"], "chief.accountant@example.com")
        self.assertEqual(decided.data["decision"], "approved")

    def test_outcome_names_the_approval(self):
        command = self.outcome(subject=f"approval/{self.approval.id}")
        self.assertEqual(command.state, "applied", command.error)

    def test_outcome_rejects(self):
        self.outcome(decision="rejected", reason="Wrong month")
        self.assertEqual(self.subject.state, "rejected")
        self.assertIn("Wrong month", self.subject.reason)

    def test_outcome_about_another_version(self):
        command = self.outcome(version="0" * 16)
        self.assertEqual((command.state, command.error_code), ("ignored", "D-STALE"))
        self.assertEqual(self.approval.state, "requested")

    def test_outcome_by_the_preparer(self):
        command = self.outcome(approver="payroll SERVICE ")
        self.assertEqual((command.state, command.error_code), ("failed", "C-SOD"))
        self.assertEqual(self.exceptions("C-SOD").klass, "control")
        self.assertEqual(self.approval.state, "requested")

    def test_outcome_by_whoever_asked(self):
        """A system does not consent to its own entries."""
        command = self.outcome(connector=self.connector)
        self.assertEqual((command.state, command.error_code), ("failed", "C-SOD"))
        self.assertEqual(self.subject.state, "held")

    def test_outcome_by_whoever_corrected(self):
        operator = self.users["operator"]
        self.command.write({"corrected_by_id": operator.id})
        command = self.outcome(approver=operator.login)
        self.assertEqual(command.error_code, "C-SOD")

    def test_outcome_after_the_decision(self):
        self.decide(self.approval, "reject")
        command = self.outcome()
        self.assertEqual((command.state, command.error_code), ("ignored", "D-STALE"))
        self.assertEqual(self.subject.state, "rejected")

    def test_outcome_about_nothing(self):
        command = self.outcome(subject="posting_request/999999999")
        self.assertEqual((command.state, command.error_code), ("waiting", "D-ORPHAN"))

    def test_outcome_of_another_company(self):
        company = self.setup_other_company()["company"]
        foreign = self.make_connector(
            "foreign", company_id=company.id, payment_journal_id=False
        )
        command = self.outcome(connector=foreign)
        self.assertEqual(command.state, "waiting")
        self.assertEqual(self.approval.state, "requested")

    # === TIME === #

    def test_overdue_is_told_once(self):
        """cap 61"""
        approvals = self.env["finance.approval"]
        approvals._cron_due()
        self.assertFalse(self.exceptions("B-APPROVAL-SLA"))
        self.later(days=3)
        approvals._cron_due()
        approvals._cron_due()
        exception = self.exceptions("B-APPROVAL-SLA")
        self.assertEqual((exception.occurrences, exception.amount), (1, 52000.0))
        self.decide(self.approval)
        self.assertEqual(exception.state, "resolved")

    def test_expires(self):
        self.approval.expires_at = "2026-01-01"
        self.env["finance.approval"]._cron_due()
        self.assertEqual(self.approval.state, "expired")
        self.assertEqual(self.subject.state, "rejected")

    # === EVENTS AND SCREENS === #

    def test_requested_is_told(self):
        [event] = self.events_of(self.approval)
        self.assertFalse(event.problem)
        self.assertEqual(event.type, "finance.approval.requested.v1")
        self.assertEqual(event.data["subject"], f"posting_request/{self.subject.id}")
        self.assertEqual(event.data["subject_version"], self.approval.version)
        self.assertEqual(event.data["amount"], "52000.00")

    def test_screens(self):
        for group in ("operator", "approver", "auditor"):
            form = Form(self.approval.with_user(self.users[group]))
            self.assertEqual(form.title, self.approval.title)
        action = self.approval.with_user(self.users["approver"]).action_open_record()
        self.assertEqual(action["res_id"], self.subject.id)

    def test_nothing_is_deleted(self):
        with self.assertRaises(UserError):
            self.approval.unlink()

    def test_a_hold_ends_with_its_approval(self):
        hold = self.env["finance.hold"]._place(
            self.subject, "approval", "Needs consent"
        )
        with self.assertRaises(UserError) as caught:
            hold.with_user(self.users["approver"])._release_by_person("No need")
        self.assertIn("Approvals", str(caught.exception))
        self.decide(self.approval)
        self.assertEqual(hold.state, "released")
