from odoo import api, models


class FinanceVersionedPart(models.AbstractModel):
    """A row of what is reviewed as a whole: its change is a change of the whole."""

    _name = "finance.versioned.part"
    _description = "Part of a Versioned Finance Configuration"

    # The field that leads to the whole.
    _whole = None

    @api.model_create_multi
    def create(self, vals_list):
        parts = super().create(vals_list)
        parts._note_change()
        return parts

    def write(self, vals):
        # The whole that it leaves is changed, too.
        self._note_change()
        result = super().write(vals)
        self._note_change()
        return result

    def unlink(self):
        self._note_change()
        return super().unlink()

    def _note_change(self):
        """Keep who changed the parts of a draft.

        :raise UserError: when the whole is no draft any more
        """
        if not self.env.su:
            self.check_access("write")
            self[self._whole]._note_change()
