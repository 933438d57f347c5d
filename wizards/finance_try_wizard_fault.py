from odoo import fields, models


class FinanceTryWizardFault(models.TransientModel):
    """What is wrong with a tried message, and where."""

    _name = "finance.try.wizard.fault"
    _description = "Fault of a Tried Message"

    wizard_id = fields.Many2one(
        "finance.try.wizard", required=True, index=True, ondelete="cascade"
    )
    pointer = fields.Char(string="Where", readonly=True)
    message = fields.Char(string="What Is Wrong", readonly=True)
    excerpt = fields.Char(string="What Is There", readonly=True)
