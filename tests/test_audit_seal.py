"""Sealing and verifying, with tampering straight in SQL."""

import base64
import json
import os
import uuid
from contextlib import contextmanager
from unittest.mock import patch

from odoo import SUPERUSER_ID, api
from odoo.exceptions import AccessError, UserError
from odoo.tests import TransactionCase, tagged
from odoo.tools import mute_logger

from ..models.audit import constants, finance_audit_entry
from ..models.audit.finance_audit_verification import trail
from ..signing import (
    BROKEN_SEAL,
    CUT_TAIL,
    INSERTED,
    REMOVED,
    TAMPERED,
    WRONG_SIGNATURE,
    generate_key,
    generate_seal_key,
    make_seal,
    seal_key_id,
    seal_public_key,
    trail_line,
    verify_trail,
)
from .test_audit import TABLES, AuditCase

FORGED = """
    INSERT INTO finance_audit_entry (entry_key, at, action, outcome, actor)
    VALUES (%s, now() AT TIME ZONE 'UTC', 'connector.approve', 'done', 'Mallory')
    RETURNING id
"""


class ChainCase(AuditCase):
    """Three seals and one entry that waits for the next."""

    def setUp(self):
        super().setUp()
        # Whatever other transactions left unsealed comes first.
        while self.seals._seal():
            pass
        self.connector = self.make_connector(state="draft")
        self.made = self.env["finance.audit.seal"]
        for number in range(3):
            self.connector.name = f"Name {number}"
            self.connector.criticality = ("bulk", "critical", "standard")[number]
            self.assertTrue(self.seal())
            self.made |= self.seals.search([], limit=1)
        self.connector.name = "Waiting"
        self.end_transaction()
        self.assertFalse(self.findings())

    def seal(self):
        self.end_transaction()
        return self.seals._seal()

    def findings(self, witnesses=()):
        self.env.invalidate_all()
        return self.seals._verify(witnesses).findings

    def found(self, *codes, witnesses=()):
        """Return the findings, which must have these codes."""
        findings = self.findings(witnesses)
        self.assertEqual([finding.code for finding in findings], list(codes))
        return findings

    def entries_of(self, seal):
        return self.env["finance.audit.entry"].browse(
            seal.position_ids.mapped("entry_id")
        )

    @contextmanager
    def unguarded(self):
        """As the owner of the tables can: without their triggers."""
        for table in TABLES:
            self.env.cr.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield self.env.cr
        for table in TABLES:
            self.env.cr.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


