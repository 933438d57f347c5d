import base64
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..models import constants
from ..models.ledger.errors import MORE
from .common import FinanceHubCommon

IBAN = "NL77ABNA0574908765"
OTHER = "BE21319980275903"


class BankCase(FinanceHubCommon):
    """A bank account with its journal, and a bank that sends statements."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.journal.bank_account_id = cls.env["res.partner.bank"].create(
            {
                "acc_number": "NL77 ABNA 0574 9087 65",
                "partner_id": cls.company.partner_id.id,
            }
        )
        cls.bank = cls.make_connector("bank")
        cls.number = 0

    @classmethod
    def entry(cls, amount, day="2026-01-31", **values):
        return {"amount": amount, "booking_date": day, "value_date": day, **values}

    @classmethod
    def statement(cls, *entries, opening="0.00", day="2026-01-31", **values):
        """Return the data of a statement of one day that adds up."""
        total = sum(Decimal(entry["amount"]) for entry in entries)
        data = {
            "account": IBAN,
            "account_currency": "USD",
            "statement_ref": f"S-{day}",
            "format": "camt.053",
            "from_date": day,
            "to_date": day,
            "opening": opening,
            "closing": str(Decimal(opening or 0) + total),
            "created_at": f"{day}T23:00:00Z",
            "entries": list(entries),
            **values,
        }
        return {name: value for name, value in data.items() if value is not None}

    def send(self, data, kind="bank_statement.content", connector=None):
        """Send a command and process it; return it."""
        type(self).number += 1
        name = f"bank_{self.number}"
        body = self.cloud_event(data, name, type=f"{kind}.v1")
        _outcome, message = self.receive(connector or self.bank, body, name)
        self.process()
        return message.command_ids

    def lines(self, journal=None):
        return self.env["account.bank.statement.line"].search(
            [("journal_id", "=", (journal or self.journal).id)], order="date, id"
        )

    def amounts(self):
        return self.lines().mapped("amount")

    def known(self):
        return self.env["finance.statement"].search(
            [("journal_id", "=", self.journal.id)], order="to_date, id"
        )

    def opened(self, code):
        return self.env["finance.exception"].search(
            [("code", "=", code), ("is_open", "=", True)]
        )


@tagged("post_install", "-at_install")
class TestBankStatements(BankCase):
    """cap 3, 31, 38, 39, 42, 76: what the bank booked is in the books, each once."""

    # === THE GOOD CASE === #

    def test_statement_becomes_bank_transactions(self):
        partner = self.env["res.partner.bank"].create(
            {"acc_number": OTHER, "partner_id": self.partner_a.id}
        )
        command = self.send(
            self.statement(
                self.entry(
                    "982.55",
                    entry_ref="R1",
                    end_to_end_id="E1",
                    counterparty_name="Payment provider",
                    counterparty_account="BE21 3199 8027 5903",
                    remittance="po_71b2",
                    bank_code="PMNT-RCDT-ESCT",
                ),
                self.entry("-12.00", remittance="Fee"),
                opening="1000.00",
            )
        )
        self.assertEqual(command.state, "applied", command.error)
        first, second = self.lines()
        self.assertEqual((first.amount, second.amount), (982.55, -12.0))
        self.assertEqual(first.payment_ref, "po_71b2")
        self.assertEqual(first.partner_name, "Payment provider")
        self.assertEqual(first.partner_id, partner.partner_id)
        self.assertEqual(first.finance_end_to_end_id, "E1")
        self.assertEqual(str(first.date), "2026-01-31")
        self.assertEqual(first.move_id.state, "posted")
        self.assertEqual(first.transaction_details["bank_code"], "PMNT-RCDT-ESCT")
        statement = first.statement_id
        self.assertEqual(statement, second.statement_id)
        self.assertEqual(statement.balance_start, 1000.0)
        self.assertEqual(statement.balance_end_real, 1970.55)
        self.assertTrue(statement.is_complete)
        self.assertTrue(statement.is_valid)
        known = self.known()
        self.assertEqual(known.state, "complete")
        self.assertEqual((known.entry_count, known.new_count), (2, 2))
        self.assertEqual(command.res_model, "finance.statement")
        self.assertEqual(
            first.action_open_finance_message()["res_id"], command.message_id.id
        )
        self.assertEqual(
            statement.action_open_finance_message()["res_id"], command.message_id.id
        )

    def test_event_of_the_statement(self):
        self.send(
            self.statement(
                self.entry("982.55"), self.entry("-12.00"), opening="1000.00"
            )
        )
        event = self.events_of(self.lines().statement_id)
        self.assertEqual(event.type, "finance.bank_statement.imported.v1")
        self.assertEqual(event.data["account"], "NL77****8765")
        self.assertEqual(event.data["opening"], "1000.00")
        self.assertEqual(event.data["closing"], "1970.55")
        self.assertEqual(event.data["count"], 2)
        self.assertEqual(event.data["gaps"], [])

    def test_file_of_the_bank(self):
        """From the bytes of a camt.053 to the books."""
        body = camt(
            stmt(
                ntry("100.00", "CRDT", "R1", tx("E1", "Invoice 1")),
                ntry("40.00", "DBIT", "R2", tx("E2", "Rent")),
                opening="10.00",
                closing="70.00",
            )
        )
        files = self.make_connector("files", adapter="camt")
        _outcome, message = self.receive(files, body, "f1")
        self.process()
        self.assertEqual(message.command_ids.state, "applied", message.error)
        self.assertEqual(self.amounts(), [100.0, -40.0])
        self.assertFalse(self.opened("D-STMT-BALANCE"))

    def test_without_entries(self):
        self.send(self.statement(self.entry("5.00")))
        command = self.send(self.statement(opening="5.00", day="2026-02-01"))
        self.assertEqual(command.state, "applied")
        self.send(
            self.statement(
                self.entry("1.00", "2026-02-02"), opening="5.00", day="2026-02-02"
            )
        )
        self.assertEqual(self.known().mapped("state"), ["complete"] * 3)
        self.assertFalse(self.opened("D-STMT-GAP"))

    def test_collective_entry(self):
        parts = [
            {"amount": "30.00", "end_to_end_id": "A", "counterparty_name": "Anna"},
            {"amount": "70.00", "end_to_end_id": "B", "counterparty_name": "Bert"},
        ]
        self.send(self.statement(self.entry("100.00", parts=parts)))
        line = self.lines()
        self.assertEqual(line.amount, 100.0)
        self.assertEqual(
            [part["end_to_end_id"] for part in line.finance_parts], ["A", "B"]
        )
        self.assertIn("Bert", line.finance_parts_text)

    def test_paid_in_another_currency(self):
        self.env.ref("base.EUR").active = True
        self.send(
            self.statement(
                self.entry(
                    "-110.00",
                    original_amount="-100.00",
                    original_currency="EUR",
                    exchange_rate="1.1",
                ),
                self.entry("5.00", original_amount="99.00", original_currency="XPF"),
            )
        )
        first, second = self.lines()
        self.assertEqual(first.foreign_currency_id.name, "EUR")
        self.assertEqual(first.amount_currency, -100.0)
        self.assertFalse(second.foreign_currency_id)
        self.assertEqual(second.transaction_details["original_currency"], "XPF")

    # === WHICH JOURNAL === #

    def test_account_without_journal_waits_for_it(self):
        command = self.send(self.statement(self.entry("5.00"), account=OTHER))
        self.assertEqual((command.state, command.error_code), ("waiting", "D-UNMAPPED"))
        self.assertIn(OTHER, command.error)
        self.assertTrue(self.opened("D-UNMAPPED"))
        self.assertFalse(self.lines())
        journal = self.env["account.journal"].create(
            {
                "name": "Second Bank",
                "type": "bank",
                "code": "BNK9",
                "company_id": self.company.id,
                "bank_acc_number": OTHER,
            }
        )
        self.process()
        self.assertEqual(command.state, "applied")
        self.assertEqual(self.lines(journal).mapped("amount"), [5.0])
        self.assertFalse(self.lines())
        self.assertFalse(self.opened("D-UNMAPPED"))

    def test_journal_of_the_connector_only_if_the_number_fits(self):
        command = self.send(self.statement(self.entry("5.00"), account="0574908765"))
        self.assertEqual(command.state, "applied")
        command = self.send(self.statement(self.entry("5.00"), account="8765"))
        self.assertEqual(command.error_code, "D-UNMAPPED")
        self.assertEqual(self.amounts(), [5.0])

    def test_journal_of_another_company_is_not_found(self):
        other = self.setup_other_company()
        connector = self.make_connector(
            "other", company_id=other["company"].id, payment_journal_id=False
        )
        command = self.send(self.statement(self.entry("5.00")), connector=connector)
        self.assertEqual(command.error_code, "D-UNMAPPED")

    def test_other_currency_than_the_journal(self):
        command = self.send(self.statement(self.entry("5.00"), account_currency="EUR"))
        self.assertEqual((command.state, command.error_code), ("failed", "D-UNMAPPED"))
        self.assertIn("EUR", command.error)
        self.assertFalse(self.lines())

    def test_two_accounts_of_one_file(self):
        second = self.env["account.journal"].create(
            {
                "name": "Second Bank",
                "type": "bank",
                "code": "BNK9",
                "company_id": self.company.id,
                "bank_acc_number": OTHER,
            }
        )
        body = camt(
            stmt(ntry("1.00", "CRDT", "A"), name="S1"),
            stmt(ntry("2.00", "CRDT", "A"), name="S2", account=OTHER),
        )
        files = self.make_connector("files", adapter="camt")
        self.receive(files, body, "f1")
        self.process()
        self.assertEqual(self.amounts(), [1.0])
        self.assertEqual(self.lines(second).mapped("amount"), [2.0])

    def test_a_file_that_a_person_has(self):
        """Taken in as if the bank had sent it, and once, whichever way it comes."""
        body = camt(stmt(ntry("3.00", "CRDT", "A"), name="S1"))
        files = self.make_connector("files", adapter="camt")

        def upload(content, connector=files, user="operator"):
            wizard = self.env["finance.upload.wizard"].with_user(self.users[user])
            wizard = wizard.create(
                {
                    "connector_id": connector.id,
                    "upload": base64.b64encode(content),
                    "upload_name": "statement.xml",
                }
            )
            return wizard.action_upload()["params"]

        wizard = self.env["finance.upload.wizard"].with_user(self.users["operator"])
        offered = wizard.new().possible_connector_ids._origin
        self.assertIn(files, offered)
        self.assertNotIn(self.bank, offered)
        told = upload(body)
        self.assertEqual(told["type"], "success")
        self.process()
        self.assertEqual(self.amounts(), [3.0])
        message = self.env["finance.message"].browse(told["next"]["res_id"])
        self.assertEqual(
            message.verified_by, f"Uploaded by {self.users['operator'].name}"
        )
        self.assertEqual(upload(body)["type"], "warning", "known")
        self.process()
        self.assertEqual(self.amounts(), [3.0])
        with self.assertRaisesRegex(UserError, "nobody can sign in its place"):
            upload(body, self.bank)
        with self.assertRaisesRegex(UserError, "not empty"):
            upload(b" ")
        files.state = "suspended"
        with self.assertRaisesRegex(UserError, "only from: Live"):
            upload(body)
        with self.assertRaises(AccessError):
            upload(body, user="administrator")

    def test_locked_period(self):
        self.company.fiscalyear_lock_date = "2026-01-31"
        command = self.send(
            self.statement(self.entry("5.00"), self.entry("6.00", "2026-02-01"))
        )
        self.assertEqual(command.error_code, "B-PERIOD-LOCKED")
        self.assertFalse(self.lines())
        self.assertFalse(self.known())

    # === ONCE === #

    def test_twins_of_one_statement_are_two(self):
        self.send(self.statement(*[self.entry("2.50", remittance="Coffee")] * 3))
        self.assertEqual(self.amounts(), [2.5] * 3)

    def test_same_statement_in_another_file(self):
        data = self.statement(
            *[self.entry("2.50", remittance="Coffee")] * 2, self.entry("7.00")
        )
        self.send(data)
        again = self.send({**data, "created_at": "2026-02-01T09:00:00Z"})
        self.assertEqual(again.state, "applied")
        self.assertEqual(self.amounts(), [2.5, 2.5, 7.0])
        self.assertEqual(len(self.known()), 1)
        self.assertEqual(len(self.lines().statement_id), 1)

    def test_same_statement_under_another_id(self):
        data = self.statement(self.entry("2.50"))
        self.send(data)
        self.assertEqual(self.send(data).state, "ignored")
        self.assertEqual(self.amounts(), [2.5])

    def test_same_id_other_content(self):
        data = self.statement(self.entry("2.50"))
        self.send(data)
        command = self.send({**data, "entries": [self.entry("3.50")]})
        self.assertEqual(command.error_code, "C-AMOUNT-INTEGRITY")
        self.assertEqual(self.amounts(), [2.5])

    def test_corrected_statement_adds_what_was_missing(self):
        twin = self.entry("2.50", remittance="Coffee")
        data = self.statement(twin, closing="5.00")
        self.send(data)
        exception = self.opened("D-STMT-BALANCE")
        self.assertEqual(exception.amount, 2.5)
        self.assertEqual(self.known().state, "unbalanced")
        self.send(
            {**data, "entries": [twin, twin], "created_at": "2026-02-01T09:00:00Z"}
        )
        self.assertEqual(self.amounts(), [2.5, 2.5])
        self.assertFalse(exception.is_open)
        self.assertEqual(self.known().state, "complete")
        self.assertTrue(self.lines().statement_id.is_complete)

    def test_overlapping_periods(self):
        monday = self.entry("10.00", "2026-02-02", remittance="A")
        tuesday = self.entry("10.00", "2026-02-03", remittance="A")
        friday = self.entry("20.00", "2026-02-06", remittance="B")
        self.send(self.statement(monday, day="2026-02-02"))
        self.send(self.statement(tuesday, opening="10.00", day="2026-02-03"))
        command = self.send(
            self.statement(
                monday,
                tuesday,
                friday,
                friday,
                day="2026-02-06",
                from_date="2026-02-02",
                statement_ref="WEEK",
            )
        )
        self.assertEqual(command.state, "applied")
        self.assertEqual(self.amounts(), [10.0, 10.0, 20.0, 20.0])
        week = self.lines()[-1].statement_id
        self.assertEqual((week.balance_start, week.balance_end_real), (20.0, 60.0))
        self.assertTrue(week.is_complete)
        self.assertFalse(self.opened("D-STMT-GAP"))

    def test_two_statements_of_a_day_with_equal_entries(self):
        coffee = self.entry("2.50", remittance="Coffee")
        self.send(self.statement(coffee, sequence=31, statement_ref="A"))
        self.send(
            self.statement(coffee, opening="2.50", sequence=32, statement_ref="B")
        )
        self.assertEqual(self.amounts(), [2.5, 2.5])
        self.assertEqual(len(self.known()), 2)
        self.assertFalse(self.opened("D-STMT-GAP"))

    def test_ids_used_again_next_year(self):
        entry = {"entry_ref": "00001", "remittance": "Rent"}
        self.send(
            self.statement(
                self.entry("5.00", "2025-01-31", **entry),
                day="2025-01-31",
                statement_ref="1",
                sequence=1,
            )
        )
        self.send(
            self.statement(
                self.entry("5.00", **entry),
                opening="5.00",
                statement_ref="1",
                sequence=1,
            )
        )
        self.assertEqual(self.amounts(), [5.0, 5.0])

    def test_reference_used_for_several_entries(self):
        """Some banks give all the entries of a batch one reference."""
        entries = [self.entry("5.00", entry_ref="BATCH")] * 2
        data = self.statement(*entries, self.entry("6.00", entry_ref="BATCH"))
        self.send(data)
        self.send({**data, "created_at": "2026-02-01T09:00:00Z"})
        self.assertEqual(self.amounts(), [5.0, 5.0, 6.0])

    def notification(self, *entries, name="N1", kind="notification"):
        return self.statement(
            *entries, kind=kind, statement_ref=name, opening=None, closing=None
        )

    def test_notification_then_statement(self):
        self.send(
            self.notification(
                self.entry("5.00", end_to_end_id="E1", remittance="Long words"),
                self.entry("6.00", remittance="Only here"),
            )
        )
        self.assertFalse(self.lines().statement_id)
        self.send(
            self.statement(
                self.entry("5.00", end_to_end_id="E1", remittance="Short"),
                self.entry("6.00", remittance="Other words"),
                self.entry("6.00", remittance="Another one"),
            )
        )
        self.assertEqual(self.amounts(), [5.0, 6.0, 6.0])
        statement = self.lines().statement_id
        self.assertEqual(len(statement), 1)
        self.assertTrue(statement.is_complete)
        self.assertEqual(self.lines().finance_statement_id.kind, "statement")

    def test_statement_then_notification_with_the_parts(self):
        self.send(self.statement(self.entry("100.00", entry_ref="R1")))
        parts = [{"amount": "30.00"}, {"amount": "70.00"}]
        self.send(self.notification(self.entry("100.00", entry_ref="R1", parts=parts)))
        self.assertEqual(self.amounts(), [100.0])
        self.assertEqual(len(self.lines().finance_parts), 2)
        self.assertEqual(self.lines().finance_statement_id.kind, "statement")

    def test_two_notifications_of_equal_entries(self):
        self.send(self.notification(self.entry("5.00", remittance="Coffee")))
        self.send(self.notification(self.entry("5.00", remittance="Coffee"), name="N2"))
        self.assertEqual(self.amounts(), [5.0, 5.0])
        self.send(self.statement(*[self.entry("5.00", remittance="Coffee")] * 2))
        self.assertEqual(self.amounts(), [5.0, 5.0])

    def test_report_grows_over_the_day(self):
        coffee = self.entry("5.00", remittance="Coffee")
        self.send(self.notification(coffee, name="R1", kind="report"))
        self.send(self.notification(coffee, coffee, name="R2", kind="report"))
        self.assertEqual(self.amounts(), [5.0, 5.0])
        self.send(self.statement(coffee, coffee, self.entry("1.00")))
        self.assertEqual(self.amounts(), [5.0, 5.0, 1.0])
        self.assertTrue(self.lines().statement_id.is_complete)

    def test_what_a_person_entered_is_not_doubled(self):
        self.env["account.bank.statement.line"].create(
            {
                "journal_id": self.journal.id,
                "date": "2026-01-31",
                "amount": 5.0,
                "payment_ref": "By hand",
            }
        )
        self.send(self.statement(self.entry("5.00", remittance="Rent")))
        self.assertEqual(self.amounts(), [5.0])
        self.assertTrue(self.lines().statement_id.is_complete)

    # === THE CHAIN === #

    def test_gap_closes_when_the_missing_one_arrives(self):
        self.send(self.statement(self.entry("5.00")))
        late = self.statement(
            self.entry("6.00", "2026-02-03"), opening="15.00", day="2026-02-03"
        )
        self.assertEqual(self.send(late).state, "applied")
        exception = self.opened("D-STMT-GAP")
        self.assertIn("2026-02-01", exception.summary)
        self.assertIn("2026-02-02", exception.summary)
        self.assertEqual(exception.amount, 10.0)
        self.assertEqual(self.amounts(), [5.0, 6.0], "it is imported all the same")
        self.send(
            self.statement(
                self.entry("10.00", "2026-02-02"),
                opening="5.00",
                day="2026-02-02",
                from_date="2026-02-01",
            )
        )
        self.assertFalse(exception.is_open)
        self.assertEqual(self.known().mapped("state"), ["complete"] * 3)
        self.assertEqual(
            self.lines().statement_id.mapped("is_valid"), [True, True, True]
        )

    def test_days_in_any_order(self):
        days = [
            self.statement(
                self.entry("1.00", f"2026-02-0{number}"),
                opening=f"{number}.00",
                day=f"2026-02-0{number}",
            )
            for number in range(1, 6)
        ]
        for place in (2, 4, 0, 3, 1):
            self.send(days[place])
        self.assertFalse(self.opened("D-STMT-GAP"))
        self.assertEqual(self.known().mapped("state"), ["complete"] * 5)

    def test_first_statement_is_compared_with_the_books(self):
        line = self.env["account.bank.statement.line"].create(
            {
                "journal_id": self.journal.id,
                "date": "2026-01-10",
                "amount": 50.0,
                "payment_ref": "By hand",
            }
        )
        self.env["account.bank.statement"].create(
            {"line_ids": [(6, 0, line.ids)], "balance_end_real": 50.0}
        )
        self.send(self.statement(self.entry("5.00"), opening="70.00"))
        self.assertEqual(self.opened("D-STMT-GAP").amount, 20.0)

    def test_statement_that_begins_inside_another(self):
        self.send(
            self.statement(
                self.entry("5.00", "2026-02-05"),
                day="2026-02-15",
                from_date="2026-02-01",
                statement_ref="X1",
            )
        )
        self.send(
            self.statement(
                self.entry("6.00", "2026-02-20"),
                opening="5.00",
                day="2026-02-28",
                from_date="2026-02-10",
                statement_ref="X2",
            )
        )
        self.assertFalse(self.opened("D-STMT-GAP"))

    # === MANY === #

    def test_many_entries_in_pieces(self):
        """cap 40, 42: in several transactions, equal entries among them."""
        handler = type(self.env["finance.handler.bank_statement.content"])
        real, answers, states = handler._handle, [], []

        def handle(this, command, content):
            answers.append(real(this, command, content))
            states.append(self.known().with_env(this.env).state)
            return answers[-1]

        for patcher in (
            patch.object(constants, "STATEMENT_STEP", 40),
            patch.object(constants, "STATEMENT_CHUNK", 15),
            patch.object(handler, "_handle", handle),
        ):
            self.startPatcher(patcher)
        entries = [
            self.entry("1.00", remittance=f"Row {number % 60}") for number in range(110)
        ]
        command = self.send(self.statement(*entries))
        self.assertEqual(command.state, "applied", command.error)
        self.assertEqual(answers, [MORE, MORE, None])
        self.assertEqual(states, ["importing", "importing", "complete"])
        self.assertEqual(len(self.lines()), 110)
        self.assertEqual(self.known().new_count, 110)
        self.assertEqual(command.message_id.state, "processed")
        self.assertEqual(len(self.lines().statement_id), 1)
        self.assertTrue(self.lines().statement_id.is_complete)
        self.assertEqual(self.lines()[0].payment_ref, "Row 0")


@tagged("post_install", "-at_install")
class TestBalances(BankCase):
    """cap 31, 43: what the bank says it holds, beside the books."""

    def report(self, amount, moment="2026-02-01T05:00:00Z", **values):
        return self.send(
            {
                "account": IBAN,
                "currency": "USD",
                "amount": amount,
                "as_of": moment,
                **values,
            },
            "balance.reported",
        )

    def balance(self, kind="booked"):
        return self.env["finance.reported.balance"].search(
            [("kind", "=", kind), ("journal_id", "=", self.journal.id)]
        )

    def test_beside_the_books(self):
        self.send(self.statement(self.entry("40.00")))
        command = self.report("55.00")
        self.assertEqual(command.state, "applied", command.error)
        balance = self.balance()
        self.assertEqual((balance.amount, balance.books), (55.0, 40.0))
        self.assertEqual(balance.difference, 15.0)
        self.assertFalse(balance.agrees)
        self.report("40.00", "2026-02-02T05:00:00Z")
        self.assertTrue(balance.agrees)
        self.assertEqual(len(self.balance()), 1)

    def test_older_one_is_ignored(self):
        self.report("55.00", "2026-02-02T05:00:00Z")
        command = self.report("44.00", "2026-02-01T05:00:00Z")
        self.assertEqual((command.state, command.error_code), ("ignored", "D-STALE"))
        self.assertEqual(self.balance().amount, 55.0)

    def test_available_stands_for_itself(self):
        self.report("55.00")
        self.report("500.00", kind="available")
        self.assertEqual(self.balance("available").amount, 500.0)
        self.assertEqual(self.balance().amount, 55.0)

    def test_statement_reports_its_closing_balance(self):
        self.send(self.statement(self.entry("40.00")))
        self.assertEqual(self.balance().amount, 40.0)
        self.assertTrue(self.balance().agrees)

    def test_unknown_account(self):
        command = self.report("1.00", account=OTHER)
        self.assertEqual((command.state, command.error_code), ("waiting", "D-UNMAPPED"))


@tagged("post_install", "-at_install")
class TestAwaitedStatements(BankCase):
    """cap 31, 76: a statement that was announced and does not come is missed."""

    def announce(self, **values):
        command = self.send(
            {
                "account": IBAN,
                "statement_ref": "S-2026-01-31",
                "format": "camt.053",
                "from_date": "2026-01-31",
                "to_date": "2026-01-31",
                "available_at": "2026-02-01T05:00:00Z",
                **values,
            },
            "bank_statement.available",
        )
        self.assertEqual(command.state, "applied", command.error)
        return self.env["finance.awaited.statement"].browse(command.res_id)

    def look(self, hours):
        self.set_clock(
            datetime(2026, 2, 1, 5, tzinfo=timezone.utc) + timedelta(hours=hours)
        )
        self.env["finance.awaited.statement"]._cron_missing()

    def test_arrives_in_time(self):
        awaited = self.announce()
        self.assertEqual(awaited.state, "awaited")
        self.look(3)
        self.assertEqual(awaited.state, "awaited")
        self.send(self.statement(self.entry("5.00")))
        self.assertEqual(awaited.state, "arrived")
        self.assertEqual(awaited.statement_id, self.known())
        self.look(5)
        self.assertFalse(self.opened("B-FEED-MISSING"))

    def test_does_not_come(self):
        awaited = self.announce()
        self.look(5)
        self.assertEqual(awaited.state, "missing")
        exception = self.opened("B-FEED-MISSING")
        self.assertIn("2026-01-31", exception.cause)
        self.look(6)
        self.assertEqual(exception.occurrences, 1)
        self.send(self.statement(self.entry("5.00")))
        self.assertEqual(awaited.state, "arrived")
        self.assertFalse(exception.is_open)

    def test_is_there_already(self):
        self.send(self.statement(self.entry("5.00")))
        self.assertEqual(self.announce().state, "arrived")

    def test_another_account_or_day_is_not_it(self):
        awaited = self.announce()
        self.send(self.statement(self.entry("5.00", "2026-02-01"), day="2026-02-01"))
        self.assertEqual(awaited.state, "awaited")

    def test_another_file_than_announced(self):
        awaited = self.announce(sha256="a" * 64)
        self.send(self.statement(self.entry("5.00"), sha256="b" * 64))
        self.assertEqual(awaited.state, "arrived")
        self.assertTrue(self.opened("C-AMOUNT-INTEGRITY"))
        self.assertEqual(self.amounts(), [5.0])

    def test_stop_waiting(self):
        awaited = self.announce()
        self.look(5)
        with mute_logger("odoo.models"), self.assertRaises(AccessError):
            awaited.with_user(self.users["auditor"]).action_stop_waiting()
        awaited.with_user(self.users["operator"]).action_stop_waiting()
        self.assertEqual(awaited.state, "cancelled")
        self.assertFalse(self.opened("B-FEED-MISSING"))


# === FILES === #


def tx(end_to_end, text):
    return (
        f"<NtryDtls><TxDtls><Refs><EndToEndId>{end_to_end}</EndToEndId></Refs>"
        f"<RmtInf><Ustrd>{text}</Ustrd></RmtInf></TxDtls></NtryDtls>"
    )


def ntry(amount, direction, reference, details=""):
    return (
        f'<Ntry><Amt Ccy="USD">{amount}</Amt><CdtDbtInd>{direction}</CdtDbtInd>'
        "<Sts>BOOK</Sts><BookgDt><Dt>2026-01-31</Dt></BookgDt>"
        f"<AcctSvcrRef>{reference}</AcctSvcrRef>{details}</Ntry>"
    )


def balance(kind, amount):
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp>"
        f'<Amt Ccy="USD">{amount}</Amt><CdtDbtInd>CRDT</CdtDbtInd>'
        "<Dt><Dt>2026-01-31</Dt></Dt></Bal>"
    )


def stmt(*entries, name="S1", account=IBAN, opening=None, closing=None):
    balances = (balance("OPBD", opening) if opening else "") + (
        balance("CLBD", closing) if closing else ""
    )
    return (
        f"<Stmt><Id>{name}</Id><CreDtTm>2026-02-01T05:00:00Z</CreDtTm><Acct><Id>"
        f"<IBAN>{account}</IBAN></Id><Ccy>USD</Ccy></Acct>{balances}"
        f"{''.join(entries)}</Stmt>"
    )


def camt(*statements):
    return (
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02">'
        "<BkToCstmrStmt><GrpHdr><MsgId>M1</MsgId></GrpHdr>"
        f"{''.join(statements)}</BkToCstmrStmt></Document>"
    ).encode()
