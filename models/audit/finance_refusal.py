"""Calls from outside that were refused, in the trail."""

from odoo import models

from .. import clock
from . import constants
from .limiter import Limiter

limiter = Limiter()


class FinanceRefusal(models.Model):
    _inherit = "finance.refusal"

    def _store(self, entries):
        """Count calls, and note in the trail that there were any.

        One entry for each connector and reason, and no more than a few a minute,
        however many calls there are: the counts stand under Refused Calls.
        """
        result = super()._store(entries)
        found = {}
        for (_minute, connector_id, address, code), (number, facts) in entries.items():
            place = found.setdefault((connector_id, code), [0, set(), facts])
            place[0] += number
            place[1].add(address)
        for (connector_id, code), (number, addresses, facts) in found.items():
            key = (self.env.cr.dbname, connector_id, code)
            allowed, suppressed = limiter.take(key, clock.now())
            if allowed:
                self._note_in_trail(
                    connector_id, code, number, addresses, facts, suppressed
                )
        return result

    def _note_in_trail(self, connector_id, code, number, addresses, facts, suppressed):
        connector = self.env["finance.connector"].browse(connector_id or ())
        self.env["finance.audit.entry"]._note(
            "inbound.refused",
            connector or None,
            res_model="finance.connector",
            label=None if connector else facts.get("called"),
            outcome="refused",
            facts={
                "code": code,
                "calls": number,
                "from": sorted(filter(None, addresses))[: constants.ADDRESSES_LISTED],
                "refused_because": facts.get("detail"),
                **({"sha256": facts["sha256"]} if facts.get("sha256") else {}),
                **({"not_recorded_before": suppressed} if suppressed else {}),
            },
        )
