import inspect
import json
from contextlib import contextmanager
from unittest.mock import patch

from psycopg2.errors import InsufficientPrivilege

from odoo import SUPERUSER_ID, api
from odoo.exceptions import AccessError, UserError
from odoo.tests import HttpCase, new_test_user, tagged
from odoo.tools import mute_logger

from ..controllers import authentication
from ..models.audit import constants, decisions, finance_audit_entry
from ..signing import import_seal
from .common import FinanceHubCommon

SECRET = "whsec_" + "A" * 32
TABLES = ("finance_audit_entry", "finance_audit_position", "finance_audit_seal")


class AuditCase(FinanceHubCommon):
    def setUp(self):
        super().setUp()
        finance_audit_entry.limiter.forget()
        self.addCleanup(finance_audit_entry.limiter.forget)
        self.env["finance.audit.key"]._ensure()
        self.seals = self.env["finance.audit.seal"]

    def seen(self):
        """Return the id of the last entry, to tell what comes after it."""
        self.end_transaction()
        return self.env["finance.audit.entry"].search([], limit=1).id or 0

    def after(self, mark, *domain):
        """Return the entries since ``mark``, the oldest first."""
        self.end_transaction()
        return self.env["finance.audit.entry"].search(
            [("id", ">", mark), *domain], order="id"
        )

    def sole(self, mark, action, *domain):
        """Return the one entry since ``mark``; there must be no other."""
        entries = self.after(mark, *domain)
        self.assertEqual(entries.mapped("action"), [action])
        return entries

    def everything(self):
        """Return all that the trail holds, as text."""
        self.end_transaction()
        self.env.cr.execute("SELECT t::text FROM finance_audit_entry t")
        return "\n".join(row[0] for row in self.env.cr.fetchall())


