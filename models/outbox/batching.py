"""Batches: several events of one subscription in one request.

A subscription has one batch on its way at a time, so that their order is kept. What
is collected has no time of its own (``due_at`` is empty) until a batch takes it.
"""

import hashlib
import logging
import uuid
from datetime import timedelta

import psycopg2
from dateutil.relativedelta import relativedelta

from ...contracts import EVENT_NAMESPACE, batch_file_name, dump_json, parse_json
from ...contracts.batch import JSONL, csv_file, jsonl, manifest
from .. import clock, constants
from . import body

_logger = logging.getLogger(__name__)

# Collected events of a subscription, oldest first. An event whose document has an
# earlier one that was given up does not go: the order is kept.
COLLECTED = """
    SELECT d.id, d.created_at,
           EXISTS (
               SELECT 1 FROM finance_delivery b
                WHERE b.endpoint_id = d.endpoint_id AND b.aggregate = d.aggregate
                  AND b.subscription_id = d.subscription_id
                  AND b.id < d.id AND b.state IN ('parked', 'dead')) AS behind
      FROM finance_delivery d
     WHERE d.subscription_id = %s AND d.state = 'waiting'
       AND d.due_at IS NULL AND d.batch_id IS NULL
     ORDER BY d.id
     LIMIT %s
"""

# With those of a batch that was split since.
MEMBERS = f"""
    WITH RECURSIVE family AS (
        SELECT %s AS id
         UNION ALL
        SELECT b.id FROM finance_batch b JOIN family f ON b.parent_id = f.id
    )
    SELECT d.id, d.version, {body.EVENT_SQL}
      FROM finance_delivery d
      JOIN finance_event e ON e.id = d.event_id
     WHERE d.batch_id IN (SELECT id FROM family)
     ORDER BY d.id
"""  # noqa: S608 (constants alone)


# === FORMING === #


def form(env, lane, endpoint_ids, now):
    """Form the batches that are due.

    What an archived subscription has collected leaves as well, as single events do;
    then it is at rest.

    :return: when the next one is to be formed, None when nobody knows
    """
    subscriptions = (
        env["finance.subscription"]
        .with_context(active_test=False)
        .search(
            [
                ("endpoint_id", "in", endpoint_ids),
                ("lane", "=", lane),
                ("delivery_mode", "!=", "realtime"),
            ]
        )
    )
    moments = []
    for subscription in subscriptions:
        if _unfinished(env, subscription):
            continue
        if subscription.delivery_mode == "micro_batch":
            moments.append(_form_micro(env, subscription, now))
        elif subscription.file_next_at <= now:
            _form_files(env, subscription, now)
    return min((moment for moment in moments if moment), default=None)


def _unfinished(env, subscription):
    return bool(
        env["finance.batch"].search_count(
            [("subscription_id", "=", subscription.id), ("state", "=", "waiting")],
            limit=1,
        )
    )


def _collected(env, subscription, limit):
    """Return (id, created_at) of what is to go next; park what can't."""
    env.flush_all()
    while True:
        env.cr.execute(COLLECTED, [subscription.id, limit])
        rows = env.cr.fetchall()
        parked = [row_id for row_id, _created_at, behind in rows if behind]
        if not parked:
            return [(row_id, created_at) for row_id, created_at, _behind in rows]
        # Others may take their place.
        env.cr.execute(
            "UPDATE finance_delivery SET state = 'parked'"
            " WHERE id = ANY(%s) AND state = 'waiting'",
            [parked],
        )
        env["finance.delivery"].invalidate_model(flush=False)


def _form_micro(env, subscription, now):
    """Form a micro-batch if it is time; return when it is, if it is not yet."""
    rows = _collected(env, subscription, subscription.batch_count)
    if not rows:
        return None
    due = rows[0][1] + timedelta(seconds=subscription.batch_seconds)
    if len(rows) < subscription.batch_count and due > now:
        return due
    _create(env, subscription, "cloudevents", rows, now)
    return None


def _form_files(env, subscription, now):
    """Form the file of a subscription whose time has come; an empty one, too.

    A file with nothing in it says that nothing happened, which no file does not.
    """
    rows = _collected(env, subscription, constants.BATCH_FILE_MAX_EVENTS)
    if not rows and not subscription.active:
        return
    batch = _create(env, subscription, subscription.file_format, rows, now)
    _write_file(batch, now)
    if len(rows) < constants.BATCH_FILE_MAX_EVENTS:
        step = relativedelta(
            **{subscription.file_interval_type: subscription.file_interval_number}
        )
        following = subscription.file_next_at
        while following <= now:
            following += step
        subscription.file_next_at = following


