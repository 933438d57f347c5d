import threading
import time

from psycopg2.errors import SerializationFailure

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import UserError

from .. import clock, constants

# Codes of calls that were refused for what they are, whoever sent them; all others
# say that the sender was not recognised.
SHAPE_CODES = {
    "bad_header": "Headers That Make No Sense",
    "too_deep": "Nested Too Deep",
    "too_large": "Too Large",
    "too_many": "Too Many Calls",
    "unknown_connector": "No Such Connector",
    "unsupported_encoding": "Compressed Content",
}
SIGNATURE_CODES = {
    "bad_secret": "Secret Unusable",
    "malformed_header": "Signature Not Readable",
    "missing_header": "Not Signed",
    "no_matching_signature": "Signature Does Not Fit",
    "timestamp_too_new": "Time in the Future",
    "timestamp_too_old": "Too Old",
    "transmission_reused": "Signature Used Twice",
}
# Whoever finds the address by chance sends this; it takes many to make a person look.
UNSIGNED = "missing_header"
# Stands for the addresses that are not told apart.
SEVERAL = ""

UPSERT = """
    INSERT INTO finance_refusal (
        minute, connector_id, company_id, remote_addr, code, number, first_at, last_at,
        called, detail, size, sha256, header_names)
    VALUES (
        %(minute)s, %(connector)s, %(company)s, %(address)s, %(code)s, %(number)s,
        %(now)s, %(now)s, %(called)s, %(detail)s, %(size)s, %(sha256)s,
        %(header_names)s)
    ON CONFLICT (minute, COALESCE(connector_id, 0), remote_addr, code)
    DO UPDATE SET number = finance_refusal.number + EXCLUDED.number,
                  last_at = EXCLUDED.last_at,
                  called = EXCLUDED.called,
                  detail = EXCLUDED.detail,
                  size = EXCLUDED.size,
                  sha256 = EXCLUDED.sha256,
                  header_names = EXCLUDED.header_names
"""


class Tally:
    """Refused calls that this server process has counted and not yet written.

    Holds so many different ones apart at most, whatever is called how often.

    :param interval: seconds between two writings
    :param most: entries of one database
    """

    def __init__(self, interval, most):
        self._interval = interval
        self._most = most
        self._lock = threading.Lock()
        self._entries = {}
        self._written = {}

    def add(self, database, key, facts, number=1):
        """Count a call.

        :param key: (minute, connector id, address, code)
        :param facts: what is known of this call, as columns
        """
        with self._lock:
            entries = self._entries.setdefault(database, {})
            if key not in entries and len(entries) >= self._most:
                key = (*key[:2], SEVERAL, key[3])
            count = entries[key][0] if key in entries else 0
            entries[key] = (count + number, facts)

    def take(self, database):
        """Return {key: (number, facts)} when it is time to write it, else nothing."""
        now = time.monotonic()
        with self._lock:
            if now - self._written.get(database, -self._interval) < self._interval:
                return {}
            self._written[database] = now
            return self._entries.pop(database, {})

    def give_back(self, database, entries):
        """Count again what could not be written."""
        for key, (number, facts) in entries.items():
            self.add(database, key, facts, number)

    def clear(self):
        """Forget everything, also when it was written last."""
        with self._lock:
            self._entries.clear()
            self._written.clear()


TALLY = Tally(constants.REFUSAL_INTERVAL.total_seconds(), constants.REFUSAL_KEYS)


