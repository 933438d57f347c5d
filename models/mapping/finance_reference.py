from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from .. import clock
from ..ledger.errors import CommandError


class FinanceReference(models.Model):
    """Under which id another system knows a record of Odoo.

    A record may have several ids in one system (a payment intent and its charge, a
    customer kept twice); one of them is the main one. An id means one record of a
    model at a time.
    """

    _name = "finance.reference"
    _description = "Finance Reference"
    _inherit = ["finance.pointing"]
    _order = "id desc"
    _rec_name = "external_id"

    connector_id = fields.Many2one(
        "finance.connector",
        string="System",
        required=True,
        index=True,
        ondelete="restrict",
    )
    company_id = fields.Many2one(
        related="connector_id.company_id", store=True, index=True
    )
    res_model = fields.Char(string="Model", required=True)
    res_id = fields.Many2oneReference(
        string="Record", model_field="res_model", required=True
    )
    record_name = fields.Char(
        string="In Odoo", compute="_compute_record_name", compute_sudo=True
    )
    model_name = fields.Char(
        string="Kind", compute="_compute_record_name", compute_sudo=True
    )
    external_id = fields.Char(string="External ID", required=True, index="trigram")
    is_main = fields.Boolean(
        string="Main ID",
        default=True,
        help="The id to use towards that system, if it knows the record by several.",
    )
    valid_from = fields.Date(help="First day on which the id counts.")
    valid_to = fields.Date(
        help="Last day on which the id counts; after it, it may mean another record."
    )
    parent_id = fields.Many2one(
        "finance.reference",
        string="Above",
        domain="[('connector_id', '=', connector_id), ('res_model', '=', res_model)]",
        help="What this belongs to in the other system, such as a group's head.",
    )
    child_ids = fields.One2many("finance.reference", "parent_id", "Below")
    changed_at = fields.Datetime(
        string="Changed There",
        readonly=True,
        help="When the other system last changed it, as far as it was told.",
    )
    transaction_id = fields.Many2one(
        "finance.transaction", compute="_compute_transaction_id"
    )

    _external_unique = models.UniqueIndex(
        "(connector_id, res_model, external_id) WHERE valid_to IS NULL",
        "This system's id belongs to another record already.",
    )
    _main_unique = models.UniqueIndex(
        "(connector_id, res_model, res_id) WHERE is_main AND valid_to IS NULL",
        "This record has a main id of that system already.",
    )
    _external_idx = models.Index("(connector_id, res_model, external_id)")
    _record_idx = models.Index("(res_model, res_id)")
    _days_in_order = models.Constraint(
        "CHECK (valid_to >= valid_from)", "The last day is before the first."
    )

    # === COMPUTES === #

    @api.depends("res_model", "res_id")
    def _compute_record_name(self):
        for reference in self:
            record = reference._record()
            model = self.env["ir.model"].sudo()._get(reference.res_model)
            reference.model_name = model.name or reference.res_model
            reference.record_name = record.display_name if record else False

    @api.depends("res_model", "res_id")
    def _compute_transaction_id(self):
        for reference in self:
            reference.transaction_id = reference._transactions()[:1]

    # === ACTIONS === #

    # === BUSINESS METHODS === #

    @api.model
    def _find(self, connector, model_name, external_id, date=None):
        """Return the record that a system knows under an id; empty if there is none.

        :param connector: the ``finance.connector``
        :param str model_name: such as ``res.partner``
        :param str external_id: the system's id
        :param date: the day on which the id counts; today if not given
        """
        reference = self._current(connector, model_name, external_id, date)
        if not reference:
            return self.env[model_name]
        return self.env[model_name].browse(reference.res_id).exists()

    @api.model
    def _current(self, connector, model_name, external_id, date=None):
        """Return the reference of an id on a day, see :meth:`_find`."""
        day = date or clock.now().date()
        return self.sudo().search(
            [
                ("connector_id", "=", connector.id),
                ("res_model", "=", model_name),
                ("external_id", "=", external_id),
                "|",
                ("valid_from", "=", False),
                ("valid_from", "<=", day),
                "|",
                ("valid_to", "=", False),
                ("valid_to", ">=", day),
            ],
            # One that has not ended comes first.
            order="valid_to DESC NULLS FIRST, id DESC",
            limit=1,
        )

    @api.model
    def _link(self, connector, record, external_id):
        """Remember under which id a system knows a record; again is no matter.

        What waits for a counterparty is told.

        :param connector: the ``finance.connector``
        :param record: one record of any model
        :param str external_id: the system's id
        :return: the reference
        :raise CommandError: B-AMBIGUOUS, when the id means another record
        """
        record.ensure_one()
        now = clock.naive_now()
        values = {
            "connector_id": connector.id,
            "company_id": connector.company_id.id,
            "res_model": record._name,
            "res_id": record.id,
            "external_id": external_id,
            "create_uid": self.env.uid,
            "write_uid": self.env.uid,
            "create_date": now,
            "write_date": now,
        }
        # In SQL, as two processes may learn the same id at the same moment.
        self.flush_model()
        inserted = self.env.execute_query(
            SQL(
                """
            INSERT INTO finance_reference (%s, is_main)
            VALUES (%s, NOT EXISTS (
                SELECT FROM finance_reference
                 WHERE connector_id = %s AND res_model = %s AND res_id = %s
                   AND is_main AND valid_to IS NULL))
            ON CONFLICT (connector_id, res_model, external_id) WHERE valid_to IS NULL
            DO NOTHING
            RETURNING id
                """,
                SQL(", ").join(map(SQL.identifier, values)),
                SQL(", ").join(SQL("%s", value) for value in values.values()),
                connector.id,
                record._name,
                record.id,
            )
        )
        self.invalidate_model(flush=False)
        if inserted:
            reference = self.browse(inserted[0])
            if record._name == "res.partner":
                self._provide_counterparty(connector, record, external_id)
            return reference
        reference = self.search(
            [
                ("connector_id", "=", connector.id),
                ("res_model", "=", record._name),
                ("external_id", "=", external_id),
                ("valid_to", "=", False),
            ]
        )
        if reference.res_id != record.id:
            if reference._record():
                raise CommandError(
                    "B-AMBIGUOUS",
                    self.env._(
                        "“%(id)s” of “%(system)s” is %(known)s already, and can't be "
                        "%(other)s as well. Find out which is right under Master "
                        "Data, External IDs.",
                        id=external_id,
                        system=connector.name,
                        known=reference.record_name,
                        other=record.display_name,
                    ),
                )
            # What it meant was deleted.
            reference.res_id = record.id
        return reference

    @api.model
    def _provide_counterparty(self, connector, partner, external_id):
        """Have everything processed that waited for a counterparty."""
        self.env["finance.command"]._provide(
            counterparty_key(connector, external_id), connector.company_id
        )
        for unmapped in self.env["finance.unmapped"].search(
            [
                ("connector_id", "=", connector.id),
                ("domain_id.name", "=", "counterparty"),
                ("code", "=", external_id),
                ("state", "=", "open"),
            ]
        ):
            unmapped._settle(partner.display_name)

    def _transactions(self):
        """Return the business transactions that the records belong to."""
        transactions = self.env["finance.transaction"]
        fields_by_model = {
            "finance.transaction": "id",
            "account.payment": "payment_id",
            "account.move": "move_id",
        }
        domains = [
            Domain(fields_by_model[reference.res_model], "=", reference.res_id)
            for reference in self
            if reference.res_model in fields_by_model
        ]
        return transactions.search(Domain.OR(domains)) if domains else transactions

    @api.model
    def _transaction_of(self, company, external_id):
        """Return the business transactions that any system knows under an id.

        :param company: the ``res.company``
        :param str external_id: of a payment provider, bank, ledger or risk system
        """
        return self.search(
            [("company_id", "=", company.id), ("external_id", "=", external_id)]
        )._transactions()


def counterparty_key(connector, external_id):
    """Return the key by which commands wait for a counterparty."""
    return f"counterparty:{connector.id}:{external_id}"
