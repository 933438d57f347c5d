import logging
import time

from psycopg2.errors import Error as DatabaseError

from odoo import api, models
from odoo.tools import SQL

from .. import clock, constants
from ..outbox.finance_event import filter_attributes
from . import words

_logger = logging.getLogger(__name__)

# What is recorded about a case wakes the processes of the case.
WAKE_BY_EVENTS = """
    WITH facts AS (
        SELECT correlation_id, company_id, res_model, res_id FROM finance_event
         WHERE id > %(after)s AND id <= %(to)s
    )
    UPDATE finance_process p SET woken = true
     WHERE p.state IN ('running', 'stopped') AND NOT p.woken
       AND p.id IN (
        SELECT q.id FROM facts f JOIN finance_process q
            ON q.correlation_id = f.correlation_id AND q.company_id = f.company_id
         UNION ALL
        SELECT q.id FROM facts f JOIN finance_process q
            ON q.res_model = f.res_model AND q.res_id = f.res_id
           AND q.company_id = f.company_id)
"""
WAKE_BY_TRANSITIONS = """
    WITH facts AS (
        SELECT DISTINCT x.id, x.correlation_id, x.company_id, x.move_id, x.payment_id
          FROM finance_transition t
          JOIN finance_transaction x ON x.id = t.transaction_id
         WHERE t.id > %(after)s AND t.id <= %(to)s
    )
    UPDATE finance_process p SET woken = true
     WHERE p.state IN ('running', 'stopped') AND NOT p.woken
       AND p.id IN (
        SELECT q.id FROM facts f JOIN finance_process q
            ON q.correlation_id = f.correlation_id AND q.company_id = f.company_id
         UNION ALL
        SELECT q.id FROM facts f JOIN finance_process q ON q.transaction_id = f.id
         UNION ALL
        SELECT q.id FROM facts f JOIN finance_process q
            ON q.res_model = 'account.move' AND q.res_id = f.move_id
         UNION ALL
        SELECT q.id FROM facts f JOIN finance_process q
            ON q.res_model = 'account.payment' AND q.res_id = f.payment_id)
"""
WAKE_BY_COMMANDS = """
    WITH facts AS (
        SELECT DISTINCT correlation_id, company_id, transaction_id
          FROM finance_command
         WHERE state = 'applied' AND applied_at > %(after)s
    )
    UPDATE finance_process p SET woken = true
     WHERE p.state IN ('running', 'stopped') AND NOT p.woken
       AND p.id IN (
        SELECT q.id FROM facts f JOIN finance_process q
            ON q.correlation_id = f.correlation_id AND q.company_id = f.company_id
         UNION ALL
        SELECT q.id FROM facts f JOIN finance_process q
            ON q.transaction_id = f.transaction_id)
"""
# What records no fact of its own: the end of a hold, a decision, a service time; and
# whatever was not looked at for long.
WAKE_BY_STATE = """
    UPDATE finance_process p SET woken = true
     WHERE p.state IN ('running', 'stopped') AND NOT p.woken
       AND p.id IN (
        SELECT s.process_id FROM finance_process_step s
          JOIN finance_hold h ON h.id = s.hold_id
         WHERE s.state = 'active' AND s.kind = 'hold' AND h.state <> 'active'
         UNION ALL
        SELECT s.process_id FROM finance_process_step s
          JOIN finance_approval a ON a.id = s.approval_id
         WHERE s.state = 'active' AND s.kind = 'approval' AND a.state <> 'requested'
         UNION ALL
        SELECT s.process_id FROM finance_process_step s
         WHERE s.state = 'active' AND s.kind = 'post'
         UNION ALL
        SELECT s.process_id FROM finance_process_step s
         WHERE s.state IN ('active', 'failed') AND s.due_at <= %(now)s
           AND s.is_late IS NOT TRUE
         UNION ALL
        SELECT s.process_id FROM finance_process_step s
         WHERE s.state = 'active' AND s.warn_at <= %(now)s AND s.warned IS NOT TRUE
         UNION ALL
        (SELECT q.id FROM finance_process q
          WHERE q.state IN ('running', 'stopped') AND q.looked_at <= %(stale)s
          LIMIT %(most)s))
"""


