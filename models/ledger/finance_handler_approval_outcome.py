from odoo import models

from .errors import CommandError, CommandIgnored


class FinanceHandlerApprovalOutcome(models.AbstractModel):
    """``approval.outcome``: a decision made elsewhere counts as an approver's.

    Only for the version that was asked about, and not by whoever prepared it.
    """

    _name = "finance.handler.approval.outcome"
    _description = "Handler of Approval Outcome"
    _inherit = "finance.handler"

    def _identity_fields(self):
        return ("decision", "approver")

    def _handle(self, command, content):
        """See finance.handler; ``content`` is contracts.ApprovalOutcome.

        :raise CommandWaits: D-ORPHAN
        :raise CommandIgnored: D-STALE, for another version or one decided on already
        :raise CommandError: C-SOD
        """
        approval = self._find(command, content)
        command.write({"res_model": approval._name, "res_id": approval.id})
        if content.version != approval.version or not approval._is_unchanged():
            raise CommandIgnored(
                "D-STALE",
                self.env._(
                    "It was changed since: the decision is about version %(old)s, and "
                    "now it is %(new)s. Approval of the new version is needed.",
                    old=content.version,
                    new=approval.version,
                ),
            )
        self._check_duties(command, content, approval)
        approval._decide_elsewhere(
            content.decision,
            content.reason or self.env._("Decided in %s", command.connector_id.name),
            name=content.approver,
            command=command,
        )

    def _find(self, command, content):
        """Return the request that is decided on."""
        record = self._subject_of(command, content)
        approvals = self.env["finance.approval"]
        if record._name == approvals._name:
            approval = record.filtered(lambda a: a.state == "requested")
        else:
            approval = approvals._pending(record)
        if not approval:
            raise CommandIgnored(
                "D-STALE",
                self.env._("Nobody is asked about %s any more.", record.display_name),
            )
        return approval

    def _check_duties(self, command, content, approval):
        if approval._is_involved_name(content.approver):
            raise CommandError(
                "C-SOD",
                self.env._(
                    "%(name)s prepared or corrected “%(title)s” and can't decide on "
                    "it. Have somebody else decide.",
                    name=content.approver,
                    title=approval.title,
                ),
            )
        if approval.connector_id == command.connector_id:
            raise CommandError(
                "C-SOD",
                self.env._(
                    "“%(system)s” asked for “%(title)s” and can't decide on it. Have "
                    "it decided here, or by another system.",
                    system=command.connector_id.name,
                    title=approval.title,
                ),
            )
        if not approval._external_step(content.approver):
            raise CommandError(
                "C-SOD",
                self.env._(
                    "“%(title)s” waits for %(who)s; %(name)s can't decide on that in "
                    "“%(system)s”. Have it decided here.",
                    title=approval.title,
                    who=approval.waits_for or "?",
                    name=content.approver,
                    system=command.connector_id.name,
                ),
            )
