import random
from datetime import datetime, timedelta, timezone
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged

from ..models import clock
from .common import FinanceHubCommon

THRESHOLDS = {
    "max_failure_rate": 10,
    "max_past_due_hours": 24,
    "max_open_exceptions": 10,
    "runbook": "<p>Look at the step, correct it, look again.</p>",
}


def day(*parts):
    """Return a moment as Odoo stores it."""
    return clock.naive(datetime(*parts, tzinfo=timezone.utc))


class FlowCommon(FinanceHubCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.administrator = cls.users["administrator"]
        cls.approver = cls.users["approver"]
        cls.operator = cls.users["operator"]
        cls.processes = cls.env["finance.process"]
        cls.shop = cls.make_connector("shop")
        cls.team = cls.env["finance.team"].create(
            {"name": "Flow team (test)", "leader_id": cls.operator.id}
        )

    @classmethod
    def make_flow(cls, *steps, state="live", **values):
        """Return a flow; ``steps`` are values of its steps, in order."""
        flow = cls.env["finance.flow"].create(
            {
                "name": "Flow",
                "company_id": cls.company.id,
                "user_id": cls.administrator.id,
                "team_id": cls.team.id,
                "start_event": "finance.invoice.posted",
                **THRESHOLDS,
                "step_ids": [
                    (0, 0, {"name": f"Step {number}", "sequence": number, **step})
                    for number, step in enumerate(steps, 1)
                ],
                **values,
            }
        )
        flow.write({"state": state, "approved_at": day(2020, 1, 1)})
        return flow

    def advance(self):
        """Run the engine as its scheduled action does."""
        self.end_transaction()
        with patch.object(type(self.env["ir.cron"]), "_commit_progress") as progress:
            progress.return_value = 60.0
            self.processes._cron_advance()
        self.env.invalidate_all()

    def process_of(self, flow):
        return self.processes.search([("flow_id", "=", flow.id)])

    def states(self, process):
        return process.step_ids.mapped("state")

    def exceptions(self, code, record=None):
        domain = [("code", "=", code), ("is_open", "=", True)]
        if record:
            domain += [("res_model", "=", record._name), ("res_id", "=", record.id)]
        return self.env["finance.exception"].search(domain)

    def send(self, command, data, message_id):
        body = self.cloud_event(data, message_id, type=f"{command}.v1")
        self.receive(self.shop, body, message_id)
        self.process()

    def decide(self, approval, decision, user=None):
        approval.with_user(user or self.approver)._decide_by_person(decision, "Because")


@tagged("post_install", "-at_install")
class TestFlowSetup(FlowCommon):
    """cap 53, 62, 72, 73: a flow is declared, reviewed and put live by two people."""

    def test_goes_live_by_a_second_person_and_whole_only(self):
        template = self.env.ref("finance_hub.flow_template_invoice_approval")
        with self.assertRaises(AccessError):
            template.with_user(self.operator).action_use_template()
        action = template.with_user(self.administrator).action_use_template()
        flow = self.env["finance.flow"].with_user(self.administrator)
        flow = flow.browse(action["res_id"])
        self.assertEqual((flow.state, flow.is_template), ("draft", False))
        self.assertEqual(flow.template_id, template)
        self.assertEqual(len(flow.step_ids), len(template.step_ids))
        for name in ("user_id", "runbook", *list(THRESHOLDS)[:3]):
            kept = flow[name]
            flow[name] = False
            with self.subTest(name), self.assertRaises(UserError):
                flow.action_request_review()
            flow[name] = kept
        flow.action_request_review()
        with self.assertRaises(UserError):
            flow.step_ids[0].name = "Changed under review"
        with self.assertRaises(AccessError):
            flow.action_approve()
        self.administrator.group_ids += self.env.ref("finance_hub.group_approver")
        with self.assertRaises(UserError):
            flow.action_approve()
        flow.with_user(self.approver).action_approve()
        self.assertEqual(flow.state, "live")
        with self.assertRaises(UserError):
            flow.write({"start_filter": "[]"})
        with self.assertRaises(UserError):
            flow.state = "draft"
        newer = flow.browse(flow.action_new_version()["res_id"])
        self.assertEqual(flow.action_new_version()["res_id"], newer.id)
        self.assertEqual((newer.version, newer.previous_id), (2, flow))
        # Who changed a step before others did can't approve it either.
        both = self.approver.copy({"login": "changed-and-approves"})
        both.group_ids += self.env.ref("finance_hub.group_administrator")
        newer.with_user(both).step_ids[0].service_hours = 5
        newer.step_ids[0].service_hours = 6
        newer.action_request_review()
        with self.assertRaisesRegex(UserError, "somebody else"):
            newer.with_user(both).action_approve()
        newer.with_user(self.approver).action_approve()
        self.assertEqual((newer.state, flow.state), ("live", "retired"))
        self.assertEqual(newer.changed_by_ids, self.administrator | both)
        self.end_transaction()
        entries = self.env["finance.audit.entry"].search(
            [("action", "in", ("flow.approve", "flow.request_review"))]
        )
        self.assertEqual(
            sorted(entries.mapped("action")),
            ["flow.approve"] * 2 + ["flow.request_review"] * 2,
        )

    def test_templates(self):
        """cap 57, 58, 62, 63: each is whole, can be copied, and never runs itself."""
        templates = self.env["finance.flow"].search([("is_template", "=", True)])
        self.assertGreaterEqual(len(templates), 8)
        for template in templates:
            with self.subTest(template.name):
                quiet = template.with_context(tracking_disable=True)
                flow = quiet.copy({"user_id": self.administrator.id})
                self.assertFalse(flow.is_template)
                flow._check_ready()
                self.assertTrue(flow.step_ids.filtered("service_hours"))
                with self.assertRaises(UserError):
                    template.with_user(self.administrator).name = "Mine"
                with self.assertRaises(UserError):
                    template.with_user(self.administrator).step_ids[0].name = "Mine"
                with self.assertRaises(UserError):
                    template.with_user(self.administrator).action_request_review()
        self.make_invoice()
        self.advance()
        self.assertFalse(self.process_of(templates[:1]))

    def test_nonsense_is_refused(self):
        for step in (
            {"kind": "wait", "wait_for": "event"},
            {"kind": "check", "condition": ""},
            {"kind": "check", "condition": "nonsense("},
            {"kind": "check", "condition": "__import__('os')"},
        ):
            with self.subTest(step), self.assertRaises(ValidationError):
                self.make_flow(step)
        with self.assertRaises(ValidationError):
            self.make_flow(start_filter="[('total_amuont', '>', 1)]")
        with self.assertRaises(ValidationError):
            self.make_flow(start_kind="command")

    def test_started_by_a_person(self):
        flow = self.make_flow({"kind": "task"}, start_kind="person", start_event=False)
        invoice = self.make_invoice(post=False)
        wizard = (
            self.env["finance.process.start.wizard"]
            .with_user(self.operator)
            .with_context(active_model="account.move", active_ids=invoice.ids)
            .create({"flow_id": flow.id})
        )
        action = wizard.action_start()
        process = self.processes.search(action["domain"])
        self.assertEqual(process.start_user_id, self.operator)
        self.assertEqual(process.step_id.state, "active")
        with self.assertRaises(AccessError):
            self.processes.with_user(self.approver)._begin_by_person(flow, invoice)
        process.step_id.with_user(self.operator).action_done()
        self.assertEqual(process.state, "done")
        self.assertEqual(process.step_ids.done_by, self.operator.name)


@tagged("post_install", "-at_install")
class TestFlows(FlowCommon):
    """cap 53, 57, 61, 63, 64, 81, 85: processes follow what is recorded."""

    def test_an_invoice_is_followed_until_it_is_paid(self):
        flow = self.make_flow(
            {
                "kind": "check",
                "condition": "[('amount_total', '>', 0)]",
                "milestone": "initiated",
            },
            {"wait_event": "finance.invoice.paid", "service_hours": 48},
            {"kind": "notify"},
            start_filter="[('total_amount', '>', 50)]",
        )
        small, invoice = self.make_invoice(20.0), self.make_invoice(100.0)
        self.advance()
        process = self.process_of(flow)
        self.assertEqual(process._record(), invoice)
        self.assertFalse(self.processes.search([("res_id", "=", small.id)]))
        self.assertEqual(self.states(process), ["done", "active", "pending"])
        self.assertIn("Invoice paid", process.step_id.why)
        self.send("payment.captured", self.captured(invoice.name), "m1")
        self.advance()
        self.assertEqual(process.state, "done")
        self.assertEqual(process.counted, "on_time")
        paid = process.step_ids[1]
        self.assertIn("Invoice paid", paid.done_by)
        self.assertEqual(paid.on_time, "yes")
        self.assertEqual(flow.attainment_day, "100 %")
        # The same facts once more change nothing.
        self.processes._read_facts()
        self.advance()
        self.assertEqual(len(self.process_of(flow)), 1)
        self.assertEqual(self.env["finance.flow.tally"].search([]).on_time, 1)
        transaction = self.env["finance.transaction"].search([], limit=1)
        self.assertIn(process, transaction.process_ids)
        for word in ("Initiated", "Posted", "Reported"):
            self.assertIn(word, transaction.milestone_text)
        self.assertIn(invoice.name, process.document_text)

    def test_a_payment_is_released(self):
        """A check that fails, a hold, a consent by somebody else, and the posting."""
        flow = self.make_flow(
            {"kind": "check", "condition": "[('memo', '!=', False)]"},
            {"kind": "hold", "hold_kind": "risk"},
            {"kind": "approval", "service_hours": 8},
            {"kind": "post"},
            start_event="finance.payment.created",
            start_filter="[('direction', '=', 'outbound')]",
        )
        payment = self.env["account.payment"].create(
            {
                "payment_type": "outbound",
                "partner_type": "supplier",
                "partner_id": self.partner_a.id,
                "amount": 70.0,
                "journal_id": self.journal.id,
            }
        )
        self.advance()
        process = self.process_of(flow)
        self.assertEqual(process.state, "stopped")
        stopped = self.exceptions("B-PROCESS-STOPPED", process)
        self.assertEqual(len(stopped), 1)
        self.assertEqual(stopped.team_id, self.team)
        payment.memo = "Bill 7"
        process.with_user(self.operator).action_look()
        self.assertEqual(stopped.state, "resolved")
        self.assertEqual(self.states(process), ["done", "active", "pending", "pending"])
        self.env["finance.hold"]._release(payment, "risk", "Nothing found")
        self.advance()
        approval = process.step_id.approval_id
        self.assertEqual(approval.state, "requested")
        self.assertEqual(approval.due_at, process.step_id.due_at)
        self.decide(approval, "rejected")
        self.advance()
        self.assertEqual(process.state, "stopped")
        process.with_user(self.operator).action_look()
        again = process.step_id.approval_id
        self.assertNotEqual(again, approval)
        # What changes after the consent needs a new one.
        self.decide(again, "approved")
        payment.amount = 7000.0
        self.advance()
        self.assertEqual(payment.state, "draft")
        newest = process.step_id.approval_id
        self.assertEqual((newest.state, newest == again), ("requested", False))
        self.decide(newest, "approved")
        self.advance()
        self.assertEqual((payment.state, process.state), ("in_process", "done"))
        self.assertEqual(newest.decided_by_id, self.approver)

    def test_another_system_decides_on_a_step(self):
        """It names the document and the step of the flow."""
        flow = self.make_flow({"kind": "approval", "name": "Legal"})
        other = self.make_flow({"kind": "approval", "name": "Tax"})
        invoice = self.make_invoice()
        self.advance()
        process, untouched = self.process_of(flow), self.process_of(other)
        approval = process.step_id.approval_id

        def decide(message_id, **values):
            data = {
                "subject": f"invoice/{invoice.id}",
                "version": approval.version,
                "decision": "approved",
                "approver": "legal@example.com",
                "decided_at": "2026-02-10T08:15:00Z",
                **values,
            }
            self.send("approval.outcome", data, message_id)
            return self.env["finance.command"].search([], order="id desc", limit=1)

        unclear = decide("m1")
        self.assertEqual((unclear.state, unclear.error_code), ("failed", "D-SCHEMA"))
        self.assertIn(invoice.name, unclear.error)
        self.assertEqual(decide("m2", step="Legal").state, "applied")
        self.advance()
        self.assertEqual((process.state, untouched.state), ("done", "running"))
        newest = untouched.step_id.approval_id
        by_subject = decide("m3", subject=newest.subject, version=newest.version)
        self.assertEqual(by_subject.state, "applied", by_subject.error)
        self.advance()
        self.assertEqual(untouched.state, "done")

    def test_late_warned_escalated_and_solved(self):
        """cap 61: before the breach the team is warned, then an exception is opened."""
        flow = self.make_flow(
            {"kind": "task", "service_hours": 4, "note": "Call the customer"}
        )
        self.make_invoice()
        self.advance()
        process = self.process_of(flow)
        step = process.step_id
        self.assertEqual(step.due_at - step.reached_at, timedelta(hours=4))
        self.later(hours=3, minutes=30)
        self.advance()
        self.assertTrue(step.warned)
        self.assertIn("Due soon", "".join(process.activity_ids.mapped("summary")))
        self.later(hours=5)
        self.advance()
        self.advance()
        late = self.exceptions("B-PROCESS-LATE", process)
        self.assertEqual((late.team_id, late.occurrences), (self.team, 1))
        self.assertTrue(process.is_late)
        self.assertEqual(process.counted, "late")
        flow.max_past_due_hours = 0.5
        flow._watch_thresholds()
        self.assertIn("late", flow.breach)
        breach = self.exceptions("B-FLOW-THRESHOLD", flow)
        self.assertTrue(breach)
        step.with_user(self.operator).action_done()
        self.assertEqual(late.state, "resolved")
        self.assertEqual((process.state, step.on_time), ("done", "no"))
        flow._watch_thresholds()
        self.assertEqual((flow.breach, breach.state), (False, "resolved"))
        tally = self.env["finance.flow.tally"].search([("flow_id", "=", flow.id)])
        self.assertEqual((tally.on_time, tally.late), (0, 1))

    def test_working_hours_count(self):
        calendar = self.env["resource.calendar"].create(
            {"name": "Office (test)", "tz": "UTC"}
        )
        self.team.calendar_id = calendar
        friday = datetime(2026, 1, 16, 16, 0, tzinfo=timezone.utc)
        self.set_clock(friday)
        flow = self.make_flow({"kind": "task", "service_hours": 2})
        self.make_invoice()
        self.advance()
        self.assertEqual(self.process_of(flow).step_id.due_at, day(2026, 1, 19, 9))

    def test_failed_settlement_is_compensated(self):
        """cap 57: revenue is held and a person told; taken back if it settles."""
        flow = self.make_flow(
            {
                "wait_for": "status",
                "wait_status": "settlement.settled",
                "compensate": True,
            },
        )
        invoice = self.make_invoice()
        self.send("payment.captured", self.captured(invoice.name), "m1")
        self.advance()
        process = self.process_of(flow)
        self.assertEqual(process.state, "running")
        transaction = process._transactions()
        transaction._log(None, "settlement", "reversed", day(2026, 1, 22))
        self.advance()
        self.assertEqual(process.state, "stopped")
        hold = self.env["finance.hold"]._active(invoice, "revenue")
        self.assertEqual(hold, process.step_ids.compensation_id)
        self.assertTrue(self.exceptions("B-PROCESS-STOPPED", process))
        # The word that it had settled before trails in.
        transaction._log(None, "settlement", "settled", day(2026, 1, 21))
        self.advance()
        self.assertEqual((process.state, hold.state), ("done", "released"))
        self.assertFalse(self.exceptions("B-PROCESS-STOPPED", process))
        # Now it is the books that disagree with the process.
        process._compare()
        self.assertTrue(process.is_diverging)
        self.assertEqual(len(self.exceptions("C-DIVERGENCE", process)), 1)

    def test_divergence_is_seen_once_and_ends_by_itself(self):
        """cap 64."""
        flow = self.make_flow(
            {"kind": "task"},
            {"kind": "post"},
            start_event="finance.payment.created",
        )
        payment = self.env["account.payment"].create(
            {
                "payment_type": "inbound",
                "partner_type": "customer",
                "partner_id": self.partner_a.id,
                "amount": 70.0,
                "journal_id": self.journal.id,
            }
        )
        self.advance()
        process = self.process_of(flow)
        process._cron_compare()
        self.assertFalse(process.is_diverging)
        # Posted by hand while the process still waits for a person.
        payment.action_post()
        process._compare()
        process._compare()
        bypassed = self.exceptions("C-DIVERGENCE", process)
        self.assertEqual((len(bypassed), bypassed.occurrences), (1, 1))
        self.assertIn("Step 1", bypassed.cause)
        process.step_id.with_user(self.operator).action_done()
        process.with_user(self.operator).action_compare()
        self.assertEqual((process.state, bypassed.state), ("done", "resolved"))
        payment.action_draft()
        process._compare()
        self.assertIn("draft", self.exceptions("C-DIVERGENCE", process).cause)
        payment.action_post()
        self.env["finance.hold"]._place(payment, "revenue", "Looks odd")
        process._compare()
        held = self.exceptions("C-DIVERGENCE", process)
        self.assertIn("held", held.cause)
        self.assertEqual(len(held), 1)

    def test_cancelled_by_a_person_with_a_reason(self):
        flow = self.make_flow({"kind": "hold", "hold_kind": "revenue"})
        invoice = self.make_invoice()
        self.advance()
        process = self.process_of(flow)
        hold = self.env["finance.hold"]._active(invoice, "revenue")
        action = process.with_user(self.operator).action_cancel()
        wizard = (
            self.env[action["res_model"]]
            .with_user(self.operator)
            .with_context(**action["context"])
            .create({"reason": "Entered twice"})
        )
        wizard.action_confirm()
        self.assertEqual((process.state, hold.state), ("cancelled", "released"))
        self.assertEqual(hold.release_reason, "Entered twice")
        with self.assertRaises(UserError):
            process.with_user(self.operator).action_look()
        entry = self.env["finance.audit.entry"].search(
            [("action", "=", "process.cancel")], limit=1
        )
        self.assertEqual(entry.reason, "Entered twice")

    def test_posted_once_more(self):
        """What runs goes on; what has ended is followed; what was read is read."""
        flow = self.make_flow(
            {"kind": "task"},
            {"wait_event": "finance.invoice.paid"},
            {"wait_for": "command", "wait_command": "payment.captured"},
        )
        invoice = self.make_invoice()
        self.advance()
        first = self.process_of(flow)

        def post_again(hours):
            self.later(hours=hours)
            invoice.button_draft()
            self.end_transaction()
            invoice.action_post()
            self.advance()
            self.end_transaction()
            # All that was ever recorded, once more.
            self.env["finance.flow.cursor"].search([("kind", "=", "event")]).write(
                {"position": 0, "proposed": False, "horizon": False}
            )
            self.advance()
            return self.process_of(flow).sorted("run")

        def notes(process):
            return len(
                process.message_ids.filtered(lambda m: "once more" in (m.body or ""))
            )

        self.assertEqual(post_again(1), first)
        self.assertEqual((first.state, notes(first)), ("running", 1))
        first.step_id.with_user(self.operator).action_done()
        self.send("payment.captured", self.captured(invoice.name), "m1")
        self.advance()
        self.assertEqual(first.state, "done")
        # Back in draft and posted: another run, in which it has to be paid anew.
        _first, second = post_again(2)
        self.assertEqual((second.previous_id, first.next_ids), (first, second))
        self.assertEqual((second.run, second.state), (2, "running"))
        self.assertEqual((first.state, notes(first)), ("done", 1))
        first._compare()
        self.assertFalse(first.is_diverging)
        second.step_id.with_user(self.operator).action_done()
        self.assertEqual(invoice.payment_state, "paid")
        self.advance()
        self.assertEqual(second.state, "done")
        third = post_again(3)[2:]
        third.with_user(self.operator)._cancel("No more calls")
        # Money that was there counts; what was taken back before it began does not.
        fourth = post_again(4)[3:]
        transaction = fourth._transactions()
        self.assertTrue(transaction)
        self.assertEqual(fourth._of_this_run(transaction), transaction)
        transaction._log(None, "execution", "returned", first.started_at)
        self.assertFalse(fourth._of_this_run(transaction))
        self.assertEqual(first._of_this_run(transaction), transaction)
        after = fourth.started_at + timedelta(hours=1)
        transaction._log(None, "settlement", "reversed", after)
        self.assertEqual(fourth._of_this_run(transaction), transaction)
        by_person = self.make_flow(
            {"kind": "task"}, start_kind="person", start_event=False
        )
        starting = self.processes.with_user(self.operator)
        begun = starting._begin_by_person(by_person, invoice)
        self.assertEqual(starting._begin_by_person(by_person, invoice), begun)
        begun.step_id.with_user(self.operator).action_done()
        again = starting._begin_by_person(by_person, invoice)
        self.assertEqual(again.previous_id, begun)

    def test_what_collects_goes_on_later(self):
        """cap 73: the latency class decides."""
        flow = self.make_flow({"kind": "notify"}, latency="micro_batch")
        self.make_invoice()
        self.advance()
        self.make_invoice()
        self.advance()
        self.assertEqual(
            sorted(self.process_of(flow).mapped("state")), ["done", "running"]
        )
        self.later(minutes=20)
        self.advance()
        self.assertEqual(set(self.process_of(flow).mapped("state")), {"done"})

    def test_cursor_waits_for_those_under_way(self):
        """What commits late with an earlier number is not skipped."""
        cursors = self.env["finance.flow.cursor"]
        cursor = cursors._claim("test", position=5)
        cursor._propose(position=9)
        self.assertEqual((cursor.position, cursor.proposed), (5, 9))
        # Some transaction from before is under way: nothing before 9 is certain.
        cursor.horizon = str(2**62)
        self.assertEqual(cursors._claim("test").position, 5)
        cursor.horizon = "1"
        self.assertEqual(cursors._claim("test").position, 9)

    def test_any_order_and_repetition_ends_the_same(self):
        """Facts in any order, doubled, and with looks in between: one outcome."""
        flow = self.make_flow(
            {
                "kind": "check",
                "check_on": "content",
                "condition": "[('total_amount', '>', 50)]",
            },
            {"wait_for": "command", "wait_command": "payment.captured"},
            {"kind": "hold", "hold_kind": "order"},
            {
                "wait_for": "status",
                "wait_status": "settlement.settled",
                "compensate": True,
            },
            {"wait_event": "finance.invoice.paid"},
            {"wait_for": "status", "wait_status": "accounting.posted"},
        )
        moment = day(2026, 1, 21)
        outcomes = set()
        for seed in range(4):
            chance = random.Random(seed)
            with self.env.cr.savepoint() as savepoint:
                invoice = self.make_invoice(ref=f"Order {seed}")
                self.end_transaction()
                data = self.captured(invoice.name, f"pay_{seed}")

                numbers = iter(range(99))

                def captured(data=data, seed=seed, numbers=numbers):
                    self.send("payment.captured", data, f"m{seed}-{next(numbers)}")

                def status(name, days, seed=seed):
                    found = self.env["finance.transaction"].search(
                        [("provider_ref", "=", f"pay_{seed}")]
                    )
                    # Nothing is told of a payment before it is known at all.
                    if not found:
                        captured()
                        found = self.env["finance.transaction"].search(
                            [("provider_ref", "=", f"pay_{seed}")]
                        )
                    found._log(None, "settlement", name, moment + timedelta(days))

                facts = [
                    captured,
                    lambda: status("pending", 1),
                    lambda: status("settled", 2),
                    lambda: status("reversed", 3),
                    lambda: status("settled", 2),
                ]
                facts += [facts[0]]
                chance.shuffle(facts)
                for fact in facts:
                    fact()
                    if chance.random() < 0.5:
                        self.advance()
                self.advance()
                self.env["finance.hold"]._release(invoice, "order", "Captured")
                self.advance()
                self.advance()
                process = self.process_of(flow)
                outcomes.add(
                    (
                        process.state,
                        tuple(self.states(process)),
                        len(self.env["finance.hold"]._active(invoice)),
                        len(self.exceptions("B-PROCESS-STOPPED", process)),
                    )
                )
                savepoint.rollback()
            self.env.invalidate_all()
        self.assertEqual(outcomes, {("done", ("done",) * 6, 0, 0)})
