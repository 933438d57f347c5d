from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from .. import clock, constants


class FinanceApproval(models.Model):
    """The steps of a request: whose turn it is, and who decided for whom."""

    _inherit = "finance.approval"

    policy_ids = fields.Many2many(
        "finance.policy",
        "finance_approval_policy_rel",
        string="Policies",
        readonly=True,
    )
    step_ids = fields.One2many("finance.approval.step", "approval_id", readonly=True)
    # Written by every decision: two of them at the same moment are not to overlook
    # each other.
    decided_count = fields.Integer(string="Consents", readonly=True)
    waits_for = fields.Char(compute="_compute_waits_for", compute_sudo=True)
    is_waiting_for_me = fields.Boolean(
        string="Waits for Me",
        compute="_compute_can_decide",
        search="_search_is_waiting_for_me",
    )

    # === COMPUTES === #

    @api.depends("state", "step_ids.state")
    def _compute_waits_for(self):
        for approval in self:
            names = approval._open_steps().mapped("who")
            approval.waits_for = ", ".join(dict.fromkeys(names)) or False

    @api.depends("state", "step_ids.state")
    @api.depends_context("uid")
    def _compute_can_decide(self):
        user = self.env.user
        is_approver = user.has_group(constants.GROUP_APPROVER)
        for approval in self:
            approval.can_decide = approval.is_waiting_for_me = bool(
                is_approver
                and approval.state == "requested"
                and not approval.sudo()._is_involved(user)
                and approval.sudo()._step_for(user)[0]
            )

    def _search_is_waiting_for_me(self, operator, value):
        if operator != "in":
            return NotImplemented
        users = self.env.user | self.env["finance.delegation"]._absent_for(
            self.env.user
        )
        steps = self.env["finance.approval.step"].sudo()._open_for(users)
        pending = self.search([("id", "in", steps.approval_id.ids)])
        mine = Domain("id", "in", pending.filtered("can_decide").ids)
        if set(value) == {True}:
            return mine
        return ~mine if set(value) == {False} else Domain.TRUE

    # === STEPS === #

    def _plan_steps(self, policies):
        """Make the steps of a new request, and ask those whose turn it is first.

        Without a policy it is one step of the approvers.
        """
        self.ensure_one()
        planned = policies._planned_steps(self.amount, self.company_id)
        if not planned:
            approvers = self.env.ref(constants.GROUP_APPROVER)
            planned = [
                {
                    "sequence": 1,
                    "name": self.env._("Consent"),
                    "group_id": approvers.id,
                    "consents": 1,
                    "external_allowed": True,
                }
            ]
        rows = []
        for values in planned:
            needed = values.pop("consents")
            for number in range(1, needed + 1):
                name = values["name"]
                if needed > 1:
                    name = self.env._(
                        "%(step)s (%(number)s of %(needed)s)",
                        step=name,
                        number=number,
                        needed=needed,
                    )
                rows.append(
                    {
                        **values,
                        "name": name,
                        "planned_name": values["name"],
                        "approval_id": self.id,
                    }
                )
        self.env["finance.approval.step"].create(rows)
        self._begin_turn()

    def _open_steps(self):
        return self.step_ids.filtered(lambda step: step.state == "to_decide")

    def _begin_turn(self):
        """Ask those who come next, once all of the turn before have consented."""
        self.ensure_one()
        waiting = self.step_ids.filtered(lambda step: step.state == "waiting")
        if self._open_steps() or not waiting:
            return
        turn = min(waiting.mapped("sequence"))
        steps = waiting.filtered(lambda step: step.sequence == turn)
        now = clock.naive_now()
        for step in steps:
            due_at = self.due_at
            if step.due_hours:
                due_at = now + timedelta(hours=step.due_hours)
            step.write({"state": "to_decide", "turn_at": now, "due_at": due_at})
        self.write({"due_at": min(steps.mapped("due_at")), "is_overdue": False})
        self._tell_whose_turn()
        # Decisions of other systems on these steps may have come before their turn.
        self.env["finance.command"].sudo()._provide(self._turn_key(), self.company_id)

    def _turn_key(self):
        """Return what a decision waits for whose turn has not come."""
        return f"approval:{self.id}"

    def _tell_whose_turn(self):
        """Give those whose turn it is an activity, and nobody else."""
        self.ensure_one()
        self.activity_unlink(["mail.mail_activity_data_todo"])
        if not self.policy_ids:
            return
        people = (
            self._open_steps()
            ._people_asked()
            .filtered(
                lambda user: not self._is_involved(user) and self._step_for(user)[0]
            )
        )
        if len(people) > constants.APPROVAL_MAX_ACTIVITIES:
            return
        for user in people:
            self.activity_schedule(
                "mail.mail_activity_data_todo",
                user_id=user.id,
                date_deadline=self.due_at.date(),
                summary=self.title,
            )

    # === WHO MAY === #

    def _step_for(self, user):
        """Return (step, delegation) with which a user decides, both empty if none.

        By their own right first, then for somebody who is absent. Whoever decided on
        a step of the request, or in whose name it was done, decides on no other.
        """
        self.ensure_one()
        delegations = self.env["finance.delegation"]
        steps = self._open_steps()
        decided = self.step_ids.decided_by_id | self.step_ids.on_behalf_of_id
        if user in decided:
            return steps.browse(), delegations
        for step in steps:
            if step._is_of(user):
                return step, delegations
        for delegation in delegations._of_delegate(user, self):
            absent = delegation.user_id
            if absent in decided or self._is_involved(absent):
                continue
            for step in steps:
                if step._is_of(absent):
                    return step, delegation
        return steps.browse(), delegations

    def _check_turn(self, user):
        """Return (step, delegation) of a user.

        :raise UserError: telling whose turn it is
        """
        step, delegation = self._step_for(user)
        if step:
            return step, delegation
        if user in self.step_ids.decided_by_id | self.step_ids.on_behalf_of_id:
            raise UserError(
                self.env._(
                    "You decided on a step of “%s” already, so somebody else must "
                    "decide on the next.",
                    self.title,
                )
            )
        raise UserError(
            self.env._(
                "“%(title)s” waits for somebody else: %(who)s.",
                title=self.title,
                who=self.waits_for,
            )
        )

    # === DECIDING === #

    def _decide_step(self, decision, reason, *, user):
        """Keep a person's answer to one step, and go on when it was the last.

        :param str decision: ``approved`` or ``rejected``, which ends the request
        """
        self.ensure_one()
        step, delegation = self._check_turn(user)
        absent = delegation.user_id
        name = (
            self.env._(
                "%(who)s on behalf of %(absent)s", who=user.name, absent=absent.name
            )
            if absent
            else user.name
        )
        self._answer(
            step,
            decision,
            reason,
            name=name,
            user=user,
            on_behalf_of_id=absent.id,
            delegation_id=delegation.id,
        )

    def _decide_elsewhere(self, decision, reason, *, name, command, among=None):
        """Keep the answer that another system reports, see ``_external_step``."""
        self.ensure_one()
        step = self._external_step(name, among)
        self._answer(step, decision, reason, name=name, command=command)

    def _external_step(self, name, among=None):
        """Return the step that a person may decide on in another system, if any.

        Somebody who is a user here, too, may there what they may here.

        :param str name: the person's, as the other system calls them
        :param among: the steps that the other system named, None if it named none
        """
        self.ensure_one()
        key = name.strip().casefold()
        people = self.step_ids.decided_by_id | self.step_ids.on_behalf_of_id
        decided = {*self.step_ids.mapped("decided_by")}
        for user in people:
            decided |= {user.name, user.login, user.email}
        steps = self._open_steps().filtered("external_allowed")
        if among is not None:
            steps &= among
        if key in {text.strip().casefold() for text in decided if text}:
            return steps.browse()
        if self.policy_ids:
            known = self.env["res.users"].search(
                ["|", ("login", "=ilike", key), ("email", "=ilike", key)], limit=1
            )
            if known:
                steps = steps.filtered(lambda step: step._is_of(known))
        return steps[:1]

    def _answer(
        self, step, decision, reason, *, name, user=None, command=None, **values
    ):
        step.write(
            {
                "state": decision,
                "reason": reason,
                "decided_at": clock.naive_now(),
                "decided_by": name,
                "decided_by_id": user and user.id,
                **values,
            }
        )
        self.decided_count += 1
        left = self.step_ids.filtered(lambda s: s.state in ("waiting", "to_decide"))
        if decision == "approved" and left:
            self._begin_turn()
            self._tell_whose_turn()
            self.message_post(
                body=self.env._(
                    "%(step)s: approved by %(who)s. %(reason)s",
                    step=step.name,
                    who=name,
                    reason=reason or "",
                )
            )
            return
        self._decide(decision, reason, user=user, name=name, command=command)

    def _end_steps(self):
        """Close what nobody has to decide on any more."""
        self.step_ids.filtered(
            lambda step: step.state in ("waiting", "to_decide")
        ).write({"state": "ended"})
        self.activity_unlink(["mail.mail_activity_data_todo"])
        self.env["finance.command"].sudo()._provide(self._turn_key(), self.company_id)

    # === LOOKING === #

    @api.model
    def _consented(self, records):
        """Return {record id: ids of the policies consented to} for records as they are.

        A consent to an earlier version is void.
        """
        approvals = self.sudo().search(
            [
                ("res_model", "=", records._name),
                ("res_id", "in", records.ids),
                ("state", "=", "approved"),
            ]
        )
        found = {}
        for approval in approvals:
            record = records.browse(approval.res_id)
            if record._finance_approval_version() == approval.version:
                found.setdefault(record.id, set()).update(approval.policy_ids._ids)
        return found
