from odoo import api, fields, models
from odoo.exceptions import ValidationError

from .. import constants

CLASSIFICATIONS = [
    ("public", "Public"),
    ("internal", "Internal"),
    ("confidential", "Confidential"),
    ("restricted", "Restricted"),
]
# What is kept encrypted, and shown whole to nobody without the role for it.
CONCEALED = ("confidential", "restricted")


class FinanceConnector(models.Model):
    """How confidential an interface is, and what follows from it."""

    _inherit = "finance.connector"

    classification = fields.Selection(
        CLASSIFICATIONS,
        required=True,
        default="internal",
        tracking=True,
        help="How confidential what goes through this connection is. Of a confidential "
        "or restricted one, content is kept encrypted and shown only to people with "
        "the role “Confidential Content”; others see its shape. How long it is kept "
        "is said by the retention rules of the class.",
    )

    @api.constrains("classification", "encrypt_bodies")
    def _check_classification(self):
        for connector in self:
            if connector.classification in CONCEALED and not connector.encrypt_bodies:
                raise ValidationError(
                    self.env._(
                        "What comes in by “%s” has to be encrypted, because of its "
                        "classification.",
                        connector.name,
                    )
                )

    @api.onchange("classification")
    def _onchange_classification(self):
        if self.classification in CONCEALED:
            self.encrypt_bodies = True

    @api.model_create_multi
    def create(self, vals_list):
        return super().create([_encrypting(vals) for vals in vals_list])

    def write(self, vals):
        return super().write(_encrypting(vals))

    def _conceals(self):
        """Return whether content is for people with the role for it alone."""
        self.ensure_one()
        return self.sudo().classification in CONCEALED


def _encrypting(vals):
    if vals.get("classification") in CONCEALED:
        return {"encrypt_bodies": True, **vals}
    return vals


def may_see_confidential(env):
    """Return whether whoever asks may see the content of confidential connections."""
    return env.su or env.user.has_group(constants.GROUP_CONFIDENTIAL)
