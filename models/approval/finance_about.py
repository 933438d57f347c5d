from odoo import models

from .. import constants


class FinanceAbout(models.AbstractModel):
    """A row about one record of the books, by ``res_model`` and ``res_id``.

    Nobody writes on such rows but by their buttons; those who work here comment.
    """

    _name = "finance.about"
    _description = "About a Finance Record"
    _inherit = ["mail.thread"]

    def _mail_get_operation_for_mail_message_operation(self, message_operation):
        """Let those comment who work here, see finance.exception."""
        if message_operation == "create" and any(
            self.env.user.has_group(group) for group in constants.GROUPS_WORKING
        ):
            return dict.fromkeys(self, "read")
        return super()._mail_get_operation_for_mail_message_operation(message_operation)

    # === ACTIONS === #

    def action_open_record(self):
        """Open what it is about."""
        self.ensure_one()
        self.check_access("read")
        return {
            "type": "ir.actions.act_window",
            "res_model": self.res_model,
            "res_id": self.res_id,
            "views": [(False, "form")],
        }

    def action_open_trace(self):
        """Show the timeline of the transaction that it belongs to."""
        self.ensure_one()
        self.check_access("read")
        return self.env["finance.trace.step"]._action_for(
            self.correlation_id, self.title
        )

    # === BUSINESS METHODS === #

    def _record(self):
        """Return what it is about, an empty recordset if it is gone."""
        self.ensure_one()
        if self.res_model not in self.env:
            return self.browse()
        return self.env[self.res_model].browse(self.res_id).exists()
