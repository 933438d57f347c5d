from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from .. import clock
from .. import constants as hub
from ..access import create_guarded, refuse_fields, require_group
from . import constants

# Fields that move by the buttons alone, and the value that a new record has.
GUARDED = {
    "proposed_effect": False,
    "proposed_by_id": False,
    "proposed_at": False,
    "is_fixed": False,
}
# What a conflict is about never changes.
LASTING = {"duty_id", "other_id", "scope"}


class FinanceDutyConflict(models.Model):
    """Two duties that must not meet in one person, or in one record.

    An administrator may make it stricter at once; what makes it looser waits for the
    word of a second person.
    """

    _name = "finance.duty.conflict"
    _description = "Finance Duty Conflict"
    _inherit = ["finance.audited", "mail.thread"]
    _order = "scope, duty_id, other_id"

    name = fields.Char(compute="_compute_name")
    scope = fields.Selection(
        [("person", "Same Person"), ("record", "Same Record")],
        required=True,
        default="person",
        help="Same person: nobody shall have both roles. Same record: nobody shall "
        "decide about what they had that part in.",
    )
    duty_id = fields.Many2one("finance.duty", required=True, ondelete="cascade")
    other_id = fields.Many2one(
        "finance.duty", string="And", required=True, ondelete="cascade"
    )
    effect = fields.Selection(
        [
            ("refuse", "Refused"),
            ("reason", "Needs a Reason"),
            ("report", "Reported Only"),
            ("allow", "Allowed"),
        ],
        string="What Happens",
        required=True,
        default="refuse",
        tracking=True,
    )
    why = fields.Text(
        required=True,
        translate=True,
        help="In plain words, for whoever is refused.",
    )
    is_fixed = fields.Boolean(
        string="Fixed",
        readonly=True,
        copy=False,
        help="It guards the matrix itself and is always refused.",
    )
    proposed_effect = fields.Selection(
        selection=lambda self: self._fields["effect"].selection,
        string="Proposed",
        readonly=True,
        copy=False,
    )
    proposed_by_id = fields.Many2one("res.users", readonly=True, copy=False)
    proposed_at = fields.Datetime(readonly=True, copy=False)
    people_count = fields.Integer(string="People Now", compute="_compute_people_count")

    _pair_unique = models.UniqueIndex(
        "(duty_id, other_id, scope)", "The matrix has this pair already."
    )

    # === COMPUTES === #

    @api.depends("duty_id.name", "other_id.name")
    def _compute_name(self):
        for conflict in self:
            conflict.name = self.env._(
                "%(duty)s / %(other)s",
                duty=conflict.duty_id.name or "",
                other=conflict.other_id.name or "",
            )

    def _compute_people_count(self):
        counts = {}
        for conflicts in self._by_person().values():
            for conflict in conflicts:
                counts[conflict.id] = counts.get(conflict.id, 0) + 1
        for conflict in self:
            conflict.people_count = counts.get(conflict.id, 0)

    # === CONSTRAINTS === #

    @api.constrains("scope", "duty_id", "other_id")
    def _check_kinds(self):
        for conflict in self:
            kinds = conflict.duty_id.kind, conflict.other_id.kind
            wanted = {
                "person": ("standing", "standing"),
                "record": ("decision", "part"),
            }[conflict.scope]
            if kinds != wanted or conflict.duty_id == conflict.other_id:
                raise ValidationError(
                    self.env._(
                        "For the same person choose two different duties by role; for "
                        "the same record a decision, and a part that one can have had."
                    )
                )

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):
        conflicts = super().create(create_guarded(self.env, vals_list, GUARDED))
        self.env.registry.clear_cache()
        return conflicts

    def write(self, vals):
        refuse_fields(self.env, vals, GUARDED.keys())
        if LASTING & vals.keys() and not self.env.su:
            raise UserError(
                self.env._("What a conflict is about never changes. Add another one.")
            )
        looser = self.browse()
        if "effect" in vals and not self.env.su:
            looser = self.filtered(lambda c: c._is_looser(vals["effect"]))
            looser._propose(vals["effect"])
        rest = self - looser
        if rest:
            if "effect" in vals and not self.env.su:
                # A stricter word ends what was proposed.
                rest.sudo().write(dict.fromkeys(GUARDED.keys() - {"is_fixed"}, False))
            super(FinanceDutyConflict, rest).write(vals)
        others = {name: value for name, value in vals.items() if name != "effect"}
        if looser and others:
            super(FinanceDutyConflict, looser).write(others)
        self.env.registry.clear_cache()
        return True

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        if not self.env.su:
            raise UserError(
                self.env._(
                    "A conflict stays in the matrix. Set it to Allowed; a second "
                    "person confirms that."
                )
            )

    # === ACTIONS === #

    def action_confirm(self):
        """Let a looser rule come into force: a second person's decision."""
        require_group(self.env, hub.GROUP_APPROVER)
        self.check_access("read")
        for conflict in self:
            conflict._expect_proposal()
            self.env["finance.duty"]._check(
                conflict,
                "confirm",
                {"requested": conflict.proposed_by_id},
                message=self.env._(
                    "You proposed this yourself, so somebody else must confirm it."
                ),
            )
        for conflict in self.sudo():
            conflict.write(
                {
                    "effect": conflict.proposed_effect,
                    **dict.fromkeys(GUARDED.keys() - {"is_fixed"}, False),
                }
            )
        return True

    def action_discard(self):
        """Leave the rule as it is."""
        require_group(self.env, hub.GROUP_APPROVER, hub.GROUP_ADMINISTRATOR)
        self.check_access("read")
        for conflict in self:
            conflict._expect_proposal()
        self.sudo().write(dict.fromkeys(GUARDED.keys() - {"is_fixed"}, False))
        return True

    # === BUSINESS METHODS === #

    def _is_looser(self, effect):
        order = constants.EFFECTS
        return order.index(effect) > order.index(self.effect)

    def _propose(self, effect):
        self.check_access("write")
        for conflict in self:
            if conflict.is_fixed:
                raise UserError(
                    self.env._(
                        "“%s” guards the matrix itself and is always refused.",
                        conflict.name,
                    )
                )
        if self:
            self.sudo().write(
                {
                    "proposed_effect": effect,
                    "proposed_by_id": self.env.uid,
                    "proposed_at": clock.naive_now(),
                }
            )

    def _expect_proposal(self):
        if not self.proposed_effect:
            raise UserError(self.env._("Nothing is proposed about “%s”.", self.name))

    @api.model
    def _by_person(self, users=None):
        """Return {user: conflicts of the roles that they have at present}.

        What emergency access gave for a while does not count: it has its own alarm.

        :param users: of them only; else of everybody
        """
        duties = self.env["finance.duty"]
        if users is None:
            users = duties.sudo().search([("kind", "=", "standing")])._holders()
        conflicts = self.sudo().search(
            [("scope", "=", "person"), ("effect", "!=", "allow")]
        )
        held = duties._held(users, self.env["finance.break.glass"]._given())
        found = {}
        for user in users:
            mine = conflicts.filtered(
                lambda c, has=held[user.id]: {c.duty_id.id, c.other_id.id} <= has
            )
            if mine:
                found[user] = mine
        return found
