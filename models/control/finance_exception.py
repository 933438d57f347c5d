from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL

from ...contracts import TAXONOMY
from .. import clock, constants
from ..access import require_group
from . import impact

OPEN_STATES = ("open", "in_progress")


class FinanceException(models.Model):
    """Something that a person must decide."""

    _name = "finance.exception"
    _description = "Finance Exception"
    _inherit = ["finance.about", "mail.activity.mixin"]
    _order = "rank desc, due_at, id"
    _rec_name = "summary"

    summary = fields.Char(required=True, readonly=True)
    code = fields.Char(required=True, readonly=True, index=True)
    code_title = fields.Char(string="Kind", compute="_compute_taxonomy")
    klass = fields.Selection(
        [
            ("technical", "Technical"),
            ("data_quality", "Data Quality"),
            ("business", "Business Process"),
            ("control", "Control Breach"),
        ],
        string="Class",
        required=True,
        readonly=True,
    )
    severity = fields.Selection(
        [
            ("critical", "Critical"),
            ("high", "High"),
            ("medium", "Medium"),
            ("low", "Low"),
            ("info", "Information"),
        ],
        required=True,
        readonly=True,
    )
    severity_rank = fields.Integer(readonly=True, aggregator=False)
    rank = fields.Integer(
        string="Impact",
        readonly=True,
        aggregator=False,
        help="What it weighs: how severe it is, how much money is at stake, how "
        "critical the connector is, and whether it is late. The highest comes first.",
    )
    state = fields.Selection(
        [
            ("open", "Open"),
            ("in_progress", "In Progress"),
            ("resolved", "Resolved"),
            ("cancelled", "Cancelled"),
        ],
        required=True,
        default="open",
        readonly=True,
        tracking=True,
    )
    is_open = fields.Boolean(compute="_compute_is_open", search="_search_is_open")
    company_id = fields.Many2one("res.company", required=True, readonly=True)
    connector_id = fields.Many2one("finance.connector", readonly=True, index=True)
    owner_team = fields.Char(string="Owning Team", readonly=True)
    user_id = fields.Many2one(
        "res.users",
        string="Assigned To",
        tracking=True,
        domain="[('share', '=', False)]",
    )
    cause = fields.Text(readonly=True)
    next_step = fields.Text(compute="_compute_taxonomy")
    opened_at = fields.Datetime(required=True, readonly=True)
    last_seen_at = fields.Datetime(readonly=True)
    due_at = fields.Datetime(string="Due", readonly=True)
    is_overdue = fields.Boolean(compute="_compute_is_overdue")
    occurrences = fields.Integer(default=1, readonly=True)
    amount = fields.Monetary(string="At Stake", readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    amount_company = fields.Monetary(
        string="At Stake (Company Currency)",
        currency_field="company_currency_id",
        readonly=True,
    )
    company_currency_id = fields.Many2one(
        related="company_id.currency_id", string="Company Currency"
    )
    res_model = fields.Char(string="Model", readonly=True)
    res_id = fields.Many2oneReference(
        string="Record", model_field="res_model", readonly=True
    )
    correlation_id = fields.Char(readonly=True, index=True)
    fingerprint = fields.Char(required=True, readonly=True)
    resolution = fields.Text(readonly=True, tracking=True)
    resolved_by_id = fields.Many2one("res.users", readonly=True)
    resolved_at = fields.Datetime(readonly=True)
    runbook = fields.Html(related="connector_id.runbook")
    delivery_ids = fields.One2many("finance.delivery", "exception_id", "Deliveries")
    command_id = fields.Many2one("finance.command", compute="_compute_subject")
    message_id_ref = fields.Many2one(
        "finance.message", string="Message", compute="_compute_subject"
    )
    can_retry = fields.Boolean(compute="_compute_subject")
    can_correct = fields.Boolean(compute="_compute_subject")

    # One open exception per cause: what happens again is counted on it.
    _fingerprint_unique = models.UniqueIndex(
        "(fingerprint) WHERE state IN ('open', 'in_progress')"
    )
    # The order of the list, whatever companies are looked at: its first page is read,
    # not sorted.
    _rank_idx = models.Index(
        "(rank DESC, due_at, id) WHERE state IN ('open', 'in_progress')"
    )
    _cause_idx = models.Index(
        "(code, connector_id) WHERE state IN ('open', 'in_progress')"
    )
    _record_idx = models.Index("(res_model, res_id)")

    # === COMPUTES === #

    @api.depends("code")
    def _compute_taxonomy(self):
        for exception in self:
            kind = TAXONOMY.get(exception.code)
            exception.code_title = kind.title if kind else exception.code
            exception.next_step = kind.next_step if kind else False

    @api.depends("state")
    def _compute_is_open(self):
        for exception in self:
            exception.is_open = exception.state in OPEN_STATES

    def _search_is_open(self, operator, value):
        if operator != "in":
            return NotImplemented
        wanted = set(value)
        domain = Domain("state", "in", OPEN_STATES)
        if wanted == {True}:
            return domain
        if wanted == {False}:
            return ~domain
        return Domain.TRUE

    @api.depends("due_at", "state")
    def _compute_is_overdue(self):
        now = clock.naive_now()
        for exception in self:
            exception.is_overdue = bool(
                exception.is_open and exception.due_at and exception.due_at < now
            )

    @api.depends("res_model", "res_id", "state", "delivery_ids.state")
    def _compute_subject(self):
        for exception in self:
            record = exception._record()
            command = record if record._name == "finance.command" else False
            message = record if record._name == "finance.message" else False
            exception.command_id = command
            exception.message_id_ref = message or (command and command.message_id)
            exception.can_retry = bool(exception.is_open and exception._retryable())
            exception.can_correct = bool(
                exception.is_open and command and command.state in constants.RETRYABLE
            )

    # === ACTIONS === #

    def action_retry(self):
        """Try again what failed; several are judged one by one."""
        require_group(self.env, constants.GROUP_OPERATOR)
        if len(self) > 1:
            return self.env["finance.bulk.action"]._start(self, "retry")
        self._retry()
        return True

    def _retry(self):
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        for exception in self:
            retryable = exception._retryable()
            if not exception.is_open or not retryable:
                raise UserError(
                    self.env._(
                        "“%s” can't be tried again. Open it to see what can be done.",
                        exception.summary,
                    )
                )
            exception.sudo().write({"state": "in_progress"})
            exception._log_action(self.env._("Tried again"))
            for records in retryable:
                records.action_retry()

    def action_correct(self):
        """Open the form in which the command is corrected."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR)
        return self.command_id.action_correct()

    def action_assign_to_me(self):
        """Take the exceptions on."""
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        # One statement, however many are chosen.
        self.sudo().write({"user_id": self.env.user.id})
        return True

    def action_cancel(self):
        """Ask for the reason with which the exceptions are cancelled."""
        return self._ask_reason(self.env._("Cancel: why?"), "cancelled")

    def action_solve(self):
        """Ask how the exceptions were solved outside of the hub."""
        return self._ask_reason(self.env._("Solved: how?"), "resolved")

    def _ask_reason(self, title, outcome):
        require_group(self.env, constants.GROUP_OPERATOR)
        return {
            "type": "ir.actions.act_window",
            "name": title,
            "res_model": "finance.reason.wizard",
            "view_mode": "form",
            "target": "new",
            "context": {
                "default_exception_ids": self.ids,
                "default_outcome": outcome,
            },
        }

    # === BUSINESS METHODS === #

    @api.model
    def _open(
        self,
        code,
        *,
        company,
        record,
        fingerprint,
        summary,
        cause,
        connector=None,
        correlation_id=None,
        amount=None,
        currency=None,
        occurrences=1,
        due_at=None,
    ):
        """Open an exception, or count another occurrence of an open one.

        :param str code: of the taxonomy, such as ``B-UNMATCHED``
        :param record: what it is about
        :param str fingerprint: equal for equal causes
        :param str summary: one line in plain words
        :param str cause: what happened, for whoever solves it
        :param int occurrences: how often it happened since the last report
        :param due_at: naive UTC, a date set from outside, such as a card scheme's;
            by default the time of its kind from now
        :return: the exception
        """
        now = clock.naive_now()
        kind = self.env["finance.exception.kind"]._facts(code, now)
        stake = impact.in_company_currency(amount, currency, company, now.date())
        values = {
            "code": code,
            **kind,
            "severity_rank": list(dict(self._fields["severity"].selection)).index(
                kind["severity"]
            ),
            "state": "open",
            "company_id": company.id,
            "connector_id": connector.id if connector else None,
            "summary": summary,
            "cause": cause,
            "opened_at": now,
            "last_seen_at": now,
            "due_at": due_at or kind["due_at"],
            "occurrences": occurrences,
            "amount": amount,
            "currency_id": currency.id if currency else None,
            "amount_company": stake,
            "rank": impact.rank(
                kind["severity"], stake, connector.criticality if connector else None
            ),
            "res_model": record._name,
            "res_id": record.id,
            "correlation_id": correlation_id,
            "fingerprint": f"{code}:{fingerprint}",
            "create_uid": self.env.uid,
            "write_uid": self.env.uid,
            "create_date": now,
            "write_date": now,
        }
        # In SQL, as two processes may find the same cause at the same moment.
        self.flush_model()
        [(exception_id,)] = self.env.execute_query(
            SQL(
                """
            INSERT INTO finance_exception (%s) VALUES (%s)
            ON CONFLICT (fingerprint) WHERE state IN ('open', 'in_progress')
            DO UPDATE SET occurrences = finance_exception.occurrences
                              + EXCLUDED.occurrences,
                          last_seen_at = EXCLUDED.last_seen_at,
                          rank = GREATEST(finance_exception.rank, EXCLUDED.rank),
                          summary = EXCLUDED.summary,
                          cause = EXCLUDED.cause,
                          due_at = COALESCE(%s::timestamp,
                                            finance_exception.due_at),
                          -- Whoever put it off has to know that it goes on.
                          snoozed_until = NULL,
                          state = 'open'
            RETURNING id
                """,
                SQL(", ").join(map(SQL.identifier, values)),
                SQL(", ").join(SQL("%s", value) for value in values.values()),
                due_at or None,
            )
        )
        self.invalidate_model(flush=False)
        return self.browse(exception_id)

    @api.model
    def _about(self, records, *codes):
        """Return the open exceptions about records.

        :param codes: of the taxonomy; without one, of any kind
        """
        domain = [
            ("res_model", "=", records._name),
            ("res_id", "in", records.ids),
            ("is_open", "=", True),
        ]
        if codes:
            domain.append(("code", "in", codes))
        return self.search(domain)

    def _retryable(self):
        """Return the records that can be tried again to solve this, by model."""
        self.ensure_one()
        record = self._record()
        if record._name in ("finance.command", "finance.message"):
            found = [record.filtered(lambda r: r.state in constants.RETRYABLE)]
        else:
            # What left in a batch goes again as that batch: a file has its totals.
            deliveries = self.delivery_ids.filtered(
                lambda d: d.state in ("dead", "waiting")
            )
            batches = self._batches("dead")
            found = [
                deliveries.filtered(lambda d: d.batch_id not in batches),
                batches,
            ]
        return [records for records in found if records]

    def _batches(self, *states):
        """Return the batches that this is about; a file may have no events."""
        self.ensure_one()
        return self.env["finance.batch"].search(
            [("exception_id", "=", self.id), ("state", "in", states)]
        )

    def _log_action(self, text, reason=None):
        """Keep who did what, and why, with the exception."""
        for exception in self:
            exception.sudo().message_post(
                body=f"{text}: {reason}" if reason else text,
                author_id=self.env.user.partner_id.id,
            )

    def _resolve(self, how):
        """Close the open ones among ``self``.

        :param str how: what solved it
        """
        exceptions = self.filtered("is_open")
        exceptions.write(
            {
                "state": "resolved",
                "resolution": how,
                "resolved_by_id": self.env.uid,
                "resolved_at": clock.naive_now(),
            }
        )

    def _resolve_if_done(self, how):
        """Close those of ``self`` whose deliveries have all arrived."""
        self.env.flush_all()
        self.invalidate_model(["delivery_ids"], flush=False)
        self.env["finance.delivery"].invalidate_model(flush=False)
        for exception in self:
            unfinished = self.env["finance.delivery"].search_count(
                [
                    ("exception_id", "=", exception.id),
                    ("state", "in", ("waiting", "dead")),
                ],
                limit=1,
            )
            if not unfinished and not exception._batches("waiting", "dead"):
                exception._resolve(how)

    def _solve(self, how):
        """Close as solved by a person, outside of the hub.

        What can still be tried again here is not solved: it would stay unsent or
        unbooked behind a closed exception.

        :param str how: what was done, kept with the exception
        """
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        for exception in self:
            if not exception.is_open or exception._retryable():
                raise UserError(
                    self.env._(
                        "“%s” is closed, or still waits for a retry or correction.",
                        exception.summary,
                    )
                )
            exception._log_action(self.env._("Solved by hand"), how)
            exception.sudo()._resolve(how)

    def _cancel(self, reason):
        """Close without a remedy.

        What the exception was about stays as it is: a failed command stays failed,
        a given-up delivery is cancelled so that its successors can go.

        :param str reason: why nothing needs to be done
        """
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        for exception in self:
            if not exception.is_open:
                raise UserError(
                    self.env._("“%s” is closed already.", exception.summary)
                )
            exception._log_action(self.env._("Cancelled"), reason)
            exception.sudo()._close_without_remedy(reason, self.env.user)

    def _close_without_remedy(self, reason, user):
        """Close as cancelled; what it was about is given up with it.

        :param user: who decided
        """
        self.ensure_one()
        stuck = self.delivery_ids.filtered(lambda d: d.state in ("dead", "waiting"))
        self._batches("waiting", "dead").write({"state": "cancelled"})
        if stuck:
            stuck.write({"state": "cancelled"})
            stuck._unpark()
        self.write(
            {
                "state": "cancelled",
                "resolution": reason,
                "resolved_by_id": user.id,
                "resolved_at": clock.naive_now(),
            }
        )
