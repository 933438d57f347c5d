from odoo import api, fields, models
from odoo.exceptions import UserError

from .. import clock, constants
from ..access import create_guarded, expect_state, refuse_fields, require_group

GUARDED = {
    "state": "draft",
    "version": 1,
    "previous_id": False,
    "changed_by_id": False,
    "submitted_by_id": False,
    "approved_by_id": False,
    "approved_at": False,
}


class FinanceReviewed(models.AbstractModel):
    """A rule that a second person puts in force, and that stays as it was approved.

    What is in force is not changed: a new version is, and it replaces the old one in
    the moment in which it is approved, so there is no time without either.
    """

    _name = "finance.reviewed"
    _description = "Reviewed Finance Configuration"
    _inherit = ["mail.thread"]

    state = fields.Selection(
        [
            ("draft", "Draft"),
            ("in_review", "In Review"),
            ("active", "Active"),
            ("retired", "Retired"),
        ],
        required=True,
        default="draft",
        readonly=True,
        copy=False,
        tracking=True,
    )
    version = fields.Integer(default=1, readonly=True, copy=False)
    changed_by_id = fields.Many2one(
        "res.users", string="Last Changed By", readonly=True, copy=False
    )
    submitted_by_id = fields.Many2one("res.users", readonly=True, copy=False)
    approved_by_id = fields.Many2one(
        "res.users", string="Put in Force By", readonly=True, copy=False
    )
    approved_at = fields.Datetime(string="In Force Since", readonly=True, copy=False)

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):
        vals_list = create_guarded(self.env, vals_list, GUARDED)
        return super().create(
            [{**vals, "changed_by_id": self.env.uid} for vals in vals_list]
        )

    def write(self, vals):
        if not self.env.su:
            self.check_access("write")
            refuse_fields(self.env, vals, GUARDED.keys())
            if self._reviewed_fields() & vals.keys():
                self._note_change()
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_only_draft(self):
        for record in self:
            if record.state != "draft":
                raise UserError(
                    self.env._(
                        "“%s” is kept as history. Retire it instead of deleting it.",
                        record.display_name,
                    )
                )

    # === ACTIONS === #

    def action_request_review(self):
        """Ask a second person to put it in force."""
        require_group(self.env, constants.GROUP_ADMINISTRATOR)
        for record in self:
            expect_state(record, "draft")
            record.sudo()._check_ready()
        self.sudo().write({"state": "in_review", "submitted_by_id": self.env.uid})
        return True

    def action_approve(self):
        """Put it in force: the decision of somebody who did not make or change it."""
        require_group(self.env, constants.GROUP_APPROVER)
        for record in self:
            expect_state(record, "in_review")
            makers = record.changed_by_id | record.submitted_by_id | record.create_uid
            if self.env.user in makers:
                raise UserError(
                    self.env._(
                        "You made, changed or submitted “%s” yourself, so somebody "
                        "else must put it in force.",
                        record.display_name,
                    )
                )
            record.sudo()._check_ready()
        self.sudo().previous_id.filtered(lambda r: r.state == "active").write(
            {"state": "retired"}
        )
        self.sudo().write(
            {
                "state": "active",
                "approved_by_id": self.env.uid,
                "approved_at": clock.naive_now(),
            }
        )
        return True

    def action_reject(self):
        """Send it back to who made it."""
        require_group(self.env, constants.GROUP_APPROVER)
        for record in self:
            expect_state(record, "in_review")
        self.sudo().write({"state": "draft"})
        return True

    def action_retire(self):
        """Take it out of force, which is a decision like putting it in force."""
        require_group(self.env, constants.GROUP_APPROVER)
        for record in self:
            expect_state(record, "active")
        self.sudo().write({"state": "retired"})
        return True

    def action_new_version(self):
        """Open a draft that replaces it once somebody approves that."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_ADMINISTRATOR)
        expect_state(self, "active", "retired")
        draft = self.sudo().search(
            [("previous_id", "=", self.id), ("state", "in", ("draft", "in_review"))],
            limit=1,
        )
        if not draft:
            draft = self.sudo().copy()
            draft.write(
                {
                    "version": self.version + 1,
                    "previous_id": self.id,
                    "changed_by_id": self.env.uid,
                }
            )
        return {
            "type": "ir.actions.act_window",
            "res_model": self._name,
            "res_id": draft.id,
            "views": [(False, "form")],
        }

    # === HOOKS === #

    @api.model
    def _reviewed_fields(self):
        """Return the names of the fields that a second person consents to."""
        raise NotImplementedError

    def _check_ready(self):
        """Refuse what can't work.

        :raise UserError: naming everything that is missing
        """

    def _note_change(self):
        """Keep who changed drafts.

        :raise UserError: for what is no draft any more
        """
        for record in self:
            if record.state != "draft":
                raise UserError(
                    self.env._(
                        "“%s” is no draft, so it stays as it was reviewed. Use New "
                        "Version to change it, or have it sent back.",
                        record.display_name,
                    )
                )
        self.sudo().changed_by_id = self.env.user
