from odoo import api, models
from odoo.exceptions import UserError

from .. import clock, constants
from ..access import require_group
from .finance_hold import ANY


class FinanceHold(models.Model):
    """What ends holds, and who may."""

    _inherit = "finance.hold"

    # === RELEASING === #

    @api.model
    def _release(self, record, kind, reason, *, command=None, topic=ANY, verdict=None):
        """Release the active holds of a record.

        :param str kind: of the holds; ``None`` for all
        :param str reason: what released it, in plain words
        :param command: the ``finance.command`` that says so
        :param topic: of this topic only; ``None`` for those without one
        :param dict verdict: values of the fields of the latest verdict
        :return: the holds that were released
        """
        holds = self._active(record, kind, topic=topic)
        holds._end("released", reason, command=command, values=verdict)
        return holds

    def _release_by_person(self, reason):
        """Release after an approver's decision.

        :raise UserError: when it is the decision of whoever placed it
        """
        require_group(self.env, constants.GROUP_APPROVER)
        self.check_access("read")
        self._check_releasable()
        self.sudo()._end("released", reason, user=self.env.user)

    def _check_releasable(self):
        for hold in self:
            if hold.state != "active":
                raise UserError(self.env._("“%s” is not active any more.", hold.title))
            self.env["finance.duty"]._check(
                hold,
                "release",
                hold.sudo()._duty_people(),
                message=self.env._(
                    "You placed “%s”, or corrected what placed it, so somebody "
                    "else must release it.",
                    hold.title,
                ),
                retry="action_release",
            )
            if hold.kind == "approval":
                pending = self.env["finance.approval"]._pending(hold.sudo()._record())
                if pending:
                    raise UserError(
                        self.env._(
                            "“%s” ends with the approval it waits for. Decide on that "
                            "in Approvals.",
                            hold.title,
                        )
                    )

    def _duty_people(self):
        """Return who had which part in it, see ``finance.duty._check``."""
        self.ensure_one()
        correctors = self.env["res.users"]
        for command in self.command_id | self.command_ids:
            correctors |= command._correctors()
        return {"placed": self.placed_by_id, "made": correctors}

    def _end(self, state, reason, *, command=None, user=None, values=None):
        """End active holds, and let go what they stopped.

        :param str state: ``released`` or ``expired``
        :param user: the person who decided
        """
        now = clock.naive_now()
        for hold in self.filtered(lambda h: h.state == "active"):
            hold.write(
                {
                    **(values or {}),
                    "state": state,
                    "released_at": now,
                    "released_by_id": (user or self.env.user).id,
                    "release_reason": reason,
                    "release_command_id": command and command.id,
                    "is_overdue": False,
                }
            )
            hold._note_on_record(
                self.env._(
                    "The hold (%(kind)s) ended: %(reason)s",
                    kind=hold._kind_label(),
                    reason=reason,
                )
            )
        # The check of a posting reads beneath the ORM.
        self.flush_model()
        self._exceptions()._resolve(reason)
        self.command_ids.filtered(lambda c: c.state == "held")._resubmit()
        for hold in self:
            self.env["finance.command"]._provide(f"hold:{hold.id}", hold.company_id)
            hold._post_what_waited()

    def _exceptions(self):
        """Return the open exceptions about the holds."""
        return self.env["finance.exception"].sudo()._about(self)

    def _post_what_waited(self):
        """Post the document for which somebody asked so, once nothing stops it."""
        record = self._record()
        if hasattr(record, "_finance_post_released"):
            record._finance_post_released()

    @api.model
    def _forget_clearances(self, record, kind, topic, company):
        self.search(
            [
                ("res_model", "=", record._name),
                ("res_id", "=", record.id),
                ("kind", "=", kind),
                ("topic", "=", topic),
                ("company_id", "=", company.id),
                ("cleared_until", "!=", False),
            ]
        ).write({"cleared_until": False})
