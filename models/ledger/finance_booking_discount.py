from odoo import api, models

from .errors import CommandError


class FinanceBooking(models.AbstractModel):
    """The discount of a payment term that a customer takes by paying early."""

    _inherit = "finance.booking"

    @api.model
    def _due(self, invoice, currency, paid_on):
        """Return what pays an invoice in full on a day.

        :param currency: of the payment
        :param paid_on: the day of the payment
        """
        if not self._grants_discount(invoice, currency, paid_on):
            return invoice.amount_residual
        return self._term_line(invoice).discount_amount_currency

    @api.model
    def _grants_discount(self, invoice, currency, paid_on):
        """Return whether the payment term grants a discount on a day, as Odoo sees it.

        It does so to the day, and only where nothing was paid before.
        """
        return bool(
            self._term_line(invoice)
            and invoice._is_eligible_for_early_payment_discount(currency, paid_on)
        )

    @api.model
    def _discount(self, amount, invoices, currency, paid_on):
        """Return the lines that write off the discount if exactly the rest is paid.

        Made as Odoo makes them where a payment is registered by hand, with the taxes
        that the discount reduces.

        :param float amount: what was paid, in ``currency``
        :return: values of the lines; none where the day or the amount is not right
        :raise CommandError: D-UNMAPPED without an account for discounts
        """
        granted = invoices.filtered(
            lambda move: self._grants_discount(move, currency, paid_on)
        )
        if not granted or any(move.currency_id != currency for move in invoices):
            return []
        due = sum(self._due(move, currency, paid_on) for move in invoices)
        discount = sum(invoices.mapped("amount_residual")) - due
        if currency.compare_amounts(due, amount) or currency.is_zero(discount):
            return []
        company = invoices.company_id
        if not company.account_journal_early_pay_discount_loss_account_id:
            raise CommandError(
                "D-UNMAPPED",
                self.env._(
                    "%(invoices)s was paid with the early payment discount, but "
                    "%(company)s has no account for it. Choose the Cash Discount Loss "
                    "account in the settings of Invoicing, then retry.",
                    invoices=", ".join(granted.mapped("name")),
                    company=company.name,
                ),
            )
        paid = []
        for line in map(self._term_line, granted):
            residual = -line.amount_residual_currency
            paid.append(
                {
                    "aml": line,
                    "amount_currency": residual,
                    "balance": currency._convert(
                        residual, company.currency_id, company, paid_on
                    ),
                }
            )
        open_balance = currency._convert(
            discount, company.currency_id, company, paid_on
        )
        made = self.env[
            "account.move"
        ]._get_invoice_counterpart_amls_for_early_payment_discount(paid, open_balance)
        return [values for lines in made.values() for values in lines]

    @api.model
    def _term_line(self, invoice):
        """Return the one open line of an invoice's payment term, empty if it has more.

        Terms with a discount have just one.
        """
        lines = invoice.line_ids.filtered(
            lambda line: line.display_type == "payment_term"
        )
        return lines if len(lines) == 1 else lines.browse()
