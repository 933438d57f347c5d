import contextlib
import hashlib
import logging
import uuid

from psycopg2.extras import Json, execute_values

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import UserError
from odoo.http import request

from ...signing import entry_digest, entry_mark, mark_key
from .. import clock
from ..windows import list_of, window_at
from . import constants, values
from .guard import guard_trail
from .limiter import Limiter

_logger = logging.getLogger(__name__)

NOTES = "finance_hub.audit"
COLUMNS = (
    "entry_key",
    "at",
    "action",
    "outcome",
    "res_model",
    "res_id",
    "label",
    "company_id",
    "actor_uid",
    "actor",
    "client",
    "remote_addr",
    "correlation_id",
    "reason",
    "before",
    "after",
    "facts",
)
INSERT_ENTRIES = (
    "INSERT INTO finance_audit_entry ("  # noqa: S608 (the columns above)
    + ", ".join(COLUMNS)
    + ") VALUES %s RETURNING id"
)
INSERT_POSITIONS = (
    "INSERT INTO finance_audit_position (entry_id, digest, mark, key_id) VALUES %s"
)
SELECT_ENTRIES = (
    "SELECT id, "  # noqa: S608 (the columns above)
    + ", ".join(COLUMNS)
    + " FROM finance_audit_entry"
)
#: What stands in the canonical form for a column.
NAMES = {
    "entry_key": "key",
    "res_model": "model",
    "res_id": "record",
    "company_id": "company",
    "actor_uid": "user",
    "correlation_id": "correlation",
}
limiter = Limiter()


