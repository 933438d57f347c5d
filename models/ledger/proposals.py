from odoo import api, models

from .. import clock


class FinanceBooking(models.AbstractModel):
    """What is proposed to a person, and never done without one."""

    _inherit = "finance.booking"

    # === CREDIT NOTES === #

    @api.model
    def _propose_credit_note(self, refund):
        """Draft the credit note that a refund lacks, and ask a person to post it.

        A refund in part takes the same share of every line, so that each tax rate
        keeps its share.
        """
        payment = refund.parent_id.payment_id
        invoice = refund.parent_id.move_id
        if not invoice or invoice.state != "posted":
            self._ask(
                payment,
                refund,
                self.env._("Credit note for refund %s?", refund.provider_ref),
                self.env._(
                    "%s was paid back, but no invoice is known for it. Decide what the "
                    "refund stands for.",
                    refund.currency_id.format(refund.amount),
                ),
            )
            return
        date = refund.payment_id.date
        note = invoice._reverse_moves(
            [
                {
                    "date": date,
                    "invoice_date": date,
                    "ref": self.env._("Refund %s", refund.provider_ref),
                    "finance_transaction_id": refund.id,
                    "finance_correlation_id": refund.correlation_id,
                }
            ]
        )
        if refund.currency_id == invoice.currency_id:
            self._scale(note, refund.amount)
        refund.credit_note_id = note
        text = self.env._(
            "%(amount)s of %(invoice)s was paid back by %(connector)s. Check this "
            "credit note and post it; the refund is then matched by itself.",
            amount=refund.currency_id.format(refund.amount),
            invoice=invoice.name,
            connector=refund.connector_id.name,
        )
        if note.currency_id != refund.currency_id or note.currency_id.compare_amounts(
            note.amount_total, refund.amount
        ):
            text += " " + self.env._(
                "It comes to %s: correct it to what was agreed.",
                note.currency_id.format(note.amount_total),
            )
        self._ask(
            note,
            refund,
            self.env._("Post the credit note of refund %s", refund.provider_ref),
            text,
        )

    @api.model
    def _scale(self, note, amount):
        """Bring a draft credit note to an amount, each line by the same share."""
        currency = note.currency_id
        total = note.amount_total
        if currency.compare_amounts(amount, total) >= 0:
            return
        share = amount / total
        products = note.invoice_line_ids.filtered(
            lambda line: line.display_type == "product"
        )
        for line in products:
            line.price_unit = line.price_unit * share
        # Rounding leaves cents, which the largest line takes.
        largest = products.sorted(lambda line: -abs(line.price_total))[:1]
        off = currency.round(amount - note.amount_total)
        if largest and largest.quantity and not currency.is_zero(off):
            gross = largest.price_total or 1.0
            largest.price_unit += (
                off * (largest.price_subtotal / gross) / largest.quantity
            )

    # === PEOPLE === #

    @api.model
    def _ask(self, record, transaction, summary, note, deadline=None, kind="todo"):
        """Give a person something to do about a record.

        :param deadline: date; today by default
        :param str kind: ``todo`` or ``email``
        """
        connector = transaction.connector_id
        return record.activity_schedule(
            f"mail.mail_activity_data_{kind}",
            date_deadline=deadline or clock.now().date(),
            summary=summary,
            note=note,
            user_id=(connector.user_id or self.env.user).id,
        )

    @api.model
    def _tell_customer(self, transaction, invoice, reason):
        """Have the customer told that a payment failed or came back.

        A person is asked to write, unless the connector says that its template is
        sent by itself.
        """
        connector = transaction.connector_id
        template = connector.failure_template_id
        if connector.failure_notice == "send" and template:
            invoice.message_post_with_source(
                template,
                subtype_xmlid="mail.mt_comment",
                partner_ids=invoice.partner_id.ids,
            )
            return
        self._ask(
            invoice,
            transaction,
            self.env._("Tell the customer that the payment did not arrive"),
            self.env._(
                "The payment %(reference)s of %(invoice)s failed: %(reason)s. "
                "%(amount)s are open again. Send the customer a message with the ways "
                "to pay.",
                reference=transaction.provider_ref,
                invoice=invoice.name,
                reason=reason,
                amount=invoice.currency_id.format(invoice.amount_residual),
            ),
            kind="email",
        )
