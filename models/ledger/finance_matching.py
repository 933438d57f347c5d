from odoo import api, models
from odoo.fields import Domain
from odoo.tools import escape_psql

from .. import constants
from . import matching
from .errors import CommandError

INVOICES = ("out_invoice", "out_receipt")


class FinanceMatching(models.AbstractModel):
    """Finds the documents and parties that a provider speaks of; it never guesses.

    What a reference names outranks everything. Where several fit, the one that is
    open with the very amount is it; where that leaves several, a person decides.
    """

    _name = "finance.matching"
    _description = "Finance Matching"

    # === INVOICES === #

    @api.model
    def _invoices(self, command, content, currency):
        """Return the posted customer invoices that a payment is for.

        :param content: a command with ``document_ref``, ``parent_ref``, ``amount`` and
            perhaps ``payer``
        :raise CommandError: B-UNMATCHED, B-AMBIGUOUS
        """
        amount = float(content.amount)
        paid_on = content.captured_at.date()
        reference = content.document_ref
        # What a person chose outranks what a reference says.
        found = command._linked("account.move")
        if reference and not found:
            found = self._by_reference(
                command.company_id, reference, amount, currency, paid_on
            )
        found = found or self._by_transaction(
            command, content, amount, currency, paid_on
        )
        found = found or self._by_party(command, content, amount, currency, paid_on)
        if not found:
            raise CommandError(
                "B-UNMATCHED",
                self.env._(
                    "No posted customer invoice has the number or payment reference "
                    "“%s”. Correct the reference and resubmit.",
                    reference or content.parent_ref,
                ),
            )
        partners = found.commercial_partner_id
        if len(partners) > 1:
            raise CommandError(
                "B-AMBIGUOUS",
                self.env._(
                    "“%(reference)s” names invoices of several customers: %(names)s. "
                    "Correct the reference and resubmit.",
                    reference=reference,
                    names=", ".join(partners.mapped("display_name")),
                ),
            )
        return found

    @api.model
    def _peek(self, command, content):
        """Return the invoice that a command names, if it is one without a doubt."""
        reference = content.document_ref
        found = self.env["account.move"]
        if reference:
            found = self._lookup(command.company_id, reference)
        return found if len(found) == 1 else found.browse()

    def _by_reference(self, company, reference, amount, currency, paid_on):
        whole = self._lookup(company, reference)
        if whole:
            return self._narrow(whole, reference, amount, currency, paid_on)
        parts = matching.listed(reference)
        if len(parts) > 1:
            found = self.env["account.move"]
            for part in parts:
                named = self._lookup(company, part)
                if not named:
                    raise CommandError(
                        "B-UNMATCHED",
                        self.env._(
                            "“%(part)s” of the references “%(reference)s” names no "
                            "posted customer invoice. Correct the references and "
                            "resubmit.",
                            part=part,
                            reference=reference,
                        ),
                    )
                found |= self._narrow(named, part, amount, currency, paid_on)
            return found
        found = self.env["account.move"]
        for word in matching.words(reference):
            named = self._lookup(company, word)
            if named:
                found |= self._narrow(named, word, amount, currency, paid_on)
        return found

    def _lookup(self, company, reference, types=INVOICES):
        """Return the posted documents of a reference.

        A number outranks a payment reference, that the customer's reference, and that
        the order behind the document.
        """
        moves = self.env["account.move"]
        posted = Domain(
            [
                ("company_id", "=", company.id),
                ("move_type", "in", types),
                ("state", "=", "posted"),
            ]
        )
        for name in ("name", "payment_reference", "ref", "invoice_origin"):
            found = moves.search(
                posted & Domain(name, "=", reference), limit=constants.MATCH_LIMIT
            )
            if found:
                return found
        if "sale.order" in self.env:
            orders = self.env["sale.order"].search(
                [
                    ("company_id", "=", company.id),
                    "|",
                    ("name", "=", reference),
                    ("client_order_ref", "=", reference),
                ],
                limit=constants.MATCH_LIMIT,
            )
            return orders.invoice_ids.filtered_domain(posted)
        return moves

    def _narrow(self, found, reference, amount, currency, paid_on):
        """Return the one of several documents that it must be.

        All of them are meant when they are open with exactly the amount together.

        :raise CommandError: B-AMBIGUOUS
        """
        if len(found) == 1:
            return found
        pending = found.filtered("amount_residual")
        if len(pending) == 1:
            return pending
        exact = self._exact(pending, amount, currency, paid_on)
        if len(exact) == 1:
            return exact
        same = all(move.currency_id == currency for move in pending)
        booking = self.env["finance.booking"]
        together = {
            sum(pending.mapped("amount_residual")),
            sum(booking._due(move, currency, paid_on) for move in pending),
        }
        if pending and same and self._is_any(amount, together, currency):
            return pending
        raise CommandError(
            "B-AMBIGUOUS",
            self.env._(
                "“%(reference)s” fits several invoices: %(numbers)s. Correct the "
                "reference to the number of the right one and resubmit.",
                reference=reference,
                numbers=", ".join(found.mapped("name")),
            ),
        )

    @api.model
    def _exact(self, moves, amount, currency, paid_on=None):
        """Return those that are open with exactly an amount.

        :param paid_on: the day of a payment, for which less may be due
        """
        booking = self.env["finance.booking"]
        return moves.filtered(
            lambda move: (
                move.currency_id == currency
                and self._is_any(
                    amount,
                    {move.amount_residual}
                    | ({booking._due(move, currency, paid_on)} if paid_on else set()),
                    currency,
                )
            )
        )

    @api.model
    def _is_any(self, amount, amounts, currency):
        return any(not currency.compare_amounts(other, amount) for other in amounts)

    def _by_transaction(self, command, content, amount, currency, paid_on):
        """Return the document known from an earlier command about the payment."""
        refs = [ref for ref in (content.provider_ref, content.parent_ref) if ref]
        connectors = command.connector_id._payment_family()
        transactions = self.env["finance.transaction"].search(
            [
                ("connector_id", "in", connectors.ids),
                ("kind", "=", "payment"),
                "|",
                ("provider_ref", "in", refs),
                ("parent_ref", "in", refs),
            ],
            limit=constants.MATCH_LIMIT,
        )
        moves = transactions.move_id
        if moves:
            return self._narrow(moves, content.parent_ref, amount, currency, paid_on)
        # What was authorised for a document that Odoo did not have at that time.
        for reference in dict.fromkeys(
            filter(None, transactions.mapped("document_ref"))
        ):
            found = self._by_reference(
                command.company_id, reference, amount, currency, paid_on
            )
            if found:
                return found
        return moves

    def _by_party(self, command, content, amount, currency, paid_on):
        """Return the one open invoice of the payer with exactly the amount."""
        partner = self._partner(command, getattr(content, "payer", None), content)
        moves = self.env["account.move"]
        if not partner:
            return moves
        found = self._exact(
            moves.search(
                [
                    ("company_id", "=", command.company_id.id),
                    ("move_type", "in", INVOICES),
                    ("state", "=", "posted"),
                    ("payment_state", "in", ("not_paid", "partial")),
                    ("commercial_partner_id", "=", partner.id),
                    ("currency_id", "=", currency.id),
                ]
            ),
            amount,
            currency,
            paid_on,
        )
        if len(found) > 1:
            raise CommandError(
                "B-AMBIGUOUS",
                self.env._(
                    "%(partner)s has several open invoices of this amount: "
                    "%(numbers)s. Enter the number of the right one and resubmit.",
                    partner=partner.display_name,
                    numbers=", ".join(found.mapped("name")),
                ),
            )
        return found

    @api.model
    def _suggest(self, command):
        """Return the one open invoice of exactly the amount, for a person to confirm.

        Nothing is booked on it: where a reference names nothing, an amount that fits
        just one document is worth a look, not more.

        :param command: a ``payment.captured`` that found no document
        :return: an ``account.move``, empty when none or several fit
        """
        data = command.data or {}
        currency = self.env["res.currency"].search(
            [("name", "=", data.get("currency"))], limit=1
        )
        try:
            amount = float(data.get("amount"))
        except (TypeError, ValueError):
            return self.env["account.move"]
        found = self.env["account.move"].search(
            [
                ("company_id", "=", command.company_id.id),
                ("move_type", "in", INVOICES),
                ("state", "=", "posted"),
                ("payment_state", "in", ("not_paid", "partial")),
                ("currency_id", "=", currency.id),
                ("amount_residual", ">=", amount - currency.rounding / 2),
                ("amount_residual", "<=", amount + currency.rounding / 2),
            ],
            limit=2,
        )
        return found if len(found) == 1 else found.browse()

    # === PARTIES === #

    @api.model
    def _partner(self, command, party, content=None):
        """Return the one customer that a party is, by the surest sign there is.

        :param party: contracts Party or None
        :return: a commercial ``res.partner``, empty when it is not sure
        """
        partners = self.env["res.partner"]
        company = command.company_id
        name = getattr(content, "payer_name", None)
        if party and party.external_id and "finance.reference" in self.env:
            found = self.env["finance.reference"]._find(
                command.connector_id, "res.partner", party.external_id
            )
            if found:
                return found.commercial_partner_id
        signs = []
        if party:
            if party.iban:
                banks = self.env["res.partner.bank"].search(
                    [
                        ("acc_number", "=", party.iban),
                        ("company_id", "in", (False, company.id)),
                    ]
                )
                if len(banks.partner_id.commercial_partner_id) == 1:
                    return banks.partner_id.commercial_partner_id
            signs = [("vat", party.vat), ("email", party.email), ("name", party.name)]
        for field, value in [*signs, ("name", name)]:
            if not value:
                continue
            found = partners.search(
                [
                    (field, "=ilike", escape_psql(value))
                    if field == "email"
                    else (field, "=", value),
                    ("company_id", "in", (False, company.id)),
                ],
                limit=constants.MATCH_LIMIT,
            ).commercial_partner_id
            if len(found) == 1:
                return found
        return partners

    # === CREDIT NOTES === #

    @api.model
    def _credit_note(self, refund, reference, amount, currency):
        """Return the posted credit note that a refund pays, if it is sure.

        The one that the provider names, else the only open one of the refunded invoice
        with the very amount, else the only such of the customer.

        :param refund: the ``finance.transaction`` of the refund
        """
        invoice = refund.parent_id.move_id
        company = refund.company_id
        notes = self.env["account.move"]
        if reference:
            named = self._lookup(company, reference, ("out_refund",))
            if len(named) == 1:
                return named
        posted = [
            ("company_id", "=", company.id),
            ("move_type", "=", "out_refund"),
            ("state", "=", "posted"),
            ("payment_state", "in", ("not_paid", "partial")),
        ]
        for domain in (
            [("reversed_entry_id", "=", invoice.id)] if invoice else None,
            [
                (
                    "commercial_partner_id",
                    "=",
                    refund.parent_id.payment_id.partner_id.commercial_partner_id.id,
                ),
                ("reversed_entry_id", "=", False),
            ],
        ):
            if domain is None:
                continue
            found = self._exact(notes.search([*posted, *domain]), amount, currency)
            taken = self.env["finance.transaction"].search(
                [("credit_note_id", "in", found.ids), ("id", "!=", refund.id)]
            )
            found -= taken.credit_note_id
            if len(found) == 1:
                return found
        return notes
