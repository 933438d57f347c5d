from odoo import api, fields, models
from odoo.exceptions import UserError

from .. import clock
from .. import constants as hub
from ..access import require_group
from .finance_access_line import KINDS
from .finance_duty import REASON


class FinanceAccessReviewLine(models.Model):
    """One access as it was found, and what was decided about it."""

    _name = "finance.access.review.line"
    _description = "Finance Access under Review"
    _order = "review_id desc, kind, who, what, id"
    _rec_name = "who"

    review_id = fields.Many2one(
        "finance.access.review",
        required=True,
        readonly=True,
        index=True,
        ondelete="restrict",
    )
    company_id = fields.Many2one(related="review_id.company_id", store=True)
    kind = fields.Selection(KINDS, string="Kind of Access", readonly=True)
    # In words, as an access outlives neither its person nor its client.
    who = fields.Char(readonly=True)
    what = fields.Char(readonly=True)
    user_id = fields.Many2one(
        "res.users", string="Person", readonly=True, ondelete="set null"
    )
    owner_id = fields.Many2one(
        "res.users", string="Answers for It", readonly=True, ondelete="set null"
    )
    group_id = fields.Many2one(
        "res.groups", string="Role", readonly=True, ondelete="set null"
    )
    client_id = fields.Many2one("finance.client", readonly=True, ondelete="set null")
    scope_id = fields.Many2one("finance.scope", readonly=True, ondelete="set null")
    credential_id = fields.Many2one(
        "finance.credential", readonly=True, ondelete="set null"
    )
    delegation_res_id = fields.Integer(readonly=True, aggregator=False)
    way = fields.Char(string="How", readonly=True)
    via = fields.Char(string="By Way Of", readonly=True)
    since = fields.Datetime(readonly=True)
    last_used_at = fields.Datetime(string="Last Used", readonly=True)
    expires_at = fields.Datetime(string="Ends", readonly=True)
    conflicts = fields.Text(readonly=True)
    decision = fields.Selection(
        [
            ("pending", "To Decide"),
            ("certified", "Certified"),
            ("revoked", "Revoked"),
        ],
        required=True,
        default="pending",
        readonly=True,
    )
    reason = fields.Text(readonly=True)
    decided_by_id = fields.Many2one("res.users", readonly=True)
    decided_at = fields.Datetime(readonly=True)

    _pending_idx = models.Index("(review_id) WHERE decision = 'pending'")

    # === CRUD === #

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("Access reviews are kept as evidence."))

    # === ACTIONS === #

    def action_certify(self):
        """Let the accesses be: they are needed."""
        return self._decide(
            "certified",
            "action_certify",
            self.env._("Why are these accesses needed?"),
        )

    def action_revoke(self):
        """Take the accesses away."""
        return self._decide(
            "revoked", "action_revoke", self.env._("Why are these accesses taken away?")
        )

    # === BUSINESS METHODS === #

    def _decide(self, decision, method, question):
        """Keep a decision, once a reason is given.

        :return: True, or the action that asks for the reason
        """
        require_group(self.env, hub.GROUP_APPROVER)
        self.check_access("read")
        for line in self:
            if line.decision != "pending":
                raise UserError(
                    self.env._("This was decided already: %s", line.display_name)
                )
            people = line.sudo()
            self.env["finance.duty"]._check(
                line,
                "certify",
                {"subject": people.user_id | people.owner_id},
                message=self.env._(
                    "“%(who)s: %(what)s” is yours, so somebody else must decide.",
                    who=line.who,
                    what=line.what,
                ),
            )
        reason = (self.env.context.get(REASON) or "").strip()
        if not reason:
            return self.env["finance.duty.wizard"]._action_for(self, method, question)
        if decision == "revoked":
            for line in self.sudo():
                line._revoke()
        self.sudo().write(
            {
                "decision": decision,
                "reason": reason,
                "decided_by_id": self.env.uid,
                "decided_at": clock.naive_now(),
            }
        )
        self.sudo().review_id._close_if_done()
        return True

    def _revoke(self):
        """Take the access away, if it is still there."""
        self.ensure_one()
        if self.kind == "role":
            self._revoke_role()
        elif self.kind == "client":
            self.client_id.write(
                {"scope_ids": [fields.Command.unlink(self.scope_id.id)]}
            )
        elif self.kind == "credential":
            self.credential_id.action_revoke()
        elif "finance.delegation" in self.env:
            delegation = self.env["finance.delegation"].browse(self.delegation_res_id)
            delegation.exists().filtered(lambda d: d.state == "active").write(
                {"state": "ended", "ended_by_id": self.env.uid}
            )

    def _revoke_role(self):
        user, group = self.user_id, self.group_id
        user.write({"group_ids": [fields.Command.unlink(group.id)]})
        ways = user.group_ids.filtered(lambda g: group in g.all_implied_ids)
        if ways:
            raise UserError(
                self.env._(
                    "%(user)s has “%(role)s” by way of %(groups)s, which gives more "
                    "than that. Have it taken away under Settings › Users, then decide "
                    "here.",
                    user=user.name,
                    role=group.name,
                    groups=", ".join(ways.mapped("display_name")),
                )
            )
