import hashlib
import json

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools.misc import format_date

from .. import clock, constants
from ..access import require_group
from ..windows import dialog_of, window_of
from . import compensating

KINDS = [
    ("reversal", "Reverse the Entry"),
    ("credit_note", "Credit the Document"),
    ("post_entry", "Post the Proposed Entry"),
    ("write_off", "Write the Rest Off"),
    ("payment_cancel", "Cancel the Payment"),
    ("reopen", "Open What It Paid Again"),
    ("hold_release", "Release the Hold"),
]
# Whether a second person decides whatever the amount is.
ALWAYS_APPROVED = ("hold_release",)


class FinanceCompensation(models.Model):
    """What makes good for something that went wrong, and can itself be taken back.

    It says beforehand what it will do, waits for a second person above a threshold,
    and is never deleted. Taking one back is a compensation of its own, which does the
    opposite.
    """

    _name = "finance.compensation"
    _description = "Finance Compensation"
    _inherit = ["finance.approvable", "finance.about"]
    _order = "id desc"
    _rec_name = "title"

    title = fields.Char(required=True, readonly=True)
    kind = fields.Selection(KINDS, required=True, readonly=True)
    state = fields.Selection(
        [
            ("requested", "Waits for Approval"),
            ("done", "Done"),
            ("undone", "Taken Back"),
            ("refused", "Refused"),
        ],
        required=True,
        readonly=True,
        default="requested",
        tracking=True,
    )
    company_id = fields.Many2one("res.company", required=True, readonly=True)
    connector_id = fields.Many2one("finance.connector", readonly=True, index=True)
    exception_id = fields.Many2one("finance.exception", readonly=True, index=True)
    closes_exception = fields.Boolean(readonly=True)
    res_model = fields.Char(string="Model", required=True, readonly=True)
    res_id = fields.Many2oneReference(
        string="Record", model_field="res_model", required=True, readonly=True
    )
    record_name = fields.Char(string="Document", required=True, readonly=True)
    result_model = fields.Char(readonly=True)
    result_id = fields.Many2oneReference(model_field="result_model", readonly=True)
    amount = fields.Monetary(readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    date = fields.Date(
        string="Booked On", required=True, readonly=True, help="Date of the entry."
    )
    reason = fields.Text(required=True, readonly=True)
    refusal = fields.Text(string="Why It Was Refused", readonly=True)
    plan = fields.Json(readonly=True)
    preview = fields.Html(string="What It Does", compute="_compute_preview")
    # What is needed to take it back: which lines were matched, and the like.
    memory = fields.Json(readonly=True)
    undoes_id = fields.Many2one(
        "finance.compensation", string="Takes Back", readonly=True, copy=False
    )
    undo_ids = fields.One2many("finance.compensation", "undoes_id", "Taken Back By")
    requested_by_id = fields.Many2one("res.users", required=True, readonly=True)
    requested_at = fields.Datetime(required=True, readonly=True)
    done_by_id = fields.Many2one("res.users", readonly=True)
    done_at = fields.Datetime(readonly=True)
    correlation_id = fields.Char(readonly=True, index=True)
    can_undo = fields.Boolean(compute="_compute_can_undo")

    # Nobody asks twice for the same while the first waits.
    _requested_unique = models.UniqueIndex(
        "(res_model, res_id, kind) WHERE state = 'requested' AND undoes_id IS NULL",
        "This is asked for already, and waits for approval.",
    )
    _undo_unique = models.UniqueIndex(
        "(undoes_id) WHERE undoes_id IS NOT NULL AND state != 'refused'",
        "This is being taken back already.",
    )
    _record_idx = models.Index("(res_model, res_id)")

    # === COMPUTES === #

    @api.depends("plan")
    def _compute_preview(self):
        for compensation in self:
            compensation.preview = compensating.plan_html(self.env, compensation.plan)

    @api.depends("state", "undoes_id", "undo_ids.state")
    def _compute_can_undo(self):
        for compensation in self:
            compensation.can_undo = (
                compensation.state == "done"
                and not compensation.undoes_id
                and not compensation.undo_ids.filtered(lambda c: c.state != "refused")
            )

    # === CRUD === #

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("Compensations are kept; take them back instead."))

    # === ACTIONS === #

    def action_undo(self):
        """Ask why it is taken back, showing what that does."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        self._expect_undoable()
        wizard = self.env["finance.compensate.wizard"].create({"undoes_id": self.id})
        return dialog_of(wizard, self.env._("Take Back: why?"))

    def action_open_result(self):
        """Open what was booked."""
        self.ensure_one()
        self.check_access("read")
        return window_of(self._result())

    def action_open_exception(self):
        self.ensure_one()
        self.check_access("read")
        return window_of(self.exception_id)

    # === ASKING === #

    @api.model
    def _propose(self, kind, record, *, date, reason, exception=None, closes=False):
        """Do a compensation, or ask a second person to.

        :param str kind: of :data:`KINDS`
        :param record: what is compensated
        :param date: of the entry
        :param str reason: why, kept with it
        :param exception: the ``finance.exception`` that asked for it
        :param bool closes: whether the exception is solved by it
        :return: the compensation, ``done`` or ``requested``
        :raise UserError: when it does not fit the record as it is
        """
        require_group(self.env, constants.GROUP_OPERATOR)
        record.ensure_one()
        if not self._fits(kind, record):
            raise UserError(
                self.env._(
                    "“%(what)s” does not fit “%(record)s” as it is now. Look again: "
                    "it may have been done already.",
                    what=self._kind_label(kind),
                    record=record.display_name,
                )
            )
        self._expect_no_other(kind, record)
        amount, currency = self._stake(kind, record)
        return self._ask(
            {
                "title": f"{self._kind_label(kind)} · {record.display_name}",
                "kind": kind,
                "company_id": record.company_id.id,
                "connector_id": exception and exception.connector_id.id,
                "exception_id": exception and exception.id,
                "closes_exception": bool(closes and exception),
                "res_model": record._name,
                "res_id": record.id,
                "record_name": record.display_name,
                "amount": amount,
                "currency_id": currency.id,
                "date": date,
                "reason": reason,
                "plan": self._plan(kind, record, date),
                "correlation_id": self._correlation(record, exception),
            }
        )

    @api.model
    def _expect_no_other(self, kind, record):
        pending = self.sudo().search(
            [
                ("res_model", "=", record._name),
                ("res_id", "=", record.id),
                ("kind", "=", kind),
                ("state", "=", "requested"),
                ("undoes_id", "=", False),
            ],
            limit=1,
        )
        if pending:
            raise UserError(
                self.env._(
                    "“%(title)s” was asked for by %(who)s already, and waits for "
                    "approval.",
                    title=pending.title,
                    who=pending.requested_by_id.name,
                )
            )

    def _take_back(self, reason, date):
        """Do the opposite of a compensation, or ask a second person to.

        :return: the compensation that does it
        """
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        self._expect_undoable()
        done = self.sudo()
        return self._ask(
            {
                "title": self.env._("Take back: %s", self.title),
                "kind": self.kind,
                "company_id": self.company_id.id,
                "connector_id": self.connector_id.id,
                "exception_id": self.exception_id.id,
                "res_model": self.res_model,
                "res_id": self.res_id,
                "record_name": self.record_name,
                "amount": self.amount,
                "currency_id": self.currency_id.id,
                "date": date,
                "reason": reason,
                "plan": done._undo_plan(date),
                "undoes_id": self.id,
                "correlation_id": self.correlation_id,
            }
        )

    def _ask(self, values):
        compensation = self.sudo().create(
            {
                **values,
                "requested_by_id": self.env.uid,
                "requested_at": clock.naive_now(),
            }
        )
        if not compensation._needs_second_person():
            compensation._carry_out()
            return compensation.with_env(self.env)
        compensation.exception_id._log_action(
            self.env._("Asked for a compensation: %s", compensation.title),
            compensation.reason,
        )
        compensation.exception_id.filtered("is_open").write({"state": "in_progress"})
        self.env["finance.approval"]._request(
            compensation,
            title=compensation.title,
            policy=self.env._("A second person decides on this compensation."),
            amount=compensation.amount,
            threshold=compensation._limit(),
            currency=compensation.currency_id,
            connector=compensation.connector_id,
            correlation_id=compensation.correlation_id,
        )
        return compensation.with_env(self.env)

    def _expect_undoable(self):
        for compensation in self:
            if not compensation.can_undo:
                raise UserError(
                    self.env._(
                        "“%s” can't be taken back: it is not done, or is being taken "
                        "back already.",
                        compensation.title,
                    )
                )

    @api.model
    def _correlation(self, record, exception):
        if hasattr(record, "_finance_correlation"):
            return record._finance_correlation()
        if "finance_correlation_id" in record._fields and record.finance_correlation_id:
            return record.finance_correlation_id
        if "correlation_id" in record._fields and record.correlation_id:
            return record.correlation_id
        return exception.correlation_id if exception else False

    def _limit(self):
        """Return from which amount on a second person decides, in its currency."""
        self.ensure_one()
        kind = self.env["finance.exception.kind"]._of(self.exception_id.code)
        company = self.company_id
        limit = kind.second_person_from
        if self.currency_id and self.currency_id != company.currency_id:
            limit = company.currency_id._convert(
                limit, self.currency_id, company, self.date
            )
        return limit

    def _needs_second_person(self):
        self.ensure_one()
        if self.kind in ALWAYS_APPROVED or not self.currency_id:
            return True
        return self.currency_id.compare_amounts(abs(self.amount), self._limit()) >= 0

    @api.model
    def _kind_label(self, kind):
        return dict(self._fields["kind"]._description_selection(self.env))[kind]

    # === RECORDS === #

    def _result(self):
        """Return what was booked, an empty recordset without."""
        self.ensure_one()
        if not self.result_model:
            return self.env["account.move"].browse()
        return self.env[self.result_model].browse(self.result_id).exists()

    # === THE SECOND PERSON === #

    def _finance_approval_version(self):
        """Return a digest of what will be done, see finance.approvable.

        Of facts, not of words: the one who asks and the one who decides may read the
        plan in two languages.
        """
        self.ensure_one()
        record = self._record()
        facts = [
            self.kind,
            self.res_model,
            self.res_id,
            str(self.date),
            self.undoes_id.id,
            self.undoes_id.state,
            [str(fact) for fact in self._facts(record)] if record else None,
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]

    def _finance_approval_people(self):
        return self.requested_by_id

    def _finance_approved(self, approval):
        self._carry_out()

    def _finance_refused(self, approval):
        self.write({"state": "refused", "refusal": approval.reason})
        self.exception_id._log_action(
            self.env._("Compensation refused: %s", self.title), approval.reason
        )

    # === DOING === #

    def _carry_out(self):
        """Do it, once; keep what came of it, and say so on the document."""
        self.ensure_one()
        self.lock_for_update()
        if self.state != "requested":
            raise UserError(self.env._("“%s” was decided on already.", self.title))
        undone = self.undoes_id
        context = {"finance_correlation_id": self.correlation_id or None}
        doer = self.with_company(self.company_id).with_context(**context)
        result = doer._undo_it(undone) if undone else doer._do_it()
        self.write(
            {
                "state": "done",
                "done_by_id": self.env.user.id,
                "done_at": clock.naive_now(),
                "result_model": result._name if result else False,
                "result_id": result.id,
            }
        )
        if undone:
            undone.state = "undone"
        self._note_on_record()
        exception = self.exception_id
        exception._log_action(
            self.env._("Compensated: %s", self.title)
            if not undone
            else self.env._("Compensation taken back: %s", undone.title),
            self.reason,
        )
        if undone and undone.closes_exception:
            exception._reopen()
        elif self.closes_exception:
            exception._resolve(
                self.env._(
                    "%(title)s: %(reason)s", title=self.title, reason=self.reason
                )
            )

    def _note_on_record(self):
        """Say it in the history of what was compensated."""
        record = self._record()
        if record and hasattr(record, "message_post"):
            record.message_post(
                body=self.env._(
                    "%(title)s, dated %(date)s: %(reason)s",
                    title=self.title,
                    date=format_date(self.env, self.date),
                    reason=self.reason,
                )
            )
