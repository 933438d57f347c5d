from odoo import api, models

from .. import clock


class FinanceHold(models.Model):
    """What other systems say of held records."""

    _inherit = "finance.hold"

    @api.model
    def _last_verdict(self, record, kind, topic, company):
        """Return the hold with the latest verdict on a record, empty without one."""
        return self.sudo().search(
            [
                ("res_model", "=", record._name),
                ("res_id", "=", record.id),
                ("kind", "=", kind),
                ("topic", "=", topic),
                ("company_id", "=", company.id),
                ("decided_at", "!=", False),
            ],
            order="decided_at DESC, id DESC",
            limit=1,
        )

    @api.model
    def _clear(self, record, kind, reason, *, topic, verdict, command):
        """Let a record go, or keep that it may go before anything held it.

        :param dict verdict: values of the fields of the verdict
        :return: the holds that carry the verdict
        """
        company = command.company_id
        self._forget_clearances(record, kind, topic, company)
        held = self._active(record, kind, topic=topic, company=company)
        if held:
            held._end("released", reason, command=command, values=verdict)
            return held
        now = clock.naive_now()
        return self.sudo().create(
            {
                "company_id": company.id,
                "res_model": record._name,
                "res_id": record.id,
                "record_name": record.display_name,
                "kind": kind,
                "topic": topic,
                "connector_id": command.connector_id.id,
                "command_id": command.id,
                "placed_at": now,
                "placed_by_id": self.env.uid,
                "state": "released",
                "reason": self.env._("Nothing held it when the verdict came."),
                "released_at": now,
                "released_by_id": self.env.uid,
                "release_reason": reason,
                "release_command_id": command.id,
                "correlation_id": self._correlation_of(record, command),
                **verdict,
            }
        )

    def _report_rejected(self, posted):
        """Tell a person that a verdict is no.

        :param bool posted: whether the document was posted before the verdict came
        """
        self.ensure_one()
        cause = self._reason_sentence()
        if posted:
            cause = self.env._(
                "%(reason)s It was posted before the verdict came.", reason=cause
            )
        return self.env["finance.exception"]._open(
            "B-RISK-REJECTED",
            company=self.company_id,
            record=self,
            connector=self.connector_id,
            fingerprint=f"hold:{self.id}",
            summary=self.env._("Rejected by the check: %s", self.record_name),
            cause=cause,
            correlation_id=self.correlation_id,
            amount=self.amount if self.currency_id else None,
            currency=self.currency_id,
        )
