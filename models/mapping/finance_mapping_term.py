from odoo import fields, models


class FinanceMappingTerm(models.Model):
    """One word of a canonical vocabulary, such as a refund reason."""

    _name = "finance.mapping.term"
    _description = "Finance Vocabulary Term"
    _order = "domain_id, sequence, id"
    _rec_name = "title"
    _rec_names_search = ["code", "title"]

    domain_id = fields.Many2one(
        "finance.mapping.domain",
        string="Vocabulary",
        required=True,
        index=True,
        ondelete="cascade",
    )
    sequence = fields.Integer(default=10)
    code = fields.Char(required=True)
    title = fields.Char(required=True, translate=True)
    definition = fields.Text(
        translate=True, help="What the word means here, whatever another system says."
    )

    _code_unique = models.UniqueIndex(
        "(domain_id, code)", "This vocabulary has the code already."
    )
