from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from ...contracts import (
    COMMAND_TYPES,
    ContractError,
    business_key,
    parse_command,
)
from .. import clock, constants
from ..access import require_group
from ..ledger.errors import MORE, CommandError
from ..windows import window_at, window_of
from .aggregates import aggregate_of, track_of

# Where the content of a command says how much it is about.
AMOUNT_FIELDS = ("amount", "gross", "net", "total_tax")


class FinanceCommand(models.Model):
    """One canonical instruction out of a message."""

    _name = "finance.command"
    _description = "Finance Command"
    _inherit = ["finance.traced"]
    _order = "id desc"
    _rec_name = "title"

    message_id = fields.Many2one(
        "finance.message", required=True, index=True, readonly=True, ondelete="restrict"
    )
    connector_id = fields.Many2one(
        related="message_id.connector_id", store=True, index=True
    )
    company_id = fields.Many2one(
        related="message_id.company_id", store=True, index=True
    )
    position = fields.Integer(readonly=True)
    type = fields.Char(required=True, readonly=True)
    title = fields.Char(compute="_compute_title")
    # As it may be seen; how it is kept: see ``finance_command_data``.
    data = fields.Json(compute="_compute_data")
    data_text = fields.Text(string="Content", compute="_compute_data_text")
    occurred_at = fields.Datetime(readonly=True)
    business_key = fields.Char(readonly=True)
    aggregate = fields.Char(
        string="About",
        readonly=True,
        help="What the command is about. Commands about the same are applied in the "
        "order in which they came.",
    )
    track = fields.Integer(readonly=True, aggregator=False)
    state = fields.Selection(
        [
            ("received", "Received"),
            ("waiting", "Waiting"),
            ("held", "Held"),
            ("applied", "Applied"),
            ("ignored", "Ignored"),
            ("failed", "Failed"),
            ("superseded", "Corrected"),
        ],
        required=True,
        default="received",
        readonly=True,
    )
    applied_at = fields.Datetime(readonly=True)
    error_code = fields.Char(readonly=True)
    error = fields.Text(string="Cause", readonly=True)
    waits_for = fields.Char(
        readonly=True, help="What has to be there before this can be applied."
    )
    waits_since = fields.Datetime(readonly=True)
    wait_ends_at = fields.Datetime(
        readonly=True, help="When a person is told that it still waits."
    )
    retry_at = fields.Datetime(readonly=True)
    retry_count = fields.Integer(string="Tries While Waiting", readonly=True)
    attempt_count = fields.Integer(
        string="Tries", readonly=True, help="How often it failed unexpectedly."
    )
    next_attempt_at = fields.Datetime(readonly=True)
    started_at = fields.Datetime(readonly=True)
    crash_count = fields.Integer(
        readonly=True, help="How often the server ended while it applied this command."
    )
    correlation_id = fields.Char(readonly=True, index=True)
    causation_id = fields.Char(string="Caused By", readonly=True)
    corrected_from_id = fields.Many2one(
        "finance.command", string="Corrects", readonly=True, copy=False
    )
    correction_ids = fields.One2many("finance.command", "corrected_from_id")
    corrected_by_id = fields.Many2one("res.users", readonly=True)
    correction_reason = fields.Char(readonly=True)
    transaction_id = fields.Many2one("finance.transaction", readonly=True, index=True)
    res_model = fields.Char(string="Result Model", readonly=True)
    res_id = fields.Many2oneReference(
        string="Result", model_field="res_model", readonly=True
    )

    # Applied once, whatever id the second message had.
    _business_key_unique = models.UniqueIndex(
        "(connector_id, type, business_key) WHERE state = 'applied'"
    )
    _received_idx = models.Index("(id) WHERE state = 'received'")
    _track_idx = models.Index("(connector_id, track, id) WHERE state = 'received'")
    _aggregate_idx = models.Index(
        "(connector_id, aggregate, id) WHERE state = 'received'"
    )
    # What somebody or something still has to do with.
    _unsolved_idx = models.Index(
        "(state, id DESC) WHERE state IN ('waiting', 'held', 'failed')"
    )
    _waits_for_idx = models.Index("(waits_for) WHERE state = 'waiting'")
    _retry_idx = models.Index("(retry_at) WHERE state = 'waiting'")

    # === COMPUTES === #

    @api.depends("type", "business_key")
    def _compute_title(self):
        for command in self:
            known = COMMAND_TYPES.get(command.type)
            title = known.title if known else command.type
            # The key begins with the command's name, which the title says already.
            key = (command.business_key or "").removeprefix(f"{command.type}:")
            command.title = f"{title} · {key}" if key else title

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):
        rows = []
        for vals in vals_list:
            aggregate = vals.get("aggregate") or aggregate_of(vals.get("data"))
            track = track_of(aggregate, vals.get("message_id") or 0)
            rows.append(
                {
                    "business_key": _business_key(vals),
                    **vals,
                    "aggregate": aggregate,
                    "track": track,
                }
            )
        return super().create(self._kept_data(rows))

    # === ACTIONS === #

    def action_retry(self):
        """Apply failed commands again, unchanged."""
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        commands = self.filtered(lambda command: command.state in constants.RETRYABLE)
        if not commands:
            raise UserError(
                self.env._("Only failed or waiting commands can be tried again.")
            )
        commands.sudo()._resubmit()
        return True

    def action_correct(self):
        """Open the form in which a failed command is corrected."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR)
        self._check_correctable()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Correct & Resubmit"),
            "res_model": "finance.correct.wizard",
            "view_mode": "form",
            "target": "new",
            "context": {"default_command_id": self.id},
        }

    def action_open_result(self):
        self.ensure_one()
        return window_at(self.env, self.res_model, self.res_id)

    # === BUSINESS METHODS === #

    def _check_correctable(self):
        """Raise unless whoever asks may correct the command.

        :raise UserError: when it is done with, or its content is hidden from him
        """
        self.ensure_one()
        if self.state not in constants.RETRYABLE:
            raise UserError(
                self.env._("Only a failed or waiting command can be corrected.")
            )
        if self.content_hidden:
            raise UserError(
                self.env._(
                    "The content of this command is confidential, and hidden from you. "
                    "Somebody with the role “Confidential Content” has to correct it."
                )
            )

    def _action_open_message(self):
        """Return the window of the message that the command came in by."""
        return window_of(self.message_id)

    def _resubmit(self):
        """Hand the commands back to the job that applies them."""
        self.write(
            {
                "state": "received",
                "attempt_count": 0,
                "crash_count": 0,
                "started_at": False,
                "next_attempt_at": False,
            }
        )
        self.message_id.write({"state": "received"})
        self.env["finance.message"]._wake_after_commit()

    def _correct(self, data, reason):
        """Replace a failed command by a corrected one; the original is kept.

        :param dict data: the corrected content
        :param str reason: why it is right to change it
        :return: the new command
        :raise ValidationError: when the corrected content breaks the contract
        """
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        self._check_correctable()
        try:
            parse_command(self.type, data)
        except ContractError as error:
            raise ValidationError(error.describe()) from error
        command = self.sudo()
        correction = command.create(
            {
                "message_id": command.message_id.id,
                "position": command.position,
                "type": command.type,
                "data": data,
                "occurred_at": command.occurred_at,
                "correlation_id": command.correlation_id,
                "causation_id": command.causation_id,
                "corrected_from_id": command.id,
                "corrected_by_id": self.env.user.id,
                "correction_reason": reason,
            }
        )
        command.write({"state": "superseded"})
        exceptions = command._exceptions()
        exceptions.with_user(self.env.user)._log_action(
            self.env._("Corrected and resubmitted"), reason
        )
        exceptions.write(
            {
                "state": "in_progress",
                "res_id": correction.id,
            }
        )
        correction._hand_in()
        return correction

    def _hand_in(self):
        """Have a correction applied."""
        self._resubmit()

    def _exceptions(self):
        """Return the open exceptions about the commands."""
        return self.env["finance.exception"].sudo()._about(self)

    def _apply(self):
        """Do what the command says; a decision of the handler ends it either way.

        The command's state changes in the transaction that does the work. What a
        handler refuses is undone by a savepoint and becomes an exception.
        """
        self.ensure_one()
        # Only what was tried before can have been put before a person.
        known = self.error_code or self.attempt_count or self.corrected_from_id
        try:
            handler = self._handler()
            content = parse_command(self.type, self.data)
            key = business_key(content)
            if self.business_key != key:
                self.business_key = key
            if self._already_applied(content):
                return
            with self.env.cr.savepoint():
                if handler._handle(self, content) is MORE:
                    # Stays received: the job takes it again, in a new transaction.
                    self.write({"started_at": False})
                    return
                self.write(
                    {
                        "state": "applied",
                        "applied_at": clock.naive_now(),
                        "error": False,
                        "error_code": False,
                    }
                )
        except (CommandError, ContractError) as error:
            with self.env.cr.savepoint():
                self._fail(error)
            return
        if known:
            self._exceptions()._resolve(self.env._("Applied: %s", self.title))

    def _postpone(self, error):
        """Try an unexpected failure again later; after the last try, ask a person."""
        self.ensure_one()
        cause = f"{type(error).__name__}: {error}"
        attempts = self.attempt_count + 1
        self.attempt_count = attempts
        if attempts >= constants.PROCESS_MAX_ATTEMPTS:
            self._fail(CommandError("T-INTERNAL", cause))
            return
        due = clock.now() + constants.PROCESS_BACKOFF * 2 ** (attempts - 1)
        self.write(
            {
                "next_attempt_at": clock.naive(due),
                "started_at": False,
                "error": cause,
            }
        )
        self.env["finance.message"]._wake(eta=due)

    @api.model
    def _provide(self, key, company):
        """Have the commands tried again that wait for ``key``.

        Called by whatever made the thing, in its transaction.

        :param str key: as in :class:`CommandWaits`
        :param company: the ``res.company`` that has it
        """
        self.search(
            [
                ("state", "=", "waiting"),
                ("waits_for", "=", key),
                ("company_id", "=", company.id),
            ]
        )._resubmit()

    @api.model
    def _cron_waiting(self):
        """Try waiting commands again, and tell of those that wait too long.

        What a command waits for may have come in the very moment it began to wait,
        unseen by both transactions; so nothing relies on being told.
        """
        now = clock.naive_now()
        overdue = self.search(
            [("state", "=", "waiting"), ("wait_ends_at", "<=", now)],
            limit=constants.WAITING_BATCH,
        )
        for command in overdue:
            command._open_exception(CommandError(command.error_code, command.error))
        overdue.write({"wait_ends_at": False})
        self.search(
            [("state", "=", "waiting"), ("retry_at", "<=", now)],
            limit=constants.WAITING_BATCH,
        )._resubmit()

    def _handler(self):
        known = COMMAND_TYPES.get(self.type)
        model = f"finance.handler.{self.type}"
        if not known or model not in self.env:
            raise CommandError(
                "D-VERSION",
                self.env._("This hub has no use for “%s”.", self.type),
            )
        return (
            self.env[model]
            .with_company(self.company_id)
            .with_context(
                finance_causation_id=self.causation_id,
                finance_correlation_id=self.correlation_id,
            )
        )

    def _already_applied(self, content):
        """Mark the command ignored if its business key was applied before.

        :raise CommandError: when the earlier one said something else
        """
        earlier = self.search(
            [
                ("connector_id", "=", self.connector_id.id),
                ("type", "=", self.type),
                ("business_key", "=", self.business_key),
                ("state", "=", "applied"),
                ("id", "!=", self.id),
            ],
            limit=1,
        )
        if not earlier:
            return False
        self._join_case(earlier.correlation_id)
        self.write(
            {
                "transaction_id": earlier.transaction_id.id,
                "res_model": earlier.res_model,
                "res_id": earlier.res_id,
            }
        )
        # Of what was made pseudonymous nobody can say any more that it was the same.
        if not earlier.is_pseudonymous:
            self._handler()._check_same(
                parse_command(earlier.type, earlier.data), content
            )
        self.write(
            {
                "state": "ignored",
                "error": self.env._("The same was applied before: %s", earlier.title),
            }
        )
        self._exceptions()._resolve(self.env._("The same was applied before"))
        return True

    def _fail(self, error):
        """Leave the command in the state the error asks for, and hand it on.

        :param error: a :class:`CommandError` or a contracts.ContractError
        """
        values = {
            "state": getattr(error, "state", "failed"),
            "error_code": error.code,
            "error": error.describe(),
        }
        if values["state"] == "waiting":
            values.update(self._waiting_values(error))
        self.write(values)
        # Another code now than before: the cause of before is no more.
        superseded = self._exceptions().filtered(lambda e: e.code != error.code)
        superseded._resolve(self.env._("Followed by another: %s", error.code))
        if isinstance(error, CommandError):
            error.report(self)
        else:
            self._open_exception(error)

    def _waiting_values(self, error):
        """Return when a waiting command is tried again, and a person told."""
        now = clock.naive_now()
        again = self.waits_for == error.key and self.waits_since
        tries = self.retry_count + 1 if again else 0
        pause = min(constants.WAITING_RETRY * 2**tries, constants.WAITING_RETRY_MAX)
        values = {
            "waits_for": error.key,
            "retry_at": now + pause,
            "retry_count": tries,
        }
        if not again:
            values["waits_since"] = now
            values["wait_ends_at"] = now + error.grace if error.grace else False
        return values

    def _open_exception(self, error):
        """Open the exception of a command that was not applied."""
        data = self.data if isinstance(self.data, dict) else {}
        amount = next((data[name] for name in AMOUNT_FIELDS if name in data), None)
        currency = (
            self.env["res.currency"]
            .with_context(active_test=False)
            .search([("name", "=", data.get("currency"))], limit=1)
        )
        return self.env["finance.exception"]._open(
            error.code,
            company=self.company_id,
            record=self,
            connector=self.connector_id,
            # A correction of a command is the same case as the command.
            fingerprint=f"command:{self._first_command().id}",
            summary=self.env._(
                "%(title)s: %(cause)s",
                title=self.title,
                # What to do about it stands in the cause, after the first sentence.
                cause=error.summary.partition(". ")[0],
            ),
            cause=error.describe(),
            correlation_id=self.correlation_id,
            amount=_amount(amount) if currency else None,
            currency=currency,
        )

    def _join_case(self, correlation_id):
        """Make the command, what it corrects, and their exceptions part of a case.

        :param str correlation_id: of the case, such as that of the paid invoice
        """
        self.ensure_one()
        chain = command = self
        while command := command.corrected_from_id:
            chain |= command
        chain.write({"correlation_id": correlation_id})
        # A message of many commands belongs to many cases, and stays its own.
        chain.message_id.filtered(lambda message: message.command_count == 1).write(
            {"correlation_id": correlation_id}
        )
        chain._exceptions().write({"correlation_id": correlation_id})

    def _first_command(self):
        """Return the command that this one is the last correction of."""
        command = self
        while command.corrected_from_id:
            command = command.corrected_from_id
        return command


def _business_key(vals):
    """Return the business key of a new command, None if it is not understood."""
    try:
        return business_key(parse_command(vals["type"], vals["data"]))
    except (ContractError, KeyError):
        return None


def _amount(text):
    """Return an amount on the wire for a screen, None if it is none."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return None
