from odoo import models

from .finance_process import RUNNING


class FinanceHandlerApprovalOutcome(models.AbstractModel):
    """Consents that a flow asks for are about the document, too."""

    _inherit = "finance.handler.approval.outcome"

    def _asked_about(self, record):
        """See the handler: the open consents of processes of the record, too."""
        asked = super()._asked_about(record)
        steps = (
            self.env["finance.process"]
            .sudo()
            .search(
                [
                    ("res_model", "=", record._name),
                    ("res_id", "in", record.ids),
                    ("state", "in", RUNNING),
                ]
            )
            .step_ids
        )
        return asked | steps.approval_id.filtered(lambda a: a.state == "requested")
