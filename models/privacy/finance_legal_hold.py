from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from .. import clock, constants
from ..access import create_guarded, refuse_fields, require_group

GUARDED = {
    "state": "draft",
    "placed_by_id": False,
    "placed_at": False,
    "lifted_by_id": False,
    "lifted_at": False,
}
SCOPE = (
    "company_id",
    "partner_id",
    "connector_id",
    "correlation_id",
    "date_from",
    "date_to",
)
# While it is in force only these may still be written.
OPEN_FIELDS = {"lift_reason", "review_on", "message_follower_ids"}
DECIDERS = (constants.GROUP_ADMINISTRATOR, constants.GROUP_APPROVER)


class FinanceLegalHold(models.Model):
    """What must be kept although its retention time is over.

    Nothing that a hold in force covers is archived, removed or pseudonymised: events,
    deliveries, attempts, batches, messages, commands, transactions, audit entries. All
    that is entered of the scope has to agree; what is left empty is not asked for.
    """

    _name = "finance.legal.hold"
    _description = "Finance Legal Hold"
    _inherit = ["mail.thread"]
    _order = "id desc"

    name = fields.Char(required=True, tracking=True)
    reason = fields.Text(
        required=True, help="Why it has to be kept, such as a law suit or an audit."
    )
    ordered_by = fields.Char(
        required=True,
        tracking=True,
        help="Who ordered it: a court, an authority, your counsel; with the file "
        "number, if there is one.",
    )
    state = fields.Selection(
        [("draft", "Draft"), ("active", "In Force"), ("lifted", "Lifted")],
        required=True,
        default="draft",
        readonly=True,
        copy=False,
        tracking=True,
    )
    review_on = fields.Date(
        string="Look at It Again On",
        help="Reminds of it; a hold never ends by itself.",
    )
    company_id = fields.Many2one("res.company", default=lambda self: self.env.company)
    partner_id = fields.Many2one(
        "res.partner",
        string="Counterparty",
        help="With all addresses and contacts of the same company.",
    )
    connector_id = fields.Many2one("finance.connector", check_company=True)
    correlation_id = fields.Char(help="Of one case, as a trace shows it.")
    date_from = fields.Date(string="From", help="What happened on this day or later.")
    date_to = fields.Date(string="To", help="What happened on this day or earlier.")
    placed_by_id = fields.Many2one("res.users", readonly=True, copy=False)
    placed_at = fields.Datetime(string="Placed", readonly=True, copy=False)
    lifted_by_id = fields.Many2one("res.users", readonly=True, copy=False)
    lifted_at = fields.Datetime(string="Lifted On", readonly=True, copy=False)
    lift_reason = fields.Text(
        string="Why It May Be Lifted", copy=False, help="Needed before it is lifted."
    )
    line_ids = fields.Many2many(
        "finance.purge.line", string="Kept Back", compute="_compute_line_ids"
    )

    _active_idx = models.Index("(id) WHERE state = 'active'")

    # === COMPUTES === #

    def _compute_line_ids(self):
        lines = self.env["finance.purge.line"]
        for hold in self:
            hold.line_ids = lines.search(
                [("hold_ids", "in", hold.ids)], limit=constants.HOLD_LINES_SHOWN
            )

    # === CONSTRAINTS === #

    @api.constrains(*SCOPE)
    def _check_scope(self):
        for hold in self:
            if not any(hold[name] for name in SCOPE):
                raise ValidationError(
                    self.env._(
                        "Say what is to be kept: a company, a counterparty, a "
                        "connector, a case or a time."
                    )
                )
            if hold.date_from and hold.date_to and hold.date_from > hold.date_to:
                raise ValidationError(self.env._("“From” is later than “To”."))

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):
        return super().create(create_guarded(self.env, vals_list, GUARDED))

    def write(self, vals):
        refuse_fields(self.env, vals, GUARDED.keys())
        if not self.env.su and any(hold.state != "draft" for hold in self):
            locked = set(vals) - OPEN_FIELDS
            if locked:
                raise UserError(
                    self.env._(
                        "A hold that was placed is not changed. Place another one, "
                        "then have this one lifted."
                    )
                )
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_only_draft(self):
        if any(hold.state != "draft" for hold in self):
            raise UserError(
                self.env._("A hold that was placed is kept; have it lifted instead.")
            )

    # === ACTIONS === #

    def action_place(self):
        """Put the hold in force at once."""
        require_group(self.env, *DECIDERS)
        self.check_access("write")
        for hold in self:
            if hold.state != "draft":
                raise UserError(self.env._("“%s” was placed before.", hold.name))
        self.sudo().write(
            {
                "state": "active",
                "placed_by_id": self.env.user.id,
                "placed_at": clock.naive_now(),
            }
        )
        return True

    def action_lift(self):
        """End the hold: the decision of somebody else than who placed it."""
        require_group(self.env, *DECIDERS)
        self.check_access("write")
        for hold in self:
            if hold.state != "active":
                raise UserError(self.env._("“%s” is not in force.", hold.name))
            if self.env.user in (hold.placed_by_id, hold.create_uid):
                raise UserError(
                    self.env._(
                        "You placed “%s”, so somebody else has to lift it.", hold.name
                    )
                )
            if not (hold.lift_reason or "").strip():
                raise UserError(
                    self.env._("Say first why “%s” may be lifted.", hold.name)
                )
        self.sudo().write(
            {
                "state": "lifted",
                "lifted_by_id": self.env.user.id,
                "lifted_at": clock.naive_now(),
            }
        )
        return True

    # === BUSINESS METHODS === #

    @api.model
    def _in_force(self):
        """Return the holds in force, of every company."""
        return self.sudo().search([("state", "=", "active")])

    def _partners(self):
        """Return the ids of the partners that the hold is about."""
        self.ensure_one()
        partner = self.partner_id.commercial_partner_id
        return (
            self.env["res.partner"]
            .sudo()
            .with_context(active_test=False)
            .search([("id", "child_of", partner.ids)])
            .ids
        )

    def _company(self):
        """Return the company whose rows are kept; empty for all."""
        self.ensure_one()
        return self.company_id or self.connector_id.company_id

    @api.model
    def _cron_review(self):
        """Remind of holds that somebody wanted to look at again."""
        today = clock.now().date()
        for hold in self._in_force().filtered(
            lambda hold: hold.review_on and hold.review_on <= today
        ):
            hold.message_post(
                body=self.env._(
                    "Is this hold still needed? It was to be looked at on %s.",
                    hold.review_on,
                ),
                partner_ids=hold.placed_by_id.partner_id.ids,
            )
            hold.review_on = False
