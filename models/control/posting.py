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
    SELECT id, finance_maybe_held, finance_blocked FROM res_partner
     WHERE id = ANY(%s) AND (finance_maybe_held OR finance_blocked)
     UNION ALL
    SELECT allotted, NULL, NULL FROM ({ALLOT}) AS ids (allotted)
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
    held = blocked = False
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
    for partner_id, its_held, its_blocked in _marks(parties, len(moves)):
        held = held or its_held
        blocked = blocked or (its_blocked and partner_id in buyers)
    return Look(held, blocked)


def _marks(partners, events):
    """Return the marks of partners, at least of those which have any.

    :param partners: {id: ``res.partner``}
    :param int events: how many ids for events to bring along
    :return: list of (id, whether a hold may stop its documents, whether it is blocked)
    """
    found, unknown = [], []
    for partner_id, partner in partners.items():
        caches = [
            partner._fields[name]._get_cache(partner.env) for name in _PARTNER_FIELDS
        ]
        if all(partner_id in cache for cache in caches):
            found.append((partner_id, *(cache[partner_id] for cache in caches)))
        elif partner_id:
            unknown.append(partner_id)
    if unknown:
        cr = partner.env.cr
        cr.execute(_LOOK, [unknown, events])
        event_ids = memory_of(cr).event_ids
        for record_id, held, blocked in cr.fetchall():
            if held is None and blocked is None:
                event_ids.append(record_id)
            else:
                found.append((record_id, held, blocked))
    return found
