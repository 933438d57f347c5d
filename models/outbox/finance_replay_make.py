from datetime import timedelta

from psycopg2.extras import execute_values

from odoo import models

from .. import constants
from .replay_selection import STATE_OF_ROW

# Stands for the id of a row that is about to be inserted: above all others.
NEW_ROW = float("inf")


class FinanceReplayMake(models.Model):
    """How a replay makes its deliveries, no faster than it may."""

    _inherit = "finance.replay"

    # === MAKING DELIVERIES === #

    def _is_behind(self):
        """Whether the receivers have enough to do already."""
        most = max(
            constants.REPLAY_MIN_BACKLOG,
            int(self.rate * constants.REPLAY_LEAD.total_seconds()),
        )
        self.env.cr.execute(
            """
            SELECT count(*) FROM (
                SELECT 1 FROM finance_delivery
                 WHERE replay_id = %s AND state = 'waiting'
                 LIMIT %s) w
            """,
            [self.id, most],
        )
        return self.env.cr.fetchone()[0] >= most

    def _finish_if_done(self):
        self._release()
        self.env.cr.execute(
            "SELECT 1 FROM finance_delivery"
            " WHERE replay_id = %s AND state = 'waiting' LIMIT 1",
            [self.id],
        )
        if self.env.cr.fetchone():
            return "wait"
        self._close("done")
        self._log(
            self.env._(
                "Done: %(made)s deliveries, %(delivered)s delivered, %(failed)s need "
                "attention",
                made=self.enqueued,
                delivered=self.final_delivered,
                failed=self.final_failed,
            )
        )
        return "idle"

    def _make(self, selection, pairs, now):
        """Make the deliveries of a chunk, spread over time by the rate.

        What was given up is armed again as long as that keeps the order of its
        document, which is the order of the rows; otherwise a new row takes its place.

        :param pairs: in the order in which they are to arrive
        :return: how many deliveries were made
        """
        if not pairs:
            return 0
        started = max(self.next_due_at, now)
        last = self._last_rows(pairs)
        new, again, replaced, lanes = [], [], [], {"bulk"}
        for index, pair in enumerate(pairs):
            subscriber = selection.subscriber(pair)
            due_at = None
            if subscriber.realtime:
                due_at = started + timedelta(seconds=index / self.rate)
            else:
                lanes.add(subscriber.lane)
            stream = (pair.endpoint_id, pair.aggregate)
            given_up = STATE_OF_ROW[pair.state] == "given_up"
            if (
                given_up
                and pair.delivery_version == subscriber.version
                and last.get(stream, 0) < pair.delivery_id
            ):
                last[stream] = pair.delivery_id
                again.append((pair.delivery_id, due_at, subscriber.subscription_id))
                continue
            # Above all there is; further ones of the chunk follow in their order.
            last[stream] = NEW_ROW
            if given_up:
                replaced.append(pair.delivery_id)
            new.append(
                (
                    pair.event_id,
                    pair.endpoint_id,
                    subscriber.subscription_id,
                    self.company_id.id,
                    pair.aggregate,
                    "waiting",
                    "bulk",
                    subscriber.version,
                    now,
                    due_at,
                    0,
                    0,
                    subscriber.pulled,
                    self.id,
                    pair.exception_id if given_up else None,
                )
            )
        cr = self.env.cr._obj
        if again:
            execute_values(
                cr,
                f"""
                UPDATE finance_delivery d
                   SET state = 'waiting', lane = 'bulk', replay_id = {int(self.id)},
                       attempt_count = 0, throttle_count = 0, batch_id = NULL,
                       feed_position = NULL,
                       due_at = v.due_at, subscription_id = v.subscription_id
                  FROM (VALUES %s) AS v (id, due_at, subscription_id)
                 WHERE d.id = v.id
                """,  # noqa: S608 (a number)
                again,
                template="(%s, %s::timestamp, %s)",
                page_size=len(again),
            )
        if replaced:
            self.env.cr.execute(
                "UPDATE finance_delivery SET state = 'cancelled', exception_id = NULL"
                " WHERE id = ANY(%s)",
                [replaced],
            )
        if new:
            execute_values(
                cr,
                """
                INSERT INTO finance_delivery (
                    event_id, endpoint_id, subscription_id, company_id, aggregate,
                    state, lane, version, created_at, due_at, attempt_count,
                    throttle_count, pulled, replay_id, exception_id
                ) VALUES %s
                """,
                new,
                page_size=len(new),
            )
        self.env["finance.delivery"].invalidate_model(flush=False)
        self.env["finance.delivery"]._wake_after_commit(lanes)
        return len(pairs)

    def _last_rows(self, pairs):
        """Return {(endpoint id, aggregate): last row of this replay that is unsent}."""
        if not any(STATE_OF_ROW[pair.state] == "given_up" for pair in pairs):
            return {}
        self.env.cr.execute(
            """
            SELECT endpoint_id, aggregate, max(id)
              FROM finance_delivery
             WHERE endpoint_id = ANY(%s) AND aggregate = ANY(%s)
               AND state IN ('waiting', 'parked', 'dead') AND replay_id = %s
             GROUP BY endpoint_id, aggregate
            """,
            [
                list({pair.endpoint_id for pair in pairs}),
                list({pair.aggregate for pair in pairs}),
                self.id,
            ],
        )
        return {
            (endpoint_id, aggregate): row_id
            for endpoint_id, aggregate, row_id in self.env.cr.fetchall()
        }
