from odoo import fields, models
from odoo.tools import SQL


class AccountMove(models.Model):
    """What tax services say of a document, and who waits for it."""

    _inherit = "account.move"

    finance_tax_state = fields.Selection(
        [("agreed", "Agrees"), ("differs", "Differs")],
        string="Tax Service",
        copy=False,
        readonly=True,
        help="Whether a tax service calculated the same taxes.",
    )
    finance_tax_reference = fields.Char(
        string="Tax Calculation", copy=False, readonly=True
    )
    finance_tax_determined_at = fields.Datetime(
        string="Taxes Calculated", copy=False, readonly=True
    )
    finance_tax_report = fields.Text(
        string="Tax Differences", copy=False, readonly=True
    )

    def _post(self, soft=True):
        posted = super()._post(soft)
        self.env["finance.command"]._provide_documents(posted)
        return posted

    def button_draft(self):
        compared = self.filtered("finance_tax_state")
        result = super().button_draft()
        # What is changed now was not compared.
        compared._finance_keep_taxes(None, None, None, None)
        return result

    def _finance_keep_taxes(self, state, reference, determined_at, report):
        """Keep what a tax service said of the documents.

        Beneath the ORM: a posted document must not be touched by a write.

        :param determined_at: naive UTC
        :param str report: the differences, a line each
        """
        if not self:
            return
        self.flush_recordset()
        self.env.execute_query(
            SQL(
                "UPDATE account_move SET finance_tax_state = %s,"
                " finance_tax_reference = %s, finance_tax_determined_at = %s,"
                " finance_tax_report = %s WHERE id = ANY(%s) RETURNING id",
                state,
                reference,
                determined_at,
                report,
                self.ids,
            )
        )
        self.invalidate_recordset(
            [
                "finance_tax_state",
                "finance_tax_reference",
                "finance_tax_determined_at",
                "finance_tax_report",
            ],
            flush=False,
        )
