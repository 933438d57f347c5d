from markupsafe import Markup

from odoo import api, fields, models

LINE = "line "


class FinanceApproval(models.Model):
    """What is asked for in words, and how it differs from what it was before."""

    _inherit = "finance.approval"

    content = fields.Json(readonly=True)
    content_before = fields.Json(readonly=True)
    difference = fields.Html(
        string="What Changed",
        compute="_compute_difference",
        help="Since the last request about it, or since what it corrects.",
    )

    @api.depends("content", "content_before")
    def _compute_difference(self):
        for approval in self:
            approval.difference = approval._render_difference()

    @api.model_create_multi
    def create(self, vals_list):
        approvals = super().create(vals_list)
        for approval in approvals:
            record = approval._record().sudo().with_context(lang=None)
            if not record or not hasattr(record, "_finance_approval_summary"):
                continue
            earlier = self.search(
                [
                    ("res_model", "=", approval.res_model),
                    ("res_id", "=", approval.res_id),
                    ("id", "<", approval.id),
                ],
                limit=1,
            )
            approval.write(
                {
                    "content": record._finance_approval_summary(),
                    "content_before": earlier.content
                    or record._finance_approval_before(),
                }
            )
        return approvals

    def _render_difference(self):
        """Return the lines that differ, before and after; nothing if none does."""
        self.ensure_one()
        before, after = self.content_before or {}, self.content or {}
        if not before:
            return False
        names = [*after, *(name for name in before if name not in after)]
        changed = [name for name in names if before.get(name) != after.get(name)]
        if not changed:
            return False
        cell = Markup("<td>%s</td>")
        rows = Markup().join(
            Markup("<tr><th>%s</th>%s%s</tr>")
            % (
                self._content_label(name),
                cell % (before.get(name) or "–"),
                Markup("<td><b>%s</b></td>") % (after.get(name) or "–"),
            )
            for name in changed
        )
        return Markup(
            '<table class="table table-sm"><thead><tr><th></th><th>%s</th><th>%s</th>'
            "</tr></thead><tbody>%s</tbody></table>"
        ) % (self.env._("Before"), self.env._("Now"), rows)

    def _content_label(self, name):
        """Return what a part of the content is called on the screen."""
        _ = self.env._
        if name.startswith(LINE):
            return _("Line %s", name.removeprefix(LINE))
        return {
            "counterparty": _("Counterparty"),
            "journal": _("Journal"),
            "date": _("Date"),
            "due": _("Due"),
            "reference": _("Reference"),
            "bank_account": _("Bank Account"),
            "method": _("Payment Method"),
            "total": _("Total"),
            "preparer": _("Prepared By"),
        }.get(name, name)
