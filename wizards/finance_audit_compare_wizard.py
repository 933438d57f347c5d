import base64

from odoo import fields, models
from odoo.exceptions import UserError

from ..models.access import require_group
from ..models.audit.constants import READERS
from ..signing import AuditChainError, import_seal


class FinanceAuditCompareWizard(models.TransientModel):
    """Compare the audit trail with a seal that was kept elsewhere."""

    _name = "finance.audit.compare.wizard"
    _description = "Compare the Audit Trail with a Kept Seal"

    seal_file = fields.Binary(string="Kept Seal", required=True, attachment=False)
    seal_name = fields.Char()

    def action_compare(self):
        """Verify the trail, and that it still leads to the seal."""
        self.ensure_one()
        require_group(self.env, *READERS)
        try:
            witness = import_seal(base64.b64decode(self.seal_file))
        except AuditChainError as error:
            raise UserError(str(error)) from error
        seals = self.env["finance.audit.seal"]
        seals.check_access("read")
        return seals._action_verify([witness])
