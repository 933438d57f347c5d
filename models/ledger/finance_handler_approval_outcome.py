from odoo import models

from .. import constants
from .errors import CommandError, CommandIgnored, CommandWaits


class FinanceHandlerApprovalOutcome(models.AbstractModel):
    """``approval.outcome``: a decision made elsewhere counts as an approver's.

    Only for the version that was asked about, and not by whoever prepared it. Where
    several steps are asked for, the other system may name the one it decides on.
    """

    _name = "finance.handler.approval.outcome"
    _description = "Handler of Approval Outcome"
    _inherit = "finance.handler"

    def _identity_fields(self):
        return ("decision", "approver")

    def _handle(self, command, content):
        """See finance.handler; ``content`` is contracts.ApprovalOutcome.

        :raise CommandWaits: D-ORPHAN, also for a step whose turn has not come
        :raise CommandIgnored: D-STALE, for another version or what is decided already
        :raise CommandError: C-SOD, or D-SCHEMA for a step that there is not
        """
        approval, steps = self._find(command, content)
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
        if steps is not None:
            self._check_open(content, approval, steps)
        self._check_duties(command, content, approval, steps)
        approval._decide_elsewhere(
            content.decision,
            content.reason or self.env._("Decided in %s", command.connector_id.name),
            name=content.approver,
            command=command,
            among=steps,
        )

    def _find(self, command, content):
        """Return the request that is decided on, and its steps that are named.

        The steps are None where none is named.
        """
        record = self._subject_of(command, content)
        asked = self._asked_about(record)
        if not asked:
            raise CommandIgnored(
                "D-STALE",
                self.env._("Nobody is asked about %s any more.", record.display_name),
            )
        if content.step is None:
            own = asked.filtered(lambda a: a._record() == record or a == record)
            if not own and len(asked) > 1:
                raise CommandError(
                    "D-SCHEMA",
                    self.env._(
                        "Several consents are asked for %(record)s; name the “step”. "
                        "Open now: %(open)s.",
                        record=record.display_name,
                        open=self._open_text(asked),
                    ),
                )
            return own or asked, None
        steps = asked.step_ids.filtered(lambda s: self._is_named(s, content.step))
        if not steps:
            raise CommandError(
                "D-SCHEMA",
                self.env._(
                    "%(record)s has no step “%(step)s”. Open now: %(open)s.",
                    record=record.display_name,
                    step=content.step,
                    open=self._open_text(asked),
                ),
            )
        approval = self._meant(steps).approval_id
        return approval, steps.filtered(lambda s: s.approval_id == approval)

    def _asked_about(self, record):
        """Return the requests about a record that nobody decided on yet."""
        approvals = self.env["finance.approval"]
        if record._name == approvals._name:
            return record.filtered(lambda a: a.state == "requested")
        return approvals._pending(record)

    def _is_named(self, step, text):
        """Return whether ``text`` is the id of a step, or what it is called."""
        names = {str(step.id), step.name, step.planned_name or step.name}
        return text.casefold() in {name.casefold() for name in names}

    def _meant(self, steps):
        """Return one of several steps of one name: what is open, then what will be."""
        order = ("to_decide", "waiting")
        return min(
            steps,
            key=lambda s: (
                order.index(s.state) if s.state in order else len(order),
                s.approval_id.id,
                s.sequence,
            ),
        )

    def _open_text(self, approvals):
        """Return in words which steps are open, and which other systems decide on."""
        return (
            "; ".join(
                self.env._(
                    "“%(step)s” (%(id)s): %(who)s",
                    step=step.name,
                    id=step.id,
                    who=step.who,
                )
                if step.external_allowed
                else self.env._(
                    "“%(step)s” (%(id)s): %(who)s, decided here only",
                    step=step.name,
                    id=step.id,
                    who=step.who,
                )
                for step in approvals._open_steps()
            )
            or "–"
        )

    def _check_open(self, content, approval, steps):
        """Refuse a named step that is decided, and wait for one that is not asked yet.

        :raise CommandWaits: D-ORPHAN
        :raise CommandIgnored: D-STALE
        """
        step = self._meant(steps)
        if step.state == "to_decide":
            return
        if step.state == "waiting":
            raise CommandWaits(
                "D-ORPHAN",
                self.env._(
                    "It is not the turn of “%(step)s” yet; the decision waits for it. "
                    "Open now: %(open)s.",
                    step=content.step,
                    open=self._open_text(approval),
                ),
                key=approval._turn_key(),
                grace=constants.ORPHAN_GRACE,
            )
        raise CommandIgnored(
            "D-STALE",
            self.env._(
                "“%(step)s” was decided on by %(who)s already. Open now: %(open)s.",
                step=content.step,
                who=step.decided_by or "?",
                open=self._open_text(approval),
            ),
        )

    def _check_duties(self, command, content, approval, steps):
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
        if not approval._external_step(content.approver, steps):
            raise CommandError(
                "C-SOD",
                self.env._(
                    "“%(title)s” waits for %(who)s; %(name)s can't decide on that in "
                    "“%(system)s”. Have it decided here. Open now: %(open)s.",
                    title=approval.title,
                    who=", ".join(steps.mapped("who"))
                    if steps
                    else approval.waits_for or "?",
                    open=self._open_text(approval),
                    name=content.approver,
                    system=command.connector_id.name,
                ),
            )
