import logging
from datetime import timedelta

from odoo import api, models
from odoo.exceptions import UserError

from ...signing import is_mark
from .. import clock
from ..privacy.holding import held_seals
from . import constants
from .finance_audit_key import configured_keys

_logger = logging.getLogger(__name__)


class FinanceAuditSeal(models.Model):
    """How entries go that were kept for long enough; their seals stay."""

    _inherit = "finance.audit.seal"

    @api.model
    def _purged_until(self):
        """Return the number of the last seal whose entries were removed by the rules.

        The trail itself tells it, by an entry that the hub marked.
        """
        self.env.cr.execute(
            """
            SELECT (e.after->>'last_seal')::integer, p.digest, p.mark, p.key_id,
                   p.position IS NOT NULL AND k.public_key = ANY(%s)
              FROM finance_audit_entry e
              JOIN finance_audit_position p ON p.entry_id = e.id
              LEFT JOIN finance_audit_key k ON k.id = p.key_id
             WHERE e.action = 'audit.purge' AND e.outcome = 'done'
            """,
            [configured_keys()],
        )
        keys = self.env["finance.audit.key"]._mark_keys()
        return max(
            (
                last
                for last, digest, mark, key, vouched in self.env.cr.fetchall()
                if (is_mark(keys[key], digest, mark) if key in keys else vouched)
            ),
            default=0,
        )

    @api.model
    def _cron_purge(self):
        """Remove entries that are older than the configured time, if there is one."""
        parameters = self.env["ir.config_parameter"].sudo()
        try:
            days = int(parameters.get_param(constants.KEEP_PARAMETER) or 0)
        except ValueError:
            _logger.error(
                "finance_hub: %s is no number of days", constants.KEEP_PARAMETER
            )
            return
        if days:
            self._purge(days)

    @api.model
    def _purge(self, days):
        """Remove the entries of whole seals that are older than ``days``.

        The seals stay, and an entry tells which they were. Nothing is removed while
        the trail is not as it was written.

        :return: how many entries were removed
        """
        if days < constants.MIN_KEEP_DAYS:
            raise UserError(
                self.env._(
                    "Audit entries are kept for %s days or more.",
                    constants.MIN_KEEP_DAYS,
                )
            )
        if (
            self.env["finance.exception"]
            .sudo()
            .search_count(
                [("code", "=", constants.CODE_BROKEN), ("is_open", "=", True)], limit=1
            )
        ):
            _logger.warning(
                "finance_hub: no audit entries are removed while %s is open",
                constants.CODE_BROKEN,
            )
            return 0
        if self._verify_and_tell().found:
            return 0
        seals = self._old_seals(clock.naive_now() - timedelta(days=days))
        if not seals:
            return 0
        cr = self.env.cr
        cr.execute("SELECT set_config('finance_hub.audit_purge', 'on', true)")
        cr.execute(
            """
            DELETE FROM finance_audit_entry e
             USING finance_audit_position p
             WHERE p.entry_id = e.id AND p.seal_id = ANY(%s)
            """,
            [seals.ids],
        )
        removed = cr.rowcount
        cr.execute(
            "DELETE FROM finance_audit_position WHERE seal_id = ANY(%s)", [seals.ids]
        )
        cr.execute("SELECT set_config('finance_hub.audit_purge', 'off', true)")
        self.env.invalidate_all(flush=False)
        self.env["finance.audit.entry"]._note(
            "audit.purge",
            res_model=self._name,
            after={
                "first_seal": seals[0].number,
                "last_seal": seals[-1].number,
                "entries": removed,
                "last_hash": seals[-1].hash,
            },
            reason=self.env._("Older than %s days", days),
        )
        return removed

    @api.model
    def _old_seals(self, before):
        """Return the seals from the oldest on whose entries are all that old."""
        self.env.cr.execute(
            """
            SELECT s.id, max(e.at)
              FROM finance_audit_seal s
              JOIN finance_audit_position p ON p.seal_id = s.id
              JOIN finance_audit_entry e ON e.id = p.entry_id
             WHERE s.sealed_at < %s
             GROUP BY s.id, s.number
             ORDER BY s.number
            """,
            [before],
        )
        rows = self.env.cr.fetchall()
        kept = held_seals(self.env, [seal_id for seal_id, _newest in rows])
        ids = []
        for seal_id, newest in rows:
            # Of a legal hold, too: what is left is always the end of the trail.
            if newest >= before or seal_id in kept:
                break
            ids.append(seal_id)
        return self.browse(ids)
