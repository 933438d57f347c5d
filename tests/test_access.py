import base64
from contextlib import contextmanager

from odoo import models
from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, new_test_user, tagged
from odoo.tools import mute_logger

from ..models.inbox.finance_refusal import TALLY
from .common import GROUPS, FinanceHubCommon, status

SECRET = "whsec_" + "A" * 32

NONE, READ, ALL = "", "r", "crud"
# What each role may do with the rows of each model: (operator, approver,
# administrator, auditor). A plain user may do nothing with any of them.
MATRIX = {
    "finance.connector": (READ, READ, ALL, READ),
    "finance.credential": (READ, READ, ALL, READ),
    "finance.endpoint": (READ, READ, ALL, READ),
    "finance.subscription": (READ, READ, ALL, READ),
    "finance.event": (READ, READ, READ, READ),
    "finance.event.type": (READ, READ, READ, READ),
    "finance.delivery": (READ, READ, READ, READ),
    "finance.attempt": (READ, READ, READ, READ),
    "finance.message": (READ, READ, READ, READ),
    "finance.message.duplicate": (READ, READ, READ, READ),
    "finance.refusal": (READ, READ, READ, READ),
    "finance.connector.usage": (READ, READ, READ, READ),
    "finance.command": (READ, READ, READ, READ),
    "finance.transaction": (READ, READ, READ, READ),
    "finance.payout": (READ, READ, READ, READ),
    "finance.payout.line": (READ, READ, READ, READ),
    "finance.outcome.wizard": (ALL, NONE, NONE, NONE),
    "finance.payout.wizard": (ALL, NONE, NONE, NONE),
    "finance.transition": (READ, READ, READ, READ),
    "finance.statement": (READ, READ, READ, READ),
    "finance.awaited.statement": (READ, READ, READ, READ),
    "finance.reported.balance": (READ, READ, READ, READ),
    "finance.exception": (READ, READ, READ, READ),
    "finance.replay": ("cru", READ, READ, READ),
    "finance.client": (READ, READ, ALL, READ),
    "finance.client.usage": (READ, READ, READ, READ),
    "finance.feed": (READ, READ, READ, READ),
    "finance.scope": (READ, READ, READ, READ),
    "finance.trace.step": (READ, READ, READ, READ),
    "finance.batch": (READ, READ, READ, READ),
    "finance.endpoint.health": (READ, READ, READ, READ),
    "finance.pulse": (READ, READ, READ, READ),
    "finance.tally": (READ, READ, READ, READ),
    "finance.team": (READ, READ, ALL, READ),
    "finance.exception.kind": (READ, READ, "ru", READ),
    "finance.retention": (READ, READ, ALL, READ),
    "finance.archive": (NONE, NONE, READ, READ),
    "finance.legal.hold": (READ, "cru", ALL, READ),
    "finance.purge": (READ, READ, READ, READ),
    "finance.purge.line": (READ, READ, READ, READ),
    "finance.privacy.index": (NONE, NONE, READ, READ),
    "finance.privacy.mark": (NONE, NONE, NONE, READ),
    "finance.privacy.wizard": (NONE, NONE, ALL, ALL),
    "finance.privacy.wizard.line": (NONE, NONE, ALL, ALL),
    "finance.hold": (READ, READ, READ, READ),
    "finance.approval": (READ, READ, READ, READ),
    "finance.exposure": (READ, READ, READ, READ),
    "finance.posting.request": (READ, READ, READ, READ),
    "finance.decide.wizard": (ALL, ALL, NONE, NONE),
    "finance.hold.wizard": (ALL, ALL, NONE, NONE),
    "finance.json.mapping": (READ, READ, ALL, READ),
    "finance.json.mapping.line": (READ, READ, ALL, READ),
    "finance.try.wizard": (ALL, NONE, ALL, NONE),
    "finance.try.wizard.result": (ALL, NONE, ALL, NONE),
    "finance.try.wizard.fault": (ALL, NONE, ALL, NONE),
    "finance.audit.entry": (NONE, NONE, READ, READ),
    "finance.audit.position": (NONE, NONE, READ, READ),
    "finance.audit.seal": (NONE, NONE, READ, READ),
    "finance.audit.key": (NONE, NONE, READ, READ),
    "finance.audit.compare.wizard": (NONE, NONE, ALL, ALL),
    "finance.mapping": (ALL, READ, ALL, READ),
    "finance.mapping.domain": (READ, READ, "ru", READ),
    "finance.mapping.term": (READ, READ, "cru", READ),
    "finance.unmapped": (READ, READ, READ, READ),
    "finance.reference": (READ, READ, ALL, READ),
    "finance.ownership": (READ, READ, ALL, READ),
    "finance.ownership.conflict": ("ru", READ, READ, READ),
    "finance.map.wizard": (ALL, NONE, ALL, NONE),
    "finance.map.wizard.line": (ALL, NONE, ALL, NONE),
    "finance.party.wizard": (ALL, NONE, NONE, NONE),
    "finance.party.wizard.line": (ALL, NONE, NONE, NONE),
    "finance.correct.wizard": (ALL, NONE, NONE, NONE),
    "finance.ping.wizard": (NONE, NONE, ALL, NONE),
    "finance.upload.wizard": (ALL, NONE, NONE, NONE),
    "finance.reason.wizard": (ALL, NONE, NONE, NONE),
}
# The same for all companies.
COMMON = {
    "finance.scope",
    "finance.event.type",
    # One chain for the whole database: digests, without what they are of.
    "finance.audit.position",
    "finance.audit.seal",
    "finance.audit.key",
    "finance.team",
    "finance.exception.kind",
    "finance.mapping.domain",
    "finance.mapping.term",
    # How far each table was read: numbers alone.
    "finance.privacy.index",
}
OPERATIONS = {"create": "c", "read": "r", "write": "u", "unlink": "d"}

