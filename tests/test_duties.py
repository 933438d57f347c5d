from datetime import timedelta

from psycopg2.errors import CheckViolation

from odoo.exceptions import AccessError, RedirectWarning, UserError
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from ..models import clock
from ..models import constants as hub
from ..models.duties import constants
from ..models.duties.finance_duty import REASON
from .common import FinanceHubCommon, ok, status

SECRET = "whsec_" + "A" * 32


class DutiesCase(FinanceHubCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.administrator = cls.users["administrator"]
        cls.approver = cls.users["approver"]
        cls.operator = cls.users["operator"]
        cls.officer = new_test_user(
            cls.env,
            "test_officer",
            "base.group_user,base.group_erp_manager,base.group_partner_manager",
            company_id=cls.company.id,
            company_ids=[(6, 0, cls.company.ids)],
        )

    @classmethod
    def person(cls, login, *groups):
        """Return a user who came by conflicting roles beneath the matrix."""
        return new_test_user(
            cls.env,
            login,
            ",".join(("base.group_user", *groups)),
            company_id=cls.company.id,
            company_ids=[(6, 0, cls.company.ids)],
        )

    def forget(self):
        """Read anew, as after a transaction that was rolled back."""
        self.env.invalidate_all()
        self.env.registry.clear_all_caches()

    def group(self, xmlid):
        return self.env.ref(xmlid)

    def conflict(self, name):
        return self.env.ref(f"finance_hub.duty_conflict_{name}")

    def open_exceptions(self, code, record):
        return self.env["finance.exception"].search(
            [
                ("code", "=", code),
                ("res_model", "=", record._name),
                ("res_id", "=", record.id),
                ("is_open", "=", True),
            ]
        )

    def entries(self, action):
        self.end_transaction()
        return self.env["finance.audit.entry"].search([("action", "=", action)])


@tagged("post_install", "-at_install")
class TestDuties(DutiesCase):
    """cap 72, 87, 94, 98: what must not meet in one person or record, and the gate."""

    def test_roles_of_a_person(self):
        """Refused, asked for a reason or reported, however the role is given."""
        both = self.person("matrix_person", hub.GROUP_ADMINISTRATOR)
        as_officer = both.with_user(self.officer)
        approver = self.group(hub.GROUP_APPROVER)
        refused = "must not be the one who puts it live"
        # Direct, from the group's side, by way of another group, and from the start.
        boss = self.env["res.groups"].create({"name": "Bosses"})
        as_officer.write({"group_ids": [(4, boss.id)]})
        for attempt in (
            lambda: as_officer.write({"group_ids": [(4, approver.id)]}),
            lambda: approver.with_user(self.officer).write(
                {"user_ids": [(4, both.id)]}
            ),
            lambda: boss.with_user(self.officer).write(
                {"implied_ids": [(4, approver.id)]}
            ),
            lambda: (
                self.env["res.users"]
                .with_user(self.officer)
                .with_context(no_reset_password=True)
                .create(
                    {
                        "name": "New",
                        "login": "matrix_new",
                        "group_ids": [
                            (4, approver.id),
                            (4, self.group(hub.GROUP_ADMINISTRATOR).id),
                        ],
                    }
                )
            ),
        ):
            with self.assertRaisesRegex(UserError, refused), self.env.cr.savepoint():
                attempt()
            self.forget()
            self.assertFalse(both.has_group(hub.GROUP_APPROVER))
        # What is there already is in nobody's way.
        as_officer.write({"name": "Renamed", "group_ids": [(4, boss.id)]})
        # A reason is asked for, and goes with the role into the audit trail.
        operator = self.group(hub.GROUP_OPERATOR)
        with self.assertRaises(RedirectWarning) as asked, self.env.cr.savepoint():
            as_officer.write({"group_ids": [(4, operator.id)]})
        self.forget()
        action = asked.exception.args[1]
        wizard = (
            self.env["finance.duty.wizard"]
            .with_user(self.officer)
            .with_context(**action["context"])
            .create({"reason": "Alone until May"})
        )
        wizard.action_confirm()
        self.assertTrue(both.has_group(hub.GROUP_OPERATOR))
        entry = self.entries("duty.accept")
        self.assertEqual((entry.reason, entry.res_id), ("Alone until May", both.id))
        # Only reported: the role is given, and somebody is told.
        rights = self.person("matrix_rights", "base.group_erp_manager")
        rights.with_user(self.officer).write({"group_ids": [(4, approver.id)]})
        self.assertIn("Give Rights", self.open_exceptions("C-SOD", rights).cause)

    def test_report_of_what_came_beneath(self):
        """Who has both is found, once; it ends when the roles are apart again."""
        both = self.person("beneath", hub.GROUP_ADMINISTRATOR, hub.GROUP_APPROVER)
        cron = self.env["finance.duty.conflict"]
        self.end_transaction()
        cron._cron_report()
        found = self.open_exceptions("C-SOD", both)
        self.assertEqual(len(found), 1)
        self.assertEqual(found.klass, "control")
        cron._cron_report()
        self.assertEqual(found.occurrences, 1, "not told twice")
        found._resolve("We are two people")
        cron._cron_report()
        self.assertFalse(self.open_exceptions("C-SOD", both), "somebody decided")
        self.later(hours=1)
        both.write({"group_ids": [(4, self.group(hub.GROUP_OPERATOR).id)]})
        self.end_transaction()
        cron._cron_report()
        self.assertEqual(len(self.open_exceptions("C-SOD", both)), 3, "it changed")
        both.write({"group_ids": [(3, self.group(hub.GROUP_ADMINISTRATOR).id)]})
        cron._cron_report()
        left = self.open_exceptions("C-SOD", both)
        self.assertEqual(left.fingerprint.split(":")[-1], str(self.operate_approve.id))
        # Odoo's own administrator has none of the hub's roles by installing it.
        admin = self.env.ref("base.user_admin")
        self.assertFalse(self.open_exceptions("C-SOD", admin))

    @property
    def operate_approve(self):
        return self.conflict("person_operate_approve")

    def test_record(self):
        """One function decides: refused, with a reason, only reported, allowed."""
        duties = self.env["finance.duty"].with_user(self.approver)
        record = self.make_connector("matrix")
        people = {"requested": self.approver, "configured": self.administrator}
        rule = self.conflict("record_go_live_requested")
        duties._check(record, "go_live", {"requested": self.operator})
        with self.assertRaisesRegex(UserError, "does not grant it"):
            duties._check(record, "go_live", people)
        with self.assertRaisesRegex(AccessError, "^Not you$"):
            duties._check(
                record, "go_live", people, message="Not you", error=AccessError
            )
        # What the matrix does not know is refused.
        with self.assertRaises(UserError):
            duties._check(record, "go_live", {"placed": self.approver})
        rule.effect = "reason"
        with self.assertRaises(UserError):
            duties._check(record, "go_live", people)
        with self.assertRaises(RedirectWarning):
            duties._check(record, "go_live", people, retry="action_approve")
        self.assertFalse(duties._refuses("go_live", people, self.approver))
        duties.with_context(**{REASON: "Nobody else"})._check(record, "go_live", people)
        entry = self.entries("duty.conflict")
        self.assertEqual(entry.reason, "Nobody else")
        self.assertEqual(entry.facts["part"], "requested")
        self.assertFalse(self.open_exceptions("C-SOD", record))
        rule.effect = "report"
        duties._check(record, "go_live", people)
        self.assertTrue(self.open_exceptions("C-SOD", record))
        # The strictest of several parts counts.
        self.conflict("record_go_live_configured").effect = "refuse"
        with self.assertRaises(UserError):
            duties._check(record, "go_live", {**people, "configured": self.approver})
        rule.effect = "allow"
        duties._check(record, "go_live", people)
        self.assertEqual(len(self.entries("duty.conflict")), 2)

    def test_loosening_needs_two(self):
        conflict = self.conflict("record_waive_requested")
        mine = conflict.with_user(self.administrator)
        both = self.person("loosener", hub.GROUP_ADMINISTRATOR, hub.GROUP_APPROVER)
        mine.write({"effect": "allow", "why": "In other words."})
        self.assertEqual(
            (conflict.effect, conflict.proposed_effect, conflict.why),
            ("refuse", "allow", "In other words."),
        )
        mine.action_discard()
        self.assertFalse(conflict.proposed_effect)
        conflict.with_user(both).effect = "reason"
        with self.assertRaisesRegex(UserError, "proposed this yourself"):
            conflict.with_user(both).action_confirm()
        conflict.with_user(self.approver).action_confirm()
        self.assertEqual(
            (conflict.effect, conflict.proposed_by_id.id), ("reason", False)
        )
        rules = self.env["finance.duty"]._rules()
        self.assertEqual(rules["waive", "requested"].effect, "reason")
        with self.assertRaisesRegex(UserError, "Nothing is proposed"):
            conflict.with_user(self.approver).action_confirm()
        # Stricter counts at once, and ends what was proposed.
        mine.effect = "report"
        mine.effect = "refuse"
        self.assertEqual((conflict.effect, conflict.proposed_effect), ("refuse", False))
        # No way round: nor by the fields, nor by deleting, nor what guards itself.
        for attempt in (
            lambda: mine.write({"proposed_effect": "allow"}),
            lambda: mine.write({"is_fixed": True}),
            lambda: mine.write({"scope": "person"}),
            lambda: (
                self.conflict("record_confirm_requested")
                .with_user(self.administrator)
                .write({"effect": "report"})
            ),
            lambda: mine.create(
                {
                    "scope": "record",
                    "duty_id": self.env.ref("finance_hub.duty_waive").id,
                    "other_id": self.env.ref("finance_hub.duty_map").id,
                    "why": "Two decisions are no pair.",
                }
            ),
        ):
            with self.assertRaises(UserError), self.env.cr.savepoint():
                attempt()
        with self.assertRaises(AccessError):
            mine.unlink()
        confirmed = self.entries("duty.conflict.confirm").filtered(
            lambda entry: entry.outcome == "done"
        )
        self.assertEqual(confirmed.before["effect"], "refuse")
        self.assertEqual(confirmed.after["effect"], "reason")

    # === GO-LIVE === #

    def prepare(self, url, **values):
        connectors = self.env["finance.connector"].with_user(self.administrator)
        connector = connectors.create(
            {
                "name": "Gated",
                "code": "gated",
                "company_id": self.company.id,
                "runbook": "<p>Call.</p>",
                **values,
            }
        )
        endpoint = self.make_endpoint(url, connector)
        return connector, endpoint.with_user(self.administrator)

    def test_from_draft_to_live_and_back(self):
        sink = self.receiver()
        connector, endpoint = self.prepare(sink.url, max_failure_percent=0)
        self.assertEqual(connector.max_past_due_minutes, 60, "by its criticality")
        self.assertIn("a largest share of failures", connector.gate_html)
        self.assertIn("a test event that “Endpoint” took", connector.gate_html)
        with self.assertRaisesRegex(UserError, "largest share.*test event"):
            connector.action_request_review()
        connector.max_failure_percent = 5
        # A test that failed is no test, nor one of other settings, nor an old one.
        sink.answers = [status(500)]
        endpoint.action_test()
        self.assertFalse(connector.test_call_ids.passed)
        with self.assertRaisesRegex(UserError, "test event"):
            connector.action_request_review()
        sink.answers = [ok]
        endpoint.action_test()
        connector.action_request_review()
        connector.with_user(self.approver).action_reject()
        endpoint.url = sink.url + "/other"
        with self.assertRaisesRegex(UserError, "test event"):
            connector.action_request_review()
        endpoint.action_test()
        connector.action_request_review()
        with self.subTest("too old"):
            self.later(days=constants.TEST_VALID.days + 1)
            with self.assertRaisesRegex(UserError, "test event"):
                connector.with_user(self.approver).action_approve()
            endpoint.action_test()
        # A second person, whoever of them had a hand in the smallest part of it.
        helper = self.person("helper", hub.GROUP_ADMINISTRATOR, hub.GROUP_APPROVER)
        endpoint.subscription_ids.with_user(helper).name = "Renamed"
        self.assertIn(helper, connector.configured_by_ids)
        with self.assertRaisesRegex(UserError, "somebody else must put it live"):
            connector.with_user(helper).action_approve()
        connector.with_user(self.approver).action_approve()
        self.assertEqual(connector.state, "live")
        self.assertFalse(connector.configured_by_ids)
        self.assertFalse(connector.gate_html)
        # Suspended and not touched: whoever may, resumes it.
        connector.action_suspend()
        connector.action_resume()
        # Changed: the same gate again.
        connector.action_suspend()
        connector.with_user(helper).runbook = "<p>Call me.</p>"
        self.assertTrue(connector.needs_gate)
        with self.assertRaisesRegex(UserError, "An approver who did not change it"):
            connector.action_resume()
        with self.assertRaisesRegex(UserError, "somebody else must put it live"):
            connector.with_user(helper).action_resume()
        endpoint.credential_id.action_revoke()
        with self.assertRaisesRegex(UserError, "a signing secret for endpoint"):
            connector.with_user(self.approver).action_resume()
        endpoint.credential_id._set_secret(SECRET)
        endpoint.action_test()
        connector.with_user(self.approver).action_resume()
        self.assertEqual(connector.state, "live")
        # Who had a hand in it is nobody's to write.
        for values in ({"configured_by_ids": [(5,)]}, {"configured_at": False}):
            with self.assertRaises(UserError):
                connector.write(values)

    def test_incoming(self):
        """What comes in is tried with the format that it is read by."""
        connector = self.make_connector("incoming", state="draft")
        credential = self.make_credential(connector, "inbound", SECRET)
        as_administrator = connector.with_user(self.administrator)
        with self.assertRaisesRegex(UserError, "tried and understood"):
            as_administrator.action_request_review()
        trying = self.env["finance.try.wizard"].with_user(self.administrator)
        for content, passed in (
            ("garbage", False),
            (self.cloud_event(self.captured("INV/1")).decode(), True),
        ):
            trying.create(
                {"connector_id": connector.id, "content": content}
            ).action_try()
            latest = self.env["finance.test.call"].search(
                [("connector_id", "=", connector.id)], limit=1
            )
            self.assertEqual(latest.passed, passed)
        as_administrator.action_request_review()
        as_administrator.with_user(self.approver).action_reject()
        # A secret that has expired, or that nobody can open, verifies nothing.
        credential.expires_at = clock.naive_now() - timedelta(days=1)
        with self.assertRaisesRegex(UserError, "which has expired"):
            as_administrator.action_request_review()
        credential.expires_at = False
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE finance_credential SET secret_token = 'none' WHERE id = %s",
            [credential.id],
        )
        credential.invalidate_recordset()
        with self.assertRaisesRegex(UserError, "encryption key of the secret"):
            as_administrator.action_request_review()

    def test_thresholds(self):
        """Beyond one an exception opens, and closes by itself."""
        sink = self.receiver()
        endpoint = self.make_endpoint(sink.url)
        connector = endpoint.connector_id
        connector.write({"max_open_exceptions": 1, "max_silence_hours": 24})
        cron = self.env["finance.connector"]
        now = clock.naive_now()
        self.env["finance.pulse"].create(
            {
                "endpoint_id": endpoint.id,
                "company_id": self.company.id,
                "lane": "standard",
                "span": "minute",
                "started_at": now - timedelta(minutes=5),
                "delivered": 15,
                "failed": constants.FAILURE_SAMPLE - 15,
                "throttled": 0,
                "duration_ms": 1.0,
            }
        )
        cron._cron_watch_thresholds()
        found = self.open_exceptions("T-THRESHOLD", connector)
        self.assertIn("25.0 % of 20 requests failed", found.cause)
        self.assertNotIn("past due", found.cause)
        self.events_of(self.make_invoice())
        self.later(hours=25)
        cron._cron_watch_thresholds()
        self.assertEqual(found.occurrences, 1, "told once")
        self.assertIn("past due", found.cause)
        self.assertIn("No message came in", found.cause)
        self.assertNotIn("requests failed", found.cause)
        connector.write({"max_past_due_minutes": 0, "max_silence_hours": 0})
        cron._cron_watch_thresholds()
        self.assertEqual(found.state, "resolved")
        for number in range(2):
            self.env["finance.exception"]._open(
                "T-STUCK",
                company=self.company,
                record=connector,
                connector=connector,
                fingerprint=f"test:{number}",
                summary="Stuck",
                cause="Stuck",
            )
        cron._cron_watch_thresholds()
        self.assertIn(
            "More than 1 exceptions are open",
            self.open_exceptions("T-THRESHOLD", connector).cause,
        )


