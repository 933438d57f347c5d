from datetime import date as Date
from datetime import timedelta

from odoo import api, models
from odoo.exceptions import UserError

from .. import clock, constants
from ..access import expect_state, require_group
from ..windows import list_of, window_of


class FinanceMapping(models.Model):
    """How a mapping is proposed, put in force, followed by another, and ends."""

    _inherit = "finance.mapping"

    # === ACTIONS === #

    def action_propose(self):
        """Ask for approval."""
        require_group(self.env, constants.GROUP_OPERATOR, constants.GROUP_ADMINISTRATOR)
        for mapping in self:
            expect_state(mapping, "draft")
            if not mapping.sudo()._record():
                raise UserError(
                    self.env._(
                        "Choose what “%s” stands for in Odoo first.", mapping.code
                    )
                )
        self.sudo().write({"state": "proposed", "proposed_by_id": self.env.user.id})
        for mapping in self.filtered("steward_id"):
            if mapping.steward_id != self.env.user:
                mapping.sudo().activity_schedule(
                    "mail.mail_activity_data_todo",
                    summary=self.env._("Approve or reject the mapping"),
                    user_id=mapping.steward_id.id,
                )
        return True

    def action_approve(self):
        """Put mappings in force that somebody else proposed.

        What waited for them is processed.
        """
        for mapping in self:
            mapping.domain_id._require_steward(mapping.company_id)
            expect_state(mapping, "proposed")
            self.env["finance.duty"]._check(
                mapping,
                "map",
                {"requested": mapping.proposed_by_id, "made": mapping.create_uid},
                message=self.env._(
                    "You made or proposed “%s” yourself, so somebody else must "
                    "approve it.",
                    mapping.display_name,
                ),
                retry="action_approve",
            )
        self.sudo()._put_in_force(self.env.user)
        return True

    def action_reject(self):
        """Send proposals back."""
        for mapping in self:
            mapping.domain_id._require_steward(mapping.company_id)
            expect_state(mapping, "proposed")
        self.sudo().write({"state": "draft"})
        self.sudo()._end_activities()
        return True

    def action_retire(self):
        """Take mappings out of force, for past days, too."""
        for mapping in self:
            mapping.domain_id._require_steward(mapping.company_id)
            expect_state(mapping, "approved")
        self.sudo().write({"state": "retired"})
        return True

    def action_new_version(self):
        """Open a draft that replaces this mapping once it is approved."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR, constants.GROUP_ADMINISTRATOR)
        expect_state(self, "approved", "retired")
        newest = self.sudo()._versions()[-1:]
        if newest.state in ("draft", "proposed"):
            version = newest
        else:
            version = newest.copy(
                {
                    "valid_from": max(
                        clock.now().date(), newest.valid_from or Date.min
                    ),
                    "valid_to": False,
                    "is_temporary": False,
                    "version": newest.version + 1,
                    "previous_id": newest.id,
                }
            )
        return window_of(version)

    def action_open_versions(self):
        """Show all versions of the code."""
        self.ensure_one()
        self.check_access("read")
        return list_of(
            self.env,
            "finance_mapping_action",
            [("id", "in", self.sudo()._versions().ids)],
        )

    # === BUSINESS METHODS === #

    def _versions(self):
        """Return all versions of the same mapping, the first one first."""
        self.ensure_one()
        first = self
        while first.previous_id:
            first = first.previous_id
        found = layer = first
        while layer := self.search([("previous_id", "in", layer.ids)]):
            found |= layer
        return found.sorted("version")

    def _same_code(self):
        """Return the approved mappings of the same code of the same system."""
        return self.search(
            [
                ("company_id", "=", self.company_id.id),
                ("connector_id", "=", self.connector_id.id),
                ("domain_id", "=", self.domain_id.id),
                ("code", "=", self.code),
                ("state", "=", "approved"),
                ("id", "!=", self.id),
            ]
        )

    def _put_in_force(self, user):
        """Approve in the name of ``user``; earlier versions end the day before.

        :raise UserError: when another mapping of the code counts on the same days
        """
        now = clock.naive_now()
        for mapping in self:
            mapping._give_way()
            mapping.write(
                {"state": "approved", "approved_by_id": user.id, "approved_at": now}
            )
        # The constraint speaks here, not at the end of the transaction.
        self.flush_recordset()
        self._end_activities()
        for mapping in self:
            self.env["finance.unmapped"]._mapped(mapping)

    def _give_way(self):
        """End the earlier versions where this one begins."""
        begin, end = self.valid_from or Date.min, self.valid_to or Date.max
        earlier = self._versions() - self
        for other in self._same_code():
            if (other.valid_from or Date.min) > end or begin > (
                other.valid_to or Date.max
            ):
                continue
            if other not in earlier:
                raise UserError(
                    self.env._(
                        "“%(other)s” counts on some of the days of “%(new)s” and is "
                        "not an earlier version of it. Change the days, or open "
                        "that mapping and use New Version.",
                        other=other.display_name,
                        new=self.display_name,
                    )
                )
            if (other.valid_from or Date.min) < begin:
                other.valid_to = begin - timedelta(days=1)
            else:
                other.state = "retired"
        self.env.flush_all()

    def _end_activities(self):
        self.activity_unlink(["mail.mail_activity_data_todo"])

    # === ENDING === #

    @api.model
    def _cron_expiring(self):
        """Remind of temporary mappings that end soon and have no successor."""
        today = clock.now().date()
        ending = self.search(
            [
                ("state", "=", "approved"),
                ("is_temporary", "=", True),
                ("is_reminded", "=", False),
                ("valid_to", ">=", today),
                ("valid_to", "<=", today + constants.MAPPING_NOTICE),
            ]
        )
        for mapping in ending:
            if any(
                (other.valid_from or Date.min) > mapping.valid_to
                for other in mapping._same_code()
            ):
                continue
            steward = mapping.steward_id or mapping.connector_id.user_id
            mapping.activity_schedule(
                "mail.mail_activity_data_todo",
                date_deadline=mapping.valid_to,
                summary=self.env._("Temporary mapping ends: %s", mapping.display_name),
                note=self.env._(
                    "From the day after on, what uses the code waits as unmapped. "
                    "Make a new version, or see that the code is no longer sent."
                ),
                user_id=(steward or mapping.approved_by_id or self.env.user).id,
            )
            mapping.is_reminded = True
