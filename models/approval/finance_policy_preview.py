from datetime import timedelta

from markupsafe import Markup

from odoo import api, fields, models

from .. import clock, constants
from ..consent import Subject
from .finance_policy import KINDS

POSTED = {
    "account.move": ("state", "=", "posted"),
    "account.payment": ("state", "in", ("in_process", "paid")),
    "finance.posting.request": ("state", "=", "posted"),
    "sale.order": ("state", "=", "sale"),
}
DATED = {"sale.order": "date_order"}


class FinancePolicy(models.Model):
    """What a policy would have stopped, before anybody puts it in force."""

    _inherit = "finance.policy"

    preview = fields.Html(
        string="Would Have Been Stopped", compute="_compute_preview", sanitize=False
    )

    @api.depends(
        "company_id",
        *(field for field, _model in KINDS.values()),
        "amount_from",
        "currency_id",
        "partner_ids",
        "category_ids",
        "country_ids",
        "connector_ids",
        "domain",
    )
    def _compute_preview(self):
        for policy in self:
            policy.preview = policy._render_preview()

    def _render_preview(self):
        """Return in words and as a list what of the last days it is about."""
        self.ensure_one()
        muted = Markup('<span class="text-muted">%s</span>')
        kinds = self._kinds()
        if not kinds:
            return muted % self.env._("Tick what the policy is about.")
        try:
            facts = self._facts()
        except (SyntaxError, ValueError):
            return muted % self.env._("The further condition can't be read.")
        company = self.company_id or self.env.company
        found, looked_at, unread = [], 0, False
        for model, of_model in self._preview_models(kinds).items():
            if not self.env[model].has_access("read"):
                unread = True
                continue
            subjects = self._preview_subjects(model, of_model, company, facts)
            looked_at += len(subjects)
            in_force = {(company.id, kind): (facts,) for kind in of_model}
            matched = self._matching(subjects, in_force)
            found += [subject for subject in subjects if subject.key in matched]
        if unread and not looked_at:
            return muted % self.env._(
                "Who may read the documents in Odoo sees here which would have been "
                "stopped."
            )
        return self._preview_table(found, looked_at, company)

    def _preview_models(self, kinds):
        """Return {model: kinds} of what there is to look at."""
        models_ = {}
        for kind in kinds:
            model = KINDS[kind][1] or "finance.posting.request"
            if model in self.env:
                models_.setdefault(model, []).append(kind)
        return models_

    def _preview_subjects(self, model, kinds, company, facts):
        """Return the subjects of the latest documents that were posted."""
        day = DATED.get(model, "date")
        since = clock.now().date() - timedelta(days=constants.POLICY_PREVIEW_DAYS)
        records = self.env[model].search(
            [("company_id", "=", company.id), POSTED[model], (day, ">=", since)],
            order=f"{day} desc, id desc",
            limit=constants.POLICY_PREVIEW_DOCUMENTS,
        )
        if model == "finance.posting.request":
            return [self._request_subject(request) for request in records]
        subjects = [
            subject
            for subject in records._finance_policy_subjects()
            if subject.kind in kinds
        ]
        if facts.connector_ids and hasattr(records, "_finance_known_to"):
            known = records._finance_known_to()
            subjects = [
                subject._replace(connector_ids=known.get(subject.key, set()))
                for subject in subjects
            ]
        return [s._replace(key=(model, s.key)) for s in subjects]

    @api.model
    def _request_subject(self, request):
        partners = request.sudo().move_id.line_ids.partner_id
        return Subject(
            key=(request._name, request.id),
            kind="posting_request",
            company=request.company_id,
            amount=request.total,
            partners=partners | partners.commercial_partner_id,
            connector_ids={request.connector_id.id},
            record=request,
        )

    def _preview_table(self, found, looked_at, company):
        currency = company.currency_id
        days = constants.POLICY_PREVIEW_DAYS
        summary = self.env._(
            "%(count)s of %(all)s of the last %(days)s days, %(amount)s in all.",
            count=len(found),
            all=looked_at,
            days=days,
            amount=currency.format(sum(subject.amount for subject in found)),
        )
        rows = Markup().join(
            Markup(
                '<tr><td><a href="/odoo/%s/%s" target="_blank">%s</a></td>'
                '<td>%s</td><td class="text-end">%s</td></tr>'
            )
            % (
                subject.key[0],
                subject.key[1],
                subject.record.display_name,
                ", ".join(subject.partners.commercial_partner_id.mapped("name")[:1]),
                currency.format(subject.amount),
            )
            for subject in found[: constants.POLICY_PREVIEW_LINES]
        )
        more = len(found) - constants.POLICY_PREVIEW_LINES
        rest = Markup("<p>%s</p>") % self.env._("and %s more", more) if more > 0 else ""
        return Markup('<p>%s</p><table class="table table-sm">%s</table>%s') % (
            summary,
            rows,
            rest,
        )