# Buttons of an exception that only ask for a reason, in a form that shows nothing.
ASKING = (
    "action_cancel",
    "action_solve",
    "action_snooze",
    "action_reassign",
    "action_waive",
)

# Who may press what. Buttons that only open another screen are left to those who may
# read: all of the roles.
EVERY_ROLE = set(GROUPS)
OPERATOR, ADMINISTRATOR = {"operator"}, {"administrator"}
PROPOSERS = {"operator", "administrator"}
ACTIONS = {
    "finance.connector": {
        "action_request_review": ADMINISTRATOR,
        "action_approve": {"approver"},
        "action_reject": {"approver"},
        "action_suspend": {"administrator", "approver"},
        "action_resume": {"administrator", "approver"},
        "action_retire": ADMINISTRATOR,
        "action_open_exceptions": EVERY_ROLE,
        "action_open_messages": EVERY_ROLE,
        "action_open_refusals": EVERY_ROLE,
        "action_open_deliveries": EVERY_ROLE,
        "action_open_endpoints": EVERY_ROLE,
        "action_test": ADMINISTRATOR,
        "action_try_message": {"operator", "administrator"},
        "action_open_audit": EVERY_ROLE,
    },
    "finance.credential": {
        "action_generate": ADMINISTRATOR,
        "action_revoke": ADMINISTRATOR,
        "action_reencrypt": ADMINISTRATOR,
    },
    "finance.endpoint": {
        "action_suspend": ADMINISTRATOR,
        "action_resume": ADMINISTRATOR,
        "action_replay": OPERATOR,
        "action_backfill": OPERATOR,
        "action_test": ADMINISTRATOR,
        "action_open_waiting": EVERY_ROLE,
        "action_open_parked": EVERY_ROLE,
        "action_open_dead": EVERY_ROLE,
        "action_open_attempts": EVERY_ROLE,
    },
    "finance.endpoint.health": {},
    "finance.pulse": {},
    "finance.tally": {},
    "finance.team": {},
    "finance.exception.kind": {},
    "finance.batch": {"action_retry": OPERATOR, "action_cancel": OPERATOR},
    "finance.retention": {},
    "finance.legal.hold": {
        "action_place": {"administrator", "approver"},
        "action_lift": {"administrator", "approver"},
    },
    "finance.purge": {},
    "finance.purge.line": {},
    "finance.privacy.index": {},
    "finance.privacy.mark": {},
    "finance.privacy.wizard": {
        "action_search": {"administrator", "auditor"},
        "action_pseudonymise": ADMINISTRATOR,
    },
    "finance.privacy.wizard.line": {
        "action_open_record": {"administrator", "auditor"},
        "action_pseudonymise": ADMINISTRATOR,
    },
    "finance.archive": {
        "action_download": {"administrator", "auditor"},
        "action_download_manifest": {"administrator", "auditor"},
        "action_verify": {"administrator", "auditor"},
    },
    "finance.subscription": {},
    "finance.event": {
        "action_open_record": EVERY_ROLE,
        "action_open_trace": EVERY_ROLE,
        "action_send_again": OPERATOR,
    },
    "finance.event.type": {
        "action_open_events": EVERY_ROLE,
        "action_open_subscriptions": EVERY_ROLE,
    },
    "finance.delivery": {
        "action_retry": OPERATOR,
        "action_cancel": OPERATOR,
        "action_open_event": EVERY_ROLE,
        "action_open_trace": EVERY_ROLE,
    },
    "finance.attempt": {},
    "finance.message": {
        "action_retry": OPERATOR,
        "action_try": {"operator", "administrator"},
        "action_open_trace": EVERY_ROLE,
        "action_open_conflict": EVERY_ROLE,
    },
    "finance.message.duplicate": {},
    "finance.json.mapping": {},
    "finance.json.mapping.line": {},
    "finance.try.wizard": {"action_try": {"operator", "administrator"}},
    "finance.try.wizard.result": {},
    "finance.try.wizard.fault": {},
    "finance.refusal": {},
    "finance.connector.usage": {},
    "finance.command": {
        "action_retry": OPERATOR,
        "action_correct": OPERATOR,
        "action_decide_party": OPERATOR,
        "action_open_result": EVERY_ROLE,
        "action_open_trace": EVERY_ROLE,
    },
    "finance.transaction": {
        "action_open_trace": EVERY_ROLE,
        "action_open_entries": EVERY_ROLE,
        "action_record_outcome": OPERATOR,
    },
    "finance.payout": {
        "action_retry": OPERATOR,
        "action_accept": OPERATOR,
        "action_open_trace": EVERY_ROLE,
        "action_open_lines": EVERY_ROLE,
    },
    "finance.payout.line": {},
    "finance.outcome.wizard": {"action_confirm": OPERATOR},
    "finance.payout.wizard": {"action_confirm": OPERATOR},
    "finance.transition": {},
    "finance.statement": {
        "action_open_lines": EVERY_ROLE,
        "action_open_message": EVERY_ROLE,
    },
    "finance.awaited.statement": {
        "action_stop_waiting": OPERATOR,
        "action_open_message": EVERY_ROLE,
    },
    "finance.reported.balance": {"action_open_message": EVERY_ROLE},
    "finance.exception": {
        "action_retry": OPERATOR,
        "action_correct": OPERATOR,
        "action_decide_party": OPERATOR,
        "action_map": PROPOSERS,
        "action_assign_to_me": OPERATOR,
        "action_solve": OPERATOR,
        "action_cancel": OPERATOR,
        "action_snooze": OPERATOR,
        "action_reassign": OPERATOR,
        "action_waive": OPERATOR,
        "action_grant_waiver": {"approver"},
        "action_refuse_waiver": {"approver"},
        "action_open_subject": EVERY_ROLE,
        "action_open_trace": EVERY_ROLE,
        "action_open_audit": EVERY_ROLE,
    },
    "finance.replay": {
        "action_count": OPERATOR,
        "action_start": OPERATOR,
        "action_request_approval": OPERATOR,
        "action_approve": {"approver"},
        "action_reject": {"approver"},
        "action_pause": {"operator", "approver"},
        "action_resume": {"operator", "approver"},
        "action_cancel": {"operator", "approver"},
        "action_refresh": EVERY_ROLE,
        "action_open_deliveries": EVERY_ROLE,
    },
    "finance.client": {
        "action_generate": ADMINISTRATOR,
        "action_revoke": ADMINISTRATOR,
    },
    "finance.client.usage": {},
    "finance.feed": {},
    "finance.scope": {},
    "finance.trace.step": {"action_open": EVERY_ROLE},
    "finance.hold": {
        "action_release": {"approver"},
        "action_open_record": EVERY_ROLE,
        "action_open_trace": EVERY_ROLE,
    },
    "finance.approval": {
        "action_approve": {"approver"},
        "action_reject": {"approver"},
        "action_withdraw": OPERATOR,
        "action_open_record": EVERY_ROLE,
        "action_open_trace": EVERY_ROLE,
    },
    "finance.exposure": {},
    "finance.posting.request": {
        "action_open_entry": EVERY_ROLE,
        "action_open_reversal": EVERY_ROLE,
        "action_open_approval": EVERY_ROLE,
        "action_open_command": EVERY_ROLE,
        "action_open_trace": EVERY_ROLE,
    },
    # It asks for a release here; only operators withdraw.
    "finance.decide.wizard": {"action_confirm": {"approver"}},
    "finance.hold.wizard": {"action_confirm": {"operator", "approver"}},
    "finance.audit.entry": {"action_open_record": {"administrator", "auditor"}},
    "finance.audit.position": {},
    "finance.audit.seal": {
        "action_verify": {"administrator", "auditor"},
        "action_seal_now": {"administrator", "auditor"},
        "action_export": {"administrator", "auditor"},
        "action_open_entries": {"administrator", "auditor"},
    },
    "finance.audit.key": {},
    "finance.audit.compare.wizard": {"action_compare": {"administrator", "auditor"}},
    "finance.mapping": {
        "action_propose": PROPOSERS,
        "action_approve": {"approver"},
        "action_reject": {"approver"},
        "action_retire": {"approver"},
        "action_new_version": PROPOSERS,
        "action_open_versions": EVERY_ROLE,
        "action_open_target": EVERY_ROLE,
    },
    "finance.mapping.domain": {
        "action_open_mappings": EVERY_ROLE,
        "action_open_unmapped": EVERY_ROLE,
    },
    "finance.mapping.term": {},
    "finance.unmapped": {
        "action_map": PROPOSERS,
        "action_propose_equal": PROPOSERS,
        "action_open_commands": EVERY_ROLE,
    },
    "finance.reference": {"action_open_record": EVERY_ROLE},
    "finance.ownership": {},
    "finance.ownership.conflict": {
        "action_request": OPERATOR,
        "action_approve": {"approver"},
        "action_reject": {"operator", "approver"},
    },
    "finance.map.wizard": {"action_propose": PROPOSERS},
    "finance.map.wizard.line": {"action_choose": PROPOSERS},
    "finance.party.wizard": {"action_link": OPERATOR, "action_create": OPERATOR},
    "finance.party.wizard.line": {"action_choose": OPERATOR},
    "finance.correct.wizard": {"action_resubmit": OPERATOR},
    "finance.ping.wizard": {"action_send_again": ADMINISTRATOR},
    "finance.upload.wizard": {"action_upload": {"operator"}},
    "finance.reason.wizard": {"action_confirm": OPERATOR},
}
# Called on the model, whatever records there are.
ON_THE_MODEL = {("finance.credential", "action_reencrypt")}


