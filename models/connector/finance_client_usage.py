from psycopg2.errors import SerializationFailure

from odoo import api, fields, models

from .. import clock, constants


class FinanceClientUsage(models.Model):
    """How much a client calls, and when it did last.

    Apart from the client itself, as every call writes it, beneath the ORM: a person
    who revokes a key must not have to wait for a quiet moment.
    """

    _name = "finance.client.usage"
    _description = "Finance API Client Usage"
    _rec_name = "client_id"
    _log_access = False

    client_id = fields.Many2one(
        "finance.client", required=True, readonly=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="client_id.company_id", store=True)
    tokens = fields.Float(
        required=True, readonly=True, help="Calls that could be made at once."
    )
    tokens_at = fields.Datetime(required=True, readonly=True)
    last_used_at = fields.Datetime(string="Last Used", readonly=True)
    last_used_from = fields.Char(readonly=True)
    last_used_key = fields.Char(readonly=True)

    _client_unique = models.UniqueIndex("(client_id)")

    @api.model
    def _count(self, client, key_prefix, remote_addr):
        """Take one call off a client's allowance, if there is one left.

        A token bucket in one row and one statement: it holds as many calls as a
        minute allows and is refilled evenly, so the limit holds over all server
        processes. A call that is refused writes nothing.

        The count is committed at once, in a transaction of its own: in the request's
        own, calls of one client at the same time would fail on one another until the
        last of them is committed (the isolation is REPEATABLE READ). It need not
        survive a crash, so nobody waits for the disk.

        :return: (allowed, calls left, seconds until there is one or, if there are
            some, until all are back)
        """
        self.flush_model()
        for _attempt in range(constants.COUNT_MAX_TRIES):
            try:
                with self.env.registry.cursor() as cr:
                    row = self._count_once(cr, client, key_prefix, remote_addr)
                break
            except SerializationFailure:
                continue
        else:
            # So many at one moment are too many.
            row = (False, 0.0)
        self.invalidate_model(flush=False)
        allowed, tokens = row
        per_second = client.rate_limit / 60
        missing = (client.rate_limit if allowed else 1) - tokens
        return allowed, int(tokens), max(0.0, missing / per_second)

    @staticmethod
    def _count_once(cr, client, key_prefix, remote_addr):
        values = {
            "client": client.id,
            "limit": client.rate_limit,
            "now": clock.naive_now(),
            "key": key_prefix,
            "address": remote_addr,
        }
        cr.execute("SET LOCAL synchronous_commit = off")
        cr.execute(
            """
            WITH bucket AS (
                SELECT id, least(%(limit)s, tokens + %(limit)s / 60.0 * greatest(
                           0, extract(epoch FROM %(now)s - tokens_at))) AS tokens
                  FROM finance_client_usage
                 WHERE client_id = %(client)s
            ), taken AS (
                UPDATE finance_client_usage usage
                   SET tokens = bucket.tokens - 1,
                       tokens_at = greatest(%(now)s, tokens_at),
                       last_used_at = %(now)s,
                       last_used_from = %(address)s,
                       last_used_key = %(key)s
                  FROM bucket
                 WHERE usage.id = bucket.id AND bucket.tokens >= 1
             RETURNING usage.tokens
            )
            SELECT EXISTS (SELECT 1 FROM taken),
                   coalesce((SELECT tokens FROM taken), bucket.tokens)
              FROM bucket
            """,
            values,
            log_exceptions=False,
        )
        return cr.fetchone()
