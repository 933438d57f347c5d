from odoo import api, fields, models
from odoo.exceptions import UserError

from ...contracts import AXES


class FinanceTransition(models.Model):
    """One line of a transaction's append-only status log."""

    _name = "finance.transition"
    _description = "Finance Transition"
    _order = "occurred_at, id"
    _rec_name = "status"

    transaction_id = fields.Many2one(
        "finance.transaction", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(
        related="transaction_id.company_id", store=True, index=True
    )
    correlation_id = fields.Char(related="transaction_id.correlation_id")
    command_id = fields.Many2one("finance.command", ondelete="restrict", index=True)
    axis = fields.Selection(
        [
            ("execution", "Execution"),
            ("settlement", "Settlement"),
            ("refund", "Refund"),
            ("dispute", "Dispute"),
            ("accounting", "Accounting"),
            ("reconciliation", "Reconciliation"),
        ],
        required=True,
    )
    status = fields.Selection(selection="_selection_status", required=True)
    occurred_at = fields.Datetime(required=True)
    reason = fields.Char(help="Why a person recorded it.")
    user_id = fields.Many2one("res.users", string="Recorded By")

    @api.model
    def _selection_status(self):
        statuses = dict.fromkeys(
            status for statuses in AXES.values() for status in statuses
        )
        return [(status, status.replace("_", " ").capitalize()) for status in statuses]

    def write(self, vals):  # pylint: disable=method-required-super
        raise UserError(self.env._("What was logged never changes; log what follows."))
