"""One lane's run over the endpoints that have something to send.

It takes rows in hand in one short transaction, the engine sends them with no
transaction open, and the outcomes are recorded in batches by further short
transactions. At any moment the process can die: what was in hand is still waiting in
the database, and its lock ends with the connection.
"""

import logging
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from math import ceil

from odoo import SUPERUSER_ID, api

from ...transport import CLOSED, decide, explain
from ...transport.engine import Claim, Engine, Parcel, Result
from .. import clock, constants
from ..networks import allowed_networks
from . import batching, body, recording
from .claiming import Position, claim_rows, next_due
from .holdings import LOOK_ROUND, Holdings
from .passage import Passage
from .reporting import Report

_logger = logging.getLogger(__name__)

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
class _Claimed:
    """What a claim brought, to be believed once its transaction is committed."""

    claim: Claim
    positions: dict[int, Position] = field(default_factory=dict)
    probed: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Ticket:
    """What recording needs to know of one parcel: a delivery, or a batch of them."""

    endpoint_id: int
    company_id: int
    attempt_count: int
    throttle_count: int
    exception_id: int | None
    label: str = field(repr=False)
    delivery_id: int | None = None
    batch_id: int | None = None
    events: int = 1
    divisible: bool = False


class Dispatcher:
    """One run.

    :param registry: of the database to serve
    :param lane: one of ``constants.LANES``
    :param timedelta budget: how long new rows are claimed
    :param bool threads: whether the database is used beside the event loop; tests
        that share one cursor turn it off
    """

    def __init__(
        self,
        registry,
        lane="standard",
        budget=constants.DISPATCH_BUDGET,
        threads=True,
    ):
        self._registry = registry
        self._lane = lane
        self._budget = budget
        self._threads = threads
        self._holdings = Holdings(registry, lane, apart=threads)
        self._routes = self._holdings.routes
        self._passage = Passage(self._routes)
        self._positions: dict[int, Position] = defaultdict(Position)
        self._in_hand: set[int] = set()
        self._batches_in_hand: set[int] = set()
        self.statistics = Statistics()

    # === THE RUN === #

    def run(self) -> Statistics:
        """Deliver what is due until nothing is left or the budget is used up."""
        with self._holdings.open():
            engine = Engine(
                claim=self._claim,
                record=self._record,
                budget=self._budget.total_seconds(),
                networks=allowed_networks(),
                threads=self._threads,
                now=lambda: clock.now().timestamp(),
            )
            try:
                self.statistics.out_of_time = engine.run()
            finally:
                if probed := self._passage.on_probation():
                    # The next run tries what this one came too late for.
                    self._holdings.run(
                        lambda cr: self._passage.put_off(cr, clock.now(), probed)
                    )
        return self.statistics

    def next_wake(self) -> datetime | None:
        """Return when something is due next, if that is soon.

        :return: aware time in UTC, rounded up so that wake-ups are shared
        """
        now = clock.now()
        with self._registry.cursor() as cr:
            due = self._next_due(cr, clock.naive(now))
        moments = [moment for moment in due if moment is not None]
        moments += [clock.naive(moment) for moment in self._passage.token_at.values()]
        for route in self._routes.values():
            gate_at = route.destination.gate.opens_at(now.timestamp())
            if gate_at:
                moments.append(
                    clock.naive(datetime.fromtimestamp(gate_at, timezone.utc))
                )
            if quiet_until := route.quiet_until(now):
                moments.append(clock.naive(quiet_until))
        if not moments:
            return None
        earliest = min(moments).replace(tzinfo=timezone.utc)
        if earliest > now + constants.WAKE_HORIZON:
            return None
        bucket = constants.WAKE_BUCKET.total_seconds()
        seconds = max(earliest, now).timestamp()
        return datetime.fromtimestamp(ceil(seconds / bucket) * bucket, timezone.utc)

    # === CLAIMING === #

    def _claim(self, in_hand: dict[int, int]) -> Claim:
        """Claim due rows, a fair share of each endpoint.

        :param in_hand: parcels per endpoint that are claimed and not yet finished
        """
        now = clock.now()
        self._holdings.look_round(now)
        room = {}
        again = []
        for endpoint_id, route in self._routes.items():
            destination = route.destination
            opens_at = destination.gate.opens_at(now.timestamp())
            quiet_until = route.quiet_until(now)
            if opens_at or quiet_until:
                again += [opens_at and opens_at - now.timestamp()]
                continue
            free = destination.window - in_hand.get(endpoint_id, 0)
            if free >= destination.window / 2:
                room[endpoint_id] = free
        if not room:
            return Claim((), _soonest(again))
        claimed = self._holdings.run(
            lambda cr: self._claim_in(cr, now, dict(room), list(again), in_hand)
        )
        # Not before it is committed: a transaction that lost a race took nothing.
        self._positions.update(claimed.positions)
        for endpoint_id in claimed.probed:
            self._routes[endpoint_id].destination.gate.breaker.half_open()
        for parcel in claimed.claim.parcels:
            ticket = parcel.ticket
            if ticket.batch_id:
                self._batches_in_hand.add(ticket.batch_id)
            else:
                self._in_hand.add(ticket.delivery_id)
        return claimed.claim

    def _claim_in(self, cr, now, room, again, in_hand):
        probed = self._passage.through(cr, now, room, again, in_hand)
        if not room:
            return _Claimed(Claim((), _soonest(again)))
        batching_room = sorted(self._holdings.batching & room.keys())
        parcels, used = [], defaultdict(int)
        if batching_room:
            parcels = self._claim_batches(cr, now, batching_room, again)
        for parcel in parcels:
            # A batch takes as many tokens as it has events, on credit if need be.
            rate = self._routes[parcel.ticket.endpoint_id].rate
            used[parcel.ticket.endpoint_id] += parcel.ticket.events if rate else 1
        positions = {endpoint: replace(self._positions[endpoint]) for endpoint in room}
        left = {
            endpoint_id: free - used[endpoint_id]
            for endpoint_id, free in room.items()
            if free > used[endpoint_id]
        }
        rows, found = [], {}
        if left:
            rows, found = claim_rows(cr, self._lane, left, positions, self._in_hand)
        for endpoint_id, free in left.items():
            position = positions[endpoint_id]
            if found.get(endpoint_id, 0) < free and now - position.begun >= LOOK_ROUND:
                # It is at the end: soon from the beginning, for what is due earlier.
                position.rewind(now)
        if not found and self._rewind(left, positions, now):
            # Nothing further on; from the beginning, for what came due meanwhile.
            again.append(0.0)
        elif found and not rows:
            # All of them wait behind others and were moved; there may be more.
            again.append(0.0)
        for row in rows:
            used[row["endpoint_id"]] += 1
        self._passage.give_back(cr, room, used)
        broken, stopped = [], set()
        for row in rows:
            lane = (row["endpoint_id"], row["lane_key"])
            if lane in stopped:
                # It comes after one that is given up here: looked at anew.
                positions[row["endpoint_id"]].rewind(now)
                again.append(0.0)
                continue
            try:
                parcels.append(self._parcel(row))
            except Exception as error:
                # One event that can't be written must not keep the others back.
                _logger.exception("finance_hub: event %s", row["event_id"])
                broken.append((row, error))
                stopped.add(lane)
        if broken:
            batching.set_aside(api.Environment(cr, SUPERUSER_ID, {}), broken)
        used_by = {parcel.destination.key for parcel in parcels}
        # What found nothing to let through is left to others to try.
        self._passage.put_off(cr, now, probed - used_by)
        claimed = _Claimed(Claim(parcels), positions=positions, probed=probed & used_by)
        if not found:
            due = [
                (moment.replace(tzinfo=timezone.utc) - now).total_seconds()
                for moment in self._next_due(cr, clock.naive(now))
                if moment
            ]
            again += due
        claimed.claim.again_in = _soonest(again)
        claimed.claim.more = (
            bool(batching_room)
            or 0.0 in again
            or any(found.get(key, 0) >= free for key, free in left.items())
        )
        return claimed

    def _next_due(self, cr, now):
        """Return when a row is due next, and when a batch is to be formed next."""
        return (
            next_due(cr, self._lane, now),
            batching.next_form(cr, self._lane, now),
        )

    def _rewind(self, room, positions, now):
        """Begin anew where a claim had gone on; return whether there was any."""
        moved = False
        for endpoint_id in room:
            position = positions[endpoint_id]
            moved = moved or not position.at_beginning
            position.rewind(now)
        return moved

    def _parcel(self, row):
        form = body.form(
            row["content_mode"], row["mask_personal"], row["mask_confidential"]
        )
        headers, content = body.message(row, form, row["version"])
        return Parcel(
            destination=self._routes[row["endpoint_id"]].destination,
            lane=row["lane_key"],
            message_id=row["event_id"],
            body=content,
            headers=headers,
            ticket=Ticket(
                delivery_id=row["id"],
                endpoint_id=row["endpoint_id"],
                company_id=row["company_id"],
                attempt_count=row["attempt_count"],
                throttle_count=row["throttle_count"],
                exception_id=row["exception_id"],
                label=row["label"],
            ),
        )

    def _claim_batches(self, cr, now, endpoint_ids, again):
        """Form the batches that are due, and take those in hand that may go."""
        env = api.Environment(cr, SUPERUSER_ID, {})
        # Whoever was suspended since the run began gets nothing more.
        endpoint_ids = batching.live(cr, endpoint_ids)
        form_at = batching.form(env, self._lane, endpoint_ids, clock.naive(now))
        if form_at:
            again.append((form_at.replace(tzinfo=timezone.utc) - now).total_seconds())
        parcels = []
        for batch in batching.due(
            env, self._lane, endpoint_ids, clock.naive(now), self._batches_in_hand
        ):
            written = batching.ready(batch)
            if written is None:
                again.append(0.0)
                continue
            headers, content = written
            parcels.append(
                Parcel(
                    destination=self._routes[batch.endpoint_id.id].destination,
                    lane=f"batch/{batch.subscription_id.id}",
                    message_id=batch.batch_key,
                    body=content,
                    headers=headers,
                    ticket=Ticket(
                        batch_id=batch.id,
                        endpoint_id=batch.endpoint_id.id,
                        company_id=batch.company_id.id,
                        attempt_count=batch.attempt_count,
                        throttle_count=batch.throttle_count,
                        exception_id=batch.exception_id.id or None,
                        label=batch.display_name,
                        events=batch.event_count,
                        divisible=batch._divisible(),
                    ),
                )
            )
        env.flush_all()
        return parcels

    # === RECORDING === #

    def _record(self, results: list[Result]) -> None:
        """Record what became of claimed rows."""
        now = clock.now()
        tried = [result for result in results if result.outcome is not None]
        # Reset first: what changes from here on is saved the next time.
        gates = self._changed_gates({r.parcel.destination.key for r in tried})
        done = Statistics(released=len(results) - len(tried))
        if tried:
            self._holdings.run(lambda cr: self._record_in(cr, now, tried, gates))
        self._return_tokens(results)
        for result in results:
            ticket = result.parcel.ticket
            self._in_hand.discard(ticket.delivery_id)
            self._batches_in_hand.discard(ticket.batch_id)
            if result.outcome is None:
                self._positions[ticket.endpoint_id].rewind(now)
            elif result.outcome.delivered:
                done.delivered += ticket.events
            else:
                done.failed += ticket.events
        self.statistics.delivered += done.delivered
        self.statistics.failed += done.failed
        self.statistics.released += done.released

    def _return_tokens(self, results):
        """Give back the tokens of what was not tried."""
        spare = defaultdict(int)
        for result in results:
            ticket = result.parcel.ticket
            if result.outcome is None and self._routes[ticket.endpoint_id].rate:
                spare[ticket.endpoint_id] += ticket.events
        for endpoint_id, tokens in sorted(spare.items()):
            self._holdings.run(
                lambda cr, endpoint_id=endpoint_id, tokens=tokens: (
                    self._passage.add_tokens(cr, endpoint_id, tokens)
                )
            )

    def _record_in(self, cr, now, results, gates):
        naive = clock.naive(now)
        report = Report()
        attempts, delivered, failed, batches = [], [], [], []
        pulses = defaultdict(lambda: [0, 0, 0, 0.0])
        for result in results:
            ticket, outcome = result.parcel.ticket, result.outcome
            route = self._routes[ticket.endpoint_id]
            pulse = pulses[ticket.endpoint_id, route.company_id]
            pulse[3] += outcome.duration_ms
            if outcome.delivered:
                kind, code, cause = "delivered", None, None
                pulse[0] += 1
                report.success(ticket)
                if ticket.batch_id:
                    batches.append((ticket, outcome, None))
                else:
                    delivered.append((ticket, outcome.status))
            else:
                decision, code, cause = self._judge(route, ticket, outcome, now)
                kind = decision.kind
                if kind == "retry" and not decision.counts_as_attempt:
                    kind = "throttled"
                pulse[2 if kind == "throttled" else 1] += 1
                report.failure(ticket, decision, cause)
                if ticket.batch_id:
                    batches.append((ticket, outcome, decision))
                failed.append((ticket, outcome, decision, cause))
            attempts.append(
                recording.attempt_row(ticket, result, kind, code, cause, route.address)
            )
        recording.mark_delivered(cr, delivered, naive)
        kept = recording.mark_failed(
            cr,
            "finance_delivery",
            [
                _failure(ticket.delivery_id, outcome, decision, cause)
                for ticket, outcome, decision, cause in failed
                if ticket.delivery_id
            ],
        )
        kept_batches = recording.mark_failed(
            cr,
            "finance_batch",
            [
                _failure(ticket.batch_id, outcome, decision, cause)
                for ticket, outcome, decision, cause in failed
                if ticket.batch_id
            ],
        )
        report.dead = [
            (ticket, cause)
            for ticket, cause in report.dead
            if ticket.delivery_id in kept or ticket.batch_id in kept_batches
        ]
        recording.insert_attempts(cr, attempts)
        recording.add_pulses(cr, self._lane, pulses, naive)
        for endpoint_id, (succeeded, error) in sorted(report.health.items()):
            recording.note_health(
                cr, endpoint_id, naive, succeeded=succeeded, error=error
            )
            if endpoint_id in gates:
                recording.save_gate(cr, endpoint_id, gates[endpoint_id], naive)
        env = api.Environment(cr, SUPERUSER_ID, {})
        if any(gate.breaker.state == CLOSED for gate in gates.values()):
            # Other lanes may wait for how the request went that was let through.
            env["finance.delivery"]._wake_after_commit()
        if batches:
            batching.record(env, batches, naive)
        report.tell(env)
        env.flush_all()

    def _judge(self, route, ticket, outcome, now):
        """Return (decision, taxonomy code, cause in words) of a failure."""
        decision = decide(
            outcome,
            attempts_made=ticket.attempt_count + 1,
            now=now,
            schedule=route.schedule,
            dead_on_client_error=route.dead_on_client_error,
            throttles_made=ticket.throttle_count,
        )
        if ticket.divisible and outcome.status in constants.BATCH_SPLIT_STATUSES:
            # What can't be taken is looked for in its halves, see batching.
            decision = replace(decision, kind="retry", due_at=now)
        explanation = explain(outcome)
        return decision, explanation.code, explanation.cause

    def _changed_gates(self, endpoint_ids):
        """Return the gates that are to be saved, and believe that they will be."""
        gates = {}
        for endpoint_id in endpoint_ids:
            gate = self._routes[endpoint_id].destination.gate
            if gate.changed or gate.breaker.changed:
                gate.changed = gate.breaker.changed = False
                gates[endpoint_id] = gate
        return gates


def _failure(row_id, outcome, decision, cause):
    return (
        row_id,
        decision.kind if decision.kind in FINAL_STATES else "waiting",
        decision.due_at and clock.naive(decision.due_at),
        outcome.status,
        cause,
        int(decision.counts_as_attempt),
        int(not decision.counts_as_attempt),
    )


def _soonest(seconds):
    """Return the least of some seconds from now, None when there are none."""
    known = [max(value, 0.0) for value in seconds if value is not None]
    return min(known, default=None)
