"""What may pass to the endpoints of a run: circuit breakers and limited rates."""

from datetime import datetime, timedelta

from ...transport import CLOSED, HALF_OPEN, OPEN, next_token, take
from .. import clock
from . import recording
from .routes import Route, stamp, update_gates


class Passage:
    """Lets through to endpoints what their gates and buckets allow.

    Its methods work in the transaction of ``cr``.

    :param dict routes: of the run, by endpoint id; they come and go
    :ivar token_at: when endpoints of a limited rate may be sent to next
    """

    def __init__(self, routes: dict[int, Route]):
        self._routes = routes
        self.token_at: dict[int, datetime] = {}

    # === BREAKERS === #

    def through(self, cr, now, room, again, in_hand):
        """Narrow ``room`` to what breakers and rates let through.

        :param list again: gets the seconds until a limited rate allows more
        :return: the endpoints whose breaker lets one request through, to try
        """
        probed = set()
        # In one order everywhere, so that two lanes never wait for each other.
        for endpoint_id in sorted(room):
            route = self._routes[endpoint_id]
            breaker = route.destination.gate.breaker
            if breaker.state != CLOSED:
                if breaker.state == HALF_OPEN and in_hand.get(endpoint_id):
                    # The one that was let through is on its way.
                    del room[endpoint_id]
                    continue
                room[endpoint_id] = 1
            self.token_at.pop(endpoint_id, None)
            if route.rate:
                granted, wait = self._take_tokens(cr, now, endpoint_id, room)
                if not granted:
                    again.append(wait)
                    self.token_at[endpoint_id] = now + timedelta(seconds=wait)
                    del room[endpoint_id]
                    continue
                room[endpoint_id] = granted
            if breaker.state == OPEN:
                lease = timedelta(seconds=route.destination.timeout * 2)
                if recording.take_probe(cr, endpoint_id, clock.naive(now), lease):
                    probed.add(endpoint_id)
                else:
                    # Another lane was first; it tells how it went.
                    if route.rate:
                        self.add_tokens(cr, endpoint_id, 1)
                    del room[endpoint_id]
                    update_gates(cr, {endpoint_id: route.destination.gate})
                    opens_at = route.destination.gate.opens_at(now.timestamp())
                    again.append(opens_at - now.timestamp() if opens_at else 0.0)
            elif breaker.state == HALF_OPEN:
                # What was let through came back untried.
                probed.add(endpoint_id)
        return probed

    def put_off(self, cr, now, endpoint_ids):
        """Leave it to others to try the endpoints, after another pause."""
        for endpoint_id in endpoint_ids:
            gate = self._routes[endpoint_id].destination.gate
            gate.breaker.put_off(now.timestamp())
            gate.breaker.changed = False
            recording.save_gate(cr, endpoint_id, gate, clock.naive(now))

    def on_probation(self) -> list[int]:
        """Return the endpoints that one request was let through to."""
        return [
            endpoint_id
            for endpoint_id, route in self._routes.items()
            if route.destination.gate.breaker.state == HALF_OPEN
        ]

    # === LIMITED RATES === #

    def _take_tokens(self, cr, now, endpoint_id, room):
        """Take from the endpoint's bucket, which all lanes share.

        :return: (how many may go, seconds until there is one more)
        """
        route = self._routes[endpoint_id]
        cr.execute(
            "SELECT tokens, tokens_at FROM finance_endpoint_health"
            " WHERE endpoint_id = %s FOR UPDATE",
            [endpoint_id],
        )
        tokens, tokens_at = cr.fetchone()
        if tokens_at is None:
            tokens, tokens_at = float(route.burst), clock.naive(now)
        elapsed = now.timestamp() - stamp(tokens_at)
        granted, left = take(
            tokens, elapsed, route.rate, route.burst, room[endpoint_id]
        )
        if granted:
            cr.execute(
                "UPDATE finance_endpoint_health SET tokens = %s, tokens_at = %s"
                " WHERE endpoint_id = %s",
                [left, clock.naive(now), endpoint_id],
            )
        return granted, next_token(left, route.rate)

    def give_back(self, cr, room, used):
        """Give back the tokens for which there was nothing, or take what is owed."""
        for endpoint_id, granted in sorted(room.items()):
            spare = granted - used[endpoint_id]
            if self._routes[endpoint_id].rate and spare:
                self.add_tokens(cr, endpoint_id, spare)

    def add_tokens(self, cr, endpoint_id, tokens):
        """Put tokens back into the bucket of an endpoint; take them if negative."""
        cr.execute(
            "UPDATE finance_endpoint_health SET tokens = tokens + %s"
            " WHERE endpoint_id = %s",
            [tokens, endpoint_id],
        )
