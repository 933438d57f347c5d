"""Which events a replay sends, and to whom: the same for its dry run and for real."""

from collections import Counter
from datetime import datetime
from typing import NamedTuple

from ...contracts import EVENT_TYPES, choose_version
from .. import clock, constants

# What “the earlier delivery” can be, and the states of rows that stand for it; a
# delivery that waits is on its way, so it is never sent a second time beside that.
STATES = {
    "delivered": ("delivered",),
    "given_up": ("dead", "parked"),
    "cancelled": ("cancelled",),
    "unsent": ("unsent",),
}
# Before and after everything, as Odoo stores times.
THE_PAST, THE_FUTURE = datetime(1, 1, 1), datetime(9999, 1, 1)  # noqa: DTZ001
STATE_OF_ROW = {row: state for state, rows in STATES.items() for row in rows}


class Pair(NamedTuple):
    """An event for one subscriber.

    :ivar delivery_id: the newest delivery of the event to the subscriber, if any
    :ivar state: of that delivery, ``unsent`` where there is none
    """

    event_id: int
    type: str
    aggregate: str
    label: str
    occurred_at: datetime
    endpoint_id: int
    version: int
    delivery_id: int | None
    delivery_version: int | None
    state: str
    exception_id: int | None


class Selection:
    """The criteria of a replay, as queries that are bounded in time and memory.

    :param replay: record of ``finance.replay``, as superuser
    :ivar targets: {(event type, endpoint id, version): subscribers} of what can be sent
    """

    def __init__(self, replay):
        self.env = replay.env
        self.company_id = replay.company_id.id
        self.endpoint_ids = replay.endpoint_ids.ids
        self.subscription_ids = set(replay.subscription_ids.ids)
        patterns = replay._pattern_list()
        self.targets = {}
        self._chosen = {}
        for name in EVENT_TYPES:
            # A pattern may name an older version than the one that is recorded.
            if choose_version(patterns, None, name):
                self.targets.update(self._targets(name))
        self.types = sorted({event_type for event_type, _e, _v in self.targets})
        self.row_states = [row for state in replay._states() for row in STATES[state]]
        self.until = replay.until_event_id
        self.chosen = sorted(replay.event_ids.ids)
        self.aggregate = replay.aggregate or None
        # One version at an endpoint: whatever was sent before stands for it. Of
        # several, each is a message of its own.
        versions = Counter((name, endpoint) for name, endpoint, _v in self.targets)
        self.values = {
            "company": self.company_id,
            "types": self.types,
            "from": replay.occurred_from or THE_PAST,
            "to": replay.occurred_to or THE_FUTURE,
            "until": self.until,
            "aggregate": self.aggregate,
            "endpoints": self.endpoint_ids,
            "states": self.row_states,
            "target_types": [name for name, _e, _v in self.targets],
            "target_endpoints": [endpoint for _n, endpoint, _v in self.targets],
            "target_versions": [version for _n, _e, version in self.targets],
            "target_sole": [versions[name, e] == 1 for name, e, _v in self.targets],
            "limit": max(1, constants.REPLAY_CHUNK // max(1, len(self.endpoint_ids))),
        }

    # === WHOM === #

    def _targets(self, event_type):
        """Return who gets events of a type, see ``targets``."""
        targets = {}
        for subscriber in self.env["finance.subscription"]._routes(
            self.company_id, event_type
        ):
            if subscriber.endpoint_id in self.endpoint_ids and (
                not self.subscription_ids
                or subscriber.subscription_id in self.subscription_ids
            ):
                key = (event_type, subscriber.endpoint_id, subscriber.version)
                targets.setdefault(key, []).append(subscriber)
        return targets

    def subscriber(self, pair):
        """Return the subscriber of a pair, as :meth:`pairs` found it."""
        return self._chosen[pair.event_id, pair.endpoint_id, pair.version]

    # === WHAT === #

    def pairs(self, ids, recorded=True):
        """Return the pairs to send among events, in the order of the events.

        :param list ids: of events, at most a chunk
        :param bool recorded: whether they were recorded when they happened; one that
            was made of a document just now is of no time
        """
        if not ids or not self.types:
            return []
        self.env.cr.execute(
            """
            SELECT e.id, e.type, e.aggregate, e.label, e.occurred_at,
                   n.endpoint_id, n.version, d.id, d.version,
                   COALESCE(d.state, 'unsent'), d.exception_id
              FROM finance_event e
              JOIN unnest(%(target_types)s, %(target_endpoints)s,
                          %(target_versions)s, %(target_sole)s)
                   AS n(type, endpoint_id, version, sole) ON n.type = e.type
              LEFT JOIN LATERAL (
                   SELECT id, version, state, exception_id
                     FROM finance_delivery
                    WHERE event_id = e.id AND endpoint_id = n.endpoint_id
                      AND (n.sole OR version = n.version)
                    ORDER BY id DESC
                    LIMIT 1
              ) d ON TRUE
             WHERE e.id = ANY(%(ids)s)
               AND e.company_id = %(company)s
               AND (NOT %(recorded)s
                    OR e.id <= %(until)s
                       AND e.occurred_at >= %(from)s AND e.occurred_at < %(to)s)
               AND (%(aggregate)s IS NULL OR e.aggregate = %(aggregate)s)
               AND e.problem IS NULL
               AND COALESCE(d.state, 'unsent') = ANY(%(states)s)
             ORDER BY e.id, n.endpoint_id, n.version
            """,
            {**self.values, "ids": ids, "recorded": recorded},
        )
        return self._wanted([Pair(*row) for row in self.env.cr.fetchall()])

    def _wanted(self, pairs):
        """Return the pairs whose event fulfils the condition of a subscription.

        The first one whose condition it fulfils gets it, as in routing.
        """
        asked = {
            pair.event_id
            for pair in pairs
            if self._candidates(pair)[0].condition is not None
        }
        events = {
            event.id: event
            for event in self.env["finance.event"].sudo().browse(sorted(asked))
        }
        self._chosen = {}
        wanted = []
        for pair in pairs:
            for subscriber in self._candidates(pair):
                condition = subscriber.condition
                if condition is None or condition.matches(
                    events[pair.event_id].data,
                    events[pair.event_id]._filter_attributes(),
                ):
                    key = (pair.event_id, pair.endpoint_id, pair.version)
                    self._chosen[key] = subscriber
                    wanted.append(pair)
                    break
        return wanted

    def _candidates(self, pair):
        return self.targets[pair.type, pair.endpoint_id, pair.version]

    def next_ids(self, cursor):
        """Return what comes after an event, in the order in which it happened.

        :param int cursor: id of the last event that was dealt with
        :return: (ids, cursor to go on from: ``until`` when there are no more)
        """
        values = {**self.values, "cursor": cursor, "end": self.until}
        if not self.types:
            return [], self.until
        if self.chosen:
            after = [event_id for event_id in self.chosen if event_id > cursor]
            ids = after[: values["limit"]]
        elif self.aggregate:
            ids = self._ids(
                """
                SELECT id FROM finance_event
                 WHERE aggregate = %(aggregate)s AND company_id = %(company)s
                   AND id > %(cursor)s AND id <= %(end)s
                 ORDER BY id
                 LIMIT %(limit)s
                """,
                values,
            )
        else:
            values["end"] = min(cursor + constants.REPLAY_WINDOW, self.until)
            ids = self._ids(
                """
                SELECT id FROM finance_event
                 WHERE company_id = %(company)s
                   AND id > %(cursor)s AND id <= %(end)s
                   AND type = ANY(%(types)s)
                   AND occurred_at >= %(from)s AND occurred_at < %(to)s
                 ORDER BY id
                 LIMIT %(limit)s
                """,
                values,
            )
        if len(ids) == values["limit"]:
            return ids, ids[-1]
        return ids, values["end"]

    def _ids(self, query, values):
        self.env.cr.execute(query, values)
        return [event_id for (event_id,) in self.env.cr.fetchall()]

    # === THE DRY RUN === #

    def count(self):
        """Count what would be sent.

        :return: dict with ``total``, ``complete`` (False: there is more), ``types``,
            ``states``, ``endpoints`` ({id as text: number}), ``first``, ``last``
            (times, or None), ``first_id``, ``last_id`` and ``sample`` (documents)
        """
        counts = {
            "total": 0,
            "complete": True,
            "types": {},
            "states": {},
            "endpoints": {},
            "first": None,
            "last": None,
            "first_id": None,
            "last_id": None,
            "sample": [],
        }
        deadline = clock.now() + constants.REPLAY_COUNT_BUDGET
        for ids in self._pages():
            for pair in self.pairs(ids):
                if counts["total"] == constants.REPLAY_COUNT_LIMIT:
                    counts["complete"] = False
                    return counts
                self._add(counts, pair)
            if clock.now() > deadline:
                counts["complete"] = False
                return counts
        return counts

    @staticmethod
    def _add(counts, pair):
        counts["total"] += 1
        for key, value in (
            ("types", pair.type),
            ("states", STATE_OF_ROW[pair.state]),
            ("endpoints", str(pair.endpoint_id)),
        ):
            counts[key][value] = counts[key].get(value, 0) + 1
        counts["first"] = min(counts["first"] or pair.occurred_at, pair.occurred_at)
        counts["last"] = max(counts["last"] or pair.occurred_at, pair.occurred_at)
        counts["first_id"] = min(counts["first_id"] or pair.event_id, pair.event_id)
        counts["last_id"] = max(counts["last_id"] or pair.event_id, pair.event_id)
        if (
            len(counts["sample"]) < constants.REPLAY_SAMPLE
            and pair.label not in counts["sample"]
        ):
            counts["sample"].append(pair.label)

    def _pages(self):
        """Yield lists of candidate ids by the path that reads the fewest rows."""
        if not self.types:
            return
        if self.chosen or self.aggregate:
            cursor = 0
            while cursor < self.until:
                ids, cursor = self.next_ids(cursor)
                yield ids
        elif {"delivered", "unsent"}.isdisjoint(self.row_states):
            yield from self._pages_by_state()
        else:
            for event_type in self.types:
                yield from self._pages_by_time(event_type)

    def _pages_by_state(self):
        """Rows that were given up or cancelled are few: begin with them."""
        ids = self._ids(
            """
            SELECT DISTINCT e.id
              FROM finance_delivery d
              JOIN finance_event e ON e.id = d.event_id
             WHERE d.state = ANY(%(states)s)
               AND d.state IN ('waiting', 'parked', 'dead', 'cancelled')
               AND d.endpoint_id = ANY(%(endpoints)s)
               AND e.company_id = %(company)s
               AND e.id <= %(until)s
               AND e.type = ANY(%(types)s)
               AND e.occurred_at >= %(from)s AND e.occurred_at < %(to)s
             ORDER BY e.id
             LIMIT %(most)s
            """,
            # One more than is counted, so that the limit is noticed.
            {**self.values, "most": constants.REPLAY_COUNT_LIMIT + 1},
        )
        step = self.values["limit"]
        for start in range(0, len(ids), step):
            yield ids[start : start + step]

    def _pages_by_time(self, event_type):
        at, last_id = self.values["from"], 0
        while True:
            self.env.cr.execute(
                """
                SELECT id, occurred_at FROM finance_event
                 WHERE company_id = %(company)s
                   AND type = %(type)s
                   AND (occurred_at, id) > (%(at)s, %(last_id)s)
                   AND occurred_at < %(to)s
                   AND id <= %(until)s
                 ORDER BY occurred_at, id
                 LIMIT %(limit)s
                """,
                {**self.values, "type": event_type, "at": at, "last_id": last_id},
            )
            rows = self.env.cr.fetchall()
            if rows:
                yield [event_id for event_id, _at in rows]
                last_id, at = rows[-1]
            if len(rows) < self.values["limit"]:
                return
