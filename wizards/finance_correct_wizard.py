import json

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from ..models import constants
from ..models.access import require_group
from ..models.control.finance_correction import difference_html


class FinanceCorrectWizard(models.TransientModel):
    """Correct a command that could not be applied, and submit it again."""

    _name = "finance.correct.wizard"
    _description = "Correct and Resubmit a Finance Command"

    command_id = fields.Many2one("finance.command", required=True, readonly=True)
    company_id = fields.Many2one(related="command_id.company_id", related_sudo=False)
    problem = fields.Text(related="command_id.error", related_sudo=False)
    error_code = fields.Char(related="command_id.error_code", related_sudo=False)
    move_id = fields.Many2one(
        "account.move",
        string="Right Document",
        domain="[('company_id', '=', company_id), ('state', '=', 'posted'),"
        " ('move_type', 'in', ('out_invoice', 'out_receipt'))]",
        help="The invoice that was meant; its number becomes the reference.",
    )
    is_suggested = fields.Boolean(readonly=True)
    concerns_document = fields.Boolean(compute="_compute_concerns_document")
    content = fields.Text(
        required=True,
        help="What will be applied. The original is kept beside it.",
    )
    original = fields.Text(
        related="command_id.data_text",
        string="Original Content",
        related_sudo=False,
    )
    difference = fields.Html(string="What You Changed", compute="_compute_difference")
    needs_approval = fields.Boolean(compute="_compute_difference")
    reason = fields.Char(
        required=True, help="Why this is right; kept with the correction."
    )

    @api.model
    def default_get(self, fields_list):
        values = super().default_get(fields_list)
        command = self.env["finance.command"].browse(values.get("command_id"))
        if command:
            command._check_correctable()
        if command and "content" in fields_list:
            values["content"] = command.data_text
            if command.type == "payment.captured":
                self._suggest_document(command, values)
        return values

    def _suggest_document(self, command, values):
        """Begin with the only document that fits, if there is one."""
        move = self.env["finance.matching"]._suggest(command)
        if move:
            data = {**command.data, "document_ref": move.name}
            values.update(
                move_id=move.id,
                is_suggested=True,
                content=json.dumps(data, indent=2, ensure_ascii=False),
            )

    @api.depends("command_id.type")
    def _compute_concerns_document(self):
        for wizard in self:
            wizard.concerns_document = wizard.command_id.type == "payment.captured"

    @api.depends("content", "command_id")
    def _compute_difference(self):
        for wizard in self:
            try:
                data = wizard._parsed()
            except ValidationError:
                wizard.difference, wizard.needs_approval = False, False
                continue
            original = wizard.command_id.data
            wizard.difference = difference_html(self.env, original, data)
            wizard.needs_approval = wizard.command_id._changes_more_than_names(data)

    @api.onchange("move_id")
    def _onchange_move_id(self):
        if self.move_id:
            data = self._parsed()
            data["document_ref"] = self.move_id.name
            self.content = json.dumps(data, indent=2, ensure_ascii=False)

    def _parsed(self):
        try:
            data = json.loads(self.content or "")
        except ValueError as error:
            raise ValidationError(
                self.env._("The content is not valid JSON: %s", error)
            ) from error
        if not isinstance(data, dict):
            raise ValidationError(self.env._("The content must be a JSON object."))
        return data

    def action_resubmit(self):
        """Keep the original, and have the corrected command applied."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR)
        data = self._parsed()
        if data == self.command_id.data:
            raise UserError(
                self.env._(
                    "Nothing was changed. To apply it as it is, use Retry instead."
                )
            )
        self.command_id._correct(data, self.reason)
        return {"type": "ir.actions.act_window_close"}
