from odoo import api, fields, models

from .. import clock, constants
from ..access import require_group
from .account_journal import sanitized


class FinanceAwaitedStatement(models.Model):
    """A statement that the bank has announced, until it comes."""

    _name = "finance.awaited.statement"
    _description = "Awaited Statement"
    _order = "due_at desc, id desc"
    _rec_name = "reference"

    connector_id = fields.Many2one(
        "finance.connector", required=True, readonly=True, ondelete="restrict"
    )
    company_id = fields.Many2one(
        related="connector_id.company_id", store=True, index=True
    )
    command_id = fields.Many2one(
        "finance.command", readonly=True, index=True, ondelete="set null"
    )
    account = fields.Char(required=True, readonly=True)
    account_key = fields.Char(readonly=True, index=True)
    reference = fields.Char(string="Bank's Reference", required=True, readonly=True)
    format = fields.Char(readonly=True)
    sha256 = fields.Char(string="SHA-256", readonly=True)
    from_date = fields.Date(string="From", readonly=True)
    to_date = fields.Date(string="To", required=True, readonly=True)
    available_at = fields.Datetime(string="Ready Since", required=True, readonly=True)
    due_at = fields.Datetime(string="Due", required=True, readonly=True)
    state = fields.Selection(
        [
            ("awaited", "Awaited"),
            ("missing", "Missing"),
            ("arrived", "Arrived"),
            ("cancelled", "No Longer Awaited"),
        ],
        required=True,
        readonly=True,
        default="awaited",
    )
    statement_id = fields.Many2one(
        "finance.statement", string="Arrived As", readonly=True, index=True
    )
    arrived_at = fields.Datetime(readonly=True)

    _due_idx = models.Index("(due_at) WHERE state = 'awaited'")

    # === ACTIONS === #

    def action_stop_waiting(self):
        """Wait no longer: the bank has withdrawn it, or it came another way."""
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        waiting = self.sudo().filtered(lambda a: a.state in ("awaited", "missing"))
        waiting.write({"state": "cancelled"})
        waiting._exceptions()._resolve(self.env._("No longer awaited"))
        return True

    def action_open_message(self):
        """Open the message that announced the statement."""
        self.ensure_one()
        self.check_access("read")
        return self.command_id._action_open_message()

    # === BUSINESS METHODS === #

    @api.model
    def _expect(self, command, content):
        """Wait for a statement, unless it is there.

        :param content: contracts.BankStatementAvailable
        """
        moment = clock.naive(content.available_at)
        awaited = self.create(
            {
                "connector_id": command.connector_id.id,
                "command_id": command.id,
                "account": content.account,
                "account_key": sanitized(content.account),
                "reference": content.statement_ref,
                "format": content.format,
                "sha256": content.sha256,
                "from_date": content.from_date,
                "to_date": content.to_date,
                "available_at": moment,
                "due_at": moment + constants.STATEMENT_GRACE,
            }
        )
        candidates = self.env["finance.statement"].search(
            [
                ("company_id", "=", command.company_id.id),
                ("to_date", "=", content.to_date),
            ]
        )
        there = candidates.filtered(
            lambda s: awaited._is_it(s.account, s.reference, s.from_date)
        )[:1]
        if there:
            awaited._arrive(there)
        return awaited

    def _is_it(self, account, reference, from_date):
        """Whether a statement of the same last day is the awaited one."""
        self.ensure_one()
        if sanitized(account) != self.account_key:
            return False
        same_period = not self.from_date or self.from_date == from_date
        return reference == self.reference or same_period

    @api.model
    def _arrived(self, statement, content):
        """End the waiting for a statement that came.

        :param statement: ``finance.statement``
        :param content: contracts.BankStatementContent
        """
        waiting = self.search(
            [
                ("company_id", "=", statement.company_id.id),
                ("account_key", "=", sanitized(content.account)),
                ("to_date", "=", content.to_date),
                ("state", "in", ("awaited", "missing")),
            ]
        ).filtered(
            lambda a: a._is_it(
                content.account, content.statement_ref, statement.from_date
            )
        )
        for awaited in waiting:
            awaited._arrive(statement)
            if awaited.sha256 and content.sha256 and awaited.sha256 != content.sha256:
                awaited._report_other_file(content.sha256)

    def _arrive(self, statement):
        self.write(
            {
                "state": "arrived",
                "statement_id": statement.id,
                "arrived_at": clock.naive_now(),
            }
        )
        self._exceptions()._resolve(self.env._("The statement has arrived."))

    @api.model
    def _cron_missing(self):
        """Tell of statements that were announced and did not come in time."""
        late = self.search(
            [("state", "=", "awaited"), ("due_at", "<=", clock.naive_now())],
            limit=constants.AWAITED_BATCH,
        )
        for awaited in late:
            awaited._report_missing()
        late.write({"state": "missing"})

    # === EXCEPTIONS === #

    def _exceptions(self):
        return self.env["finance.exception"]._about(self, "B-FEED-MISSING")

    def _report_missing(self):
        self._open(
            "B-FEED-MISSING",
            self.env._(
                "The statement %(reference)s of %(account)s has not come",
                reference=self.reference,
                account=self.account,
            ),
            self.env._(
                "%(connector)s said at %(moment)s UTC that the statement up to %(day)s "
                "is ready, but it has not arrived. Ask the bank to send it again; once "
                "it arrives, this closes by itself.",
                connector=self.connector_id.name,
                moment=self.available_at.strftime("%Y-%m-%d %H:%M"),
                day=self.to_date.isoformat(),
            ),
        )

    def _report_other_file(self, digest):
        self._open(
            "C-AMOUNT-INTEGRITY",
            self.env._(
                "The statement %(reference)s is not the file that was announced",
                reference=self.reference,
            ),
            self.env._(
                "Announced was a file of SHA-256 %(announced)s, what came has "
                "%(actual)s. It was imported. Compare it with the bank's own copy.",
                announced=self.sha256,
                actual=digest,
            ),
        )

    def _open(self, code, summary, cause):
        self.ensure_one()
        self.env["finance.exception"]._open(
            code,
            company=self.company_id,
            record=self,
            connector=self.connector_id,
            fingerprint=f"awaited:{self.id}",
            summary=summary,
            cause=cause,
            correlation_id=self.command_id.correlation_id,
        )
