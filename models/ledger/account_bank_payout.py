from odoo import models


class AccountBankStatementLine(models.Model):
    _inherit = "account.bank.statement.line"

    def action_undo_reconciliation(self):
        result = super().action_undo_reconciliation()
        if not self:
            return result
        payouts = (
            self.env["finance.payout"]
            .sudo()
            .search([("statement_line_id", "in", self.ids)])
        )
        payouts.statement_line_id = False
        payouts._set_state()
        return result