@tagged("post_install", "-at_install")
class TestAuditEntries(AuditCase):
    """cap 93: every source gives exactly one entry, with who, why, before and after."""

    def person(self, records, group):
        return records.with_user(self.users[group])

    # === CONFIGURATION === #

    def test_configuration_changes(self):
        """Create, change and delete of each followed model."""
        connector = self.make_connector(state="draft")
        credential = self.make_credential(connector, secret=SECRET)
        endpoint = self.env["finance.endpoint"].create(
            {
                "name": "Endpoint",
                "connector_id": connector.id,
                "url": "https://example.com/a",
                "credential_id": credential.id,
            }
        )
        subscription = self.make_subscription(endpoint)
        client = self.env["finance.client"].create(
            {"name": "Client", "connector_id": connector.id}
        )
        rule = self.env["finance.retention"].create(
            {"kind": "attempt_failed", "days": 400, "company_id": self.company.id}
        )
        changes = [
            (connector, {"name": "New"}, "connector.change", "name"),
            (credential, {"name": "New"}, "credential.change", "name"),
            (endpoint, {"timeout": 7}, "endpoint.change", "timeout"),
            (subscription, {"patterns": "*"}, "subscription.change", "patterns"),
            (client, {"rate_limit": 7}, "client.change", "rate_limit"),
            (rule, {"days": 500}, "retention.change", "days"),
        ]
        for record, vals, action, name in changes:
            with self.subTest(action):
                old = record[name]
                mark = self.seen()
                self.person(record, "administrator").write(vals)
                entry = self.sole(mark, action)
                self.assertEqual(entry.before, {name: old})
                self.assertEqual(entry.after, vals)
                self.assertEqual(
                    (entry.res_model, entry.res_id),
                    (
                        record._name,
                        record.id,
                    ),
                )
                self.assertEqual(entry.label, record.display_name)
                self.assertEqual(entry.company_id, self.company)
                self.assertEqual(entry.actor, "Test administrator (test_administrator)")
                self.assertEqual(entry.actor_uid, self.users["administrator"].id)
                self.assertEqual(entry.outcome, "done")
                # The same once more changes nothing.
                mark = self.seen()
                self.person(record, "administrator").write(vals)
                self.assertFalse(self.after(mark))
        for record in (subscription, endpoint, client, rule):
            model, record_id, label = record._name, record.id, record.display_name
            with self.subTest(deleted=model):
                mark = self.seen()
                self.person(record, "administrator").unlink()
                entry = self.sole(mark, f"{model.removeprefix('finance.')}.delete")
                self.assertEqual((entry.res_id, entry.label), (record_id, label))
                self.assertIn(
                    entry.before.get("name") or entry.before.get("kind"),
                    ("Subscription", "Endpoint", "Client", "attempt_failed"),
                )
                self.assertFalse(entry.after)

    def test_created_with_its_values(self):
        mark = self.seen()
        connector = (
            self.env["finance.connector"]
            .with_user(self.users["administrator"])
            .create({"name": "Bank", "code": "bank", "company_id": self.company.id})
        )
        entry = self.sole(mark, "connector.create")
        self.assertEqual(entry.res_id, connector.id)
        self.assertEqual(entry.after["code"], "bank")
        self.assertEqual(
            entry.after["user_id"],
            [self.users["administrator"].id, "Test administrator"],
        )
        self.assertFalse(entry.before)

    def test_scopes_of_a_client(self):
        client, _key = self.make_client(self.make_connector(), "event:read")
        scope = self.env["finance.scope"].search([("name", "=", "invoice:read")])
        mark = self.seen()
        self.person(client, "administrator").write({"scope_ids": [(4, scope.id)]})
        entry = self.sole(mark, "client.change")
        names = [name for _id, name in entry.before["scope_ids"]]
        self.assertEqual(len(names), 1)
        self.assertIn([scope.id, scope.display_name], entry.after["scope_ids"])

    # === DECISIONS === #

    def test_go_live(self):
        connector = self.make_connector(state="draft")
        self.make_endpoint("https://example.com/a", connector)
        self.make_tested(connector)
        steps = [
            ("action_request_review", "administrator", "draft", "in_review"),
            ("action_reject", "approver", "in_review", "draft"),
            ("action_request_review", "administrator", "draft", "in_review"),
            ("action_approve", "approver", "in_review", "live"),
            ("action_suspend", "approver", "live", "suspended"),
            ("action_resume", "administrator", "suspended", "live"),
            ("action_retire", "administrator", "live", "retired"),
        ]
        for action, group, old, new in steps:
            with self.subTest(action):
                mark = self.seen()
                getattr(self.person(connector, group), action)()
                entry = self.sole(
                    mark,
                    action.replace("action_", "connector."),
                )
                self.assertEqual(entry.before["state"], old)
                self.assertEqual(entry.after["state"], new)
                self.assertEqual(entry.actor_uid, self.users[group].id)

    def test_secrets(self):
        """That they were set is there; what they are is nowhere."""
        connector = self.make_connector(state="draft")
        credential = self.env["finance.credential"].create(
            {"name": "Secret", "connector_id": connector.id}
        )
        mark = self.seen()
        self.person(credential, "administrator").write({"secret_input": SECRET})
        entry = self.sole(mark, "credential.set_secret")
        self.assertEqual(entry.after["secret_token"], "****")
        self.assertEqual(entry.after["state"], "active")
        self.assertIsNone(entry.before["secret_token"])
        mark = self.seen()
        shown = self.person(credential, "administrator").action_generate()
        entry = self.sole(mark, "credential.generate")
        self.assertEqual(
            (entry.before["secret_token"], entry.after["secret_token"]),
            ("****", "****"),
        )
        mark = self.seen()
        self.person(credential, "administrator").action_revoke()
        entry = self.sole(mark, "credential.revoke")
        self.assertEqual(entry.after["state"], "revoked")
        client, key = self.make_client(connector, "event:read")
        mark = self.seen()
        rotated = self.person(client, "administrator").action_generate()
        entry = self.sole(mark, "client.generate")
        self.assertEqual(entry.before["key_prefix"], key[:12])
        mark = self.seen()
        self.person(client, "administrator").action_revoke()
        self.sole(mark, "client.revoke")
        text = self.everything()
        self.assertIn("****", text)
        for secret in (
            SECRET,
            shown.get("params", {}).get("secret") or SECRET,
            key[13:],
            rotated["params"]["secret"][13:],
            client.key_digest,
            credential.sudo().previous_secret_token or SECRET,
        ):
            self.assertNotIn(secret, text)

    def test_a_test_event(self):
        """Something went out, though nothing changed here."""
        sink = self.receiver()
        endpoint = self.make_endpoint(sink.url)
        mark = self.seen()
        self.person(endpoint, "administrator").action_test()
        self.assertTrue(sink.requests)
        self.sole(mark, "endpoint.test")

    def test_every_decision_that_is_listed_exists(self):
        for (model, method), (code, argument) in decisions.DECISIONS.items():
            with self.subTest(code):
                wrapped = getattr(type(self.env[model]), method)
                original = getattr(wrapped, decisions.ORIGINAL)
                if argument:
                    self.assertIn(argument, inspect.signature(original).parameters)
        for model, method in decisions.QUIET | decisions.ALWAYS:
            self.assertTrue(hasattr(type(self.env[model]), method))

    def test_every_button_is_watched(self):
        for name, model in self.env.registry.items():
            if not name.startswith("finance.") or model._abstract:
                continue
            for method in decisions.buttons_of(model):
                self.assertEqual(
                    hasattr(getattr(model, method), decisions.ORIGINAL),
                    (name, method) not in decisions.QUIET,
                    f"{name}.{method}",
                )

    def test_exceptions(self):
        exception = self.unmatched()
        mark = self.seen()
        self.person(exception, "operator").action_assign_to_me()
        entry = self.sole(mark, "exception.assign_to_me")
        self.assertFalse(entry.before["user_id"])
        self.assertEqual(entry.after["user_id"][0], self.users["operator"].id)
        mark = self.seen()
        self.person(exception, "operator").action_cancel()
        self.assertFalse(self.after(mark), "it only asks why")
        mark = self.seen()
        self.person(exception, "operator").action_retry()
        entry = self.sole(mark, "exception.retry")
        self.assertEqual(entry.after["state"], "in_progress")
        self.assertEqual(list(entry.facts["with"]), ["command.retry"])
        mark = self.seen()
        self.env["finance.reason.wizard"].with_user(self.users["operator"]).create(
            {"exception_ids": [(6, 0, exception.ids)], "reason": "Was a test"}
        ).action_confirm()
        entry = self.sole(mark, "exception.cancel")
        self.assertEqual(entry.reason, "Was a test")
        self.assertEqual(entry.after["state"], "cancelled")

    def test_correction(self):
        exception = self.unmatched()
        command = exception.command_id
        data = {**command.data, "document_ref": "OTHER"}
        mark = self.seen()
        self.env["finance.correct.wizard"].with_user(self.users["operator"]).create(
            {
                "command_id": command.id,
                "content": json.dumps(data),
                "reason": "A typo",
            }
        ).action_resubmit()
        entry = self.sole(mark, "command.correct")
        self.assertEqual(entry.reason, "A typo")
        self.assertEqual(entry.after["state"], "superseded")

    def unmatched(self):
        shop = self.make_connector("shop")
        self.make_credential(shop, "inbound", SECRET)
        self.receive(shop, self.cloud_event(self.captured("ORDER-1")))
        self.process()
        return self.env["finance.exception"].search([("code", "=", "B-UNMATCHED")])

    def test_deliveries_and_replays(self):
        endpoint = self.make_endpoint("https://example.com/a")
        self.make_invoice()
        self.end_transaction()
        delivery = endpoint.env["finance.delivery"].search(
            [("endpoint_id", "=", endpoint.id)], limit=1
        )
        mark = self.seen()
        self.person(delivery, "operator").action_cancel()
        entry = self.sole(mark, "delivery.cancel")
        self.assertEqual(
            (entry.before["state"], entry.after["state"]),
            (
                "waiting",
                "cancelled",
            ),
        )
        mark = self.seen()
        self.person(delivery, "operator").action_retry()
        self.sole(mark, "delivery.retry")
        self.person(delivery, "operator").action_cancel()
        replay = (
            self.env["finance.replay"]
            .with_user(self.users["operator"])
            .create(
                {
                    "company_id": self.company.id,
                    "endpoint_ids": [(6, 0, endpoint.ids)],
                    "reason": "They lost a day",
                    "with_cancelled": True,
                    "with_unsent": True,
                }
            )
        )
        replay.action_count()
        mark = self.seen()
        replay.action_start()
        entry = self.sole(mark, "replay.start")
        self.assertEqual(entry.reason, "They lost a day")
        mark = self.seen()
        self.person(replay, "operator").action_cancel()
        entry = self.sole(mark, "replay.cancel")
        self.assertEqual(entry.reason, "They lost a day")

    def test_many_at_once_are_one_entry(self):
        endpoint = self.make_endpoint("https://example.com/a")
        for _number in range(4):
            self.make_invoice()
        self.end_transaction()
        deliveries = self.env["finance.delivery"].search(
            [("endpoint_id", "=", endpoint.id)]
        )
        self.assertGreaterEqual(len(deliveries), 4)
        mark = self.seen()
        with patch.object(constants, "EACH_MAX", 2):
            self.person(deliveries, "operator").action_cancel()
        entry = self.sole(mark, "delivery.cancel")
        self.assertFalse(entry.res_id)
        self.assertEqual(entry.facts["count"], len(deliveries))
        self.assertEqual(entry.facts["ids"], deliveries.ids)

    def test_roles(self):
        group = self.env.ref("finance_hub.group_approver")
        user = new_test_user(self.env, "audit_new", "base.group_user")
        mark = self.seen()
        user.write({"group_ids": [(4, group.id)]})
        entry = self.sole(mark, "role.change")
        self.assertEqual(entry.before, {"roles": []})
        self.assertEqual(entry.after, {"roles": ["Approver"]})
        self.assertEqual((entry.res_model, entry.res_id), ("res.users", user.id))
        mark = self.seen()
        group.write({"user_ids": [(3, user.id)]})
        entry = self.sole(mark, "role.change")
        self.assertEqual(entry.after, {"roles": []})
        mark = self.seen()
        new_test_user(self.env, "audit_born", "finance_hub.group_auditor")
        entry = self.sole(mark, "role.change")
        self.assertEqual(entry.after, {"roles": ["Integration Auditor"]})
        mark = self.seen()
        user.write({"group_ids": [(4, self.env.ref("base.group_system").id)]})
        self.assertFalse(self.after(mark), "no role of the hub")
        # By way of a group that implies a role.
        other = self.env["res.groups"].create({"name": "Bosses"})
        user.write({"group_ids": [(4, other.id)]})
        mark = self.seen()
        other.write({"implied_ids": [(4, group.id)]})
        entry = self.sole(mark, "role.change")
        self.assertEqual(entry.res_id, user.id)
        mark = self.seen()
        user.write({"active": False})
        entry = self.sole(mark, "role.change")
        self.assertEqual(entry.before, {"roles": ["Approver"]})

    def test_settings(self):
        """Switching the trail's own jobs off is in it, too."""
        parameters = self.env["ir.config_parameter"]
        mark = self.seen()
        parameters.set_param(constants.KEEP_PARAMETER, "400")
        entry = self.sole(mark, "config.change")
        self.assertEqual(entry.label, constants.KEEP_PARAMETER)
        self.assertEqual(entry.after, {"value": "400"})
        mark = self.seen()
        parameters.set_param(constants.KEEP_PARAMETER, "500")
        entry = self.sole(mark, "config.change")
        self.assertEqual(entry.before, {"value": "400"})
        mark = self.seen()
        parameters.set_param(constants.KEEP_PARAMETER, False)
        entry = self.sole(mark, "config.change")
        self.assertEqual(entry.before, {"value": "500"})
        mark = self.seen()
        parameters.set_param("web.something", "1")
        parameters.set_param("finance_hub.purge_positions", "{}")
        self.assertFalse(self.after(mark))
        cron = self.env.ref("finance_hub.cron_audit_verify")
        mark = self.seen()
        cron.write({"active": False})
        entry = self.sole(mark, "config.change")
        self.assertEqual(
            (entry.before, entry.after),
            (
                {"active": True},
                {"active": False},
            ),
        )
        self.assertIn("verify the audit trail", entry.label)

    def test_a_retention_run(self):
        rule = self.env["finance.retention"].create(
            {"kind": "attempt_failed", "days": 400, "company_id": self.company.id}
        )
        mark = self.seen()
        rule.write({"removed_count": 7})
        self.assertFalse(self.after(mark), "what the purge counts is no decision")

    def test_the_system_acts(self):
        connector = self.make_connector(state="draft")
        env = api.Environment(self.env.cr, SUPERUSER_ID, {})
        mark = self.seen()
        with patch.object(type(self.env.transaction), "default_env", env, create=True):
            connector.with_env(env).write({"name": "New"})
            entry = self.sole(mark, "connector.change")
        self.assertEqual(entry.actor, "system")

    # === TRANSACTIONS === #

    def test_what_is_rolled_back_leaves_none(self):
        connector = self.make_connector(state="draft")
        mark = self.seen()
        with self.env.cr.savepoint() as savepoint:
            connector.write({"name": "Never"})
            savepoint.rollback()
        self.assertFalse(self.after(mark))
        with self.env.cr.savepoint():
            connector.write({"name": "Indeed"})
        self.sole(mark, "connector.change")

    def test_posting_writes_none(self):
        self.make_endpoint("https://example.com/a")
        mark = self.seen()
        self.make_invoice()
        self.assertFalse(self.after(mark))

    def test_writing_takes_two_queries(self):
        connector = self.make_connector(state="draft")
        self.seen()
        entries = self.env["finance.audit.entry"]
        for number in (1, 50):
            for _number in range(number):
                entries._note("test.thing", connector)
            with patch.object(
                finance_audit_entry,
                "execute_values",
                wraps=finance_audit_entry.execute_values,
            ) as insert:
                self.env.cr.precommit.run()
            self.assertEqual(insert.call_count, 2)

    def test_odd_values(self):
        """What PostgreSQL or JSON can't hold comes back as it was digested."""
        connector = self.make_connector(state="draft")
        mark = self.seen()
        self.env["finance.audit.entry"]._note(
            "test.odd",
            connector,
            reason="nul \0 half \ud800 done",
            after={
                "price": 1.1,
                "big": 10**30,
                "text": "x" * 5000,
                "deep": [{"a": 2.5}],
            },
        )
        entry = self.sole(mark, "test.odd")
        self.assertEqual(entry.after["price"], "1.1")
        self.assertEqual(entry.after["big"], 10**30)
        self.assertLess(len(entry.after["text"]), 2200)
        self.assertIn("5000 characters", entry.after["text"])
        self.assertEqual(self.seals._verify().findings, [])

    def test_screens_say_it_in_words(self):
        connector = self.make_connector(state="draft")
        mark = self.seen()
        connector.write({"user_id": self.users["operator"].id, "criticality": "bulk"})
        entry = self.sole(mark, "connector.change").with_user(self.users["auditor"])
        self.assertIn("Criticality: Bulk", entry.after_text)
        self.assertIn("Owner: Test operator", entry.after_text)
        self.assertIn("Criticality: Standard", entry.before_text)
        self.assertEqual(entry.model_title, "Finance Connector")
        self.assertEqual(entry.action_open_record()["res_id"], connector.id)
        action = connector.with_user(self.users["auditor"]).action_open_audit()
        found = entry.search(action["domain"])
        self.assertIn(entry, found)


