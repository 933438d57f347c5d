from itertools import permutations

from odoo.exceptions import UserError
from odoo.tests import tagged

from ..models.hold.finance_hold import RecordHeld
from .common import FinanceHubCommon


@tagged("post_install", "-at_install")
class TestCredit(FinanceHubCommon):
    """cap 4, 23, 32: limits and exposures of the system that owns them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.connector = cls.make_connector("risk")
        cls.customer = cls.env["res.partner"].create(
            {"name": "Azure Interior", "ref": "C-1042", "is_company": True}
        )
        cls.figures = cls.env["finance.exposure"]
        cls.holds = cls.env["finance.hold"]

    def send(self, kind, amount, as_of="2026-02-10", connector=None, **values):
        """Send a limit or an exposure; return the command."""
        self.messages = getattr(self, "messages", 0) + 1
        message_id = f"msg_{self.messages}"
        data = {
            "counterparty": "C-1042",
            "amount": amount,
            "currency": "USD",
            "as_of": f"{as_of}T08:15:00Z",
            **values,
        }
        name = {"limit": "credit_limit.update", "exposure": "exposure.update"}[kind]
        body = self.cloud_event(data, message_id, type=f"{name}.v1")
        connector = connector or self.connector
        _outcome, message = self.receive(connector, body, message_id)
        self.process()
        return message.command_ids

    def hold(self):
        return self.holds._active(self.customer, "credit")

    def limit(self):
        return self.customer.with_company(self.company).credit_limit

    def exceptions(self, code):
        return self.env["finance.exception"].search(
            [("code", "=", code), ("is_open", "=", True)]
        )

    def invoice(self, amount=100.0, **values):
        return self.make_invoice(amount, partner_id=self.customer.id, **values)

    # === LIMITS === #

    def test_limit_is_set(self):
        command = self.send("limit", "10000.00", version="7")
        self.assertEqual(command.state, "applied", command.error)
        self.assertEqual(self.limit(), 10000.0)
        figure = self.figures.browse(command.res_id)
        self.assertEqual((figure.partner_id, figure.version), (self.customer, "7"))
        self.assertEqual(figure.connector_id, self.connector)
        self.assertIn("limit_changed", self.verbs_of(self.customer))

    def test_limit_is_of_the_company(self):
        other = self.setup_other_company()["company"]
        self.send("limit", "10000.00")
        self.assertFalse(self.customer.with_company(other).credit_limit)

    def test_limit_in_another_currency(self):
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
        self.send("limit", "100.00", currency="EUR")
        self.assertEqual(self.limit(), 200.0)

    def test_older_figures_are_ignored(self):
        self.send("limit", "10000.00", "2026-02-10")
        command = self.send("limit", "500.00", "2026-02-09")
        self.assertEqual((command.state, command.error_code), ("ignored", "D-STALE"))
        self.assertEqual(self.limit(), 10000.0)
        self.assertFalse(self.exceptions("D-STALE"))

    def test_any_order_gives_the_same(self):
        """cap 39"""
        news = [
            ("limit", "100.00", "2026-02-01"),
            ("limit", "900.00", "2026-02-03"),
            ("exposure", "500.00", "2026-02-02"),
            ("exposure", "700.00", "2026-02-04"),
        ]
        for order in permutations(news):
            with self.subTest(order=order), self.undone():
                for kind, amount, as_of in order:
                    self.send(kind, amount, as_of)
                position = self.figures._position(self.customer, self.company)
                self.assertEqual((position.limit, position.exposure), (900.0, 700.0))
                self.assertFalse(self.hold())

    def undone(self):
        """Take back what happens inside."""
        test = self

        class Undone:
            def __enter__(self):
                self.savepoint = test.env.cr.savepoint()
                self.savepoint.__enter__()

            def __exit__(self, *error):
                self.savepoint.rollback()
                self.savepoint.close(rollback=False)
                test.env.invalidate_all()

        return Undone()

    def test_same_again(self):
        self.send("limit", "10000.00")
        command = self.send("limit", "10000.00")
        self.assertEqual(command.state, "ignored")
        command = self.send("limit", "9000.00")
        self.assertEqual(command.error_code, "C-AMOUNT-INTEGRITY")
        self.assertEqual(self.limit(), 10000.0)

    def test_known_by_its_tax_id(self):
        self.customer.write({"ref": False, "vat": "US-1042"})
        command = self.send("limit", "5.00", counterparty="US-1042")
        self.assertEqual(command.state, "applied", command.error)
        self.assertEqual(self.limit(), 5.0)

    def test_known_by_the_cross_reference(self):
        self.env["finance.reference"]._link(self.connector, self.customer, "X-9")
        self.send("limit", "5.00", counterparty="X-9")
        self.assertEqual(self.limit(), 5.0)

    def test_contact_of_a_customer(self):
        self.env["res.partner"].create(
            {"name": "Ann", "parent_id": self.customer.id, "ref": "ANN"}
        )
        self.send("limit", "5.00", counterparty="ANN")
        self.assertEqual(self.limit(), 5.0)

    def test_unknown_counterparty_waits(self):
        command = self.send("limit", "5.00", counterparty="NEW-1")
        self.assertEqual((command.state, command.error_code), ("waiting", "D-ORPHAN"))
        self.customer.ref = "NEW-1"
        self.env["finance.command"]._provide(
            f"counterparty:{self.connector.id}:NEW-1", self.company
        )
        self.process()
        self.assertEqual(command.state, "applied", command.error)

    def test_two_counterparties_of_one_reference(self):
        self.customer.copy({"name": "Twin", "ref": "C-1042"})
        command = self.send("limit", "5.00")
        self.assertEqual(
            (command.state, command.error_code), ("failed", "D-DUPLICATE-PARTY")
        )
        self.assertIn("Twin", command.error)

    def test_only_the_owner_writes(self):
        """cap 4"""
        self.env["finance.ownership"].create(
            {
                "company_id": self.company.id,
                "domain": "exposure",
                "connector_id": self.connector.id,
                "direction": "in",
            }
        )
        stranger = self.make_connector("stranger")
        for kind in ("limit", "exposure"):
            command = self.send(kind, "5.00", connector=stranger)
            self.assertEqual(command.error_code, "D-OWNERSHIP", kind)
            self.assertEqual(self.send(kind, "7.00").state, "applied", kind)

    # === HOLDS === #

    def test_above_the_limit_is_held(self):
        self.send("limit", "1000.00")
        self.send("exposure", "1000.00", "2026-02-11")
        self.assertFalse(self.hold(), "at the limit is not above it")
        self.send("exposure", "1250.00", "2026-02-12")
        hold = self.hold()
        self.assertEqual((hold.origin, hold.amount), ("check", 250.0))
        exception = self.exceptions("B-LIMIT-EXCEEDED")
        self.assertEqual((exception.amount, exception.res_id), (250.0, hold.id))
        with self.assertRaises(RecordHeld) as caught:
            self.invoice()
        self.assertIn("1,250.00", str(caught.exception))
        self.assertEqual(self.verbs_of(hold), ["limit_exceeded", "hold_placed"])
        self.assertFalse(any(event.problem for event in self.events_of(hold)))

    def test_released_within_the_limit(self):
        self.send("limit", "1000.00")
        self.send("exposure", "1250.00", "2026-02-11")
        hold = self.hold()
        self.end_transaction()
        self.send("limit", "2000.00", "2026-02-12")
        self.assertEqual(hold.state, "released")
        self.assertIn("Within the limit", hold.release_reason)
        self.assertFalse(self.exceptions("B-LIMIT-EXCEEDED"))
        self.assertEqual(self.invoice().state, "posted")
        events = self.events_of(hold)
        self.assertEqual(events[-1].type, "finance.credit.hold_released.v1")
        self.assertEqual(events[-1].aggregate, f"credit/{self.customer.id}")

    def test_what_is_owed_in_odoo_counts(self):
        self.invoice(1500.0)
        self.send("limit", "1000.00")
        self.assertTrue(self.hold())

    def test_released_once_the_customer_paid(self):
        invoice = self.invoice(1500.0)
        self.send("limit", "1000.00")
        hold = self.hold()
        self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=invoice.ids
        ).create({"amount": 1400.0, "journal_id": self.journal.id})._create_payments()
        self.assertEqual(self.invoice(800.0).state, "posted", "not above it any more")
        with self.assertRaises(RecordHeld):
            self.invoice(800.0)
        self.figures._cron_reconsider()
        self.assertEqual(hold.state, "released")

    def test_zero_limit_is_no_credit(self):
        self.send("limit", "0.00")
        self.assertFalse(self.hold(), "it owes nothing yet")
        self.send("exposure", "0.01", "2026-02-11")
        self.assertTrue(self.hold())
        with self.assertRaises(RecordHeld):
            self.invoice()

    def test_no_limit_at_all(self):
        self.send("exposure", "999999.00")
        self.assertFalse(self.hold())

    def test_held_by_a_person_is_not_released_by_figures(self):
        hold = self.holds._place(
            self.customer, "credit", "Insolvency", origin="person", company=self.company
        )
        self.send("limit", "1000.00")
        self.figures._cron_reconsider()
        self.assertEqual(hold.state, "active")
        with self.assertRaises(RecordHeld):
            self.invoice(1.0)

    def test_exposure_calculated_lets_go(self):
        """cap 56: entries held until the exposure is calculated."""
        hold = self.holds._place(
            self.customer, "exposure", "Exposure not known", company=self.company
        )
        self.send("limit", "1000.00")
        with self.assertRaises(RecordHeld):
            self.invoice()
        self.send("exposure", "10.00", "2026-02-11")
        self.assertEqual(hold.state, "released")
        self.assertEqual(self.invoice().state, "posted")

    # === HISTORY === #

    def test_figures_are_kept(self):
        for day, amount in (("2026-02-01", "1.00"), ("2026-02-02", "2.00")):
            self.send("exposure", amount, day)
        figures = self.figures.search([("partner_id", "=", self.customer.id)])
        self.assertEqual(figures.mapped("amount"), [2.0, 1.0])
        self.assertEqual(figures.mapped("is_current"), [True, False])
        with self.assertRaises(UserError):
            figures[0].amount = 5.0
        with self.assertRaises(UserError):
            figures.unlink()
