from odoo.tests import tagged

from .common import FinanceHubCommon


class PaymentsCommon(FinanceHubCommon):
    """A connector of a payment provider that is set up in full."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        accounts = cls.env["account.account"]
        cls.fees = accounts.create(
            {"name": "Provider Fees", "code": "619998", "account_type": "expense"}
        )
        cls.disputes = accounts.create(
            {
                "name": "Disputes",
                "code": "109997",
                "account_type": "asset_current",
                "reconcile": True,
            }
        )
        cls.writeoffs = accounts.create(
            {"name": "Differences", "code": "619997", "account_type": "expense"}
        )
        cls.adjustments = accounts.create(
            {"name": "Adjustments", "code": "619996", "account_type": "expense"}
        )
        cls.connector = cls.make_connector(
            "shop",
            fee_account_id=cls.fees.id,
            dispute_account_id=cls.disputes.id,
            adjustment_account_id=cls.adjustments.id,
        )
        cls.bank_journal = cls.env["account.journal"].create(
            {
                "name": "House Bank",
                "code": "HBK",
                "type": "bank",
                "company_id": cls.company.id,
            }
        )
        cls.bank = cls.bank_journal.default_account_id
        cls.counter = 0

    def apply(self, name, connector=None, **data):
        """Receive and process one command; return it."""
        message_id = self.post(name, connector, **data)
        self.process()
        return (
            self.env["finance.message"]
            .search([("external_id", "=", message_id)])
            .command_ids
        )

    def post(self, name, connector=None, **data):
        """Put one command into the inbox."""
        type(self).counter += 1
        message_id = f"msg_{self.counter}"
        body = self.cloud_event(data, message_id, type=f"{name}.v1")
        self.receive(connector or self.connector, body, message_id)
        return message_id

    def capture(self, invoice, ref="pay_1", amount=None, **values):
        name = values.pop("document_ref", None) or invoice.name
        amount = f"{invoice.amount_total:.2f}" if amount is None else amount
        return self.apply(
            "payment.captured", **self.captured(name, ref, amount, **values)
        )

    def transaction(self, ref):
        return self.env["finance.transaction"].search([("provider_ref", "=", ref)])

    def balance(self, account):
        """Return the balance of an account over all posted entries."""
        self.env.flush_all()
        lines = self.env["account.move.line"].search(
            [("account_id", "=", account.id), ("parent_state", "=", "posted")]
        )
        return self.company.currency_id.round(sum(lines.mapped("balance")))

    def open_items(self, account):
        """Return the open amounts of an account, sorted."""
        self.env.flush_all()
        lines = self.env["account.move.line"].search(
            [
                ("account_id", "=", account.id),
                ("parent_state", "=", "posted"),
                ("reconciled", "=", False),
            ]
        )
        return sorted(lines.mapped("amount_residual"))

    def trial_balance(self):
        """Return {account code: balance} of everything posted in the company."""
        self.env.flush_all()
        groups = self.env["account.move.line"]._read_group(
            [("company_id", "=", self.company.id), ("parent_state", "=", "posted")],
            ["account_id"],
            ["balance:sum"],
        )
        rounded = self.company.currency_id.round
        return {
            account.code: rounded(total)
            for account, total in groups
            if not self.company.currency_id.is_zero(total)
        }

    def exceptions(self, code):
        return self.env["finance.exception"].search(
            [("code", "=", code), ("is_open", "=", True)]
        )

    def bank_line(self, amount, text="Payout", date="2026-02-12", **values):
        line = self.env["account.bank.statement.line"].create(
            {
                "journal_id": self.bank_journal.id,
                "amount": amount,
                "payment_ref": text,
                "date": date,
                **values,
            }
        )
        self.env["finance.payout"]._match_statement_lines(line)
        return line


@tagged("post_install", "-at_install")
class TestPaymentCapture(PaymentsCommon):
    """payment.captured: found, booked once, matched; what differs is told."""

    def test_reference_list(self):
        first, second = self.make_invoice(60.0), self.make_invoice(40.0)
        command = self.capture(
            first, amount="100.00", document_ref=f"{first.name}, {second.name}"
        )
        self.assertEqual(command.state, "applied")
        self.assertEqual([first.payment_state, second.payment_state], ["paid", "paid"])

    def test_reference_list_with_an_unknown_one(self):
        first = self.make_invoice(60.0)
        command = self.capture(
            first, amount="60.00", document_ref=f"{first.name}, INV/0000/1"
        )
        self.assertEqual(command.error_code, "B-UNMATCHED")
        self.assertIn("INV/0000/1", command.error)
        self.assertEqual(first.payment_state, "not_paid")

    def test_number_within_a_text(self):
        invoice = self.make_invoice(60.0)
        command = self.capture(
            invoice, amount="60.00", document_ref=f"Invoice {invoice.name} thanks"
        )
        self.assertEqual(command.state, "applied")
        self.assertEqual(invoice.payment_state, "paid")

    def test_by_origin(self):
        invoice = self.make_invoice(60.0, invoice_origin="S00042")
        self.capture(invoice, amount="60.00", document_ref="S00042")
        self.assertEqual(invoice.payment_state, "paid")

    def test_same_origin_is_told_apart_by_the_amount(self):
        first = self.make_invoice(60.0, invoice_origin="S00042")
        second = self.make_invoice(40.0, invoice_origin="S00042")
        self.capture(first, amount="40.00", document_ref="S00042")
        self.assertEqual(second.payment_state, "paid")
        self.assertEqual(first.payment_state, "not_paid")

    def test_all_of_an_origin_together(self):
        first = self.make_invoice(60.0, invoice_origin="S00042")
        second = self.make_invoice(40.0, invoice_origin="S00042")
        self.capture(first, amount="100.00", document_ref="S00042")
        self.assertEqual([first.payment_state, second.payment_state], ["paid", "paid"])

    def test_by_payer_and_amount(self):
        invoice = self.make_invoice(61.0)
        self.make_invoice(62.0)
        self.partner_a.email = "payer@example.com"
        command = self.capture(
            invoice,
            amount="61.00",
            document_ref="ORDER-77",
            payer={"email": "Payer@Example.com"},
        )
        self.assertEqual(command.state, "applied")
        self.assertEqual(invoice.payment_state, "paid")

    def test_payer_with_two_invoices_of_the_amount(self):
        invoice = self.make_invoice(61.0)
        self.make_invoice(61.0)
        self.partner_a.vat = "US-77-88"
        command = self.capture(
            invoice, document_ref="ORDER-77", payer={"vat": "US-77-88"}
        )
        self.assertEqual(command.error_code, "B-AMBIGUOUS")

    def test_like_named_payers_are_not_guessed(self):
        invoice = self.make_invoice(61.0)
        self.env["res.partner"].create({"name": self.partner_a.name})
        command = self.capture(
            invoice, document_ref="ORDER-77", payer={"name": self.partner_a.name}
        )
        self.assertEqual(command.error_code, "B-UNMATCHED")

    def test_document_of_the_authorisation(self):
        invoice = self.make_invoice(61.0)
        self.apply(
            "payment.authorised",
            provider_ref="auth_1",
            amount="61.00",
            currency="USD",
            authorised_at="2026-01-20T09:00:00Z",
            document_ref=invoice.name,
        )
        self.assertEqual(self.transaction("auth_1").execution, "authorised")
        data = self.captured(None, "cap_1", "61.00", parent_ref="auth_1")
        command = self.apply("payment.captured", **data)
        self.assertEqual(command.state, "applied")
        self.assertEqual(invoice.payment_state, "paid")
        self.assertEqual(self.transaction("auth_1").execution, "captured")

    def test_authorisation_that_came_late(self):
        invoice = self.make_invoice(61.0)
        self.capture(invoice, "cap_1", parent_ref="auth_1")
        self.apply(
            "payment.authorised",
            provider_ref="auth_1",
            amount="61.00",
            currency="USD",
            authorised_at="2026-01-20T09:00:00Z",
        )
        self.assertEqual(self.transaction("auth_1").execution, "captured")

    def test_shortpay_is_told_and_closed(self):
        invoice = self.make_invoice(100.0)
        self.capture(invoice, amount="90.00")
        exception = self.exceptions("B-SHORTPAY")
        self.assertEqual((exception.amount, exception.res_id), (10.0, invoice.id))
        self.capture(invoice, "pay_2", amount="10.00")
        self.assertEqual(exception.state, "resolved")
        self.assertEqual(invoice.payment_state, "paid")

    def test_difference_within_the_limit_is_written_off(self):
        self.connector.write(
            {"writeoff_account_id": self.writeoffs.id, "writeoff_amount": 1.0}
        )
        invoice = self.make_invoice(100.0)
        self.capture(invoice, amount="99.20")
        self.assertEqual(invoice.payment_state, "paid")
        self.assertEqual(self.balance(self.writeoffs), 0.8)
        self.assertEqual(self.balance(self.outstanding), 99.2)
        self.assertFalse(self.exceptions("B-SHORTPAY"))

    def test_early_payment_discount(self):
        """In time and to the cent it is what Odoo's own assistant books."""
        terms = self.env["account.payment.term"].create(
            {
                "name": "2/10",
                "early_discount": True,
                "discount_percentage": 2,
                "discount_days": 10,
                "line_ids": [(0, 0, {"value": "percent", "value_amount": 100})],
            }
        )
        tax = self.company_data["default_tax_sale"]
        loss = self.company.account_journal_early_pay_discount_loss_account_id
        numbers = iter(range(99))

        def invoice(amount=100.0):
            made = self.make_invoice(
                amount, post=False, invoice_payment_term_id=terms.id
            )
            made.invoice_line_ids.tax_ids = tax
            made.action_post()
            return made

        def capture(invoice, amount, day, **values):
            return self.capture(
                invoice,
                f"epd_{next(numbers)}",
                f"{amount:.2f}",
                captured_at=f"2026-01-{day}T23:30:00Z",
                **values,
            )

        def booked(payment):
            return sorted(
                (line.account_id.code, line.balance, line.tax_ids.ids, line.name)
                for line in payment.move_id.line_ids
                if line.account_id
                not in (payment.outstanding_account_id, payment.destination_account_id)
            )

        for computation in ("included", "excluded", "mixed"):
            terms.early_pay_discount_computation = computation
            paid, by_hand = invoice(), invoice()
            due = paid.line_ids.filtered("discount_date").discount_amount_currency
            with self.subTest(computation):
                self.assertGreater(paid.amount_total, due)
                self.assertEqual(capture(paid, due, 25).state, "applied")
                self.assertEqual(paid.payment_state, "paid")
                payment = paid._get_reconciled_payments()
                register = (
                    self.env["account.payment.register"]
                    .with_context(active_model="account.move", active_ids=by_hand.ids)
                    .create({"payment_date": "2026-01-25"})
                )
                self.assertEqual(register.amount, due)
                same = register._create_payments()
                self.assertEqual(booked(payment), booked(same))
                self.assertIn(loss.code, [line[0] for line in booked(payment)])
        self.assertFalse(self.exceptions("B-SHORTPAY"))
        late, short = invoice(), invoice()
        capture(late, due, 26)
        capture(short, due - 0.01, 25)
        self.assertEqual((late.payment_state, short.payment_state), ("partial",) * 2)
        told = self.exceptions("B-SHORTPAY").mapped("res_id")
        self.assertEqual(set(told), {late.id, short.id})
        # Taken back, the invoice is open with all of it, and so are its taxes.
        before = self.balance(loss)
        self.apply(
            "payment.failed",
            provider_ref=payment.finance_provider_ref,
            outcome="returned",
            reason_code="AC04",
            failed_at="2026-01-28T10:00:00Z",
        )
        self.assertEqual(paid.amount_residual, paid.amount_total)
        self.assertLess(self.balance(loss), before)
        # Several at once, one of them too late for it; and known by the amount alone.
        other, full = invoice(), self.make_invoice(40.0)
        named = f"{other.name}, {full.name}"
        capture(other, due + 40, 20, document_ref=named)
        self.assertEqual((other.payment_state, full.payment_state), ("paid", "paid"))
        unnamed = invoice(70.0)
        due = unnamed.line_ids.filtered("discount_date").discount_amount_currency
        unnamed.partner_id.email = "payer@example.com"
        command = capture(
            unnamed, due, 20, document_ref="?", payer={"email": "payer@example.com"}
        )
        self.assertEqual((command.state, unnamed.payment_state), ("applied", "paid"))
        self.company.account_journal_early_pay_discount_loss_account_id = False
        nowhere = capture(invoice(70.0), due, 20)
        self.assertEqual((nowhere.state, nowhere.error_code), ("failed", "D-UNMAPPED"))

    def test_both_limits_have_to_be_kept(self):
        self.connector.write(
            {
                "writeoff_account_id": self.writeoffs.id,
                "writeoff_amount": 1.0,
                "writeoff_percent": 0.5,
            }
        )
        invoice = self.make_invoice(100.0)
        self.capture(invoice, amount="99.20")
        self.assertEqual(invoice.payment_state, "partial")
        self.assertEqual(self.balance(self.writeoffs), 0.0)

    def test_registered_by_hand_before(self):
        invoice = self.make_invoice(100.0)
        payment = self.env["account.payment"].create(
            {
                "payment_type": "inbound",
                "partner_type": "customer",
                "partner_id": self.partner_a.id,
                "amount": 100.0,
                "journal_id": self.journal.id,
                "payment_reference": "pay_1",
            }
        )
        command = self.capture(invoice)
        self.assertEqual(command.state, "applied", command.error)
        self.assertEqual(command.res_id, payment.id)
        self.assertEqual(payment.finance_provider_ref, "pay_1")
        self.assertEqual(invoice.payment_state, "paid")
        self.assertEqual(self.balance(self.outstanding), 100.0)

    def test_registered_and_matched_by_hand(self):
        invoice = self.make_invoice(100.0)
        wizard = (
            self.env["account.payment.register"]
            .with_context(active_model="account.move", active_ids=invoice.ids)
            .create({"journal_id": self.journal.id, "communication": "pay_1"})
        )
        payment = wizard._create_payments()
        command = self.capture(invoice, document_ref="NOT-KNOWN")
        self.assertEqual(command.state, "applied", command.error)
        self.assertEqual(self.transaction("pay_1").payment_id, payment)
        self.assertEqual(self.balance(self.outstanding), 100.0)

    def test_registered_by_hand_with_another_amount(self):
        invoice = self.make_invoice(100.0)
        self.env["account.payment"].create(
            {
                "payment_type": "inbound",
                "partner_type": "customer",
                "partner_id": self.partner_a.id,
                "amount": 90.0,
                "journal_id": self.journal.id,
                "payment_reference": "pay_1",
            }
        )
        self.assertEqual(self.capture(invoice).error_code, "B-AMBIGUOUS")

    def test_once_for_ever(self):
        """The transaction remembers, though command and message are purged."""
        invoice = self.make_invoice(100.0)
        command = self.capture(invoice)
        command.state = "superseded"
        again = self.capture(invoice)
        self.assertEqual(again.state, "ignored")
        other = self.capture(invoice, amount="99.00")
        self.assertEqual(other.error_code, "C-AMOUNT-INTEGRITY")
        self.assertEqual(self.balance(self.outstanding), 100.0)

    def test_exchange_difference(self):
        euro = self.env.ref("base.EUR")
        euro.active = True
        for day, rate in (("2026-01-01", 0.5), ("2026-01-18", 0.4)):
            self.env["res.currency.rate"].create(
                {
                    "currency_id": euro.id,
                    "company_id": self.company.id,
                    "name": day,
                    "rate": rate,
                }
            )
        invoice = self.make_invoice(100.0, currency_id=euro.id)
        self.capture(invoice, amount="100.00", currency="EUR")
        self.assertEqual(invoice.payment_state, "paid")
        self.assertEqual(self.balance(self.outstanding), 250.0)
        receivable = self.company_data["default_account_receivable"]
        self.assertEqual(self.balance(receivable), 0.0)
        self.assertEqual(
            self.balance(self.company.income_currency_exchange_account_id), -50.0
        )
