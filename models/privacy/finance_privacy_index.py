import json
import logging
from time import monotonic

from psycopg2.extras import execute_values

from odoo import api, fields, models
from odoo.tools import SQL

from ...contracts import EMAIL, IBAN, NAME, PHONE, terms_in, terms_of
from ...signing import SecretBoxError, blind_mark, generate_index_key
from .. import clock, constants
from ..keyring import secret_box

_logger = logging.getLogger(__name__)

KEY_PARAMETER = "finance_hub.privacy_key"
INSERT_MARKS = """
    INSERT INTO finance_privacy_mark (mark, source, row_id, company_id)
    VALUES %s ON CONFLICT (mark, source, row_id) DO NOTHING
"""
PAGES = {
    "event": """
        SELECT id, company_id, type, data, label FROM finance_event
         WHERE id > %(after)s ORDER BY id LIMIT %(page)s
    """,
    "message": """
        SELECT id, company_id FROM finance_message
         WHERE id > %(after)s ORDER BY id LIMIT %(page)s
    """,
    "command": """
        SELECT id, company_id FROM finance_command
         WHERE id > %(after)s ORDER BY id LIMIT %(page)s
    """,
    "attempt": """
        SELECT id, company_id, response_body FROM finance_attempt
         WHERE id > %(after)s ORDER BY id LIMIT %(page)s
    """,
}


