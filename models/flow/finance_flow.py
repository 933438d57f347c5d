from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.tools import is_html_empty

from ...contracts import ContractError, check_filter, compile_filter
from .. import constants
from ..access import create_guarded, refuse_fields, require_group
from ..windows import list_of, window_of
from . import words

GUARDED = {"is_template": False, "advance_at": False}
# What a flow in use may not change: its processes would no longer be what they were.
CONTENT = {
    "company_id",
    "start_kind",
    "start_event",
    "start_command",
    "start_filter",
    "step_ids",
}


class FinanceFlow(models.Model):
    """What has to happen to a document or payment, in which order, and how soon.

    A flow is the definition; each document that goes through it has a process. Once
    it was live it never changes: there are new versions.
    """

    _name = "finance.flow"
    _description = "Finance Flow"
    _inherit = ["finance.versioned", "mail.activity.mixin"]
    _order = "is_template, name, id"
    _state_in_force = "live"
    _retired_from = ("draft", "in_review", "live")

    name = fields.Char(required=True, translate=True, tracking=True)
    purpose = fields.Char(translate=True, help="What it is for, in a sentence.")
    is_template = fields.Boolean(readonly=True, copy=False)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company", index=True, default=lambda self: self.env.company
    )
    state = fields.Selection(
        selection_add=[
            ("in_review",),
            ("live", "Live"),
            ("retired",),
        ],
        ondelete={"live": "set default"},
    )
    user_id = fields.Many2one(
        "res.users",
        string="Owner",
        tracking=True,
        domain="[('share', '=', False)]",
        help="The person who answers for this flow.",
    )
    team_id = fields.Many2one(
        "finance.team",
        tracking=True,
        help="Is told when a step is late or fails. Its working hours count.",
    )
    criticality = fields.Selection(
        [("critical", "Critical"), ("standard", "Standard"), ("bulk", "Bulk")],
        required=True,
        default="standard",
        tracking=True,
    )
    latency = fields.Selection(
        words.LATENCIES,
        string="Latency Class",
        required=True,
        default="realtime",
        tracking=True,
        help="How soon processes go on: within a minute, every quarter of an hour, or "
        "twice a day.",
    )
    runbook = fields.Html(
        help="What to do when a process stops: what to check, whom to call, how to "
        "recover."
    )
    max_failure_rate = fields.Float(
        string="Largest Failure Rate (%)",
        tracking=True,
        help="Of the processes of the last 24 hours. Above it, the team is told.",
    )
    max_past_due_hours = fields.Float(
        string="Oldest Past Due (h)",
        tracking=True,
        help="When a step is late for longer than this, the team is told.",
    )
    max_open_exceptions = fields.Integer(
        string="Most Open Exceptions",
        tracking=True,
        help="When more exceptions of its processes are open, the team is told.",
    )
    start_kind = fields.Selection(
        [
            ("event", "An Event"),
            ("command", "A Command"),
            ("person", "A Person"),
        ],
        string="Started By",
        required=True,
        default="event",
        help="An event is something that happened here; a command is what another "
        "system told. A person starts it from a document's action menu.",
    )
    start_event = fields.Selection(
        selection=lambda self: words.event_bases(), string="Event Type"
    )
    start_command = fields.Selection(
        selection=lambda self: words.command_names(), string="Command Type"
    )
    start_filter = fields.Char(
        string="Only If",
        help="A condition on the content, as in a subscription: "
        "[('total_amount', '>', 1000)]",
    )
    step_ids = fields.One2many("finance.flow.step", "flow_id", "Steps", copy=True)
    process_ids = fields.One2many("finance.process", "flow_id", "Processes")
    template_id = fields.Many2one(
        "finance.flow", string="Made From", readonly=True, copy=False
    )
    previous_id = fields.Many2one(
        "finance.flow", string="New Version Of", readonly=True, copy=False, index=True
    )
    requested_by_id = fields.Many2one(string="Go-live Requested By")
    approved_by_id = fields.Many2one(string="Go-live Approved By")
    approved_at = fields.Datetime(string="Live Since")
    advance_at = fields.Datetime(readonly=True, copy=False)

    _live_idx = models.Index("(company_id) WHERE state = 'live'")
    _company_present = models.Constraint(
        "CHECK (is_template OR company_id IS NOT NULL)",
        "A flow belongs to a company; only templates are for all of them.",
    )
    _thresholds_range = models.Constraint(
        "CHECK (max_failure_rate BETWEEN 0 AND 100 AND max_past_due_hours >= 0"
        " AND max_open_exceptions >= 0)",
        "A failure rate is 0 to 100 %; the other thresholds are not below 0.",
    )

    # === CONSTRAINTS === #

    @api.constrains("start_kind", "start_event", "start_command", "start_filter")
    def _check_start(self):
        for flow in self:
            if (flow.start_kind == "event" and not flow.start_event) or (
                flow.start_kind == "command" and not flow.start_command
            ):
                raise ValidationError(
                    self.env._("Say which event or command starts “%s”.", flow.name)
                )
            try:
                condition = flow._start_condition()
                if condition is not None and flow.start_kind == "event":
                    check_filter(condition, words.event_names(flow.start_event)[:1])
            except ContractError as error:
                raise ValidationError(error.message) from error

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):
        return super().create(create_guarded(self.env, vals_list, GUARDED))

    def write(self, vals):
        refuse_fields(self.env, vals, GUARDED.keys())
        if not self.env.su:
            self._refuse_templates()
        return super().write(vals)

    def copy_data(self, default=None):
        rows = super().copy_data(default)
        for flow, row in zip(self, rows, strict=True):
            row.setdefault("company_id", flow.company_id.id)
            row["company_id"] = row["company_id"] or self.env.company.id
        return rows

    @api.ondelete(at_uninstall=False)
    def _unlink_no_template(self):
        self._refuse_templates()

    # === ACTIONS === #

    def action_use_template(self):
        """Make a flow of the company out of a template, to be adapted."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_ADMINISTRATOR)
        self.check_access("read")
        flow = self.copy(
            {
                "name": self.name,
                "company_id": self.env.company.id,
                "user_id": self.env.user.id,
            }
        )
        flow.sudo().template_id = self
        return window_of(flow)

    def action_open_processes(self):
        self.ensure_one()
        self.check_access("read")
        return list_of(self.env, "finance_process_action", [("flow_id", "=", self.id)])

    # === BUSINESS METHODS === #

    @api.model
    def _reviewed_fields(self):
        return CONTENT

    def _note_change(self):
        self._refuse_templates()
        return super()._note_change()

    def _expect_state(self, *states):
        self._refuse_templates()
        return super()._expect_state(*states)

    def _refuse_templates(self):
        for flow in self.filtered("is_template"):
            raise UserError(
                self.env._(
                    "“%s” is a template and stays as it is. Press Use This Template.",
                    flow.name,
                )
            )

    def _missing(self):
        """Return what it needs to go live: what somebody needs when it fails, too."""
        missing = []
        if not self.user_id:
            missing.append(self.env._("an owner"))
        if is_html_empty(self.runbook):
            missing.append(self.env._("a runbook (what to do when it fails)"))
        if not self.max_failure_rate:
            missing.append(self.env._("a threshold: the largest failure rate"))
        if not self.max_past_due_hours:
            missing.append(self.env._("a threshold: the oldest past due"))
        if not self.max_open_exceptions:
            missing.append(self.env._("a threshold: the most open exceptions"))
        if not self.step_ids:
            missing.append(self.env._("at least one step"))
        return missing

    def _start_condition(self):
        """Return the compiled condition of the start, None without one.

        :raise ContractError: when it can't be read
        """
        self.ensure_one()
        text = (self.start_filter or "").strip()
        return compile_filter(text) if text and text != "[]" else None

    def _takes(self, data, attributes):
        """Return whether what was recorded starts a process of this flow."""
        condition = self._start_condition()
        return condition is None or condition.matches(data or {}, attributes)