@tagged("post_install", "-at_install")
class TestAuditRefused(AuditCase):
    """cap 93: what was refused is kept, though its transaction is not."""

    @contextmanager
    def request_of(self, group):
        """A transaction as a request is one: an error rolls it back."""
        user, error = self.users[group], None
        with self.enter_registry_test_mode(), mute_logger("odoo.models"):
            # Not by assertRaises: its savepoint would take back what is written apart.
            try:
                with self.registry.cursor() as cr:
                    yield api.Environment(cr, user.id, {})
            except UserError as caught:
                error = caught
        self.assertIsNotNone(error, "it was refused")
        self.env.invalidate_all()

    def refused(self, mark):
        return self.after(mark, ("outcome", "=", "refused"))

    def test_a_button_without_the_role(self):
        connector = self.make_connector(state="in_review")
        mark = self.seen()
        with self.request_of("auditor") as env:
            env["finance.connector"].browse(connector.id).action_approve()
        entry = self.refused(mark)
        self.assertEqual(entry.action, "connector.approve")
        self.assertEqual(
            (entry.res_model, entry.res_id),
            (
                "finance.connector",
                connector.id,
            ),
        )
        self.assertEqual(entry.actor, "Test auditor (test_auditor)")
        self.assertEqual(entry.facts["kind"], "access")
        self.assertIn("Approver", entry.facts["refused_because"])
        self.assertEqual(entry.company_id, self.company)

    def test_who_asked_cannot_approve(self):
        approver = self.users["approver"]
        connector = self.make_connector(state="in_review")
        connector.requested_by_id = approver
        mark = self.seen()
        with self.request_of("approver") as env:
            env["finance.connector"].browse(connector.id).action_approve()
        entry = self.refused(mark)
        self.assertEqual(entry.action, "connector.approve")
        self.assertEqual(entry.facts["kind"], "rule")

    def test_a_write_without_the_right(self):
        connector = self.make_connector(state="draft")
        for name, attempt in {
            "connector.change": lambda c: c.write({"name": "Mine"}),
            "connector.delete": lambda c: c.unlink(),
            "connector.create": lambda c: c.create(
                {"name": "Mine", "code": "mine", "company_id": self.company.id}
            ),
        }.items():
            mark = self.seen()
            with self.subTest(name):
                with self.request_of("operator") as env:
                    attempt(env["finance.connector"].browse(connector.id))
                self.assertEqual(self.refused(mark).mapped("action"), [name])

    def test_a_guarded_field(self):
        connector = self.make_connector(state="draft")
        mark = self.seen()
        with self.request_of("administrator") as env:
            env["finance.connector"].browse(connector.id).write({"state": "live"})
        entry = self.refused(mark)
        self.assertEqual(entry.action, "connector.change")
        self.assertEqual(connector.state, "draft")

    def test_a_dialogue_is_one_entry(self):
        connector = self.make_connector(state="draft")
        exception = self.env["finance.exception"]._open(
            "T-TIMEOUT",
            company=self.company,
            record=connector,
            fingerprint="audit",
            summary="Test",
            cause="Test",
        )
        mark = self.seen()
        with self.request_of("operator") as env:
            wizard = env["finance.reason.wizard"].create(
                {"exception_ids": [(6, 0, exception.ids)], "reason": "Because"}
            )
            wizard.exception_ids.sudo().write({"state": "resolved"})
            wizard.action_confirm()
        self.assertEqual(self.refused(mark).mapped("action"), ["exception.cancel"])

    def test_what_happened_before_in_it_is_gone(self):
        connector = self.make_connector(state="draft")
        mark = self.seen()
        with self.request_of("administrator") as env:
            record = env["finance.connector"].browse(connector.id)
            record.write({"name": "Rolled back"})
            record.action_approve()
        self.assertEqual(self.after(mark).mapped("action"), ["connector.approve"])

    def test_a_mistake_is_no_refusal(self):
        """A wrong value is for the person to correct, and no attempt at anything."""
        connector = self.make_connector(state="draft")
        mark = self.seen()
        with self.request_of("administrator") as env:
            env["finance.connector"].browse(connector.id).write({"code": "NOT OK"})
        self.assertFalse(self.refused(mark))

    def test_a_flood_is_counted(self):
        connector = self.make_connector(state="in_review")
        mark = self.seen()
        for _number in range(constants.REFUSALS_KEPT + 5):
            with self.request_of("auditor") as env:
                env["finance.connector"].browse(connector.id).action_approve()
        self.assertEqual(len(self.refused(mark)), constants.REFUSALS_KEPT)
        mark = self.seen()
        self.later(minutes=2)
        with self.request_of("auditor") as env:
            env["finance.connector"].browse(connector.id).action_approve()
        self.assertEqual(self.refused(mark).facts["not_recorded_before"], 5)

    def test_caught_and_committed(self):
        """Whoever catches the error does not hide the attempt."""
        connector = self.make_connector(state="in_review")
        record = connector.with_user(self.users["auditor"])
        with self.assertRaises(AccessError):
            record.action_approve()
        mark = self.seen()
        # What runs at the end of a real transaction.
        with self.enter_registry_test_mode():
            self.env.cr.postcommit.run()
        self.assertEqual(self.refused(mark).action, "connector.approve")


