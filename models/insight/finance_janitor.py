import logging

from odoo import api, models

from .. import clock, constants
from ..words import age_text

_logger = logging.getLogger(__name__)

CODE = "T-STUCK"

# Endpoints and lanes where something is due for long, nothing was tried in that time,
# and nothing is known that would be in the way. What waits for an earlier event of its
# document is not late by itself.
STUCK_DELIVERIES = """
    SELECT n.id, l.lane, late.due_at
      FROM finance_endpoint n
      JOIN finance_connector c ON c.id = n.connector_id
      LEFT JOIN finance_endpoint_health h ON h.endpoint_id = n.id
     CROSS JOIN unnest(%(lanes)s) AS l(lane)
     CROSS JOIN LATERAL (
        SELECT min(due.due_at) AS due_at
          FROM (SELECT d.id, d.aggregate, d.due_at, d.replay_id
                  FROM finance_delivery d
                 WHERE d.endpoint_id = n.id AND d.lane = l.lane
                   AND d.state = 'waiting' AND d.due_at < %(late)s
                 ORDER BY d.due_at, d.id
                 LIMIT %(sample)s) AS due
         WHERE NOT EXISTS (
               SELECT FROM finance_delivery p
                WHERE p.endpoint_id = n.id AND p.aggregate = due.aggregate
                  AND p.id < due.id AND p.state IN ('waiting', 'parked', 'dead')
                  AND p.due_at IS NOT NULL
                  AND p.replay_id IS NOT DISTINCT FROM due.replay_id)
     ) AS late
     WHERE n.state = 'live' AND n.active AND n.transport <> 'feed'
       AND c.state = 'live' AND c.active
       AND n.write_date < %(late)s AND c.write_date < %(late)s
       AND late.due_at IS NOT NULL
       AND COALESCE(h.paused_until, late.due_at) <= %(late)s
       AND COALESCE(h.probe_at, late.due_at) <= %(late)s
       AND NOT EXISTS (
           SELECT FROM finance_pulse p
            WHERE p.endpoint_id = n.id AND p.span = 'minute'
              AND p.started_at >= %(late)s AND p.lane = l.lane)
"""

STUCK_BATCHES = """
    SELECT n.id, l.lane, late.due_at
      FROM finance_endpoint n
      JOIN finance_connector c ON c.id = n.connector_id
      LEFT JOIN finance_endpoint_health h ON h.endpoint_id = n.id
     CROSS JOIN unnest(%(lanes)s) AS l(lane)
     CROSS JOIN LATERAL (
        SELECT b.due_at
          FROM finance_batch b
         WHERE b.endpoint_id = n.id AND b.lane = l.lane
           AND b.state = 'waiting' AND b.due_at < %(late)s
         ORDER BY b.due_at
         LIMIT 1
     ) AS late
     WHERE n.state = 'live' AND n.active AND n.transport <> 'feed'
       AND c.state = 'live' AND c.active
       AND n.write_date < %(late)s AND c.write_date < %(late)s
       AND COALESCE(h.paused_until, late.due_at) <= %(late)s
       AND COALESCE(h.probe_at, late.due_at) <= %(late)s
       AND NOT EXISTS (
           SELECT FROM finance_pulse p
            WHERE p.endpoint_id = n.id AND p.span = 'minute'
              AND p.started_at >= %(late)s AND p.lane = l.lane)
"""

