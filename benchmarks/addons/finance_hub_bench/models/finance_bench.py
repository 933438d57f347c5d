import time

from odoo import SUPERUSER_ID, api, fields, models

MODE = "finance_hub_bench.job_per_event"


class FinanceBench(models.Model):
    """Runs a load and remembers when its transaction was committed."""

    _name = "finance.bench"
    _description = "Finance Benchmark Run"

    committed_at = fields.Float(digits=(16, 6))

    @api.model
    def set_job_per_event(self, enabled):
        """Choose the reference (one job per event) or the hub's own dispatcher."""
        self.env["ir.config_parameter"].sudo().set_param(MODE, str(int(enabled)))
        return True

    @api.model
    def post(self, move_ids):
        """Post invoices in one transaction.

        :return: id of the run, whose ``committed_at`` is the moment (Unix seconds)
            when PostgreSQL had committed it
        """
        run = self.create({})
        registry = self.env.registry
        run_id = run.id

        # The first callback after the commit: before anything is woken.
        @self.env.cr.postcommit.add
        def note():
            moment = time.time()
            with registry.cursor() as cr:
                env = api.Environment(cr, SUPERUSER_ID, {})
                env["finance.bench"].browse(run_id).committed_at = moment

        self.env["account.move"].browse(move_ids).action_post()
        return run_id
