import json
from datetime import timedelta

from markupsafe import Markup

from odoo import api, fields, models

from ...contracts import (
    EVENT_TYPES,
    event_type,
    model_fields,
    newest,
    sample_event,
    schema_uri,
)
from .. import clock, constants


class FinanceEventType(models.Model):
    """One published event type in one version, to browse and to search.

    The contracts are code. Their rows here are made from them when the addon is
    installed or upgraded, so that they can be listed, grouped and searched as
    everything else; what is shown of a type is read from the code.
    """

    _name = "finance.event.type"
    _description = "Finance Event Type"
    _order = "sequence, id"
    _log_access = False

    name = fields.Char(string="Type", required=True, readonly=True)
    title = fields.Char(string="What Happened", required=True, readonly=True)
    description = fields.Char(string="When It Is Sent", required=True, readonly=True)
    object_name = fields.Char(string="About", required=True, readonly=True)
    verb = fields.Char(required=True, readonly=True)
    version = fields.Integer(required=True, readonly=True, aggregator=False)
    owner = fields.Char(
        required=True,
        readonly=True,
        help="The team that answers for what the event means.",
    )
    dataclass = fields.Selection(
        [
            ("internal", "Internal"),
            ("confidential", "Confidential"),
            ("personal", "Personal"),
            ("restricted", "Restricted"),
        ],
        string="Data Class",
        required=True,
        readonly=True,
        help="The highest class of its fields. A subscription can hide personal and "
        "confidential ones.",
    )
    sequence = fields.Integer(readonly=True)
    newest_id = fields.Many2one(
        "finance.event.type",
        string="Newest Version",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
        help="Events are recorded in the newest version. Who subscribed to an older "
        "one gets them in the older form.",
    )
    older_ids = fields.One2many("finance.event.type", "newest_id", "Older Versions")
    field_names = fields.Text(
        readonly=True, help="The paths of all fields, for the search."
    )

    field_table = fields.Html(
        string="Fields", compute="_compute_field_table", sanitize=False
    )
    sample = fields.Text(
        compute="_compute_sample", help="An event as it is sent in structured mode."
    )
    schema_url = fields.Char(string="JSON Schema", compute="_compute_schema_url")
    subscription_ids = fields.Many2many(
        "finance.subscription",
        string="Who Subscribed",
        compute="_compute_subscription_ids",
    )
    subscription_count = fields.Integer(compute="_compute_subscription_ids")
    event_count = fields.Integer(
        string="Events in 7 Days", compute="_compute_event_count"
    )

    _name_unique = models.UniqueIndex("(name)")

    # === COMPUTES === #

    @api.depends("name", "version")
    def _compute_display_name(self):
        for record in self:
            record.display_name = f"{record.title} (v{record.version})"

    @api.depends("name")
    def _compute_field_table(self):
        for record in self:
            record.field_table = record._render_fields()

    @api.depends("name")
    def _compute_sample(self):
        for record in self:
            record.sample = json.dumps(
                sample_event(record.name, record.get_base_url()),
                indent=2,
                ensure_ascii=False,
            )

    @api.depends("name")
    def _compute_schema_url(self):
        for record in self:
            record.schema_url = schema_uri(record.name, record.get_base_url())

    @api.depends("name")
    @api.depends_context("uid", "allowed_company_ids")
    def _compute_subscription_ids(self):
        # As the reader may see them: those of the companies that are chosen.
        subscriptions = self.env["finance.subscription"].search([])
        for record in self:
            recorded = newest(record.name).name
            found = subscriptions.filtered(
                lambda subscription, recorded=recorded, version=record.version: (
                    subscription._choose_version(recorded) == version
                )
            )
            record.subscription_ids = found
            record.subscription_count = len(found)

    @api.depends("name")
    @api.depends_context("uid", "allowed_company_ids")
    def _compute_event_count(self):
        groups = self.env["finance.event"]._read_group(
            [("type", "in", self.mapped("name")), *self._recently()],
            ["type"],
            ["__count"],
        )
        counts = dict(groups)
        for record in self:
            record.event_count = counts.get(record.name, 0)

    @api.model
    def _recently(self):
        since = clock.naive_now() - timedelta(days=constants.CATALOGUE_DAYS)
        return [("occurred_at", ">=", since)]

    def _render_fields(self):
        """Return the fields of the type as a table."""
        self.ensure_one()
        kinds = {
            "decimal": self.env._("Amount or number"),
            "date": self.env._("Date"),
            "date-time": self.env._("Time (UTC)"),
            "text": self.env._("Text"),
            "integer": self.env._("Whole number"),
            "boolean": self.env._("Yes or no"),
            "choice": self.env._("One of"),
            "object": self.env._("Group of fields"),
            "mapping": self.env._("Values by key"),
        }
        classes = {
            "internal": Markup(""),
            "confidential": Markup('<span class="badge text-bg-warning">%s</span>')
            % self.env._("Confidential"),
            "personal": Markup('<span class="badge text-bg-danger">%s</span>')
            % self.env._("Personal"),
        }
        rows = Markup().join(
            Markup(
                '<tr><td style="padding-left: %sem"><code>%s</code></td><td>%s</td>'
                "<td>%s</td><td>%s</td><td>%s</td></tr>"
            )
            % (
                1 + 1.5 * field.path.count("."),
                field.path,
                self._kind_text(field, kinds[field.kind]),
                self.env._("Always") if field.required else "",
                classes[field.classification],
                field.description,
            )
            for field in model_fields(event_type(self.name).model)
        )
        head = Markup().join(
            Markup("<th>%s</th>") % text
            for text in (
                self.env._("Field"),
                self.env._("Kind"),
                self.env._("Present"),
                self.env._("Data Class"),
                self.env._("What It Means"),
            )
        )
        return Markup(
            '<table class="table table-sm o_finance_fields"><thead><tr>%s</tr>'
            "</thead><tbody>%s</tbody></table>"
        ) % (head, rows)

    def _kind_text(self, field, kind):
        if field.values:
            kind = Markup("%s<br/><small>%s</small>") % (kind, ", ".join(field.values))
        if field.many:
            kind = Markup("%s: %s") % (self.env._("List"), kind)
        return kind

    # === ACTIONS === #

    def action_open_events(self):
        """Open the events of the type in the last days."""
        self.ensure_one()
        self.check_access("read")
        return {
            "type": "ir.actions.act_window",
            "name": self.title,
            "res_model": "finance.event",
            "view_mode": "list,form",
            "domain": [("type", "=", self.name), *self._recently()],
        }

    def action_open_subscriptions(self):
        """Open the subscriptions that get this version of the type."""
        self.ensure_one()
        self.check_access("read")
        return {
            "type": "ir.actions.act_window",
            "name": self.title,
            "res_model": "finance.subscription",
            "view_mode": "list,form",
            "domain": [("id", "in", self.subscription_ids.ids)],
        }

    # === BUSINESS METHODS === #

    @api.model
    def _sync(self):
        """Make the rows say what the contracts say; called at every upgrade."""
        rows = {row.name: row for row in self.search([])}
        for sequence, (name, declared) in enumerate(EVENT_TYPES.items(), 1):
            values = self._values(declared, sequence)
            row = rows.get(name)
            if row is None:
                rows[name] = self.create({"name": name, **values})
            elif any(row[field] != value for field, value in values.items()):
                row.write(values)
        for name, row in rows.items():
            if name not in EVENT_TYPES:
                row.unlink()
                continue
            latest = rows[newest(name).name]
            if latest == row:
                latest = self.browse()
            if row.newest_id != latest:
                row.newest_id = latest

    @api.model
    def _values(self, declared, sequence):
        return {
            "title": declared.title,
            "description": declared.description,
            "object_name": declared.object.replace("_", " ").capitalize(),
            "verb": declared.verb,
            "version": declared.version,
            "owner": declared.owner,
            "dataclass": declared.dataclass,
            "sequence": sequence,
            "field_names": "\n".join(
                field.path for field in model_fields(declared.model)
            ),
        }
