from odoo import api, models


class FinanceAuditEntry(models.Model):
    """Marks whatever is done while somebody has emergency access."""

    _inherit = "finance.audit.entry"

    @api.model
    def _draft(self, action, record=None, *, facts=None, **details):
        glass = self.env["finance.break.glass"]._in_force()
        if glass:
            mine = glass.get(self._who()["actor_uid"])
            if mine:
                facts = {
                    **(facts or {}),
                    "emergency_access": [
                        {"id": id_, "role": role} for id_, role in mine
                    ],
                }
        return super()._draft(action, record, facts=facts, **details)
