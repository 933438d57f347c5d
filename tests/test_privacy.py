import json
from datetime import date, timedelta

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from ..models import clock
from ..models.audit import constants as audit_constants
from ..models.ledger.errors import CommandError
from .test_inbound_processing import ProcessingCase
from .test_retention import RetentionCase

NAME, EMAIL, IBAN = "Zoë Peeters", "zoe.peeters@example.com", "BE68539007547034"


@tagged("post_install", "-at_install")
class TestLegalHold(RetentionCase):
    """cap 97: what a court wants kept is kept, and that it was is evidence."""

    def hold(self, **scope):
        hold = self.env["finance.legal.hold"].with_user(self.users["administrator"])
        return hold.create(
            {"name": "A", "reason": "Law suit", "ordered_by": "A court", **scope}
        )

    def lift(self, hold):
        hold = hold.with_user(self.users["approver"])
        hold.lift_reason = "It is over"
        hold.action_lift()

    def test_placed_and_lifted_by_two(self):
        with self.assertRaises(ValidationError):
            self.hold(company_id=False)
        hold = self.hold(correlation_id="case")
        for state in ("active", "lifted"):
            with self.assertRaises(UserError):
                hold.state = state
        hold.action_place()
        hold.lift_reason = "I say so"
        with self.assertRaisesRegex(UserError, "somebody else"):
            hold.action_lift()
        with self.assertRaises(UserError):
            hold.correlation_id = "another"
        with self.assertRaises(UserError):
            hold.unlink()
        with self.assertRaises(AccessError):
            hold.with_user(self.users["operator"]).action_place()
        hold.lift_reason = False
        with self.assertRaisesRegex(UserError, "why"):
            hold.with_user(self.users["approver"]).action_lift()
        self.lift(hold)
        self.assertEqual(hold.state, "lifted")
        self.assertEqual(hold.lifted_by_id, self.users["approver"])

    def test_what_each_scope_keeps(self):
        """Of everything that would go, exactly what the scope says stays."""
        partner = self.env["res.partner"].create(
            {"name": "Held", "child_ids": [(0, 0, {"name": "Its contact"})]}
        )
        move = self.init_invoice("out_invoice", partner=partner, amounts=[10])
        attempts = {}
        for name, values, days in (
            ("case", {"correlation_id": "case"}, 100),
            ("partner", {"res_id": move.id}, 100),
            ("early", {}, 200),
            ("free", {}, 100),
        ):
            event = self.add_event(**{"res_id": 0, **values})
            attempts[name] = self.add_attempt(
                self.done(100, event=event), started_at=self.ago(days)
            )
        early = (self.ago(201).date(), self.ago(199).date())
        other = self.make_connector("other")
        for scope, kept in (
            ({"correlation_id": "case"}, {"case"}),
            ({"partner_id": partner.child_ids.id}, {"partner"}),
            ({"date_from": early[0], "date_to": early[1]}, {"early"}),
            ({"connector_id": self.connector.id}, set(attempts)),
            ({"connector_id": other.id}, set()),
            ({"date_to": date(2000, 1, 1)}, set()),
        ):
            with self.subTest(scope=scope):
                hold = self.hold(**scope)
                hold.action_place()
                savepoint = self.env.cr.savepoint()
                self.purge()
                left = {n for n, attempt in attempts.items() if attempt.exists()}
                self.assertEqual(left, kept)
                savepoint.close(rollback=True)
                self.env.invalidate_all()
                self.lift(hold)

    def test_evidence(self):
        held = self.add_attempt(
            self.done(100, event=self.add_event(correlation_id="case")),
            started_at=self.ago(95),
        )
        gone = self.add_attempt(self.done(100), started_at=self.ago(100))
        needed = self.add_attempt(
            self.add_delivery(state="dead"), started_at=self.ago(99)
        )
        hold = self.hold(correlation_id="case")
        hold.action_place()
        self.purge()
        self.assertEqual((held | gone | needed).exists(), held | needed)
        run = self.env["finance.purge"].search([])
        self.assertEqual(run.state, "done")
        self.assertTrue(run.ended_at)
        line = run.line_ids.filtered(lambda line: line.kind == "attempt")
        self.assertEqual(
            (line.removed_count, line.held_count, line.needed_count, line.days),
            (1, 1, 1, 90),
        )
        self.assertEqual((line.from_at, line.to_at), (self.ago(100),) * 2)
        self.assertEqual(line.hold_ids, hold.sudo())
        archive = self.archives("attempt")
        self.assertEqual(line.archive_ids, archive)
        self.assertIn(archive.sha256, line.digests)
        self.assertIn(line, hold.with_user(self.users["auditor"]).line_ids)
        with self.assertRaises(UserError):
            run.unlink()
        self.lift(hold)
        self.purge()
        self.assertFalse(held.exists())
        self.assertEqual(len(self.env["finance.purge"].search([])), 2)
        self.purge()
        self.assertEqual(len(self.env["finance.purge"].search([])), 2, "no news")

    def test_class_of_the_interface(self):
        """A rule for a class goes before the rule for any."""
        self.connector.classification = "restricted"
        self.assertTrue(self.connector.encrypt_bodies)
        with self.assertRaises(ValidationError):
            self.connector.encrypt_bodies = False
        self.env["finance.retention"].create(
            {"kind": "attempt_delivered", "dataclass": "restricted", "days": 30}
        )
        attempt = self.add_attempt(self.done(100), started_at=self.ago(40))
        self.connector.classification = "confidential"
        self.purge()
        self.assertTrue(attempt.exists())
        self.connector.classification = "restricted"
        self.purge()
        self.assertFalse(attempt.exists())
        line = self.env["finance.purge"].search([]).line_ids
        self.assertEqual((line.dataclass, line.days), ("restricted", 30))

    def test_the_trail_is_kept(self):
        seals = self.env["finance.audit.seal"]
        self.connector.name = "Noted"
        self.end_transaction()
        self.assertGreater(seals._seal(), 0)
        entries = self.env["finance.audit.entry"].search(
            [("company_id", "=", self.company.id)]
        )
        self.assertTrue(entries)
        hold = self.hold(company_id=self.company.id)
        hold.action_place()
        self.end_transaction()
        self.set_clock(clock.now() + timedelta(days=800))
        # What was sealed before this company was there is not under the hold.
        seals._purge(audit_constants.MIN_KEEP_DAYS)
        self.end_transaction()
        self.assertEqual(entries.exists(), entries)
        self.lift(hold)
        self.assertGreater(seals._purge(audit_constants.MIN_KEEP_DAYS), 0)
        self.assertFalse(entries.exists())


