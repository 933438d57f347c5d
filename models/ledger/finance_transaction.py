from odoo import api, fields, models
from odoo.tools import SQL

from ...contracts import AXES, fold
from .. import clock

# What a refund logs about itself when the money went back.
DONE = ("partial", "full")


class FinanceTransaction(models.Model):
    """A business transaction followed across systems.

    Its statuses are never written: they are folded from the log of transitions, so
    that any order of arrival gives the same state. A refund and a dispute are
    transactions of their own, with the payment as parent; the payment's refund and
    dispute status follow from theirs, by amounts.
    """

    _name = "finance.transaction"
    _description = "Finance Transaction"
    _inherit = ["finance.traced"]
    _order = "id desc"
    _rec_name = "provider_ref"

    connector_id = fields.Many2one(
        "finance.connector", required=True, readonly=True, ondelete="restrict"
    )
    company_id = fields.Many2one(
        related="connector_id.company_id", store=True, index=True
    )
    kind = fields.Selection(
        [("payment", "Payment"), ("refund", "Refund"), ("dispute", "Dispute")],
        required=True,
        default="payment",
        readonly=True,
    )
    provider_ref = fields.Char(
        string="Provider Reference", required=True, readonly=True
    )
    parent_ref = fields.Char(
        string="Belongs To (Reference)",
        readonly=True,
        help="The provider's id of the order, authorisation or payment behind it.",
    )
    parent_id = fields.Many2one(
        "finance.transaction", string="Payment It Is About", readonly=True, index=True
    )
    child_ids = fields.One2many(
        "finance.transaction", "parent_id", "Refunds and Disputes", readonly=True
    )
    amount = fields.Monetary(readonly=True)
    captured_amount = fields.Monetary(string="Captured", readonly=True)
    refunded_amount = fields.Monetary(
        string="Refunded", compute="_compute_statuses", store=True
    )
    disputed_amount = fields.Monetary(
        string="Disputed",
        compute="_compute_statuses",
        store=True,
        help="What payers contest or got back by a dispute.",
    )
    fee_amount = fields.Monetary(
        string="Fee", compute="_compute_fee_amount", store=True
    )
    currency_id = fields.Many2one("res.currency", required=True, readonly=True)
    method = fields.Char(readonly=True)
    document_ref = fields.Char(string="Document Reference", readonly=True)
    raw_status = fields.Char(string="Provider's Status", readonly=True)
    reason = fields.Char(readonly=True)
    is_reported = fields.Boolean(
        readonly=True,
        help="Known from a settlement report alone, which did not say what the "
        "provider calls it.",
    )
    expires_at = fields.Datetime(readonly=True)
    due_at = fields.Datetime(string="Evidence Due", readonly=True)
    correlation_id = fields.Char(readonly=True, index=True)
    move_id = fields.Many2one("account.move", string="Document", readonly=True)
    payment_id = fields.Many2one("account.payment", readonly=True, index=True)
    credit_note_id = fields.Many2one(
        "account.move", readonly=True, index="btree_not_null"
    )
    entry_ids = fields.One2many(
        "account.move", "finance_transaction_id", "Entries", readonly=True
    )
    entry_count = fields.Integer(compute="_compute_entry_count")
    payout_line_ids = fields.One2many(
        "finance.payout.line", "transaction_id", "Settlement Lines", readonly=True
    )
    payout_id = fields.Many2one("finance.payout", compute="_compute_payout_id")
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
    refund = fields.Selection(
        selection="_selection_refund",
        compute="_compute_statuses",
        store=True,
        recursive=True,
    )
    dispute = fields.Selection(
        selection="_selection_dispute",
        compute="_compute_statuses",
        store=True,
        recursive=True,
    )
    accounting = fields.Selection(
        selection="_selection_accounting", compute="_compute_statuses", store=True
    )
    reconciliation = fields.Selection(
        selection="_selection_reconciliation", compute="_compute_statuses", store=True
    )

    _provider_ref_unique = models.UniqueIndex("(connector_id, provider_ref)")
    _parent_ref_idx = models.Index(
        "(connector_id, parent_ref) WHERE parent_ref IS NOT NULL"
    )
    _indoubt_idx = models.Index("(id) WHERE execution = 'unknown'")

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
    def _selection_refund(self):
        return self._selection_axis("refund")

    @api.model
    def _selection_dispute(self):
        return self._selection_axis("dispute")

    @api.model
    def _selection_accounting(self):
        return self._selection_axis("accounting")

    @api.model
    def _selection_reconciliation(self):
        return self._selection_axis("reconciliation")

    @api.depends(
        "transition_ids.status",
        "captured_amount",
        "child_ids.refund",
        "child_ids.dispute",
        "child_ids.amount",
    )
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
            children = transaction.child_ids
            refunds = children.filtered(lambda c: c.kind == "refund")
            disputes = children.filtered(lambda c: c.kind == "dispute")
            refunded = sum(
                refunds.filtered(lambda c: c.refund in DONE).mapped("amount")
            )
            if refunds:
                statuses["refund"] = transaction._refund_status(refunds, refunded)
            if disputes:
                statuses["dispute"] = transaction._dispute_status(disputes)
            for axis in AXES:
                transaction[axis] = statuses.get(axis)
            transaction.refunded_amount = refunded
            transaction.disputed_amount = sum(
                disputes.filtered(lambda c: c.dispute in ("open", "lost")).mapped(
                    "amount"
                )
            )

    def _refund_status(self, refunds, refunded):
        """Return what the refunds of a payment come to, by their amounts."""
        currency = self.currency_id
        if not currency.is_zero(refunded):
            whole = currency.compare_amounts(refunded, self.captured_amount) >= 0
            return "full" if whole else "partial"
        found = set(refunds.mapped("refund"))
        return next(
            (s for s in ("pending", "reversed", "failed") if s in found), "none"
        )

    def _dispute_status(self, disputes):
        """Return what the disputes of a payment come to: the gravest of them."""
        found = set(disputes.mapped("dispute"))
        return next(
            (s for s in ("open", "lost", "inquiry", "won") if s in found), "none"
        )

    @api.depends("payout_line_ids.fee")
    def _compute_fee_amount(self):
        for transaction in self:
            transaction.fee_amount = sum(transaction.payout_line_ids.mapped("fee"))

    @api.depends("payout_line_ids.payout_id")
    def _compute_payout_id(self):
        for transaction in self:
            transaction.payout_id = transaction.payout_line_ids.payout_id[:1]

    @api.depends("entry_ids")
    def _compute_entry_count(self):
        for transaction in self:
            transaction.entry_count = len(transaction._all_entries())

    # === ACTIONS === #

    def action_open_entries(self):
        """Show what was booked for the transaction."""
        self.ensure_one()
        self.check_access("read")
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Entries of %s", self.provider_ref),
            "res_model": "account.move",
            "view_mode": "list,form",
            "domain": [("id", "in", self._all_entries().ids)],
        }

    # === FINDING === #

    @api.model
    def _for(self, command, provider_ref, amount, currency, **values):
        """Return the transaction of a provider's reference; made if it is new.

        :param command: the ``finance.command`` that speaks of it
        :param values: of a new transaction
        """
        transaction = self._known(command.connector_id, provider_ref)
        if transaction:
            missing = {
                name: value
                for name, value in values.items()
                if value and not transaction[name]
            }
            if missing:
                transaction.write(missing)
            return transaction
        return self.create(
            {
                "connector_id": command.connector_id.id,
                "provider_ref": provider_ref,
                "amount": amount,
                "currency_id": currency.id,
                "correlation_id": command.correlation_id,
                **values,
            }
        )

    @api.model
    def _known(self, connector, provider_ref):
        """Return the transaction of this very connector with a reference."""
        return self.search(
            [
                ("connector_id", "=", connector.id),
                ("provider_ref", "=", provider_ref),
            ]
        )

    @api.model
    def _captured(self, connector, refs):
        """Return the booked payment that each reference is about.

        A reference is that of the capture, or of the order or authorisation behind
        exactly one. Connectors with the same payment journal are asked, too.

        :param refs: the provider's references
        :return: {reference: transaction}, without those that are not known
        """
        refs = {ref for ref in refs if ref}
        found = {}
        domain = [("kind", "=", "payment"), ("captured_amount", ">", 0)]
        for connectors in (connector, connector._payment_family() - connector):
            left = refs - found.keys()
            if not left or not connectors:
                continue
            scope = [*domain, ("connector_id", "in", connectors.ids)]
            for name in ("provider_ref", "parent_ref"):
                by_ref = {}
                for transaction in self.search([*scope, (name, "in", list(left))]):
                    by_ref.setdefault(transaction[name], []).append(transaction)
                for ref, candidates in by_ref.items():
                    if ref not in found and len(candidates) == 1:
                        found[ref] = candidates[0]
        # What a person said that a reference means.
        for ref in refs - found.keys():
            known = self.env["finance.reference"]._find(connector, self._name, ref)
            if known.captured_amount:
                found[ref] = known
        return found

    @api.model
    def _booked(self, connector, ref):
        """Return the booked payment, refund or dispute with this very reference."""
        for connectors in (connector, connector._payment_family() - connector):
            found = self.search(
                [
                    ("connector_id", "in", connectors.ids),
                    ("provider_ref", "=", ref),
                    "|",
                    ("payment_id", "!=", False),
                    ("entry_ids", "!=", False),
                ]
            )
            if len(found) == 1:
                return found
        return self.browse()

    @api.model
    def _wait_key(self, connector, ref):
        """Return what a command waits for until the payment is known."""
        return f"payment:{connector.id}:{ref}"

    def _tell_waiting(self):
        """Have everything tried again that waited for the transactions.

        Called when they are booked: an authorisation is not what a refund waits for.
        """
        if self.env.context.get("finance_matching"):
            return
        commands = self.env["finance.command"]
        for transaction in self:
            refs = {
                transaction.provider_ref,
                transaction.parent_ref,
                transaction.parent_id.provider_ref,
                transaction.parent_id.parent_ref,
            } - {False}
            for connector in transaction.connector_id._payment_family():
                for ref in sorted(refs):
                    commands._provide(
                        self._wait_key(connector, ref), transaction.company_id
                    )
            self.env["finance.payout"]._tell_waiting(transaction, refs)

    def _lock(self):
        """Have the transactions to itself until the end of the database transaction.

        Two jobs that work on one payment at once would each miss what the other
        books. The row is changed, so the later of them fails with a serialization
        error and is run again, seeing what the first did.
        """
        if self:
            self.flush_recordset()
            self.env.cr.execute(
                SQL(
                    "UPDATE finance_transaction SET write_date = %s WHERE id IN %s",
                    clock.naive_now(),
                    tuple(self.ids),
                )
            )
            self.invalidate_recordset(["write_date"], flush=False)

    # === AUTHORISATIONS === #

    def _follow_authorisation(self, command, captured_at):
        """Log a capture with the authorisation behind it, too."""
        self.ensure_one()
        if self.parent_ref and self.parent_ref != self.provider_ref:
            authorisation = self._known(self.connector_id, self.parent_ref)
            if authorisation.kind == "payment":
                authorisation._lock()
                authorisation._log(command, "execution", "captured", captured_at)

    def _follow_captures(self):
        """Log with an authorisation that came late that it was captured before."""
        self.ensure_one()
        captures = self.search(
            [
                ("connector_id", "=", self.connector_id.id),
                ("parent_ref", "=", self.provider_ref),
                ("captured_amount", ">", 0),
                ("kind", "=", "payment"),
                ("id", "!=", self.id),
            ]
        )
        for transition in captures.transition_ids.filtered(
            lambda t: t.axis == "execution" and t.status == "captured"
        ):
            self._log(
                transition.command_id, "execution", "captured", transition.occurred_at
            )

    # === LOGGING === #

    def _log(self, command, axis, status, occurred_at, **values):
        """Append a transition.

        :param command: the ``finance.command`` that reports it, or None
        :param occurred_at: naive UTC, when it happened at the source
        """
        self.env["finance.transition"].create(
            [
                {
                    "transaction_id": transaction.id,
                    "command_id": command.id if command else False,
                    "axis": axis,
                    "status": status,
                    "occurred_at": occurred_at,
                    **values,
                }
                for transaction in self
            ]
        )
        if axis == "execution":
            self._settle_doubt()

    def _stages(self, axis):
        """Return the statuses that were ever reported on an axis."""
        self.ensure_one()
        return set(
            self.transition_ids.filtered(lambda t: t.axis == axis).mapped("status")
        )

    # === BOOKS === #

    @api.model
    def _open_exceptions(self, code, records):
        return self.env["finance.exception"]._about(records, code)

    def _all_entries(self):
        """Return everything booked for the transactions."""
        return self.entry_ids | self.payment_id.move_id | self.credit_note_id
