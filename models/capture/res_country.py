from odoo import api, models, tools


class ResCountry(models.Model):
    _inherit = "res.country"

    @api.model
    @tools.ormcache("country_id", cache="stable")
    def _finance_code(self, country_id):
        """Return the code of a country, ``None`` without one.

        In the cache that Odoo empties whenever a country changes.
        """
        return self.sudo().browse(country_id).code or None
