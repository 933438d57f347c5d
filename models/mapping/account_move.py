from odoo import fields, models
from odoo.exceptions import UserError

from .changes import changing

# What an invoice says to the outside; how it is paid and sent stays open.
INVOICE_CONTENT = {
    "partner_id",
    "invoice_date",
    "date",
    "invoice_date_due",
    "invoice_payment_term_id",
    "currency_id",
    "journal_id",
    "ref",
}
# Lines are lists of commands: a person who touches them changes something.
INVOICE_LINES = {"invoice_line_ids", "line_ids"}
BANK_CONTENT = {"date", "journal_id"}
# New business, as opposed to taking some back.
NEW_BUSINESS = {"out_invoice", "out_receipt", "in_invoice", "in_receipt"}


class AccountMove(models.Model):
    """Documents that another system owns are read-only; blocked parties get none."""

    _name = "account.move"
    _inherit = ["account.move", "finance.referenced"]

    finance_partner_blocked = fields.Boolean(
        related="commercial_partner_id.finance_blocked"
    )

    # === CRUD === #

    def write(self, vals):
        if not self.env.su and not vals.keys().isdisjoint(
            INVOICE_CONTENT | INVOICE_LINES
        ):
            mirrored = self.env["finance.ownership"]._mirrored
            if mirrored("bank_transactions"):
                changing(
                    self.filtered("statement_line_id"), vals, BANK_CONTENT
                ).statement_line_id._finance_refuse_mirrored()
            if mirrored("invoices"):
                invoices = self.filtered(
                    lambda move: move.is_invoice(True) and move.state == "draft"
                )
                touched = changing(invoices, vals, INVOICE_CONTENT)
                if not INVOICE_LINES.isdisjoint(vals):
                    touched = invoices
                touched._finance_refuse(touched._finance_owned_by("invoices"))
        return super().write(vals)

    def unlink(self):
        self._finance_refuse_undoing()
        return super().unlink()

    # === BUSINESS METHODS === #

    def button_draft(self):
        self._finance_refuse_undoing(bank=False)
        return super().button_draft()

    def button_cancel(self):
        self._finance_refuse_undoing()
        return super().button_cancel()

    def _post(self, soft=True):
        if not self.env.su:
            self._finance_check_may_post()
        return super()._post(soft)

    def _finance_mirror_owner(self):
        self.ensure_one()
        if self.statement_line_id:
            return self.env["finance.ownership"]._owner_of(
                self.company_id, "bank_transactions", self.journal_id
            )
        if self.is_invoice(True):
            return self._finance_owned_by("invoices")
        return super()._finance_mirror_owner()

    def _finance_refuse_undoing(self, bank=True):
        """Refuse a person to take back a document that another system owns.

        :param bool bank: also the entries of a bank's transactions
        :raise UserError: naming the system
        """
        if self.env.su:
            return
        mirrored = self.env["finance.ownership"]._mirrored
        if bank and mirrored("bank_transactions"):
            self.statement_line_id._finance_refuse_mirrored()
        if mirrored("invoices"):
            invoices = self.filtered(lambda move: move.is_invoice(True))
            invoices._finance_refuse(invoices._finance_owned_by("invoices"))

    def _finance_check_blocked(self):
        """Refuse new business with a counterparty that its owner blocked.

        :raise UserError: naming the counterparty
        """
        for move in self:
            if move.move_type in NEW_BUSINESS and move.finance_partner_blocked:
                raise UserError(
                    self.env._(
                        "“%(partner)s” is blocked for new business, so %(document)s "
                        "can't be posted. Have the counterparty released first.",
                        partner=move.commercial_partner_id.display_name,
                        document=move.display_name,
                    )
                )

    def _finance_check_may_post(self):
        """Refuse a person to post what only another system posts here.

        A document that the owning system knows may be posted by hand: a person
        completes what it sent. So may what follows from documents (payments, bank
        transactions, exchange differences).

        :raise UserError: naming the system
        """
        ownership = self.env["finance.ownership"]
        for move in self:
            for domain in move._finance_domains():
                owner = ownership._owner_of(move.company_id, domain, move.journal_id)
                if owner and not self.env["finance.reference"].sudo().search_count(
                    [
                        ("res_model", "=", "account.move"),
                        ("res_id", "=", move.id),
                        ("connector_id", "=", owner.id),
                    ],
                    limit=1,
                ):
                    raise UserError(
                        self.env._(
                            "In %(company)s only “%(system)s” posts here (%(data)s). "
                            "Have %(document)s posted there; the entry then comes "
                            "here by itself.",
                            company=move.company_id.name,
                            system=owner.name,
                            data=dict(
                                ownership._fields["domain"]._description_selection(
                                    self.env
                                )
                            )[domain],
                            document=move.display_name,
                        )
                    )

    def _finance_domains(self):
        """Return the data domains that a person's posting of this belongs to."""
        self.ensure_one()
        if self.is_invoice(True):
            return ("invoices",)
        company = self.company_id.sudo()
        automatic = (
            self.origin_payment_id
            or self.statement_line_id
            or self.tax_cash_basis_origin_move_id
            or self.journal_id
            in (
                company.currency_exchange_journal_id,
                company.tax_cash_basis_journal_id,
            )
        )
        return () if automatic else ("statutory_postings", "journals")