# The exceptions that given-up deliveries hang on, each once, by jumping through the
# index; then those of them that are closed, and the rows that hang on none.
ABANDONED = """
    WITH RECURSIVE seen(id) AS (
        (SELECT d.exception_id FROM finance_delivery d
          WHERE d.state = 'dead' AND d.exception_id IS NOT NULL
          ORDER BY d.exception_id LIMIT 1)
        UNION ALL
        SELECT (SELECT d.exception_id FROM finance_delivery d
                 WHERE d.state = 'dead' AND d.exception_id > s.id
                 ORDER BY d.exception_id LIMIT 1)
          FROM seen s WHERE s.id IS NOT NULL
    ), closed AS (
        SELECT x.id FROM seen s
          JOIN finance_exception x ON x.id = s.id
         WHERE x.state NOT IN ('open', 'in_progress')
    )
    (SELECT d.id, d.endpoint_id
       FROM closed x
       JOIN finance_delivery d ON d.exception_id = x.id AND d.state = 'dead'
      LIMIT %(most)s)
     UNION ALL
    (SELECT d.id, d.endpoint_id
       FROM finance_delivery d
      WHERE d.state = 'dead' AND d.exception_id IS NULL
      LIMIT %(most)s)
"""

# Collected for a batch, and since then the subscription wants its events singly:
# nobody would ever send them.
ORPHANS = """
    UPDATE finance_delivery
       SET due_at = %(now)s
     WHERE id IN (
        SELECT d.id
          FROM finance_subscription s
          JOIN finance_endpoint n ON n.id = s.endpoint_id AND n.transport <> 'feed'
          JOIN finance_delivery d
            ON d.subscription_id = s.id AND d.state = 'waiting' AND d.due_at IS NULL
           AND d.batch_id IS NULL
         WHERE s.delivery_mode = 'realtime'
           -- What a paused replay holds back has no time either.
           AND NOT EXISTS (
               SELECT FROM finance_replay r
                WHERE r.id = d.replay_id AND r.state = 'paused')
         LIMIT %(most)s)
    RETURNING lane
"""

HEALTHLESS = """
    INSERT INTO finance_endpoint_health (
        endpoint_id, company_id, breaker, trips, notice)
    SELECT n.id, n.company_id, 'closed', 0, 0
      FROM finance_endpoint n
     WHERE NOT EXISTS (
           SELECT FROM finance_endpoint_health h WHERE h.endpoint_id = n.id)
    ON CONFLICT (endpoint_id) DO NOTHING
"""

STUCK_MESSAGES = """
    SELECT m.connector_id, min(m.received_at), count(*)
      FROM (SELECT connector_id, received_at,
                   GREATEST(received_at, next_attempt_at) AS due_at
              FROM finance_message
             WHERE state = 'received'
             ORDER BY id LIMIT %(most)s) AS m
     WHERE m.due_at < %(late)s
       -- While others are processed, these are only waiting for their turn.
       AND COALESCE(
           (SELECT processed_at FROM finance_message
             WHERE state = 'processed' ORDER BY id DESC LIMIT 1),
           %(late)s) <= %(late)s
     GROUP BY m.connector_id
"""

STUCK_COMMANDS = """
    SELECT c.connector_id, min(c.write_date), array_agg(c.id)
      FROM (SELECT id, connector_id, message_id, write_date
              FROM finance_command
             WHERE state = 'received'
             ORDER BY id LIMIT %(most)s) AS c
      JOIN finance_message m ON m.id = c.message_id
     WHERE c.write_date < %(late)s AND m.state <> 'received'
     GROUP BY c.connector_id
"""

# Running, due to go on, and nothing of it is on its way that it could wait for.
STUCK_REPLAYS = """
    SELECT r.id, r.next_due_at
      FROM finance_replay r
     WHERE r.state = 'running'
       AND r.next_due_at < %(late)s AND r.write_date < %(late)s
       AND NOT EXISTS (
           SELECT FROM finance_delivery d
            WHERE d.replay_id = r.id AND d.state = 'waiting')
"""

FAILED_JOBS = """
    SELECT channel, count(*), max(id)
      FROM queue_job
     WHERE state = 'failed' AND channel LIKE 'root.finance\\_hub%%'
     GROUP BY channel
"""