def _create(env, subscription, batch_format, rows, now, **values):
    """Create a batch of collected deliveries."""
    env.cr.execute(
        "SELECT COALESCE(max(number), 0) + 1 FROM finance_batch"
        " WHERE subscription_id = %s",
        [subscription.id],
    )
    (number,) = env.cr.fetchone()
    batch = env["finance.batch"].create(
        {
            # The same for the same batch, for ever, as the id of an event is.
            "batch_key": str(
                uuid.uuid5(EVENT_NAMESPACE, f"batch/{subscription.id}/{number}")
            ),
            "subscription_id": subscription.id,
            "endpoint_id": subscription.endpoint_id.id,
            "company_id": subscription.company_id.id,
            "lane": subscription.lane,
            "format": batch_format,
            "number": number,
            "event_count": len(rows),
            "attempt_count": 0,
            "throttle_count": 0,
            "created_at": now,
            "due_at": now,
            **values,
        }
    )
    env.flush_all()
    env.cr.execute(
        "UPDATE finance_delivery SET batch_id = %s"
        " WHERE id = ANY(%s) AND state = 'waiting'",
        [batch.id, [row[0] for row in rows]],
    )
    # Somebody may have cancelled one meanwhile.
    batch.event_count = env.cr.rowcount
    env["finance.delivery"].invalidate_model(flush=False)
    return batch


# === CONTENT === #


def _rows(batch):
    """Return the events of a batch as rows for :mod:`.body`, with their form."""
    cr = batch.env.cr
    cr.execute(MEMBERS, [batch.id])
    names = [column.name for column in cr.description]
    # Before the ORM uses the same cursor to read the subscription.
    rows = [dict(zip(names, row, strict=True)) for row in cr.fetchall()]
    subscription = batch.subscription_id
    wanted = body.Form(
        "structured", subscription.mask_personal, subscription.mask_confidential
    )
    return rows, wanted


def _write_file(batch, now):
    """Write the file and the manifest of a batch, once: each attempt sends them."""
    rows, events = _written(batch, _event)
    subscription, endpoint = batch.subscription_id, batch.endpoint_id
    if batch.format == JSONL:
        content = jsonl(events)
    else:
        # The columns of all types that may come, so that they are the same each time.
        content = csv_file(events, subscription._types())
    env = batch.env
    previous = env["finance.batch"].search(
        [("subscription_id", "=", subscription.id), ("number", "<", batch.number)],
        order="number desc",
        limit=1,
    )
    begins = previous.created_at or min(
        (row["occurred_at"] for row in rows), default=now
    )
    name = batch_file_name(
        endpoint.connector_id.code, batch.number, clock.aware(now), batch.format
    )
    found = manifest(
        events,
        content,
        batch_id=batch.batch_key,
        sequence=batch.number,
        endpoint_id=str(endpoint.id),
        endpoint_name=endpoint.name,
        subscription_id=str(subscription.id),
        subscription_name=subscription.name,
        period_from=clock.aware(min(begins, now)),
        period_to=clock.aware(now),
        created_at=clock.aware(now),
        file_format=batch.format,
        file_name=name,
    )
    attachment = env["ir.attachment"].create(
        {
            "name": name,
            "raw": content,
            "mimetype": found["file"]["content_type"].partition(";")[0],
            "res_model": "finance.batch",
            "res_id": batch.id,
        }
    )
    batch.write({"manifest": found, "attachment_id": attachment.id})


def request(batch):
    """Return (headers, body) with which a batch is sent."""
    if batch.format == "cloudevents":
        rows, wanted = _rows(batch)
        return body.batch([_structured(row, wanted) for row in rows])
    content = batch.attachment_id.raw or b""
    if hashlib.sha256(content).hexdigest() != batch.manifest["file"]["sha256"]:
        raise ValueError(
            batch.env._(
                "The file of this batch is missing or was changed: it is no longer "
                "what its manifest says. Restore the attachment, then retry."
            )
        )
    # RFC 7578. The boundary follows from the content, so that each attempt sends the
    # same bytes, and it can't occur in them: it is their own digest.
    boundary = "finance-hub-" + hashlib.sha256(content).hexdigest()
    name = batch.attachment_id.name
    parts = [
        (
            'name="manifest"; filename="manifest.json"',
            "application/json",
            dump_json(batch.manifest),
        ),
        (
            f'name="file"; filename="{name}"',
            batch.manifest["file"]["content_type"],
            content,
        ),
    ]
    lines = []
    for disposition, content_type, part in parts:
        lines += [
            f"--{boundary}".encode(),
            f"Content-Disposition: form-data; {disposition}".encode(),
            f"Content-Type: {content_type}".encode(),
            b"",
            part,
        ]
    lines += [f"--{boundary}--".encode(), b""]
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return headers, b"\r\n".join(lines)


