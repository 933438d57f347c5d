from odoo import api, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from .errors import CommandError
from .finance_payout import PENDING


class FinancePayout(models.Model):
    """Payouts whose report came before the payments: they go on by themselves."""

    _inherit = "finance.payout"

    # === RESUMING === #

    @api.model
    def _tell_waiting(self, transaction, refs):
        """Match the lines that waited for a transaction; book what became complete.

        :param refs: what the transaction and the payment behind it are called
        """
        lines = self.env["finance.payout.line"].search(
            Domain("payout_id.is_booked", "=", False)
            & (
                Domain("state", "=", "differs")
                & Domain("transaction_id", "=", transaction.id)
                | Domain("state", "=", "unknown")
                & Domain(
                    "connector_id", "in", transaction.connector_id._payment_family().ids
                )
                & (
                    Domain("provider_ref", "in", list(refs))
                    | Domain("parent_ref", "in", list(refs))
                    | Domain("settlement_ref", "in", list(refs))
                )
            )
        )
        if not lines:
            return
        payouts = lines.payout_id
        try:
            with self.env.cr.savepoint():
                lines._match()
        except (CommandError, UserError):
            # It is not this transaction's fault: the sweep says what is wrong.
            return
        for payout in payouts:
            if not payout._missing_payments():
                payout._advance()

    @api.model
    def _cron_resume(self):
        """Go on with payouts whose last missing payments came in the same moment."""
        for payout in self.search([("state", "in", PENDING), ("complete", "=", True)]):
            payout._advance()
            if not self.env["ir.cron"]._commit_progress(1):
                break
