from datetime import timedelta

from odoo import api, fields, models

from .. import clock, constants
from .glance import hour_of

# What is counted: kind → (table, column of time, condition). Each has an index on its
# time, and each table knows the company.
COUNTED = {
    "event": ("finance_event", "occurred_at", "true"),
    "message": ("finance_message", "received_at", "true"),
    "applied": ("finance_command", "applied_at", "state = 'applied'"),
    "opened": ("finance_exception", "opened_at", "true"),
    "resolved": ("finance_exception", "resolved_at", "resolved_at IS NOT NULL"),
}

COUNT = """
    INSERT INTO finance_tally (company_id, kind, started_at, number)
    SELECT company_id, %(kind)s, date_trunc('hour', {time}), count(*)
      FROM {table}
     WHERE {time} >= %(since)s AND {time} < %(until)s AND {condition}
     GROUP BY company_id, date_trunc('hour', {time})
    ON CONFLICT (company_id, kind, started_at) DO UPDATE
       SET number = EXCLUDED.number
     WHERE finance_tally.number <> EXCLUDED.number
"""


class FinanceTally(models.Model):
    """How much of what happened in one hour, so that no screen has to count rows."""

    _name = "finance.tally"
    _description = "Finance Hourly Tally"
    _order = "started_at desc"
    _rec_name = "started_at"
    _log_access = False

    company_id = fields.Many2one("res.company", required=True, readonly=True)
    kind = fields.Selection(
        [
            ("event", "Events"),
            ("message", "Messages"),
            ("applied", "Commands Applied"),
            ("opened", "Exceptions Opened"),
            ("resolved", "Exceptions Solved"),
        ],
        required=True,
        readonly=True,
    )
    started_at = fields.Datetime(required=True, readonly=True)
    number = fields.Integer(readonly=True)

    _hour_unique = models.UniqueIndex("(company_id, kind, started_at)")

    @api.model
    def _cron_count(self):
        """Count the hours that are not final yet; forget those nobody looks at.

        Hours that ended lately are counted anew, as a transaction may commit late;
        and everything since the last count, when the cron did not run.
        """
        self._count()
        self.env.cr.execute(
            "DELETE FROM finance_tally WHERE started_at < %s",
            [clock.naive_now() - constants.PULSE_HOURS_KEPT],
        )
        self.invalidate_model(flush=False)

    @api.model
    def _count(self):
        """Count what happened since the last count, up to now."""
        self.env.flush_all()
        now = clock.naive_now()
        for kind, (table, time, condition) in COUNTED.items():
            self.env.cr.execute(
                "SELECT max(started_at) FROM finance_tally WHERE kind = %s", [kind]
            )
            (last,) = self.env.cr.fetchone()
            since = hour_of(now) - constants.TALLY_HISTORY
            if last:
                since = max(since, min(last, hour_of(now)) - constants.TALLY_RECOUNT)
            self.env.cr.execute(
                COUNT.format(table=table, time=time, condition=condition),
                {"kind": kind, "since": since, "until": now + timedelta(minutes=1)},
            )
        self.invalidate_model(flush=False)

    @api.model
    def _series(self, company_ids, since, hours, step):
        """Return the numbers of each kind in slots of ``step`` hours.

        :param since: naive UTC, the beginning of the first slot
        :param int hours: of all slots together
        :param int step: hours of one slot
        :return: {kind: [number, …]}, the oldest slot first
        """
        found = {kind: [0] * -(-hours // step) for kind in COUNTED}
        self.env.cr.execute(
            """
            SELECT kind, started_at, sum(number) FROM finance_tally
             WHERE company_id = ANY(%s) AND started_at >= %s
             GROUP BY kind, started_at
            """,
            [list(company_ids), since],
        )
        for kind, started_at, number in self.env.cr.fetchall():
            slot = int((started_at - since).total_seconds() // 3600 // step)
            if kind in found and 0 <= slot < len(found[kind]):
                found[kind][slot] += int(number)
        return found


# Rows lie in order of time, so a few bytes per block tell where an hour is.
BRIN = "USING brin ({}) WITH (autosummarize = on)"


class FinanceEvent(models.Model):
    _inherit = "finance.event"

    _moment_idx = models.Index(BRIN.format("occurred_at"))


class FinanceMessage(models.Model):
    _inherit = "finance.message"

    _received_at_idx = models.Index(BRIN.format("received_at"))


class FinanceCommand(models.Model):
    _inherit = "finance.command"

    _applied_at_idx = models.Index(BRIN.format("applied_at"))


class FinanceException(models.Model):
    _inherit = "finance.exception"

    _opened_at_idx = models.Index(BRIN.format("opened_at"))
    _resolved_at_idx = models.Index("(resolved_at) WHERE resolved_at IS NOT NULL")
