from itertools import permutations

from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from ..models.mapping.duplicates import Party, evidence, score
from ..models.mapping.similarity import name_words, same_name, similar_name
from .common import FinanceHubCommon


@tagged("post_install", "-at_install")
class TestCounterparty(FinanceHubCommon):
    """cap 11, 33: counterparties come in once, up to date, and nobody twice."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.connector = cls.make_connector("crm")
        cls.operator = cls.users["operator"]
        cls.known = cls.env["res.partner"].create(
            {
                "name": "Müller & Söhne GmbH",
                "is_company": True,
                "vat": "DE 123 456 788",
                "email": "info@mueller.example",
                "city": "Köln",
                "country_id": cls.env.ref("base.de").id,
            }
        )

    def upsert(self, external_id="C-1", at="2026-02-10T08:15:00Z", **values):
        """Have a counterparty come in; return its command."""
        data = {
            "external_id": external_id,
            "changed_at": at,
            "name": "Azure Interior",
            **values,
        }
        self.count = getattr(self, "count", 0) + 1
        message_id = f"m{self.count}"
        body = self.cloud_event(data, message_id, "counterparty.upsert.v1")
        self.receive(self.connector, body, message_id)
        self.process()
        return self.env["finance.command"].search(
            [("message_id.external_id", "=", message_id)]
        )

    def applied(self, *args, **values):
        """Return the partner of an upsert that was applied."""
        command = self.upsert(*args, **values)
        self.assertEqual(command.state, "applied", command.error)
        self.assertEqual(command.res_model, "res.partner")
        return self.env["res.partner"].browse(command.res_id)

    def asked(self, *args, **values):
        """Return the command of an upsert about which a person is asked."""
        command = self.upsert(*args, **values)
        self.assertEqual(command.state, "failed", command.res_id)
        self.assertEqual(command.error_code, "D-DUPLICATE-PARTY", command.error)
        return command

    def exceptions(self, code):
        return self.env["finance.exception"].search(
            [("code", "=", code), ("is_open", "=", True)]
        )

    # === CREATING AND CHANGING === #

    def test_everything(self):
        term = self.pay_terms_b
        self.make_mapping("payment_term", "NET", term, self.connector)
        head = self.applied("HEAD", name="Azure Holding")
        partner = self.applied(
            kind="company",
            roles=["customer", "supplier"],
            vat="BE0477472701",
            registration="0477472701",
            reference="AZ-1",
            email="accounting@azure.example",
            phone="+32 2 290 34 90",
            website="https://azure.example",
            language="en-US",
            address={
                "street": "Rue 1",
                "street2": "B",
                "city": "Bruxelles",
                "zip": "1000",
                "country": "US",
                "state": "CA",
            },
            parent="HEAD",
            payment_terms="NET",
            supplier_payment_terms="NET",
            bank_accounts=[
                {
                    "number": "BE71 0961 2345 6769",
                    "holder": "Azure",
                    "currency": "EUR",
                }
            ],
            status="blocked",
        ).with_company(self.company)
        self.assertRecordValues(
            partner,
            [
                {
                    "name": "Azure Interior",
                    "is_company": True,
                    "vat": "BE0477472701",
                    "company_registry": "0477472701",
                    "ref": "AZ-1",
                    "email": "accounting@azure.example",
                    "phone": "+32 2 290 34 90",
                    "website": "https://azure.example",
                    "lang": "en_US",
                    "street": "Rue 1",
                    "street2": "B",
                    "city": "Bruxelles",
                    "zip": "1000",
                    "country_id": self.env.ref("base.us").id,
                    "state_id": self.env.ref("base.state_us_5").id,
                    "parent_id": head.id,
                    "property_payment_term_id": term.id,
                    "property_supplier_payment_term_id": term.id,
                    "customer_rank": 1,
                    "supplier_rank": 1,
                    "finance_blocked": True,
                }
            ],
        )
        account = partner.bank_ids
        self.assertEqual(account.sanitized_acc_number, "BE71096123456769")
        self.assertEqual(account.acc_holder_name, "Azure")
        self.assertFalse(account.allow_out_payment, "a person decides to trust it")
        reference = self.env["finance.reference"]._current(
            self.connector, "res.partner", "C-1"
        )
        self.assertEqual(str(reference.changed_at), "2026-02-10 08:15:00")
        self.assertEqual(reference.parent_id.external_id, "HEAD")

    def test_absent_stays_and_cleared_empties(self):
        partner = self.applied(
            email="a@azure.example", phone="1", address={"city": "Fremont", "zip": "9"}
        )
        again = self.applied(
            at="2026-02-11T00:00:00Z",
            name="Azure Exterior",
            cleared=["phone"],
            address={"city": "Reno"},
        )
        self.assertEqual(again, partner)
        self.assertRecordValues(
            partner,
            [
                {
                    "name": "Azure Exterior",
                    "email": "a@azure.example",
                    "phone": False,
                    "city": "Reno",
                    "zip": "9",
                }
            ],
        )

    def test_kind(self):
        person = self.applied(kind="person", name="Ada")
        self.assertFalse(person.is_company)
        self.applied(at="2026-02-11T00:00:00Z", name="Ada L.")
        self.assertFalse(person.is_company, "what is absent stays as it is")

    def test_ranks_are_never_lowered(self):
        partner = self.applied(roles=["customer"])
        partner.customer_rank = 7
        self.applied(at="2026-02-11T00:00:00Z", roles=["customer", "supplier"])
        self.assertEqual((partner.customer_rank, partner.supplier_rank), (7, 1))

    def test_an_older_change_is_ignored(self):
        partner = self.applied(at="2026-02-10T10:00:00Z", name="New Name")
        command = self.upsert(at="2026-02-10T09:00:00Z", name="Old Name")
        self.assertEqual(command.state, "ignored")
        self.assertEqual(command.error_code, "D-STALE")
        self.assertEqual(partner.name, "New Name")
        self.assertFalse(self.exceptions("D-STALE"))

    def test_any_order_ends_the_same(self):
        """cap 39"""
        versions = [
            {
                "at": f"2026-02-1{day}T00:00:00Z",
                "name": f"Name {day}",
                "phone": str(day),
            }
            for day in range(3)
        ]
        for number, order in enumerate(permutations(versions)):
            for values in (*order, *order):
                self.upsert(f"P-{number}", **values)
            partner = self.env["finance.reference"]._find(
                self.connector, "res.partner", f"P-{number}"
            )
            self.assertEqual((partner.name, partner.phone), ("Name 2", "2"), order)

    def test_twice(self):
        partner = self.applied()
        command = self.upsert()
        self.assertEqual(command.state, "ignored")
        self.assertEqual(
            self.env["res.partner"].search_count([("name", "=", "Azure Interior")]), 1
        )
        self.assertEqual(command.res_id, partner.id)

    def test_unchanged_is_no_change(self):
        """What is sent again as it is raises no event."""
        partner = self.applied(address={"city": "Fremont", "country": "US"})
        before = self.verbs_of(partner)
        self.applied(
            at="2026-02-11T00:00:00Z", address={"city": "Fremont", "country": "US"}
        )
        self.assertEqual(self.verbs_of(partner), before)

    def test_unknown_words_are_told(self):
        partner = self.applied(
            language="tlh", address={"country": "US", "state": "Nowhere"}
        )
        self.assertFalse(partner.state_id)
        note = partner.message_ids.filtered(lambda m: "Left out" in (m.body or ""))
        self.assertIn("tlh", note.body)
        self.assertIn("Nowhere", note.body)

    def test_refused_by_odoo(self):
        self.applied("HEAD", name="Azure Holding")
        self.applied("SUB", name="Azure Sub", parent="HEAD")
        with mute_logger("odoo.sql_db"):
            command = self.upsert(
                "HEAD", "2026-02-11T00:00:00Z", name="Azure Holding", parent="SUB"
            )
        self.assertEqual((command.state, command.error_code), ("failed", "D-SCHEMA"))

    # === WHAT IT BELONGS TO === #

    def test_child_before_parent(self):
        command = self.upsert("SUB", name="Azure Sub", parent="HEAD")
        self.assertEqual((command.state, command.error_code), ("waiting", "D-ORPHAN"))
        self.assertFalse(self.exceptions("D-ORPHAN"), "not before its time is up")
        head = self.applied("HEAD", name="Azure Holding")
        self.process()
        self.assertEqual(command.state, "applied")
        partner = self.env["res.partner"].browse(command.res_id)
        self.assertEqual(partner.parent_id, head)

    def test_child_without_parent_is_told_in_the_end(self):
        self.upsert("SUB", name="Azure Sub", parent="HEAD")
        self.later(minutes=11)
        self.env["finance.command"]._cron_waiting()
        self.assertEqual(len(self.exceptions("D-ORPHAN")), 1)

    # === BANK ACCOUNTS === #

    def test_bank_accounts_are_added_once_and_stay(self):
        first = {"number": "BE71 0961 2345 6769"}
        partner = self.applied(bank_accounts=[first])
        partner.bank_ids.allow_out_payment = True
        second = {"number": "DE89370400440532013000"}
        self.applied(at="2026-02-11T00:00:00Z", bank_accounts=[first, second])
        trusted = partner.bank_ids.filtered("allow_out_payment")
        self.assertEqual(trusted.sanitized_acc_number, "BE71096123456769")
        self.assertEqual(len(partner.bank_ids), 2)
        self.applied(at="2026-02-12T00:00:00Z", bank_accounts=[])
        self.assertEqual(len(partner.bank_ids), 2, "what is absent stays")

    # === BLOCKED === #

    def test_blocked(self):
        partner = self.applied(roles=["customer"])
        self.end_transaction()
        self.applied(at="2026-02-11T00:00:00Z", status="blocked")
        self.assertEqual(self.verbs_of(partner)[-1], "blocked")
        event = self.events_of(partner)[-1:]
        self.assertEqual(event.data["reason"], "blocked for new business")
        self.assertEqual(event.data["changed_fields"], ["blocked"])
        self.assertEqual(
            event.data["external_ids"], [{"system": "Connector crm", "id": "C-1"}]
        )
        invoice = self.make_invoice(post=False, partner_id=partner.id)
        with self.assertRaisesRegex(UserError, "blocked for new business"):
            invoice.action_post()
        refund = self.make_invoice(
            post=False, partner_id=partner.id, move_type="out_refund"
        )
        refund.action_post()
        self.applied(at="2026-02-12T00:00:00Z", status="active")
        self.assertEqual(self.verbs_of(partner)[-1], "changed")
        invoice.action_post()
        self.assertEqual(invoice.state, "posted")

    # === DUPLICATES === #

    def test_same_vat_and_name_is_linked(self):
        partner = self.applied(name="Mueller und Soehne", vat="DE999999999")
        self.assertNotEqual(partner, self.known)
        partner = self.applied(
            "C-2", name="Müller & Söhne", vat="DE123456788", phone="1"
        )
        self.assertEqual(partner, self.known)
        self.assertEqual(self.known.phone, "1")

    def test_same_vat_and_another_name_is_asked(self):
        command = self.asked(name="Completely Different", vat="de123456788")
        self.assertIn("same VAT number", command.error)
        self.assertIn("Müller", command.error)
        self.assertEqual(len(self.exceptions("D-DUPLICATE-PARTY")), 1)

    def test_same_vat_twice_is_asked(self):
        self.known.copy({"name": "Müller & Söhne", "vat": "DE123456788"})
        command = self.asked(name="Müller & Söhne", vat="DE123456788")
        self.assertEqual(command.error.count("same VAT number"), 2)

    def test_same_vat_that_the_sender_tells_apart_is_asked(self):
        self.env["finance.reference"]._link(self.connector, self.known, "C-9")
        self.asked(name="Müller & Söhne", vat="DE123456788")

    def test_other_evidence_is_asked(self):
        self.env["res.partner.bank"].create(
            {"partner_id": self.known.id, "acc_number": "DE89370400440532013000"}
        )
        self.known.company_registry = "HRB 1234"
        for number, (reason, values) in enumerate(
            (
                ("same registration", {"registration": "hrb-1234"}),
                (
                    "same bank account",
                    {"bank_accounts": [{"number": "DE89 3704 0044 0532 0130 00"}]},
                ),
                (
                    "similar name",
                    {"name": "Müller Söhne KG", "email": "INFO@mueller.example"},
                ),
                (
                    "same name",
                    {
                        "name": "MÜLLER & SÖHNE",
                        "address": {"city": "koln", "country": "DE"},
                    },
                ),
            )
        ):
            with self.subTest(reason=reason):
                command = self.asked(f"E-{number}", **values)
                if reason != "similar name":
                    self.assertIn(reason, command.error)

    def test_little_evidence_is_none(self):
        for number, values in enumerate(
            (
                {"name": "Someone Else", "email": "info@mueller.example"},
                {"name": "Müller & Söhne", "address": {"country": "US"}},
                {"name": "Müller Transport", "address": {"country": "DE"}},
            )
        ):
            with self.subTest(values=values):
                self.applied(f"L-{number}", **values)

    def test_contacts_and_other_companies_are_no_candidates(self):
        self.known.company_id = self.setup_other_company()["company"]
        self.applied(name="Müller & Söhne", vat="DE123456788")

    def test_wildcards_are_letters(self):
        self.applied(name="%", email="x@example.com")
        self.applied(
            "C-2", name="_zure\\ Interior", address={"country": "US", "state": "%"}
        )

    # === DECIDING === #

    def wizard(self, command, user=None):
        action = command.with_user(user or self.operator).action_decide_party()
        return Form(
            self.env["finance.party.wizard"]
            .with_user(user or self.operator)
            .browse(action["res_id"])
        )

    def test_link(self):
        command = self.asked(name="Muller", vat="DE123456788", phone="77")
        exception = self.exceptions("D-DUPLICATE-PARTY")
        self.assertEqual(
            exception.with_user(self.operator).action_decide_party()["res_model"],
            "finance.party.wizard",
        )
        form = self.wizard(command)
        form.reason = "Same VAT number; they shortened the name"
        wizard = form.save()
        self.assertEqual(wizard.line_ids.partner_id, self.known)
        with self.assertRaisesRegex(UserError, "Choose"):
            wizard.action_link()
        wizard.line_ids.action_choose()
        wizard.action_link()
        self.process()
        self.assertEqual(command.state, "applied")
        self.assertEqual(command.res_id, self.known.id)
        self.assertEqual(self.known.phone, "77")
        self.assertEqual(exception.state, "resolved")
        self.assertIn("shortened", "".join(m.body or "" for m in exception.message_ids))
        self.applied(at="2026-02-12T00:00:00Z", name="Muller")

    def test_create(self):
        command = self.asked(name="Other", vat="DE123456788")
        later = self.asked(at="2026-02-12T00:00:00Z", name="Newer", vat="DE123456788")
        form = self.wizard(command)
        form.reason = "A branch with the VAT number of its head"
        form.save().action_create()
        self.process()
        self.assertEqual(command.state, "applied")
        self.assertEqual(later.state, "applied", "the same party, decided once")
        partner = self.env["res.partner"].browse(command.res_id)
        self.assertNotEqual(partner, self.known)
        self.assertEqual(partner.name, "Newer")
        self.assertEqual(later.res_id, partner.id)
        self.assertFalse(self.exceptions("D-DUPLICATE-PARTY"))

    def test_a_reason_is_needed(self):
        wizard = self.wizard(self.asked(name="Other", vat="DE123456788")).save()
        with self.assertRaisesRegex(UserError, "why"):
            wizard.action_create()

    def test_decided_once(self):
        command = self.asked(name="Other", vat="DE123456788")
        form = self.wizard(command)
        form.reason = "New"
        wizard = form.save()
        wizard.action_create()
        with self.assertRaisesRegex(UserError, "decided"):
            wizard.action_create()
        with self.assertRaises(AccessError):
            command.with_user(self.users["approver"]).action_decide_party()

    # === PURE === #

    def test_names(self):
        self.assertEqual(name_words("The ACME Co., Ltd."), ["the", "acme"])
        self.assertEqual(name_words("Carrefour S.A."), ["carrefour"])
        self.assertEqual(name_words("AG"), ["ag"], "a name that is only a form")
        self.assertTrue(same_name("Čeněk s.r.o.", "CENEK"))
        self.assertTrue(similar_name("Azure Interior", "Azure Interior Design"))
        self.assertTrue(similar_name("Azure Interior", "Azur Interior"))
        self.assertFalse(similar_name("Azure Interior", "Azure"))
        self.assertFalse(similar_name("", ""))
        self.assertFalse(same_name("", "GmbH!"))

    def test_evidence(self):
        one = Party("Azure", "US1", "", "A@B.c", frozenset({"x"}), "Reno", "US")
        self.assertEqual(
            evidence(one, one),
            ["vat", "iban", "email", "same_name", "city", "country"],
        )
        self.assertEqual(evidence(Party("A"), Party("B")), [])
        abroad = Party("Azure", country="BE")
        self.assertEqual(evidence(one, abroad), ["same_name", "other_country"])
        self.assertLess(score(evidence(one, abroad)), 50)
