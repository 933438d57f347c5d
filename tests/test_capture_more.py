from unittest.mock import patch

from odoo.tests import tagged

from ..models.capture import payload
from .test_capture_matrix import MatrixCommon


@tagged("post_install", "-at_install")
class TestCaptureMore(MatrixCommon):
    """cap 16-23: contents, companies, currencies, actors, batches and the past."""

    # === CONTENT === #

    def test_origin_of_entries(self):
        entry = self.bank_line(75.0).move_id
        self.assertEqual(
            self.events_of(entry).data["origin"]["kind"], "bank_transaction"
        )
        payment = self.payment(post=True)
        data = self.events_of(payment.move_id).data
        self.assertEqual(data["origin"]["kind"], "payment")
        self.assertEqual(data["origin"]["id"], str(payment.id))
        self.assertEqual(data["total"], "60.00")

    def test_statement_gaps(self):
        first = self.bank_statement_imported_rpc()
        self.assertEqual(self.events_of(first).data["gaps"], [])
        second = self.env["account.bank.statement"].create(
            {
                "name": "Statement 2",
                "balance_start": 90.0,
                "balance_end_real": 100.0,
                "line_ids": [
                    (
                        0,
                        0,
                        {
                            "journal_id": self.journal.id,
                            "date": "2026-01-22",
                            "payment_ref": "x",
                            "amount": 5.0,
                        },
                    )
                ],
            }
        )
        data = self.events_of(second).data
        self.assertEqual(
            [(gap["kind"], gap["expected"], gap["actual"]) for gap in data["gaps"]],
            [("opening", "80.00", "90.00"), ("closing", "100.00", "95.00")],
        )
        self.assertEqual((data["count"], data["opening"]), (1, "90.00"))

    def test_one_reconciliation_for_a_group(self):
        """Three invoices settled by one payment are one reconciliation."""
        invoices = self.env["account.move"].union(
            *(self.posted("invoice") for _index in range(3))
        )
        payment = self.payment(post=True, amount=250.0)
        lines = (invoices | payment.move_id).line_ids.filtered(
            lambda line: line.account_type == "asset_receivable"
        )
        lines.reconcile()
        partials = self.partials(invoices)
        self.assertEqual(len(partials), 3)
        event = self.events_of(partials)
        self.assertEqual(len(event), 1)
        self.assertFalse(event.problem)
        self.assertEqual(event.data["amount"], "250.00")
        self.assertFalse(event.data["full"])
        self.assertEqual(len(event.data["documents"]), 4)
        lines.remove_move_reconcile()
        undone = self.events_of(partials)[-1]
        self.assertEqual(undone.type, "finance.reconciliation.undone.v1")
        self.assertEqual(undone.aggregate, event.aggregate)
        self.assertEqual(undone.data["amount"], "250.00")

    def test_bank_account_is_masked(self):
        account = self.bank_account(True)
        event = self.events_of(account)
        self.assertEqual(event.data["account"], "DE89****3000")
        self.assertNotIn("370400440532", event.label)

    def test_contacts_are_silent(self):
        contact = self.env["res.partner"].create(
            {"name": "Contact", "parent_id": self.partner_a.id, "type": "invoice"}
        )
        contact.email = "contact@x.example"
        self.assertEqual(self.verbs_of(contact), [])

    def test_changed_fields(self):
        self.end_transaction()
        self.partner_a.write({"street": "Somewhere 1", "comment": "Not of interest"})
        event = self.events_of(self.partner_a)[-1]
        self.assertEqual(event.data["changed_fields"], ["street"])
        self.partner_a.comment = "Nothing for accounting"
        self.assertEqual(self.events_of(self.partner_a)[-1], event)

    def test_credit_limit_of_each_company(self):
        other = self.setup_other_company()["company"]
        self.end_transaction()
        self.partner_a.with_company(self.company).credit_limit = 100.0
        self.partner_a.with_company(other).credit_limit = 200.0
        events = self.events_of(self.partner_a).filtered(
            lambda event: "limit_changed" in event.type
        )
        self.assertEqual(
            {(event.company_id, event.data["limit"]) for event in events},
            {(self.company, "100.00"), (other, "200.00")},
        )

    # === COMPANIES AND CURRENCIES === #

    def test_shared_records_are_told_in_each_company(self):
        other = self.setup_other_company()["company"]
        self.make_endpoint("http://127.0.0.1:8999/a", patterns="*")
        self.make_endpoint(
            "http://127.0.0.1:8999/b",
            patterns="*",
            connector=self._connector_of(other),
        )
        self.end_transaction()
        self.partner_a.street = "Shared 1"
        events = self.events_of(self.partner_a).filtered(
            lambda event: "changed" in event.type
        )
        # Other companies of the database may have connectors, too.
        self.assertLessEqual(self.company | other, events.company_id)
        for event in events.filtered(lambda e: e.company_id in self.company | other):
            self.assertEqual(len(event.delivery_ids), 1)
            self.assertEqual(event.delivery_ids.company_id, event.company_id)
        self.partner_a.company_id = self.company
        self.end_transaction()
        self.partner_a.street = "Own 2"
        self.assertEqual(self.events_of(self.partner_a)[-1].company_id, self.company)

    def _connector_of(self, company):
        return self.make_connector(
            "other", company_id=company.id, payment_journal_id=False
        )

    def test_other_currency(self):
        invoice = self.posted("invoice", currency_id=self.other_currency.id)
        data = self.events_of(invoice).data
        self.assertEqual(data["currency"], self.other_currency.name)
        digits = self.other_currency.decimal_places
        self.assertEqual(data["total_amount"], payload.money_string(100.0, digits))
        entry = self.env["account.move"].create(
            {
                "move_type": "entry",
                "date": "2026-01-15",
                "journal_id": self.company_data["default_journal_misc"].id,
                "line_ids": [
                    (
                        0,
                        0,
                        {
                            "account_id": account.id,
                            "balance": sign * 50.0,
                            "amount_currency": sign * 100.0,
                            "currency_id": self.other_currency.id,
                        },
                    )
                    for account, sign in (
                        (self.company_data["default_account_revenue"], 1),
                        (self.company_data["default_account_expense"], -1),
                    )
                ],
            }
        )
        entry.action_post()
        line = self.events_of(entry).data["lines"][1]
        self.assertEqual(line["credit"], "50.00")
        self.assertEqual(line["line_currency"], self.other_currency.name)
        self.assertTrue(line["amount_currency"].startswith("-100"))

    # === WHO, AND WHAT BELONGS TOGETHER === #

    def test_actors(self):
        invoice = self.draft("invoice")
        self.end_transaction()
        invoice.with_env(self.rpc_env()).action_post()
        self.assertEqual(self.events_of(invoice).actor, f"user/{self.env.uid}")
        self.assertEqual(
            self.events_of(self.document_posted_cron("invoice")).actor, "cron/1"
        )
        invoice = self.draft("invoice")
        self.end_transaction()
        invoice.with_user(1).action_post()
        self.assertEqual(self.events_of(invoice).actor, "system")

    def test_payment_belongs_to_its_invoice(self):
        invoice = self.posted("invoice")
        payment = self._register(invoice, 100.0)
        self.assertEqual(payment.finance_correlation_id, invoice.finance_correlation_id)
        self.assertEqual(
            set(
                (self.events_of(payment) | self.events_of(invoice)).mapped(
                    "correlation_id"
                )
            ),
            {invoice.finance_correlation_id},
        )
        both = self.posted("invoice") | self.posted("invoice")
        wizard = self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=both.ids
        )
        payment = wizard.create(
            {"journal_id": self.journal.id, "group_payment": True}
        )._create_payments()
        self.assertNotIn(
            payment.finance_correlation_id, both.mapped("finance_correlation_id")
        )

    def test_causation(self):
        invoice = self.draft("invoice")
        self.end_transaction()
        invoice.with_context(finance_causation_id="msg_1").action_post()
        self.assertEqual(self.events_of(invoice).causation_id, "msg_1")

    # === THE HUB ITSELF === #

    def test_undelivered_meta_events_are_not_announced(self):
        """A dead receiver does not hear of itself for ever."""
        endpoint = self.endpoint()
        watcher = self.make_endpoint(
            "http://127.0.0.1:8999/watch",
            patterns="finance.connector.*",
            connector=self.make_connector("watcher"),
        )
        self.end_transaction()
        endpoint._announce("degraded", "It fails")
        event = self.events_of(endpoint)
        self.assertEqual(event.delivery_ids.endpoint_id & watcher, watcher)
        watcher._announce("delivery_exhausted", "No answer", event.delivery_ids)
        self.assertFalse(self.events_of(watcher))

    def test_exceptions_about_exception_events_are_silent(self):
        """A broken contract of exception events ends after one round."""
        with (
            patch(
                "odoo.addons.finance_hub.models.capture.payload_master.exception",
                return_value={"id": 17},
            ),
            self.assertLogs("odoo.addons.finance_hub", "ERROR"),
        ):
            exception = self.exception()
            self.end_transaction()
        self.assertEqual(len(self.events_of(exception)), 1)
        about = self.env["finance.exception"].search(
            [("res_model", "=", "finance.event")]
        )
        self.assertFalse(self.events_of(about) if about else False)

    # === BATCHES === #

    def test_batch_of_thousands(self):
        """The number of queries is the same for two and for two thousand."""
        self.make_endpoint("http://127.0.0.1:8999/x", patterns="*")
        counts = {}
        for number in (2, 2000):
            partners = self.env["res.partner"].create(
                [{"name": f"Partner {index}"} for index in range(number)]
            )
            self.env.flush_all()
            before = self.env.cr.sql_log_count
            self.end_transaction()
            counts[number] = self.env.cr.sql_log_count - before
            self.assertEqual(len(self.events_of(partners)), number)
        self.assertLessEqual(counts[2000], counts[2] + 4, counts)

    def test_taking_back_is_constant(self):
        """Events of an earlier savepoint are taken back all at once."""
        counts = {}
        for number in (2, 20):
            moves = self.env["account.move"].union(
                *(self.draft("invoice") for _index in range(number))
            )
            self.end_transaction()
            with self.env.cr.savepoint():
                moves.action_post()
            moves.button_draft()
            self.env.flush_all()
            before = self.env.cr.sql_log_count
            self.end_transaction()
            counts[number] = self.env.cr.sql_log_count - before
            self.assertFalse(self.events_of(moves))
        self.assertLessEqual(counts[20], counts[2] + 2, counts)

    # === THE PAST === #

    def forget_events(self):
        """Have it as if the hub had been installed just now."""
        self.end_transaction()
        self.env.cr.execute("SET LOCAL finance_hub.purge = 'on'")
        self.env.cr.execute("DELETE FROM finance_delivery")
        self.env.cr.execute("DELETE FROM finance_event")
        self.env.cr.execute("SET LOCAL finance_hub.purge = 'off'")
        self.env.invalidate_all()

    def test_backfill(self):
        self.make_endpoint("http://127.0.0.1:8999/x", patterns="*")
        capture = self.env["finance.capture"]
        paid, posted = self.paid("invoice"), self.posted("invoice")
        self.forget_events()
        model, domain = capture._backfill_domain("finance.invoice.posted")
        invoices = self.env[model].search([*domain, ("id", "in", (paid | posted).ids)])
        self.assertEqual(invoices, posted | paid)
        ids = capture._backfill(invoices, "posted")
        events = self.env["finance.event"].browse(ids)
        self.assertEqual(set(events.mapped("res_id")), set(invoices.ids))
        self.assertEqual(set(events.mapped("actor")), {"backfill"})
        self.assertFalse(events.delivery_ids)
        self.assertFalse(any(events.mapped("problem")))
        self.assertEqual(str(events[0].occurred_at), "2026-01-15 00:00:00")
        self.assertEqual(capture._backfill(invoices, "posted"), [])
        # What happens from now on continues the sequence.
        capture._backfill(paid, "paid")
        paid.button_draft()
        self.assertEqual(self.verbs_of(paid), ["posted", "paid", "reset_to_draft"])
        self.assertEqual(self.events_of(paid).mapped("sequence"), [1, 2, 3])

    def test_backfill_of_every_kind(self):
        capture = self.env["finance.capture"]
        self.paid("bill")
        self.paid("credit_note")
        self.entry(post=True)
        self.bank_statement_imported_rpc()
        self.bank_account(True)
        self.payment()
        self.payment_rejected_rpc()
        self.posted("invoice").button_cancel()
        self.forget_events()
        for name, verb in (
            ("bill", "paid"),
            ("credit_note", "posted"),
            ("journal_entry", "posted"),
            ("payment", "created"),
            ("payment", "rejected"),
            ("counterparty", "created"),
            ("bank_statement", "imported"),
            ("bank_account", "trusted"),
            ("invoice", "cancelled"),
        ):
            with self.subTest(name=name, verb=verb):
                model, domain = capture._backfill_domain(f"finance.{name}.{verb}.v1")
                records = self.env[model].search(domain)
                self.assertTrue(records)
                ids = capture._backfill(records, verb)
                self.assertTrue(ids)
                events = self.env["finance.event"].browse(ids)
                self.assertFalse([e.problem for e in events if e.problem])
                self.assertEqual(capture._backfill(records, verb), [])
        with self.assertRaisesRegex(ValueError, "can't be made for the past"):
            capture._backfill_domain("finance.invoice.overdue")
