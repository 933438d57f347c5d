from odoo import fields, models
from odoo.exceptions import AccessError, UserError


class FinanceBulkLine(models.Model):
    """What became of one exception in a bulk action."""

    _name = "finance.bulk.line"
    _description = "Result of a Finance Bulk Action"
    _order = "state desc, id"
    _rec_name = "exception_id"

    bulk_id = fields.Many2one(
        "finance.bulk.action",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
    )
    company_id = fields.Many2one(related="bulk_id.company_id", store=True)
    exception_id = fields.Many2one(
        "finance.exception", required=True, readonly=True, ondelete="cascade"
    )
    state = fields.Selection(
        [
            ("pending", "To Do"),
            ("done", "Done"),
            ("skipped", "Skipped"),
            ("failed", "Failed"),
        ],
        required=True,
        readonly=True,
        default="pending",
    )
    message = fields.Text(string="Why Not", readonly=True)

    _pending_idx = models.Index("(bulk_id, id) WHERE state = 'pending'")

    def _decide(self):
        """Decide on the exception as the person would, and keep what came of it."""
        self.ensure_one()
        bulk = self.bulk_id
        exception = bulk._as_decider(self.exception_id)
        try:
            with self.env.cr.savepoint():
                if not exception.has_access("read"):
                    self._keep("failed", self.env._("It is not yours to decide on."))
                elif reason := exception._bulk_skips(bulk):
                    self._keep("skipped", reason)
                else:
                    exception._bulk_decide(bulk)
                    # What is wrong is to be found here, not with the next one.
                    self.env.flush_all()
                    self._keep("done", False)
        except (UserError, AccessError) as error:
            self.env.invalidate_all()
            self._keep("failed", str(error))

    def _keep(self, state, message):
        self.write({"state": state, "message": message})


class FinanceException(models.Model):
    _inherit = "finance.exception"

    def _bulk_skips(self, bulk):
        """Return why a decision has nothing to do here, empty when it has.

        :param bulk: the ``finance.bulk.action``, read as the system
        """
        self.ensure_one()
        if not self.is_open:
            return self.env._("It is closed already.")
        if bulk.action == "retry" and not self._retryable():
            return self.env._("There is nothing to try again.")
        if bulk.action == "waived" and self.waiver_state:
            return self.env._("A waiver is asked for already.")
        if bulk.action in ("grant", "refuse") and self.waiver_state != "requested":
            return self.env._("Nobody asked for a waiver.")
        return ""

    def _bulk_decide(self, bulk):
        """Carry out a bulk action on one exception, with all its checks."""
        self.ensure_one()
        env, reason = self.env, bulk.reason
        if bulk.action == "retry":
            self._retry()
        elif bulk.action == "assign":
            self.action_assign_to_me()
        elif bulk.action == "reassigned":
            self._reassign(
                env["finance.team"].browse(bulk.team_id.ids),
                env["res.users"].browse(bulk.assignee_id.ids),
                reason,
            )
        elif bulk.action == "snoozed":
            self._snooze(bulk.until, reason)
        elif bulk.action == "waived":
            self._request_waiver(reason)
        elif bulk.action == "cancelled":
            self._cancel(reason)
        elif bulk.action == "resolved":
            self._solve(reason)
        elif bulk.action == "grant":
            self._grant_waiver()
        else:
            self._refuse_waiver()
