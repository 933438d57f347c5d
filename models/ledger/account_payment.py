from odoo import fields, models

from ..windows import list_of


class AccountPayment(models.Model):
    _inherit = "account.payment"

    finance_source_payment_id = fields.Many2one(
        "account.payment",
        string="Refund Of",
        copy=False,
        readonly=True,
        index="btree_not_null",
        help="The payment that this one pays back.",
    )
    finance_transaction_ids = fields.One2many(
        "finance.transaction", "payment_id", "Provider Transactions", readonly=True
    )

    def action_open_finance_transactions(self):
        """Show the provider's transactions behind this payment."""
        self.ensure_one()
        self.check_access("read")
        return list_of(
            self.env, "finance_transaction_action", [("payment_id", "=", self.id)]
        )
