from odoo import api, models
from odoo.tools import SQL

from .finance_hold import STOPPING

# The field of what is held which says that a hold may stop it.
MARK = "finance_maybe_held"
# What decides whether a hold can stop anything.
_DECIDING = {"res_model", "res_id", "kind", "state", "cleared_until"}


class FinanceHold(models.Model):
    """Holds mark what they hold, so that postings have nothing to look up.

    The mark stands on the record itself, which a posting has in memory. It says no
    more than that there is something to look at. A record that is held while another
    transaction posts it is changed by both, so that one of them is tried again.
    """

    _inherit = "finance.hold"

    def init(self):
        result = super().init()
        self.env.cr.execute("SELECT DISTINCT res_model FROM finance_hold")
        for (model,) in self.env.cr.fetchall():
            self._mark(model)
        return result

    @api.model_create_multi
    def create(self, vals_list):
        holds = super().create(vals_list)
        holds._mark_subjects()
        return holds

    def write(self, vals):
        result = super().write(vals)
        if not _DECIDING.isdisjoint(vals):
            self._mark_subjects()
        return result

    def _mark_subjects(self):
        subjects = {}
        for hold in self:
            subjects.setdefault(hold.res_model, set()).add(hold.res_id)
        self.flush_model(list(_DECIDING))
        for model, ids in subjects.items():
            self._mark(model, ids)

    @api.model
    def _mark(self, model, ids=None):
        """Mark records of a model, or take the mark off, as their holds are now.

        Beneath the ORM: a posted document must not be touched by a write.

        :param ids: of the records, by default of all that were ever held
        """
        records = self.env.get(model)
        if records is None or MARK not in records._fields:
            return
        self.env.execute_query(
            SQL(
                """
                UPDATE %(table)s subject SET %(mark)s = now.held
                  FROM (SELECT hold.res_id,
                               bool_or(hold.kind = ANY(%(kinds)s)
                                       AND (hold.state = 'active'
                                            OR hold.cleared_until IS NOT NULL)) AS held
                          FROM finance_hold hold
                         WHERE hold.res_model = %(model)s AND %(which)s
                         GROUP BY hold.res_id) now
                 WHERE subject.id = now.res_id
                   AND subject.%(mark)s IS DISTINCT FROM now.held
             RETURNING subject.id
                """,
                table=SQL.identifier(records._table),
                mark=SQL.identifier(MARK),
                kinds=list(STOPPING),
                model=model,
                which=SQL("TRUE")
                if ids is None
                else SQL("hold.res_id = ANY(%s)", list(ids)),
            )
        )
        records.browse(ids or ()).invalidate_recordset([MARK], flush=False)
