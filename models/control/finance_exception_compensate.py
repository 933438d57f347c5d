from odoo import fields, models
from odoo.exceptions import UserError

from .. import constants
from ..access import require_group
from ..windows import dialog_of
from .finance_compensation import KINDS

# What is proposed first for a kind of exception; whatever else fits comes after it.
PROPOSED = {
    "B-RETURNED": ("payment_cancel", "hold_release", "credit_note"),
    "B-DISPUTE": ("post_entry", "credit_note"),
    "B-SHORTPAY": ("write_off", "reopen"),
    "B-OVERPAY": ("reopen",),
    "B-UNMATCHED": ("payment_cancel", "reopen"),
    "B-AMBIGUOUS": ("payment_cancel", "reopen"),
    "B-RISK-PENDING": ("hold_release",),
    "B-RISK-REJECTED": ("hold_release", "credit_note", "payment_cancel"),
    "B-LIMIT-EXCEEDED": ("hold_release",),
    "D-TAX-MISMATCH": ("credit_note", "reversal"),
    "C-BYPASS": ("reversal", "credit_note", "payment_cancel"),
    "C-AMOUNT-INTEGRITY": ("reversal", "credit_note", "payment_cancel"),
    "C-SOD": ("reversal", "credit_note", "payment_cancel"),
}


class FinanceException(models.Model):
    """Exceptions that are made good for by a compensation."""

    _inherit = "finance.exception"

    compensation_ids = fields.One2many(
        "finance.compensation", "exception_id", readonly=True
    )
    can_compensate = fields.Boolean(compute="_compute_can_compensate")

    def _compute_can_compensate(self):
        for exception in self:
            exception.can_compensate = bool(
                exception.is_open
                and exception.code in PROPOSED
                and exception.sudo()._proposals(limit=1)
            )

    def action_compensate(self):
        """Open the form that proposes how to make good for it."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        self._expect_open()
        found = self.sudo()._proposals()
        if not found:
            raise UserError(
                self.env._(
                    "Nothing of what this is about can be taken back by the hub as it "
                    "is now."
                )
            )
        wizard = self.env["finance.compensate.wizard"].create(
            {
                "exception_id": self.id,
                "line_ids": [
                    (
                        0,
                        0,
                        {"kind": kind, "res_model": record._name, "res_id": record.id},
                    )
                    for kind, record in found
                ],
            }
        )
        wizard.line_id = wizard.line_ids[:1]
        return dialog_of(wizard, self.env._("Compensate"))

    def _proposals(self, limit=None):
        """Return the compensations that fit what this concerns, the likeliest first.

        :return: [(kind, record)]
        """
        self.ensure_one()
        compensations = self.env["finance.compensation"]
        first = PROPOSED.get(self.code, ())
        # A hold is released where the exception is about it; others have their reasons.
        rest = [kind for kind, _label in KINDS if kind not in first]
        if "hold_release" not in first:
            rest.remove("hold_release")
        concerned = self._concerned()
        found = []
        for kind in (*first, *rest):
            for record in concerned:
                if compensations._fits(kind, record):
                    found.append((kind, record))
                    if limit and len(found) >= limit:
                        return found
        return found

    def _reopen(self):
        """Open an exception again, as what solved it was taken back."""
        for exception in self.filtered(lambda e: not e.is_open):
            again = self.search(
                [
                    ("fingerprint", "=", exception.fingerprint),
                    ("is_open", "=", True),
                ]
            )
            if again:
                # The same came up anew meanwhile: that one is worked on.
                continue
            exception.write(
                {
                    "state": "open",
                    "resolution": False,
                    "resolved_by_id": False,
                    "resolved_at": False,
                }
            )
