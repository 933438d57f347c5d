"""What of each table is old, what of it may go, and how it goes."""

from dataclasses import dataclass

# === WALKS === #
# Each walk goes through one table, the oldest row first, page by page along an index.
# A page gives (id, moment, company, kind of retention, data class).

ATTEMPT_PAGE = """
    SELECT r.id, r.started_at, r.company_id,
           CASE r.outcome WHEN 'delivered' THEN 'attempt_delivered'
                          ELSE 'attempt_failed' END, c.classification
      FROM finance_attempt r
      LEFT JOIN finance_endpoint n ON n.id = r.endpoint_id
      LEFT JOIN finance_connector c ON c.id = n.connector_id
     WHERE r.id > %(after)s
     ORDER BY r.id LIMIT %(page)s
"""

DELIVERY_PAGE = """
    SELECT r.id, COALESCE(r.delivered_at, r.created_at), r.company_id, 'delivery',
           c.classification
      FROM finance_delivery r
      LEFT JOIN finance_endpoint n ON n.id = r.endpoint_id
      LEFT JOIN finance_connector c ON c.id = n.connector_id
     WHERE r.id > %(after)s
     ORDER BY r.id LIMIT %(page)s
"""

BATCH_PAGE = """
    SELECT r.id, COALESCE(r.delivered_at, r.created_at), r.company_id, 'delivery',
           c.classification
      FROM finance_batch r
      LEFT JOIN finance_endpoint n ON n.id = r.endpoint_id
      LEFT JOIN finance_connector c ON c.id = n.connector_id
     WHERE r.id > %(after)s
     ORDER BY r.id LIMIT %(page)s
"""

EVENT_PAGE = """
    SELECT id, occurred_at, company_id, 'event', %(dataclass)s
      FROM finance_event
     WHERE type = %(type)s AND id > %(after)s
     ORDER BY id LIMIT %(page)s
"""

MESSAGE_PAGE = """
    SELECT r.id, r.received_at, r.company_id, 'message', c.classification
      FROM finance_message r
      JOIN finance_connector c ON c.id = r.connector_id
     WHERE r.body IS NOT NULL AND r.state = 'processed' AND r.id > %(after)s
     ORDER BY r.id LIMIT %(page)s
"""

# The types that there are events of, by jumping through the index.
TYPES = """
    WITH RECURSIVE seen(type) AS (
        (SELECT type FROM finance_event ORDER BY type LIMIT 1)
        UNION ALL
        SELECT (SELECT e.type FROM finance_event e
                 WHERE e.type > s.type ORDER BY e.type LIMIT 1)
          FROM seen s WHERE s.type IS NOT NULL
    )
    SELECT type FROM seen WHERE type IS NOT NULL
"""

# === WHAT MAY GO === #
# Of the rows that are old enough: those nobody needs any more. What is not done, hangs
# on an open exception, or is needed by a row that stays, stays.

ATTEMPT_FREE = """
    SELECT a.id
      FROM finance_attempt a
      LEFT JOIN finance_delivery d ON d.id = a.delivery_id
      LEFT JOIN finance_batch b ON b.id = a.batch_id
      LEFT JOIN finance_exception x
        ON x.id = COALESCE(d.exception_id, b.exception_id)
       AND x.state IN ('open', 'in_progress')
     WHERE a.id = ANY(%(ids)s)
       AND COALESCE(d.state, b.state) NOT IN ('waiting', 'parked', 'dead')
       AND x.id IS NULL
     ORDER BY a.id
"""

DELIVERY_FREE = """
    SELECT d.id
      FROM finance_delivery d
      LEFT JOIN finance_batch b ON b.id = d.batch_id
      LEFT JOIN finance_replay r ON r.id = d.replay_id
      LEFT JOIN finance_exception x
        ON x.id = d.exception_id AND x.state IN ('open', 'in_progress')
     WHERE d.id = ANY(%(ids)s)
       AND d.state IN ('delivered', 'cancelled')
       AND (r.id IS NULL OR r.state IN ('done', 'cancelled'))
       AND (b.id IS NULL OR b.state NOT IN ('waiting', 'dead'))
       AND x.id IS NULL
       AND NOT EXISTS (SELECT FROM finance_attempt a WHERE a.delivery_id = d.id)
     ORDER BY d.id
"""

