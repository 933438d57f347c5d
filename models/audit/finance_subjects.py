"""The way from a record to what happened to it."""

from odoo import api, models


class FinanceConnector(models.Model):
    _inherit = "finance.connector"

    def action_open_audit(self):
        self.check_access("read")
        return self.env["finance.audit.entry"]._action_for(self)


class FinanceCredential(models.Model):
    _inherit = "finance.credential"

    @api.model
    def action_reencrypt(self):
        """The trail's own keys go along: the old encryption key can go afterwards."""
        changed = super().action_reencrypt()
        self.env["finance.audit.key"]._reencrypt()
        self.env["finance.privacy.index"]._reencrypt()
        return changed


class FinanceException(models.Model):
    _inherit = "finance.exception"

    def action_open_audit(self):
        self.check_access("read")
        return self.env["finance.audit.entry"]._action_for(self)
