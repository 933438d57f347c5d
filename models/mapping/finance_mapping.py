from datetime import date as Date

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain

from .. import clock
from ..access import create_guarded, refuse_fields
from ..windows import window_of
from .errors import mapping_key
from .finance_mapping_domain import TARGETS

# Fields that move by the buttons alone, and the value that a new record has.
GUARDED = {
    "state": "draft",
    "version": 1,
    "previous_id": False,
    "proposed_by_id": False,
    "approved_by_id": False,
    "approved_at": False,
    "is_reminded": False,
}
# What a mapping says; once somebody has been asked to approve it, this stays.
CONTENT = {
    "company_id",
    "connector_id",
    "domain_id",
    "code",
    "res_id",
    "target_code",
    "valid_from",
    "valid_to",
    "is_temporary",
    "parent_id",
}


class FinanceMapping(models.Model):
    """What a code of another system stands for in Odoo, and from when to when."""

    _name = "finance.mapping"
    _description = "Finance Mapping"
    _inherit = ["finance.remembered", "mail.thread", "mail.activity.mixin"]
    _order = "domain_id, code, valid_from desc, version desc, id desc"
    _rec_names_search = ["code"]
    _check_company_auto = True

    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    connector_id = fields.Many2one(
        "finance.connector",
        string="System",
        check_company=True,
        index=True,
        ondelete="restrict",
        help="The system whose code it is. Empty: every system of the company that "
        "has no mapping of its own for the code.",
    )
    domain_id = fields.Many2one(
        "finance.mapping.domain",
        string="Kind of Code",
        required=True,
        index=True,
        ondelete="restrict",
    )
    code = fields.Char(
        string="External Code",
        required=True,
        tracking=True,
        help="Exactly as the other system sends it.",
    )
    res_model = fields.Selection(
        related="domain_id.target_model", string="Stands For (Kind)", store=True
    )
    res_id = fields.Many2oneReference(
        string="Stands For", model_field="res_model", tracking=True
    )
    target_code = fields.Char(
        string="Odoo Code",
        compute="_compute_target",
        inverse="_inverse_target_code",
        compute_sudo=True,
        help="Code or name of the record in Odoo; for imports and exports.",
    )
    target_name = fields.Char(
        string="In Odoo", compute="_compute_target", compute_sudo=True
    )
    valid_from = fields.Date(
        tracking=True, help="First day on which it counts. Empty: always has."
    )
    valid_to = fields.Date(
        tracking=True, help="Last day on which it counts. Empty: until further notice."
    )
    is_temporary = fields.Boolean(
        string="Temporary",
        help="Serves a transition only. It needs a last day, and its steward is "
        "reminded before.",
    )
    is_reminded = fields.Boolean(readonly=True, copy=False)
    parent_id = fields.Many2one(
        "finance.mapping",
        string="Above",
        check_company=True,
        domain="[('domain_id', '=', domain_id), ('company_id', '=', company_id)]",
        help="The code above this one in the other system's hierarchy, such as the "
        "group of an account or the division of a cost centre.",
    )
    child_ids = fields.One2many("finance.mapping", "parent_id", "Below")
    difference_note = fields.Text(
        string="Difference",
        help="Where the other system values or recognises this differently.",
    )
    state = fields.Selection(
        [
            ("draft", "Draft"),
            ("proposed", "Proposed"),
            ("approved", "Approved"),
            ("retired", "Retired"),
        ],
        required=True,
        default="draft",
        readonly=True,
        copy=False,
        tracking=True,
    )
    is_current = fields.Boolean(
        string="In Force", compute="_compute_is_current", search="_search_is_current"
    )
    version = fields.Integer(default=1, readonly=True, copy=False)
    previous_id = fields.Many2one(
        "finance.mapping", string="Replaces", readonly=True, copy=False, index=True
    )
    proposed_by_id = fields.Many2one("res.users", readonly=True, copy=False)
    approved_by_id = fields.Many2one("res.users", readonly=True, copy=False)
    approved_at = fields.Datetime(readonly=True, copy=False)
    steward_id = fields.Many2one("res.users", compute="_compute_steward_id")

    # One counterpart for a code on a day. The key is hashed into a range, because
    # equality in such a constraint needs an extension that not every server has.
    _approved_no_overlap = models.Constraint(
        """EXCLUDE USING gist (
            int8range(
                hashtextextended(
                    company_id::text || ':' || COALESCE(connector_id, 0)::text
                    || ':' || domain_id::text || ':' || code, 0),
                hashtextextended(
                    company_id::text || ':' || COALESCE(connector_id, 0)::text
                    || ':' || domain_id::text || ':' || code, 0),
                '[]') WITH &&,
            daterange(valid_from, valid_to, '[]') WITH &&
        ) WHERE (state = 'approved')""",
        "Another approved mapping of this code counts on some of the same days.",
    )
    _days_in_order = models.Constraint(
        "CHECK (valid_to >= valid_from)", "The last day is before the first."
    )
    _lookup_idx = models.Index("(company_id, domain_id, code) WHERE state = 'approved'")

    # === COMPUTES === #

    @api.depends("code", "target_name")
    def _compute_display_name(self):
        for mapping in self:
            mapping.display_name = (
                f"{mapping.code} → {mapping.target_name or '?'}"
                if mapping.code
                else self.env._("New Mapping")
            )

    @api.depends("res_id", "res_model")
    def _compute_target(self):
        for mapping in self:
            record = mapping._record()
            mapping.target_name = record.display_name if record else False
            mapping.target_code = False
            if record:
                names = TARGETS[record._name]
                mapping.target_code = next(
                    (record[name] for name in names if record[name]),
                    record.display_name,
                )

    def _inverse_target_code(self):
        for mapping in self.filtered("target_code"):
            found = mapping.domain_id._find_record(
                mapping.company_id, mapping.target_code
            )
            if len(found) != 1:
                reason = (
                    self.env._("several records of Odoo have it")
                    if found
                    else self.env._("no record of Odoo has it")
                )
                raise ValidationError(
                    self.env._(
                        "“%(target)s” can't be what “%(code)s” stands for: %(reason)s "
                        "(%(kind)s).",
                        target=mapping.target_code,
                        code=mapping.code,
                        reason=reason,
                        kind=mapping.domain_id.title,
                    )
                )
            mapping.res_id = found.id

    @api.depends("state", "valid_from", "valid_to")
    def _compute_is_current(self):
        today = clock.now().date()
        for mapping in self:
            mapping.is_current = (
                mapping.state == "approved"
                and (mapping.valid_from or Date.min) <= today
                and today <= (mapping.valid_to or Date.max)
            )

    def _search_is_current(self, operator, value):
        if operator != "in":
            return NotImplemented
        today = clock.now().date()
        domain = Domain(
            [
                ("state", "=", "approved"),
                "|",
                ("valid_from", "=", False),
                ("valid_from", "<=", today),
                "|",
                ("valid_to", "=", False),
                ("valid_to", ">=", today),
            ]
        )
        wanted = set(value)
        if wanted == {True}:
            return domain
        return ~domain if wanted == {False} else Domain.TRUE

    @api.depends("domain_id", "company_id")
    def _compute_steward_id(self):
        for mapping in self:
            mapping.steward_id = mapping.domain_id.with_company(
                mapping.company_id
            ).steward_id

    # === CONSTRAINTS === #

    @api.constrains("res_id", "domain_id", "company_id")
    def _check_target(self):
        for mapping in self.sudo().filtered("res_id"):
            record = mapping._record()
            allowed = record.filtered_domain(
                mapping.domain_id._candidates(mapping.company_id)
            )
            if not allowed:
                raise ValidationError(
                    self.env._(
                        "“%(target)s” can't be used in %(company)s as a counterpart "
                        "of “%(code)s” (%(kind)s).",
                        target=record.display_name or mapping.res_id,
                        company=mapping.company_id.name,
                        code=mapping.code,
                        kind=mapping.domain_id.title,
                    )
                )

    @api.constrains("is_temporary", "valid_to")
    def _check_temporary(self):
        for mapping in self:
            if mapping.is_temporary and not mapping.valid_to:
                raise ValidationError(
                    self.env._(
                        "A temporary mapping needs a last day: “%s”.", mapping.code
                    )
                )

    @api.constrains("parent_id")
    def _check_parent(self):
        if self._has_cycle():
            raise ValidationError(self.env._("A code can't be above itself."))

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):
        return super().create(create_guarded(self.env, vals_list, GUARDED))

    def write(self, vals):
        refuse_fields(self.env, vals, GUARDED.keys())
        if not self.env.su and not CONTENT.isdisjoint(vals):
            for mapping in self:
                if mapping.state != "draft":
                    raise UserError(
                        self.env._(
                            "“%s” is no draft any more, so it stays as it is. Use "
                            "New Version to change it.",
                            mapping.display_name,
                        )
                    )
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_only_draft(self):
        if any(mapping.state != "draft" for mapping in self):
            raise UserError(
                self.env._(
                    "A mapping that was proposed or in force is kept as history. "
                    "Retire it instead of deleting it."
                )
            )

    @api.model
    def get_import_templates(self):
        """Return the file that Odoo's import screen offers to begin with."""
        return [
            {
                "label": self.env._("Import Template for Mappings"),
                "template": "/finance_hub/static/import/finance_mapping.csv",
            }
        ]

    # === ACTIONS === #

    def action_open_target(self):
        """Open what the code stands for."""
        self.ensure_one()
        self.check_access("read")
        record = self._record()
        if not record:
            raise UserError(self.env._("Nothing is chosen yet."))
        return window_of(record)

    # === BUSINESS METHODS === #

    def _record(self):
        """Return what the code stands for; empty if nothing is chosen or it is gone."""
        self.ensure_one()
        if not self.res_model or not self.res_id:
            return self.browse()
        return self.domain_id._records_of(self.company_id).browse(self.res_id).exists()

    def _keys(self, connectors):
        """Return the keys by which commands of ``connectors`` wait for this."""
        self.ensure_one()
        return [
            mapping_key(connector, self.domain_id.name, self.code)
            for connector in connectors
        ]
