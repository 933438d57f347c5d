from datetime import timedelta

from odoo import api, fields, models, tools
from odoo.exceptions import UserError, ValidationError

from .. import clock
from .. import constants as hub
from ..access import create_guarded, refuse_fields, require_group
from ..windows import list_of
from ..words import age_text
from . import constants

ROLES = (
    hub.GROUP_OPERATOR,
    hub.GROUP_APPROVER,
    hub.GROUP_ADMINISTRATOR,
    hub.GROUP_CONFIDENTIAL,
)
# Those who are told at once.
TOLD = (hub.GROUP_APPROVER, hub.GROUP_AUDITOR)
# Fields that move by the buttons alone, and the value that a new record has.
GUARDED = {
    "state": "draft",
    "began_at": False,
    "ends_at": False,
    "ended_at": False,
    "ended_by_id": False,
    "reviewed_by_id": False,
    "reviewed_at": False,
}
ACTIVITY = "mail.mail_activity_data_warning"


class FinanceBreakGlass(models.Model):
    """A role for a few hours, with a reason and an alarm.

    The role is given by the transaction that begins it and taken by the one that ends
    it, together with this row; so no crash leaves one without the other, and whatever
    is past its time is ended by the next run of the scheduled action.
    """

    _name = "finance.break.glass"
    _description = "Finance Emergency Access"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "id desc"

    name = fields.Char(compute="_compute_name")
    user_id = fields.Many2one(
        "res.users",
        string="Person",
        required=True,
        readonly=True,
        default=lambda self: self.env.user,
        ondelete="restrict",
        index=True,
    )
    company_id = fields.Many2one(
        "res.company",
        required=True,
        readonly=True,
        default=lambda self: self.env.company,
        index=True,
    )
    role = fields.Selection(
        selection="_selection_role",
        required=True,
        default=hub.GROUP_OPERATOR,
        tracking=True,
    )
    hours = fields.Float(
        required=True,
        default=constants.GLASS_DEFAULT_HOURS,
        help=f"At most {constants.GLASS_MAX_HOURS:g}.",
    )
    reason = fields.Text(required=True, help="What happened that cannot wait.")
    state = fields.Selection(
        [
            ("draft", "Not Begun"),
            ("active", "In Force"),
            ("ended", "To Review"),
            ("reviewed", "Reviewed"),
        ],
        required=True,
        default="draft",
        readonly=True,
        copy=False,
        tracking=True,
    )
    began_at = fields.Datetime(string="Began", readonly=True, copy=False)
    ends_at = fields.Datetime(string="Ends", readonly=True, copy=False)
    ended_at = fields.Datetime(string="Ended", readonly=True, copy=False)
    ended_by_id = fields.Many2one("res.users", readonly=True, copy=False)
    review_note = fields.Text(
        string="What the Review Found",
        help="What was done with it, whether it was right, and what follows.",
    )
    reviewed_by_id = fields.Many2one("res.users", readonly=True, copy=False)
    reviewed_at = fields.Datetime(readonly=True, copy=False)
    entry_count = fields.Integer(string="Deeds", compute="_compute_deeds")
    deeds = fields.Text(string="What Was Done", compute="_compute_deeds")

    _hours_range = models.Constraint(
        f"CHECK (hours > 0 AND hours <= {constants.GLASS_MAX_HOURS})",
        f"Emergency access lasts at most {constants.GLASS_MAX_HOURS:g} hours.",
    )
    _active_unique = models.UniqueIndex(
        "(user_id, role) WHERE state = 'active'",
        "This role is in force for this person already.",
    )

    # === COMPUTES === #

    @api.model
    def _selection_role(self):
        return [
            (xmlid, group.sudo().name)
            for xmlid in ROLES
            if (group := self.env.ref(xmlid, raise_if_not_found=False))
        ]

    @api.depends("user_id.name", "role")
    def _compute_name(self):
        labels = dict(self._selection_role())
        for glass in self:
            glass.name = self.env._(
                "%(role)s for %(user)s",
                role=labels.get(glass.role, ""),
                user=glass.user_id.name or "",
            )

    @api.depends("state")
    def _compute_deeds(self):
        for glass in self:
            entries = glass.sudo()._entries()
            glass.entry_count = len(entries)
            glass.deeds = "\n".join(
                " · ".join(
                    filter(
                        None,
                        (
                            fields.Datetime.to_string(entry.at),
                            entry.action,
                            entry.label,
                            entry.reason,
                            entry.outcome if entry.outcome == "refused" else None,
                        ),
                    )
                )
                for entry in entries.sorted("id")
            )

    # === CONSTRAINTS === #

    @api.constrains("reason")
    def _check_reason(self):
        if any(not (glass.reason or "").strip() for glass in self):
            raise ValidationError(self.env._("Say what happened that cannot wait."))

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):
        if not self.env.su:
            vals_list = [
                {
                    **vals,
                    # For oneself, and where one works.
                    "user_id": self.env.uid,
                    "company_id": self.env.company.id,
                    "review_note": False,
                }
                for vals in vals_list
            ]
        return super().create(create_guarded(self.env, vals_list, GUARDED))

    def write(self, vals):
        refuse_fields(self.env, vals, GUARDED.keys())
        if not self.env.su:
            if vals.keys() <= {"review_note"}:
                self._expect_reviewer()
            elif any(
                glass.state != "draft" or glass.user_id != self.env.user
                for glass in self
            ):
                raise UserError(
                    self.env._("It is kept as it was when the glass was broken.")
                )
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_only_draft(self):
        if any(glass.state != "draft" for glass in self):
            raise UserError(self.env._("Emergency access is kept as evidence."))

    # === ACTIONS === #

    def action_break(self):
        """Give the role at once, and raise the alarm."""
        require_group(self.env, hub.GROUP_BREAK_GLASS)
        self.check_access("read")
        for glass in self:
            if glass.state != "draft" or glass.user_id != self.env.user:
                raise UserError(
                    self.env._("Only whoever needs it breaks the glass, and once.")
                )
            if self.env.user.has_group(glass.role):
                raise UserError(self.env._("You have this role already."))
            glass.sudo()._begin()
        return {"type": "ir.actions.client", "tag": "reload"}

    def action_end(self):
        """Take the role away before its time is over."""
        self.check_access("read")
        for glass in self:
            if glass.user_id != self.env.user:
                require_group(self.env, hub.GROUP_APPROVER, hub.GROUP_ADMINISTRATOR)
            if glass.state != "active":
                raise UserError(self.env._("“%s” is not in force.", glass.name))
        self.sudo()._end(self.env.user)
        return {"type": "ir.actions.client", "tag": "reload"}

    def action_review(self):
        """Close it, having looked at what was done: a second person's duty."""
        self._expect_reviewer()
        for glass in self:
            if not (glass.review_note or "").strip():
                raise UserError(self.env._("Write down first what the review found."))
        self.sudo().write(
            {
                "state": "reviewed",
                "reviewed_by_id": self.env.uid,
                "reviewed_at": clock.naive_now(),
            }
        )
        for glass in self.sudo():
            glass.activity_unlink([ACTIVITY], only_automated=True)
            glass._exceptions()._resolve(self.env._("Reviewed: %s", glass.review_note))
        return True

    def action_open_entries(self):
        """Open the entries of the audit trail of that time."""
        self.ensure_one()
        self.check_access("read")
        return list_of(self.env, "finance_audit_entry_action", self._entries_domain())

    # === BUSINESS METHODS === #

    def _expect_reviewer(self):
        require_group(self.env, hub.GROUP_APPROVER)
        self.check_access("read")
        for glass in self:
            if glass.state != "ended":
                raise UserError(
                    self.env._("“%s” is not waiting for a review.", glass.name)
                )
            self.env["finance.duty"]._check(
                glass,
                "review",
                {"acted": glass.user_id},
                message=self.env._(
                    "You had the emergency access yourself, so somebody else must "
                    "review it."
                ),
            )

    def _group(self):
        return self.env.ref(self.role).sudo()

    def _begin(self):
        """Give the role, and tell everybody who must know."""
        self.ensure_one()
        now = clock.naive_now()
        self.write(
            {
                "state": "active",
                "began_at": now,
                "ends_at": now + timedelta(hours=self.hours),
            }
        )
        self.user_id.write({"group_ids": [fields.Command.link(self._group().id)]})
        self.env.registry.clear_cache()
        self.env.ref("finance_hub.cron_end_break_glass").sudo()._trigger(
            at=self.ends_at
        )
        self._raise_alarm()

    def _raise_alarm(self):
        summary = self.env._("Emergency access: %s", self.name)
        cause = self.env._(
            "%(user)s took the role %(role)s for %(hours)s. Reason: %(reason)s",
            user=self.user_id.name,
            role=self._group().name,
            hours=age_text(self.env, timedelta(hours=self.hours)),
            reason=self.reason,
        )
        self.env["finance.exception"]._open(
            constants.CODE_GLASS,
            company=self.company_id,
            record=self,
            fingerprint=f"glass:{self.id}",
            summary=summary,
            cause=cause,
        )
        told = self._told()
        self.message_notify(
            partner_ids=told.partner_id.ids, subject=summary, body=cause
        )
        for user in told:
            self.activity_schedule(
                ACTIVITY, summary=summary, note=cause, user_id=user.id
            )

    def _told(self):
        """Return the approvers and auditors of the company, but for the person."""
        users = self.env["res.users"]
        for xmlid in TOLD:
            users |= self.env.ref(xmlid).sudo().all_user_ids
        return users.filtered(
            lambda user: (
                user.active
                and not user.share
                and self.company_id in user.company_ids
                and user != self.user_id
            )
        )

    def _end(self, user=None):
        """Take the roles away and put what was done before a second person.

        :param user: who ended it; nobody when its time was over
        """
        for glass in self.filtered(lambda g: g.state == "active"):
            glass.write(
                {
                    "state": "ended",
                    "ended_at": clock.naive_now(),
                    "ended_by_id": user and user.id,
                }
            )
            if not user:
                # Buttons are noted by themselves.
                self.env["finance.audit.entry"]._note(
                    "break.glass.end", glass, facts={"role": glass.role}
                )
            glass.user_id.write(
                {"group_ids": [fields.Command.unlink(glass._group().id)]}
            )
        self.env.registry.clear_cache()

    @api.model
    def _cron_end(self):
        """End what is past its time; tell of reviews that nobody made."""
        now = clock.naive_now()
        self.search([("state", "=", "active"), ("ends_at", "<=", now)])._end()
        late = self.search(
            [
                ("state", "=", "ended"),
                ("ended_at", "<=", now - constants.GLASS_REVIEW_DUE),
            ]
        )
        for glass in late.filtered(lambda g: not g._exceptions()):
            # Whoever closed the alarm has not reviewed it.
            self.env["finance.exception"]._open(
                constants.CODE_GLASS,
                company=glass.company_id,
                record=glass,
                fingerprint=f"glass:{glass.id}",
                summary=self.env._("Not reviewed: %s", glass.name),
                cause=self.env._(
                    "The emergency access ended and nobody reviewed what was done."
                ),
            )

    def _exceptions(self):
        return self.env["finance.exception"]._about(self)

    # === THE TRAIL === #

    def _entries_domain(self):
        self.ensure_one()
        return [
            ("actor_uid", "=", self.user_id.id),
            ("at", ">=", self.began_at or clock.naive_now()),
            ("at", "<=", self.ended_at or clock.naive_now()),
        ]

    def _entries(self):
        """Return what the person did meanwhile, the newest first."""
        if not self.began_at:
            return self.env["finance.audit.entry"]
        return self.env["finance.audit.entry"].search(
            self._entries_domain(), limit=constants.GLASS_ENTRIES_SHOWN
        )

    @api.model
    @tools.ormcache()
    def _in_force(self):
        """Return {user id: ((id, role), …)} of what is in force now."""
        found = {}
        for glass in self.sudo().search([("state", "=", "active")]):
            found.setdefault(glass.user_id.id, []).append((glass.id, glass.role))
        return {user: tuple(pairs) for user, pairs in found.items()}

    @api.model
    def _given(self):
        """Return {user id: ids of the groups} that were given by it."""
        return {
            user: {self.env.ref(role).id for _id, role in pairs}
            for user, pairs in self._in_force().items()
        }
