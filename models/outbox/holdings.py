"""The endpoints that a run has made its own, and the connection that makes them so."""

import logging
import random
import time
from contextlib import contextmanager
from datetime import datetime, timedelta

import psycopg2
from psycopg2.errors import UniqueViolation
from psycopg2.extensions import (
    ISOLATION_LEVEL_READ_COMMITTED,
    TransactionRollbackError,
)

from odoo import SUPERUSER_ID, api
from odoo.exceptions import UserError

from .. import clock, constants
from .claiming import busy_endpoints
from .routes import Route, keep, load_gates, load_route, recall, update_gates

_logger = logging.getLogger(__name__)

# A transaction that lost a race is simply run again, after a little while (seconds,
# times the number of tries, times chance) in which the others get through.
MAX_TRIES = 8
TRY_PAUSE = 0.02
# How often a run looks for further endpoints that have something to send.
LOOK_ROUND = timedelta(seconds=1)


class Holdings:
    """What a run holds by session locks, which end with its connection.

    One connection does everything, one short transaction after the other: whoever
    loses it has lost the endpoints, too.

    :param registry: of the database to serve
    :param lane: one of ``constants.LANES``
    :param bool apart: whether the connection is the run's own; a test's cursor, which
        is shared, is in a transaction already and never commits
    """

    def __init__(self, registry, lane, apart):
        self.routes: dict[int, Route] = {}
        # Endpoints some subscription of which has batches.
        self.batching: set[int] = set()
        self._registry = registry
        self._lane = lane
        self._apart = apart
        self._locked: set[int] = set()
        self._looked_at: datetime | None = None
        self._cr = None

    @contextmanager
    def open(self):
        """Hold the connection, and give up everything at the end of the block."""
        with self._registry.cursor() as cr:
            if self._apart:
                # All lanes write the health row of an endpoint. Each of their
                # statements holds by itself, so they wait for each other where Odoo's
                # usual isolation would have them fail. Odoo sets its own again for
                # whoever gets the connection next.
                cr.connection.set_isolation_level(ISOLATION_LEVEL_READ_COMMITTED)
            self._cr = cr
            try:
                yield
            finally:
                cr.rollback()
                self._unlock(cr, list(self._locked))
                cr.commit()  # pylint: disable=invalid-commit

    def run(self, work):
        """Return ``work(cr)``, done in one transaction; again if it lost a race."""
        cr = self._cr
        for attempt in range(1, MAX_TRIES + 1):
            try:
                result = work(cr)
                # A cursor of this run's own, not the job's.
                cr.commit()  # pylint: disable=invalid-commit
                return result
            except (TransactionRollbackError, UniqueViolation):
                cr.rollback()
                if attempt == MAX_TRIES:
                    raise
                _logger.info("finance_hub: dispatcher lost a race, once more")
                time.sleep(TRY_PAUSE * attempt * random.random())  # noqa: S311
            except BaseException:
                cr.rollback()
                raise
        return None

    # === LOOKING ROUND === #

    def look_round(self, now):
        """Take on endpoints that have something to send and that nobody else has."""
        if self._looked_at and now - self._looked_at < LOOK_ROUND:
            return
        self._looked_at = now
        if self.routes:
            # What other lanes learned of them: that they rest, or work again.
            self.run(self.update_gates)
        found, unusable = self.run(lambda cr: self._take_on(cr, now))
        self.routes.update(found)
        if unusable:
            self.run(lambda cr: self._unlock(cr, unusable))

    def update_gates(self, cr):
        """Take over what other lanes' runs saved of the endpoints meanwhile."""
        gates = {key: route.destination.gate for key, route in self.routes.items()}
        update_gates(cr, gates)

    def _take_on(self, cr, now):
        """Lock endpoints that are busy; return (routes, ids of unusable ones)."""
        busy = {
            row.id: row
            for row in busy_endpoints(cr, self._lane, clock.naive(now))
            if row.id not in self.routes
        }
        mine = self._lock(cr, busy)
        if not mine:
            return {}, []
        self.batching |= {key for key in mine if busy[key].batching}
        gates = load_gates(cr, mine)
        routes = {
            endpoint_id: route.through(gates[endpoint_id])
            for endpoint_id in mine
            if self._apart
            and (
                route := recall(
                    (cr.dbname, endpoint_id), busy[endpoint_id].changed_at, now
                )
            )
        }
        unknown = [endpoint_id for endpoint_id in mine if endpoint_id not in routes]
        unusable = []
        if unknown:
            env = api.Environment(cr, SUPERUSER_ID, {})
            for endpoint in env["finance.endpoint"].browse(unknown):
                changed_at = busy[endpoint.id].changed_at
                route = self._load_route(endpoint, gates[endpoint.id], changed_at, now)
                if route:
                    routes[endpoint.id] = route
                else:
                    unusable.append(endpoint.id)
            env.flush_all()
        return routes, unusable

    def _load_route(self, endpoint, gate, changed_at, now):
        """Return the route of an endpoint; None, and suspend it, if it has none."""
        try:
            route = load_route(endpoint, gate)
        except psycopg2.Error:
            raise
        except Exception as error:
            # One endpoint that can't be used must not keep the others back.
            if not isinstance(error, (UserError, ValueError)):
                _logger.exception("finance_hub: endpoint %s", endpoint.id)
            env = endpoint.env
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
            return None
        keep((endpoint.env.cr.dbname, endpoint.id), changed_at, now, route)
        return route

    # === LOCKS === #

    @property
    def _lock_class(self):
        return constants.ENDPOINT_LOCK_CLASS + constants.LANES.index(self._lane)

    def _lock(self, cr, endpoint_ids):
        """Return those of the endpoints that nobody else has; they are held now."""
        # A lock taken twice had to be given up twice: those of a first try, which lost
        # a race later on, are held still.
        wanted = [key for key in endpoint_ids if key not in self._locked]
        if wanted:
            cr.execute(
                "SELECT id FROM unnest(%s::int[]) AS id"
                " WHERE pg_try_advisory_lock(%s, id)",
                [wanted, self._lock_class],
            )
            self._locked.update(row[0] for row in cr.fetchall())
        return [key for key in endpoint_ids if key in self._locked]

    def _unlock(self, cr, endpoint_ids):
        if endpoint_ids:
            cr.execute(
                "SELECT pg_advisory_unlock(%s, id) FROM unnest(%s::int[]) AS id",
                [self._lock_class, endpoint_ids],
            )
            self._locked.difference_update(endpoint_ids)
