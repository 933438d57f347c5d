from odoo import api, fields, models
from odoo.exceptions import ValidationError

from .. import constants


class FinancePolicyStep(models.Model):
    """Whose consent a policy needs, and when it is their turn."""

    _name = "finance.policy.step"
    _description = "Finance Policy Step"
    _inherit = ["finance.versioned.part"]
    _order = "policy_id, sequence, id"
    _whole = "policy_id"

    policy_id = fields.Many2one(
        "finance.policy", required=True, ondelete="cascade", index=True
    )
    company_id = fields.Many2one(related="policy_id.company_id", store=True, index=True)
    currency_id = fields.Many2one(related="policy_id.currency_id")
    sequence = fields.Integer(
        string="Turn",
        default=10,
        help="Steps of the same turn are asked at once, later turns after them.",
    )
    name = fields.Char(string="Step", required=True)
    group_id = fields.Many2one("res.groups", string="Role")
    team_id = fields.Many2one("finance.team")
    user_ids = fields.Many2many(
        "res.users",
        "finance_policy_step_user_rel",
        string="People",
        domain="[('share', '=', False)]",
    )
    consents = fields.Integer(
        string="How Many", default=1, help="How many different people must consent."
    )
    amount_from = fields.Monetary(
        string="From Amount", help="Below it, this step is not needed."
    )
    due_hours = fields.Integer(
        string="Due After (Hours)", default=constants.APPROVAL_DUE_HOURS
    )
    external_allowed = fields.Boolean(
        string="Other Systems, Too",
        help="A workflow tool that is connected may report this consent.",
    )

    _consents_positive = models.Constraint(
        "CHECK (consents >= 1)", "A step needs at least one consent."
    )
    _due_positive = models.Constraint(
        "CHECK (due_hours >= 1)", "A step is due after at least an hour."
    )

    @api.constrains("group_id", "team_id", "user_ids")
    def _check_who(self):
        for step in self:
            if not (step.group_id or step.team_id or step.user_ids):
                raise ValidationError(
                    self.env._("Say who decides on step “%s”.", step.name)
                )

    def _note_change(self):
        result = super()._note_change()
        self.env.registry.clear_cache()
        return result

    def _people(self, company):
        """Return the users who may take the step: approvers all of them."""
        self.ensure_one()
        approvers = self.env.ref(constants.GROUP_APPROVER).sudo().all_user_ids
        people = self.user_ids | self.team_id.member_ids | self.team_id.leader_id
        people |= self.group_id.sudo().all_user_ids
        return people.sudo().filtered(
            lambda user: (
                user in approvers and user.active and company in user.company_ids
            )
        )
