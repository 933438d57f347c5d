from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..models.ledger.errors import CommandError, CommandHeld
from .common import FinanceHubCommon


class OwnershipCase(FinanceHubCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.connector = cls.make_connector("crm")
        cls.other = cls.make_connector("shop")
        cls.owners = cls.env["finance.ownership"]
        cls.accountant = cls.env["res.users"].create(
            {
                "name": "Accountant",
                "login": "test_accountant",
                "company_id": cls.company.id,
                "company_ids": [(6, 0, cls.company.ids)],
                "group_ids": [
                    (
                        6,
                        0,
                        (
                            cls.env.ref("account.group_account_manager")
                            | cls.env.ref("account.group_account_user")
                            | cls.env.ref("base.group_partner_manager")
                        ).ids,
                    )
                ],
            }
        )

    def own(self, domain, connector=None, **values):
        return self.owners.create(
            {
                "company_id": self.company.id,
                "domain": domain,
                "connector_id": connector and connector.id,
                **values,
            }
        )

    def upsert(self, connector, external_id="C-1", message_id="m1", **values):
        data = {
            "external_id": external_id,
            "changed_at": "2026-02-10T08:15:00Z",
            "name": "Azure Interior",
            **values,
        }
        body = self.cloud_event(data, message_id, "counterparty.upsert.v1")
        self.receive(connector, body, message_id)
        self.process()
        return self.env["finance.command"].search(
            [("message_id.external_id", "=", message_id)]
        )

    def exceptions(self):
        return self.env["finance.exception"].search(
            [("code", "=", "D-OWNERSHIP"), ("is_open", "=", True)]
        )


@tagged("post_install", "-at_install")
class TestOwnership(OwnershipCase):
    """cap 1, 2, 4, 5, 95: who has the say, and what happens to others."""

    def check(self, connector, domain="counterparties", journal=None):
        return self.owners._check(connector, domain, journal)

    def test_nothing_said(self):
        self.check(self.other)

    def test_owner(self):
        self.own("counterparties", self.connector)
        self.check(self.connector)
        with self.assertRaises(CommandError) as caught:
            self.check(self.other)
        self.assertEqual(caught.exception.code, "D-OWNERSHIP")
        self.assertEqual(caught.exception.state, "failed")
        self.assertIn("Connector crm", caught.exception.message)
        self.check(self.other, "exposure")

    def test_odoo_owns(self):
        owner = self.own("exposure")
        self.assertEqual((owner.owner_name, owner.direction), ("Odoo", "out"))
        with self.assertRaises(CommandError):
            self.check(self.connector, "exposure")

    def test_direction_follows_the_owner(self):
        owner = self.own("exposure", self.connector)
        self.assertEqual(owner.direction, "in")
        owner.direction = "both"
        self.assertEqual(owner.direction, "both")

    def test_by_journal(self):
        second = self.company_data["default_journal_cash"]
        self.own("bank_transactions", self.connector, journal_id=self.journal.id)
        self.check(self.connector, "bank_transactions", self.journal)
        with self.assertRaises(CommandError):
            self.check(self.other, "bank_transactions", self.journal)
        self.check(self.other, "bank_transactions", second)
        self.own("bank_transactions", self.other)
        self.check(self.other, "bank_transactions", second)
        with self.assertRaises(CommandError):
            self.check(self.connector, "bank_transactions", second)

    def test_journal_only_where_it_makes_sense(self):
        with self.assertRaises(ValidationError):
            self.own("exposure", journal_id=self.journal.id)

    def test_one_owner(self):
        self.own("exposure", self.connector)
        with (
            self.assertRaises(Exception) as caught,
            mute_logger("odoo.sql_db"),
            self.env.cr.savepoint(),
        ):
            self.own("exposure", self.other)
            self.env.flush_all()
        self.assertIn("finance_ownership_domain_unique", str(caught.exception))

    def test_per_company(self):
        other = self.setup_other_company()["company"]
        foreign = self.make_connector(
            "foreign", company_id=other.id, payment_journal_id=False
        )
        self.own("counterparties", self.connector)
        self.check(foreign)

    def test_no_queries_once_known(self):
        self.own("exposure", self.connector)
        self.check(self.other)
        with self.assertQueryCount(0):
            self.check(self.other)

    def test_status_definitions_have_owners(self):
        """cap 2"""
        status = self.env["finance.mapping.domain"]._named("payment_status")
        status = status.with_company(self.company)
        self.assertTrue(status.is_vocabulary)
        self.assertIn("captured", status.term_ids.mapped("code"))
        status.write(
            {"owner_connector_id": self.connector.id, "steward_id": self.env.user.id}
        )
        self.assertEqual(status.owner_connector_id, self.connector)

    # === A COMMAND OF A NON-OWNER === #

    def test_rejected(self):
        self.own("counterparties", self.connector)
        command = self.upsert(self.other)
        self.assertEqual((command.state, command.error_code), ("failed", "D-OWNERSHIP"))
        self.assertEqual(len(self.exceptions()), 1)
        self.assertFalse(
            self.env["res.partner"].search([("name", "=", "Azure Interior")])
        )

    def queued(self):
        self.own("counterparties", self.connector, conflict_policy="queue")
        command = self.upsert(self.other)
        conflict = self.env["finance.ownership.conflict"].search(
            [("command_id", "=", command.id)]
        )
        return command, conflict

    def test_queued_and_applied_once(self):
        command, conflict = self.queued()
        self.assertEqual(command.state, "held")
        self.assertEqual(conflict.state, "open")
        exception = self.exceptions()
        self.assertEqual(len(exception), 1)
        operator = conflict.with_user(self.users["operator"])
        approver = conflict.with_user(self.users["approver"])
        with self.assertRaisesRegex(UserError, "reason"):
            operator.action_request()
        with self.assertRaises(UserError):
            operator.write({"state": "applied"})
        operator.reason = "The CRM is down; agreed by phone"
        with self.assertRaises(UserError):
            approver.action_approve()
        operator.action_request()
        with self.assertRaisesRegex(UserError, "submitted"):
            operator.reason = "Something else"
        approver.action_approve()
        self.process()
        self.assertEqual(command.state, "applied")
        self.assertEqual(exception.state, "resolved")
        self.assertEqual(conflict.state, "applied")
        again = self.upsert(
            self.other, message_id="m2", changed_at="2026-02-11T00:00:00Z"
        )
        self.assertEqual(again.state, "held", "once is once")

    def test_own_request_is_not_approved(self):
        _command, conflict = self.queued()
        both = self.users["operator"]
        both.group_ids |= self.env.ref("finance_hub.group_approver")
        conflict = conflict.with_user(both)
        conflict.reason = "Because"
        conflict.action_request()
        with self.assertRaisesRegex(UserError, "somebody else"):
            conflict.action_approve()

    def test_queued_and_rejected(self):
        command, conflict = self.queued()
        conflict.with_user(self.users["operator"]).action_reject()
        self.assertEqual(command.state, "ignored")
        self.assertFalse(self.exceptions())
        with self.assertRaisesRegex(UserError, "decided"):
            conflict.with_user(self.users["operator"]).action_reject()

    def test_owner_is_changed_meanwhile(self):
        """A held command is applied once the ownership allows it."""
        command, conflict = self.queued()
        conflict.ownership_id.connector_id = self.other
        command._resubmit()
        self.process()
        self.assertEqual(command.state, "applied")

    def test_cash_application(self):
        """What is paid is changed by its owner only; what else is told is kept."""
        invoice = self.make_invoice()
        owner = self.own("cash_application", self.connector)

        def send(name, message_id, connector=self.other, **data):
            body = self.cloud_event(data, message_id, f"payment.{name}.v1")
            self.receive(connector, body, message_id)
            self.process()
            return self.env["finance.command"].search(
                [("message_id.external_id", "=", message_id)]
            )

        def refused(command):
            self.assertEqual(
                (command.state, command.error_code), ("failed", "D-OWNERSHIP")
            )
            self.assertIn("Connector crm", command.error)

        authorised = {
            "provider_ref": "pay_1",
            "amount": "100.00",
            "currency": "USD",
            "document_ref": invoice.name,
            "authorised_at": "2026-01-20T10:00:00Z",
        }
        self.assertEqual(send("authorised", "m0", **authorised).state, "applied")
        captured = send("captured", "m1", **self.captured(invoice.name))
        refused(captured)
        self.assertEqual(len(self.exceptions()), 1)
        self.assertEqual(invoice.payment_state, "not_paid")
        # Odoo itself goes by what providers report; so it does without an owner.
        owner.connector_id = False
        captured.with_user(self.users["operator"]).action_retry()
        self.process()
        self.assertEqual((captured.state, invoice.payment_state), ("applied", "paid"))
        self.assertFalse(self.exceptions())
        owner.connector_id = self.connector
        again = send("captured", "m2", **self.captured(invoice.name))
        self.assertEqual(again.state, "ignored", "it is booked, and says nothing new")
        refund = {
            "parent_ref": "pay_1",
            "refund_ref": "re_1",
            "amount": "40.00",
            "currency": "USD",
            "refunded_at": "2026-01-22T10:00:00Z",
        }
        pending = send("refunded", "m3", **refund, status="pending")
        self.assertEqual(pending.state, "applied", pending.error)
        refused(send("refunded", "m4", **refund))
        returned = {
            "provider_ref": "pay_1",
            "outcome": "returned",
            "reason_code": "AC04",
            "failed_at": "2026-01-23T10:00:00Z",
        }
        refused(send("failed", "m5", **returned))
        self.assertEqual(invoice.payment_state, "paid")
        owner.connector_id = self.other
        returned["failed_at"] = "2026-01-24T10:00:00Z"
        applied = send("failed", "m6", **returned)
        self.assertEqual(applied.state, "applied", applied.error)
        self.assertEqual(invoice.payment_state, "not_paid")

    def test_held_is_said_so(self):
        self.own("exposure", self.connector, conflict_policy="queue")
        with self.assertRaises(CommandHeld):
            self.check(self.other, "exposure")


@tagged("post_install", "-at_install")
class TestMirrors(OwnershipCase):
    """cap 1, 3, 4: what another system owns is read-only in Odoo's own screens."""

    # === COUNTERPARTIES === #

    def mirrored_partner(self):
        self.own("counterparties", self.connector)
        command = self.upsert(self.connector, phone="1")
        return self.env["res.partner"].browse(command.res_id)

    def test_counterparty(self):
        partner = self.mirrored_partner()
        self.assertEqual(partner.finance_mirror_name, "Connector crm")
        mine = partner.with_user(self.accountant)
        for values in (
            {"name": "Other"},
            {"phone": "2"},
            {"active": False},
            {"country_id": self.env.ref("base.be").id},
            {"finance_blocked": True},
            {"property_payment_term_id": self.pay_terms_b.id},
        ):
            with (
                self.subTest(values=values),
                self.assertRaisesRegex(UserError, "Connector crm"),
            ):
                mine.write(values)
        with self.assertRaisesRegex(UserError, "Connector crm"):
            mine.unlink()
        mine.write({"name": "Azure Interior", "phone": "1"})  # as it is
        mine.write({"comment": "Pays late", "barcode": "1"})
        self.upsert(self.connector, message_id="m2", changed_at="2026-02-11T00:00:00Z")
        self.assertEqual(self.upsert(self.connector).state, "applied")

    def test_counterparty_of_nobody(self):
        self.own("counterparties", self.connector)
        self.env["finance.reference"]._link(self.other, self.partner_b, "X")
        for partner in (self.partner_a, self.partner_b):
            partner.with_user(self.accountant).name = "Changed"
            self.assertFalse(partner.finance_mirror_name)

    def test_costs_nothing_without_ownership(self):
        partner = self.partner_a.with_user(self.accountant)
        partner.write({"name": "One", "phone": "1"})
        partner.flush_recordset()
        before = self.count_queries(lambda: self.write_and_flush(partner, "Two"))
        self.own("exposure", self.connector)
        self.write_and_flush(partner, "Three")
        after = self.count_queries(lambda: self.write_and_flush(partner, "Four"))
        self.assertEqual(before, after)

    def write_and_flush(self, partner, name):
        partner.write({"name": name})
        partner.flush_recordset()

    def count_queries(self, run):
        before = self.env.cr.sql_log_count
        run()
        return self.env.cr.sql_log_count - before

    # === BANK TRANSACTIONS === #

    def bank_line(self, journal=None):
        return self.env["account.bank.statement.line"].create(
            {
                "journal_id": (journal or self.journal).id,
                "date": "2026-01-20",
                "payment_ref": "INV/1",
                "amount": 100.0,
            }
        )

    def test_bank_transaction(self):
        line = self.bank_line()
        self.own("bank_transactions", self.connector, journal_id=self.journal.id)
        mine = line.with_user(self.accountant)
        for values in (
            {"amount": 90.0},
            {"date": "2026-01-21"},
            {"payment_ref": "INV/2"},
            {"journal_id": self.company_data["default_journal_cash"].id},
        ):
            with (
                self.subTest(values=values),
                self.assertRaisesRegex(UserError, "Connector crm"),
            ):
                mine.write(values)
        with self.assertRaisesRegex(UserError, "Connector crm"):
            mine.unlink()
        with self.assertRaisesRegex(UserError, "Connector crm"):
            mine.create(
                {
                    "journal_id": self.journal.id,
                    "date": "2026-01-20",
                    "payment_ref": "By hand",
                    "amount": 5.0,
                }
            )
        mine.partner_id = self.partner_a
        self.assertEqual(line.partner_id, self.partner_a)
        self.bank_line()  # the hub itself

    def test_bank_transaction_through_its_entry(self):
        line = self.bank_line()
        self.own("bank_transactions", self.connector)
        move = line.move_id.with_user(self.accountant)
        self.assertEqual(move.finance_mirror_name, "Connector crm")
        with self.assertRaisesRegex(UserError, "Connector crm"):
            move.date = "2026-01-22"
        with self.assertRaisesRegex(UserError, "Connector crm"):
            move.button_cancel()
        move.button_draft()
        with self.assertRaisesRegex(UserError, "Connector crm"):
            move.unlink()
        liquidity, suspense, _others = line._seek_for_lines()
        with self.assertRaisesRegex(UserError, "Connector crm"):
            move.write(
                {
                    "line_ids": [
                        (1, liquidity.id, {"debit": 90.0, "credit": 0.0}),
                        (1, suspense.id, {"debit": 0.0, "credit": 90.0}),
                    ]
                }
            )
        self.env.invalidate_all()
        move.action_post()
        self.assertEqual(line.amount, 100.0)

    def test_reconciling_stays_possible(self):
        invoice = self.make_invoice(100.0)
        line = self.bank_line()
        self.own("bank_transactions", self.connector)
        _liquidity, suspense, _others = line._seek_for_lines()
        receivable = invoice.line_ids.filtered(
            lambda item: item.account_id.account_type == "asset_receivable"
        )
        move = line.move_id.with_user(self.accountant)
        move.button_draft()
        move.write(
            {
                "line_ids": [
                    (
                        1,
                        suspense.id,
                        {
                            "account_id": receivable.account_id.id,
                            "partner_id": invoice.partner_id.id,
                        },
                    )
                ]
            }
        )
        move.action_post()
        (suspense | receivable).with_user(self.accountant).reconcile()
        self.assertTrue(line.is_reconciled)
        self.assertEqual(invoice.payment_state, "paid")
        line.with_user(self.accountant).action_undo_reconciliation()
        self.assertFalse(line.is_reconciled)

    def test_other_journals_are_free(self):
        self.own("bank_transactions", self.connector, journal_id=self.journal.id)
        cash = self.company_data["default_journal_cash"]
        line = self.bank_line(cash).with_user(self.accountant)
        line.amount = 5.0
        line.unlink()

    # === DOCUMENTS AND ENTRIES === #

    def test_invoices(self):
        self.own("invoices", self.connector)
        known = self.make_invoice(100.0)
        draft = self.make_invoice(100.0, post=False)
        for invoice, external_id in ((known, "I-1"), (draft, "I-2")):
            self.env["finance.reference"]._link(self.connector, invoice, external_id)
        mine = known.with_user(self.accountant)
        self.assertEqual(mine.finance_mirror_name, "Connector crm")
        for button in ("button_draft", "button_cancel", "unlink"):
            with (
                self.subTest(button=button),
                self.assertRaisesRegex(UserError, "Connector crm"),
            ):
                getattr(mine, button)()
        draft = draft.with_user(self.accountant)
        with self.assertRaisesRegex(UserError, "Connector crm"):
            draft.partner_id = self.partner_b
        with self.assertRaisesRegex(UserError, "Connector crm"):
            draft.invoice_line_ids = [(5, 0, 0)]
        draft.action_post()
        self.assertEqual(draft.state, "posted", "what the owner sent may be posted")
        by_hand = self.make_invoice(100.0, post=False).with_user(self.accountant)
        with self.assertRaisesRegex(UserError, "Connector crm"):
            by_hand.action_post()

    def entry(self, journal):
        account = self.company_data["default_account_expense"]
        return self.env["account.move"].create(
            {
                "move_type": "entry",
                "journal_id": journal.id,
                "date": "2026-01-20",
                "line_ids": [
                    (0, 0, {"account_id": account.id, "debit": 5.0}),
                    (0, 0, {"account_id": account.id, "credit": 5.0}),
                ],
            }
        )

    def test_statutory_postings(self):
        """cap 4: only the ledger that owns it posts."""
        journal = self.company_data["default_journal_misc"]
        self.own("statutory_postings", self.connector, journal_id=journal.id)
        entry = self.entry(journal)
        with self.assertRaisesRegex(UserError, "only “Connector crm” posts"):
            entry.with_user(self.accountant).action_post()
        second = journal.copy({"code": "MISC2"})
        self.entry(second).with_user(self.accountant).action_post()
        self.make_invoice(100.0, post=False).with_user(self.accountant).action_post()
        entry.action_post()  # the hub itself
        self.assertEqual(entry.state, "posted")

    def test_payments_go_on(self):
        """What follows from documents is posted whoever owns the ledger."""
        self.own("statutory_postings", self.connector)
        invoice = self.make_invoice(100.0)
        payment = (
            self.env["account.payment.register"]
            .with_user(self.accountant)
            .with_context(active_model="account.move", active_ids=invoice.ids)
            .create({})
            ._create_payments()
        )
        self.assertIn(payment.state, ("in_process", "paid"))