class FinanceAuditEntry(models.Model):
    """Who did what, when, to which record, why, and what changed by it.

    Entries are noted by what happens and written beneath the ORM when the transaction
    is about to commit, in two queries however many there are: they are there exactly
    if what they tell of is. What is refused rolls its transaction back; it is written
    in one of its own afterwards, see ``_note_refusal``.
    """

    _name = "finance.audit.entry"
    _description = "Finance Audit Entry"
    _order = "id desc"
    _rec_name = "action"
    _log_access = False

    # No link to users or records: an entry outlives what it tells of.
    entry_key = fields.Char(string="Entry ID", required=True, readonly=True)
    at = fields.Datetime(string="When", required=True, readonly=True)
    action = fields.Char(required=True, readonly=True)
    outcome = fields.Selection(
        [("done", "Done"), ("refused", "Refused")], required=True, readonly=True
    )
    res_model = fields.Char(string="Model", readonly=True)
    res_id = fields.Integer(string="Record ID", readonly=True, aggregator=False)
    label = fields.Char(string="Record", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True, ondelete="restrict")
    actor_uid = fields.Integer(string="User ID", readonly=True, aggregator=False)
    actor = fields.Char(
        string="Who",
        required=True,
        readonly=True,
        help="Name and login as they were then.",
    )
    client = fields.Char(string="API Client", readonly=True)
    remote_addr = fields.Char(string="From Address", readonly=True)
    correlation_id = fields.Char(readonly=True)
    reason = fields.Text(readonly=True)
    before = fields.Json(string="Before (raw)", readonly=True)
    after = fields.Json(string="After (raw)", readonly=True)
    facts = fields.Json(string="Circumstances (raw)", readonly=True)
    model_title = fields.Char(string="Kind of Record", compute="_compute_texts")
    before_text = fields.Text(string="Before", compute="_compute_texts")
    after_text = fields.Text(string="After", compute="_compute_texts")
    facts_text = fields.Text(string="Circumstances", compute="_compute_texts")
    is_seal_pending = fields.Boolean(compute="_compute_seal")
    seal_id = fields.Many2one("finance.audit.seal", compute="_compute_seal")
    digest = fields.Char(string="SHA-256", compute="_compute_seal")

    _key_unique = models.UniqueIndex("(entry_key)")
    _record_idx = models.Index("(res_model, res_id, id DESC)")
    _company_idx = models.Index("(company_id, id DESC)")
    _action_idx = models.Index("(action, id DESC)")
    _actor_idx = models.Index("(actor_uid, id DESC)")
    _refused_idx = models.Index("(id DESC) WHERE outcome = 'refused'")
    _correlation_idx = models.Index("(correlation_id) WHERE correlation_id IS NOT NULL")

    def init(self):
        """Make the database refuse what nobody must do."""
        guard_trail(self.env.cr, self._table)

    # === COMPUTES === #

    def _compute_texts(self):
        for entry in self:
            model = self.env.get(entry.res_model)
            entry.model_title = (
                self.env["ir.model"]._get(entry.res_model).sudo().name
                if model is not None
                else entry.res_model
            )
            entry.before_text = values.pretty(self.env, entry.res_model, entry.before)
            entry.after_text = values.pretty(self.env, entry.res_model, entry.after)
            entry.facts_text = values.pretty(self.env, None, entry.facts)

    def _compute_seal(self):
        positions = self.env["finance.audit.position"].search(
            [("entry_id", "in", self.ids)]
        )
        by_entry = {position.entry_id: position for position in positions}
        for entry in self:
            position = by_entry.get(entry.id)
            entry.seal_id = position and position.seal_id
            entry.digest = position and position.digest
            entry.is_seal_pending = not entry.seal_id

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):  # pylint: disable=method-required-super
        raise UserError(
            self.env._("The trail is written by what happens, never by hand.")
        )

    def write(self, vals):  # pylint: disable=method-required-super
        raise UserError(self.env._("An entry of the audit trail never changes."))

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("An entry of the audit trail is never deleted."))

    # === ACTIONS === #

    def action_open_record(self):
        """Open what the entry is about."""
        self.ensure_one()
        self.check_access("read")
        model = self.env.get(self.res_model)
        record = (
            model.browse(self.res_id).exists()
            if model is not None and self.res_id
            else None
        )
        if not record:
            raise UserError(
                self.env._("It was deleted, or there is no single record to open.")
            )
        return window_at(self.env, self.res_model, self.res_id)

    @api.model
    def _action_for(self, record):
        """Return the action that shows what happened to a record."""
        record.ensure_one()
        return list_of(
            self.env,
            "finance_audit_entry_action",
            [("res_model", "=", record._name), ("res_id", "=", record.id)],
            name=self.env._("Audit trail of %s", record.display_name),
        )

    # === NOTING === #

    @api.model
    def _note(self, action, record=None, **details):
        """Note what was done; it is written when the transaction commits.

        :param str action: a stable code, ``<object>.<verb>``
        :param record: what it was done to, if to one record; of any model
        :param details: see ``_draft``
        """
        self._note_draft(self._draft(action, record, **details))

    @api.model
    def _note_draft(self, draft):
        """Have an entry written that was drafted before."""
        precommit = self.env.cr.precommit
        if NOTES not in precommit.data:
            precommit.data[NOTES] = []
            env = api.Environment(self.env.cr, SUPERUSER_ID, {})
            precommit.add(env["finance.audit.entry"]._write_notes)
        precommit.data[NOTES].append(draft)

    @api.model
    def _note_refusal(self, action, record=None, **details):
        """Note what was refused, whatever becomes of this transaction.

        Written by a transaction of its own once this one has ended, so that it waits
        for no lock. A flood is counted, not written: see ``Limiter``.
        """
        who = self._who()
        key = (self.env.cr.dbname, who["actor_uid"], who["actor"], action)
        allowed, suppressed = limiter.take(key, clock.now())
        if not allowed:
            return
        facts = dict(details.pop("facts", None) or {})
        if suppressed:
            facts["not_recorded_before"] = suppressed
        draft = self._draft(action, record, outcome="refused", facts=facts, **details)
        registry, waiting = self.env.registry, [draft]

        def write():
            if waiting:
                _write_apart(registry, [waiting.pop()])

        self.env.cr.postcommit.add(write)
        self.env.cr.postrollback.add(write)

    @api.model
    def _draft(
        self,
        action,
        record=None,
        *,
        outcome="done",
        res_model=None,
        label=None,
        company=None,
        client=None,
        reason=None,
        before=None,
        after=None,
        facts=None,
        correlation_id=None,
    ):
        """Return an entry, as a mapping of its columns.

        :param str label: what the record is called, if it can't be asked any more
        :param company: whose it is; that of the record or of whoever acts otherwise
        :param client: a ``finance.client``, when one of them called
        :param str reason: why, in the words of whoever did it
        :param dict before: what changed by it, and ``after``: without secrets
        :param dict facts: what else is to be known
        """
        who = self._who()
        if record is not None and len(record) == 1:
            record = record.sudo()
            res_model, res_id = record._name, record.id
            label = label or self._label_of(record)
            company = company or self._company_of(record)
        else:
            res_model, res_id = res_model or (record and record._name), None
        if client is not None and client:
            who["client"] = f"{client.sudo().name} ({client.sudo().key_prefix or ''})"
        company_id = company.id if company else who.pop("company_id")
        who.pop("company_id", None)
        return {
            "entry_key": str(uuid.uuid4()),
            "at": clock.naive_now(),
            "action": action,
            "outcome": outcome,
            "res_model": res_model or None,
            "res_id": res_id or None,
            "label": values.clean_text(label, constants.MAX_LABEL) if label else None,
            "company_id": company_id or None,
            **who,
            "correlation_id": correlation_id or who["correlation_id"],
            "reason": (
                values.clean_text(reason, constants.MAX_REASON) if reason else None
            ),
            "before": values.cleaned(before) if before else None,
            "after": values.cleaned(after) if after else None,
            "facts": values.cleaned({**who_facts(), **(facts or {})}) or None,
        }

    @api.model
    def _label_of(self, record):
        # What is said about a record must not fail for its name's sake.
        with contextlib.suppress(UserError, KeyError, ValueError):
            return record.display_name
        return f"{record._name},{record.id}"

    @api.model
    def _company_of(self, record):
        if record._name == "res.company":
            return record
        if "company_id" in record._fields:
            return record.company_id
        return None

    @api.model
    def _who(self):
        """Return who acts, as columns of an entry."""
        env = self.env
        # What is called as superuser on behalf of somebody is his doing.
        default = env.transaction.default_env or env
        user = default.user if env.uid == SUPERUSER_ID else env.user
        user = user.sudo()
        kind, correlation_id, _causation, company_id = env[
            "finance.capture"
        ]._who_and_why()
        if user.id == SUPERUSER_ID:
            cron = kind.partition("/")[2] if kind.startswith("cron/") else ""
            job = {**default.context, **env.context}.get("job_uuid")
            name = f"cron {cron}" if cron else f"job {job}" if job else "system"
        else:
            name = f"{user.name} ({user.login})"
        http = current_request()
        return {
            "actor_uid": user.id or None,
            "actor": values.clean_text(name, constants.MAX_LABEL),
            "client": None,
            "remote_addr": http.httprequest.remote_addr if http else None,
            "correlation_id": correlation_id or None,
            "company_id": company_id,
        }

    # === WRITING === #

    @api.model
    def _write_notes(self):
        """Write what was noted in this transaction."""
        drafts = self.env.cr.precommit.data.pop(NOTES, ())
        if drafts:
            self._insert(drafts)

    @api.model
    def _insert(self, drafts):
        """Insert entries and their digests.

        :return: their ids
        """
        cr = self.env.cr
        key_id, seed = self.env["finance.audit.key"]._current() or (None, None)
        key = mark_key(seed) if seed else None
        rows, positions = [], []
        for draft in drafts:
            digest = entry_digest(canonical_entry(draft))
            positions.append((digest, key and entry_mark(key, digest), key_id))
            rows.append(
                tuple(
                    Json(draft[name])
                    if name in ("before", "after", "facts") and draft[name] is not None
                    else draft[name]
                    for name in COLUMNS
                )
            )
        ids = execute_values(
            cr._obj, INSERT_ENTRIES, rows, page_size=len(rows), fetch=True
        )
        execute_values(
            cr._obj,
            INSERT_POSITIONS,
            [
                (entry_id, *position)
                for (entry_id,), position in zip(ids, positions, strict=True)
            ],
            page_size=len(rows),
        )
        self.invalidate_model(flush=False)
        self.env["finance.audit.position"].invalidate_model(flush=False)
        return [entry_id for (entry_id,) in ids]

    @api.model
    def _canonical_rows(self, where, parameters):
        """Return {id: entry in its canonical mapping} of stored rows.

        :param str where: an SQL condition over the table
        """
        self.env.cr.execute(f"{SELECT_ENTRIES} WHERE {where}", parameters)
        return {row["id"]: canonical_entry(row) for row in self.env.cr.dictfetchall()}


