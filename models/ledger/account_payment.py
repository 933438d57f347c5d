from odoo import fields, models


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
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "finance_hub.finance_transaction_action"
        )
        return {**action, "domain": [("payment_id", "=", self.id)], "context": {}}
