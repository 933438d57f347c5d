import csv
import io
from datetime import date, datetime, timezone

import openpyxl
import psycopg2

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import file_open, mute_logger

from ..models.mapping.errors import Unmapped, mapping_key
from ..models.mapping.suggesting import Candidate, suggest
from .common import FinanceHubCommon


class MappingCase(FinanceHubCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.connector = cls.make_connector("ledger")
        cls.account = cls.company_data["default_account_expense"]
        cls.other = cls.company_data["default_account_revenue"]
        cls.mappings = cls.env["finance.mapping"]
        cls.operator = cls.users["operator"]
        cls.approver = cls.users["approver"]

    def resolve(self, domain, code, date=None, connector=None):
        return self.mappings._resolve(connector or self.connector, domain, code, date)

    def domain(self, name="account"):
        return self.env["finance.mapping.domain"]._named(name)

    def draft(self, code="6000", record=None, user=None, **values):
        """Return a draft that a person made, with the person's eyes."""
        return self.mappings.with_user(user or self.operator).create(
            {
                "company_id": self.company.id,
                "connector_id": self.connector.id,
                "domain_id": self.domain().id,
                "code": code,
                "res_id": (record or self.account).id,
                **values,
            }
        )

    def approve(self, mapping):
        mapping.action_propose()
        mapping.with_user(self.approver).action_approve()

    def exceptions(self, code="D-UNMAPPED"):
        return self.env["finance.exception"].search(
            [("code", "=", code), ("is_open", "=", True)], order="id"
        )


@tagged("post_install", "-at_install")
class TestMapping(MappingCase):
    """cap 6, 7, 8, 12, 14, 109: codes of other systems, approved and versioned."""

    # === RESOLVING === #

    def test_every_domain(self):
        """cap 6, 12: each kind of code stands for the record it should."""
        analytic = self.env["account.analytic.account"].create(
            {
                "name": "Research",
                "code": "RD",
                "plan_id": self.env["account.analytic.plan"]
                .create({"name": "Centres"})
                .id,
                "company_id": self.company.id,
            }
        )
        records = {
            "account": self.account,
            "tax": self.company_data["default_tax_sale"],
            "company": self.company,
            "counterparty": self.partner_a,
            "cost_centre": analytic,
            "product": self.product_a,
            "currency": self.env.ref("base.EUR"),
            "payment_method": self.journal.inbound_payment_method_line_ids[:1],
            "payment_term": self.pay_terms_b,
            "journal": self.journal,
            "payment_status": self.env.ref(
                "finance_hub.mapping_term_payment_status_captured"
            ),
            "settlement_state": self.env.ref(
                "finance_hub.mapping_term_settlement_state_settled"
            ),
            "refund_reason": self.env.ref(
                "finance_hub.mapping_term_refund_reason_duplicate"
            ),
            "accounting_treatment": self.env.ref(
                "finance_hub.mapping_term_accounting_treatment_accrual"
            ),
        }
        self.assertEqual(
            set(records), set(self.env["finance.mapping.domain"]._ids_by_name())
        )
        for domain, record in records.items():
            with self.subTest(domain=domain):
                with self.assertRaises(Unmapped) as caught:
                    self.resolve(domain, "X-1")
                self.assertEqual(caught.exception.code, "D-UNMAPPED")
                self.make_mapping(domain, "X-1", record, self.connector)
                found = self.resolve(domain, "X-1")
                self.assertEqual(found, record)
                self.assertEqual(found.env.company, self.company)

    def test_unknown_domain(self):
        with self.assertRaisesRegex(ValueError, "colour"):
            self.resolve("colour", "red")

    def test_system_before_all(self):
        self.make_mapping("account", "6000", self.account)
        self.assertEqual(self.resolve("account", "6000"), self.account)
        self.make_mapping("account", "6000", self.other, self.connector)
        self.assertEqual(self.resolve("account", "6000"), self.other)
        second = self.make_connector("second")
        self.assertEqual(self.resolve("account", "6000", None, second), self.account)

    def test_on_its_days(self):
        self.make_mapping("account", "6000", self.account, valid_to="2025-12-31")
        self.make_mapping("account", "6000", self.other, valid_from="2026-01-01")
        for day, expected in (
            (date(2025, 12, 31), self.account),
            (date(2026, 1, 1), self.other),
            (None, self.other),
        ):
            self.assertEqual(self.resolve("account", "6000", day), expected)

    def test_today_is_of_the_hub(self):
        self.make_mapping("account", "6000", self.account, valid_to="2025-12-31")
        self.set_clock(datetime(2025, 12, 31, 23, 59, tzinfo=timezone.utc))
        self.assertEqual(self.resolve("account", "6000"), self.account)
        self.set_clock(datetime(2026, 1, 1, tzinfo=timezone.utc))
        with self.assertRaises(Unmapped):
            self.resolve("account", "6000")

    def test_company(self):
        """Another company's mapping is none of ours."""
        other = self.setup_other_company()["company"]
        foreign = self.make_connector(
            "foreign", company_id=other.id, payment_journal_id=False
        )
        self.make_mapping("account", "6000", self.account)
        with self.assertRaises(Unmapped):
            self.resolve("account", "6000", None, foreign)

    def test_standard_codes(self):
        """A currency that Odoo uses needs no mapping, one it does not use does."""
        self.assertEqual(self.resolve("currency", "USD").name, "USD")
        self.env.ref("base.JPY").active = False
        with self.assertRaises(Unmapped):
            self.resolve("currency", "JPY")

    def test_no_default(self):
        """An Odoo code that happens to be equal is no counterpart."""
        with self.assertRaises(Unmapped):
            self.resolve("account", self.account.code)

    def test_cached(self):
        self.make_mapping("currency", "DOLLAR", self.env.ref("base.USD"))
        self.resolve("currency", "DOLLAR")
        # Only whether what it stands for is still there is asked each time.
        with self.assertQueryCount(1):
            self.resolve("currency", "DOLLAR")

    def test_deleted_record(self):
        term = self.env["account.payment.term"].create({"name": "Gone"})
        self.make_mapping("payment_term", "N", term)
        self.resolve("payment_term", "N")
        term.unlink()
        with self.assertRaises(Unmapped):
            self.resolve("payment_term", "N")

    # === APPROVAL === #

    def test_four_eyes(self):
        both = self.operator
        both.group_ids |= self.env.ref("finance_hub.group_approver")
        mapping = self.draft()
        with self.assertRaisesRegex(UserError, "only from"):
            mapping.with_user(self.approver).action_approve()
        mapping.action_propose()
        with self.assertRaisesRegex(UserError, "somebody else"):
            mapping.action_approve()
        with self.assertRaises(Unmapped):
            self.resolve("account", "6000")
        mapping.with_user(self.approver).action_approve()
        self.assertEqual(mapping.approved_by_id, self.approver)
        self.assertEqual(self.resolve("account", "6000"), self.account)

    def test_who_made_it_cannot_approve_what_another_proposed(self):
        both = self.operator
        both.group_ids |= self.env.ref("finance_hub.group_approver")
        mapping = self.draft()
        mapping.with_user(self.users["administrator"]).action_propose()
        with self.assertRaisesRegex(UserError, "somebody else"):
            mapping.action_approve()

    def test_steward(self):
        """The steward of a domain approves, for the own company only."""
        steward = self.users["administrator"]
        mapping = self.draft()
        mapping.action_propose()
        with self.assertRaises(AccessError):
            mapping.with_user(steward).action_approve()
        self.domain().with_company(self.company).steward_id = steward
        self.assertEqual(mapping.steward_id, steward)
        mapping.with_user(steward).action_approve()
        self.assertEqual(mapping.approved_by_id, steward)
        other = self.setup_other_company()["company"]
        self.assertFalse(self.domain().with_company(other).steward_id)

    def test_steward_is_asked(self):
        steward = self.users["administrator"]
        self.domain().with_company(self.company).steward_id = steward
        mapping = self.draft()
        mapping.action_propose()
        self.assertEqual(mapping.sudo().activity_ids.user_id, steward)
        mapping.with_user(self.approver).action_approve()
        self.assertFalse(mapping.sudo().activity_ids)

    def test_reject(self):
        mapping = self.draft()
        mapping.action_propose()
        with self.assertRaises(AccessError):
            mapping.action_reject()
        mapping.with_user(self.approver).action_reject()
        self.assertEqual(mapping.state, "draft")

    def test_incomplete(self):
        mapping = self.draft(res_id=False)
        with self.assertRaisesRegex(UserError, "stands for"):
            mapping.action_propose()

    def test_approved_stays(self):
        mapping = self.draft()
        with self.assertRaises(UserError):
            mapping.write({"state": "approved"})
        self.approve(mapping)
        for values in (
            {"code": "6001"},
            {"res_id": self.other.id},
            {"valid_to": "2030-01-01"},
        ):
            with self.assertRaisesRegex(UserError, "New Version"):
                mapping.write(values)
        mapping.difference_note = "They use lower of cost and market."
        with self.assertRaisesRegex(UserError, "history"):
            mapping.unlink()

    def test_created_as_a_draft_only(self):
        with self.assertRaises(UserError):
            self.draft(state="approved")
        with self.assertRaises(UserError):
            self.mappings.with_user(self.operator).with_context(
                default_state="approved"
            ).create(
                {
                    "domain_id": self.domain().id,
                    "code": "1",
                    "res_id": self.account.id,
                    "state": "approved",
                }
            )

    # === VERSIONS === #

    def test_new_version(self):
        mapping = self.draft(valid_from="2025-01-01")
        self.approve(mapping)
        version = self.mappings.browse(mapping.action_new_version()["res_id"])
        self.assertEqual((version.version, version.state), (2, "draft"))
        again = mapping.action_new_version()["res_id"]
        self.assertEqual(again, version.id, "one draft at a time")
        version = version.with_user(self.operator)
        version.write({"res_id": self.other.id, "valid_from": "2026-02-01"})
        self.approve(version)
        self.assertEqual(mapping.state, "approved")
        self.assertEqual(mapping.valid_to, date(2026, 1, 31))
        self.assertEqual(
            self.resolve("account", "6000", date(2026, 1, 31)), self.account
        )
        self.assertEqual(self.resolve("account", "6000", date(2026, 2, 1)), self.other)
        action = mapping.action_open_versions()
        self.assertEqual(self.mappings.search(action["domain"]), version | mapping)

    def test_correction_of_a_version(self):
        """A version from the same day on retires the one before."""
        mapping = self.draft(valid_from="2025-01-01")
        self.approve(mapping)
        version = self.mappings.browse(mapping.action_new_version()["res_id"])
        version = version.with_user(self.operator)
        version.write({"res_id": self.other.id, "valid_from": "2025-01-01"})
        self.approve(version)
        self.assertEqual(mapping.state, "retired")
        self.assertEqual(self.resolve("account", "6000", date(2025, 1, 1)), self.other)

    def test_overlap(self):
        self.approve(self.draft(valid_to="2026-06-30"))
        second = self.draft(record=self.other, valid_from="2026-06-30")
        second.action_propose()
        with self.assertRaisesRegex(UserError, "not an earlier version"):
            second.with_user(self.approver).action_approve()

    def test_overlap_in_the_database(self):
        """Whatever the code does, PostgreSQL keeps one counterpart for a day."""
        self.approve(self.draft(valid_to="2026-06-30"))
        second = self.draft(record=self.other, valid_from="2026-06-30")
        with (
            self.assertRaises(psycopg2.errors.ExclusionViolation),
            mute_logger("odoo.sql_db"),
            self.env.cr.savepoint(),
        ):
            second.sudo().state = "approved"
            self.env.flush_all()
        second.valid_from = "2026-07-01"
        second.sudo().state = "approved"
        self.env.flush_all()

    def test_days_in_order(self):
        with (
            self.assertRaises(psycopg2.errors.CheckViolation),
            mute_logger("odoo.sql_db"),
            self.env.cr.savepoint(),
        ):
            self.draft(valid_from="2026-01-02", valid_to="2026-01-01").flush_recordset()

    def test_retire(self):
        mapping = self.draft()
        self.approve(mapping)
        with self.assertRaises(AccessError):
            mapping.action_retire()
        mapping.with_user(self.approver).action_retire()
        with self.assertRaises(Unmapped):
            self.resolve("account", "6000")

    def test_foreign_record(self):
        foreign = self.setup_other_company()["default_account_expense"]
        with self.assertRaisesRegex(ValidationError, "can't be used"):
            self.draft(record=foreign)

    def test_word_of_another_vocabulary(self):
        word = self.env.ref("finance_hub.mapping_term_refund_reason_duplicate")
        with self.assertRaises(ValidationError):
            self.make_mapping("payment_status", "paid", word)

    def test_in_force_today(self):
        self.set_clock(datetime(2026, 3, 1, tzinfo=timezone.utc))
        old = self.make_mapping("account", "1", self.account, valid_to="2026-02-28")
        now = self.make_mapping("account", "2", self.account, valid_from="2026-03-01")
        mine = self.mappings.search([("id", "in", (old | now).ids)])
        self.assertEqual(mine.filtered("is_current"), now)
        found = self.mappings.search(
            [("is_current", "=", True), ("id", "in", mine.ids)]
        )
        self.assertEqual(found, now)
        found = self.mappings.search(
            [("is_current", "=", False), ("id", "in", mine.ids)]
        )
        self.assertEqual(found, old)

    # === HIERARCHY === #

    def test_hierarchy(self):
        """cap 7: the other system's groups of codes are kept."""
        group = self.draft("6", self.account)
        leaf = self.draft("6000", self.account, parent_id=group.id)
        self.assertEqual(group.child_ids, leaf)
        with self.assertRaisesRegex(ValidationError, "above itself"):
            group.parent_id = leaf

    # === TEMPORARY === #

    def test_temporary(self):
        """cap 109: a coexistence mapping ends, and somebody knows before."""
        with self.assertRaisesRegex(ValidationError, "last day"):
            self.draft(is_temporary=True)
        self.set_clock(datetime(2026, 3, 1, tzinfo=timezone.utc))
        mapping = self.make_mapping(
            "account",
            "6000",
            self.account,
            self.connector,
            is_temporary=True,
            valid_to="2026-03-31",
        )
        self.mappings._cron_expiring()
        self.assertFalse(mapping.activity_ids)
        self.set_clock(datetime(2026, 3, 20, tzinfo=timezone.utc))
        self.mappings._cron_expiring()
        self.mappings._cron_expiring()
        self.assertEqual(len(mapping.activity_ids), 1)
        self.assertEqual(mapping.activity_ids.date_deadline, date(2026, 3, 31))
        self.assertEqual(mapping.activity_ids.user_id, self.connector.user_id)
        self.set_clock(datetime(2026, 4, 1, tzinfo=timezone.utc))
        with self.assertRaises(Unmapped):
            self.resolve("account", "6000")

    def test_temporary_with_a_successor(self):
        self.set_clock(datetime(2026, 3, 20, tzinfo=timezone.utc))
        mapping = self.make_mapping(
            "account", "6000", self.account, is_temporary=True, valid_to="2026-03-31"
        )
        self.make_mapping("account", "6000", self.other, valid_from="2026-04-01")
        self.mappings._cron_expiring()
        self.assertFalse(mapping.activity_ids)

    # === IMPORT AND EXPORT === #

    HEADER = ("connector_id", "domain_id", "code", "target_code", "valid_from")

    def load(self, rows, header=HEADER):
        return self.mappings.with_user(self.operator).load(list(header), rows)

    def test_import(self):
        result = self.load(
            [
                [self.connector.name, "account", "6000", self.account.code, ""],
                ["", "Accounts", "6001", self.other.code, "2026-01-01"],
            ]
        )
        self.assertFalse(result["messages"])
        first, second = self.mappings.browse(result["ids"])
        self.assertEqual(first.connector_id, self.connector)
        self.assertEqual(first.res_id, self.account.id)
        self.assertEqual(second.res_id, self.other.id)
        self.assertFalse(second.connector_id)
        self.assertEqual(set((first | second).mapped("state")), {"draft"})
        (first | second).with_user(self.operator).action_propose()
        (first | second).with_user(self.approver).action_approve()
        self.assertEqual(self.resolve("account", "6001"), self.other)

    def test_import_of_a_mistake(self):
        result = self.load([["", "account", "6000", "no such account", ""]])
        self.assertFalse(result["ids"])
        self.assertIn("no such account", result["messages"][0]["message"])

    def test_import_can_not_approve(self):
        header = [*self.HEADER, "state"]
        result = self.load(
            [["", "account", "6000", self.account.code, "", "Approved"]], header
        )
        self.assertFalse(result["ids"])

    def test_export_can_be_imported(self):
        self.operator.group_ids |= self.env.ref("base.group_allow_export")
        mapping = self.draft(valid_from="2026-01-01")
        exported = mapping.export_data(list(self.HEADER))["datas"]
        mapping.unlink()
        result = self.load([[str(cell or "") for cell in row] for row in exported])
        self.assertFalse(result["messages"])
        again = self.mappings.browse(result["ids"])
        self.assertEqual(again.res_id, self.account.id)
        self.assertEqual(again.connector_id, self.connector)
        self.assertEqual(again.valid_from, date(2026, 1, 1))

    def import_file(self, content, file_type):
        """Import a file the way Odoo's import screen does."""
        if "base_import.import" not in self.env:
            self.skipTest("Odoo's import screen is not installed")
        wizard = (
            self.env["base_import.import"]
            .with_user(self.operator)
            .create(
                {
                    "res_model": "finance.mapping",
                    "file": content,
                    "file_name": "mappings",
                    "file_type": file_type,
                }
            )
        )
        options = {
            "has_headers": True,
            "quoting": '"',
            "separator": ",",
            "encoding": "utf-8",
            "date_format": "%Y-%m-%d",
            "limit": 2000,
        }
        preview = wizard.parse_preview(options)
        self.assertNotIn("error", preview)
        matched = preview["matches"]
        columns = [matched[index][0] for index in sorted(matched)]
        self.assertEqual(columns, preview["headers"], "every column is recognised")
        result = wizard.execute_import(columns, preview["headers"], preview["options"])
        self.assertFalse(result["messages"])
        return self.mappings.browse(result["ids"])

    def rows_of_the_template(self):
        [template] = self.mappings.get_import_templates()
        path = template["template"].removeprefix("/")
        with file_open(path) as file:
            header, *_examples = csv.reader(file)
        line = dict.fromkeys(header, "")
        line.update(
            domain_id="account",
            code="6000",
            target_code=self.account.code,
            valid_from="2026-01-01",
        )
        return header, [line[name] for name in header]

    def test_csv(self):
        text = io.StringIO()
        csv.writer(text).writerows(self.rows_of_the_template())
        mapping = self.import_file(text.getvalue().encode(), "text/csv")
        self.assertEqual(mapping.res_id, self.account.id)
        self.assertEqual(mapping.valid_from, date(2026, 1, 1))

    def test_xlsx(self):
        book = openpyxl.Workbook()
        for row in self.rows_of_the_template():
            book.active.append(row)
        content = io.BytesIO()
        book.save(content)
        mapping = self.import_file(
            content.getvalue(),
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        )
        self.assertEqual(mapping.res_id, self.account.id)
        self.assertEqual(mapping.valid_from, date(2026, 1, 1))


@tagged("post_install", "-at_install")
class TestUnmapped(MappingCase):
    """cap 9, 115: an unmapped code is asked about once, and what waits goes on."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.terms = cls.pay_terms_b

    def upsert(self, external_id, message_id, **values):
        """Have a counterparty come in, whose payment terms need a mapping."""
        data = {
            "external_id": external_id,
            "changed_at": "2026-02-10T08:15:00Z",
            "name": f"Party {external_id}",
            **values,
        }
        body = self.cloud_event(data, message_id, "counterparty.upsert.v1")
        self.receive(self.connector, body, message_id)
        self.process()
        return self.env["finance.command"].search(
            [("message_id.external_id", "=", message_id)]
        )

    def waiting(self, count=3, code="NET7"):
        return [
            self.upsert(f"C-{index}", f"m{index}", payment_terms=code)
            for index in range(count)
        ]

    def unmapped(self):
        return self.env["finance.unmapped"].search(
            [("connector_id", "=", self.connector.id)]
        )

    def test_one_exception_for_all(self):
        commands = self.waiting(3)
        self.assertEqual({command.state for command in commands}, {"waiting"})
        row = self.unmapped()
        self.assertEqual(row.code, "NET7")
        self.assertEqual((row.count, row.waiting_count), (3, 3))
        self.assertEqual(row.command_id, commands[0])
        exception = self.exceptions()
        self.assertEqual(len(exception), 1)
        self.assertEqual(exception.occurrences, 3)
        self.assertEqual(exception._record(), row)
        found = self.env["finance.command"].search(row.action_open_commands()["domain"])
        self.assertEqual(len(found), 3)

    def test_trying_again_counts_once(self):
        [command] = self.waiting(1)
        self.later(hours=1)
        self.env["finance.command"]._cron_waiting()
        self.process()
        self.assertEqual(command.state, "waiting")
        self.assertEqual(command.retry_count, 1)
        self.assertEqual(self.unmapped().count, 1)
        self.assertEqual(self.exceptions().occurrences, 1)

    def test_closed_too_early(self):
        """Who cancels the exception without a mapping is asked again."""
        self.waiting(1)
        self.exceptions().with_user(self.operator)._cancel("No idea")
        self.assertFalse(self.exceptions())
        self.later(hours=1)
        self.env["finance.command"]._cron_waiting()
        self.process()
        self.assertEqual(len(self.exceptions()), 1)

    def test_approval_processes_what_waits(self):
        commands = self.waiting(3)
        exception = self.exceptions()
        row = self.unmapped().with_user(self.operator)
        wizard = Form(
            self.env["finance.map.wizard"]
            .with_user(self.operator)
            .browse(row.action_map()["res_id"])
        )
        wizard.res_id = self.terms.id
        mapping = self.mappings.browse(wizard.save().action_propose()["res_id"])
        self.assertEqual(mapping.state, "proposed")
        self.process()
        self.assertEqual({command.state for command in commands}, {"waiting"})
        self.assertEqual(row.action_map()["res_id"], mapping.id, "the pending one")
        mapping.with_user(self.approver).action_approve()
        self.process()
        self.assertEqual({command.state for command in commands}, {"applied"})
        for command in commands:
            partner = self.env["res.partner"].browse(command.res_id)
            self.assertEqual(partner.property_payment_term_id, self.terms)
        self.assertEqual(row.state, "mapped")
        self.assertEqual(row.mapping_id, mapping)
        self.assertEqual(exception.state, "resolved")
        self.assertIn("processed again: 3", exception.resolution)

    def test_mapping_for_all_systems(self):
        """A mapping for the company lets every system's commands go on."""
        self.waiting(1)
        self.connector, first = self.make_connector("second"), self.connector
        command = self.upsert("D-1", "m9", payment_terms="NET7")
        self.make_mapping("payment_term", "NET7", self.terms)
        self.process()
        self.assertEqual(command.state, "applied")
        self.assertFalse(self.exceptions())
        rows = self.env["finance.unmapped"].search([("code", "=", "NET7")])
        self.assertEqual(rows.connector_id, self.connector | first)
        self.assertEqual(set(rows.mapped("state")), {"mapped"})

    def test_other_codes_stay(self):
        self.waiting(1)
        self.make_mapping("payment_term", "NET8", self.terms, self.connector)
        self.assertEqual(self.unmapped().state, "open")

    def test_mapping_of_other_days(self):
        """A mapping that does not count on the day opens the code again."""
        [command] = self.waiting(1)
        self.make_mapping("payment_term", "NET7", self.terms, valid_from="2099-01-01")
        self.process()
        self.assertEqual(command.state, "waiting")
        self.assertEqual(self.unmapped().state, "open")
        self.assertEqual(len(self.exceptions()), 1)

    def test_key(self):
        [command] = self.waiting(1)
        key = mapping_key(self.connector, "payment_term", "NET7")
        self.assertEqual(command.waits_for, key)

    def test_counterparty_arrives(self):
        """A counterparty's code needs no mapping once the counterparty came."""
        with self.assertRaises(Unmapped) as caught:
            self.resolve("counterparty", "C-9")
        [command] = self.waiting(1)
        self.env["finance.unmapped"]._report(command, caught.exception)
        self.upsert("C-9", "m9")
        row = self.unmapped().filtered(lambda r: r.code == "C-9")
        self.assertEqual(row.state, "mapped")

    # === SUGGESTIONS === #

    def suggestions(self, code, domain="account"):
        row = self.env["finance.unmapped"].create(
            {
                "connector_id": self.connector.id,
                "company_id": self.company.id,
                "domain_id": self.domain(domain).id,
                "code": code,
                "key": mapping_key(self.connector, domain, code),
            }
        )
        return row, row.with_user(self.operator)._suggestions()

    def test_suggestions_say_why(self):
        _row, found = self.suggestions(self.account.code)
        self.assertEqual(found[0][0], self.account.id)
        self.assertIn("same code", found[0][2])
        term = self.env["account.payment.term"].create({"name": "7 Days Net"})
        _row, found = self.suggestions("net 7 days", "payment_term")
        self.assertEqual(found[0][0], term.id)
        self.assertIn("similar name", found[0][2])

    def test_wizard_is_filled(self):
        row, found = self.suggestions(self.account.code)
        action = row.with_user(self.operator).action_map()
        wizard = self.env["finance.map.wizard"].browse(action["res_id"])
        wizard = wizard.with_user(self.operator)
        self.assertEqual(wizard.res_id, self.account.id)
        self.assertEqual(len(wizard.line_ids), len(found))
        wizard.line_ids[-1].action_choose()
        self.assertEqual(wizard.res_id, found[-1][0])

    def test_equal_codes_at_once(self):
        equal, _found = self.suggestions(self.account.code)
        odd, _found = self.suggestions("no such thing anywhere")
        rows = (equal | odd).with_user(self.operator)
        proposed = self.mappings.search(rows.action_propose_equal()["domain"])
        self.assertEqual(proposed.code, self.account.code)
        self.assertEqual(proposed.res_id, self.account.id)
        self.assertEqual(
            (proposed.state, proposed.create_uid), ("proposed", self.operator)
        )
        with self.assertRaises(UserError):
            rows.action_propose_equal()

    def test_reasons(self):
        def best(code, *candidates):
            found = suggest(code, [Candidate(i, *c) for i, c in enumerate(candidates)])
            return [(c.key, reason) for c, _score, reason in found]

        self.assertEqual(best("6000", ("6000", "Rent")), [(0, "same_code")])
        self.assertEqual(
            best("60-00", ("6000", "Rent")), [(0, "same_code_written_differently")]
        )
        self.assertEqual(best("rent", ("6000", "Rent")), [(0, "same_name")])
        self.assertEqual(best("6000", ("600000", "Rent")), [(0, "same_but_zeros")])
        self.assertEqual(best("0042", ("42", "Rent")), [(0, "same_but_zeros")])
        self.assertEqual(best("6001", ("600100", "A"), ("60010", "B"))[0][0], 0)
        self.assertEqual(best("6012", ("601", "Rent")), [(0, "same_beginning")])
        self.assertEqual(best("9", ("42", "Rent")), [])
        self.assertEqual(best("", ("", "")), [])
        self.assertEqual(
            best("77", ("42", "Rent", True), ("77", "Fees")),
            [(1, "same_code"), (0, "other_system")],
        )
