from odoo import api, models

from .. import clock, constants
from .finance_hold import GUARDING


class FinanceHold(models.Model):
    """What other systems say about what is held, and until when it counts."""

    _inherit = "finance.hold"

    # === VERDICTS === #

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

    # === TIME === #

    @api.model
    def _cron_expire(self):
        """End what only waited, tell of verdicts that are overdue, hold again.

        What guards something goes on when its time is over: silence is no consent.
        """
        now = clock.naive_now()
        due = self.search(
            [
                ("state", "=", "active"),
                ("expires_at", "<=", now),
                ("is_overdue", "=", False),
            ],
            limit=constants.HOLD_BATCH,
        )
        guarding = due.filtered(lambda hold: hold.kind in GUARDING)
        (due - guarding)._end("expired", self.env._("Its time is over"))
        guarding.write({"is_overdue": True})
        for hold in guarding:
            hold._report_pending(self.env._("Nothing was decided in time."))
        self._hold_again(now)

    def _report_pending(self, why):
        """Tell a person that a verdict is missing."""
        self.ensure_one()
        return self.env["finance.exception"]._open(
            "B-RISK-PENDING",
            company=self.company_id,
            record=self,
            connector=self.connector_id,
            fingerprint=f"hold:{self.id}",
            summary=self.env._("No valid verdict: %s", self.title),
            cause=f"{why} {self._reason_sentence()}",
            correlation_id=self.correlation_id,
            amount=self.amount if self.currency_id else None,
            currency=self.currency_id,
        )

    def _report_exceeded(self, position):
        """Tell a person that a counterparty is above its limit."""
        self.ensure_one()
        self.env["finance.exception"]._open(
            "B-LIMIT-EXCEEDED",
            company=self.company_id,
            record=self,
            connector=self.connector_id,
            fingerprint=f"credit:{self.company_id.id}:{self.res_id}",
            summary=self.env._("%s is above its credit limit", self.record_name),
            cause=self.env._(
                "%(reason)s No invoice of it can be confirmed meanwhile.",
                reason=self._reason_sentence(),
            ),
            correlation_id=self.correlation_id,
            amount=position.exposure - position.limit,
            currency=position.currency,
        )

    @api.model
    def _hold_again(self, now):
        """Hold what a verdict cleared that ended before the document was posted."""
        over = self.search(
            [("cleared_until", "<=", now)], limit=constants.HOLD_BATCH, order="id"
        )
        for hold in over:
            record = hold._record()
            waits = getattr(record, "_finance_waits_to_post", None)
            if not record or not waits or not waits():
                hold.cleared_until = False
                continue
            again = self._place(
                record,
                hold.kind,
                self.env._("The verdict expired before this was posted."),
                connector=hold.connector_id,
                topic=hold.topic,
                amount=hold.amount,
                currency=hold.currency_id,
                company=hold.company_id,
            )
            again._report_pending(
                self.env._("The verdict ended before the document was posted.")
            )
