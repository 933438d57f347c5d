from odoo import models


class FinanceHandlerPaymentDisputed(models.AbstractModel):
    """``payment.disputed``: contested money is set aside, and a person has a date."""

    _name = "finance.handler.payment.disputed"
    _description = "Handler of Payment Disputed"
    _inherit = "finance.handler.payment"

    def _identity_fields(self):
        return ("parent_ref", "amount", "currency")

    def _handle(self, command, content):
        """See finance.handler; ``content`` is contracts.PaymentDisputed.

        :raise CommandWaits: D-ORPHAN while the capture is not known
        :raise CommandError: C-AMOUNT-INTEGRITY, D-UNMAPPED, B-PERIOD-LOCKED
        """
        currency = self.env["finance.booking"]._currency(content.currency)
        capture = self._capture_of(command, content.parent_ref)
        reason = content.reason or content.reason_code
        dispute = capture._child(
            command,
            "dispute",
            content.dispute_ref,
            float(content.amount),
            currency,
            parent_ref=content.parent_ref,
            reason=reason,
        )
        if content.due and (not dispute.due_at or content.stage == "open"):
            dispute.due_at = self._naive(content.due)
        dispute._log(
            command, "dispute", content.stage, self._naive(content.disputed_at)
        )
        if content.raw_status:
            dispute.raw_status = content.raw_status
        dispute._follow_dispute()
        self.env["finance.capture"]._note(capture.payment_id, "disputed", dispute.id)
        self._tell(command, dispute)
        self._result(command, dispute)

    # === PEOPLE === #

    def _tell(self, command, dispute):
        """Open, update or close what a person has to do."""
        stage = dispute.dispute
        known = dispute._open_exceptions("B-DISPUTE", dispute)
        if stage == "won":
            known.activity_ids.unlink()
            known._resolve(self.env._("The dispute was won"))
            return
        exception = self.env["finance.exception"]._open(
            "B-DISPUTE",
            company=dispute.company_id,
            record=dispute,
            connector=dispute.connector_id,
            fingerprint=f"transaction:{dispute.id}",
            summary=self._summary(dispute),
            cause=self._cause(dispute),
            correlation_id=dispute.correlation_id,
            amount=dispute.amount,
            currency=dispute.currency_id,
            due_at=dispute.due_at,
        )
        exception.activity_ids.unlink()
        self.env["finance.booking"]._ask(
            exception,
            dispute,
            self.env._("Decide on the lost dispute %s", dispute.provider_ref)
            if stage == "lost"
            else self.env._("Answer the dispute %s", dispute.provider_ref),
            self._cause(dispute),
            deadline=dispute.due_at.date()
            if dispute.due_at and stage != "lost"
            else None,
        )

    def _summary(self, dispute):
        return self.env._(
            "%(amount)s of %(document)s are disputed",
            amount=dispute.currency_id.format(dispute.amount),
            document=dispute.move_id.name or dispute.parent_id.provider_ref,
        )

    def _cause(self, dispute):
        _ = self.env._
        amount = dispute.currency_id.format(dispute.amount)
        reason = dispute.reason or _("no reason given")
        if dispute.dispute == "inquiry":
            return _(
                "The payer's bank asks about this payment (%(reason)s). No money has "
                "moved. Answer in time, so that it does not become a dispute.",
                reason=reason,
            )
        account = dispute.connector_id.dispute_account_id.display_name
        if dispute.dispute == "lost":
            return _(
                "The dispute is lost (%(reason)s). %(amount)s stand on “%(account)s”; "
                "an entry that books them is proposed as a draft. Check it and post "
                "it, or book the loss otherwise.",
                reason=reason,
                amount=amount,
                account=account,
            )
        return _(
            "The payer contests the payment (%(reason)s). %(amount)s were taken from "
            "us and stand on “%(account)s” until the dispute is decided.",
            reason=reason,
            amount=amount,
            account=account,
        )
