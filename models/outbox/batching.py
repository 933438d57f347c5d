"""Batches: several events of one subscription in one request.

A subscription has one batch on its way at a time, so that their order is kept. What
is collected has no time of its own (``due_at`` is empty) until a batch takes it.
"""

import hashlib
import uuid
from datetime import timedelta

from dateutil.relativedelta import relativedelta

from ...contracts import EVENT_NAMESPACE, batch_file_name, dump_json, parse_json
from ...contracts.batch import JSONL, csv_file, jsonl, manifest
from .. import clock, constants
from . import body

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

MEMBERS = f"""
    SELECT d.id, d.version, {body.EVENT_SQL}
      FROM finance_delivery d
      JOIN finance_event e ON e.id = d.event_id
     WHERE d.batch_id = %s
     ORDER BY d.id
"""  # noqa: S608 (constants alone)


# === FORMING === #


def endpoints(cr, lane, endpoint_ids):
    """Return which endpoints have batches in a lane, or may get some."""
    cr.execute(
        """
        SELECT DISTINCT endpoint_id FROM finance_subscription
         WHERE endpoint_id = ANY(%(ids)s) AND lane = %(lane)s
           AND delivery_mode <> 'realtime'
         UNION
        SELECT DISTINCT endpoint_id FROM finance_batch
         WHERE endpoint_id = ANY(%(ids)s) AND lane = %(lane)s AND state = 'waiting'
        """,
        {"ids": endpoint_ids, "lane": lane},
    )
    return {row[0] for row in cr.fetchall()}


def form(env, lane, endpoint_ids, now):
    """Form the batches that are due.

    :return: when the next one is to be formed, None when nobody knows
    """
    subscriptions = env["finance.subscription"].search(
        [
            ("endpoint_id", "in", endpoint_ids),
            ("lane", "=", lane),
            ("delivery_mode", "!=", "realtime"),
        ]
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
    env.cr.execute(COLLECTED, [subscription.id, limit])
    rows = env.cr.fetchall()
    parked = [row_id for row_id, _created_at, behind in rows if behind]
    if parked:
        env.cr.execute(
            "UPDATE finance_delivery SET state = 'parked' WHERE id = ANY(%s)", [parked]
        )
        env["finance.delivery"].invalidate_model(flush=False)
    return [(row_id, created_at) for row_id, created_at, behind in rows if not behind]


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
            "created_at": now,
            "due_at": now,
            **values,
        }
    )
    env.flush_all()
    env.cr.execute(
        "UPDATE finance_delivery SET batch_id = %s WHERE id = ANY(%s)",
        [batch.id, [row[0] for row in rows]],
    )
    env["finance.delivery"].invalidate_model(flush=False)
    return batch


# === CONTENT === #


def _rows(batch):
    """Return the events of a batch as rows for :mod:`.body`, with their form."""
    cr = batch.env.cr
    cr.execute(MEMBERS, [batch.id])
    names = [column.name for column in cr.description]
    subscription = batch.subscription_id
    wanted = body.Form(
        "structured", subscription.mask_personal, subscription.mask_confidential
    )
    return [dict(zip(names, row, strict=True)) for row in cr.fetchall()], wanted


def _write_file(batch, now):
    """Write the file and the manifest of a batch, once: each attempt sends them."""
    rows, wanted = _rows(batch)
    events = []
    for row in rows:
        attributes, data = body.content(row, wanted, row["version"])
        events.append({**attributes, "data": parse_json(data, "The event")})
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
        return body.batch(
            [body.structured(row, wanted, row["version"]) for row in rows]
        )
    content = batch.attachment_id.raw or b""
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


# === SENDING === #


def due(env, lane, endpoint_ids, now, in_hand):
    """Return the batches that may go now: of each subscription the first one."""
    env.flush_all()
    env.cr.execute(
        """
        SELECT b.id
          FROM finance_batch b
         WHERE b.endpoint_id = ANY(%s::int[]) AND b.lane = %s AND b.state = 'waiting'
           AND b.due_at <= %s AND b.id <> ALL(%s::int[])
           AND NOT EXISTS (
               SELECT 1 FROM finance_batch p
                WHERE p.subscription_id = b.subscription_id AND p.number < b.number
                  AND p.state = 'waiting')
         ORDER BY b.id
        """,
        [endpoint_ids, lane, now, list(in_hand)],
    )
    return env["finance.batch"].browse([row[0] for row in env.cr.fetchall()])


def next_form(cr, lane, now):
    """Return when the next batch of a lane is to be formed."""
    cr.execute(
        """
        SELECT min(CASE s.delivery_mode
                   WHEN 'batch_file' THEN s.file_next_at
                   ELSE first.created_at + make_interval(secs => s.batch_seconds) END)
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
         WHERE s.lane = %s AND s.delivery_mode <> 'realtime'
           AND NOT EXISTS (
               SELECT 1 FROM finance_batch b
                WHERE b.subscription_id = s.id AND b.state = 'waiting')
        """,
        [lane],
    )
    (moment,) = cr.fetchone()
    return moment and max(moment, now)


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
        elif (
            batch.state == "waiting"
            and ticket.divisible
            and outcome.status in constants.BATCH_SPLIT_STATUSES
        ):
            split(env, batch, now)


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
