from odoo import fields, models

from .changes import changing

# What counterparty.upsert keeps up to date; the rest of a partner is Odoo's.
MIRRORED = {
    "name",
    "is_company",
    "company_type",
    "vat",
    "company_registry",
    "ref",
    "email",
    "phone",
    "website",
    "lang",
    "street",
    "street2",
    "city",
    "zip",
    "state_id",
    "country_id",
    "parent_id",
    "property_payment_term_id",
    "property_supplier_payment_term_id",
    "finance_blocked",
    "active",
}


class ResPartner(models.Model):
    """Counterparties that another system owns are read-only where it keeps them."""

    _name = "res.partner"
    _inherit = ["res.partner", "finance.referenced"]

    finance_blocked = fields.Boolean(
        string="Blocked for New Business",
        tracking=True,
        copy=False,
        help="No new invoice or bill can be posted for it. Payments, refunds and "
        "credit notes can.",
    )

    # The first steps of the search for duplicates.
    _finance_vat_idx = models.Index(
        "(upper(regexp_replace(vat, '[^A-Za-z0-9]', '', 'g'))) WHERE vat IS NOT NULL"
    )
    _finance_name_idx = models.Index("(lower(name) text_pattern_ops)")
    _finance_email_idx = models.Index("(lower(email)) WHERE email IS NOT NULL")

    def write(self, vals):
        if (
            not self.env.su
            and not MIRRORED.isdisjoint(vals)
            and self.env["finance.ownership"]._mirrored("counterparties")
        ):
            touched = changing(self, vals, MIRRORED)
            touched._finance_refuse(touched._finance_owned_by("counterparties"))
        return super().write(vals)

    def unlink(self):
        if not self.env.su:
            self._finance_refuse(self._finance_owned_by("counterparties"))
        return super().unlink()

    def _finance_mirror_owner(self):
        return self._finance_owned_by("counterparties")
