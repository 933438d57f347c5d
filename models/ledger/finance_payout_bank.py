from datetime import datetime, time

from odoo import api, models

from .. import constants
from . import matching


class FinancePayout(models.Model):
    """The meeting of a payout with its line on the bank statement.

    Either may come first. A bank line that quotes the payout is it; without that the
    amount, the date and the counterparty have to agree, and there must be only one.
    """

    _inherit = "finance.payout"

    # === FROM THE BANK === #

    @api.model
    def _match_statement_lines(self, lines):
        """Match new lines of bank statements with the payouts they bring.

        :param lines: ``account.bank.statement.line`` records, just created
        :return: the payouts that were matched
        """
        matched = self.browse()
        pending = self._awaited(lines)
        for line in lines if pending else ():
            candidates = pending.get(self._amount_key(line, line.amount), self.browse())
            candidates -= matched
            if not candidates or line.is_reconciled:
                continue
            payout = self._one_for(line, candidates)
            if payout and payout._one_line(line) == line:
                payout._take_bank_line(line)
                matched |= payout
        return matched

    @api.model
    def _awaited(self, lines):
        """Return {amount: payouts that wait for a bank line of it}, in one query."""
        found = {}
        for payout in self.search(
            [
                ("company_id", "in", lines.company_id.ids),
                ("statement_line_id", "=", False),
                ("failed_at", "=", False),
                ("state", "!=", "reconciled"),
            ]
        ):
            key = self._amount_key(payout, payout.net)
            found[key] = found.get(key, self.browse()) | payout
        return found

    @api.model
    def _amount_key(self, record, amount):
        currency = self._bank_currency(record)
        return record.company_id.id, currency.id, currency.round(amount)

    @api.model
    def _bank_currency(self, record):
        return record.currency_id or record.company_id.currency_id

    @api.model
    def _one_for(self, line, candidates):
        """Return the payout that a bank line brings, if it is sure."""
        text = self._text_of(line)
        named = candidates.filtered(lambda payout: payout._is_named(text))
        if named:
            return named if len(named) == 1 else self.browse()
        near = candidates.filtered(
            lambda payout: payout._is_near(line) and payout._is_from(line)
        )
        return near if len(near) == 1 else self.browse()

    @api.model
    def _text_of(self, line):
        """Return everything a bank line says, as one text."""
        parts = [line.payment_ref, line.ref, line.partner_name, line.transaction_type]
        details = line.transaction_details
        if details:
            parts.append(str(details))
        if line.narration:
            parts.append(str(line.narration))
        return " ".join(part for part in parts if part)

    def _is_named(self, text):
        return any(
            matching.names(text, ref) for ref in (self.bank_reference, self.payout_ref)
        )

    def _is_near(self, line):
        expected = self.value_date or self.released_at.date()
        return (
            expected - constants.PAYOUT_BANK_BEFORE
            <= line.date
            <= expected + constants.PAYOUT_BANK_AFTER
        )

    def _is_from(self, line):
        """Return whether a bank line is from the provider, as far as is known."""
        partner = self.connector_id._payment_family().payout_partner_id[:1]
        if not partner:
            return False
        if line.partner_id:
            return line.partner_id.commercial_partner_id == partner
        if line.account_number:
            numbers = partner.bank_ids.mapped("sanitized_acc_number")
            if line.account_number.replace(" ", "").upper() in numbers:
                return True
        return matching.names(self._text_of(line), partner.name)

    # === FROM THE PAYOUT === #

    def _match_bank(self):
        """Look for the bank line of the payout, unless it has one."""
        self.ensure_one()
        if self.statement_line_id or self.failed_at:
            self._close_at_bank()
            return
        if self.currency_id.is_zero(self.net):
            return
        line = self._one_line()
        if line:
            self._take_bank_line(line)

    def _one_line(self, among=None):
        """Return the only bank line that can be this payout.

        :param among: a line that has just been created, searched with the others
        """
        lines = self.env["account.bank.statement.line"]
        found = lines.search(
            [
                ("company_id", "=", self.company_id.id),
                ("is_reconciled", "=", False),
                ("amount", "=", self.net),
            ]
        ).filtered(lambda line: self._bank_currency(line) == self.currency_id)
        if among:
            found |= among
        named = found.filtered(lambda line: self._is_named(self._text_of(line)))
        if named:
            return named if len(named) == 1 else among if among in named else lines
        near = found.filtered(lambda line: self._is_near(line) and self._is_from(line))
        others = self.search(
            [
                ("company_id", "=", self.company_id.id),
                ("currency_id", "=", self.currency_id.id),
                ("net", "=", self.net),
                ("statement_line_id", "=", False),
                ("failed_at", "=", False),
                ("id", "!=", self.id),
            ]
        )
        near = near.filtered(
            lambda line: (
                not any(
                    other._is_named(self._text_of(line))
                    or (other._is_near(line) and other._is_from(line))
                    for other in others
                )
            )
        )
        return near if len(near) == 1 else lines

    # === BOOKING === #

    def _take_bank_line(self, line):
        """Put the clearing account in the place of a bank line's suspense account."""
        self.ensure_one()
        clearing = self.env["finance.booking"]._clearing(self.connector_id)
        _liquidity, suspense, _other = line._seek_for_lines()
        if len(suspense) != 1:
            return
        line.with_context(force_delete=True, skip_readonly_check=True).move_id.write(
            {
                "line_ids": [
                    (
                        1,
                        suspense.id,
                        {
                            "account_id": clearing.id,
                            "name": self.env._("Payout %s", self.payout_ref),
                        },
                    )
                ]
            }
        )
        self.statement_line_id = line
        self._close_at_bank()

    def _close_at_bank(self):
        """Match the paid amount with the bank line, once both are booked."""
        for payout in self:
            bank = payout.statement_line_id
            if not bank or not payout.net_line_id or payout.net_line_id.reconciled:
                continue
            account = payout.net_line_id.account_id
            lines = bank.move_id.line_ids.filtered(
                lambda line, account=account: line.account_id == account
            )
            payout.env["finance.booking"]._reconcile(payout.net_line_id, lines)

    # === THE END === #

    def _reconciled(self):
        """Follow what matched the paid amount, whoever matched it."""
        for payout in self:
            if payout.state == "reconciled" or not payout._is_done():
                continue
            payout.state = "reconciled"
            if not payout.statement_line_id:
                bank = payout.net_line_id._all_reconciled_lines().move_id
                payout.statement_line_id = bank.statement_line_id[:1]
            payout._exceptions()._resolve(self.env._("Arrived at the bank"))
            payout._log_paid_out()

    def _log_paid_out(self):
        """Log with every transaction that its money has arrived."""
        self.ensure_one()
        day = self.statement_line_id.date or self.value_date
        moment = datetime.combine(day, time.min) if day else self.released_at
        rows = []
        for transaction in self.line_ids.transaction_id:
            # A day has no time: it is not before what it confirms.
            known = transaction.transition_ids.mapped("occurred_at")
            at = max([moment, *known])
            for axis, status in (
                ("settlement", "paid_out"),
                ("reconciliation", "reconciled"),
            ):
                rows.append(
                    {
                        "transaction_id": transaction.id,
                        "axis": axis,
                        "status": status,
                        "occurred_at": at,
                    }
                )
        self.env["finance.transition"].create(rows)

    def _unreconciled(self):
        """Follow what undid the match with the bank."""
        for payout in self.filtered(lambda payout: payout.state == "reconciled"):
            if payout._is_done():
                continue
            payout._set_state()
