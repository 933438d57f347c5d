from odoo import fields, models
from odoo.exceptions import UserError

from .. import constants


class FinanceLink(models.Model):
    """What a person said that an exception is about, why, and what came of it."""

    _name = "finance.link"
    _description = "Finance Link"
    _inherit = ["finance.pointing"]
    _order = "id desc"
    _rec_name = "record_name"

    exception_id = fields.Many2one(
        "finance.exception", required=True, readonly=True, index=True
    )
    company_id = fields.Many2one(related="exception_id.company_id", store=True)
    command_id = fields.Many2one("finance.command", readonly=True, index=True)
    res_model = fields.Char(string="Model", required=True, readonly=True)
    res_id = fields.Many2oneReference(
        string="Record", model_field="res_model", required=True, readonly=True
    )
    record_name = fields.Char(string="Linked To", required=True, readonly=True)
    effect = fields.Text(string="What Came of It", readonly=True)
    reason = fields.Text(required=True, readonly=True)
    user_id = fields.Many2one(
        "res.users", string="Linked By", required=True, readonly=True
    )


class FinanceCommand(models.Model):
    _inherit = "finance.command"

    def _linked(self, model_name):
        """Return what a person linked a command to, or what it is a correction of.

        :param str model_name: of the record looked for
        """
        self.ensure_one()
        chain = command = self
        while command := command.corrected_from_id:
            chain |= command
        link = (
            self.env["finance.link"]
            .sudo()
            .search(
                [("command_id", "in", chain.ids), ("res_model", "=", model_name)],
                limit=1,
            )
        )
        if not link:
            return self.env[model_name]
        return self.env[model_name].browse(link.res_id).exists()

    def _linked_subject(self, text):
        """Return the document that a person said a system means by ``text``."""
        self.ensure_one()
        references = self.env["finance.reference"]
        for model_name in ("account.move", "account.payment"):
            found = references._find(self.connector_id, model_name, text)
            if found:
                return found
        return self.env["account.move"]

    def _waits_for(self, kind):
        """Return what of a kind the command waits for, as its system names it.

        :param str kind: of the key of a CommandWaits: ``payment``, ``counterparty``…
        :return: the external id; empty if it waits for nothing of the kind
        """
        self.ensure_one()
        # One that is just tried again waits for the same until that succeeds.
        if self.state not in (*constants.RETRYABLE, "received"):
            return ""
        named, _colon, rest = (self.waits_for or "").partition(":")
        if named != kind:
            return ""
        return rest if kind == "document" else rest.partition(":")[2]


class FinanceTransaction(models.Model):
    _inherit = "finance.transaction"

    def _adopt(self, command, ref, payment):
        """Follow a payment that a person registered as the capture of a reference.

        :param command: the ``finance.command`` that speaks of it
        :return: the transaction
        :raise UserError: unless it stands where the provider pays out
        """
        connector = command.connector_id
        clearing = self.env["finance.booking"]._clearing(connector)
        if payment.payment_type != "inbound" or payment.state == "draft":
            raise UserError(self.env._("Choose a posted incoming payment."))
        if payment.outstanding_account_id != clearing:
            raise UserError(
                self.env._(
                    "%(payment)s is not on the account “%(account)s”, where the "
                    "provider pays out. Book it over, or choose another one.",
                    payment=payment.display_name,
                    account=clearing.display_name,
                )
            )
        invoice = payment.reconciled_invoice_ids[:1]
        transaction = self._for(command, ref, payment.amount, payment.currency_id)
        transaction._lock()
        transaction.write(
            {
                "payment_id": payment.id,
                "move_id": invoice.id,
                "captured_amount": payment.amount,
                "correlation_id": payment.finance_correlation_id
                or transaction.correlation_id,
            }
        )
        moment = fields.Datetime.to_datetime(payment.date)
        transaction._log(None, "execution", "captured", moment)
        transaction._log(None, "accounting", "posted", moment)
        return transaction
