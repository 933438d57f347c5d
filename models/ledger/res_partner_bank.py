from odoo import models


class ResPartnerBank(models.Model):
    _inherit = "res.partner.bank"

    def write(self, vals):
        result = super().write(vals)
        if "acc_number" in vals:
            self.sudo().journal_id._finance_provide_account()
        return result
