import functools
import json
import logging
import uuid

from odoo import SUPERUSER_ID, api, models

from ...contracts import (
    EVENT_TYPES,
    ContractError,
    event_id,
    event_source,
    validated_json,
)
from .. import clock
from . import apps, backfill
from .constants import ACTOR_BACKFILL, ACTOR_SYSTEM
from .insertion import EventRow, allot, insert
from .memory import NEW, TOUCHED, memory_of

_logger = logging.getLogger(__name__)

# {(object, verb): name of the newest version}: that is what is written, and what
# older subscriptions get is projected out of it.
NEWEST = {
    (entry.object, entry.verb): entry.name
    for entry in sorted(EVENT_TYPES.values(), key=lambda entry: entry.version)
}


@functools.cache
def _select(table, columns):
    names = ", ".join(f'"{column}"' for column in columns)
    return f'SELECT id, {names} FROM "{table}" WHERE id = ANY(%s)'  # noqa: S608


class FinanceCapture(models.AbstractModel):
    """Turns what business records go through into events, at the transaction's end.

    Hooks on business models only *touch* a record here, with the values it had
    before; what happened is told when the transaction is about to commit, by
    comparing those with what will be committed. So a state that was passed through
    is not announced, however it came about. All events become rows in a constant
    number of queries: one for sequences that are not known yet, and one INSERT of
    events and deliveries. A rollback leaves none, as they are part of the same
    transaction.

    Odoo runs precommit callbacks early, too, when a savepoint begins or is released.
    Each run leaves the table with exactly the events of the transitions from the
    beginning of the transaction until then: events that an earlier run of the same
    transaction wrote about a record touched again are taken back and told anew. A
    savepoint that is rolled back takes states and events with it, so they agree
    again without any run. See ``memory`` for what is kept, and where.
    """

    _name = "finance.capture"
    _description = "Finance Event Capture"

    def _register_hook(self):
        result = super()._register_hook()
        apps.install(self.env.registry)
        return result

    def _unregister_hook(self):
        result = super()._unregister_hook()
        apps.uninstall(self.env.registry)
        return result

    # === NOTING === #

    @api.model
    def _note(self, records, verb, extra=True):
        """Note that ``records`` went through a transition no stored value tells of.

        :param records: recordset of captured models
        :param str verb: of the event, such as ``posted``
        :param extra: passed to ``_finance_event_values``; anything but ``None``
        """
        if records:
            touched = self._touch(records._name, records.ids)
            for record_id in records.ids:
                touched[record_id] = {**touched[record_id], verb: extra}

    @api.model
    def _touch(self, model, ids):
        """Have the records looked at when the transaction ends.

        :return: {id: {verb: extra}} of the model's records touched so far
        """
        data = self._precommit_data()
        touched = data[TOUCHED].setdefault(model, {})
        origins = memory_of(self.env.cr).origins
        origin = None
        for record_id in ids:
            if record_id not in touched:
                touched[record_id] = {}
                if (model, record_id) not in origins:
                    origin = origin or self._who_and_why()
                    origins[model, record_id] = origin
        return touched

    @api.model
    def _created(self, records):
        """Note that ``records`` were inserted in this transaction."""
        before = memory_of(self.env.cr).before.setdefault(records._name, {})
        for record_id in records._ids:
            before[record_id] = NEW
        self._touch(records._name, records._ids)

    @api.model
    def _changing(self, records, vals_list):
        """Note the values that are about to be overwritten in the database.

        The first value of the transaction is kept; later calls cost nothing.
        """
        tracked = frozenset(records._finance_fields)
        memory = memory_of(self.env.cr)
        model = records._name
        changing = [
            record_id
            for record_id, vals in zip(records._ids, vals_list, strict=True)
            if not tracked.isdisjoint(vals)
        ]
        if changing:
            self._remember(records.browse(changing))
            self._touch(model, changing)
        written = memory.emitted.get(model)
        if written:
            # What an event says has to be what is committed.
            self._touch(model, [r for r in records._ids if r in written])

    @api.model
    def _acting(self, records):
        """Remember who changes ``records``: the change itself is flushed later."""
        model = records._name
        origins = memory_of(self.env.cr).origins
        origin = None
        for record_id in records._ids:
            if record_id and (model, record_id) not in origins:
                origin = origin or self._who_and_why()
                origins[model, record_id] = origin

    @api.model
    def _remember(self, records):
        """Keep the stored values of ``records`` as those of before."""
        before = memory_of(self.env.cr).before.setdefault(records._name, {})
        unknown = [record_id for record_id in records._ids if record_id not in before]
        if unknown:
            before.update(self._stored_values(records.browse(unknown)))

    @api.model
    def _remember_cached(self, records):
        """Keep the values of ``records`` as those of before, where they are known.

        What is in the cache and waits for no flush is what the database has. The
        rest is read when it is about to be overwritten.
        """
        before = memory_of(self.env.cr).before.setdefault(records._name, {})
        env = self.env
        columns = []
        for name in records._finance_fields:
            field = records._fields[name]
            dirty = env.transaction.field_dirty.get(field, ())
            columns.append((field._get_cache(env), dirty))
        for record_id in records._ids:
            if record_id in before:
                continue
            if all(
                record_id in cache and record_id not in dirty
                for cache, dirty in columns
            ):
                before[record_id] = tuple(cache[record_id] for cache, _ in columns)

    @api.model
    def _deleting(self, records):
        """Note that ``records`` are about to be deleted.

        What was not committed yet was never announced, and nobody needs to hear
        of it.
        """
        written = memory_of(self.env.cr).emitted.get(records._name)
        if written:
            self._touch(records._name, [r for r in records._ids if r in written])

    @api.model
    def _stored_values(self, records):
        """Return {id: values of ``_finance_fields``} as the database has them.

        Read beneath the ORM, whose cache may hold later values already.
        """
        if not records:
            return {}
        self.env.cr.execute(
            _select(records._table, records._finance_fields), [list(records._ids)]
        )
        return {row[0]: row[1:] for row in self.env.cr.fetchall()}

    @api.model
    def _who_and_why(self):
        """Return who does what happens now, and why.

        :return: (actor, correlation id, causation id, company id); the company is the
            one that is worked in
        """
        env = self.env
        # What is flushed late runs in some other environment; the transaction's own
        # is that of the request, job or cron.
        request = env.transaction.default_env or env
        context = {**request.context, **env.context}
        user = request.user if env.uid == SUPERUSER_ID else env.user
        if context.get("cron_id"):
            actor = f"cron/{context['cron_id']}"
        elif user.id == SUPERUSER_ID:
            actor = ACTOR_SYSTEM
        else:
            actor = f"user/{user.id}"
        return (
            context.get("finance_actor") or actor,
            context.get("finance_correlation_id"),
            context.get("finance_causation_id"),
            next(iter(context.get("allowed_company_ids") or ()), None)
            or user.sudo().company_id.id,
        )

    @api.model
    def _precommit_data(self):
        """Return the notes of this transaction, sure to be handled at its end."""
        precommit = self.env.cr.precommit
        if TOUCHED not in precommit.data:
            precommit.data[TOUCHED] = {}
            # A clean environment: what is announced must not depend on the
            # language or the companies of whoever happened to act first.
            env = api.Environment(self.env.cr, SUPERUSER_ID, {})
            precommit.add(env["finance.capture"]._run)
        return precommit.data

    # === AT THE END OF THE TRANSACTION === #

    @api.model
    def _run(self):
        """Write the events of everything touched, and route them."""
        drafts, stale = [], []
        for model, touched in self.env.cr.precommit.data.pop(TOUCHED, {}).items():
            if not touched:
                continue
            found, outdated = self.env[model]._finance_collect(touched)
            drafts += found
            stale += outdated
        if stale:
            self._take_back(stale)
        if drafts:
            self._store(drafts)

    @api.model
    def _standing(self, memory, model, ids):
        """Return the events of this transaction about records, as far as they exist.

        A savepoint that was rolled back may have taken some of them.

        :return: {id: [(event row id, verb, mark)]}
        """
        written = memory.emitted.get(model)
        if not written:
            return {}
        candidates = {
            event: (record_id, event, verb, mark)
            for record_id in ids
            for event, verb, mark in written.get(record_id, ())
        }
        if not candidates:
            return {}
        self.env.cr.execute(
            "SELECT id FROM finance_event WHERE id = ANY(%s) ORDER BY id",
            [list(candidates)],
        )
        standing = {}
        for (event,) in self.env.cr.fetchall():
            record_id, *entry = candidates[event]
            standing.setdefault(record_id, []).append(tuple(entry))
        return standing

    @api.model
    def _take_back(self, events):
        """Delete events of this very transaction, which nobody has seen.

        The database refuses it for events that are committed.

        :param events: ids of rows of ``finance.event``
        """
        self.env.flush_all()
        cr = self.env.cr
        cr.execute("DELETE FROM finance_delivery WHERE event_id = ANY(%s)", [events])
        cr.execute(
            "DELETE FROM finance_exception WHERE res_model = 'finance.event'"
            " AND res_id = ANY(%s) RETURNING id",
            [events],
        )
        # What was said about those exceptions is to be taken back, too.
        self._touch("finance.exception", [row[0] for row in cr.fetchall()])
        cr.execute("DELETE FROM finance_event WHERE id = ANY(%s)", [events])
        for model in ("finance.delivery", "finance.exception", "finance.event"):
            self.env[model].invalidate_model(flush=False)

    @api.model
    def _store(self, drafts):
        """Write events and deliveries.

        :param drafts: list of (record, verb, mark, origin, values), values as returned
            by ``_finance_event_values``; the mark is what was noted for the verb,
            ``None`` when a stored value told of it
        """
        events, complete = self._insert(drafts, guess=True)
        if not complete:
            # What is posted for the first time was told of before, after all: a draft
            # can be cancelled, and taken back.
            self._take_back([event for event, _row in events])
            events, complete = self._insert(drafts, guess=False)
            self._expect(complete)
        emitted = memory_of(self.env.cr).emitted
        for (event_pk, row), draft in zip(events, drafts, strict=True):
            emitted.setdefault(row.res_model, {}).setdefault(row.res_id, []).append(
                (event_pk, draft[1], draft[2])
            )
        self.env["finance.delivery"]._recorded(events)

    @api.model
    def _rows(self, drafts, now, guess=True):
        """Return the event rows of drafts.

        :param datetime now: naive, UTC; the time of events whose values tell none
        :param bool guess: take the sequences that the values tell, and look up only
            those which they don't
        """
        dbuuid = self.env["ir.config_parameter"].sudo().get_param("database.uuid")
        sequences = self._last_sequences(
            {
                f"{values['object']}/{values.get('key') or record.id}"
                for record, _verb, _mark, _origin, values in drafts
                if not guess or self._needs_sequence(record, values)
            }
        )
        rows, sources = [], {}
        for record, verb, _mark, origin, values in drafts:
            actor, correlation_id, causation_id, _company_id = origin
            company_id = values["company"].id
            source = sources.get(company_id)
            if source is None:
                source = sources[company_id] = event_source(dbuuid, company_id)
            aggregate = f"{values['object']}/{values.get('key') or record.id}"
            sequence = sequences.get((aggregate, company_id))
            if sequence is None:
                looked_up = not guess or self._needs_sequence(record, values)
                sequence = 0 if looked_up else values["last_sequence"]
            sequence += 1
            sequences[aggregate, company_id] = sequence
            type_name = NEWEST[values["object"], verb]
            payload, problem = self._validated(type_name, values["data"])
            rows.append(
                EventRow(
                    event_id(source, aggregate, verb, sequence),
                    type_name,
                    aggregate,
                    sequence,
                    company_id,
                    source,
                    aggregate,
                    values["label"] or aggregate,
                    values.get("occurred_at") or now,
                    values.get("correlation_id")
                    or correlation_id
                    or self._stable_id(dbuuid, record),
                    causation_id,
                    actor,
                    payload,
                    problem,
                    record._name,
                    record.id,
                )
            )
        return rows

    @api.model
    def _needs_sequence(self, record, values):
        """Return whether the last sequence has to be looked up.

        It may have been read before events of this transaction were taken back.
        """
        if values.get("last_sequence") is None:
            return True
        return record.id in memory_of(self.env.cr).emitted.get(record._name, ())

    @api.model
    def _stable_id(self, dbuuid, record):
        """Return a correlation id that the same record has for ever."""
        return str(uuid.uuid5(uuid.UUID(dbuuid), f"{record._name}/{record.id}"))

    @api.model
    def _last_sequences(self, aggregates):
        """Return {(aggregate, company id): sequence of its last event}."""
        if not aggregates:
            return {}
        self.env.cr.execute(
            """
            SELECT aggregate, company_id, max(sequence)
              FROM finance_event
             WHERE aggregate = ANY(%s)
             GROUP BY aggregate, company_id
            """,
            [list(aggregates)],
        )
        return {(row[0], row[1]): row[2] for row in self.env.cr.fetchall()}

    @api.model
    def _validated(self, type_name, data):
        """Return (payload, problem): the payload as JSON text, checked.

        Accounting is never stopped by its own reporting: an event that fails its
        contract is stored with the problem, not delivered, and becomes an
        exception.
        """
        try:
            return validated_json(type_name, data), None
        except ContractError as error:
            _logger.error("finance_hub: %s breaks its contract: %s", type_name, error)
            return json.dumps(data, default=str), error.describe()

    @api.model
    def _insert(self, drafts, guess):
        """Insert the events of drafts, and their deliveries.

        :return: ([(id, row)], whether all of them were)
        """
        now = clock.naive_now()
        rows = self._rows(drafts, now, guess)
        events = self._numbered(rows)
        deliveries = self.env["finance.delivery"]._routed(events)
        return events, insert(self.env.cr, events, deliveries, now)

    @api.model
    def _insert_events(self, rows):
        """Insert event rows without any delivery; return [(id, row)]."""
        events = self._numbered(rows)
        self._expect(insert(self.env.cr, events, [], clock.naive_now()))
        return events

    @api.model
    def _expect(self, complete):
        if not complete:
            raise ValueError("An event was recorded already, or its place is taken.")

    @api.model
    def _numbered(self, rows):
        """Return [(id, row)]."""
        cr = self.env.cr
        return list(zip(allot(cr, memory_of(cr), len(rows)), rows, strict=True))

    # === COMPANIES === #

    @api.model
    def _companies_of(self, record, company):
        """Return the companies in whose name something is announced.

        What companies share (a partner, a currency rate) is announced in each that
        has a connector which is live or suspended, and in that of whoever acts.

        :param company: the record's own company, empty when it is shared
        """
        if company:
            return company
        ids = set(self.env["finance.connector"]._live_company_ids())
        origin = memory_of(self.env.cr).origins.get((record._name, record.id))
        if origin and origin[3]:
            ids.add(origin[3])
        companies = self.env["res.company"].sudo()
        return companies.browse(sorted(ids)) or companies.search(
            [], order="id", limit=1
        )

    # === HISTORY === #

    @api.model
    def _backfill_domain(self, type_name):
        """Return which records an event type can be backfilled for.

        :param str type_name: with or without a version
        :return: (model name, domain)
        :raises ValueError: for a type whose past can't be told
        """
        return backfill.domain_of(type_name)

    @api.model
    def _backfill(self, records, verb):
        """Write events of what happened before there was a hub to see it.

        Their ids follow the same formula, their sequence continues that of the
        record. They are not routed: whoever asked for them sends them by a replay.
        A record that has an event of the type already gets none.

        :param records: of one of the models of ``_backfill_domain``, of any company
        :param str verb: of the events, such as ``posted``
        :return: ids of the new rows of ``finance.event``, in the order of ``records``
        """
        if not records:
            return []
        self.env.cr.flush()
        # What is announced does not depend on whoever asks for it.
        env = api.Environment(self.env.cr, SUPERUSER_ID, {})
        records = records.with_env(env).exists()
        self.env.cr.execute(
            """
            SELECT res_id, company_id
              FROM finance_event
             WHERE res_model = %s AND res_id = ANY(%s)
               AND split_part(type, '.', 3) = %s
            """,
            [records._name, records.ids, verb],
        )
        told = set(self.env.cr.fetchall())
        now = clock.naive_now()
        facts = records._finance_facts()
        drafts = [
            (
                record,
                verb,
                None,
                (ACTOR_BACKFILL, None, None, None),
                {**values, "occurred_at": min(backfill.moment(record, verb), now)},
            )
            for record in records
            for values in record._finance_event_values(
                verb, backfill.extra_of(verb), facts
            )
            if (record.id, values["company"].id) not in told
        ]
        if not drafts:
            return []
        events = self._insert_events(self._rows(drafts, now))
        for event_pk, row in events:
            if row.problem:
                self.env["finance.delivery"]._report_problem(event_pk, row)
        return [event_pk for event_pk, _row in events]
