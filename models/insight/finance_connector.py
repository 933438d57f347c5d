from odoo import fields, models

from .. import clock, constants
from ..access import require_group
from ..words import age_text, count_text, percent_text
from .finance_endpoint import HEALTH_LEVELS, LEVEL_RANK, chart
from .glance import Glance

# Of a connector that fails there are many: counted up to a limit. The range says the
# same as “=”, but an equal value is no order: only with one to keep does the planner
# take the index, and not the whole table for a connector that has few of many.
OPEN_EXCEPTIONS = """
    SELECT c.id, (SELECT count(*) FROM (
        SELECT FROM finance_exception x
         WHERE x.connector_id >= c.id AND x.connector_id <= c.id
           AND x.state IN ('open', 'in_progress')
         ORDER BY x.connector_id
         LIMIT %(most)s) few)
      FROM unnest(%(ids)s::int[]) AS c(id)
"""


class FinanceConnector(models.Model):
    """The health of a connector: that of its endpoints, the worst first."""

    _inherit = "finance.connector"

    health_level = fields.Selection(
        HEALTH_LEVELS, string="Health", compute="_compute_health"
    )
    health_text = fields.Char(string="In Words", compute="_compute_health")
    delivery_waiting_count = fields.Integer(compute="_compute_health")
    waiting_text = fields.Char(string="To Send", compute="_compute_health")
    parked_count = fields.Integer(string="Parked", compute="_compute_health")
    dead_count = fields.Integer(string="Given Up", compute="_compute_health")
    past_due_text = fields.Char(string="Oldest Past Due", compute="_compute_health")
    success_hour = fields.Char(string="Success, Last Hour", compute="_compute_health")
    success_day = fields.Char(string="Success, 24 Hours", compute="_compute_health")
    pulse_chart = fields.Json(string="Last 24 Hours", compute="_compute_health")
    exception_count = fields.Integer(
        string="Exceptions to Solve",
        compute="_compute_open_exceptions",
        help="Counted up to a thousand.",
    )
    exception_text = fields.Char(
        string="Exceptions", compute="_compute_open_exceptions"
    )

    # === COMPUTES === #

    def _compute_health(self):
        healths = self._healths(self.endpoint_ids._glances(), clock.naive_now())
        for connector in self:
            connector.update(healths[connector])

    def _healths(self, found, now):
        """Return {connector: values of the fields of its health}.

        :param dict found: of the connectors' endpoints, see ``_glances``
        """
        limit = constants.GLANCE_COUNT_LIMIT
        healths = {}
        for connector in self:
            total = Glance()
            worst = None
            for endpoint in connector.endpoint_ids:
                glance = found.get(endpoint._origin.id) or Glance()
                total.add(glance)
                level = endpoint._health_level(glance, now)
                if worst is None or LEVEL_RANK[level] > LEVEL_RANK[worst[0]]:
                    worst = level, endpoint, glance
            waiting = total.waiting + total.parked
            past_due = total.past_due(now)
            healths[connector] = {
                "health_level": connector._worst_level(worst),
                "health_text": connector._words(worst, now),
                "delivery_waiting_count": waiting,
                "waiting_text": count_text(self.env, waiting, limit),
                "parked_count": total.parked,
                "dead_count": total.dead,
                "past_due_text": past_due and age_text(self.env, past_due),
                "success_hour": percent_text(self.env, total.hour.success_rate),
                "success_day": percent_text(self.env, total.day.success_rate),
                "pulse_chart": chart(self.env, total),
            }
        return healths

    def _compute_open_exceptions(self):
        limit = constants.OPEN_COUNT_LIMIT
        self.env["finance.exception"].flush_model(["connector_id", "state"])
        self.env.cr.execute(OPEN_EXCEPTIONS, {"ids": self.ids, "most": limit})
        found = dict(self.env.cr.fetchall())
        for connector in self:
            number = found.get(connector._origin.id, 0)
            connector.exception_count = number
            connector.exception_text = count_text(self.env, number, limit)

    def _worst_level(self, worst):
        self.ensure_one()
        if self.state == "suspended":
            return "bad"
        if self.state != "live" or not self.active:
            return "off"
        return worst[0] if worst else "idle"

    def _words(self, worst, now):
        self.ensure_one()
        if self.state != "live":
            states = dict(self._fields["state"]._description_selection(self.env))
            return states[self.state]
        if not worst:
            return self.env._("Nothing to send to")
        level, endpoint, glance = worst
        text = endpoint._pause_text(glance, now) or endpoint._health_text(glance, now)
        if len(self.endpoint_ids) == 1 or level in ("good", "idle"):
            return text
        return self.env._("%(endpoint)s: %(text)s", endpoint=endpoint.name, text=text)

    # === ACTIONS === #

    def action_resume(self):
        """Go on; what failed before is over."""
        result = super().action_resume()
        self.sudo().endpoint_ids.health_ids._begin_anew()
        return result

    def action_test(self):
        """Test the endpoint of the connector, or show them all to choose from."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_ADMINISTRATOR)
        self.check_access("write")
        if len(self.endpoint_ids) == 1:
            return self.endpoint_ids.action_test()
        return self.action_open_endpoints()

    def action_open_endpoints(self):
        """Open the endpoints of the connector."""
        self.ensure_one()
        return self._action_related("finance_endpoint_action")
