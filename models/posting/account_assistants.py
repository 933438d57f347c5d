"""Odoo's assistants that make something and post it in one go.

Where a policy asks for consent they leave drafts, ask, and say so, as Confirm does.
What they would have matched with the entries is matched once those are posted.
"""

from odoo import fields, models

from ..consent import leaving_drafts, left_drafts

LISTED = 5


def run(method):
    """Run an assistant, and tell whoever did what waits for consent.

    :param method: what makes and posts; returns an action
    :return: that action, after a message if anything waits
    """
    with leaving_drafts() as left:
        action = method()
    if not left:
        return action
    waiting = left[0].union(*left[1:])
    if not isinstance(action, dict):
        action = {"type": "ir.actions.act_window_close"}
    elif action.get("type") == "ir.actions.act_window" and not action.get("views"):
        modes = (action.get("view_mode") or "form").split(",")
        action["views"] = [(False, mode) for mode in modes]
    return waiting._finance_telling_action(action)


class FinancePoliced(models.AbstractModel):
    _inherit = "finance.policed"

    def _finance_telling_action(self, then):
        """Return the message about drafts that wait, with a link to each request.

        :param dict then: the action that follows
        """
        message = self._finance_waiting_action(self, then)
        approvals = self.env["finance.approval"]._pending(self)[:LISTED]
        if approvals and approvals.with_env(self.env).has_access("read"):
            message["params"]["links"] = [
                {
                    "label": approval.title,
                    "url": "/odoo/action-finance_hub.finance_approval_action/"
                    f"{approval.id}",
                }
                for approval in approvals
            ]
            text = message["params"]["message"].replace("%", "%%")
            message["params"]["message"] = " · ".join([text, *["%s"] * len(approvals)])
        return message


class AccountMove(models.Model):
    _inherit = "account.move"

    finance_match_later = fields.Json(
        string="To Match Once Posted",
        copy=False,
        readonly=True,
        help="Lists of ids of journal items that an assistant wanted matched.",
    )

    def _finance_due(self, soft):
        """Return those that are posted now, as Odoo sees it: others wait for their day.

        :param bool soft: as of ``_post``
        """
        today = fields.Date.context_today(self)
        return self.filtered(lambda move: move.date <= today) if soft else self

    def _finance_leave_drafts(self, soft):
        """Ask for what is missing, and return the others; see ``leaving_drafts``."""
        waiting = self._finance_due(soft)._finance_ask_consents()
        if waiting:
            left_drafts().append(waiting)
        return self - waiting

    def _finance_match_posted(self):
        """Match what an assistant wanted matched, as far as all of it is posted."""
        for move in self:
            lists, move.sudo().finance_match_later = move.finance_match_later, False
            for ids in lists:
                lines = self.env["account.move.line"].browse(ids).exists()
                lines = lines._filtered_access("write")
                if set(lines.mapped("parent_state")) == {"posted"}:
                    self.env["finance.booking"]._reconcile(lines)


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    def reconcile(self):
        left = left_drafts()
        moves = self.move_id
        drafts = moves.browse().union(
            *(lot & moves for lot in left or () if lot._name == moves._name)
        )
        if not drafts:
            return super().reconcile()
        for draft in drafts.sudo():
            draft.finance_match_later = [*(draft.finance_match_later or []), self.ids]
        return None


class AccountMoveReversal(models.TransientModel):
    _inherit = "account.move.reversal"

    def reverse_moves(self, is_modify=False):
        reverse = super().reverse_moves
        if any(self.move_ids.line_ids.mapped("matching_number")):
            # What pays it is set free before anybody consents: not without a draft.
            return reverse(is_modify)
        return run(lambda: reverse(is_modify))


class AccountAccruedOrdersWizard(models.TransientModel):
    _inherit = "account.accrued.orders.wizard"

    def create_entries(self):
        return run(super().create_entries)


class AccountAutomaticEntryWizard(models.TransientModel):
    _inherit = "account.automatic.entry.wizard"

    def do_action(self):
        return run(super().do_action)


class AccountPaymentRegister(models.TransientModel):
    _inherit = "account.payment.register"

    def action_create_payments(self):
        return run(super().action_create_payments)
