from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import UserError

from .. import clock
from .. import constants as hub
from ..access import require_group
from ..windows import window_of
from . import constants


class FinanceAccessReview(models.Model):
    """Who holds what, looked through once a quarter: kept as it was found.

    Each line is certified or revoked by an approver, with a reason, and never by the
    person that it is about. Reviews are never deleted.
    """

    _name = "finance.access.review"
    _description = "Finance Access Review"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "quarter desc, id desc"

    name = fields.Char(required=True, readonly=True)
    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, index=True
    )
    quarter = fields.Date(
        string="Quarter From", required=True, readonly=True, help="Its first day."
    )
    due_on = fields.Date(string="Due", required=True, readonly=True)
    state = fields.Selection(
        [("open", "Under Review"), ("done", "Done")],
        required=True,
        default="open",
        readonly=True,
        tracking=True,
    )
    done_at = fields.Datetime(readonly=True)
    line_ids = fields.One2many("finance.access.review.line", "review_id", "Accesses")
    line_count = fields.Integer(string="Accesses in All", compute="_compute_counts")
    pending_count = fields.Integer(string="To Decide", compute="_compute_counts")
    revoked_count = fields.Integer(string="Revoked", compute="_compute_counts")
    is_overdue = fields.Boolean(compute="_compute_counts")

    _quarter_unique = models.UniqueIndex(
        "(company_id, quarter)", "There is a review of this quarter already."
    )

    @api.depends("line_ids.decision", "state", "due_on")
    def _compute_counts(self):
        today = clock.now().date()
        for review in self:
            decisions = review.line_ids.mapped("decision")
            review.line_count = len(decisions)
            review.pending_count = decisions.count("pending")
            review.revoked_count = decisions.count("revoked")
            review.is_overdue = bool(
                review.state == "open" and review.due_on and review.due_on < today
            )

    # === CRUD === #

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("Access reviews are kept as evidence."))

    # === ACTIONS === #

    @api.model
    def action_begin(self):
        """Begin the review of this quarter, if it was not begun yet."""
        require_group(self.env, hub.GROUP_APPROVER, hub.GROUP_AUDITOR)
        review = self.sudo()._begin(self.env.company)
        return window_of(review)

    def action_open_lines(self):
        """Open all accesses of the review."""
        self.ensure_one()
        self.check_access("read")
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "finance_hub.finance_access_review_line_action"
        )
        action["domain"] = [("review_id", "=", self.id)]
        return action

    # === BUSINESS METHODS === #

    @api.model
    def _cron_tend(self):
        """Begin each quarter's reviews, and tell of those that are overdue."""
        connectors = self.env["finance.connector"]._read_group(
            [("state", "!=", "retired")], ["company_id"]
        )
        for (company,) in connectors:
            self._begin(company)
        late = self.search(
            [("state", "=", "open"), ("due_on", "<", clock.now().date())]
        )
        for review in late:
            review._report_overdue()

    @api.model
    def _begin(self, company):
        """Return the review of the present quarter; it is made if there is none."""
        today = clock.now().date()
        first = today.replace(day=1, month=today.month - (today.month - 1) % 3)
        known = self.search(
            [("company_id", "=", company.id), ("quarter", "=", first)], limit=1
        )
        if known:
            return known
        self.env.flush_all()
        lines = self.env["finance.access.line"].search(
            [("company_id", "=", company.id)]
        )
        review = self.create(
            {
                "name": self.env._(
                    "Access review %(year)s, quarter %(number)s",
                    year=first.year,
                    number=(first.month + 2) // 3,
                ),
                "company_id": company.id,
                "quarter": first,
                "due_on": min(
                    today + constants.REVIEW_DUE,
                    first + relativedelta(months=3, days=-1),
                ),
                "line_ids": [
                    fields.Command.create(self._line_values(line)) for line in lines
                ],
            }
        )
        review._tell_reviewers()
        return review

    @api.model
    def _line_values(self, line):
        ways = dict(line._fields["way"]._description_selection(self.env))
        return {
            "kind": line.kind,
            "who": line.who,
            "what": line.what,
            "user_id": line.user_id.id,
            "owner_id": line.owner_id.id,
            "group_id": line.group_id.id,
            "client_id": line.client_id.id,
            "scope_id": line.scope_id.id,
            "credential_id": line.credential_id.id,
            "delegation_res_id": line.delegation_res_id,
            "way": ways.get(line.way),
            "via": line.via_id.display_name,
            "since": line.since,
            "last_used_at": line.last_used_at,
            "expires_at": line.expires_at,
            "conflicts": line.conflicts,
        }

    def _tell_reviewers(self):
        self.ensure_one()
        for user in self.env.ref(hub.GROUP_APPROVER).sudo().all_user_ids:
            if user.active and not user.share and self.company_id in user.company_ids:
                self.activity_schedule(
                    "mail.mail_activity_data_todo",
                    summary=self.name,
                    date_deadline=self.due_on,
                    user_id=user.id,
                )

    def _report_overdue(self):
        self.ensure_one()
        full = f"{constants.CODE_REVIEW}:review:{self.id}"
        exceptions = self.env["finance.exception"]
        if exceptions.search_count(
            [("fingerprint", "=", full), ("is_open", "=", True)], limit=1
        ):
            return
        exceptions._open(
            constants.CODE_REVIEW,
            company=self.company_id,
            record=self,
            fingerprint=f"review:{self.id}",
            summary=self.env._("Overdue: %s", self.name),
            cause=self.env._(
                "%(pending)s of %(all)s accesses were not decided on.",
                pending=self.pending_count,
                all=self.line_count,
            ),
        )

    def _close_if_done(self):
        for review in self.filtered(lambda r: r.state == "open"):
            if review.pending_count:
                continue
            review.write({"state": "done", "done_at": clock.naive_now()})
            review.activity_unlink(
                ["mail.mail_activity_data_todo"], only_automated=True
            )
            self.env["finance.exception"]._about(review)._resolve(
                self.env._("Every access was decided on.")
            )
