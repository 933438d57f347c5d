"""Entries that Odoo makes while items are matched: they need no consent of their own.

What they follow from was posted, with the consent that it needed.
"""

from odoo import api, models

from ..consent import covered


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    @api.model
    def _create_exchange_difference_moves(self, exchange_diff_values_list):
        with covered():
            return super()._create_exchange_difference_moves(exchange_diff_values_list)


class AccountPartialReconcile(models.Model):
    _inherit = "account.partial.reconcile"

    def _create_tax_cash_basis_moves(self):
        with covered():
            return super()._create_tax_cash_basis_moves()

    def unlink(self):
        # Odoo unlinks no matches at all whenever it posts.
        if not self:
            return super().unlink()
        with covered():
            return super().unlink()
