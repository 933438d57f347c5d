from odoo import models


class ResPartner(models.Model):
    _name = "res.partner"
    _inherit = ["res.partner", "finance.holdable"]

    def _finance_holds_by_record(self):
        """Return {id: active holds}, in the companies that are switched on."""
        found = super()._finance_holds_by_record()
        companies = self.env.companies
        return {
            partner_id: holds.filtered(lambda hold: hold.company_id in companies)
            for partner_id, holds in found.items()
        }

    def _finance_waits_to_post(self):
        """Return that a counterparty needs a clearance as long as it is there."""
        return True
