from odoo import api, fields, models

from .. import constants
from ..windows import list_of

ROLES = ",".join(
    (
        constants.GROUP_OPERATOR,
        constants.GROUP_APPROVER,
        constants.GROUP_ADMINISTRATOR,
        constants.GROUP_AUDITOR,
    )
)


class FinanceReferenced(models.AbstractModel):
    """A record that other systems know under ids of theirs."""

    _name = "finance.referenced"
    _description = "Finance Referenced"

    finance_reference_ids = fields.One2many(
        "finance.reference", "res_id", "External IDs", groups=ROLES
    )
    finance_reference_count = fields.Integer(
        compute="_compute_finance_reference_count", groups=ROLES
    )
    finance_mirror_name = fields.Char(
        string="Kept In",
        compute="_compute_finance_mirror_name",
        compute_sudo=True,
        help="The other system that has the say over this record.",
    )

    @api.depends("finance_reference_ids")
    def _compute_finance_reference_count(self):
        for record in self:
            record.finance_reference_count = len(record.finance_reference_ids)

    @api.depends("finance_reference_ids")
    def _compute_finance_mirror_name(self):
        for record in self:
            record.finance_mirror_name = record._finance_mirror_owner().name

    def unlink(self):
        references = (
            self.env["finance.reference"]
            .sudo()
            .search([("res_model", "=", self._name), ("res_id", "in", self.ids)])
        )
        result = super().unlink()
        references.unlink()
        return result

    def action_open_finance_references(self):
        """Show under which ids other systems know the record."""
        self.ensure_one()
        self.check_access("read")
        return list_of(
            self.env,
            "finance_reference_action",
            [("res_model", "=", self._name), ("res_id", "=", self.id)],
            context={"default_res_model": self._name, "default_res_id": self.id},
        )

    def _finance_mirror_owner(self):
        """Return the connector whose mirror this record is; empty if it is none."""
        return self.env["finance.connector"].sudo()

    def _finance_owned_by(self, domain):
        """Return the first connector that owns the data and knows a record of ``self``.

        :param str domain: one of ``DATA_DOMAINS``
        """
        owners = self.env["finance.ownership"]._mirrored(domain)
        references = self.env["finance.reference"].sudo()
        if owners and self.ids:
            references = references.search(
                [
                    ("res_model", "=", self._name),
                    ("res_id", "in", self.ids),
                    ("connector_id", "in", list(owners)),
                    ("valid_to", "=", False),
                ],
                limit=1,
            )
        return references.connector_id

    def _finance_refuse(self, connector):
        """Tell a person that another system has the say; nothing if none has.

        :raise UserError: naming the system
        """
        if connector:
            self.env["finance.ownership"]._refuse(connector, self[:1].display_name)
