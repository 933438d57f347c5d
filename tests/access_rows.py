"""One row of every model, to try on them who may do what."""

import base64
from contextlib import contextmanager

from odoo.tests import new_test_user

from ..models import clock
from ..models.inbox.finance_refusal import TALLY
from .common import GROUPS, FinanceHubCommon, Receiver, status

SECRET = "whsec_" + "A" * 32


# The dialogues' own content, by model.
DIALOGUES = {
    "finance.outcome.wizard": lambda case: {
        "transaction_id": case.row("finance.transaction").id,
        "status": "failed",
        "reason": "Because",
    },
    "finance.payout.wizard": lambda case: {
        "payout_id": case.row("finance.payout").id,
        "reason": "Because",
    },
    "finance.correct.wizard": lambda case: {
        "command_id": case.row("finance.command").id,
        "content": '{"changed": true}',
        "reason": "Because",
    },
    "finance.decide.wizard": lambda case: {
        "hold_ids": [(6, 0, case.rows("finance.hold").ids)],
        "decision": "release",
        "reason": "Because",
    },
    "finance.process.cancel.wizard": lambda case: {
        "process_ids": [(6, 0, case.rows("finance.process").ids)],
        "reason": "Because",
    },
    "finance.process.start.wizard": lambda case: {
        "res_model": "account.move",
        "res_ids": case.invoice.ids,
        "flow_id": case.rows("finance.flow").id,
    },
    "finance.hold.wizard": lambda case: {
        "res_model": "account.move",
        "res_ids": case.invoice.ids,
        "kind": "revenue",
        "reason": "Because",
    },
    "finance.map.wizard": lambda case: {
        "unmapped_id": case.row("finance.unmapped").id,
        "line_ids": [(0, 0, {"res_id": 1, "name": "One", "score": 1})],
    },
    "finance.party.wizard": lambda case: {
        "command_id": case.row("finance.command").id,
        "partner_id": case.partner_a.id,
        "reason": "Because",
        "line_ids": [(0, 0, {"partner_id": case.partner_b.id})],
    },
    "finance.link.wizard": lambda case: {
        "exception_id": case.row("finance.exception").id,
        "move_id": case.invoice.id,
        "reason": "Because",
    },
    "finance.compensate.wizard": lambda case: {
        "exception_id": case.row("finance.exception").id,
        "reason": "Because",
        "line_ids": [
            (
                0,
                0,
                {
                    "kind": "credit_note",
                    "res_model": "account.move",
                    "res_id": case.invoice.id,
                },
            )
        ],
    },
    "finance.upload.wizard": lambda case: {"connector_id": case.shop.id},
    "finance.duty.wizard": lambda case: {
        "res_model": "finance.access.review.line",
        "res_ids": case.row("finance.access.review.line").ids,
        "method": "action_certify",
        "reason": "Because",
    },
    "finance.ping.wizard": lambda case: {"endpoint_id": case.endpoint.id},
    "finance.try.wizard": lambda case: {
        "connector_id": case.shop.id,
        "content": "garbage",
    },
    "finance.try.wizard.result": lambda case: {
        "wizard_id": case.rows("finance.try.wizard").id
    },
    "finance.try.wizard.fault": lambda case: {
        "wizard_id": case.rows("finance.try.wizard").id
    },
    "finance.privacy.wizard": lambda case: {
        "name": "Azure Interior",
        "reason": "Asked",
    },
    "finance.privacy.wizard.line": lambda case: {
        "search_id": case.rows("finance.privacy.wizard").id,
        "source": "event",
        "row_id": case.row("finance.event").id,
        "company_id": case.company.id,
    },
    "finance.audit.compare.wizard": lambda case: {
        "seal_file": base64.b64encode(
            case.env["finance.audit.seal"].search([], limit=1)._exported()
        )
    },
    "finance.reason.wizard": lambda case: {
        "exception_ids": [(6, 0, case.row("finance.exception").ids)],
        "reason": "Because",
    },
}
# The lines of dialogues.
DIALOGUES_OF_LINES = {
    f"{model}.line": model
    for model in (
        "finance.map.wizard",
        "finance.party.wizard",
        "finance.compensate.wizard",
    )
}


