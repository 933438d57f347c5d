from odoo import fields, models
from odoo.exceptions import UserError

from ..models import clock, constants
from ..models.access import require_group


class FinanceReasonWizard(models.TransientModel):
    """Asks why, how, until when or to whom before exceptions are decided."""

    _name = "finance.reason.wizard"
    _description = "Reason of a Decision on Finance Exceptions"

    exception_ids = fields.Many2many("finance.exception", required=True)
    outcome = fields.Selection(
        [
            ("resolved", "Solved"),
            ("cancelled", "Cancelled"),
            ("snoozed", "Snoozed"),
            ("reassigned", "Reassigned"),
            ("waived", "Waiver Requested"),
        ],
        required=True,
        default="cancelled",
    )
    reason = fields.Text(required=True)
    until = fields.Datetime()
    team_id = fields.Many2one("finance.team")
    user_id = fields.Many2one(
        "res.users", string="Person", domain="[('share', '=', False)]"
    )

    def action_confirm(self):
        """Do what was asked for, with the reason."""
        self.ensure_one()
        exceptions = self.exception_ids
        if len(exceptions) > 1:
            return self._in_bulk()
        if self.outcome == "resolved":
            exceptions._solve(self.reason)
        elif self.outcome == "cancelled":
            exceptions._cancel(self.reason)
        elif self.outcome == "snoozed":
            exceptions._snooze(self.until, self.reason)
        elif self.outcome == "reassigned":
            exceptions._reassign(self.team_id, self.user_id, self.reason)
        else:
            exceptions._request_waiver(self.reason)
        return {"type": "ir.actions.act_window_close"}

    def _in_bulk(self):
        """Have each exception judged on its own."""
        require_group(self.env, constants.GROUP_OPERATOR)
        # What is wrong with the form is said before anything is done.
        if self.outcome == "snoozed" and self.until <= clock.naive_now():
            raise UserError(self.env._("Choose a time that is still to come."))
        if self.outcome == "reassigned" and not (self.team_id or self.user_id):
            raise UserError(self.env._("Choose a team or a person."))
        return self.env["finance.bulk.action"]._start(
            self.exception_ids,
            self.outcome,
            reason=self.reason,
            until=self.until,
            team_id=self.team_id.id,
            assignee_id=self.user_id.id,
        )
