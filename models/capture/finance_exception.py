from odoo import models

from . import payload_master as payload

CLOSED = ("resolved", "cancelled")


class FinanceException(models.Model):
    _name = "finance.exception"
    _inherit = ["finance.exception", "finance.captured"]

    _finance_fields = ("state",)

    def _open(self, code, *, occurrences=1, **values):
        exception = super()._open(code, occurrences=occurrences, **values)
        # What happens again is counted on the open one; only the first is news.
        if exception.occurrences == occurrences:
            self.env["finance.capture"]._note(exception, "opened")
        return exception

    def _finance_transitions(self, before, now, marks):
        """Return that an exception was opened or closed, see finance.captured.

        One about an event on exceptions stays silent: it would announce itself.
        """
        if self._finance_about_itself():
            return []
        found = []
        if "opened" in marks:
            found.append(("opened", None))
        if "escalated" in marks:
            found.append(("escalated", marks["escalated"]))
        if now["state"] in CLOSED and (before and before["state"]) not in CLOSED:
            found.append(("resolved", None))
        return found

    def _finance_about_itself(self):
        if self.res_model != "finance.event":
            return False
        event = self.env["finance.event"].browse(self.res_id).exists()
        return event.type.startswith("finance.exception.") if event else False

    def _finance_event_values(self, verb, extra=None, facts=None):
        """Return what an event about this exception says, see finance.captured."""
        self.ensure_one()
        return [
            {
                "object": "exception",
                "label": self.summary or self.code,
                "company": self.company_id,
                "correlation_id": self.correlation_id,
                "data": payload.exception(self, verb),
            }
        ]
