from odoo import api, models

from ...contracts import ADVERSE
from .. import clock, constants
from . import words

POSTED = ("posted", "in_process", "paid")
GONE = ("cancel", "canceled", "rejected")
CODE = "C-DIVERGENCE"


class FinanceProcess(models.Model):
    """Compares processes with documents and payments: they must tell the same."""

    _inherit = "finance.process"

    @api.model
    def _cron_compare(self):
        """Compare those that run, and for a time those that ended, the oldest first."""
        since = clock.naive_now() - constants.FLOW_CHECK_ENDED
        processes = self.search(
            [
                "|",
                ("state", "in", ("running", "stopped")),
                "&",
                ("state", "=", "done"),
                ("ended_at", ">=", since),
            ],
            order="compared_at NULLS FIRST, id",
            limit=constants.FLOW_CHECK_BATCH,
        )
        processes._compare()

    def _compare(self):
        """Open an exception for each divergence, and close those that are no more.

        :return: the exceptions that are open
        """
        now = clock.naive_now()
        exceptions = self.env["finance.exception"]
        for process in self:
            found = process._divergences()
            known = process._open_exceptions(CODE)
            current = exceptions.browse()
            for name, text in found.items():
                current |= process._report(
                    CODE,
                    f"process:{process.id}:{name}",
                    self.env._(
                        "%(flow)s and the books disagree: %(record)s",
                        flow=process.flow_id.name,
                        record=process.name,
                    ),
                    text,
                )
            (known - current)._resolve(self.env._("They agree again."))
            process.write({"compared_at": now, "is_diverging": bool(found)})
            exceptions |= current
        return exceptions

    def _divergences(self):
        """Return {name: in words} of what process and books tell differently."""
        self.ensure_one()
        record = self._record()
        if not record:
            return {"gone": self.env._("What the process is about is gone.")}
        if self.state == "cancelled" or self.next_ids:
            # What follows it answers for the document now.
            return {}
        return {
            **self._divergences_of_document(),
            **self._divergences_of_payment(),
        }

    def _divergences_of_document(self):
        document = self._document()
        found = {}
        if not document or "state" not in document._fields:
            return found
        name, state = document.display_name, document.state
        posts = self.step_ids.filtered(lambda s: s.kind == "post")[:1]
        if posts.state == "done" and state not in POSTED:
            found["posted"] = self.env._(
                "The process says that “%(record)s” was posted, but it is %(state)s.",
                record=name,
                state=state,
            )
        elif posts and posts.state != "done" and state in POSTED:
            before = self.step_ids.filtered(
                lambda s: (
                    s.sequence < posts.sequence
                    and s.kind in ("check", "approval", "hold", "task")
                    and s.state != "done"
                )
            )
            if before:
                found["bypassed"] = self.env._(
                    "“%(record)s” was posted, though the process still waits for "
                    "“%(step)s”.",
                    record=name,
                    step=before[0].name,
                )
        if state in GONE and self.state in ("running", "stopped"):
            found["cancelled"] = self.env._(
                "“%(record)s” is %(state)s, but the process goes on.",
                record=name,
                state=state,
            )
        if self.state == "done":
            holds = self.env["finance.hold"]._active(document, company=self.company_id)
            if holds:
                found["held"] = self.env._(
                    "The process has ended, but “%(record)s” is held: %(holds)s.",
                    record=name,
                    holds=", ".join(holds.mapped("title")),
                )
        return found

    def _divergences_of_payment(self):
        found = {}
        transactions = self._transactions()
        waits = self.step_ids.filtered(
            lambda s: (
                s.state in ("active", "failed")
                and s.kind == "wait"
                and s.definition_id.wait_for in ("status", "command")
            )
        )
        for step in waits:
            ahead = self._ahead_of(step.definition_id, transactions)
            if ahead:
                found["ahead"] = self.env._(
                    "The payment %(payment)s is %(status)s, but the process still "
                    "waits for “%(step)s”.",
                    payment=ahead[0].provider_ref,
                    status=ahead[0].settlement.replace("_", " "),
                    step=step.name,
                )
        if self.state == "done":
            back = transactions.filtered(
                lambda t: any(
                    (axis, t[axis]) in ADVERSE
                    for axis in ("execution", "settlement", "dispute")
                )
            )
            good = (transactions - back).filtered("captured_amount")
            if back and not good and self.res_model != "finance.transaction":
                found["returned"] = self.env._(
                    "The process has ended well, but the payment %(payment)s is "
                    "%(status)s.",
                    payment=back[0].provider_ref,
                    status=self._adverse_text(back[0]),
                )
        return found

    @api.model
    def _adverse_text(self, transaction):
        return ", ".join(
            transaction[axis].replace("_", " ")
            for axis in ("execution", "settlement", "dispute")
            if (axis, transaction[axis]) in ADVERSE
        )

    @api.model
    def _ahead_of(self, definition, transactions):
        """Return the transactions that are settled while a step waits for less."""
        settled = transactions.filtered(
            lambda t: t.settlement in ("settled", "paid_out")
        )
        if definition.wait_for == "status":
            axis, _statuses = words.reached_by(definition.wait_status)
            wanted = axis == "execution"
        else:
            wanted = definition.wait_command in (
                "payment.authorised",
                "payment.captured",
            )
        return settled if wanted else settled.browse()
