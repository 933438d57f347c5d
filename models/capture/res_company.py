from odoo import api, models, tools

from odoo.addons.account.models.company import LOCK_DATE_FIELDS

from . import payload_master as payload


class ResCompany(models.Model):
    _name = "res.company"
    _inherit = ["res.company", "finance.captured"]

    _finance_fields = tuple(LOCK_DATE_FIELDS)

    def _create(self, data_list):
        companies = super()._create(data_list)
        self.env.registry.clear_cache()
        return companies

    def _write_multi(self, vals_list):
        result = super()._write_multi(vals_list)
        if any("name" in vals or "partner_id" in vals for vals in vals_list):
            self.env.registry.clear_cache()
        return result

    @api.model
    @tools.ormcache("company_id")
    def _finance_legal_entity(self, company_id):
        """Return a company as contracts.events.parties.LegalEntity.

        Cached, as it stands in every event; most of it is the partner's in Odoo.
        """
        company = self.sudo().browse(company_id)
        return {
            "id": str(company.id),
            "name": company.name,
            "vat": company.partner_id.vat or None,
            "country": company.partner_id.country_id.code or None,
        }

    @api.model
    @tools.ormcache()
    def _finance_own_partner_ids(self):
        """Return the ids of the partners that companies are."""
        return frozenset(self.sudo().search([]).partner_id.ids)

    def _finance_transitions(self, before, now, marks):
        """Return which lock dates moved: on is locked, back is unlocked."""
        found = []
        for field_name in LOCK_DATE_FIELDS:
            was, date = (before or {}).get(field_name), now[field_name]
            if was != date:
                forward = date and (not was or date > was)
                found.append(("locked" if forward else "unlocked", (field_name, was)))
        return found

    def _finance_event_values(self, verb, extra=None, facts=None):
        """Return what events about this company's periods say, see finance.captured."""
        self.ensure_one()
        field_name, was = extra
        return [
            {
                "object": "period",
                "label": self.name,
                "company": self,
                "data": payload.period(self, field_name, self[field_name], was),
            }
        ]
