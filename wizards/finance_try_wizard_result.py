from odoo import fields, models


class FinanceTryWizardResult(models.TransientModel):
    """A command that a tried message would become."""

    _name = "finance.try.wizard.result"
    _description = "Command of a Tried Message"
    _order = "position, id"
    _rec_name = "title"

    wizard_id = fields.Many2one(
        "finance.try.wizard", required=True, index=True, ondelete="cascade"
    )
    position = fields.Integer(readonly=True)
    command = fields.Char(readonly=True)
    title = fields.Char(string="What", readonly=True)
    verdict = fields.Selection(
        [("command", "Would Be Applied"), ("ignored", "Ignored")], readonly=True
    )
    why = fields.Char(readonly=True)
    external_id = fields.Char(string="Event ID", readonly=True)
    occurred_at = fields.Datetime(string="Happened At", readonly=True)
    business_key = fields.Char(
        string="Names",
        readonly=True,
        help="Of commands of one kind that name the same, the first is applied.",
    )
    data_text = fields.Text(string="Content", readonly=True)
