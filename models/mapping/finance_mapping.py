from datetime import date as Date
from datetime import timedelta

from odoo import api, fields, models, tools
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain

from .. import clock, constants
from ..access import create_guarded, expect_state, refuse_fields, require_group
from .errors import Unmapped, mapping_key
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
    _inherit = ["mail.thread", "mail.activity.mixin"]
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
        mappings = super().create(create_guarded(self.env, vals_list, GUARDED))
        self.env.registry.clear_cache()
        return mappings

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
        result = super().write(vals)
        self.env.registry.clear_cache()
        return result

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

    def action_propose(self):
        """Ask for approval."""
        require_group(self.env, constants.GROUP_OPERATOR, constants.GROUP_ADMINISTRATOR)
        for mapping in self:
            mapping._expect_state("draft")
            if not mapping.sudo()._record():
                raise UserError(
                    self.env._(
                        "Choose what “%s” stands for in Odoo first.", mapping.code
                    )
                )
        self.sudo().write({"state": "proposed", "proposed_by_id": self.env.user.id})
        for mapping in self.filtered("steward_id"):
            if mapping.steward_id != self.env.user:
                mapping.sudo().activity_schedule(
                    "mail.mail_activity_data_todo",
                    summary=self.env._("Approve or reject the mapping"),
                    user_id=mapping.steward_id.id,
                )
        return True

    def action_approve(self):
        """Put mappings in force that somebody else proposed.

        What waited for them is processed.
        """
        for mapping in self:
            mapping.domain_id._require_steward(mapping.company_id)
            mapping._expect_state("proposed")
            if self.env.user in (mapping.proposed_by_id, mapping.create_uid):
                raise UserError(
                    self.env._(
                        "You made or proposed “%s” yourself, so somebody else must "
                        "approve it.",
                        mapping.display_name,
                    )
                )
        self.sudo()._put_in_force(self.env.user)
        return True

    def action_reject(self):
        """Send proposals back."""
        for mapping in self:
            mapping.domain_id._require_steward(mapping.company_id)
            mapping._expect_state("proposed")
        self.sudo().write({"state": "draft"})
        self.sudo()._end_activities()
        return True

    def action_retire(self):
        """Take mappings out of force, for past days, too."""
        for mapping in self:
            mapping.domain_id._require_steward(mapping.company_id)
            mapping._expect_state("approved")
        self.sudo().write({"state": "retired"})
        return True

    def action_new_version(self):
        """Open a draft that replaces this mapping once it is approved."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR, constants.GROUP_ADMINISTRATOR)
        self._expect_state("approved", "retired")
        newest = self.sudo()._versions()[-1:]
        if newest.state in ("draft", "proposed"):
            version = newest
        else:
            version = newest.copy(
                {
                    "valid_from": max(
                        clock.now().date(), newest.valid_from or Date.min
                    ),
                    "valid_to": False,
                    "is_temporary": False,
                    "version": newest.version + 1,
                    "previous_id": newest.id,
                }
            )
        return self._action_form(version)

    def action_open_versions(self):
        """Show all versions of the code."""
        self.ensure_one()
        self.check_access("read")
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "finance_hub.finance_mapping_action"
        )
        action["domain"] = [("id", "in", self.sudo()._versions().ids)]
        action["context"] = {}
        return action

    def action_open_target(self):
        """Open what the code stands for."""
        self.ensure_one()
        self.check_access("read")
        record = self._record()
        if not record:
            raise UserError(self.env._("Nothing is chosen yet."))
        return self._action_form(record)

    # === BUSINESS METHODS === #

    def _action_form(self, record):
        return {
            "type": "ir.actions.act_window",
            "res_model": record._name,
            "res_id": record.id,
            "views": [(False, "form")],
        }

    def _expect_state(self, *states):
        expect_state(self, *states)

    def _record(self):
        """Return what the code stands for; empty if nothing is chosen or it is gone."""
        self.ensure_one()
        if not self.res_model or not self.res_id:
            return self.browse()
        return self.domain_id._records_of(self.company_id).browse(self.res_id).exists()

    def _versions(self):
        """Return all versions of the same mapping, the first one first."""
        self.ensure_one()
        first = self
        while first.previous_id:
            first = first.previous_id
        found = layer = first
        while layer := self.search([("previous_id", "in", layer.ids)]):
            found |= layer
        return found.sorted("version")

    def _same_code(self):
        """Return the approved mappings of the same code of the same system."""
        return self.search(
            [
                ("company_id", "=", self.company_id.id),
                ("connector_id", "=", self.connector_id.id),
                ("domain_id", "=", self.domain_id.id),
                ("code", "=", self.code),
                ("state", "=", "approved"),
                ("id", "!=", self.id),
            ]
        )

    def _put_in_force(self, user):
        """Approve in the name of ``user``; earlier versions end the day before.

        :raise UserError: when another mapping of the code counts on the same days
        """
        now = clock.naive_now()
        for mapping in self:
            mapping._give_way()
            mapping.write(
                {"state": "approved", "approved_by_id": user.id, "approved_at": now}
            )
        # The constraint speaks here, not at the end of the transaction.
        self.flush_recordset()
        self._end_activities()
        for mapping in self:
            self.env["finance.unmapped"]._mapped(mapping)

    def _give_way(self):
        """End the earlier versions where this one begins."""
        begin, end = self.valid_from or Date.min, self.valid_to or Date.max
        earlier = self._versions() - self
        for other in self._same_code():
            if (other.valid_from or Date.min) > end or begin > (
                other.valid_to or Date.max
            ):
                continue
            if other not in earlier:
                raise UserError(
                    self.env._(
                        "“%(other)s” counts on some of the days of “%(new)s” and is "
                        "not an earlier version of it. Change the days, or open "
                        "that mapping and use New Version.",
                        other=other.display_name,
                        new=self.display_name,
                    )
                )
            if (other.valid_from or Date.min) < begin:
                other.valid_to = begin - timedelta(days=1)
            else:
                other.state = "retired"
        self.env.flush_all()

    def _end_activities(self):
        self.activity_unlink(["mail.mail_activity_data_todo"])

    # === RESOLVING === #

    @api.model
    def _resolve(self, connector, domain, code, date=None):
        """Return the record that a code of another system stands for.

        A mapping of the system itself outranks one for all systems of the company.

        :param connector: the ``finance.connector`` whose code it is
        :param str domain: name of a ``finance.mapping.domain``, such as ``account``
        :param str code: as the sender wrote it
        :param date: the accounting day; today if not given
        :return: one record of the domain's model, in the connector's company
        :raise Unmapped: D-UNMAPPED, when no approved mapping counts on that day; the
            command waits until there is one
        """
        kind = self.env["finance.mapping.domain"]._named(domain)
        company = connector.company_id
        record = self._resolve_or_empty(connector, kind, code, date)
        if record:
            return record
        day = date or clock.now().date()
        raise Unmapped(
            self.env._(
                "“%(code)s” of “%(system)s” (%(kind)s) stands for nothing in "
                "%(company)s on %(day)s. Map it under Master Data, Unmapped Codes; "
                "what waits is then processed by itself.",
                code=code,
                system=connector.name,
                kind=kind.sudo().title,
                company=company.sudo().name,
                day=day.isoformat(),
            ),
            connector,
            domain,
            code,
            day,
        )

    @api.model
    def _resolve_or_empty(self, connector, kind, code, date=None):
        """Return what :meth:`_resolve` does, or an empty recordset.

        :param kind: a ``finance.mapping.domain``
        """
        kind = kind.sudo()
        company = connector.company_id
        records = self.env[kind.target_model].with_company(company)
        # A counterparty's id needs no mapping once it is cross-referenced.
        if kind.name == "counterparty":
            found = self.env["finance.reference"]._find(
                connector, kind.target_model, code, date
            )
            if found:
                return records.browse(found.id)
        day = date or clock.now().date()
        for begin, end, res_id in self._in_force(
            company.id, connector.id, kind.id, code
        ):
            if (begin or Date.min) <= day <= (end or Date.max):
                record = records.browse(res_id).exists()
                if record:
                    return record
        if kind.is_standard:
            return kind._find_record(company, code)[:1].with_env(records.env)
        return records

    @api.model
    @tools.ormcache("company_id", "connector_id", "domain_id", "code")
    def _in_force(self, company_id, connector_id, domain_id, code):
        """Return ((first day, last day, id), …) of a code, the system's own first."""
        mappings = self.sudo().search(
            [
                ("company_id", "=", company_id),
                ("connector_id", "in", (connector_id, False)),
                ("domain_id", "=", domain_id),
                ("code", "=", code),
                ("state", "=", "approved"),
            ]
        )
        return tuple(
            (mapping.valid_from, mapping.valid_to, mapping.res_id)
            for mapping in mappings.sorted(lambda m: not m.connector_id)
        )

    # === ENDING === #

    @api.model
    def _cron_expiring(self):
        """Remind of temporary mappings that end soon and have no successor."""
        today = clock.now().date()
        ending = self.search(
            [
                ("state", "=", "approved"),
                ("is_temporary", "=", True),
                ("is_reminded", "=", False),
                ("valid_to", ">=", today),
                ("valid_to", "<=", today + constants.MAPPING_NOTICE),
            ]
        )
        for mapping in ending:
            if any(
                (other.valid_from or Date.min) > mapping.valid_to
                for other in mapping._same_code()
            ):
                continue
            steward = mapping.steward_id or mapping.connector_id.user_id
            mapping.activity_schedule(
                "mail.mail_activity_data_todo",
                date_deadline=mapping.valid_to,
                summary=self.env._("Temporary mapping ends: %s", mapping.display_name),
                note=self.env._(
                    "From the day after on, what uses the code waits as unmapped. "
                    "Make a new version, or see that the code is no longer sent."
                ),
                user_id=(steward or mapping.approved_by_id or self.env.user).id,
            )
            mapping.is_reminded = True

    def _keys(self, connectors):
        """Return the keys by which commands of ``connectors`` wait for this."""
        self.ensure_one()
        return [
            mapping_key(connector, self.domain_id.name, self.code)
            for connector in connectors
        ]
