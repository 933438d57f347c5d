"""The database's side of delivering: what is due, and what became of it.

One dispatcher serves every endpoint that no other one holds. It claims rows in one
short transaction, the engine sends them with no transaction open, and the outcomes
are recorded in batches by further short transactions. At any moment the process can
die: claimed rows are found again by the next holder of the endpoint's lock.
"""

import logging
import secrets
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from math import ceil

from psycopg2.errors import SerializationFailure
from psycopg2.extras import Json, execute_values

from odoo import SUPERUSER_ID, api
from odoo.exceptions import UserError

from ...signing import Signer, mask_headers
from ...transport import decide, explain, parse_schedule
from ...transport.engine import Destination, Engine, Parcel, Result
from .. import clock, constants
from ..networks import allowed_networks

_logger = logging.getLogger(__name__)

# A transaction that lost a race is simply run again.
MAX_TRIES = 5
CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
USER_AGENT = "finance-hub/1"
# Decisions that are also the final state of a delivery.
FINAL_STATES = ("delivered", "dead")


@dataclass(slots=True)
class Statistics:
    """What a run did."""

    delivered: int = 0
    failed: int = 0
    released: int = 0
    out_of_time: bool = False

    def __str__(self):
        return (
            f"{self.delivered} delivered, {self.failed} failed, "
            f"{self.released} not tried"
        )


@dataclass(slots=True)
class Route:
    """An endpoint as a run sees it."""

    destination: Destination
    schedule: tuple[float, ...]
    dead_on_client_error: bool


@dataclass(slots=True)
class Ticket:
    """What recording needs to know of a claimed row."""

    delivery_id: int
    endpoint_id: int
    company_id: int
    attempt_count: int
    throttle_count: int
    exception_id: int | None
    label: str = field(repr=False)


