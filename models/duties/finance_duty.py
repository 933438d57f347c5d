from typing import NamedTuple

from odoo import api, fields, models, tools
from odoo.exceptions import RedirectWarning, UserError

from ..audit import constants as audit
from ..windows import list_of
from . import constants

REASON = "finance_duty_reason"


class Rule(NamedTuple):
    """What the matrix says about two duties that meet in one person."""

    effect: str
    why: str
    conflict_id: int


class FinanceDuty(models.Model):
    """One of the things that a person can do, or have done, with the hub.

    A *standing* duty comes with a role. A *decision* is taken about a record, and a
    *part* is what somebody had in that record before: the matrix says which of them
    must not meet in one person.
    """

    _name = "finance.duty"
    _description = "Finance Duty"
    _inherit = ["finance.remembered"]
    _order = "kind desc, sequence, id"

    name = fields.Char(required=True, readonly=True, translate=True)
    code = fields.Char(required=True, readonly=True)
    description = fields.Text(readonly=True, translate=True)
    sequence = fields.Integer(readonly=True)
    kind = fields.Selection(
        [
            ("standing", "By Role"),
            ("part", "Part in a Record"),
            ("decision", "Decision about a Record"),
        ],
        required=True,
        readonly=True,
    )
    group_ids = fields.Many2many(
        "res.groups",
        "finance_duty_group_rel",
        "duty_id",
        "group_id",
        string="Held With",
        readonly=True,
        help="Whoever has one of these, directly or by way of another group.",
    )
    user_count = fields.Integer(string="People", compute="_compute_user_count")

    _code_unique = models.UniqueIndex("(code)")

    def _compute_user_count(self):
        for duty in self:
            duty.user_count = len(duty._holders())

    # === ACTIONS === #

    def action_open_holders(self):
        """Open the lines of those who hold it."""
        self.ensure_one()
        self.check_access("read")
        return list_of(
            self.env,
            "finance_access_line_action",
            [("group_id", "in", self.sudo().group_ids.ids)],
        )

    # === BUSINESS METHODS === #

    def _holders(self):
        """Return the internal users who hold a standing duty."""
        users = self.sudo().group_ids.all_user_ids
        return users.filtered(lambda user: user.active and not user.share)

    @api.model
    def _check(
        self, record, duty, people, *, message=None, error=UserError, retry=None
    ):
        """Stand in the way of somebody who had another part in a record.

        Every decision of the hub comes by here, and the matrix says what happens:
        it is refused, a reason is asked for and kept, or it is only reported. What the
        matrix does not know is refused.

        :param record: what is decided about
        :param str duty: code of the decision, such as ``approve``
        :param dict people: code of a part → the ``res.users`` who had it
        :param str message: what a refused person is told, instead of the usual words
        :param error: the exception class of a refusal
        :param str retry: name of the button to press again once a reason is given
        :raise UserError: or ``error``, when it is refused
        :raise RedirectWarning: when a reason is needed; leads to where it is given
        """
        user = self.env.user
        found = self._met(duty, people, user)
        if not found:
            return
        part, rule = found
        if rule.effect == "refuse":
            raise error(message or self._refusal(record, duty, part, rule))
        reason = (self.env.context.get(REASON) or "").strip()
        if rule.effect == "reason" and not reason:
            self._ask_reason(record, duty, part, rule, retry)
        self.env["finance.audit.entry"]._note(
            "duty.conflict",
            record,
            reason=reason or None,
            facts={"duty": duty, "part": part, "effect": rule.effect},
        )
        if rule.effect == "report":
            self._report(record, duty, part, rule)

    @api.model
    def _refuses(self, duty, people, user):
        """Return whether :meth:`_check` would refuse, to hide a button."""
        found = self._met(duty, people, user)
        return bool(found) and found[1].effect == "refuse"

    @api.model
    def _met(self, duty, people, user):
        """Return the strictest (part, rule) that a user meets, ``None`` if none."""
        rules = self._rules()
        found = [
            (part, rules.get((duty, part)) or Rule("refuse", "", 0))
            for part, users in people.items()
            if user in users
        ]
        found = [(part, rule) for part, rule in found if rule.effect != "allow"]
        if not found:
            return None
        return min(found, key=lambda pair: constants.EFFECTS.index(pair[1].effect))

    @api.model
    @tools.ormcache()
    def _rules(self):
        """Return {(code of the decision, code of the part): rule}."""
        conflicts = self.env["finance.duty.conflict"].sudo()
        return {
            (conflict.duty_id.code, conflict.other_id.code): Rule(
                conflict.effect, conflict.why or "", conflict.id
            )
            for conflict in conflicts.search([("scope", "=", "record")])
        }

    @api.model
    def _named(self, code):
        duty = self.sudo().search([("code", "=", code)])
        return duty.name or code

    def _refusal(self, record, duty, part, rule):
        return self.env._(
            "“%(record)s”: you have a part in it (%(part)s), so somebody else must do "
            "this (%(duty)s). %(why)s",
            record=record.sudo().display_name,
            part=self._named(part),
            duty=self._named(duty),
            why=rule.why,
        ).strip()

    def _ask_reason(self, record, duty, part, rule, retry):
        message = self.env._(
            "“%(record)s”: you have a part in it (%(part)s). %(why)s To do this "
            "nevertheless, say why; it is kept in the audit trail.",
            record=record.sudo().display_name,
            part=self._named(part),
            why=rule.why,
        )
        if not retry:
            raise UserError(message)
        wizards = self.env["finance.duty.wizard"]
        raise RedirectWarning(
            message,
            wizards._action_for(record, retry, message),
            self.env._("Give the Reason"),
        )

    def _report(self, record, duty, part, rule):
        company = record._name in self.env and "company_id" in record._fields
        self.env["finance.exception"].sudo()._open(
            constants.CODE_CONFLICT,
            company=(record.sudo().company_id if company else None) or self.env.company,
            record=record,
            fingerprint=f"{record._name}:{record.id}:{duty}:{part}:{self.env.uid}",
            summary=self.env._(
                "%(user)s had two duties in “%(record)s”",
                user=self.env.user.name,
                record=record.sudo().display_name,
            ),
            cause=self.env._(
                "%(part)s, and %(duty)s. %(why)s",
                part=self._named(part),
                duty=self._named(duty),
                why=rule.why,
            ),
        )

    # === BY PERSON === #

    @api.model
    @tools.ormcache()
    def _standing(self):
        """Return {id of a standing duty: ids of the groups it is held with}."""
        return {
            duty.id: frozenset(duty.group_ids.ids)
            for duty in self.sudo().search([("kind", "=", "standing")])
        }

    @api.model
    def _held(self, users, without=None):
        """Return {user id: ids of the standing duties of active internal users}.

        :param dict without: user id → ids of groups that do not count
        """
        standing = self._standing()
        held = {}
        for user in users.sudo().with_context(active_test=False):
            groups = set(user.all_group_ids._ids) - set(
                (without or {}).get(user.id, ())
            )
            held[user.id] = {
                duty
                for duty, wanted in standing.items()
                if user.active and not user.share and wanted & groups
            }
        return held

    @api.model
    def _role_groups(self):
        """Return the groups whose holding the hub follows."""
        groups = self.env["res.groups"].sudo()
        for xmlid in audit.ROLES:
            groups |= self.env.ref(xmlid, raise_if_not_found=False) or groups
        return groups
