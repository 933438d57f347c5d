"""What may be done with the tables of the trail, beside adding rows."""

from ..guard import guard, setting

PURGE = (setting("audit_purge"),)
# A position is given once: that is the one change there is.
POSITION = (
    "OLD.position IS NULL AND NEW.position IS NOT NULL"
    " AND (OLD.id, OLD.entry_id, OLD.digest) = (NEW.id, NEW.entry_id, NEW.digest)"
    " AND OLD.mark IS NOT DISTINCT FROM NEW.mark"
    " AND OLD.key_id IS NOT DISTINCT FROM NEW.key_id",
)
# What a new encryption key makes of it; the key pair stays what it is.
KEY = (
    "(OLD.id, OLD.key_id, OLD.public_key, OLD.made_at)"
    " = (NEW.id, NEW.key_id, NEW.public_key, NEW.made_at)",
)
EXCEPTIONS = {
    "finance_audit_entry": {"delete": PURGE},
    "finance_audit_position": {"delete": PURGE, "update": POSITION},
    "finance_audit_key": {"update": KEY},
}


def guard_trail(cr, table):
    """Have the database refuse to change, delete or empty a table of the trail."""
    guard(cr, table, **EXCEPTIONS.get(table, {}))
