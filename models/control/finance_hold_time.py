from odoo import api, models

from .. import clock, constants
from .finance_hold import GUARDING


class FinanceHold(models.Model):
    """What time does to holds, and who is told."""

    _inherit = "finance.hold"

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
