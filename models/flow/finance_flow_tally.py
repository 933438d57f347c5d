from datetime import timedelta

from odoo import api, fields, models

from .. import clock, constants
from ..insight.glance import hour_of

ADD = """
    INSERT INTO finance_flow_tally
           (flow_id, company_id, started_at, on_time, late, failed)
    VALUES (%(flow)s, %(company)s, %(hour)s,
            %(on_time)s, %(late)s, %(failed)s)
    ON CONFLICT (flow_id, started_at) DO UPDATE
       SET on_time = finance_flow_tally.on_time + EXCLUDED.on_time,
           late = finance_flow_tally.late + EXCLUDED.late,
           failed = finance_flow_tally.failed + EXCLUDED.failed
"""
SUMS = """
    SELECT flow_id,
           sum(on_time) FILTER (WHERE started_at > %(day)s),
           sum(late) FILTER (WHERE started_at > %(day)s),
           sum(failed) FILTER (WHERE started_at > %(day)s),
           sum(on_time) FILTER (WHERE started_at > %(week)s),
           sum(late) FILTER (WHERE started_at > %(week)s),
           sum(failed) FILTER (WHERE started_at > %(week)s),
           sum(on_time), sum(late), sum(failed)
      FROM finance_flow_tally
     WHERE flow_id = ANY(%(flows)s) AND started_at > %(month)s
     GROUP BY flow_id
"""


class FinanceFlowTally(models.Model):
    """How many processes of a flow were on time in an hour: no screen counts rows."""

    _name = "finance.flow.tally"
    _description = "Finance Flow Tally"
    _order = "started_at desc"
    _rec_name = "started_at"
    _log_access = False

    flow_id = fields.Many2one(
        "finance.flow", required=True, readonly=True, ondelete="cascade"
    )
    company_id = fields.Many2one("res.company", required=True, readonly=True)
    started_at = fields.Datetime(string="Hour", required=True, readonly=True)
    on_time = fields.Integer(readonly=True)
    late = fields.Integer(readonly=True)
    failed = fields.Integer(readonly=True)

    _hour_unique = models.UniqueIndex("(flow_id, started_at)")

    @api.model
    def _add(self, flow, hour, *, on_time=0, late=0, failed=0):
        """Count; negative numbers take back what turned out otherwise.

        :param hour: naive UTC, the beginning of an hour
        """
        self.env.cr.execute(
            ADD,
            {
                "flow": flow.id,
                "company": flow.company_id.id,
                "hour": hour,
                "on_time": on_time,
                "late": late,
                "failed": failed,
            },
        )
        self.invalidate_model(flush=False)

    @api.model
    def _sums(self, flow_ids):
        """Return {flow id: {span: (on time, late, failed)}} of a day, week and month.

        A span begins with a whole hour.
        """
        hour = hour_of(clock.naive_now())
        since = {
            span: hour - timedelta(hours=hours)
            for span, hours in constants.FLOW_SPANS.items()
        }
        self.env.cr.execute(SUMS, {"flows": list(flow_ids), **since})
        found = {}
        for flow_id, *sums in self.env.cr.fetchall():
            numbers = [int(number or 0) for number in sums]
            found[flow_id] = {
                span: tuple(numbers[place * 3 : place * 3 + 3])
                for place, span in enumerate(constants.FLOW_SPANS)
            }
        return found