@tagged("post_install", "-at_install")
class TestAuditApi(AuditCase, HttpCase):
    """cap 93: what clients are refused, and seals that people take away."""

    def setUp(self):
        super().setUp()
        authentication._recorded.clear()
        self.addCleanup(authentication._recorded.clear)

    def call(self, key):
        return self.url_open(
            "/finance/v1/events", headers={"Authorization": f"Bearer {key}"}
        )

    def test_refused_calls(self):
        client, key = self.make_client(self.make_connector(), "invoice:read")
        mark = self.seen()
        self.assertEqual(self.call(key).status_code, 403)
        entry = self.sole(mark, "access.refused")
        self.assertEqual(entry.facts["code"], "SCOPE-MISSING")
        self.assertEqual(entry.facts["path"], "/finance/v1/events")
        self.assertEqual((entry.res_model, entry.res_id), ("finance.client", client.id))
        self.assertIn(key[:12], entry.client)
        self.assertTrue(entry.remote_addr)
        self.assertTrue(entry.correlation_id)
        mark = self.seen()
        with mute_logger("odoo.addons.finance_hub.controllers.authentication"):
            self.assertEqual(self.call("fhk_unknown").status_code, 401)
        entry = self.sole(mark, "access.refused")
        self.assertEqual(entry.facts["code"], "KEY-UNKNOWN")
        self.assertNotIn(key[13:], self.everything())

    def test_reading_is_no_write(self):
        self.make_feed(connector := self.make_connector())
        _client, key = self.make_client(connector, "event:read")
        mark = self.seen()
        self.assertEqual(self.call(key).status_code, 200)
        self.assertFalse(self.after(mark))

    def test_a_seal_is_taken_away(self):
        self.make_connector()
        self.seals._seal()
        seal = self.seals.search([], limit=1)
        url = seal.with_user(self.users["auditor"]).action_export()["url"]
        self.authenticate("test_operator", "test_operator_password")
        with mute_logger("odoo.http"):
            self.assertEqual(self.url_open(url).status_code, 403)
        self.authenticate("test_auditor", "test_auditor_password")
        mark = self.seen()
        response = self.url_open(url)
        self.assertEqual(response.status_code, 200)
        self.assertEqual(import_seal(response.content)["hash"], seal.hash)
        entry = self.sole(mark, "audit.export")
        self.assertEqual(entry.actor, "Test auditor (test_auditor)")
        self.assertTrue(entry.facts["session"])