@tagged("post_install", "-at_install")
class TestAuditSealing(ChainCase):
    def test_the_chain(self):
        first, second, third = self.made
        self.assertEqual(second.number, first.number + 1)
        self.assertEqual(second.previous_hash, first.hash)
        self.assertEqual(third.first_position, second.last_position + 1)
        self.assertEqual(second.entry_count, len(second.position_ids))
        self.assertTrue(self.entries_of(first))
        entry = self.entries_of(first)[:1]
        self.assertEqual(entry.seal_id, first)
        self.assertEqual(len(entry.digest), 64)
        waiting = self.env["finance.audit.entry"].search([], limit=1)
        self.assertTrue(waiting.is_seal_pending)

    def test_nothing_to_seal(self):
        self.seal()
        self.assertEqual(self.seal(), 0)

    def test_a_run_takes_several_seals(self):
        for number in range(5):
            self.env["finance.audit.entry"]._note("test.thing", label=str(number))
        self.end_transaction()
        with (
            patch.object(constants, "SEAL_MAX_ENTRIES", 2),
            patch.object(self.env.registry["ir.cron"], "_commit_progress"),
        ):
            self.seals._cron_seal()
        self.assertEqual(
            self.seals.search(
                [("number", ">", self.made[-1].number)], order="number"
            ).mapped("entry_count"),
            [2, 2, 2],
        )
        self.assertFalse(self.findings())

    def test_buttons(self):
        auditor = self.users["auditor"]
        seals = self.made.with_user(auditor)[:1]
        self.assertIn("1", seals.action_seal_now()["params"]["message"])
        self.assertEqual(seals.action_verify()["params"]["type"], "success")
        entry = self.env["finance.audit.entry"].search(
            [("id", "in", self.after(0).ids), ("action", "=", "audit.verify")],
            order="id desc",
            limit=1,
        )
        self.assertEqual(entry.actor, "Test auditor (test_auditor)")
        self.assertEqual(entry.facts["findings"], 0)
        action = seals.action_open_entries()
        self.assertEqual(
            self.env["finance.audit.entry"].search(action["domain"]),
            self.entries_of(self.made[:1]).sorted("id", reverse=True),
        )
        with self.assertRaises(AccessError):
            self.made.with_user(self.users["operator"]).action_verify()

    def test_a_new_key_where_the_old_one_cannot_be_read(self):
        """A copy of the database on a machine with other encryption keys."""
        keys = self.env["finance.audit.key"]
        before = keys.search([])
        with (
            patch.object(keys.__class__, "_open", lambda self, token: None),
            mute_logger("odoo.addons.finance_hub.models.audit.finance_audit_key"),
        ):
            made = keys._ensure()
        self.assertNotIn(made, before.ids)
        self.connector.name = "With the new key"
        self.seal()
        self.assertEqual(self.seals.search([], limit=1).key_id.id, made)
        self.assertFalse(self.findings())

    def test_a_key_that_cannot_be_read_is_trusted_by_configuration_only(self):
        keys = self.env["finance.audit.key"]
        public = ",".join(keys.search([]).mapped("public_key"))
        with (
            patch.object(keys.__class__, "_open", lambda self, token: None),
            mute_logger("odoo.addons.finance_hub.models.audit.finance_audit_key"),
        ):
            codes = {finding.code for finding in self.findings()}
            self.assertEqual(codes, {WRONG_SIGNATURE, INSERTED})
            with patch.dict(os.environ, {"FINANCE_HUB_AUDIT_PUBLIC_KEYS": public}):
                self.assertFalse(self.findings())

    def test_a_copy_goes_on_with_the_trail(self):
        """Odoo gives a copy of a database another id."""
        self.env["ir.config_parameter"].set_param("database.uuid", str(uuid.uuid4()))
        self.connector.name = "In the copy"
        self.assertTrue(self.seal())
        self.assertFalse(self.findings())

    def test_the_keys_follow_a_new_encryption_key(self):
        old, new = generate_key(), generate_key()
        keys = self.env["finance.audit.key"]
        with patch.dict(os.environ, {"FINANCE_HUB_ENCRYPTION_KEYS": old}):
            self.env.registry.clear_cache()
            with mute_logger("odoo.addons.finance_hub.models.audit.finance_audit_key"):
                made = keys.browse(keys._ensure())
        with patch.dict(os.environ, {"FINANCE_HUB_ENCRYPTION_KEYS": f"{new},{old}"}):
            keys._reencrypt()
        with (
            patch.dict(os.environ, {"FINANCE_HUB_ENCRYPTION_KEYS": new}),
            mute_logger("odoo.addons.finance_hub.models.audit.finance_audit_key"),
        ):
            self.assertEqual(keys._current()[0], made.id)
            self.assertIn(made.public_key, keys._trusted())