class AccessCase(FinanceHubCommon):
    """One row of every model, one user of every role, and one from elsewhere."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.users["nobody"] = new_test_user(
            cls.env,
            "test_nobody",
            "base.group_user,account.group_account_readonly",
            company_id=cls.company.id,
            company_ids=[(6, 0, cls.company.ids)],
        )

        elsewhere = cls.env["res.company"].create({"name": "Elsewhere"})
        cls.foreigner = new_test_user(
            cls.env,
            "test_foreigner",
            ",".join(f"finance_hub.group_{group}" for group in GROUPS),
            company_id=elsewhere.id,
            company_ids=[(6, 0, elsewhere.ids)],
        )
        # Made once: what a test does to them is taken back with it.
        cls("make_rows").make_rows()

    def make_rows(self):
        cls = type(self)
        cls.sink = Receiver()
        cls.addClassCleanup(cls.sink.close)
        cls.endpoint = self.make_endpoint(self.sink.url, retry_schedule="0")
        cls.connector = self.endpoint.connector_id
        cls.shop = self.make_connector("shop")
        self.make_credential(self.shop, "inbound", SECRET)
        feeder = self.make_connector("feeder", name="Zone Feeder")
        self.make_feed(feeder, patterns=None)
        self.make_client(feeder, "event:read")
        self.sink.answers = [status(500)]
        cls.invoice = self.make_invoice(100.0)
        self.dispatch()
        body = self.cloud_event(self.captured(self.invoice.name))
        self.receive(self.shop, body)
        self.receive(self.shop, body)
        unmatched = self.cloud_event(self.captured("ORDER-1", "pay_2"), "m2")
        self.receive(self.shop, unmatched, "m2")
        self.receive(self.shop, b"garbage", "m3")
        self.process()
        self.end_transaction()
        self.env["finance.tally"]._count()
        self.make_insight_rows()
        self.make_json_mapping(self.make_connector("mapped", adapter="generic_json"))
        self.make_edge_rows()
        self.make_control_rows()
        self.make_master_data()
        self.make_bank_rows()
        self.env["finance.replay"].create(
            {
                "company_id": self.company.id,
                "endpoint_ids": [(6, 0, self.endpoint.ids)],
                "reason": "Because",
            }
        )
        self.env.flush_all()

    def make_control_rows(self):
        """Make a held document, an entry that waits for approval, and a figure."""
        self.env["finance.hold"]._place(
            self.invoice, "revenue", "The payment failed", connector=self.shop
        )
        commands = self.env["finance.command"].search([], limit=1)
        request = self.env["finance.posting.request"].create(
            {
                "name": "payroll",
                "connector_id": self.shop.id,
                "company_id": self.company.id,
                "command_id": commands.id,
                "state": "held",
                "kind": "payroll",
                "date": "2026-01-31",
                "version": "1",
            }
        )
        self.env["finance.approval"]._request(request, title="Post the payroll")
        approver = self.users["approver"]
        self.env["finance.policy"].create(
            {
                "name": "Large payments",
                "company_id": self.company.id,
                "on_payment": True,
                "step_ids": [
                    (0, 0, {"name": "CFO", "user_ids": [(6, 0, approver.ids)]})
                ],
            }
        )
        self.env["finance.delegation"].create(
            {
                "company_id": self.company.id,
                "user_id": approver.id,
                "delegate_id": new_test_user(
                    self.env,
                    "test_delegate",
                    "base.group_user,finance_hub.group_approver",
                    company_id=self.company.id,
                    company_ids=[(6, 0, self.company.ids)],
                ).id,
                "date_to": "2100-01-01",
                "date_from": "2099-12-01",
                "reason": "On leave",
            }
        )
        self.env["finance.exposure"].create(
            {
                "company_id": self.company.id,
                "partner_id": self.partner_a.id,
                "kind": "limit",
                "amount": 100.0,
                "currency_id": self.company.currency_id.id,
                "as_of": "2026-01-31 10:00:00",
                "recorded_at": "2026-01-31 10:00:00",
                "connector_id": self.shop.id,
            }
        )
        self.make_desk_rows()
        self.make_flow_rows()
        self.make_tested(self.shop)
        self.env["finance.break.glass"].create(
            {
                "user_id": self.users["nobody"].id,
                "company_id": self.company.id,
                "reason": "Because",
            }
        )
        self.env["finance.access.review"]._begin(self.company)
        # What is told of them is not told anew by what is tried on them.
        self.end_transaction()

    def make_desk_rows(self):
        """Make what people leave at the desk: a link, a compensation, an alert."""
        exception = self.env["finance.exception"].search(
            [("code", "=", "B-UNMATCHED")], limit=1
        )
        self.env["finance.compensation"]._propose(
            "credit_note",
            self.invoice,
            date=self.invoice.date,
            reason="Because",
            exception=exception,
        )
        exception.state = "open"
        self.env["finance.alert"]._tell(
            exception, self.users["operator"], "late", "Late"
        )
        self.env["finance.link"].create(
            {
                "exception_id": exception.id,
                "res_model": "account.move",
                "res_id": self.invoice.id,
                "record_name": self.invoice.name,
                "reason": "Because",
                "user_id": self.env.uid,
            }
        )
        self.env["finance.bulk.action"]._start(exception, "assign")

    def make_flow_rows(self):
        """Make a flow, a process of it, and what is counted of both."""
        flow = self.env["finance.flow"].create(
            {
                "name": "Flow",
                "company_id": self.company.id,
                "start_kind": "person",
                "step_ids": [(0, 0, {"name": "Call", "kind": "task"})],
            }
        )
        now = clock.naive_now()
        processes = self.env["finance.process"]
        processes._begin(flow, self.invoice, at=now)._advance()
        self.env["finance.flow.tally"]._add(flow, now, on_time=1)
        self.env["finance.flow.cursor"]._claim("access")

    def make_master_data(self):
        """Make a mapping, an unmapped code, and who owns what."""
        account = self.company_data["default_account_expense"]
        self.env["finance.mapping"].create(
            {
                "company_id": self.company.id,
                "domain_id": self.env.ref("finance_hub.mapping_domain_account").id,
                "code": "6000",
                "res_id": account.id,
            }
        )
        self.env["finance.unmapped"].create(
            {
                "connector_id": self.shop.id,
                "company_id": self.company.id,
                "domain_id": self.env.ref("finance_hub.mapping_domain_account").id,
                "code": "7000",
                "key": "mapping:access",
            }
        )
        ownership = self.env["finance.ownership"].create(
            {"company_id": self.company.id, "domain": "exposure"}
        )
        self.env["finance.ownership.conflict"].create(
            {
                "command_id": self.row("finance.command").id,
                "ownership_id": ownership.id,
            }
        )

    def make_bank_rows(self):
        """Make a statement, one that is awaited, and a balance."""
        command = self.env["finance.command"].search([], limit=1)
        origin = {"connector_id": self.shop.id, "command_id": command.id}
        account = {"account": "1", "reference": "S1", "to_date": "2026-01-31"}
        journal = {
            "journal_id": self.journal.id,
            "currency_id": self.company.currency_id.id,
        }
        self.env["finance.statement"].create(
            {
                **origin,
                **account,
                **journal,
                "kind": "statement",
                "from_date": "2026-01-31",
            }
        )
        self.env["finance.awaited.statement"].create(
            {
                **origin,
                **account,
                "available_at": "2026-02-01 05:00:00",
                "due_at": "2026-02-01 09:00:00",
            }
        )
        self.env["finance.reported.balance"].create(
            {
                **origin,
                **journal,
                "kind": "booked",
                "amount": 5.0,
                "as_of": "2026-02-01 05:00:00",
            }
        )

    def make_edge_rows(self):
        """Make what the edge writes: a refused call, and a call of a limited one."""
        gate = self.env["finance.connector"]._inbound_gate("shop")._replace(rate=60)
        with self.enter_registry_test_mode():
            self.env["finance.connector.usage"]._take(gate)
            TALLY.clear()
            self.env["finance.refusal"]._note(
                gate, "shop", "192.0.2.1", "missing_header", "Not signed."
            )

    def make_insight_rows(self):
        """Make what scheduled actions make, and a batch."""
        self.env["finance.audit.seal"]._seal()
        attempts = self.env["finance.attempt"].search([], order="id")
        self.env["finance.legal.hold"].create(
            {
                "name": "Law suit",
                "reason": "Ordered",
                "ordered_by": "A court",
                "company_id": self.company.id,
                "lift_reason": "It is over",
            }
        )
        self.env["finance.privacy.index"]._read_on()
        rule = self.env["finance.retention"].search([], limit=1)
        run = self.env["finance.purge"]._begin()
        run._line("attempt", "internal", rule, self.company.id)
        run._end(True)
        self.env["finance.archive"]._store(
            "attempt",
            self.company,
            attempts.ids,
            {attempt.id: attempt.started_at for attempt in attempts},
        )
        self.env["finance.retention"].create(
            {
                "kind": "attempt_failed",
                "days": 400,
                "company_id": self.company.id,
            }
        )
        self.env["finance.batch"].create(
            {
                "batch_key": "access",
                "subscription_id": self.endpoint.subscription_ids.id,
                "endpoint_id": self.endpoint.id,
                "company_id": self.company.id,
                "lane": "bulk",
                "format": "cloudevents",
                "number": 1,
                "event_count": 1,
                "state": "dead",
                "created_at": attempts[0].started_at,
            }
        )

        self.env["finance.payout"].create(
            {
                "payout_ref": "po_access",
                "connector_id": self.shop.id,
                "journal_id": self.journal.id,
                "currency_id": self.company.currency_id.id,
                "released_at": attempts[0].started_at,
                "complete": True,
                "state": "incomplete",
                "line_ids": [
                    (
                        0,
                        0,
                        {
                            "connector_id": self.shop.id,
                            "kind": "payment",
                            "provider_ref": "unknown",
                            "currency_id": self.company.currency_id.id,
                        },
                    )
                ],
            }
        )

    def rows(self, model):
        """Return all rows of a model, as superuser; of a dialogue, a new one."""
        if model in DIALOGUES_OF_LINES:
            return self.rows(DIALOGUES_OF_LINES[model]).line_ids
        if model in DIALOGUES:
            dialogue = self.env[model].create(DIALOGUES[model](self))
            if model == "finance.compensate.wizard":
                dialogue.line_id = dialogue.line_ids
            return dialogue
        if "company_id" not in self.env[model]._fields:
            return self.env[model].search([])
        return self.env[model].search([("company_id", "=", self.company.id)])

    def row(self, model):
        """Return the row of a model which most buttons work on."""
        rows = self.rows(model)
        if model == "finance.command":
            return rows.filtered(lambda command: command.state == "failed")
        if model == "finance.exception":
            return rows.filtered(lambda exception: exception.code == "B-UNMATCHED")
        if model == "finance.message":
            return rows.filtered(lambda message: message.state == "failed")
        if model == "finance.delivery":
            return rows.filtered(lambda delivery: delivery.state == "dead")[:1]
        return rows[:1]

    @contextmanager
    def undone(self):
        """Take back what happens inside."""
        with self.env.cr.savepoint() as savepoint:
            yield
            savepoint.rollback()
        self.env.invalidate_all()
