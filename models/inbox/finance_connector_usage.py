from psycopg2.errors import SerializationFailure

from odoo import api, fields, models

from .. import clock, constants

TAKE = """
    INSERT INTO finance_connector_usage (connector_id, company_id, tokens, tokens_at)
    VALUES (%(connector)s, %(company)s, %(limit)s - 1, %(now)s)
    ON CONFLICT (connector_id) DO UPDATE
       SET tokens = least(
               %(limit)s, finance_connector_usage.tokens + %(limit)s / 60.0 * greatest(
                   0, extract(epoch FROM %(now)s - finance_connector_usage.tokens_at))
           ) - 1,
           tokens_at = greatest(%(now)s, finance_connector_usage.tokens_at)
     WHERE least(
               %(limit)s, finance_connector_usage.tokens + %(limit)s / 60.0 * greatest(
                   0, extract(epoch FROM %(now)s - finance_connector_usage.tokens_at))
           ) >= 1
    RETURNING tokens
"""


class FinanceConnectorUsage(models.Model):
    """How many calls a connector with a limit has left: a token bucket in one row."""

    _name = "finance.connector.usage"
    _description = "Finance Connector Usage"
    _rec_name = "connector_id"
    _log_access = False

    connector_id = fields.Many2one(
        "finance.connector", required=True, readonly=True, ondelete="cascade"
    )
    company_id = fields.Many2one("res.company", required=True, readonly=True)
    tokens = fields.Float(
        string="Calls Left",
        required=True,
        readonly=True,
        help="Calls that could be made at once.",
    )
    tokens_at = fields.Datetime(string="At", required=True, readonly=True)

    _connector_unique = models.UniqueIndex("(connector_id)")

    @api.model
    def _take(self, gate):
        """Take one call off a connector's allowance, if there is one left.

        Over all server processes together. Committed at once, in a transaction of its
        own: in that of the call, calls at the same time would fail on one another.

        :param gate: the connector's ``Gate``, with a limit
        :return: 0 when the call is allowed, else the seconds until one is
        """
        values = {
            "connector": gate.id,
            "company": gate.company_id,
            "limit": gate.rate,
            "now": clock.naive_now(),
        }
        for _attempt in range(constants.COUNT_MAX_TRIES):
            try:
                with self.env.registry.cursor() as cr:
                    # It need not survive a crash, so nobody waits for the disk.
                    cr.execute("SET LOCAL synchronous_commit = off")
                    cr.execute(TAKE, values, log_exceptions=False)
                    allowed = cr.fetchone() is not None
                break
            except SerializationFailure:
                continue
        else:
            # So many at one moment are too many.
            allowed = False
        self.invalidate_model(flush=False)
        return 0 if allowed else 60 / gate.rate
