from odoo import api, models
from odoo.exceptions import UserError

from .. import clock, constants
from ..access import require_group
from .finance_process import RUNNING


class FinanceProcess(models.Model):
    """How processes begin: by what is recorded, or by a person."""

    _inherit = "finance.process"

    @api.model
    def _begin(self, flow, record, *, at, event=None, command=None, user=None):
        """Start a process of a flow, unless the record has one that goes on.

        One that has ended is followed by another, linked to it.

        :param at: naive UTC, when what starts it happened
        :return: the process, that of before if it covers what would start it anew
        """
        key = f"{record._name}/{record.id}"
        latest = self.search(
            [("flow_id", "=", flow.id), ("key", "=", key)], order="run desc", limit=1
        )
        if latest and latest._covers(event, command, user):
            return latest
        transaction = (
            record
            if record._name == "finance.transaction"
            else (command.transaction_id if command else None)
        )
        # Its steps tell what happened; a log beside them would only cost.
        process = self.with_context(tracking_disable=True).create(
            {
                "name": record.display_name or key,
                "flow_id": flow.id,
                "company_id": flow.company_id.id,
                "key": key,
                "run": latest.run + 1,
                "previous_id": latest.id,
                "res_model": record._name,
                "res_id": record.id,
                "transaction_id": transaction and transaction.id,
                "correlation_id": (event or command).correlation_id
                if event or command
                else self.env["finance.hold"]._correlation_of(record, None),
                "start_event_id": event and event.id,
                "told_event_id": event and event.id,
                "start_command_id": command and command.id,
                "start_user_id": user and user.id,
                "started_at": at,
                "looked_at": at,
                **self._amount_of(record),
                "step_ids": [
                    (0, 0, {"definition_id": step.id, "sequence": number})
                    for number, step in enumerate(flow.step_ids, 1)
                ],
            }
        )
        if latest:
            latest.message_post(
                body=self.env._("It was started anew: run %s follows.", process.run)
            )
        return self.browse(process.id)

    def _covers(self, event, command, user):
        """Return whether the process answers for what would start it once more.

        While it runs, it goes on. Once it has ended, an event that happened afterwards
        is the beginning of another run, and so is a person's wish. Payments are told
        of again and again, so a command never is.
        """
        self.ensure_one()
        if user:
            return self.state in RUNNING
        if command or event.id <= max(self.told_event_id, self.start_event_id.id or 0):
            return True
        self.told_event_id = event.id
        # It may have ended by what was recorded meanwhile, before the event.
        if self.state in RUNNING:
            self._advance()
        if self.state not in RUNNING and event.occurred_at > self.ended_at:
            return False
        self.message_post(
            body=self.env._(
                "%s happened once more, before this process had ended. It goes on with "
                "what is recorded now.",
                event.title,
            )
        )
        return True

    @api.model
    def _begin_by_person(self, flow, records):
        """Start processes as a person asks for it.

        :raise UserError: for a flow that nobody may start, or of another company
        """
        require_group(self.env, constants.GROUP_OPERATOR)
        flow.check_access("read")
        records.check_access("read")
        if flow.state != "live" or flow.start_kind != "person":
            raise UserError(
                self.env._("“%s” is no live flow that a person starts.", flow.name)
            )
        processes = self.sudo()
        for record in records:
            company = record.company_id if "company_id" in record._fields else None
            if company and company != flow.company_id:
                raise UserError(
                    self.env._(
                        "“%(record)s” is not of the company of “%(flow)s”.",
                        record=record.display_name,
                        flow=flow.name,
                    )
                )
            processes |= processes._begin(
                flow.sudo(),
                record.sudo(),
                at=clock.naive_now(),
                user=self.env.user,
            )
        processes._advance()
        return processes

    @api.model
    def _amount_of(self, record):
        for name in ("amount_total", "amount"):
            if name in record._fields and "currency_id" in record._fields:
                return {"amount": record[name], "currency_id": record.currency_id.id}
        return {}
