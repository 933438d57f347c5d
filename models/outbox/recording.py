"""What became of what was sent: the SQL with which a dispatcher records it."""

import hashlib
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from json.encoder import encode_basestring as _quote

from psycopg2.extras import execute_values

from ...signing import mask_headers
from .. import clock
from .copying import copy_rows
from .routes import unstamp

ATTEMPT_COLUMNS = (
    "delivery_id",
    "batch_id",
    "company_id",
    "number",
    "started_at",
    "duration_ms",
    "outcome",
    "status",
    "error_code",
    "error",
    "url",
    "remote_ip",
    "request_headers",
    "response_headers",
    "response_body",
    "phases",
    "endpoint_id",
    "body_sha256",
)
# A success is noted on the health row at most this often while all is well.
SUCCESS_INTERVAL = timedelta(minutes=1)


def attempt_row(ticket, result, kind, code, cause, address):
    """Return the values of :data:`ATTEMPT_COLUMNS` for one try.

    :param str kind: how it ended, see ``finance.attempt.outcome``
    :param code: of the taxonomy, when it failed
    :param cause: in words, when it failed
    :param address: where it was sent
    """
    outcome = result.outcome
    if cause and outcome.detail:
        cause = f"{cause} ({outcome.detail})"
    return (
        ticket.delivery_id,
        ticket.batch_id,
        ticket.company_id,
        ticket.attempt_count + ticket.throttle_count + 1,
        clock.naive(datetime.fromtimestamp(outcome.started_at, timezone.utc)),
        outcome.duration_ms,
        kind,
        outcome.status,
        code,
        cause,
        address,
        outcome.remote_ip,
        _headers_json(result.request_headers),
        # A receiver answers with much the same headers all the time.
        _answer_json(tuple(outcome.headers.items())),
        outcome.body.decode("utf-8", "replace"),
        outcome.phases,
        ticket.endpoint_id,
        hashlib.sha256(result.parcel.body).hexdigest(),
    )


def _headers_json(headers):
    """Return headers as JSON, with the secret ones masked."""
    # By hand, as json.dumps takes several times as long for so small a mapping.
    return (
        "{"
        + ", ".join(
            [
                f"{_quote(name)}: {_quote(value)}"
                for name, value in mask_headers(headers).items()
            ]
        )
        + "}"
    )


@lru_cache(maxsize=256)
def _answer_json(items):
    return _headers_json(dict(items))


def insert_attempts(cr, rows):
    if rows:
        copy_rows(cr, "finance_attempt", ATTEMPT_COLUMNS, rows)


def mark_delivered(cr, tickets, now):
    """Mark deliveries that arrived.

    :param tickets: list of (ticket, status of the answer)
    """
    if tickets:
        cr.execute(
            """
            UPDATE finance_delivery d
               SET state = 'delivered', delivered_at = %s,
                   attempt_count = d.attempt_count + 1, last_status = v.status
              FROM unnest(%s::int[], %s::int[]) AS v(id, status)
             WHERE d.id = v.id AND d.state = 'waiting'
            """,
            [
                now,
                [ticket.delivery_id for ticket, _status in tickets],
                [status for _ticket, status in tickets],
            ],
        )


def mark_failed(cr, table, failures):
    """Mark what did not arrive.

    :param table: ``finance_delivery`` or ``finance_batch``
    :param failures: list of (id, state, due_at, status, error, counted, throttled)
    :return: the ids that were still waiting: nobody decided otherwise meanwhile
    """
    if not failures:
        return set()
    rows = execute_values(
        cr._obj,
        f"""
        UPDATE {table} d
           SET state = v.state,
               due_at = COALESCE(v.due_at, d.due_at),
               last_status = COALESCE(v.status, d.last_status),
               last_error = COALESCE(v.error, d.last_error),
               attempt_count = COALESCE(d.attempt_count, 0) + v.counted,
               throttle_count = COALESCE(d.throttle_count, 0) + v.throttled
          FROM (VALUES %s) AS v (id, state, due_at, status, error, counted, throttled)
         WHERE d.id = v.id AND d.state = 'waiting'
        RETURNING d.id
        """,  # noqa: S608 (one of two tables)
        failures,
        template="(%s, %s, %s::timestamp, %s::int, %s, %s, %s)",
        page_size=len(failures),
        fetch=True,
    )
    return {row_id for (row_id,) in rows}