class AccessCase(FinanceHubCommon):
    """One row of every model, and one user of every role."""

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

    def setUp(self):
        super().setUp()
        self.sink = self.receiver()
        self.endpoint = self.make_endpoint(self.sink.url, retry_schedule="0")
        self.connector = self.endpoint.connector_id
        self.shop = self.make_connector("shop")
        self.make_credential(self.shop, "inbound", SECRET)
        feeder = self.make_connector("feeder", name="Zone Feeder")
        self.make_feed(feeder, patterns=None)
        self.make_client(feeder, "event:read")
        self.sink.answers = [status(500)]
        self.invoice = self.make_invoice(100.0)
        self.dispatch()
        self.env["finance.tally"]._count()
        body = self.cloud_event(self.captured(self.invoice.name))
        self.receive(self.shop, body)
        self.receive(self.shop, body)
        unmatched = self.cloud_event(self.captured("ORDER-1", "pay_2"), "m2")
        self.receive(self.shop, unmatched, "m2")
        self.receive(self.shop, b"garbage", "m3")
        self.process()
        self.end_transaction()
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
        # What is told of them is not told anew by what is tried on them.
        self.end_transaction()

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
        """Return all rows of a model, as superuser."""
        if model == "finance.outcome.wizard":
            return self.env[model].create(
                {
                    "transaction_id": self.row("finance.transaction").id,
                    "status": "failed",
                    "reason": "Because",
                }
            )
        if model == "finance.payout.wizard":
            return self.env[model].create(
                {"payout_id": self.row("finance.payout").id, "reason": "Because"}
            )
        if model == "finance.correct.wizard":
            return self.env[model].create(
                {
                    "command_id": self.row("finance.command").id,
                    "content": '{"changed": true}',
                    "reason": "Because",
                }
            )
        if model == "finance.decide.wizard":
            return self.env[model].create(
                {
                    "hold_ids": [(6, 0, self.rows("finance.hold").ids)],
                    "decision": "release",
                    "reason": "Because",
                }
            )
        if model == "finance.hold.wizard":
            return self.env[model].create(
                {
                    "res_model": "account.move",
                    "res_ids": self.invoice.ids,
                    "kind": "revenue",
                    "reason": "Because",
                }
            )
        if model in ("finance.map.wizard", "finance.map.wizard.line"):
            wizard = self.env["finance.map.wizard"].create(
                {
                    "unmapped_id": self.row("finance.unmapped").id,
                    "line_ids": [(0, 0, {"res_id": 1, "name": "One", "score": 1})],
                }
            )
            return wizard if model == wizard._name else wizard.line_ids
        if model in ("finance.party.wizard", "finance.party.wizard.line"):
            wizard = self.env["finance.party.wizard"].create(
                {
                    "command_id": self.row("finance.command").id,
                    "partner_id": self.partner_a.id,
                    "reason": "Because",
                    "line_ids": [(0, 0, {"partner_id": self.partner_b.id})],
                }
            )
            return wizard if model == wizard._name else wizard.line_ids
        if model == "finance.upload.wizard":
            return self.env[model].create({"connector_id": self.shop.id})
        if model == "finance.ping.wizard":
            return self.env[model].create({"endpoint_id": self.endpoint.id})
        if model.startswith("finance.try.wizard"):
            wizard = self.env["finance.try.wizard"].create(
                {"connector_id": self.shop.id, "content": "garbage"}
            )
            if model == "finance.try.wizard":
                return wizard
            return self.env[model].create({"wizard_id": wizard.id})
        if model == "finance.privacy.wizard":
            return self.env[model].create({"name": "Azure Interior", "reason": "Asked"})
        if model == "finance.privacy.wizard.line":
            event = self.row("finance.event")
            return self.env[model].create(
                {
                    "search_id": self.rows("finance.privacy.wizard").id,
                    "source": "event",
                    "row_id": event.id,
                    "company_id": event.company_id.id,
                }
            )
        if model == "finance.audit.compare.wizard":
            seal = self.env["finance.audit.seal"].search([], limit=1)
            return self.env[model].create(
                {"seal_file": base64.b64encode(seal._exported())}
            )
        if model == "finance.reason.wizard":
            return self.env[model].create(
                {
                    "exception_ids": [(6, 0, self.row("finance.exception").ids)],
                    "reason": "Because",
                }
            )
        if model in COMMON:
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


