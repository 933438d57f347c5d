from odoo import api, fields, models

from .. import constants

# The latest arrivals of a message stay rows; those before become one, with a count.
FOLD = """
    WITH ranked AS (
        SELECT id, message_ref,
               row_number() OVER (
                   PARTITION BY message_ref ORDER BY received_at DESC, id DESC) AS rank
          FROM finance_message_duplicate
         WHERE message_ref IN (
               -- Only what came lately can have become too many.
               SELECT message_ref FROM finance_message_duplicate
                WHERE id > (SELECT max(id) FROM finance_message_duplicate) - %(batch)s
                GROUP BY message_ref HAVING count(*) > %(most)s LIMIT 100)
    ), gone AS (
        DELETE FROM finance_message_duplicate
         WHERE id IN (SELECT id FROM ranked WHERE rank >= %(kept)s LIMIT %(batch)s)
        RETURNING message_ref, company_id, received_at, remote_addr, number
    )
    INSERT INTO finance_message_duplicate (
        message_ref, company_id, received_at, remote_addr, number)
    SELECT message_ref, min(company_id), max(received_at),
           CASE WHEN count(DISTINCT remote_addr) = 1 THEN min(remote_addr) END,
           sum(number)
      FROM gone
     GROUP BY message_ref
"""


class FinanceMessageDuplicate(models.Model):
    """Another arrival of a message that the hub has already.

    Rows of their own, and not a counter on the message: a thousand duplicates at
    once would fight for the one row that holds the counter. A sweep folds the rows of
    a flood into one.
    """

    _name = "finance.message.duplicate"
    _description = "Finance Message Duplicate"
    _order = "received_at desc, id desc"
    _rec_name = "received_at"
    _log_access = False

    # Not a Many2one: checking the foreign key locks the message's row, which loses a
    # race against the job that is just processing it.
    message_ref = fields.Integer(required=True, index=True, readonly=True)
    company_id = fields.Many2one("res.company", required=True, readonly=True)
    received_at = fields.Datetime(required=True, readonly=True)
    remote_addr = fields.Char(
        string="From", readonly=True, help="Empty where they came from several places."
    )
    number = fields.Integer(
        string="Arrivals",
        required=True,
        default=1,
        readonly=True,
        help="More than one where earlier arrivals were folded together.",
    )

    @api.model
    def _fold(self):
        """Fold the rows of messages that came very often."""
        self.env.cr.execute(
            FOLD,
            {
                # Not for each one above it, so that it is not done again and again.
                "most": 2 * constants.DUPLICATES_KEPT,
                "kept": constants.DUPLICATES_KEPT,
                "batch": constants.DUPLICATES_FOLD_BATCH,
            },
        )
        self.invalidate_model(flush=False)
