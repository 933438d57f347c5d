import base64
import contextlib
import json
import time

from psycopg2.errors import SerializationFailure

from odoo import api, fields, models
from odoo.exceptions import UserError

from ...contracts import ContractError
from ...signing import SecretBoxError
from .. import clock, constants
from ..access import require_group
from ..privacy.masking import masked
from ..windows import window_of
from . import receiving
from .processing import Processor
from .wakeup import WAKER

# Exceptions that say that a message could not be processed.
OWN_CODES = ("D-SCHEMA", "D-VERSION", "T-INTERNAL", "C-IDEMP-MISUSE")


class FinanceMessage(models.Model):
    """What came in, byte for byte, before anybody tried to understand it."""

    _name = "finance.message"
    _inherit = ["finance.waking", "finance.traced"]
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
            ("set_aside", "Set Aside"),
        ],
        required=True,
        readonly=True,
        help="Set aside is what came with the id of another message: nothing is done "
        "with it unless a person says so.",
    )
    read_at = fields.Datetime(
        string="Understood", readonly=True, help="When its commands were made."
    )
    processed_at = fields.Datetime(readonly=True)
    body = fields.Binary(
        attachment=False,
        readonly=True,
        help="As it is kept; of an encrypted message nobody can read it.",
    )
    encrypted = fields.Boolean(readonly=True)
    content = fields.Binary(string="As It Came", compute="_compute_content")
    content_hidden = fields.Boolean(compute="_compute_content_hidden")
    body_text = fields.Text(string="Content", compute="_compute_body_text")
    body_name = fields.Char(compute="_compute_body_name")
    size = fields.Integer(string="Bytes", readonly=True, aggregator=False)
    sha256 = fields.Char(string="SHA-256", readonly=True)
    fingerprint = fields.Char(
        readonly=True,
        help="Digest of what makes two messages of one id the same, where that is not "
        "all of the content.",
    )
    content_type = fields.Char(readonly=True)
    headers = fields.Json(string="Headers (raw)", readonly=True)
    headers_text = fields.Text(string="Headers", compute="_compute_headers_text")
    remote_addr = fields.Char(string="From", readonly=True)
    verified_by = fields.Char(readonly=True, help="How the sender was recognised.")
    correlation_id = fields.Char(readonly=True)
    conflict_id = fields.Many2one(
        "finance.message",
        string="Same ID As",
        readonly=True,
        index="btree_not_null",
        help="The message that came first with this id and other content.",
    )
    attempt_count = fields.Integer(string="Tries", readonly=True)
    next_attempt_at = fields.Datetime(readonly=True)
    started_at = fields.Datetime(readonly=True)
    crash_count = fields.Integer(
        readonly=True, help="How often the server ended while it read this message."
    )
    error_code = fields.Char(readonly=True)
    error = fields.Text(string="Cause", readonly=True)
    command_ids = fields.One2many("finance.command", "message_id", "Commands")
    command_count = fields.Integer(readonly=True)
    outcome = fields.Char(compute="_compute_outcome")
    reply = fields.Char(string="Answered", compute="_compute_reply")
    duplicate_ids = fields.Many2many(
        "finance.message.duplicate",
        string="Further Arrivals",
        compute="_compute_duplicate_ids",
    )
    duplicate_count = fields.Integer(compute="_compute_duplicate_count")

    _external_id_unique = models.UniqueIndex("(connector_id, external_id)")
    _waiting_idx = models.Index("(id) WHERE state = 'received'")
    _unread_idx = models.Index(
        "(connector_id, id) WHERE state = 'received' AND read_at IS NULL"
    )
    _correlation_idx = models.Index("(correlation_id)")
    _state_idx = models.Index("(state, id DESC)")
    # See constants.TRANSMISSION_HEADER.
    _transmission_idx = models.Index(
        f"(connector_id, (headers->>'{constants.TRANSMISSION_HEADER}'))"
        f" WHERE headers->>'{constants.TRANSMISSION_HEADER}' IS NOT NULL"
    )
    # Whose content is still kept, for the purge.
    _body_idx = models.Index("(id) WHERE body IS NOT NULL AND state = 'processed'")

    # === COMPUTES === #

    @api.depends("body", "encrypted")
    @api.depends_context("uid")
    def _compute_content(self):
        for message in self:
            message.content = False
            if not message.content_hidden:
                with contextlib.suppress(SecretBoxError):
                    message.content = base64.b64encode(message._raw())

    @api.depends("encrypted")
    @api.depends_context("uid")
    def _compute_content_hidden(self):
        may_see = self.env.su or self.env.user.has_group(constants.GROUP_CONFIDENTIAL)
        for message in self:
            message.content_hidden = message.encrypted and not may_see

    @api.depends("body", "encrypted")
    @api.depends_context("uid")
    def _compute_body_text(self):
        for message in self:
            try:
                text = message._raw().decode("utf-8", "replace")
            except SecretBoxError as error:
                message.body_text = str(error)
                continue
            # What is no JSON is shown as it is.
            with contextlib.suppress(ValueError, RecursionError):
                value = json.loads(text)
                if message.content_hidden:
                    value = masked(value)
                text = json.dumps(value, indent=2, ensure_ascii=False)
                message.body_text = text[: constants.PREVIEW_CHARS]
                continue
            if message.content_hidden:
                text = self.env._("This content is encrypted, and hidden from you.")
            message.body_text = text[: constants.PREVIEW_CHARS]

    @api.depends("external_id")
    def _compute_body_name(self):
        for message in self:
            message.body_name = f"message-{message.id}.bin"

    @api.depends("headers")
    def _compute_headers_text(self):
        for message in self:
            message.headers_text = "\n".join(
                f"{name}: {value}" for name, value in (message.headers or {}).items()
            )

    @api.depends("command_ids.state", "command_ids.title", "state", "error")
    def _compute_outcome(self):
        labels = dict(
            self.env["finance.command"]
            ._fields["state"]
            ._description_selection(self.env)
        )
        for message in self:
            commands = message.command_ids.filtered(
                lambda command: command.state != "superseded"
            )
            if message.state in ("failed", "set_aside"):
                message.outcome = (message.error or "").partition("\n")[0]
            elif len(commands) == 1:
                state = labels[commands.state]
                message.outcome = f"{commands.title}: {state}"
            elif commands:
                counts = {}
                for command in commands:
                    counts[command.state] = counts.get(command.state, 0) + 1
                message.outcome = ", ".join(
                    f"{number} × {labels[state]}" for state, number in counts.items()
                )
            elif message.state == "processed":
                message.outcome = self.env._("There was nothing to do in it")
            else:
                message.outcome = False

    @api.depends("state", "connector_id")
    def _compute_reply(self):
        for message in self:
            if message.conflict_id:
                message.reply = self.env._(
                    "409, the id was used before; from the %s. time on as if accepted",
                    constants.CONFLICT_REFUSALS + 1,
                )
                continue
            connector = message.connector_id.sudo()
            reply = connector._inbound_replies().accepted
            if not reply:
                adapter, _options = connector._format_of(message.headers or {})
                reply = adapter.reply
            status = reply.status if reply else 202
            text = reply.body.decode("utf-8", "replace") if reply else ""
            message.reply = f"{status} {text}".strip()

    def _compute_duplicate_count(self):
        groups = self.env["finance.message.duplicate"]._read_group(
            [("message_ref", "in", self.ids)], ["message_ref"], ["number:sum"]
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
        """Have messages processed again that came to nothing.

        Failed ones, those that were set aside, and those of which all was ignored:
        the hub may have learned meanwhile what to do with them. What a command of a
        message still needs is tried again with the command.
        """
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        messages = self.sudo().filtered(lambda message: message._is_repeatable())
        stuck = self.sudo().command_ids.filtered(
            lambda command: command.state in constants.RETRYABLE
        )
        if not messages and not stuck:
            raise UserError(
                self.env._(
                    "Only what failed, was set aside or ignored can be processed "
                    "again; nothing is booked twice."
                )
            )
        if messages.filtered(lambda message: message.size and not message.body):
            raise UserError(
                self.env._(
                    "The content was removed after its retention time. It stands in "
                    "the archive."
                )
            )
        messages.command_ids.write({"state": "superseded"})
        messages._start_again()
        stuck._resubmit()
        self._wake_after_commit()
        return True

    def action_open_conflict(self):
        """Open the message that came first with this id."""
        self.ensure_one()
        self.check_access("read")
        return window_of(self.conflict_id)

    # === CONTENT === #

    def _raw(self):
        """Return the content as it came.

        :return: bytes; empty when it was removed after its retention time
        :raise signing.SecretBoxError: when it can't be decrypted
        """
        self.ensure_one()
        kept = self.with_context(bin_size=False).sudo().body
        return receiving.raw_body(kept, encrypted=self.encrypted) if kept else b""

    def _is_repeatable(self):
        """Return whether a message can be understood anew without doing harm."""
        self.ensure_one()
        if self.state in ("failed", "set_aside"):
            return True
        states = set(self.command_ids.mapped("state")) - {"superseded"}
        return (
            self.state == "processed"
            and states <= {"ignored"}
            # What was ignored as a repetition would be so again.
            and not self.command_ids.filtered("business_key")
        )

    def _start_again(self):
        self.write(
            {
                "state": "received",
                "read_at": False,
                "attempt_count": 0,
                "crash_count": 0,
                "started_at": False,
                "next_attempt_at": False,
            }
        )

    # === RECEIVING === #

    @api.model
    def _receive(
        self,
        connector,
        external_id,
        body,
        headers,
        remote_addr,
        verified_by,
        fingerprint=None,
    ):
        """Store a verified message, unless the hub has it already.

        Beneath the ORM, as this is on the way of every call from outside.

        :param connector: ``finance.connector`` record, or what its ``_inbound_gate``
            gives
        :param str external_id: the sender's id of the message
        :param bytes body: as it came
        :param headers: mapping of the request's headers
        :param bytes fingerprint: what makes two messages of one id the same
        :return: ``"new"``, ``"duplicate"``, ``"conflict"`` when the same id came before
            with other content, or ``"kept"`` when that was refused often enough: it is
            set aside, and the sender may stop
        :raise psycopg2.errors.SerializationFailure: see :func:`.receiving.store`
        """
        arrival = receiving.Arrival(
            connector.id,
            connector.company_id.id
            if isinstance(connector, models.BaseModel)
            else connector.company_id,
            connector.encrypt_bodies,
            external_id,
            body,
            headers,
            remote_addr,
            verified_by,
            body if fingerprint is None else fingerprint,
        )
        fresh, known, same = receiving.store(self.env.cr, arrival)
        if fresh:
            self._wake_soon()
            return "new"
        if known is None:
            # Not seen, and yet in the way: another call is just storing it.
            raise SerializationFailure
        return "duplicate" if same else self._set_aside(arrival, known)

    @api.model
    def _set_aside(self, arrival, known_id):
        """Keep a message apart that has the id of another one.

        :return: see :meth:`_receive`
        """
        digest = receiving.digest_of(arrival)
        apart = arrival._replace(external_id=f"{arrival.external_id}~{digest[:16]}")
        fresh, again, _same = receiving.store(
            self.env.cr, apart, state="set_aside", conflict_id=known_id
        )
        message = self.browse(fresh or again)
        if fresh:
            message.invalidate_recordset(flush=False)
            message.error_code = "C-IDEMP-MISUSE"
            message.error = self.env._(
                "Its id was used before for other content. Compare the two; if this "
                "one is meant, process it."
            )
        connector = message.connector_id
        self.env["finance.exception"]._open(
            "C-IDEMP-MISUSE",
            company=connector.company_id,
            record=message,
            connector=connector,
            fingerprint=f"message:{message.id}",
            summary=self.env._(
                "%(connector)s used the message id %(id)s for two different messages",
                connector=connector.name,
                id=arrival.external_id,
            ),
            cause=self.env._(
                "The second one was refused and set aside (SHA-256 %(new)s, the first "
                "was %(old)s). Compare the two. If the second one is meant, open it "
                "and process it.",
                new=message.sha256,
                old=self.browse(known_id).sha256,
            ),
        )
        arrivals = 1 + message.duplicate_count
        return "conflict" if arrivals <= constants.CONFLICT_REFUSALS else "kept"

    @api.model
    def _wake_soon(self):
        """Have the job made soon after this transaction was committed."""
        database = self.env.cr.dbname
        self.env.cr.postcommit.add(lambda: WAKER.request(database))

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
        """Process what was received, see :mod:`.processing`."""
        processor = Processor(self.env.registry)
        more = processor.run(constants.PROCESS_BUDGET.total_seconds())
        if not more:
            return self.env._("%s commands processed", processor.done)
        self._wake()
        return self.env._("%s commands processed, more are waiting", processor.done)

    @api.model
    def _cron_sweep(self):
        """Find messages that no job was made for, and fold duplicates away."""
        if Processor(self.env.registry).has_work(self.env.cr):
            self._wake()
        self.env["finance.message.duplicate"]._fold()

    @api.model
    def _process_next(self):
        """Work once on everything that can be worked on; return whether anything was.

        In transactions of its own, see :mod:`.processing`.
        """
        return Processor(self.env.registry).round()

    # === PROCESSING === #

    def _understand(self):
        """Return the values of the commands of the message.

        :return: list of dictionaries
        :raise ContractError: when its content is not understood
        :raise signing.SecretBoxError: when it can't be decrypted
        """
        self.ensure_one()
        headers = self.headers or {}
        adapter, options = self.connector_id._format_of(headers)
        return [
            {
                "message_id": self.id,
                "position": position,
                "type": command.type,
                "data": command.data,
                "occurred_at": command.occurred_at and clock.naive(command.occurred_at),
                "causation_id": command.external_id or self.external_id,
                "correlation_id": self.correlation_id,
                "state": "ignored" if command.ignored else "received",
                "error": command.ignored,
            }
            for position, command in enumerate(
                adapter.parse(headers, self._raw(), options)
            )
        ]

    def _read(self, seconds=float("inf")):
        """Make the commands of messages, all in this transaction.

        :param seconds: after which no more messages are begun; one always is
        :return: the messages that are done with
        """
        deadline = time.monotonic() + seconds
        now = clock.naive_now()
        values, counts, done = [], {}, self.browse()
        for message in self:
            if done and time.monotonic() > deadline:
                break
            done |= message
            try:
                commands = message._understand()
            except ContractError as error:
                message._fail(error.code, error.describe())
                continue
            values += commands
            open_ = any(command["state"] == "received" for command in commands)
            counts.setdefault((len(commands), open_), []).append(message.id)
        self.env["finance.command"].create(values)
        understood = self.browse()
        for (count, open_), ids in counts.items():
            messages = self.browse(ids)
            understood |= messages
            messages.write(
                {
                    "state": "received" if open_ else "processed",
                    "read_at": now,
                    "processed_at": False if open_ else now,
                    "command_count": count,
                    "error": False,
                    "error_code": False,
                }
            )
        understood._resolve_own()
        return done

    def _resolve_own(self):
        """Close the exceptions that said the messages could not be processed."""
        self.env["finance.exception"]._about(self, *OWN_CODES)._resolve(
            self.env._("Processed")
        )

    def _postpone(self, error):
        """Read an unexpected failure again later; after the last try, ask a person."""
        self.ensure_one()
        cause = f"{type(error).__name__}: {error}"
        attempts = self.attempt_count + 1
        if attempts >= constants.PROCESS_MAX_ATTEMPTS:
            self._fail("T-INTERNAL", cause)
            self.attempt_count = attempts
            return
        due = clock.now() + constants.PROCESS_BACKOFF * 2 ** (attempts - 1)
        self.write(
            {
                "attempt_count": attempts,
                "next_attempt_at": clock.naive(due),
                "started_at": False,
                "error": cause,
            }
        )
        self._wake(eta=due)

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
