"""Tables to which rows are added, and nothing else is done.

In the database itself, so that it holds for whoever comes with SQL, too.
"""

from odoo.tools import SQL

FUNCTION = """
CREATE OR REPLACE FUNCTION {table}_guard() RETURNS trigger AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        {delete}
    ELSIF TG_OP = 'UPDATE' THEN
        {update}
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$ LANGUAGE plpgsql;
CREATE OR REPLACE TRIGGER {table}_guard_rows
    BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION {table}_guard();
CREATE OR REPLACE TRIGGER {table}_guard_table
    BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION {table}_guard();
"""
# A row whose insertion is in progress and which we see is our own, of this very
# transaction (or a savepoint of it): nobody has seen it yet. xmin lacks the epoch,
# which is today's.
OWN_ROW = """pg_xact_status(
            ((pg_current_xact_id()::text::numeric
              - pg_current_xact_id()::xid::text::numeric)
             + OLD.xmin::text::numeric)::text::xid8
        ) = 'in progress'"""


def setting(name):
    """Return the condition that a transaction was let do it: ``finance_hub.<name>``."""
    return f"current_setting('finance_hub.{name}', true) = 'on'"


def only(*columns):
    """Return the condition that an update changes nothing but ``columns``."""
    rest = "".join(f" - '{column}'" for column in columns)
    return f"to_jsonb(OLD){rest} = to_jsonb(NEW){rest}"


def guard(cr, table, *, delete=(), update=()):
    """Have the database refuse to change, delete or empty a table's rows.

    :param delete: SQL conditions, any of which lets a row go; ``update``: any of which
        lets it change
    """

    def let(conditions, result):
        return "\n        ".join(
            f"IF {condition} THEN RETURN {result}; END IF;" for condition in conditions
        )

    query = FUNCTION.format(
        table=table, delete=let(delete, "OLD"), update=let(update, "NEW")
    )
    # The name of one of the hub's tables, and conditions that stand in its code.
    cr.execute(query)  # pylint: disable=sql-injection


def drop_former(cr, table, function):
    """Take a former guard of a table off."""
    function = SQL.identifier(function)
    cr.execute(SQL("DROP TRIGGER IF EXISTS %s ON %s", function, SQL.identifier(table)))
    cr.execute(SQL("DROP FUNCTION IF EXISTS %s()", function))
