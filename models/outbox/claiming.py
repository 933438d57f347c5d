"""What is due: the SQL with which a dispatcher takes rows in hand.

Nothing is marked: the dispatcher's lock makes an endpoint's rows of its lane its own,
and what it has in hand it knows itself. So a claim writes nothing but to rows that
turn out to wait behind another one, and a crash leaves nothing hanging.
"""

from collections import Counter, namedtuple
from dataclasses import dataclass
from datetime import datetime, timezone

from psycopg2.extras import execute_values

from .. import clock, constants
from .body import EVENT_SQL

# Endpoints of live connectors which have something for a lane. Feeds are fetched, not
# sent to. Each look is for the first row of an index: written as EXISTS below an OR,
# the planner would read whole tables for an endpoint that has nothing.
BUSY_ENDPOINTS = """
    SELECT n.id,
           -- When anything was changed that a route is made of.
           greatest(n.write_date, c.write_date, (
               SELECT max(x.write_date) FROM finance_credential x
                WHERE x.id IN (n.credential_id, n.auth_credential_id,
                               n.client_certificate_id))) AS changed_at,
           -- Whether it has batches in the lane, or may get some.
           EXISTS (SELECT FROM finance_subscription s
                    WHERE s.endpoint_id = n.id AND s.lane = %(lane)s
                      AND s.delivery_mode <> 'realtime')
           OR EXISTS (SELECT FROM finance_batch b
                       WHERE b.endpoint_id = n.id AND b.lane = %(lane)s
                         AND b.state = 'waiting') AS batching
      FROM finance_endpoint n
      JOIN finance_connector c ON c.id = n.connector_id
     WHERE n.state = 'live' AND c.state = 'live' AND n.active AND c.active
       AND n.transport <> 'feed'
       AND COALESCE(
           (SELECT d.id FROM finance_delivery d
             WHERE d.endpoint_id = n.id AND d.lane = %(lane)s
               AND d.state = 'waiting' AND d.due_at <= %(now)s
             ORDER BY d.due_at, d.id LIMIT 1),
           (SELECT b.id FROM finance_batch b
             WHERE b.endpoint_id = n.id AND b.lane = %(lane)s
               AND b.state = 'waiting' AND b.due_at <= %(now)s
             ORDER BY b.due_at LIMIT 1),
           (SELECT s.id FROM finance_subscription s
             WHERE s.endpoint_id = n.id AND s.lane = %(lane)s
               AND s.delivery_mode <> 'realtime'
               AND (s.delivery_mode = 'micro_batch' OR s.file_next_at <= %(now)s)
               AND (s.delivery_mode = 'batch_file' AND s.active
                    OR (SELECT d.id FROM finance_delivery d
                         WHERE d.subscription_id = s.id AND d.state = 'waiting'
                           AND d.due_at IS NULL AND d.batch_id IS NULL
                         ORDER BY d.id LIMIT 1) IS NOT NULL)
             LIMIT 1)) IS NOT NULL
"""
Busy = namedtuple("Busy", ("id", "changed_at", "batching"))

CLAIM = f"""
    WITH picked AS MATERIALIZED (
        SELECT d.*
          FROM unnest(%(endpoints)s::int[], %(room)s::int[], %(due)s::timestamp[],
                    %(last)s::int[])
               AS endpoint(id, room, due, last)
          -- Whoever was suspended since the run began gets nothing more.
          JOIN finance_endpoint n
            ON n.id = endpoint.id AND n.state = 'live' AND n.active
          JOIN finance_connector c
            ON c.id = n.connector_id AND c.state = 'live' AND c.active
         CROSS JOIN LATERAL (
            SELECT d.id, d.endpoint_id, d.subscription_id, d.event_id, d.aggregate,
                   d.due_at, d.version, d.attempt_count, d.throttle_count,
                   d.exception_id, d.replay_id
              FROM finance_delivery d
             WHERE d.endpoint_id = endpoint.id
               AND d.lane = %(lane)s
               AND d.state = 'waiting'
               AND d.due_at <= %(now)s
               AND (d.due_at, d.id) > (endpoint.due, endpoint.last)
               AND d.id <> ALL(%(in_hand)s::int[])
             ORDER BY d.due_at, d.id
             LIMIT endpoint.room
         ) d
    )
    SELECT p.id, p.endpoint_id, p.subscription_id, p.aggregate AS lane_key, p.due_at,
           p.version, p.attempt_count, p.throttle_count, p.exception_id,
           behind.state AS behind_state, behind.due_at AS behind_due,
           -- How the subscription wants its events: as it says now. One that is gone
           -- can't say what may be shown.
           s.content_mode,
           s.mask_personal OR (s.id IS NULL AND p.subscription_id IS NOT NULL)
               AS mask_personal,
           s.mask_confidential OR (s.id IS NULL AND p.subscription_id IS NOT NULL)
               AS mask_confidential, {EVENT_SQL}
      FROM picked p
      JOIN finance_event e ON e.id = p.event_id
      LEFT JOIN finance_subscription s ON s.id = p.subscription_id
      LEFT JOIN LATERAL (
        -- An earlier event of the same document that is not in hand itself. What is
        -- collected for a batch, and what a replay repeats, is another stream.
        SELECT b.state, b.due_at
          FROM finance_delivery b
         WHERE b.endpoint_id = p.endpoint_id
           AND b.aggregate = p.aggregate
           AND b.id < p.id
           AND b.state IN ('waiting', 'parked', 'dead')
           AND b.due_at IS NOT NULL
           AND b.replay_id IS NOT DISTINCT FROM p.replay_id
           AND b.id <> ALL(%(in_hand)s::int[])
           AND b.id NOT IN (SELECT id FROM picked)
         ORDER BY b.state = 'waiting', b.due_at DESC
         LIMIT 1
      ) behind ON true
     ORDER BY p.id
"""  # noqa: S608 (constants alone)

