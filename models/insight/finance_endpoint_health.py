from datetime import timedelta

from odoo import api, models

from .. import clock, constants
from ..words import age_text

WARNING = "mail.mail_activity_data_warning"

# Those that fail for long enough to be told of, or were told of and work again.
WATCHED = """
    SELECT h.id
      FROM finance_endpoint_health h
      JOIN finance_endpoint n ON n.id = h.endpoint_id
      JOIN finance_connector c ON c.id = n.connector_id
     WHERE n.state = 'live' AND n.active AND c.state = 'live'
       AND (h.notice > 0
            OR (h.failing_since IS NOT NULL AND n.suspend_after_days > 0))
     ORDER BY h.id
"""


class FinanceEndpointHealth(models.Model):
    """Suspends what fails for days, and says so beforehand."""

    _inherit = "finance.endpoint.health"

    @api.model
    def _cron_watch(self):
        """Tell owners of endpoints that fail, and suspend them when time is up."""
        self.env.flush_all()
        self.env.cr.execute(WATCHED)
        ids = [health_id for (health_id,) in self.env.cr.fetchall()]
        cron = self.env["ir.cron"]
        for done, health_id in enumerate(ids):
            self.browse(health_id)._watch()
            # Announced, told and noted together, or not at all.
            cron._commit_progress(1, remaining=len(ids) - done - 1)

    def _watch(self):
        """Do what is due for one endpoint."""
        self.ensure_one()
        # The dispatcher writes these rows beneath the ORM.
        self.invalidate_recordset(flush=False)
        if not self.failing_since:
            if self.notice:
                self._recovered()
            return
        days = self.endpoint_id.suspend_after_days
        if not days:
            return
        failing = clock.naive_now() - self.failing_since
        share = failing / timedelta(days=days) * 100
        if share >= 100:
            self._suspend_endpoint(failing)
            return
        reached = [level for level in constants.SUSPEND_NOTICES if level <= share]
        if reached and reached[-1] > self.notice:
            self._warn(reached[-1], failing, timedelta(days=days) - failing)

    def _warn(self, level, failing, left):
        endpoint = self.endpoint_id
        reason = self.env._(
            "Not one event has arrived at “%(endpoint)s” for %(failing)s. In %(left)s "
            "it will be suspended; what happens then is kept.",
            endpoint=endpoint.name,
            failing=age_text(self.env, failing),
            left=age_text(self.env, left),
        )
        self._set_notice(level)
        self._tell_owner(
            self.env._("“%s” fails and will be suspended", endpoint.name), reason
        )
        endpoint._announce("degraded", reason)

    def _suspend_endpoint(self, failing):
        endpoint = self.endpoint_id
        reason = self.env._(
            "not one event arrived for %(failing)s (the last answer: %(answer)s)",
            failing=age_text(self.env, failing),
            answer=self.last_error or self.env._("none"),
        )
        endpoint._suspend(reason)
        self._set_notice(0)
        self.env["finance.exception"]._open(
            "T-SUSPENDED",
            company=endpoint.company_id,
            record=endpoint,
            connector=endpoint.connector_id,
            fingerprint=f"endpoint:{endpoint.id}:suspended",
            summary=self.env._("“%s” was suspended", endpoint.name),
            cause=reason,
        )
        self._tell_owner(
            self.env._("“%s” was suspended", endpoint.name),
            self.env._(
                "Suspended: %s. What happens from now on is kept. Have the other side "
                "repaired, send a test event, and press Resume on the endpoint.",
                reason,
            ),
        )
        # The change of its state is announced by itself.

    def _recovered(self):
        endpoint = self.endpoint_id
        self._set_notice(0)
        reason = self.env._("“%s” takes events again", endpoint.name)
        endpoint.message_post(body=reason)
        endpoint.activity_feedback([WARNING], feedback=reason, only_automated=True)
        endpoint._announce("recovered", reason)

    def _begin_anew(self):
        """Forget failures, rest and pauses: a person says that it works again."""
        self.env.flush_all()
        self.env.cr.execute(
            """
            UPDATE finance_endpoint_health
               SET breaker = 'closed', closed_at = %s, opened_at = NULL,
                   probe_at = NULL, trips = 0, paused_until = NULL,
                   failing_since = NULL, notice = 0
             WHERE id = ANY(%s)
            """,
            [clock.naive_now(), self.ids],
        )
        self.invalidate_recordset(flush=False)
        self.endpoint_id.activity_unlink([WARNING], only_automated=True)

    def _set_notice(self, level):
        # Only this column: the dispatcher writes the others at the same time.
        self.env.cr.execute(
            "UPDATE finance_endpoint_health SET notice = %s WHERE id = %s",
            [level, self.id],
        )
        self.invalidate_recordset(["notice"], flush=False)

    def _tell_owner(self, summary, note):
        """Put it before the owner, and into the logs of endpoint and connector."""
        endpoint, connector = self.endpoint_id, self.endpoint_id.connector_id
        endpoint.message_post(body=note)
        connector.message_post(body=note)
        endpoint.activity_unlink([WARNING], only_automated=True)
        owner = connector.user_id
        # Whoever may not open the endpoint can't be given an activity on it.
        if owner and endpoint.with_user(owner).has_access("read"):
            endpoint.activity_schedule(
                WARNING, summary=summary, note=note, user_id=owner.id
            )
