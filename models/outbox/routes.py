"""An endpoint as a dispatcher needs it: everything at hand, nothing left to look up."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

import pytz

from ...transport import (
    BREAKER_WINDOW_SECONDS,
    HALF_OPEN,
    OPEN,
    Breaker,
    Gate,
    QuietWindow,
    parse_quiet,
    parse_schedule,
    quiet_until,
)
from ...transport.amqp_sender import AmqpOptions
from ...transport.engine import Destination
from ...transport.http import HttpOptions
from .. import clock, constants

USER_AGENT = "finance-hub/1"


@dataclass(slots=True)
class Route:
    """An endpoint as a run sees it.

    :ivar rate: events per second over all lanes, 0 for no limit
    :ivar burst: how many may go at once after a pause
    """

    destination: Destination
    company_id: int
    schedule: tuple[float, ...]
    dead_on_client_error: bool
    rate: float
    burst: int
    quiet: tuple[QuietWindow, ...]
    zone: tzinfo
    address: str

    def quiet_until(self, now: datetime) -> datetime | None:
        """Return when the endpoint's quiet window ends, None outside of one."""
        return quiet_until(self.quiet, now, self.zone) if self.quiet else None

    def through(self, gate: Gate) -> "Route":
        """Return the same route through another gate."""
        return replace(self, destination=replace(self.destination, gate=gate))


# What a server process keeps of routes between runs: loading one reads several records
# and decrypts its secrets. (database, endpoint id) → (changed at, loaded at, route).
_kept: dict[tuple[str, int], tuple[datetime, datetime, Route]] = {}


def recall(key, changed_at: datetime, now: datetime) -> Route | None:
    """Return a route that was kept, unless it was changed since or is too old."""
    found = _kept.get(key)
    if found is None:
        return None
    stamped, loaded_at, route = found
    fresh = timedelta() <= now - loaded_at < constants.ROUTE_KEPT
    return route if stamped == changed_at and fresh else None


def keep(key, changed_at: datetime, now: datetime, route: Route) -> None:
    """Keep a route for the runs to come."""
    if len(_kept) >= constants.ROUTES_KEPT:
        _kept.clear()
    _kept[key] = (changed_at, now, route)


def load_route(endpoint, gate: Gate | None = None) -> Route:
    """Return the route of a ``finance.endpoint``.

    :param gate: the state of its breaker; a closed one by default
    :raise UserError: when its secrets can't be used; the message says why
    :raise ValueError: when its settings can't be read
    """
    endpoint = endpoint.sudo()
    transport = TRANSPORTS[endpoint.transport]
    return Route(
        destination=Destination(
            key=endpoint.id,
            transport=endpoint.transport,
            options=transport(endpoint),
            timeout=float(endpoint.timeout),
            concurrency=endpoint.concurrency,
            window=endpoint.concurrency * constants.CLAIM_FACTOR,
            gate=gate or Gate(),
        ),
        company_id=endpoint.company_id.id,
        schedule=parse_schedule(endpoint.retry_schedule),
        dead_on_client_error=endpoint.dead_on_client_error,
        rate=endpoint.rate_limit,
        burst=endpoint.rate_burst or max(1, round(endpoint.rate_limit)),
        quiet=parse_quiet(endpoint.quiet_windows),
        zone=zone_named(endpoint.quiet_tz or "UTC"),
        address=endpoint.url,
    )


@lru_cache(maxsize=64)
def zone_named(name: str) -> tzinfo:
    """Return a time zone by its name."""
    # From pytz, which every Odoo has: the system's own zones may be missing.
    with pytz.open_resource(name) as stream:
        return ZoneInfo.from_file(stream, key=name)


def _https(endpoint) -> HttpOptions:
    return HttpOptions(
        url=endpoint.url,
        headers={"User-Agent": USER_AGENT},
        signer=endpoint.credential_id._signer(),
        authenticator=endpoint._authenticator(),
        ssl_context=endpoint._ssl_context(),
        proxy=endpoint._proxy(),
    )


