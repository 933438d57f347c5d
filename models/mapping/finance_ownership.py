from odoo import api, fields, models, tools
from odoo.exceptions import UserError, ValidationError

from ..ledger.errors import CommandError, CommandHeld

DATA_DOMAINS = [
    ("invoices", "Invoices and Bills"),
    ("journals", "Journal Entries"),
    ("counterparties", "Counterparties"),
    ("exposure", "Exposure"),
    ("bank_transactions", "Bank Transactions"),
    ("statutory_postings", "Statutory Postings"),
    ("customer_balances", "Customer Balances"),
    ("cash_application", "Cash Application"),
]
# Those that can differ from journal to journal.
JOURNAL_DOMAINS = {"journals", "bank_transactions", "statutory_postings"}


class FinanceOwnership(models.Model):
    """Which system has the say over a kind of data in a company."""

    _name = "finance.ownership"
    _description = "Finance Data Ownership"
    _inherit = ["finance.remembered", "mail.thread"]
    _order = "company_id, domain, journal_id"
    _rec_name = "domain"
    _check_company_auto = True

    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    domain = fields.Selection(DATA_DOMAINS, string="Data", required=True, tracking=True)
    journal_id = fields.Many2one(
        "account.journal",
        string="Only Journal",
        check_company=True,
        ondelete="cascade",
        help="Where systems own different journals, such as one bank each. Empty: "
        "all journals that have no line of their own.",
    )
    connector_id = fields.Many2one(
        "finance.connector",
        string="Owning System",
        check_company=True,
        ondelete="restrict",
        tracking=True,
        help="The system that has the say. Empty: Odoo itself.",
    )
    owner_name = fields.Char(string="Owner", compute="_compute_owner_name")
    direction = fields.Selection(
        [
            ("in", "Into Odoo"),
            ("out", "Out of Odoo"),
            ("both", "Both Ways"),
        ],
        compute="_compute_direction",
        store=True,
        precompute=True,
        readonly=False,
        required=True,
        tracking=True,
        help="Which way changes travel: from the owner to those who copy it.",
    )
    conflict_policy = fields.Selection(
        [
            ("reject", "Reject"),
            ("queue", "Ask a Person"),
        ],
        string="If Another System Writes",
        required=True,
        default="reject",
        tracking=True,
        help="Reject: its command fails and an exception says so. Ask a person: it "
        "waits until two people apply it once, or somebody rejects it.",
    )
    note = fields.Text(help="Why it is so, and what was agreed with the others.")

    _domain_unique = models.UniqueIndex(
        "(company_id, domain, COALESCE(journal_id, 0))",
        "The owner of this data is set already.",
    )

    # === COMPUTES === #

    @api.depends("domain", "journal_id")
    def _compute_display_name(self):
        labels = dict(self._fields["domain"]._description_selection(self.env))
        for ownership in self:
            names = [labels.get(ownership.domain), ownership.journal_id.display_name]
            ownership.display_name = ": ".join(filter(None, names))

    @api.depends("connector_id.name")
    def _compute_owner_name(self):
        for ownership in self:
            ownership.owner_name = ownership.connector_id.name or "Odoo"

    @api.depends("connector_id")
    def _compute_direction(self):
        for ownership in self:
            ownership.direction = "in" if ownership.connector_id else "out"

    # === CONSTRAINTS === #

    @api.constrains("journal_id", "domain")
    def _check_journal(self):
        for ownership in self:
            if ownership.journal_id and ownership.domain not in JOURNAL_DOMAINS:
                raise ValidationError(
                    self.env._(
                        "This kind of data has one owner for the whole company; "
                        "leave the journal empty."
                    )
                )

    # === BUSINESS METHODS === #

    @api.model
    def _check(self, connector, domain, journal=None):
        """Refuse a command of a system that does not own what it would change.

        Without a line for the data nobody owns it, and everybody may write.

        :param connector: the ``finance.connector`` whose command it is
        :param str domain: one of ``DATA_DOMAINS``
        :param journal: the ``account.journal`` it is about, if any
        :raise CommandError: D-OWNERSHIP, if the policy is to reject
        :raise CommandHeld: D-OWNERSHIP, if a person is to be asked
        """
        ownership = self._of(connector.company_id, domain, journal)
        if not ownership or ownership.connector_id == connector:
            return
        message = self.env._(
            "%(owner)s owns this data (%(data)s) in %(company)s, so “%(system)s” can't "
            "change it. Have it changed in the owning system, or change the ownership "
            "under Master Data.",
            owner=ownership.owner_name,
            data=dict(ownership._fields["domain"]._description_selection(self.env))[
                domain
            ],
            company=ownership.company_id.name,
            system=connector.name,
        )
        if ownership.conflict_policy == "reject":
            raise CommandError("D-OWNERSHIP", message)
        conflicts = self.env["finance.ownership.conflict"].sudo()
        if conflicts._is_allowed(self.env.context.get("finance_command_id"), ownership):
            return
        raise CommandHeld(
            "D-OWNERSHIP",
            message,
            lambda command: conflicts._ask(command, ownership, message),
        )

    @api.model
    def _of(self, company, domain, journal=None):
        """Return who owns a kind of data, empty if nothing was said about it."""
        owners = self._owners().get((company.id, domain))
        if not owners:
            return self.sudo().browse()
        found = owners.get(journal.id) if journal else None
        return self.sudo().browse(found or owners.get(False))

    @api.model
    @tools.ormcache()
    def _owners(self):
        """Return {(company id, domain): {journal id or False: id}}."""
        owners = {}
        for ownership in self.sudo().search([]):
            key = ownership.company_id.id, ownership.domain
            owners.setdefault(key, {})[ownership.journal_id.id] = ownership.id
        return owners

    # === MIRRORS === #

    @api.model
    def _mirrored(self, domain):
        """Return the ids of the systems that own such data in any company.

        Costs nothing where nobody said anything about ownership.
        """
        return self._owners_by_domain().get(domain, frozenset())

    @api.model
    @tools.ormcache()
    def _owners_by_domain(self):
        owners = {}
        for ownership in self.sudo().search([("connector_id", "!=", False)]):
            owners.setdefault(ownership.domain, set()).add(ownership.connector_id.id)
        return {domain: frozenset(ids) for domain, ids in owners.items()}

    @api.model
    def _owner_of(self, company, domain, journal=None):
        """Return the connector that owns the data; empty if it is Odoo or nobody."""
        if not self._mirrored(domain):
            return self.env["finance.connector"].sudo()
        return self._of(company, domain, journal).connector_id

    @api.model
    def _refuse(self, connector, what):
        """Tell a person that another system has the say.

        :param str what: that can't be changed here, such as a partner's name
        :raise UserError: always
        """
        raise UserError(
            self.env._(
                "“%(what)s” is kept in %(system)s, and Odoo only mirrors it. Change it "
                "in %(system)s; the change then comes here by itself.",
                what=what,
                system=connector.name,
            )
        )
