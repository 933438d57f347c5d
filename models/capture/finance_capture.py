import json
import logging
import uuid
from collections import defaultdict, namedtuple

from psycopg2.extras import execute_values

from odoo import SUPERUSER_ID, api, models
from odoo.tools import SQL

from ...contracts import ContractError, event_id, event_source, validate_data
from .. import clock

_logger = logging.getLogger(__name__)

# Where the notes of a transaction wait for its end, see Cursor.precommit.
NOTES = "finance_hub.notes"
SNAPSHOTS = "finance_hub.snapshots"

EVENT_COLUMNS = (
    "event_id",
    "type",
    "aggregate",
    "sequence",
    "company_id",
    "source",
    "subject",
    "label",
    "occurred_at",
    "correlation_id",
    "causation_id",
    "actor",
    "data",
    "problem",
    "res_model",
    "res_id",
)
EventRow = namedtuple("EventRow", EVENT_COLUMNS)
INSERT_EVENTS = (
    "INSERT INTO finance_event ("  # noqa: S608 (the columns above)
    + ", ".join(EVENT_COLUMNS)
    + ") VALUES %s RETURNING id"
)


class FinanceCapture(models.AbstractModel):
    """Turns what business records go through into events, at the transaction's end.

    Hooks on business models only *note* a transition here; nothing is read or
    written until the transaction is about to commit. Then all notes become rows in
    a constant number of queries: one for the sequences, one INSERT of events, one
    INSERT of deliveries. A rollback leaves neither, as both are part of the same
    transaction.

    Odoo runs precommit callbacks early when a savepoint begins, and forgets the
    ones noted inside a savepoint that is rolled back; so each run handles just what
    was noted since the last one, and notes may come again afterwards.
    """

    _name = "finance.capture"
    _description = "Finance Event Capture"

    # === NOTING === #

    @api.model
    def _note(self, records, transition):
        """Note that ``records`` went through ``transition`` in this transaction.

        :param records: recordset of a model with ``_finance_event_values``
        :param str transition: the verb of the event, such as ``posted``
        """
        if not records:
            return
        notes = self._precommit_data().setdefault(NOTES, [])
        ids = tuple(records.ids)
        notes.append((records._name, ids, transition, self._who_and_why()))

    @api.model
    def _snapshot(self, records, field_name):
        """Remember the stored value of a computed field before it changes.

        The first value of the transaction is kept; later calls cost nothing.

        :param records: recordset whose ``field_name`` is about to be recomputed
        """
        ids = [record_id for record_id in records.ids if record_id]
        if not ids:
            return
        key = (records._name, field_name)
        values = self._precommit_data().setdefault(SNAPSHOTS, {}).setdefault(key, {})
        unknown = [record_id for record_id in ids if record_id not in values]
        if not unknown:
            return
        # Read beneath the ORM: the cache may hold the new value already, and the
        # old one is what the database has until the next flush.
        found = dict(
            self.env.execute_query(
                SQL(
                    "SELECT id, %s FROM %s WHERE id = ANY(%s)",
                    SQL.identifier(field_name),
                    SQL.identifier(records._table),
                    unknown,
                )
            )
        )
        origin = self._who_and_why()
        for record_id in unknown:
            values[record_id] = (found.get(record_id), origin)

    @api.model
    def _snapshot_new(self, records, field_name):
        """Remember that ``records`` were created in this transaction."""
        key = (records._name, field_name)
        values = self._precommit_data().setdefault(SNAPSHOTS, {}).setdefault(key, {})
        origin = self._who_and_why()
        for record_id in records.ids:
            values.setdefault(record_id, (None, origin))

    @api.model
    def _who_and_why(self):
        """Return (actor, correlation id, causation id) of what happens now."""
        context = self.env.context
        return (
            f"user/{self.env.uid}",
            context.get("finance_correlation_id"),
            context.get("finance_causation_id"),
        )

    @api.model
    def _precommit_data(self):
        """Return the notes of this transaction, sure to be handled at its end."""
        precommit = self.env.cr.precommit
        if NOTES not in precommit.data:
            precommit.data[NOTES] = []
            # A clean environment: what is announced must not depend on the
            # language or the companies of whoever happened to act first.
            env = api.Environment(self.env.cr, SUPERUSER_ID, {})
            precommit.add(env["finance.capture"]._run)
        return precommit.data

    # === AT THE END OF THE TRANSACTION === #

    @api.model
    def _run(self):
        """Write the events of everything noted, and route them."""
        data = self.env.cr.precommit.data
        notes = data.pop(NOTES, [])
        snapshots = data.pop(SNAPSHOTS, {})
        transitions = self._collect(notes, snapshots)
        if not transitions:
            return
        drafts = []
        for model, transitions_of_model in transitions.items():
            drafts += self._draft(model, transitions_of_model)
        if drafts:
            self._store(drafts)

    @api.model
    def _collect(self, notes, snapshots):
        """Return {model: [(id, transition, origin)]} of all real transitions."""
        transitions = defaultdict(dict)
        for model, ids, transition, origin in notes:
            for record_id in ids:
                # Noted twice is still one transition.
                transitions[model].setdefault((record_id, transition), origin)
        for (model, field_name), values in snapshots.items():
            records = self.env[model].browse(values).exists()
            for record in records:
                before, origin = values[record.id]
                after = record[field_name]
                if before == after:
                    continue
                verb = record._finance_verb(field_name, before, after)
                if verb:
                    transitions[model].setdefault((record.id, verb), origin)
        return {
            model: [(*key, origin) for key, origin in found.items()]
            for model, found in transitions.items()
            if found
        }

    @api.model
    def _draft(self, model, transitions):
        """Return the rows-to-be of one model's transitions."""
        records = (
            self.env[model]
            .browse({record_id for record_id, _verb, _origin in transitions})
            .exists()
        )
        by_id = {record.id: record for record in records}
        drafts = []
        for record_id, verb, origin in transitions:
            record = by_id.get(record_id)
            # A record deleted in the same transaction has nothing to announce.
            values = record is not None and record._finance_event_values(verb)
            if values:
                drafts.append((record, verb, origin, values))
        return drafts

    @api.model
    def _store(self, drafts):
        """Write events and deliveries.

        :param drafts: list of (record, verb, origin, values), values as returned
            by ``_finance_event_values``: ``object``, ``version``, ``label``,
            ``company``, ``correlation_id``, ``data``
        """
        occurred_at = clock.naive_now()
        sequences = self._last_sequences(
            {f"{values['object']}/{record.id}" for record, _v, _o, values in drafts}
        )
        rows = []
        for record, verb, (actor, correlation_id, causation_id), values in drafts:
            company = values["company"]
            aggregate = f"{values['object']}/{record.id}"
            sequences[aggregate] += 1
            sequence = sequences[aggregate]
            type_name = f"finance.{values['object']}.{verb}.v{values['version']}"
            source = self._source(company.id)
            payload, problem = self._validated(type_name, values["data"])
            rows.append(
                EventRow(
                    event_id(source, aggregate, verb, sequence),
                    type_name,
                    aggregate,
                    sequence,
                    company.id,
                    source,
                    aggregate,
                    values["label"] or aggregate,
                    occurred_at,
                    values["correlation_id"] or correlation_id or str(uuid.uuid4()),
                    causation_id,
                    actor,
                    json.dumps(payload),
                    problem,
                    record._name,
                    record.id,
                )
            )
        self.env["finance.delivery"]._route(self._insert_events(rows))

    @api.model
    def _source(self, company_id):
        """Return the CloudEvents source of a company's events."""
        dbuuid = self.env["ir.config_parameter"].sudo().get_param("database.uuid")
        return event_source(dbuuid, company_id)

    @api.model
    def _last_sequences(self, aggregates):
        """Return {aggregate: sequence of its last event}, 0 where there is none."""
        sequences = dict.fromkeys(aggregates, 0)
        self.env.cr.execute(
            """
            SELECT aggregate, max(sequence)
              FROM finance_event
             WHERE aggregate = ANY(%s)
             GROUP BY aggregate
            """,
            [list(aggregates)],
        )
        sequences.update(self.env.cr.fetchall())
        return sequences

    @api.model
    def _validated(self, type_name, data):
        """Return (payload, problem): the payload as JSON types, checked.

        Accounting is never stopped by its own reporting: an event that fails its
        contract is stored with the problem, not delivered, and becomes an
        exception.
        """
        try:
            return validate_data(type_name, data), None
        except ContractError as error:
            _logger.error("finance_hub: %s breaks its contract: %s", type_name, error)
            return data, error.describe()

    @api.model
    def _insert_events(self, rows):
        """Insert event rows; return [(id, row)]."""
        ids = execute_values(
            self.env.cr._obj,
            INSERT_EVENTS,
            rows,
            page_size=len(rows),
            fetch=True,
        )
        self.env["finance.event"].invalidate_model(flush=False)
        return [(event_pk, row) for (event_pk,), row in zip(ids, rows, strict=True)]
