from odoo import fields, models
from odoo.exceptions import AccessError, UserError

from . import posting

SALES = ("out_invoice", "out_receipt")


class AccountMove(models.Model):
    _name = "account.move"
    _inherit = ["account.move", "finance.holdable"]

    finance_post_user_id = fields.Many2one(
        "res.users",
        string="Post When Released, Asked By",
        copy=False,
        readonly=True,
        help="Who asked for the document to be posted once nothing holds it.",
    )

    def init(self):
        super().init()
        posting.install(self.env.cr)

    # === CRUD === #

    def write(self, vals):
        # Here and not in _post, which may leave some of them drafts: and by now Odoo
        # has the documents in memory, so that looking at them costs nothing.
        if vals.get("state") == "posted":
            self._finance_before_posting()
        return super().write(vals)

    # === HOOKS === #

    def _finance_before_posting(self):
        """Stop what is held, and new business with a counterparty that is blocked.

        :raise UserError: naming what stops it
        """
        if not self:
            return
        found = posting.look(self)
        if found.blocked:
            self._finance_check_blocked()
        if found.held:
            self._finance_check_holds()

    def _post(self, soft=True):
        posted = super()._post(soft)
        asked = posted.filtered("finance_post_user_id")
        if asked:
            asked.finance_post_user_id = False
        return posted

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
            if move.state != "draft" or not user or move._finance_still_held():
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
