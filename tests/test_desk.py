from datetime import datetime, timedelta, timezone

from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, tagged

from ..contracts import TAXONOMY
from ..models import clock
from .common import FinanceHubCommon, status


@tagged("post_install", "-at_install")
class TestDesk(FinanceHubCommon):
    """cap 61, 66, 67, 69, 71: one queue, run by people, with service times."""

    def setUp(self):
        super().setUp()
        self.connector = self.make_connector("desk")
        self.operator = self.users["operator"]
        self.approver = self.users["approver"]
        self.kind = self.env["finance.exception.kind"]._of("B-UNMATCHED")
        self.leader = self.env["res.users"].create(
            {
                "name": "Desk Leader",
                "login": "desk-leader",
                "group_ids": [(4, self.env.ref("finance_hub.group_operator").id)],
            }
        )
        self.team = self.env["finance.team"].create(
            {"name": "Desk Team", "leader_id": self.leader.id}
        )
        self.kind.team_id = self.team

    def open(self, fingerprint="desk:1", code="B-UNMATCHED", **values):
        return self.env["finance.exception"]._open(
            code,
            company=self.env.company,
            record=self.connector,
            connector=self.connector,
            fingerprint=fingerprint,
            summary="A payment fits nothing",
            cause="It fits nothing.",
            **values,
        )

    def wizard(self, exceptions, action, user=None, **values):
        exceptions = exceptions.with_user(user or self.operator)
        found = getattr(exceptions, action)()
        wizard = (
            self.env["finance.reason.wizard"]
            .with_user(user or self.operator)
            .with_context(**found["context"])
            .create({"reason": "Because", **values})
        )
        wizard.action_confirm()

    # === TAXONOMY === #

    def test_every_code_is_a_row_and_stays_as_people_made_it(self):
        kinds = self.env["finance.exception.kind"]
        self.assertEqual(set(kinds.search([]).mapped("code")), set(TAXONOMY))
        self.kind.write({"severity": "critical", "due_hours": 3})
        kinds._sync()
        self.assertEqual(self.kind.severity, "critical")
        exception = self.open()
        self.assertEqual(exception.severity, "critical")
        self.assertEqual(exception.severity_rank, 0)
        self.assertEqual(exception.team_id, self.team)
        self.assertEqual(exception.due_at - exception.opened_at, timedelta(hours=3))

    def test_due_times_count_working_hours(self):
        self.team.calendar_id = self.env["resource.calendar"].create(
            {
                "name": "Weekdays",
                "tz": "UTC",
                "attendance_ids": [
                    (
                        0,
                        0,
                        {
                            "name": day,
                            "dayofweek": day,
                            "hour_from": 8,
                            "hour_to": 16,
                            "day_period": "morning",
                        },
                    )
                    for day in "01234"
                ],
            }
        )
        self.kind.due_hours = 4
        # A Friday, two hours before the office closes: two hours are left on Monday.
        self.set_clock(datetime(2026, 3, 13, 14, tzinfo=timezone.utc))
        exception = self.open()
        self.assertEqual(str(exception.due_at), "2026-03-16 10:00:00")

    def test_the_case_itself_can_say_when(self):
        due = clock.naive_now() + timedelta(days=9)
        self.assertEqual(self.open(due_at=due).due_at, due)

    # === ACTIONS === #

    def test_snooze(self):
        exception = self.open()
        until = clock.naive_now() + timedelta(days=1)
        self.wizard(exception, "action_snooze", until=until)
        self.assertTrue(exception.is_snoozed)
        self.assertEqual(exception.state, "open")
        with self.assertRaisesRegex(UserError, "still to come"):
            self.wizard(
                exception, "action_snooze", until=clock.naive_now() - timedelta(hours=1)
            )
        self.assertFalse(self.open().is_snoozed, "it happened again")

    def test_reassign(self):
        exceptions = self.open() | self.open("desk:2")
        other = self.env["finance.team"].create({"name": "Others"})
        self.wizard(
            exceptions, "action_reassign", team_id=other.id, user_id=self.leader.id
        )
        self.assertEqual(exceptions.team_id, other)
        self.assertEqual(exceptions.user_id, self.leader)
        self.assertEqual(exceptions.activity_ids.user_id, self.leader)
        with self.assertRaisesRegex(UserError, "Choose a team"):
            self.wizard(exceptions, "action_reassign")

    def test_a_second_person_waives(self):
        exception = self.open()
        self.wizard(exception, "action_waive")
        self.assertTrue(exception.is_open)
        with self.assertRaises(AccessError):
            exception.with_user(self.operator).action_grant_waiver()
        both = self.env["res.users"].create(
            {
                "name": "Both",
                "login": "desk-both",
                "group_ids": [
                    (4, self.env.ref("finance_hub.group_operator").id),
                    (4, self.env.ref("finance_hub.group_approver").id),
                ],
            }
        )
        exception.waiver_requested_by_id = both
        with self.assertRaisesRegex(AccessError, "somebody else"):
            exception.with_user(both).action_grant_waiver()
        exception.with_user(self.approver).action_grant_waiver()
        self.assertEqual(exception.state, "cancelled")
        self.assertEqual(exception.waiver_state, "granted")
        self.assertEqual(exception.resolved_by_id, self.approver)
        self.assertIn("Because", exception.resolution)

    def test_a_waiver_can_be_refused(self):
        exception = self.open()
        self.wizard(exception, "action_waive")
        exception.with_user(self.approver).action_refuse_waiver()
        self.assertTrue(exception.is_open)
        self.assertFalse(exception.waiver_state)
        with self.assertRaisesRegex(UserError, "Nobody asked"):
            exception.with_user(self.approver).action_grant_waiver()

    def test_a_waived_delivery_lets_its_successors_go(self):
        sink = self.receiver()
        sink.answers = [status(500)]
        endpoint = self.make_endpoint(sink.url, retry_schedule="0")
        self.make_invoice()
        self.dispatch()
        exception = self.env["finance.exception"].search(
            [("connector_id", "=", endpoint.connector_id.id)], limit=1
        )
        self.wizard(exception, "action_waive")
        exception.with_user(self.approver).action_grant_waiver()
        self.assertNotIn("dead", exception.delivery_ids.mapped("state"))

    def test_how_others_solved_it(self):
        solved = self.open()
        solved.with_user(self.operator)._solve("Found the invoice of last year")
        again = self.open("desk:other")
        self.assertEqual(again.similar_ids, solved)

    # === SERVICE TIMES === #

    def test_warned_then_escalated_once_each(self):
        boss_team = self.env["finance.team"].create(
            {"name": "Boss Team", "leader_id": self.approver.id}
        )
        self.team.escalate_to_id = boss_team
        self.kind.due_hours = 4
        exception = self.open()
        watch = self.env["finance.exception"]._cron_watch_due
        watch()
        self.assertFalse(exception.warned)
        start = clock.now()
        self.set_clock(start + timedelta(hours=3, minutes=10))
        watch()
        watch()
        self.assertTrue(exception.warned)
        self.assertEqual(len(exception.activity_ids), 1)
        self.assertEqual(exception.activity_ids.user_id, self.leader)
        self.set_clock(start + timedelta(hours=4, minutes=10))
        watch()
        watch()
        self.assertEqual(exception.escalation_level, 1)
        self.assertEqual(exception.escalated_to_id, self.team)
        self.set_clock(start + timedelta(hours=8, minutes=10))
        watch()
        self.assertEqual(exception.escalation_level, 2)
        self.assertEqual(exception.escalated_to_id, boss_team)
        self.set_clock(start + timedelta(days=9))
        watch()
        self.assertEqual(exception.escalation_level, 2, "the chain has ended")
        self.end_transaction()
        events = self.events_of(exception).filtered(
            lambda event: event.type == "finance.exception.escalated.v1"
        )
        self.assertTrue(events)
        self.assertEqual(events[-1:].data["escalated_to"], "Boss Team")

    def test_what_is_snoozed_is_not_escalated(self):
        self.kind.due_hours = 1
        exception = self.open()
        start = clock.now()
        self.wizard(
            exception, "action_snooze", until=clock.naive_now() + timedelta(days=2)
        )
        self.set_clock(start + timedelta(hours=5))
        self.env["finance.exception"]._cron_watch_due()
        self.assertEqual(exception.escalation_level, 0)

    def test_a_chain_ends(self):
        other = self.env["finance.team"].create(
            {"name": "After", "escalate_to_id": self.team.id}
        )
        with self.assertRaisesRegex(UserError, "must end"):
            self.team.escalate_to_id = other

    # === SCREENS === #

    def test_kinds_are_changed_by_administrators(self):
        administrator = self.users["administrator"]
        with Form(self.kind.with_user(administrator)) as form:
            form.due_hours = 2
        with self.assertRaises(AccessError):
            self.kind.with_user(self.operator).due_hours = 3
