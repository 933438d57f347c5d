from datetime import timedelta

from odoo.tests import tagged

from ..models import clock, constants
from .test_payouts import PayoutsCommon


class BackCommon(PayoutsCommon):
    def refund(self, amount="30.00", ref="re_1", status="succeeded", **values):
        return self.apply(
            "payment.refunded",
            **{
                "parent_ref": "pay_1",
                "refund_ref": ref,
                "amount": amount,
                "currency": "USD",
                "refunded_at": "2026-01-25T10:00:00Z",
                "status": status,
                **values,
            },
        )

    def dispute(self, stage, amount="100.00", ref="dp_1", at="2026-01-26", **values):
        return self.apply(
            "payment.disputed",
            **{
                "parent_ref": "pay_1",
                "dispute_ref": ref,
                "stage": stage,
                "amount": amount,
                "currency": "USD",
                "disputed_at": f"{at}T10:00:00Z",
                **values,
            },
        )

    def fail(self, outcome="returned", ref="pay_1", **values):
        return self.apply(
            "payment.failed",
            **{
                "provider_ref": ref,
                "outcome": outcome,
                "reason_code": "AM04",
                "reason": "Insufficient funds",
                "failed_at": "2026-01-24T10:00:00Z",
                **values,
            },
        )


@tagged("post_install", "-at_install")
class TestRefunds(BackCommon):
    """payment.refunded: booked where it came from, matched or proposed."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.invoice = cls.make_invoice(100.0)

    def test_what_a_bank_settled_is_on_its_own_axis(self):
        """ISO 20022 ACSC: acknowledged, and the money has moved."""
        command = self.apply(
            "payment.status_changed",
            provider_ref="E2E-77",
            execution="acknowledged",
            settlement="settled",
            changed_at="2026-01-25T10:00:00Z",
            raw_status="ACSC",
        )
        self.assertEqual(command.state, "applied", command.error)
        transaction = self.transaction("E2E-77")
        self.assertEqual(
            (transaction.execution, transaction.settlement),
            ("acknowledged", "settled"),
        )

    def test_a_refund_to_a_held_counterparty_waits(self):
        """cap 55: nothing is paid out to whom a verdict holds, until it is let go."""
        self.capture(self.invoice)
        holds = self.env["finance.hold"]
        holds._place(self.invoice.commercial_partner_id, "risk", "Sanctions list")
        command = self.refund()
        self.assertEqual(command.state, "waiting", command.error)
        self.assertEqual(command.error_code, "B-RISK-PENDING")
        self.assertIn("Sanctions list", command.error)
        self.assertFalse(self.transaction("re_1").payment_id)
        holds._release(self.invoice.commercial_partner_id, "risk", "It is another one")
        self.process()
        self.assertEqual(command.state, "applied", command.error)
        self.assertTrue(self.transaction("re_1").payment_id)

    def test_partial_refund_proposes_a_credit_note(self):
        self.capture(self.invoice)
        command = self.refund()
        self.assertEqual(command.state, "applied", command.error)
        refund = self.transaction("re_1")
        payment = refund.payment_id
        self.assertEqual((payment.payment_type, payment.amount), ("outbound", 30.0))
        self.assertEqual(payment.outstanding_account_id, self.outstanding)
        self.assertEqual(self.balance(self.outstanding), 70.0)
        note = refund.credit_note_id
        self.assertEqual((note.state, note.amount_total), ("draft", 30.0))
        self.assertEqual(note.reversed_entry_id, self.invoice)
        self.assertIn("credit note", note.activity_ids.summary)
        parent = self.transaction("pay_1")
        self.assertEqual((parent.refund, parent.refunded_amount), ("partial", 30.0))
        self.assertIn("refunded", self.verbs_of(parent.payment_id))
        note.action_post()
        self.assertEqual(note.payment_state, "paid")
        self.assertEqual(
            self.balance(self.company_data["default_account_receivable"]), 0.0
        )

    def test_share_of_every_line(self):
        taxes = self.company_data["default_tax_sale"]
        invoice = self.make_invoice(
            invoice_line_ids=[
                (
                    0,
                    0,
                    {"name": "a", "quantity": 3, "price_unit": 33.33, "tax_ids": taxes},
                ),
                (0, 0, {"name": "b", "quantity": 1, "price_unit": 7, "tax_ids": []}),
            ]
        )
        self.capture(invoice)
        self.refund("41.17")
        note = self.transaction("re_1").credit_note_id
        self.assertEqual(note.amount_total, 41.17)
        share = 41.17 / invoice.amount_total
        for line, original in zip(
            note.invoice_line_ids, invoice.invoice_line_ids, strict=True
        ):
            self.assertEqual(line.tax_ids, original.tax_ids)
            self.assertAlmostEqual(
                line.price_total, original.price_total * share, delta=0.02
            )

    def test_two_refunds_make_it_full(self):
        self.capture(self.invoice)
        self.refund("40.00")
        self.refund("60.00", "re_2")
        self.assertEqual(self.transaction("pay_1").refund, "full")
        self.assertEqual(self.balance(self.outstanding), 0.0)

    def test_matching_credit_note(self):
        self.capture(self.invoice)
        note = self.make_invoice(
            30.0, move_type="out_refund", reversed_entry_id=self.invoice.id
        )
        self.refund()
        self.assertEqual(note.payment_state, "paid")
        self.assertEqual(self.transaction("re_1").credit_note_id, note)

    def test_credit_note_that_is_posted_later(self):
        self.capture(self.invoice)
        self.refund()
        proposed = self.transaction("re_1").credit_note_id
        note = self.make_invoice(
            30.0, move_type="out_refund", reversed_entry_id=self.invoice.id
        )
        self.assertEqual(note.payment_state, "paid")
        self.assertEqual(self.transaction("re_1").credit_note_id, note)
        self.assertEqual(proposed.state, "cancel")

    def test_surplus_is_paid_back(self):
        self.capture(self.invoice, amount="130.00")
        self.refund()
        self.assertFalse(self.transaction("re_1").credit_note_id)
        self.assertEqual(
            self.balance(self.company_data["default_account_receivable"]), 0.0
        )
        self.assertTrue(self.transaction("re_1").payment_id.is_reconciled)

    def test_pending_books_nothing(self):
        self.capture(self.invoice)
        self.refund(status="pending")
        self.assertEqual(self.transaction("pay_1").refund, "pending")
        self.assertEqual(self.balance(self.outstanding), 100.0)
        self.refund()
        self.assertEqual(self.transaction("pay_1").refund, "partial")
        self.assertEqual(self.balance(self.outstanding), 70.0)

    def test_failed_after_it_succeeded(self):
        self.capture(self.invoice)
        self.refund()
        note = self.transaction("re_1").credit_note_id
        self.refund(status="failed", refunded_at="2026-01-28T10:00:00Z")
        self.assertEqual(self.transaction("pay_1").refund, "failed")
        self.assertEqual(self.balance(self.outstanding), 100.0)
        self.assertEqual(note.state, "cancel")
        self.assertEqual(
            self.balance(self.company_data["default_account_receivable"]), 0.0
        )

    def test_before_the_capture_it_waits(self):
        command = self.refund()
        self.assertEqual(command.error_code, "D-ORPHAN")
        self.capture(self.invoice)
        self.assertEqual(command.state, "applied")
        self.assertEqual(self.balance(self.outstanding), 70.0)

    def test_second_amount_is_refused(self):
        self.capture(self.invoice)
        self.refund()
        command = self.refund("31.00", status="reversed")
        self.assertEqual(command.error_code, "C-AMOUNT-INTEGRITY")

    def test_known_from_the_report_alone(self):
        """What the report says went back is booked; the message then finds it."""
        self.capture(self.invoice)
        payout = self.release(
            [
                self.line("pay_1", "100.00", "2.00"),
                self.line("re_1", "-30.00", kind="refund", parent_ref="pay_1"),
                self.line("pay_1", "-10.00", kind="refund"),
            ]
        )
        self.assertEqual(payout.state, "released")
        self.assertEqual(self.open_items(self.outstanding), [58.0])
        self.refund()
        self.refund("10.00", "re_2")
        self.assertEqual(self.open_items(self.outstanding), [58.0])
        self.assertEqual(self.transaction("pay_1").refunded_amount, 40.0)
        self.assertEqual(self.transaction("re_2").kind, "refund")

    def test_message_before_the_report(self):
        self.capture(self.invoice)
        self.refund()
        self.refund("10.00", "re_2")
        self.release(
            [
                self.line("pay_1", "100.00", "2.00"),
                self.line("re_1", "-30.00", kind="refund", parent_ref="pay_1"),
                self.line("pay_1", "-10.00", kind="refund"),
            ]
        )
        self.assertEqual(self.open_items(self.outstanding), [58.0])
        self.assertEqual(len(self.transaction("pay_1").child_ids), 2)


@tagged("post_install", "-at_install")
class TestDisputes(BackCommon):
    """payment.disputed: set aside, dated, decided."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.invoice = cls.make_invoice(100.0)

    def test_inquiry_moves_no_money(self):
        self.capture(self.invoice)
        self.dispute("inquiry", due="2026-02-20T23:59:59Z")
        self.assertEqual(self.balance(self.disputes), 0.0)
        exception = self.exceptions("B-DISPUTE")
        self.assertEqual(str(exception.due_at), "2026-02-20 23:59:59")
        self.assertEqual(str(exception.activity_ids.date_deadline), "2026-02-20")

    def test_open_then_won(self):
        self.capture(self.invoice)
        self.dispute("open", due="2026-02-20T23:59:59Z")
        self.assertEqual(self.balance(self.disputes), 100.0)
        self.assertEqual(self.balance(self.outstanding), 0.0)
        parent = self.transaction("pay_1")
        self.assertEqual((parent.dispute, parent.disputed_amount), ("open", 100.0))
        self.assertEqual(self.invoice.payment_state, "paid")
        event = self.events_of(parent.payment_id).filtered(
            lambda e: e.type.startswith("finance.payment.disputed")
        )
        self.assertEqual(event.data["dispute"]["stage"], "open")
        self.assertEqual(event.correlation_id, self.invoice.finance_correlation_id)
        exception = self.exceptions("B-DISPUTE")
        self.dispute("won", at="2026-02-26")
        self.assertEqual(self.balance(self.disputes), 0.0)
        self.assertEqual(self.balance(self.outstanding), 100.0)
        self.assertEqual(exception.state, "resolved")
        self.assertFalse(exception.activity_ids)
        self.assertEqual(parent.dispute, "won")

    def test_lost_proposes_what_it_costs(self):
        self.capture(self.invoice)
        self.dispute("open")
        self.dispute("lost", at="2026-02-26")
        self.assertEqual(self.balance(self.disputes), 100.0)
        draft = self.transaction("dp_1").entry_ids.filtered(
            lambda move: move.state == "draft"
        )
        self.assertEqual(
            draft.line_ids.account_id,
            self.disputes | self.company_data["default_account_receivable"],
        )
        draft.action_post()
        self.assertEqual(self.balance(self.disputes), 0.0)
        self.assertTrue(self.exceptions("B-DISPUTE"))

    def test_lost_to_an_expense(self):
        self.connector.dispute_loss_account_id = self.fees
        self.capture(self.invoice)
        self.dispute("lost")
        draft = self.transaction("dp_1").entry_ids.filtered(
            lambda move: move.state == "draft"
        )
        self.assertIn(self.fees, draft.line_ids.account_id)
        self.assertEqual(self.balance(self.outstanding), 0.0)

    def test_no_dispute_account(self):
        self.connector.dispute_account_id = False
        self.capture(self.invoice)
        command = self.dispute("open")
        self.assertEqual(command.error_code, "D-UNMAPPED")
        self.assertIn("Dispute Account", command.error)

    def test_chargeback_in_the_report(self):
        self.capture(self.invoice)
        self.dispute("open")
        self.release(
            [
                self.line("pay_1", "100.00", "2.00"),
                self.line("pay_1", "-100.00", "15.00", kind="chargeback"),
            ],
            net="-17.00",
        )
        self.assertEqual(self.open_items(self.outstanding), [-17.0])
        self.assertEqual(self.transaction("dp_1").fee_amount, 15.0)
        self.dispute("won", at="2026-02-26")
        self.release(
            [self.line("dp_1", "100.00", kind="chargeback_reversal")], ref="po_0002"
        )
        self.assertEqual(self.open_items(self.outstanding), [-17.0, 100.0])

    def test_reversal_in_the_report_before_the_message(self):
        self.capture(self.invoice)
        self.dispute("open")
        payout = self.release([self.line("dp_1", "100.00", kind="chargeback_reversal")])
        self.assertEqual(payout.state, "incomplete")
        self.dispute("won", at="2026-02-26")
        self.assertEqual(payout.state, "released")
        self.assertEqual(self.open_items(self.outstanding), [-100.0, 100.0, 100.0])