@tagged("post_install", "-at_install")
class TestAuditGuard(AuditCase):
    """cap 93: the database itself refuses."""

    def setUp(self):
        super().setUp()
        self.make_connector()
        self.end_transaction()
        self.assertTrue(self.seals._seal())

    def attempt(self, query):
        with self.env.cr.savepoint(flush=False):
            self.env.cr.execute(query)

    def test_sql_is_refused(self):
        for table in TABLES:
            for query in (
                f"UPDATE {table} SET id = id",
                f"UPDATE {table} SET id = id + 100000",
                f"DELETE FROM {table}",
                f"TRUNCATE {table} CASCADE",
                f"TRUNCATE {table} RESTART IDENTITY CASCADE",
            ):
                with (
                    self.subTest(query),
                    mute_logger("odoo.sql_db"),
                    self.assertRaises(InsufficientPrivilege),
                ):
                    self.attempt(query)

    def test_a_position_is_given_once(self):
        self.make_connector("second")
        self.end_transaction()
        table = "finance_audit_position"
        for query in (
            f"UPDATE {table} SET position = 1 WHERE position IS NOT NULL",
            f"UPDATE {table} SET position = NULL WHERE position IS NOT NULL",
            f"UPDATE {table} SET digest = '0', position = 99999 WHERE position IS NULL",
            f"UPDATE {table} SET mark = '0', position = 99999 WHERE position IS NULL",
            f"UPDATE {table} SET entry_id = 0, position = 9 WHERE position IS NULL",
        ):
            with (
                self.subTest(query),
                mute_logger("odoo.sql_db"),
                self.assertRaises(InsufficientPrivilege),
            ):
                self.attempt(query)

    def test_the_orm_is_refused(self):
        for model in ("entry", "position", "seal"):
            row = self.env[f"finance.audit.{model}"].search([], limit=1)
            for attempt in (
                lambda row=row: row.create({}),
                lambda row=row: row.write({"id": 1}),
                lambda row=row: row.unlink(),
            ):
                with self.subTest(model), self.assertRaises(UserError):
                    attempt()

    def test_a_purge_of_others_lets_it_alone(self):
        """What empties the other logs is no key to this one."""
        self.env.cr.execute("SELECT set_config('finance_hub.purge', 'on', true)")
        with mute_logger("odoo.sql_db"), self.assertRaises(InsufficientPrivilege):
            self.attempt("DELETE FROM finance_audit_entry")
        self.env.cr.execute("SELECT set_config('finance_hub.audit_purge', 'on', true)")
        with mute_logger("odoo.sql_db"), self.assertRaises(InsufficientPrivilege):
            self.attempt("DELETE FROM finance_audit_seal")
        with mute_logger("odoo.sql_db"), self.assertRaises(InsufficientPrivilege):
            self.attempt("TRUNCATE finance_audit_entry CASCADE")
        self.env.cr.execute("SELECT set_config('finance_hub.audit_purge', '', true)")

    def test_companies(self):
        elsewhere = self.env["res.company"].create({"name": "Elsewhere"})
        foreigner = new_test_user(
            self.env,
            "audit_foreigner",
            "finance_hub.group_auditor",
            company_id=elsewhere.id,
            company_ids=[(6, 0, elsewhere.ids)],
        )
        entries = self.env["finance.audit.entry"].with_user(foreigner)
        self.assertFalse(entries.search([("company_id", "=", self.company.id)]))