def add_pulses(cr, lane, pulses, now):
    """Count what was sent in this minute.

    :param dict pulses: (endpoint id, company id) → [delivered, failed, throttled,
        duration in ms]
    """
    if not pulses:
        return
    minute = now.replace(second=0, microsecond=0)
    execute_values(
        cr._obj,
        """
        INSERT INTO finance_pulse (
            endpoint_id, company_id, lane, span, started_at,
            delivered, failed, throttled, duration_ms
        ) VALUES %s
        ON CONFLICT (endpoint_id, span, started_at, lane) DO UPDATE
           SET delivered = finance_pulse.delivered + EXCLUDED.delivered,
               failed = finance_pulse.failed + EXCLUDED.failed,
               throttled = finance_pulse.throttled + EXCLUDED.throttled,
               duration_ms = finance_pulse.duration_ms + EXCLUDED.duration_ms
        """,
        # In one order everywhere, so that two lanes never wait for each other.
        [
            (endpoint, company, lane, "minute", minute, *counts)
            for (endpoint, company), counts in sorted(pulses.items())
        ],
        page_size=len(pulses),
    )


def note_health(cr, endpoint_id, now, *, succeeded, error):
    """Note the last success and failure of an endpoint.

    :param bool succeeded: whether the latest request arrived
    :param error: the latest failure in words, if there was any
    """
    if error:
        cr.execute(
            """
            UPDATE finance_endpoint_health
               SET last_failure_at = %(now)s, last_error = %(error)s,
                   failing_since = CASE WHEN %(succeeded)s THEN NULL
                                   ELSE COALESCE(failing_since, %(now)s) END
             WHERE endpoint_id = %(endpoint)s
            """,
            {
                "now": now,
                "error": error,
                "succeeded": succeeded,
                "endpoint": endpoint_id,
            },
        )
    if succeeded:
        cr.execute(
            """
            UPDATE finance_endpoint_health
               SET last_success_at = %(now)s, failing_since = NULL
             WHERE endpoint_id = %(endpoint)s
               AND (failing_since IS NOT NULL OR last_success_at IS NULL
                    OR last_success_at < %(before)s)
            """,
            {"now": now, "endpoint": endpoint_id, "before": now - SUCCESS_INTERVAL},
        )


def save_gate(cr, endpoint_id, gate, now):
    """Save the breaker and the pause of an endpoint, so that other runs see them."""
    breaker = gate.breaker
    cr.execute(
        """
        UPDATE finance_endpoint_health
           SET breaker = %(state)s, opened_at = %(opened_at)s,
               closed_at = CASE WHEN %(state)s = 'closed' AND breaker <> 'closed'
                           THEN %(now)s ELSE closed_at END,
               probe_at = %(probe_at)s, trips = %(trips)s,
               paused_until = greatest(paused_until, %(paused_until)s)
         WHERE endpoint_id = %(endpoint)s
        """,
        {
            "state": breaker.state,
            "opened_at": unstamp(breaker.opened_at),
            "probe_at": unstamp(breaker.probe_at),
            "trips": breaker.trips,
            "paused_until": unstamp(gate.paused_until),
            "now": now,
            "endpoint": endpoint_id,
        },
    )


def take_probe(cr, endpoint_id, now, lease):
    """Take the one request that an open breaker lets through.

    Another lane's dispatcher may want it, too: the first one gets it. Whoever took it
    and died loses it after ``lease``.

    :return: whether it was taken
    """
    cr.execute(
        """
        UPDATE finance_endpoint_health
           SET breaker = 'half_open', probe_at = %(until)s
         WHERE endpoint_id = %(endpoint)s AND breaker <> 'closed'
           AND probe_at <= %(now)s
        """,
        {"endpoint": endpoint_id, "now": now, "until": now + lease},
    )
    return bool(cr.rowcount)
