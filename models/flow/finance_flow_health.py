from odoo import api, fields, models

from .. import clock, constants
from ..words import percent_text

CODE = "B-FLOW-THRESHOLD"


class FinanceFlow(models.Model):
    """How a flow is doing: its attainment and its thresholds."""

    _name = "finance.flow"
    _inherit = ["finance.flow", "finance.watched"]

    attainment_day = fields.Char(string="On Time, 24 h", compute="_compute_attainment")
    attainment_week = fields.Char(
        string="On Time, 7 Days", compute="_compute_attainment"
    )
    attainment_month = fields.Char(
        string="On Time, 30 Days", compute="_compute_attainment"
    )
    failure_rate = fields.Char(
        string="Failure Rate, 24 h", compute="_compute_attainment"
    )
    running_count = fields.Integer(string="Running", compute="_compute_counts")
    stopped_count = fields.Integer(string="Stopped", compute="_compute_counts")
    late_count = fields.Integer(string="Late", compute="_compute_counts")
    exception_count = fields.Integer(
        string="Open Exceptions", compute="_compute_counts"
    )
    breach = fields.Text(string="Outside Its Thresholds", readonly=True, copy=False)

    def _compute_attainment(self):
        sums = self.env["finance.flow.tally"]._sums(self.ids)
        nothing = dict.fromkeys(constants.FLOW_SPANS, (0, 0, 0))
        for flow in self:
            by_span = sums.get(flow.id, nothing)
            for span in constants.FLOW_SPANS:
                on_time, late, _failed = by_span[span]
                total = on_time + late
                flow[f"attainment_{span}"] = percent_text(
                    self.env, on_time / total if total else None
                )
            on_time, late, failed = by_span["day"]
            total = on_time + late
            flow.failure_rate = percent_text(
                self.env, min(failed / total, 1) if total else None
            )

    def _compute_counts(self):
        groups = self.env["finance.process"]._read_group(
            [("flow_id", "in", self.ids), ("state", "in", ("running", "stopped"))],
            ["flow_id", "state", "is_late"],
            ["__count"],
        )
        exceptions = self._exception_counts()
        for flow in self:
            mine = [group[1:] for group in groups if group[0] == flow]
            flow.running_count = sum(n for state, _l, n in mine if state == "running")
            flow.stopped_count = sum(n for state, _l, n in mine if state == "stopped")
            flow.late_count = sum(number for _s, late, number in mine if late)
            flow.exception_count = exceptions.get(flow.id, 0)

    def _exception_counts(self):
        """Return {flow id: open exceptions of its processes}."""
        self.env.flush_all()
        self.env.cr.execute(
            """
            SELECT p.flow_id, count(*)
              FROM finance_exception e
              JOIN finance_process p ON p.id = e.res_id
             WHERE e.res_model = 'finance.process'
               AND e.state IN ('open', 'in_progress')
               AND p.flow_id = ANY(%s)
             GROUP BY p.flow_id
            """,
            [self.ids],
        )
        return dict(self.env.cr.fetchall())

    # === THRESHOLDS === #

    @api.model
    def _cron_watch_thresholds(self):
        """Tell of flows outside their thresholds, and when they are within again."""
        self.search(
            [("state", "in", ("live", "retired")), ("is_template", "=", False)]
        )._watch_thresholds()

    def _watch_thresholds(self):
        sums = self.env["finance.flow.tally"]._sums(self.ids)
        counts = self._exception_counts()
        oldest = self._oldest_due()
        breaches = {}
        for flow in self:
            found = flow._breaches(
                sums.get(flow.id, {}).get("day", (0, 0, 0)),
                counts.get(flow.id, 0),
                oldest.get(flow.id),
            )
            if found:
                breaches[flow] = found
            text = "\n".join(found) or False
            if flow.breach != text:
                flow.breach = text
        for flow, exception in self._tell_breaches(CODE, breaches).items():
            if flow.team_id:
                exception.write(
                    {"team_id": flow.team_id.id, "owner_team": flow.team_id.name}
                )

    def _oldest_due(self):
        """Return {flow id: hours by which its latest step is late}."""
        now = clock.naive_now()
        self.env.flush_all()
        self.env.cr.execute(
            """
            SELECT p.flow_id, min(s.due_at)
              FROM finance_process_step s
              JOIN finance_process p ON p.id = s.process_id
             WHERE s.state IN ('active', 'failed') AND s.due_at < %s
               AND p.flow_id = ANY(%s)
             GROUP BY p.flow_id
            """,
            [now, self.ids],
        )
        return {
            flow_id: (now - due_at).total_seconds() / 3600
            for flow_id, due_at in self.env.cr.fetchall()
        }

    def _breaches(self, day, exceptions, oldest):
        """Return in words which thresholds are exceeded.

        :param day: processes of the last day: on time, late, failed
        :param int exceptions: that are open
        :param oldest: hours by which a step is late, None if none is
        """
        on_time, late, failed = day
        # What failed at once is neither on time nor late yet.
        total = max(on_time + late, failed)
        found = []
        if total >= constants.FLOW_MIN_SAMPLE and self.max_failure_rate:
            rate = failed / total
            if rate * 100 > self.max_failure_rate:
                found.append(
                    self.env._(
                        "%(rate)s of the last day's processes failed; at most "
                        "%(most)s %% may.",
                        rate=percent_text(self.env, rate),
                        most=self.max_failure_rate,
                    )
                )
        if oldest and self.max_past_due_hours and oldest > self.max_past_due_hours:
            found.append(
                self.env._(
                    "A step is late by %(hours)s h; at most %(most)s h may be.",
                    hours=round(oldest, 1),
                    most=self.max_past_due_hours,
                )
            )
        if self.max_open_exceptions and exceptions > self.max_open_exceptions:
            found.append(
                self.env._(
                    "%(number)s exceptions are open; at most %(most)s may be.",
                    number=exceptions,
                    most=self.max_open_exceptions,
                )
            )
        return found
