from odoo import fields, models
from odoo.exceptions import UserError

from .. import constants
from ..access import require_group
from ..ledger.finance_matching import INVOICES

# Kinds of records that an exception can be linked to.
LINKED_MODELS = (
    "account.move",
    "account.payment",
    "account.bank.statement.line",
    "res.partner",
)


class FinanceException(models.Model):
    """Exceptions that a person links to what they are about."""

    _inherit = "finance.exception"

    link_ids = fields.One2many("finance.link", "exception_id", readonly=True)

    def action_link(self):
        """Open the form in which a person says what this is about."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        self._expect_open()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Link: what is it about?"),
            "res_model": "finance.link.wizard",
            "view_mode": "form",
            "target": "new",
            "context": {"default_exception_id": self.id},
        }

    def _link(self, record, reason):
        """Keep what an exception is about, and do what follows from it.

        :param record: one record of :data:`LINKED_MODELS`, of the exception's company
        :param str reason: why it is this one
        :return: the ``finance.link``
        """
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        self._expect_open()
        record.ensure_one()
        record.check_access("read")
        record = record.sudo()
        company = record.company_id
        if record._name not in LINKED_MODELS or company not in (
            company.browse(),
            self.company_id,
        ):
            raise UserError(self.env._("Choose a record of the same company."))
        exception = self.sudo().with_company(self.company_id)
        way = exception._link_way(record)
        link = (
            self.env["finance.link"]
            .sudo()
            .create(
                {
                    "exception_id": self.id,
                    "command_id": exception.command_id.id,
                    "res_model": record._name,
                    "res_id": record.id,
                    "record_name": record.display_name,
                    "reason": reason,
                    "effect": exception._link_sentence(way, record),
                    "user_id": self.env.uid,
                }
            )
        )
        self._log_action(self.env._("Linked to %s", record.display_name), reason)
        if way:
            exception.write({"state": "in_progress"})
            getattr(exception, f"_link_{way}")(record, link)
        return link

    # === WHAT FOLLOWS === #

    def _link_way(self, record):
        """Return what linking to a record does, None if it is only remembered."""
        self.ensure_one()
        command = self.command_id
        if record._name == "res.partner":
            return "counterparty" if command and self._waited("counterparty") else None
        if record._name == "account.bank.statement.line":
            return "bank" if self._bank_side() else None
        is_capture = command.type == "payment.captured" and self.can_correct
        if record._name == "account.payment":
            if command and self._waited("payment"):
                return "capture"
            if is_capture:
                return "command"
        elif is_capture and record.move_type in INVOICES:
            return "command"
        if command and self._waited("document"):
            return "document"
        if record._name == "account.move" and self._open_payment_lines(record):
            return "match"
        return None

    def _waited(self, kind):
        return self.command_id._waits_for(kind)

    def _link_sentence(self, way, record):
        """Return what linking to a record does, in a sentence for the person."""
        _ = self.env._
        name = record.display_name
        if way == "counterparty":
            return _(
                "“%(id)s” of %(system)s is %(name)s from now on. Everything that waits "
                "for it is tried again.",
                id=self._waited("counterparty"),
                system=self.connector_id.name,
                name=name,
            )
        if way == "capture":
            return _(
                "“%(id)s” of %(system)s is the payment %(name)s from now on. "
                "Everything that waits for it is tried again.",
                id=self._waited("payment"),
                system=self.connector_id.name,
                name=name,
            )
        if way == "document":
            return _(
                "“%(id)s” of %(system)s is %(name)s from now on. What waits for it is "
                "tried again.",
                id=self._waited("document"),
                system=self.connector_id.name,
                name=name,
            )
        if way == "command":
            return _(
                "The payment is booked for %s, whatever reference it carries.", name
            )
        if way == "match":
            return _("The open payment is matched with %s.", name)
        if way == "bank":
            return _("The bank line %s is booked as its arrival at the bank.", name)
        return _("%s is kept with the exception; nothing else happens.", name)

    def _link_counterparty(self, record, link):
        self.env["finance.reference"]._link(
            self.connector_id, record, self._waited("counterparty")
        )

    def _link_document(self, record, link):
        text = self._waited("document")
        self.env["finance.reference"]._link(self.connector_id, record, text)
        self.env["finance.command"]._provide(f"document:{text}", self.company_id)

    def _link_command(self, record, link):
        command = self.command_id
        if record._name == "account.move":
            if record.state != "posted":
                raise UserError(self.env._("Choose a posted customer invoice."))
        else:
            self._expect_amount(record, command)
        command._resubmit()

    def _expect_amount(self, payment, command):
        """Refuse a payment over something else than the command says."""
        currency = payment.currency_id
        if command.data.get("currency") != currency.name or currency.compare_amounts(
            float(command.data.get("amount") or 0), payment.amount
        ):
            raise UserError(
                self.env._(
                    "%(payment)s is over %(amount)s; the provider says %(other)s "
                    "%(currency)s. Choose another payment.",
                    payment=payment.display_name,
                    amount=currency.format(payment.amount),
                    other=command.data.get("amount"),
                    currency=command.data.get("currency"),
                )
            )

    def _link_capture(self, record, link):
        """Give a payment the reference that something waits for."""
        command, ref = self.command_id, self._waited("payment")
        transactions = self.env["finance.transaction"]
        known = transactions.search(
            [
                ("payment_id", "=", record.id),
                ("kind", "=", "payment"),
                ("connector_id", "in", self.connector_id._payment_family().ids),
            ],
            limit=1,
        )
        if known:
            self.env["finance.reference"]._link(self.connector_id, known, ref)
            key = transactions._wait_key(self.connector_id, ref)
            self.env["finance.command"]._provide(key, self.company_id)
        else:
            transactions._adopt(command, ref, record)._tell_waiting()

    def _link_match(self, record, link):
        """Match the open payment with an invoice."""
        booking = self.env["finance.booking"]
        lines = self._open_payment_lines(record)
        booking._reconcile(lines, booking._receivable(record))
        record.message_post(
            body=self.env._(
                "Matched with %(payment)s: %(reason)s",
                payment=lines.move_id[:1].display_name,
                reason=link.reason,
            )
        )
        if all(lines.mapped("reconciled")):
            self._resolve(link.effect)

    def _open_payment_lines(self, invoice):
        """Return the open lines of the payments this is about, on its account."""
        payments = self._payments()
        booking = self.env["finance.booking"]
        wanted = booking._receivable(invoice).filtered(lambda line: not line.reconciled)
        partner = invoice.commercial_partner_id
        return booking._receivable(payments.move_id).filtered(
            lambda line: (
                not line.reconciled
                and line.parent_state == "posted"
                and line.account_id in wanted.account_id
                and line.partner_id.commercial_partner_id == partner
            )
        )

    def _payments(self):
        """Return the payments that the exception is about."""
        record = self._record()
        if record._name == "account.payment":
            return record
        if record._name == "finance.transaction":
            return record.payment_id
        if record._name == "account.move":
            transactions = self.env["finance.transaction"].search(
                [("move_id", "=", record.id), ("kind", "=", "payment")]
            )
            return transactions.payment_id
        return self.env["account.payment"]

    # === BANK LINES === #

    def _bank_side(self):
        """Return what a bank line can bring: a payout or a payment."""
        record = self._record()
        if record._name == "finance.payout":
            return record.filtered(lambda p: not p.statement_line_id)
        return self._payments().filtered(
            lambda p: (
                p.state in ("in_process", "paid")
                and not p.is_matched
                and p.outstanding_account_id.reconcile
            )
        )[:1]

    def _link_bank(self, record, link):
        side = self._bank_side()
        currency = record.foreign_currency_id or record.currency_id
        if side._name == "finance.payout":
            amount = side.net
        else:
            amount = side.amount if side.payment_type == "inbound" else -side.amount
        if currency != side.currency_id or currency.compare_amounts(
            record.amount_currency if record.foreign_currency_id else record.amount,
            amount,
        ):
            raise UserError(
                self.env._(
                    "The bank line is over %(line)s, but %(expected)s are expected. "
                    "Choose another one.",
                    line=currency.format(record.amount),
                    expected=side.currency_id.format(amount),
                )
            )
        if record.is_reconciled:
            raise UserError(self.env._("This bank line is matched already."))
        if side._name == "finance.payout":
            side._take_bank_line(record)
        else:
            self._put_in_place(record, side)
        self._resolve(link.effect)

    def _put_in_place(self, bank_line, payment):
        """Put a payment's outstanding account in the place of the suspense account."""
        account = payment.outstanding_account_id
        _liquidity, suspense, _other = bank_line._seek_for_lines()
        bank_line.with_context(
            force_delete=True, skip_readonly_check=True
        ).move_id.write(
            {
                "line_ids": [
                    (
                        1,
                        suspense.id,
                        {"account_id": account.id, "partner_id": payment.partner_id.id},
                    )
                ]
            }
        )
        lines = (payment.move_id | bank_line.move_id).line_ids.filtered(
            lambda line: line.account_id == account
        )
        self.env["finance.booking"]._reconcile(lines)
