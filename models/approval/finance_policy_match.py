from datetime import timedelta
from typing import NamedTuple

from odoo import api, models, tools

from .. import clock
from .finance_policy import KINDS


class Facts(NamedTuple):
    """What the conditions of a policy in force say, as it is kept in memory."""

    id: int
    effect: str
    amount_from: float
    currency_id: int
    partner_ids: frozenset
    category_ids: frozenset
    country_ids: frozenset
    connector_ids: frozenset
    domain: list


class FinancePolicy(models.Model):
    _inherit = "finance.policy"

    @api.model
    @tools.ormcache()
    def _in_force(self):
        """Return {(company id, kind): tuple of :class:`Facts`} of all active policies.

        Kept in memory of each process, as every posting asks: without a policy, that
        costs no query. Odoo's own signal empties it everywhere when one changes.
        """
        found = {}
        for policy in self.sudo().search([("state", "=", "active")], order="id"):
            facts = policy._facts()
            for kind in policy._kinds():
                key = (policy.company_id.id, kind)
                found[key] = (*found.get(key, ()), facts)
        return found

    def _facts(self):
        """Return the conditions of the policy, of one that is being typed, too."""
        self.ensure_one()
        return Facts(
            self._origin.id or 0,
            self.effect,
            self.amount_from,
            self.currency_id.id,
            frozenset(self.partner_ids._origin._ids),
            frozenset(self.category_ids._origin._ids),
            frozenset(self.country_ids._origin._ids),
            frozenset(self.connector_ids._origin._ids),
            self._parsed_domain(),
        )

    @api.model
    def _asks_about(self, model):
        """Return whether any policy is about records of a model. No query."""
        return any(KINDS[kind][1] == model for _company_id, kind in self._in_force())

    @api.model
    def _matching(self, subjects, in_force=None):
        """Return {key: policies} of what a policy is about.

        :param subjects: list of :class:`Subject`
        :param dict in_force: other conditions than those in force, as they are kept
        """
        in_force = self._in_force() if in_force is None else in_force
        thresholds, matched, conditions = {}, {}, {}
        for subject in subjects:
            for facts in in_force.get((subject.company.id, subject.kind), ()):
                if not self._is_about(facts, subject, thresholds):
                    continue
                matched.setdefault(subject.key, set()).add(facts.id)
                if facts.domain and subject.record is not None:
                    known = conditions.setdefault(facts.id, (facts.domain, []))
                    known[1].append(subject)
        for policy_id, (domain, asked) in conditions.items():
            records = asked[0].record.browse(s.record.id for s in asked).sudo()
            fitting = set(records.filtered_domain(domain)._ids)
            for subject in asked:
                if subject.record.id not in fitting:
                    matched[subject.key].discard(policy_id)
        return {
            key: self.sudo().browse(sorted(ids)) for key, ids in matched.items() if ids
        }

    @api.model
    def _is_about(self, facts, subject, thresholds):
        """Whether all conditions but the further one hold.

        :param dict thresholds: amounts in the companies' currencies, kept between
            the subjects of one look
        """
        if facts.amount_from:
            company = subject.company
            key = (facts.id, company.id)
            if key not in thresholds:
                thresholds[key] = self._in_company_currency(
                    facts.amount_from, facts.currency_id, company
                )
            if company.currency_id.compare_amounts(subject.amount, thresholds[key]) < 0:
                return False
        if facts.partner_ids and facts.partner_ids.isdisjoint(subject.partners._ids):
            return False
        if facts.category_ids and facts.category_ids.isdisjoint(
            subject.partners.category_id._ids
        ):
            return False
        if facts.country_ids and facts.country_ids.isdisjoint(
            subject.partners.country_id._ids
        ):
            return False
        return not facts.connector_ids or not facts.connector_ids.isdisjoint(
            subject.connector_ids
        )

    @api.model
    def _in_company_currency(self, amount, currency_id, company):
        """Return an amount in the currency of a company, at today's rate."""
        currency = self.env["res.currency"].browse(currency_id)
        return currency._convert(
            amount, company.currency_id, company, clock.now().date()
        )

    def _needs_connectors(self):
        """Return whether any policy asks which system a record came from. No query."""
        return any(
            facts.connector_ids
            for policies in self._in_force().values()
            for facts in policies
        )

    # === STEPS === #

    def _planned_steps(self, amount, company):
        """Return the values of the steps of a request, merged where they are the same.

        :param float amount: of the subject, in the currency of ``company``
        """
        planned = {}
        for step in self.filtered(lambda p: p.effect == "approval").step_ids:
            needed_from = self._in_company_currency(
                step.amount_from, step.currency_id.id, company
            )
            if company.currency_id.compare_amounts(amount, needed_from) < 0:
                continue
            key = (
                step.sequence,
                step.group_id.id,
                step.team_id.id,
                tuple(sorted(step.user_ids._ids)),
            )
            known = planned.get(key)
            if known:
                known["consents"] = max(known["consents"], step.consents)
                known["due_hours"] = min(known["due_hours"], step.due_hours)
                known["external_allowed"] &= step.external_allowed
                continue
            planned[key] = {
                "sequence": step.sequence,
                "name": step.name,
                "group_id": step.group_id.id,
                "team_id": step.team_id.id,
                "user_ids": [(6, 0, step.user_ids.ids)],
                "consents": step.consents,
                "due_hours": step.due_hours,
                "external_allowed": step.external_allowed,
            }
        return sorted(planned.values(), key=lambda values: values["sequence"])

    # === EFFECT === #

    def _threshold(self, company):
        """Return the amount above which all of the policies count."""
        return max(
            self._in_company_currency(
                policy.amount_from, policy.currency_id.id, company
            )
            for policy in self
        )

    def _expiry(self):
        """Return when a request or hold made now ends, naive UTC; None for never."""
        hours = [policy.expire_hours for policy in self if policy.expire_hours]
        return clock.naive_now() + timedelta(hours=min(hours)) if hours else None

    def _place_hold(self, record, amount, command=None):
        """Hold a record until the verdict that the policy asks for."""
        self.ensure_one()
        hold = self.env["finance.hold"]._place(
            record,
            self.hold_kind,
            self.env._("A policy asks for a verdict first: %s.", self.name),
            topic=self.hold_topic or None,
            origin="check",
            amount=amount,
            currency=record.company_id.currency_id,
            expires_at=self._expiry(),
            command=command,
        )
        hold.policy_ids |= self
        return hold
