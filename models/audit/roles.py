"""Who got which role of the hub, and who lost it."""

from odoo import api, models

from . import constants

USER_KEYS = ("group_ids", "active", "role")
GROUP_KEYS = ("user_ids", "all_user_ids", "implied_ids", "implied_by_ids")


def _roles(env):
    """Return {id: name} of the hub's roles."""
    groups = {}
    for xmlid in constants.ROLES:
        group = env.ref(xmlid, raise_if_not_found=False)
        if group:
            groups[group.id] = group.sudo().name
    return groups


def _held(users):
    """Return {user id: names of the roles that an active user holds}."""
    roles = _roles(users.env)
    return {
        user.id: sorted(
            name
            for role, name in roles.items()
            if user.active and role in user.all_group_ids._ids
        )
        for user in users.sudo().with_context(active_test=False)
    }


def _note(users, before):
    after = _held(users)
    for user in users:
        was, now = before.get(user.id, []), after[user.id]
        if was != now:
            users.env["finance.audit.entry"]._note(
                "role.change",
                user,
                company=user.sudo().company_id,
                before={"roles": was},
                after={"roles": now},
            )


class ResUsers(models.Model):
    _inherit = "res.users"

    @api.model_create_multi
    def create(self, vals_list):
        users = super().create(vals_list)
        _note(users, {})
        return users

    def write(self, vals):
        if not any(key in vals for key in USER_KEYS) and not any(
            key.startswith(("sel_groups_", "in_group_")) for key in vals
        ):
            return super().write(vals)
        before = _held(self)
        result = super().write(vals)
        _note(self, before)
        return result

    def unlink(self):
        before = _held(self)
        notes = [
            self.env["finance.audit.entry"]._draft(
                "role.change",
                user,
                before={"roles": before[user.id]},
                after={"roles": []},
            )
            for user in self
            if before[user.id]
        ]
        result = super().unlink()
        for draft in notes:
            self.env["finance.audit.entry"]._note_draft(draft)
        return result


class ResGroups(models.Model):
    _inherit = "res.groups"

    def write(self, vals):
        if not any(key in vals for key in GROUP_KEYS):
            return super().write(vals)
        holders = self._finance_holders()
        before = _held(holders)
        result = super().write(vals)
        users = holders | self._finance_holders()
        before.update({user.id: [] for user in users if user.id not in before})
        _note(users.exists(), before)
        return result

    def _finance_holders(self):
        """Return everybody whose roles may follow from these groups."""
        roles = self.env["res.groups"].sudo().browse(_roles(self.env))
        return roles.with_context(active_test=False).all_user_ids
