from odoo import models


class ValidateAccountMove(models.TransientModel):
    _inherit = "validate.account.move"

    def validate_move(self):
        """Post; ask for consent where it is needed, and leave those drafts."""
        waiting = self.move_ids.filtered(
            lambda move: move.state == "draft"
        )._finance_ask_consents()
        if not waiting:
            return super().validate_move()
        self.move_ids -= waiting
        if self.move_ids:
            super().validate_move()
        return waiting._finance_waiting_action(waiting)
