import json
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from ..models import constants
from ..models.inbox import processing
from .common import FinanceHubCommon


@tagged("post_install", "-at_install")
class TestCommands(FinanceHubCommon):
    """cap 30, 38, 39, 40, 65, 69: what came in is applied once, or asks a person."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.connector = cls.make_connector("shop")
        cls.invoice = cls.make_invoice(100.0)

    def send(self, data, message_id="msg_1", **values):
        """Receive and process one message; return its commands."""
        body = self.cloud_event(data, message_id, **values)
        outcome, message = self.receive(self.connector, body, message_id)
        self.process()
        self.assertIn(outcome, ("new", "duplicate"))
        return message.command_ids.sorted("id")

    def exceptions(self, code):
        return self.env["finance.exception"].search(
            [("code", "=", code), ("is_open", "=", True)]
        )

    # === THE GOOD CASE === #

    def test_payment_is_registered_and_matched(self):
        command = self.send(self.captured(self.invoice.name))
        self.assertEqual(command.state, "applied")
        self.assertEqual(self.invoice.payment_state, "paid")
        self.assertEqual(self.invoice.amount_residual, 0.0)
        payment = self.env["account.payment"].browse(command.res_id)
        self.assertEqual(payment.finance_provider_ref, "pay_1")
        self.assertEqual(payment.amount, 100.0)
        self.assertEqual(str(payment.date), "2026-01-20")
        self.assertEqual(payment.outstanding_account_id, self.outstanding)
        self.assertIn(self.outstanding, payment.move_id.line_ids.account_id)
        self.assertIn("paid", self.verbs_of(self.invoice))
        transaction = command.transaction_id
        self.assertEqual(transaction.execution, "captured")
        self.assertEqual(transaction.accounting, "posted")
        self.assertEqual(transaction.move_id, self.invoice)
        self.assertEqual(transaction.payment_id, payment)

    def test_one_correlation_id(self):
        command = self.send(self.captured(self.invoice.name))
        expected = self.invoice.finance_correlation_id
        payment = self.env["account.payment"].browse(command.res_id)
        self.assertEqual(command.correlation_id, expected)
        self.assertEqual(command.message_id.correlation_id, expected)
        self.assertEqual(command.transaction_id.correlation_id, expected)
        self.assertEqual(payment.finance_correlation_id, expected)
        events = self.events_of(self.invoice) | self.events_of(payment)
        self.assertEqual(set(events.mapped("correlation_id")), {expected})
        caused = events.filtered(lambda event: event.causation_id)
        self.assertTrue(caused)

    def test_by_payment_reference(self):
        self.invoice.payment_reference = "RF18 5390 0754"
        self.send(self.captured("RF18 5390 0754"))
        self.assertEqual(self.invoice.payment_state, "paid")

    def test_partial(self):
        self.send(self.captured(self.invoice.name, amount="40.00"))
        self.assertEqual(self.invoice.payment_state, "partial")
        self.assertEqual(self.invoice.amount_residual, 60.0)
        self.send(self.captured(self.invoice.name, "pay_2", amount="60.00"), "msg_2")
        self.assertEqual(self.invoice.payment_state, "paid")

    def test_too_much_is_booked_and_reported(self):
        self.send(self.captured(self.invoice.name, amount="130.00"))
        self.assertEqual(self.invoice.payment_state, "paid")
        exception = self.exceptions("B-OVERPAY")
        self.assertEqual(exception.amount, 30.0)
        payment = self.env["account.payment"].search(
            [("finance_provider_ref", "=", "pay_1")]
        )
        self.assertEqual(payment.amount, 130.0)
        receivable = payment.move_id.line_ids.filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        )
        self.assertEqual(receivable.amount_residual, -30.0)

    def test_second_capture_of_a_paid_invoice(self):
        self.send(self.captured(self.invoice.name))
        command = self.send(self.captured(self.invoice.name, "pay_2"), "msg_2")
        self.assertEqual(command.state, "applied", "money that came is booked")
        self.assertEqual(self.exceptions("B-OVERPAY").amount, 100.0)

    def test_other_currency(self):
        euro = self.env.ref("base.EUR")
        euro.active = True
        self.env["res.currency.rate"].create(
            {
                "currency_id": euro.id,
                "company_id": self.company.id,
                "name": "2026-01-01",
                "rate": 0.5,
            }
        )
        self.send(self.captured(self.invoice.name, amount="50.00", currency="EUR"))
        self.assertEqual(self.invoice.payment_state, "paid")

    # === ONCE === #

    def test_same_message_again(self):
        body = self.cloud_event(self.captured(self.invoice.name))
        self.receive(self.connector, body)
        self.process()
        for _index in range(5):
            outcome, message = self.receive(self.connector, body)
            self.assertEqual(outcome, "duplicate")
        self.process()
        self.assertEqual(message.duplicate_count, 5)
        self.assertEqual(self._payments(), 1)

    def test_same_payment_under_another_id(self):
        self.send(self.captured(self.invoice.name))
        command = self.send(self.captured(self.invoice.name), "msg_2")
        self.assertEqual(command.state, "ignored")
        self.assertEqual(self._payments(), 1)
        self.assertEqual(command.correlation_id, self.invoice.finance_correlation_id)

    def test_same_payment_with_another_amount(self):
        self.send(self.captured(self.invoice.name))
        command = self.send(self.captured(self.invoice.name, amount="99.00"), "msg_2")
        self.assertEqual(command.state, "failed")
        self.assertEqual(self._payments(), 1)
        self.assertEqual(self.exceptions("C-AMOUNT-INTEGRITY").klass, "control")

    def test_same_reference_of_another_connector(self):
        """A provider's reference is unique within its connector only."""
        self.send(self.captured(self.invoice.name, amount="50.00"))
        other = self.make_connector("shop2")
        body = self.cloud_event(self.captured(self.invoice.name, amount="50.00"))
        self.receive(other, body)
        self.process()
        self.assertEqual(self.invoice.payment_state, "paid")

    # === REFUSALS === #

    def test_unknown_reference(self):
        command = self.send(self.captured("NO-SUCH"))
        self.assertEqual((command.state, command.error_code), ("failed", "B-UNMATCHED"))
        exception = self.exceptions("B-UNMATCHED")
        self.assertIn("NO-SUCH", exception.cause)
        self.assertEqual(exception.amount, 100.0)
        self.assertEqual(exception.command_id, command)
        self.assertFalse(self._payments())

    def test_ambiguous_reference(self):
        twin = self.make_invoice(100.0)
        (self.invoice | twin).payment_reference = "SAME"
        command = self.send(self.captured("SAME"))
        self.assertEqual(command.error_code, "B-AMBIGUOUS")
        self.assertIn(twin.name, command.error)

    def test_draft_is_not_paid(self):
        draft = self.make_invoice(post=False, payment_reference="DRAFT-1")
        command = self.send(self.captured("DRAFT-1"))
        self.assertEqual(command.error_code, "B-UNMATCHED")
        self.assertEqual(draft.payment_state, "not_paid")

    def test_invoice_of_another_company_is_not_found(self):
        other = self.setup_other_company()
        connector = self.make_connector(
            "other", company_id=other["company"].id, payment_journal_id=False
        )
        body = self.cloud_event(self.captured(self.invoice.name))
        _outcome, message = self.receive(connector, body)
        self.process()
        self.assertEqual(message.command_ids.state, "failed")
        self.assertEqual(self.invoice.payment_state, "not_paid")

    def test_locked_period(self):
        self.company.fiscalyear_lock_date = "2026-01-31"
        command = self.send(self.captured(self.invoice.name))
        self.assertEqual(command.error_code, "B-PERIOD-LOCKED")
        self.assertFalse(self._payments())

    def test_set_up_that_is_missing(self):
        for change, words in (
            ({"currency": "XAU"}, "XAU"),
            ({}, "journal"),
        ):
            if not change:
                self.connector.payment_journal_id = False
            command = self.send(
                self.captured(self.invoice.name, f"pay_{words}", **change),
                f"msg_{words}",
            )
            self.assertEqual(command.error_code, "D-UNMAPPED")
            self.assertIn(words, command.error)

    def test_journal_without_outstanding_account(self):
        self.journal.inbound_payment_method_line_ids.payment_account_id = False
        command = self.send(self.captured(self.invoice.name))
        self.assertEqual(command.error_code, "D-UNMAPPED")
        self.assertIn("outstanding", command.error)

    def test_content_that_breaks_the_contract(self):
        data = self.captured(self.invoice.name)
        data["amount"] = 100.0
        body = self.cloud_event(data)
        _outcome, message = self.receive(self.connector, body)
        self.process()
        self.assertEqual((message.state, message.error_code), ("failed", "D-SCHEMA"))
        self.assertIn("/data/amount", message.error)
        self.assertEqual(self.exceptions("D-SCHEMA").message_id_ref, message)

    def test_unknown_command(self):
        body = self.cloud_event({}, type="payment.teleported.v1")
        _outcome, message = self.receive(self.connector, body)
        self.process()
        self.assertEqual((message.state, message.error_code), ("failed", "D-VERSION"))

    def test_batch(self):
        second = self.make_invoice(70.0)
        events = [
            json.loads(self.cloud_event(self.captured(self.invoice.name), "a")),
            json.loads(
                self.cloud_event(self.captured(second.name, "pay_2", "70.00"), "b")
            ),
        ]
        self.env["finance.message"]._receive(
            self.connector,
            "batch_1",
            json.dumps(events).encode(),
            {"Content-Type": "application/cloudevents-batch+json"},
            "127.0.0.1",
            "test",
        )
        self.process()
        self.assertEqual(self.invoice.payment_state, "paid")
        self.assertEqual(second.payment_state, "paid")

    def test_one_bad_command_leaves_the_others(self):
        """cap 40: a partial failure leaves a resumable state."""
        events = [
            json.loads(self.cloud_event(self.captured("NO-SUCH", "pay_2"), "a")),
            json.loads(self.cloud_event(self.captured(self.invoice.name), "b")),
        ]
        self.env["finance.message"]._receive(
            self.connector,
            "batch_1",
            json.dumps(events).encode(),
            {"Content-Type": "application/cloudevents-batch+json"},
            "127.0.0.1",
            "test",
        )
        self.process()
        message = self.env["finance.message"].search([("external_id", "=", "batch_1")])
        self.assertEqual(
            set(message.command_ids.mapped("state")), {"applied", "failed"}
        )
        self.assertEqual(self.invoice.payment_state, "paid")

    # === UNEXPECTED FAILURES === #

    @mute_logger("odoo.addons.finance_hub.models.inbox.processing")
    def test_unexpected_failure_is_tried_again_then_asks(self):
        body = self.cloud_event(self.captured(self.invoice.name))
        _outcome, message = self.receive(self.connector, body)
        handler = type(self.env["finance.handler.payment.captured"])
        with patch.object(handler, "_handle", side_effect=ZeroDivisionError):
            for attempt in range(1, constants.PROCESS_MAX_ATTEMPTS):
                self.process()
                command = message.command_ids
                self.assertEqual(command.attempt_count, attempt)
                self.assertEqual(
                    (message.state, command.state), ("received", "received")
                )
                self.assertFalse(self._payments(), "nothing half done is kept")
                self.later(hours=attempt)
            self.process()
        self.assertEqual((message.state, command.state), ("processed", "failed"))
        exception = self.exceptions("T-INTERNAL")
        self.assertEqual(exception.message_id_ref, message)
        exception.with_user(self.users["operator"]).action_retry()
        self.process()
        self.assertEqual(command.state, "applied")
        self.assertEqual(exception.state, "resolved")
        self.assertEqual(self.invoice.payment_state, "paid")

    def test_failure_before_any_message_is_the_jobs(self):
        """What no message is to blame for is raised, not laid on one."""
        self.receive(self.connector, self.cloud_event(self.captured("x")))
        self.env.flush_all()
        with (
            patch.object(processing.Processor, "_claim", side_effect=ZeroDivisionError),
            self.enter_registry_test_mode(),
            self.assertRaises(ZeroDivisionError),
        ):
            self.env["finance.message"]._process_next()

    # === A PERSON SOLVES IT === #

    def test_retry_after_the_cause_is_gone(self):
        draft = self.make_invoice(post=False, payment_reference="LATER-1")
        command = self.send(self.captured("LATER-1"))
        draft.action_post()
        exception = self.exceptions("B-UNMATCHED")
        exception.with_user(self.users["operator"]).action_retry()
        self.assertEqual((exception.state, command.state), ("in_progress", "received"))
        self.process()
        self.assertEqual((exception.state, command.state), ("resolved", "applied"))
        self.assertEqual(draft.payment_state, "paid")

    def test_correct_and_resubmit(self):
        command = self.send(self.captured("ORDER-4711"))
        exception = self.exceptions("B-UNMATCHED")
        operator = self.users["operator"]
        action = exception.with_user(operator).action_correct()
        wizard_model = (
            self.env["finance.correct.wizard"]
            .with_user(operator)
            .with_context(**action["context"])
        )
        with Form(wizard_model) as form:
            form.move_id = self.invoice
            form.reason = "The shop sent the order number"
        self.assertEqual(
            json.loads(form.record.content)["document_ref"], self.invoice.name
        )
        form.record.action_resubmit()
        correction = command.correction_ids
        self.assertEqual((command.state, correction.state), ("superseded", "received"))
        self.assertEqual(command.data["document_ref"], "ORDER-4711", "kept")
        self.assertEqual(correction.corrected_by_id, operator)
        self.process()
        self.assertEqual(correction.state, "applied")
        self.assertEqual(self.invoice.payment_state, "paid")
        self.assertEqual(exception.state, "resolved")
        self.assertIn(
            "The shop sent the order number",
            " ".join(exception.message_ids.mapped("body")),
        )

    def test_wrong_correction_is_the_same_case(self):
        command = self.send(self.captured("ORDER-1"))
        exception = self.exceptions("B-UNMATCHED")
        data = dict(command.data, document_ref="ORDER-2")
        command.with_user(self.users["operator"])._correct(data, "a guess")
        self.process()
        self.assertEqual(exception.state, "open")
        self.assertIn("ORDER-2", exception.cause)
        self.assertEqual(len(self.exceptions("B-UNMATCHED")), 1)
        self.assertEqual(exception.command_id, command.correction_ids)

    def test_corrections_are_checked(self):
        command = self.send(self.captured("ORDER-1")).with_user(self.users["operator"])
        with self.assertRaises(ValidationError):
            command._correct(dict(command.data, amount="-5"), "nonsense")
        wizard = (
            self.env["finance.correct.wizard"]
            .with_user(self.users["operator"])
            .with_context(default_command_id=command.id)
            .create({"reason": "x", "content": command.data_text})
        )
        with self.assertRaisesRegex(UserError, "Nothing was changed"):
            wizard.action_resubmit()
        for content in ("{", "[]"):
            wizard.content = content
            with self.assertRaises(ValidationError):
                wizard.action_resubmit()

    def test_only_operators_correct(self):
        command = self.send(self.captured("ORDER-1"))
        for group in ("auditor", "administrator", "approver"):
            with self.assertRaises(AccessError):
                command.with_user(self.users[group])._correct(
                    dict(command.data, document_ref="x"), "r"
                )
            with self.assertRaises(AccessError):
                command.with_user(self.users[group]).action_retry()

    def test_applied_is_not_corrected(self):
        command = self.send(self.captured(self.invoice.name))
        with self.assertRaises(UserError):
            command.with_user(self.users["operator"])._correct({}, "r")
        with self.assertRaises(UserError):
            command.with_user(self.users["operator"]).action_retry()

    # === WAKING === #

    def test_sweep_finds_what_has_no_job(self):
        jobs = self.env["queue.job"]
        domain = [("identity_key", "=", "finance_hub.finance.message._job_process")]
        self.env["finance.message"]._cron_sweep()
        self.assertFalse(jobs.search_count(domain))
        self.receive(self.connector, self.cloud_event(self.captured("x")))
        self.env["finance.message"]._cron_sweep()
        self.assertEqual(jobs.search_count(domain), 1)

    # === HELPERS === #

    def _payments(self):
        return self.env["account.payment"].search_count(
            [("finance_provider_ref", "!=", False)]
        )
