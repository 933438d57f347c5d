from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, tagged

from .test_payments_back import BackCommon


class CompensationCommon(BackCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.operator = cls.users["operator"]
        cls.approver = cls.users["approver"]
        cls.kinds = cls.env["finance.exception.kind"]
        # What is below is done at once, what is not needs a second person.
        for code in ("B-RETURNED", "B-SHORTPAY", "B-OVERPAY", "B-DISPUTE"):
            cls.kinds._of(code).second_person_from = 1000.0

    def exception(self, code, **domain):
        return self.env["finance.exception"].search(
            [("code", "=", code), ("is_open", "=", True)], limit=1, order="id desc"
        )

    def open(self, record, code="C-BYPASS", **values):
        return self.env["finance.exception"]._open(
            code,
            company=self.company,
            record=record,
            fingerprint=f"test:{code}:{record}",
            summary="Something is wrong",
            cause="It is wrong.",
            **values,
        )

    def compensate(self, exception, kind, record=None, user=None, **values):
        """Go through the form; return the compensation."""
        exception = exception.with_user(user or self.operator)
        action = exception.action_compensate()
        wizard = (
            self.env["finance.compensate.wizard"]
            .with_user(user or self.operator)
            .browse(action["res_id"])
        )
        line = wizard.line_ids.filtered(
            lambda found: (
                found.kind == kind and (not record or found._record() == record)
            )
        )[:1]
        self.assertTrue(line, wizard.line_ids.mapped("title"))
        with Form(wizard, "finance_hub.finance_compensate_wizard_view_form") as form:
            form.line_id = line
            self.preview = form.preview
            form.reason = "Agreed with the customer"
            for name, value in values.items():
                form[name] = value
        result = wizard.action_confirm()
        return self.env["finance.compensation"].browse(result["res_id"])

    def undo(self, compensation, user=None):
        action = compensation.with_user(user or self.operator).action_undo()
        wizard = (
            self.env["finance.compensate.wizard"]
            .with_user(user or self.operator)
            .browse(action["res_id"])
        )
        self.preview = wizard.preview
        wizard.reason = "It was right after all"
        result = wizard.action_confirm()
        return self.env["finance.compensation"].browse(result["res_id"])

    def decide(self, compensation, decision="approved", user=None):
        approval = self.env["finance.approval"]._pending(compensation)
        approval.with_user(user or self.approver)._decide_by_person(decision, "Seen")

    def entry(self, amount=80.0):
        accounts = self.company_data
        move = self.env["account.move"].create(
            {
                "move_type": "entry",
                "date": "2026-01-15",
                "line_ids": [
                    (
                        0,
                        0,
                        {
                            "name": "Debit",
                            "debit": amount,
                            "account_id": accounts["default_account_expense"].id,
                        },
                    ),
                    (
                        0,
                        0,
                        {
                            "name": "Credit",
                            "credit": amount,
                            "account_id": accounts["default_account_revenue"].id,
                        },
                    ),
                ],
            }
        )
        move.action_post()
        return move


@tagged("post_install", "-at_install")
class TestCompensation(CompensationCommon):
    """cap 60: what makes good for a mistake is shown, decided, recorded, reversible."""

    def test_entry_is_reversed_and_that_taken_back(self):
        self.kinds._of("C-BYPASS").second_person_from = 1000.0
        entry = self.entry()
        exception = self.open(entry)
        done = self.compensate(exception, "reversal", date="2026-02-01")
        self.assertIn("$\xa080.00", self.preview)
        self.assertEqual(done.state, "done")
        self.assertEqual(done.done_by_id, self.operator)
        reversal = self.env["account.move"].browse(done.result_id)
        self.assertEqual(str(reversal.date), "2026-02-01")
        self.assertEqual(reversal.reversed_entry_id, entry)
        self.assertEqual(
            self.balance(self.company_data["default_account_expense"]), 0.0
        )
        self.assertEqual(exception.state, "resolved")
        self.assertIn("Agreed with the customer", exception.resolution)
        self.assertIn("Agreed", entry.message_ids[:1].body)
        self.assertEqual(entry.finance_compensation_count, 1)
        steps = self.env["finance.trace.step"].search(
            [("correlation_id", "=", entry._finance_correlation())]
        )
        self.assertIn("compensation", steps.mapped("kind"))
        # Twice is refused.
        with self.assertRaisesRegex(UserError, "does not fit"):
            done.with_user(self.operator)._propose(
                "reversal", entry, date=done.date, reason="Again"
            )

        back = self.undo(done)
        self.assertEqual((done.state, back.state), ("undone", "done"))
        self.assertEqual(back.undoes_id, done)
        self.assertEqual(
            self.balance(self.company_data["default_account_expense"]), 80.0
        )
        self.assertEqual(exception.state, "open", "it is unsolved again")
        self.assertFalse(exception.resolution)
        with self.assertRaisesRegex(UserError, "can't be taken back"):
            done.with_user(self.operator).action_undo()
        with self.assertRaisesRegex(UserError, "can't be taken back"):
            back.with_user(self.operator).action_undo()
        with self.assertRaisesRegex(UserError, "kept"):
            done.unlink()

    def test_above_the_threshold_a_second_person_decides(self):
        entry = self.entry(5000.0)
        exception = self.open(entry)
        asked = self.compensate(exception, "reversal")
        self.assertEqual(asked.state, "requested")
        self.assertEqual(exception.state, "in_progress")
        self.assertFalse(entry.reversal_move_ids)
        with self.assertRaisesRegex(UserError, "asked for by"):
            self.compensate(exception, "reversal")
        both = self.operator
        both.group_ids += self.env.ref("finance_hub.group_approver")
        with self.assertRaisesRegex(UserError, "somebody else"):
            self.decide(asked, user=both)
        with self.assertRaises(AccessError):
            self.decide(asked, user=self.users["administrator"])
        self.decide(asked, "rejected")
        self.assertEqual(asked.state, "refused")
        self.assertEqual(asked.refusal, "Seen")
        self.assertFalse(entry.reversal_move_ids)

        again = self.compensate(exception, "reversal")
        # What was asked for is not what would be done now.
        self.env["account.move"].browse(entry.id).button_draft()
        with self.assertRaisesRegex(UserError, "changed"):
            self.decide(again)
        entry.action_post()
        self.decide(again)
        self.assertEqual(again.state, "done")
        self.assertEqual(again.done_by_id, self.approver)
        self.assertEqual(entry.reversal_move_ids.state, "posted")

    def test_locked_period_is_not_dated_around(self):
        self.kinds._of("C-BYPASS").second_person_from = 1000.0
        entry = self.entry()
        exception = self.open(entry)
        self.company.fiscalyear_lock_date = "2026-02-28"
        with self.assertRaisesRegex(UserError, "locked until"):
            self.compensate(exception, "reversal", date="2026-02-01")
        self.assertFalse(entry.reversal_move_ids)
        self.assertTrue(exception.is_open)

    def test_returned_outgoing_payment_is_cancelled(self):
        bill = self.env["account.move"].create(
            {
                "move_type": "in_invoice",
                "partner_id": self.partner_a.id,
                "invoice_date": "2026-01-15",
                "date": "2026-01-15",
                "invoice_line_ids": [
                    (0, 0, {"name": "Rent", "price_unit": 70.0, "tax_ids": []})
                ],
            }
        )
        bill.action_post()
        line = self.journal.outbound_payment_method_line_ids[:1]
        line.payment_account_id = self.outstanding
        payment = (
            self.env["account.payment.register"]
            .with_context(active_model="account.move", active_ids=bill.ids)
            .create(
                {
                    "journal_id": self.journal.id,
                    "payment_method_line_id": line.id,
                    "payment_date": "2026-01-16",
                }
            )
            ._create_payments()
        )
        self.fail("rejected", payment.name)
        exception = self.exception("B-RETURNED")
        self.assertTrue(exception.can_compensate)
        done = self.compensate(exception, "payment_cancel", payment)
        self.assertIn("is open again", self.preview)
        self.assertEqual(done.state, "done")
        self.assertEqual(payment.state, "canceled")
        self.assertEqual(bill.amount_residual, 70.0)
        self.assertEqual(exception.state, "resolved")
        self.undo(done)
        self.assertIn(payment.state, ("in_process", "paid"))
        self.assertEqual(bill.amount_residual, 0.0)

    def test_rest_of_an_invoice_is_written_off(self):
        self.connector.writeoff_account_id = self.writeoffs
        invoice = self.make_invoice(100.0)
        self.capture(invoice, amount="94.00")
        exception = self.exception("B-SHORTPAY")
        done = self.compensate(exception, "write_off", date="2026-02-01")
        self.assertEqual((done.amount, done.state), (6.0, "done"))
        self.assertEqual(invoice.amount_residual, 0.0)
        self.assertEqual(self.balance(self.writeoffs), 6.0)
        self.undo(done)
        self.assertEqual(invoice.amount_residual, 6.0)
        self.assertEqual(self.balance(self.writeoffs), 0.0)

    def test_credit_note_and_reopened_payment(self):
        invoice = self.make_invoice(100.0)
        self.capture(invoice)
        payment = self.transaction("pay_1").payment_id
        exception = self.open(invoice, "B-OVERPAY")
        reopened = self.compensate(exception, "reopen", payment, closes_exception=False)
        self.assertEqual(invoice.amount_residual, 100.0)
        self.assertTrue(exception.is_open, "something is left to do")
        credited = self.compensate(exception, "credit_note", invoice)
        note = self.env["account.move"].browse(credited.result_id)
        self.assertEqual(note.move_type, "out_refund")
        self.assertEqual(invoice.amount_residual, 0.0)
        self.undo(credited)
        self.assertEqual(invoice.amount_residual, 100.0)
        self.undo(reopened)
        self.assertEqual(invoice.amount_residual, 0.0)
        self.assertEqual(invoice.payment_state, "paid")

    def test_lost_dispute_is_posted_as_proposed(self):
        invoice = self.make_invoice(100.0)
        self.capture(invoice)
        self.dispute("open", due="2026-03-10T00:00:00Z")
        self.dispute("lost", at="2026-02-20")
        exception = self.exception("B-DISPUTE")
        done = self.compensate(exception, "post_entry")
        self.assertEqual(done._record().state, "posted")
        self.assertEqual(self.balance(self.disputes), 0.0)
        self.undo(done)
        self.assertEqual(self.balance(self.disputes), 100.0)

    def test_hold_is_released_by_somebody_else_only(self):
        invoice = self.make_invoice(50.0, post=False)
        hold = self.env["finance.hold"]._place(invoice, "risk", "Looks odd")
        exception = hold._report_pending("Nothing came.")
        asked = self.compensate(exception, "hold_release", hold)
        self.assertEqual((asked.state, hold.state), ("requested", "active"))
        self.decide(asked)
        self.assertEqual(hold.state, "released")
        self.assertEqual(hold.released_by_id, self.approver)
        invoice.action_post()
        back = self.undo(asked)
        self.assertEqual(back.state, "requested")
        self.decide(back)
        self.assertTrue(self.env["finance.hold"]._active(invoice, "risk"))

    def test_only_what_fits_is_proposed_and_only_operators_ask(self):
        exception = self.open(self.connector, "C-SIGNATURE")
        self.assertFalse(exception.can_compensate)
        with self.assertRaisesRegex(UserError, "Nothing of what"):
            exception.with_user(self.operator).action_compensate()
        entry = self.entry()
        with self.assertRaises(AccessError):
            self.open(entry).with_user(self.approver).action_compensate()


@tagged("post_install", "-at_install")
class TestLink(CompensationCommon):
    """cap 69: a person says what it is about, and what follows is done."""

    def link(self, exception, record, **values):
        wizard = (
            self.env["finance.link.wizard"]
            .with_user(self.operator)
            .with_context(default_exception_id=exception.id)
            .create({"reason": "The customer said so"})
        )
        kinds = {
            "account.move": ("document", "move_id"),
            "account.payment": ("payment", "payment_id"),
            "account.bank.statement.line": ("bank", "statement_line_id"),
            "res.partner": ("party", "partner_id"),
        }
        kind, name = kinds[record._name]
        wizard.write({"kind": kind, name: record.id})
        self.effect = wizard.effect
        wizard.action_link()
        self.process()
        return exception.link_ids[:1]

    def hand_payment(self, amount=100.0, **values):
        line = self.journal.inbound_payment_method_line_ids[:1]
        payment = self.env["account.payment"].create(
            {
                "payment_type": "inbound",
                "partner_type": "customer",
                "partner_id": self.partner_a.id,
                "amount": amount,
                "date": "2026-01-20",
                "journal_id": self.journal.id,
                "payment_method_line_id": line.id,
                **values,
            }
        )
        payment.action_post()
        return payment

    def test_payment_is_booked_for_the_chosen_invoice(self):
        invoice = self.make_invoice(100.0)
        command = self.capture(invoice, document_ref="Thanks a lot")
        exception = self.exception("B-UNMATCHED")
        form = Form(
            self.env["finance.link.wizard"]
            .with_user(self.operator)
            .with_context(default_exception_id=exception.id)
        )
        self.assertIn(invoice, form.fitting_ids[:])
        link = self.link(exception, invoice)
        self.assertIn("booked for", self.effect)
        self.assertEqual(command.state, "applied")
        self.assertEqual(invoice.payment_state, "paid")
        self.assertEqual(exception.state, "resolved")
        self.assertEqual(
            (link.reason, link.user_id), ("The customer said so", self.operator)
        )
        self.assertEqual(link.command_id, command)

    def test_payment_registered_by_hand_is_the_one(self):
        invoice = self.make_invoice(100.0)
        self.capture(invoice, document_ref="Nothing known")
        exception = self.exception("B-UNMATCHED")
        with self.assertRaisesRegex(UserError, "is over"):
            self.link(exception, self.hand_payment(99.0))
        payment = self.hand_payment(100.0, invoice_ids=[(6, 0, invoice.ids)])
        self.link(exception, payment)
        self.assertEqual(self.transaction("pay_1").payment_id, payment)
        self.assertEqual(exception.state, "resolved")

    def test_refund_finds_its_payment(self):
        """What waits for a reference gets it, and so does all that comes later."""
        invoice = self.make_invoice(100.0)
        self.capture(invoice)
        waiting = self.refund(parent_ref="ch_unknown")
        self.assertEqual(waiting.state, "waiting")
        self.later(hours=2)
        self.env["finance.command"]._cron_waiting()
        exception = self.exception("D-ORPHAN")
        self.link(exception, self.transaction("pay_1").payment_id)
        self.assertIn("ch_unknown", self.effect)
        self.assertEqual(waiting.state, "applied")
        self.assertEqual(exception.state, "resolved")
        again = self.refund("20.00", "re_2", parent_ref="ch_unknown")
        self.assertEqual(again.state, "applied")

    def test_refund_of_a_payment_registered_by_hand(self):
        payment = self.hand_payment()
        waiting = self.refund(parent_ref="ch_by_hand")
        self.later(hours=2)
        self.env["finance.command"]._cron_waiting()
        exception = self.exception("D-ORPHAN")
        self.link(exception, payment)
        self.assertEqual(waiting.state, "applied")
        self.assertEqual(self.transaction("ch_by_hand").payment_id, payment)

    def test_surplus_is_matched_with_another_invoice(self):
        invoice, other = self.make_invoice(100.0), self.make_invoice(30.0)
        self.capture(invoice, amount="130.00")
        exception = self.exception("B-OVERPAY")
        self.link(exception, other)
        self.assertEqual(other.payment_state, "paid")
        self.assertEqual(exception.state, "resolved")
        self.assertIn("Matched", other.message_ids[:1].body)

    def test_bank_line_of_a_payment(self):
        invoice = self.make_invoice(100.0)
        self.capture(invoice)
        payment = self.transaction("pay_1").payment_id
        exception = self.open(
            payment, "B-RETURNED", amount=100.0, currency=self.env.ref("base.USD")
        )
        values = {
            "journal_id": self.journal.id,
            "date": "2026-01-22",
            "payment_ref": "??",
        }
        lines = self.env["account.bank.statement.line"]
        with self.assertRaisesRegex(UserError, "are expected"):
            self.link(exception, lines.create({**values, "amount": 99.0}))
        line = lines.create({**values, "amount": 100.0})
        self.link(exception, line)
        self.assertTrue(line.is_reconciled)
        self.assertTrue(payment.is_matched)
        self.assertEqual(exception.state, "resolved")

    def test_what_has_no_effect_is_kept(self):
        exception = self.open(self.make_invoice(10.0), "B-DISPUTE")
        link = self.link(exception, self.partner_b)
        self.assertIn("nothing else happens", link.effect)
        self.assertTrue(exception.is_open)
        self.assertIn(self.partner_b.name, exception.concerns_html)
        foreign = self.env["res.partner"].create(
            {
                "name": "Elsewhere",
                "company_id": self.env["res.company"].create({"name": "Other"}).id,
            }
        )
        with self.assertRaisesRegex(UserError, "same company"):
            exception.with_user(self.operator)._link(foreign, "No")
