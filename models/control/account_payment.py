from odoo import models


class AccountPayment(models.Model):
    _name = "account.payment"
    _inherit = ["account.payment", "finance.holdable"]

    def action_post(self):
        self._finance_check_holds()
        return super().action_post()

    def _finance_check_holds(self):
        """Stop payments that are held, and those to counterparties that are.

        Money that a held counterparty pays has come in already: it is booked.

        :raise RecordHeld: naming each hold and what releases it
        """
        if not self:
            return
        going_out = self.filtered(lambda payment: payment.payment_type == "outbound")
        holds = self.env["finance.hold"]._stopping(
            "account.payment",
            self._ids,
            going_out.partner_id.commercial_partner_id._ids,
            going_out.company_id._ids,
        )
        stopping = holds.filtered(
            lambda hold: (
                hold.res_model == "account.payment"
                or (
                    # A credit hold is about what is sold, not about paying.
                    hold.kind != "credit"
                    and any(
                        payment.partner_id.commercial_partner_id.id == hold.res_id
                        and payment.company_id == hold.company_id
                        for payment in going_out
                    )
                )
            )
        )
        if stopping:
            stopping._raise()

    def _finance_holds_by_record(self):
        """Return {id: active holds}; a draft also shows those of its counterparty."""
        found = super()._finance_holds_by_record()
        for payment in self:
            partner = payment.partner_id.commercial_partner_id
            if payment.state != "draft" or payment.payment_type != "outbound":
                continue
            holds = (
                self.env["finance.hold"]
                ._active(partner, company=payment.company_id)
                .filtered(lambda hold: hold.kind != "credit")
            )
            found[payment.id] = found.get(payment.id, holds.browse()) | holds
        return found
