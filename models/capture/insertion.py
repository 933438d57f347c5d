"""The rows that the end of a transaction adds to the outbox, in one statement."""

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
# An event that is about to be recorded: its columns, ``data`` in JSON types, and the
# ``deliveries`` it sets out on, as ``finance.delivery._deliveries`` returns them.
EventRow = namedtuple("EventRow", (*EVENT_COLUMNS, "deliveries"), defaults=((),))

_NAMES = ", ".join(EVENT_COLUMNS)
# The rows come as one JSON text. PostgreSQL keeps no plan beyond a transaction of
# Odoo's (the connection pool has it discard all), and a list of values would have to
# be parsed value by value: a text of any length is a single one.
#
# Two transactions may tell of the same aggregate at once, both with the next number.
# A plain INSERT would refuse the later one for good; with ON CONFLICT PostgreSQL calls
# it a serialization failure, as the other row is newer than the snapshot, and Odoo
# and queue_job try the whole transaction again.
_INSERT = f"""
    WITH told AS MATERIALIZED (
        SELECT nextval('finance_event_id_seq')::int AS id, row.*
          FROM json_to_recordset(%(rows)s) AS row (
               event_id text, type text, aggregate text, sequence int,
               company_id int, source text, subject text, label text,
               occurred_at timestamp, correlation_id text, causation_id text,
               actor text, data jsonb, problem text, res_model text, res_id int,
               deliveries json)
    ), recorded AS (
        INSERT INTO finance_event (id, {_NAMES})
        SELECT id, {_NAMES} FROM told
            ON CONFLICT DO NOTHING
     RETURNING id
    ), sent AS (
        INSERT INTO finance_delivery (
               event_id, endpoint_id, subscription_id, company_id, aggregate, state,
               lane, version, created_at, due_at, attempt_count, throttle_count, pulled)
        SELECT told.id, way.endpoint_id, way.subscription_id, told.company_id,
               told.aggregate, 'waiting', way.lane, way.version, %(now)s,
               CASE WHEN way.realtime THEN %(now)s END, 0, 0, way.pulled
          FROM told
          JOIN recorded USING (id)
          JOIN json_to_recordset(told.deliveries) AS way (
               endpoint_id int, subscription_id int, lane text, version int,
               realtime boolean, pulled boolean) ON true
          -- A subscription that was deleted since it was read gets nothing.
          JOIN finance_subscription subscription
            ON subscription.id = way.subscription_id
         ORDER BY told.id
    )
    SELECT id, EXISTS (
               SELECT FROM finance_command
                WHERE state = 'waiting' AND waits_for IS NOT NULL)
      FROM recorded ORDER BY id
"""  # noqa: S608 (the columns above)


def insert(cr, rows, now):
    """Insert events and their deliveries.

    :param rows: list of ``EventRow``
    :param datetime now: naive, UTC; when the deliveries are made, and due
    :return: (ids, waiting); ids of the events in the order of ``rows``, without those
        whose place in their aggregate was taken already, and whether any inbound
        command waits for something
    """
    cr.execute(
        _INSERT,
        {
            "rows": json.dumps([row._asdict() for row in rows], default=str),
            "now": now,
        },
    )
    found = cr.fetchall()
    return [event for event, _waiting in found], bool(found) and found[0][1]
