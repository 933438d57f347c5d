import hashlib
import json

from odoo import api, fields, models
from odoo.exceptions import UserError

from .. import clock, constants
from ..access import require_group
from ..control.working_time import due_after
from ..hold.finance_hold import GUARDING
from ..windows import window_of

# What a consent is about, where the record says nothing itself.
CONSENTED = (
    "amount_total",
    "amount",
    "currency_id",
    "partner_id",
    "partner_bank_id",
    "payment_type",
    "invoice_date",
    "name",
    "vat",
)


class FinanceProcessStep(models.Model):
    """One step of one process: what it waits for, or when and by what it was done."""

    _name = "finance.process.step"
    _description = "Finance Process Step"
    _inherit = ["finance.approvable"]
    _order = "process_id, sequence, id"

    process_id = fields.Many2one(
        "finance.process", required=True, readonly=True, ondelete="cascade"
    )
    definition_id = fields.Many2one(
        "finance.flow.step", required=True, readonly=True, ondelete="restrict"
    )
    company_id = fields.Many2one(related="process_id.company_id", store=True)
    sequence = fields.Integer(readonly=True)
    name = fields.Char(related="definition_id.name")
    kind = fields.Selection(related="definition_id.kind", store=True)
    team_id = fields.Many2one(
        "finance.team", compute="_compute_team_id", store=True, compute_sudo=True
    )
    note = fields.Text(related="definition_id.note")
    state = fields.Selection(
        [
            ("pending", "Not Reached"),
            ("active", "Waiting"),
            ("done", "Done"),
            ("failed", "Failed"),
            ("cancelled", "Cancelled"),
        ],
        required=True,
        default="pending",
        readonly=True,
    )
    reached_at = fields.Datetime(readonly=True)
    due_at = fields.Datetime(string="Due", readonly=True)
    warn_at = fields.Datetime(readonly=True)
    warned = fields.Boolean(readonly=True)
    is_late = fields.Boolean(string="Late", readonly=True)
    done_at = fields.Datetime(string="Done", readonly=True)
    done_by = fields.Char(string="By", readonly=True)
    why = fields.Text(string="Waits For, or Why", readonly=True)
    task_done_by_id = fields.Many2one("res.users", readonly=True)
    task_done_at = fields.Datetime(readonly=True)
    approval_id = fields.Many2one("finance.approval", readonly=True)
    hold_id = fields.Many2one("finance.hold", readonly=True)
    compensation_id = fields.Many2one(
        "finance.hold", string="Revenue Hold", readonly=True
    )
    on_time = fields.Selection(
        [("yes", "On Time"), ("no", "Late")], compute="_compute_on_time"
    )

    _process_idx = models.Index("(process_id, sequence)")
    _polled_idx = models.Index(
        "(kind) WHERE state = 'active' AND kind IN ('hold', 'approval', 'post')"
    )
    _due_idx = models.Index("(due_at) WHERE state IN ('active', 'failed')")

    # === COMPUTES === #

    @api.depends("definition_id.team_id", "definition_id.flow_id.team_id")
    def _compute_team_id(self):
        for step in self:
            step.team_id = step.definition_id._team()

    @api.depends("is_late", "state", "due_at")
    def _compute_on_time(self):
        for step in self:
            step.on_time = (
                "no"
                if step.is_late
                else "yes"
                if step.state == "done" and step.due_at
                else False
            )

    @api.depends("definition_id.name", "process_id.name")
    def _compute_display_name(self):
        for step in self:
            step.display_name = f"{step.name} · {step.process_id.name}"

    # === ACTIONS === #

    def action_done(self):
        """Say that a task was done."""
        require_group(self.env, constants.GROUP_OPERATOR, constants.GROUP_APPROVER)
        self.check_access("read")
        for step in self:
            if step.kind != "task" or step.state != "active":
                raise UserError(
                    self.env._("“%s” is no task that waits for somebody.", step.name)
                )
        steps = self.sudo()
        steps.write(
            {"task_done_by_id": self.env.user.id, "task_done_at": clock.naive_now()}
        )
        steps.process_id._advance()
        return True

    def action_open_process(self):
        self.ensure_one()
        self.check_access("read")
        return window_of(self.process_id)

    # === BEING REACHED === #

    def _reach(self, moment):
        """Begin: the service time runs from now on.

        :param moment: naive UTC, when the step before was done
        """
        self.ensure_one()
        hours = self.definition_id.service_hours
        calendar = self.team_id.calendar_id
        values = {"state": "active", "reached_at": moment}
        if hours:
            values["due_at"] = due_after(calendar, hours, moment)
            values["warn_at"] = due_after(
                calendar, hours * constants.DUE_WARNING_SHARE, moment
            )
        self.write(values)
        begin = getattr(self, f"_begin_{self.kind}", None)
        if begin:
            begin()

    def _begin_hold(self):
        document = self.process_id._document()
        if not document:
            return
        kind = self.definition_id.hold_kind
        holds = self.env["finance.hold"]
        self.hold_id = holds._active(document, kind)[:1] or holds._place(
            document,
            kind,
            self.definition_id.note or self.name,
            # Others end by themselves when their time is over.
            expires_at=self.due_at if kind in GUARDING else None,
            origin="check",
            company=self.company_id,
        )

    def _begin_approval(self):
        process = self.process_id
        self.approval_id = self.env["finance.approval"]._request(
            self,
            title=f"{self.name}: {process.name}",
            policy=self.definition_id.note or process.flow_id.name,
            amount=process.amount if process.currency_id else None,
            currency=process.currency_id or None,
            requested_by=process.flow_id.name,
            due_at=self.due_at or None,
            correlation_id=process.correlation_id,
        )
        # Other systems name the consent as the flow does.
        self.approval_id.step_ids.planned_name = self.name

    def _begin_task(self):
        self._schedule(
            self.definition_id.note or self.name, "mail.mail_activity_data_todo"
        )

    def _begin_notify(self):
        members = self.team_id.member_ids | self.team_id.leader_id
        self.process_id.message_post(
            body=self.definition_id.note or self.name,
            partner_ids=members.partner_id.ids,
            subtype_xmlid="mail.mt_comment",
        )

    def _schedule(self, text, activity="mail.mail_activity_data_warning"):
        """Put the process before the leader of the team, else the flow's owner."""
        process = self.process_id
        user = self.team_id.leader_id or process.flow_id.user_id
        if user and process.with_user(user).has_access("read"):
            process.activity_schedule(
                activity,
                summary=text,
                user_id=user.id,
                date_deadline=self.due_at and self.due_at.date(),
            )

    # === BEING LOOKED AT === #

    def _look(self):
        """Find out what became of the step, and keep it."""
        self.ensure_one()
        look = getattr(self, f"_look_{self.kind}")()
        if look.state == "done":
            self._finish(look)
        elif look.state == "failed":
            self._fail(look.why)
        else:
            self.write({"state": "active", "why": look.why})
            self._recovered()
        self._judge(clock.naive_now())

    def _finish(self, look):
        done_at = max(look.at or clock.naive_now(), self.reached_at)
        self.write(
            {"state": "done", "done_at": done_at, "done_by": look.by, "why": False}
        )
        self._recovered()

    def _fail(self, why):
        new = self.state != "failed"
        self.write({"state": "failed", "why": why})
        process = self.process_id
        process._report(
            "B-PROCESS-STOPPED",
            f"step:{self.id}",
            self.env._(
                "%(flow)s stopped at “%(step)s”: %(record)s",
                flow=process.flow_id.name,
                step=self.name,
                record=process.name,
            ),
            why,
            team=self.team_id,
        )
        document = process._document()
        if new and self.definition_id.compensate and document:
            self.compensation_id = self.env["finance.hold"]._place(
                document,
                "revenue",
                why,
                origin="check",
                company=self.company_id,
            )

    def _recovered(self):
        """Take back what was done because the step had failed."""
        if self.process_id.state != "stopped":
            return
        failed = self.process_id._open_exceptions("B-PROCESS-STOPPED").filtered(
            lambda e: e.fingerprint == f"B-PROCESS-STOPPED:step:{self.id}"
        )
        failed._resolve(self.env._("The step “%s” goes on.", self.name))
        if self.compensation_id.state == "active":
            self.compensation_id._end(
                "released", self.env._("The step “%s” goes on.", self.name)
            )

    def _try_again(self):
        """Begin failed steps anew: what was refused is asked for again."""
        for step in self:
            step.state = "active"
            if step.kind == "approval" and step.approval_id.state != "requested":
                step._begin_approval()

    def _give_up(self, reason):
        """End what the steps asked for and held."""
        for step in self:
            if step.approval_id.state == "requested":
                step.approval_id._decide("withdrawn", reason, quiet=True)
            held = step.hold_id | step.compensation_id
            held.filtered(lambda h: h.origin == "check")._end("released", reason)
            if step.state != "done":
                step.state = "cancelled"

    # === SERVICE TIMES === #

    def _judge(self, now):
        """Find out whether the step is late, warn of it before, and tell once it is.

        :param now: naive UTC
        """
        self.ensure_one()
        if not self.due_at:
            return None
        late = (self.done_at if self.state == "done" else now) > self.due_at
        was_late, process = self.is_late, self.process_id
        if was_late != late:
            self.is_late = late
        if not late or self.state == "done":
            if not was_late:
                return self._warn(now)
            process._open_exceptions("B-PROCESS-LATE").filtered(
                lambda e: e.fingerprint == f"B-PROCESS-LATE:step:{self.id}"
            )._resolve(self.env._("“%s” is done.", self.name))
        elif self.kind != "approval":
            # An approval that is late tells so itself.
            process._report(
                "B-PROCESS-LATE",
                f"step:{self.id}",
                self.env._(
                    "Late: “%(step)s” of %(record)s",
                    step=self.name,
                    record=process.name,
                ),
                self.why or self.name,
                team=self.team_id,
            )
        return self._warn(now)

    def _warn(self, now):
        """Tell the team shortly before the step is late, once."""
        if (
            self.state == "active"
            and not self.warned
            and self.warn_at <= now < self.due_at
        ):
            self.warned = True
            self._schedule(
                self.env._(
                    "Due soon: “%(step)s” of %(record)s",
                    step=self.name,
                    record=self.process_id.name,
                )
            )

    # === APPROVALS === #

    def _finance_approval_version(self):
        """See finance.approvable: a digest of what the document says."""
        self.ensure_one()
        document = self.process_id._document()
        if not document:
            return "gone"
        own = getattr(document, "_finance_approval_version", None)
        if own:
            return own()
        said = {
            name: document[name].ids
            if document._fields[name].relational
            else str(document[name])
            for name in CONSENTED
            if name in document._fields and not (name == "name" and "state" in document)
        }
        text = json.dumps([document._name, document.id, said], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def _finance_approval_people(self):
        """See finance.approvable: whoever prepared the document may not decide."""
        document = self.process_id._document()
        people = self.process_id.start_user_id | self.env["res.users"]
        if document:
            own = getattr(document, "_finance_approval_people", None)
            people |= own() if own else document.sudo().create_uid
        return people - self.env.ref("base.user_root")

    def _finance_approved(self, approval):
        """See finance.approvable."""
        self.process_id._wake()

    def _finance_refused(self, approval):
        """See finance.approvable."""
        self.process_id._wake()
