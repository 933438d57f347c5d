from odoo import api, fields, models
from odoo.exceptions import UserError

from ..models import clock, constants
from ..models.access import require_group
from ..models.control.compensating import plan_html
from ..models.control.finance_compensation import KINDS
from ..models.windows import window_of


class FinanceCompensateWizard(models.TransientModel):
    """Shows what a compensation will do, and asks why, before it is done."""

    _name = "finance.compensate.wizard"
    _description = "Compensate a Finance Exception"

    exception_id = fields.Many2one("finance.exception", readonly=True)
    undoes_id = fields.Many2one("finance.compensation", readonly=True)
    line_ids = fields.One2many("finance.compensate.wizard.line", "wizard_id")
    line_id = fields.Many2one(
        "finance.compensate.wizard.line",
        string="What to Do",
        domain="[('wizard_id', '=', id)]",
    )
    date = fields.Date(
        string="Booked On",
        required=True,
        default=lambda self: fields.Date.context_today(self, clock.naive_now()),
        help="Date of the entry. A date in a locked period is refused.",
    )
    has_date = fields.Boolean(compute="_compute_preview")
    preview = fields.Html(string="What Will Happen", compute="_compute_preview")
    closes_exception = fields.Boolean(
        string="This Solves the Exception",
        compute="_compute_closes_exception",
        store=True,
        readonly=False,
        help="Untick it where something is left to do.",
    )
    reason = fields.Text()

    @api.depends("line_id", "date", "undoes_id")
    def _compute_preview(self):
        compensations = self.env["finance.compensation"].sudo()
        for wizard in self:
            date = wizard.date or clock.now().date()
            plan, kind = None, wizard.undoes_id.kind or wizard.line_id.kind
            record = wizard.line_id._record()
            if wizard.undoes_id:
                plan = wizard.undoes_id.sudo()._undo_plan(date)
            elif record and compensations._fits(kind, record):
                plan = compensations._plan(kind, record, date)
            wizard.preview = plan_html(self.env, plan)
            wizard.has_date = kind in (
                "reversal",
                "credit_note",
                "write_off",
                *(["post_entry"] if wizard.undoes_id else []),
            )

    @api.depends("line_id")
    def _compute_closes_exception(self):
        for wizard in self:
            # What is open again has to be settled another way.
            wizard.closes_exception = wizard.line_id.kind != "reopen"

    def action_confirm(self):
        """Do it, or ask a second person to."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR)
        if self.undoes_id:
            done = self.undoes_id._take_back(self.reason, self.date)
        else:
            exception = self.exception_id
            exception.check_access("read")
            exception._expect_open()
            # Only what was proposed: the lines are rows that others could write.
            wanted = (self.line_id.kind, self.line_id._record())
            if wanted not in exception.sudo()._proposals():
                raise UserError(
                    self.env._(
                        "This does not fit any more. Close the form, look again."
                    )
                )
            done = self.env["finance.compensation"]._propose(
                *wanted,
                date=self.date,
                reason=self.reason,
                exception=exception.sudo(),
                closes=self.closes_exception,
            )
        return window_of(done)


class FinanceCompensateWizardLine(models.TransientModel):
    """One way to compensate, among those that fit."""

    _name = "finance.compensate.wizard.line"
    _description = "Proposed Finance Compensation"
    _rec_name = "title"

    wizard_id = fields.Many2one("finance.compensate.wizard", ondelete="cascade")
    kind = fields.Selection(KINDS, required=True, readonly=True)
    res_model = fields.Char(required=True, readonly=True)
    res_id = fields.Many2oneReference(
        model_field="res_model", required=True, readonly=True
    )
    title = fields.Char(compute="_compute_title")

    @api.depends("kind", "res_model", "res_id")
    def _compute_title(self):
        compensations = self.env["finance.compensation"]
        for line in self:
            label = compensations._kind_label(line.kind) if line.kind else ""
            line.title = f"{label}: {line._record().display_name}"

    def _record(self):
        if not self.res_model or self.res_model not in self.env:
            return self.env["account.move"].sudo().browse()
        return self.env[self.res_model].sudo().browse(self.res_id).exists()
