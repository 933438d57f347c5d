from odoo import models

from .errors import CommandError

TAKEN_BACK = {"failed", "reversed"}


class FinanceTransaction(models.Model):
    """Refunds and disputes: what was reported of them, and what follows in the books.

    What is booked depends on which statuses are known, not on the order in which they
    came: each of these methods looks at the log and does what is still missing.
    """

    _inherit = "finance.transaction"

    # === CHILDREN === #

    def _child(self, command, kind, ref, amount, currency, **values):
        """Return the refund or dispute of a payment with a reference.

        One that a settlement report told of first, without saying what the provider
        calls it, gets its name now.

        :raise CommandError: C-AMOUNT-INTEGRITY when it was booked with another amount
        """
        self.ensure_one()
        values.update(
            kind=kind,
            parent_id=self.id,
            correlation_id=self.correlation_id,
            move_id=self.move_id.id,
        )
        reported = self.child_ids.filtered(
            lambda child: (
                child.is_reported
                and child.kind == kind
                and not child.currency_id.compare_amounts(child.amount, amount)
            )
        )[:1]
        if reported and not self._known(self.connector_id, ref):
            reported.write({"provider_ref": ref, "is_reported": False})
        child = self._for(command, ref, amount, currency, **values)
        if child.parent_id != self:
            raise CommandError(
                "C-AMOUNT-INTEGRITY",
                self.env._(
                    "%(reference)s belongs to %(known)s, not to %(reported)s. Ask the "
                    "sender which one is right; nothing was booked.",
                    reference=ref,
                    known=child.parent_id.provider_ref or child.kind,
                    reported=self.provider_ref,
                ),
            )
        child._lock()
        if child.currency_id != currency or currency.compare_amounts(
            child.amount, amount
        ):
            if child.payment_id or child.entry_ids:
                raise CommandError(
                    "C-AMOUNT-INTEGRITY",
                    self.env._(
                        "%(reference)s was booked before with %(amount)s. Ask the "
                        "sender which amount is right; nothing was booked for this "
                        "one.",
                        reference=ref,
                        amount=child.currency_id.format(child.amount),
                    ),
                )
            child.write({"amount": amount, "currency_id": currency.id})
        return child

    def _report_child(self, kind, ref, amount, currency, moment, reason, reported):
        """Book a refund or dispute that a settlement report told of.

        :param kind: ``refund`` or ``dispute``
        :param moment: naive UTC, when it happened
        :param bool reported: whether ``ref`` is the hub's own, for want of another
        :return: its transaction
        """
        self._lock()
        holder = self.with_context(finance_correlation_id=self.correlation_id)
        child = self._for_report(ref, amount, currency, kind, reason, reported)
        child = child.with_env(holder.env)
        if kind == "refund":
            child._log(None, "refund", "full", moment)
            child._follow_refund()
        else:
            child._log(None, "dispute", "open", moment)
            child._follow_dispute()
        return child

    def _for_report(self, ref, amount, currency, kind, reason, reported):
        return self.create(
            {
                "connector_id": self.connector_id.id,
                "provider_ref": ref,
                "amount": amount,
                "currency_id": currency.id,
                "correlation_id": self.correlation_id,
                "kind": kind,
                "parent_id": self.id,
                "move_id": self.move_id.id,
                "reason": reason,
                "is_reported": reported,
            }
        )

    def _when(self, axis, *statuses):
        """Return the date of the earliest of some statuses."""
        moments = self.transition_ids.filtered(
            lambda t: t.axis == axis and t.status in statuses
        ).mapped("occurred_at")
        return min(moments).date()

    def _role_count(self, role):
        """Return how many entries are posted for a part of the transaction."""
        return len(
            self.entry_ids.filtered(
                lambda move: move.finance_role == role and move.state == "posted"
            )
        )

    # === REFUND === #

    def _follow_refund(self, reference=None):
        """Book a refund that succeeded, and take back one that failed after that.

        :param reference: of the credit note, as far as the provider knows it
        """
        self.ensure_one()
        booking = self.env["finance.booking"]
        stages = self._stages("refund")
        back = stages & TAKEN_BACK
        if "full" not in stages:
            return
        if not self.payment_id:
            date = self._when("refund", "full")
            self.payment_id = booking._book_refund(self, date, self.reason)
            self._log_once("accounting", "posted", "refund", "full")
            self.env["finance.capture"]._note(
                self.parent_id.payment_id, "refunded", self.payment_id.id
            )
            if not back and not booking._match_refund(self, reference):
                booking._propose_credit_note(self)
            self._tell_waiting()
        if back and not self._role_count("return"):
            date = self._when("refund", *TAKEN_BACK)
            booking._reverse_payment(self, date, self.reason or self.env._("refund"))
            self._log_once("accounting", "reversed", "refund", *back)
            self._withdraw(self.credit_note_id)
            self._tell_waiting()

    def _withdraw(self, proposed):
        """Cancel a credit note that was proposed and is not needed any more."""
        if proposed.state == "draft":
            proposed.activity_ids.unlink()
            proposed.button_cancel()
            if self.credit_note_id == proposed:
                self.credit_note_id = False

    def _log_once(self, axis, status, source, *statuses):
        """Log a status that follows from those of another axis, with their time."""
        moments = self.transition_ids.filtered(
            lambda t: t.axis == source and t.status in statuses
        ).mapped("occurred_at")
        self._log(None, axis, status, min(moments))

    # === DISPUTE === #

    def _follow_dispute(self):
        """Book what a dispute takes away or gives back; propose what it costs."""
        self.ensure_one()
        booking = self.env["finance.booking"]
        stages = self._stages("dispute")
        taken = stages & {"open", "lost"}
        if not taken:
            return
        held = self._role_count("dispute") - self._role_count("dispute_back")
        first = not self.entry_ids
        if first:
            booking._book_dispute(self, self._when("dispute", *taken))
            self._log_once("accounting", "posted", "dispute", *taken)
            held = 1
        if self.dispute == "won" and held:
            booking._book_dispute(self, self._when("dispute", "won"), back=True)
            self._log_once("accounting", "reversed", "dispute", "won")
        elif self.dispute in ("open", "lost") and not held:
            booking._book_dispute(self, self._when("dispute", self.dispute))
        if self.dispute == "lost" and not self.entry_ids.filtered(
            lambda move: move.finance_role == "loss"
        ):
            booking._propose_loss(self, self._when("dispute", "lost"))
        self._tell_waiting()
