from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import UserError

from .. import clock, constants
from ..capture.payload import legal_entity
from ..windows import window_of

KINDS = [
    ("journal", "Journal Entry"),
    ("accrual", "Accrual"),
    ("trade", "Trade"),
    ("hedge", "Hedge"),
    ("valuation", "Valuation"),
    ("intercompany", "Intercompany"),
    ("payroll", "Payroll"),
    ("expense", "Expense"),
    ("tax", "Tax"),
    ("opening", "Opening Balance"),
]


class FinancePostingRequest(models.Model):
    """An entry that another system asked to be posted, and what became of it.

    There is one for each key of a system, for ever: the same key is posted once.
    """

    _name = "finance.posting.request"
    _description = "Finance Posting Request"
    _inherit = ["finance.captured", "finance.approvable", "finance.traced"]
    _order = "id desc"

    _finance_fields = ("state",)

    name = fields.Char(string="Key", required=True, readonly=True)
    connector_id = fields.Many2one(
        "finance.connector", required=True, readonly=True, ondelete="restrict"
    )
    company_id = fields.Many2one("res.company", required=True, readonly=True)
    command_id = fields.Many2one(
        "finance.command",
        string="Latest Command",
        required=True,
        readonly=True,
        index=True,
    )
    state = fields.Selection(
        [
            ("accepted", "Accepted"),
            ("held", "Held"),
            ("posted", "Posted"),
            ("rejected", "Rejected"),
        ],
        required=True,
        readonly=True,
    )
    kind = fields.Selection(KINDS, required=True, readonly=True)
    date = fields.Date(string="Accounting Date", required=True, readonly=True)
    reversal_date = fields.Date(readonly=True)
    reference = fields.Char(readonly=True)
    preparer = fields.Char(string="Prepared By", readonly=True)
    prepared_at = fields.Datetime(readonly=True)
    currency_code = fields.Char(string="Currency (code)", readonly=True)
    line_count = fields.Integer(string="Lines", readonly=True, aggregator=False)
    total = fields.Monetary(
        string="Total of Debits", readonly=True, help="In the company's currency."
    )
    currency_id = fields.Many2one(related="company_id.currency_id")
    digest = fields.Char(readonly=True)
    version = fields.Char(
        readonly=True, help="Of content and mapping; an approval counts for one."
    )
    reason = fields.Text(string="Why It Is Held or Rejected", readonly=True)
    faults = fields.Json(string="Faults (raw)", readonly=True)
    mapping = fields.Json(readonly=True)
    move_id = fields.Many2one(
        "account.move", string="Entry", readonly=True, index="btree_not_null"
    )
    reversal_move_id = fields.Many2one("account.move", string="Reversal", readonly=True)
    approval_id = fields.Many2one("finance.approval", readonly=True)
    correlation_id = fields.Char(readonly=True, index=True)
    lines_html = fields.Html(
        string="As Sent and as Mapped", compute="_compute_lines_html"
    )
    faults_html = fields.Html(string="Faults", compute="_compute_faults_html")

    _key_unique = models.UniqueIndex("(connector_id, name)")

    # === COMPUTES === #

    @api.depends("mapping", "command_id.data")
    @api.depends_context("uid")
    def _compute_lines_html(self):
        for request in self:
            request.lines_html = request._lines_table()

    def _lines_table(self):
        """Return the lines as they were sent beside what they stand for in Odoo."""
        self.ensure_one()
        data = self.command_id.data or {}
        lines = data.get("lines") or []
        mapping = self.mapping or {}
        _ = self.env._

        def mapped(domain, code):
            if not code:
                return ""
            name = mapping.get(domain, {}).get(code)
            if name:
                return name
            return Markup('<span class="text-danger">%s</span>') % _("not mapped")

        head = Markup().join(
            Markup("<th%s>%s</th>") % (Markup(' class="text-end"') * end, title)
            for title, end in (
                ("#", 0),
                (_("Account sent"), 0),
                (_("Account in Odoo"), 0),
                (_("Counterparty sent"), 0),
                (_("in Odoo"), 0),
                (_("Cost centre sent"), 0),
                (_("in Odoo"), 0),
                (_("Tax sent"), 0),
                (_("in Odoo"), 0),
                (_("Text"), 0),
                (_("Debit"), 1),
                (_("Credit"), 1),
            )
        )
        cell, number = Markup("<td>%s</td>"), Markup('<td class="text-end">%s</td>')
        rows = Markup().join(
            Markup("<tr>%s</tr>")
            % Markup().join(
                [
                    cell % position,
                    *(
                        cell % text
                        for name in ("account", "counterparty", "cost_centre", "tax")
                        for text in (line.get(name) or "", mapped(name, line.get(name)))
                    ),
                    cell % (line.get("label") or ""),
                    number % (line.get("debit") or ""),
                    number % (line.get("credit") or ""),
                ]
            )
            for position, line in enumerate(
                lines[: constants.POSTING_PREVIEW_LINES], start=1
            )
        )
        table = Markup(
            '<div class="table-responsive"><table class="table table-sm">'
            "<thead><tr>%s</tr></thead><tbody>%s</tbody></table></div>"
        ) % (head, rows)
        if len(lines) > constants.POSTING_PREVIEW_LINES:
            table += Markup("<p>%s</p>") % _(
                "The first %(shown)s of %(all)s lines. The entry has all of them.",
                shown=constants.POSTING_PREVIEW_LINES,
                all=len(lines),
            )
        return table

    @api.depends("faults")
    def _compute_faults_html(self):
        for request in self:
            request.faults_html = Markup("<ul>%s</ul>") % Markup().join(
                Markup("<li><code>%s</code> %s</li>")
                % (fault.get("pointer") or "", fault.get("message"))
                for fault in request.faults or ()
            )

    # === CRUD === #

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(
            self.env._("Posting requests are kept, so that no key is posted twice.")
        )

    # === ACTIONS === #

    def action_open_entry(self):
        """Open the entry that was posted."""
        return self._action_open(self.move_id)

    def action_open_reversal(self):
        """Open the entry that takes it back."""
        return self._action_open(self.reversal_move_id)

    def action_open_approval(self):
        """Open the approval it waits, or waited, for."""
        return self._action_open(self.approval_id)

    def action_open_command(self):
        """Open the command with the content as it was sent."""
        return self._action_open(self.command_id)

    def _action_open(self, record):
        self.ensure_one()
        self.check_access("read")
        return window_of(record)

    # === KEEPING === #

    @api.model
    def _of(self, connector, key):
        """Return the request of a system's key, empty without one."""
        return self.search([("connector_id", "=", connector.id), ("name", "=", key)])

    @api.model
    def _keep(self, command, content, digest, **values):
        """Keep what became of a request.

        :param command: the ``finance.command`` that brings it
        :param content: contracts.PostingRequest
        :param str digest: of the content
        :return: the request
        """
        values = {
            "command_id": command.id,
            "kind": content.kind,
            "date": content.date,
            "reversal_date": content.reversal_date,
            "reference": content.reference,
            "preparer": content.preparer,
            "prepared_at": clock.naive(content.prepared_at),
            "currency_code": content.currency,
            "line_count": len(content.lines),
            "digest": digest,
            "correlation_id": command.correlation_id,
            **values,
        }
        request = self._of(command.connector_id, content.business_key)
        if request:
            told = (request.state, request.digest, request.reason, request.faults)
            request.write(values)
            again = (request.state, request.digest, request.reason, request.faults)
            if request.state in ("held", "rejected") and again != told:
                # For another reason than before, though the state may be the same.
                self.env["finance.capture"]._note(request, request.state)
        else:
            request = self.create(
                {
                    "name": content.business_key,
                    "connector_id": command.connector_id.id,
                    "company_id": command.company_id.id,
                    **values,
                }
            )
        command.write({"res_model": self._name, "res_id": request.id})
        return request

    # === APPROVAL === #

    def _finance_approval_version(self):
        self.ensure_one()
        return self.version

    def _finance_approval_summary(self):
        self.ensure_one()
        return _summary(self.command_id.data or {})

    def _finance_approval_before(self):
        self.ensure_one()
        corrected = self.command_id.corrected_from_id
        return _summary(corrected.data) if corrected.data else {}

    def _finance_approval_people(self):
        """Return who may not approve: whoever corrected what is to be posted."""
        self.ensure_one()
        return self.command_id._correctors()

    def _finance_approval_names(self):
        self.ensure_one()
        return {self.preparer}

    def _finance_approved(self, approval):
        """Have the entry posted by the job that applies commands."""
        self.write({"state": "accepted", "reason": False})
        self.command_id.filtered(lambda c: c.state == "held")._resubmit()

    def _finance_refused(self, approval):
        """End the request; the sender may send another one under the key."""
        reason = self.env._(
            "%(decision)s by %(who)s: %(reason)s",
            decision=dict(approval._fields["state"]._description_selection(self.env))[
                approval.state
            ],
            who=approval.decided_by,
            reason=approval.reason or "",
        )
        self.write({"state": "rejected", "reason": reason})
        self.command_id.filtered(lambda c: c.state == "held").write(
            {"state": "ignored", "error": reason}
        )

    # === EVENTS === #

    def _finance_transitions(self, before, now, marks):
        """Return what became of a request, see finance.captured."""
        was, state = before and before["state"], now["state"]
        if state == was:
            return [(state, None)] if state in marks else []
        if state == "posted" and was != "accepted":
            return [("accepted", None), ("posted", None)]
        return [(state, None)]

    def _finance_event_values(self, verb, extra=None, facts=None):
        """Return what an event about this request says, see finance.captured."""
        self.ensure_one()
        entry = self.move_id
        return [
            {
                "object": "posting_request",
                "label": self.name,
                "company": self.company_id,
                "correlation_id": self.correlation_id,
                "data": {
                    "id": str(self.id),
                    "business_key": self.name,
                    "legal_entity": legal_entity(self.company_id),
                    "source": self.connector_id.name,
                    "date": self.date.isoformat(),
                    "preparer": self.preparer or None,
                    "entry": (
                        {"id": str(entry.id), "number": entry.name}
                        if entry and verb == "posted"
                        else None
                    ),
                    "reason": (self.reason or None)
                    if verb in ("held", "rejected")
                    else None,
                    "errors": (self.faults or [])
                    if verb in ("held", "rejected")
                    else [],
                },
            }
        ]


def _summary(data):
    """Return a request as it was sent, see finance.approvable."""
    named = ("account", "counterparty", "cost_centre", "tax", "label")
    lines = data.get("lines") or []
    return {
        "date": data.get("date") or "",
        "reference": data.get("reference") or "",
        "preparer": data.get("preparer") or "",
        **{
            f"line {number}": " · ".join(
                [
                    *(str(line[name]) for name in named if line.get(name)),
                    line.get("debit") or f"-{line.get('credit')}",
                    data.get("currency") or "",
                ]
            )
            for number, line in enumerate(
                lines[: constants.POSTING_PREVIEW_LINES], start=1
            )
        },
    }