class FinanceRefusal(models.Model):
    """Calls from outside that were not let in: one row a minute, place and reason.

    Of what was sent only size and digest are kept, and the names of the headers, so
    that neither secrets nor personal data of whoever it was pile up here.
    """

    _name = "finance.refusal"
    _description = "Finance Refused Call"
    _order = "minute desc, id desc"
    _rec_name = "code"
    _log_access = False

    minute = fields.Datetime(string="When", required=True, readonly=True)
    connector_id = fields.Many2one(
        "finance.connector", readonly=True, index="btree_not_null", ondelete="cascade"
    )
    company_id = fields.Many2one("res.company", readonly=True)
    called = fields.Char(
        string="Address Called",
        readonly=True,
        help="The last part of the address: the code of a connector, or what somebody "
        "took for one.",
    )
    remote_addr = fields.Char(
        string="From",
        required=True,
        readonly=True,
        help="Empty stands for several addresses.",
    )
    code = fields.Selection(
        selection="_selection_code", string="Reason", required=True, readonly=True
    )
    number = fields.Integer(string="Calls", required=True, readonly=True)
    first_at = fields.Datetime(string="First", readonly=True)
    last_at = fields.Datetime(string="Last", readonly=True)
    detail = fields.Char(
        string="What Was Wrong", readonly=True, help="Of the last of these calls."
    )
    size = fields.Integer(
        string="Bytes", readonly=True, aggregator=False, help="Of the last call."
    )
    sha256 = fields.Char(
        string="SHA-256",
        readonly=True,
        help="Digest of the last call's content, which itself is not kept.",
    )
    header_names = fields.Char(string="Headers", readonly=True)

    _minute_unique = models.UniqueIndex(
        "(minute, COALESCE(connector_id, 0), remote_addr, code)"
    )

    # === SELECTIONS === #

    @api.model
    def _selection_code(self):
        known = {**SIGNATURE_CODES, **SHAPE_CODES}
        # What a scheme says beyond these was kept as it is.
        self.env.cr.execute("SELECT DISTINCT code FROM finance_refusal")
        for (code,) in self.env.cr.fetchall():
            known.setdefault(code, code.replace("_", " ").capitalize())
        return list(known.items())

    # === CRUD === #

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("What was refused is kept for its time."))

    # === RECORDING === #

    @api.model
    def _recently(self):
        return clock.naive_now() - constants.REFUSAL_WINDOW

    @api.model
    def _note(self, gate, called, address, code, detail, *, facts=None, replayed=False):
        """Count a refused call, and write now and then what was counted.

        In a transaction of its own: that of the call is about to be rolled back, or
        has nothing to do with it.

        :param gate: the connector's ``Gate``, None if there is no such connector
        :param str called: the code that was called
        :param str code: why, such as ``no_matching_signature``
        :param str detail: the same for a person; never holds a secret
        :param dict facts: ``size``, ``sha256`` and ``header_names`` of the call
        :param bool replayed: the signature is right, but it is old
        """
        minute = clock.naive_now().replace(second=0, microsecond=0)
        TALLY.add(
            self.env.cr.dbname,
            (minute, gate and gate.id, address or SEVERAL, code),
            {
                "company": gate and gate.company_id,
                "called": (called or "").replace("\0", "\ufffd")[:64],
                "detail": detail[: constants.REFUSAL_DETAIL_CHARS],
                "replayed": replayed,
                **(facts or {}),
            },
        )
        self._write_tally()

    @api.model
    def _write_tally(self):
        database = self.env.cr.dbname
        entries = TALLY.take(database)
        if not entries:
            return
        for _attempt in range(constants.PROCESS_MAX_TRIES):
            try:
                with self.env.registry.cursor() as cr:
                    env = api.Environment(cr, SUPERUSER_ID, {})
                    env[self._name]._store(entries)
                    cr.flush()
                break
            except SerializationFailure:
                # Another process counted the same at this very moment.
                continue
        else:
            TALLY.give_back(database, entries)
        self.invalidate_model(flush=False)

    def _store(self, entries):
        """Write counts, and tell a person where it matters."""
        known, by_connector = {}, {}
        for (minute, connector_id, address, code), (number, facts) in entries.items():
            place = (minute, connector_id)
            if place not in known:
                known[place] = self._addresses(*place)
            addresses = known[place]
            full = len(addresses) >= constants.REFUSAL_ADDRESSES
            shown = SEVERAL if full and address not in addresses else address
            addresses.add(shown)
            self.env.cr.execute(
                UPSERT,
                {
                    "size": None,
                    "sha256": None,
                    "header_names": None,
                    **facts,
                    "minute": minute,
                    "connector": connector_id,
                    "address": shown,
                    "code": code,
                    "number": number,
                    "now": clock.naive_now(),
                },
                log_exceptions=False,
            )
            if connector_id and code not in SHAPE_CODES:
                by_connector.setdefault(connector_id, []).append(
                    (number, shown, code, facts)
                )
        for connector_id, refused in by_connector.items():
            self._judge(self.env["finance.connector"].browse(connector_id), refused)

    def _addresses(self, minute, connector_id):
        """Return the addresses that a minute has rows of."""
        self.env.cr.execute(
            """
            SELECT DISTINCT remote_addr FROM finance_refusal
             WHERE minute = %s AND COALESCE(connector_id, 0) = %s
            """,
            [minute, connector_id or 0],
        )
        return {address for (address,) in self.env.cr.fetchall()}

    # === TELLING === #

    def _judge(self, connector, refused):
        """Open an exception, or count on an open one, if the refusals matter.

        :param refused: list of (number, address, code, facts)
        """
        replayed = [entry for entry in refused if entry[3].get("replayed")]
        if replayed:
            self._tell(
                "C-REPLAYED",
                connector,
                sum(entry[0] for entry in replayed),
                replayed[-1],
                self.env._("%s was sent old messages again", connector.name),
            )
        others = [entry for entry in refused if not entry[3].get("replayed")]
        number = sum(entry[0] for entry in others)
        if not others:
            return
        summary = self.env._(
            "Calls to %s are refused: the sender is not recognised", connector.name
        )
        told = self.env["finance.exception"].search_count(
            [
                ("fingerprint", "=", f"C-SIGNATURE:connector:{connector.id}"),
                ("is_open", "=", True),
            ],
            limit=1,
        )
        if not told:
            signed = any(entry[2] != UNSIGNED for entry in others)
            lately = self._number_lately(connector)
            if not (signed and self._used_to_verify(connector)) and (
                lately < constants.REFUSAL_THRESHOLD
            ):
                return
            number = max(number, lately)
        self._tell("C-SIGNATURE", connector, number, others[-1], summary)

    def _number_lately(self, connector):
        self.env.cr.execute(
            """
            SELECT COALESCE(sum(number), 0) FROM finance_refusal
             WHERE connector_id = %s AND minute >= %s AND code <> ALL(%s)
            """,
            [connector.id, self._recently(), list(SHAPE_CODES)],
        )
        return self.env.cr.fetchone()[0]

    def _used_to_verify(self, connector):
        return bool(
            self.env["finance.message"].search_count(
                [("connector_id", "=", connector.id)], limit=1
            )
        )

    def _tell(self, code, connector, number, last, summary):
        _number, address, _code, facts = last
        # What the signatures are checked with is what has to be compared or rotated.
        secrets = connector.credential_ids.filtered(
            lambda credential: (
                credential.direction == "inbound" and credential.state == "active"
            )
        )
        self.env["finance.exception"]._open(
            code,
            company=connector.company_id,
            record=secrets if len(secrets) == 1 else connector,
            connector=connector,
            fingerprint=f"connector:{connector.id}",
            summary=summary,
            cause=self.env._(
                "Last one from %(address)s: %(detail)s Each is listed under Refused "
                "Calls.",
                address=address or self.env._("several addresses"),
                detail=facts["detail"],
            ),
            occurrences=number,
        )

    # === JOBS AND CRONS === #

    @api.autovacuum
    def _gc_refusals(self):
        """Remove what was kept for its time."""
        self.env.cr.execute(
            "DELETE FROM finance_refusal WHERE minute < %s",
            [clock.naive_now() - constants.REFUSAL_KEPT],
        )
        self.invalidate_model(flush=False)
