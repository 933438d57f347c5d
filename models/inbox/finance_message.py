import base64
import contextlib
import hashlib
import json
import logging
import time
import uuid

from psycopg2.errors import SerializationFailure, UniqueViolation
from psycopg2.extras import Json

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import UserError

from ...contracts import ContractError
from ...signing import mask_headers
from .. import clock, constants
from ..access import require_group

_logger = logging.getLogger(__name__)

# A transaction that lost a race is simply run again.
MAX_TRIES = 5


class FinanceMessage(models.Model):
    """What came in, byte for byte, before anybody tried to understand it."""

    _name = "finance.message"
    _inherit = ["finance.waking"]
    _description = "Finance Message"
    _order = "id desc"
    _rec_name = "external_id"
    _log_access = False

    connector_id = fields.Many2one(
        "finance.connector",
        required=True,
        readonly=True,
        ondelete="restrict",
    )
    company_id = fields.Many2one("res.company", required=True, readonly=True)
    external_id = fields.Char(string="Message ID", required=True, readonly=True)
    received_at = fields.Datetime(required=True, readonly=True)
    state = fields.Selection(
        [
            ("received", "Received"),
            ("processed", "Processed"),
            ("failed", "Failed"),
        ],
        required=True,
        readonly=True,
    )
    processed_at = fields.Datetime(readonly=True)
    body = fields.Binary(attachment=False, readonly=True)
    body_text = fields.Text(string="Content", compute="_compute_body_text")
    body_name = fields.Char(compute="_compute_body_text")
    size = fields.Integer(string="Bytes", readonly=True, aggregator=False)
    sha256 = fields.Char(string="SHA-256", readonly=True)
    content_type = fields.Char(readonly=True)
    headers = fields.Json(string="Headers (raw)", readonly=True)
    headers_text = fields.Text(string="Headers", compute="_compute_headers_text")
    remote_addr = fields.Char(string="From", readonly=True)
    verified_by = fields.Char(readonly=True, help="How the sender was recognised.")
    correlation_id = fields.Char(readonly=True)
    attempt_count = fields.Integer(string="Tries", readonly=True)
    next_attempt_at = fields.Datetime(readonly=True)
    error_code = fields.Char(readonly=True)
    error = fields.Text(string="Cause", readonly=True)
    command_ids = fields.One2many("finance.command", "message_id", "Commands")
    duplicate_ids = fields.Many2many(
        "finance.message.duplicate",
        string="Further Arrivals",
        compute="_compute_duplicate_ids",
    )
    duplicate_count = fields.Integer(compute="_compute_duplicate_count")

    _external_id_unique = models.UniqueIndex("(connector_id, external_id)")
    _waiting_idx = models.Index("(id) WHERE state = 'received'")
    _correlation_idx = models.Index("(correlation_id)")
    _state_idx = models.Index("(state, id DESC)")
    # Whose content is still kept, for the purge.
    _body_idx = models.Index("(id) WHERE body IS NOT NULL AND state = 'processed'")

    # === COMPUTES === #

    @api.depends("body", "external_id")
    def _compute_body_text(self):
        for message in self.with_context(bin_size=False):
            raw = base64.b64decode(message.body or b"")
            text = raw.decode("utf-8", "replace")
            # What is no JSON is shown as it is.
            with contextlib.suppress(ValueError, RecursionError):
                text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
            message.body_text = text[: constants.PREVIEW_CHARS]
            message.body_name = f"message-{message.id}.bin"

    @api.depends("headers")
    def _compute_headers_text(self):
        for message in self:
            message.headers_text = "\n".join(
                f"{name}: {value}" for name, value in (message.headers or {}).items()
            )

    def _compute_duplicate_count(self):
        groups = self.env["finance.message.duplicate"]._read_group(
            [("message_ref", "in", self.ids)], ["message_ref"], ["__count"]
        )
        counts = dict(groups)
        for message in self:
            message.duplicate_count = counts.get(message.id, 0)

    def _compute_duplicate_ids(self):
        for message in self:
            message.duplicate_ids = self.env["finance.message.duplicate"].search(
                [("message_ref", "=", message.id)],
                limit=constants.MAX_DUPLICATES_SHOWN,
            )

    # === CRUD === #

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("What came in is kept."))

    # === ACTIONS === #

    def action_retry(self):
        """Have failed messages processed again."""
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        messages = self.filtered(lambda message: message.state == "failed")
        if not messages:
            raise UserError(self.env._("Only failed messages can be tried again."))
        messages.sudo().write(
            {"state": "received", "attempt_count": 0, "next_attempt_at": False}
        )
        self._wake_after_commit()
        return True

    def action_open_trace(self):
        self.ensure_one()
        self.check_access("read")
        return self.env["finance.trace.step"]._action_for(
            self.correlation_id, self.external_id
        )

    # === RECEIVING === #

    @api.model
    def _receive(self, connector, external_id, body, headers, remote_addr, verified_by):
        """Store a verified message, unless the hub has it already.

        Beneath the ORM, as this is on the way of every call from outside.

        :param connector: ``finance.connector`` record
        :param str external_id: the sender's id of the message
        :param bytes body: as it came
        :param headers: mapping of the request's headers
        :return: ``"new"``, ``"duplicate"``, or ``"conflict"`` when the same id came
            before with another body
        """
        digest = hashlib.sha256(body).hexdigest()
        known = self._find_known(connector, external_id)
        if known is None:
            if self._insert(
                connector, external_id, body, digest, headers, remote_addr, verified_by
            ):
                self._wake_after_commit()
                return "new"
            # Inserted by another call in the same moment.
            known = self._find_known(connector, external_id)
        message_id, known_digest = known
        if known_digest != digest:
            self._report_conflict(connector, message_id, external_id, digest, known)
            return "conflict"
        self.env.cr.execute(
            """
            INSERT INTO finance_message_duplicate (
                message_ref, company_id, received_at, remote_addr
            ) VALUES (%s, %s, %s, %s)
            """,
            [message_id, connector.company_id.id, clock.naive_now(), remote_addr],
        )
        return "duplicate"

    @api.model
    def _find_known(self, connector, external_id):
        """Return (id, SHA-256) of the message of an external id, or None."""
        self.env.cr.execute(
            """
            SELECT id, sha256 FROM finance_message
             WHERE connector_id = %s AND external_id = %s
            """,
            [connector.id, external_id],
        )
        return self.env.cr.fetchone()

    @api.model
    def _insert(
        self, connector, external_id, body, digest, headers, remote_addr, verified_by
    ):
        """Insert a message; return whether it was new.

        Under REPEATABLE READ a row that was committed since this transaction began
        is a serialization failure, upon which Odoo runs the request again; that is
        the ordinary course of a race and not worth an error in the log.
        """
        self.env.cr.execute(
            """
            INSERT INTO finance_message (
                connector_id, company_id, external_id, received_at, state, body, size,
                sha256, content_type, headers, remote_addr, verified_by,
                correlation_id, attempt_count
            ) VALUES (
                %s, %s, %s, %s, 'received', %s, %s, %s, %s, %s, %s, %s, %s, 0
            )
            ON CONFLICT (connector_id, external_id) DO NOTHING
            RETURNING id
            """,
            [
                connector.id,
                connector.company_id.id,
                external_id,
                clock.naive_now(),
                base64.b64encode(body),
                len(body),
                digest,
                _clean(headers.get("Content-Type")),
                Json({_clean(k): _clean(v) for k, v in mask_headers(headers).items()}),
                remote_addr,
                verified_by,
                str(uuid.uuid4()),
            ],
            log_exceptions=False,
        )
        return self.env.cr.fetchone() is not None

    @api.model
    def _report_conflict(self, connector, message_id, external_id, digest, known):
        self.env["finance.exception"]._open(
            "C-IDEMP-MISUSE",
            company=connector.company_id,
            record=self.browse(message_id),
            connector=connector,
            fingerprint=f"message:{message_id}",
            summary=self.env._(
                "%(connector)s used the message id %(id)s for two different messages",
                connector=connector.name,
                id=external_id,
            ),
            cause=self.env._(
                "The second one was refused (SHA-256 %(new)s, the first was %(old)s).",
                new=digest,
                old=known[1],
            ),
        )

    # === WAKING === #

    @api.model
    def _wake_job(self, lane):
        return (
            "_job_process",
            "root.finance_hub.inbox",
            self.env._("Process finance messages"),
        )

    # === JOBS AND CRONS === #

    @api.model
    def _job_process(self):
        """Process what was received, each message in a transaction of its own."""
        started = time.monotonic()
        done = 0
        while time.monotonic() - started < constants.PROCESS_BUDGET.total_seconds():
            if not self._process_next():
                return self.env._("%s messages processed", done)
            done += 1
        self._wake()
        return self.env._("%s messages processed, more are waiting", done)

    @api.model
    def _cron_sweep(self):
        """Find messages that no job was made for, see finance.delivery."""
        self.env.cr.execute(
            """
            SELECT EXISTS (
                SELECT 1 FROM finance_message
                 WHERE state = 'received'
                   AND (next_attempt_at IS NULL OR next_attempt_at <= %s)
            )
            """,
            [clock.naive_now()],
        )
        if self.env.cr.fetchone()[0]:
            self._wake()

    # === PROCESSING === #

    @api.model
    def _process_next(self):
        """Process one message, whatever comes of it.

        The message is marked in the very transaction that does what it says.

        :return: whether there was one
        """
        registry = self.env.registry
        for attempt in range(1, MAX_TRIES + 1):
            message_id = None
            try:
                with registry.cursor() as cr:
                    message_id = self._lock_next(cr)
                    if message_id is None:
                        return False
                    env = api.Environment(cr, SUPERUSER_ID, {})
                    env["finance.message"].browse(message_id)._process()
                    # Now, so that what the end of the transaction finds is caught.
                    cr.flush()
                return True
            except (SerializationFailure, UniqueViolation) as error:
                # Lost a race; run again, it sees the winner's work. Unless it
                # isn't a race.
                if attempt == MAX_TRIES:
                    if message_id is None:
                        raise
                    self._postpone(message_id, error)
                    return True
            except Exception as error:
                if message_id is None:
                    # No message is to blame: the job fails, and the sweep goes on.
                    raise
                _logger.exception("finance_hub: message %s failed", message_id)
                self._postpone(message_id, error)
                return True
        return True

    @api.model
    def _lock_next(self, cr):
        cr.execute(
            """
            SELECT id FROM finance_message
             WHERE state = 'received'
               AND (next_attempt_at IS NULL OR next_attempt_at <= %s)
             ORDER BY id LIMIT 1
               FOR UPDATE SKIP LOCKED
            """,
            [clock.naive_now()],
        )
        row = cr.fetchone()
        return row and row[0]

    @api.model
    def _postpone(self, message_id, error):
        """Try an unexpected failure again later; after the last try, ask a person."""
        with self.env.registry.cursor() as cr:
            message = api.Environment(cr, SUPERUSER_ID, {})["finance.message"].browse(
                message_id
            )
            attempts = message.attempt_count + 1
            if attempts >= constants.PROCESS_MAX_ATTEMPTS:
                message._fail("T-INTERNAL", f"{type(error).__name__}: {error}")
                message.attempt_count = attempts
                return
            due = clock.now() + constants.PROCESS_BACKOFF * 2 ** (attempts - 1)
            message.write(
                {
                    "attempt_count": attempts,
                    "next_attempt_at": clock.naive(due),
                    "error": f"{type(error).__name__}: {error}",
                }
            )
            message._wake(eta=due)

    def _process(self):
        """Turn the message into commands and apply them."""
        self.ensure_one()
        if not self.command_ids:
            try:
                self._parse()
            except ContractError as error:
                self._fail(error.code, error.describe())
                return
        for command in self.command_ids.filtered(lambda c: c.state == "received"):
            command._apply()
        if self.command_ids.filtered(lambda c: c.state == "received"):
            # There is more to do, in the next transaction.
            return
        self.write(
            {
                "state": "processed",
                "processed_at": clock.naive_now(),
                "error": False,
                "error_code": False,
            }
        )
        # Only those that said it could not be processed.
        self.env["finance.exception"].search(
            [
                ("res_model", "=", self._name),
                ("res_id", "=", self.id),
                ("code", "in", ("D-SCHEMA", "D-VERSION", "T-INTERNAL")),
                ("is_open", "=", True),
            ]
        )._resolve(self.env._("Processed"))

    def _parse(self):
        """Make the commands of the message.

        :raise ContractError: when its content is not understood
        """
        adapter, options = self.connector_id._format_of(self.headers or {})
        raw = base64.b64decode(self.with_context(bin_size=False).body or b"")
        parsed = adapter.parse(self.headers or {}, raw, options)
        self.env["finance.command"].create(
            [
                {
                    "message_id": self.id,
                    "position": position,
                    "type": command.type,
                    "data": command.data,
                    "occurred_at": command.occurred_at
                    and clock.naive(command.occurred_at),
                    "causation_id": command.external_id or self.external_id,
                    "correlation_id": self.correlation_id,
                    "state": "ignored" if command.ignored else "received",
                    "error": command.ignored,
                }
                for position, command in enumerate(parsed)
            ]
        )

    def _fail(self, code, cause):
        """Mark the message failed and hand it to a person."""
        self.ensure_one()
        self.write(
            {
                "state": "failed",
                "processed_at": clock.naive_now(),
                "error_code": code,
                "error": cause,
            }
        )
        self.env["finance.exception"]._open(
            code,
            company=self.company_id,
            record=self,
            connector=self.connector_id,
            fingerprint=f"message:{self.id}",
            summary=self.env._(
                "A message from %(connector)s could not be processed",
                connector=self.connector_id.name,
            ),
            cause=cause,
            correlation_id=self.correlation_id,
        )


def _clean(text):
    """Return a header's text without NUL, which PostgreSQL can't store."""
    return text and text.replace("\0", "\ufffd")
