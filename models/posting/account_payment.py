from odoo import api, models
from odoo.exceptions import AccessError, UserError

from ..consent import Subject, checked, left_drafts, unchecked

POSTED = ("in_process", "paid")
CONSENTED = ("payment_type", "amount", "date", "memo", "payment_reference")
CONSENTED_RECORDS = (
    "company_id",
    "journal_id",
    "payment_method_line_id",
    "partner_id",
    "partner_bank_id",
    "currency_id",
    "destination_account_id",
)


class AccountPayment(models.Model):
    _name = "account.payment"
    _inherit = ["account.payment", "finance.holdable", "finance.policed"]

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):
        payments = super().create(vals_list)
        if any(vals.get("state") in POSTED for vals in vals_list):
            payments.filtered(
                lambda payment: payment.state in POSTED
            )._finance_check_consents()
        return payments

    def write(self, vals):
        if vals.get("state") not in POSTED:
            return super().write(vals)
        if vals.get("move_id"):
            # Odoo makes the entry of some payments ahead, as a draft.
            if unchecked(self)._finance_unmet():
                vals = {name: vals[name] for name in vals if name != "state"}
            return super().write(vals)
        # By whatever button, assistant or job: this is what posts a payment.
        drafts = self._finance_not_posted()
        drafts._finance_check_holds()
        drafts._finance_check_consents()
        with checked(drafts):
            result = super().write(vals)
        asked = drafts.filtered("finance_post_user_id")
        if asked:
            asked.finance_post_user_id = False
            pending = self.env["finance.approval"]._pending(asked)
            if pending:
                pending._decide("withdrawn", self.env._("It was posted."), quiet=True)
        return result

    def _finance_not_posted(self):
        """Return the payments that are not on their way, whatever they say."""
        return self.filtered(
            lambda payment: (
                payment.state not in POSTED or payment.move_id.state == "draft"
            )
        )

    # === POLICIES === #

    def _finance_policy_subjects(self):
        """See finance.policed; money that comes in has come in already."""
        payments = self.sudo().filtered(
            lambda payment: payment.payment_type == "outbound"
        )
        connectors = payments._finance_connector_ids()
        return [
            Subject(
                key=payment.id,
                kind="payment",
                company=payment.company_id,
                amount=abs(payment.amount_company_currency_signed),
                partners=payment.partner_id | payment.partner_id.commercial_partner_id,
                connector_ids=connectors.get(payment.id, set()),
                record=payment,
            )
            for payment in payments
        ]

    def _finance_consent_content(self):
        self.ensure_one()
        return {
            **{name: self[name] for name in CONSENTED},
            **{name: self[name].id for name in CONSENTED_RECORDS},
            "lines": self.move_id._finance_consent_lines(),
        }

    def _finance_approval_summary(self):
        self.ensure_one()
        return {
            "counterparty": self.partner_id.display_name or "",
            "journal": self.journal_id.display_name,
            "date": str(self.date or ""),
            "reference": self.memo or "",
            "bank_account": self.partner_bank_id.acc_number or "",
            "method": self.payment_method_line_id.name or "",
            "total": f"{self.amount:.2f} {self.currency_id.name}",
        }

    def _finance_consent_title(self):
        self.ensure_one()
        return self.env._(
            "Pay %(amount)s to %(partner)s",
            amount=self.currency_id.format(self.amount),
            partner=self.partner_id.display_name or self.journal_id.name,
        )

    def _finance_post_released(self):
        """Post a draft for which somebody asked so, and match what it pays."""
        for payment in self:
            user = payment.finance_post_user_id
            if payment.state != "draft" or not user or payment._finance_still_waits():
                continue
            posting = payment.with_user(user).with_company(payment.company_id)
            try:
                with self.env.cr.savepoint():
                    posting._finance_post()
                    posting._finance_match_paid()
            except (UserError, AccessError) as error:
                payment.finance_post_user_id = False
                payment.activity_schedule(
                    "mail.mail_activity_data_todo",
                    user_id=user.id,
                    summary=self.env._("Released, but could not be posted"),
                    note=str(error),
                )

    def _finance_post(self):
        """Post without asking for what is missing: the guard of the state stops it."""
        return super().action_post()

    def _finance_match_paid(self):
        """Match with the documents that it was made for, as it would have been."""
        self.ensure_one()
        open_items = [
            ("parent_state", "=", "posted"),
            ("account_type", "in", self._get_valid_payment_account_types()),
            ("reconciled", "=", False),
        ]
        mine = self.move_id.line_ids.filtered_domain(open_items)
        theirs = self.invoice_ids.line_ids.filtered_domain(open_items)
        for account in mine.account_id & theirs.account_id:
            (mine + theirs).filtered(
                lambda line, account=account: line.account_id == account
            ).reconcile()

    # === ACTIONS === #

    def action_post(self):
        """Post; ask for consent where it is needed, and leave those drafts."""
        if not self._finance_is_policed():
            return super().action_post()
        drafts = self._finance_not_posted()
        if drafts:
            drafts.check_access("write")
        waiting = drafts._finance_ask_consents()
        if not waiting:
            return super().action_post()
        super(AccountPayment, self - waiting).action_post()
        if left_drafts() is not None:
            left_drafts().append(waiting)
        return self._finance_waiting_action(waiting)

    # === HOLDS === #

    def _finance_check_holds(self):
        """Stop payments that are held, and those to counterparties that are.

        Money that a held counterparty pays has come in already: it is booked.

        :raise RecordHeld: naming each hold and what releases it
        """
        if not self:
            return
        going_out = self.filtered(lambda payment: payment.payment_type == "outbound")
        holds = self.env["finance.hold"]._stopping(
            "account.payment",
            self._ids,
            going_out.partner_id.commercial_partner_id._ids,
            going_out.company_id._ids,
        )
        stopping = holds.filtered(
            lambda hold: (
                hold.res_model == "account.payment"
                or (
                    # A credit hold is about what is sold, not about paying.
                    hold.kind != "credit"
                    and any(
                        payment.partner_id.commercial_partner_id.id == hold.res_id
                        and payment.company_id == hold.company_id
                        for payment in going_out
                    )
                )
            )
        )
        if stopping:
            stopping._raise()

    def _finance_holds_by_record(self):
        """Return {id: active holds}; a draft also shows those of its counterparty."""
        found = super()._finance_holds_by_record()
        for payment in self:
            partner = payment.partner_id.commercial_partner_id
            if payment.state != "draft" or payment.payment_type != "outbound":
                continue
            holds = (
                self.env["finance.hold"]
                ._active(partner, company=payment.company_id)
                .filtered(lambda hold: hold.kind != "credit")
            )
            found[payment.id] = found.get(payment.id, holds.browse()) | holds
        return found
