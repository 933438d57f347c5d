from odoo import models

from .. import constants
from ..access import require_group


class FinanceMessage(models.Model):
    """A message that came in can be tried again without effect."""

    _inherit = "finance.message"

    def action_try(self):
        """Open the screen in which the message is read again, and nothing done."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR, constants.GROUP_ADMINISTRATOR)
        self.check_access("read")
        return self.env["finance.try.wizard"]._action_for(self.connector_id, self)
