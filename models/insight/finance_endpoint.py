from datetime import timedelta, timezone

from odoo import fields, models

from ...transport import BREAKER_WINDOW_SECONDS, parse_quiet, quiet_until
from .. import clock, constants
from ..access import require_group
from ..outbox.routes import zone_named
from ..windows import list_of
from ..words import age_text, count_text, duration_text, moment_text, percent_text
from .glance import Glance, glances, hour_of

HEALTH_LEVELS = [
    ("good", "Working"),
    ("idle", "Idle"),
    ("warning", "Unwell"),
    ("bad", "Not Working"),
    ("off", "Off"),
]
# The worst of several endpoints stands for their connector.
LEVEL_RANK = {"off": 0, "idle": 1, "good": 2, "warning": 3, "bad": 4}


class FinanceEndpoint(models.Model):
    """Health at a glance, and the test of an endpoint."""

    _name = "finance.endpoint"
    _inherit = ["finance.endpoint", "mail.activity.mixin"]

    health_level = fields.Selection(
        HEALTH_LEVELS, string="Health", compute="_compute_health"
    )
    health_text = fields.Char(string="In Words", compute="_compute_health")
    pause_text = fields.Char(
        string="Nothing Is Sent Now",
        compute="_compute_health",
        help="Why nothing is sent at the moment although something may wait.",
    )
    waiting_count = fields.Integer(compute="_compute_health")
    waiting_text = fields.Char(string="Waiting", compute="_compute_health")
    parked_count = fields.Integer(
        string="Parked",
        compute="_compute_health",
        help="Waits behind an event of the same document that was given up.",
    )
    dead_count = fields.Integer(string="Given Up", compute="_compute_health")
    past_due_text = fields.Char(
        string="Oldest Past Due",
        compute="_compute_health",
        help="How long the oldest event is overdue. Waiting for a planned retry is "
        "not being overdue.",
    )
    success_hour = fields.Char(string="Success, Last Hour", compute="_compute_health")
    success_day = fields.Char(string="Success, 24 Hours", compute="_compute_health")
    answer_time = fields.Char(
        string="Average Answer Time",
        compute="_compute_health",
        help="From the first byte sent to the end of the answer, on average over the "
        "last 24 hours.",
    )
    pulse_chart = fields.Json(string="Last 24 Hours", compute="_compute_health")
    last_success_at = fields.Datetime(string="Last Success", compute="_compute_health")
    last_failure_at = fields.Datetime(string="Last Failure", compute="_compute_health")
    last_failure = fields.Char(string="Last Cause", compute="_compute_health")

    # === COMPUTES === #

    def _glances(self):
        """Return {id: Glance} of the endpoints."""
        # What the glance reads by SQL must be there.
        self.env.flush_all()
        return glances(self.env.cr, self.ids, timedelta(seconds=BREAKER_WINDOW_SECONDS))

    def _compute_health(self):
        found = self._glances()
        now = clock.naive_now()
        limit = constants.GLANCE_COUNT_LIMIT
        for endpoint in self:
            glance = found.get(endpoint._origin.id) or Glance()
            endpoint.health_level = endpoint._health_level(glance, now)
            endpoint.health_text = endpoint._health_text(glance, now)
            endpoint.pause_text = endpoint._pause_text(glance, now)
            endpoint.waiting_count = glance.waiting
            endpoint.waiting_text = count_text(self.env, glance.waiting, limit)
            endpoint.parked_count = glance.parked
            endpoint.dead_count = glance.dead
            past_due = glance.past_due(now)
            endpoint.past_due_text = past_due and age_text(self.env, past_due)
            day = glance.day
            endpoint.success_hour = percent_text(self.env, glance.hour.success_rate)
            endpoint.success_day = percent_text(self.env, day.success_rate)
            endpoint.answer_time = duration_text(self.env, day.mean_ms)
            endpoint.pulse_chart = chart(self.env, glance)
            endpoint.last_success_at = glance.last_success_at
            endpoint.last_failure_at = glance.last_failure_at
            endpoint.last_failure = glance.last_error

    def _is_on(self):
        """Whether events are to be sent, or kept ready, at all."""
        self.ensure_one()
        return self.active and self.connector_id.state == "live"

    def _health_level(self, glance, now):
        self.ensure_one()
        if not self._is_on():
            return "bad" if self.connector_id.state == "suspended" else "off"
        if self.state == "suspended" or glance.breaker != "closed":
            return "bad"
        rate = glance.hour.success_rate
        past_due = glance.past_due(now)
        if (
            glance.dead
            or glance.parked
            or glance.failing_since
            or (rate is not None and rate < constants.HEALTHY_SUCCESS_RATE)
            or (
                past_due
                and past_due > constants.LATE_AFTER
                # Waiting as agreed is no illness.
                and not self._pause_text(glance, now)
            )
        ):
            return "warning"
        return "good" if glance.day.success_rate is not None else "idle"

    def _health_text(self, glance, now):
        """Return the state of the circuit breaker in words."""
        self.ensure_one()
        _ = self.env._
        if self.state == "suspended":
            return _("Suspended")
        if not self.active:
            return _("Archived")
        if not self._is_on():
            return _("Off: the connector is not live")
        if glance.breaker == "half_open":
            return _("Trying again with one request")
        if glance.breaker == "open":
            return self._rest_text(glance, now)
        if glance.failing_since:
            return _(
                "Failing since %s", moment_text(self.env, glance.failing_since, now)
            )
        if not glance.last_success_at:
            return _("Not used yet")
        return _("Working")

    def _rest_text(self, glance, now):
        _ = self.env._
        if glance.probe_at and glance.probe_at > now:
            text = _("Resting until %s", moment_text(self.env, glance.probe_at, now))
        else:
            text = _("About to try again")
        seen = glance.before_rest
        if seen.failed:
            text = _(
                "%(text)s, %(failed)s of the last %(total)s requests failed",
                text=text,
                failed=seen.failed,
                total=seen.delivered + seen.failed,
            )
        return text

    def _pause_text(self, glance, now):
        """Return why nothing is sent now, false when nothing is in the way."""
        self.ensure_one()
        _ = self.env._
        if self.state == "suspended":
            return _("Suspended: %s", self.suspended_reason or "")
        if self.connector_id.state == "suspended":
            return _("Suspended: the whole connector")
        if not self._is_on():
            return False
        if glance.breaker == "open" and glance.probe_at and glance.probe_at > now:
            return _("Resting until %s", moment_text(self.env, glance.probe_at, now))
        if quiet := self._quiet_until(now):
            return _("Quiet until %s", moment_text(self.env, quiet, now))
        if glance.paused_until and glance.paused_until > now:
            return _(
                "Asked to wait until %s",
                moment_text(self.env, glance.paused_until, now),
            )
        if self.rate_limit and glance.past_due(now):
            return _("Rate limited to %g events per second", self.rate_limit)
        return False

    def _quiet_until(self, now):
        """Return when the quiet window ends (naive, UTC), ``None`` if there is none.

        :param now: naive, UTC
        """
        self.ensure_one()
        try:
            windows = parse_quiet(self.quiet_windows)
        except ValueError:
            # Being typed in a form, not checked yet.
            return None
        if not windows:
            return None
        end = quiet_until(
            windows,
            now.replace(tzinfo=timezone.utc),
            zone_named(self.quiet_tz or "UTC"),
        )
        return end and clock.naive(end)

    # === ACTIONS === #

    def action_resume(self):
        """Send again; what failed before is over."""
        result = super().action_resume()
        self.sudo().health_ids._begin_anew()
        return result

    def action_test(self):
        """Send a test event at once, and show the request and the answer."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_ADMINISTRATOR)
        self.check_access("write")
        return self.env["finance.ping.wizard"]._run(self)

    def action_open_waiting(self):
        return self._action_deliveries("waiting")

    def action_open_parked(self):
        return self._action_deliveries("parked")

    def action_open_dead(self):
        return self._action_deliveries("dead")

    def action_open_attempts(self):
        """Open what was sent to this endpoint, the newest first."""
        self.ensure_one()
        self.check_access("read")
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "finance_hub.finance_attempt_action"
        )
        action["domain"] = [("endpoint_id", "=", self.id)]
        return action

    def _action_deliveries(self, state):
        self.ensure_one()
        self.check_access("read")
        return list_of(
            self.env,
            "finance_delivery_action",
            [("endpoint_id", "=", self.id), ("state", "=", state)],
        )


def chart(env, glance):
    """Return what the sparkline shows, and the same in words for who can't see it."""
    day = glance.day
    first = hour_of(clock.now()) - timedelta(hours=constants.GLANCE_HOURS - 1)
    return {
        "title": env._(
            "Last 24 hours: %(delivered)s delivered, %(failed)s failed",
            delivered=day.delivered,
            failed=day.failed,
        ),
        "hours": [
            {
                "at": (first + timedelta(hours=place)).isoformat(),
                "delivered": hour.delivered,
                "failed": hour.failed,
                "throttled": hour.throttled,
            }
            for place, hour in enumerate(glance.hours)
        ],
    }
