import time

import requests

from odoo import api, models

from odoo.addons.finance_hub.models import clock
from odoo.addons.finance_hub.signing import Signer

from .finance_bench import MODE


class FinanceDelivery(models.Model):
    """The reference: what most addons do, one job for each event."""

    _inherit = "finance.delivery"

    @api.model
    def _job_per_event(self):
        parameter = self.env["ir.config_parameter"].sudo().get_param(MODE)
        return parameter == "1"

    @api.model
    def _wake_after_commit(self, *lanes):
        if not self._job_per_event():
            return super()._wake_after_commit(*lanes)
        return None

    @api.model
    def _recorded(self, events):
        result = super()._recorded(events)
        if self._job_per_event():
            # In the business transaction, as is usual.
            ids = [event_pk for event_pk, _row in events]
            for delivery in self.search([("event_id", "in", ids)]):
                delivery.with_delay()._job_send_one()
        return result

    @api.model
    def _wake(self, *when):
        if not self._job_per_event():
            return super()._wake(*when)
        return None

    def _job_send_one(self):
        """Send one delivery by ``requests`` and record it, in the job's transaction."""
        self.ensure_one()
        endpoint = self.endpoint_id
        body = self._body()
        headers = {
            "Content-Type": "application/cloudevents+json; charset=utf-8",
            **Signer(endpoint.credential_id._secrets()).sign_headers(
                self.event_id.event_id, int(time.time()), body
            ),
        }
        answer = requests.post(
            endpoint.url,
            data=body,
            headers=headers,
            timeout=endpoint.timeout,
            allow_redirects=False,
        )
        answer.raise_for_status()
        now = clock.naive_now()
        self.env["finance.attempt"].create(
            {
                "delivery_id": self.id,
                "company_id": self.company_id.id,
                "number": 1,
                "started_at": now,
                "outcome": "delivered",
                "status": answer.status_code,
                "request_headers": headers,
                "response_headers": dict(answer.headers),
            }
        )
        self.write({"state": "delivered", "delivered_at": now, "attempt_count": 1})
