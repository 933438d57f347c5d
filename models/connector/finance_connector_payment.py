from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..ledger.errors import CommandError


class FinanceConnector(models.Model):
    """How what a payment provider reports is booked.

    Connectors of one company with the same payment journal speak of the same account
    at the provider, so the report of a payout may come another way than the
    payments. They are called a family here.
    """

    _inherit = "finance.connector"

    fee_account_id = fields.Many2one(
        "account.account",
        check_company=True,
        domain="[('account_type', 'in', ('expense', 'expense_direct_cost'))]",
        help="What the provider keeps for itself is booked here.",
    )
    dispute_account_id = fields.Many2one(
        "account.account",
        check_company=True,
        domain="[('account_type', '=', 'asset_current')]",
        help="What a payer contests stands here until the dispute is decided.",
    )
    dispute_loss_account_id = fields.Many2one(
        "account.account",
        check_company=True,
        domain="[('account_type', 'in', ('expense', 'expense_direct_cost'))]",
        help="Proposed for a dispute that is lost. Without it, the customer's "
        "receivable is proposed: the customer owes the money again.",
    )
    adjustment_account_id = fields.Many2one(
        "account.account",
        check_company=True,
        help="Corrections of the provider that belong to no payment are booked here.",
    )
    writeoff_account_id = fields.Many2one(
        "account.account",
        string="Write-off Account",
        check_company=True,
        help="Small differences are booked here.",
    )
    writeoff_amount = fields.Monetary(
        string="Write-off Up To",
        currency_field="company_currency_id",
        help="An underpayment up to this amount is written off. Zero: no limit by "
        "amount.",
    )
    writeoff_percent = fields.Float(
        string="Write-off Up To (%)",
        help="An underpayment up to this share of the document is written off. Zero: "
        "no limit by share. Where both limits are set, both have to be kept.",
    )
    company_currency_id = fields.Many2one(related="company_id.currency_id")
    payout_partner_id = fields.Many2one(
        "res.partner",
        string="Payout Counterparty",
        check_company=True,
        help="Who the bank says paid the payouts. A bank line of this counterparty "
        "with the amount of a payout is matched though it does not name the payout.",
    )
    failure_notice = fields.Selection(
        [("ask", "Ask a Person"), ("send", "Send by E-mail")],
        string="When a Payment Comes Back",
        default="ask",
        required=True,
        help="Ask a person to write to the customer, or send the template at once.",
    )
    failure_template_id = fields.Many2one(
        "mail.template",
        string="E-mail Template",
        domain="[('model', '=', 'account.move')]",
        help="What the customer is told when a payment failed or came back.",
    )
    clearing_account_id = fields.Many2one(
        "account.account",
        compute="_compute_clearing_account_id",
        help="Where captured money is until the provider pays it out: the outstanding "
        "receipts account of the journal's incoming payments.",
    )

    # === COMPUTES === #

    @api.depends(
        "payment_journal_id.inbound_payment_method_line_ids.payment_account_id"
    )
    def _compute_clearing_account_id(self):
        for connector in self:
            lines = connector.payment_journal_id.inbound_payment_method_line_ids
            connector.clearing_account_id = lines.payment_account_id[:1]

    # === CONSTRAINTS === #

    @api.constrains("writeoff_amount", "writeoff_percent", "writeoff_account_id")
    def _check_writeoff(self):
        for connector in self:
            if connector.writeoff_amount < 0 or not (
                0 <= connector.writeoff_percent <= 100
            ):
                raise ValidationError(
                    self.env._(
                        "The write-off limits can't be negative, and the share not "
                        "above 100 %."
                    )
                )
            if (
                connector.writeoff_amount or connector.writeoff_percent
            ) and not connector.writeoff_account_id:
                raise ValidationError(
                    self.env._(
                        "Choose the account that differences are written off to."
                    )
                )

    @api.constrains("failure_notice", "failure_template_id")
    def _check_failure_notice(self):
        for connector in self:
            if connector.failure_notice == "send" and not connector.failure_template_id:
                raise ValidationError(
                    self.env._("Choose the e-mail template that is to be sent.")
                )

    # === BUSINESS METHODS === #

    def _payment_family(self):
        """Return the connectors that speak of the same payments, this one first."""
        self.ensure_one()
        journal = self.payment_journal_id
        if not journal:
            return self
        return self | self.search(
            [
                ("payment_journal_id", "=", journal.id),
                ("company_id", "=", self.company_id.id),
                ("active", "in", (True, False)),
            ],
            order="id",
        )

    def _booking_account(self, name):
        """Return an account of the page Booking, else that of the family.

        :param str name: of the field, such as ``fee_account_id``
        :raise CommandError: D-UNMAPPED when none of them has it
        """
        self.ensure_one()
        account = self[name] or self._payment_family().mapped(name)[:1]
        if not account:
            raise CommandError(
                "D-UNMAPPED",
                self.env._(
                    "“%(connector)s” has no “%(account)s”. Choose one on the "
                    "connector's page Booking, then retry.",
                    connector=self.name,
                    account=self._fields[name]._description_string(self.env),
                ),
            )
        return account

    def _writeoff_limit(self, total, currency):
        """Return the largest difference that is written off, 0.0 for none.

        :param float total: of the documents, in ``currency``
        """
        self.ensure_one()
        if not self.writeoff_account_id:
            return 0.0
        limits = []
        if self.writeoff_amount:
            limits.append(
                self.company_id.currency_id._convert(
                    self.writeoff_amount, currency, self.company_id
                )
            )
        if self.writeoff_percent:
            limits.append(total * self.writeoff_percent / 100)
        return currency.round(min(limits)) if limits else 0.0
