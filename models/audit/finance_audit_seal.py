import logging
from datetime import timedelta
from typing import NamedTuple

from psycopg2.errors import SerializationFailure, UniqueViolation

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import UserError

from ...signing import (
    AUDIT_FORMAT,
    EXPORTED_FIELDS,
    INSERTED,
    WRONG_SIGNATURE,
    Finding,
    Leaf,
    Verifier,
    export_seal,
    is_mark,
    make_seal,
)
from .. import clock
from ..access import require_group
from ..privacy.holding import held_seals
from . import constants
from .finance_audit_key import configured_keys
from .guard import guard_trail

_logger = logging.getLogger(__name__)

SEAL_COLUMNS = """
    s.id, s.source, s.number, s.first_position AS first, s.last_position AS last,
    s.entry_count AS count, s.entries_digest AS entries, s.previous_hash AS previous,
    s.sealed_at, s.hash, s.signature, k.key_id, k.public_key
"""
SELECT_SEALS = f"""
    SELECT {SEAL_COLUMNS}
      FROM finance_audit_seal s
      LEFT JOIN finance_audit_key k ON k.id = s.key_id
"""  # noqa: S608
SELECT_LAST_SEAL = f"{SELECT_SEALS} ORDER BY s.number DESC LIMIT 1"
INSERT_SEAL = """
    INSERT INTO finance_audit_seal (source, number, first_position, last_position,
                                    entry_count, entries_digest, previous_hash,
                                    sealed_at, hash, signature, key_id)
    VALUES (%(source)s, %(number)s, %(first)s, %(last)s, %(count)s, %(entries)s,
            %(previous)s, %(moment)s, %(hash)s, %(signature)s, %(key)s)
    RETURNING id
"""


class Report(NamedTuple):
    """What a verification found.

    :ivar seals: how many were checked, and ``entries``
    :ivar findings: list of :class:`Finding`, at most a thousand of ``found``
    """

    seals: int
    entries: int
    found: int
    findings: list[Finding]


