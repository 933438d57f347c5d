from odoo import api, models

from .. import clock, constants
from .glance import hour_of

ROLL_UP = """
    INSERT INTO finance_pulse (
        endpoint_id, company_id, lane, span, started_at, delivered, failed, throttled,
        duration_ms)
    SELECT endpoint_id, min(company_id), lane, 'hour', date_trunc('hour', started_at),
           sum(delivered), sum(failed), sum(throttled), sum(duration_ms)
      FROM finance_pulse
     WHERE span = 'minute' AND started_at >= %(since)s AND started_at < %(until)s
     GROUP BY endpoint_id, lane, date_trunc('hour', started_at)
    ON CONFLICT (endpoint_id, span, started_at, lane) DO UPDATE
       SET delivered = EXCLUDED.delivered, failed = EXCLUDED.failed,
           throttled = EXCLUDED.throttled, duration_ms = EXCLUDED.duration_ms
"""

LAST_ROLLED = """
    SELECT max(started_at) FROM finance_pulse
     WHERE span = 'hour' AND started_at < %(until)s
"""

PURGE = """
    DELETE FROM finance_pulse
     WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM finance_pulse
         WHERE span = %(span)s AND started_at < %(before)s
         ORDER BY started_at
         LIMIT %(most)s))
"""


class FinancePulse(models.Model):
    """Makes hours of minutes, and lets go of both in time."""

    _inherit = "finance.pulse"

    # For the roll-up and the purge, which know no endpoint.
    _time_idx = models.Index("(span, started_at)")

    @api.model
    def _cron_roll_up(self):
        """Add the minutes up to hours; remove what nothing looks at any more.

        Hours that ended lately are counted anew, as a transaction may commit late;
        and everything since the last hour there is, when the cron did not run.
        """
        self._roll_up()
        cron = self.env["ir.cron"]
        cron._commit_progress()
        now = clock.naive_now()
        for span, kept in (
            ("minute", constants.PULSE_MINUTES_KEPT),
            ("hour", constants.PULSE_HOURS_KEPT),
        ):
            while self._purge(span, now - kept) == constants.PULSE_PURGE_BATCH:
                if not cron._commit_progress(constants.PULSE_PURGE_BATCH, remaining=1):
                    return
        cron._commit_progress(remaining=0)

    @api.model
    def _roll_up(self):
        until = hour_of(clock.naive_now())
        cr = self.env.cr
        cr.execute(LAST_ROLLED, {"until": until})
        (last,) = cr.fetchone()
        since = until - constants.PULSE_MINUTES_KEPT
        if last:
            since = max(since, min(last, until - constants.PULSE_ROLL_UP))
        cr.execute(ROLL_UP, {"since": since, "until": until})
        self.invalidate_model(flush=False)

    @api.model
    def _purge(self, span, before):
        """Remove the oldest pulses of before a moment; return how many."""
        self.env.cr.execute(
            PURGE,
            {"span": span, "before": before, "most": constants.PULSE_PURGE_BATCH},
        )
        self.invalidate_model(flush=False)
        return self.env.cr.rowcount
