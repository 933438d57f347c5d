from odoo import Command, api, fields, models
from odoo.exceptions import UserError

from .. import constants
from ..access import create_guarded, refuse_fields, require_group
from ..windows import window_of

GUARDED = {"version": 1, "previous_id": False, "changed_by_ids": False}


class FinanceVersioned(models.AbstractModel):
    """A rule that stays as a second person approved it.

    What is in force is not changed: a new version is, and it replaces the old one in
    the moment in which it is approved, so there is no time without either.

    A model that inherits it has the field ``previous_id``, of its own kind.
    """

    _name = "finance.versioned"
    _description = "Versioned Finance Configuration"
    _inherit = ["finance.reviewed"]

    version = fields.Integer(default=1, readonly=True, copy=False)
    changed_by_ids = fields.Many2many(
        "res.users",
        readonly=True,
        copy=False,
        help="Who made or changed this version. None of them can put it in force.",
    )

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):
        vals_list = create_guarded(self.env, vals_list, GUARDED)
        hand = [Command.link(self.env.uid)]
        return super().create([{**vals, "changed_by_ids": hand} for vals in vals_list])

    def write(self, vals):
        if not self.env.su:
            self.check_access("write")
            refuse_fields(self.env, vals, GUARDED.keys())
            if self._reviewed_fields() & vals.keys():
                self._note_change()
        return super().write(vals)

    # === ACTIONS === #

    def action_new_version(self):
        """Open a draft that replaces it once somebody approves that."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_ADMINISTRATOR)
        self._expect_state(self._state_in_force, "retired")
        draft = self.sudo().search(
            [("previous_id", "=", self.id), ("state", "in", ("draft", "in_review"))],
            limit=1,
        )
        if not draft:
            draft = self.sudo().copy()
            draft.write({"version": self.version + 1, "previous_id": self.id})
        return window_of(draft)

    # === HOOKS === #

    @api.model
    def _reviewed_fields(self):
        """Return the names of the fields that a second person consents to."""
        raise NotImplementedError

    def _makers(self):
        return super()._makers() | self.changed_by_ids

    def _put_in_force(self):
        former = self.previous_id
        former.filtered(lambda record: record.state == record._state_in_force).write(
            {"state": "retired"}
        )
        return super()._put_in_force()

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
        new = self.sudo().filtered(lambda r: self.env.user not in r.changed_by_ids)
        if new:
            new.write({"changed_by_ids": [Command.link(self.env.uid)]})
