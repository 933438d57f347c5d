import logging

from psycopg2.errors import SerializationFailure

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import UserError

from .. import clock, constants
from ..access import require_group
from ..windows import list_of, window_of

_logger = logging.getLogger(__name__)

ACTIONS = [
    ("retry", "Retry"),
    ("assign", "Assign to Me"),
    ("reassigned", "Reassign"),
    ("snoozed", "Snooze"),
    ("waived", "Ask to Waive"),
    ("cancelled", "Cancel"),
    ("resolved", "Solved by Hand"),
    ("grant", "Waive"),
    ("refuse", "Refuse the Waiver"),
]


class FinanceBulkAction(models.Model):
    """One decision about many exceptions, carried out in pieces.

    Each exception is judged and logged on its own, as whoever decided; what does not
    fit one of them leaves the others alone. Every piece is a transaction, and what was
    done is written in it: after a crash the rest is done, and nothing twice.
    """

    _name = "finance.bulk.action"
    _description = "Finance Bulk Action"
    _inherit = ["finance.waking"]
    _order = "id desc"
    _rec_name = "title"

    title = fields.Char(compute="_compute_title")
    action = fields.Selection(
        ACTIONS, string="What Is Done", required=True, readonly=True
    )
    state = fields.Selection(
        [("running", "Running"), ("done", "Done"), ("stopped", "Stopped")],
        required=True,
        readonly=True,
        default="running",
    )
    company_id = fields.Many2one("res.company", required=True, readonly=True)
    company_ids = fields.Many2many("res.company", string="Companies", readonly=True)
    user_id = fields.Many2one(
        "res.users", string="Decided By", required=True, readonly=True
    )
    reason = fields.Text(readonly=True)
    until = fields.Datetime(readonly=True)
    team_id = fields.Many2one("finance.team", readonly=True)
    assignee_id = fields.Many2one("res.users", string="Person", readonly=True)
    started_at = fields.Datetime(required=True, readonly=True)
    finished_at = fields.Datetime(readonly=True)
    total = fields.Integer(readonly=True)
    done_count = fields.Integer(string="Done", readonly=True)
    failed_count = fields.Integer(string="Failed", readonly=True)
    skipped_count = fields.Integer(string="Skipped", readonly=True)
    progress = fields.Float(compute="_compute_progress", help="Percent.")
    line_ids = fields.One2many("finance.bulk.line", "bulk_id", readonly=True)

    _running_idx = models.Index("(id) WHERE state = 'running'")

    # === COMPUTES === #

    @api.depends("action", "total")
    def _compute_title(self):
        labels = dict(self._fields["action"]._description_selection(self.env))
        for bulk in self:
            bulk.title = self.env._(
                "%(action)s · %(count)s exceptions",
                action=labels.get(bulk.action),
                count=bulk.total,
            )

    @api.depends("total", "done_count", "failed_count", "skipped_count")
    def _compute_progress(self):
        for bulk in self:
            worked = bulk.done_count + bulk.failed_count + bulk.skipped_count
            bulk.progress = 100.0 * worked / bulk.total if bulk.total else 100.0

    # === ACTIONS === #

    def action_stop(self):
        """Leave what is not done yet as it is."""
        require_group(self.env, constants.GROUP_OPERATOR, constants.GROUP_APPROVER)
        for bulk in self:
            bulk.check_access("read")
            if bulk.user_id != self.env.user and not self.env.su:
                raise UserError(self.env._("Only %s can stop this.", bulk.user_id.name))
            if bulk.state != "running":
                raise UserError(self.env._("This has ended already."))
            bulk.sudo().write({"state": "stopped", "finished_at": clock.naive_now()})
        return True

    def action_open_failed(self):
        """Show the exceptions that could not be done."""
        self.ensure_one()
        self.check_access("read")
        lines = self.line_ids.filtered(lambda line: line.state in ("failed", "skipped"))
        return list_of(
            self.env, "finance_exception_action", [("id", "in", lines.exception_id.ids)]
        )

    # === STARTING === #

    @api.model
    def _start(self, exceptions, action, **values):
        """Do something with many exceptions: a few at once, many by a job.

        :param exceptions: ``finance.exception`` that the user may see
        :param str action: of :data:`ACTIONS`
        :param values: fields that it needs: ``reason``, ``until``, ``team_id``…
        :return: the window that shows how it goes
        """
        exceptions.check_access("read")
        if len(exceptions) > constants.BULK_MAX:
            raise UserError(
                self.env._(
                    "Choose at most %s exceptions at a time.", constants.BULK_MAX
                )
            )
        bulk = self.sudo().create(
            {
                "action": action,
                "company_id": self.env.company.id,
                "company_ids": [(6, 0, self.env.companies.ids)],
                "user_id": self.env.uid,
                "started_at": clock.naive_now(),
                "total": len(exceptions),
                **values,
            }
        )
        self.env["finance.bulk.line"].sudo().create(
            [
                {"bulk_id": bulk.id, "exception_id": exception_id}
                for exception_id in exceptions.ids
            ]
        )
        if len(exceptions) <= constants.BULK_AT_ONCE:
            bulk._work_piece()
        else:
            bulk._wake_after_commit()
        return {
            **window_of(bulk),
            "name": self.env._("Progress"),
            "target": "new",
        }

    # === WORKING === #

    @api.model
    def _wake_job(self, lane):
        return (
            "_job_run",
            "root.finance_hub.desk",
            self.env._("Decide on many finance exceptions"),
        )

    @api.model
    def _job_run(self):
        """Work on all that run, in turns and for a bounded time.

        :return: what was done, for the job's result
        """
        deadline = clock.now() + constants.BULK_BUDGET
        self.env.cr.execute(
            "SELECT id FROM finance_bulk_action WHERE state = 'running'"
        )
        busy = [bulk_id for (bulk_id,) in self.env.cr.fetchall()]
        pieces = 0
        while busy and clock.now() < deadline:
            for bulk_id in list(busy):
                if self._advance(bulk_id):
                    pieces += 1
                else:
                    busy.remove(bulk_id)
        if busy:
            self._wake()
        return f"{pieces} pieces"

    @api.model
    def _advance(self, bulk_id):
        """Work on one piece, in a transaction of its own.

        :return: whether there may be more to do
        """
        for _try in range(constants.BULK_MAX_TRIES):
            try:
                with self.env.registry.cursor() as cr:
                    env = api.Environment(cr, SUPERUSER_ID, {})
                    cr.execute(
                        "SELECT FROM finance_bulk_action WHERE id = %s"
                        " AND state = 'running' FOR UPDATE SKIP LOCKED",
                        [bulk_id],
                    )
                    if not cr.rowcount:
                        return False
                    return env[self._name].browse(bulk_id)._work_piece()
            except SerializationFailure:
                _logger.info("finance_hub: bulk action %s lost a race", bulk_id)
        return False

    @api.model
    def _cron_sweep(self):
        """Find what runs and no job works on; see ``finance.waking``."""
        if self.sudo().search_count([("state", "=", "running")], limit=1):
            self._wake()

    def _work_piece(self):
        """Decide on the next exceptions, and end when there are none.

        :return: whether there are more
        """
        self.ensure_one()
        lines = self.env["finance.bulk.line"].search(
            [("bulk_id", "=", self.id), ("state", "=", "pending")],
            order="id",
            limit=constants.BULK_PIECE,
        )
        for line in lines:
            line._decide()
        counts = dict(
            self.env["finance.bulk.line"]._read_group(
                [("bulk_id", "=", self.id)], ["state"], ["__count"]
            )
        )
        values = {
            "done_count": counts.get("done", 0),
            "failed_count": counts.get("failed", 0),
            "skipped_count": counts.get("skipped", 0),
        }
        more = bool(counts.get("pending"))
        if not more:
            values.update(state="done", finished_at=clock.naive_now())
        self.write(values)
        return more

    def _as_decider(self, exception):
        """Return an exception as the person who decided sees it."""
        return (
            exception.with_user(self.user_id)
            .with_company(self.company_id)
            .with_context(allowed_company_ids=self.company_ids.ids)
        )