def _event(row, form):
    attributes, data = body.content(row, form, row["version"])
    return {**attributes, "data": parse_json(data, "The event")}


def _structured(row, form):
    return body.structured(row, form, row["version"])


def _written(batch, write):
    """Return (rows, what ``write(row, form)`` makes of each of them).

    An event that can't be written is given up, and what follows it is parked; both
    leave the batch, and the others go.
    """
    env = batch.env
    rows, form = _rows(batch)
    kept, written, broken, stopped, parked = [], [], [], set(), []
    for row in rows:
        if row["aggregate"] in stopped:
            parked.append(row["id"])
            continue
        try:
            written.append(write(row, form))
            kept.append(row)
        except Exception as error:
            _logger.exception("finance_hub: event %s", row["event_id"])
            broken.append((row, error))
            stopped.add(row["aggregate"])
    if broken:
        set_aside(env, broken)
        env["finance.delivery"].browse(parked).write(
            {"state": "parked", "batch_id": False}
        )
        batch.event_count = len(kept)
    return kept, written


def set_aside(env, broken):
    """Give up deliveries whose event can't be written.

    :param broken: list of (row with the columns of ``body.EVENT_SQL``, error)
    """
    for row, error in broken:
        delivery = env["finance.delivery"].browse(row["id"])
        exception = env["finance.exception"]._open(
            "D-SCHEMA",
            company=delivery.company_id,
            record=delivery,
            connector=delivery.endpoint_id.connector_id,
            fingerprint=f"delivery:{delivery.id}",
            summary=env._("%s: the event can't be written", row["label"]),
            cause=str(error),
            correlation_id=row["correlation_id"],
        )
        delivery.write(
            {
                "state": "dead",
                "last_error": str(error),
                "exception_id": exception.id,
                "batch_id": False,
            }
        )
    env.flush_all()


# === SENDING === #


def ready(batch):
    """Return (headers, body) with which a batch is to be sent now.

    What can't be written must not keep others back, for ever: it is given up.

    :return: None when nothing of the batch is left to send
    """
    env = batch.env
    if batch.format == "cloudevents":
        _rows_kept, bodies = _written(batch, _structured)
        if bodies:
            return body.batch(bodies)
        batch.state = "cancelled"
        return None
    try:
        return request(batch)
    except psycopg2.Error:
        raise
    except Exception as error:
        _logger.exception("finance_hub: batch %s", batch.batch_key)
        exception = env["finance.exception"]._open(
            "T-INTERNAL",
            company=batch.company_id,
            record=batch,
            connector=batch.endpoint_id.connector_id,
            fingerprint=f"batch:{batch.id}",
            summary=env._("%s can't be sent", batch.display_name),
            cause=str(error),
        )
        batch.write(
            {"state": "dead", "last_error": str(error), "exception_id": exception.id}
        )
        batch.delivery_ids.write({"exception_id": exception.id})
        env.flush_all()
        batch._share_state("dead", None, str(error))
        return None


def live(cr, endpoint_ids):
    """Return those of the endpoints to which anything is sent at all."""
    cr.execute(
        """
        SELECT n.id
          FROM finance_endpoint n
          JOIN finance_connector c ON c.id = n.connector_id
         WHERE n.id = ANY(%s) AND n.state = 'live' AND c.state = 'live'
        """,
        [endpoint_ids],
    )
    return [row[0] for row in cr.fetchall()]


def due(env, lane, endpoint_ids, now, in_hand):
    """Return the batches that may go now: of each subscription the first one."""
    env.flush_all()
    env.cr.execute(
        """
        WITH unfinished AS (
            SELECT b.id, b.due_at, row_number() OVER (
                       -- Not by number: halves of halves have later ones.
                       PARTITION BY b.subscription_id ORDER BY first.id, b.number
                   ) AS place
              FROM finance_batch b
             CROSS JOIN LATERAL (
                SELECT min(d.id) AS id FROM finance_delivery d WHERE d.batch_id = b.id
             ) first
             WHERE b.endpoint_id = ANY(%s::int[]) AND b.lane = %s
               AND b.state = 'waiting'
        )
        SELECT id FROM unfinished
         WHERE place = 1 AND due_at <= %s AND id <> ALL(%s::int[])
         ORDER BY id
        """,
        [endpoint_ids, lane, now, list(in_hand)],
    )
    return env["finance.batch"].browse([row[0] for row in env.cr.fetchall()])


