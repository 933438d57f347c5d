from datetime import time, timedelta

from odoo import models
from odoo.fields import Domain

from ...contracts import EVENT_TYPES, newest
from .. import constants


class FinanceReplayDocuments(models.Model):
    """Documents from before the hub, of which a backfill makes events."""

    _inherit = "finance.replay"

    # === DOCUMENTS FROM BEFORE === #

    def _wants_documents(self):
        return self.kind == "backfill" and self.with_documents

    @staticmethod
    def _document_types(event_types):
        """Return the types in which events are recorded now, among ``event_types``.

        In the order of the catalogue, which is that of a document's life.
        """
        return [
            name
            for name, entry in EVENT_TYPES.items()
            if name in event_types and newest(entry.base_name).name == name
        ]

    def _document_source(self, event_type):
        """Return what an event type can be made of after the fact.

        :return: (recordset of the model, domain of the documents of the company and
            time without such an event), None where Odoo does not keep that past
        """
        self.ensure_one()
        try:
            model, domain = self.env["finance.capture"]._backfill_domain(event_type)
        except ValueError:
            return None
        records = self.env[model].with_context(active_test=False)
        domain = Domain(domain)
        if "company_id" in records._fields:
            # What companies share belongs to each of them.
            domain &= Domain("company_id", "in", [False, self.company_id.id])
        if "date" in records._fields:
            moment, start, end = "date", self._first_day(), self._day_after()
        else:
            moment, start, end = "create_date", self.occurred_from, self.occurred_to
        if start:
            domain &= Domain(moment, ">=", start)
        if end:
            domain &= Domain(moment, "<", end)
        entry = EVENT_TYPES[event_type]
        known = [
            f"finance.{entry.object}.{entry.verb}.v{version}"
            for version in range(1, entry.version + 1)
        ]
        recorded = self.env["finance.event"]._search(
            [
                ("res_model", "=", model),
                ("type", "in", known),
                ("company_id", "=", self.company_id.id),
            ]
        )
        return records, domain & Domain("id", "not in", recorded.subselect("res_id"))

    def _first_day(self):
        return self.occurred_from and self.occurred_from.date()

    def _day_after(self):
        """Return the first day that is wholly after the time chosen."""
        end = self.occurred_to
        if end and end.time() > time():
            end += timedelta(days=1)
        return end and end.date()

    def _count_documents(self, event_types):
        """Return {event type: number of documents}, and whether that is all."""
        found, complete = {}, True
        for event_type in self._document_types(event_types):
            if source := self._document_source(event_type):
                records, domain = source
                limit = constants.REPLAY_COUNT_LIMIT
                number = records.search_count(domain, limit=limit + 1)
                if number > limit:
                    number, complete = limit, False
                if number:
                    found[event_type] = number
        return found, complete

    def _next_documents(self, event_types):
        """Record the events of the next documents.

        :return: (event ids, place to go on from, None when there are no more)
        """
        wanted = self._document_types(event_types)
        place = self.cursor_document or {"type": wanted[0] if wanted else "", "id": 0}
        if place["type"] not in wanted:
            return [], None
        after = place["id"]
        for event_type in wanted[wanted.index(place["type"]) :]:
            if source := self._document_source(event_type):
                records, domain = source
                documents = records.search(
                    domain & Domain("id", ">", after),
                    order="id",
                    limit=constants.REPLAY_DOCUMENT_CHUNK,
                )
                if documents:
                    ids = self.env["finance.capture"]._backfill(
                        documents, EVENT_TYPES[event_type].verb
                    )
                    return sorted(ids), {"type": event_type, "id": documents[-1].id}
            after = 0
        return [], None
