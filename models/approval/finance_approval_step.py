from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from .. import constants


class FinanceApprovalStep(models.Model):
    """One consent that a request needs, and who gave or refused it.

    A step that needs several people is several rows, so that each row has one answer.
    """

    _name = "finance.approval.step"
    _description = "Finance Approval Step"
    _order = "approval_id, sequence, id"

    approval_id = fields.Many2one(
        "finance.approval", required=True, readonly=True, ondelete="cascade", index=True
    )
    company_id = fields.Many2one(
        related="approval_id.company_id", store=True, index=True
    )
    sequence = fields.Integer(string="Turn", readonly=True)
    name = fields.Char(string="Step", required=True, readonly=True)
    planned_name = fields.Char(
        readonly=True, help="As the policy or flow calls it; several can be called so."
    )
    group_id = fields.Many2one("res.groups", string="Role", readonly=True)
    team_id = fields.Many2one("finance.team", readonly=True)
    user_ids = fields.Many2many(
        "res.users", "finance_approval_step_user_rel", string="People", readonly=True
    )
    who = fields.Char(string="Who Decides", compute="_compute_who", compute_sudo=True)
    due_hours = fields.Integer(readonly=True)
    external_allowed = fields.Boolean(string="Other Systems, Too", readonly=True)
    state = fields.Selection(
        [
            ("waiting", "Later"),
            ("to_decide", "To Decide"),
            ("approved", "Approved"),
            ("rejected", "Rejected"),
            ("ended", "Not Needed Any More"),
        ],
        required=True,
        readonly=True,
        default="waiting",
    )
    turn_at = fields.Datetime(string="Asked", readonly=True)
    due_at = fields.Datetime(string="Due", readonly=True)
    decided_by = fields.Char(readonly=True)
    decided_by_id = fields.Many2one(
        "res.users", string="Decided By User", readonly=True
    )
    on_behalf_of_id = fields.Many2one("res.users", readonly=True)
    delegation_id = fields.Many2one("finance.delegation", readonly=True)
    decided_at = fields.Datetime(readonly=True)
    reason = fields.Text(readonly=True)

    _open_idx = models.Index("(approval_id) WHERE state IN ('waiting', 'to_decide')")

    @api.depends("group_id", "team_id", "user_ids")
    def _compute_who(self):
        for step in self:
            parts = []
            if step.group_id:
                parts.append(step.group_id.name)
            if step.team_id:
                parts.append(self.env._("team %s", step.team_id.name))
            parts += step.user_ids.mapped("name")
            step.who = self.env._(" or ").join(parts)

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("Approvals are kept."))

    # === WHO === #

    def _is_of(self, user):
        """Return whether it is for a user, without regard to delegation."""
        self.ensure_one()
        return (
            user.active
            and user.has_group(constants.GROUP_APPROVER)
            and self.company_id in user.company_ids
            and (
                user in self.user_ids
                or user in self.team_id.member_ids
                or user == self.team_id.leader_id
                or self.group_id in user.all_group_ids
            )
        )

    @api.model
    def _open_for(self, users):
        """Return the steps whose turn it is that name any of ``users``."""
        return self.search(
            Domain("state", "=", "to_decide")
            & (
                Domain("user_ids", "in", users.ids)
                | Domain("group_id", "in", users.all_group_ids.ids)
                | Domain("team_id.member_ids", "in", users.ids)
                | Domain("team_id.leader_id", "in", users.ids)
            )
        )

    def _candidates(self):
        """Return the users who may take the step by themselves."""
        self.ensure_one()
        people = self.user_ids | self.team_id.member_ids | self.team_id.leader_id
        people |= self.group_id.all_user_ids
        return people.filtered(self._is_of)

    def _people_asked(self):
        """Return whom to tell: the candidates and who stands in for them."""
        people = self.env["res.users"]
        for step in self:
            candidates = step._candidates()
            people |= candidates
            people |= (
                self.env["finance.delegation"]
                ._standing_in_for(candidates, step.approval_id)
                .delegate_id
            )
        return people
