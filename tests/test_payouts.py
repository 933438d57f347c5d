from unittest.mock import patch

from odoo.tests import tagged

from .test_payments_capture import PaymentsCommon


class PayoutsCommon(PaymentsCommon):
    def settle(self, ref="pay_1", gross="100.00", fee="2.00", net="98.00", **values):
        return self.apply(
            "payment.settled",
            **{
                "provider_ref": ref,
                "gross": gross,
                "fee": fee,
                "net": net,
                "currency": "USD",
                "settled_at": "2026-01-21T10:00:00Z",
                "value_date": "2026-01-22",
                **values,
            },
        )

    @staticmethod
    def line(ref, gross, fee="0.00", kind="payment", **values):
        net = f"{float(gross) - float(fee):.2f}"
        return {
            "kind": kind,
            **({"provider_ref": ref} if ref else {}),
            "gross": gross,
            "fee": fee,
            "net": net,
            **values,
        }

    def payout_data(self, lines, net=None, ref="po_0001", **values):
        if net is None:
            net = f"{sum(float(line['net']) for line in lines):.2f}"
        return {
            "payout_ref": ref,
            "net": net,
            "currency": "USD",
            "released_at": "2026-02-12T06:00:00Z",
            "value_date": "2026-02-12",
            "lines": lines,
            **values,
        }

    def release(self, lines, net=None, ref="po_0001", connector=None, **values):
        data = self.payout_data(lines, net, ref, **values)
        command = self.apply("payout.released", connector, **data)
        self.assertEqual(command.state, "applied", command.error)
        return self.payout(ref)

    def payout(self, ref="po_0001"):
        return self.env["finance.payout"].search([("payout_ref", "=", ref)])


