from odoo import api, fields, models
from odoo.exceptions import UserError

from .. import clock


class FinancePurge(models.Model):
    """The evidence of a run of the purge in a company: what went, and what stayed.

    There is one of every run that found something which it could remove, or which only
    a legal hold keeps.
    """

    _name = "finance.purge"
    _description = "Finance Purge"
    _order = "id desc"
    _rec_name = "started_at"
    _log_access = False

    started_at = fields.Datetime(string="Started", required=True, readonly=True)
    ended_at = fields.Datetime(string="Ended", readonly=True)
    company_id = fields.Many2one("res.company", required=True, readonly=True)
    actor = fields.Char(string="Who", required=True, readonly=True)
    state = fields.Selection(
        [("running", "Interrupted"), ("partly", "Goes On Later"), ("done", "Done")],
        required=True,
        readonly=True,
        help="A run that was interrupted has removed what its lines say.",
    )
    line_ids = fields.One2many("finance.purge.line", "purge_id", readonly=True)
    removed_count = fields.Integer(string="Removed", compute="_compute_counts")
    held_count = fields.Integer(string="Kept by Legal Holds", compute="_compute_counts")

    @api.depends("line_ids.removed_count", "line_ids.held_count")
    def _compute_counts(self):
        for purge in self:
            purge.removed_count = sum(purge.line_ids.mapped("removed_count"))
            purge.held_count = sum(purge.line_ids.mapped("held_count"))

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("This is evidence of what was removed; it is kept."))

    @api.model
    def _begin(self):
        """Return a run that is not stored before it has something to tell."""
        return Run(self)


class Run:
    """A run of the purge, which becomes records with what it has to tell."""

    def __init__(self, model):
        self._model = model.sudo()
        self._started_at = clock.naive_now()
        self._purges, self._lines = {}, {}

    def _line(self, kind, dataclass, rule, company_id):
        """Return the ``finance.purge.line`` of a kind of row, made if need be."""
        env, key = self._model.env, (kind, dataclass, rule.id, company_id)
        if company_id not in self._purges:
            self._purges[company_id] = self._model.create(
                {
                    "started_at": self._started_at,
                    "company_id": company_id,
                    "actor": env["finance.audit.entry"]._who()["actor"],
                    "state": "running",
                }
            )
        if key not in self._lines:
            self._lines[key] = env["finance.purge.line"].create(
                {
                    "purge_id": self._purges[company_id].id,
                    "kind": kind,
                    "dataclass": dataclass or False,
                    "rule_id": rule.id,
                    "days": rule.days,
                    "company_id": company_id,
                }
            )
        return self._lines[key]

    def _end(self, finished):
        """Say how it ended; what had nothing to remove and nothing held is no news."""
        for purge in self._purges.values():
            purge.write(
                {
                    "ended_at": clock.naive_now(),
                    "state": "done" if finished else "partly",
                }
            )
