from markupsafe import Markup

from odoo import fields, models

from .. import clock
from ..windows import list_of
from ..words import moment_text
from . import words


class FinanceTransaction(models.Model):
    """A transaction beside the processes that it goes through."""

    _inherit = "finance.transaction"

    process_ids = fields.Many2many(
        "finance.process", string="Processes", compute="_compute_process_ids"
    )
    process_count = fields.Integer(compute="_compute_process_ids")
    milestone_text = fields.Html(
        string="Reached, and on Time?",
        compute="_compute_milestone_text",
        sanitize=False,
    )

    def _compute_process_ids(self):
        for transaction in self:
            processes = transaction._processes()
            transaction.process_ids = processes
            transaction.process_count = len(processes)

    def _compute_milestone_text(self):
        for transaction in self:
            transaction.milestone_text = milestone_table(
                self.env,
                self.env["finance.process"]._milestones(
                    transaction.correlation_id,
                    transaction.sudo(),
                    transaction._processes().sudo().step_ids,
                ),
            )

    def _processes(self):
        """Return the processes of the case, as its reader may see them."""
        self.ensure_one()
        processes = self.env["finance.process"]
        ways = [[("transaction_id", "=", self.id)]]
        if self.correlation_id:
            ways.append([("correlation_id", "=", self.correlation_id)])
        for model, record in (
            ("account.move", self.move_id),
            ("account.payment", self.payment_id),
        ):
            if record:
                ways.append([("res_model", "=", model), ("res_id", "=", record.id)])
        for way in ways:
            processes |= processes.search(
                [*way, ("company_id", "=", self.company_id.id)]
            )
        return processes

    def action_open_processes(self):
        """Open the processes of the transaction's case."""
        self.ensure_one()
        self.check_access("read")
        return list_of(
            self.env, "finance_process_action", [("id", "in", self._processes().ids)]
        )


class FinanceProcess(models.Model):
    _inherit = "finance.process"

    milestone_text = fields.Html(
        string="Reached, and on Time?",
        compute="_compute_milestone_text",
        sanitize=False,
    )
    transaction_text = fields.Char(
        string="The Payment", compute="_compute_transaction_text", compute_sudo=True
    )
    document_text = fields.Char(
        string="The Document", compute="_compute_transaction_text", compute_sudo=True
    )

    def _compute_milestone_text(self):
        for process in self:
            process.milestone_text = milestone_table(
                self.env,
                self._milestones(
                    process.correlation_id,
                    process._transactions(),
                    process.sudo().step_ids,
                ),
            )

    def _compute_transaction_text(self):
        for process in self:
            process.transaction_text = "; ".join(
                f"{t.provider_ref}: "
                + ", ".join(
                    t[axis].replace("_", " ")
                    for axis in (
                        "execution",
                        "settlement",
                        "accounting",
                        "reconciliation",
                    )
                    if t[axis]
                )
                for t in process._transactions()
            )
            document = process._document()
            process.document_text = False
            if document and "state" in document._fields:
                states = dict(
                    document._fields["state"]._description_selection(self.env)
                )
                process.document_text = (
                    f"{document.display_name}: {states.get(document.state)}"
                )


def milestone_table(env, milestones):
    """Return milestones as a table for a screen.

    :param milestones: as ``finance.process._milestones`` returns them
    """
    labels = dict(words.MILESTONES)
    translated = {
        "initiated": env._("Initiated"),
        "acknowledged": env._("Acknowledged"),
        "settled": env._("Settled"),
        "posted": env._("Posted"),
        "reconciled": env._("Reconciled"),
        "reported": env._("Reported"),
    }
    now = clock.naive_now()
    rows = Markup()
    for milestone in milestones:
        at, due_at = milestone["at"], milestone["due_at"]
        verdict, css = {
            True: (env._("on time"), "text-success"),
            False: (env._("late"), "text-danger"),
            None: (env._("not yet") if not at else "", "text-muted"),
        }[milestone["on_time"]]
        rows += Markup(
            "<tr><td>%s</td><td>%s</td><td>%s</td><td class='%s'>%s</td></tr>"
        ) % (
            translated.get(milestone["name"], labels[milestone["name"]]),
            moment_text(env, at, now) if at else "–",
            moment_text(env, due_at, now) if due_at else "–",
            css,
            verdict,
        )
    return Markup(
        "<table class='table table-sm'><thead><tr><th></th><th>%s</th><th>%s</th>"
        "<th></th></tr></thead><tbody>%s</tbody></table>"
    ) % (env._("Reached"), env._("Due"), rows)