@tagged("post_install", "-at_install")
class TestPayouts(PayoutsCommon):
    """payment.settled, payout.released, payout.failed and the bank line."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.first = cls.make_invoice(100.0)
        cls.second = cls.make_invoice(50.0)

    # === SETTLED === #

    def test_fee_is_booked_once(self):
        self.capture(self.first)
        command = self.settle()
        self.assertEqual(command.state, "applied", command.error)
        self.assertEqual(self.balance(self.fees), 2.0)
        self.assertEqual(self.balance(self.outstanding), 98.0)
        self.assertEqual(self.settle().state, "ignored")
        self.assertEqual(self.balance(self.fees), 2.0)
        transaction = self.transaction("pay_1")
        self.assertEqual(transaction.settlement, "settled")
        self.assertEqual(transaction.fee_amount, 2.0)
        self.assertEqual(str(command.transaction_id.entry_ids.date), "2026-01-22")

    def test_settled_in_two_parts(self):
        self.capture(self.first)
        self.settle(gross="60.00", fee="1.20", net="58.80", settlement_ref="a")
        self.settle(gross="40.00", fee="0.80", net="39.20", settlement_ref="b")
        self.assertEqual(self.balance(self.fees), 2.0)

    def test_settled_before_captured_waits(self):
        command = self.settle()
        self.assertEqual((command.state, command.error_code), ("waiting", "D-ORPHAN"))
        self.assertEqual(command.waits_for, f"payment:{self.connector.id}:pay_1")
        self.capture(self.first)
        self.assertEqual(command.state, "applied", command.error)
        self.assertEqual(self.balance(self.fees), 2.0)

    def test_no_fee_account(self):
        self.capture(self.first)
        self.connector.fee_account_id = False
        command = self.settle()
        self.assertEqual(command.error_code, "D-UNMAPPED")
        self.assertIn("Fee Account", command.error)

    # === PAYOUT === #

    def test_payout_and_bank_line(self):
        self.capture(self.first)
        self.capture(self.second, "pay_2")
        payout = self.release(
            [self.line("pay_1", "100.00", "2.00"), self.line("pay_2", "50.00", "1.00")]
        )
        self.assertEqual(payout.state, "released")
        self.assertEqual(self.balance(self.fees), 3.0)
        self.assertEqual(self.open_items(self.outstanding), [147.0])
        self.assertEqual((payout.gross, payout.fees, payout.net), (150.0, 3.0, 147.0))
        self.assertEqual(self.transaction("pay_2").settlement, "settled")
        self.assertEqual(self.transaction("pay_2").fee_amount, 1.0)
        self.assertEqual(self.transaction("pay_2").payment_id.state, "paid")
        bank = self.bank_line(147.0, "PROVIDER PO_0001 SETTLEMENT")
        self.assertTrue(bank.is_reconciled)
        self.assertEqual(payout.statement_line_id, bank)
        self.assertEqual(payout.state, "reconciled")
        self.assertEqual(self.open_items(self.outstanding), [])
        self.assertEqual(self.balance(self.bank), 147.0)
        transaction = self.transaction("pay_1")
        self.assertEqual(transaction.settlement, "paid_out")
        self.assertEqual(transaction.reconciliation, "reconciled")
        self.assertEqual(self.verbs_of(payout), ["reconciled"])

    def test_fee_was_settled_before(self):
        self.capture(self.first)
        self.settle()
        payout = self.release([self.line("pay_1", "100.00", "2.00")])
        self.assertEqual(self.balance(self.fees), 2.0)
        self.assertEqual(self.open_items(self.outstanding), [98.0])
        self.assertEqual(len(payout.line_ids), 1)
        self.assertEqual(self.transaction("pay_1").fee_amount, 2.0)

    def test_fee_is_settled_after(self):
        self.capture(self.first)
        self.release([self.line("pay_1", "100.00", "2.00")])
        self.settle()
        self.assertEqual(self.balance(self.fees), 2.0)
        self.assertEqual(self.open_items(self.outstanding), [98.0])
        self.assertEqual(self.transaction("pay_1").fee_amount, 2.0)

    def test_settled_with_another_fee_than_reported(self):
        self.capture(self.first)
        self.release([self.line("pay_1", "100.00", "2.00", line_ref="txn_1")])
        command = self.settle(fee="3.00", net="97.00", settlement_ref="txn_1")
        self.assertEqual(command.error_code, "C-AMOUNT-INTEGRITY")
        self.assertEqual(self.balance(self.fees), 2.0)

    def test_report_before_captures(self):
        payout = self.release(
            [self.line("pay_1", "100.00", "2.00"), self.line("pay_2", "50.00", "1.00")]
        )
        self.assertEqual(payout.state, "incomplete")
        exception = self.exceptions("B-PAYOUT-MISMATCH")
        self.assertIn("pay_1", exception.cause)
        self.capture(self.first)
        self.assertEqual(payout.unknown_count, 1)
        self.assertEqual(self.balance(self.fees), 0.0)
        self.capture(self.second, "pay_2")
        self.assertEqual(payout.state, "released")
        self.assertEqual(exception.state, "resolved")
        self.assertEqual(self.open_items(self.outstanding), [147.0])

    def test_bank_line_before_payout(self):
        bank = self.bank_line(147.0, "PROVIDER PO_0001")
        self.capture(self.first)
        payout = self.release(
            [self.line("pay_1", "100.00", "2.00"), self.line("pay_2", "50.00", "1.00")]
        )
        self.assertEqual((payout.state, payout.statement_line_id), ("incomplete", bank))
        self.assertEqual(sorted(self.open_items(self.outstanding)), [-147.0, 100.0])
        self.capture(self.second, "pay_2")
        self.assertEqual(payout.state, "reconciled")
        self.assertEqual(self.open_items(self.outstanding), [])

    def test_by_counterparty_and_amount(self):
        partner = self.env["res.partner"].create({"name": "Provider Payments Ltd"})
        self.connector.payout_partner_id = partner
        self.capture(self.first)
        payout = self.release([self.line("pay_1", "100.00", "2.00")])
        strange = self.bank_line(98.0, "Somebody else")
        self.assertFalse(strange.is_reconciled)
        late = self.bank_line(98.0, "x", "2026-04-12", partner_id=partner.id)
        self.assertFalse(late.is_reconciled)
        bank = self.bank_line(98.0, "x", partner_name="PROVIDER PAYMENTS LTD")
        self.assertTrue(bank.is_reconciled)
        self.assertEqual(payout.state, "reconciled")

    def test_two_payouts_of_one_amount_are_not_guessed(self):
        partner = self.env["res.partner"].create({"name": "Provider Payments Ltd"})
        self.connector.payout_partner_id = partner
        third = self.make_invoice(100.0)
        self.capture(self.first)
        self.capture(third, "pay_3")
        first = self.release([self.line("pay_1", "100.00")])
        second = self.release([self.line("pay_3", "100.00")], ref="po_0002")
        bank = self.bank_line(100.0, "x", partner_id=partner.id)
        self.assertFalse(bank.is_reconciled)
        named = self.bank_line(100.0, "ref po_0002")
        self.assertTrue(named.is_reconciled)
        self.assertEqual((first.state, second.state), ("released", "reconciled"))

    def test_announced_then_reported(self):
        self.capture(self.first)
        payout = self.release([], net="98.00", complete=False)
        self.assertEqual(payout.state, "expected")
        self.assertEqual(self.balance(self.fees), 0.0)
        again = self.release([self.line("pay_1", "100.00", "2.00")])
        self.assertEqual((again, payout.state), (payout, "released"))

    def test_reported_by_another_connector_of_the_journal(self):
        """Payments by webhooks, the report as a file: one account at the provider."""
        reports = self.make_connector("reports")
        payout = self.release([self.line("pay_1", "100.00", "2.00")], connector=reports)
        self.assertEqual(payout.state, "incomplete")
        self.capture(self.first)
        self.assertEqual(payout.state, "released")
        self.assertEqual(self.balance(self.fees), 2.0)

    def test_same_payout_again(self):
        self.capture(self.first)
        self.release([self.line("pay_1", "100.00", "2.00")])
        data = self.payout_data([self.line("pay_1", "100.00", "2.00")])
        self.assertEqual(self.apply("payout.released", **data).state, "ignored")
        self.assertEqual(self.open_items(self.outstanding), [98.0])

    def test_fees_adjustments_reserve_and_carried_balance(self):
        self.capture(self.first)
        payout = self.release(
            [
                self.line("pay_1", "100.00", "2.00"),
                self.line(None, "-5.00", kind="fee"),
                self.line(None, "0.00", "1.00", kind="fee"),
                self.line(None, "-3.00", kind="adjustment", description="Correction"),
                self.line(None, "-10.00", kind="reserve"),
            ],
            net="69.00",
            closing="10.00",
        )
        self.assertEqual(payout.state, "released")
        self.assertEqual(self.balance(self.fees), 8.0)
        self.assertEqual(self.balance(self.adjustments), 3.0)
        self.assertEqual(self.open_items(self.outstanding), [10.0, 10.0, 69.0])
        later = self.release(
            [self.line(None, "10.00", kind="reserve")],
            net="20.00",
            opening="10.00",
            ref="po_0002",
        )
        self.assertEqual(later.state, "released")
        self.assertEqual(self.open_items(self.outstanding), [20.0, 69.0])

    def test_lines_that_do_not_add_up(self):
        self.capture(self.first)
        payout = self.release([self.line("pay_1", "100.00", "2.00")], net="97.00")
        self.assertEqual((payout.state, payout.difference), ("mismatch", -1.0))
        self.assertEqual(self.exceptions("B-PAYOUT-MISMATCH").res_id, payout.id)
        self.assertEqual(self.balance(self.fees), 0.0)

    def test_difference_within_the_limit(self):
        self.connector.write(
            {"writeoff_account_id": self.writeoffs.id, "writeoff_amount": 1.0}
        )
        self.capture(self.first)
        payout = self.release([self.line("pay_1", "100.00", "2.00")], net="97.00")
        self.assertEqual(payout.state, "released")
        self.assertEqual(self.balance(self.writeoffs), 1.0)
        self.assertEqual(self.open_items(self.outstanding), [97.0])

    def test_booked_as_it_is(self):
        """A person decides; what is unknown and what is missing has its account."""
        self.connector.writeoff_account_id = self.writeoffs
        self.capture(self.first)
        payout = self.release(
            [self.line("pay_1", "100.00", "2.00"), self.line("gone", "40.00", "1.00")],
            net="136.50",
        )
        operator = self.users["operator"]
        action = payout.with_user(operator).action_accept()
        wizard = (
            self.env["finance.payout.wizard"]
            .with_user(operator)
            .with_context(**action["context"])
            .create({"reason": "Sold before the books began"})
        )
        wizard.action_confirm()
        self.assertEqual(payout.state, "released")
        self.assertEqual(self.balance(self.adjustments), -39.0)
        self.assertEqual(self.balance(self.writeoffs), 0.5)
        self.assertEqual(self.balance(self.fees), 2.0)
        self.assertEqual(self.open_items(self.outstanding), [136.5])
        self.assertFalse(self.exceptions("B-PAYOUT-MISMATCH"))
        self.assertIn("Sold before", payout.message_ids[0].body)

    def test_sweep_goes_on_and_says_nothing_twice(self):
        payout = self.release([self.line("pay_1", "100.00", "2.00")])
        exception = self.exceptions("B-PAYOUT-MISMATCH")
        payout._advance()
        # The capture did not see the report, nor the report the capture.
        payouts = type(self.env["finance.payout"])
        with patch.object(payouts, "_tell_waiting"):
            self.capture(self.first)
        self.assertEqual(payout.state, "incomplete")
        with patch.object(type(self.env["ir.cron"]), "_commit_progress") as progress:
            self.env["finance.payout"]._cron_resume()
            self.assertEqual(payout.state, "released")
            self.assertEqual(exception.occurrences, 1)
            self.env["finance.payout"]._cron_resume()
            self.assertEqual(progress.call_count, 1, "nothing is left to do")

    def test_line_of_another_amount(self):
        self.capture(self.first)
        payout = self.release([self.line("pay_1", "120.00", "2.00")])
        self.assertEqual(payout.state, "incomplete")
        self.assertEqual(payout.line_ids.state, "differs")
        self.assertEqual(self.balance(self.fees), 0.0)

    def test_paid_out_twice(self):
        self.capture(self.first)
        self.release([self.line("pay_1", "100.00", "2.00")])
        again = self.release([self.line("pay_1", "100.00", "2.00")], ref="po_0002")
        self.assertEqual(again.state, "incomplete")
        self.assertEqual(again.line_ids.state, "differs")

    def test_paid_out_in_two_parts(self):
        self.capture(self.first)
        self.release([self.line("pay_1", "60.00", "1.20")])
        self.assertEqual(self.open_items(self.outstanding), [40.0, 58.8])
        self.release([self.line("pay_1", "40.00", "0.80")], ref="po_0002")
        self.assertEqual(self.open_items(self.outstanding), [39.2, 58.8])
        self.assertEqual(self.transaction("pay_1").fee_amount, 2.0)

    def test_no_fee_account_keeps_the_payout(self):
        self.capture(self.first)
        self.connector.fee_account_id = False
        payout = self.release([self.line("pay_1", "100.00", "2.00")])
        self.assertEqual(payout.state, "mismatch")
        exception = self.exceptions("D-UNMAPPED")
        self.connector.fee_account_id = self.fees
        payout.with_user(self.users["operator"]).action_retry()
        self.assertEqual((payout.state, exception.state), ("released", "resolved"))

    def test_failed_payout_is_paid_again(self):
        self.capture(self.first)
        payout = self.release([self.line("pay_1", "100.00", "2.00")])
        self.apply(
            "payout.failed",
            payout_ref="po_0001",
            failed_at="2026-02-13T06:00:00Z",
            reason="account_closed",
        )
        self.assertEqual(payout.state, "failed")
        self.assertIn("account_closed", self.exceptions("B-SETTLEMENT-DELAY").cause)
        self.assertEqual(self.open_items(self.outstanding), [98.0])
        later = self.release(
            [self.line("po_0001", "98.00", kind="adjustment")], ref="po_0002"
        )
        self.assertEqual(later.state, "released")
        self.assertEqual(self.open_items(self.outstanding), [98.0])
        self.bank_line(98.0, "po_0002")
        self.assertEqual(self.open_items(self.outstanding), [])

    def test_failed_before_it_is_known(self):
        command = self.apply(
            "payout.failed", payout_ref="po_0001", failed_at="2026-02-13T06:00:00Z"
        )
        self.assertEqual((command.state, command.error_code), ("waiting", "D-ORPHAN"))
        self.capture(self.first)
        payout = self.release([self.line("pay_1", "100.00", "2.00")])
        self.assertEqual(command.state, "applied")
        self.assertEqual(payout.state, "failed")

    def test_undone_at_the_bank(self):
        self.capture(self.first)
        payout = self.release([self.line("pay_1", "100.00", "2.00")])
        bank = self.bank_line(98.0, "po_0001")
        self.assertEqual(payout.state, "reconciled")
        bank.action_undo_reconciliation()
        self.assertEqual(payout.state, "released")
        self.assertFalse(payout.statement_line_id)

    def test_other_currency_than_captured(self):
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
        invoice = self.make_invoice(100.0, currency_id=euro.id)
        self.capture(invoice, amount="100.00", currency="EUR")
        payout = self.release([self.line("pay_1", "190.00", "4.00")])
        self.assertEqual(
            payout.state, "released", self.exceptions("B-PAYOUT-MISMATCH").cause
        )
        self.assertEqual(self.open_items(self.outstanding), [186.0])
        self.assertEqual(
            self.balance(self.company.expense_currency_exchange_account_id), 10.0
        )

    def test_foreign_payout(self):
        euro = self.env.ref("base.EUR")
        euro.active = True
        for day, rate in (("2026-01-01", 0.5), ("2026-02-01", 0.7)):
            self.env["res.currency.rate"].create(
                {
                    "currency_id": euro.id,
                    "company_id": self.company.id,
                    "name": day,
                    "rate": rate,
                }
            )
        for ref, amount in (("pay_1", "33.33"), ("pay_2", "77.77")):
            invoice = self.make_invoice(float(amount), currency_id=euro.id)
            self.capture(invoice, ref, amount, currency="EUR")
        payout = self.release(
            [self.line("pay_1", "33.33", "0.33"), self.line("pay_2", "77.77", "0.71")],
            currency="EUR",
        )
        self.assertEqual(payout.state, "released")
        self.bank_journal.currency_id = euro
        self.bank_line(110.06, "po_0001")
        self.assertEqual(payout.state, "reconciled")
        self.assertEqual(self.balance(self.outstanding), 0.0)
        self.assertEqual(self.open_items(self.outstanding), [])
