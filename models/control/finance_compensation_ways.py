from odoo import api, models
from odoo.exceptions import UserError
from odoo.tools.misc import format_date

from ..ledger.errors import CommandError
from .compensating import entry_lines, plan_of

CREDITED = ("out_invoice", "in_invoice", "out_receipt", "in_receipt")
# Roles of entries that the hub drafts for a person to post.
PROPOSED_ROLES = ("loss",)


class FinanceCompensation(models.Model):
    """The ways to compensate: what each fits, what it will do, and its opposite.

    A way ``x`` is four methods: ``_fits_x(record)``, ``_plan_x(record, date)``,
    ``_do_x(record)`` and ``_undo_x(undone, record)``. The last two return what was
    booked, or an empty recordset.
    """

    _inherit = "finance.compensation"

    # === DISPATCH === #

    @api.model
    def _fits(self, kind, record):
        """Return whether a way fits a record as it is now."""
        return bool(getattr(self, f"_fits_{kind}")(record))

    @api.model
    def _plan(self, kind, record, date):
        """Return what will be done, see :func:`compensating.plan_of`."""
        return getattr(self, f"_plan_{kind}")(record, date)

    def _do_it(self):
        record = self._expect_record()
        if not self._fits(self.kind, record):
            raise UserError(
                self.env._("“%s” changed since this was asked for.", self.record_name)
            )
        return self._guarded(getattr(self, f"_do_{self.kind}"), record)

    def _undo_it(self, undone):
        record = self._expect_record()
        return self._guarded(getattr(self, f"_undo_{self.kind}"), undone, record)

    def _expect_record(self):
        record = self._record()
        if not record:
            raise UserError(self.env._("“%s” is gone.", self.record_name))
        return record

    @api.model
    def _guarded(self, method, *args):
        """Say what stops a booking in the words of a screen."""
        try:
            return method(*args)
        except CommandError as error:
            raise UserError(error.message) from error

    @api.model
    def _stake(self, kind, record):
        """Return (amount, currency) that a compensation moves."""
        if kind == "write_off":
            return record.amount_residual, record.currency_id
        if record._name == "account.move" and record.move_type == "entry":
            debit = sum(record.line_ids.mapped("debit"))
            return debit, record.company_id.currency_id
        if record._name == "account.move":
            return record.amount_total, record.currency_id
        return record.amount, record.currency_id

    @api.model
    def _facts(self, record):
        """Return what a consent to a compensation of a record is about."""
        if record._name == "finance.hold":
            return [record.state, record.reason]
        if record._name == "account.payment":
            return [record.state, record.amount, self._matched_lines(record)[1].ids]
        amounts = record.line_ids.mapped("amount_currency")
        return [record.state, record.date, record.amount_residual, amounts]

    def _undo_plan(self, date):
        """Return what taking it back will do."""
        self.ensure_one()
        result = self._result()
        day = format_date(self.env, date)
        if result._name == "account.move" and result:
            return plan_of(
                self.env._(
                    "“%(entry)s” is reversed on %(date)s. Both stay in the books.",
                    entry=result.display_name,
                    date=day,
                ),
                entry_lines(result.line_ids, swapped=True),
            )
        sentences = {
            "payment_cancel": self.env._(
                "“%s” is posted again and matched with what it paid before.",
                self.record_name,
            ),
            "reopen": self.env._(
                "“%s” is matched again with what it paid before.", self.record_name
            ),
            "hold_release": self.env._("“%s” is held again.", self.record_name),
        }
        return plan_of(sentences[self.kind])

    # === ENTRIES === #

    @api.model
    def _is_reversed(self, move):
        reversals = move.reversal_move_ids.filtered(lambda m: m.state == "posted")
        currency = move.currency_id
        gone = sum(
            m.amount_total
            for m in reversals
            # One that was reversed itself counts no more.
            if not m.reversal_move_ids.filtered(lambda r: r.state == "posted")
        )
        return currency.compare_amounts(gone, move.amount_total) >= 0 if gone else False

    @api.model
    def _reverse(self, move, date, ref, *, cancel):
        """Reverse an entry or document.

        :param bool cancel: match it with what it reverses, undoing other matches
        """
        self.env["finance.booking"]._check_period(
            move.company_id, date, move.journal_id
        )
        values = {"date": date, "ref": ref}
        if move.is_invoice(include_receipts=True):
            values["invoice_date"] = date
        reversal = move._reverse_moves([values], cancel=cancel)
        if reversal.state != "posted":
            reversal._post(soft=False)
        return reversal

    @api.model
    def _undo_by_reversal(self, undone):
        return self._reverse(undone._result(), self.date, self.reason, cancel=True)

    # --- reversal --- #

    @api.model
    def _fits_reversal(self, record):
        return (
            record._name == "account.move"
            and record.move_type == "entry"
            and record.state == "posted"
            and not record.statement_line_id
            and not record.origin_payment_id
            and not self._is_reversed(record)
        )

    @api.model
    def _plan_reversal(self, record, date):
        return plan_of(
            self.env._(
                "An entry dated %(date)s takes back “%(entry)s”. Both stay in the "
                "books, matched with each other.",
                date=format_date(self.env, date),
                entry=record.display_name,
            ),
            entry_lines(record.line_ids, swapped=True),
        )

    def _do_reversal(self, record):
        return self._reverse(record, self.date, self.reason, cancel=True)

    def _undo_reversal(self, undone, record):
        return self._undo_by_reversal(undone)

    # --- credit note --- #

    @api.model
    def _fits_credit_note(self, record):
        return (
            record._name == "account.move"
            and record.move_type in CREDITED
            and record.state == "posted"
            and not self._is_reversed(record)
        )

    @api.model
    def _plan_credit_note(self, record, date):
        residual = record.amount_residual
        notes = []
        if record.currency_id.compare_amounts(residual, record.amount_total) < 0:
            paid = record.currency_id.format(record.amount_total - residual)
            notes.append(
                self.env._(
                    "%s were paid and stay to the counterparty's credit, to be paid "
                    "back or used for another document.",
                    paid,
                )
            )
        return plan_of(
            self.env._(
                "A credit note over %(amount)s, dated %(date)s, is posted for "
                "“%(document)s” and matched with what is open of it.",
                amount=record.currency_id.format(record.amount_total),
                date=format_date(self.env, date),
                document=record.display_name,
            ),
            entry_lines(record.line_ids, swapped=True),
            notes,
        )

    def _do_credit_note(self, record):
        note = self._reverse(record, self.date, self.reason, cancel=False)
        booking = self.env["finance.booking"]
        booking._reconcile(booking._receivable(record | note))
        return note

    def _undo_credit_note(self, undone, record):
        return self._undo_by_reversal(undone)

    # --- proposed entry --- #

    @api.model
    def _fits_post_entry(self, record):
        if record._name != "account.move" or record.state != "draft":
            return False
        return record.finance_role in PROPOSED_ROLES or self.env[
            "finance.transaction"
        ].sudo().search_count([("credit_note_id", "=", record.id)], limit=1)

    @api.model
    def _plan_post_entry(self, record, date):
        return plan_of(
            self.env._(
                "The draft that the hub proposed is posted as it stands, dated %s.",
                format_date(self.env, record.date),
            ),
            entry_lines(record.line_ids),
        )

    def _do_post_entry(self, record):
        record._post(soft=False)
        return record

    def _undo_post_entry(self, undone, record):
        return self._undo_by_reversal(undone)

    # --- write-off --- #

    @api.model
    def _writeoff_account(self, record):
        """Return the account for differences of the connector behind a document."""
        transaction = (
            self.env["finance.transaction"]
            .sudo()
            .search([("move_id", "=", record.id), ("payment_id", "!=", False)], limit=1)
        )
        connectors = transaction.connector_id._payment_family()
        return connectors.writeoff_account_id[:1]

    @api.model
    def _fits_write_off(self, record):
        return (
            record._name == "account.move"
            and record.move_type == "out_invoice"
            and record.state == "posted"
            and not record.currency_id.is_zero(record.amount_residual)
            and record.payment_state == "partial"
            and self._writeoff_account(record)
        )

    @api.model
    def _plan_write_off(self, record, date):
        account = self._writeoff_account(record)
        amount = record.currency_id.format(record.amount_residual)
        receivable = self.env["finance.booking"]._receivable(record).account_id[:1]
        return plan_of(
            self.env._(
                "What is open of “%(document)s”, %(amount)s, is written off on "
                "%(date)s. The document is paid then.",
                document=record.display_name,
                amount=amount,
                date=format_date(self.env, date),
            ),
            [
                {
                    "account": account.display_name,
                    "label": record.name,
                    "debit": amount,
                    "credit": "",
                },
                {
                    "account": receivable.display_name,
                    "label": record.name,
                    "debit": "",
                    "credit": amount,
                },
            ],
        )

    def _do_write_off(self, record):
        booking = self.env["finance.booking"]
        lines = booking._receivable(record).filtered(lambda line: not line.reconciled)
        company, currency, amount = record.company_id, record.currency_id, self.amount
        label = self.env._("Written off: %s", record.name)
        journal = self.env["account.journal"].search(
            [("type", "=", "general"), ("company_id", "=", company.id)], limit=1
        )
        common = (currency, company, self.date, record.commercial_partner_id)
        entry = booking._entry(
            journal,
            self.date,
            self.reason,
            [
                booking._line(label, self._writeoff_account(record), amount, *common),
                booking._line(label, lines.account_id[:1], -amount, *common),
            ],
        )
        booking._reconcile(lines, booking._receivable(entry))
        return entry

    def _undo_write_off(self, undone, record):
        return self._undo_by_reversal(undone)

    # === PAYMENTS === #

    @api.model
    def _matched_lines(self, payment):
        """Return (the payment's lines, lines of what it pays)."""
        own = self.env["finance.booking"]._receivable(payment.move_id)
        partials = own.matched_debit_ids | own.matched_credit_ids
        others = (partials.debit_move_id | partials.credit_move_id) - own
        return own, others

    def _remember_match(self, own, others):
        self.memory = {"own": own.ids, "others": others.ids}
        own.remove_move_reconcile()

    @api.model
    def _match_again(self, undone, own):
        others = self.env["account.move.line"].browse(undone.memory["others"]).exists()
        self.env["finance.booking"]._reconcile(
            own, others.filtered(lambda line: line.account_id in own.account_id)
        )

    @api.model
    def _paid_lines(self, payment):
        """Return what a payment pays, for a plan."""
        own, others = self._matched_lines(payment)
        shown = []
        for line in others:
            partials = (line.matched_debit_ids | line.matched_credit_ids).filtered(
                lambda p: p.debit_move_id in own or p.credit_move_id in own
            )
            amount = line.company_id.currency_id.format(sum(partials.mapped("amount")))
            inbound = payment.payment_type == "inbound"
            shown.append(
                {
                    "account": line.account_id.display_name,
                    "label": self.env._("%s is open again", line.move_id.name),
                    "debit": amount if inbound else "",
                    "credit": "" if inbound else amount,
                }
            )
        return shown

    # --- cancel --- #

    @api.model
    def _fits_payment_cancel(self, record):
        return (
            record._name == "account.payment"
            and record.state in ("in_process", "paid")
            and not record.is_matched
        )

    @api.model
    def _plan_payment_cancel(self, record, date):
        return plan_of(
            self.env._(
                "“%(payment)s” over %(amount)s is cancelled: its entry counts no more, "
                "and what it paid is open again.",
                payment=record.display_name,
                amount=record.currency_id.format(record.amount),
            ),
            entry_lines(record.move_id.line_ids, swapped=True)
            + self._paid_lines(record),
        )

    def _do_payment_cancel(self, record):
        own, others = self._matched_lines(record)
        self._remember_match(own, others)
        record.action_draft()
        record.action_cancel()
        return self.env["account.move"]

    def _undo_payment_cancel(self, undone, record):
        if record.state != "canceled":
            raise UserError(
                self.env._("“%s” is not cancelled any more.", record.display_name)
            )
        record.action_draft()
        record.action_post()
        own, _others = self._matched_lines(record)
        self._match_again(undone, own)
        return self.env["account.move"]

    # --- open again --- #

    @api.model
    def _fits_reopen(self, record):
        if record._name != "account.payment" or record.state == "draft":
            return False
        return self._matched_lines(record)[1]

    @api.model
    def _plan_reopen(self, record, date):
        return plan_of(
            self.env._(
                "“%(payment)s” stays in the books, but pays nothing any more. It can "
                "be linked to another document.",
                payment=record.display_name,
            ),
            self._paid_lines(record),
        )

    def _do_reopen(self, record):
        self._remember_match(*self._matched_lines(record))
        return self.env["account.move"]

    def _undo_reopen(self, undone, record):
        own = self.env["finance.booking"]._receivable(record.move_id)
        self._match_again(undone, own.filtered(lambda line: not line.reconciled))
        return self.env["account.move"]

    # === HOLDS === #

    @api.model
    def _fits_hold_release(self, record):
        return record._name == "finance.hold" and record.state == "active"

    @api.model
    def _plan_hold_release(self, record, date):
        return plan_of(
            self.env._(
                "“%(hold)s” ends, and what waits for it goes on. It was placed "
                "because: %(reason)s",
                hold=record.title,
                reason=record.reason,
            )
        )

    def _do_hold_release(self, record):
        record._check_releasable()
        record._end("released", self.reason, user=self.env.user)
        return self.env["account.move"]

    def _undo_hold_release(self, undone, record):
        self.env["finance.hold"]._place(
            record._record(),
            record.kind,
            self.reason,
            connector=record.connector_id,
            topic=record.topic,
            origin="person",
            amount=record.amount,
            currency=record.currency_id,
            company=record.company_id,
        )
        return self.env["account.move"]
