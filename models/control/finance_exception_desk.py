from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.fields import Domain

from .. import clock, constants
from ..access import require_group
from ..words import age_text
from . import impact


class FinanceException(models.Model):
    """What people can do at the desk, and what happens when they don't."""

    _inherit = "finance.exception"

    kind_id = fields.Many2one(
        "finance.exception.kind",
        string="Kind (taxonomy)",
        compute="_compute_kind_id",
        search="_search_kind_id",
    )
    kind_runbook = fields.Html(related="kind_id.runbook", string="Runbook of the Kind")
    remedy = fields.Char(related="kind_id.remedy")
    team_id = fields.Many2one("finance.team", readonly=True, index=True, tracking=True)
    snoozed_until = fields.Datetime(readonly=True, tracking=True)
    is_snoozed = fields.Boolean(compute="_compute_is_snoozed")
    warned = fields.Boolean(readonly=True)
    escalation_level = fields.Integer(string="Escalated", readonly=True, tracking=True)
    escalated_at = fields.Datetime(readonly=True)
    escalated_to_id = fields.Many2one("finance.team", readonly=True)
    waiver_state = fields.Selection(
        [("requested", "Waiver Requested"), ("granted", "Waived")],
        readonly=True,
        tracking=True,
    )
    waiver_requested_by_id = fields.Many2one("res.users", readonly=True)
    waiver_reason = fields.Text(readonly=True)
    similar_ids = fields.Many2many(
        "finance.exception",
        string="How Others Solved It",
        compute="_compute_similar_ids",
        help="The latest solved ones of this kind and connector.",
    )

    _watch_idx = models.Index("(due_at) WHERE state IN ('open', 'in_progress')")

    # === COMPUTES === #

    @api.depends("code")
    def _compute_kind_id(self):
        kinds = self.env["finance.exception.kind"]
        for exception in self:
            exception.kind_id = kinds._of(exception.code)

    def _search_kind_id(self, operator, value):
        if operator not in ("in", "any"):
            return NotImplemented
        kinds = self.env["finance.exception.kind"].sudo()
        domain = Domain("id", "in", value) if operator == "in" else Domain(value)
        return Domain("code", "in", kinds.search(domain).mapped("code"))

    @api.depends("snoozed_until", "state")
    def _compute_is_snoozed(self):
        now = clock.naive_now()
        for exception in self:
            exception.is_snoozed = bool(
                exception.is_open
                and exception.snoozed_until
                and exception.snoozed_until > now
            )

    @api.depends("code", "connector_id")
    def _compute_similar_ids(self):
        for exception in self:
            exception.similar_ids = self.search(
                [
                    ("code", "=", exception.code),
                    ("connector_id", "=", exception.connector_id.id),
                    ("state", "=", "resolved"),
                    ("resolved_by_id", "!=", False),
                    ("id", "!=", exception._origin.id),
                ],
                order="resolved_at desc",
                limit=constants.SIMILAR_SHOWN,
            )

    # === ACTIONS === #

    def action_snooze(self):
        """Ask until when the exceptions can wait, and why."""
        return self._ask_reason(self.env._("Snooze: until when, and why?"), "snoozed")

    def action_reassign(self):
        """Ask who solves the exceptions from now on, and why."""
        return self._ask_reason(self.env._("Reassign: to whom?"), "reassigned")

    def action_waive(self):
        """Ask why the exceptions can be let pass; a second person decides."""
        return self._ask_reason(self.env._("Waive: why?"), "waived")

    def action_grant_waiver(self):
        """Let pass what somebody else asked to; several are judged one by one."""
        require_group(self.env, constants.GROUP_APPROVER)
        if len(self) > 1:
            return self.env["finance.bulk.action"]._start(self, "grant")
        self._grant_waiver()
        return True

    def _grant_waiver(self):
        require_group(self.env, constants.GROUP_APPROVER)
        self.check_access("read")
        for exception in self:
            exception._expect_waiver()
            self.env["finance.duty"]._check(
                exception,
                "waive",
                {"requested": exception.waiver_requested_by_id},
                message=self.env._(
                    "You asked for this waiver yourself, so somebody else must decide."
                ),
                error=AccessError,
                retry="action_grant_waiver",
            )
            exception._log_action(self.env._("Waived"), exception.sudo().waiver_reason)
            waived = exception.sudo()
            waived.waiver_state = "granted"
            waived._close_without_remedy(
                self.env._("Waived: %s", waived.waiver_reason), self.env.user
            )

    def action_refuse_waiver(self):
        """Send it back: it has to be solved."""
        require_group(self.env, constants.GROUP_APPROVER)
        if len(self) > 1:
            return self.env["finance.bulk.action"]._start(self, "refuse")
        self._refuse_waiver()
        return True

    def _refuse_waiver(self):
        require_group(self.env, constants.GROUP_APPROVER)
        self.check_access("read")
        for exception in self:
            exception._expect_waiver()
            exception._log_action(self.env._("Waiver refused"))
            exception.sudo().write(
                {
                    "waiver_state": False,
                    "waiver_requested_by_id": False,
                    "waiver_reason": False,
                }
            )

    # === BUSINESS METHODS === #

    def _expect_waiver(self):
        self.ensure_one()
        if not self.is_open or self.waiver_state != "requested":
            raise UserError(
                self.env._("Nobody asked for a waiver of “%s”.", self.summary)
            )

    def _expect_open(self):
        for exception in self:
            if not exception.is_open:
                raise UserError(
                    self.env._("“%s” is closed already.", exception.summary)
                )

    def _snooze(self, until, reason):
        """Put the exceptions off; the due time stays as it is.

        :param until: naive UTC, in the future
        """
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        self._expect_open()
        if until <= clock.naive_now():
            raise UserError(self.env._("Choose a time that is still to come."))
        self._log_action(
            self.env._("Snoozed until %s UTC", fields.Datetime.to_string(until)), reason
        )
        self.sudo().write({"snoozed_until": until})

    def _reassign(self, team, user, reason):
        """Hand the exceptions to another team or person."""
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        self._expect_open()
        if not team and not user:
            raise UserError(self.env._("Choose a team or a person."))
        values = {"user_id": user.id}
        if team:
            values.update(team_id=team.id, owner_team=team.name)
        self._log_action(
            self.env._("Reassigned to %s", (user or team).display_name), reason
        )
        self.sudo().write(values)
        if user and user != self.env.user:
            for exception in self.sudo():
                self.env["finance.alert"]._tell(
                    exception, user, "assigned", exception.summary
                )

    def _request_waiver(self, reason):
        """Ask a second person to let the exceptions pass."""
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        self._expect_open()
        self._log_action(self.env._("Waiver requested"), reason)
        self.sudo().write(
            {
                "waiver_state": "requested",
                "waiver_requested_by_id": self.env.user.id,
                "waiver_reason": reason,
            }
        )

    # === SERVICE TIMES === #

    @api.model
    def _cron_watch_due(self):
        """Warn before exceptions are late, and escalate those that are.

        Each step is taken once: a level is told of when it is reached.
        """
        now = clock.naive_now()
        candidates = self.search(
            [
                ("is_open", "=", True),
                ("due_at", "!=", False),
                ("due_at", "<=", now + constants.DUE_WARNING_HORIZON),
            ],
            order="due_at",
            limit=constants.ESCALATION_BATCH,
        )
        for exception in candidates:
            if exception.is_snoozed:
                continue
            exception._watch_due(now)

    def _watch_due(self, now):
        self.ensure_one()
        span = self.due_at - self.opened_at
        if now < self.due_at:
            share = constants.DUE_WARNING_SHARE
            if not self.warned and now >= self.opened_at + span * share:
                self._warn_of_due(now)
            return
        # Again after each further span, until the chain ends.
        late = now - self.due_at
        reached = 1 + int(late / max(span, constants.ESCALATION_MIN_SPAN))
        chain = self.team_id._chain() if self.team_id else self.env["finance.team"]
        reached = min(reached, max(len(chain), 1))
        if reached > self.escalation_level:
            self._escalate(reached, chain, now)

    def _warn_of_due(self, now):
        user = self.user_id or self.team_id.leader_id
        self.warned = True
        self._rank_again()
        self._tell(
            user,
            "warning",
            self.env._(
                "Due in %(left)s: %(summary)s",
                left=age_text(self.env, self.due_at - now),
                summary=self.summary,
            ),
        )

    def _escalate(self, level, chain, now):
        # First the team's own leader, then that of the next team, and so on.
        team = chain[level - 1 : level]
        self.write(
            {
                "escalation_level": level,
                "escalated_at": now,
                "escalated_to_id": team.id,
            }
        )
        self._rank_again()
        self._tell(
            team.leader_id or self.user_id,
            "late",
            self.env._(
                "%(age)s late: %(summary)s",
                age=age_text(self.env, now - self.due_at),
                summary=self.summary,
            ),
        )
        self.env["finance.capture"]._note(self, "escalated", level)

    def _rank_again(self):
        """Follow what became of the due time with the rank."""
        self.ensure_one()
        self.rank = impact.rank(
            self.severity,
            self.amount_company,
            self.connector_id.criticality,
            warned=self.warned,
            late=self.is_overdue,
            level=self.escalation_level,
        )

    def _tell(self, user, kind, text):
        """Put it before somebody who may see it.

        :param str kind: of finance.alert
        """
        self.message_post(body=text)
        if user:
            self.env["finance.alert"]._tell(self, user, kind, text)

    def write(self, vals):
        was_open = self.filtered("is_open") if "state" in vals else self.browse()
        result = super().write(vals)
        closed = was_open.filtered(lambda exception: not exception.is_open)
        if closed:
            self.env["finance.alert"].sudo()._pass_on(closed)
        return result
