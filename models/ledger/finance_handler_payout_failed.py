from odoo import models

from .. import clock, constants
from .errors import CommandWaits


class FinanceHandlerPayoutFailed(models.AbstractModel):
    """``payout.failed``: the money went back to the provider.

    The payout's entry stays: what it paid out is open on the clearing account until
    the provider pays it again, and then matched with that.
    """

    _name = "finance.handler.payout.failed"
    _description = "Handler of Payout Failed"
    _inherit = "finance.handler"

    def _handle(self, command, content):
        """See finance.handler; ``content`` is contracts.PayoutFailed.

        :raise CommandWaits: D-ORPHAN while the payout is not known
        """
        payouts = self.env["finance.payout"]
        payout = payouts._known(command.connector_id, content.payout_ref)
        if not payout:
            raise CommandWaits(
                "D-ORPHAN",
                self.env._(
                    "The payout %s has not arrived yet. This is tried again when it "
                    "does.",
                    content.payout_ref,
                ),
                key=payouts._wait_key(command.connector_id, content.payout_ref),
                grace=constants.ORPHAN_GRACE,
            )
        payout._lock()
        command._join_case(payout.correlation_id)
        reason = content.reason or content.reason_code
        payout.write(
            {
                "failed_at": clock.naive(content.failed_at),
                "reason": reason,
                "raw_status": content.raw_status or payout.raw_status,
            }
        )
        payout._set_state()
        payout._report(
            "B-SETTLEMENT-DELAY",
            self.env._(
                "The payout %(payout)s failed: %(reason)s. The bank line is no longer "
                "expected; the money is at the provider, and open on the account "
                "“%(account)s” until it is paid out again.",
                payout=payout.payout_ref,
                reason=reason or self.env._("no reason given"),
                account=payout.connector_id.clearing_account_id.display_name,
            ),
        )
        command.write({"res_model": payout._name, "res_id": payout.id})
