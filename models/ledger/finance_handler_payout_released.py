from odoo import models


class FinanceHandlerPayoutReleased(models.AbstractModel):
    """``payout.released``: kept, checked against its items, booked when it adds up."""

    _name = "finance.handler.payout.released"
    _description = "Handler of Payout Released"
    _inherit = "finance.handler"

    def _identity_fields(self):
        return ("net", "currency")

    def _handle(self, command, content):
        """See finance.handler; ``content`` is contracts.PayoutReleased.

        :raise CommandError: D-UNMAPPED, C-AMOUNT-INTEGRITY
        """
        payouts = self.env["finance.payout"]
        payout = payouts._receive(command, content)
        command._join_case(payout.correlation_id)
        command.write({"res_model": payout._name, "res_id": payout.id})
        payout._advance()
        for connector in command.connector_id._payment_family():
            self.env["finance.command"]._provide(
                payouts._wait_key(connector, content.payout_ref), command.company_id
            )
