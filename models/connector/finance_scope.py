from odoo import fields, models


class FinanceScope(models.Model):
    """What a client of the REST API may do: one of a fixed list."""

    _name = "finance.scope"
    _description = "Finance API Scope"
    _order = "name"
    _log_access = False

    name = fields.Char(required=True, readonly=True)
    description = fields.Char(required=True, readonly=True, translate=True)

    _name_unique = models.UniqueIndex("(name)")