@tagged("post_install", "-at_install")
class TestAuditBent(ChainCase):
    """cap 93: each kind of tampering is detected and named."""

    def test_a_tampered_row(self):
        columns = {
            "actor": "'Mallory'",
            "at": "at - interval '1 day'",
            "action": "'other.thing'",
            "reason": "'Because'",
            "after": '\'{"name": "Other"}\'',
            "outcome": "'refused'",
            "company_id": "NULL",
            "entry_key": f"'{uuid.uuid4()}'",
        }
        entry = self.entries_of(self.made[1])[:1]
        for column, value in columns.items():
            with self.subTest(column), self.env.cr.savepoint() as savepoint:
                with self.unguarded() as cr:
                    cr.execute(
                        f"UPDATE finance_audit_entry SET {column} = {value}"
                        " WHERE id = %s",
                        [entry.id],
                    )
                (finding,) = self.found(TAMPERED)
                self.assertEqual(finding.entry, entry.id)
                self.assertEqual(finding.seal, self.made[1].number)
                self.assertIn(str(entry.id), finding.message)
                savepoint.rollback()
        self.assertFalse(self.findings())

    def test_a_tampered_row_with_its_digest(self):
        entry = self.entries_of(self.made[1])[:1]
        with self.unguarded() as cr:
            cr.execute(
                "UPDATE finance_audit_entry SET actor = 'Mallory' WHERE id = %s",
                [entry.id],
            )
            ((_id, row),) = (
                self.env["finance.audit.entry"]
                ._canonical_rows("id = %s", [entry.id])
                .items()
            )
            cr.execute(
                "UPDATE finance_audit_position SET digest = %s WHERE entry_id = %s",
                [finance_audit_entry.entry_digest(row), entry.id],
            )
        findings = self.found(BROKEN_SEAL, INSERTED)
        self.assertEqual(findings[0].seal, self.made[1].number)
        self.assertEqual(findings[1].entry, entry.id)

    def test_a_tampered_row_before_it_is_sealed(self):
        entry = self.env["finance.audit.entry"].search([], limit=1)
        self.assertTrue(entry.is_seal_pending)
        with self.unguarded() as cr:
            cr.execute(
                "UPDATE finance_audit_entry SET actor = 'Mallory' WHERE id = %s",
                [entry.id],
            )
        (finding,) = self.found(TAMPERED)
        self.assertEqual(finding.entry, entry.id)
        # The sealing job sees it, too.
        self.seal()
        self.assertTrue(self.breaks())
        self.found(TAMPERED)

    def test_a_removed_row(self):
        entry = self.entries_of(self.made[0])[:1]
        with self.unguarded() as cr:
            cr.execute("DELETE FROM finance_audit_entry WHERE id = %s", [entry.id])
        (finding,) = self.found(REMOVED)
        self.assertEqual(finding.entry, entry.id)

    def test_a_removed_row_with_its_position(self):
        entry = self.entries_of(self.made[0])[:1]
        place = (
            self.made[0]
            .position_ids.filtered(lambda position: position.entry_id == entry.id)
            .position
        )
        with self.unguarded() as cr:
            cr.execute("DELETE FROM finance_audit_entry WHERE id = %s", [entry.id])
            cr.execute(
                "DELETE FROM finance_audit_position WHERE entry_id = %s", [entry.id]
            )
        (finding,) = self.found(REMOVED)
        self.assertEqual(finding.position, place)

    def test_a_removed_row_before_it_is_sealed(self):
        entry = self.env["finance.audit.entry"].search([], limit=1)
        with self.unguarded() as cr:
            cr.execute("DELETE FROM finance_audit_entry WHERE id = %s", [entry.id])
        (finding,) = self.found(REMOVED)
        self.assertEqual(finding.entry, entry.id)

    def test_an_inserted_row(self):
        """INSERT needs no trigger to be disabled."""
        self.env.cr.execute(FORGED, [str(uuid.uuid4())])
        forged = self.env.cr.fetchone()[0]
        (finding,) = self.found(INSERTED)
        self.assertEqual(finding.entry, forged)
        self.assertIn("Mallory", finding.message)

    def test_an_inserted_row_with_a_digest(self):
        """Who knows how digests are made still lacks the hub's key."""
        cr = self.env.cr
        cr.execute(FORGED, [str(uuid.uuid4())])
        forged = cr.fetchone()[0]
        ((_id, row),) = (
            self.env["finance.audit.entry"]._canonical_rows("id = %s", [forged]).items()
        )
        cr.execute(
            """
            INSERT INTO finance_audit_position (entry_id, digest, mark, key_id)
            VALUES (%s, %s, %s, (SELECT max(id) FROM finance_audit_key))
            """,
            [forged, finance_audit_entry.entry_digest(row), "00" * 32],
        )
        (finding,) = self.found(INSERTED)
        self.assertEqual(finding.entry, forged)
        # Even once it is sealed.
        self.seal()
        self.assertTrue(self.breaks())
        (finding,) = self.found(INSERTED)
        self.assertEqual(finding.entry, forged)

    def test_an_inserted_row_with_a_digest_and_no_key(self):
        cr = self.env.cr
        cr.execute(FORGED, [str(uuid.uuid4())])
        forged = cr.fetchone()[0]
        ((_id, row),) = (
            self.env["finance.audit.entry"]._canonical_rows("id = %s", [forged]).items()
        )
        cr.execute(
            "INSERT INTO finance_audit_position (entry_id, digest) VALUES (%s, %s)",
            [forged, finance_audit_entry.entry_digest(row)],
        )
        (finding,) = self.found(INSERTED)
        self.assertEqual(finding.entry, forged)

    def cut(self):
        """Cut the trail behind the first seal, cleanly."""
        with self.unguarded() as cr:
            cr.execute(
                """
                DELETE FROM finance_audit_entry e USING finance_audit_position p
                 WHERE p.entry_id = e.id
                   AND (p.position IS NULL OR p.position > %s)
                """,
                [self.made[0].last_position],
            )
            cr.execute(
                "DELETE FROM finance_audit_position"
                " WHERE position IS NULL OR position > %s",
                [self.made[0].last_position],
            )
            cr.execute(
                "DELETE FROM finance_audit_seal WHERE number > %s",
                [self.made[0].number],
            )
        self.env.invalidate_all()

    def test_a_cut_tail(self):
        kept = json.loads(self.made[2]._exported())
        number = self.made[2].number
        self.cut()
        self.assertFalse(self.findings(), "the chain alone can't tell")
        (finding,) = self.found(CUT_TAIL, witnesses=[kept])
        self.assertEqual(finding.seal, number)

    def test_the_dialogue_finds_a_cut_tail(self):
        content = self.made[2]._exported()
        wizards = self.env["finance.audit.compare.wizard"].with_user(
            self.users["auditor"]
        )
        wizard = wizards.create({"seal_file": base64.b64encode(content)})
        self.assertEqual(wizard.action_compare()["params"]["type"], "success")
        self.cut()
        told = wizard.action_compare()["params"]
        self.assertEqual(told["type"], "danger")
        self.assertIn("kept elsewhere", told["message"])
        self.assertTrue(self.breaks())
        with self.assertRaises(UserError):
            wizards.create({"seal_file": base64.b64encode(b"x")}).action_compare()

    def test_a_broken_seal(self):
        for column, value in {
            "entries_digest": "repeat('0', 64)",
            "sealed_at": "sealed_at - interval '1 day'",
            "previous_hash": "repeat('0', 64)",
            "hash": "repeat('0', 64)",
            "entry_count": "entry_count + 1",
            "source": "'elsewhere'",
        }.items():
            with self.subTest(column), self.env.cr.savepoint() as savepoint:
                with self.unguarded() as cr:
                    cr.execute(
                        f"UPDATE finance_audit_seal SET {column} = {value}"
                        " WHERE id = %s",
                        [self.made[1].id],
                    )
                findings = self.findings()
                self.assertEqual(findings[0].code, BROKEN_SEAL)
                self.assertEqual(findings[0].seal, self.made[1].number)
                savepoint.rollback()

    def test_a_wrong_signature(self):
        with self.unguarded() as cr:
            cr.execute(
                "UPDATE finance_audit_seal SET signature = repeat('0', 128)"
                " WHERE id = %s",
                [self.made[1].id],
            )
        (finding,) = self.found(WRONG_SIGNATURE)
        self.assertEqual(finding.seal, self.made[1].number)

    def test_a_seal_by_a_key_that_somebody_brought(self):
        """A key pair in the table is not the hub's for standing there."""
        seed = generate_seal_key()
        public = seal_public_key(seed)
        last = self.made[2]
        with self.unguarded() as cr:
            cr.execute(
                """
                INSERT INTO finance_audit_key (key_id, public_key, made_at,
                                               secret_token)
                VALUES (%s, %s, now(), 'x') RETURNING id
                """,
                [seal_key_id(public), public],
            )
            key = cr.fetchone()[0]
            seal = make_seal(
                json.loads(self.made[1]._exported()),
                last.position_ids.sorted("position").mapped("digest"),
                f"{last.sealed_at.isoformat()}Z",
                last.source,
                seed,
            )
            cr.execute(
                "UPDATE finance_audit_seal SET signature = %s, hash = %s, key_id = %s"
                " WHERE id = %s",
                [seal["signature"], seal["hash"], key, last.id],
            )
        self.env.registry.clear_cache()
        with mute_logger("odoo.addons.finance_hub.models.audit.finance_audit_key"):
            findings = self.found(WRONG_SIGNATURE, WRONG_SIGNATURE)
        self.assertIn(seal_key_id(public), findings[0].message)
        self.assertEqual(findings[1].seal, last.number)

    def test_a_removed_seal(self):
        with self.unguarded() as cr:
            cr.execute(
                "UPDATE finance_audit_position SET seal_id = %s WHERE seal_id = %s",
                [self.made[0].id, self.made[1].id],
            )
            cr.execute(
                "DELETE FROM finance_audit_seal WHERE id = %s", [self.made[1].id]
            )
        codes = {finding.code for finding in self.findings()}
        self.assertLessEqual({BROKEN_SEAL, INSERTED}, codes)

    # === WHAT FOLLOWS === #

    def breaks(self):
        return self.env["finance.exception"].search(
            [("code", "=", constants.CODE_BROKEN), ("is_open", "=", True)]
        )

    def test_a_break_opens_an_exception_and_freezes_the_purge(self):
        entry = self.entries_of(self.made[0])[:1]
        with self.unguarded() as cr:
            cr.execute("DELETE FROM finance_audit_entry WHERE id = %s", [entry.id])
        self.assertFalse(self.breaks())
        self.seals._cron_verify()
        exception = self.breaks()
        self.assertEqual(len(exception), 1)
        self.assertEqual(exception.klass, "control")
        self.assertIn(f"Entry {entry.id} was removed", exception.cause)
        self.seals._cron_verify()
        self.assertEqual(self.breaks(), exception, "told once")
        self.later(days=800)
        with mute_logger("odoo.addons.finance_hub.models.audit.finance_audit_removal"):
            self.assertEqual(self.seals._purge(400), 0)

    def test_a_bent_trail_is_not_purged(self):
        entry = self.entries_of(self.made[0])[:1]
        with self.unguarded() as cr:
            cr.execute("DELETE FROM finance_audit_entry WHERE id = %s", [entry.id])
        self.later(days=800)
        self.assertEqual(self.seals._purge(400), 0)
        self.assertTrue(self.breaks())

    def test_an_honest_trail_opens_none(self):
        self.seals._cron_verify()
        self.assertFalse(self.breaks())

    def test_the_exported_trail(self):
        lines = []
        with self.enter_registry_test_mode():
            report = trail(
                self.env.registry,
                lambda kind, content: lines.append(trail_line(kind, content)),
            )
        self.assertFalse(report.findings)
        verifier = verify_trail(lines, [self.made[0].public_key])
        self.assertEqual(verifier.found, 0)
        self.assertEqual(
            (verifier.entries, verifier.seals), (report.entries, report.seals)
        )


