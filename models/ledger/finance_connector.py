from odoo import api, fields, models
from odoo.exceptions import ValidationError


class FinanceConnector(models.Model):
    """What a connector's posting requests need."""

    _inherit = "finance.connector"

    posting_journal_id = fields.Many2one(
        "account.journal",
        string="Journal for Entries",
        check_company=True,
        domain="[('type', '=', 'general'), ('company_id', '=', company_id)]",
        help="Entries that this system asks to be posted, unless it names a journal.",
    )
    posting_approval = fields.Selection(
        [
            ("never", "Without Approval"),
            ("above", "Above an Amount"),
            ("always", "Always"),
        ],
        string="Approval of Entries",
        required=True,
        default="never",
        tracking=True,
        help="When an approver has to consent before an entry of it is posted.",
    )
    posting_approval_above = fields.Monetary(
        currency_field="company_currency_id",
        tracking=True,
        help="The total of the debits, in the currency of the company.",
    )
    company_currency_id = fields.Many2one(
        related="company_id.currency_id", string="Company Currency"
    )

    @api.constrains("posting_approval_above")
    def _check_posting_approval_above(self):
        for connector in self:
            if connector.posting_approval_above < 0:
                raise ValidationError(
                    self.env._("The amount above which approval is needed is negative.")
                )

    def _posting_threshold(self):
        """Return the amount above which approval is needed, None for never."""
        self.ensure_one()
        if self.posting_approval == "never":
            return None
        return self.posting_approval_above if self.posting_approval == "above" else 0.0

    def _needs_posting_approval(self, amount):
        """Return whether an entry of ``amount`` needs approval.

        :param float amount: in the currency of the company
        """
        if self.posting_approval == "always":
            return True
        threshold = self._posting_threshold()
        if threshold is None:
            return False
        return self.company_currency_id.compare_amounts(amount, threshold) > 0
