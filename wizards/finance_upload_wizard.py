import base64
import mimetypes

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..models import constants
from ..models.access import require_group
from ..providers import ADAPTERS


class FinanceUploadWizard(models.TransientModel):
    """Takes a file in that a person has, as if its system had sent it.

    Only formats of files: a notification is believed for its signature, and a person
    has none.
    """

    _name = "finance.upload.wizard"
    _description = "Upload of a Finance File"

    connector_id = fields.Many2one(
        "finance.connector",
        string="From",
        required=True,
        domain="[('id', 'in', possible_connector_ids)]",
    )
    possible_connector_ids = fields.Many2many(
        "finance.connector", compute="_compute_possible_connector_ids"
    )
    company_id = fields.Many2one(related="connector_id.company_id", related_sudo=False)
    format_name = fields.Char(string="Format", compute="_compute_format_name")
    upload = fields.Binary(string="File", attachment=False)
    upload_name = fields.Char()

    # === COMPUTES === #

    @api.depends_context("uid", "allowed_company_ids")
    @api.depends("connector_id")
    def _compute_possible_connector_ids(self):
        connectors = self.env["finance.connector"].search(
            [
                ("state", "=", "live"),
                ("company_id", "in", self.env.companies.ids),
                "|",
                ("adapter", "in", _file_formats()),
                ("file_adapter", "in", _file_formats()),
            ]
        )
        self.possible_connector_ids = connectors

    @api.depends("connector_id")
    def _compute_format_name(self):
        for wizard in self:
            adapter = wizard.connector_id and wizard.connector_id._file_format()
            wizard.format_name = adapter.title if adapter else False

    # === ACTIONS === #

    def action_upload(self):
        """Take the file in, and show the message that it is now."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR)
        connector = self.connector_id
        connector.check_access("read")
        connector._expect_state("live")
        adapter = connector._file_format()
        if not adapter:
            raise UserError(
                self.env._(
                    "“%s” sends no files: it signs what it sends, and nobody can sign "
                    "in its place. Have it send the message again.",
                    connector.name,
                )
            )
        body = self._content(adapter)
        external_id = adapter.external_id({}, body)
        messages = self.env["finance.message"].sudo()
        outcome = messages._receive(
            connector.sudo(),
            external_id,
            body,
            {"Content-Type": self._content_type()},
            None,
            self.env._("Uploaded by %s", self.env.user.name),
            adapter.fingerprint({}, body),
        )
        self.upload = False
        return self._show(messages, external_id, outcome)

    # === BUSINESS METHODS === #

    def _content(self, adapter):
        """Return the file.

        :raise UserError: when there is none, or it is too large
        """
        body = base64.b64decode(self.with_context(bin_size=False).upload or b"")
        if not body.strip():
            raise UserError(self.env._("Choose a file that is not empty."))
        most = min(adapter.max_bytes, constants.MAX_FILE_BYTES)
        if len(body) > most:
            raise UserError(
                self.env._(
                    "The file has %(size)s bytes, and %(most)s are the most. Have it "
                    "split, such as by day.",
                    size=len(body),
                    most=most,
                )
            )
        return body

    def _content_type(self):
        guessed, _encoding = mimetypes.guess_type(self.upload_name or "")
        # A file is read by its content; only JSON would be taken for a notification.
        if not guessed or "json" in guessed:
            return "application/octet-stream"
        return guessed

    def _show(self, messages, external_id, outcome):
        """Return the action that opens the message; says if it was known before."""
        message = messages.search(
            [
                ("connector_id", "=", self.connector_id.id),
                ("external_id", "=", external_id),
            ],
            limit=1,
        )
        opened = {
            "type": "ir.actions.act_window",
            "name": self.env._("Message"),
            "res_model": message._name,
            "res_id": message.id,
            "views": [(False, "form")],
            "view_mode": "form",
        }
        if outcome == "new":
            told = self.env._("The file was taken in and is being processed.")
        elif outcome == "duplicate":
            told = self.env._(
                "This very file is here already; nothing was done twice. This is what "
                "became of it."
            )
        else:
            told = self.env._(
                "A file with this number and other content is here already. The new "
                "one was set aside: see the exception."
            )
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success" if outcome == "new" else "warning",
                "message": told,
                "sticky": outcome != "new",
                "next": opened,
            },
        }


def _file_formats():
    return [name for name, adapter in ADAPTERS.items() if adapter.max_bytes]
