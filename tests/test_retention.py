import gzip
import hashlib
import json
import tempfile
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

from psycopg2 import errors

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from ..contracts import CLASSES
from ..models import clock, constants
from .test_health import NOW, HealthCase


class RetentionCase(HealthCase):
    """Rules as they are delivered, and rows of any age."""

    def ago(self, days):
        return clock.naive(NOW - timedelta(days=days))

    def purge(self):
        """Run the scheduled action, without its commits."""
        self.env.flush_all()
        with patch.object(
            type(self.env["ir.cron"]), "_commit_progress", lambda *a, **k: 60.0
        ):
            self.env["finance.retention"]._cron_purge()
        self.env.invalidate_all()

    def rule(self, kind, dataclass=False):
        return self.env["finance.retention"].search(
            [("kind", "=", kind), ("dataclass", "=", dataclass)]
        )

    def archives(self, kind=None):
        domain = [("kind", "=", kind)] if kind else []
        return self.env["finance.archive"].search(domain, order="id")

    def lines(self, archive):
        content = gzip.decompress(archive._content())
        return [json.loads(line) for line in content.splitlines()]

    def done(self, days, **values):
        """Return a delivery that arrived so many days ago."""
        return self.add_delivery(
            state="delivered",
            created_at=self.ago(days),
            delivered_at=self.ago(days),
            due_at=self.ago(days),
            **values,
        )


