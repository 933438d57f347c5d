from collections import Counter
from typing import NamedTuple

from psycopg2.errors import SerializationFailure

from odoo import fields, models

from ...contracts import match
from .. import clock, constants
from . import body, recording


class Page(NamedTuple):
    """Events of a feed.

    :ivar bodies: one structured-mode CloudEvent each, UTF-8 JSON
    :ivar position: where the next page begins: after this position
    :ivar more: whether it is worth asking for the next page at once
    """

    bodies: list[bytes]
    position: int
    more: bool


class FinanceFeed(models.Model):
    """The order in which an endpoint of the transport *feed* offers its events.

    Rows get their ids when a transaction writes them and become visible when it
    commits, so a reader that goes by id skips what was written earlier and committed
    later. Here each delivery gets a position when it is first *seen*, by a
    transaction that holds this row: what commits later gets a later position, and
    nothing is ever put in before a position that somebody has read.

    What makes it safe, at the isolation REPEATABLE READ:

    - Positions are given by whoever holds the feed's row, and each that gives some
      changes the row. A transaction whose snapshot is older than the last change can
      neither lock nor change it: PostgreSQL refuses with a serialization failure.
      (With a lock alone, without a row that changes, it would give positions to what
      it sees and then read past those that it does not see yet.)
    - So each transaction that gives positions sees all those before, and what any
      snapshot sees is the feed from its beginning up to some position, without gaps.
    - Whoever cannot have the row reads what there is; that is right, though it may
      not be the newest. Readers never wait for one another and never fail.

    Within one document the order is that of the delivery's ids: its rows are written
    under the lock of the document's row, one transaction after the other.
    """

    _name = "finance.feed"
    _description = "Finance Feed"
    _rec_name = "endpoint_id"
    _log_access = False

    endpoint_id = fields.Many2one(
        "finance.endpoint", required=True, readonly=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="endpoint_id.company_id", store=True)
    head = fields.Integer(
        required=True,
        default=0,
        readonly=True,
        aggregator=False,
        help="The last position that was given.",
    )
    acknowledged = fields.Integer(
        required=True,
        default=0,
        readonly=True,
        aggregator=False,
        help="The reader has all up to this position.",
    )
    acknowledged_at = fields.Datetime(readonly=True)

    _endpoint_unique = models.UniqueIndex("(endpoint_id)")

    # === READING === #

    def _read(self, after, limit, patterns=()):
        """Return the events that follow a position.

        To ask for what follows a position acknowledges all up to it: those
        deliveries have arrived. A reader that asks for some types only has not seen
        the others, so it acknowledges nothing.

        :param int after: a position of this feed, 0 for its beginning; may be older
            than what is acknowledged
        :param int limit: events at most
        :param patterns: patterns of event types, see :func:`contracts.match`; all
            types without any
        :return: :class:`Page`
        """
        self.ensure_one()
        behind = self._advance(0 if patterns else after)
        scan = constants.FEED_SCAN_ROWS if patterns else limit
        self.env.cr.execute(
            """
            SELECT d.id, d.feed_position, d.state, e.type, d.version
              FROM finance_delivery d
              JOIN finance_event e ON e.id = d.event_id
             WHERE d.endpoint_id = %s
               AND d.feed_position > %s
             ORDER BY d.feed_position
             LIMIT %s
            """,
            [self.endpoint_id.id, after, scan + 1],
        )
        rows = self.env.cr.fetchall()
        more = behind or len(rows) > scan
        wanted, position = [], after
        for delivery_id, at, state, recorded, version in rows[:scan]:
            if len(wanted) == limit:
                more = True
                break
            position = at
            # Cancelled: a person decided that it shall not go out.
            if state in ("waiting", "delivered") and (
                not patterns
                or any(match(p, _sent_as(recorded, version)) for p in patterns)
            ):
                wanted.append((delivery_id, at))
        bodies = (
            self._bodies([delivery_id for delivery_id, _at in wanted]) if wanted else []
        )
        fit = _fitting(bodies)
        if fit < len(bodies):
            return Page(bodies[:fit], wanted[fit - 1][1], True)
        return Page(bodies, position, more)

    def _bodies(self, delivery_ids):
        """Return the structured-mode CloudEvents of deliveries, in their order."""
        self.env.cr.execute(
            f"""
            SELECT d.version, s.mask_personal, s.mask_confidential, {body.EVENT_SQL}
              FROM unnest(%s) WITH ORDINALITY AS wanted(id, number)
              JOIN finance_delivery d ON d.id = wanted.id
              JOIN finance_event e ON e.id = d.event_id
              LEFT JOIN finance_subscription s ON s.id = d.subscription_id
             ORDER BY wanted.number
            """,  # noqa: S608
            [delivery_ids],
        )
        return [
            body.structured(
                row,
                body.Form(
                    mask_personal=bool(row["mask_personal"]),
                    mask_confidential=bool(row["mask_confidential"]),
                ),
                row["version"],
            )
            for row in self.env.cr.dictfetchall()
        ]

    # === ORDER AND ACKNOWLEDGEMENT === #

    def _advance(self, acknowledged):
        """Give new deliveries their positions, and take an acknowledgement.

        :param int acknowledged: the reader has all up to this position
        :return: whether there may be new ones that have no position yet
        """
        self.env["finance.delivery"].flush_model()
        self.flush_model()
        try:
            with self.env.cr.savepoint(flush=False):
                behind = self._advance_alone(acknowledged)
        except SerializationFailure:
            # Another reader did it after this transaction began.
            return True
        finally:
            self.invalidate_recordset(flush=False)
        return behind

    def _advance_alone(self, acknowledged):
        """Do the same, or fail.

        :raise SerializationFailure: when this transaction began too early for it
        """
        head = self._lock()
        if head is None:
            # Another reader is at it just now.
            return True
        given = self._give_positions(head)
        self._acknowledge(min(acknowledged, head))
        return given == constants.FEED_ADVANCE_ROWS

    def _lock(self):
        """Return the head of the feed for changing it, None if another does."""
        self.env.cr.execute(
            "SELECT head FROM finance_feed WHERE id = %s FOR UPDATE SKIP LOCKED",
            [self.id],
            log_exceptions=False,
        )
        row = self.env.cr.fetchone()
        return row and row[0]

    def _give_positions(self, head):
        """Give the next positions, in the order in which the rows were written.

        :return: how many rows got one
        """
        cr = self.env.cr
        cr.execute(
            """
            WITH unordered AS (
                SELECT id, row_number() OVER (ORDER BY id) AS number
                  FROM finance_delivery
                 WHERE endpoint_id = %(endpoint)s
                   AND pulled
                   AND state = 'waiting'
                   AND feed_position IS NULL
                 ORDER BY id
                 LIMIT %(limit)s
            )
            UPDATE finance_delivery delivery
               SET feed_position = %(head)s + unordered.number
              FROM unordered
             WHERE delivery.id = unordered.id
            """,
            {
                "endpoint": self.endpoint_id.id,
                "head": head,
                "limit": constants.FEED_ADVANCE_ROWS,
            },
            log_exceptions=False,
        )
        given = cr.rowcount
        if given:
            cr.execute(
                "UPDATE finance_feed SET head = head + %s WHERE id = %s",
                [given, self.id],
            )
            self.env["finance.delivery"].invalidate_model(
                ["feed_position"], flush=False
            )
        return given

    def _acknowledge(self, position):
        """Mark what the reader has as delivered."""
        self.invalidate_recordset(["acknowledged"], flush=False)
        if position <= self.acknowledged:
            return
        now = clock.naive_now()
        cr = self.env.cr
        cr.execute(
            """
            UPDATE finance_delivery
               SET state = 'delivered', delivered_at = %(now)s, due_at = NULL
             WHERE endpoint_id = %(endpoint)s
               AND feed_position > %(from)s
               AND feed_position <= %(to)s
               AND state = 'waiting'
         RETURNING lane
            """,
            {
                "now": now,
                "endpoint": self.endpoint_id.id,
                "from": self.acknowledged,
                "to": position,
            },
            log_exceptions=False,
        )
        lanes = Counter(lane for (lane,) in cr.fetchall())
        cr.execute(
            "UPDATE finance_feed SET acknowledged = %s, acknowledged_at = %s"
            " WHERE id = %s",
            [position, now, self.id],
        )
        key = (self.endpoint_id.id, self.company_id.id)
        for lane, count in sorted(lanes.items()):
            recording.add_pulses(cr, lane, {key: [count, 0, 0, 0.0]}, now)
        recording.note_health(cr, self.endpoint_id.id, now, succeeded=True, error=None)
        self.env["finance.delivery"].invalidate_model(
            ["state", "delivered_at", "due_at"], flush=False
        )


