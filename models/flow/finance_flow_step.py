import ast

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain

from ...contracts import ContractError, compile_filter
from .. import constants
from ..hold.finance_hold import KINDS as HOLD_KINDS
from . import words


class FinanceFlowStep(models.Model):
    """One step of a flow: what has to be so, or be done, before it goes on."""

    _name = "finance.flow.step"
    _description = "Finance Flow Step"
    _inherit = ["finance.versioned.part"]
    _order = "flow_id, sequence, id"
    _whole = "flow_id"

    flow_id = fields.Many2one(
        "finance.flow", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="flow_id.company_id", store=True, index=True)
    sequence = fields.Integer(default=constants.FLOW_STEP_GAP)
    name = fields.Char(required=True, translate=True)
    kind = fields.Selection(
        words.STEP_KINDS,
        required=True,
        default="wait",
        help="Check: a condition that must hold. Approval: somebody's consent. Hold: "
        "the document is held until the hold ends. Wait: until something happens. "
        "Post: the document or payment is posted. Task: a person does it. Notify: "
        "somebody is told.",
    )
    check_on = fields.Selection(
        [("record", "The Document"), ("content", "What Started It")],
        default="record",
        string="Condition On",
    )
    condition = fields.Char(
        help="As an Odoo domain: [('amount_total', '<', 10000)]. On what is waited "
        "for, it is a condition on the content of the event or command.",
    )
    wait_for = fields.Selection(
        [
            ("event", "An Event"),
            ("command", "A Command"),
            ("status", "A Payment's Status"),
        ],
        default="event",
    )
    wait_event = fields.Selection(
        selection=lambda self: words.event_bases(), string="Event Type"
    )
    wait_command = fields.Selection(
        selection=lambda self: words.command_names(), string="Command Type"
    )
    wait_status = fields.Selection(
        selection=lambda self: words.status_names(), string="Status"
    )
    hold_kind = fields.Selection(HOLD_KINDS, default="risk")
    compensate = fields.Boolean(
        string="Hold Revenue If It Fails",
        help="When this can't be reached any more, as a settlement that was reversed, "
        "the document gets a revenue hold beside the exception.",
    )
    team_id = fields.Many2one(
        "finance.team",
        help="Whose task it is, or who is told. Empty: the team of the flow.",
    )
    milestone = fields.Selection(
        words.MILESTONES, help="What is reached for the transaction with this step."
    )
    service_hours = fields.Float(
        string="Service Time (h)",
        help="Hours from when the step is reached, of the team's working hours if it "
        "has some. 0: no hurry.",
    )
    note = fields.Text(
        string="In Words", translate=True, help="What a person sees who has to act."
    )

    _service_hours_range = models.Constraint(
        f"CHECK (service_hours BETWEEN 0 AND {constants.FLOW_MAX_HOURS})",
        f"A service time is 0 to {constants.FLOW_MAX_HOURS} hours.",
    )

    @api.constrains(
        "kind",
        "check_on",
        "condition",
        "wait_for",
        "wait_event",
        "wait_command",
        "wait_status",
        "hold_kind",
    )
    def _check_whole(self):
        for step in self:
            if step.kind == "wait" and not step[f"wait_{step.wait_for}"]:
                raise ValidationError(self.env._("Say what “%s” waits for.", step.name))
            if step.kind == "hold" and not step.hold_kind:
                raise ValidationError(
                    self.env._("Say which kind of hold “%s” places.", step.name)
                )
            if step.kind == "check" and not (step.condition or "").strip():
                raise ValidationError(self.env._("Say what “%s” checks.", step.name))
            try:
                step._content_condition()
                step._record_domain()
            except (ContractError, ValueError, SyntaxError, TypeError) as error:
                raise ValidationError(
                    self.env._(
                        "The condition of “%(step)s” can't be read: %(error)s",
                        step=step.name,
                        error=error,
                    )
                ) from error

    def _team(self):
        self.ensure_one()
        return self.team_id or self.flow_id.team_id

    def _on_record(self):
        return self.kind == "check" and self.check_on == "record"

    def _content_condition(self):
        """Return the compiled condition on content, None without one.

        :raise ContractError: when it can't be read
        """
        self.ensure_one()
        text = (self.condition or "").strip()
        if not text or text == "[]" or self._on_record():
            return None
        return compile_filter(text)

    def _record_domain(self):
        """Return the condition on the document, None without one.

        :raise ValueError: when it can't be read; SyntaxError and TypeError, too
        """
        self.ensure_one()
        if not self._on_record():
            return None
        return Domain(ast.literal_eval(self.condition.strip()))

    def _waiting_text(self):
        """Return in words what the step waits for."""
        self.ensure_one()
        field = f"wait_{self.wait_for}"
        labels = dict(self._fields[field]._description_selection(self.env))
        return self.env._("Waits for: %s", labels[self[field]])