class FinanceJanitor(models.AbstractModel):
    """Finds what is stuck, repairs what is safe to repair, and says so.

    One exception per cause and endpoint; it closes by itself when the cause is gone.
    """

    _name = "finance.janitor"
    _description = "Finance Janitor"

    @api.model
    def _cron_tend(self):
        """Look after everything once."""
        self.env.flush_all()
        seen = set()
        unfinished = False
        for check in self._checks():
            try:
                with self.env.cr.savepoint():
                    seen |= set(check())
            except Exception:
                # One check that fails must not stop the others.
                _logger.exception("finance_hub: %s", check.__name__)
                unfinished = True
        if not unfinished:
            self._close_solved(seen)

    @api.model
    def _checks(self):
        """Return the checks: methods that yield the fingerprints of what is stuck."""
        return [
            self._check_health_rows,
            self._check_deliveries,
            self._check_batches,
            self._check_orphans,
            self._check_abandoned,
            self._check_messages,
            self._check_commands,
            self._check_replays,
            self._check_jobs,
        ]

    # === CHECKS === #

    def _check_health_rows(self):
        self.env.cr.execute(HEALTHLESS)
        self.env["finance.endpoint.health"].invalidate_model(flush=False)
        return ()

    def _check_deliveries(self):
        return self._check_due(
            STUCK_DELIVERIES,
            "deliveries",
            self.env._("Events for “%s” are due and nothing sends them"),
        )

    def _check_batches(self):
        return self._check_due(
            STUCK_BATCHES,
            "batches",
            self.env._("Batches for “%s” are due and nothing sends them"),
        )

    def _check_due(self, query, kind, summary):
        now = clock.naive_now()
        late = now - constants.STUCK_AFTER
        self.env.cr.execute(
            query,
            {
                "lanes": list(constants.LANES),
                "late": late,
                "sample": constants.STUCK_SAMPLE,
            },
        )
        for endpoint_id, lane, due_at in self.env.cr.fetchall():
            endpoint = self.env["finance.endpoint"].browse(endpoint_id)
            # A window that ended since may be why nothing was tried.
            if endpoint._quiet_until(now) or endpoint._quiet_until(late):
                continue
            self.env["finance.delivery"]._wake(lane)
            yield self._report(
                f"endpoint:{endpoint_id}:{kind}:{lane}",
                endpoint,
                endpoint.connector_id,
                summary % endpoint.name,
                self.env._(
                    "The oldest in the lane “%(lane)s” is %(age)s past due, and not "
                    "one was tried in the last %(late)s. The lane was woken again.",
                    lane=lane,
                    age=age_text(self.env, now - due_at),
                    late=age_text(self.env, constants.STUCK_AFTER),
                ),
            )

    def _check_orphans(self):
        """Send singly what was collected for a batch that nobody wants any more."""
        self.env.cr.execute(
            ORPHANS, {"now": clock.naive_now(), "most": constants.REPAIR_BATCH}
        )
        lanes = {lane for (lane,) in self.env.cr.fetchall()}
        if lanes:
            self.env["finance.delivery"].invalidate_model(flush=False)
            self.env["finance.delivery"]._wake_after_commit(lanes)
        return ()

    def _check_abandoned(self):
        """Put given-up deliveries before a person that are before nobody."""
        self.env.cr.execute(ABANDONED, {"most": constants.REPAIR_BATCH})
        by_endpoint = {}
        for delivery_id, endpoint_id in self.env.cr.fetchall():
            by_endpoint.setdefault(endpoint_id, []).append(delivery_id)
        for endpoint_id, delivery_ids in by_endpoint.items():
            endpoint = self.env["finance.endpoint"].browse(endpoint_id)
            deliveries = self.env["finance.delivery"].browse(delivery_ids)
            deliveries.exception_id = self.env["finance.exception"]._open(
                "T-DEADLETTER",
                company=endpoint.company_id,
                record=endpoint,
                connector=endpoint.connector_id,
                fingerprint=f"endpoint:{endpoint_id}:dead",
                summary=self.env._("%s does not take our events", endpoint.name),
                cause=deliveries[-1].last_error or self.env._("unknown"),
                occurrences=len(deliveries),
            )
        return ()

    def _check_messages(self):
        now = clock.naive_now()
        self.env.cr.execute(
            STUCK_MESSAGES,
            {
                "late": now - constants.STUCK_AFTER,
                "most": constants.GLANCE_COUNT_LIMIT,
            },
        )
        for connector_id, received_at, count in self.env.cr.fetchall():
            connector = self.env["finance.connector"].browse(connector_id)
            self.env["finance.message"]._wake()
            yield self._report(
                f"connector:{connector_id}:messages",
                connector,
                connector,
                self.env._("Messages of “%s” are not processed", connector.name),
                self.env._(
                    "%(count)s messages wait, the oldest for %(age)s. The job that "
                    "processes them was made again.",
                    count=count,
                    age=age_text(self.env, now - received_at),
                ),
            )

    def _check_commands(self):
        now = clock.naive_now()
        self.env.cr.execute(
            STUCK_COMMANDS,
            {
                "late": now - constants.STUCK_AFTER,
                "most": constants.GLANCE_COUNT_LIMIT,
            },
        )
        for connector_id, since, command_ids in self.env.cr.fetchall():
            connector = self.env["finance.connector"].browse(connector_id)
            # Applying one twice has no second effect.
            self.env["finance.command"].browse(command_ids)._resubmit()
            yield self._report(
                f"connector:{connector_id}:commands",
                connector,
                connector,
                self.env._("Commands of “%s” are not applied", connector.name),
                self.env._(
                    "%(count)s commands waited for up to %(age)s without a job. They "
                    "were handed to it again.",
                    count=len(command_ids),
                    age=age_text(self.env, now - since),
                ),
            )

    def _check_replays(self):
        now = clock.naive_now()
        self.env.cr.execute(STUCK_REPLAYS, {"late": now - constants.STUCK_AFTER})
        for replay_id, due_at in self.env.cr.fetchall():
            replay = self.env["finance.replay"].browse(replay_id)
            replay._wake()
            yield self._report(
                f"replay:{replay_id}",
                replay,
                None,
                self.env._("“%s” does not go on", replay.display_name),
                self.env._(
                    "Its next part is %s past due. Its job was made again.",
                    age_text(self.env, now - due_at),
                ),
                company=replay.company_id,
            )

    def _check_jobs(self):
        self.env.cr.execute(FAILED_JOBS)
        for channel, count, job_id in self.env.cr.fetchall():
            job = self.env["queue.job"].browse(job_id)
            yield self._report(
                f"jobs:{channel}",
                job,
                None,
                self.env._("Jobs of the channel %s failed", channel),
                self.env._(
                    "%(count)s jobs failed, the last with: %(error)s. The work itself "
                    "is taken up by the next job; set these to done when the cause is "
                    "understood.",
                    count=count,
                    error=job.exc_message or job.exc_name or "",
                ),
            )

    # === EXCEPTIONS === #

    def _report(self, fingerprint, record, connector, summary, cause, company=None):
        """Open the exception of a cause unless it is open.

        :return: the exception's fingerprint
        """
        exceptions = self.env["finance.exception"]
        full = f"{CODE}:{fingerprint}"
        if not exceptions.search_count(
            [("fingerprint", "=", full), ("is_open", "=", True)], limit=1
        ):
            company = company or (
                connector.company_id if connector else self.env.company
            )
            exceptions._open(
                CODE,
                company=company,
                record=record,
                connector=connector,
                fingerprint=fingerprint,
                summary=summary,
                cause=cause,
            )
        return full

    def _close_solved(self, seen):
        """Close the exceptions whose cause was not found any more."""
        self.env["finance.exception"].search(
            [
                ("code", "=", CODE),
                ("is_open", "=", True),
                ("fingerprint", "not in", list(seen)),
            ]
        )._resolve(self.env._("It moves again"))
