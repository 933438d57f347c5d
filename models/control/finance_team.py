from odoo import api, fields, models
from odoo.exceptions import ValidationError


class FinanceTeam(models.Model):
    """Who solves a kind of exception, and whom it goes to when they don't."""

    _name = "finance.team"
    _description = "Finance Team"
    _order = "name, id"

    name = fields.Char(required=True, translate=True)
    active = fields.Boolean(default=True)
    leader_id = fields.Many2one(
        "res.users",
        domain="[('share', '=', False)]",
        help="Is told when something of the team is about to be late.",
    )
    member_ids = fields.Many2many("res.users", domain="[('share', '=', False)]")
    escalate_to_id = fields.Many2one(
        "finance.team",
        string="Escalates To",
        help="The team that is told when something stays undecided.",
    )
    calendar_id = fields.Many2one(
        "resource.calendar",
        string="Working Hours",
        help="Due times count only these hours. Empty: round the clock.",
    )
    digest = fields.Selection(
        [("none", "Never"), ("daily", "Every Day"), ("weekly", "Every Week")],
        required=True,
        default="daily",
        help="How often leader and members get a mail with what is open, late and "
        "solved; nothing is sent when there is nothing. Each of them can choose "
        "otherwise in their preferences.",
    )
    kind_ids = fields.One2many("finance.exception.kind", "team_id", "Decides On")

    _name_unique = models.UniqueIndex("(name)", "There is a team of this name already.")

    @api.constrains("escalate_to_id")
    def _check_chain(self):
        if self._has_cycle("escalate_to_id"):
            raise ValidationError(
                self.env._("An escalation must end: a team can't come after itself.")
            )

    def _chain(self):
        """Return the team and those it escalates to, in their order."""
        self.ensure_one()
        chain = team = self
        while team := team.escalate_to_id:
            chain += team
        return chain
