from odoo import models


class FinanceHoldable(models.AbstractModel):
    """What can be held can go through a process, too."""

    _inherit = "finance.holdable"

    def action_open_finance_processes(self):
        """Open the processes of the record."""
        self.ensure_one()
        self.env["finance.process"].check_access("read")
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "finance_hub.finance_process_action"
        )
        domain = [("res_model", "=", self._name), ("res_id", "=", self.id)]
        return {**action, "domain": domain, "context": {}}
