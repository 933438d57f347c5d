from odoo import fields, models


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
