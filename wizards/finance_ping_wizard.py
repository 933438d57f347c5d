import uuid
from dataclasses import replace

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..contracts import dump_json, event_source, event_type, validate_data
from ..models import clock, constants
from ..models.access import require_group
from ..models.networks import allowed_networks
from ..models.outbox import body
from ..models.outbox.routes import load_route
from ..models.words import duration_text, header_lines, phases_text
from ..signing import mask_headers
from ..transport import explain
from ..transport.engine import Parcel

PING = "finance.connector.ping.v1"


class FinancePingWizard(models.TransientModel):
    """Shows what a test event was answered."""

    _name = "finance.ping.wizard"
    _description = "Test of a Finance Endpoint"

    endpoint_id = fields.Many2one("finance.endpoint", required=True, readonly=True)
    arrived = fields.Boolean(readonly=True)
    headline = fields.Char(readonly=True)
    cause = fields.Text(readonly=True)
    next_step = fields.Text(string="What to Do", readonly=True)
    detail = fields.Char(string="Technical Detail", readonly=True)
    status = fields.Integer(string="Answer", readonly=True)
    sent_at = fields.Datetime(string="When", readonly=True)
    duration = fields.Char(readonly=True)
    phases_text = fields.Char(string="Time Spent", readonly=True)
    remote_ip = fields.Char(string="Remote IP", readonly=True)
    url = fields.Char(string="Address", readonly=True)
    event_key = fields.Char(string="Event ID", readonly=True)
    request_headers = fields.Text(readonly=True)
    request_body = fields.Text(readonly=True)
    response_headers = fields.Text(readonly=True)
    response_body = fields.Text(readonly=True)

    # === ACTIONS === #

    def action_send_again(self):
        """Send another test event."""
        self.ensure_one()
        return self.endpoint_id.action_test()

    # === BUSINESS METHODS === #

    @api.model
    def _run(self, endpoint):
        """Send a test event and return the action that shows what came of it.

        Everything is read before and written after the request, so that nothing is
        locked while the other side thinks.

        :raise UserError: when nothing can be sent: no usable secret, not sent to
        """
        require_group(self.env, constants.GROUP_ADMINISTRATOR)
        # Only where something is sent with is aiohttp needed.
        from ..transport.single import send_once

        if endpoint.transport == "feed":
            raise UserError(
                self.env._(
                    "Nothing is sent to this endpoint: the other side fetches its "
                    "events. Have it call the feed, and look at “Last Success”."
                )
            )
        parcel = self._parcel(endpoint)
        result = send_once(parcel, allowed_networks())
        wizard = self.create(self._values(endpoint, parcel, result))
        wizard._log()
        self.env["finance.test.call"]._note_sent(
            endpoint, result.outcome.delivered, wizard.headline
        )
        return wizard._action()

    @api.model
    def _parcel(self, endpoint):
        """Return a test event as a dispatcher would send it."""
        try:
            route = load_route(endpoint)
        except ValueError as error:
            raise UserError(str(error)) from error
        row = self._row(endpoint)
        subscription = endpoint.subscription_ids[:1]
        form = body.Form(subscription.content_mode or "structured")
        headers, content = body.message(row, form, None)
        timeout = min(float(endpoint.timeout), float(constants.TEST_TIMEOUT))
        return Parcel(
            destination=replace(route.destination, timeout=timeout),
            lane=row["aggregate"],
            message_id=row["event_id"],
            body=content,
            headers=headers,
        )

    @api.model
    def _row(self, endpoint):
        """Return a test event as a row of the outbox, which it never becomes."""
        connector, company = endpoint.connector_id, endpoint.company_id
        event_id = str(uuid.uuid4())
        database = self.env["ir.config_parameter"].sudo().get_param("database.uuid")
        environments = dict(
            connector._fields["environment"]._description_selection(self.env)
        )
        data = validate_data(
            PING,
            {
                "connector": {"id": str(connector.id), "name": connector.name},
                "endpoint": {"id": str(endpoint.id), "name": endpoint.name},
                "message": self.env._(
                    "Test of “%(connector)s” (%(environment)s). Nothing happened in "
                    "the books.",
                    connector=connector.code,
                    environment=environments[connector.environment],
                ),
                "sent_by": self.env.user.name,
            },
        )
        return {
            "event_id": event_id,
            "type": event_type(PING).name,
            # A stream of its own, so that no real sequence is disturbed.
            "aggregate": f"ping/{event_id}",
            "sequence": 1,
            "company_id": company.id,
            "source": event_source(database, company.id),
            "subject": f"connector/{connector.id}",
            "occurred_at": clock.naive_now(),
            "correlation_id": event_id,
            "causation_id": None,
            "actor": f"user/{self.env.user.id}",
            "data": dump_json(data).decode(),
            "label": endpoint.name,
        }

    @api.model
    def _values(self, endpoint, parcel, result):
        outcome = result.outcome
        values = {
            "endpoint_id": endpoint.id,
            "arrived": outcome.delivered,
            "status": outcome.status,
            "sent_at": clock.naive_now(),
            "duration": duration_text(self.env, outcome.duration_ms),
            "phases_text": phases_text(self.env, outcome.phases),
            "remote_ip": outcome.remote_ip,
            "url": endpoint.url,
            "event_key": parcel.message_id,
            "request_headers": header_lines(mask_headers(result.request_headers)),
            "request_body": parcel.body.decode("utf-8", "replace"),
            "response_headers": header_lines(mask_headers(outcome.headers)),
            "response_body": outcome.body.decode("utf-8", "replace").replace(
                "\0", "\ufffd"
            )[: constants.PREVIEW_CHARS],
            "detail": outcome.detail,
        }
        if outcome.delivered:
            return {
                **values,
                "headline": self.env._(
                    "It arrived: “%(endpoint)s” answered %(status)s after "
                    "%(duration)s.",
                    endpoint=endpoint.name,
                    status=outcome.status,
                    duration=values["duration"],
                ),
            }
        explanation = explain(outcome)
        return {
            **values,
            "headline": self.env._("It did not arrive: %s", explanation.cause),
            "cause": explanation.cause,
            "next_step": explanation.next_step,
        }

    def _log(self):
        """Keep with the endpoint who tested it, and what came of it."""
        self.ensure_one()
        self.endpoint_id.sudo().message_post(
            body=self.env._(
                "Test event sent by %(user)s. %(result)s",
                user=self.env.user.name,
                result=self.headline,
            ),
            author_id=self.env.user.partner_id.id,
        )

    def _action(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Test Event"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
            "context": {"dialog_size": "large"},
        }
