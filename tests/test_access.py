from odoo import models
from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from .access_rows import AccessCase
from .common import GROUPS

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
    "finance.stake": (READ, READ, READ, READ),
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
    "finance.approval.step": (READ, READ, READ, READ),
    "finance.policy": (READ, READ, ALL, READ),
    "finance.policy.step": (READ, READ, ALL, READ),
    "finance.delegation": (READ, "cr", "cr", READ),
    "finance.flow": (READ, READ, ALL, READ),
    "finance.flow.step": (READ, READ, ALL, READ),
    "finance.flow.tally": (READ, READ, READ, READ),
    "finance.flow.cursor": (READ, READ, READ, READ),
    "finance.process": (READ, READ, READ, READ),
    "finance.process.step": (READ, READ, READ, READ),
    "finance.process.cancel.wizard": (ALL, NONE, NONE, NONE),
    "finance.process.start.wizard": (ALL, NONE, NONE, NONE),
    "finance.duty": (READ, READ, READ, READ),
    "finance.duty.conflict": (READ, READ, "cru", READ),
    "finance.duty.wizard": (ALL, ALL, ALL, NONE),
    "finance.test.call": (READ, READ, READ, READ),
    "finance.break.glass": (READ, "ru", READ, READ),
    "finance.access.line": (READ, READ, READ, READ),
    "finance.access.review": (READ, READ, READ, READ),
    "finance.access.review.line": (READ, READ, READ, READ),
    "finance.compensation": (READ, READ, READ, READ),
    "finance.compensate.wizard": (ALL, NONE, NONE, NONE),
    "finance.compensate.wizard.line": (ALL, NONE, NONE, NONE),
    "finance.link": (READ, READ, READ, READ),
    "finance.link.wizard": (ALL, NONE, NONE, NONE),
    "finance.bulk.action": (READ, READ, READ, READ),
    "finance.bulk.line": (READ, READ, READ, READ),
    "finance.alert": (READ, READ, READ, READ),
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
    # Up to where the engine has read: numbers, for the whole database.
    "finance.flow.cursor",
    "finance.scope",
    "finance.duty",
    "finance.duty.conflict",
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
    "finance.stake": {},
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
        "action_open_processes": EVERY_ROLE,
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
        "action_link": OPERATOR,
        "action_compensate": OPERATOR,
        "action_retry_cause": OPERATOR,
        "action_open_same_cause": EVERY_ROLE,
        "action_open_payload": EVERY_ROLE,
        "action_open_record": EVERY_ROLE,
        "action_open_trace": EVERY_ROLE,
        "action_open_audit": EVERY_ROLE,
    },
    "finance.compensation": {
        "action_undo": OPERATOR,
        "action_open_record": EVERY_ROLE,
        "action_open_result": EVERY_ROLE,
        "action_open_exception": EVERY_ROLE,
        "action_open_trace": EVERY_ROLE,
    },
    "finance.compensate.wizard": {"action_confirm": OPERATOR},
    "finance.compensate.wizard.line": {},
    "finance.link": {"action_open_record": EVERY_ROLE},
    "finance.link.wizard": {"action_link": OPERATOR},
    "finance.bulk.action": {
        "action_stop": {"operator", "approver"},
        "action_open_failed": EVERY_ROLE,
    },
    "finance.bulk.line": {},
    "finance.alert": {},
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
    "finance.approval.step": {},
    "finance.policy": {
        "action_request_review": ADMINISTRATOR,
        "action_approve": {"approver"},
        "action_reject": {"approver"},
        "action_retire": {"approver"},
        "action_new_version": ADMINISTRATOR,
        "action_open_approvals": EVERY_ROLE,
    },
    "finance.policy.step": {},
    "finance.delegation": {
        "action_confirm": {"approver"},
        "action_end": {"approver", "administrator"},
    },
    "finance.duty": {"action_open_holders": EVERY_ROLE},
    "finance.duty.conflict": {
        "action_confirm": {"approver"},
        "action_discard": {"approver", "administrator"},
    },
    # It asks for the word of a reviewer here.
    "finance.duty.wizard": {"action_confirm": {"approver"}},
    "finance.test.call": {},
    "finance.break.glass": {
        # Only with the right to emergency access.
        "action_break": set(),
        "action_end": {"approver", "administrator"},
        "action_review": {"approver"},
        "action_open_entries": EVERY_ROLE,
    },
    "finance.access.line": {},
    "finance.access.review": {
        "action_begin": {"approver", "auditor"},
        "action_open_lines": EVERY_ROLE,
    },
    "finance.access.review.line": {
        "action_certify": {"approver"},
        "action_revoke": {"approver"},
    },
    "finance.exposure": {},
    "finance.flow": {
        "action_use_template": ADMINISTRATOR,
        "action_new_version": ADMINISTRATOR,
        "action_request_review": ADMINISTRATOR,
        "action_approve": {"approver"},
        "action_reject": {"approver"},
        "action_retire": ADMINISTRATOR,
        "action_open_processes": EVERY_ROLE,
    },
    "finance.flow.step": {},
    "finance.flow.tally": {},
    "finance.flow.cursor": {},
    "finance.process": {
        "action_look": OPERATOR,
        "action_compare": OPERATOR,
        "action_cancel": OPERATOR,
        "action_open_record": EVERY_ROLE,
        "action_open_transaction": EVERY_ROLE,
        "action_open_trace": EVERY_ROLE,
    },
    "finance.process.step": {
        "action_done": {"operator", "approver"},
        "action_open_process": EVERY_ROLE,
    },
    "finance.process.cancel.wizard": {"action_confirm": OPERATOR},
    "finance.process.start.wizard": {"action_start": OPERATOR},
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
ON_THE_MODEL = {
    ("finance.credential", "action_reencrypt"),
    ("finance.access.review", "action_begin"),
}


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

    def test_auditor_sees_the_accounting_behind(self):
        """Opening what a row is about needs no more than the accounting role."""
        event = self.events_of(self.invoice)[0].with_user(self.users["auditor"])
        action = event.action_open_record()
        record = self.env[action["res_model"]].with_user(self.users["auditor"])
        self.assertEqual(record.browse(action["res_id"]).name, self.invoice.name)
