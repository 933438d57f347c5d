import json

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import sql

from ...signing import SecretBoxError
from ..keyring import secret_box
from ..privacy.finance_connector import may_see_confidential
from ..privacy.masking import masked


class FinanceCommand(models.Model):
    """How the content of a command is kept, and who sees it.

    What came in an encrypted message is encrypted here, too. ``data`` is the content
    for whoever may see it and for the hub itself; others get its shape.
    """

    _inherit = "finance.command"

    data_kept = fields.Json(
        string="Content (raw)", readonly=True, help="Empty of what is encrypted."
    )
    # Ciphertext only; nobody reads it through the ORM but this module.
    data_token = fields.Text(groups=fields.NO_ACCESS, copy=False)
    is_encrypted = fields.Boolean(string="Kept Encrypted", readonly=True)
    is_pseudonymous = fields.Boolean(
        readonly=True, help="What described a person was taken out of it."
    )
    content_hidden = fields.Boolean(compute="_compute_content_hidden")

    def _auto_init(self):
        """Keep what was stored before there was encryption."""
        cr = self.env.cr
        if sql.column_exists(cr, self._table, "data") and not sql.column_exists(
            cr, self._table, "data_kept"
        ):
            sql.rename_column(cr, self._table, "data", "data_kept")
            sql.drop_not_null(cr, self._table, "data_kept")
        return super()._auto_init()

    # === COMPUTES === #

    @api.depends("is_encrypted")
    @api.depends_context("uid")
    def _compute_content_hidden(self):
        may_see = may_see_confidential(self.env)
        for command in self:
            command.content_hidden = command.is_encrypted and not may_see

    @api.depends("data_kept", "data_token")
    @api.depends_context("uid")
    def _compute_data(self):
        for command in self:
            command.data = (
                masked(command._clear_data())
                if command.content_hidden
                else command._clear_data()
            )

    @api.depends("data_kept", "data_token")
    @api.depends_context("uid")
    def _compute_data_text(self):
        for command in self:
            try:
                text = json.dumps(command.data, indent=2, ensure_ascii=False)
            except SecretBoxError as error:
                text = str(error)
            command.data_text = text

    def _clear_data(self):
        """Return the content, decrypted.

        :raise signing.SecretBoxError: when it can't be decrypted
        """
        self.ensure_one()
        command = self.sudo()
        if not command.is_encrypted:
            return command.data_kept
        return json.loads(secret_box().decrypt(command.data_token))

    # === CRUD === #

    def write(self, vals):
        if "data" not in vals:
            return super().write(vals)
        for encrypted in (False, True):
            commands = self.filtered(lambda c, e=encrypted: c.is_encrypted == e)
            super(FinanceCommand, commands).write(_kept(vals, encrypted))
        return True

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("What came in is kept."))

    @api.model
    def _kept_data(self, vals_list):
        """Return the values of new commands with their content as it is kept."""
        messages = self.env["finance.message"].browse(
            {vals["message_id"] for vals in vals_list if vals.get("message_id")}
        )
        encrypted = set(messages.sudo().filtered("encrypted").ids)
        return [_kept(vals, vals.get("message_id") in encrypted) for vals in vals_list]


def _kept(vals, encrypted):
    if "data" not in vals:
        return vals
    vals = dict(vals)
    data = vals.pop("data")
    if encrypted:
        token = secret_box().encrypt(json.dumps(data, ensure_ascii=False))
        return {**vals, "data_token": token, "data_kept": False, "is_encrypted": True}
    return {**vals, "data_kept": data}
