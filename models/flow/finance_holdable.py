from odoo import models

from ..windows import list_of


class FinanceHoldable(models.AbstractModel):
    """What can be held can go through a process, too."""

    _inherit = "finance.holdable"

    def action_open_finance_processes(self):
        """Open the processes of the record."""
        self.ensure_one()
        self.env["finance.process"].check_access("read")
        return list_of(
            self.env,
            "finance_process_action",
            [("res_model", "=", self._name), ("res_id", "=", self.id)],
        )