@tagged("post_install", "-at_install")
class TestAuditRetention(ChainCase):
    """cap 93: old entries go in whole seals, and the seals say so."""

    def test_by_default_nothing_goes(self):
        self.later(days=8000)
        count = self.env["finance.audit.entry"].search_count([])
        self.seals._cron_purge()
        self.assertEqual(self.env["finance.audit.entry"].search_count([]), count)

    def test_purge(self):
        seals = self.seals.search([])
        parameters = self.env["ir.config_parameter"].sudo()
        parameters.set_param(constants.KEEP_PARAMETER, "400")
        self.seals._cron_purge()
        self.later(days=500)
        self.connector.name = "Young"
        self.end_transaction()
        mark = self.env["finance.audit.entry"].search([], limit=1).id
        self.seals._cron_purge()
        entry = self.after(mark, ("action", "=", "audit.purge"))
        self.assertEqual(len(entry), 1)
        self.assertEqual(entry.after["last_seal"], self.made[-1].number)
        self.assertEqual(entry.after["last_hash"], self.made[-1].hash)
        self.assertEqual(self.seals.search([]), seals, "the seals stay")
        self.assertTrue(self.made[0].is_purged)
        self.assertFalse(self.entries_of(self.made[0]).exists())
        self.assertFalse(self.findings())
        self.assertGreater(self.seal(), 0)
        self.assertFalse(self.findings())
        # Later, the next part goes, and with it the entry that told of the first.
        self.later(days=1000)
        self.connector.name = "Younger"
        self.end_transaction()
        self.assertGreater(self.seals._purge(400), 0)
        self.assertFalse(entry.exists())
        self.assertFalse(self.findings())

    def test_a_purge_that_nobody_told_is_found(self):
        """The setting alone is no licence."""
        cr = self.env.cr
        cr.execute("SELECT set_config('finance_hub.audit_purge', 'on', true)")
        cr.execute(
            """
            DELETE FROM finance_audit_entry e USING finance_audit_position p
             WHERE p.entry_id = e.id AND p.seal_id = %s
            """,
            [self.made[0].id],
        )
        cr.execute(
            "DELETE FROM finance_audit_position WHERE seal_id = %s", [self.made[0].id]
        )
        cr.execute("SELECT set_config('finance_hub.audit_purge', '', true)")
        codes = {finding.code for finding in self.findings()}
        self.assertEqual(codes, {REMOVED})

    def test_too_short(self):
        with self.assertRaises(UserError):
            self.seals._purge(30)


