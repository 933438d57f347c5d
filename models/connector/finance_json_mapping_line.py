from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ...contracts import COMMAND_TYPES, model_fields


class FinanceJsonMappingLine(models.Model):
    """Where one field of a command comes from, and how it is read."""

    _name = "finance.json.mapping.line"
    _description = "Finance JSON Mapping Line"
    _order = "sequence, id"
    _rec_name = "field_name"

    mapping_id = fields.Many2one(
        "finance.json.mapping", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(
        related="mapping_id.company_id", store=True, index=True
    )
    sequence = fields.Integer(default=10)
    field_name = fields.Char(
        string="Field",
        required=True,
        help="Of the command: amount, payer.iban, metadata.order. A list such as "
        "lines needs a path to its elements; lines.gross is then a field of each.",
    )
    path = fields.Char(
        help="Where the value stands: @.payment.amount from the item on, $.shop from "
        "the whole message on, @['first-name'] for other names, @.lines[*] for all "
        "elements of a list."
    )
    constant = fields.Char(help="What it always is, instead of a path.")
    convert = fields.Selection(
        [
            ("as_is", "As It Is"),
            ("text", "Text"),
            ("decimal", "Decimal Number (12.34)"),
            ("decimal_comma", "Decimal Number With Comma (1.234,56)"),
            ("minor_units", "Cents (by the Currency)"),
            ("integer", "Whole Number"),
            ("boolean", "Yes or No"),
            ("upper", "Capital Letters"),
            ("lower", "Small Letters"),
            ("time", "Time (ISO 8601)"),
            ("unix_seconds", "Time (Seconds Since 1970)"),
            ("unix_milliseconds", "Time (Milliseconds Since 1970)"),
            ("date", "Date (ISO 8601)"),
        ],
        string="Read As",
        required=True,
        default="as_is",
    )
    sign = fields.Selection(
        [
            ("keep", "As It Is"),
            ("flip", "Turned"),
            ("positive", "Always Positive"),
        ],
        required=True,
        default="keep",
    )
    translation = fields.Text(
        help="The sender's words and ours, one pair a line: C = card. A word that is "
        "not here is an error, unless there is a default."
    )
    default_value = fields.Char(
        string="Default", help="What it is when there is nothing at the path."
    )

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):
        lines = super().create(vals_list)
        lines.mapping_id._compile()
        return lines

    def write(self, vals):
        result = super().write(vals)
        self.mapping_id._compile()
        return result

    def unlink(self):
        mappings = self.mapping_id
        result = super().unlink()
        mappings.exists()._compile()
        return result

    # === BUSINESS METHODS === #

    def _compiled(self):
        """Return the line as the format's settings have it."""
        self.ensure_one()
        name = self.field_name.strip()
        compiled = {"field": name, "convert": self.convert, "sign": self.sign}
        for key, value in (
            ("path", self.path),
            ("constant", self.constant),
            ("default", self.default_value),
        ):
            if value and value.strip():
                compiled[key] = value.strip()
        for key in ("constant", "default"):
            if key in compiled:
                compiled[key] = self._typed(name, compiled[key])
        translation = self._translation()
        if translation:
            compiled["values"] = translation
        return compiled

    def _typed(self, name, text):
        """Return a constant as the contract wants it: true, 5 or a text."""
        known = {
            each.path: each.kind
            for each in model_fields(COMMAND_TYPES[self.mapping_id.command].model)
        }
        if known.get(name) == "boolean" and text.lower() in ("true", "false"):
            return text.lower() == "true"
        if known.get(name) == "integer" and text.isascii() and text.isdigit():
            return int(text)
        return text

    def _translation(self):
        """Return {theirs: ours}.

        :raise ValidationError: when a line is no pair
        """
        pairs = {}
        for line in (self.translation or "").splitlines():
            if not line.strip():
                continue
            theirs, equals, ours = line.partition("=")
            if not equals or not ours.strip():
                raise ValidationError(
                    self.env._(
                        "The translation of “%(field)s” has a line that is no pair: "
                        "%(line)s. Write it as: theirs = ours",
                        field=self.field_name,
                        line=line.strip(),
                    )
                )
            pairs[theirs.strip()] = ours.strip()
        return pairs
