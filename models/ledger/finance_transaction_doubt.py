from odoo import api, models

from .. import clock, constants
from ..access import require_group


class FinanceTransaction(models.Model):
    """Outcomes that are not known are asked for; nothing is ever sent again."""

    _inherit = "finance.transaction"

    def action_record_outcome(self):
        """Ask an operator what the provider said about an unknown outcome."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Record What Happened"),
            "res_model": "finance.outcome.wizard",
            "view_mode": "form",
            "target": "new",
            "context": {"default_transaction_id": self.id},
        }

    # === IN DOUBT === #

    def _record_outcome(self, status, occurred_at, reason):
        """Log what an operator learned from the provider; nothing is booked.

        :param str status: of the axis execution
        :param occurred_at: naive UTC
        :param str reason: how it was learned
        """
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        transaction = self.sudo()
        transaction._lock()
        transaction._log(
            None,
            "execution",
            status,
            occurred_at,
            reason=reason,
            user_id=self.env.user.id,
        )

    def _settle_doubt(self):
        """Close the exception of an unknown outcome that is known by now."""
        known = self.filtered(lambda transaction: transaction.execution != "unknown")
        if known:
            self._open_exceptions("T-INDOUBT", known)._resolve(
                self.env._("The outcome is known")
            )

    @api.model
    def _cron_in_doubt(self):
        """Tell a person of outcomes that stay unknown; nothing is sent again."""
        since = clock.naive_now() - constants.INDOUBT_GRACE
        told = self.env["finance.exception"]._search(
            [
                ("code", "=", "T-INDOUBT"),
                ("res_model", "=", self._name),
                ("is_open", "=", True),
            ]
        )
        doubtful = self.search(
            [
                ("execution", "=", "unknown"),
                ("write_date", "<=", since),
                ("id", "not in", told.subselect("res_id")),
            ],
            limit=constants.INDOUBT_BATCH,
        )
        for transaction in doubtful:
            transaction._open_doubt()

    def _open_doubt(self):
        self.ensure_one()
        connector = self.connector_id
        return self.env["finance.exception"]._open(
            "T-INDOUBT",
            company=self.company_id,
            record=self,
            connector=connector,
            fingerprint=f"transaction:{self.id}",
            summary=self.env._(
                "It is not known what became of payment %s", self.provider_ref
            ),
            cause=self.env._(
                "%(connector)s does not know the outcome of %(reference)s. Look "
                "%(reference)s up in the provider's dashboard or ask its support, then "
                "press “Record What Happened” on the transaction. Do not send the "
                "payment again: it may have been carried out.",
                connector=connector.name,
                reference=self.provider_ref,
            ),
            correlation_id=self.correlation_id,
            amount=self.amount,
            currency=self.currency_id,
        )
