from odoo import api, models, tools


class AccountAccount(models.Model):
    _inherit = "account.account"

    def _write_multi(self, vals_list):
        result = super()._write_multi(vals_list)
        if any("code_store" in vals for vals in vals_list):
            self.env.registry.clear_cache()
        return result

    @api.model
    @tools.ormcache("account_id", "company_id")
    def _finance_code(self, account_id, company_id):
        """Return the code of an account in a company, ``None`` without one.

        Cached, as it depends on the company, so that Odoo reads it anew for every
        posting.
        """
        account = self.sudo().browse(account_id)
        company = self.env["res.company"].browse(company_id)
        return account.with_company(company).code or None
