"""How messages become commands, and commands are applied: the job behind the inbox.

Two steps, each in transactions of its own. *Reading* makes the commands of messages,
connector by connector in the order of arrival. *Applying* does what they say. A
connector's commands are spread over tracks by the object they are about (their
aggregate); within a track they are applied in order by one job at a time, so no two
commands of one object overtake each other or meet, while other tracks go on in other
jobs.

Many rows share a transaction, each in a savepoint. A transaction that fails as a whole
is rolled back and its rows are tried one by one.

What a job begins is marked and committed first. A mark that is found by the next
holder of the track's lock was left by a process that died: such a row is tried alone,
and after some deaths it is put before a person instead of killing servers for ever.
"""

import logging
import time
from contextlib import contextmanager

from psycopg2 import IntegrityError, OperationalError

from odoo import SUPERUSER_ID, api
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY

from .. import clock, constants
from ..ledger.errors import CommandError

_logger = logging.getLogger(__name__)

CRASHED = "The server process ended {} times while it was at work on this."
# What makes a transaction worth running again as it is.
RACES = (*PG_CONCURRENCY_EXCEPTIONS_TO_RETRY, IntegrityError)

# Connectors with unread messages, and tracks with commands, each found by jumping
# through a partial index.
UNREAD = """
    WITH RECURSIVE seen(connector_id) AS (
        (SELECT connector_id FROM finance_message
          WHERE state = 'received' AND read_at IS NULL
          ORDER BY connector_id LIMIT 1)
        UNION ALL
        SELECT (SELECT m.connector_id FROM finance_message m
                 WHERE m.state = 'received' AND m.read_at IS NULL
                   AND m.connector_id > s.connector_id
                 ORDER BY m.connector_id LIMIT 1)
          FROM seen s WHERE s.connector_id IS NOT NULL
    )
    SELECT connector_id FROM seen WHERE connector_id IS NOT NULL
"""
READY = """
    WITH RECURSIVE seen(connector_id, track) AS (
        (SELECT connector_id, track FROM finance_command
          WHERE state = 'received'
          ORDER BY connector_id, track LIMIT 1)
        UNION ALL
        (SELECT c.connector_id, c.track
           FROM seen s, LATERAL (
                SELECT connector_id, track FROM finance_command
                 WHERE state = 'received'
                   AND (connector_id, track) > (s.connector_id, s.track)
                 ORDER BY connector_id, track LIMIT 1) c)
    )
    SELECT connector_id, track FROM seen
"""
# A message that is read again later holds up none of the others.
CLAIM_MESSAGES = """
    SELECT id, started_at IS NOT NULL FROM finance_message
     WHERE connector_id = %(connector)s AND state = 'received' AND read_at IS NULL
       AND (next_attempt_at IS NULL OR next_attempt_at <= %(now)s)
     ORDER BY id LIMIT %(batch)s
"""
# A command that is tried again later holds up those of its own object alone.
CLAIM_COMMANDS = """
    SELECT c.id, c.started_at IS NOT NULL
      FROM finance_command c
     WHERE c.connector_id = %(connector)s AND c.track = %(track)s
       AND c.state = 'received'
       AND (c.next_attempt_at IS NULL OR c.next_attempt_at <= %(now)s)
       AND NOT EXISTS (
           SELECT FROM finance_command e
            WHERE e.connector_id = c.connector_id AND e.aggregate = c.aggregate
              AND e.state = 'received' AND e.id < c.id
              AND e.next_attempt_at > %(now)s)
     ORDER BY c.id LIMIT %(batch)s
"""
MARK = """
    UPDATE {table}
       SET crash_count = COALESCE(crash_count, 0) + (started_at IS NOT NULL)::int,
           started_at = %(now)s
     WHERE id = ANY(%(ids)s) AND state = 'received'
    RETURNING id, crash_count
"""
UNMARK = """
    UPDATE {table} SET started_at = NULL
     WHERE id = ANY(%(ids)s) AND state = 'received'
"""
# Read, and nothing left to apply.
FINISH = """
    UPDATE finance_message m
       SET state = 'processed', processed_at = %(now)s, error = NULL, error_code = NULL
     WHERE m.state = 'received' AND m.read_at IS NOT NULL {which}
       AND NOT EXISTS (
           SELECT FROM finance_command c
            WHERE c.message_id = m.id AND c.state = 'received')
"""
WORK = """
    SELECT EXISTS (
        SELECT FROM finance_message
         WHERE state = 'received' AND read_at IS NULL
           AND (next_attempt_at IS NULL OR next_attempt_at <= %(now)s)
    ) OR EXISTS (
        SELECT FROM finance_command
         WHERE state = 'received'
           AND (next_attempt_at IS NULL OR next_attempt_at <= %(now)s)
    ) OR EXISTS (
        SELECT FROM finance_message m
         WHERE m.state = 'received' AND m.read_at IS NOT NULL
           AND NOT EXISTS (
               SELECT FROM finance_command c
                WHERE c.message_id = m.id AND c.state = 'received')
    )
"""


