from odoo import api, models
from odoo.fields import Domain

from .. import constants
from ..words import age_text

OPEN = Domain("is_open", "=", True)
EXCEPTIONS = "finance_hub.finance_exception_action"


class FinanceDashboard(models.AbstractModel):
    """What needs somebody: the tiles, and the most urgent exceptions themselves."""

    _inherit = "finance.dashboard"

    @api.model
    def _needs(self, now):
        """Return the tiles of what waits for this user, the most urgent first.

        :return: [{key, title, count (text), level, action}], level ``danger``,
            ``warning`` or ``muted``
        """
        tiles = [
            (
                "mine",
                self.env._("My exceptions"),
                OPEN & Domain("user_id", "=", self.env.uid),
                "warning",
            ),
            (
                "overdue",
                self.env._("Past their due time"),
                OPEN & Domain("due_at", "<", now),
                "danger",
            ),
            (
                "control",
                self.env._("Control breaches"),
                OPEN & Domain("klass", "=", "control"),
                "danger",
            ),
            (
                "unassigned",
                self.env._("Nobody's exceptions"),
                OPEN & Domain("user_id", "=", False),
                "warning",
            ),
        ]
        found = [
            self._tile(key, title, "finance.exception", domain, EXCEPTIONS, level)
            for key, title, domain, level in tiles
        ]
        waiting = [
            tile
            for tile in (
                self._tile(key, title, model, domain, action, "warning")
                for key, title, model, domain, action in self._approvals()
            )
            if tile["number"]
        ]
        return found + waiting

    @api.model
    def _approvals(self):
        """Return what this user can decide on: (key, title, model, domain, action)."""
        if not self.env.user.has_group(constants.GROUP_APPROVER):
            return []

        def from_others(state, requested_by="requested_by_id"):
            return Domain("state", "=", state) & Domain(
                requested_by, "!=", self.env.uid
            )

        return [
            (
                "waivers",
                self.env._("Waivers to decide"),
                "finance.exception",
                OPEN
                & Domain("waiver_state", "=", "requested")
                & Domain("waiver_requested_by_id", "!=", self.env.uid),
                EXCEPTIONS,
            ),
            (
                "approvals",
                self.env._("Requests to decide"),
                "finance.approval",
                # Also for those one stands in for, and only when it is one's turn.
                Domain("is_waiting_for_me", "=", True),
                "finance_hub.finance_approval_action_mine",
            ),
            (
                "mappings",
                self.env._("Mappings to approve"),
                "finance.mapping",
                from_others("proposed", "proposed_by_id"),
                "finance_hub.finance_mapping_action",
            ),
            (
                "conflicts",
                self.env._("Changes of others' data"),
                "finance.ownership.conflict",
                from_others("requested"),
                "finance_hub.finance_ownership_conflict_action",
            ),
            (
                "connectors",
                self.env._("Connectors to put live"),
                "finance.connector",
                from_others("in_review"),
                "finance_hub.finance_connector_action",
            ),
            (
                "replays",
                self.env._("Replays to approve"),
                "finance.replay",
                from_others("to_approve"),
                "finance_hub.finance_replay_action",
            ),
            (
                "policies",
                self.env._("Policies to put in force"),
                "finance.policy",
                from_others("in_review"),
                "finance_hub.finance_policy_action",
            ),
            (
                "flows",
                self.env._("Flows to put live"),
                "finance.flow",
                from_others("in_review"),
                "finance_hub.finance_flow_action",
            ),
            (
                "delegations",
                self.env._("Delegations to confirm"),
                "finance.delegation",
                from_others("to_confirm", "create_uid"),
                "finance_hub.finance_delegation_action",
            ),
            (
                "duties",
                self.env._("Looser duties to confirm"),
                "finance.duty.conflict",
                Domain("proposed_effect", "!=", False)
                & Domain("proposed_by_id", "!=", self.env.uid),
                "finance_hub.finance_duty_conflict_action",
            ),
            (
                "emergencies",
                self.env._("Emergency access to review"),
                "finance.break.glass",
                from_others("ended", "user_id"),
                "finance_hub.finance_break_glass_action",
            ),
        ]

    # === THE NEXT ONES === #

    @api.model
    def _urgent(self, now):
        """Return the exceptions to take next: this user's own and nobody's.

        Those that the hub is trying again, and those that were put off, are left out.

        :return: rows of ``_urgent_row``, the most urgent first
        """
        exceptions = self.env["finance.exception"]
        found = exceptions
        # One owner in one company each, as an index holds them in this very order.
        for company in self.env.companies:
            for owner in (self.env.uid, False):
                found |= exceptions.search(
                    Domain("company_id", "=", company.id)
                    & Domain("user_id", "=", owner)
                    & Domain("state", "=", "open")
                    & (
                        Domain("snoozed_until", "=", False)
                        | Domain("snoozed_until", "<=", now)
                    ),
                    limit=constants.DASHBOARD_URGENT,
                )
        soonest = found.sorted(
            lambda row: (
                row.severity_rank,
                not row.due_at,
                row.due_at or now,
                row.id,
            )
        )
        return [
            self._urgent_row(exception, now)
            for exception in soonest[: constants.DASHBOARD_URGENT]
        ]

    @api.model
    def _urgent_row(self, exception, now):
        """Return what the dashboard shows of an exception.

        :return: {id, code, kind, summary, severity, level, connector, amount, due,
            overdue}, the texts for a person
        """
        due = exception.due_at
        overdue = bool(due and due < now)
        if not due:
            text = ""
        elif overdue:
            text = self.env._("%s late", age_text(self.env, now - due))
        else:
            text = self.env._("in %s", age_text(self.env, due - now))
        severities = dict(
            exception._fields["severity"]._description_selection(self.env)
        )
        return {
            "id": exception.id,
            "code": exception.code,
            "kind": exception.code_title,
            "summary": exception.summary,
            "severity": severities[exception.severity],
            "level": constants.SEVERITY_LEVELS[exception.severity],
            "connector": exception.connector_id.name or "",
            "amount": (
                exception.currency_id.format(exception.amount)
                if exception.currency_id and exception.amount
                else ""
            ),
            "due": text,
            "overdue": overdue,
        }
