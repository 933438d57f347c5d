"""The way from a record to what happened to it."""

from odoo import models


class FinanceConnector(models.Model):
    _inherit = "finance.connector"

    def action_open_audit(self):
        self.check_access("read")
        return self.env["finance.audit.entry"]._action_for(self)


class FinanceException(models.Model):
    _inherit = "finance.exception"

    def action_open_audit(self):
        self.check_access("read")
        return self.env["finance.audit.entry"]._action_for(self)
