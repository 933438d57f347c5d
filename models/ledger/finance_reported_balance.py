from odoo import api, fields, models

from .. import clock


class FinanceReportedBalance(models.Model):
    """What the bank says an account holds, beside what the books say."""

    _name = "finance.reported.balance"
    _description = "Reported Balance"
    _order = "journal_id, kind"
    _rec_name = "journal_id"
    _check_company_auto = True

    journal_id = fields.Many2one(
        "account.journal", required=True, readonly=True, check_company=True
    )
    company_id = fields.Many2one(
        related="journal_id.company_id", store=True, index=True
    )
    currency_id = fields.Many2one("res.currency", required=True, readonly=True)
    kind = fields.Selection(
        [("booked", "Booked"), ("available", "Available")],
        required=True,
        readonly=True,
        help="Booked is what the statement says; available counts what is pending and "
        "what may be overdrawn.",
    )
    amount = fields.Monetary(string="At the Bank", readonly=True)
    as_of = fields.Datetime(required=True, readonly=True)
    books = fields.Monetary(
        string="In the Books",
        compute="_compute_books",
        help="Balance of the journal's account at the end of that day.",
    )
    difference = fields.Monetary(
        compute="_compute_books", help="At the bank less in the books."
    )
    agrees = fields.Boolean(compute="_compute_books")
    connector_id = fields.Many2one(
        "finance.connector", required=True, readonly=True, ondelete="restrict"
    )
    command_id = fields.Many2one(
        "finance.command", readonly=True, index=True, ondelete="set null"
    )

    _journal_kind_unique = models.UniqueIndex("(journal_id, kind)")

    # === COMPUTES === #

    @api.depends("amount", "as_of", "journal_id")
    def _compute_books(self):
        for balance in self:
            books = balance._balance_of_books()
            balance.books = books
            balance.difference = balance.currency_id.round(balance.amount - books)
            balance.agrees = balance.currency_id.is_zero(balance.difference)

    def _balance_of_books(self):
        """Return the balance of the journal's account at the end of the day."""
        self.ensure_one()
        company = self.journal_id.company_id
        foreign = self.currency_id != company.currency_id
        measure = "amount_currency:sum" if foreign else "balance:sum"
        [[total]] = (
            self.env["account.move.line"]
            .sudo()
            ._read_group(
                [
                    ("account_id", "=", self.journal_id.default_account_id.id),
                    ("company_id", "=", company.id),
                    ("parent_state", "=", "posted"),
                    ("date", "<=", self.as_of.date()),
                ],
                aggregates=[measure],
            )
        )
        return total or 0.0

    # === ACTIONS === #

    def action_open_message(self):
        """Open the message that told the balance."""
        self.ensure_one()
        self.check_access("read")
        return self.command_id._action_open_message()

    # === BUSINESS METHODS === #

    @api.model
    def _note(self, journal, kind, amount, as_of, command):
        """Keep a balance, unless a later one is known.

        :param amount: Decimal, in the currency of the journal
        :param as_of: aware
        :return: the record, empty when a later one is known
        """
        moment = clock.naive(as_of).replace(microsecond=0)
        values = {
            "amount": float(amount),
            "as_of": moment,
            "connector_id": command.connector_id.id,
            "command_id": command.id,
        }
        known = self.search([("journal_id", "=", journal.id), ("kind", "=", kind)])
        if known:
            if moment < known.as_of:
                return self.browse()
            known.write(values)
            return known
        currency = journal.currency_id or journal.company_id.currency_id
        return self.create(
            {
                **values,
                "journal_id": journal.id,
                "currency_id": currency.id,
                "kind": kind,
            }
        )
