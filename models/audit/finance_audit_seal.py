from psycopg2.errors import SerializationFailure, UniqueViolation

from odoo import api, fields, models
from odoo.exceptions import UserError

from ...signing import AUDIT_FORMAT, Leaf, Verifier, export_seal, make_seal
from .. import clock
from ..access import require_group
from ..windows import list_of
from . import constants
from .guard import guard_trail
from .seals import INSERT_SEAL, SELECT_LAST_SEAL, SELECT_SEALS, Report


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
        return list_of(
            self.env,
            "finance_audit_entry_action",
            [("id", "in", self.position_ids.mapped("entry_id"))],
            name=self.env._("Entries of seal %s", self.number),
        )

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
