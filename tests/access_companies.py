from odoo.exceptions import AccessError
from odoo.tools import mute_logger

from .common import GROUPS
from .test_access import ALL, COMMON, MATRIX


class CompanyTests:
    """cap 89: nobody sees or touches another company's rows, whatever the role."""

    def test_rows_are_invisible(self):
        for model in MATRIX:
            if "wizard" in model or model in COMMON:
                continue
            rows = self.rows(model)
            self.assertTrue(rows, model)
            as_foreigner = rows.with_user(self.foreigner)
            # Rules for all companies are everybody's; the visitor's own company has
            # their roles, and the entry of the trail that tells who gave them.
            own = [False]
            if model in ("finance.audit.entry", "finance.access.line"):
                own.append(self.foreigner.company_id.id)
            with self.subTest(model), mute_logger("odoo.models"):
                self.assertEqual(
                    as_foreigner.search_count([("company_id", "not in", own)]), 0
                )
                self.assertEqual(as_foreigner.search_count([("id", "in", rows.ids)]), 0)
                groups = as_foreigner._read_group(
                    [("company_id", "not in", own)], [], ["__count"]
                )
                self.assertFalse(groups[0][0])
                self.assertFalse(as_foreigner._filtered_access("read"))
                with self.assertRaises(AccessError):
                    as_foreigner[:1].read(["company_id"])

    def test_every_model_with_a_company_has_a_rule(self):
        rules = self.env["ir.rule"].search([("model_id.model", "like", "finance.%")])
        guarded = {
            rule.model_id.model
            for rule in rules
            if not rule.groups and rule.perm_read and "company" in rule.domain_force
        }
        self.assertEqual(
            guarded, {name for name in MATRIX if "wizard" not in name} - COMMON
        )

    def test_rows_cannot_be_changed(self):
        for model, by_group in MATRIX.items():
            if by_group[GROUPS.index("administrator")] != ALL or "wizard" in model:
                continue
            if model in COMMON:
                continue
            row = self.row(model).with_user(self.foreigner)
            with self.subTest(model), mute_logger("odoo.models"):
                field, value = (
                    ("name", "Mine now") if "name" in row._fields else ("days", 99)
                )
                with self.assertRaises(AccessError):
                    row.write({field: value})
                with self.assertRaises(AccessError):
                    row.unlink()

    def test_wizards_know_companies(self):
        """A form of one's own is no window into another company."""
        command = self.row("finance.command")
        exception = self.row("finance.exception")
        wizards = self.env["finance.correct.wizard"].with_user(self.foreigner)
        with mute_logger("odoo.models"):
            with self.subTest("opened"), self.assertRaises(AccessError):
                wizards.with_context(default_command_id=command.id).default_get(
                    ["command_id", "content"]
                )
            with self.subTest("read"), self.assertRaises(AccessError):
                wizard = wizards.create(
                    {
                        "command_id": command.id,
                        "content": '{"a": 1}',
                        "reason": "Curious",
                    }
                )
                self.env.flush_all()
                self.env.invalidate_all()
                wizard.read(["original", "problem", "error_code"])
            with self.subTest("resubmitted"), self.assertRaises(AccessError):
                wizards.create(
                    {
                        "command_id": command.id,
                        "content": '{"a": 1}',
                        "reason": "Curious",
                    }
                ).action_resubmit()
            with self.subTest("cancelled"), self.assertRaises(AccessError):
                self.env["finance.reason.wizard"].with_user(self.foreigner).create(
                    {"exception_ids": [(6, 0, exception.ids)], "reason": "Mine"}
                ).action_confirm()
        self.assertEqual(command.state, "failed")
        self.assertEqual(exception.state, "open")

    def test_configuration_stays_in_its_company(self):
        """A credential or endpoint can't be hung under another company's connector."""
        values = {"name": "Mine", "connector_id": self.connector.id}
        with mute_logger("odoo.models"):
            with self.assertRaises(AccessError):
                self.env["finance.credential"].with_user(self.foreigner).create(values)
            with self.assertRaises(AccessError):
                self.env["finance.endpoint"].with_user(self.foreigner).create(
                    {**values, "url": "https://example.com/"}
                )
            with self.assertRaises(AccessError):
                self.env["finance.subscription"].with_user(self.foreigner).create(
                    {"name": "Mine", "endpoint_id": self.endpoint.id, "patterns": "*"}
                )

    def test_both_companies_side_by_side(self):
        """Who works in both sees both, and only what is switched on."""
        mine = self.env["finance.connector"].create(
            {
                "name": "Elsewhere",
                "code": "elsewhere",
                "company_id": self.foreigner.company_id.id,
            }
        )
        self.foreigner.company_ids += self.company
        connectors = self.env["finance.connector"].with_user(self.foreigner)
        both = (self.company | self.foreigner.company_id).ids
        found = connectors.with_context(allowed_company_ids=both).search([])
        self.assertLessEqual(mine | self.connector, found.sudo())
        found = connectors.with_context(allowed_company_ids=self.company.ids).search([])
        self.assertNotIn(mine, found.sudo())