class FinancePrivacyIndex(models.Model):
    """How far the personal data of one table is known to the blind index.

    Rows are read after they were committed, by a scheduled action, so that nothing of
    it is on the way of a posting. A row with a smaller id may be committed after a
    larger one; so the place to go on from moves only over rows behind which no older
    transaction can still be at work. Reading a row twice changes nothing.
    """

    _name = "finance.privacy.index"
    _description = "Finance Privacy Index"
    _order = "id"
    _rec_name = "source"
    _log_access = False

    source = fields.Selection(
        selection=lambda self: (
            self.env["finance.privacy.mark"]._fields["source"].selection
        ),
        required=True,
        readonly=True,
    )
    position = fields.Integer(readonly=True, aggregator=False)
    reached = fields.Integer(readonly=True, aggregator=False)
    settled = fields.Integer(readonly=True, aggregator=False)
    seen = fields.Integer(readonly=True, aggregator=False)
    # The next transaction's number when ``seen`` was seen; larger than an integer.
    seen_xid = fields.Char(readonly=True)
    last_id = fields.Integer(compute="_compute_progress")
    waiting_count = fields.Integer(string="Still to Read", compute="_compute_progress")
    read_count = fields.Integer(string="Rows Read", readonly=True)
    done_at = fields.Datetime(string="Last Read", readonly=True)

    _source_unique = models.UniqueIndex("(source)")

    # === COMPUTES === #

    def _compute_progress(self):
        for index in self:
            table = SQL.identifier(f"finance_{index.source}")
            self.env.cr.execute(SQL("SELECT COALESCE(max(id), 0) FROM %s", table))
            index.last_id = self.env.cr.fetchone()[0]
            index.waiting_count = max(index.last_id - index.reached, 0)

    # === MARKS === #

    @api.model
    def _key(self):
        """Return the key of the marks; a new one empties the index."""
        parameters = self.env["ir.config_parameter"].sudo()
        token = parameters.get_param(KEY_PARAMETER)
        if token:
            try:
                return bytes.fromhex(secret_box().decrypt(token))
            except (SecretBoxError, ValueError) as error:
                _logger.warning("finance_hub: the privacy index begins anew: %s", error)
        key = generate_index_key()
        parameters.set_param(KEY_PARAMETER, secret_box().encrypt(key.hex()))
        self.env.cr.execute("DELETE FROM finance_privacy_mark WHERE archive_id IS NULL")
        self.sudo().search([]).write(
            {"position": 0, "reached": 0, "settled": 0, "seen": 0, "seen_xid": False}
        )
        return key

    @api.model
    def _reencrypt(self):
        """Encrypt the key under the server's newest encryption key."""
        parameters = self.env["ir.config_parameter"].sudo()
        token = parameters.get_param(KEY_PARAMETER)
        if token and not secret_box().is_current(token):
            parameters.set_param(KEY_PARAMETER, secret_box().rotate(token))

    @api.model
    def _marks_for(self, name=None, email=None, phone=None, iban=None):
        """Return {kind: marks} to look up; a name of many words has several."""
        key = self._key()
        wanted = {EMAIL: email, IBAN: iban, PHONE: phone, NAME: name}
        return {
            kind: [blind_mark(key, term) for term in sorted(terms_of(kind, text))]
            for kind, text in wanted.items()
            if text and terms_of(kind, text)
        }

    @api.model
    def _marks_of(self, partner):
        """Return the marks of all that describes a partner and its contacts."""
        key, terms = self._key(), set()
        partners = (
            self.env["res.partner"]
            .sudo()
            .with_context(active_test=False)
            .search([("id", "child_of", partner.ids)])
        )
        for one in partners:
            terms |= terms_of(NAME, one.name or "") | terms_of(EMAIL, one.email or "")
            terms |= terms_of(PHONE, one.phone or "")
            for account in one.bank_ids:
                terms |= terms_of(IBAN, account.acc_number or "")
        return [blind_mark(key, term) for term in sorted(terms)]

    # === READING === #

    @api.model
    def _cron_index(self):
        """Read what was committed since the last time."""
        left = self._read_on()
        self.env["ir.cron"]._commit_progress(remaining=int(left))

    @api.model
    def _read_on(self):
        """Read on in every table; return whether something is left."""
        deadline = monotonic() + constants.PRIVACY_BUDGET
        left = [index._advance(deadline) for index in self._all()]
        return any(left)

    @api.model
    def _all(self):
        """Return one index for each table."""
        found = self.sudo().search([])
        missing = PAGES.keys() - set(found.mapped("source"))
        return found | self.sudo().create(
            [{"source": source} for source in sorted(missing)]
        )

    def _advance(self, deadline):
        """Read on, page by page, until nothing is left or the time is over.

        :return: whether something is left
        """
        self.ensure_one()
        self._settle()
        ahead = constants.PRIVACY_AHEAD_PAGES
        after = self.position
        while ids := self._read_page(after):
            after = ids[-1]
            if after <= self.settled:
                self.position = after
            else:
                self.position = max(self.position, self.settled)
                # These are read again, once they are settled, too.
                ahead -= 1
            if monotonic() > deadline or not ahead:
                break
        self.done_at = clock.naive_now()
        return bool(ids)

    def _settle(self):
        """Find out behind which row no transaction is at work any more."""
        cr = self.env.cr
        cr.execute(
            "SELECT pg_snapshot_xmin(pg_current_snapshot())::text,"
            " pg_snapshot_xmax(pg_current_snapshot())::text"
        )
        oldest, following = cr.fetchone()
        if self.seen_xid and int(oldest) < int(self.seen_xid):
            return
        self.write({"settled": self.seen, "seen": self.last_id, "seen_xid": following})

    def _read_page(self, after):
        """Index the next rows; return their ids."""
        cr = self.env.cr
        self.env.flush_all()
        cr.execute(PAGES[self.source], {"after": after, "page": constants.PRIVACY_PAGE})
        rows = cr.fetchall()
        self._index_rows(self.source, rows)
        ids = [row[0] for row in rows]
        self.read_count += sum(row_id > self.reached for row_id in ids)
        self.reached = max([self.reached, *ids])
        return ids

    @api.model
    def _index_rows(self, source, rows):
        key = self._key()
        contents = getattr(self, f"_terms_of_{source}s")(rows)
        values = [
            (blind_mark(key, term), source, row[0], row[1])
            for row, terms in zip(rows, contents, strict=True)
            for term in sorted(terms)
        ]
        if values:
            execute_values(self.env.cr._obj, INSERT_MARKS, values, page_size=1000)
            self.env["finance.privacy.mark"].invalidate_model(flush=False)

    @staticmethod
    def _terms_of_events(rows):
        return [
            terms_in({**_mapping(data), "partner_name": label}, type_name)
            for _id, _company, type_name, data, label in rows
        ]

    @staticmethod
    def _terms_of_attempts(rows):
        return [terms_in(_parsed(body or "")) for _id, _company, body in rows]

    @api.model
    def _terms_of_commands(self, rows):
        commands = self.env["finance.command"].sudo().browse([row[0] for row in rows])
        found = [terms_in(command.data, command.type) for command in commands]
        commands.invalidate_recordset(flush=False)
        return found

    @api.model
    def _terms_of_messages(self, rows):
        found = []
        for row in rows:
            message = self.env["finance.message"].sudo().browse(row[0])
            try:
                raw = message._raw()[: constants.PRIVACY_MAX_BYTES]
            except SecretBoxError as error:
                _logger.warning("finance_hub: %s is not indexed: %s", message, error)
                raw = b""
            found.append(terms_in(_parsed(raw.decode("utf-8", "replace"))))
            message.invalidate_recordset(flush=False)
        return found

    # === FINDING === #

    @api.model
    def _find(self, marks, company_ids, limit):
        """Return [(source, row id, archive id, company id, kinds)] of what is found.

        :param marks: see :meth:`_marks_for`; of a kind with several marks all have to
            be there
        """
        found = {}
        for kind, wanted in marks.items():
            self.env.cr.execute(
                """
                SELECT source, row_id, max(archive_id), max(company_id)
                  FROM finance_privacy_mark
                 WHERE mark = ANY(%(marks)s)
                   AND (company_id IS NULL OR company_id = ANY(%(companies)s))
                 GROUP BY source, row_id
                HAVING count(*) = %(count)s
                 ORDER BY source, row_id DESC
                 LIMIT %(limit)s
                """,
                {
                    "marks": wanted,
                    "companies": list(company_ids),
                    "count": len(wanted),
                    "limit": limit,
                },
            )
            for source, row_id, archive_id, company_id in self.env.cr.fetchall():
                place = (source, row_id, archive_id, company_id)
                found.setdefault(place, []).append(kind)
        return [(*place, kinds) for place, kinds in found.items()][:limit]

    @api.model
    def _archived(self, kind, ids, archive):
        """Have the index say that rows stand in an archive file now."""
        if kind not in PAGES:
            return
        self._index_ids(kind, ids)
        self.env.cr.execute(
            "UPDATE finance_privacy_mark SET archive_id = %s"
            " WHERE source = %s AND row_id = ANY(%s)",
            [archive.id, kind, list(ids)],
        )
        self.env["finance.privacy.mark"].invalidate_model(flush=False)

    @api.model
    def _index_ids(self, source, ids):
        """Index rows that may not have had their turn yet."""
        query = PAGES[source].replace("id > %(after)s", "id = ANY(%(after)s)")
        self.env.cr.execute(query, {"after": list(ids), "page": len(ids)})
        self._index_rows(source, self.env.cr.fetchall())

    @api.model
    def _forget(self, source, ids):
        """Take rows out whose personal data was taken out."""
        self.env.cr.execute(
            "DELETE FROM finance_privacy_mark WHERE source = %s AND row_id = ANY(%s)"
            " AND archive_id IS NULL",
            [source, list(ids)],
        )
        self.env["finance.privacy.mark"].invalidate_model(flush=False)


def _mapping(data):
    return data if isinstance(data, dict) else {"content": data}


def _parsed(text):
    """Return JSON as it is, and all else as a text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
