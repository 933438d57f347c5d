from odoo import fields, models


class FinanceMessageDuplicate(models.Model):
    """Another arrival of a message that the hub has already.

    Rows of their own, and not a counter on the message: a thousand duplicates at
    once would fight for the one row that holds the counter.
    """

    _name = "finance.message.duplicate"
    _description = "Finance Message Duplicate"
    _order = "id desc"
    _rec_name = "received_at"
    _log_access = False

    # Not a Many2one: checking the foreign key locks the message's row, which loses a
    # race against the job that is just processing it.
    message_ref = fields.Integer(required=True, index=True, readonly=True)
    company_id = fields.Many2one("res.company", required=True, readonly=True)
    received_at = fields.Datetime(required=True, readonly=True)
    remote_addr = fields.Char(string="From", readonly=True)
