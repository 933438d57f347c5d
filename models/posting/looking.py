"""What a posting has to respect, looked up at once."""

from typing import NamedTuple

from .. import clock
from ..capture.memory import memory_of
from ..hold.finance_hold import STOPPING
from ..ledger.subjects import subject_of
from ..mapping.account_move import NEW_BUSINESS

# Planning takes PostgreSQL four times as long as finding nothing does; so this is a
# function, whose plan each connection keeps. It reads only tables of the hub, and the
# partners: the documents themselves are in memory.
_FUNCTION = """
    CREATE OR REPLACE FUNCTION finance_hub_before_posting(
        moves int[], partners int[], companies int[], buyers int[],
        kinds text[], now timestamp, aggregates text[]
    ) RETURNS TABLE (
        what text, in_company int, told_aggregate varchar, last_sequence int
    ) AS $$
    BEGIN
        RETURN QUERY
        SELECT 'held', NULL::int, NULL::varchar, NULL::int
         WHERE EXISTS (
               SELECT FROM finance_hold h
                WHERE ((h.res_model = 'account.move' AND h.res_id = ANY(moves))
                       OR (h.res_model = 'res.partner' AND h.res_id = ANY(partners)
                           AND h.company_id = ANY(companies)))
                  AND h.kind = ANY(kinds)
                  AND (h.state = 'active' OR h.cleared_until <= now))
        UNION ALL
        SELECT 'blocked', NULL, NULL, NULL
         WHERE EXISTS (
               SELECT FROM res_partner p
                WHERE p.id = ANY(buyers) AND p.finance_blocked)
        UNION ALL
        SELECT 'waiting', NULL, NULL, NULL
         WHERE EXISTS (
               SELECT FROM finance_command c
                WHERE c.state = 'waiting' AND c.waits_for IS NOT NULL)
        UNION ALL
        SELECT 'told', e.company_id, e.aggregate, max(e.sequence)
          FROM finance_event e
         WHERE e.aggregate = ANY(aggregates)
         GROUP BY e.aggregate, e.company_id;
    END $$ LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan
"""
_LOOK = """
    SELECT * FROM finance_hub_before_posting(
        %(moves)s::int[], %(partners)s::int[], %(companies)s::int[], %(buyers)s::int[],
        %(kinds)s, %(now)s, %(aggregates)s)
"""


def install(cr):
    """Make the function, or replace it by the one of this version."""
    cr.execute(_FUNCTION)


class Look(NamedTuple):
    """What there is to look at more closely before documents are posted.

    :ivar held: whether a hold may stop one of them
    :ivar blocked: whether one is new business with a blocked counterparty
    """

    held: bool
    blocked: bool


def look(moves) -> Look:
    """Return what may stop the posting of ``moves``.

    One query for all that is usually not there. What it finds beside that is kept for
    the end of the transaction: whether commands wait for anything at all, and the last
    event of each document.
    """
    env = moves.env
    # What a bank reports or a payment books has happened: only documents wait.
    documents = moves.filtered(lambda move: move.is_invoice(include_receipts=True))
    fresh = documents.filtered(lambda move: move.move_type in NEW_BUSINESS)
    env["res.partner"].flush_model(["finance_blocked"])
    env["finance.hold"].flush_model(["state", "cleared_until"])
    env["finance.command"].flush_model(["state", "waits_for"])
    subjects = {subject_of(move): move for move in moves}
    env.cr.execute(
        _LOOK,
        {
            "moves": list(moves._ids),
            "partners": list(documents.commercial_partner_id._ids),
            "companies": list(documents.company_id._ids),
            "buyers": list(fresh.commercial_partner_id._ids),
            "kinds": list(STOPPING),
            "now": clock.naive_now(),
            "aggregates": list(subjects),
        },
    )
    found, last = set(), {}
    for what, company_id, aggregate, sequence in env.cr.fetchall():
        found.add(what)
        if aggregate:
            last[aggregate, company_id] = sequence
    memory = memory_of(env.cr)
    memory.commands_wait = "waiting" in found
    for subject, move in subjects.items():
        # Odoo reverses only what is posted: what never was has no reversal.
        if not move.posted_before:
            memory.fresh[move.id] = last.get((subject, move.company_id.id), 0)
    return Look("held" in found, "blocked" in found)
