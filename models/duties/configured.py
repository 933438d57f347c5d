"""Who had a hand in the configuration of a connector since it was last live."""

from odoo import SUPERUSER_ID, api, models

from .. import clock
from ..audit import values

NOTE_HAND = """
    INSERT INTO finance_connector_configured_rel (connector_id, user_id)
    SELECT id, %(user)s FROM finance_connector WHERE id = ANY(%(connectors)s)
        ON CONFLICT DO NOTHING
"""
NOTE_TIME = """
    UPDATE finance_connector SET configured_at = %(now)s
     WHERE id = ANY(%(connectors)s)
"""


class FinanceConfigured(models.AbstractModel):
    """What is part of a connector's configuration: whoever changes it is noted."""

    _name = "finance.configured"
    _description = "Part of a Finance Connector"

    # What moves by the buttons and is no configuration.
    _finance_moving = frozenset(
        {
            "state",
            "suspended_reason",
            "requested_by_id",
            "approved_by_id",
            "approved_at",
            "live_at",
            "configured_at",
            "configured_by_ids",
        }
    )

    @api.model_create_multi
    def create(self, vals_list):
        records = super().create(vals_list)
        records._finance_connectors()._note_hand()
        return records

    def write(self, vals):
        touches = self._finance_configures(vals)
        # The one that it leaves is changed, too.
        before = self._finance_connectors() if touches else None
        result = super().write(vals)
        if touches:
            (before | self._finance_connectors())._note_hand()
        return result

    def unlink(self):
        connectors = self._finance_connectors()
        result = super().unlink()
        connectors.exists()._note_hand()
        return result

    def _finance_configures(self, vals):
        followed = set(values.audited_fields(self, all_fields=True))
        return any(
            name not in self._finance_moving
            and name in self._fields
            and (name in followed or self._fields[name].inverse)
            for name in vals
        )

    def _finance_connectors(self):
        """Return the connectors that these records configure."""
        return self.sudo().connector_id


class FinanceConnector(models.Model):
    _name = "finance.connector"
    _inherit = ["finance.configured", "finance.connector"]

    def _finance_connectors(self):
        return self.sudo()

    def _note_hand(self):
        """Keep that the present user had a hand in the configuration.

        Beneath the ORM: it is no change of the connector itself.
        """
        if not self.ids or self.env.uid == SUPERUSER_ID:
            return
        self.flush_model()
        parameters = {
            "connectors": self.ids,
            "user": self.env.uid,
            "now": clock.naive_now(),
        }
        self.env.cr.execute(NOTE_HAND, parameters)
        self.env.cr.execute(NOTE_TIME, parameters)
        self.invalidate_recordset(["configured_by_ids", "configured_at"], flush=False)

    def _forget_hands(self):
        """Begin anew: it is live as it is."""
        self.flush_model()
        self.env.cr.execute(
            "DELETE FROM finance_connector_configured_rel WHERE connector_id = ANY(%s)",
            [self.ids],
        )
        self.env.cr.execute(
            "UPDATE finance_connector SET configured_at = NULL, live_at = %s"
            " WHERE id = ANY(%s)",
            [clock.naive_now(), self.ids],
        )
        self.invalidate_recordset(
            ["configured_by_ids", "configured_at", "live_at"], flush=False
        )


class FinanceEndpoint(models.Model):
    _name = "finance.endpoint"
    _inherit = ["finance.configured", "finance.endpoint"]


class FinanceSubscription(models.Model):
    _name = "finance.subscription"
    _inherit = ["finance.configured", "finance.subscription"]

    def _finance_connectors(self):
        return self.sudo().endpoint_id.connector_id


class FinanceCredential(models.Model):
    _name = "finance.credential"
    _inherit = ["finance.configured", "finance.credential"]


class FinanceClient(models.Model):
    _name = "finance.client"
    _inherit = ["finance.configured", "finance.client"]


class FinanceJsonMapping(models.Model):
    _name = "finance.json.mapping"
    _inherit = ["finance.configured", "finance.json.mapping"]


class FinanceJsonMappingLine(models.Model):
    _name = "finance.json.mapping.line"
    _inherit = ["finance.configured", "finance.json.mapping.line"]

    def _finance_connectors(self):
        return self.sudo().mapping_id.connector_id
