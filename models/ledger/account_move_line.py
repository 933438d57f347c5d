from odoo import models


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    def _reconcile_post_hook(self, data):
        result = super()._reconcile_post_hook(data)
        payouts = self.move_id.finance_payout_id
        if payouts:
            payouts.sudo()._reconciled()
        return result


class AccountPartialReconcile(models.Model):
    _inherit = "account.partial.reconcile"

    def unlink(self):
        if not self:
            return super().unlink()
        lines = self.debit_move_id | self.credit_move_id
        payouts = lines.move_id.finance_payout_id
        result = super().unlink()
        if payouts:
            payouts.exists().sudo()._unreconciled()
        return result
