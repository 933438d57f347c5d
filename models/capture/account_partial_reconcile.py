from odoo import models

from . import payload
from .memory import NEW, memory_of

# Keys of ``Memory.before`` beside those of models.
GONE = "finance_hub.reconciliation.gone"
COVERED = "finance_hub.reconciliation.covered"


class AccountPartialReconcile(models.Model):
    """Reconciliations: one event for a group of matched entries, not for each match.

    A group is what Odoo gives one matching number: all journal items that are
    connected by matches. Its stable id is the lowest id of its matches.
    """

    _name = "account.partial.reconcile"
    _inherit = ["account.partial.reconcile", "finance.captured"]

    _finance_fields = ("debit_move_id", "credit_move_id", "amount")

    def unlink(self):
        if self:
            # What will be gone is described while it is there.
            memory = memory_of(self.env.cr)
            gone = memory.before.setdefault(GONE, {})
            for group in self._finance_groups():
                for partial in group & self:
                    gone[partial.id] = (
                        min(group.ids),
                        payload.reconciliation(group, partial),
                        group._finance_correlation(),
                    )
            self.env["finance.capture"]._touch(self._name, self.ids)
        return super().unlink()

    # === GROUPS === #

    def _finance_groups(self):
        """Return the groups that ``self`` belong to, as recordsets of all partials.

        A few queries in all, however many groups there are.
        """
        self.flush_model(["debit_move_id", "credit_move_id"])
        edges, lines = {}, set()
        frontier = {
            line
            for partial in self
            for line in (partial.debit_move_id.id, partial.credit_move_id.id)
        }
        while frontier:
            lines |= frontier
            self.env.cr.execute(
                """
                SELECT id, debit_move_id, credit_move_id
                  FROM account_partial_reconcile
                 WHERE debit_move_id = ANY(%(lines)s) OR credit_move_id = ANY(%(lines)s)
                """,
                {"lines": list(frontier)},
            )
            found = {row[0]: row[1:] for row in self.env.cr.fetchall()}
            edges.update(found)
            frontier = {line for edge in found.values() for line in edge} - lines
        # Union-find over the lines.
        parent = {line: line for line in lines}

        def root(line):
            while parent[line] != line:
                parent[line] = parent[parent[line]]
                line = parent[line]
            return line

        for debit, credit in edges.values():
            parent[root(debit)] = root(credit)
        groups = {}
        for partial_id, (debit, _credit) in edges.items():
            groups.setdefault(root(debit), []).append(partial_id)
        return [self.browse(sorted(ids)) for ids in groups.values()]

    # === EVENTS === #

    def _finance_collect(self, touched):
        """Return drafts of the groups that ``touched`` belong to, see the mixin.

        ``completed`` for a group with matches made in this transaction, ``undone``
        for one which lost matches that are older than it.
        """
        capture = self.env["finance.capture"]
        memory = memory_of(self.env.cr)
        known = memory.before.get(self._name, {})
        gone = memory.before.get(GONE, {})
        covered = memory.before.setdefault(COVERED, {})
        alive = self.browse(capture._stored_values(self.browse(touched)))
        groups = alive._finance_groups()
        affected = set(touched).union(*(group.ids for group in groups))
        # Groups that events of this transaction told of before, and that have since
        # grown together, fallen apart or vanished.
        told = {group for partial in affected for group in covered.get(partial, ())}
        standing = capture._standing(memory, self._name, told)
        stale = []
        for entries in standing.values():
            for event, _verb, partials in entries:
                stale.append(event)
                affected.update(partials)
        more = self.browse(affected - set(touched).union(*(g.ids for g in groups)))
        if more:
            alive = self.browse(capture._stored_values(self.browse(affected)))
            groups = alive._finance_groups()
        drafts, fresh_partials, present = [], [], set(alive.ids)
        for group in groups:
            present.update(group.ids)
            fresh = [p for p in group.ids if p in known and known[p] is NEW]
            if fresh:
                fresh_partials += fresh
                drafts.append(self._finance_draft(memory, group, fresh))
        undone = {}
        for partial in affected - present:
            if partial in gone and not (partial in known and known[partial] is NEW):
                group_id, described, correlation_id = gone[partial]
                undone.setdefault(group_id, []).append(
                    (partial, described, correlation_id)
                )
        for group_id, parts in undone.items():
            drafts.append(self._finance_draft_undone(memory, group_id, parts))
        for draft in drafts:
            for partial in draft[2]:
                covered.setdefault(partial, set()).add(draft[0].id)
        if fresh_partials:
            self.env["account.payment"]._finance_note_refunds(
                self.browse(fresh_partials)
            )
        return drafts, stale

    def _finance_draft(self, memory, group, fresh):
        origin = memory.origins.get((self._name, fresh[0]))
        values = self._finance_values(
            group.company_id[:1],
            payload.reconciliation(group, group),
            group._finance_correlation(),
        )
        return group[0], "completed", tuple(group.ids), origin, values

    def _finance_draft_undone(self, memory, group_id, parts):
        parts = sorted(parts, key=lambda part: part[0])
        data = payload.merged_reconciliation([described for _p, described, _c in parts])
        origin = memory.origins.get((self._name, parts[0][0]))
        company = self.env["res.company"].browse(int(data["legal_entity"]["id"]))
        values = self._finance_values(company, data, parts[0][2])
        covered = tuple(partial for partial, _d, _c in parts)
        return self.browse(group_id), "undone", covered, origin, values

    def _finance_values(self, company, data, correlation_id):
        numbers = [link["number"] for link in data["documents"] if link["number"]]
        return {
            "object": "reconciliation",
            "label": " ↔ ".join(dict.fromkeys(numbers)) or data["id"],
            "company": company,
            "correlation_id": correlation_id,
            "data": data,
        }

    def _finance_correlation(self):
        """Return the correlation id of the one document in a group, if it is one."""
        moves = (self.debit_move_id | self.credit_move_id).move_id
        documents = moves.filtered(lambda move: move.move_type in payload.OBJECTS)
        return documents._finance_correlation() if len(documents) == 1 else None
