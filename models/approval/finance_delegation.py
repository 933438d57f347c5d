from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from .. import clock, constants
from ..access import create_guarded, expect_state, require_group

GUARDED = {
    "state": "active",
    "made_by_id": False,
    "confirmed_by_id": False,
    "confirmed_at": False,
    "ended_by_id": False,
}


class FinanceDelegation(models.Model):
    """Who decides for somebody who is absent, from when to when.

    It passes on what the absent person may decide by themselves: not what others
    passed on to them, so there are no chains.
    """

    _name = "finance.delegation"
    _description = "Finance Delegation"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "date_from desc, id desc"
    _rec_name = "reason"

    company_id = fields.Many2one(
        "res.company", required=True, index=True, default=lambda self: self.env.company
    )
    user_id = fields.Many2one(
        "res.users",
        string="Absent",
        required=True,
        default=lambda self: self.env.user,
        domain="[('share', '=', False)]",
        index=True,
    )
    delegate_id = fields.Many2one(
        "res.users",
        string="Decides Instead",
        required=True,
        domain="[('share', '=', False), ('id', '!=', user_id)]",
        index=True,
    )
    date_from = fields.Datetime(
        string="From", required=True, default=lambda self: clock.naive_now()
    )
    date_to = fields.Datetime(string="To", required=True)
    policy_ids = fields.Many2many(
        "finance.policy",
        "finance_delegation_policy_rel",
        string="Policies",
        domain="[('state', '=', 'active'), ('company_id', '=', company_id)]",
        help="Empty: whatever the absent person may decide.",
    )
    reason = fields.Char(required=True, help="Such as: parental leave.")
    state = fields.Selection(
        [
            ("to_confirm", "To Confirm"),
            ("active", "Active"),
            ("ended", "Ended"),
        ],
        required=True,
        readonly=True,
        default="active",
        copy=False,
        tracking=True,
    )
    is_current = fields.Boolean(
        string="Counts Now", compute="_compute_is_current", search="_search_is_current"
    )
    made_by_id = fields.Many2one("res.users", readonly=True, copy=False)
    confirmed_by_id = fields.Many2one("res.users", readonly=True, copy=False)
    confirmed_at = fields.Datetime(readonly=True, copy=False)
    ended_by_id = fields.Many2one("res.users", readonly=True, copy=False)

    _days_in_order = models.Constraint(
        "CHECK (date_to > date_from)", "A delegation must end after it begins."
    )
    _somebody_else = models.Constraint(
        "CHECK (user_id != delegate_id)", "Nobody stands in for themselves."
    )

    # === COMPUTES === #

    @api.depends("user_id", "delegate_id")
    def _compute_display_name(self):
        for delegation in self:
            delegation.display_name = self.env._(
                "%(delegate)s for %(absent)s",
                delegate=delegation.delegate_id.name or "?",
                absent=delegation.user_id.name or "?",
            )

    @api.depends("state", "date_from", "date_to")
    def _compute_is_current(self):
        now = clock.naive_now()
        for delegation in self:
            delegation.is_current = bool(
                delegation.state == "active"
                and delegation.date_from
                and delegation.date_to
                and delegation.date_from <= now < delegation.date_to
            )

    def _search_is_current(self, operator, value):
        if operator != "in" or set(value) != {True}:
            return NotImplemented
        return self._current_domain()

    # === CONSTRAINTS === #

    @api.constrains("user_id", "delegate_id", "date_from", "date_to", "company_id")
    def _check_people(self):
        for delegation in self:
            if delegation.date_to - delegation.date_from > constants.DELEGATION_MAX:
                raise ValidationError(
                    self.env._(
                        "A delegation lasts a year at most; make a new one then."
                    )
                )
            for user in delegation.user_id | delegation.delegate_id:
                if not user.has_group(constants.GROUP_APPROVER):
                    raise ValidationError(
                        self.env._(
                            "%s has not the role of an approver, so there is nothing "
                            "to decide for, or with.",
                            user.name,
                        )
                    )
                if delegation.company_id not in user.sudo().company_ids:
                    raise ValidationError(
                        self.env._(
                            "%(user)s does not work in %(company)s.",
                            user=user.name,
                            company=delegation.company_id.name,
                        )
                    )

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):
        vals_list = create_guarded(self.env, vals_list, GUARDED)
        made = []
        for vals in vals_list:
            own = vals.get("user_id", self.env.uid) == self.env.uid
            if not own and not self.env.su:
                require_group(self.env, constants.GROUP_ADMINISTRATOR)
            state = vals.get("state", "active") if self.env.su else "active"
            made.append(
                {
                    **vals,
                    "made_by_id": self.env.uid,
                    "state": state if own or self.env.su else "to_confirm",
                }
            )
        return super().create(made)

    def write(self, vals):
        content = vals.keys() - {"message_main_attachment_id"}
        if content and not self.env.su:
            self.check_access("write")
            raise UserError(
                self.env._(
                    "A delegation stays as it was made. End it and make a new one."
                )
            )
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("Delegations are kept; end them instead."))

    # === ACTIONS === #

    def action_confirm(self):
        """Let a delegation count that an administrator made for somebody else."""
        require_group(self.env, constants.GROUP_APPROVER)
        for delegation in self:
            expect_state(delegation, "to_confirm")
            if self.env.user in delegation.made_by_id | delegation.delegate_id:
                raise UserError(
                    self.env._(
                        "You made this delegation, or would decide by it, so somebody "
                        "else must confirm it."
                    )
                )
        self.sudo().write(
            {
                "state": "active",
                "confirmed_by_id": self.env.uid,
                "confirmed_at": clock.naive_now(),
            }
        )
        return True

    def action_end(self):
        """End it now: by the absent person, the delegate or an administrator."""
        require_group(self.env, constants.GROUP_APPROVER, constants.GROUP_ADMINISTRATOR)
        administers = self.env.user.has_group(constants.GROUP_ADMINISTRATOR)
        for delegation in self:
            expect_state(delegation, "to_confirm", "active")
            people = delegation.user_id | delegation.delegate_id
            if self.env.user not in people and not administers:
                raise UserError(
                    self.env._(
                        "Only %(absent)s, %(delegate)s or an administrator ends it.",
                        absent=delegation.user_id.name,
                        delegate=delegation.delegate_id.name,
                    )
                )
        self.sudo().write({"state": "ended", "ended_by_id": self.env.uid})
        return True

    # === LOOKING === #

    @api.model
    def _current_domain(self):
        now = clock.naive_now()
        return [
            ("state", "=", "active"),
            ("date_from", "<=", now),
            ("date_to", ">", now),
        ]

    @api.model
    def _of_delegate(self, user, approval):
        """Return the delegations by which a user may decide on a request."""
        return (
            self.sudo()
            .search(
                [
                    *self._current_domain(),
                    ("delegate_id", "=", user.id),
                    ("company_id", "=", approval.company_id.id),
                ],
                order="id",
            )
            .filtered(lambda delegation: delegation._covers(approval))
        )

    @api.model
    def _absent_for(self, user):
        """Return the users in whose name a user may decide on something now."""
        return (
            self.sudo()
            .search([*self._current_domain(), ("delegate_id", "=", user.id)])
            .user_id
        )

    @api.model
    def _standing_in_for(self, users, approval):
        """Return the delegations by which others decide for ``users``."""
        return (
            self.sudo()
            .search(
                [
                    *self._current_domain(),
                    ("user_id", "in", users.ids),
                    ("company_id", "=", approval.company_id.id),
                ],
                order="id",
            )
            .filtered(lambda delegation: delegation._covers(approval))
        )

    def _covers(self, approval):
        self.ensure_one()
        return not self.policy_ids or bool(self.policy_ids & approval.policy_ids)
