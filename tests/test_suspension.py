from datetime import timedelta
from unittest.mock import patch

from odoo.tests import tagged

from ..models import clock
from .common import FinanceHubCommon
from .test_health import NOW, HealthCase


@tagged("post_install", "-at_install")
class TestSuspension(HealthCase):
    """cap 101: what fails for days is suspended, and its owner knew before."""

    def setUp(self):
        super().setUp()
        self.owner = self.users["administrator"]
        self.connector.user_id = self.owner
        self.endpoint.suspend_after_days = 10
        self.announced = []
        self.startPatcher(
            patch.object(
                type(self.endpoint),
                "_announce",
                lambda endpoint, verb, reason: self.announced.append((verb, reason)),
            )
        )

    def watch(self, days=None):
        """Let the endpoint fail for so many days, and look."""
        if days is not None:
            self.set_health(
                failing_since=clock.naive(NOW - timedelta(days=days)),
                last_error="The receiver failed (answer 500).",
            )
        self.env.flush_all()
        health = self.env["finance.endpoint.health"]
        with patch.object(
            type(self.env["ir.cron"]), "_commit_progress", lambda *a, **k: 60.0
        ):
            health._cron_watch()
        self.env.invalidate_all()
        return self.endpoint.health_ids

    @property
    def verbs(self):
        return [verb for verb, _reason in self.announced]

    def test_all_is_well(self):
        health = self.watch()
        self.assertEqual((health.notice, self.endpoint.state), (0, "live"))
        self.assertFalse(self.announced)

    def test_each_level_is_told_once(self):
        levels = [(4.9, 0), (5.0, 50), (6.0, 50), (7.1, 70), (8.9, 70), (9.0, 90)]
        told = 0
        for days, level in levels:
            before = self.endpoint.health_ids.notice
            health = self.watch(days)
            self.assertEqual(health.notice, level, days)
            told += level != before
            self.assertEqual(self.verbs, ["degraded"] * told)
            activities = self.endpoint.activity_ids
            self.assertEqual(len(activities), int(told > 0), "one, the newest")
            if told:
                self.assertEqual(activities.user_id, self.owner)
        self.assertIn("In 24 h it will be suspended", activities.note)
        self.assertIn("9 days", self.announced[-1][1])
        self.assertEqual(self.endpoint.state, "live")
        texts = str(self.connector.message_ids.mapped("body"))
        self.assertEqual(texts.count("will be suspended"), 3)

    def test_a_level_that_was_missed(self):
        """Where the scheduled action slept, one notice stands for all before."""
        self.assertEqual(self.watch(9.5).notice, 90)
        self.assertEqual(self.verbs, ["degraded"])

    def test_suspended(self):
        self.watch(9)
        self.watch(10)
        self.assertEqual(self.endpoint.state, "suspended")
        self.assertIn("10 days", self.endpoint.suspended_reason)
        self.assertIn("answer 500", self.endpoint.suspended_reason)
        exception = self.env["finance.exception"].search(
            [("code", "=", "T-SUSPENDED"), ("is_open", "=", True)]
        )
        self.assertEqual(exception._record(), self.endpoint)
        self.assertIn("resume the endpoint", exception.next_step)
        self.assertIn("was suspended", self.endpoint.activity_ids.summary)
        self.assertEqual(len(self.endpoint.activity_ids), 1)
        self.announced.clear()
        self.watch(11)
        self.assertFalse(self.announced, "it is suspended, and said so")
        self.endpoint.with_user(self.owner).action_resume()
        self.assertEqual(exception.state, "resolved")

    def test_resumed_begins_anew(self):
        """Who resumes gets the whole time again, not a suspension within the hour."""
        self.watch(10)
        self.endpoint.with_user(self.owner).action_resume()
        self.watch()
        self.assertEqual(self.endpoint.state, "live")

    def test_recovered(self):
        self.watch(6)
        activity = self.endpoint.activity_ids
        # As the dispatcher does at a success.
        self.set_health(failing_since=None)
        health = self.watch()
        self.assertEqual(health.notice, 0)
        self.assertEqual(self.verbs, ["degraded", "recovered"])
        self.assertFalse(self.endpoint.activity_ids)
        self.assertFalse(activity.exists().filtered("active"))
        self.announced.clear()
        self.watch()
        self.assertFalse(self.announced)

    def test_a_short_failure_is_not_announced(self):
        self.watch(1)
        self.set_health(failing_since=None)
        self.watch()
        self.assertFalse(self.announced)

    def test_never(self):
        self.endpoint.suspend_after_days = 0
        health = self.watch(400)
        self.assertEqual((health.notice, self.endpoint.state), (0, "live"))

    def test_not_while_the_connector_is_off(self):
        self.connector.state = "suspended"
        self.watch(400)
        self.assertEqual(self.endpoint.state, "live")

    def test_owner_who_may_not_see_it(self):
        """An activity can't be given to just anybody; the logs have it all the same."""
        self.connector.user_id = self.env.ref("base.user_admin")
        self.connector.user_id.group_ids -= (
            self.env.ref("finance_hub.group_operator")
            | self.env.ref("finance_hub.group_administrator")
            | self.env.ref("finance_hub.group_approver")
            | self.env.ref("finance_hub.group_auditor")
        )
        self.assertEqual(self.watch(6).notice, 50)
        self.assertFalse(self.endpoint.activity_ids)
        self.assertIn("will be suspended", str(self.endpoint.message_ids[0].body))


@tagged("post_install", "-at_install")
class TestMetaEvents(FinanceHubCommon):
    """Another system can watch this one: degraded, suspended, recovered."""

    def test_announced_for_real(self):
        self.set_clock(NOW)
        watcher = self.make_endpoint(
            "http://127.0.0.1:9998/", self.make_connector("watcher"), "*"
        )
        endpoint = self.make_endpoint("http://127.0.0.1:9999/")
        self.end_transaction()
        health = endpoint.health_ids
        health.failing_since = clock.naive(NOW - timedelta(days=4))
        self.env.flush_all()
        health._watch()
        self.end_transaction()
        health.failing_since = False
        self.env.flush_all()
        health._watch()
        self.end_transaction()
        health.failing_since = clock.naive(NOW - timedelta(days=5))
        self.env.flush_all()
        health._watch()
        self.end_transaction()
        events = (
            self.env["finance.event"]
            .search(
                [("type", "like", "finance.connector."), ("label", "=", endpoint.name)],
                order="id",
            )
            .filtered(
                lambda event: (
                    event.data["connector"]["id"] == str(endpoint.connector_id.id)
                )
            )
        )
        self.assertEqual(
            [event.type.split(".")[2] for event in events],
            ["degraded", "recovered", "suspended"],
        )
        self.assertIn(watcher, events[0].delivery_ids.endpoint_id)
        self.assertNotIn(endpoint, events.delivery_ids.endpoint_id)
        self.assertIn("5 days", events[-1].data["reason"])
