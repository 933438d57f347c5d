from odoo import api, fields, models

from .. import clock

# Groups of a company's open exceptions; the index below holds all that this reads.
COUNT = """
    INSERT INTO finance_stake (company_id, currency_id, amount, number, counted_at)
    SELECT company_id, currency_id, sum(amount), count(*), %(now)s
      FROM finance_exception
     WHERE state IN ('open', 'in_progress')
       AND amount IS NOT NULL AND currency_id IS NOT NULL
     GROUP BY company_id, currency_id
    ON CONFLICT (company_id, currency_id) DO UPDATE
       SET amount = EXCLUDED.amount, number = EXCLUDED.number,
           counted_at = EXCLUDED.counted_at
"""


class FinanceStake(models.Model):
    """How much money is in the open exceptions, so that no screen has to add it up."""

    _name = "finance.stake"
    _description = "Finance Money at Stake"
    _order = "company_id, amount desc"
    _rec_name = "currency_id"
    _log_access = False

    company_id = fields.Many2one("res.company", required=True, readonly=True)
    currency_id = fields.Many2one("res.currency", required=True, readonly=True)
    amount = fields.Monetary(readonly=True)
    number = fields.Integer(
        string="Exceptions", readonly=True, help="How many are about money."
    )
    counted_at = fields.Datetime(readonly=True)

    _currency_unique = models.UniqueIndex("(company_id, currency_id)")

    @api.model
    def _count(self):
        """Add up anew; what nothing is open about any more is forgotten."""
        self.env.flush_all()
        now = clock.naive_now()
        self.env.cr.execute(COUNT, {"now": now})
        self.env.cr.execute("DELETE FROM finance_stake WHERE counted_at < %s", [now])
        self.invalidate_model(flush=False)


class FinanceTally(models.Model):
    _inherit = "finance.tally"

    @api.model
    def _count(self):
        result = super()._count()
        self.env["finance.stake"]._count()
        return result


class FinanceException(models.Model):
    """What the desk and the dashboard look for, however many are open."""

    _inherit = "finance.exception"

    # Whose they are, the most urgent first.
    _owner_idx = models.Index(
        "(company_id, user_id, rank DESC, due_at, id)"
        " WHERE state IN ('open', 'in_progress')"
    )
    _connector_idx = models.Index(
        "(connector_id) WHERE state IN ('open', 'in_progress')"
    )
    _class_idx = models.Index(
        "(company_id, klass) WHERE state IN ('open', 'in_progress')"
    )
    _waiver_idx = models.Index(
        "(company_id) WHERE state IN ('open', 'in_progress')"
        " AND waiver_state = 'requested'"
    )
    # How many there are of each severity, and how much money is in them.
    _severity_idx = models.Index(
        "(company_id, severity) INCLUDE (amount, currency_id, snoozed_until)"
        " WHERE state IN ('open', 'in_progress')"
    )