def next_form(cr, lane, now):
    """Return when the next batch of a lane is to be formed, later than now.

    What is due already is formed as soon as its endpoint's gate is open.
    """
    cr.execute(
        """
        SELECT min(next.at)
          FROM finance_subscription s
          JOIN finance_endpoint n ON n.id = s.endpoint_id AND n.state = 'live'
          JOIN finance_connector c ON c.id = n.connector_id AND c.state = 'live'
          LEFT JOIN LATERAL (
            SELECT d.created_at
              FROM finance_delivery d
             WHERE d.subscription_id = s.id AND d.state = 'waiting'
               AND d.due_at IS NULL AND d.batch_id IS NULL
             ORDER BY d.id
             LIMIT 1
          ) first ON true
         CROSS JOIN LATERAL (
            SELECT CASE s.delivery_mode
                   WHEN 'batch_file' THEN s.file_next_at
                   ELSE first.created_at + make_interval(secs => s.batch_seconds)
                   END AS at
         ) next
         WHERE s.lane = %s AND s.delivery_mode <> 'realtime'
           AND (s.active OR first.created_at IS NOT NULL)
           AND next.at > %s
           AND NOT EXISTS (
               SELECT 1 FROM finance_batch b
                WHERE b.subscription_id = s.id AND b.state = 'waiting')
        """,
        [lane, now],
    )
    (moment,) = cr.fetchone()
    return moment


def record(env, results, now):
    """Let the deliveries of batches share what became of them.

    :param results: list of (ticket, outcome, decision), decision None when delivered
    """
    for ticket, outcome, decision in results:
        batch = env["finance.batch"].browse(ticket.batch_id)
        batch.invalidate_recordset(flush=False)
        if decision is None:
            batch._delivered(outcome.status, now)
        elif batch.state == "dead":
            batch._share_state("dead", outcome.status, batch.last_error)
            _park_behind(batch)
        elif (
            batch.state == "waiting"
            and ticket.divisible
            and outcome.status in constants.BATCH_SPLIT_STATUSES
        ):
            split(env, batch, now)


def _park_behind(batch):
    """Take what follows the events of a dead batch out of the batches that wait."""
    env = batch.env
    env.cr.execute(
        """
        UPDATE finance_delivery d
           SET state = 'parked', batch_id = NULL
          FROM finance_delivery p, finance_batch b
         WHERE p.batch_id = %s
           AND d.endpoint_id = p.endpoint_id AND d.aggregate = p.aggregate
           AND d.id > p.id AND d.state = 'waiting' AND d.batch_id = b.id
           AND b.subscription_id = %s AND b.state = 'waiting'
           AND b.format = 'cloudevents'
        """,
        [batch.id, batch.subscription_id.id],
    )
    env["finance.delivery"].invalidate_model(flush=False)
    recount(env, batch.subscription_id)


def recount(env, subscriptions):
    """Count the batches that wait anew; one with nothing left in it is over."""
    env.flush_all()
    env.cr.execute(
        """
        UPDATE finance_batch b
           SET event_count = now.events,
               state = CASE WHEN now.events = 0 THEN 'cancelled' ELSE b.state END
          FROM (SELECT b.id, count(d.id) AS events
                  FROM finance_batch b
                  LEFT JOIN finance_delivery d ON d.batch_id = b.id
                 WHERE b.subscription_id = ANY(%s) AND b.state = 'waiting'
                   AND b.format = 'cloudevents'
                 GROUP BY b.id) AS now
         WHERE b.id = now.id AND b.event_count <> now.events
        """,
        [subscriptions.ids],
    )
    env["finance.batch"].invalidate_model(flush=False)


def split(env, batch, now):
    """Replace a batch that was refused by its two halves."""
    rows = [(delivery_id,) for delivery_id in sorted(batch.delivery_ids.ids)]
    middle = len(rows) // 2
    batch.write({"state": "split"})
    for half in (rows[:middle], rows[middle:]):
        _create(
            env,
            batch.subscription_id,
            batch.format,
            half,
            now,
            parent_id=batch.id,
        )
