from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from .. import constants
from ..access import require_group
from ..windows import list_of, window_of

# Models whose records are joined to an exception by the correlation id.
CONCERNED = (
    ("account.move", "finance_correlation_id"),
    ("account.payment", "finance_correlation_id"),
    ("finance.transaction", "correlation_id"),
)


class FinanceException(models.Model):
    """What an exception tells: what it concerns, and what can be done now."""

    _inherit = "finance.exception"

    concerns_html = fields.Html(
        string="What It Concerns", compute="_compute_concerns_html"
    )
    guide_html = fields.Html(string="What You Can Do", compute="_compute_guide_html")
    step_ids = fields.Many2many(
        "finance.trace.step", string="Timeline", compute="_compute_step_ids"
    )
    same_cause_count = fields.Integer(
        string="Others With This Cause", compute="_compute_same_cause_count"
    )
    can_solve = fields.Boolean(compute="_compute_can_solve")
    can_link = fields.Boolean(compute="_compute_can_link")
    has_payload = fields.Boolean(compute="_compute_has_payload")

    # === WHAT IT CONCERNS === #

    def _concerned(self):
        """Return the records an exception concerns, each once, the nearest first.

        :return: list of single records of several models
        """
        self.ensure_one()
        found = {}

        def add(records):
            for record in records:
                found.setdefault((record._name, record.id), record)

        record = self._record()
        add(record)
        command = self.command_id
        if command:
            add(command.transaction_id)
            if command.res_model in self.env and command.res_id:
                add(self.env[command.res_model].browse(command.res_id).exists())
        for link in self.link_ids:
            add(link._record())
        if self.correlation_id:
            for model, name in CONCERNED:
                add(
                    self.env[model].search(
                        [
                            (name, "=", self.correlation_id),
                            ("company_id", "=", self.company_id.id),
                        ],
                        order="id",
                        limit=constants.CONCERNED_SHOWN,
                    )
                )
        for transaction in [r for r in found.values() if self._is(r, "transaction")]:
            add(transaction.move_id | transaction._all_entries())
            add(transaction.payment_id)
        for move in [r for r in found.values() if r._name == "account.move"]:
            # The entry of a payment is the payment.
            if move.origin_payment_id:
                del found[move._name, move.id]
                add(move.origin_payment_id)
            elif move.is_invoice(include_receipts=True):
                add(move.reconciled_payment_ids)
        for held in list(found.values()):
            add(self.env["finance.hold"]._active(held, company=self.company_id))
        return list(found.values())

    @api.model
    def _is(self, record, kind):
        return record._name == f"finance.{kind}"

    @api.depends("res_model", "res_id", "correlation_id", "link_ids")
    def _compute_concerns_html(self):
        for exception in self:
            lines = [
                Markup('<li>%s: <a href="/odoo/%s/%s">%s</a></li>')
                % (
                    self.env["ir.model"].sudo()._get(record._name).name,
                    record._name,
                    record.id,
                    record.display_name,
                )
                for record in exception.sudo()._concerned()
            ]
            exception.concerns_html = Markup(
                "<ul class='mb-0'>%s</ul>"
            ) % Markup().join(lines)

    @api.depends("correlation_id")
    def _compute_step_ids(self):
        steps = self.env["finance.trace.step"]
        for exception in self:
            exception.step_ids = (
                steps.search(
                    [("correlation_id", "=", exception.correlation_id)],
                    limit=constants.STEPS_SHOWN,
                )
                if exception.correlation_id
                else steps
            )

    # === THE SAME CAUSE === #

    def _same_cause_domain(self):
        """Return the domain of the open ones with the cause of this, itself included.

        The same cause is the same kind of failure of the same kind of thing at the
        same connector.
        """
        self.ensure_one()
        return Domain(
            [
                ("is_open", "=", True),
                ("code", "=", self.code),
                ("connector_id", "=", self.connector_id.id),
                ("res_model", "=", self.res_model),
                ("company_id", "=", self.company_id.id),
            ]
        )

    @api.depends("code", "connector_id", "state")
    def _compute_same_cause_count(self):
        limit = constants.GLANCE_COUNT_LIMIT
        for exception in self:
            exception.same_cause_count = (
                max(
                    self.search_count(exception._same_cause_domain(), limit=limit) - 1,
                    0,
                )
                if exception.is_open
                else 0
            )

    def action_retry_cause(self):
        """Try again everything that has the cause of this."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        same = self.search(self._same_cause_domain(), limit=constants.BULK_MAX)
        return self.env["finance.bulk.action"]._start(same, "retry")

    def action_open_same_cause(self):
        """Show the open ones that have the cause of this."""
        self.ensure_one()
        self.check_access("read")
        return list_of(
            self.env, "finance_exception_action", list(self._same_cause_domain())
        )

    # === WHAT CAN BE DONE === #

    @api.depends("state", "can_retry", "can_correct")
    def _compute_can_solve(self):
        for exception in self:
            exception.can_solve = exception.is_open and not exception.can_retry

    def _compute_guide_html(self):
        for exception in self:
            lines = [
                Markup("<li><b>%s</b>: %s</li>") % pair for pair in exception._guide()
            ]
            exception.guide_html = (
                Markup("<ul class='mb-0'>%s</ul>") % Markup().join(lines)
                if lines
                else False
            )

    def _guide(self):
        """Return what makes sense now, the likeliest first.

        :return: [(name of the button, what it does in a sentence)]
        """
        self.ensure_one()
        if not self.is_open:
            return []
        _ = self.env._
        found = []
        if self.res_model == "finance.unmapped":
            found.append(
                (
                    _("Map"),
                    _(
                        "you say what the code means here; once that is approved, "
                        "everything that waits for it is done by itself."
                    ),
                )
            )
        if self.code == "D-DUPLICATE-PARTY" and self.can_correct:
            found.append(
                (
                    _("Link or Create"),
                    _("you say whether it is somebody known, or a new party."),
                )
            )
        elif self.can_link:
            found.append(
                (
                    _("Link"),
                    _(
                        "you choose the document, payment, bank line or party that was "
                        "meant; the form says what follows before you confirm."
                    ),
                )
            )
        if self.can_compensate:
            found.append(
                (
                    _("Compensate"),
                    _(
                        "you see the entry that makes good for it before it is made; "
                        "above the threshold a second person decides. It can be taken "
                        "back."
                    ),
                )
            )
        if self.can_correct:
            found.append(
                (
                    _("Correct & Resubmit"),
                    _(
                        "you change what came in. The original is kept, and a second "
                        "person sees the difference where more than a reference "
                        "changes."
                    ),
                )
            )
        if self.can_retry:
            found.append((_("Retry"), self._retry_sentence()))
        if self.can_solve:
            found.append(
                (
                    _("Solved by Hand"),
                    _("it is closed, with what you did outside of the hub."),
                )
            )
        if self.waiver_state == "requested":
            found.append(
                (
                    _("Waive"),
                    _("an approver lets it pass, or sends it back; not who asked."),
                )
            )
        else:
            found.append(
                (
                    _("Ask to Waive"),
                    _("an approver decides whether it may stay as it is."),
                )
            )
        found.append(
            (
                _("Cancel"),
                _(
                    "it is closed without a remedy: what was given up stays unsent, "
                    "what failed stays unbooked."
                ),
            )
        )
        return found

    def _retry_sentence(self):
        count = sum(len(records) for records in self.sudo()._retryable())
        if self.delivery_ids:
            return self.env._(
                "%s deliveries are sent again, in their order and with their ids.",
                count,
            )
        return self.env._("it is applied again just as it came in.")

    def _compute_can_link(self):
        for exception in self:
            exception.can_link = bool(
                exception.is_open
                and exception.klass in ("business", "data_quality")
                and exception.res_model
                in (
                    "finance.command",
                    "finance.transaction",
                    "finance.payout",
                    "account.move",
                    "account.payment",
                )
            )

    def _compute_has_payload(self):
        for exception in self:
            exception.has_payload = bool(
                exception.message_id_ref or exception.delivery_ids[:1].event_id
            )

    def action_open_payload(self):
        """Open what came in or was to be sent, masked where that is confidential."""
        self.ensure_one()
        self.check_access("read")
        record = self.message_id_ref or self.delivery_ids[:1].event_id
        if not record:
            raise UserError(self.env._("No message or event is behind this."))
        return window_of(record)
