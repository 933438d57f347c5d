"""Tables to which rows are added, and nothing else is done."""

# In the database itself, so that it holds for whoever comes with SQL, too. A position
# is given once: that is the one change there is.
GUARD = """
CREATE OR REPLACE FUNCTION finance_audit_guard() RETURNS trigger AS $$
BEGIN
    IF TG_OP = 'DELETE'
       AND TG_TABLE_NAME IN ('finance_audit_entry', 'finance_audit_position')
       AND current_setting('finance_hub.audit_purge', true) = 'on' THEN
        RETURN OLD;
    END IF;
    IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'finance_audit_position' THEN
        IF OLD.position IS NULL AND NEW.position IS NOT NULL
           AND (OLD.id, OLD.entry_id, OLD.digest)
               = (NEW.id, NEW.entry_id, NEW.digest)
           AND OLD.mark IS NOT DISTINCT FROM NEW.mark
           AND OLD.key_id IS NOT DISTINCT FROM NEW.key_id THEN
            RETURN NEW;
        END IF;
    END IF;
    -- What a new encryption key makes of it; the key pair stays what it is.
    IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'finance_audit_key' THEN
        IF (OLD.id, OLD.key_id, OLD.public_key, OLD.made_at)
           = (NEW.id, NEW.key_id, NEW.public_key, NEW.made_at) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$ LANGUAGE plpgsql;
"""
TRIGGERS = """
CREATE OR REPLACE TRIGGER {table}_guard_rows
    BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION finance_audit_guard();
CREATE OR REPLACE TRIGGER {table}_guard_table
    BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION finance_audit_guard();
"""


def guard(cr, table):
    """Have the database refuse to change, delete or empty a table's rows."""
    cr.execute(GUARD)
    # The name of a table of this room.
    triggers = TRIGGERS.format(table=table)
    cr.execute(triggers)  # pylint: disable=sql-injection