class Dispatcher:
    """One run over all endpoints that can be had.

    :param registry: of the database to serve
    :param timedelta budget: how long new rows are claimed
    :param bool threads: whether the database is used beside the event loop; tests
        that share one cursor turn it off
    """

    def __init__(self, registry, budget=constants.DISPATCH_BUDGET, threads=True):
        self._registry = registry
        self._budget = budget
        self._threads = threads
        self._token = secrets.token_hex(8)
        self._routes: dict[int, Route] = {}
        self._gone: set[int] = set()
        self.statistics = Statistics()

    # === THE RUN === #

    def run(self) -> Statistics:
        """Deliver what is due until nothing is left or the budget is used up."""
        with self._locked_endpoints():
            if self._routes:
                engine = Engine(
                    claim=self._claim,
                    record=self._record,
                    budget=self._budget.total_seconds(),
                    networks=allowed_networks(),
                    threads=self._threads,
                )
                self.statistics.out_of_time = engine.run()
        return self.statistics

    def next_wake(self) -> datetime | None:
        """Return when a failed delivery is due next, if that is soon.

        :return: aware time in UTC, rounded up so that wake-ups are shared
        """
        now = clock.now()
        with self._registry.cursor() as cr:
            cr.execute(
                """
                SELECT min(due_at) FROM finance_delivery
                 WHERE state = 'waiting' AND due_at > %s AND due_at <= %s
                """,
                [clock.naive(now), clock.naive(now + constants.WAKE_HORIZON)],
            )
            (due_at,) = cr.fetchone()
        if due_at is None:
            return None
        bucket = constants.WAKE_BUCKET.total_seconds()
        stamp = due_at.replace(tzinfo=timezone.utc).timestamp()
        return datetime.fromtimestamp(ceil(stamp / bucket) * bucket, timezone.utc)

    # === LOCKS === #

    @contextmanager
    def _locked_endpoints(self):
        """Hold every endpoint that no other dispatcher holds.

        Session locks end with the connection, however the process ends. So whoever
        gets the lock knows that rows still marked as being sent are orphans.
        """
        with self._registry.cursor() as cr:
            try:
                routes = self._load_routes(cr)
                for endpoint_id, route in routes.items():
                    cr.execute(
                        "SELECT pg_try_advisory_lock(%s, %s)",
                        [constants.ENDPOINT_LOCK_CLASS, endpoint_id],
                    )
                    if cr.fetchone()[0]:
                        self._routes[endpoint_id] = route
                if self._routes:
                    cr.execute(
                        """
                        UPDATE finance_delivery
                           SET state = 'waiting', lease_token = NULL,
                               lease_until = NULL
                         WHERE state = 'sending' AND endpoint_id = ANY(%s)
                        """,
                        [list(self._routes)],
                    )
                # A cursor of this run's own, not the job's.
                cr.commit()  # pylint: disable=invalid-commit
                yield
            finally:
                cr.rollback()
                for endpoint_id in self._routes:
                    cr.execute(
                        "SELECT pg_advisory_unlock(%s, %s)",
                        [constants.ENDPOINT_LOCK_CLASS, endpoint_id],
                    )

    def _load_routes(self, cr) -> dict[int, Route]:
        env = api.Environment(cr, SUPERUSER_ID, {})
        endpoints = env["finance.endpoint"].search(
            [("state", "=", "live"), ("connector_id.state", "=", "live")]
        )
        routes = {}
        for endpoint in endpoints:
            try:
                signer = Signer(endpoint.credential_id._secrets())
            except (UserError, ValueError) as error:
                endpoint._suspend(str(error))
                env["finance.exception"]._open(
                    "T-INTERNAL",
                    company=endpoint.company_id,
                    record=endpoint,
                    connector=endpoint.connector_id,
                    fingerprint=f"endpoint:{endpoint.id}:secret",
                    summary=env._("%s: nothing can be signed", endpoint.name),
                    cause=str(error),
                )
                continue
            routes[endpoint.id] = Route(
                destination=Destination(
                    key=endpoint.id,
                    url=endpoint.url,
                    signer=signer,
                    headers={"Content-Type": CONTENT_TYPE, "User-Agent": USER_AGENT},
                    timeout=float(endpoint.timeout),
                    concurrency=endpoint.concurrency,
                ),
                schedule=parse_schedule(endpoint.retry_schedule),
                dead_on_client_error=endpoint.dead_on_client_error,
            )
        return routes

    # === CLAIMING === #

    def _claim(self, in_hand: dict[int, int]) -> list[Parcel]:
        """Claim due rows, a fair share of each endpoint.

        A row is due when its time has come and no earlier row of its aggregate is
        in the way: being sent, given up, or waiting for a later time. Waiting behind
        one costs no attempt.

        :param in_hand: rows per endpoint that are claimed and not yet finished
        """
        room = {}
        for endpoint_id, route in self._routes.items():
            most = route.destination.concurrency * constants.CLAIM_FACTOR
            free = most - in_hand.get(endpoint_id, 0)
            if free >= most / 2 and endpoint_id not in self._gone:
                room[endpoint_id] = free
        if not room:
            return []
        return self._in_transaction(lambda cr: self._claim_rows(cr, room))

    def _claim_rows(self, cr, room):
        now = clock.now()
        cr.execute(
            """
            WITH picked AS (
                SELECT due.id
                  FROM unnest(%(endpoints)s, %(room)s) AS endpoint(id, room)
                  -- Whoever was suspended since the run began gets nothing more.
                  JOIN finance_endpoint n ON n.id = endpoint.id AND n.state = 'live'
                  JOIN finance_connector c
                    ON c.id = n.connector_id AND c.state = 'live'
                 CROSS JOIN LATERAL (
                    SELECT d.id
                      FROM finance_delivery d
                     WHERE d.endpoint_id = endpoint.id
                       AND d.state = 'waiting'
                       AND d.due_at <= %(now)s
                       AND NOT EXISTS (
                           SELECT 1 FROM finance_delivery p
                            WHERE p.endpoint_id = d.endpoint_id
                              AND p.aggregate = d.aggregate
                              AND p.id < d.id
                              AND p.state IN ('waiting', 'sending', 'dead')
                              AND (p.state <> 'waiting' OR p.due_at > %(now)s)
                       )
                     ORDER BY d.id
                     LIMIT endpoint.room
                       FOR UPDATE OF d SKIP LOCKED
                 ) due
            ), claimed AS (
                UPDATE finance_delivery d
                   SET state = 'sending', lease_token = %(token)s,
                       lease_until = %(until)s
                  FROM picked
                 WHERE d.id = picked.id
             RETURNING d.id, d.event_id, d.endpoint_id, d.aggregate,
                       d.attempt_count, d.throttle_count, d.exception_id
            )
            SELECT c.id, c.endpoint_id, c.aggregate, c.attempt_count, c.throttle_count,
                   c.exception_id,
                   e.event_id, e.type, e.sequence, e.company_id, e.source, e.subject,
                   e.occurred_at, e.correlation_id, e.causation_id, e.actor, e.data,
                   e.label
              FROM claimed c
              JOIN finance_event e ON e.id = c.event_id
             ORDER BY c.id
            """,
            {
                "endpoints": list(room),
                "room": list(room.values()),
                "now": clock.naive(now),
                "token": self._token,
                "until": clock.naive(now + constants.LEASE_DURATION),
            },
        )
        columns = [column.name for column in cr.description]
        rows = [dict(zip(columns, row, strict=True)) for row in cr.fetchall()]
        body = api.Environment(cr, SUPERUSER_ID, {})["finance.event"]._body
        parcels, broken = [], []
        for values in rows:
            values["occurred_at"] = values["occurred_at"].replace(tzinfo=timezone.utc)
            try:
                parcels.append(self._parcel(values, body(values)))
            except ValueError as error:
                # One event that can't be written must not keep the others back.
                _logger.exception("finance_hub: event %s", values["event_id"])
                broken.append((values, error))
        if broken:
            self._set_aside(cr, broken)
        return parcels

    def _parcel(self, values, body):
        return Parcel(
            destination=self._routes[values["endpoint_id"]].destination,
            lane=values["aggregate"],
            message_id=values["event_id"],
            body=body,
            ticket=Ticket(
                delivery_id=values["id"],
                endpoint_id=values["endpoint_id"],
                company_id=values["company_id"],
                attempt_count=values["attempt_count"],
                throttle_count=values["throttle_count"],
                exception_id=values["exception_id"],
                label=values["label"],
            ),
        )

    def _set_aside(self, cr, broken):
        """Give up rows whose event can't be put into an envelope."""
        env = api.Environment(cr, SUPERUSER_ID, {})
        for values, error in broken:
            endpoint = env["finance.endpoint"].browse(values["endpoint_id"])
            delivery = env["finance.delivery"].browse(values["id"])
            exception = env["finance.exception"]._open(
                "D-SCHEMA",
                company=endpoint.company_id,
                record=delivery,
                connector=endpoint.connector_id,
                fingerprint=f"delivery:{delivery.id}",
                summary=env._("%s: the event can't be written", values["label"]),
                cause=str(error),
                correlation_id=values["correlation_id"],
            )
            delivery.write(
                {
                    "state": "dead",
                    "last_error": str(error),
                    "lease_token": False,
                    "lease_until": False,
                    "exception_id": exception.id,
                }
            )
        env.flush_all()

    # === RECORDING === #

    def _record(self, results: list[Result]) -> None:
        """Record what became of claimed rows."""
        done = self._in_transaction(lambda cr: self._record_rows(cr, results))
        self.statistics.delivered += done.delivered
        self.statistics.failed += done.failed
        self.statistics.released += done.released

    def _record_rows(self, cr, results) -> Statistics:
        now = clock.now()
        done = Statistics()
        updates, attempts, solved, dead, gone = [], [], set(), [], {}
        for result in results:
            ticket, outcome = result.parcel.ticket, result.outcome
            if outcome is None:
                # Never tried: it goes back as it was.
                updates.append(
                    (ticket.delivery_id, "waiting", None, None, None, None, 0, 0)
                )
                done.released += 1
                continue
            decision, code, cause = self._judge(ticket, outcome, now)
            state = decision.kind if decision.kind in FINAL_STATES else "waiting"
            updates.append(
                (
                    ticket.delivery_id,
                    state,
                    decision.due_at and clock.naive(decision.due_at),
                    clock.naive(now) if state == "delivered" else None,
                    outcome.status,
                    cause,
                    int(decision.counts_as_attempt),
                    int(not decision.counts_as_attempt),
                )
            )
            attempts.append(self._attempt_row(result, decision, code, cause))
            if state == "delivered":
                done.delivered += 1
                if ticket.exception_id:
                    solved.add(ticket.exception_id)
                continue
            done.failed += 1
            if state == "dead":
                dead.append((ticket, cause))
            elif decision.kind == "gone":
                gone[ticket.endpoint_id] = cause
        kept = self._update(cr, updates)
        self._insert_attempts(cr, attempts)
        dead = [item for item in dead if item[0].delivery_id in kept]
        if dead or gone or solved:
            self._report(cr, dead, gone, solved)
        return done

    def _judge(self, ticket, outcome, now):
        """Return (decision, taxonomy code, cause in words) of an outcome."""
        route = self._routes[ticket.endpoint_id]
        decision = decide(
            outcome,
            attempts_made=ticket.attempt_count + 1,
            now=now,
            schedule=route.schedule,
            dead_on_client_error=route.dead_on_client_error,
            throttles_made=ticket.throttle_count,
        )
        if outcome.delivered:
            return decision, None, None
        explanation = explain(outcome)
        return decision, explanation.code, explanation.cause

    def _attempt_row(self, result, decision, code, cause):
        ticket, outcome = result.parcel.ticket, result.outcome
        kind = decision.kind
        if kind == "retry" and not decision.counts_as_attempt:
            kind = "throttled"
        if cause and outcome.detail:
            cause = f"{cause} ({outcome.detail})"
        started_at = datetime.fromtimestamp(outcome.started_at, timezone.utc)
        return (
            ticket.delivery_id,
            ticket.company_id,
            ticket.attempt_count + 1,
            clock.naive(started_at),
            outcome.duration_ms,
            kind,
            outcome.status,
            code,
            cause,
            self._routes[ticket.endpoint_id].destination.url,
            outcome.remote_ip,
            Json(mask_headers(result.request_headers)),
            Json(mask_headers(outcome.headers)),
            # PostgreSQL's text has no NUL.
            outcome.body.decode("utf-8", "replace").replace("\0", "\ufffd"),
            Json(outcome.phases),
        )

    def _insert_attempts(self, cr, attempts):
        if attempts:
            execute_values(
                cr._obj,
                """
                INSERT INTO finance_attempt (
                    delivery_id, company_id, number, started_at, duration_ms,
                    outcome, status, error_code, error, url, remote_ip,
                    request_headers, response_headers, response_body, phases
                ) VALUES %s
                """,
                attempts,
                page_size=len(attempts),
            )

    def _update(self, cr, updates):
        """Write the new states; return the ids that were still this run's."""
        rows = execute_values(
            cr._obj,
            """
            UPDATE finance_delivery d
               SET state = v.state,
                   due_at = COALESCE(v.due_at, d.due_at),
                   delivered_at = v.delivered_at,
                   last_status = COALESCE(v.status, d.last_status),
                   last_error = COALESCE(v.error, d.last_error),
                   attempt_count = d.attempt_count + v.counted,
                   throttle_count = d.throttle_count + v.throttled,
                   lease_token = NULL,
                   lease_until = NULL
              FROM (VALUES %s) AS v (
                   id, state, due_at, delivered_at, status, error, counted, throttled,
                   token)
             WHERE d.id = v.id AND d.lease_token = v.token
            RETURNING d.id
            """,
            [(*update, self._token) for update in updates],
            template="(%s, %s, %s::timestamp, %s::timestamp, %s::int, %s, %s, %s, %s)",
            page_size=len(updates),
            fetch=True,
        )
        return {delivery_id for (delivery_id,) in rows}

    def _report(self, cr, dead, gone, solved):
        """Open and resolve the exceptions of recorded rows."""
        env = api.Environment(cr, SUPERUSER_ID, {})
        exceptions = env["finance.exception"]
        by_endpoint = {}
        for ticket, cause in dead:
            by_endpoint.setdefault(ticket.endpoint_id, []).append((ticket, cause))
        for endpoint_id, tickets in by_endpoint.items():
            endpoint = env["finance.endpoint"].browse(endpoint_id)
            ticket, cause = tickets[-1]
            exception = exceptions._open(
                "T-DEADLETTER",
                company=endpoint.company_id,
                record=endpoint,
                connector=endpoint.connector_id,
                fingerprint=f"endpoint:{endpoint_id}:dead",
                summary=env._(
                    "%(endpoint)s does not take our events (last: %(label)s)",
                    endpoint=endpoint.name,
                    label=ticket.label,
                ),
                cause=cause,
                occurrences=len(tickets),
            )
            env["finance.delivery"].browse(
                [ticket.delivery_id for ticket, _cause in tickets]
            ).write({"exception_id": exception.id})
        for endpoint_id, cause in gone.items():
            endpoint = env["finance.endpoint"].browse(endpoint_id)
            endpoint._suspend(cause)
            self._gone.add(endpoint_id)
            exceptions._open(
                "T-GONE",
                company=endpoint.company_id,
                record=endpoint,
                connector=endpoint.connector_id,
                fingerprint=f"endpoint:{endpoint_id}:gone",
                summary=env._("%s is gone and was suspended", endpoint.name),
                cause=cause,
            )
        if solved:
            exceptions.browse(solved)._resolve_if_done(env._("Delivered"))
        env.flush_all()

    # === TRANSACTIONS === #

    def _in_transaction(self, work):
        """Run ``work(cr)`` in a transaction of its own, again if it lost a race."""
        for attempt in range(1, MAX_TRIES + 1):
            try:
                with self._registry.cursor() as cr:
                    return work(cr)
            except SerializationFailure:
                if attempt == MAX_TRIES:
                    raise
                _logger.info("finance_hub: dispatcher lost a race, once more")
        return None
