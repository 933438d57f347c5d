from odoo import api, fields, models
from odoo.exceptions import UserError

from ..models import constants
from ..models.access import require_group
from ..models.windows import window_of


class FinanceMapWizard(models.TransientModel):
    """Propose what an unmapped code stands for."""

    _name = "finance.map.wizard"
    _description = "Map a Finance Code"

    unmapped_id = fields.Many2one("finance.unmapped", required=True, readonly=True)
    connector_id = fields.Many2one(
        related="unmapped_id.connector_id", related_sudo=False
    )
    company_id = fields.Many2one(related="unmapped_id.company_id", related_sudo=False)
    domain_id = fields.Many2one(related="unmapped_id.domain_id", related_sudo=False)
    code = fields.Char(related="unmapped_id.code", related_sudo=False)
    needed_on = fields.Date(related="unmapped_id.date", related_sudo=False)
    waiting_count = fields.Integer(
        related="unmapped_id.waiting_count", related_sudo=False
    )
    line_ids = fields.One2many(
        "finance.map.wizard.line", "wizard_id", "Suggestions", readonly=True
    )
    res_model = fields.Selection(
        related="domain_id.target_model", string="Kind", related_sudo=False
    )
    res_id = fields.Many2oneReference(string="Stands For", model_field="res_model")
    for_all_systems = fields.Boolean(
        help="Every system of the company means the same by this code."
    )
    valid_from = fields.Date(help="First day on which it counts. Empty: always has.")
    valid_to = fields.Date(help="Last day. Empty: until further notice.")
    is_temporary = fields.Boolean(
        string="Temporary", help="Serves a transition only, and needs a last day."
    )

    @api.model_create_multi
    def create(self, vals_list):
        """Fill in what the code may stand for; the likeliest is chosen."""
        wizards = super().create(vals_list)
        for wizard in wizards.filtered(lambda wizard: not wizard.line_ids):
            found = wizard.unmapped_id._suggestions()
            wizard.line_ids = [
                (0, 0, {"res_id": key, "name": name, "why": why, "score": score})
                for key, name, why, score in found
            ]
            if found and not wizard.res_id:
                wizard.res_id = found[0][0]
        return wizards

    def _open(self):
        """Return the action that shows the form; its lines have buttons of their own,
        so it is stored already."""
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Map"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "target": "new",
        }

    def action_propose(self):
        """Make the mapping and ask for approval."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR, constants.GROUP_ADMINISTRATOR)
        if not self.res_id:
            raise UserError(self.env._("Choose what the code stands for in Odoo."))
        mapping = self.unmapped_id._propose(
            self.res_id,
            connector_id=not self.for_all_systems and self.connector_id.id,
            valid_from=self.valid_from,
            valid_to=self.valid_to,
            is_temporary=self.is_temporary,
        )
        return window_of(mapping)


class FinanceMapWizardLine(models.TransientModel):
    _name = "finance.map.wizard.line"
    _description = "Suggested Counterpart of a Finance Code"
    _order = "score desc, id"

    wizard_id = fields.Many2one("finance.map.wizard", ondelete="cascade")
    res_id = fields.Integer(readonly=True)
    name = fields.Char(string="In Odoo", readonly=True)
    why = fields.Char(readonly=True)
    score = fields.Integer(string="Sureness", readonly=True)

    def action_choose(self):
        """Take this one as what the code stands for."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR, constants.GROUP_ADMINISTRATOR)
        self.wizard_id.res_id = self.res_id
        return self.wizard_id._open()
