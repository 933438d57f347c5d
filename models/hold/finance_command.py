from odoo import models

from ..ledger.errors import CommandWaits
from .finance_hold import RecordHeld


class FinanceCommand(models.Model):
    _inherit = "finance.command"

    def _apply(self):
        """Apply it, or wait until what it needs is held no longer."""
        try:
            result = super()._apply()
        except RecordHeld as held:
            hold = held.holds[:1]
            with self.env.cr.savepoint():
                self._fail(
                    CommandWaits("B-RISK-PENDING", str(held), key=f"hold:{hold.id}")
                )
            return None
        if self.type == "payment.captured" and (
            self.state == "applied" or self.error_code == "B-UNMATCHED"
        ):
            # An order is paid for before there is an invoice.
            self.env["finance.hold"]._release_captured(self)
        return result
