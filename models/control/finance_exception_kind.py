from odoo import api, fields, models, tools

from ...contracts import SEVERITIES, TAXONOMY
from .working_time import due_after


class FinanceExceptionKind(models.Model):
    """A code of the taxonomy as this company lives it: who decides, how soon.

    What a kind means stands in the code; who answers for it, how severe it is here and
    by when it has to be decided can be changed, and stays changed after an upgrade.
    """

    _name = "finance.exception.kind"
    _description = "Finance Exception Kind"
    _inherit = ["finance.remembered", "mail.thread"]
    _order = "klass, code"
    _rec_name = "title"

    code = fields.Char(required=True, readonly=True)
    title = fields.Char(required=True, readonly=True, translate=True)
    klass = fields.Selection(
        [
            ("technical", "Technical"),
            ("data_quality", "Data Quality"),
            ("business", "Business Process"),
            ("control", "Control Breach"),
        ],
        string="Class",
        required=True,
        readonly=True,
    )
    severity = fields.Selection(
        [(name, name.capitalize()) for name in reversed(SEVERITIES)],
        required=True,
        tracking=True,
    )
    team_id = fields.Many2one("finance.team", tracking=True)
    due_hours = fields.Float(
        string="Due After (h)",
        tracking=True,
        help="Hours until it has to be decided, of the team's working hours if it has "
        "some. 0: the case itself says, or there is no hurry.",
    )
    second_person_from = fields.Float(
        tracking=True,
        help="Amount, in the company's currency, from which on a second person decides "
        "on a compensation. 0: always.",
    )
    remedy = fields.Char(string="What the Hub Does", readonly=True, translate=True)
    next_step = fields.Char(string="What a Person Does", readonly=True, translate=True)
    runbook = fields.Html(
        help="What to do, step by step. Shown on every exception of this kind."
    )

    _code_unique = models.UniqueIndex("(code)")
    _due_hours_range = models.Constraint(
        "CHECK (due_hours BETWEEN 0 AND 8760)",
        "An exception is due within 0 to 8760 hours.",
    )
    _second_person_range = models.Constraint(
        "CHECK (second_person_from IS NULL OR second_person_from >= 0)",
        "The amount from which on a second person decides can't be negative.",
    )

    # === BUSINESS METHODS === #

    @api.model
    def _sync(self):
        """Make rows of new codes and follow the wording; called at every upgrade.

        What people decided (team, severity, due time, runbook) is left alone.
        """
        rows = {row.code: row for row in self.search([])}
        teams = {team.name: team for team in self.env["finance.team"].search([])}
        for code, declared in TAXONOMY.items():
            words = {
                "title": declared.title,
                "klass": declared.klass,
                "remedy": declared.remedy,
                "next_step": declared.next_step,
            }
            if code in rows:
                changed = {
                    name: value
                    for name, value in words.items()
                    if (rows[code][name] or "") != value
                }
                if changed:
                    rows[code].write(changed)
                continue
            owner = declared.owner
            if owner and owner not in teams:
                teams[owner] = self.env["finance.team"].create({"name": owner})
            team = teams.get(owner, self.env["finance.team"])
            self.create(
                {
                    "code": code,
                    **words,
                    "severity": declared.severity,
                    "team_id": team.id,
                    "due_hours": (
                        declared.due.total_seconds() / 3600 if declared.due else 0
                    ),
                }
            )

    @api.model
    @tools.ormcache("code")
    def _id_of(self, code):
        return self.sudo().search([("code", "=", code)]).id

    @api.model
    def _of(self, code):
        """Return the row of a code; empty when the code is new to this database."""
        return self.sudo().browse(self._id_of(code) or ())

    @api.model
    def _facts(self, code, opened_at):
        """Return what an exception of a code begins with, as columns.

        A code that no row stands for yet, while the addon is being upgraded, is what
        the taxonomy says.

        :param opened_at: naive UTC
        """
        kind = self._of(code)
        if kind:
            return {
                "klass": kind.klass,
                "severity": kind.severity,
                "team_id": kind.team_id.id or None,
                "owner_team": kind.team_id.name or None,
                "due_at": kind._due_at(opened_at),
            }
        declared = TAXONOMY[code]
        return {
            "klass": declared.klass,
            "severity": declared.severity,
            "team_id": None,
            "owner_team": declared.owner,
            "due_at": opened_at + declared.due if declared.due else None,
        }

    def _due_at(self, opened_at):
        """Return by when an exception has to be decided (naive UTC), or None.

        :param opened_at: naive UTC
        """
        if not self.due_hours:
            return None
        return due_after(self.team_id.calendar_id, self.due_hours, opened_at)
