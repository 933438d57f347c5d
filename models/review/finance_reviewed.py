from odoo import api, fields, models
from odoo.exceptions import UserError

from .. import clock, constants
from ..access import create_guarded, expect_state, refuse_fields, require_group

# Fields that move by the buttons alone, so that nobody gets round the review, and
# the value that a new record has.
GUARDED = {
    "state": "draft",
    "requested_by_id": False,
    "approved_by_id": False,
    "approved_at": False,
}


class FinanceReviewed(models.AbstractModel):
    """Configuration that one person prepares and another puts in force.

    A model that inherits it adds the state in which it counts, by its own word.
    """

    _name = "finance.reviewed"
    _description = "Reviewed Finance Configuration"
    _inherit = ["mail.thread"]

    # The state in which it counts.
    _state_in_force = None
    # Who takes it out of force for good, and from which states.
    _retired_by = constants.GROUP_ADMINISTRATOR
    _retired_from = ()

    state = fields.Selection(
        [
            ("draft", "Draft"),
            ("in_review", "In Review"),
            ("retired", "Retired"),
        ],
        required=True,
        default="draft",
        readonly=True,
        copy=False,
        tracking=True,
    )
    requested_by_id = fields.Many2one(
        "res.users", string="Review Requested By", readonly=True, copy=False
    )
    approved_by_id = fields.Many2one(
        "res.users", string="Put in Force By", readonly=True, copy=False
    )
    approved_at = fields.Datetime(string="In Force Since", readonly=True, copy=False)

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):
        return super().create(create_guarded(self.env, vals_list, GUARDED))

    def write(self, vals):
        refuse_fields(self.env, vals, GUARDED.keys())
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
            record._expect_state("draft")
            record.sudo()._check_ready()
        self.sudo().write({"state": "in_review", "requested_by_id": self.env.uid})
        return True

    def action_approve(self):
        """Put it in force: the decision of somebody who had no hand in it."""
        require_group(self.env, constants.GROUP_APPROVER)
        for record in self:
            record._expect_state("in_review")
            record._check_second_person("action_approve")
            record.sudo()._check_ready()
        self.sudo()._put_in_force()
        return True

    def action_reject(self):
        """Send it back to who made it."""
        require_group(self.env, constants.GROUP_APPROVER)
        for record in self:
            record._expect_state("in_review")
        self.sudo().write({"state": "draft"})
        return True

    def action_retire(self):
        """Take it out of force for good."""
        require_group(self.env, self._retired_by)
        for record in self:
            record._expect_state(*self._retired_from)
        self.sudo().write({"state": "retired"})
        return True

    # === BUSINESS METHODS === #

    def _check_ready(self):
        """Refuse what can't work.

        :raise UserError: naming everything that is missing
        """
        self.ensure_one()
        missing = self._missing()
        if missing:
            raise UserError(
                self.env._(
                    "“%(name)s” is not ready yet. It still needs: %(missing)s.",
                    name=self.display_name,
                    missing="; ".join(missing),
                )
            )

    # === HOOKS === #

    def _missing(self):
        """Return what it still needs before it can be put in force, in words."""
        return []

    def _check_second_person(self, retry):
        """Refuse to put in force what one made, changed or submitted.

        :param str retry: name of the button that was pressed
        :raise UserError: for one of the :meth:`_makers`
        """
        self.ensure_one()
        if self.env.user in self.sudo()._makers():
            raise UserError(
                self.env._(
                    "You made, changed or submitted “%s” yourself, so somebody else "
                    "must put it in force.",
                    self.display_name,
                )
            )

    def _makers(self):
        """Return the users who had a hand in it."""
        self.ensure_one()
        return self.requested_by_id | self.create_uid

    def _put_in_force(self):
        self.write(
            {
                "state": self._state_in_force,
                "approved_by_id": self.env.uid,
                "approved_at": clock.naive_now(),
            }
        )

    def _expect_state(self, *states):
        """Refuse a button that the state does not allow, see ``expect_state``."""
        expect_state(self, *states)
