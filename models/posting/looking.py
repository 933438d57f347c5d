"""What a posting has to respect, seen in what is in memory as far as possible."""

from typing import NamedTuple

from ..capture.insertion import ALLOT
from ..capture.memory import memory_of
from ..capture.payload import OBJECTS
from ..mapping.account_move import NEW_BUSINESS

_PARTNER_FIELDS = ("finance_maybe_held", "finance_blocked")
# Odoo has not read the counterparties yet, and reading whole partners would cost more
# than all the rest. No other table and no function: whatever is planned is planned anew
# in each of Odoo's transactions, as its connection pool has PostgreSQL discard all
# plans. On the way it brings the ids of the events to come.
_LOOK = f"""
    SELECT ARRAY({ALLOT}),
           array_agg(id) FILTER (WHERE finance_maybe_held),
           array_agg(id) FILTER (WHERE finance_blocked)
      FROM res_partner WHERE id = ANY(%s)
"""  # noqa: S608 (a constant)


class Look(NamedTuple):
    """What there is to look at more closely before documents are posted.

    :ivar held: whether a hold may stop one of them
    :ivar blocked: whether one is new business with a blocked counterparty
    """

    held: bool
    blocked: bool


def look(moves) -> Look:
    """Return what may stop the posting of ``moves``. One query at most.

    Odoo has just read the documents, with the mark that holds leave on them. Which of
    them are posted for the first time is kept for the end of the transaction.
    """
    fresh = memory_of(moves.env.cr).fresh
    held = False
    parties, buyers = {}, set()
    for move in moves.sudo():
        # Odoo reverses only what is posted: what never was has no reversal.
        if not move.posted_before:
            fresh.add(move.id)
        held = held or move.finance_maybe_held
        # What a bank reports or a payment books has happened: only documents wait.
        if move.move_type in OBJECTS:
            partner = move.commercial_partner_id
            parties[partner.id] = partner
            if move.move_type in NEW_BUSINESS:
                buyers.add(partner.id)
    held_ids, blocked_ids = _marked(parties, len(moves))
    return Look(held or bool(held_ids), not buyers.isdisjoint(blocked_ids))


def _marked(partners, events):
    """Return which partners are marked: (ids of the held, ids of the blocked).

    :param partners: {id: ``res.partner``}
    :param int events: how many ids for events to bring along
    """
    marked, unknown = ([], []), []
    for partner_id, partner in partners.items():
        caches = [
            partner._fields[name]._get_cache(partner.env) for name in _PARTNER_FIELDS
        ]
        if all(partner_id in cache for cache in caches):
            for ids, cache in zip(marked, caches, strict=True):
                if cache[partner_id]:
                    ids.append(partner_id)
        elif partner_id:
            unknown.append(partner_id)
    if unknown:
        partner.flush_model(_PARTNER_FIELDS)
        cr = partner.env.cr
        cr.execute(_LOOK, [events, unknown])
        event_ids, held, blocked = cr.fetchone()
        memory_of(cr).event_ids += event_ids
        marked[0].extend(held or ())
        marked[1].extend(blocked or ())
    return marked