class FinanceDelivery(models.Model):
    _inherit = "finance.delivery"

    # Whether its endpoint is a feed: so that what is sent stays out of the index below.
    pulled = fields.Boolean(readonly=True)

    # What has no place in a feed yet.
    _unordered_idx = models.Index(
        "(endpoint_id, id) WHERE pulled AND state = 'waiting' AND feed_position IS NULL"
    )

    def _rearm(self):
        """What was cancelled is offered anew: at the end, where it will be read."""
        self.flush_recordset(["state"])
        self.env.cr.execute(
            "UPDATE finance_delivery SET feed_position = NULL"
            " WHERE id = ANY(%s) AND state <> 'waiting' AND feed_position IS NOT NULL",
            [self.ids],
        )
        self.invalidate_recordset(["feed_position"], flush=False)
        return super()._rearm()


def _sent_as(recorded, version):
    """Return the type that a subscriber sees of an event.

    :param str recorded: the type in which it was recorded, ``finance.….v<N>``
    :param version: of the contract that the subscriber gets, if it was chosen
    """
    stem, mark, _number = recorded.rpartition(".v")
    return f"{stem}{mark}{version}" if version else recorded


def _fitting(bodies):
    """Return how many of the bodies make one page: by size, but one at least."""
    size = 0
    for number, content in enumerate(bodies):
        size += len(content)
        if number and size > constants.FEED_MAX_BYTES:
            return number
    return len(bodies)