@tagged("post_install", "-at_install")
class TestRetention(RetentionCase):
    """cap 97: kept as long as a rule says, archived, then removed."""

    # === ATTEMPTS === #

    def test_attempts(self):
        delivery = self.done(100)
        old = self.add_attempt(delivery, started_at=self.ago(91))
        young = self.add_attempt(delivery, started_at=self.ago(89))
        failed = self.add_attempt(
            delivery,
            started_at=self.ago(91),
            outcome="retry",
            status=500,
            error_code="T-5XX",
            response_body='{"error": "Größe"}\n',
        )
        very_old = self.add_attempt(
            delivery, started_at=self.ago(366), outcome="retry", status=500
        )
        self.purge()
        self.assertFalse((old | very_old).exists())
        self.assertEqual((young | failed).exists(), young | failed)
        self.assertEqual(self.rule("attempt_delivered").removed_count, 1)
        self.assertEqual(self.rule("attempt_failed").removed_count, 1)
        self.assertEqual(self.rule("attempt_failed").removed_at, clock.naive(NOW))
        found = [line for a in self.archives("attempt") for line in self.lines(a)]
        self.assertEqual({line["id"] for line in found}, {old.id, very_old.id})

    def test_the_archive(self):
        delivery = self.done(100)
        attempts = [
            self.add_attempt(
                delivery,
                started_at=self.ago(100 - number),
                response_body=f"Größe {number}\n",
                request_headers=json.dumps({"webhook-id": f"id {number}"}),
            )
            for number in range(3)
        ]
        self.purge()
        archive = self.archives()
        self.assertEqual(len(archive), 1)
        self.assertEqual(archive.company_id, self.company)
        self.assertEqual(archive.row_count, 3)
        self.assertEqual(
            (archive.first_id, archive.last_id), (attempts[0].id, attempts[2].id)
        )
        self.assertEqual(archive.from_at, self.ago(100))
        self.assertEqual(archive.to_at, self.ago(98))
        lines = self.lines(archive)
        self.assertEqual(
            [line["response_body"] for line in lines],
            ["Größe 0\n", "Größe 1\n", "Größe 2\n"],
        )
        self.assertEqual(lines[1]["request_headers"], {"webhook-id": "id 1"})
        self.assertEqual(set(lines[0]), self.columns("finance_attempt"))
        content = archive.attachment_id.raw
        manifest = archive.manifest
        self.assertEqual(manifest["count"], 3)
        self.assertEqual(manifest["sha256"], hashlib.sha256(content).hexdigest())
        self.assertEqual(
            manifest["content_sha256"],
            hashlib.sha256(gzip.decompress(content)).hexdigest(),
        )
        self.assertEqual(manifest["bytes"], len(content))
        self.assertEqual(manifest["kind"], "attempt")
        self.assertEqual(manifest["company"]["id"], self.company.id)
        self.assertTrue(manifest["from"].startswith("2025-11-30"))

    def columns(self, table):
        self.env.cr.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s",
            [table],
        )
        return {name for (name,) in self.env.cr.fetchall()}

    def test_what_stays(self):
        """Whatever its age: not done, given up, or before a person."""
        exception = self.env["finance.exception"]._open(
            "T-DEADLETTER",
            company=self.company,
            record=self.endpoint,
            fingerprint="test",
            summary="Given up",
            cause="Test",
        )
        old = {"due_at": self.ago(5000), "created_at": self.ago(5000)}
        deliveries = [
            self.add_delivery(state=state, **old)
            for state in ("waiting", "parked", "dead")
        ]
        deliveries.append(self.done(5000, exception_id=exception.id))
        attempts = [
            self.add_attempt(delivery, started_at=self.ago(5000))
            for delivery in deliveries
        ]
        self.purge()
        self.assertFalse(self.archives())
        for row in (*deliveries, *attempts):
            self.assertTrue(row.exists())
        exception.state = "resolved"
        self.purge()
        self.assertFalse(attempts[-1].exists())
        self.assertFalse(deliveries[-1].exists())
        self.assertTrue(attempts[0].exists())

    def test_what_an_open_replay_needs_stays(self):
        event = self.add_event(aggregate="invoice/1", occurred_at=self.ago(4000))
        self.add_event(aggregate="invoice/1", sequence=2, occurred_at=self.ago(1))
        replay = self.env["finance.replay"].create(
            {
                "company_id": self.company.id,
                "endpoint_ids": [(6, 0, self.endpoint.ids)],
                "event_ids": [(6, 0, event.ids)],
                "reason": "Because",
            }
        )
        delivery = self.done(400, replay_id=replay.id)
        self.purge()
        self.assertTrue(event.exists())
        self.assertTrue(delivery.exists())
        replay.state = "done"
        self.purge()
        self.assertFalse(event.exists())
        self.assertFalse(delivery.exists())

    # === DELIVERIES, BATCHES === #

    def test_deliveries(self):
        old, young = self.done(366), self.done(364)
        cancelled = self.add_delivery(
            state="cancelled", created_at=self.ago(366), due_at=None
        )
        with_attempt = self.done(366)
        self.add_attempt(with_attempt, started_at=self.ago(80))
        self.purge()
        self.assertFalse((old | cancelled).exists())
        self.assertTrue(young.exists())
        self.assertTrue(with_attempt.exists(), "its attempt is kept longer")
        self.assertEqual(self.archives("delivery").row_count, 2)

    def add_batch(self, number, days, **values):
        attachment = self.env["ir.attachment"].create(
            {"name": "file.csv", "raw": b"1", "res_model": "finance.batch"}
        )
        return self.env["finance.batch"].create(
            {
                "batch_key": f"batch-{number}",
                "subscription_id": self.endpoint.subscription_ids.id,
                "endpoint_id": self.endpoint.id,
                "company_id": self.company.id,
                "lane": "bulk",
                "format": "csv",
                "number": number,
                "event_count": 1,
                "state": "delivered",
                "created_at": self.ago(days),
                "delivered_at": self.ago(days),
                "attachment_id": attachment.id,
                **values,
            }
        )

    def test_batches(self):
        empty, full, open_ = (
            self.add_batch(1, 400),
            self.add_batch(2, 400),
            self.add_batch(3, 400, state="dead", delivered_at=False),
        )
        last = self.add_batch(4, 400)
        inside = self.done(400, batch_id=full.id)
        in_open = self.done(400, batch_id=open_.id)
        attachment = empty.attachment_id
        self.purge()
        self.assertFalse((empty | full).exists())
        self.assertFalse(attachment.exists())
        self.assertFalse(inside.exists())
        self.assertEqual((open_ | last).exists(), open_ | last)
        self.assertTrue(in_open.exists(), "its batch is not done")

    # === EVENTS === #

    def test_events(self):
        internal = "finance.connector.delivery_exhausted.v1"
        self.rule("event", "internal").days = 30
        rows = {
            "old": self.add_event(aggregate="invoice/1", occurred_at=self.ago(4000)),
            "last": self.add_event(
                aggregate="invoice/1", sequence=2, occurred_at=self.ago(3999)
            ),
            "young": self.add_event(aggregate="invoice/2", occurred_at=self.ago(3000)),
            "internal": self.add_event(
                aggregate="connector/1", type=internal, occurred_at=self.ago(31)
            ),
            "internal last": self.add_event(
                aggregate="connector/1",
                type=internal,
                sequence=2,
                occurred_at=self.ago(31),
            ),
            "unknown type": self.add_event(
                aggregate="other/1", type="finance.other.v9", occurred_at=self.ago(9000)
            ),
        }
        self.purge()
        gone = {name for name, row in rows.items() if not row.exists()}
        self.assertEqual(gone, {"old", "internal"})
        lines = [line for a in self.archives("event") for line in self.lines(a)]
        self.assertEqual(
            {line["aggregate"] for line in lines}, {"invoice/1", "connector/1"}
        )
        self.assertTrue(all(line["data"] == {} for line in lines))

    def test_events_with_deliveries_stay(self):
        """First the attempts go, then the deliveries, then the event."""
        event = self.add_event(aggregate="invoice/1", occurred_at=self.ago(4000))
        self.add_event(aggregate="invoice/1", sequence=2, occurred_at=self.ago(1))
        delivery = self.add_delivery(
            event=event, state="waiting", due_at=self.ago(4000)
        )
        self.purge()
        self.assertTrue(event.exists())
        self.env.cr.execute(
            "UPDATE finance_delivery SET state = 'delivered', delivered_at = due_at"
            " WHERE id = %s",
            [delivery.id],
        )
        attempt = self.add_attempt(delivery, started_at=self.ago(4000))
        self.purge()
        self.assertFalse(attempt.exists())
        self.assertFalse(delivery.exists())
        self.assertFalse(event.exists(), "all in one run")

    def test_event_before_a_person_stays(self):
        event = self.add_event(aggregate="invoice/1", occurred_at=self.ago(4000))
        self.add_event(aggregate="invoice/1", sequence=2, occurred_at=self.ago(1))
        exception = self.env["finance.exception"]._open(
            "D-SCHEMA",
            company=self.company,
            record=event,
            fingerprint="test",
            summary="Broken",
            cause="Test",
        )
        self.purge()
        self.assertTrue(event.exists())
        exception.state = "cancelled"
        self.purge()
        self.assertFalse(event.exists())

    def test_for_ever(self):
        self.env["finance.retention"].search([]).days = 0
        delivery = self.done(20_000)
        attempt = self.add_attempt(delivery, started_at=self.ago(20_000))
        self.purge()
        self.assertTrue(attempt.exists())

    def test_without_a_rule_nothing_goes(self):
        attempt = self.add_attempt(self.done(9000), started_at=self.ago(9000))
        self.rule("attempt_delivered").unlink()
        self.purge()
        self.assertTrue(attempt.exists())

    def test_rule_of_a_company(self):
        """Another company keeps longer, for ever in this case."""
        other = self.env["res.company"].create({"name": "Elsewhere"})
        self.env["finance.retention"].create(
            {"kind": "attempt_delivered", "days": 0, "company_id": other.id}
        )
        delivery = self.done(100)
        mine = self.add_attempt(delivery, started_at=self.ago(100))
        theirs = self.add_attempt(
            delivery, started_at=self.ago(100), company_id=other.id
        )
        self.purge()
        self.assertFalse(mine.exists())
        self.assertTrue(theirs.exists())

    def test_each_company_has_its_files(self):
        other = self.env["res.company"].create({"name": "Elsewhere"})
        delivery = self.done(100)
        self.add_attempt(delivery, started_at=self.ago(100))
        self.add_attempt(delivery, started_at=self.ago(100), company_id=other.id)
        self.purge()
        self.assertEqual(self.archives().company_id, self.company | other)
        self.assertEqual(self.archives().mapped("row_count"), [1, 1])

    # === MESSAGES === #

    def add_message(self, external_id, **values):
        return self.env["finance.message"].browse(
            self.insert(
                "finance_message",
                {
                    "connector_id": self.connector.id,
                    "company_id": self.company.id,
                    "external_id": external_id,
                    "received_at": self.ago(4000),
                    "state": "processed",
                    "body": b"eyJhIjogMX0=",
                    "sha256": "abc",
                    "attempt_count": 0,
                    **values,
                },
            )
        )

    def test_messages(self):
        """The content goes; that it came, and its digest, stay."""
        old = self.add_message("m1")
        failed = self.add_message("m2", state="failed")
        young = self.add_message("m3", received_at=self.ago(3000))
        self.purge()
        self.assertFalse(old.body)
        self.assertEqual(old.sha256, "abc")
        self.assertTrue(failed.body)
        self.assertTrue(young.body)
        [line] = self.lines(self.archives("message"))
        self.assertEqual(line["body"], "eyJhIjogMX0=")
        self.purge()
        self.assertEqual(len(self.archives("message")), 1, "once")
        # Sent again, it is still known.
        self.assertFalse(old.body_text)

    # === FILES === #

    def test_files_stay_small(self):
        delivery = self.done(100)
        attempts = [
            self.add_attempt(
                delivery, started_at=self.ago(100), response_body="x" * 1000
            )
            for _number in range(10)
        ]
        with (
            patch.object(constants, "ARCHIVE_MAX_BYTES", 2000),
            patch.object(constants, "ARCHIVE_READ_ROWS", 2),
            patch.object(constants, "PURGE_PAGE", 7),
        ):
            self.purge()
        self.assertEqual(sum(self.archives().mapped("row_count")), 10)
        self.assertGreater(len(self.archives()), 3)
        ids = [
            line["id"] for archive in self.archives() for line in self.lines(archive)
        ]
        self.assertEqual(ids, [attempt.id for attempt in attempts])

    def test_out_of_time(self):
        """What is left is gone on with, from where it ended."""
        delivery = self.done(100)
        attempts = [
            self.add_attempt(delivery, started_at=self.ago(100)) for _number in range(6)
        ]
        with (
            patch.object(constants, "PURGE_PAGE", 2),
            patch.object(constants, "PURGE_BUDGET", -1),
        ):
            self.purge()
            self.assertEqual(len([a for a in attempts if a.exists()]), 4)
            self.purge()
        self.purge()
        self.assertFalse([a for a in attempts if a.exists()])

    def test_a_disk_that_is_full(self):
        """Nothing is removed that was not written."""
        attempt = self.add_attempt(self.done(100), started_at=self.ago(100))
        archive = type(self.env["finance.archive"])

        def full(_self, _content):
            raise OSError(28, "No space left on device")

        with (
            patch.object(archive, "_keep", full),
            self.assertRaises(OSError),
            self.env.cr.savepoint(),
        ):
            self.purge()
        self.assertTrue(attempt.exists())

    def test_folder(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.add_attempt(self.done(100), started_at=self.ago(100))
        with patch.dict("os.environ", {"FINANCE_HUB_ARCHIVE_FOLDER": folder}):
            self.purge()
        archive = self.archives()
        self.assertFalse(archive.attachment_id)
        path = Path(archive.path)
        self.assertTrue(path.is_relative_to(folder))
        self.assertEqual(path.stat().st_mode & 0o077, 0, "for the server alone")
        self.assertEqual(len(self.lines(archive)), 1)
        manifest = json.loads(
            path.with_name(f"{path.name}.manifest.json").read_text("utf-8")
        )
        self.assertEqual(manifest, archive.manifest)
        self.assertEqual(archive.action_verify()["params"]["type"], "success")
        path.write_bytes(b"something else")
        with self.assertRaisesRegex(UserError, "its digest differs"):
            archive.action_verify()
        path.unlink()
        with self.assertRaisesRegex(UserError, "can't be read"):
            archive.action_verify()

    def test_frozen_while_the_audit_chain_is_broken(self):
        attempt = self.add_attempt(self.done(100), started_at=self.ago(100))
        self.env["finance.exception"]._open(
            "C-AUDIT-CHAIN",
            company=self.company,
            record=self.endpoint,
            fingerprint="test",
            summary="Broken",
            cause="Test",
        )
        with mute_logger("odoo.addons.finance_hub.models.insight.finance_retention"):
            self.purge()
        self.assertTrue(attempt.exists())

    # === RULES === #

    def test_defaults(self):
        days = {
            (rule.kind, rule.dataclass): rule.days
            for rule in self.env["finance.retention"].search([])
        }
        self.assertEqual(days["attempt_delivered", False], 90)
        self.assertEqual(days["attempt_failed", False], 365)
        self.assertEqual(days["delivery", False], 365)
        for dataclass in CLASSES:
            self.assertEqual(days["event", dataclass], 3650)
        self.assertEqual(days["message", False], 3650)

    def test_rules_are_checked(self):
        rule = self.rule("attempt_delivered")
        with self.assertRaises(ValidationError):
            rule.dataclass = "personal"
        for values, error in (
            ({"days": 3}, errors.CheckViolation),
            ({"days": -1}, errors.CheckViolation),
        ):
            with (
                mute_logger("odoo.sql_db"),
                self.assertRaises(error),
                self.env.cr.savepoint(),
            ):
                rule.write(values)
                self.env.flush_all()
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(errors.UniqueViolation),
            self.env.cr.savepoint(),
        ):
            rule.create({"kind": "attempt_delivered", "days": 10})

    def test_a_change_is_told(self):
        rule = self.rule("attempt_delivered").with_user(self.users["administrator"])
        rule = rule.with_context(tracking_disable=False, mail_notrack=False)
        rule.days = 30
        self.env.flush_all()
        self.env.cr.precommit.run()
        values = rule.message_ids.sudo().tracking_value_ids
        self.assertEqual((values.old_value_integer, values.new_value_integer), (90, 30))

    def test_counters_are_not_for_writing(self):
        rule = self.rule("attempt_delivered").with_user(self.users["administrator"])
        rule.write({"days": 91, "removed_count": 7})
        self.assertEqual((rule.days, rule.removed_count), (91, 0))

    # === GUARDS === #

    def test_the_database_guards_the_log(self):
        attempt = self.add_attempt(self.done(1))
        event = self.add_event()
        for statement in (
            "UPDATE finance_attempt SET status = 404 WHERE id = %s",
            "DELETE FROM finance_attempt WHERE id = %s",
        ):
            with (
                self.subTest(statement),
                mute_logger("odoo.sql_db"),
                self.assertRaises(errors.InsufficientPrivilege),
                self.env.cr.savepoint(),
            ):
                self.env.cr.execute(statement, [attempt.id])
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(errors.InsufficientPrivilege),
            self.env.cr.savepoint(),
        ):
            # Letting go of old rows is no way to change them.
            self.env.cr.execute("SELECT set_config('finance_hub.purge', 'on', true)")
            self.env.cr.execute("UPDATE finance_attempt SET status = 1")
        self.purge()
        self.env.cr.execute("SELECT current_setting('finance_hub.purge', true)")
        self.assertNotEqual(self.env.cr.fetchone()[0], "on")
        for row in (attempt, event):
            for change in (
                lambda row=row: row.write({"company_id": 1}),
                lambda row=row: row.unlink(),
                lambda row=row: row.create([{}]),
            ):
                with self.assertRaises(UserError):
                    change()

    def test_guard_is_shut_again(self):
        self.add_attempt(self.done(100), started_at=self.ago(100))
        young = self.add_attempt(self.done(1))
        self.purge()
        self.assertTrue(self.archives())
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(errors.InsufficientPrivilege),
            self.env.cr.savepoint(),
        ):
            self.env.cr.execute("DELETE FROM finance_attempt WHERE id = %s", [young.id])