@tagged("post_install", "-at_install")
class TestPersonalData(ProcessingCase):
    """cap 91: content is for whom it concerns; a person is found, and taken out."""

    def setUp(self):
        super().setUp()
        self.connector.classification = "confidential"
        self.users["confidential"] = new_test_user(
            self.env,
            "test_privacy_confidential",
            "finance_hub.group_operator,finance_hub.group_confidential",
            company_id=self.company.id,
            company_ids=[(6, 0, self.company.ids)],
        )
        self.message = self.take(1, payer_name=NAME, description=f"for {EMAIL}")

    def apply(self):
        with self.handling():
            self.process()
        self.env.invalidate_all()
        return self.message.command_ids

    def search(self, group="administrator", **values):
        self.env["finance.privacy.index"]._read_on()
        search = self.env["finance.privacy.wizard"].with_user(self.users[group])
        search = search.with_company(self.company).create(values)
        search.action_search()
        return search

    def found(self, **values):
        return set(self.search(**values).finding_ids.mapped("source"))

    def test_commands_are_encrypted(self):
        command = self.apply()
        self.assertEqual((command.state, command.is_encrypted), ("applied", True))
        self.env.cr.execute(
            "SELECT to_jsonb(c)::text FROM finance_command c WHERE id = %s",
            [command.id],
        )
        self.assertNotIn(NAME, self.env.cr.fetchone()[0])
        self.assertEqual(command.data["payer_name"], NAME)
        for group in ("operator", "administrator", "approver", "auditor"):
            mine = command.with_user(self.users[group])
            self.assertTrue(mine.content_hidden)
            self.assertNotIn(NAME, mine.data_text)
            self.assertEqual(mine.read(["data"])[0]["data"]["payer_name"], "****")
            with self.assertRaises(AccessError):
                mine.read(["data_token"])
        self.assertIn(NAME, command.with_user(self.users["confidential"]).data_text)

    @mute_logger("odoo.addons.finance_hub.models.inbox.processing")
    def test_correcting_what_is_hidden(self):
        self.process()
        command = self.message.command_ids
        command._fail(CommandError("D-SCHEMA", "Wrong"))
        blind = command.with_user(self.users["operator"])
        for attempt in (
            blind.action_correct,
            lambda: blind._correct(blind.data, "I guess"),
        ):
            with self.assertRaisesRegex(UserError, "confidential"):
                attempt()
        seeing = command.with_user(self.users["confidential"])
        correction = seeing._correct({**seeing.data, "document_ref": "REF-9"}, "Typo")
        self.assertTrue(correction.is_encrypted)
        self.assertEqual(correction.sudo().data["document_ref"], "REF-9")
        self.assertEqual(correction.sudo().data["payer_name"], NAME)

        return CommandError("D-SCHEMA", "Wrong")

    def test_found(self):
        self.apply()
        for values in (
            {"name": "peeters zoe"},
            {"email": EMAIL.upper()},
        ):
            self.assertLessEqual({"message", "command"}, self.found(**values))
        for values in ({"name": "Zoë Peters"}, {"iban": IBAN}):
            self.assertFalse(self.found(**values))
        with self.assertRaises(UserError):
            self.search(phone="12")
        with self.assertRaises(AccessError):
            self.env["finance.privacy.wizard"].with_user(self.users["operator"]).create(
                {"name": NAME}
            )
        marks = self.env["finance.privacy.mark"].search([])
        self.assertFalse({NAME, EMAIL} & set(marks.mapped("mark")))
        for index in self.env["finance.privacy.index"].search([]):
            self.assertFalse(index.waiting_count)

    def test_not_of_another_company(self):
        self.apply()
        self.env["finance.privacy.index"]._read_on()
        elsewhere = self.env["res.company"].create({"name": "Elsewhere"})
        user = new_test_user(
            self.env,
            "test_privacy_elsewhere",
            "finance_hub.group_administrator",
            company_id=elsewhere.id,
            company_ids=[(6, 0, elsewhere.ids)],
        )
        search = self.env["finance.privacy.wizard"].with_user(user)
        search = search.with_company(elsewhere).create({"email": EMAIL})
        search.action_search()
        self.assertFalse(search.finding_ids)

    def test_taken_out(self):
        command = self.apply()
        amount, key = command.data["amount"], command.business_key
        search = self.search(email=EMAIL)
        with self.assertRaisesRegex(UserError, "reason"):
            search.action_pseudonymise()
        search.reason = "Asked to be forgotten"
        auditor = self.search("auditor", email=EMAIL)
        with self.assertRaises(AccessError):
            auditor.action_pseudonymise()
        search.action_pseudonymise()
        self.end_transaction()
        self.assertFalse(self.message.body)
        self.assertTrue(self.message.sha256)
        self.assertNotIn(NAME, json.dumps(command.data))
        self.assertNotIn(EMAIL, json.dumps(command.data))
        self.assertEqual((command.data["amount"], command.business_key), (amount, key))
        self.assertFalse(self.found(email=EMAIL))
        entries = self.env["finance.audit.entry"].search(
            [("action", "=", "privacy.pseudonymise")]
        )
        self.assertLessEqual(
            {("finance.message", self.message.id), ("finance.command", command.id)},
            {(entry.res_model, entry.res_id) for entry in entries},
        )
        self.assertEqual(set(entries.mapped("reason")), {"Asked to be forgotten"})
        self.assertIn(self.users["administrator"].login, entries[0].actor)
        searched = self.env["finance.audit.entry"].search(
            [("action", "=", "privacy.search")], limit=1
        )
        self.assertNotIn(EMAIL, json.dumps(searched.facts))
        self.assertFalse(self.env["finance.audit.seal"]._verify().found)
        # It comes again: still known, and no quarrel about what it said.
        again = self.take(2, provider_ref="pay_1", payer_name=NAME)
        with self.handling():
            self.process()
        self.assertNotEqual(again.command_ids.state, "failed")

    def test_not_under_a_hold_nor_while_needed(self):
        self.process()
        search = self.search(email=EMAIL)
        states = dict(search.finding_ids.mapped(lambda f: (f.source, f.state)))
        command = self.message.command_ids
        if command.state not in ("applied", "ignored"):
            self.assertEqual(states["command"], "busy")
        command.state = "applied"
        self.message.state = "processed"
        command._exceptions()._resolve("Done")
        hold = self.env["finance.legal.hold"].create(
            {
                "name": "A",
                "reason": "B",
                "ordered_by": "C",
                "partner_id": self.env["res.partner"]
                .create({"name": "Somebody", "email": EMAIL})
                .id,
            }
        )
        hold.action_place()
        search = self.search(email=EMAIL)
        self.assertEqual(set(search.finding_ids.mapped("state")), {"held"})
        search.reason = "Asked to be forgotten"
        with self.assertRaisesRegex(UserError, "legal hold"):
            search.action_pseudonymise()
        self.assertIn(EMAIL, self.message._raw().decode())

    def test_odoos_own_lookup(self):
        if "privacy.lookup.wizard" not in self.env:
            self.skipTest("Odoo's privacy module is not installed")
        self.apply()
        self.env["finance.privacy.index"]._read_on()
        wizard = self.env["privacy.lookup.wizard"].create(
            {"name": NAME, "email": EMAIL}
        )
        wizard.action_lookup()
        lines = {(line.res_model, line.res_id) for line in wizard.line_ids}
        self.assertIn(("finance.message", self.message.id), lines)
        self.assertIn(("finance.command", self.message.command_ids.id), lines)
        line = wizard.line_ids.filtered(
            lambda line: line.res_model == "finance.command"
        )
        with self.assertRaises(UserError):
            line[:1].action_unlink()

    def test_a_refused_call_is_in_the_trail(self):
        """However many there are: few entries, which tell how many."""
        refusals = self.env["finance.refusal"]
        minute = clock.naive_now().replace(second=0, microsecond=0)
        facts = {"company": self.company.id, "called": "shop", "detail": "No."}
        for number in range(50):
            key = (minute, self.connector.id, f"192.0.2.{number}", "bad_signature")
            refusals._store({key: (7, facts)})
        self.end_transaction()
        entries = self.env["finance.audit.entry"].search(
            [("action", "=", "inbound.refused"), ("res_id", "=", self.connector.id)]
        )
        self.assertEqual(len(entries), audit_constants.REFUSALS_KEPT)
        self.assertEqual(set(entries.mapped("outcome")), {"refused"})
        self.assertEqual(entries[0].facts["calls"], 7)
