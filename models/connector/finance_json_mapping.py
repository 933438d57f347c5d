from markupsafe import Markup

from odoo import api, fields, models
from odoo.fields import Command

from ...contracts import COMMAND_TYPES, model_fields

#: Fields that are offered with a new mapping although a command goes without them.
OFFERED = ("document_ref", "parent_ref")


class FinanceJsonMapping(models.Model):
    """Which command is made of one kind of event of a system that sends JSON."""

    _name = "finance.json.mapping"
    _description = "Finance JSON Mapping"
    _order = "sequence, id"
    _check_company_auto = True

    name = fields.Char(required=True)
    active = fields.Boolean(default=True)
    sequence = fields.Integer(default=10)
    connector_id = fields.Many2one(
        "finance.connector",
        required=True,
        index=True,
        ondelete="cascade",
        domain="[('adapter', '=', 'generic_json')]",
    )
    company_id = fields.Many2one(
        related="connector_id.company_id", store=True, index=True
    )
    events = fields.Char(
        string="Event Types",
        help="The sender's words for what happened, with commas between them: "
        "order.paid, order.settled. Empty means all.",
    )
    condition_path = fields.Char(
        string="Only If", help="Where a value stands that decides, too: @.status"
    )
    condition_values = fields.Char(
        string="Is One Of", help="What the value has to be, with commas between."
    )
    command = fields.Selection(
        selection="_selection_command",
        required=True,
        default="payment.captured",
        help="What is done in Odoo with such an event.",
    )
    command_help = fields.Html(
        string="Fields of the Command", compute="_compute_command_help", sanitize=False
    )
    line_ids = fields.One2many(
        "finance.json.mapping.line", "mapping_id", "Fields", copy=True
    )

    # === COMPUTES === #

    @api.model
    def _selection_command(self):
        return [(name, entry.title) for name, entry in COMMAND_TYPES.items()]

    @api.depends("command")
    def _compute_command_help(self):
        for mapping in self:
            entry = COMMAND_TYPES.get(mapping.command)
            rows = Markup().join(
                Markup(
                    "<tr><td><code>{}</code>{}</td><td>{}</td><td>{}</td></tr>"
                ).format(
                    each.path,
                    Markup(" <b>*</b>") if each.required else "",
                    each.description,
                    ", ".join(each.values) or each.kind,
                )
                for each in (model_fields(entry.model) if entry else ())
            )
            mapping.command_help = Markup(
                "<p>{}</p><table class='table table-sm'><thead><tr><th>{}</th>"
                "<th>{}</th><th>{}</th></tr></thead><tbody>{}</tbody></table>"
            ).format(
                entry.description if entry else "",
                self.env._("Field (* always needed)"),
                self.env._("Meaning"),
                self.env._("Values"),
                rows,
            )

    @api.onchange("command")
    def _onchange_command(self):
        """Offer a line for every field that the command needs."""
        entry = COMMAND_TYPES.get(self.command)
        if not entry or self._filled_lines():
            return
        names = [
            each.path
            for each in model_fields(entry.model)
            if "." not in each.path and (each.required or each.path in OFFERED)
        ]
        self.line_ids = [
            Command.clear(),
            *(Command.create({"field_name": name}) for name in names),
        ]

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):
        mappings = super(
            FinanceJsonMapping, self.with_context(finance_json_compiling=True)
        ).create(vals_list)
        mappings = self.browse(mappings.ids)
        mappings._compile()
        return mappings

    def write(self, vals):
        connectors = self.connector_id
        result = super(
            FinanceJsonMapping, self.with_context(finance_json_compiling=True)
        ).write(vals)
        self._compile(connectors)
        return result

    def unlink(self):
        connectors = self.connector_id
        result = super().unlink()
        self.browse()._compile(connectors)
        return result

    # === BUSINESS METHODS === #

    def _compile(self, more=None):
        """Have the connectors take the mappings as they are now.

        :param more: further connectors, such as those that mappings were taken from
        """
        if not self.env.context.get("finance_json_compiling"):
            connectors = self.connector_id | (more or self.connector_id)
            connectors.exists()._compile_json_mappings()

    def _filled_lines(self):
        """Return the lines that say where a value comes from, in their order."""
        return self.line_ids.sorted(
            lambda line: (line.sequence, line._origin.id or 0)
        ).filtered(lambda line: line.path or line.constant)

    def _compiled(self):
        """Return the mapping as the format's settings have it."""
        self.ensure_one()
        compiled = {
            "name": self.name,
            "command": self.command,
            "events": _listed(self.events),
            "fields": [line._compiled() for line in self._filled_lines()],
        }
        if self.condition_path:
            compiled["conditions"] = [
                {
                    "path": self.condition_path.strip(),
                    "values": _listed(self.condition_values),
                }
            ]
        return compiled


def _listed(text):
    """Return the parts of a text with commas between them."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]
