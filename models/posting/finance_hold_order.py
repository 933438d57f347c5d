from odoo import api, models

from ..ledger.subjects import find_subject
from . import sale_order


class FinanceHold(models.Model):
    """Holds of orders, where the sales app is installed."""

    _inherit = "finance.hold"

    def _register_hook(self):
        result = super()._register_hook()
        sale_order.install(self.env.registry)
        return result

    def _unregister_hook(self):
        result = super()._unregister_hook()
        sale_order.uninstall(self.env.registry)
        return result

    @api.model
    def _release_captured(self, command):
        """Release the order whose whole payment a command reports as captured.

        A part of the amount, or another currency, releases nothing by itself.

        :param command: a ``finance.command`` of the type ``payment.captured``
        """
        reference = command.data.get("document_ref")
        if sale_order.MODEL not in self.env or not reference:
            return
        order = find_subject(self.env, command.company_id, reference)
        if order._name != sale_order.MODEL or not self._active(order, "order"):
            return
        currency, captured = order.currency_id, float(command.data["amount"])
        if currency.name != command.data["currency"]:
            return
        if currency.compare_amounts(captured, order.amount_total) < 0:
            return
        self._release(
            order,
            "order",
            self.env._("Captured: %s", command.data["provider_ref"]),
            command=command,
        )
