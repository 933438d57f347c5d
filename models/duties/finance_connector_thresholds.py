from datetime import timedelta

from odoo import api, fields, models

from .. import clock
from ..insight.glance import Glance
from ..words import age_text
from . import constants

OLDEST_MESSAGE = """
    SELECT min(GREATEST(received_at, next_attempt_at)) FROM finance_message
     WHERE connector_id = %s AND state = 'received'
"""


class FinanceConnector(models.Model):
    """How much may go wrong on a connection before somebody is told."""

    _name = "finance.connector"
    _inherit = ["finance.connector", "finance.watched"]

    max_failure_percent = fields.Float(
        string="Failures (%)",
        compute="_compute_thresholds",
        store=True,
        readonly=False,
        precompute=True,
        digits=(5, 1),
        tracking=True,
        help="Largest share of the requests of an hour that may fail.",
    )
    max_past_due_minutes = fields.Integer(
        string="Past Due (min)",
        compute="_compute_thresholds",
        store=True,
        readonly=False,
        precompute=True,
        tracking=True,
        help="How long the oldest event or message may be late.",
    )
    max_open_exceptions = fields.Integer(
        string="Open Exceptions",
        compute="_compute_thresholds",
        store=True,
        readonly=False,
        precompute=True,
        tracking=True,
        help="How many may be open at a time. 0: any number.",
    )
    max_silence_hours = fields.Integer(
        string="Silence (h)",
        tracking=True,
        help="Longest time without a message that came in. 0: it may be silent.",
    )

    _thresholds_range = models.Constraint(
        "CHECK (max_failure_percent BETWEEN 0 AND 100 AND max_past_due_minutes >= 0"
        " AND max_open_exceptions >= 0 AND max_silence_hours >= 0)",
        "Thresholds are not negative, and a share is at most 100 %.",
    )

    @api.depends("criticality")
    def _compute_thresholds(self):
        for connector in self:
            percent, minutes, count = constants.THRESHOLDS[
                connector.criticality or "standard"
            ]
            connector.max_failure_percent = percent
            connector.max_past_due_minutes = minutes
            connector.max_open_exceptions = count

    # === BUSINESS METHODS === #

    def _missing_thresholds(self):
        missing = []
        if not self.max_failure_percent:
            missing.append(self.env._("a largest share of failures"))
        if not self.max_past_due_minutes:
            missing.append(self.env._("a longest time past due"))
        return missing

    @api.model
    def _cron_watch_thresholds(self):
        """Open an exception for each live connector beyond a threshold.

        It closes by itself when the connector is within them again.
        """
        self.env.flush_all()
        connectors = self.search([("state", "=", "live")])
        glances = connectors.endpoint_ids._glances()
        breaches = {}
        for connector in connectors:
            total = Glance()
            for endpoint in connector.endpoint_ids:
                total.add(glances.get(endpoint.id) or Glance())
            found = connector._breaches(total, clock.naive_now())
            if found:
                breaches[connector] = found
        # Those that are live no longer are not beyond anything, either.
        everyone = self.with_context(active_test=False).search([])
        everyone._tell_breaches(constants.CODE_THRESHOLD, breaches)

    def _breached_connector(self):
        return self

    def _breaches(self, total, now):
        """Return what is beyond its threshold, a sentence each.

        :param total: the :class:`Glance` of all endpoints together
        :param now: naive UTC
        """
        self.ensure_one()
        found = []
        requests = total.hour.delivered + total.hour.failed
        if self.max_failure_percent and requests >= constants.FAILURE_SAMPLE:
            percent = 100 * total.hour.failed / requests
            if percent > self.max_failure_percent:
                found.append(
                    self.env._(
                        "%(percent).1f %% of %(requests)s requests failed in the last "
                        "hour; %(most).1f %% are allowed.",
                        percent=percent,
                        requests=requests,
                        most=self.max_failure_percent,
                    )
                )
        late = total.past_due(now)
        self.env.cr.execute(OLDEST_MESSAGE, [self.id])
        (waiting,) = self.env.cr.fetchone()
        if waiting and waiting < now:
            late = max(late or timedelta(0), now - waiting)
        most = timedelta(minutes=self.max_past_due_minutes)
        if most and late and late > most:
            found.append(
                self.env._(
                    "The oldest waits %(late)s past due; %(most)s are allowed.",
                    late=age_text(self.env, late),
                    most=age_text(self.env, most),
                )
            )
        return found + self._further_breaches(now)

    def _further_breaches(self, now):
        found = []
        if self.max_open_exceptions:
            count = self.env["finance.exception"].search_count(
                [
                    ("connector_id", "=", self.id),
                    ("is_open", "=", True),
                    ("code", "!=", constants.CODE_THRESHOLD),
                ],
                limit=self.max_open_exceptions + 1,
            )
            if count > self.max_open_exceptions:
                found.append(
                    self.env._(
                        "More than %s exceptions are open.", self.max_open_exceptions
                    )
                )
        if self.max_silence_hours:
            last = self.env["finance.message"].search(
                [("connector_id", "=", self.id)], order="id desc", limit=1
            )
            heard = last.received_at or self.live_at or self.create_date
            silence = now - heard
            if silence > timedelta(hours=self.max_silence_hours):
                found.append(
                    self.env._(
                        "No message came in for %(age)s; %(most)s h are allowed.",
                        age=age_text(self.env, silence),
                        most=self.max_silence_hours,
                    )
                )
        return found
