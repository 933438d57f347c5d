"""How seals are read and written, and what a verification says of them."""

from typing import NamedTuple

from ...signing import Finding

SEAL_COLUMNS = """
    s.id, s.source, s.number, s.first_position AS first, s.last_position AS last,
    s.entry_count AS count, s.entries_digest AS entries, s.previous_hash AS previous,
    s.sealed_at, s.hash, s.signature, k.key_id, k.public_key
"""
SELECT_SEALS = f"""
    SELECT {SEAL_COLUMNS}
      FROM finance_audit_seal s
      LEFT JOIN finance_audit_key k ON k.id = s.key_id
"""  # noqa: S608
SELECT_LAST_SEAL = f"{SELECT_SEALS} ORDER BY s.number DESC LIMIT 1"
INSERT_SEAL = """
    INSERT INTO finance_audit_seal (source, number, first_position, last_position,
                                    entry_count, entries_digest, previous_hash,
                                    sealed_at, hash, signature, key_id)
    VALUES (%(source)s, %(number)s, %(first)s, %(last)s, %(count)s, %(entries)s,
            %(previous)s, %(moment)s, %(hash)s, %(signature)s, %(key)s)
    RETURNING id
"""


class Report(NamedTuple):
    """What a verification found.

    :ivar seals: how many were checked, and ``entries``
    :ivar findings: list of :class:`Finding`, at most a thousand of ``found``
    """

    seals: int
    entries: int
    found: int
    findings: list[Finding]
