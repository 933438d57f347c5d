from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from .. import clock, constants
from ..access import require_group
from ..windows import list_of
from .errors import CommandError

PENDING = ("expected", "incomplete", "mismatch")


class FinancePayout(models.Model):
    """What a provider paid into the bank, and what it is made of.

    It is booked when every line is known and the lines come to what was paid: then
    the clearing account has exactly the paid amount open, which the bank line takes
    away. Until then it is kept, and goes on by itself when what is missing arrives.
    """

    _name = "finance.payout"
    _description = "Finance Payout"
    _inherit = ["finance.traced", "mail.thread", "mail.activity.mixin"]
    _order = "released_at desc, id desc"
    _rec_name = "payout_ref"

    payout_ref = fields.Char(string="Payout", required=True, readonly=True)
    connector_id = fields.Many2one(
        "finance.connector", required=True, readonly=True, ondelete="restrict"
    )
    company_id = fields.Many2one(
        related="connector_id.company_id", store=True, index=True
    )
    journal_id = fields.Many2one("account.journal", required=True, readonly=True)
    currency_id = fields.Many2one("res.currency", required=True, readonly=True)
    released_at = fields.Datetime(required=True, readonly=True)
    value_date = fields.Date(readonly=True)
    failed_at = fields.Datetime(readonly=True)
    net = fields.Monetary(string="Paid Out", readonly=True)
    opening = fields.Monetary(string="Carried Over from Before", readonly=True)
    closing = fields.Monetary(string="Carried Over to Next", readonly=True)
    gross = fields.Monetary(compute="_compute_totals", store=True)
    fees = fields.Monetary(compute="_compute_totals", store=True)
    refunds = fields.Monetary(
        string="Refunds & Disputes", compute="_compute_totals", store=True
    )
    others = fields.Monetary(
        string="Other Items", compute="_compute_totals", store=True
    )
    control_total = fields.Monetary(
        compute="_compute_totals",
        store=True,
        help="The nets of the lines, with what was carried over: what should have "
        "been paid out.",
    )
    difference = fields.Monetary(compute="_compute_totals", store=True)
    line_count = fields.Integer(string="Items", compute="_compute_totals", store=True)
    unknown_count = fields.Integer(string="Unknown", compute="_compute_unknown_count")
    complete = fields.Boolean(string="Report Is There", readonly=True)
    is_booked = fields.Boolean(readonly=True)
    difference_accepted = fields.Boolean(readonly=True)
    bank_reference = fields.Char(readonly=True)
    description = fields.Char(readonly=True)
    raw_status = fields.Char(string="Provider's Status", readonly=True)
    reason = fields.Char(readonly=True)
    state = fields.Selection(
        [
            ("expected", "Report Expected"),
            ("incomplete", "Payments Missing"),
            ("mismatch", "Does Not Add Up"),
            ("released", "Bank Line Expected"),
            ("reconciled", "Reconciled"),
            ("failed", "Failed"),
        ],
        required=True,
        default="expected",
        readonly=True,
        tracking=True,
    )
    correlation_id = fields.Char(readonly=True, index=True)
    line_ids = fields.One2many("finance.payout.line", "payout_id", "Lines")
    move_id = fields.Many2one("account.move", string="Entry", readonly=True)
    net_line_id = fields.Many2one(
        "account.move.line", readonly=True, index="btree_not_null"
    )
    opening_line_id = fields.Many2one("account.move.line", readonly=True)
    closing_line_id = fields.Many2one("account.move.line", readonly=True)
    statement_line_id = fields.Many2one(
        "account.bank.statement.line", string="Bank Line", readonly=True
    )

    _payout_ref_unique = models.UniqueIndex("(journal_id, payout_ref)")
    _pending_idx = models.Index(
        "(id) WHERE state IN ('expected', 'incomplete', 'mismatch')"
    )
    _bank_idx = models.Index("(company_id, net) WHERE statement_line_id IS NULL")

    # === COMPUTES === #

    @api.depends(
        "net",
        "opening",
        "closing",
        "line_ids.kind",
        "line_ids.gross",
        "line_ids.fee",
        "line_ids.net",
    )
    def _compute_totals(self):
        for payout in self:
            totals = dict.fromkeys(("gross", "fees", "refunds", "others", "nets"), 0)
            for line in payout.line_ids:
                totals["nets"] += line.net
                totals["fees"] += line.fee
                if line.kind == "payment":
                    totals["gross"] += line.gross
                elif line.kind == "fee":
                    totals["fees"] -= line.gross
                elif line.kind in ("adjustment", "reserve"):
                    totals["others"] += line.gross
                else:
                    totals["refunds"] -= line.gross
            rounded = payout.currency_id.round
            payout.gross = rounded(totals["gross"])
            payout.fees = rounded(totals["fees"])
            payout.refunds = rounded(totals["refunds"])
            payout.others = rounded(totals["others"])
            payout.control_total = rounded(
                totals["nets"] + payout.opening - payout.closing
            )
            payout.difference = rounded(payout.net - payout.control_total)
            payout.line_count = len(payout.line_ids)

    def _compute_unknown_count(self):
        groups = self.env["finance.payout.line"]._read_group(
            [("payout_id", "in", self.ids), ("state", "!=", "matched")],
            ["payout_id"],
            ["__count"],
        )
        counts = dict(groups)
        for payout in self:
            payout.unknown_count = counts.get(payout, 0)

    # === ACTIONS === #

    def action_retry(self):
        """Look again for what is missing, and book the payout if it is complete."""
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        pending = self.sudo().filtered(lambda payout: payout.state in PENDING)
        if not pending:
            raise UserError(self.env._("Only payouts that miss something wait."))
        for payout in pending:
            payout._advance()
        return True

    def action_accept(self):
        """Ask for the reason with which a payout is booked as it is."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        if self.state not in ("incomplete", "mismatch"):
            raise UserError(
                self.env._("Only a payout that does not add up can be booked as it is.")
            )
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Book as It Is"),
            "res_model": "finance.payout.wizard",
            "view_mode": "form",
            "target": "new",
            "context": {"default_payout_id": self.id},
        }

    def action_open_lines(self):
        """Show the items of the payout, which may be many."""
        self.ensure_one()
        self.check_access("read")
        return list_of(
            self.env, "finance_payout_line_action", [("payout_id", "=", self.id)]
        )

    def _accept(self, reason):
        """Book the payout though it does not add up, as a person decided.

        What is not known goes to the adjustment account, a difference to the
        write-off account.

        :param str reason: why that is right
        """
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        payout = self.sudo()
        if payout.state not in ("incomplete", "mismatch"):
            raise UserError(
                self.env._("“%s” needs no decision any more.", self.payout_ref)
            )
        exceptions = payout._exceptions()
        payout._unknown_lines().accepted = True
        payout.difference_accepted = True
        payout.message_post(
            body=self.env._("Booked as it is: %s", reason),
            author_id=self.env.user.partner_id.id,
        )
        exceptions.with_user(self.env.user)._log_action(
            self.env._("Payout booked as it is"), reason
        )
        payout._advance()

    # === FINDING === #

    @api.model
    def _known(self, connector, payout_ref):
        """Return the payout of a reference, whichever way it was reported."""
        return self.search(
            [
                ("journal_id", "=", connector.payment_journal_id.id),
                ("payout_ref", "=", payout_ref),
            ]
        )

    @api.model
    def _wait_key(self, connector, payout_ref):
        return f"payout:{connector.id}:{payout_ref}"

    def _lock(self):
        """Have the payouts to itself, see finance.transaction."""
        if self:
            self.flush_recordset()
            self.env.cr.execute(
                SQL(
                    "UPDATE finance_payout SET write_date = %s WHERE id IN %s",
                    clock.naive_now(),
                    tuple(self.ids),
                )
            )
            self.invalidate_recordset(["write_date"], flush=False)

    # === RECEIVING === #

    @api.model
    def _receive(self, command, content):
        """Keep what a ``payout.released`` says; see contracts.PayoutReleased.

        The payout may be announced first and reported later, or the other way round.

        :return: the payout
        :raise CommandError: C-AMOUNT-INTEGRITY, D-UNMAPPED
        """
        connector = command.connector_id
        booking = self.env["finance.booking"]
        currency = booking._currency(content.currency)
        journal = booking._method_line(connector).journal_id
        values = {
            "opening": float(content.opening),
            "closing": float(content.closing),
            "value_date": content.value_date,
            "bank_reference": content.bank_reference,
            "description": content.description,
            "raw_status": content.raw_status,
        }
        payout = self._known(connector, content.payout_ref)
        if payout:
            payout._lock()
            if payout.currency_id != currency or currency.compare_amounts(
                payout.net, float(content.net)
            ):
                raise CommandError(
                    "C-AMOUNT-INTEGRITY",
                    self.env._(
                        "The payout %(payout)s was reported before with %(amount)s. "
                        "Ask the provider which one is right.",
                        payout=payout.payout_ref,
                        amount=payout.currency_id.format(payout.net),
                    ),
                )
            fresh = {name: value for name, value in values.items() if value}
            if not payout.is_booked:
                payout.write(fresh)
        else:
            payout = self.create(
                {
                    **values,
                    "payout_ref": content.payout_ref,
                    "connector_id": connector.id,
                    "journal_id": journal.id,
                    "currency_id": currency.id,
                    "released_at": clock.naive(content.released_at),
                    "net": float(content.net),
                    "correlation_id": command.correlation_id,
                }
            )
        if content.lines and not payout.complete:
            # What is settled by itself outlives a report that is replaced.
            payout.line_ids.filtered("settled_command_id").payout_id = False
            payout.line_ids.unlink()
            self.env["finance.payout.line"].create(
                [payout._line_values(line, connector) for line in content.lines]
            )
        if content.complete and (content.lines or payout._adds_up_empty()):
            payout.complete = True
        return payout

    def _adds_up_empty(self):
        """Return whether the payout needs no lines: balances are carried."""
        return bool(self.line_ids) or self.currency_id.is_zero(
            self.net - self.opening + self.closing
        )

    def _line_values(self, line, connector):
        return {
            "payout_id": self.id,
            "connector_id": connector.id,
            "kind": line.kind,
            "settlement_ref": line.line_ref,
            "provider_ref": line.provider_ref,
            "parent_ref": line.parent_ref,
            "document_ref": line.document_ref,
            "description": line.description,
            "occurred_at": line.occurred_at and clock.naive(line.occurred_at),
            "value_date": self.value_date,
            "currency_id": self.currency_id.id,
            "gross": float(line.gross),
            "fee": float(line.fee),
            "net": float(line.net),
        }

    # === GOING ON === #

    def _advance(self):
        """Go as far as what is known allows; what is missing becomes an exception."""
        self.ensure_one()
        self.with_context(finance_correlation_id=self.correlation_id)._go_on()

    def _go_on(self):
        self._lock()
        if not self.is_booked and self.complete:
            try:
                with self.env.cr.savepoint():
                    self.line_ids._match()
                self._book_if_complete()
            except CommandError as error:
                self._set_state()
                self._report(error.code, error.message)
                return
            except UserError as error:
                # Odoo's own refusal, such as of a locked account.
                self._set_state()
                self._report("B-PAYOUT-MISMATCH", str(error))
                return
        self._match_bank()
        self._set_state()

    def _book_if_complete(self):
        """Book the payout unless something is missing or differs."""
        self.line_ids.filtered(
            lambda line: (
                line.state == "differs" and line.transaction_id and not line.accepted
            )
        ).state = "matched"
        problem = self._problem()
        if problem:
            self._set_state()
            self._report("B-PAYOUT-MISMATCH", problem)
            return
        draft = self._draft()
        if draft.missing:
            draft.missing.state = "differs"
            self._set_state()
            self._report("B-PAYOUT-MISMATCH", self._problem())
            return
        with self.env.cr.savepoint():
            self._book(draft)
        self._exceptions()._resolve(self.env._("Booked: %s", self.payout_ref))

    def _set_state(self):
        """Derive the state from what is there, see ``state``."""
        for payout in self:
            if payout._is_done():
                state = "reconciled"
            elif payout.failed_at:
                state = "failed"
            elif payout.is_booked:
                state = "released"
            elif not payout.complete:
                state = "expected"
            elif payout._unknown_lines(limit=1):
                state = "incomplete"
            else:
                state = "mismatch"
            if state != payout.state:
                payout.state = state

    def _is_done(self):
        """Return whether nothing is open any more, at the bank or on the way."""
        line = self.net_line_id
        return bool(self.is_booked and (not line or line.reconciled))

    def _missing_payments(self):
        """Return whether payments are still missing that a message may bring."""
        return bool(
            self.env["finance.payout.line"].search_count(
                [
                    ("payout_id", "=", self.id),
                    ("state", "=", "unknown"),
                    ("accepted", "=", False),
                ],
                limit=1,
            )
        )

    def _unknown_lines(self, limit=None):
        return self.env["finance.payout.line"].search(
            [
                ("payout_id", "=", self.id),
                ("state", "!=", "matched"),
                ("accepted", "=", False),
            ],
            limit=limit,
        )

    def _problem(self):
        """Return in words why the payout can't be booked, None when it can."""
        unknown = self._unknown_lines()
        if unknown:
            return self.env._(
                "%(count)s of %(total)s items are of payments that are not known or "
                "differ in amount: %(sample)s. Nothing is booked yet; the payout goes "
                "on by itself when they arrive.",
                count=len(unknown),
                total=self.line_count,
                sample=", ".join(
                    line.provider_ref or line.parent_ref or line.kind
                    for line in unknown[: constants.PAYOUT_SAMPLE]
                ),
            )
        if self.difference_accepted or self.currency_id.is_zero(self.difference):
            return None
        holder = next(
            (c for c in self.connector_id._payment_family() if c.writeoff_account_id),
            None,
        )
        if holder and holder.writeoff_amount:
            limit = holder._writeoff_limit(abs(self.net), self.currency_id)
            if self.currency_id.compare_amounts(abs(self.difference), limit) <= 0:
                return None
        return self.env._(
            "The provider paid out %(net)s, but the items come to %(total)s: a "
            "difference of %(difference)s. Nothing is booked yet.",
            net=self.currency_id.format(self.net),
            total=self.currency_id.format(self.control_total),
            difference=self.currency_id.format(self.difference),
        )

    # === EXCEPTIONS === #

    def _exceptions(self):
        return self.env["finance.exception"]._about(self)

    def _report(self, code, cause):
        """Tell a person what keeps the payout from being booked."""
        self.ensure_one()
        known = self._exceptions()
        same = known.filtered(lambda e: e.code == code and e.cause == cause)
        if same:
            # Nothing new was found; a person knows.
            return same
        known.filtered(lambda e: e.code != code)._resolve(
            self.env._("Followed by another: %s", code)
        )
        return self.env["finance.exception"]._open(
            code,
            company=self.company_id,
            record=self,
            connector=self.connector_id,
            fingerprint=f"payout:{self.id}",
            summary=self.env._(
                "Payout %(payout)s: %(cause)s",
                payout=self.payout_ref,
                cause=cause.splitlines()[0].partition(". ")[0],
            ),
            cause=cause,
            correlation_id=self.correlation_id,
            amount=self.net,
            currency=self.currency_id,
        )
