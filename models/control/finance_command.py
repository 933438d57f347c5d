from odoo import models


class FinanceCommand(models.Model):
    _inherit = "finance.command"

    def _correctors(self):
        """Return the people who corrected the commands, or what they correct.

        Whoever corrects cannot approve.
        """
        people = self.env["res.users"]
        command = self
        while command:
            people |= command.corrected_by_id
            command = command.corrected_from_id
        return people
