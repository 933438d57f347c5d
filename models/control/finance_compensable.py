from odoo import fields, models

from ..windows import list_of


class FinanceCompensable(models.AbstractModel):
    """What a compensation can be about: it shows what was done."""

    _name = "finance.compensable"
    _description = "Finance Compensable"

    finance_compensation_count = fields.Integer(
        string="Compensations",
        compute="_compute_finance_compensation_count",
        compute_sudo=True,
    )

    def _compute_finance_compensation_count(self):
        counts = dict(
            self.env["finance.compensation"]._read_group(
                [("res_model", "=", self._name), ("res_id", "in", self.ids)],
                ["res_id"],
                ["__count"],
            )
        )
        for record in self:
            record.finance_compensation_count = counts.get(record.id, 0)

    def action_open_finance_compensations(self):
        """Show what was done to make good for the record."""
        self.ensure_one()
        self.env["finance.compensation"].check_access("read")
        return list_of(
            self.env,
            "finance_compensation_action",
            [("res_model", "=", self._name), ("res_id", "=", self.id)],
        )


class AccountMove(models.Model):
    _name = "account.move"
    _inherit = ["account.move", "finance.compensable"]


class AccountPayment(models.Model):
    _name = "account.payment"
    _inherit = ["account.payment", "finance.compensable"]