class FinanceProcess(models.Model):
    """The engine: reads what was recorded, starts processes and has them go on.

    Nothing of it runs where documents are posted. It keeps no list of facts either:
    a fact only wakes the processes of its case, and those look at all that is recorded.
    So a fact that comes twice, late or in another order changes nothing.
    """

    _inherit = "finance.process"

    @api.model
    def _cron_advance(self):
        """Read new facts, then advance the processes they woke."""
        cron = self.env["ir.cron"]
        end = time.monotonic() + constants.FLOW_BUDGET.total_seconds()
        flows = self.env["finance.flow"].search([("is_template", "=", False)])
        if not flows.filtered(lambda f: f.state == "live") and not self.search_count(
            [("state", "in", ("running", "stopped"))], limit=1
        ):
            # Nobody uses flows: what happens meanwhile starts nothing later.
            return
        self._read_facts(end)
        cron._commit_progress()
        while time.monotonic() < end:
            number = self._advance_woken()
            if not number:
                break
            if not cron._commit_progress(number, remaining=1):
                return
        self._pace()
        cron._commit_progress(remaining=0)

    # === READING === #

    @api.model
    def _read_facts(self, end=None):
        """Start and wake processes by all that was recorded since the last reading.

        :param float end: of the time for it, by ``time.monotonic``
        """
        self.env.flush_all()
        self._read_events(end)
        self._read_transitions()
        self._read_commands()
        now = clock.naive_now()
        self.env.cr.execute(
            WAKE_BY_STATE,
            {
                "now": now,
                "stale": now - constants.FLOW_RECHECK,
                "most": constants.FLOW_CHECK_BATCH,
            },
        )
        self.invalidate_model(["woken"], flush=False)

    @api.model
    def _head(self, table):
        self.env.cr.execute(
            SQL("SELECT COALESCE(max(id), 0) FROM %s", SQL.identifier(table))
        )
        return self.env.cr.fetchone()[0]

    @api.model
    def _live_flows(self, **start):
        return self.env["finance.flow"].search(
            [
                ("state", "=", "live"),
                ("is_template", "=", False),
                *((name, "=", value) for name, value in start.items()),
            ]
        )

    @api.model
    def _read_events(self, end=None):
        head = self._head("finance_event")
        cursor = self.env["finance.flow.cursor"]._claim(
            "event", position=self._first_event(head)
        )
        if not cursor:
            return
        flows = self._live_flows(start_kind="event")
        by_type = {}
        for flow in flows:
            for name in words.event_names(flow.start_event):
                by_type.setdefault(name, flows.browse())
                by_type[name] |= flow
        position = cursor.position
        while position < head and not (end and time.monotonic() >= end):
            to = min(position + constants.FLOW_PAGE, head)
            self.env.cr.execute(WAKE_BY_EVENTS, {"after": position, "to": to})
            if by_type:
                events = self.env["finance.event"].search(
                    [
                        ("id", ">", position),
                        ("id", "<=", to),
                        ("type", "in", list(by_type)),
                    ],
                    order="id",
                )
                for event in events:
                    self._start_by_event(by_type[event.type], event)
            position = to
        self.invalidate_model(["woken"], flush=False)
        cursor._propose(position=position)

    @api.model
    def _first_event(self, head):
        """Return from where on the very first reading begins: the first flow's life."""
        since = self._live_flows().mapped("approved_at")
        if not since:
            return head
        self.env.cr.execute(
            "SELECT COALESCE(min(id) - 1, %s) FROM finance_event"
            " WHERE occurred_at >= %s",
            [head, min(since)],
        )
        return self.env.cr.fetchone()[0]

    @api.model
    def _start_by_event(self, flows, event):
        for flow in flows:
            if (
                flow.company_id == event.company_id
                and event.occurred_at >= flow.approved_at
            ):
                self._start(
                    flow,
                    event.data,
                    filter_attributes(event),
                    lambda: self._subject(event.res_model, event.res_id),
                    at=event.occurred_at,
                    event=event,
                )

    @api.model
    def _start(self, flow, data, attributes, subject, **start):
        """Start a process if the flow takes what was recorded.

        What one flow can't cope with stops neither the others nor the reading.

        :param subject: returns the record it is about
        """
        try:
            with self.env.cr.savepoint():
                if flow._takes(data, attributes):
                    record = subject()
                    if record:
                        self._begin(flow, record, **start)
        except DatabaseError:
            # Another transaction is at it: all is read again.
            raise
        except Exception as error:
            _logger.exception("finance_hub: flow %s could not start", flow.id)
            self.env.invalidate_all()
            self.env["finance.exception"]._open(
                "B-PROCESS-STOPPED",
                company=flow.company_id,
                record=flow,
                fingerprint=f"flow:{flow.id}:start",
                summary=self.env._("%s could not start a process", flow.name),
                cause=f"{type(error).__name__}: {error}",
            )

    @api.model
    def _subject(self, model, record_id):
        """Return what something is about: of an approval, what is asked for."""
        record = (
            self.env[model].browse(record_id).exists() if model in self.env else None
        )
        if record and record._name in ("finance.approval", "finance.hold"):
            return record._record()
        return record

    @api.model
    def _read_transitions(self):
        head = self._head("finance_transition")
        cursor = self.env["finance.flow.cursor"]._claim("transition", position=head)
        if cursor and cursor.position < head:
            self.env.cr.execute(
                WAKE_BY_TRANSITIONS, {"after": cursor.position, "to": head}
            )
            cursor._propose(position=head)

    @api.model
    def _read_commands(self):
        now = clock.naive_now()
        since = min([now, *filter(None, self._live_flows().mapped("approved_at"))])
        cursor = self.env["finance.flow.cursor"]._claim("command", moment=since)
        if not cursor:
            return
        after = (cursor.moment or now) - constants.FLOW_CLOCK_MARGIN
        self.env.cr.execute(WAKE_BY_COMMANDS, {"after": after})
        flows = self._live_flows(start_kind="command")
        if flows:
            commands = self.env["finance.command"].search(
                [
                    ("state", "=", "applied"),
                    ("applied_at", ">", after),
                    ("type", "in", flows.mapped("start_command")),
                ],
                order="id",
            )
            for command in commands:
                self._start_by_command(flows, command)
        cursor._propose(moment=now)

    @api.model
    def _start_by_command(self, flows, command):
        def subject():
            return command.transaction_id or (
                self._subject(command.res_model, command.res_id)
                if command.res_model
                else None
            )

        for flow in flows:
            if (
                flow.start_command == command.type
                and flow.company_id == command.company_id
                and command.applied_at >= flow.approved_at
            ):
                self._start(
                    flow,
                    command.data,
                    words.command_attributes(command),
                    subject,
                    at=min(
                        command.occurred_at or command.applied_at, command.applied_at
                    ),
                    command=command,
                )

    # === ADVANCING === #

    @api.model
    def _due_flows(self):
        """Return the flows whose latency class lets them go on now."""
        now = clock.naive_now()
        return self.env["finance.flow"].search(
            [
                ("state", "in", ("live", "retired")),
                "|",
                ("advance_at", "=", False),
                ("advance_at", "<=", now),
            ]
        )

    @api.model
    def _pace(self):
        """Set when flows that collect go on next."""
        now = clock.naive_now()
        for flow in self._due_flows().filtered(lambda f: f.latency != "realtime"):
            flow.advance_at = now + constants.FLOW_PACE[flow.latency]

    @api.model
    def _advance_woken(self):
        """Advance a batch of processes that something woke; return how many.

        Each for itself: what one runs into stops none of the others.
        """
        processes = self.search(
            [("woken", "=", True), ("flow_id", "in", self._due_flows().ids)],
            order="id",
            limit=constants.FLOW_BATCH,
        )
        for process in processes:
            try:
                with self.env.cr.savepoint():
                    process._advance()
            except DatabaseError:
                # Another transaction is at it: the whole batch is tried again.
                raise
            except Exception as error:
                _logger.exception("finance_hub: process %s could not go on", process.id)
                self.env.invalidate_all()
                process.write({"woken": False, "looked_at": clock.naive_now()})
                process._report(
                    "B-PROCESS-STOPPED",
                    "engine",
                    self.env._("%s could not go on", process.name),
                    f"{type(error).__name__}: {error}",
                )
        return len(processes)
