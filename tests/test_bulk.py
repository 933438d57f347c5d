from datetime import datetime, timedelta, timezone
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from ..models import clock, constants
from ..models.control import impact
from ..models.control.differences import differences
from .common import FinanceHubCommon


class DeskCommon(FinanceHubCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.connector = cls.make_connector("bulk")
        cls.operator = cls.users["operator"]
        cls.approver = cls.users["approver"]
        cls.team = cls.env["finance.team"].create(
            {"name": "Bulk Team", "member_ids": [(6, 0, cls.operator.ids)]}
        )
        cls.env["finance.exception.kind"]._of("B-UNMATCHED").team_id = cls.team

    def open(self, number=1, code="B-UNMATCHED", **values):
        exceptions = self.env["finance.exception"]
        for index in range(number):
            exceptions |= exceptions._open(
                code,
                company=self.company,
                record=values.get("record") or self.connector,
                connector=self.connector,
                fingerprint=values.get("fingerprint") or f"bulk:{index}",
                summary=f"A payment fits nothing ({index})",
                cause="It fits nothing.",
                **{
                    k: v
                    for k, v in values.items()
                    if k not in ("record", "fingerprint")
                },
            )
        return exceptions

    def ask(self, exceptions, action, **values):
        """Press a button on a selection, fill in the form, return the bulk action."""
        exceptions = exceptions.with_user(self.operator)
        found = getattr(exceptions, action)()
        wizard = (
            self.env["finance.reason.wizard"]
            .with_user(self.operator)
            .with_context(**found["context"])
            .create({"reason": "Because", **values})
        )
        return self.bulk_of(wizard.action_confirm())

    def bulk_of(self, action):
        return self.env["finance.bulk.action"].browse(action["res_id"])

    def work(self):
        """Run the job that works on bulk actions, as often as it asks to."""
        self.env.flush_all()
        with self.enter_registry_test_mode():
            result = self.env["finance.bulk.action"]._job_run()
        self.env.invalidate_all()
        return result


@tagged("post_install", "-at_install")
class TestBulk(DeskCommon):
    """cap 69: many at once, each judged on its own; what broke off goes on."""

    def test_many_by_a_job_that_is_killed_on_the_way(self):
        count = constants.BULK_PIECE * 2 + 7
        exceptions = self.open(count)
        closed = exceptions[3]
        bulk = self.ask(exceptions, "action_cancel")
        self.assertEqual((bulk.state, bulk.total), ("running", count))
        self.assertEqual(set(exceptions.mapped("state")), {"open"}, "by the job only")
        closed._resolve("Paid meanwhile")
        self.env.flush_all()
        with self.enter_registry_test_mode():
            more = self.env["finance.bulk.action"]._advance(bulk.id)
        self.env.invalidate_all()
        self.assertTrue(more)
        self.assertEqual(
            (bulk.done_count, bulk.skipped_count), (constants.BULK_PIECE - 1, 1)
        )
        self.assertEqual(round(bulk.progress), round(100 * 50 / count))
        # The process dies in the middle of the next piece: nothing of it stays.
        lines = type(self.env["finance.bulk.line"])
        decide, seen = lines._decide, []

        def dying(line):
            seen.append(line.id)
            if len(seen) == 5:
                raise MemoryError("killed")
            return decide(line)

        with (
            patch.object(lines, "_decide", dying),
            self.enter_registry_test_mode(),
            self.assertRaises(MemoryError),
            self.env.cr.savepoint(),
        ):
            self.env["finance.bulk.action"]._advance(bulk.id)
        self.env.invalidate_all()
        self.assertEqual(bulk.done_count, constants.BULK_PIECE - 1)
        self.work()
        self.assertEqual(bulk.state, "done")
        self.assertEqual((bulk.done_count, bulk.skipped_count), (count - 1, 1))
        self.assertEqual(bulk.progress, 100.0)
        self.assertEqual(set((exceptions - closed).mapped("state")), {"cancelled"})
        self.assertEqual(closed.state, "resolved")
        self.assertEqual(
            bulk.line_ids.filtered(lambda line: line.state == "skipped").message,
            "It is closed already.",
        )
        one = exceptions[10]
        self.assertEqual(one.resolved_by_id, self.operator)
        logged = one.message_ids.filtered(lambda m: "Because" in (m.body or ""))
        self.assertEqual(len(logged), 1, "once each, whatever broke off")
        self.assertEqual(logged.author_id, self.operator.partner_id)
        self.assertEqual(self.work(), "0 pieces")

    def test_a_few_at_once_each_judged_on_its_own(self):
        invoice = self.make_invoice(10.0)
        commands = []
        shop = self.make_connector("bulkshop")
        for number in (1, 2):
            self.receive(
                shop,
                self.cloud_event(
                    self.captured(f"ORDER-{number}", f"pay_{number}"), f"m{number}"
                ),
                f"m{number}",
            )
        self.process()
        failed = self.env["finance.exception"].search(
            [("connector_id", "=", shop.id), ("code", "=", "B-UNMATCHED")]
        )
        self.assertEqual(len(failed), 2)
        self.assertEqual(failed[0].same_cause_count, 1)
        other = self.open(1, record=invoice)
        bulk = self.bulk_of((failed | other).with_user(self.operator).action_retry())
        self.assertEqual(bulk.state, "done")
        self.assertEqual(
            (bulk.done_count, bulk.skipped_count, bulk.failed_count), (2, 1, 0)
        )
        commands = failed.command_id
        self.assertEqual(set(commands.mapped("state")), {"received"})
        self.process()
        # From one of them all that have the cause are tried again.
        bulk = self.bulk_of(failed[0].with_user(self.operator).action_retry_cause())
        self.assertEqual((bulk.action, bulk.total, bulk.done_count), ("retry", 2, 2))

    def test_reassigned_snoozed_waived_and_granted(self):
        exceptions = self.open(3)
        colleague = self.operator.copy(
            {
                "login": "colleague",
                "name": "Colleague",
                "email": "colleague@example.com",
            }
        )
        bulk = self.ask(exceptions, "action_reassign", user_id=colleague.id)
        self.assertEqual((bulk.state, bulk.done_count), ("done", 3))
        self.assertEqual(exceptions.user_id, colleague)
        with self.assertRaisesRegex(UserError, "Choose a team"):
            self.ask(exceptions, "action_reassign")
        with self.assertRaisesRegex(UserError, "still to come"):
            self.ask(exceptions, "action_snooze", until="2020-01-01 00:00:00")
        self.ask(exceptions, "action_snooze", until="2099-01-01 00:00:00")
        self.assertTrue(all(exceptions.mapped("is_snoozed")))
        self.ask(exceptions[:2], "action_waive")
        again = self.ask(exceptions, "action_waive")
        self.assertEqual((again.done_count, again.skipped_count), (1, 2))
        # One of them was asked for by the approver: that one stays, the others go.
        exceptions[0].waiver_requested_by_id = self.approver
        bulk = self.bulk_of(exceptions.with_user(self.approver).action_grant_waiver())
        self.assertEqual((bulk.done_count, bulk.failed_count), (2, 1))
        self.assertEqual(exceptions[0].state, "open")
        failed = bulk.line_ids.filtered(lambda line: line.state == "failed")
        self.assertIn("somebody else", failed.message)
        left = bulk.with_user(self.approver).action_open_failed()
        self.assertEqual(left["domain"], [("id", "in", exceptions[0].ids)])
        for method in ("action_retry", "action_cancel"):
            with self.assertRaises(AccessError):
                getattr(exceptions.with_user(self.approver), method)()

    def test_stopped(self):
        exceptions = self.open(constants.BULK_AT_ONCE + 1)
        bulk = self.ask(exceptions, "action_cancel")
        with self.assertRaisesRegex(UserError, "Only"):
            bulk.with_user(self.approver).action_stop()
        bulk.with_user(self.operator).action_stop()
        self.work()
        self.assertEqual((bulk.state, bulk.done_count), ("stopped", 0))
        self.assertEqual(set(exceptions.mapped("state")), {"open"})


@tagged("post_install", "-at_install")
class TestAlerts(DeskCommon):
    """cap 61, 82, 84: ranked by impact; each person told once, in their words."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.operator.email = "operator@example.com"
        cls.operator.tz = "Europe/Berlin"
        cls.team.leader_id = cls.operator

    def mails(self):
        return self.env["mail.mail"].search(
            [("email_to", "like", "operator@example.com")], order="id"
        )

    def test_rank(self):
        rank = impact.rank
        self.assertGreater(rank("high", None, None), rank("medium", 9999, "critical"))
        self.assertGreater(rank("medium", 5e6, None), rank("medium", 500, None))
        self.assertEqual(rank("low", 0.01, None), rank("low", None, None))
        self.assertEqual(rank("low", -500, None), rank("low", 500, None))
        self.assertGreater(
            rank("low", None, "standard", late=True),
            rank("low", None, "standard", warned=True),
        )
        self.assertEqual(
            rank("info", 1e30, "critical", late=True, level=99),
            constants.RANK_AMOUNT_MAX
            + constants.RANK_CRITICALITY["critical"]
            + constants.RANK_LATE
            + constants.RANK_ESCALATED * constants.RANK_ESCALATED_MAX,
        )
        dollar, euro = self.env.ref("base.USD"), self.env.ref("base.EUR")
        euro.active = True
        self.env["res.currency.rate"].create(
            {
                "currency_id": euro.id,
                "rate": 0.5,
                "name": "2020-01-01",
                "company_id": self.company.id,
            }
        )
        small = self.open(fingerprint="a", amount=100.0, currency=dollar)
        large = self.open(fingerprint="b", amount=90000.0, currency=euro)
        none = self.open(fingerprint="c")
        self.assertEqual(large.amount_company, 180000.0)
        self.assertEqual((large | none | small).sorted(), large | small | none)

    def test_told_once_for_a_cause(self):
        exceptions = self.open(3)
        exceptions.write({"team_id": self.team.id})
        start = clock.now()
        due = clock.naive(start + timedelta(hours=4))
        exceptions.write({"due_at": due, "opened_at": clock.naive(start)})
        watch = self.env["finance.exception"]._cron_watch_due
        mail = self.env["finance.alert"]._cron_mail
        before = self.mails()
        self.set_clock(start + timedelta(hours=3, minutes=30))
        watch()
        self.assertEqual(len(exceptions.activity_ids), 1)
        self.assertIn("more with the same cause", exceptions.activity_ids.note)
        mail()
        sent = self.mails() - before
        self.assertEqual(len(sent), 1)
        self.assertIn("3 exceptions need you", sent.subject)
        for exception in exceptions:
            self.assertIn(f"/finance.exception/{exception.id}", sent.body_html)
        rank = exceptions[0].rank
        self.set_clock(start + timedelta(hours=4, minutes=10))
        watch()
        mail()
        self.assertEqual(len(self.mails() - before), 1, "within the window")
        self.assertGreater(exceptions[0].rank, rank, "what is late weighs more")
        # The one with the activity is solved: it goes over to another.
        holder = exceptions.filtered("activity_ids")
        holder._resolve("Found")
        left = exceptions - holder
        self.assertFalse(holder.activity_ids)
        self.assertEqual(len(left.activity_ids), 1)
        self.set_clock(start + timedelta(hours=5))
        mail()
        latest = (self.mails() - before)[-1:]
        self.assertIn("2 exceptions", latest.subject)
        self.assertNotIn(f"/finance.exception/{holder.id}", latest.body_html)
        left._resolve("Found, too")
        self.assertFalse(exceptions.activity_ids)

    def test_digest(self):
        digests = self.env["finance.digest"]
        self.env["res.users"].search([]).finance_digest = "none"
        self.operator.write({"finance_digest": "team", "finance_digest_sent_at": False})
        self.team.digest = "daily"
        self.env["finance.exception"].search([]).write(
            {"team_id": False, "user_id": False}
        )
        before = self.mails()
        # 05:30 in Berlin: too early; the window of yesterday has nothing to say.
        self.set_clock(datetime(2026, 3, 10, 4, 30, tzinfo=timezone.utc))
        digests._cron_send()
        self.assertFalse(self.mails() - before)
        usd = self.env.ref("base.USD")
        exception = self.open(
            fingerprint="mine",
            amount=1234.5,
            currency=usd,
            due_at=clock.naive(datetime(2026, 3, 10, 3, tzinfo=timezone.utc)),
        )
        digests._cron_send()
        self.assertFalse(self.mails() - before, "this window was looked at")
        self.set_clock(datetime(2026, 3, 10, 6, 5, tzinfo=timezone.utc))
        digests._cron_send()
        digests._cron_send()
        (mail,) = self.mails() - before
        self.assertIn("1 exceptions open", mail.subject)
        self.assertIn(exception.summary, mail.body_html)
        self.assertIn("1,234.50", mail.body_html)
        # In the person's time zone.
        self.assertRegex(mail.body_html, "4:00")
        # Nobody else's companies.
        exception.user_id = self.operator
        exception.team_id = False
        elsewhere = self.env["res.company"].create({"name": "Elsewhere"})
        exception.company_id = elsewhere
        self.set_clock(datetime(2026, 3, 11, 6, 5, tzinfo=timezone.utc))
        digests._cron_send()
        self.assertEqual(len(self.mails() - before), 1)
        exception.company_id = self.company
        # Weekly: on Monday morning, and once.
        self.operator.finance_digest = "weekly"
        for day in (12, 13, 14, 15, 16, 17):
            self.set_clock(datetime(2026, 3, day, 6, 5, tzinfo=timezone.utc))
            digests._cron_send()
        self.assertEqual(len(self.mails() - before), 2)
        # Off.
        self.operator.finance_digest = "none"
        self.set_clock(datetime(2026, 3, 23, 6, 5, tzinfo=timezone.utc))
        digests._cron_send()
        self.assertEqual(len(self.mails() - before), 2)

    def test_own_preferences(self):
        self.operator.with_user(self.operator).finance_digest = "weekly"
        self.assertEqual(self.operator.finance_digest, "weekly")
        with self.assertRaises(AccessError):
            self.approver.with_user(self.operator).finance_digest = "none"


@tagged("post_install", "-at_install")
class TestCorrections(DeskCommon):
    """cap 69, 93: the original is kept, and a second person sees what changed."""

    def test_difference(self):
        old = {"a": 1, "lines": [{"x": "1"}, {"x": "2"}], "gone": None, "same": []}
        new = {"a": 1, "lines": [{"x": "1"}, {"x": "3"}, {}], "more": "é", "same": []}
        self.assertEqual(
            differences(old, new),
            [
                ("lines/1/x", '"2"', '"3"'),
                ("more", None, '"é"'),
            ],
        )
        self.assertEqual(differences(old, old), [])

    def test_a_changed_amount_needs_a_second_person(self):
        invoice = self.make_invoice(100.0)
        shop = self.make_connector("correctshop")
        _outcome, message = self.receive(
            shop, self.cloud_event(self.captured("ORDER-1", amount="10.00"), "c1"), "c1"
        )
        self.process()
        failed = message.command_ids
        exception = failed._exceptions()
        data = self.captured(invoice.name)
        both = self.operator
        both.group_ids += self.env.ref("finance_hub.group_approver")
        wizard = (
            self.env["finance.correct.wizard"]
            .with_user(both)
            .create(
                {
                    "command_id": failed.id,
                    "reason": "The provider said so",
                    "content": '{"amount": "10.00"}',
                }
            )
        )
        self.assertTrue(wizard.needs_approval)
        correction = failed.with_user(both)._correct(data, "The provider said so")
        self.process()
        self.assertEqual((failed.state, correction.state), ("superseded", "held"))
        self.assertEqual(invoice.payment_state, "not_paid")
        shown = correction.with_user(self.approver).difference_html
        for text in ("amount", "10.00", "100.00", "document_ref", invoice.name):
            self.assertIn(text, shown)
        pending = self.env["finance.approval"]._pending(correction)
        with self.assertRaisesRegex(UserError, "somebody else"):
            pending.with_user(both)._decide_by_person("approved", "Me")
        pending.with_user(self.approver)._decide_by_person("rejected", "Not so")
        self.assertEqual((failed.state, correction.state), ("failed", "ignored"))
        self.assertEqual((exception.state, exception.command_id), ("open", failed))
        again = failed.with_user(both)._correct(data, "Look at the statement")
        pending = self.env["finance.approval"]._pending(again)
        pending.with_user(self.approver)._decide_by_person("approved", "Seen it")
        self.process()
        self.assertEqual(again.state, "applied")
        self.assertEqual(invoice.payment_state, "paid")
        self.assertEqual(exception.state, "resolved")

    def test_encrypted_content_is_for_those_with_the_right(self):
        shop = self.make_connector("secretshop", encrypt_bodies=True)
        _outcome, message = self.receive(
            shop, self.cloud_event(self.captured("ORDER-1"), "e1"), "e1"
        )
        self.process()
        command = message.command_ids.with_user(self.operator)
        self.assertTrue(message.encrypted)
        self.assertNotIn("ORDER-1", command.data_text)
        with self.assertRaisesRegex(UserError, "confidential"):
            command.action_correct()
        with self.assertRaisesRegex(UserError, "confidential"):
            command._correct(self.captured("ORDER-2"), "Guess")
        self.operator.group_ids += self.env.ref("finance_hub.group_confidential")
        command.invalidate_recordset()
        self.assertIn("ORDER-1", command.data_text)
        self.assertTrue(command.action_correct())

    def test_the_form_tells_what_can_be_done(self):
        invoice = self.make_invoice(100.0)
        shop = self.make_connector("storyshop")
        _outcome, message = self.receive(
            shop, self.cloud_event(self.captured("ORDER-9", "pay_9"), "s1"), "s1"
        )
        self.process()
        exception = message.command_ids._exceptions().with_user(self.operator)
        guide = exception.guide_html
        for name in ("Link", "Correct", "Retry", "Ask to Waive", "Cancel"):
            self.assertIn(f"<b>{name}", guide)
        self.assertNotIn("Solved by Hand", guide)
        self.assertIn("/odoo/finance.command/", exception.concerns_html)
        self.assertTrue(exception.step_ids)
        payload = exception.action_open_payload()
        self.assertEqual(payload["res_id"], message.id)
        exception._link(invoice, "Told so")
        self.process()
        self.assertFalse(exception.guide_html)
        self.assertIn(f"/odoo/account.move/{invoice.id}", exception.concerns_html)
