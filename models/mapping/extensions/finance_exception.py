from odoo import models
from odoo.exceptions import UserError

from ... import constants
from ...access import require_group


class FinanceException(models.Model):
    _inherit = "finance.exception"

    def action_decide_party(self):
        """Open the form in which a person says who a counterparty is."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR)
        return self.command_id.action_decide_party()

    def action_map(self):
        """Open the form in which the unmapped code gets its counterpart."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR, constants.GROUP_ADMINISTRATOR)
        record = self._record()
        if record._name != "finance.unmapped":
            raise UserError(self.env._("This is not about a code without a mapping."))
        return record.action_map()
