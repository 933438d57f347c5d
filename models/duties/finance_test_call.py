import hashlib
import json

from odoo import api, fields, models

from .. import clock
from . import constants

# What a test of an endpoint stands for: with other settings it is another test.
ENDPOINT_SETTINGS = (
    "transport",
    "url",
    "amqp_exchange",
    "amqp_routing_key",
    "credential_id",
    "auth_credential_id",
    "client_certificate_id",
    "ca_pem",
    "use_proxy",
)
FORMAT_SETTINGS = (
    "adapter",
    "adapter_options",
    "file_adapter",
    "file_adapter_options",
)


class FinanceTestCall(models.Model):
    """That a connection was tried, by whom, and what came of it.

    Kept as the evidence with which a connection went live.
    """

    _name = "finance.test.call"
    _description = "Finance Test Call"
    _order = "id desc"
    _rec_name = "detail"

    connector_id = fields.Many2one(
        "finance.connector",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
    )
    company_id = fields.Many2one(related="connector_id.company_id", store=True)
    endpoint_id = fields.Many2one(
        "finance.endpoint", readonly=True, index="btree_not_null", ondelete="cascade"
    )
    kind = fields.Selection(
        [("send", "Test Event"), ("read", "Message Tried")],
        required=True,
        readonly=True,
    )
    passed = fields.Boolean(readonly=True)
    at = fields.Datetime(string="When", required=True, readonly=True)
    user_id = fields.Many2one("res.users", string="Tested By", readonly=True)
    detail = fields.Char(string="Result", readonly=True)
    settings_digest = fields.Char(readonly=True)

    @api.model
    def _note_sent(self, endpoint, passed, detail):
        """Keep that a test event was sent to an endpoint."""
        return self._note("send", endpoint.connector_id, endpoint, passed, detail)

    @api.model
    def _note_read(self, connector, passed, detail):
        """Keep that a message was read as the connector would."""
        return self._note(
            "read", connector, self.env["finance.endpoint"], passed, detail
        )

    @api.model
    def _note(self, kind, connector, endpoint, passed, detail):
        return self.sudo().create(
            {
                "connector_id": connector.id,
                "endpoint_id": endpoint.id,
                "kind": kind,
                "passed": passed,
                "at": clock.naive_now(),
                "user_id": self.env.uid,
                "detail": detail,
                "settings_digest": self._digest(endpoint or connector),
            }
        )

    @api.model
    def _passed(self, connector, endpoint=None):
        """Return the latest test that still counts, empty without one.

        :param endpoint: test events to it; without one, messages that were tried
        """
        subject = endpoint or connector
        return self.sudo().search(
            [
                ("connector_id", "=", connector.id),
                ("endpoint_id", "=", endpoint.id if endpoint else False),
                ("kind", "=", "send" if endpoint else "read"),
                ("passed", "=", True),
                ("at", ">=", clock.naive_now() - constants.TEST_VALID),
                ("settings_digest", "=", self._digest(subject)),
            ],
            limit=1,
        )

    @api.model
    def _digest(self, subject):
        """Return a digest of the settings that a test is a test of."""
        subject = subject.sudo()
        endpoint = subject._name == "finance.endpoint"
        names = ENDPOINT_SETTINGS if endpoint else FORMAT_SETTINGS
        values = {}
        for name in names:
            value = subject[name]
            if isinstance(value, models.BaseModel):
                # A renewed secret is another one.
                value = [value.id, fields.Datetime.to_string(value.secret_set_at)]
            values[name] = value
        text = json.dumps(values, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()
