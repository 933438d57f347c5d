from odoo import api, fields, models, tools

from .. import constants
from ..access import require_group
from ..windows import list_of

# What codes of another system can stand for, and by which fields the Odoo code is
# found when a mapping is imported: the first in which exactly one record agrees.
TARGETS = {
    "account.account": ("code", "name"),
    "account.tax": ("name",),
    "res.company": ("company_registry", "vat", "name"),
    "account.analytic.account": ("code", "name"),
    "product.product": ("default_code", "barcode", "name"),
    "res.currency": ("name",),
    "account.payment.method.line": ("name",),
    "account.payment.term": ("name",),
    "account.journal": ("code", "name"),
    "res.partner": ("ref", "vat", "name"),
    "finance.mapping.term": ("code", "title"),
}


class FinanceMappingDomain(models.Model):
    """A kind of code that differs from system to system, and who answers for it."""

    _name = "finance.mapping.domain"
    _description = "Finance Mapping Domain"
    _inherit = ["finance.remembered"]
    _order = "sequence, id"
    _rec_name = "title"
    _rec_names_search = ["name", "title"]

    name = fields.Char(
        string="Technical Name",
        required=True,
        readonly=True,
        help="How contracts and imports call it.",
    )
    title = fields.Char(required=True, translate=True)
    sequence = fields.Integer(default=10)
    description = fields.Text(
        translate=True, help="What the codes stand for, and how Odoo understands them."
    )
    target_model = fields.Selection(
        selection="_selection_target_model",
        string="Stands For",
        required=True,
        readonly=True,
    )
    is_vocabulary = fields.Boolean(compute="_compute_is_vocabulary")
    is_standard = fields.Boolean(
        string="Standard Codes",
        readonly=True,
        help="The codes are an international standard, which Odoo uses, too: a code "
        "that Odoo knows needs no mapping.",
    )
    steward_id = fields.Many2one(
        "res.users",
        company_dependent=True,
        domain="[('share', '=', False)]",
        help="Answers for these codes in this company: approves mappings and is "
        "reminded of those that end.",
    )
    owner_connector_id = fields.Many2one(
        "finance.connector",
        string="Owning System",
        company_dependent=True,
        domain="[('company_id', '=', current_company_id)]",
        help="The system that defines these codes for this company. Empty: Odoo.",
    )
    difference_note = fields.Text(
        string="Valuation and Recognition",
        help="Where systems value or recognise the same thing differently, and what "
        "is done about it.",
    )
    term_ids = fields.One2many("finance.mapping.term", "domain_id", "Words")
    current_company_id = fields.Many2one(
        "res.company", compute="_compute_current_company_id"
    )
    mapping_count = fields.Integer(compute="_compute_counts")
    unmapped_count = fields.Integer(compute="_compute_counts")

    _name_unique = models.UniqueIndex("(name)")

    # === COMPUTES === #

    @api.model
    def _selection_target_model(self):
        names = self.env["ir.model"]._get
        return [(model, names(model).name or model) for model in TARGETS]

    @api.depends("target_model")
    def _compute_is_vocabulary(self):
        for domain in self:
            domain.is_vocabulary = domain.target_model == "finance.mapping.term"

    @api.depends_context("company")
    def _compute_current_company_id(self):
        self.current_company_id = self.env.company

    @api.depends_context("allowed_company_ids")
    def _compute_counts(self):
        def counts(model, domain):
            return dict(
                self.env[model]._read_group(
                    [("domain_id", "in", self.ids), *domain],
                    ["domain_id"],
                    ["__count"],
                )
            )

        mapped = counts("finance.mapping", [("state", "=", "approved")])
        unmapped = counts("finance.unmapped", [("state", "=", "open")])
        for domain in self:
            domain.mapping_count = mapped.get(domain, 0)
            domain.unmapped_count = unmapped.get(domain, 0)

    # === ACTIONS === #

    def action_open_mappings(self):
        self.ensure_one()
        return self._action_related("finance_mapping_action")

    def action_open_unmapped(self):
        self.ensure_one()
        return self._action_related("finance_unmapped_action")

    def _action_related(self, xmlid):
        self.check_access("read")
        domain, context = [("domain_id", "=", self.id)], {"default_domain_id": self.id}
        return list_of(self.env, xmlid, domain, context=context)

    # === BUSINESS METHODS === #

    @api.model
    def _named(self, name):
        """Return the domain of a technical name.

        :raise ValueError: for a name no domain has, which is a mistake of the caller
        """
        domain_id = self._ids_by_name().get(name)
        if not domain_id:
            raise ValueError(f"No mapping domain is called {name!r}.")
        return self.browse(domain_id)

    @api.model
    @tools.ormcache()
    def _ids_by_name(self):
        return {domain.name: domain.id for domain in self.sudo().search([])}

    def _require_steward(self, company):
        """Raise unless the user approves mappings of this domain.

        :raise AccessError: for neither an approver nor the steward
        """
        steward = self.sudo().with_company(company).steward_id
        if not steward or steward != self.env.user:
            require_group(self.env, constants.GROUP_APPROVER)

    def _candidates(self, company):
        """Return the records that codes of this domain can stand for, as a domain."""
        self.ensure_one()
        model = self.env[self.target_model]
        if self.is_vocabulary:
            return [("domain_id", "=", self.id)]
        if model._fields.keys() & {"company_id", "company_ids"}:
            return list(model._check_company_domain(company))
        return []

    def _records_of(self, company):
        """Return the model of the domain's records, with the company's eyes."""
        self.ensure_one()
        return self.env[self.target_model].with_company(company)

    def _find_record(self, company, text):
        """Return the records whose Odoo code or name is ``text``.

        :return: of the first field in which any agrees; more than one is ambiguous
        """
        self.ensure_one()
        records = self._records_of(company)
        found = records.browse()
        for name in TARGETS[self.target_model]:
            found = records.search(
                [(name, "=", text), *self._candidates(company)], limit=2
            )
            if found:
                break
        return found
