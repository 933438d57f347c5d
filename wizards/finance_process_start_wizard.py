from odoo import api, fields, models
from odoo.exceptions import UserError

from ..models.windows import list_of

STARTABLE = ("account.move", "account.payment", "res.partner")


class FinanceProcessStartWizard(models.TransientModel):
    """Asks which flow chosen records go through."""

    _name = "finance.process.start.wizard"
    _description = "Start a Process"

    res_model = fields.Char(required=True, readonly=True)
    res_ids = fields.Json(required=True, readonly=True)
    flow_id = fields.Many2one(
        "finance.flow",
        required=True,
        domain="[('state', '=', 'live'), ('start_kind', '=', 'person')]",
    )

    @api.model
    def default_get(self, fields_list):
        values = super().default_get(fields_list)
        context = self.env.context
        values.setdefault("res_model", context.get("active_model"))
        values.setdefault("res_ids", context.get("active_ids"))
        return values

    def action_start(self):
        """Start; the process itself checks who may."""
        self.ensure_one()
        if self.res_model not in STARTABLE:
            raise UserError(self.env._("No process can be started for these records."))
        records = self.env[self.res_model].browse(self.res_ids).exists()
        processes = self.env["finance.process"]._begin_by_person(self.flow_id, records)
        return list_of(
            self.env, "finance_process_action", [("id", "in", processes.ids)]
        )
