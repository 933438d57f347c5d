from odoo import models

from . import decisions


class FinanceAuditHooks(models.AbstractModel):
    """Puts the frames around the decisions when the registry is built."""

    _name = "finance.audit.hooks"
    _description = "Finance Audit Hooks"

    def _register_hook(self):
        result = super()._register_hook()
        decisions.install(self.env.registry)
        return result

    def _unregister_hook(self):
        result = super()._unregister_hook()
        decisions.uninstall(self.env.registry)
        return result
