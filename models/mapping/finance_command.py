from odoo import models


class FinanceCommand(models.Model):
    _inherit = "finance.command"

    def _handler(self):
        """Let checks know which command they are about."""
        return super()._handler().with_context(finance_command_id=self.id)
