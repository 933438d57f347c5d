from odoo.exceptions import AccessError
from odoo.tests import new_test_user, tagged

from .common import FinanceHubCommon, status


@tagged("post_install", "-at_install")
class TestTrace(FinanceHubCommon):
    """cap 80, 81, 86: one correlation id joins everything, in order of time."""

    def setUp(self):
        super().setUp()
        self.sink = self.receiver()
        self.endpoint = self.make_endpoint(self.sink.url, retry_schedule="0")
        self.shop = self.make_connector("shop")
        self.steps = self.env["finance.trace.step"]

    def whole_way(self):
        """Return an invoice that went out, was paid from outside, and went out."""
        invoice = self.make_invoice(100.0)
        self.dispatch()
        _outcome, message = self.receive(
            self.shop, self.cloud_event(self.captured(invoice.name))
        )
        self.process()
        self.dispatch()
        return invoice, message

    def steps_of(self, record):
        return self.steps.search(
            [("correlation_id", "=", record.finance_correlation_id)]
        )

    def test_one_id_joins_everything(self):
        invoice, message = self.whole_way()
        self.assertEqual(invoice.payment_state, "paid")
        command = message.command_ids
        payment = self.env["account.payment"].browse(command.res_id)
        correlation_id = invoice.finance_correlation_id
        own = self.events_of(invoice) | self.events_of(payment)
        # What else it made: the payment's entry, the reconciliation.
        events = own.search([("correlation_id", "=", correlation_id)])
        self.assertLess(own, events)
        for record, name in (
            (message, "correlation_id"),
            (command, "correlation_id"),
            (command.transaction_id, "correlation_id"),
            (payment, "finance_correlation_id"),
            *((event, "correlation_id") for event in events),
        ):
            self.assertEqual(record[name], correlation_id, record)
        for _headers, body in self.sink.requests:
            self.assertIn(correlation_id.encode(), body, "and it is on the wire")
        expected = {
            "document": {("account.move", invoice.id)},
            "payment": {("account.payment", payment.id)},
            "event": {("finance.event", event.id) for event in events},
            "delivery": {
                ("finance.delivery", delivery.id) for delivery in events.delivery_ids
            },
            "message": {("finance.message", message.id)},
            "command": {("finance.command", command.id)},
            "transition": {("finance.transaction", command.transaction_id.id)},
        }
        found = {}
        for step in self.steps_of(invoice):
            found.setdefault(step.kind, set()).add((step.res_model, step.res_id))
        self.assertEqual(found, expected)
        transitions = command.transaction_id.transition_ids
        self.assertLessEqual(
            {("execution", "captured"), ("accounting", "posted")},
            {(transition.axis, transition.status) for transition in transitions},
        )
        self.assertEqual(
            len(self.steps_of(invoice).filtered(lambda s: s.kind == "transition")),
            len(transitions),
        )

    def test_each_case_is_its_own(self):
        invoice, _message = self.whole_way()
        other = self.make_invoice(50.0)
        self.dispatch()
        self.assertNotEqual(
            invoice.finance_correlation_id, other.finance_correlation_id
        )
        self.assertFalse(self.steps_of(invoice) & self.steps_of(other))
        self.assertEqual(
            set(self.steps_of(other).mapped("kind")), {"document", "event", "delivery"}
        )

    def test_order_of_time(self):
        """Time decides; within a moment, cause comes before effect."""
        invoice, _message = self.whole_way()
        steps = self.steps_of(invoice)
        moments = steps.mapped("moment")
        self.assertEqual(moments, sorted(moments))
        # The test is one transaction, so rows that Odoo dates by it share a moment.
        self.assertEqual(steps[0].kind, "document")
        events = [step for step in steps if step.kind == "event"]
        self.assertIn("finance.invoice.posted.v2", events[0].label)
        self.assertIn("finance.invoice.paid.v2", " ".join(e.label for e in events[1:]))
        place = {step.kind: index for index, step in reversed(list(enumerate(steps)))}
        self.assertLess(place["event"], place["message"])
        self.assertLess(place["event"], place["delivery"])

    def test_ids_are_unique(self):
        self.whole_way()
        self.whole_way_again()
        self.env.cr.execute(
            f"SELECT count(*), count(DISTINCT id) FROM ({self.steps._table_query}) s"
        )
        total, distinct = self.env.cr.fetchone()
        self.assertGreater(total, 10)
        self.assertEqual(total, distinct)

    def whole_way_again(self):
        invoice = self.make_invoice(70.0)
        self.receive(
            self.shop,
            self.cloud_event(self.captured(invoice.name, "pay_2", "70.00"), "msg_2"),
            "msg_2",
        )
        self.process()

    def test_status_and_words(self):
        invoice, message = self.whole_way()
        by_kind = {step.kind: step for step in self.steps_of(invoice)}
        self.assertEqual(by_kind["document"].label, invoice.name)
        self.assertEqual(by_kind["document"].status, "posted")
        self.assertEqual(by_kind["message"].label, message.external_id)
        self.assertEqual(by_kind["message"].status, "processed")
        self.assertEqual(by_kind["command"].status, "applied")
        self.assertEqual(by_kind["delivery"].status, "delivered")
        self.assertIn(self.endpoint.name, by_kind["delivery"].label)

    def test_exceptions_are_steps(self):
        """What went wrong stands in the line, and so does its solution."""
        _outcome, message = self.receive(
            self.shop, self.cloud_event(self.captured("ORDER-4711"))
        )
        self.process()
        steps = self.steps.search([("correlation_id", "=", message.correlation_id)])
        self.assertEqual(
            set(steps.mapped("kind")),
            {"message", "command", "exception", "event"},
        )
        exception = steps.filtered(lambda step: step.kind == "exception")
        self.assertIn("B-UNMATCHED", exception.label)
        self.assertEqual(exception.status, "open")

    def test_corrected_payment_joins_the_invoice(self):
        """Before a person knew, it was a case of its own; then it is the invoice's."""
        invoice = self.make_invoice(100.0)
        _outcome, message = self.receive(
            self.shop, self.cloud_event(self.captured("ORDER-4711"))
        )
        self.process()
        failed = message.command_ids
        failed.with_user(self.users["operator"])._correct(
            self.captured(invoice.name), "The customer confirmed it"
        )
        self.process()
        self.assertEqual(invoice.payment_state, "paid")
        kinds = set(self.steps_of(invoice).mapped("kind"))
        self.assertLessEqual({"message", "command", "payment", "transition"}, kinds)
        # The whole story: what failed first and the exception belong to it too.
        self.assertIn("exception", kinds)
        self.assertIn(
            ("finance.command", failed.id),
            [(step.res_model, step.res_id) for step in self.steps_of(invoice)],
        )

    def test_given_up_delivery(self):
        self.sink.answers = [status(500)]
        invoice = self.make_invoice()
        self.dispatch()
        delivery = self.steps_of(invoice).filtered(lambda s: s.kind == "delivery")
        self.assertEqual(delivery.status, "dead")

    def test_opening_a_step_opens_its_record(self):
        invoice, _message = self.whole_way()
        auditor = self.users["auditor"]
        steps = self.steps_of(invoice).with_user(auditor)
        self.assertEqual(
            set(steps.mapped("kind")),
            {
                "document",
                "payment",
                "event",
                "delivery",
                "message",
                "command",
                "transition",
            },
        )
        for step in steps:
            action = step.action_open()
            self.assertEqual(action["type"], "ir.actions.act_window")
            self.assertEqual(
                (action["res_model"], action["res_id"]), (step.res_model, step.res_id)
            )
            self.assertEqual(action["views"], [(False, "form")])
            record = self.env[action["res_model"]].with_user(auditor)
            self.assertTrue(record.browse(action["res_id"]).read(["display_name"]))

    def test_every_record_leads_to_its_timeline(self):
        invoice, message = self.whole_way()
        event = self.events_of(invoice)[0]
        command = message.command_ids
        payment = self.env["account.payment"].browse(command.res_id)
        auditor = self.users["auditor"]
        for record, method in (
            (invoice, "action_open_finance_trace"),
            (payment, "action_open_finance_trace"),
            (event, "action_open_trace"),
            (event.delivery_ids, "action_open_trace"),
            (message, "action_open_trace"),
            (command, "action_open_trace"),
            (command.transaction_id, "action_open_trace"),
        ):
            with self.subTest(record._name):
                action = getattr(record.with_user(auditor), method)()
                self.assertEqual(action["res_model"], "finance.trace.step")
                self.assertIn(invoice.finance_correlation_id, str(action["domain"]))
                steps = self.steps.with_user(auditor).search(action["domain"])
                self.assertEqual(len(steps), len(self.steps_of(invoice)))

    def test_search_by_words(self):
        invoice, _message = self.whole_way()
        found = self.steps.search([("label", "ilike", invoice.name)])
        self.assertIn(invoice.id, found.mapped("res_id"))
        grouped = self.steps._read_group(
            [("correlation_id", "=", invoice.finance_correlation_id)],
            ["kind"],
            ["__count"],
        )
        self.assertEqual(dict(grouped)["message"], 1)

    def test_other_companies_see_nothing(self):
        invoice, _message = self.whole_way()
        other = self.env["res.company"].create({"name": "Elsewhere"})
        foreigner = new_test_user(
            self.env,
            "foreign_auditor",
            "base.group_user,finance_hub.group_auditor",
            company_id=other.id,
            company_ids=[(6, 0, other.ids)],
        )
        mine = self.steps_of(invoice)
        steps = self.steps.with_user(foreigner)
        self.assertFalse(
            steps.search([("correlation_id", "=", invoice.finance_correlation_id)])
        )
        with self.assertRaises(AccessError):
            steps.browse(mine[0].id).read(["label"])
        with self.assertRaises(AccessError):
            steps.browse(mine[0].id).action_open()

    def test_timeline_is_quick(self):
        """One case is found by indexes, whatever the size of the tables."""
        invoice, _message = self.whole_way()
        self.env.flush_all()
        self.env.cr.execute("SET LOCAL enable_seqscan = off")
        query = self.steps._search(
            [("correlation_id", "=", invoice.finance_correlation_id)]
        )
        sql = query.select()
        self.env.cr.execute("EXPLAIN " + sql.code, sql.params)
        plan = "\n".join(row[0] for row in self.env.cr.fetchall())
        self.assertNotIn("Seq Scan", plan)