@tagged("post_install", "-at_install")
class TestFailures(BackCommon):
    """payment.failed and payment.status_changed."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.invoice = cls.make_invoice(100.0)

    def test_returned(self):
        self.capture(self.invoice)
        command = self.fail()
        self.assertEqual(command.state, "applied", command.error)
        self.assertEqual(self.invoice.payment_state, "not_paid")
        self.assertEqual(self.balance(self.outstanding), 0.0)
        transaction = self.transaction("pay_1")
        self.assertEqual(transaction.execution, "returned")
        self.assertEqual(transaction.accounting, "reversed")
        self.assertEqual(self.exceptions("B-RETURNED").res_id, self.invoice.id)
        self.assertIn("did not arrive", self.invoice.activity_ids.summary)
        self.assertIn("payment_reversed", self.verbs_of(self.invoice))

    def test_revenue_is_held_until_it_is_paid(self):
        self.capture(self.invoice)
        self.fail()
        hold = self.env["finance.hold"]._active(self.invoice, "revenue")
        self.assertIn("AM04", hold.reason)
        self.capture(self.invoice, "pay_2")
        self.assertFalse(self.env["finance.hold"]._active(self.invoice, "revenue"))

    def test_returned_in_part(self):
        self.capture(self.invoice)
        self.fail(amount="40.00", currency="USD")
        self.assertEqual(self.invoice.amount_residual, 40.0)
        self.assertEqual(self.balance(self.outstanding), 60.0)

    def test_returned_twice(self):
        self.capture(self.invoice)
        self.fail()
        again = self.fail("capture_failed")
        self.assertEqual(again.state, "ignored")
        self.assertEqual(self.balance(self.outstanding), 0.0)

    def test_returned_after_the_payout(self):
        self.capture(self.invoice)
        self.release([self.line("pay_1", "100.00", "2.00")])
        self.fail()
        self.assertEqual(self.open_items(self.outstanding), [-100.0, 98.0])
        payout = self.release(
            [self.line("pay_1", "-100.00", "5.00", kind="chargeback")], ref="po_0002"
        )
        self.assertEqual(payout.state, "released")
        self.assertEqual(self.open_items(self.outstanding), [-105.0, 98.0])
        self.assertEqual(self.balance(self.disputes), 0.0)

    def test_written_off_difference_comes_back_too(self):
        self.connector.write(
            {"writeoff_account_id": self.writeoffs.id, "writeoff_amount": 1.0}
        )
        self.capture(self.invoice, amount="99.50")
        self.fail()
        self.assertEqual(self.invoice.amount_residual, 100.0)
        self.assertEqual(self.balance(self.writeoffs), 0.0)

    def test_return_waits_for_the_capture(self):
        command = self.fail()
        self.assertEqual((command.state, command.error_code), ("waiting", "D-ORPHAN"))
        self.capture(self.invoice)
        self.assertEqual(command.state, "applied")
        self.assertEqual(self.invoice.payment_state, "not_paid")

    def test_refused_before_the_capture(self):
        self.fail("failed", "pay_0", document_ref=self.invoice.name)
        self.assertEqual(self.transaction("pay_0").execution, "failed")
        exception = self.exceptions("B-RETURNED")
        self.assertEqual(exception.res_id, self.invoice.id)
        self.capture(self.invoice)
        self.assertEqual(exception.state, "resolved")

    def test_refused_without_an_invoice_is_a_status_only(self):
        command = self.fail("failed", "pay_0")
        self.assertEqual(command.state, "applied")
        self.assertFalse(self.exceptions("B-RETURNED"))

    def test_refused_and_captured_in_either_order(self):
        self.capture(self.invoice)
        self.fail("failed", failed_at="2026-01-21T10:00:00Z")
        self.assertEqual(self.transaction("pay_1").execution, "captured")
        self.assertFalse(self.exceptions("B-RETURNED"))

    def test_notice_is_sent_where_the_connector_says_so(self):
        template = self.env["mail.template"].create(
            {
                "name": "Failed",
                "model_id": self.env["ir.model"]._get_id("account.move"),
                "subject": "Payment of {{ object.name }}",
                "body_html": "<p>Please pay again.</p>",
            }
        )
        self.connector.write(
            {"failure_template_id": template.id, "failure_notice": "send"}
        )
        self.partner_a.email = "payer@example.com"
        self.capture(self.invoice)
        self.fail()
        message = self.invoice.message_ids.filtered(
            lambda m: m.subject == f"Payment of {self.invoice.name}"
        )
        self.assertEqual(message.partner_ids, self.partner_a)
        self.assertFalse(self.invoice.activity_ids)

    # === STATUS === #

    def status(self, execution, at="2026-01-19T10:00:00Z", **values):
        return self.apply(
            "payment.status_changed",
            provider_ref="pay_1",
            execution=execution,
            changed_at=at,
            **values,
        )

    def test_statuses_fold(self):
        self.status("acknowledged", raw_status="ACSP")
        self.status("submitted")
        transaction = self.transaction("pay_1")
        self.assertEqual(transaction.execution, "acknowledged")
        self.assertEqual(transaction.raw_status, "ACSP")
        self.capture(self.invoice)
        self.assertEqual(transaction.execution, "captured")

    def test_unknown_that_stays_is_asked_for(self):
        self.status("unknown")
        transactions = self.env["finance.transaction"]
        transactions._cron_in_doubt()
        self.assertFalse(self.exceptions("T-INDOUBT"), "it may be known in a moment")
        self.set_clock(clock.now() + constants.INDOUBT_GRACE + timedelta(minutes=1))
        transactions._cron_in_doubt()
        transactions._cron_in_doubt()
        exception = self.exceptions("T-INDOUBT")
        self.assertEqual(exception.occurrences, 1)
        self.assertIn("Do not send", exception.cause)
        self.capture(self.invoice)
        self.assertEqual(exception.state, "resolved")

    def test_operator_records_what_happened(self):
        self.status("unknown")
        transaction = self.transaction("pay_1")
        exception = transaction._open_doubt()
        operator = self.users["operator"]
        action = transaction.with_user(operator).action_record_outcome()
        wizard = (
            self.env["finance.outcome.wizard"]
            .with_user(operator)
            .with_context(**action["context"])
            .create({"status": "failed", "reason": "Seen in the dashboard"})
        )
        wizard.action_confirm()
        self.assertEqual(transaction.execution, "failed")
        self.assertEqual(exception.state, "resolved")
        logged = transaction.transition_ids.filtered("reason")
        self.assertEqual(logged.user_id, operator)
        self.assertEqual(logged.reason, "Seen in the dashboard")

    def test_outgoing_payment_that_a_bank_returns(self):
        payment = self.env["account.payment"].create(
            {
                "payment_type": "outbound",
                "partner_type": "supplier",
                "partner_id": self.partner_a.id,
                "amount": 75.0,
                "journal_id": self.journal.id,
                "payment_reference": "E2E-1",
            }
        )
        payment.action_post()
        account = payment.outstanding_account_id
        self.status("acknowledged")
        self.apply(
            "payment.status_changed",
            provider_ref="E2E-1",
            execution="acknowledged",
            changed_at="2026-01-19T10:00:00Z",
        )
        self.assertEqual(self.transaction("E2E-1").payment_id, payment)
        self.assertEqual(self.transaction("E2E-1").amount, 75.0)
        before = self.balance(account)
        self.fail(ref="E2E-1")
        self.assertEqual(self.balance(account), before + 75.0)
        self.assertEqual(self.exceptions("B-RETURNED").res_id, payment.id)