@tagged("post_install", "-at_install")
class TestArchiveDownload(RetentionCase, HttpCase):
    """Only auditors and administrators get an archive, whole and unchanged."""

    def setUp(self):
        super().setUp()
        self.add_attempt(self.done(100), started_at=self.ago(100))
        self.purge()
        self.archive = self.archives()
        for user in self.users.values():
            user.password = user.login
        self.env.flush_all()

    def get(self, group, part="data"):
        login = self.users[group].login
        self.authenticate(login, login)
        return self.url_open(f"/finance_hub/archives/{self.archive.id}/{part}")

    def test_download(self):
        for group in ("auditor", "administrator"):
            response = self.get(group)
            self.assertEqual(response.status_code, 200, group)
            self.assertEqual(
                hashlib.sha256(response.content).hexdigest(), self.archive.sha256
            )
            self.assertIn(self.archive.name, response.headers["Content-Disposition"])
        manifest = self.get("auditor", "manifest").json()
        self.assertEqual(manifest["sha256"], self.archive.sha256)
        self.archive.invalidate_recordset()
        self.assertIn("Downloaded", str(self.archive.message_ids.mapped("body")))
        self.assertIn(
            self.users["auditor"].partner_id, self.archive.message_ids.author_id
        )

    def test_not_for_others(self):
        for group in ("operator", "approver"):
            with mute_logger("odoo.http", "odoo.addons.base.models.ir_rule"):
                response = self.get(group)
            self.assertGreaterEqual(response.status_code, 400, group)
            self.assertNotIn(b"response_body", response.content)
            attachment = self.archive.attachment_id.with_user(self.users[group])
            with mute_logger("odoo.models"), self.assertRaises(AccessError):
                attachment.read(["raw"])

    def test_not_of_another_company(self):
        other = self.env["res.company"].create({"name": "Elsewhere"})
        auditor = self.users["auditor"]
        auditor.write({"company_ids": [(6, 0, other.ids)], "company_id": other.id})
        self.env.flush_all()
        with mute_logger("odoo.http", "odoo.addons.base.models.ir_rule"):
            self.assertGreaterEqual(self.get("auditor").status_code, 400)

    def test_nobody_removes_it(self):
        with self.assertRaises(UserError):
            self.archive.unlink()

    def test_changed_file_is_not_handed_out(self):
        self.archive.attachment_id.raw = b"something else"
        self.env.flush_all()
        with mute_logger("odoo.http"):
            response = self.get("auditor")
        self.assertNotEqual(response.status_code, 200)
        self.assertNotIn(b"something else", response.content)
