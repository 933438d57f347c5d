from odoo import models


class AccountPaymentRegister(models.TransientModel):
    _inherit = "account.payment.register"

    def _init_payments(self, to_process, edit_mode=False):
        # A payment of one document belongs to its story.
        for values in to_process:
            moves = values["to_reconcile"].move_id
            if len(moves) == 1:
                values["create_vals"].setdefault(
                    "finance_correlation_id", moves._finance_correlation()
                )
        return super()._init_payments(to_process, edit_mode=edit_mode)
