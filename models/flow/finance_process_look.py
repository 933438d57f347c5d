from typing import NamedTuple

from odoo import models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Domain

from .. import clock
from ..hold.finance_hold import RecordHeld
from . import words


class Look(NamedTuple):
    """What a step was found to be.

    :ivar state: active, done or failed
    :ivar at: when, naive UTC
    :ivar by: what or who did it
    :ivar why: what it waits for, or why it failed
    """

    state: str
    at: object = None
    by: str | None = None
    why: str | None = None


class FinanceProcessStep(models.Model):
    """What each kind of step looks at, to know whether it is done."""

    _inherit = "finance.process.step"

    def _look_check(self):
        definition, process = self.definition_id, self.process_id
        if definition.check_on == "record":
            record = process._record()
            if not record:
                return Look("failed", why=self.env._("What it is about is gone."))
            try:
                holds = bool(record.sudo().filtered_domain(definition._record_domain()))
            except (ValueError, KeyError) as error:
                return Look("failed", why=str(error))
        else:
            data, attributes = process._start_content()
            if data is None:
                return Look(
                    "failed", why=self.env._("What started it is not kept any more.")
                )
            holds = definition._content_condition().matches(data, attributes)
        if holds:
            return Look("done", self.reached_at, self.env._("the condition holds"))
        return Look(
            "failed",
            why=definition.note
            or self.env._("The condition does not hold: %s", definition.condition),
        )

    def _look_approval(self):
        approval = self.approval_id
        if not approval or approval.state == "requested":
            return Look(
                "active", why=self.env._("Somebody has to decide: see Approvals.")
            )
        if approval.state == "approved":
            if not approval._is_unchanged() and not self._was_posted():
                self._begin_approval()
                return Look(
                    "active",
                    why=self.env._(
                        "It changed after consent was given; consent is asked for anew."
                    ),
                )
            return Look("done", approval.decided_at, approval.decided_by)
        return Look(
            "failed",
            why=self.env._(
                "%(state)s by %(who)s: %(why)s",
                state=dict(approval._fields["state"]._description_selection(self.env))[
                    approval.state
                ],
                who=approval.decided_by or "–",
                why=approval.reason or "–",
            ),
        )

    def _look_hold(self):
        hold = self.hold_id
        if not hold:
            return Look("failed", why=self.env._("There is nothing to hold."))
        if hold.state == "active":
            return Look(
                "active",
                why=self.env._(
                    "%(hold)s; released by %(by)s.",
                    hold=hold.title,
                    by=hold.released_by_text,
                ),
            )
        return Look(
            "done",
            hold.released_at,
            hold.release_command_id.title or hold.released_by_id.name,
        )

    def _look_wait(self):
        wait_for = self.definition_id.wait_for
        return getattr(self, f"_look_{wait_for}")()

    def _look_event(self):
        process, definition = self.process_id, self.definition_id
        own = Domain("res_model", "=", process.res_model) & Domain(
            "res_id", "=", process.res_id
        )
        scope = own
        if process.correlation_id:
            scope |= Domain("correlation_id", "=", process.correlation_id)
        if process.previous_id:
            # What became of the document before was for the run before.
            scope &= ~own | Domain("occurred_at", ">", process.previous_id.ended_at)
        condition = definition._content_condition()
        for event in self.env["finance.event"].search(
            [
                ("type", "in", words.event_names(definition.wait_event)),
                ("company_id", "=", self.company_id.id),
                *scope,
            ],
            order="occurred_at, id",
        ):
            if condition is None or condition.matches(
                event.data, event._filter_attributes()
            ):
                return Look("done", event.occurred_at, f"{event.title} · {event.label}")
        return Look("active", why=definition._waiting_text())

    def _look_command(self):
        process, definition = self.process_id, self.definition_id
        ways = [
            (name, "=", value)
            for name, value in (
                ("correlation_id", process.correlation_id),
                ("transaction_id", process.transaction_id.id),
            )
            if value
        ]
        condition = definition._content_condition()
        commands = self.env["finance.command"]
        for way in ways:
            commands |= commands.search(
                [
                    way,
                    ("type", "=", definition.wait_command),
                    ("state", "=", "applied"),
                    ("company_id", "=", self.company_id.id),
                ]
            )
        if process.previous_id:
            # A verdict counts once; money that is there still is there.
            since = process.previous_id.ended_at
            commands = commands.filtered(
                lambda c: c.applied_at > since or process._of_this_run(c.transaction_id)
            )
        for command in commands.sorted(
            lambda c: (c.occurred_at or c.applied_at or c.create_date, c.id)
        ):
            if condition is None or condition.matches(
                command.data, words.command_attributes(command)
            ):
                return Look(
                    "done", command.occurred_at or command.applied_at, command.title
                )
        return Look("active", why=definition._waiting_text())

    def _look_status(self):
        definition, process = self.definition_id, self.process_id
        transactions = process._of_this_run(process._transactions())
        axis, statuses = words.reached_by(definition.wait_status)
        reached = transactions.transition_ids.filtered(
            lambda t: t.axis == axis and t.status in statuses
        ).sorted(lambda t: (t.occurred_at, t.id))[:1]
        if reached:
            return Look(
                "done",
                reached.occurred_at,
                reached.command_id.title or reached.user_id.name,
            )
        _axis, adverse = words.adverse_of(definition.wait_status)
        bad = transactions.filtered(lambda t: t[axis] in adverse)
        if bad and bad == transactions:
            return Look(
                "failed",
                why=self.env._(
                    "%(payment)s is %(status)s: %(reason)s",
                    payment=bad[0].provider_ref,
                    status=bad[0][axis].replace("_", " "),
                    reason=bad[0].reason or "–",
                ),
            )
        return Look("active", why=definition._waiting_text())

    def _look_post(self):
        document = self.process_id._document()
        if not document or document._name not in ("account.move", "account.payment"):
            return Look("failed", why=self.env._("There is nothing to post."))
        if self._was_posted():
            return Look("done", None, self.env._("posted"))
        if document.state != "draft":
            return Look(
                "failed",
                why=self.env._(
                    "“%(record)s” can't be posted: it is %(state)s.",
                    record=document.display_name,
                    state=document.state,
                ),
            )
        stale = self._stale_approval()
        if stale:
            return Look(
                "failed",
                why=self.env._(
                    "It changed after “%s” was given. Look again to ask for consent "
                    "anew.",
                    stale.name,
                ),
            )
        try:
            with self.env.cr.savepoint():
                document = document.sudo().with_company(self.company_id)
                if document._name == "account.move":
                    document._post(soft=False)
                else:
                    document.action_post()
        except RecordHeld as held:
            return Look("active", why=str(held))
        except (UserError, ValidationError, AccessError) as error:
            return Look("failed", why=str(error))
        return Look("done", clock.naive_now(), self.process_id.flow_id.name)

    def _was_posted(self):
        document = self.process_id._document()
        return (
            document
            and "state" in document._fields
            and document.state in ("posted", "in_process", "paid")
        )

    def _stale_approval(self):
        """Return an earlier approval whose consent is for another version."""
        earlier = self.process_id.step_ids.filtered(
            lambda s: s.kind == "approval" and s.sequence < self.sequence
        )
        return earlier.filtered(lambda s: not s.approval_id._is_unchanged())[:1]

    def _look_task(self):
        if self.task_done_at:
            self.process_id.activity_unlink(["mail.mail_activity_data_todo"])
            return Look("done", self.task_done_at, self.task_done_by_id.name)
        return Look("active", why=self.definition_id.note or self.name)

    def _look_notify(self):
        return Look("done", self.reached_at, self.team_id.name)