def _amqp(endpoint) -> AmqpOptions:
    username, password = endpoint.auth_credential_id._login()
    return AmqpOptions(
        url=endpoint.url,
        exchange=endpoint.amqp_exchange,
        declare=endpoint.amqp_declare_exchange,
        routing_key=endpoint.amqp_routing_key,
        username=username,
        password=password,
        ssl_context=endpoint._ssl_context(),
        signer=endpoint.credential_id._signer() if endpoint.credential_id else None,
    )


#: What a transport's options are made of; see ``transport.engine.SENDERS``.
TRANSPORTS = {"https": _https, "amqp": _amqp}


def load_gates(cr, endpoint_ids: list[int]) -> dict[int, Gate]:
    """Return the gates of endpoints as earlier runs left them."""
    now = clock.now()
    rows = _read_gates(cr, endpoint_ids, now)
    missing = set(endpoint_ids) - {row[0] for row in rows}
    if missing:
        # An endpoint that nothing was sent to yet.
        cr.execute(
            """
            INSERT INTO finance_endpoint_health (
                endpoint_id, company_id, breaker, trips, notice)
            SELECT n.id, n.company_id, 'closed', 0, 0
              FROM finance_endpoint n
             WHERE n.id = ANY(%s)
                ON CONFLICT (endpoint_id) DO NOTHING
            """,
            [list(missing)],
        )
        rows += _read_gates(cr, list(missing), now)
    gates = {}
    for row in rows:
        endpoint_id, state, opened_at, probe_at, trips, paused, delivered, failed = row
        breaker = Breaker(
            # Whoever tries again says so in the database; others wait.
            state=OPEN if state == HALF_OPEN else state,
            opened_at=stamp(opened_at),
            probe_at=stamp(probe_at),
            trips=trips or 0,
        )
        breaker.seed(delivered or 0, failed or 0, now.timestamp())
        gates[endpoint_id] = Gate(breaker, paused_until=stamp(paused) or 0.0)
    return gates


def _read_gates(cr, endpoint_ids, now):
    cr.execute(
        """
        SELECT h.endpoint_id, h.breaker, h.opened_at, h.probe_at, h.trips,
               h.paused_until, p.delivered, p.failed
          FROM finance_endpoint_health h
          LEFT JOIN LATERAL (
            SELECT sum(p.delivered) AS delivered, sum(p.failed) AS failed
              FROM finance_pulse p
             WHERE p.endpoint_id = h.endpoint_id
               AND p.span = 'minute'
               AND p.started_at >= greatest(%(since)s, h.closed_at)
          ) p ON true
         WHERE h.endpoint_id = ANY(%(ids)s)
        """,
        {
            "ids": endpoint_ids,
            # Whole minutes: what lies before the window counts half at most.
            "since": clock.naive(now - timedelta(seconds=BREAKER_WINDOW_SECONDS)),
        },
    )
    return cr.fetchall()


def update_gates(cr, gates: dict[int, Gate]) -> None:
    """Take over what other lanes' runs saved of the endpoints meanwhile."""
    cr.execute(
        """
        SELECT endpoint_id, breaker, opened_at, probe_at, trips, paused_until
          FROM finance_endpoint_health
         WHERE endpoint_id = ANY(%s)
        """,
        [list(gates)],
    )
    for endpoint_id, state, opened_at, probe_at, trips, paused in cr.fetchall():
        gate = gates[endpoint_id]
        gate.paused_until = max(gate.paused_until, stamp(paused) or 0.0)
        # What this run knows and has not saved yet, and what it tries, is newer.
        if not gate.breaker.changed and gate.breaker.state != HALF_OPEN:
            gate.breaker.adopt(state, stamp(opened_at), stamp(probe_at), trips or 0)


def stamp(moment: datetime | None) -> float | None:
    """Return a stored time as Unix seconds."""
    return moment and moment.replace(tzinfo=timezone.utc).timestamp()


def unstamp(seconds: float | None) -> datetime | None:
    """Return Unix seconds the way Odoo stores times."""
    if not seconds:
        return None
    return clock.naive(datetime.fromtimestamp(seconds, timezone.utc))
