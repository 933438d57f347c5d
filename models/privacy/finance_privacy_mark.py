from odoo import fields, models


class FinancePrivacyMark(models.Model):
    """A row of the hub in which a person is described: a line of the blind index.

    The mark is a keyed digest of an e-mail address, a name, a phone number or an IBAN.
    It tells nothing of them, and finds the row again, encrypted or archived as it is.
    """

    _name = "finance.privacy.mark"
    _description = "Finance Privacy Mark"
    _log_access = False

    mark = fields.Char(required=True, readonly=True)
    source = fields.Selection(
        [
            ("event", "Event"),
            ("message", "Message"),
            ("command", "Command"),
            ("attempt", "Attempt"),
        ],
        required=True,
        readonly=True,
    )
    row_id = fields.Integer(required=True, readonly=True, aggregator=False)
    company_id = fields.Many2one("res.company", readonly=True, ondelete="cascade")
    archive_id = fields.Many2one("finance.archive", readonly=True, ondelete="restrict")

    # Finds by mark; the other one finds the marks of a row.
    _mark_unique = models.UniqueIndex("(mark, source, row_id)")
    _row_idx = models.Index("(source, row_id)")
