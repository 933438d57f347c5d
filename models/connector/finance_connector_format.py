import json

from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ...contracts import ContractError, model_fields, validate
from ...providers import ADAPTERS
from .. import constants
from ..access import require_group

#: The format whose settings are made in a form of their own.
MAPPED = "generic_json"

#: Whatever is compiled into them.
MAPPING_FIELDS = {
    "adapter",
    "json_items_path",
    "json_event_path",
    "json_id_path",
    "json_zone",
    "json_mapping_ids",
}


class FinanceConnector(models.Model):
    """The settings of a message format, as a person writes them."""

    _inherit = "finance.connector"

    settings_text = fields.Text(
        string="Format Settings",
        compute="_compute_settings_text",
        inverse="_inverse_settings_text",
        help="Settings of the message format, as JSON. What is left out is as it is "
        "by default.",
    )
    settings_help = fields.Html(compute="_compute_settings_help", sanitize=False)
    file_settings_text = fields.Text(
        string="File Settings",
        compute="_compute_settings_text",
        inverse="_inverse_file_settings_text",
        help="Settings of the file format, as JSON. What is left out is as it is by "
        "default.",
    )
    file_settings_help = fields.Html(compute="_compute_settings_help", sanitize=False)
    json_items_path = fields.Char(
        string="List of Items",
        help="Where the list stands, if one message holds several items: $.events[*]. "
        "Empty if a message is one item.",
    )
    json_event_path = fields.Char(
        string="Event Type",
        help="Where an item names what happened: @.type. @ is the item.",
    )
    json_id_path = fields.Char(
        string="Item ID", help="Where an item has an id of its own: @.id"
    )
    json_zone = fields.Char(
        string="Time Zone of Times",
        default="UTC",
        help="For times that name no zone: Europe/Brussels.",
    )
    json_mapping_ids = fields.One2many(
        "finance.json.mapping", "connector_id", "JSON Mappings", copy=True
    )

    # === COMPUTES === #

    @api.depends("adapter", "adapter_options", "file_adapter", "file_adapter_options")
    def _compute_settings_text(self):
        for connector in self:
            connector.settings_text = _as_text(
                connector.adapter, connector.adapter_options
            )
            connector.file_settings_text = _as_text(
                connector.file_adapter, connector.file_adapter_options
            )

    @api.depends("adapter", "file_adapter")
    def _compute_settings_help(self):
        for connector in self:
            connector.settings_help = connector._settings_table(connector.adapter)
            connector.file_settings_help = connector._settings_table(
                connector.file_adapter
            )

    def _inverse_settings_text(self):
        for connector in self:
            if connector.adapter != MAPPED:
                connector.adapter_options = connector._settings_of(
                    connector.adapter, connector.settings_text
                )

    def _inverse_file_settings_text(self):
        for connector in self:
            connector.file_adapter_options = connector._settings_of(
                connector.file_adapter, connector.file_settings_text
            )

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):
        # Mappings come with their connector and are compiled with it.
        connectors = super(
            FinanceConnector, self.with_context(finance_json_compiling=True)
        ).create([self._with_own_settings(vals) for vals in vals_list])
        connectors = self.browse(connectors.ids)
        connectors._compile_json_mappings()
        return connectors

    def write(self, vals):
        before = {connector: _settings_key(connector) for connector in self}
        connectors = self
        if vals.keys() & {"adapter", "file_adapter"}:
            vals = self._without_other_settings(self._with_own_settings(vals))
        if vals.keys() & MAPPING_FIELDS:
            connectors = self.with_context(finance_json_compiling=True)
        result = super(FinanceConnector, connectors).write(vals)
        if vals.keys() & MAPPING_FIELDS:
            self._compile_json_mappings()
        self._log_settings(before)
        return result

    def _with_own_settings(self, vals):
        """Return what is written, with the settings that come along with a format.

        Both are checked against each other, so they are to be written at once.
        """
        vals = dict(vals)
        for name, text, options in (
            ("adapter", "settings_text", "adapter_options"),
            ("file_adapter", "file_settings_text", "file_adapter_options"),
        ):
            if vals.get(name) and text in vals:
                settings = vals.pop(text)
                if vals[name] != MAPPED:
                    vals[options] = self._settings_of(vals[name], settings)
        return vals

    def _without_other_settings(self, vals):
        """Return what is written, without the settings of the format that was."""
        for name, options in (
            ("adapter", "adapter_options"),
            ("file_adapter", "file_adapter_options"),
        ):
            changed = name in vals and any(c[name] != vals[name] for c in self)
            if changed and options not in vals:
                vals = {**vals, options: False}
        return vals

    def _log_settings(self, before):
        for connector in self:
            if before[connector] != _settings_key(connector):
                connector.message_post(
                    body=self.env._("The settings of the message format were changed.")
                )

    # === ACTIONS === #

    def action_try_message(self):
        """Open the screen in which a message is tried without effect."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR, constants.GROUP_ADMINISTRATOR)
        self.check_access("read")
        return self.env["finance.try.wizard"]._action_for(self)

    # === BUSINESS METHODS === #

    def _compile_json_mappings(self):
        """Make the settings of the mapped format out of its form.

        :raise ValidationError: naming the mapping and field that can't be
        """
        for connector in self.filtered(lambda c: c.adapter == MAPPED):
            connector.invalidate_recordset(["json_mapping_ids"])
            mappings = connector.json_mapping_ids.sorted()
            options = {
                name: value.strip()
                for name, value in (
                    ("items_path", connector.json_items_path),
                    ("event_path", connector.json_event_path),
                    ("id_path", connector.json_id_path),
                    ("zone", connector.json_zone),
                )
                if value and value.strip()
            }
            options["mappings"] = [mapping._compiled() for mapping in mappings]
            model = ADAPTERS[MAPPED].options_model
            try:
                options = validate(model, options, "").wire()
            except ContractError as error:
                raise ValidationError(
                    "\n".join(connector._json_fault(mappings, e) for e in error.errors)
                ) from error
            if options != connector.adapter_options:
                connector.adapter_options = options

    def _json_fault(self, mappings, error):
        """Return a fault of the compiled settings in the words of the form."""
        steps = error["pointer"].split("/")[1:]
        message = error["message"]
        if steps[:1] != ["mappings"] or len(steps) < 2:
            labels = self.fields_get(attributes=["string"])
            name = f"json_{steps[0]}" if steps else ""
            label = labels.get(name, {}).get("string")
            return f"{label}: {message}" if label else message
        mapping = mappings[int(steps[1])]
        if len(steps) > 3 and steps[2] == "fields" and steps[3].isdigit():
            line = mapping._filled_lines()[int(steps[3])]
            return self.env._(
                "Mapping “%(mapping)s”, field “%(field)s”: %(message)s",
                mapping=mapping.name,
                field=line.field_name,
                message=message,
            )
        return self.env._(
            "Mapping “%(mapping)s”: %(message)s",
            mapping=mapping.name,
            message=message,
        )

    def _settings_of(self, adapter, text):
        """Return the settings that a person wrote, without those that say the default.

        :raise ValidationError: saying what is wrong with them
        """
        model = ADAPTERS[adapter].options_model if adapter else None
        if not model or not (text or "").strip():
            return False
        try:
            settings = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValidationError(
                self.env._("The settings are not valid JSON: %s", error)
            ) from error
        if not isinstance(settings, dict):
            raise ValidationError(
                self.env._("The settings must be a JSON object: {…}.")
            )
        settings = {key: value for key, value in settings.items() if value is not None}
        try:
            chosen = validate(model, settings, self.env._("The settings")).wire()
        except ContractError as error:
            raise ValidationError(error.describe()) from error
        defaults = _defaults(model)
        return {
            key: value
            for key, value in chosen.items()
            if key not in defaults or defaults[key] != value
        } or False

    def _settings_table(self, adapter):
        """Return the settings of a format as a table for people, False without any."""
        model = ADAPTERS[adapter].options_model if adapter else None
        if not model or adapter == MAPPED:
            return False
        rows = Markup().join(
            Markup("<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>").format(
                each.path,
                each.description,
                ", ".join(each.values) or each.kind,
            )
            for each in model_fields(model)
        )
        return Markup(
            "<table class='table table-sm'><thead><tr><th>{}</th><th>{}</th>"
            "<th>{}</th></tr></thead><tbody>{}</tbody></table>"
        ).format(
            self.env._("Setting"), self.env._("Meaning"), self.env._("Values"), rows
        )


def _defaults(model):
    """Return the settings that have a default, on the wire; None is not one."""
    found = {
        name: field.get_default(call_default_factory=True)
        for name, field in model.model_fields.items()
        if not field.is_required()
    }
    # Not checked: what is required is missing.
    return model.model_construct(**found).model_dump(mode="json", warnings=False)


def _as_text(adapter, options):
    """Return all settings of a format as text, those that were not made as default."""
    model = ADAPTERS[adapter].options_model if adapter else None
    if not model or adapter == MAPPED:
        return False
    settings = options or {}
    unknown = settings.keys() - model.model_fields.keys()
    shown = dict.fromkeys(model.model_fields)
    shown.update(_defaults(model))
    # Of another format: the person has just chosen this one.
    shown.update({} if unknown else settings)
    return json.dumps(shown, indent=2, ensure_ascii=False)


def _settings_key(connector):
    return json.dumps(
        [
            connector.adapter,
            connector.adapter_options,
            connector.file_adapter,
            connector.file_adapter_options,
        ],
        sort_keys=True,
    )
