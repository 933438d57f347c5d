from odoo import models

from .counterparties import check_ownership, find_counterparty, find_currency


class FinanceHandlerExposureUpdate(models.AbstractModel):
    """``exposure.update``: the figure is kept, and the credit hold follows."""

    _name = "finance.handler.exposure.update"
    _description = "Handler of Exposure"
    _inherit = "finance.handler"

    def _identity_fields(self):
        return ("amount", "currency", "version")

    def _handle(self, command, content):
        """See finance.handler; ``content`` is contracts.ExposureUpdate.

        What was held until the exposure is calculated goes on, unless the limit is
        exceeded.

        :raise CommandError: D-OWNERSHIP, D-DUPLICATE-PARTY, D-UNMAPPED
        :raise CommandWaits: D-ORPHAN
        :raise CommandIgnored: D-STALE
        """
        check_ownership(command, "exposure")
        partner = find_counterparty(command, content.counterparty)
        currency = find_currency(self.env, content.currency)
        figures = self.env["finance.exposure"]
        figure = figures._keep("exposure", command, partner, content, currency)
        figures._reconsider(partner, command.company_id, command=command)
        if not figures._position(partner, command.company_id).exceeded_by():
            self.env["finance.hold"]._release(
                partner,
                "exposure",
                self.env._("The exposure was calculated: within the limit."),
                command=command,
            )
        command.write({"res_model": figure._name, "res_id": figure.id})
