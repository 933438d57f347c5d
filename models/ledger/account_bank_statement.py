from odoo import fields, models


class AccountBankStatement(models.Model):
    _inherit = "account.bank.statement"

    finance_statement_ids = fields.One2many(
        "finance.statement", "statement_id", "Statements from the Bank"
    )
    finance_command_id = fields.Many2one(
        related="finance_statement_ids.command_id", string="Came In By"
    )

    def action_open_finance_message(self):
        """Open the message that the statement came in by."""
        self.ensure_one()
        self.check_access("read")
        return self.finance_command_id._action_open_message()
