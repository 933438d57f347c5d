from odoo import models
from odoo.exceptions import AccessError, UserError

from ..consent import Subject, checked, left_drafts, unchecked
from . import looking

SALES = ("out_invoice", "out_receipt")
KIND_OF = {
    "out_invoice": "customer_invoice",
    "out_receipt": "customer_invoice",
    "in_invoice": "vendor_bill",
    "in_receipt": "vendor_bill",
    "out_refund": "credit_note",
    "in_refund": "credit_note",
    "entry": "journal_entry",
}
CONSENTED = (
    "move_type",
    "ref",
    "date",
    "invoice_date",
    "invoice_date_due",
    "payment_reference",
    "amount_total",
)
CONSENTED_RECORDS = (
    "company_id",
    "journal_id",
    "partner_id",
    "commercial_partner_id",
    "currency_id",
    "partner_bank_id",
)
CONSENTED_LINE = (
    "name",
    "quantity",
    "price_unit",
    "discount",
    "balance",
    "amount_currency",
    "analytic_distribution",
)


class AccountMove(models.Model):
    _name = "account.move"
    _inherit = ["account.move", "finance.holdable", "finance.policed"]

    # === CRUD === #

    def write(self, vals):
        # Here and not in _post, which may leave some of them drafts: and by now Odoo
        # has the documents in memory, so that looking at them costs nothing.
        if vals.get("state") == "posted":
            self._finance_before_posting()
            # Whoever writes the state past _post() is stopped here.
            unchecked(self).filtered(
                lambda move: move.state != "posted"
            )._finance_check_consents()
        return super().write(vals)

    # === HOOKS === #

    def _finance_before_posting(self):
        """Stop what is held, and new business with a counterparty that is blocked.

        :raise UserError: naming what stops it
        """
        if not self:
            return
        found = looking.look(self)
        if found.blocked:
            self._finance_check_blocked()
        if found.held:
            self._finance_check_holds()

    def _post(self, soft=True):
        moves = self
        if soft and self._finance_is_policed():
            # What posts itself on its day waits on for its consent.
            recurring = self.filtered(lambda move: move.auto_post != "no")
            moves -= recurring._finance_ask_consents(when_given=False)
        asked_for = moves
        if left_drafts() is not None and moves._finance_is_policed():
            moves = moves._finance_leave_drafts(soft)
            # Those of a later day are asked for when it has come.
            asked_for = moves._finance_due(soft)
        asked_for._finance_check_consents()
        with checked(moves):
            posted = super(AccountMove, moves)._post(soft)
        asked = posted.filtered("finance_post_user_id")
        if asked:
            asked.finance_post_user_id = False
            pending = self.env["finance.approval"]._pending(asked)
            if pending:
                pending._decide("withdrawn", self.env._("It was posted."), quiet=True)
        posted.filtered("finance_match_later")._finance_match_posted()
        return posted

    # === POLICIES === #

    def _finance_policy_subjects(self):
        """See finance.policed; an entry of a payment is looked at as the payment."""
        moves = self.sudo().filtered(
            lambda move: (
                not move._finance_is_of_bank_line()
                and not move._finance_is_of_payment()
            )
        )
        connectors = moves._finance_connector_ids()
        return [
            Subject(
                key=move.id,
                kind=KIND_OF[move.move_type],
                company=move.company_id,
                amount=abs(move.amount_total_signed),
                partners=move.partner_id | move.commercial_partner_id,
                connector_ids=connectors.get(move.id, set()),
                record=move,
            )
            for move in moves
        ]

    def _finance_is_of_bank_line(self):
        """Return whether the bank line has this entry: naming one is not enough."""
        self.ensure_one()
        line = self.statement_line_id
        return bool(line) and line.move_id == self

    def _finance_is_of_payment(self):
        self.ensure_one()
        return bool(self.origin_payment_id) and self.origin_payment_id.move_id == self

    def _finance_check_consents(self):
        """See finance.policed; the entry of a draft payment needs that one's."""
        if not self:
            return None
        if self.env["finance.policy"]._asks_about("account.payment"):
            payments = self.sudo().origin_payment_id.filtered(
                lambda payment: payment.move_id in self
            )
            payments._finance_not_posted()._finance_check_consents()
        return super()._finance_check_consents()

    def _finance_consent_content(self):
        self.ensure_one()
        return {
            **{name: self[name] for name in CONSENTED},
            **{name: self[name].id for name in CONSENTED_RECORDS},
            "lines": self._finance_consent_lines(),
        }

    def _finance_consent_lines(self):
        return [
            [
                *(line[name] for name in CONSENTED_LINE),
                line.account_id.id,
                line.partner_id.id,
                sorted(line.tax_ids.ids),
            ]
            for line in self.line_ids.sorted("id")
        ]

    def _finance_approval_summary(self):
        self.ensure_one()
        lines = self.line_ids.filtered("account_id").sorted("id")
        day = self.invoice_date or self.date
        return {
            "counterparty": self.partner_id.display_name or "",
            "journal": self.journal_id.display_name,
            "date": str(day or ""),
            "due": str(self.invoice_date_due or ""),
            "reference": self.ref or "",
            "bank_account": self.partner_bank_id.acc_number or "",
            "total": f"{self.amount_total:.2f} {self.currency_id.name}",
            **{
                f"line {number}": " · ".join(
                    filter(
                        None,
                        (
                            line.account_id.code,
                            line.name,
                            line.partner_id.name,
                            ", ".join(line.tax_ids.mapped("name")),
                            f"{line.amount_currency:.2f} {line.currency_id.name}",
                        ),
                    )
                )
                for number, line in enumerate(lines, start=1)
            },
        }

    def _finance_consent_title(self):
        self.ensure_one()
        return self.env._(
            "Post %(document)s: %(partner)s, %(amount)s",
            document=self.display_name,
            partner=self.commercial_partner_id.name or self.ref or self.journal_id.name,
            amount=self.currency_id.format(self.amount_total),
        )

    def _finance_check_holds(self):
        """Stop what is held, and documents of counterparties that are.

        :raise RecordHeld: naming each hold and what releases it
        """
        if not self:
            return
        # What a bank reports or a payment books has happened: only documents wait.
        documents = self.filtered(lambda move: move.is_invoice(include_receipts=True))
        holds = self.env["finance.hold"]._stopping(
            "account.move",
            self._ids,
            documents.commercial_partner_id._ids,
            documents.company_id._ids,
        )
        if not holds:
            return
        stopping = holds.filtered(lambda hold: hold.res_model == "account.move")
        for hold in holds - stopping:
            theirs = documents.filtered(
                lambda move, hold=hold: (
                    move.commercial_partner_id.id == hold.res_id
                    and move.company_id == hold.company_id
                )
            )
            if hold.kind == "credit":
                theirs = theirs.filtered(lambda move: move.move_type in SALES)
                if theirs and not hold._over_limit(theirs):
                    continue
            if theirs:
                stopping |= hold
        if stopping:
            stopping._raise()

    def _finance_holds_by_record(self):
        """Return {id: active holds}; a draft also shows those of its counterparty."""
        found = super()._finance_holds_by_record()
        for move in self:
            partner = move.commercial_partner_id
            if move.state != "draft" or not partner or not move.is_invoice(True):
                continue
            holds = self.env["finance.hold"]._active(partner, company=move.company_id)
            if move.move_type not in SALES:
                holds = holds.filtered(lambda hold: hold.kind != "credit")
            found[move.id] = found.get(move.id, holds.browse()) | holds
        return found

    def _finance_post_released(self):
        """Post a draft for which somebody asked so, if nothing holds it any more."""
        for move in self:
            user = move.finance_post_user_id
            if move.state != "draft" or not user or move._finance_still_waits():
                continue
            try:
                with self.env.cr.savepoint():
                    move.with_user(user).with_company(move.company_id)._post(soft=False)
            except (UserError, AccessError) as error:
                # The release stands; whoever asked is told what is in the way.
                move.finance_post_user_id = False
                move.activity_schedule(
                    "mail.mail_activity_data_todo",
                    user_id=user.id,
                    summary=self.env._("Released, but could not be posted"),
                    note=str(error),
                )

    def _finance_still_held(self):
        try:
            self._finance_check_holds()
        except UserError:
            return True
        return False

    # === ACTIONS === #

    def action_post(self):
        """Post; ask for consent where it is needed, and leave those drafts."""
        if not self._finance_is_policed() or not (
            self.env.su or self.env.user.has_group("account.group_account_invoice")
        ):
            return super().action_post()
        waiting = self.filtered(
            lambda move: move.state == "draft"
        )._finance_ask_consents()
        if not waiting:
            return super().action_post()
        result = super(AccountMove, self - waiting).action_post()
        return result or self._finance_waiting_action(waiting)

    def action_finance_post_when_released(self):
        """Have the draft posted once nothing holds it."""
        if not self.env.user.has_group("account.group_account_invoice"):
            raise AccessError(
                self.env._("Only those who post documents can ask for this.")
            )
        self.check_access("write")
        for move in self:
            if move.state != "draft" or not move._finance_still_held():
                raise UserError(
                    self.env._("“%s” is not held; confirm it.", move.display_name)
                )
        self.finance_post_user_id = self.env.user
        return True