@tagged("post_install", "-at_install")
class TestAuditConcurrency(TransactionCase):
    """Real connections and commits: late ones are neither missed nor in the way."""

    def setUp(self):
        super().setUp()
        self.action = f"test.{uuid.uuid4().hex}"
        self.key = None
        with self.cursor() as cr:
            self.key = self.environment(cr)["finance.audit.key"]._ensure()
            while self.environment(cr)["finance.audit.seal"]._seal():
                pass
            cr.execute("SELECT COALESCE(max(number), 0) FROM finance_audit_seal")
            self.number = cr.fetchone()[0]
            cr.commit()  # pylint: disable=invalid-commit
        self.addCleanup(self.clean)

    def cursor(self):
        return self.env.registry._db.cursor()

    def environment(self, cr):
        return api.Environment(cr, SUPERUSER_ID, {})

    def clean(self):
        with self.cursor() as cr:
            for table in TABLES:
                cr.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            cr.execute(
                """
                DELETE FROM finance_audit_position p USING finance_audit_seal s
                 WHERE s.id = p.seal_id AND s.number > %s
                """,
                [self.number],
            )
            cr.execute(
                """
                DELETE FROM finance_audit_position p USING finance_audit_entry e
                 WHERE e.id = p.entry_id AND e.action = %s
                """,
                [self.action],
            )
            cr.execute(
                "DELETE FROM finance_audit_entry WHERE action = %s", [self.action]
            )
            cr.execute(
                "DELETE FROM finance_audit_seal WHERE number > %s", [self.number]
            )
            for table in TABLES:
                cr.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
            cr.commit()  # pylint: disable=invalid-commit

    def write(self, cr):  # pylint: disable=method-required-super
        """Write one entry in a transaction that goes on; return its id."""
        env = self.environment(cr)
        env["finance.audit.entry"]._note(self.action)
        cr.flush()
        cr.execute(
            "SELECT max(id) FROM finance_audit_entry WHERE action = %s", [self.action]
        )
        return cr.fetchone()[0]

    def seal(self):
        with self.cursor() as cr:
            count = self.environment(cr)["finance.audit.seal"]._seal()
            cr.commit()  # pylint: disable=invalid-commit
        return count

    def places(self):
        """Return the entries of this test in the order of their positions."""
        with self.cursor() as cr:
            cr.execute(
                """
                SELECT e.id FROM finance_audit_entry e
                  JOIN finance_audit_position p ON p.entry_id = e.id
                 WHERE e.action = %s AND p.position IS NOT NULL ORDER BY p.position
                """,
                [self.action],
            )
            return [row[0] for row in cr.fetchall()]

    def findings(self):
        with self.cursor() as cr:
            return self.environment(cr)["finance.audit.seal"]._verify().findings

    def test_a_late_commit_with_a_smaller_id(self):
        late, soon = self.cursor(), self.cursor()
        self.addCleanup(late.close)
        self.addCleanup(soon.close)
        small = self.write(late)
        large = self.write(soon)
        self.assertLess(small, large)
        soon.commit()
        self.assertEqual(self.seal(), 1)
        self.assertEqual(self.places(), [large])
        self.assertEqual(self.seal(), 0, "the open one holds nothing up")
        late.commit()
        self.assertEqual(self.seal(), 1)
        self.assertEqual(self.places(), [large, small])
        self.assertFalse(self.findings())

    def test_a_rollback_leaves_no_gap(self):
        gone, kept = self.cursor(), self.cursor()
        self.addCleanup(gone.close)
        self.addCleanup(kept.close)
        self.write(gone)
        entry = self.write(kept)
        gone.rollback()
        kept.commit()
        self.assertEqual(self.seal(), 1)
        self.assertEqual(self.places(), [entry])
        self.assertFalse(self.findings())

    def test_two_sealing_jobs(self):
        """One that began before the other committed gives way."""
        writer = self.cursor()
        self.addCleanup(writer.close)
        self.write(writer)
        writer.commit()
        early = self.cursor()
        self.addCleanup(early.close)
        # Its snapshot is from before the other seals.
        early.execute("SELECT 1")
        self.assertEqual(self.seal(), 1)
        with mute_logger("odoo.sql_db"):
            self.assertEqual(self.environment(early)["finance.audit.seal"]._seal(), 0)
        early.commit()
        self.assertEqual(len(self.places()), 1)
        self.assertFalse(self.findings())

    def test_sealing_waits_for_nobody(self):
        """Nor does anybody wait for it: an open sealing job locks no writer out."""
        first, sealer = self.cursor(), self.cursor()
        self.addCleanup(first.close)
        self.addCleanup(sealer.close)
        self.write(first)
        first.commit()
        self.assertEqual(self.environment(sealer)["finance.audit.seal"]._seal(), 1)
        writer = self.cursor()
        self.addCleanup(writer.close)
        writer.execute("SET lock_timeout = '1s'")
        self.write(writer)
        writer.commit()
        with self.cursor() as cr:
            self.assertEqual(
                self.environment(cr)["finance.audit.seal"]._seal(), 0, "at it already"
            )
        sealer.commit()
        self.assertEqual(self.seal(), 1)
        self.assertFalse(self.findings())
