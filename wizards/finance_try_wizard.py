import base64
import contextlib
import json

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..contracts import COMMAND_TYPES, ContractError, business_key, parse_command
from ..models import clock, constants
from ..models.access import require_group
from ..signing import SecretBoxError

CONTENT_TYPE = "Content-Type"
JSON, CLOUD_EVENT = "application/json", "application/cloudevents+json"
#: What a file says it is; the formats of files do not look at it.
FILE = "application/octet-stream"


class FinanceTryWizard(models.TransientModel):
    """Shows what a message would become, and does nothing."""

    _name = "finance.try.wizard"
    _description = "Try a Finance Message"

    connector_id = fields.Many2one("finance.connector", required=True)
    company_id = fields.Many2one(related="connector_id.company_id", related_sudo=False)
    message_id = fields.Many2one(
        "finance.message",
        string="Received Message",
        domain="[('connector_id', '=', connector_id)]",
        help="A message that came in. Without one, paste or upload the content.",
    )
    content = fields.Text(help="A message as the other system sends it.")
    upload = fields.Binary(string="Or a File", attachment=False)
    upload_name = fields.Char()
    has_file_format = fields.Boolean(compute="_compute_has_file_format")
    read_as = fields.Selection(
        [("message", "A Message"), ("file", "A File")],
        required=True,
        default="message",
    )
    headers_text = fields.Text(
        string="Headers",
        help="Only where the format reads them: one a line, Name: value.",
    )
    tried = fields.Boolean(readonly=True)
    understood = fields.Boolean(readonly=True)
    headline = fields.Char(readonly=True)
    message_name = fields.Char(string="Message ID", readonly=True)
    note = fields.Char(readonly=True)
    result_ids = fields.One2many(
        "finance.try.wizard.result", "wizard_id", "Commands", readonly=True
    )
    fault_ids = fields.One2many(
        "finance.try.wizard.fault", "wizard_id", "Faults", readonly=True
    )

    # === COMPUTES === #

    @api.depends("connector_id")
    def _compute_has_file_format(self):
        for wizard in self:
            wizard.has_file_format = bool(wizard.connector_id.file_adapter)

    @api.onchange("connector_id")
    def _onchange_connector_id(self):
        if self.message_id.connector_id != self.connector_id:
            self.message_id = False

    # === ACTIONS === #

    def action_try(self):
        """Read the message as its connector would, and show what comes of it."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR, constants.GROUP_ADMINISTRATOR)
        self.connector_id.check_access("read")
        headers, body = self._input()
        adapter, options = self.connector_id._format_of(headers)
        values = {
            "tried": True,
            "message_name": adapter.external_id(headers, body),
            "result_ids": [fields.Command.clear()],
            "fault_ids": [fields.Command.clear()],
        }
        values["note"] = self._note(values["message_name"])
        try:
            parsed = adapter.parse(headers, body, options)
        except ContractError as error:
            values.update(self._refused(error, body))
        else:
            values.update(self._understood(parsed))
        self.write(values)
        self.env["finance.test.call"]._note_read(
            self.connector_id, self.understood, self.headline
        )
        return self._action()

    # === BUSINESS METHODS === #

    @api.model
    def _action_for(self, connector, message=None):
        """Return the action that opens the screen for a connector or its message."""
        wizard = self.create(
            {
                "connector_id": connector.id,
                "message_id": message.id if message else False,
            }
        )
        return wizard._action()

    def _action(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Try a Message"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
            "context": {"dialog_size": "extra-large"},
        }

    def _input(self):
        """Return (headers, body) of what is tried.

        :raise UserError: when there is nothing to try
        """
        if self.message_id:
            self.message_id.check_access("read")
            if self.message_id.connector_id != self.connector_id:
                raise UserError(
                    self.env._("This message belongs to another connector.")
                )
            return self._stored()
        if self.upload:
            body = base64.b64decode(self.with_context(bin_size=False).upload)
        else:
            body = (self.content or "").encode("utf-8", "replace")
        if not body.strip():
            raise UserError(
                self.env._("Choose a received message, paste a content or upload one.")
            )
        if len(body) > constants.TRY_MAX_BYTES:
            raise UserError(
                self.env._(
                    "Contents of up to %s bytes can be tried here.",
                    constants.TRY_MAX_BYTES,
                )
            )
        headers = dict(self._headers())
        if CONTENT_TYPE.lower() not in {name.lower() for name in headers}:
            headers[CONTENT_TYPE] = self._content_type()
        return headers, body

    def _stored(self):
        """Return (headers, body) of a received message.

        :raise UserError: when its content can't be had, or not by this person
        """
        message = self.message_id
        if message.content_hidden:
            raise UserError(
                self.env._("The content of this message is encrypted, and not for you.")
            )
        try:
            body = message._raw()
        except SecretBoxError as error:
            raise UserError(str(error)) from error
        if not body:
            raise UserError(
                self.env._("The content of this message is not kept any more.")
            )
        return message.headers or {}, body

    def _headers(self):
        for line in (self.headers_text or "").splitlines():
            name, colon, value = line.partition(":")
            if colon and name.strip():
                yield name.strip(), value.strip()

    def _content_type(self):
        if self.connector_id.file_adapter and self.read_as == "file":
            return FILE
        return CLOUD_EVENT if self.connector_id.adapter == "canonical" else JSON

    def _note(self, message_name):
        """Return what else is to be known of the message, if there is something."""
        if self.message_id:
            return False
        known = self.env["finance.message"].search(
            [
                ("connector_id", "=", self.connector_id.id),
                ("external_id", "=", message_name),
            ],
            limit=1,
        )
        if not known:
            return False
        return self.env._(
            "A message of this id came before. If this one came, it would be taken for "
            "a repetition."
        )

    def _understood(self, parsed):
        ignored = len([command for command in parsed if command.ignored])
        if not parsed:
            headline = self.env._(
                "The message is understood, and there is nothing in it."
            )
        elif ignored == len(parsed):
            headline = self.env._(
                "The message is understood, and nothing would be done: %s",
                parsed[0].ignored,
            )
        else:
            headline = self.env._(
                "The message is understood. Commands: %(count)s, of which ignored: "
                "%(ignored)s",
                count=len(parsed),
                ignored=ignored,
            )
        return {
            "understood": True,
            "headline": headline,
            "result_ids": [
                fields.Command.clear(),
                *(
                    fields.Command.create(_result_values(position, command))
                    for position, command in enumerate(
                        parsed[: constants.TRY_MAX_COMMANDS]
                    )
                ),
            ],
        }

    def _refused(self, error, body):
        value = None
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(body)
        return {
            "understood": False,
            "headline": error.message,
            "fault_ids": [
                fields.Command.clear(),
                *(
                    fields.Command.create(
                        {
                            "pointer": fault["pointer"],
                            "message": fault["message"],
                            "excerpt": _excerpt(value, fault["pointer"]),
                        }
                    )
                    for fault in error.errors
                ),
            ],
        }


def _result_values(position, command):
    known = COMMAND_TYPES.get(command.type)
    key = False
    if known and not command.ignored:
        key = business_key(parse_command(command.type, command.data))
        key = key.removeprefix(f"{command.type}:")
    return {
        "position": position,
        "command": command.type,
        "title": known.title if known else command.type,
        "verdict": "ignored" if command.ignored else "command",
        "why": command.ignored,
        "external_id": command.external_id,
        "occurred_at": command.occurred_at and clock.naive(command.occurred_at),
        "business_key": key,
        "data_text": json.dumps(command.data, indent=2, ensure_ascii=False)[
            : constants.PREVIEW_CHARS
        ],
    }


def _excerpt(value, pointer):
    """Return what stands at a JSON Pointer, for a person; False where nothing does."""
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        try:
            value = value[int(name)] if isinstance(value, list) else value[name]
        except (KeyError, IndexError, TypeError, ValueError):
            return False
    if value is None:
        return False
    return json.dumps(value, ensure_ascii=False)[: constants.TRY_EXCERPT_CHARS]
