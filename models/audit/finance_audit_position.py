from odoo import api, fields, models
from odoo.exceptions import UserError

from .guard import guard_trail


class FinanceAuditPosition(models.Model):
    """An entry's place in the chain, and what its content's digest was.

    Written with the entry; the place is given later, once, by the sealing job. So an
    entry that is changed or removed is found by what this tells, and an entry that
    somebody else put there is found by what this lacks.
    """

    _name = "finance.audit.position"
    _description = "Position in the Finance Audit Chain"
    _order = "position, id"
    _rec_name = "position"
    _log_access = False

    # No link: the row stays when the entry is gone, and so tells of it.
    entry_id = fields.Integer(required=True, readonly=True, aggregator=False)
    position = fields.Integer(readonly=True, aggregator=False)
    digest = fields.Char(string="SHA-256", required=True, readonly=True)
    mark = fields.Char(
        readonly=True, help="What only the hub can make of the digest (HMAC-SHA256)."
    )
    key_id = fields.Many2one("finance.audit.key", readonly=True, ondelete="restrict")
    seal_id = fields.Many2one("finance.audit.seal", readonly=True, ondelete="restrict")

    _entry_unique = models.UniqueIndex("(entry_id)")
    _position_unique = models.UniqueIndex("(position) WHERE position IS NOT NULL")
    _pending_idx = models.Index("(entry_id) WHERE position IS NULL")

    def init(self):
        """Make the database refuse what nobody must do."""
        guard_trail(self.env.cr, self._table)

    @api.model_create_multi
    def create(self, vals_list):  # pylint: disable=method-required-super
        raise UserError(self.env._("Positions are given by the hub alone."))

    def write(self, vals):  # pylint: disable=method-required-super
        raise UserError(self.env._("A position of the audit chain never changes."))

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("A position of the audit chain is never deleted."))