def canonical_entry(row):
    """Return what an entry's digest is made over.

    :param row: mapping of the columns, ``at`` naive in UTC
    """
    entry = {NAMES.get(name, name): row[name] for name in COLUMNS}
    entry["at"] = f"{row['at'].isoformat(timespec='microseconds')}Z"
    return entry


def current_request():
    """Return the HTTP request that is served now, None in a job."""
    try:
        return request if request and request.httprequest else None
    except RuntimeError:
        return None


def who_facts():
    """Return the circumstances of the present request."""
    http = current_request()
    if not http:
        return {}
    facts = {"path": http.httprequest.path, "method": http.httprequest.method}
    sid = getattr(getattr(http, "session", None), "sid", None)
    if sid:
        # Tells the sessions of a person apart and is none.
        facts["session"] = hashlib.sha256(sid.encode()).hexdigest()[:12]
    return facts


def _write_apart(registry, drafts):
    """Write entries in a transaction of their own."""
    try:
        with registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            for draft in drafts:
                # A company that was made in the transaction that was rolled back.
                cr.execute(
                    "SELECT id FROM res_company WHERE id = %s", [draft["company_id"]]
                )
                draft["company_id"] = next(iter(cr.fetchone() or ()), None)
            env["finance.audit.entry"]._insert(drafts)
    except Exception:
        # The refusal stands; that it could not be recorded is for the server's log.
        _logger.exception("finance_hub: a refused attempt could not be recorded")
