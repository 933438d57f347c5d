from odoo import models

from .memory import NEW, memory_of


class FinanceCaptured(models.AbstractModel):
    """A model whose records go through transitions that are announced.

    All changes of stored values, typed, written, imported or recomputed, reach the
    database through ``_create`` and ``_write_multi``; so that is where they are
    noted, once, with the values that the database still has.
    """

    _name = "finance.captured"
    _description = "Finance Captured"

    # Columns whose change can be a transition.
    _finance_fields = ()

    # === NOTING === #

    def _create(self, data_list):
        records = super()._create(data_list)
        self.env["finance.capture"]._created(records)
        return records

    def write(self, vals):
        if not vals.keys().isdisjoint(self._finance_fields):
            self.env["finance.capture"]._acting(self)
        return super().write(vals)

    def _write_multi(self, vals_list):
        self.env["finance.capture"]._changing(self, vals_list)
        return super()._write_multi(vals_list)

    def unlink(self):
        if self:
            self.env["finance.capture"]._deleting(self)
        return super().unlink()

    # === TELLING === #

    def _finance_now(self):
        """Return {id: values of ``_finance_fields``} of the records that exist.

        By default as the database has them: all is flushed when this is called.
        """
        return self.env["finance.capture"]._stored_values(self)

    def _finance_transitions(self, before, now, marks):
        """Return what happened to a record, in the order in which it is announced.

        :param before: {field: value} at the beginning of the transaction; ``None``
            for a record that was created in it
        :param dict now: the same as it will be committed
        :param dict marks: {verb: extra} of transitions which no field tells of
        :return: list of (verb, extra); extra is passed to ``_finance_event_values``
        """
        raise NotImplementedError

    def _finance_facts(self):
        """Return what ``_finance_event_values`` needs, read for all records at once.

        It is passed on as ``facts``.
        """
        return

    def _finance_event_values(self, verb, extra=None, facts=None):
        """Return what an event about this record says.

        :return: a list of dicts, one for each event (a record that companies share
            is announced in each), with ``object``, ``key`` (the stable id, by
            default the record's), ``label``, ``company``, ``correlation_id`` (by
            default one made from the record) and ``data``
        """
        raise NotImplementedError

    def _finance_collect(self, touched):
        """Return the drafts of all transitions of the records ``touched``.

        :param dict touched: {id: {verb: extra}}, as noted since the last look
        :return: (drafts, ids of event rows to take back), see ``finance.capture``
        """
        capture = self.env["finance.capture"]
        memory = memory_of(self.env.cr)
        name = self._name
        known = memory.before.get(name, {})
        emitted = capture._standing(memory, name, touched)
        stored = self.browse(touched)._finance_now()
        fields = self._finance_fields
        found, stale = [], []
        prefetch = tuple(touched)
        for record_id, noted in touched.items():
            written = emitted.get(record_id, ())
            stale += [event for event, _verb, _mark in written]
            now = stored.get(record_id)
            if now is None:
                continue
            # A mark is kept by the event that was written for it.
            marks = {
                **{verb: mark for _event, verb, mark in written if mark is not None},
                **noted,
            }
            before = known.get(record_id, now)
            if before == now and not marks:
                continue
            record = self.browse(record_id).with_prefetch(prefetch)
            found += [
                (record, verb, marks.get(verb), extra)
                for verb, extra in record._finance_transitions(
                    None if before is NEW else dict(zip(fields, before, strict=True)),
                    dict(zip(fields, now, strict=True)),
                    marks,
                )
            ]
        if not found:
            return [], stale
        facts = self.browse(dict.fromkeys(r.id for r, *_more in found))._finance_facts()
        return [
            (record, verb, mark, memory.origins[name, record.id], values)
            for record, verb, mark, extra in found
            for values in record._finance_event_values(verb, extra, facts)
        ], stale
