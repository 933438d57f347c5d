from odoo import api, models


class FinanceTransaction(models.Model):
    _inherit = "finance.transaction"

    @api.model_create_multi
    def create(self, vals_list):
        transactions = super().create(vals_list)
        references = self.env["finance.reference"]
        for transaction in transactions:
            references._link(
                transaction.connector_id, transaction, transaction.provider_ref
            )
        return transactions
