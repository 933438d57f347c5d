from odoo import api, fields, models

# What is decided, by the name of the button.
DECISIONS = [
    ("release", "Release"),
    ("approve", "Approve"),
    ("reject", "Reject"),
    ("withdraw", "Withdraw"),
]


class FinanceDecideWizard(models.TransientModel):
    """Asks why, before a hold is released or an approval decided."""

    _name = "finance.decide.wizard"
    _description = "Reason for a Finance Decision"

    hold_ids = fields.Many2many("finance.hold")
    approval_ids = fields.Many2many("finance.approval")
    decision = fields.Selection(DECISIONS, required=True)
    reason = fields.Text(required=True)

    @api.model
    def _action_for(self, records, decision, title):
        """Return the action that asks for the reason of a decision."""
        name = "hold_ids" if records._name == "finance.hold" else "approval_ids"
        return {
            "type": "ir.actions.act_window",
            "name": title,
            "res_model": self._name,
            "view_mode": "form",
            "target": "new",
            "context": {f"default_{name}": records.ids, "default_decision": decision},
        }

    def action_confirm(self):
        """Decide; the records themselves check who may."""
        self.ensure_one()
        if self.decision == "release":
            self.hold_ids._release_by_person(self.reason)
        elif self.decision == "withdraw":
            self.approval_ids._withdraw_by_person(self.reason)
        else:
            decision = {"approve": "approved", "reject": "rejected"}[self.decision]
            self.approval_ids._decide_by_person(decision, self.reason)
        return {"type": "ir.actions.act_window_close"}
