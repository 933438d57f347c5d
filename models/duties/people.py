"""Nobody gets two roles that the matrix keeps apart."""

from odoo import api, models
from odoo.exceptions import RedirectWarning, UserError

from ..audit import frames
from ..audit.roles import GROUP_KEYS, USER_KEYS
from . import constants
from .finance_duty import REASON

ROLE_CHANGE = "role.change"
ACCEPTED = "duty.accept"


class ResUsers(models.Model):
    _inherit = "res.users"

    @api.model_create_multi
    def create(self, vals_list):
        users = super().create(vals_list)
        users._finance_check_duties({})
        return users

    def write(self, vals):
        if not any(key in vals for key in USER_KEYS) and not any(
            key.startswith(("sel_groups_", "in_group_")) for key in vals
        ):
            return super().write(vals)
        before = self._finance_conflicts()
        groups = {user.id: user.sudo().group_ids for user in self}
        result = super().write(vals)
        self._finance_check_duties(before, groups)
        return result

    def _finance_conflicts(self):
        """Return {user id: conflicts of roles}; nothing where it is not asked for."""
        if self.env.su:
            # Installation, jobs, and what a button does on somebody's behalf: looked
            # at by the scheduled action, never in the way.
            return {}
        found = self.env["finance.duty.conflict"]._by_person(self)
        return {user.id: conflicts for user, conflicts in found.items()}

    def _finance_check_duties(self, before, groups=None):
        """Refuse, ask for a reason or report where roles now conflict that did not.

        :param dict before: what :meth:`_finance_conflicts` said
        :param dict groups: user id → groups that the user had directly
        """
        if self.env.su:
            return
        none = self.env["finance.duty.conflict"].sudo()
        for user_id, after in self._finance_conflicts().items():
            user = self.browse(user_id)
            fresh = after - before.get(user_id, none)
            for effect in constants.EFFECTS:
                for conflict in fresh.filtered(lambda c, e=effect: c.effect == e):
                    user._finance_meets(conflict, (groups or {}).get(user_id))

    def _finance_meets(self, conflict, groups):
        """Do what the matrix says about one conflict of a user's roles."""
        self.ensure_one()
        message = self.env._(
            "%(user)s would have two roles that are kept apart: %(duty)s, and "
            "%(other)s. %(why)s",
            user=self.sudo().name,
            duty=conflict.duty_id.name,
            other=conflict.other_id.name,
            why=conflict.why,
        )
        if conflict.effect == "refuse":
            with frames._refusals(self, ROLE_CHANGE):
                raise UserError(message)
        reason = (self.env.context.get(REASON) or "").strip()
        if conflict.effect == "reason" and not reason:
            self._finance_ask_reason(message, groups)
        if conflict.effect == "reason":
            self.env["finance.audit.entry"]._note(
                ACCEPTED,
                self,
                company=self.sudo().company_id,
                reason=reason,
                facts={"conflict": conflict.id, "duties": conflict.name},
            )
        else:
            conflict._report_person(self)

    def _finance_ask_reason(self, message, groups):
        added = self.sudo().group_ids - groups if groups is not None else None
        if not added:
            raise UserError(
                self.env._(
                    "%s It needs a reason: give the role to the person alone, on "
                    "their own form.",
                    message,
                )
            )
        raise RedirectWarning(
            message,
            self.env["finance.duty.wizard"]._action_for_roles(self, added, message),
            self.env._("Give the Reason"),
        )


class ResGroups(models.Model):
    _inherit = "res.groups"

    def write(self, vals):
        if self.env.su or not any(key in vals for key in GROUP_KEYS):
            return super().write(vals)
        duties = self.env["finance.duty"].sudo().search([("kind", "=", "standing")])
        users = duties._holders()
        before = users.with_env(self.env)._finance_conflicts()
        result = super().write(vals)
        users |= duties._holders()
        users.with_env(self.env)._finance_check_duties(before)
        return result


class FinanceDutyConflict(models.Model):
    _inherit = "finance.duty.conflict"

    @api.model
    def _cron_report(self):
        """Report everybody whose roles conflict, however they came by them.

        What a person gave a reason for stands. What somebody closed is opened again
        only after the person's roles changed.
        """
        seen = set()
        for user, conflicts in self._by_person().items():
            for conflict in conflicts:
                fingerprint = conflict._fingerprint_of(user)
                seen.add(f"{constants.CODE_CONFLICT}:{fingerprint}")
                if conflict._is_news(user):
                    conflict._report_person(user)
        self.env["finance.exception"].search(
            [
                ("code", "=", constants.CODE_CONFLICT),
                ("res_model", "=", "res.users"),
                ("is_open", "=", True),
                ("fingerprint", "not in", list(seen)),
            ]
        )._resolve(self.env._("The roles are apart again."))

    def _fingerprint_of(self, user):
        return f"person:{user.id}:{self.id}"

    def _is_news(self, user):
        """Return whether nobody was told, or decided, about it as it is now."""
        entries = self.env["finance.audit.entry"].sudo()
        about = [("res_model", "=", "res.users"), ("res_id", "=", user.id)]
        if self.effect == "reason":
            accepted = entries.search([*about, ("action", "=", ACCEPTED)])
            if any(
                (entry.facts or {}).get("conflict") == self.id for entry in accepted
            ):
                return False
        known = self.env["finance.exception"].search(
            [
                (
                    "fingerprint",
                    "=",
                    f"{constants.CODE_CONFLICT}:{self._fingerprint_of(user)}",
                )
            ],
            order="id desc",
            limit=1,
        )
        if not known or known.is_open:
            return not known
        changed = entries.search([*about, ("action", "=", ROLE_CHANGE)], limit=1)
        return bool(changed and known.resolved_at and changed.at > known.resolved_at)

    def _report_person(self, user):
        """Put before a person that somebody has two roles that are kept apart."""
        self.ensure_one()
        self.env["finance.exception"].sudo()._open(
            constants.CODE_CONFLICT,
            company=user.sudo().company_id,
            record=user,
            fingerprint=self._fingerprint_of(user),
            summary=self.env._(
                "%(user)s has two roles that are kept apart", user=user.sudo().name
            ),
            cause=self.env._(
                "%(duty)s, and %(other)s. %(why)s Take one of them away, or close this "
                "with the reason why both are needed.",
                duty=self.duty_id.name,
                other=self.other_id.name,
                why=self.why,
            ),
        )