@tagged("post_install", "-at_install")
class TestAccess(AccessCase):
    """cap 88, 94: who may read, change and press what, checked beneath the views."""

    def test_the_tables_name_every_model(self):
        """A new model or button fails here until somebody decides who may use it."""
        stored, buttons = set(), {}
        for name, model in self.env.registry.items():
            if not name.startswith("finance.") or model._abstract:
                continue
            stored.add(name)
            buttons[name] = {
                method
                for method in dir(model)
                if method.startswith("action_")
                and not hasattr(models.BaseModel, method)
                and "finance_hub" in getattr(model, method).__module__
            }
        self.assertEqual(stored, set(MATRIX))
        self.assertEqual(
            buttons, {name: set(actions) for name, actions in ACTIONS.items()}
        )

    def test_matrix(self):
        for model, by_group in MATRIX.items():
            expected = {**dict(zip(GROUPS, by_group, strict=True)), "nobody": NONE}
            row = self.row(model)
            self.assertTrue(row, model)
            for group, allowed in expected.items():
                records = row.with_user(self.users[group])
                for operation, letter in OPERATIONS.items():
                    with self.subTest(model=model, group=group, operation=operation):
                        target = records.browse() if operation == "create" else records
                        if "wizard" in model and operation != "create":
                            # Wizards are their creator's; the model decides here.
                            target = records.browse()
                        self.assertEqual(
                            target.has_access(operation), letter in allowed
                        )

    def test_reading_for_real(self):
        """Every role can read all that the lists and forms show."""
        for model in MATRIX:
            if "wizard" in model:
                continue
            rows = self.rows(model)
            self.assertTrue(rows, model)
            for group in self.readers(model):
                with self.subTest(model=model, group=group):
                    for values in rows.with_user(self.users[group]).read():
                        self.assertTrue(values["id"])
            with (
                self.subTest(model=model, group="nobody"),
                mute_logger("odoo.models"),
                self.assertRaises(AccessError),
            ):
                rows.with_user(self.users["nobody"]).read(["id", "display_name"])

    def readers(self, model):
        """Return the roles that may read a model."""
        allowed = dict(zip(GROUPS, MATRIX[model], strict=True))
        return [group for group in GROUPS if "r" in allowed[group]]

    def test_screens_for_real(self):
        """Every role can open the form and the list of every model."""
        for model in MATRIX:
            if "wizard" in model:
                continue
            for group in self.readers(model):
                records = self.env[model].with_user(self.users[group])
                views = records.get_views([(False, "list"), (False, "search")])
                fields = views["models"][model]["fields"]
                self.assertTrue(fields, model)
                row = self.row(model).with_user(self.users[group])
                if model not in (
                    "finance.trace.step",
                    "finance.transition",
                    "finance.message.duplicate",
                ):
                    with self.subTest(model=model, group=group):
                        Form(row)

    def test_menu_is_for_roles_only(self):
        menu = self.env.ref("finance_hub.menu_root")
        for group in GROUPS:
            visible = self.env["ir.ui.menu"].with_user(self.users[group])
            self.assertIn(menu.id, visible._visible_menu_ids(), group)
        nobody = self.env["ir.ui.menu"].with_user(self.users["nobody"])
        self.assertNotIn(menu.id, nobody._visible_menu_ids())

    # === BUTTONS === #

    def press(self, model, action, user):
        """Press a button; a decision other than “you may not” is no matter here."""
        row = self.row(model)
        if "wizard" in model:
            # A wizard is made by who uses it.
            self.env.flush_all()
            for made in (row, row.wizard_id if "wizard_id" in row else row):
                self.env.cr.execute(
                    f"UPDATE {made._table} SET create_uid = %s WHERE id = %s",
                    [user.id, made.id],
                )
                made.invalidate_recordset()
        # As in a request of its own: what is cached is not asked for again.
        self.env.flush_all()
        self.env.invalidate_all()
        try:
            if (model, action) in ON_THE_MODEL:
                row = row.browse()
            getattr(row.with_user(user), action)()
        except AccessError:
            raise
        except UserError:
            return False  # not now, in this state; the role was not the reason
        return True

    def test_buttons(self):
        """Pressed over RPC, whatever the view shows."""
        for model, actions in ACTIONS.items():
            for action, allowed in actions.items():
                for group, user in self.users.items():
                    if group not in (*GROUPS, "nobody"):
                        continue
                    with (
                        self.subTest(model=model, action=action, group=group),
                        self.undone(),
                        mute_logger("odoo.models"),
                    ):
                        if group in allowed:
                            self.press(model, action, user)
                        else:
                            with self.assertRaises(AccessError):
                                self.press(model, action, user)

    def test_auditor_changes_nothing(self):
        """Whatever the auditor tries, every row stays as it was."""
        auditor = self.users["auditor"]
        # What was noted until now is written now, not in the middle of it.
        self.end_transaction()
        models_ = [name for name in MATRIX if "wizard" not in name]
        before = {name: self.contents(name) for name in models_}
        for name in models_:
            rows = self.rows(name).with_user(auditor)
            # Before access is asked, the append-only logs refuse everybody.
            for attempt in (
                lambda rows=rows: rows.write({"id": 1}),
                lambda rows=rows: rows.create([{}]),
                lambda rows=rows: rows.unlink(),
            ):
                with (
                    self.subTest(name),
                    mute_logger("odoo.models"),
                    self.assertRaises(UserError),
                ):
                    attempt()
        for name in models_:
            with self.subTest(name):
                self.assertEqual(self.contents(name), before[name])

    def contents(self, model):
        self.env.flush_all()
        table = self.env[model]._table
        if self.env[model]._table_query:
            return None
        self.env.cr.execute(f"SELECT t::text FROM {table} t ORDER BY id")
        return self.env.cr.fetchall()

    def test_only_its_people_talk_on_an_exception(self):
        """An operator comments on an exception; an auditor leaves no trace."""
        exception = self.row("finance.exception")
        message = exception.with_user(self.users["operator"]).message_post(
            body="I called the shop"
        )
        self.assertIn("I called the shop", message.body)
        auditor = self.users["auditor"]
        doors = {
            "post": lambda e: e.message_post(body="Hello"),
            "create": lambda e: e.env["mail.message"].create(
                {"model": e._name, "res_id": e.id, "body": "Hello"}
            ),
            "edit": lambda e: message.with_user(auditor).write({"body": "Hello"}),
            "activity": lambda e: e.activity_schedule(summary="Hello"),
            "attachment": lambda e: e.env["ir.attachment"].create(
                {
                    "name": "Hello",
                    "raw": b"Hello",
                    "res_model": e._name,
                    "res_id": e.id,
                }
            ),
        }
        for door, attempt in doors.items():
            with (
                self.subTest(door),
                self.undone(),
                mute_logger("odoo.models"),
                self.assertRaises(AccessError),
            ):
                attempt(exception.with_user(auditor))

    def test_auditor_sees_the_accounting_behind(self):
        """Opening what a row is about needs no more than the accounting role."""
        event = self.events_of(self.invoice)[0].with_user(self.users["auditor"])
        action = event.action_open_record()
        record = self.env[action["res_model"]].with_user(self.users["auditor"])
        self.assertEqual(record.browse(action["res_id"]).name, self.invoice.name)