@tagged("post_install", "-at_install")
class TestWhoHoldsWhat(DutiesCase):
    """cap 87, 88, 94, 99: emergency access, who holds what, and the review of it."""

    def ask(self, user=None, **values):
        return (
            self.env["finance.break.glass"]
            .with_user(user or self.helper)
            .create({"role": hub.GROUP_OPERATOR, "reason": "Payments stuck", **values})
        )

    def setUp(self):
        super().setUp()
        self.helper = self.person("helper", hub.GROUP_BREAK_GLASS)

    def test_from_reason_to_review(self):
        helper = self.helper
        connector = self.make_connector("emergency")
        exception = self.env["finance.exception"]._open(
            "T-STUCK",
            company=self.company,
            record=connector,
            connector=connector,
            fingerprint="glass",
            summary="Stuck",
            cause="Stuck",
        )
        with self.assertRaises(AccessError):
            exception.with_user(helper).action_assign_to_me()
        glass = self.ask(hours=2, user_id=self.operator.id)
        self.assertEqual(glass.user_id, helper)
        glass.action_break()
        # At once, through all of Odoo's caches.
        self.assertTrue(helper.has_group(hub.GROUP_OPERATOR))
        exception.with_user(helper).action_assign_to_me()
        menu = self.env.ref("finance_hub.menu_exceptions")
        menus = self.env["ir.ui.menu"].with_user(helper)
        self.assertIn(menu.id, menus._visible_menu_ids())
        # The alarm: exception, activities and mail for approvers and auditors.
        alarm = self.open_exceptions("C-BREAK-GLASS", glass)
        self.assertEqual((alarm.severity, alarm.klass), ("critical", "control"))
        self.assertIn("Payments stuck", alarm.cause)
        told = glass.sudo().activity_ids.user_id
        self.assertLessEqual(self.approver | self.users["auditor"], told)
        self.assertNotIn(helper, told)
        mail = self.env["mail.message"].search(
            [
                ("model", "=", glass._name),
                ("res_id", "=", glass.id),
                ("message_type", "=", "user_notification"),
            ]
        )
        self.assertLessEqual(told.partner_id, mail.partner_ids)
        # Whatever was done meanwhile is marked.
        marked = self.entries("exception.assign_to_me").filtered(
            lambda e: e.actor_uid == helper.id and e.outcome == "done"
        )
        self.assertEqual(
            marked.facts["emergency_access"],
            [{"id": glass.id, "role": hub.GROUP_OPERATOR}],
        )
        # It does not count as a role that conflicts, nor is it longer than it may be.
        self.assertNotIn(helper, self.env["finance.duty.conflict"]._by_person())
        cron = self.env["finance.break.glass"]
        self.later(hours=1)
        cron._cron_end()
        self.assertEqual(glass.state, "active")
        self.later(hours=2, minutes=1)
        cron._cron_end()
        self.assertEqual(glass.state, "ended")
        self.assertFalse(helper.has_group(hub.GROUP_OPERATOR))
        self.assertNotIn(menu.id, menus._visible_menu_ids())
        with self.assertRaises(AccessError):
            exception.with_user(helper).action_assign_to_me()
        self.assertIn("exception.assign_to_me", glass.with_user(self.approver).deeds)
        # Reviewed by a second person, with words.
        reviewed = glass.with_user(self.approver)
        with self.assertRaisesRegex(UserError, "what the review found"):
            reviewed.action_review()
        reviewed.review_note = "It was right."
        reviewed.action_review()
        self.assertEqual((glass.state, alarm.state), ("reviewed", "resolved"))
        self.assertFalse(glass.sudo().activity_ids)
        with self.assertRaisesRegex(UserError, "not waiting for a review"):
            reviewed.review_note = "Other words"
        with self.assertRaises(UserError):
            glass.sudo().unlink()

    def test_who_and_how_long(self):
        with self.assertRaises(AccessError):
            self.ask(self.operator)
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaisesRegex(CheckViolation, "hours_range"),
            self.env.cr.savepoint(),
        ):
            self.ask(hours=constants.GLASS_MAX_HOURS + 1).flush_recordset()
        with self.assertRaises(UserError):
            self.ask(reason="  ")
        glass = self.ask()
        for values in ({"state": "active"}, {"ends_at": "2030-01-01 00:00:00"}):
            with self.assertRaises(UserError):
                glass.write(values)
        # Nobody else's.
        other = self.person("other", hub.GROUP_BREAK_GLASS)
        with self.assertRaises(AccessError):
            glass.with_user(other).action_break()
        glass.action_break()
        with self.assertRaisesRegex(UserError, "and once"):
            glass.action_break()
        with self.assertRaisesRegex(UserError, "have this role already"):
            self.ask().action_break()
        with self.assertRaisesRegex(UserError, "kept as it was"):
            glass.reason = "Something else"
        glass.action_end()
        self.assertFalse(self.helper.has_group(hub.GROUP_OPERATOR))
        self.assertEqual(glass.ended_by_id, self.helper)

    def test_no_self_review_and_no_crash_leaves_a_role(self):
        both = self.person("both", hub.GROUP_BREAK_GLASS, hub.GROUP_APPROVER)
        glass = self.ask(both, role=hub.GROUP_ADMINISTRATOR)
        # The role and the row come and go together.
        with self.env.cr.savepoint() as savepoint:
            glass.action_break()
            self.assertTrue(both.has_group(hub.GROUP_ADMINISTRATOR))
            savepoint.rollback()
        self.forget()
        self.assertFalse(both.has_group(hub.GROUP_ADMINISTRATOR))
        self.assertEqual(glass.state, "draft")
        self.assertFalse(self.env["finance.break.glass"]._in_force())
        glass.action_break()
        # What was restored from a backup, days later, ends at the first run.
        self.later(days=5)
        self.env["finance.break.glass"]._cron_end()
        self.assertFalse(both.has_group(hub.GROUP_ADMINISTRATOR))
        glass.sudo().review_note = "Fine"
        with self.assertRaisesRegex(UserError, "somebody else must review it"):
            glass.action_review()
        # Closing the alarm is no review.
        self.open_exceptions("C-BREAK-GLASS", glass)._resolve("Never mind")
        self.later(days=8)
        self.env["finance.break.glass"]._cron_end()
        self.assertIn(
            "nobody reviewed", self.open_exceptions("C-BREAK-GLASS", glass).cause
        )

    # === WHO HOLDS WHAT === #

    def lines(self, **values):
        self.env.flush_all()
        domain = [(name, "=", value) for name, value in values.items()]
        return self.env["finance.access.line"].search(domain)

    def test_who_holds_what(self):
        both = self.person("both", hub.GROUP_ADMINISTRATOR, hub.GROUP_APPROVER)
        boss = self.env["res.groups"].create(
            {
                "name": "Bosses",
                "implied_ids": [(4, self.group(hub.GROUP_OPERATOR).id)],
            }
        )
        self.administrator.write({"group_ids": [(4, boss.id)]})
        connector = self.make_connector("held", user_id=self.administrator.id)
        credential = self.make_credential(connector, "inbound", SECRET)
        credential.expires_at = "2031-01-01 00:00:00"
        client, _key = self.make_client(connector, "event:read", "ledger:read")
        self.end_transaction()
        line = self.lines(user_id=both.id, group_id=self.group(hub.GROUP_APPROVER).id)
        self.assertEqual((line.way, line.conflict_count), ("direct", 1))
        self.assertIn("must not be the one", line.conflicts)
        self.assertTrue(line.since, "from the audit trail")
        line = self.lines(
            user_id=self.administrator.id, group_id=self.group(hub.GROUP_OPERATOR).id
        )
        self.assertEqual((line.way, line.via_id), ("implied", boss))
        lines = self.lines(client_id=client.id)
        self.assertEqual(set(lines.mapped("what")), {"event:read", "ledger:read"})
        self.assertEqual(lines.owner_id, client.user_id)
        line = self.lines(credential_id=credential.id)
        self.assertEqual(line.owner_id, self.administrator)
        self.assertEqual(str(line.expires_at), "2031-01-01 00:00:00")
        # Odoo's own export, as the auditor does it.
        auditor = self.users["auditor"]
        auditor.write({"group_ids": [(4, self.group("base.group_allow_export").id)]})
        table = line.with_user(auditor).export_data(
            ["kind", "who", "what", "expires_at"]
        )["datas"]
        self.assertEqual(table[0][1:3], ["Connector held", credential.name])

    def test_review_of_a_quarter(self):
        leaver = self.person("leaver", hub.GROUP_OPERATOR)
        boss = self.env["res.groups"].create(
            {
                "name": "Bosses",
                "implied_ids": [(4, self.group(hub.GROUP_OPERATOR).id)],
            }
        )
        implied = self.person("implied")
        implied.write({"group_ids": [(4, boss.id)]})
        connector = self.make_connector("reviewed")
        client, _key = self.make_client(connector, "event:read", "ledger:read")
        credential = self.make_credential(connector, "inbound", SECRET)
        self.set_clock(clock.now().replace(month=5, day=10))
        reviews = self.env["finance.access.review"]
        reviews._cron_tend()
        reviews._cron_tend()
        review = reviews.search([("company_id", "=", self.company.id)])
        self.assertEqual(len(review), 1)
        self.assertEqual((review.quarter.month, review.quarter.day), (4, 1))
        self.assertIn(self.approver, review.activity_ids.user_id)
        self.assertFalse(self.open_exceptions("C-ACCESS-REVIEW", review))
        self.set_clock(clock.now() + constants.REVIEW_DUE + timedelta(days=1))
        reviews._cron_tend()
        alarm = self.open_exceptions("C-ACCESS-REVIEW", review)
        self.assertEqual(alarm.occurrences, 1)
        mine = review.line_ids.with_user(self.approver)

        def line_of(**values):
            return mine.filtered(
                lambda line: all(line[name] == value for name, value in values.items())
            )

        # Asked for the reason first; nobody certifies their own.
        action = line_of(user_id=leaver).action_revoke()
        self.assertTrue(leaver.has_group(hub.GROUP_OPERATOR), "nothing happened yet")
        wizard = (
            self.env["finance.duty.wizard"]
            .with_user(self.approver)
            .with_context(**action["context"])
            .create({"reason": "Left the firm"})
        )
        wizard.action_confirm()
        self.assertFalse(leaver.has_group(hub.GROUP_OPERATOR))
        why = {REASON: "Not needed"}
        with self.assertRaisesRegex(UserError, "is yours"):
            line_of(user_id=self.approver).with_context(**why).action_certify()
        with self.assertRaisesRegex(UserError, "by way of Bosses"):
            line_of(user_id=implied).with_context(**why).action_revoke()
        scope = self.env["finance.scope"].search([("name", "=", "ledger:read")])
        line_of(client_id=client, scope_id=scope).with_context(**why).action_revoke()
        self.assertEqual(client.scope_ids.name, "event:read")
        line_of(credential_id=credential).with_context(**why).action_revoke()
        self.assertEqual(credential.state, "revoked")
        with self.assertRaisesRegex(UserError, "decided already"):
            line_of(credential_id=credential).action_certify()
        with self.assertRaises(AccessError):
            mine.with_user(self.operator).with_context(**why).action_certify()
        left = mine.filtered(lambda line: line.decision == "pending")
        second = self.person("second", hub.GROUP_APPROVER)
        others = left.filtered(lambda line: self.approver not in line.user_id)
        others.with_context(**why).action_certify()
        self.assertEqual(review.state, "open")
        (left - others).with_user(second).with_context(**why).action_certify()
        self.assertEqual((review.state, alarm.state), ("done", "resolved"))
        self.assertEqual(review.revoked_count, 3)
        with self.assertRaises(UserError):
            review.unlink()
        entry = self.entries("access.review.line.revoke")[-1:]
        self.assertEqual(entry.reason, "Left the firm")
