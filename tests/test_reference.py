import psycopg2

from odoo.exceptions import AccessError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from ..models.ledger.errors import CommandError
from .common import FinanceHubCommon


@tagged("post_install", "-at_install")
class TestReference(FinanceHubCommon):
    """cap 7, 10: any id of any system leads to one record and one transaction."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.connector = cls.make_connector("shop")
        cls.references = cls.env["finance.reference"]

    def find(self, external_id, connector=None, model="res.partner", date=None):
        return self.references._find(
            connector or self.connector, model, external_id, date
        )

    def link(self, record, external_id, connector=None):
        return self.references._link(connector or self.connector, record, external_id)

    # === LINKING === #

    def test_link_and_find(self):
        self.assertFalse(self.find("C-1"))
        self.assertEqual(self.find("C-1")._name, "res.partner")
        reference = self.link(self.partner_a, "C-1")
        self.assertTrue(reference.is_main)
        self.assertEqual(reference.company_id, self.company)
        self.assertEqual(self.find("C-1"), self.partner_a)
        self.assertEqual(self.link(self.partner_a, "C-1"), reference)
        self.assertFalse(self.find("c-1"), "ids are taken as they are")

    def test_an_id_is_one_record(self):
        self.link(self.partner_a, "C-1")
        with self.assertRaises(CommandError) as caught:
            self.link(self.partner_b, "C-1")
        self.assertEqual(caught.exception.code, "B-AMBIGUOUS")
        self.assertIn(self.partner_a.name, caught.exception.message)
        self.assertEqual(self.find("C-1"), self.partner_a)

    def test_another_system_or_model_is_another_id(self):
        other = self.make_connector("bank")
        self.link(self.partner_a, "1")
        self.link(self.partner_b, "1", other)
        self.link(self.journal, "1")
        self.assertEqual(self.find("1"), self.partner_a)
        self.assertEqual(self.find("1", other), self.partner_b)
        self.assertEqual(self.find("1", model="account.journal"), self.journal)

    def test_several_ids_one_main(self):
        main = self.link(self.partner_a, "C-1")
        second = self.link(self.partner_a, "C-2")
        self.assertTrue(main.is_main)
        self.assertFalse(second.is_main)
        with (
            self.assertRaises(psycopg2.errors.UniqueViolation),
            mute_logger("odoo.sql_db"),
            self.env.cr.savepoint(),
        ):
            second.is_main = True
            self.env.flush_all()

    def test_days(self):
        """An id that ended may mean another record."""
        old = self.link(self.partner_a, "C-1")
        old.write({"valid_from": "2020-01-01", "valid_to": "2025-12-31"})
        self.assertFalse(self.find("C-1"))
        self.assertEqual(self.find("C-1", date=old.valid_to), self.partner_a)
        new = self.link(self.partner_b, "C-1")
        new.valid_from = "2026-01-01"
        self.assertEqual(self.find("C-1"), self.partner_b)
        self.assertEqual(self.find("C-1", date=old.valid_to), self.partner_a)

    def test_deleted_record(self):
        partner = self.env["res.partner"].create({"name": "Gone"})
        reference = self.link(partner, "C-1")
        partner.unlink()
        self.assertFalse(reference.exists())
        self.assertFalse(self.find("C-1"))
        # A model without the hub's help: the id is free for whoever comes.
        term = self.env["account.payment.term"].create({"name": "Gone"})
        self.link(term, "T")
        term.unlink()
        self.assertFalse(self.find("T", model="account.payment.term"))
        self.link(self.pay_terms_b, "T")
        self.assertEqual(self.find("T", model="account.payment.term"), self.pay_terms_b)

    def test_merged_partners(self):
        """Ids follow the partner that stays; it keeps its own main id."""
        keep, gone = self.env["res.partner"].create(
            [{"name": "Keep"}, {"name": "Gone"}]
        )
        bank = self.make_connector("bank")
        self.link(keep, "K")
        self.link(gone, "G")
        self.link(gone, "B", bank)
        mapping = self.make_mapping("counterparty", "GONE", gone)
        wizard = self.env["base.partner.merge.automatic.wizard"].create({})
        wizard._merge((keep | gone).ids, keep, extra_checks=False)
        self.assertFalse(gone.exists())
        self.assertEqual(self.find("K"), keep)
        self.assertEqual(self.find("G"), keep)
        self.assertEqual(self.find("B", bank), keep)
        self.assertEqual(mapping.res_id, keep.id)
        main = self.references.search(
            [("res_model", "=", "res.partner"), ("res_id", "=", keep.id)]
        ).filtered("is_main")
        self.assertEqual(set(main.mapped("external_id")), {"K", "B"})

    # === BUSINESS TRANSACTIONS === #

    def test_any_id_is_one_transaction(self):
        """cap 10: of the provider, the bank and the ledger."""
        invoice = self.make_invoice(100.0)
        self.receive(self.connector, self.cloud_event(self.captured(invoice.name)))
        self.process()
        transaction = self.env["finance.transaction"].search(
            [("provider_ref", "=", "pay_1")]
        )
        bank, ledger = self.make_connector("bank"), self.make_connector("ledger")
        self.link(transaction.payment_id, "NTRF-77", bank)
        self.link(invoice, "9400001", ledger)
        for external_id in ("pay_1", "NTRF-77", "9400001"):
            found = self.references._transaction_of(self.company, external_id)
            self.assertEqual(found, transaction, external_id)
            row = self.references.search([("external_id", "=", external_id)])
            self.assertEqual(row.transaction_id, transaction)
        self.assertFalse(self.references._transaction_of(self.company, "other"))
        other = self.setup_other_company()["company"]
        self.assertFalse(self.references._transaction_of(other, "pay_1"))

    # === SCREENS === #

    def test_button_on_odoos_forms(self):
        operator = self.users["operator"]
        invoice = self.make_invoice(100.0)
        for linked in (self.partner_a, invoice):
            self.link(linked, f"X-{linked._name}")
            record = linked.with_user(operator)
            self.assertEqual(record.finance_reference_count, 1)
            action = record.action_open_finance_references()
            found = self.references.with_user(operator).search(action["domain"])
            self.assertEqual(found.external_id, f"X-{record._name}")
            self.assertEqual(found.record_name, record.display_name)

    def test_forms_open_for_everybody(self):
        """People without a role of the hub go on as before."""
        self.users["plain"] = plain = self.env["res.users"].create(
            {
                "name": "Plain",
                "login": "plain",
                "company_id": self.company.id,
                "company_ids": [(6, 0, self.company.ids)],
                "group_ids": [
                    (
                        6,
                        0,
                        (
                            self.env.ref("account.group_account_invoice")
                            | self.env.ref("base.group_partner_manager")
                        ).ids,
                    )
                ],
            }
        )
        self.link(self.partner_a, "C-1")
        for user in (plain, self.users["operator"]):
            self.assertTrue(Form(self.partner_a.with_user(user)).name)
        with Form(self.partner_a.with_user(plain)) as form:
            form.phone = "123"
        self.assertEqual(self.partner_a.phone, "123")
        invoice = self.make_invoice(100.0, post=False)
        Form(invoice.with_user(plain)).save()
        with self.assertRaises(AccessError):
            self.partner_a.with_user(plain).read(["finance_reference_ids"])

    def test_found_by_any_part(self):
        self.link(self.partner_a, "cus_9s6XKzkNRiz8i3")
        found = self.references.search([("external_id", "ilike", "9S6xkz")])
        self.assertEqual(found.res_id, self.partner_a.id)