class Processor:
    """One run of the job.

    :ivar done: commands that were dealt with
    """

    def __init__(self, registry):
        self._registry = registry
        self.done = 0

    def run(self, seconds):
        """Work until nothing is left or the time is over.

        :return: whether something may be left
        """
        deadline = time.monotonic() + seconds
        while self.round(deadline):
            if time.monotonic() > deadline:
                return True
        return False

    def round(self, deadline=float("inf")):
        """Read a batch of each connector and apply one of each track.

        :return: whether there was anything to do
        """
        busy = False
        with self._registry.cursor() as lock_cr:
            for connector_id in self._look(lock_cr, UNREAD):
                with self._alone(lock_cr, *connector_id, constants.TRACKS) as mine:
                    busy |= mine and self._read(*connector_id)
                if time.monotonic() > deadline:
                    return True
            for track in self._look(lock_cr, READY):
                with self._alone(lock_cr, *track) as mine:
                    busy |= mine and self._apply(*track)
                if time.monotonic() > deadline:
                    return True
        if not busy:
            self._finish()
        return busy

    @staticmethod
    def has_work(cr):
        """Return whether there is anything that could be done now."""
        cr.execute(WORK, {"now": clock.naive_now()})
        return cr.fetchone()[0]

    # === WHO WORKS ON WHAT === #

    @staticmethod
    def _look(cr, query):
        cr.execute(query)
        rows = cr.fetchall()
        # A cursor of this run's own: no snapshot stays open.
        cr.commit()  # pylint: disable=invalid-commit
        return rows

    @contextmanager
    def _alone(self, cr, connector_id, track):
        """Hold the lock of a track if nobody else does; give whether it is held.

        It ends with the connection, however the process ends.
        """
        key = connector_id * (constants.TRACKS + 1) + track
        arguments = [constants.INBOX_LOCK_CLASS, key]
        cr.execute("SELECT pg_try_advisory_lock(%s, %s)", arguments)
        mine = cr.fetchone()[0]
        cr.commit()  # pylint: disable=invalid-commit
        try:
            yield mine
        finally:
            if mine:
                cr.execute("SELECT pg_advisory_unlock(%s, %s)", arguments)
                cr.commit()  # pylint: disable=invalid-commit

    # === STEPS === #

    def _read(self, connector_id):
        """Read a batch of a connector's messages."""
        ids = self._claim(
            CLAIM_MESSAGES, {"connector": connector_id}, constants.READ_BATCH
        )
        ids = ids and self._mark("finance.message", ids)
        if not ids:
            return ids is not None
        self._in_batch("finance.message", ids, self._read_batch)
        return True

    def _apply(self, connector_id, track):
        """Apply a batch of a track's commands."""
        ids = self._claim(
            CLAIM_COMMANDS,
            {"connector": connector_id, "track": track},
            constants.PROCESS_BATCH,
        )
        ids = ids and self._mark("finance.command", ids)
        if not ids:
            return ids is not None
        self._in_batch("finance.command", ids, self._apply_batch)
        self._finish(ids)
        return True

    def _claim(self, query, values, batch):
        """Return the ids to work on next: one that was left by a crash alone.

        :return: None when there is nothing
        """
        with self._registry.cursor() as cr:
            cr.execute(query, {**values, "now": clock.naive_now(), "batch": batch})
            rows = cr.fetchall()
        if not rows:
            return None
        if rows[0][1]:
            return [rows[0][0]]
        found = []
        for row_id, crashed in rows:
            if crashed:
                break
            found.append(row_id)
        return found

    def _mark(self, model, ids):
        """Mark rows as begun, and commit; return those that may be.

        Whatever was marked before and crashed too often goes to a person.
        """

        def mark(env):
            env.cr.execute(
                MARK.format(table=env[model]._table),
                {"ids": ids, "now": clock.naive_now()},
            )
            crashes = dict(env.cr.fetchall())
            env[model].invalidate_model(flush=False)
            for row_id, count in crashes.items():
                if count >= constants.PROCESS_MAX_CRASHES:
                    self._give_up(env[model].browse(row_id), count)
            return [
                row_id
                for row_id in ids
                if crashes.get(row_id, constants.PROCESS_MAX_CRASHES)
                < constants.PROCESS_MAX_CRASHES
            ]

        return self._in_transaction(mark)

    @staticmethod
    def _give_up(record, count):
        cause = CRASHED.format(count)
        _logger.error("finance_hub: %s given up: %s", record, cause)
        if record._name == "finance.message":
            record._fail("T-INTERNAL", cause)
        else:
            record._fail(CommandError("T-INTERNAL", cause))

    def _in_batch(self, model, ids, work):
        """Do ``work(env, ids)`` in one transaction, and else one by one.

        ``work`` returns (ids that are done with, {id: unexpected error}).
        """
        try:
            with self._registry.cursor() as cr:
                env = api.Environment(cr, SUPERUSER_ID, {})
                done, errors = work(env, ids)
                left = set(ids) - done - errors.keys()
                if left:
                    cr.flush()
                    cr.execute(
                        UNMARK.format(table=env[model]._table), {"ids": list(left)}
                    )
                # Now, so that what the end of the transaction finds is caught.
                cr.flush()
        except Exception as error:
            _logger.info("finance_hub: %s %s one by one: %s", model, ids, error)
            done, errors = set(), {}
            for row_id in ids:
                error = self._one(row_id, work)
                if error is None:
                    done.add(row_id)
                else:
                    errors[row_id] = error
        self.done += len(done) if model == "finance.command" else 0
        for row_id, error in errors.items():
            _logger.error("finance_hub: %s %s failed", model, row_id, exc_info=error)
            self._in_transaction(
                lambda env, row_id=row_id, error=error: (
                    env[model].browse(row_id)._postpone(error)
                )
            )

    def _one(self, row_id, work):
        """Do ``work`` for one row; return the unexpected error, None if all is well."""
        for attempt in range(1, constants.PROCESS_MAX_TRIES + 1):
            try:
                with self._registry.cursor() as cr:
                    env = api.Environment(cr, SUPERUSER_ID, {})
                    _done, errors = work(env, [row_id])
                    if errors:
                        cr.rollback()
                        return errors[row_id]
                    cr.flush()
                return None
            except RACES as error:
                # Lost a race; run again, it sees the winner's work. Unless it isn't
                # a race.
                if attempt == constants.PROCESS_MAX_TRIES:
                    return error
            except Exception as error:
                return error
        return None

    @staticmethod
    def _read_batch(env, ids):
        messages = env["finance.message"].browse(ids)
        if len(messages) > 1:
            done = messages._read(constants.READ_BATCH_TIME.total_seconds())
        else:
            done = messages._read()
        return set(done.ids), {}

    @staticmethod
    def _apply_batch(env, ids):
        deadline = time.monotonic() + constants.PROCESS_BATCH_TIME.total_seconds()
        done, errors, stopped = set(), {}, set()
        for command in env["finance.command"].browse(ids):
            if done and time.monotonic() > deadline:
                break
            if command.aggregate and command.aggregate in stopped:
                continue
            try:
                command._apply()
                if command.state == "received":
                    # There is more to do, in the next transaction; those of the same
                    # object come after it.
                    stopped.add(command.aggregate)
                    continue
                done.add(command.id)
            except OperationalError:
                # The transaction itself is no good any more.
                raise
            except Exception as error:
                # Undone by the command's savepoint; this fails if it was not in it.
                env.cr.execute("SELECT 1", log_exceptions=False)
                errors[command.id] = error
                stopped.add(command.aggregate)
        return done, errors

    def _finish(self, command_ids=None):
        """Mark messages processed of which nothing is left to apply."""
        which, values = "", {"now": clock.naive_now()}
        if command_ids:
            which = (
                "AND m.id IN (SELECT message_id FROM finance_command "
                "WHERE id = ANY(%(commands)s))"
            )
            values["commands"] = command_ids

        def finish(env):
            env.cr.execute(FINISH.format(which=which), values, log_exceptions=False)
            env["finance.message"].invalidate_model(flush=False)

        self._in_transaction(finish)

    def _in_transaction(self, work):
        """Do a short piece of work, again when it loses a race."""
        for attempt in range(1, constants.PROCESS_MAX_TRIES + 1):
            try:
                with self._registry.cursor() as cr:
                    result = work(api.Environment(cr, SUPERUSER_ID, {}))
                    cr.flush()
                    return result
            except PG_CONCURRENCY_EXCEPTIONS_TO_RETRY:
                if attempt == constants.PROCESS_MAX_TRIES:
                    raise
        return None
