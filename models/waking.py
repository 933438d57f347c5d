import logging
from datetime import datetime

from odoo import SUPERUSER_ID, api, models
from odoo.tools import SQL

from odoo.addons.queue_job.job import ENQUEUED, PENDING, WAIT_DEPENDENCIES, Job

from . import clock

_logger = logging.getLogger(__name__)

# A job that has not begun: what is new by now, it will find.
AHEAD = (WAIT_DEPENDENCIES, PENDING, ENQUEUED)


class FinanceWaking(models.AbstractModel):
    """Wakes the job that works on what a model's table holds.

    Inserting a job takes a global lock at commit, which business transactions must
    not wait for: so the job is made after the commit, in a transaction of its own,
    once per transaction and lane. A wake-up can be lost (queue_job's identity keys
    ignore jobs that run already, and the process may end after the commit), so each
    model that inherits this has a sweep.
    """

    _name = "finance.waking"
    _description = "Finance Job Waking"

    @api.model
    def _wake_job(self, lane):
        """Return (method, channel, description) of the job that does the work.

        :param lane: a lane of ``constants.LANES``, None where there are no lanes
        """
        raise NotImplementedError

    @api.model
    def _wake_after_commit(self, lanes=(None,)):
        """Have the job run for each of ``lanes`` once this transaction is committed."""
        postcommit = self.env.cr.postcommit
        key = f"finance_hub.wake.{self._name}"
        wanted = postcommit.data.get(key)
        if wanted is not None:
            wanted.update(lanes)
            return
        wanted = postcommit.data[key] = set(lanes)
        registry, name = self.env.registry, self._name

        def wake():
            try:
                with registry.cursor() as cr:
                    # Nothing is lost with a job that a crash of the database takes.
                    cr.execute("SET LOCAL synchronous_commit TO OFF")
                    env = api.Environment(cr, SUPERUSER_ID, {})
                    for lane in wanted:
                        env[name]._wake(lane)
            except Exception:
                # What was to be done is committed already, and the sweep finds it.
                _logger.exception("finance_hub: no job could be made for %s", name)

        # Before everybody else's: the job begins while they are still at work, and some
        # take longer than everything on the way to the receiver.
        postcommit._funcs.appendleft(wake)

    @api.model
    def _wake(self, lane=None, eta: datetime | None = None):
        """Enqueue the job unless an equal one waits already.

        :param eta: when it should run (aware, UTC); at once by default
        """
        method, channel, description = self._wake_job(lane)
        identity = f"finance_hub.{self._name}.{method}"
        if lane is not None:
            identity = f"{identity}.{lane}"
        if eta:
            identity = f"{identity}@{int(eta.timestamp())}"
        # Of no company: it works for all of them, and none has to be looked up.
        job = Job(
            getattr(self.with_context(company_id=False), method),
            args=() if lane is None else (lane,),
            eta=eta and clock.naive(eta),
            identity_key=identity,
            channel=channel,
            description=description,
        )
        self._enqueue(job)

    @api.model
    def _enqueue(self, job):
        """Store a job unless one with its identity waits already.

        What ``with_delay`` does by a search and a ``create``, in one statement: it
        stands between a commit and the receiver.
        """
        jobs = self.env["queue.job"]
        values = {
            name: jobs._fields[name].convert_to_column_insert(value, jobs)
            for name, value in job._store_values(create=True).items()
        }
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO queue_job (%s)
                SELECT %s
                 WHERE NOT EXISTS (
                    SELECT FROM queue_job WHERE identity_key = %s AND state IN %s)
                """,
                SQL(", ").join(map(SQL.identifier, values)),
                SQL(", ").join(SQL("%s", value) for value in values.values()),
                job.identity_key,
                AHEAD,
            )
        )
