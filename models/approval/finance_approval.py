from odoo import api, fields, models
from odoo.exceptions import UserError

from ...contracts import money_string, utc_text
from .. import clock, constants
from ..access import require_group
from ..capture.payload import legal_entity
from ..ledger.subjects import subject_of

DECISIONS = ("approved", "rejected", "withdrawn", "expired")


class FinanceApproval(models.Model):
    """A request for somebody's consent, and what was decided.

    It is about one version of its subject: what changes afterwards needs a new one.
    Approvals are never deleted.
    """

    _name = "finance.approval"
    _description = "Finance Approval"
    _inherit = ["finance.captured", "finance.about", "mail.activity.mixin"]
    _order = "id desc"
    _rec_name = "title"

    _finance_fields = ("state",)

    title = fields.Char(string="What Is Asked", required=True, readonly=True)
    company_id = fields.Many2one("res.company", required=True, readonly=True)
    res_model = fields.Char(string="Model", required=True, readonly=True)
    res_id = fields.Many2oneReference(
        string="Record", model_field="res_model", required=True, readonly=True
    )
    subject = fields.Char(
        required=True, readonly=True, help="As other systems name it in an outcome."
    )
    version = fields.Char(
        required=True,
        readonly=True,
        help="Of what is asked for: a consent counts for this version only.",
    )
    policy = fields.Char(string="Why Consent Is Needed", readonly=True)
    amount = fields.Monetary(readonly=True)
    threshold = fields.Monetary(readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    connector_id = fields.Many2one("finance.connector", readonly=True, index=True)
    requested_by = fields.Char(readonly=True, help="A person, or another system.")
    requested_by_id = fields.Many2one(
        "res.users", string="Requested By User", readonly=True
    )
    requested_at = fields.Datetime(required=True, readonly=True)
    due_at = fields.Datetime(string="Due", readonly=True)
    is_overdue = fields.Boolean(readonly=True)
    expires_at = fields.Datetime(
        readonly=True, help="A request that nobody decided on ends here."
    )
    state = fields.Selection(
        [
            ("requested", "To Decide"),
            ("approved", "Approved"),
            ("rejected", "Rejected"),
            ("withdrawn", "Withdrawn"),
            ("expired", "Expired"),
        ],
        required=True,
        readonly=True,
        default="requested",
        tracking=True,
    )
    decided_by = fields.Char(readonly=True)
    decided_by_id = fields.Many2one(
        "res.users", string="Decided By User", readonly=True
    )
    decided_at = fields.Datetime(readonly=True)
    reason = fields.Text(readonly=True, tracking=True)
    command_id = fields.Many2one(
        "finance.command",
        string="Decided by Command",
        readonly=True,
        help="The outcome that another system sent.",
    )
    correlation_id = fields.Char(readonly=True, index=True)
    can_decide = fields.Boolean(compute="_compute_can_decide")

    _pending_unique = models.UniqueIndex(
        "(res_model, res_id) WHERE state = 'requested'"
    )
    _record_idx = models.Index("(res_model, res_id, version)")
    _due_idx = models.Index("(due_at) WHERE state = 'requested'")

    # === CRUD === #

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("Approvals are kept."))

    # === ACTIONS === #

    def action_approve(self):
        """Ask for the reason with which it is approved."""
        require_group(self.env, constants.GROUP_APPROVER)
        self._check_decidable()
        return self.env["finance.decide.wizard"]._action_for(
            self, "approve", self.env._("Approve: why?")
        )

    def action_reject(self):
        """Ask for the reason with which it is rejected."""
        require_group(self.env, constants.GROUP_APPROVER)
        self._check_decidable()
        return self.env["finance.decide.wizard"]._action_for(
            self, "reject", self.env._("Reject: why?")
        )

    def action_withdraw(self):
        """Ask for the reason with which the request is taken back."""
        require_group(self.env, constants.GROUP_OPERATOR)
        self._check_pending()
        return self.env["finance.decide.wizard"]._action_for(
            self, "withdraw", self.env._("Withdraw: why?")
        )

    # === ASKING === #

    @api.model
    def _request(
        self,
        record,
        *,
        title,
        policy=None,
        amount=None,
        threshold=None,
        currency=None,
        requested_by=None,
        connector=None,
        due_at=None,
        expires_at=None,
        correlation_id=None,
        policies=None,
    ):
        """Ask for consent to a record as it is now.

        A request for the same version stays; one for an older version is withdrawn.

        :param record: of a model that inherits ``finance.approvable``
        :param str title: what is asked, in a line
        :param str policy: why consent is needed
        :param str requested_by: who asks, where it is another system
        :param due_at: naive UTC
        :param policies: the ``finance.policy`` that say whose consent is needed;
            without one it is any approver's
        :return: the ``finance.approval``
        """
        record.ensure_one()
        version = record._finance_approval_version()
        approvals = self.sudo()
        pending = approvals._pending(record)
        policies = policies or self.env["finance.policy"]
        if pending.version == version and policies <= pending.policy_ids:
            return pending
        pending._decide(
            "withdrawn",
            self.env._("It was changed; a new approval is asked for."),
            quiet=True,
        )
        # The index of pending requests is to see the one before the other.
        pending.flush_recordset()
        now = clock.naive_now()
        approval = approvals.create(
            {
                "title": title,
                "company_id": record.company_id.id,
                "res_model": record._name,
                "res_id": record.id,
                "subject": subject_of(record),
                "version": version,
                "policy": policy,
                "amount": amount,
                "threshold": threshold,
                "currency_id": currency and currency.id,
                "connector_id": connector and connector.id,
                "requested_by": requested_by or self.env.user.name,
                "requested_by_id": self.env.uid,
                "requested_at": now,
                "due_at": due_at or now + constants.APPROVAL_DUE,
                "expires_at": expires_at,
                "correlation_id": correlation_id,
                "policy_ids": [(6, 0, policies.ids)],
            }
        )
        approval._plan_steps(policies)
        return approval

    @api.model
    def _pending(self, record):
        """Return the request about a record that nobody decided on yet."""
        return self.sudo().search(
            [
                ("res_model", "=", record._name),
                ("res_id", "in", record.ids),
                ("state", "=", "requested"),
            ]
        )

    @api.model
    def _given(self, record):
        """Return the consent to a record as it is now, empty without one."""
        record.ensure_one()
        return self.sudo().search(
            [
                ("res_model", "=", record._name),
                ("res_id", "=", record.id),
                ("version", "=", record._finance_approval_version()),
                ("state", "=", "approved"),
            ],
            limit=1,
        )

    # === DECIDING === #

    def _check_pending(self):
        self.check_access("read")
        for approval in self:
            if approval.state != "requested":
                raise UserError(
                    self.env._("“%s” was decided on already.", approval.title)
                )

    def _check_decidable(self):
        """Refuse a decision by those involved, and about what changed since.

        :raise UserError:
        """
        self._check_pending()
        for approval in self.sudo():
            self.env["finance.duty"]._check(
                approval,
                "approve",
                approval._duty_people(self.env.user),
                message=self.env._(
                    "You prepared, corrected or requested “%s”, so somebody else "
                    "must decide.",
                    approval.title,
                ),
                retry="action_approve",
            )
            approval._check_turn(self.env.user)
            if not approval._is_unchanged():
                raise UserError(
                    self.env._(
                        "“%s” was changed since approval was requested. Withdraw this "
                        "request; approval has to be requested again.",
                        approval.title,
                    )
                )

    def _is_unchanged(self):
        """Return whether the subject is still as it was when consent was asked for."""
        self.ensure_one()
        record = self._record()
        return bool(record) and record._finance_approval_version() == self.version

    def _duty_people(self, user):
        """Return who had which part in it, see ``finance.duty._check``.

        :param user: who is about to decide; other systems may have named them
        """
        self.ensure_one()
        record = self._record()
        made = record._finance_approval_people() if record else user.browse()
        names = (user.name, user.login, user.email)
        if any(self._is_involved_name(name) for name in names if name):
            made |= user
        return {"requested": self.requested_by_id, "made": made}

    def _is_involved(self, user):
        """Return whether a user may not decide, having had a hand in it."""
        return self.env["finance.duty"]._refuses(
            "approve", self._duty_people(user), user
        )

    def _is_involved_name(self, name):
        """Return whether somebody, as named by another system, had a hand in it."""
        self.ensure_one()
        record = self._record()
        if not record:
            return False
        people = record._finance_approval_people()
        names = {
            *record._finance_approval_names(),
            *(name for user in people for name in (user.name, user.login, user.email)),
        }
        known = {text.strip().casefold() for text in names if text}
        return name.strip().casefold() in known

    def _decide_by_person(self, decision, reason):
        """Keep an approver's decision, and have the subject go on or end.

        :param str decision: ``approved`` or ``rejected``
        :raise UserError: for those involved, and for what changed since
        """
        require_group(self.env, constants.GROUP_APPROVER)
        self._check_decidable()
        for approval in self.sudo():
            approval._decide_step(decision, reason, user=self.env.user)

    def _withdraw_by_person(self, reason):
        """Take requests back."""
        require_group(self.env, constants.GROUP_OPERATOR)
        self._check_pending()
        self.sudo()._decide("withdrawn", reason, user=self.env.user)

    def _decide(
        self, decision, reason, *, user=None, name=None, command=None, quiet=False
    ):
        """Keep a decision.

        :param str decision: one of :data:`DECISIONS`
        :param user: the person who decided; :param str name: their name elsewhere
        :param command: the ``finance.command`` that brought it
        :param bool quiet: the subject knows already
        """
        now = clock.naive_now()
        for approval in self:
            approval.write(
                {
                    "state": decision,
                    "reason": reason,
                    "decided_at": now,
                    "decided_by": name or (user or self.env.user).name,
                    "decided_by_id": user and user.id,
                    "command_id": command and command.id,
                    "is_overdue": False,
                }
            )
            approval._end_steps()
            self.env["finance.exception"].sudo()._about(approval)._resolve(
                self.env._("Decided: %s", reason or decision)
            )
            record = approval._record()
            if quiet or not record:
                continue
            if decision == "approved":
                record._finance_approved(approval)
                self.env["finance.hold"]._release(
                    record, "approval", reason or self.env._("Approved")
                )
            else:
                record._finance_refused(approval)

    # === TIME === #

    @api.model
    def _cron_due(self):
        """Tell of requests that are overdue, and end those whose time is over."""
        now = clock.naive_now()
        pending = [("state", "=", "requested")]
        over = self.search([*pending, ("expires_at", "<=", now)])
        over._decide("expired", self.env._("Nobody decided in time."))
        late = self.search(
            [*pending, ("due_at", "<=", now), ("is_overdue", "=", False)],
            limit=constants.HOLD_BATCH,
        )
        late.is_overdue = True
        for approval in late:
            approval._report_overdue()

    def _report_overdue(self):
        self.ensure_one()
        self.env["finance.exception"]._open(
            "B-APPROVAL-SLA",
            company=self.company_id,
            record=self,
            connector=self.connector_id,
            fingerprint=f"approval:{self.id}",
            summary=self.env._("Nobody decided in time: %s", self.title),
            cause=self.env._(
                "Approval was requested by %(who)s and should have been decided on.",
                who=self.requested_by,
            ),
            correlation_id=self.correlation_id,
            amount=self.amount if self.currency_id else None,
            currency=self.currency_id,
        )

    # === EVENTS === #

    def _finance_transitions(self, before, now, marks):
        """Return what became of a request, see finance.captured."""
        found = [] if before else [("requested", None)]
        was = before and before["state"]
        if now["state"] in DECISIONS and was not in DECISIONS:
            found.append(("decided", None))
        return found

    def _finance_event_values(self, verb, extra=None, facts=None):
        """Return what an event about this approval says, see finance.captured."""
        self.ensure_one()
        digits = self.currency_id.decimal_places
        data = {
            "id": str(self.id),
            "legal_entity": legal_entity(self.company_id),
            "subject": self.subject,
            "subject_version": self.version,
            "policy": self.policy or None,
            "requested_by": self.requested_by or None,
            "requested_at": utc_text(clock.aware(self.requested_at)),
            "due_at": utc_text(clock.aware(self.due_at)),
            "steps": [
                {
                    "id": str(step.id),
                    "name": step.planned_name or step.name,
                    "turn": step.sequence,
                    "who": step.who or None,
                    "state": step.state,
                    "external": step.external_allowed,
                }
                for step in self.step_ids
            ],
        }
        if self.currency_id:
            data.update(
                amount=money_string(self.amount, digits),
                threshold=money_string(self.threshold, digits),
                currency=self.currency_id.name,
            )
        if verb == "decided":
            data.update(
                approver=self.decided_by or None,
                decision=self.state,
                decided_at=utc_text(clock.aware(self.decided_at)),
                reason=self.reason or None,
            )
        return [
            {
                "object": "approval",
                "label": self.title,
                "company": self.company_id,
                "correlation_id": self.correlation_id,
                "data": data,
            }
        ]
