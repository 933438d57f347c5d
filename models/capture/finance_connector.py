from odoo import api, models, tools

from . import payload_master as payload

# What is sent about the integration itself. That such an event could not be
# delivered is not announced again, or a dead receiver would hear of itself for ever.
META_OBJECTS = ("connector", "exception")


class FinanceConnector(models.Model):
    """Connectors tell how they are, so that other systems can watch them."""

    _name = "finance.connector"
    _inherit = ["finance.connector", "finance.captured"]

    _finance_fields = ("state",)

    @api.model
    @tools.ormcache()
    def _live_company_ids(self):
        """Return the ids of companies with a connector that is live or suspended."""
        return tuple(
            sorted(
                company.id
                for (company,) in self.sudo()._read_group(
                    [("state", "in", ("live", "suspended"))], ["company_id"]
                )
            )
        )

    def _announce(self, verb, reason):
        """Have it announced that a connector changed its condition.

        That it was suspended or resumed by its state is announced without this.

        :param str verb: ``degraded``, ``suspended`` or ``recovered``
        :param str reason: one line in plain words
        """
        self.env["finance.capture"]._note(self, verb, reason or "")

    def _finance_transitions(self, before, now, marks):
        """Return how a connector's condition changed, see finance.captured."""
        return condition_transitions(before, now, marks)

    def _finance_event_values(self, verb, extra=None, facts=None):
        """Return what an event about this connector says, see finance.captured."""
        self.ensure_one()
        no_endpoint = self.env["finance.endpoint"]
        return condition_values(self, no_endpoint, verb, extra)


class FinanceEndpoint(models.Model):
    """Endpoints tell how they are, on behalf of their connector."""

    _name = "finance.endpoint"
    _inherit = ["finance.endpoint", "finance.captured"]

    _finance_fields = ("state",)

    def _announce(self, verb, reason, deliveries=None):
        """Have it announced that an endpoint changed its condition.

        That it was suspended or resumed by its state is announced without this.

        :param str verb: ``degraded``, ``suspended``, ``recovered`` or
            ``delivery_exhausted``
        :param str reason: one line in plain words
        :param deliveries: the ``finance.delivery`` that were given up, with
            ``delivery_exhausted``: one event for each
        """
        capture = self.env["finance.capture"]
        if verb != "delivery_exhausted":
            capture._note(self, verb, reason or "")
            return
        for endpoint in self:
            given_up = tuple(
                (delivery.id, reason)
                for delivery in deliveries.sudo()
                if delivery.endpoint_id == endpoint
                and delivery.event_id.type.split(".")[1] not in META_OBJECTS
            )
            if given_up:
                touched = capture._touch(self._name, endpoint.ids)[endpoint.id]
                capture._note(endpoint, verb, touched.get(verb, ()) + given_up)

    def _finance_transitions(self, before, now, marks):
        """Return how an endpoint's condition changed, see finance.captured."""
        return condition_transitions(before, now, marks)

    def _finance_event_values(self, verb, extra=None, facts=None):
        """Return what an event about this endpoint says, see finance.captured."""
        self.ensure_one()
        if verb == "delivery_exhausted":
            return self._finance_given_up_values(extra)
        return condition_values(self.connector_id, self, verb, extra)

    def _finance_given_up_values(self, given_up):
        deliveries = self.env["finance.delivery"]
        return [
            {
                **condition_values(self.connector_id, self, "", "")[0],
                "key": f"{self.connector_id.id}-{self.id}-{one}",
                "data": payload.delivery_exhausted(deliveries.browse(one), reason),
            }
            for one, reason in given_up
        ]


def condition_transitions(before, now, marks):
    """Return the transitions of a connector or endpoint.

    :return: list of (verb, reason)
    """
    was, state = before and before["state"], now["state"]
    found = {}
    if state == "suspended" and was not in (None, "suspended"):
        found["suspended"] = ""
    elif was == "suspended" and state == "live":
        found["recovered"] = ""
    return [*{**found, **marks}.items()]


def condition_values(connector, endpoint, verb, reason):
    """Return the one event that tells the condition of a connector."""
    if not reason and verb == "suspended":
        reason = endpoint.suspended_reason
    return [
        {
            "object": "connector",
            # Each endpoint has an order of its own: dispatchers work side by side.
            "key": f"{connector.id}-{endpoint.id}" if endpoint else connector.id,
            "label": endpoint.name or connector.name,
            "company": connector.company_id,
            "data": payload.condition(connector, endpoint, reason),
        }
    ]
