from odoo import api, models, tools

from ..ledger.subjects import document_key, subject_of


class FinanceCommand(models.Model):
    _inherit = "finance.command"

    def _fail(self, error):
        result = super()._fail(error)
        if self.state == "waiting" and not self._any_wait():
            # Told to the other processes once it is committed, whoever works here.
            self.env.registry.clear_cache()
            self.env.cr.postcommit.add(self.env.registry.signal_changes)
        return result

    @api.model
    @tools.ormcache()
    def _any_wait(self):
        """Return whether any command may wait for something.

        Kept in memory of each process, as every posting asks, and forgotten with any
        other configuration. What is missed while the word goes round is found by the
        sweep of the waiting commands.
        """
        return bool(
            self.sudo().search_count(
                [("state", "=", "waiting"), ("waits_for", "!=", False)], limit=1
            )
        )

    def _provide_documents(self, moves):
        """Have the commands tried again that wait for documents posted just now."""
        if not moves or not self._any_wait():
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