@tagged("post_install", "-at_install")
class TestCompanies(AccessCase):
    """cap 89: nobody sees or touches another company's rows, whatever the role."""

    def setUp(self):
        super().setUp()
        company = self.env["res.company"].create({"name": "Elsewhere"})
        self.foreigner = new_test_user(
            self.env,
            "test_foreigner",
            ",".join(f"finance_hub.group_{group}" for group in GROUPS),
            company_id=company.id,
            company_ids=[(6, 0, company.ids)],
        )

    def test_rows_are_invisible(self):
        for model in MATRIX:
            if "wizard" in model or model in COMMON:
                continue
            rows = self.rows(model)
            self.assertTrue(rows, model)
            as_foreigner = rows.with_user(self.foreigner)
            # Rules for all companies are everybody's, and of the trail what was done
            # in the visitor's own company, such as giving him his roles.
            own = [False]
            if model == "finance.audit.entry":
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
                for row in as_foreigner:
                    with self.assertRaises(AccessError):
                        row.read(["company_id"])

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

    def test_buttons_know_companies(self):
        """All roles at home are no role elsewhere."""
        for model, actions in ACTIONS.items():
            if "wizard" in model or model in COMMON:
                continue
            for action in actions:
                if (model, action) in ON_THE_MODEL or (
                    # Opens a list, which shows what the visitor may see: nothing.
                    model == "finance.connector" and action.startswith("action_open_")
                ):
                    continue
                row = self.row(model).with_user(self.foreigner)
                with (
                    self.subTest(model=model, action=action),
                    self.undone(),
                    mute_logger("odoo.models"),
                ):
                    before = self.contents_of(row)
                    self.env.invalidate_all()
                    try:
                        result = getattr(row, action)()
                    except AccessError:
                        result = None
                    self.assertEqual(self.contents_of(row), before, "nothing changed")
                    if result is not None:
                        # A form may be offered, as long as it shows nothing.
                        self.assertIn(action, ASKING)
                        self.assertEqual(result["type"], "ir.actions.act_window")

    def contents_of(self, row):
        if row._table_query:
            return None
        self.env.flush_all()
        self.env.cr.execute(
            f"SELECT t::text FROM {row._table} t WHERE id = %s", [row.id]
        )
        return self.env.cr.fetchone()

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


