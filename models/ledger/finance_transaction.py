from odoo import api, fields, models

from ...contracts import AXES, fold


class FinanceTransaction(models.Model):
    """A business transaction followed across systems.

    Its statuses are never written: they are folded from the log of transitions, so
    that any order of arrival gives the same state.
    """

    _name = "finance.transaction"
    _description = "Finance Transaction"
    _order = "id desc"
    _rec_name = "provider_ref"

    connector_id = fields.Many2one(
        "finance.connector", required=True, readonly=True, ondelete="restrict"
    )
    company_id = fields.Many2one(
        related="connector_id.company_id", store=True, index=True
    )
    provider_ref = fields.Char(
        string="Provider Reference", required=True, readonly=True
    )
    amount = fields.Monetary(readonly=True)
    currency_id = fields.Many2one("res.currency", required=True, readonly=True)
    correlation_id = fields.Char(readonly=True, index=True)
    move_id = fields.Many2one("account.move", string="Document", readonly=True)
    payment_id = fields.Many2one("account.payment", readonly=True, index=True)
    transition_ids = fields.One2many(
        "finance.transition", "transaction_id", "History", readonly=True
    )
    command_ids = fields.One2many("finance.command", "transaction_id", "Commands")
    execution = fields.Selection(
        selection="_selection_execution", compute="_compute_statuses", store=True
    )
    settlement = fields.Selection(
        selection="_selection_settlement", compute="_compute_statuses", store=True
    )
    accounting = fields.Selection(
        selection="_selection_accounting", compute="_compute_statuses", store=True
    )

    _provider_ref_unique = models.UniqueIndex("(connector_id, provider_ref)")

    # === COMPUTES === #

    @api.model
    def _selection_axis(self, axis):
        return [
            (status, status.replace("_", " ").capitalize()) for status in AXES[axis]
        ]

    @api.model
    def _selection_execution(self):
        return self._selection_axis("execution")

    @api.model
    def _selection_settlement(self):
        return self._selection_axis("settlement")

    @api.model
    def _selection_accounting(self):
        return self._selection_axis("accounting")

    @api.depends("transition_ids.status")
    def _compute_statuses(self):
        for transaction in self:
            statuses = fold(
                (
                    transition.axis,
                    transition.status,
                    transition.occurred_at,
                    transition.id or 0,
                )
                for transition in transaction.transition_ids
            )
            transaction.execution = statuses.get("execution")
            transaction.settlement = statuses.get("settlement")
            transaction.accounting = statuses.get("accounting")

    # === ACTIONS === #

    def action_open_trace(self):
        self.ensure_one()
        self.check_access("read")
        return self.env["finance.trace.step"]._action_for(
            self.correlation_id, self.provider_ref
        )

    # === BUSINESS METHODS === #

    @api.model
    def _for(self, command, provider_ref, amount, currency):
        """Return the transaction of a provider's reference; made if it is new.

        :param command: the ``finance.command`` that speaks of it
        """
        transaction = self.search(
            [
                ("connector_id", "=", command.connector_id.id),
                ("provider_ref", "=", provider_ref),
            ]
        )
        return transaction or self.create(
            {
                "connector_id": command.connector_id.id,
                "provider_ref": provider_ref,
                "amount": amount,
                "currency_id": currency.id,
                "correlation_id": command.correlation_id,
            }
        )

    def _log(self, command, axis, status, occurred_at):
        """Append a transition.

        :param command: the ``finance.command`` that reports it
        :param occurred_at: naive UTC, when it happened at the source
        """
        self.ensure_one()
        self.env["finance.transition"].create(
            {
                "transaction_id": self.id,
                "command_id": command.id,
                "axis": axis,
                "status": status,
                "occurred_at": occurred_at,
            }
        )
