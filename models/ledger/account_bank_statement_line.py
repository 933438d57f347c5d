from odoo import api, fields, models


class AccountBankStatementLine(models.Model):
    _inherit = "account.bank.statement.line"

    finance_statement_id = fields.Many2one(
        "finance.statement",
        string="Statement from the Bank",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
    )
    finance_command_id = fields.Many2one(
        "finance.command",
        string="Came In By",
        readonly=True,
        copy=False,
        ondelete="set null",
        index="btree_not_null",
    )
    finance_booking_date = fields.Date(
        string="Booked by the Bank On", readonly=True, copy=False
    )
    finance_value_date = fields.Date(string="Value Date", readonly=True, copy=False)
    finance_entry_ref = fields.Char(
        string="Bank Reference", readonly=True, copy=False, index="btree_not_null"
    )
    finance_end_to_end_id = fields.Char(
        string="End-to-End Reference",
        readonly=True,
        copy=False,
        index="btree_not_null",
    )
    finance_entry_key = fields.Char(
        readonly=True,
        copy=False,
        help="Digest of what the bank says of the entry; equal for equal entries.",
    )
    finance_return_reason = fields.Char(
        string="Return Reason", readonly=True, copy=False
    )
    finance_reversal = fields.Boolean(
        string="Takes Back an Earlier Entry", readonly=True, copy=False
    )
    finance_parts = fields.Json(
        string="Single Transactions",
        readonly=True,
        copy=False,
        help="The transactions that the bank put into one entry, signed, in the "
        "currency of the account. Their sum is the amount.",
    )

    finance_parts_text = fields.Text(
        string="Transactions in It", compute="_compute_finance_parts_text"
    )

    # Where a statement looks for what it repeats.
    _finance_booked_idx = models.Index(
        "(journal_id, finance_booking_date) WHERE finance_booking_date IS NOT NULL"
    )

    # === COMPUTES === #

    @api.depends("finance_parts")
    def _compute_finance_parts_text(self):
        names = (
            "amount",
            "counterparty_name",
            "counterparty_account",
            "remittance",
            "end_to_end_id",
            "return_reason",
        )
        for line in self:
            line.finance_parts_text = "\n".join(
                "  ·  ".join(str(part[name]) for name in names if part.get(name))
                for part in line.finance_parts or []
            )

    # === ACTIONS === #

    def action_open_finance_message(self):
        """Open the message that the transaction came in by."""
        self.ensure_one()
        self.check_access("read")
        return self.finance_command_id._action_open_message()
