from datetime import timedelta

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools.misc import formatLang

from .. import clock, constants
from ..access import require_group
from ..words import age_text, count_text, percent_text
from .finance_endpoint import LEVEL_RANK
from .glance import Glance, hour_of

# Periods of the trends: name → (hours, hours of one bar).
PERIODS = {"day": (24, 1), "week": (7 * 24, 6), "month": (30 * 24, 24)}
OPEN = Domain("is_open", "=", True)
EVERYBODY = (
    constants.GROUP_OPERATOR,
    constants.GROUP_APPROVER,
    constants.GROUP_ADMINISTRATOR,
    constants.GROUP_AUDITOR,
)


class FinanceDashboard(models.AbstractModel):
    """What the first page shows: what needs somebody, what moves, what is stuck.

    Nothing here counts a whole table: queues are counted up to a limit from partial
    indexes, the rest comes from tallies and pulses. Every figure names the list that
    is behind it.
    """

    _name = "finance.dashboard"
    _description = "Finance Integration Dashboard"

    @api.model
    def load(self, period="day"):
        """Return all that the dashboard shows to this user.

        :param str period: ``day``, ``week`` or ``month``, of the trends
        :return: dict, see the methods of its parts; everything JSON-able
        """
        require_group(self.env, *EVERYBODY)
        now = clock.naive_now()
        endpoints = self.env["finance.endpoint"].search(
            [("connector_id.state", "in", ("live", "suspended"))]
        )
        # Read once, for the connectors and for all of them together.
        glances = endpoints._glances()
        return {
            "as_of": fields.Datetime.to_string(now),
            "needs": self._needs(now),
            "urgent": self._urgent(now),
            "moving": self._moving(now, glances),
            "stuck": self._stuck(),
            "trends": self._trends(period, now),
            "connectors": self._connectors(now, glances),
            "checklist": self._checklist(),
        }

    # === FIGURES === #

    @api.model
    def _tile(self, key, title, model, domain, action, level):
        limit = constants.OPEN_COUNT_LIMIT
        number = self.env[model].search_count(domain, limit=limit)
        return {
            "key": key,
            "title": title,
            "number": number,
            "count": count_text(self.env, number, limit),
            "level": level if number else "muted",
            "action": self._action(action, domain, title),
        }

    @api.model
    def _action(self, xmlid, domain, name=None, context=None):
        """Return the list behind a figure: an action with just those rows."""
        action = self.env["ir.actions.act_window"]._for_xml_id(xmlid)
        action["domain"] = list(Domain(domain))
        action["context"] = context or {}
        if name:
            action["name"] = name
        return action

    # === IS MONEY MOVING === #

    @api.model
    def _connectors(self, now, glances):
        """Return what is shown of the connectors in use, the unwell first."""
        connectors = self.env["finance.connector"].search(
            [("state", "in", ("live", "suspended"))],
            limit=constants.DASHBOARD_CONNECTORS,
        )
        shown = []
        for connector, health in connectors._healths(glances, now).items():
            shown.append(
                {
                    "id": connector.id,
                    "name": connector.name,
                    "level": health["health_level"],
                    "text": health["health_text"] or "",
                    "waiting": health["waiting_text"],
                    "past_due": health["past_due_text"] or "",
                    "success": health["success_day"] or "",
                    "chart": health["pulse_chart"],
                    "exceptions": connector.exception_count
                    and connector.exception_text,
                }
            )
        shown.sort(key=lambda row: (-LEVEL_RANK.get(row["level"], 0), row["name"]))
        return shown

    @api.model
    def _moving(self, now, glances):
        """Return the figures of the last hour and the last 24 hours."""
        total = Glance()
        for glance in glances.values():
            total.add(glance)
        past_due = total.past_due(now)
        since = hour_of(now) - timedelta(hours=23)
        series = self.env["finance.tally"]._series(self.env.companies.ids, since, 24, 1)
        return {
            "events": self._number(sum(series["event"])),
            "messages": self._number(sum(series["message"])),
            "applied": self._number(sum(series["applied"])),
            "events_action": self._action("finance_hub.finance_event_action", []),
            "messages_action": self._action("finance_hub.finance_message_action", []),
            "success": percent_text(self.env, total.day.success_rate) or "",
            "success_level": self._success_level(total.day.success_rate),
            "waiting": count_text(
                self.env, total.waiting + total.parked, constants.GLANCE_COUNT_LIMIT
            ),
            "waiting_action": self._action(
                "finance_hub.finance_delivery_action",
                [("state", "in", ("waiting", "parked"))],
            ),
            "past_due": age_text(self.env, past_due) if past_due else "",
            "past_due_level": (
                "danger" if past_due and past_due > constants.LATE_AFTER else "muted"
            ),
        }

    @api.model
    def _success_level(self, rate):
        if rate is None:
            return "muted"
        return "success" if rate >= constants.HEALTHY_SUCCESS_RATE else "danger"

    @api.model
    def _number(self, number):
        return formatLang(self.env, number, digits=0)

    # === WHAT IS STUCK === #

    @api.model
    def _stuck(self):
        """Return what does not move, by kind, and how much money is in it."""
        stakes = self.env["finance.stake"]._read_group(
            [("company_id", "in", self.env.companies.ids)],
            ["currency_id"],
            ["amount:sum"],
        )
        money = [
            {"key": currency.name, "text": currency.format(amount)}
            for currency, amount in sorted(stakes, key=lambda pair: -abs(pair[1]))
            if not currency.is_zero(amount)
        ]
        tiles = [
            self._tile(
                "dead",
                self.env._("Deliveries given up"),
                "finance.delivery",
                Domain("state", "=", "dead"),
                "finance_hub.finance_delivery_action",
                "danger",
            ),
            self._tile(
                "failed",
                self.env._("Commands that failed"),
                "finance.command",
                Domain("state", "=", "failed"),
                "finance_hub.finance_command_action",
                "danger",
            ),
            self._tile(
                "waiting",
                self.env._("Commands that wait"),
                "finance.command",
                Domain("state", "in", ("waiting", "held")),
                "finance_hub.finance_command_action",
                "warning",
            ),
        ]
        return {
            "money": money,
            "money_action": self._action(
                "finance_hub.finance_exception_action",
                OPEN & Domain("amount", "!=", False),
                self.env._("Money at stake"),
            ),
            "tiles": tiles,
        }

    # === TRENDS === #

    @api.model
    def _trends(self, period, now):
        """Return the bars of a period: labels and one series for each kind."""
        hours, step = PERIODS.get(period, PERIODS["day"])
        last = hour_of(now)
        if step == 24:
            last = last.replace(hour=23)
        since = last - timedelta(hours=hours - 1)
        series = self.env["finance.tally"]._series(
            self.env.companies.ids, since, hours, step
        )
        names = dict(
            self.env["finance.tally"]._fields["kind"]._description_selection(self.env)
        )
        labels = [
            fields.Datetime.to_string(since + timedelta(hours=slot * step))
            for slot in range(-(-hours // step))
        ]
        return {
            "period": period if period in PERIODS else "day",
            "step": step,
            "labels": labels,
            "series": [
                {
                    "key": kind,
                    "title": names[kind],
                    "total": self._number(sum(numbers)),
                    "numbers": numbers,
                }
                for kind, numbers in series.items()
            ],
        }

    # === FROM NOTHING TO THE FIRST EVENT === #

    @api.model
    def _checklist(self):
        """Return the steps of a new administrator, empty once events arrive.

        :return: [{key, title, text, done, action}]
        """
        if not self.env.user.has_group(constants.GROUP_ADMINISTRATOR):
            return []
        if self._is_in_use():
            return []
        connectors = "finance_hub.finance_connector_action"
        endpoints = "finance_hub.finance_endpoint_action"
        steps = [
            (
                "connector",
                self.env._("Add a connector"),
                self.env._("The system that events go to: name, owner, runbook."),
                self.env["finance.connector"].search_count([], limit=1),
                connectors,
            ),
            (
                "endpoint",
                self.env._("Tell where events go"),
                self.env._("An endpoint: the address that the other system gave you."),
                self.env["finance.endpoint"].search_count([], limit=1),
                endpoints,
            ),
            (
                "subscription",
                self.env._("Choose the events"),
                self.env._("A subscription: which events, in which form."),
                self.env["finance.subscription"].search_count([], limit=1),
                "finance_hub.finance_subscription_action",
            ),
            (
                "secret",
                self.env._("Make the signing secret"),
                self.env._("So that the receiver knows that an event is yours."),
                self.env["finance.credential"].search_count(
                    [("direction", "=", "outbound"), ("state", "=", "active")], limit=1
                ),
                "finance_hub.finance_credential_action",
            ),
            (
                "test",
                self.env._("Send a test event"),
                self.env._("Press Test on the endpoint and read the answer."),
                self.env["finance.attempt"].search_count([], limit=1),
                endpoints,
            ),
            (
                "live",
                self.env._("Put it live"),
                self.env._("Request the review; an approver puts the connector live."),
                self.env["finance.connector"].search_count(
                    [("state", "=", "live")], limit=1
                ),
                connectors,
            ),
            (
                "delivered",
                self.env._("See the first event arrive"),
                self.env._("Post an invoice: it is delivered within a second."),
                False,
                "finance_hub.finance_delivery_action",
            ),
        ]
        return [
            {
                "key": key,
                "title": title,
                "text": text,
                "done": bool(done),
                "action": self._action(action, []),
            }
            for key, title, text, done, action in steps
        ]

    @api.model
    def _is_in_use(self):
        """Return whether anything was ever delivered or came in."""
        delivered = self.env["finance.delivery"].search_count(
            [("state", "=", "delivered")], limit=1
        )
        return bool(delivered or self.env["finance.message"].search_count([], limit=1))
