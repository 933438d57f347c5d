from datetime import timedelta

from odoo import api, fields, models
from odoo.tools.misc import formatLang

KINDS = [
    ("statement", "Statement"),
    ("report", "Report of the Day"),
    ("notification", "Notification"),
]


class FinanceStatement(models.Model):
    """A statement as the bank sent it, and where it stands in their chain.

    Odoo's own bank statement holds the transactions in the books. This one remembers
    what the bank said: also of a statement without entries, of one whose entries were
    all there already, and of notifications and reports that a statement repeats.
    """

    _name = "finance.statement"
    _description = "Statement from the Bank"
    _order = "to_date desc, sequence desc, id desc"
    _rec_name = "reference"
    _check_company_auto = True

    journal_id = fields.Many2one(
        "account.journal", required=True, readonly=True, check_company=True
    )
    company_id = fields.Many2one(
        related="journal_id.company_id", store=True, index=True
    )
    currency_id = fields.Many2one("res.currency", required=True, readonly=True)
    connector_id = fields.Many2one(
        "finance.connector", required=True, readonly=True, ondelete="restrict"
    )
    command_id = fields.Many2one(
        "finance.command", readonly=True, index=True, ondelete="set null"
    )
    reference = fields.Char(string="Bank's Reference", required=True, readonly=True)
    account = fields.Char(required=True, readonly=True)
    kind = fields.Selection(KINDS, required=True, readonly=True)
    sequence = fields.Integer(string="Number", readonly=True)
    from_date = fields.Date(string="From", required=True, readonly=True)
    to_date = fields.Date(string="To", required=True, readonly=True)
    made_at = fields.Datetime(string="Made by the Bank", readonly=True)
    has_opening = fields.Boolean(readonly=True)
    opening = fields.Monetary(string="Opening Balance", readonly=True)
    has_closing = fields.Boolean(readonly=True)
    closing = fields.Monetary(string="Closing Balance", readonly=True)
    total = fields.Monetary(string="Sum of Entries", readonly=True)
    entry_count = fields.Integer(string="Entries", readonly=True)
    new_count = fields.Integer(
        string="New",
        readonly=True,
        help="Entries that were not in the books before.",
    )
    state = fields.Selection(
        [
            ("importing", "Coming In"),
            ("complete", "Complete"),
            ("gap", "Statement Missing Before"),
            ("unbalanced", "Does Not Add Up"),
        ],
        required=True,
        readonly=True,
        default="complete",
    )
    statement_id = fields.Many2one(
        "account.bank.statement",
        string="In the Books",
        readonly=True,
        index=True,
        ondelete="set null",
    )
    line_ids = fields.One2many(
        "account.bank.statement.line", "finance_statement_id", "Transactions"
    )

    _chain_idx = models.Index("(journal_id, kind, to_date)")

    # === ACTIONS === #

    def action_open_lines(self):
        """Open the transactions that this statement brought."""
        self.ensure_one()
        self.check_access("read")
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Transactions"),
            "res_model": "account.bank.statement.line",
            "views": [
                (self.env.ref("finance_hub.finance_bank_line_list").id, "list"),
                (self.env.ref("finance_hub.finance_bank_line_form").id, "form"),
            ],
            "domain": [("finance_statement_id", "=", self.id)],
        }

    def action_open_message(self):
        """Open the message that brought the statement."""
        self.ensure_one()
        self.check_access("read")
        return self.command_id._action_open_message()

    # === THE CHAIN === #

    def _check(self):
        """Compare the balances, open an exception for what is wrong, close what is not.

        :return: nothing; the state tells
        """
        for statement in self.filtered(lambda s: s.kind == "statement"):
            gap = statement._gap()
            unbalanced = statement._unbalanced()
            if gap:
                statement._report_gap(*gap)
            else:
                statement._close("D-STMT-GAP")
            if unbalanced:
                statement._report_unbalanced()
            else:
                statement._close("D-STMT-BALANCE")
            statement.state = (
                "unbalanced" if unbalanced else "gap" if gap else "complete"
            )

    def _check_followers(self):
        """Check those again whose opening balance may be this one's closing."""
        for statement in self.filtered(lambda s: s.kind == "statement"):
            later = self.search(
                [
                    ("journal_id", "=", statement.journal_id.id),
                    ("kind", "=", "statement"),
                    ("from_date", ">=", statement.from_date),
                    ("id", "!=", statement.id),
                ],
                order="from_date, id",
                limit=50,
            )
            # Only the nearest ones can begin where this one ends; and whichever had a
            # gap, as it may be the one that was missing.
            (later[:5] | later.filtered(lambda s: s.state != "complete"))._check()

    def _unbalanced(self):
        """Whether opening balance and entries do not make the closing balance."""
        self.ensure_one()
        return (
            self.has_opening
            and self.has_closing
            and self.currency_id.compare_amounts(
                self.opening + self.total, self.closing
            )
            != 0
        )

    def _gap(self):
        """Return (expected balance, day up to which all is there) where one misses.

        None when the statement begins where another one ended, or is the first one.
        """
        self.ensure_one()
        if not self.has_opening:
            return None
        start = self.from_date
        found = self.search(
            [
                ("journal_id", "=", self.journal_id.id),
                ("kind", "=", "statement"),
                ("has_closing", "=", True),
                ("id", "!=", self.id),
                ("to_date", "<=", start),
            ],
            order="to_date desc, sequence desc, made_at desc, id desc",
            limit=20,
        ).filtered(lambda other: other._is_before(self))
        same = self.currency_id.compare_amounts
        # Of this one's first day, which it may have in itself or go on from.
        inside = found.filtered(lambda s: s.from_date == start < self.to_date)
        before = found - inside
        last_day = before[:1].to_date
        nearest = inside | before.filtered(lambda s: s.to_date in (last_day, start))
        if any(same(other.closing, self.opening) == 0 for other in nearest):
            return None
        if self._begins_inside_another(start):
            return None
        if before:
            return before[0].closing, last_day
        return self._gap_to_books(start)

    def _is_before(self, other):
        """Whether this statement ended before the other one began."""
        start = other.from_date
        if self.to_date < start:
            return True
        # The same day: one of several of a day, or one that ends where that begins.
        if self.from_date < start:
            return True
        if self.sequence and other.sequence and self.sequence != other.sequence:
            return self.sequence < other.sequence
        return (self.made_at, self.id) < (other.made_at, other.id)

    def _begins_inside_another(self, start):
        """Whether a longer statement covers the day before, and this day, too."""
        return bool(
            self.search_count(
                [
                    ("journal_id", "=", self.journal_id.id),
                    ("kind", "=", "statement"),
                    ("id", "!=", self.id),
                    ("from_date", "<", start),
                    ("to_date", ">", start),
                ],
                limit=1,
            )
        )

    def _gap_to_books(self, start):
        """Return the gap to the last statement that did not come by the hub."""
        last = self.env["account.bank.statement"].search(
            [
                ("journal_id", "=", self.journal_id.id),
                ("date", "<", start),
                ("first_line_index", "!=", False),
                ("finance_statement_ids", "=", False),
            ],
            order="first_line_index desc",
            limit=1,
        )
        if last and self.currency_id.compare_amounts(
            last.balance_end_real, self.opening
        ):
            return last.balance_end_real, last.date
        return None

    # === EXCEPTIONS === #

    def _money(self, amount):
        return formatLang(self.env, amount, currency_obj=self.currency_id)

    def _report_gap(self, expected, last_day):
        start = self.from_date
        first, last = last_day + timedelta(days=1), start - timedelta(days=1)
        if first > last:
            period = self.env._("of %s", start.isoformat())
        elif first == last:
            period = self.env._("of %s", first.isoformat())
        else:
            period = self.env._(
                "from %(first)s to %(last)s",
                first=first.isoformat(),
                last=last.isoformat(),
            )
        self._open(
            "D-STMT-GAP",
            self.env._(
                "%(journal)s: the statement %(period)s is missing",
                journal=self.journal_id.name,
                period=period,
            ),
            self.env._(
                "The statement %(reference)s begins with %(opening)s, but the one "
                "before, up to %(day)s, ended with %(expected)s. Entries of %(amount)s "
                "in all are missing. It was imported; once the missing statement "
                "arrives, this closes by itself.",
                reference=self.reference,
                opening=self._money(self.opening),
                day=last_day.isoformat(),
                expected=self._money(expected),
                amount=self._money(self.opening - expected),
            ),
            self.opening - expected,
        )

    def _report_unbalanced(self):
        difference = self.closing - self.opening - self.total
        self._open(
            "D-STMT-BALANCE",
            self.env._(
                "%(journal)s: the statement %(reference)s does not add up",
                journal=self.journal_id.name,
                reference=self.reference,
            ),
            self.env._(
                "Opening balance %(opening)s and %(count)s entries of %(total)s do not "
                "make the closing balance %(closing)s; %(difference)s is missing. The "
                "entries were imported. Ask the bank for a corrected statement: it "
                "adds what is missing, and this closes by itself.",
                opening=self._money(self.opening),
                count=self.entry_count,
                total=self._money(self.total),
                closing=self._money(self.closing),
                difference=self._money(difference),
            ),
            difference,
        )

    def _open(self, code, summary, cause, amount):
        self.env["finance.exception"]._open(
            code,
            company=self.company_id,
            record=self,
            connector=self.connector_id,
            fingerprint=f"statement:{self.id}",
            summary=summary,
            cause=cause,
            correlation_id=self.command_id.correlation_id,
            amount=amount,
            currency=self.currency_id,
        )

    def _close(self, code):
        self.env["finance.exception"].search(
            [
                ("fingerprint", "=", f"{code}:statement:{self.id}"),
                ("is_open", "=", True),
            ]
        )._resolve(self.env._("The balances agree now."))

    # === LOOKING UP === #

    @api.model
    def _same(self, journal, content):
        """Return the statement that was sent before under the same name.

        :param content: contracts.BankStatementContent
        """
        return self.search(
            [
                ("journal_id", "=", journal.id),
                ("kind", "=", content.kind),
                ("reference", "=", content.statement_ref),
                ("from_date", "=", content.from_date or content.to_date),
                ("to_date", "=", content.to_date),
                ("sequence", "=", content.sequence or 0),
            ],
            limit=1,
        )