class FinanceAuditSeal(models.Model):
    """Closes a part of the audit trail: its entries' digests, chained and signed.

    The sealing job looks for positions without a place, so it misses none, however
    late its transaction committed: an entry with a smaller id that appears after
    larger ones were sealed gets a later place. Posting and whatever else is audited
    waits for no lock of it. Two jobs at once can't number alike: one of them gives way.
    """

    _name = "finance.audit.seal"
    _description = "Finance Audit Seal"
    _order = "number desc"
    _rec_name = "number"
    _log_access = False

    source = fields.Char(string="Database", required=True, readonly=True)
    number = fields.Integer(required=True, readonly=True, aggregator=False)
    first_position = fields.Integer(
        string="From Position", required=True, readonly=True, aggregator=False
    )
    last_position = fields.Integer(
        string="To Position", required=True, readonly=True, aggregator=False
    )
    entry_count = fields.Integer(string="Entries", required=True, readonly=True)
    entries_digest = fields.Char(string="Digest of All", required=True, readonly=True)
    previous_hash = fields.Char(string="Seal Before", required=True, readonly=True)
    hash = fields.Char(string="This Seal", required=True, readonly=True)
    sealed_at = fields.Datetime(string="Sealed", required=True, readonly=True)
    signature = fields.Char(required=True, readonly=True)
    key_id = fields.Many2one(
        "finance.audit.key",
        string="Signed By",
        required=True,
        readonly=True,
        ondelete="restrict",
    )
    public_key = fields.Char(related="key_id.public_key")
    position_ids = fields.One2many("finance.audit.position", "seal_id")
    is_purged = fields.Boolean(
        string="Entries Removed",
        compute="_compute_is_purged",
        help="Its entries were old enough to be removed; the seal is what is left.",
    )

    # What keeps two sealing jobs apart: a number is given once.
    _number_unique = models.UniqueIndex("(number)")

    def init(self):
        """Make the database refuse what nobody must do."""
        guard_trail(self.env.cr, self._table)

    # === COMPUTES === #

    @api.depends("position_ids")
    def _compute_is_purged(self):
        for seal in self:
            seal.is_purged = not seal.position_ids

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):  # pylint: disable=method-required-super
        raise UserError(self.env._("Seals are made by the sealing job alone."))

    def write(self, vals):  # pylint: disable=method-required-super
        raise UserError(self.env._("A seal never changes."))

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("A seal is never deleted."))

    # === ACTIONS === #

    def action_verify(self):
        """Verify the whole trail, and tell what was found."""
        return self._action_verify()

    def _action_verify(self, witnesses=()):
        """Do so, and compare it with seals that were kept elsewhere."""
        require_group(self.env, *constants.READERS)
        self.check_access("read")
        report = self.sudo()._verify_and_tell(witnesses)
        if report.found:
            kind, title = "danger", self.env._("The trail was bent")
            message = self._told(report)
        else:
            kind, title = "success", self.env._("The trail is as it was written")
            message = self.env._(
                "%(entries)s entries and %(seals)s seals agree with their digests and "
                "signatures.",
                entries=report.entries,
                seals=report.seals,
            )
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": kind,
                "title": title,
                "message": message,
                "sticky": bool(report.found),
            },
        }

    def action_seal_now(self):
        """Seal what waits for it, without waiting for the job."""
        require_group(self.env, *constants.READERS)
        self.check_access("read")
        count = self.sudo()._seal()
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self.env._("%s entries were sealed.", count)
                if count
                else self.env._("Everything is sealed already."),
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    def action_export(self):
        """Hand out the signed seal, to be kept elsewhere."""
        self.ensure_one()
        require_group(self.env, *constants.READERS)
        self.check_access("read")
        return {
            "type": "ir.actions.act_url",
            "url": f"/finance_hub/audit/seals/{self.id}",
            "target": "download",
        }

    def action_open_entries(self):
        """Show the entries that the seal covers."""
        self.ensure_one()
        self.check_access("read")
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "finance_hub.finance_audit_entry_action"
        )
        return {
            **action,
            "name": self.env._("Entries of seal %s", self.number),
            "domain": [("id", "in", self.position_ids.mapped("entry_id"))],
            "context": {},
        }

    # === SEALING === #

    @api.model
    def _cron_seal(self):
        """Seal what was committed since the last time."""
        for _number in range(constants.SEALS_A_RUN):
            count = self._seal()
            full = count == constants.SEAL_MAX_ENTRIES
            self.env["ir.cron"]._commit_progress(count, remaining=int(full))
            if not full:
                break

    @api.model
    def _seal(self):
        """Give the next positions and close them by a seal.

        :return: how many entries it covers; 0 also when another job is at it
        """
        self.env.flush_all()
        self.env.cr.flush()
        try:
            with self.env.cr.savepoint(flush=False):
                count, findings = self._seal_alone()
        except (SerializationFailure, UniqueViolation):
            # Another one did it after this transaction began.
            return 0
        finally:
            self.env["finance.audit.position"].invalidate_model(flush=False)
            self.invalidate_model(flush=False)
        if findings:
            self._open_break(Report(0, count, len(findings), findings))
        return count

    @api.model
    def _seal_alone(self):
        """Do the same, or fail."""
        cr = self.env.cr
        cr.execute("SELECT pg_try_advisory_xact_lock(%s, 0)", [constants.SEAL_LOCK])
        if not cr.fetchone()[0]:
            return 0, []
        cr.execute(
            """
            SELECT id, entry_id, digest, mark, key_id
              FROM finance_audit_position
             WHERE position IS NULL
             ORDER BY entry_id
             LIMIT %s
            """,
            [constants.SEAL_MAX_ENTRIES],
        )
        rows = cr.fetchall()
        if not rows:
            return 0, []
        self.env["finance.audit.key"]._ensure()
        key, seed = self.env["finance.audit.key"]._current()
        cr.execute(SELECT_LAST_SEAL)
        previous = next(iter(self._as_seals(cr.dictfetchall())), None)
        moment = clock.naive_now().replace(microsecond=0)
        seal = make_seal(
            previous,
            [digest for _id, _entry, digest, _mark, _key in rows],
            f"{moment.isoformat()}Z",
            # A copy of the database goes on with the trail under its name.
            previous["source"] if previous else self._source(),
            seed,
        )
        cr.execute(
            INSERT_SEAL, {**seal, "moment": moment, "key": key}, log_exceptions=False
        )
        seal_id = cr.fetchone()[0]
        cr.execute(
            """
            UPDATE finance_audit_position p
               SET position = %s + given.number, seal_id = %s
              FROM unnest(%s) WITH ORDINALITY AS given(id, number)
             WHERE p.id = given.id
            """,
            [seal["first"] - 1, seal_id, [row[0] for row in rows]],
            log_exceptions=False,
        )
        return len(rows), self._suspects(rows, seal)

    @api.model
    def _suspects(self, rows, seal):
        """Return what is wrong with entries already when they are sealed."""
        verifier = Verifier([seal["public_key"]])
        entries = self.env["finance.audit.entry"]._canonical_rows(
            "id = ANY(%s)", [[row[1] for row in rows]]
        )
        keys = self.env["finance.audit.key"]._mark_keys()
        for number, (_id, entry, digest, mark, key) in enumerate(rows):
            leaf = Leaf(seal["first"] + number, entry, digest, mark)
            verifier.check_leaf(
                leaf,
                entries.get(entry),
                seal["number"],
                lambda _leaf, key=key: keys.get(key, constants.NO_KEY),
            )
        return verifier.findings

    @api.model
    def _source(self):
        return self.env["ir.config_parameter"].sudo().get_param("database.uuid")

    @api.model
    def _as_seals(self, rows):
        """Return rows of ``SELECT_SEALS`` in the form of ``signing``."""
        return [
            {
                **row,
                "format": AUDIT_FORMAT,
                "sealed_at": f"{row['sealed_at'].isoformat()}Z",
            }
            for row in rows
        ]

    def _exported(self):
        """Return the file of the signed seal."""
        self.ensure_one()
        self.env.cr.execute(f"{SELECT_SEALS} WHERE s.id = %s", [self.id])
        return export_seal(self._as_seals(self.env.cr.dictfetchall())[0])

    # === VERIFICATION === #

    @api.model
    def _cron_verify(self):
        """Verify the trail, and open an exception if it was bent."""
        self._verify_and_tell()

    @api.model
    def _verify_and_tell(self, witnesses=()):
        """Verify, and have a break told to somebody.

        :param witnesses: seals that were kept elsewhere, see ``signing.import_seal``
        :rtype: Report
        """
        report = self._verify(witnesses)
        self.env["finance.audit.entry"]._note(
            "audit.verify",
            res_model=self._name,
            facts={
                "seals": report.seals,
                "entries": report.entries,
                "findings": report.found,
            },
        )
        if report.found:
            self._open_break(report)
        return report

    @api.model
    def _verify(self, witnesses=(), emit=None):
        """Verify the whole trail, seal by seal.

        :param emit: called with (kind, content) of each line of an exported trail
        :rtype: Report
        """
        self.env.flush_all()
        self.env.cr.flush()
        public_keys = self.env["finance.audit.key"]._trusted()
        verifier = Verifier(public_keys, witnesses=witnesses)
        key_of = self._check_keys(verifier, public_keys)
        emit = emit or (lambda kind, content: None)
        for key in public_keys:
            emit("key", {"public_key": key})
        purged = self._purged_until()
        number = None
        while seal := self._seal_after(number):
            number = seal["number"]
            leaves, keys = self._leaves("p.seal_id = %s", [seal["id"]])
            entries = self._entries(leaves)
            gone = number <= purged and not leaves
            verifier.add(
                seal,
                leaves,
                entries,
                purged=gone,
                key_of=lambda leaf, keys=keys: key_of(keys[leaf.entry]),
            )
            self._emit(emit, leaves, entries)
            emit("seal", {**_exported_part(seal), "purged": gone})
        leaves, keys = self._leaves("p.seal_id IS NULL", [])
        entries = self._entries(leaves)
        for leaf in leaves:
            verifier.check_leaf(
                leaf,
                entries.get(leaf.entry),
                key_of=lambda leaf, keys=keys: key_of(keys[leaf.entry]),
            )
        self._emit(emit, leaves, entries)
        self._check_strangers(verifier)
        findings = verifier.finish()
        return Report(verifier.seals, verifier.entries, verifier.found, findings)

    @api.model
    def _check_keys(self, verifier, trusted):
        """Name the keys that are not to be trusted.

        :return: function of the id of a mark's key: the key to check it with, ``None``
            if that can't be done here
        """
        mark_keys = self.env["finance.audit.key"]._mark_keys()
        known = dict(mark_keys)
        self.env.cr.execute("SELECT id, key_id, public_key FROM finance_audit_key")
        for key, name, public_key in self.env.cr.fetchall():
            if key in mark_keys:
                continue
            if public_key in trusted:
                known[key] = None
                continue
            verifier.report(
                WRONG_SIGNATURE,
                f"Key {name} can't be decrypted by this server, so it may be "
                "anybody's. If you know that it is the hub's, because this database "
                "is a copy or its encryption keys were replaced, restore the "
                "encryption key, or name the public key in the configuration as "
                "finance_hub_audit_public_keys.",
            )
        return lambda key: known.get(key, constants.NO_KEY)

    @api.model
    def _emit(self, emit, leaves, entries):
        for leaf in leaves:
            emit(
                "entry",
                {
                    "position": leaf.position,
                    "id": leaf.entry,
                    "digest": leaf.digest,
                    "entry": entries.get(leaf.entry),
                },
            )

    @api.model
    def _seal_after(self, number):
        """Return the seal with the next larger number, None behind the last."""
        self.env.cr.execute(
            f"{SELECT_SEALS} WHERE s.number > %s ORDER BY s.number LIMIT 1",
            [-1 if number is None else number],
        )
        return next(iter(self._as_seals(self.env.cr.dictfetchall())), None)

    @api.model
    def _leaves(self, where, parameters):
        """Return (leaves, {entry id: id of the mark's key}) of positions."""
        self.env.cr.execute(
            f"""
            SELECT p.position, p.entry_id, p.digest, p.mark, p.key_id
              FROM finance_audit_position p
             WHERE {where}
             ORDER BY p.position, p.entry_id
            """,  # noqa: S608
            parameters,
        )
        rows = self.env.cr.fetchall()
        return (
            [
                Leaf(place, entry, digest, mark)
                for place, entry, digest, mark, _ in rows
            ],
            {row[1]: row[4] for row in rows},
        )

    @api.model
    def _entries(self, leaves):
        return self.env["finance.audit.entry"]._canonical_rows(
            "id = ANY(%s)", [[leaf.entry for leaf in leaves]]
        )

    @api.model
    def _check_strangers(self, verifier):
        """Name entries that have no position: the hub always writes both."""
        cr = self.env.cr
        cr.execute(
            """
            SELECT e.id, e.at, e.actor, e.action
              FROM finance_audit_entry e
              LEFT JOIN finance_audit_position p ON p.entry_id = e.id
             WHERE p.id IS NULL
             ORDER BY e.id
            """
        )
        for entry, moment, actor, action in cr.fetchall():
            verifier.report(
                INSERTED,
                f"Entry {entry} was not written by the hub: it has no digest. It "
                f"says: at {moment}, actor {actor}, action {action}",
                entry=entry,
            )

    @api.model
    def _open_break(self, report):
        """Open an exception that freezes every purge."""
        company = self.env.ref("base.main_company")
        self.env["finance.exception"].sudo()._open(
            constants.CODE_BROKEN,
            company=company,
            record=self.sudo().search([], limit=1) or company,
            fingerprint="audit",
            summary=self.env._(
                "The audit trail is not as it was written: %s findings", report.found
            ),
            cause=self._told(report),
        )

    @api.model
    def _told(self, report):
        told = [finding.message for finding in report.findings]
        shown = told[: constants.FINDINGS_TOLD]
        if report.found > len(shown):
            shown.append(self.env._("… and %s more", report.found - len(shown)))
        return "\n".join(shown)

    # === RETENTION === #

    @api.model
    def _purged_until(self):
        """Return the number of the last seal whose entries were removed by the rules.

        The trail itself tells it, by an entry that the hub marked.
        """
        self.env.cr.execute(
            """
            SELECT (e.after->>'last_seal')::integer, p.digest, p.mark, p.key_id,
                   p.position IS NOT NULL AND k.public_key = ANY(%s)
              FROM finance_audit_entry e
              JOIN finance_audit_position p ON p.entry_id = e.id
              LEFT JOIN finance_audit_key k ON k.id = p.key_id
             WHERE e.action = 'audit.purge' AND e.outcome = 'done'
            """,
            [configured_keys()],
        )
        keys = self.env["finance.audit.key"]._mark_keys()
        return max(
            (
                last
                for last, digest, mark, key, vouched in self.env.cr.fetchall()
                if (is_mark(keys[key], digest, mark) if key in keys else vouched)
            ),
            default=0,
        )

    @api.model
    def _cron_purge(self):
        """Remove entries that are older than the configured time, if there is one."""
        parameters = self.env["ir.config_parameter"].sudo()
        try:
            days = int(parameters.get_param(constants.KEEP_PARAMETER) or 0)
        except ValueError:
            _logger.error(
                "finance_hub: %s is no number of days", constants.KEEP_PARAMETER
            )
            return
        if days:
            self._purge(days)

    @api.model
    def _purge(self, days):
        """Remove the entries of whole seals that are older than ``days``.

        The seals stay, and an entry tells which they were. Nothing is removed while
        the trail is not as it was written.

        :return: how many entries were removed
        """
        if days < constants.MIN_KEEP_DAYS:
            raise UserError(
                self.env._(
                    "Audit entries are kept for %s days or more.",
                    constants.MIN_KEEP_DAYS,
                )
            )
        if (
            self.env["finance.exception"]
            .sudo()
            .search_count(
                [("code", "=", constants.CODE_BROKEN), ("is_open", "=", True)], limit=1
            )
        ):
            _logger.warning(
                "finance_hub: no audit entries are removed while %s is open",
                constants.CODE_BROKEN,
            )
            return 0
        if self._verify_and_tell().found:
            return 0
        seals = self._old_seals(clock.naive_now() - timedelta(days=days))
        if not seals:
            return 0
        cr = self.env.cr
        cr.execute("SELECT set_config('finance_hub.audit_purge', 'on', true)")
        cr.execute(
            """
            DELETE FROM finance_audit_entry e
             USING finance_audit_position p
             WHERE p.entry_id = e.id AND p.seal_id = ANY(%s)
            """,
            [seals.ids],
        )
        removed = cr.rowcount
        cr.execute(
            "DELETE FROM finance_audit_position WHERE seal_id = ANY(%s)", [seals.ids]
        )
        cr.execute("SELECT set_config('finance_hub.audit_purge', 'off', true)")
        self.env.invalidate_all(flush=False)
        self.env["finance.audit.entry"]._note(
            "audit.purge",
            res_model=self._name,
            after={
                "first_seal": seals[0].number,
                "last_seal": seals[-1].number,
                "entries": removed,
                "last_hash": seals[-1].hash,
            },
            reason=self.env._("Older than %s days", days),
        )
        return removed

    @api.model
    def _old_seals(self, before):
        """Return the seals from the oldest on whose entries are all that old."""
        self.env.cr.execute(
            """
            SELECT s.id, max(e.at)
              FROM finance_audit_seal s
              JOIN finance_audit_position p ON p.seal_id = s.id
              JOIN finance_audit_entry e ON e.id = p.entry_id
             WHERE s.sealed_at < %s
             GROUP BY s.id, s.number
             ORDER BY s.number
            """,
            [before],
        )
        rows = self.env.cr.fetchall()
        kept = held_seals(self.env, [seal_id for seal_id, _newest in rows])
        ids = []
        for seal_id, newest in rows:
            # Of a legal hold, too: what is left is always the end of the trail.
            if newest >= before or seal_id in kept:
                break
            ids.append(seal_id)
        return self.browse(ids)


def _exported_part(seal):
    return {name: seal[name] for name in EXPORTED_FIELDS}


def trail(registry, emit, witnesses=()):
    """Verify the trail of a database and hand out its lines; for the command line.

    :rtype: Report
    """
    with registry.cursor() as cr:
        env = api.Environment(cr, SUPERUSER_ID, {})
        return env["finance.audit.seal"]._verify(witnesses, emit)
