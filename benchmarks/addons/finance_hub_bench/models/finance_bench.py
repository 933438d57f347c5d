import time

from odoo import api, fields, models

MODE = "finance_hub_bench.job_per_event"


class FinanceBench(models.Model):
    """Runs a load inside the server, and tells when its transaction was committed."""

    _name = "finance.bench"
    _description = "Finance Benchmark Run"

    started_at = fields.Float(help="Seconds of the system's monotonic clock.")

    @api.model
    def set_job_per_event(self, enabled):
        """Choose the reference (one job per event) or the hub's own dispatcher."""
        self.env["ir.config_parameter"].sudo().set_param(MODE, str(int(enabled)))
        return True

    @api.model
    def warm(self):
        """Let this worker load what it keeps in memory; change nothing."""
        for name in ("account.move", "finance.event", "finance.delivery"):
            self.env[name].sudo().get_view(view_type="list")
        time.sleep(0.05)
        return True

    # === LOADS === #

    @api.model
    def post(self, move_ids):
        """Post invoices in one transaction.

        :return: the moment when it was committed
        """
        moment = self._note_commit()
        self.env["account.move"].browse(move_ids).action_post()
        return self._commit(moment)

    @api.model
    def enqueue(self):
        """Enqueue a job that does nothing but note when it started.

        :return: the moment of the commit, and the id of the note
        """
        run = self.create({})
        moment = self._note_commit()
        run.with_delay()._job_nothing()
        return {**self._commit(moment), "run": run.id}

    def _job_nothing(self):
        started = time.monotonic()
        self.started_at = started

    @api.model
    def release(self, endpoint_ids):
        """Make endpoints live and wake the hub, as the last of what waits for them.

        :return: the moment when it was committed
        """
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE finance_endpoint SET state = 'live' WHERE id = ANY(%s)",
            [endpoint_ids],
        )
        self.env.invalidate_all(flush=False)
        moment = self._note_commit()
        self.env.cr.execute(
            """
            SELECT DISTINCT lane FROM finance_delivery
             WHERE endpoint_id = ANY(%s) AND state = 'waiting'
            """,
            [endpoint_ids],
        )
        lanes = [lane for (lane,) in self.env.cr.fetchall()]
        self.env["finance.delivery"]._wake_after_commit(lanes)
        return self._commit(moment)

    # === COMMITS === #

    def _note_commit(self):
        """Return a dictionary that gets the moment of the next commit.

        Noted as soon as the database has it, before anything that follows a commit:
        the hub's wake-up is the first of that.
        """
        moment, connection = {}, self.env.cr._cnx
        commit = connection.commit

        def note():
            commit()
            moment.update(unix=time.time(), monotonic=time.monotonic())
            del connection.commit

        connection.commit = note
        return moment

    def _commit(self, moment):
        # Now and not after the method, so that the moment can be returned.
        self.env.cr.commit()  # pylint: disable=invalid-commit
        return moment
