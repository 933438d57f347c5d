import ast

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain

from .. import constants
from ..windows import list_of

# What a policy can be about: {kind: (field that says so, model of its records)}.
KINDS = {
    "customer_invoice": ("on_customer_invoice", "account.move"),
    "vendor_bill": ("on_vendor_bill", "account.move"),
    "credit_note": ("on_credit_note", "account.move"),
    "journal_entry": ("on_journal_entry", "account.move"),
    "payment": ("on_payment", "account.payment"),
    "posting_request": ("on_posting_request", None),
    # Where the sales app is installed, see ``posting.sale_order``.
    "sales_order": ("on_sales_order", "sale.order"),
}
CONTENT = {
    "name",
    "company_id",
    *(field for field, _model in KINDS.values()),
    "amount_from",
    "currency_id",
    "partner_ids",
    "category_ids",
    "country_ids",
    "connector_ids",
    "domain",
    "effect",
    "expire_hours",
    "hold_kind",
    "hold_topic",
    "step_ids",
}


class FinancePolicy(models.Model):
    """What needs whose consent, or which verdict, before it is posted."""

    _name = "finance.policy"
    _description = "Finance Policy"
    _inherit = ["finance.remembered", "finance.versioned"]
    _order = "company_id, name, version desc, id"
    _check_company_auto = True
    _state_in_force = "active"
    # Without it less is stopped, which is a decision like putting it in force.
    _retired_by = constants.GROUP_APPROVER
    _retired_from = ("active",)

    state = fields.Selection(
        selection_add=[("in_review",), ("active", "Active"), ("retired",)],
        ondelete={"active": "set default"},
    )
    name = fields.Char(
        string="Policy",
        required=True,
        help="As people read it on a document: “Bills above 10,000”.",
    )
    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    previous_id = fields.Many2one(
        "finance.policy", string="Replaces", readonly=True, copy=False, index=True
    )
    # === CONDITIONS === #
    on_customer_invoice = fields.Boolean("Customer Invoices")
    on_vendor_bill = fields.Boolean("Vendor Bills")
    on_credit_note = fields.Boolean("Credit Notes", help="Of customers and vendors.")
    on_journal_entry = fields.Boolean(
        "Journal Entries",
        help="Made by people. What follows from payments, bank lines and matching "
        "needs no consent of its own.",
    )
    on_payment = fields.Boolean(
        "Payments",
        help="That go out. Money that comes in has come in already.",
    )
    on_posting_request = fields.Boolean(
        "Posting Requests", help="Entries that other systems ask for."
    )
    on_sales_order = fields.Boolean(
        "Sales Orders", help="Their confirmation, which then waits for a verdict."
    )
    has_orders = fields.Boolean(compute="_compute_has_orders")
    amount_from = fields.Monetary(
        string="From Amount",
        help="Tax included. Other currencies are compared at today's rate.",
    )
    currency_id = fields.Many2one(
        "res.currency",
        required=True,
        default=lambda self: self.env.company.currency_id,
    )
    partner_ids = fields.Many2many(
        "res.partner",
        "finance_policy_partner_rel",
        string="Counterparties",
        help="Empty: all.",
    )
    category_ids = fields.Many2many(
        "res.partner.category",
        "finance_policy_category_rel",
        string="Counterparties Tagged",
        help="With any of these tags. Empty: all.",
    )
    country_ids = fields.Many2many(
        "res.country",
        "finance_policy_country_rel",
        string="Countries",
        help="Of the counterparty. Empty: all.",
    )
    connector_ids = fields.Many2many(
        "finance.connector",
        "finance_policy_connector_rel",
        string="Systems",
        check_company=True,
        help="That sent the entry, or know the document by an id of theirs. Empty: "
        "all, and what people enter here.",
    )
    domain = fields.Char(
        string="Further Condition",
        help="A condition of Odoo on the document or payment.",
    )
    domain_model = fields.Char(compute="_compute_domain_model")
    # === EFFECT === #
    effect = fields.Selection(
        [("approval", "Needs Approval"), ("hold", "Waits for a Verdict")],
        required=True,
        default="approval",
    )
    expire_hours = fields.Integer(
        string="Expires After (Hours)",
        help="An approval that nobody gave by then ends; a hold is reported as "
        "overdue and goes on. 0: never.",
    )
    hold_kind = fields.Selection(
        [
            ("risk", "Risk"),
            ("exposure", "Exposure"),
            ("order", "Order"),
        ],
        default="risk",
        help="What is waited for: the verdict of a risk system, the calculation of "
        "the exposure, or, for sales orders, the capture of the payment.",
    )
    hold_topic = fields.Char(help="As the other system names it: fraud, sanctions…")
    step_ids = fields.One2many("finance.policy.step", "policy_id", copy=True)
    approval_ids = fields.Many2many(
        "finance.approval", "finance_approval_policy_rel", copy=False, readonly=True
    )
    approval_count = fields.Integer(compute="_compute_approval_count")

    _amount_positive = models.Constraint(
        "CHECK (amount_from >= 0)", "An amount can't be negative."
    )
    _hours_positive = models.Constraint(
        "CHECK (expire_hours >= 0)", "Hours can't be negative."
    )

    # === COMPUTES === #

    @api.depends("name", "version")
    def _compute_display_name(self):
        for policy in self:
            policy.display_name = policy.name or self.env._("New Policy")

    @api.depends(*(field for field, _model in KINDS.values()))
    def _compute_domain_model(self):
        for policy in self:
            found = policy._models()
            policy.domain_model = found.pop() if len(found) == 1 else False

    def _compute_has_orders(self):
        self.has_orders = "sale.order" in self.env

    def _compute_approval_count(self):
        for policy in self:
            policy.approval_count = len(policy.sudo().approval_ids)

    # === CONSTRAINTS === #

    @api.constrains("domain", *(field for field, _model in KINDS.values()))
    def _check_domain(self):
        for policy in self.filtered("domain"):
            if policy.on_posting_request or policy.domain_model not in self.env:
                raise ValidationError(
                    self.env._(
                        "A further condition works on documents or on payments, not "
                        "on several kinds at once. Make a policy for each."
                    )
                )
            records = self.env[policy.domain_model].sudo()
            try:
                records.search(Domain(policy._parsed_domain()), limit=1)
            except Exception as error:
                # Whatever is wrong with it shows up in one of many exceptions.
                raise ValidationError(
                    self.env._("The further condition can't be read: %s", error)
                ) from error

    # === ACTIONS === #

    def action_open_approvals(self):
        """Show what was asked for because of the policy."""
        self.ensure_one()
        self.check_access("read")
        return list_of(
            self.env, "finance_approval_action", [("policy_ids", "in", self.ids)]
        )

    # === HOOKS === #

    @api.model
    def _reviewed_fields(self):
        return CONTENT

    def _missing(self):
        """Return what it lacks to stop anything, and not for ever."""
        missing = []
        if not self._kinds():
            missing.append(self.env._("what it is about"))
        if self.effect == "approval":
            if not self.step_ids:
                missing.append(self.env._("at least one step"))
            if self.step_ids and not any(
                not step.amount_from or step.amount_from <= self.amount_from
                for step in self.step_ids
            ):
                missing.append(
                    self.env._("a step that counts from the policy's own amount on")
                )
            for step in self.step_ids:
                people = len(step._people(self.company_id))
                if people < step.consents:
                    missing.append(
                        self.env._(
                            "for step “%(step)s” %(needed)s people with the role of "
                            "an approver (there are %(found)s)",
                            step=step.name,
                            needed=step.consents,
                            found=people,
                        )
                    )
        if self.on_sales_order and self.effect != "hold":
            missing.append(
                self.env._("the effect “Waits for a Verdict”, as it is about orders")
            )
        waits_for_capture = self.effect == "hold" and self.hold_kind == "order"
        if waits_for_capture and self._kinds() != ["sales_order"]:
            missing.append(
                self.env._("sales orders alone, as it waits for a payment's capture")
            )
        return missing

    # === BUSINESS METHODS === #

    def _kinds(self):
        self.ensure_one()
        return [kind for kind, (field, _model) in KINDS.items() if self[field]]

    def _models(self):
        return {KINDS[kind][1] for kind in self._kinds()} - {None}

    def _parsed_domain(self):
        """Return the further condition as a list.

        Only literals are read: nothing that a person enters here is evaluated.
        """
        self.ensure_one()
        return ast.literal_eval(self.domain) if self.domain else []