# Before everything: where a claim of an endpoint begins.
BEGINNING = (datetime(1970, 1, 1), 0)  # noqa: DTZ001 (as Odoo stores times)

LONG_AGO = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(slots=True)
class Position:
    """How far the claims of a run have come at one endpoint.

    What was claimed and recorded leaves dead entries in the index until they are
    vacuumed; going on from the last row spares walking over them each time.
    """

    due: datetime = BEGINNING[0]
    last: int = BEGINNING[1]
    begun: datetime = LONG_AGO

    @property
    def at_beginning(self) -> bool:
        return self.last == BEGINNING[1]

    def rewind(self, now: datetime) -> None:
        """Begin anew, for what came due before the last row."""
        self.due, self.last = BEGINNING
        self.begun = now


def busy_endpoints(cr, lane, now):
    """Return the endpoints that have something to send now, as :data:`Busy`.

    :param lane: one of ``constants.LANES``
    :param now: naive, UTC
    """
    cr.execute(BUSY_ENDPOINTS, {"lane": lane, "now": now})
    return [Busy(*row) for row in cr.fetchall()]


def claim_rows(cr, lane, room, positions, in_hand):
    """Return the rows that may go now, and how many were found at all.

    :param lane: one of ``constants.LANES``
    :param dict room: endpoint id → how many rows to take at most
    :param dict positions: endpoint id → :class:`Position`; moved on
    :param in_hand: ids of deliveries that this run has already
    :return: (rows as dicts, {endpoint id: how many rows there were at all})
    """
    now = clock.naive_now()
    endpoints = list(room)
    cr.execute(
        CLAIM,
        {
            "lane": lane,
            "now": now,
            "endpoints": endpoints,
            "room": [room[endpoint] for endpoint in endpoints],
            "due": [positions[endpoint].due for endpoint in endpoints],
            "last": [positions[endpoint].last for endpoint in endpoints],
            "in_hand": list(in_hand),
        },
    )
    names = [column.name for column in cr.description]
    rows = [dict(zip(names, values, strict=True)) for values in cr.fetchall()]
    free, behind = [], []
    for row in rows:
        position = positions[row["endpoint_id"]]
        if (row["due_at"], row["id"]) > (position.due, position.last):
            position.due, position.last = row["due_at"], row["id"]
        (behind if row["behind_state"] else free).append(row)
    if behind:
        _postpone(cr, behind, now)
    return free, Counter(row["endpoint_id"] for row in rows)


def _postpone(cr, rows, now):
    """Move rows that wait behind another one out of the way of the next claims.

    Each is touched once: it becomes due when its predecessor does, or is parked when
    that one was given up. Waiting costs no attempt.
    """
    parked = [row["id"] for row in rows if row["behind_state"] != "waiting"]
    if parked:
        cr.execute(
            "UPDATE finance_delivery SET state = 'parked'"
            " WHERE id = ANY(%s) AND state = 'waiting'",
            [parked],
        )
    later = [
        # A predecessor that is due itself is in the hands of another lane.
        (row["id"], max(row["behind_due"], now + constants.BEHIND_PAUSE))
        for row in rows
        if row["behind_state"] == "waiting"
    ]
    if later:
        execute_values(
            cr._obj,
            """
            UPDATE finance_delivery d SET due_at = v.due_at
              FROM (VALUES %s) AS v (id, due_at)
             WHERE d.id = v.id AND d.state = 'waiting'
            """,
            later,
            template="(%s, %s::timestamp)",
            page_size=len(later),
        )


def next_due(cr, lane, now):
    """Return when a delivery or a batch of the lane is due next, if that is soon."""
    cr.execute(
        """
        SELECT min(due.at)
          FROM finance_endpoint n
          JOIN finance_connector c ON c.id = n.connector_id AND c.state = 'live'
         CROSS JOIN LATERAL (
            (SELECT d.due_at AS at
               FROM finance_delivery d
              WHERE d.endpoint_id = n.id AND d.lane = %(lane)s
                AND d.state = 'waiting'
                AND d.due_at > %(now)s AND d.due_at <= %(horizon)s
              ORDER BY d.due_at
              LIMIT 1)
            UNION ALL
            (SELECT b.due_at
               FROM finance_batch b
              WHERE b.endpoint_id = n.id AND b.lane = %(lane)s
                AND b.state = 'waiting'
                AND b.due_at > %(now)s AND b.due_at <= %(horizon)s
              ORDER BY b.due_at
              LIMIT 1)
         ) due
         WHERE n.state = 'live' AND n.transport <> 'feed'
        """,
        {"lane": lane, "now": now, "horizon": now + constants.WAKE_HORIZON},
    )
    (moment,) = cr.fetchone()
    return moment