@tagged("post_install", "-at_install")
class TestSecrets(AccessCase):
    """cap 90, 91: a stored secret comes out of no door of the ORM."""

    FIELDS = ("secret_token", "previous_secret_token")

    def setUp(self):
        super().setUp()
        self.credential = self.shop.credential_ids
        self.credential._set_secret("whsec_" + "B" * 32)
        self.env.flush_all()
        self.env.cr.execute(
            "SELECT secret_token, previous_secret_token FROM finance_credential"
            " WHERE id = %s",
            [self.credential.id],
        )
        self.tokens = self.env.cr.fetchone()
        self.everybody = [
            *(self.users[group] for group in GROUPS),
            self.env.ref("base.user_admin"),
        ]
        self.env.ref("base.user_admin").write(
            {
                "company_ids": [(4, self.company.id)],
                "group_ids": [(4, self.env.ref("finance_hub.group_administrator").id)],
            }
        )
        for user in self.everybody:
            user.group_ids += self.env.ref("base.group_allow_export")
        self.env.invalidate_all()

    def test_no_door_leads_to_it(self):
        for user in self.everybody:
            credential = self.credential.with_user(user).with_company(self.company)
            for name in self.FIELDS:
                doors = {
                    "read": lambda c=credential, n=name: c.read([n]),
                    "attribute": lambda c=credential, n=name: c[n],
                    "search_read": lambda c=credential, n=name: c.search_read(
                        [("id", "=", c.id)], [n]
                    ),
                    "domain": lambda c=credential, n=name: c.search(
                        [(n, "like", "gAAAA")]
                    ),
                    "order": lambda c=credential, n=name: c.search([], order=n),
                    "group": lambda c=credential, n=name: c._read_group(
                        [], [n], ["__count"]
                    ),
                    "export": lambda c=credential, n=name: c.export_data([n]),
                    "web_read": lambda c=credential, n=name: c.web_read({n: {}}),
                    "related": lambda c=credential, n=name: c.connector_id.search(
                        [(f"credential_ids.{n}", "!=", False)]
                    ),
                    "write": lambda c=credential, n=name: c.write({n: "mine"}),
                    "create": lambda c=credential, n=name: c.create(
                        {"name": "x", "connector_id": c.connector_id.id, n: "mine"}
                    ),
                }
                for door, attempt in doors.items():
                    with (
                        self.subTest(user=user.login, field=name, door=door),
                        mute_logger("odoo.models"),
                        self.assertRaises(AccessError),
                    ):
                        attempt()

    def test_not_among_the_fields(self):
        for user in self.everybody:
            described = self.env["finance.credential"].with_user(user).fields_get()
            for name in self.FIELDS:
                self.assertNotIn(name, described, user.login)
            self.assertIn("secret_hint", described)

    def test_all_that_can_be_read_holds_no_secret(self):
        """Everything a user can read of a credential, in one go."""
        for user in self.everybody:
            credential = self.credential.with_user(user).with_company(self.company)
            text = str(credential.read()) + str(credential.copy_data())
            for token in self.tokens:
                self.assertNotIn(token, text)
            for secret in self.credential._secrets():
                self.assertNotIn(secret, text)
                self.assertNotIn(secret.removeprefix("whsec_"), text)

    def test_input_is_for_administrators(self):
        for group in ("operator", "approver", "auditor", "nobody"):
            with (
                self.subTest(group),
                mute_logger("odoo.models"),
                self.assertRaises(AccessError),
            ):
                self.credential.with_user(self.users[group]).secret_input = SECRET

    def test_private_methods_stay_private(self):
        """What hands out clear secrets can't be called from outside."""
        for name in ("_secrets", "_set_secret", "_check_secret"):
            self.assertTrue(name.startswith("_"))
            self.assertTrue(hasattr(self.credential, name))

    def test_jobs_carry_no_secret(self):
        """Jobs name no record and no argument: they find their work themselves."""
        self.env["finance.delivery"]._wake()
        self.env["finance.message"]._wake()
        jobs = self.env["queue.job"].search([("identity_key", "like", "finance_hub.%")])
        self.assertEqual(len(jobs), 2)
        for job in jobs:
            self.assertFalse(job.args)
            self.assertFalse(job.kwargs)
            self.assertFalse(job.records)
