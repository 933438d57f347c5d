from odoo import models

from . import payload_master as payload

# What others need to know of a counterparty; the name on the wire of each column.
COUNTERPARTY_FIELDS = {
    "name": "name",
    "vat": "vat",
    "company_registry": "registry",
    "ref": "reference",
    "email": "email",
    "phone": "phone",
    "street": "street",
    "street2": "street2",
    "zip": "zip",
    "city": "city",
    "state_id": "state",
    "country_id": "country",
    "is_company": "is_company",
    "active": "active",
    "property_payment_term_id": "customer_terms",
    "property_supplier_payment_term_id": "supplier_terms",
}
# Company-dependent ones: {company id: value} in the database.
TERMS = ("property_payment_term_id", "property_supplier_payment_term_id")


class ResPartner(models.Model):
    _name = "res.partner"
    _inherit = ["res.partner", "finance.captured"]

    _finance_fields = (
        *COUNTERPARTY_FIELDS,
        "credit_limit",
        "parent_id",
        "finance_blocked",
    )

    def _write_multi(self, vals_list):
        result = super()._write_multi(vals_list)
        if any("vat" in vals or "country_id" in vals for vals in vals_list):
            own = self.env["res.company"]._finance_own_partner_ids()
            if not own.isdisjoint(self._ids):
                # What is kept of the company itself.
                self.env.registry.clear_cache()
        return result

    def _finance_transitions(self, before, now, marks):
        """Return the transitions of a counterparty, see finance.captured.

        Only commercial entities are counterparties: a contact person below a
        company is not announced.
        """
        self.ensure_one()
        if self.commercial_partner_id != self:
            return []
        found = []
        if before is None:
            found.append(("created", []))
            if now["finance_blocked"]:
                found.append(("blocked", ["blocked"]))
            before = {**now, "credit_limit": None}
        else:
            changed = [
                wire
                for column, wire in COUNTERPARTY_FIELDS.items()
                if (before[column] or None) != (now[column] or None)
            ]
            if before["parent_id"] and not now["parent_id"]:
                changed.append("commercial_entity")
            if before["finance_blocked"] and not now["finance_blocked"]:
                changed.append("blocked")
            ends = []
            if "active" in changed and not now["active"]:
                ends.append("active")
            if now["finance_blocked"] and not before["finance_blocked"]:
                ends.append("blocked")
            if changed and not (changed == ["active"] and "active" in ends):
                found.append(("changed", changed))
            if ends:
                found.append(("blocked", ends))
        limits = before["credit_limit"] or {}, now["credit_limit"] or {}
        found += [
            ("limit_changed", int(company_id))
            for company_id in sorted({*limits[0], *limits[1]}, key=int)
            if (limits[0].get(company_id) or 0.0) != (limits[1].get(company_id) or 0.0)
        ]
        return found

    def _finance_facts(self):
        """Return {id: its external ids}, see finance.captured."""
        known = {}
        for reference in (
            self.env["finance.reference"]
            .sudo()
            .search(
                [
                    ("res_model", "=", self._name),
                    ("res_id", "in", self.ids),
                    ("valid_to", "=", False),
                ],
                order="id",
            )
        ):
            known.setdefault(reference.res_id, []).append(reference)
        return known

    def _finance_event_values(self, verb, extra=None, facts=None):
        """Return what events about this counterparty say, see finance.captured."""
        self.ensure_one()
        if verb == "limit_changed":
            company = self.env["res.company"].browse(extra).exists()
            return self._finance_limit_values(company) if company else []
        companies = self.env["finance.capture"]._companies_of(self, self.company_id)
        return [
            {
                "object": "counterparty",
                "label": self.name or str(self.id),
                "company": company,
                "data": payload.counterparty_record(
                    self, company, verb, extra, (facts or {}).get(self.id, ())
                ),
            }
            for company in companies
        ]

    def _finance_limit_values(self, company):
        return [
            {
                "object": "credit",
                "label": self.name or str(self.id),
                "company": company,
                "data": payload.credit_limit(self, company),
            }
        ]
