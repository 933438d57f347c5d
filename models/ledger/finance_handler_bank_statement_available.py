from odoo import models


class FinanceHandlerBankStatementAvailable(models.AbstractModel):
    """``bank_statement.available``: the statement is awaited until it comes."""

    _name = "finance.handler.bank_statement.available"
    _description = "Handler of Bank Statement Available"
    _inherit = "finance.handler"

    def _identity_fields(self):
        return ("sha256",)

    def _handle(self, command, content):
        """See finance.handler; ``content`` is contracts.BankStatementAvailable."""
        awaited = self.env["finance.awaited.statement"]._expect(command, content)
        command.write({"res_model": awaited._name, "res_id": awaited.id})
