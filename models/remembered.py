from odoo import api, models


class FinanceRemembered(models.AbstractModel):
    """Rows that the hub keeps in memory: a change of one has them read anew.

    Routing, look-ups and policies ask for them in every transaction, so models of
    configuration keep what they answer in an ``ormcache``.
    """

    _name = "finance.remembered"
    _description = "Finance Configuration in Memory"

    @api.model_create_multi
    def create(self, vals_list):
        records = super().create(vals_list)
        self.env.registry.clear_cache()
        return records

    def write(self, vals):
        result = super().write(vals)
        self.env.registry.clear_cache()
        return result

    def unlink(self):
        result = super().unlink()
        self.env.registry.clear_cache()
        return result
