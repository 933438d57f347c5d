import logging
from datetime import timedelta

from psycopg2.errors import SerializationFailure

from odoo import SUPERUSER_ID, api, models

from .. import clock, constants
from .replay_selection import Selection

_logger = logging.getLogger(__name__)

# A transaction that lost a race is simply run again.
MAX_TRIES = 5


class FinanceReplayRun(models.Model):
    """How a replay is started, held, called off and worked on by its job."""

    _inherit = "finance.replay"

    # === STARTING AND STOPPING === #

    def _start(self):
        self.ensure_one()
        now = clock.naive_now()
        counts = self.counts or {}
        # Where all is counted, what lies before the first match need not be read.
        cursor = (counts.get("first_id") or 1) - 1 if self.count_complete else 0
        self.write(
            {
                "state": "running",
                "started_at": now,
                "running_since": now,
                "figures_before": 0,
                "cursor_event_id": cursor,
                "next_due_at": now,
            }
        )
        self._log(
            self.env._(
                "Started: %(total)s deliveries, at most %(rate)s per second",
                total=self.total_text,
                rate=self.rate,
            ),
            self.reason,
        )
        self._wake_after_commit()

    def _hold(self):
        """Take back the time of what waits, so that no dispatcher finds it."""
        self.ensure_one()
        self.env.cr.execute(
            """
            UPDATE finance_delivery SET due_at = NULL
             WHERE replay_id = %s AND state = 'waiting'
            """,
            [self.id],
        )
        self.env["finance.delivery"].invalidate_model(flush=False)
        self.state = "paused"

    def _go_on(self):
        """Spread what was held back over the time from now on, in its order."""
        self.ensure_one()
        now = clock.naive_now()
        self.env.cr.execute(
            """
            WITH held AS (
                SELECT d.id, row_number() OVER (ORDER BY d.id) - 1 AS place
                  FROM finance_delivery d
                  JOIN finance_subscription s ON s.id = d.subscription_id
                 WHERE d.replay_id = %(replay)s AND d.state = 'waiting'
                   AND d.due_at IS NULL AND s.delivery_mode = 'realtime'
            )
            UPDATE finance_delivery d
               SET due_at = %(now)s + held.place * %(step)s * interval '1 second'
              FROM held
             WHERE d.id = held.id
            """,
            {"replay": self.id, "now": now, "step": 1 / self.rate},
        )
        held = self.env.cr.rowcount
        self.env["finance.delivery"].invalidate_model(flush=False)
        self.invalidate_recordset(flush=False)
        self.write(
            {
                "state": "running",
                "problem": False,
                "running_since": now,
                "figures_before": self.delivered + self.failed,
                "next_due_at": now + timedelta(seconds=held / self.rate),
            }
        )
        self._wake_after_commit()
        self.env["finance.delivery"]._wake_after_commit(("bulk",))

    def _call_off(self):
        """Give up what waits; what was given up before is so again."""
        self.ensure_one()
        if self.started_at:
            self.env.cr.execute(
                """
                UPDATE finance_delivery
                   SET state = CASE WHEN created_at >= %(started)s THEN 'cancelled'
                                    WHEN exception_id IS NULL THEN 'parked'
                                    ELSE 'dead' END
                 WHERE replay_id = %(replay)s AND state = 'waiting'
                """,
                {"replay": self.id, "started": self.started_at},
            )
        self._close("cancelled")

    def _close(self, state):
        """End the replay, and keep its figures."""
        self.ensure_one()
        self.env["finance.delivery"].invalidate_model(flush=False)
        self.invalidate_recordset(flush=False)
        self.write(
            {
                "state": state,
                "finished_at": clock.naive_now(),
                "final_delivered": self.delivered,
                "final_failed": self.failed,
            }
        )
        if not self.started_at:
            return
        # What was given up before and could not be sent now either keeps its place
        # in the ordinary stream: what comes after it waits for a person, as before.
        self.env.cr.execute(
            """
            UPDATE finance_delivery SET replay_id = NULL
             WHERE replay_id = %(replay)s AND state IN ('dead', 'parked')
               AND created_at < %(started)s
            """,
            {"replay": self.id, "started": self.started_at},
        )
        self._release()

    def _release(self):
        """Let go what was parked behind deliveries that this replay has brought.

        They are of the ordinary stream, which waits for nothing else of a replay;
        but they were parked until a person decided about what came before, and this
        replay is that decision.
        """
        self.ensure_one()
        self.env.cr.execute(
            """
            UPDATE finance_delivery d
               SET state = 'waiting',
                   due_at = CASE WHEN d.due_at IS NOT NULL THEN %(now)s END
             WHERE d.state = 'parked'
               AND d.endpoint_id = ANY(%(endpoints)s)
               AND d.replay_id IS NULL
               -- What this replay has not come to yet is still its own.
               AND d.event_id <= %(cursor)s
               AND EXISTS (
                   SELECT 1 FROM finance_delivery r
                    WHERE r.event_id < d.event_id AND r.endpoint_id = d.endpoint_id
                      AND r.aggregate = d.aggregate AND r.replay_id = %(replay)s)
               AND NOT EXISTS (
                   SELECT 1 FROM finance_delivery b
                    WHERE b.endpoint_id = d.endpoint_id
                      AND b.aggregate = d.aggregate
                      AND b.event_id < d.event_id
                      AND (b.state = 'dead' AND b.replay_id IS NULL
                           OR b.state IN ('waiting', 'parked', 'dead')
                              AND b.replay_id = %(replay)s))
         RETURNING d.lane
            """,
            {
                "now": clock.naive_now(),
                "endpoints": self.endpoint_ids.ids,
                "replay": self.id,
                "cursor": self.cursor_event_id,
            },
        )
        lanes = {lane for (lane,) in self.env.cr.fetchall()}
        self.env["finance.delivery"].invalidate_model(flush=False)
        if lanes:
            self.env["finance.delivery"]._wake_after_commit(lanes)

    # === WORKING === #

    @api.model
    def _wake_job(self, lane):
        return (
            "_job_run",
            "root.finance_hub.replay",
            self.env._("Send finance events again"),
        )

    @api.model
    def _job_run(self):
        """Make the deliveries of all running replays, for a bounded time.

        Each chunk is a transaction of its own, and replays take turns.

        :return: what was done, for the job's result
        """
        deadline = clock.now() + constants.REPLAY_BUDGET
        self.env.cr.execute("SELECT id FROM finance_replay WHERE state = 'running'")
        busy = [replay_id for (replay_id,) in self.env.cr.fetchall()]
        waits, chunks = False, 0
        while busy and clock.now() < deadline:
            for replay_id in list(busy):
                outcome = self._advance(replay_id)
                chunks += outcome == "more"
                waits = waits or outcome == "wait"
                if outcome != "more":
                    busy.remove(replay_id)
        if busy:
            self._wake()
        elif waits:
            self._wake(eta=clock.now() + constants.REPLAY_RECHECK)
        return f"{chunks} chunks"

    @api.model
    def _advance(self, replay_id):
        """Work on one chunk of a replay, in a transaction of its own.

        :return: ``more``, ``wait`` (look again later) or ``idle``
        """
        for attempt in range(1, MAX_TRIES + 1):
            try:
                with self.env.registry.cursor() as cr:
                    env = api.Environment(cr, SUPERUSER_ID, {})
                    # Whoever presses a button holds the row; it is their turn.
                    cr.execute(
                        "SELECT state FROM finance_replay WHERE id = %s"
                        " FOR UPDATE SKIP LOCKED",
                        [replay_id],
                    )
                    found = cr.fetchone()
                    if not found:
                        return "wait"
                    if found[0] != "running":
                        return "idle"
                    return env[self._name].browse(replay_id)._step()
            except SerializationFailure:
                if attempt == MAX_TRIES:
                    _logger.info("finance_hub: replay %s lost its races", replay_id)
                    return "wait"
            except Exception as error:
                _logger.exception("finance_hub: replay %s", replay_id)
                self._stop_with(replay_id, error)
                return "idle"
        return "wait"

    @api.model
    def _stop_with(self, replay_id, error):
        """Pause a replay that can't go on, and have a person look at it."""
        with self.env.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            replay = env[self._name].browse(replay_id)
            replay._hold()
            replay.problem = str(error) or type(error).__name__
            replay._log(env._("Stopped by an error"), replay.problem)
            env["finance.exception"]._open(
                "T-INTERNAL",
                company=replay.company_id,
                record=replay,
                fingerprint=f"replay:{replay_id}",
                summary=env._("%s was stopped by an error", replay.display_name),
                cause=replay.problem,
            )

    @api.model
    def _cron_sweep(self):
        """Find running replays that no job works on; see ``finance.waking``."""
        if self.sudo().search_count([("state", "=", "running")], limit=1):
            self._wake()

    def _step(self):
        """Make the deliveries of the next chunk; write how far that is.

        :return: as :meth:`_advance`
        """
        self.ensure_one()
        if self.all_made:
            return self._finish_if_done()
        now = clock.naive_now()
        self._release()
        if self.next_due_at > now + constants.REPLAY_LEAD or self._is_behind():
            return "wait"
        selection = Selection(self)
        recorded = self.cursor_event_id < self.until_event_id
        if recorded:
            ids, cursor = selection.next_ids(self.cursor_event_id)
            at_end = cursor >= self.until_event_id
            values = {
                "cursor_event_id": cursor,
                "all_made": at_end and not self._wants_documents(),
            }
        else:
            ids, place = self._next_documents(selection.types)
            values = {"cursor_document": place, "all_made": place is None}
        made = self._make(selection, selection.pairs(ids, recorded), now)
        self.write(
            {
                **values,
                "enqueued": self.enqueued + made,
                "next_due_at": max(self.next_due_at, now)
                + timedelta(seconds=made / self.rate),
            }
        )
        return "more"
