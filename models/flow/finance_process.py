from odoo import api, fields, models
from odoo.exceptions import UserError

from .. import clock, constants
from ..access import require_group
from ..insight.glance import hour_of
from ..windows import list_of
from . import words

RUNNING = ("running", "stopped")
CODES = ("B-PROCESS-STOPPED", "B-PROCESS-LATE", "C-DIVERGENCE")
CRON = "finance_hub.cron_advance_processes"


class FinanceProcess(models.Model):
    """One run of a flow, for one document, payment or counterparty.

    Its steps are judged by what is recorded: events, commands, statuses, holds and
    approvals. So it does not matter in which order or how often those come.
    """

    _name = "finance.process"
    _description = "Finance Process"
    _inherit = ["finance.about", "mail.activity.mixin"]
    _order = "id desc"

    name = fields.Char(string="What It Is About", required=True, readonly=True)
    flow_id = fields.Many2one(
        "finance.flow", required=True, readonly=True, index=True, ondelete="restrict"
    )
    company_id = fields.Many2one("res.company", required=True, readonly=True)
    team_id = fields.Many2one(related="flow_id.team_id", store=True)
    criticality = fields.Selection(related="flow_id.criticality", store=True)
    state = fields.Selection(
        [
            ("running", "Running"),
            ("stopped", "Stopped"),
            ("done", "Done"),
            ("cancelled", "Cancelled"),
        ],
        required=True,
        default="running",
        readonly=True,
    )
    is_late = fields.Boolean(string="Late", readonly=True)
    is_diverging = fields.Boolean(
        string="Diverges", readonly=True, help="It and the books disagree."
    )
    key = fields.Char(required=True, readonly=True)
    run = fields.Integer(
        default=1,
        required=True,
        readonly=True,
        aggregator=False,
        help="Which run of the flow for the same thing this is.",
    )
    previous_id = fields.Many2one(
        "finance.process",
        string="Follows",
        readonly=True,
        index="btree_not_null",
        help="The run before, which had ended when this one was started.",
    )
    next_ids = fields.One2many("finance.process", "previous_id", "Followed By")
    res_model = fields.Char(string="Model", readonly=True, required=True)
    res_id = fields.Many2oneReference(
        string="Record", model_field="res_model", readonly=True, required=True
    )
    transaction_id = fields.Many2one("finance.transaction", readonly=True, index=True)
    correlation_id = fields.Char(readonly=True)
    start_event_id = fields.Many2one(
        "finance.event",
        string="Started by Event",
        readonly=True,
        # Events are purged beneath the ORM, in time.
        ondelete="set null",
        index="btree_not_null",
    )
    start_command_id = fields.Many2one(
        "finance.command",
        string="Started by Command",
        readonly=True,
        ondelete="set null",
        index="btree_not_null",
    )
    # Not a link: events are purged, and what was read once is not to count again.
    told_event_id = fields.Integer(
        string="Last Event Told", readonly=True, aggregator=False
    )
    start_user_id = fields.Many2one("res.users", string="Started By", readonly=True)
    started_at = fields.Datetime(required=True, readonly=True)
    ended_at = fields.Datetime(readonly=True)
    amount = fields.Monetary(string="At Stake", readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    step_ids = fields.One2many("finance.process.step", "process_id", "Steps")
    step_id = fields.Many2one(
        "finance.process.step", string="Waits For", readonly=True, index=True
    )
    due_at = fields.Datetime(string="Due", related="step_id.due_at")
    woken = fields.Boolean(default=True, readonly=True)
    looked_at = fields.Datetime(string="Last Look", readonly=True)
    compared_at = fields.Datetime(string="Last Compared", readonly=True)
    counted = fields.Selection(
        [("on_time", "On Time"), ("late", "Late")], string="Outcome", readonly=True
    )
    counted_at = fields.Datetime(readonly=True)
    failure_counted = fields.Boolean(readonly=True)
    is_mine = fields.Boolean(compute="_compute_is_mine", search="_search_is_mine")
    exception_ids = fields.Many2many(
        "finance.exception", string="Exceptions", compute="_compute_exception_ids"
    )
    runbook = fields.Html(related="flow_id.runbook")

    # One run of a flow for one thing at a time, however often it is told of.
    _key_unique = models.UniqueIndex("(flow_id, key, run)")
    _record_idx = models.Index("(res_model, res_id)")
    _correlation_idx = models.Index("(correlation_id)")
    _woken_idx = models.Index("(flow_id, id) WHERE woken")
    _running_idx = models.Index("(looked_at) WHERE state IN ('running', 'stopped')")
    _compared_idx = models.Index("(compared_at)")

    # === COMPUTES === #

    def _compute_is_mine(self):
        mine = self.filtered_domain(self._search_is_mine("in", [True]))
        for process in self:
            process.is_mine = process in mine

    @api.model
    def _search_is_mine(self, operator, value):
        if operator != "in":
            return NotImplemented
        teams = (
            self.env["finance.team"]
            .sudo()
            .search(
                [
                    "|",
                    ("leader_id", "=", self.env.uid),
                    ("member_ids", "in", self.env.uid),
                ]
            )
        )
        return [
            ("state", "in", RUNNING),
            "|",
            ("step_id.team_id", "in", teams.ids),
            ("flow_id.user_id", "=", self.env.uid),
        ]

    def _compute_exception_ids(self):
        found = self.env["finance.exception"].search(
            [("res_model", "=", self._name), ("res_id", "in", self.ids)]
        )
        for process in self:
            process.exception_ids = found.filtered(
                lambda e, p=process: e.res_id == p.id
            )

    # === CRUD === #

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("Processes are kept; cancel them instead."))

    # === ACTIONS === #

    def action_look(self):
        """Look now whether what it waits for is there; a failed step is tried again."""
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        for process in self:
            if process.state not in RUNNING:
                raise UserError(self.env._("“%s” has ended.", process.name))
        processes = self.sudo()
        processes.step_ids.filtered(lambda s: s.state == "failed")._try_again()
        processes._advance()
        return True

    def action_compare(self):
        """Compare the processes with documents and payments now."""
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        self.sudo()._compare()
        return True

    def action_cancel(self):
        """Ask for the reason with which the processes end."""
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Cancel: why?"),
            "res_model": "finance.process.cancel.wizard",
            "view_mode": "form",
            "target": "new",
            "context": {"default_process_ids": self.ids},
        }

    def action_open_transaction(self):
        """Open the transactions of the case."""
        self.ensure_one()
        self.check_access("read")
        return list_of(
            self.env,
            "finance_transaction_action",
            [("id", "in", self._transactions().ids)],
        )

    # === WHAT IT IS ABOUT === #

    def _document(self):
        """Return the document or payment: what can be held and posted."""
        record = self._record()
        if record and record._name == "finance.transaction":
            return record.move_id or record.payment_id
        return record

    def _start_content(self):
        """Return (content, attributes) of what started it; None if it is not kept."""
        self.ensure_one()
        event, command = self.start_event_id, self.start_command_id
        if event:
            return event.data, event._filter_attributes()
        if command:
            return command.data, words.command_attributes(command)
        return None, {}

    def _transactions(self):
        """Return the payments that the process is about, as providers tell of them."""
        self.ensure_one()
        transactions = self.env["finance.transaction"].sudo()
        if self.transaction_id:
            return self.transaction_id
        ways = []
        if self.correlation_id:
            ways.append([("correlation_id", "=", self.correlation_id)])
        if self.res_model == "account.move":
            ways.append([("move_id", "=", self.res_id)])
        elif self.res_model == "account.payment":
            ways.append([("payment_id", "=", self.res_id)])
        for way in ways:
            transactions |= transactions.search(
                [*way, ("company_id", "=", self.company_id.id)]
            )
        return transactions

    # === GOING ON === #

    def _wake(self):
        """Have the processes looked at by the next run of the engine, soon."""
        running = self.filtered(lambda process: process.state in RUNNING)
        running.woken = True
        cron = self.env.ref(CRON, raise_if_not_found=False)
        if running and cron:
            cron.sudo()._trigger()

    def _advance(self):
        """Go as far as what is recorded allows."""
        for process in self:
            process.write({"woken": False, "looked_at": clock.naive_now()})
            if process.state in RUNNING:
                process._advance_steps()

    def _advance_steps(self):
        reached_at = self.started_at
        for step in self.step_ids:
            if step.state == "pending":
                step._reach(reached_at)
            if step.state in ("active", "failed"):
                step._look()
            if step.state != "done":
                self.step_id = step
                self.state = "stopped" if step.state == "failed" else "running"
                self._count()
                return
            reached_at = step.done_at
        self.write({"state": "done", "step_id": False, "ended_at": reached_at})
        self._count()

    def _count(self):
        """Count the process once for its flow; anew if it turns out otherwise."""
        tally = self.env["finance.flow.tally"]
        steps = self.step_ids
        self.is_late = any(step.is_late for step in steps if step.state != "done")
        late = any(step.is_late for step in steps)
        outcome = "late" if late else "on_time" if self.state == "done" else False
        if outcome != self.counted:
            hour = hour_of(self.counted_at or clock.naive_now())
            if self.counted:
                tally._add(self.flow_id, hour, **{self.counted: -1})
            if outcome:
                tally._add(self.flow_id, hour, **{outcome: 1})
            self.write({"counted": outcome, "counted_at": hour})
        if self.state == "stopped" and not self.failure_counted:
            tally._add(self.flow_id, hour_of(clock.naive_now()), failed=1)
            self.failure_counted = True

    def _cancel(self, reason):
        """End the processes without their remaining steps.

        What was held and asked for because of them is no more.
        """
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        for process in self:
            if process.state not in RUNNING:
                raise UserError(self.env._("“%s” has ended.", process.name))
        processes = self.sudo()
        for process in processes:
            process.step_ids._give_up(reason)
            process.write(
                {
                    "state": "cancelled",
                    "is_late": False,
                    "ended_at": clock.naive_now(),
                    "step_id": False,
                }
            )
            process.message_post(body=self.env._("Cancelled: %s", reason))
            process._open_exceptions(*CODES)._resolve(
                self.env._("The process was cancelled: %s", reason)
            )

    # === PEOPLE === #

    def _open_exceptions(self, *codes):
        """Return the open exceptions about the processes."""
        return self.env["finance.exception"].sudo()._about(self, *codes)

    def _report(self, code, fingerprint, summary, cause, team=None):
        """Open an exception about the process, for the team of its flow.

        One that is open already stays as it is.
        """
        self.ensure_one()
        known = self._open_exceptions(code).filtered(
            lambda e: e.fingerprint == f"{code}:{fingerprint}"
        )
        if known:
            if known.cause != cause:
                known.cause = cause
            return known
        exception = self.env["finance.exception"]._open(
            code,
            company=self.company_id,
            record=self,
            fingerprint=fingerprint,
            summary=summary,
            cause=cause,
            correlation_id=self.correlation_id,
            amount=self.amount if self.currency_id else None,
            currency=self.currency_id or None,
        )
        team = team or self.flow_id.team_id
        if team:
            exception.write({"team_id": team.id, "owner_team": team.name})
        return exception
