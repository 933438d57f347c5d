from odoo import api, fields, models
from odoo.exceptions import UserError

from ..models import constants
from ..models.access import require_group
from ..models.duties.finance_duty import REASON

RIGHTS = "base.group_erp_manager"


class FinanceDutyWizard(models.TransientModel):
    """Asks why, and then presses the button again: the reason goes along."""

    _name = "finance.duty.wizard"
    _description = "Reason for a Decision"

    question = fields.Text(readonly=True)
    res_model = fields.Char(readonly=True)
    res_ids = fields.Json(readonly=True)
    method = fields.Char(readonly=True)
    user_id = fields.Many2one("res.users", string="Person", readonly=True)
    group_ids = fields.Many2many("res.groups", string="Roles", readonly=True)
    reason = fields.Text(required=True)

    # === ACTIONS === #

    def action_confirm(self):
        """Go on with the reason."""
        self.ensure_one()
        require_group(self.env, *constants.GROUPS_WORKING, RIGHTS)
        reason = (self.reason or "").strip()
        if not reason:
            raise UserError(self.env._("Say why."))
        if self.user_id:
            user = self.user_id.with_context(**{REASON: reason})
            # With the rights of whoever gives them, not with the hub's.
            user.write(
                {"group_ids": [fields.Command.link(g) for g in self.group_ids.ids]}
            )
            return {"type": "ir.actions.act_window_close"}
        model, method = self.res_model or "", self.method or ""
        if not model.startswith("finance.") or not method.startswith("action_"):
            raise UserError(self.env._("There is nothing to decide on."))
        records = self.env[model].browse(self.res_ids)
        result = getattr(records.with_context(**{REASON: reason}), method)()
        if isinstance(result, dict):
            return result
        return {"type": "ir.actions.act_window_close"}

    # === BUSINESS METHODS === #

    @api.model
    def _action_for(self, records, method, question):
        """Return the action that asks for a reason and presses a button with it.

        :param str method: name of the button, ``action_…``
        :param str question: what is asked, in plain words
        """
        return self._action(
            res_model=records._name,
            res_ids=records.ids,
            method=method,
            question=question,
        )

    @api.model
    def _action_for_roles(self, user, groups, question):
        """Return the action that asks why somebody gets roles that conflict."""
        return self._action(
            user_id=user.id,
            group_ids=[fields.Command.set(groups.ids)],
            question=question,
        )

    @api.model
    def _action(self, **values):
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Why?"),
            "res_model": self._name,
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
            "context": {f"default_{name}": value for name, value in values.items()},
        }
