"""What rows have in common that are about something else."""

from odoo import models

from . import constants
from .windows import window_of


class FinancePointing(models.AbstractModel):
    """A row about one record of Odoo, by ``res_model`` and ``res_id``."""

    _name = "finance.pointing"
    _description = "Pointing to a Record"

    def action_open_record(self):
        """Open what it is about."""
        self.ensure_one()
        self.check_access("read")
        return window_of(self._record())

    def _record(self):
        """Return what it is about, an empty recordset if it is gone."""
        self.ensure_one()
        if self.res_model not in self.env:
            return self.browse()
        return self.env[self.res_model].browse(self.res_id).exists()


class FinanceTraced(models.AbstractModel):
    """A row that belongs to a business transaction, by ``correlation_id``."""

    _name = "finance.traced"
    _description = "Part of a Timeline"

    def action_open_trace(self):
        """Show the timeline of the transaction that it belongs to."""
        self.ensure_one()
        self.check_access("read")
        return self.env["finance.trace.step"]._action_for(
            self.correlation_id, self.display_name
        )


class FinanceAbout(models.AbstractModel):
    """A row about a record of the books, which people follow and talk about.

    Nobody writes on such rows but by their buttons.
    """

    _name = "finance.about"
    _description = "About a Finance Record"
    _inherit = ["finance.pointing", "finance.traced", "mail.thread"]

    def _mail_get_operation_for_mail_message_operation(self, message_operation):
        """Let those comment who work here, though nobody writes on the row itself.

        Auditors look on and leave no trace.
        """
        if message_operation == "create" and any(
            self.env.user.has_group(group) for group in constants.GROUPS_WORKING
        ):
            return dict.fromkeys(self, "read")
        return super()._mail_get_operation_for_mail_message_operation(message_operation)
