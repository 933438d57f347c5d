from odoo import models

from .counterparties import check_ownership, find_counterparty, find_currency


class FinanceHandlerCreditLimitUpdate(models.AbstractModel):
    """``credit_limit.update``: the limit is set, and the credit hold follows."""

    _name = "finance.handler.credit_limit.update"
    _description = "Handler of Credit Limit"
    _inherit = "finance.handler"

    def _identity_fields(self):
        return ("amount", "currency", "version")

    def _handle(self, command, content):
        """See finance.handler; ``content`` is contracts.CreditLimitUpdate.

        :raise CommandError: D-OWNERSHIP, D-DUPLICATE-PARTY, D-UNMAPPED
        :raise CommandWaits: D-ORPHAN
        :raise CommandIgnored: D-STALE
        """
        check_ownership(command, "exposure")
        partner = find_counterparty(command, content.counterparty)
        currency = find_currency(self.env, content.currency)
        figures = self.env["finance.exposure"]
        figure = figures._keep("limit", command, partner, content, currency)
        partner.with_company(command.company_id).credit_limit = figure.company_amount
        figures._reconsider(partner, command.company_id, command=command)
        command.write({"res_model": figure._name, "res_id": figure.id})
