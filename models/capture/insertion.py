"""The rows that the end of a transaction adds to the outbox, by one query."""

import json
from collections import namedtuple

EVENT_COLUMNS = (
    "event_id",
    "type",
    "aggregate",
    "sequence",
    "company_id",
    "source",
    "subject",
    "label",
    "occurred_at",
    "correlation_id",
    "causation_id",
    "actor",
    "data",
    "problem",
    "res_model",
    "res_id",
)
EventRow = namedtuple("EventRow", EVENT_COLUMNS)

# The rows come as one JSON text for each table: a list of values would have to be
# parsed value by value. And PostgreSQL keeps no plan beyond a transaction of Odoo's
# (the connection pool has it discard all of them), so both statements are of the kind
# that hardly has to be planned. They go there and back as one.
#
# Two transactions may tell of the same aggregate at once, both with the next number.
# A plain INSERT would refuse the later one for good; with ON CONFLICT PostgreSQL calls
# it a serialization failure, as the other row is newer than the snapshot, and Odoo
# and queue_job try the whole transaction again.
_NAMES = ", ".join(EVENT_COLUMNS)
_INSERT = f"""
    INSERT INTO finance_delivery (
           event_id, endpoint_id, subscription_id, company_id, aggregate, state,
           lane, version, created_at, due_at, attempt_count, throttle_count, pulled)
    SELECT event_id, endpoint_id, subscription_id, company_id, aggregate, 'waiting',
           lane, version, %(now)s, CASE WHEN realtime THEN %(now)s END, 0, 0, pulled
      FROM json_to_recordset(%(deliveries)s) AS new (
           event_id int, endpoint_id int, subscription_id int, company_id int,
           aggregate text, lane text, version int, realtime boolean, pulled boolean)
     -- A subscription that was deleted since it was read gets nothing.
     WHERE (SELECT true FROM finance_subscription s WHERE s.id = new.subscription_id);
    INSERT INTO finance_event (id, {_NAMES})
    SELECT id, {_NAMES}
      FROM json_to_recordset(%(events)s) AS new (
           id int, event_id text, type text, aggregate text, sequence int,
           company_id int, source text, subject text, label text,
           occurred_at timestamp, correlation_id text, causation_id text,
           actor text, data jsonb, problem text, res_model text, res_id int)
        ON CONFLICT DO NOTHING
"""  # noqa: S608 (the columns above)
# Made once: json.dumps() would make a new encoder for every row. Times are texts.
_encode = json.JSONEncoder(default=str).encode
# Ids for so many events. The transaction gets its own number first: readers who wait
# for all that was under way when they saw a later id have to know of this one.
ALLOT = """
    SELECT nextval('finance_event_id_seq')::int FROM generate_series(1, %s)
     WHERE pg_current_xact_id() IS NOT NULL
"""


def allot(cr, memory, count):
    """Return ids for as many events, ascending.

    Those that the look before a posting brought along are taken first.
    """
    missing = count - len(memory.event_ids)
    if missing > 0:
        cr.execute(ALLOT, [missing])
        memory.event_ids += [event for (event,) in cr.fetchall()]
    ids, memory.event_ids = memory.event_ids[:count], memory.event_ids[count:]
    return ids


def insert(cr, events, deliveries, now):
    """Insert events and their deliveries.

    :param events: list of (id, ``EventRow``), with ``data`` as JSON text
    :param deliveries: list of dicts, see ``finance.delivery._routed``
    :param datetime now: naive, UTC; when the deliveries are made, and due
    :return: whether all events were; they are not if the place of one in its
        aggregate was taken already
    """
    cr.execute(
        _INSERT,
        {
            "events": f"[{','.join(_json(event, row) for event, row in events)}]",
            "deliveries": json.dumps(deliveries),
            "now": now,
        },
    )
    return cr.rowcount == len(events)


def _json(event, row):
    # The data is JSON already, and the largest part of it.
    columns = row._asdict()
    data = columns.pop("data")
    return f'{_encode({"id": event, **columns})[:-1]}, "data": {data}}}'
