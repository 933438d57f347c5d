from odoo import models

from ..capture.memory import memory_of
from ..ledger.subjects import document_key, subject_of


class FinanceCommand(models.Model):
    _inherit = "finance.command"

    def _provide_documents(self, moves):
        """Have the commands tried again that wait for documents posted just now.

        Whether any waits at all was seen when they were posted, see ``looking``.
        """
        if not moves or not memory_of(self.env.cr).commands_wait:
            return
        keys = {}
        for move in moves:
            for text in (move.name, subject_of(move)):
                keys[document_key(text)] = move.company_id
        self.flush_model(["state", "waits_for"])
        self.env.cr.execute(
            "SELECT DISTINCT waits_for FROM finance_command"
            " WHERE state = 'waiting' AND waits_for = ANY(%s)",
            [list(keys)],
        )
        for (key,) in self.env.cr.fetchall():
            self.sudo()._provide(key, keys[key])
