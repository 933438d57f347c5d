from odoo import models


class FinanceApprovable(models.AbstractModel):
    """What can need somebody's consent."""

    _name = "finance.approvable"
    _description = "Finance Approvable"

    def _finance_approval_version(self):
        """Return a digest of all that is consented to; another one needs a new consent.

        :return: text
        """
        raise NotImplementedError

    def _finance_approval_summary(self):
        """Return {part: text} of what is asked for, to compare it with a later one.

        The names of the parts are those of ``finance.approval._content_label``.
        """
        return {}

    def _finance_approval_before(self):
        """Return the same of what it corrects, empty if it corrects nothing."""
        return {}

    def _finance_approval_people(self):
        """Return the users who may not decide: who prepared, corrected or asked."""
        return self.env["res.users"]

    def _finance_approval_names(self):
        """Return the names of those who may not decide, as other systems call them."""
        return set()

    def _finance_approved(self, approval):
        """Go on, now that ``approval`` is given."""

    def _finance_refused(self, approval):
        """End, as ``approval`` is rejected, withdrawn or expired."""
