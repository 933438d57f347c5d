from odoo import api, models

from ...contracts import ADVERSE
from .. import clock
from . import words


class FinanceProcess(models.Model):
    """What the money reached, and when."""

    _inherit = "finance.process"

    def _of_this_run(self, transactions):
        """Return the payments whose money counts for this run.

        For a later run these are what was neither taken back nor given back in full
        before it began.
        """
        if not self.previous_id:
            return transactions
        return transactions.filtered(
            lambda t: (
                not (
                    t.refund == "full"
                    or any((axis, t[axis]) in ADVERSE for axis, _status in ADVERSE)
                )
                or any(
                    transition.occurred_at > self.started_at
                    for transition in t.transition_ids
                )
            )
        )

    @api.model
    def _milestones(self, correlation_id, transactions, steps):
        """Return when a transaction reached what, and whether that was on time.

        :param transactions: ``finance.transaction`` of the case
        :param steps: ``finance.process.step`` of the case
        :return: list of dicts with ``label``, ``at`` (naive UTC or None), ``due_at``
            and ``on_time`` (None where nothing is due)
        """
        reached = self._reached(correlation_id, transactions)
        found = []
        for name, _label in words.MILESTONES:
            step = steps.filtered(lambda s, n=name: s.definition_id.milestone == n)[:1]
            at = reached.get(name) or (step.done_at if step.state == "done" else None)
            due_at = step.due_at or None
            on_time = None
            if due_at:
                on_time = (at or clock.naive_now()) <= due_at
                if on_time and not at:
                    on_time = None
            found.append({"name": name, "at": at, "due_at": due_at, "on_time": on_time})
        return found

    @api.model
    def _reached(self, correlation_id, transactions):
        moments = {}
        wanted = {
            "acknowledged": "execution.acknowledged",
            "settled": "settlement.settled",
            "posted": "accounting.posted",
            "reconciled": "reconciliation.reconciled",
        }
        log = transactions.transition_ids
        if log:
            moments["initiated"] = min(log.mapped("occurred_at"))
        for name, status in wanted.items():
            axis, statuses = words.reached_by(status)
            times = [
                line.occurred_at
                for line in log
                if line.axis == axis and line.status in statuses
            ]
            if times:
                moments[name] = min(times)
        if correlation_id:
            self.env.cr.execute(
                """
                SELECT min(d.delivered_at)
                  FROM finance_event e
                  JOIN finance_delivery d ON d.event_id = e.id
                 WHERE e.correlation_id = %s AND d.state = 'delivered'
                """,
                [correlation_id],
            )
            (reported,) = self.env.cr.fetchone()
            if reported:
                moments["reported"] = reported
        return moments