# The last of a subscription stays, as the next number follows from it.
BATCH_FREE = """
    SELECT b.id
      FROM finance_batch b
      LEFT JOIN finance_exception x
        ON x.id = b.exception_id AND x.state IN ('open', 'in_progress')
     WHERE b.id = ANY(%(ids)s)
       AND b.state IN ('delivered', 'split', 'cancelled')
       AND x.id IS NULL
       AND NOT EXISTS (SELECT FROM finance_attempt a WHERE a.batch_id = b.id)
       AND NOT EXISTS (SELECT FROM finance_delivery d WHERE d.batch_id = b.id)
       AND NOT EXISTS (SELECT FROM finance_batch c WHERE c.parent_id = b.id)
       AND EXISTS (
           SELECT FROM finance_batch n
            WHERE n.subscription_id = b.subscription_id AND n.number > b.number)
     ORDER BY b.id
"""

# The last event of a document stays, as the next sequence number, and by it the id of
# the next event, follows from it.
EVENT_FREE = """
    SELECT e.id
      FROM finance_event e
     WHERE e.id = ANY(%(ids)s)
       AND NOT EXISTS (SELECT FROM finance_delivery d WHERE d.event_id = e.id)
       AND NOT EXISTS (
           SELECT FROM finance_exception x
            WHERE x.res_model = 'finance.event' AND x.res_id = e.id
              AND x.state IN ('open', 'in_progress'))
       AND NOT EXISTS (
           SELECT FROM finance_replay_event_rel p
             JOIN finance_replay r ON r.id = p.finance_replay_id
            WHERE p.finance_event_id = e.id
              AND r.state NOT IN ('done', 'cancelled'))
       AND EXISTS (
           SELECT FROM finance_event n
            WHERE n.aggregate = e.aggregate AND n.company_id = e.company_id
              AND n.sequence > e.sequence)
     ORDER BY e.id
"""

MESSAGE_FREE = """
    SELECT m.id
      FROM finance_message m
     WHERE m.id = ANY(%(ids)s)
       AND NOT EXISTS (
           SELECT FROM finance_command c
             JOIN finance_exception x
               ON x.res_model = 'finance.command' AND x.res_id = c.id
              AND x.state IN ('open', 'in_progress')
            WHERE c.message_id = m.id)
       AND NOT EXISTS (
           SELECT FROM finance_exception x
            WHERE x.res_model = 'finance.message' AND x.res_id = m.id
              AND x.state IN ('open', 'in_progress'))
     ORDER BY m.id
"""

# === REMOVING === #

DELETE_ATTEMPTS = "DELETE FROM finance_attempt WHERE id = ANY(%(ids)s)"
DELETE_DELIVERIES = "DELETE FROM finance_delivery WHERE id = ANY(%(ids)s)"
DELETE_BATCHES = "DELETE FROM finance_batch WHERE id = ANY(%(ids)s)"
DELETE_EVENTS = "DELETE FROM finance_event WHERE id = ANY(%(ids)s)"
# Digest, size and headers stay: what arrived when, and that it was seen before.
EMPTY_MESSAGES = "UPDATE finance_message SET body = NULL WHERE id = ANY(%(ids)s)"


@dataclass(frozen=True, slots=True)
class Walk:
    """One way through a table.

    :ivar name: also the kind of the archive
    :ivar model: whose rows they are
    """

    name: str
    model: str
    page: str
    free: str
    remove: str


WALKS = (
    Walk("attempt", "finance.attempt", ATTEMPT_PAGE, ATTEMPT_FREE, DELETE_ATTEMPTS),
    Walk(
        "delivery", "finance.delivery", DELIVERY_PAGE, DELIVERY_FREE, DELETE_DELIVERIES
    ),
    Walk("batch", "finance.batch", BATCH_PAGE, BATCH_FREE, DELETE_BATCHES),
    Walk("event", "finance.event", EVENT_PAGE, EVENT_FREE, DELETE_EVENTS),
    Walk("message", "finance.message", MESSAGE_PAGE, MESSAGE_FREE, EMPTY_MESSAGES),
)
