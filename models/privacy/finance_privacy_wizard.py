from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import email_normalize

from ...signing import mask_secret
from .. import constants
from ..access import require_group

SEARCHERS = (constants.GROUP_ADMINISTRATOR, constants.GROUP_AUDITOR)
MODELS = {
    "event": "finance.event",
    "message": "finance.message",
    "command": "finance.command",
    "attempt": "finance.attempt",
}


class FinancePrivacyWizard(models.TransientModel):
    """Finds a person in what the hub keeps, encrypted and archived content too."""

    _name = "finance.privacy.wizard"
    _description = "Find Personal Data in the Finance Hub"

    name = fields.Char(
        help="First and last name, in any order; it is found as a whole.",
    )
    email = fields.Char()
    phone = fields.Char()
    iban = fields.Char(string="IBAN")
    finding_ids = fields.One2many("finance.privacy.wizard.line", "search_id")
    is_searched = fields.Boolean(readonly=True)
    is_cut = fields.Boolean(readonly=True)
    waiting_count = fields.Integer(compute="_compute_waiting_count")
    reason = fields.Text(help="Why the data is taken out, such as a person's request.")

    @api.depends("is_searched")
    def _compute_waiting_count(self):
        indexes = self.env["finance.privacy.index"].sudo()._all()
        self.waiting_count = sum(indexes.mapped("waiting_count"))

    # === ACTIONS === #

    def action_search(self):
        """Look the person up; that it was done is kept, whom it was about is masked."""
        self.ensure_one()
        require_group(self.env, *SEARCHERS)
        index = self.env["finance.privacy.index"].sudo()
        marks = index._marks_for(
            name=self.name,
            email=email_normalize(self.email) or self.email,
            phone=self.phone,
            iban=self.iban,
        )
        if not marks:
            raise UserError(
                self.env._(
                    "Enter what the person is known by: a name, an e-mail address, a "
                    "phone number or an IBAN."
                )
            )
        limit = constants.PRIVACY_FINDINGS
        found = index._find(marks, self.env.companies.ids, limit + 1)
        self.finding_ids.unlink()
        self.env["finance.privacy.wizard.line"].create(
            [
                {
                    "search_id": self.id,
                    "source": source,
                    "row_id": row_id,
                    "archive_id": archive_id,
                    "company_id": company_id,
                    "kinds": ", ".join(sorted(kinds)),
                }
                for source, row_id, archive_id, company_id, kinds in found[:limit]
            ]
        )
        self.write({"is_searched": True, "is_cut": len(found) > limit})
        self.env["finance.audit.entry"]._note(
            "privacy.search",
            res_model=self._name,
            facts={
                "searched": {kind: mask_secret(self[kind]) for kind in sorted(marks)},
                "found": len(found[:limit]),
            },
        )
        return self._reopened()

    def action_pseudonymise(self):
        """Take the personal data out of all that was found and may be changed."""
        self.ensure_one()
        self.finding_ids._pseudonymise(self.reason)
        return self._reopened()

    def _reopened(self):
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Find Personal Data"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "target": "current",
        }
