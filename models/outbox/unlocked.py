"""References out of tables that are written while somebody waits for a posting.

A foreign key has PostgreSQL look up, and lock, the row it points to for each row that
is inserted, with a plan made anew in every transaction of Odoo's: for three deliveries
that takes longer than inserting them, and all postings lock the same few rows. Where
they come from proves that what they point to is there; that it stays is watched where
it is deleted, which is rare.
"""

from odoo import fields
from odoo.tools import SQL

_FUNCTION = """
CREATE OR REPLACE FUNCTION finance_hub_keep_referenced() RETURNS trigger AS $$
DECLARE
    found boolean;
BEGIN
    -- Odoo's tables keep the trigger when the hub is uninstalled.
    IF to_regclass(TG_ARGV[0]) IS NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE %I = $1)',
                   TG_ARGV[0], TG_ARGV[1]) INTO found USING OLD.id;
    IF found THEN
        RAISE EXCEPTION 'row % of % is referenced by %', OLD.id, TG_TABLE_NAME,
                        TG_ARGV[0]
            USING ERRCODE = 'foreign_key_violation', TABLE = TG_ARGV[0],
                  COLUMN = TG_ARGV[1];
    END IF;
    RETURN NULL;
END $$ LANGUAGE plpgsql;
"""


class Unlocked(fields.Many2one):
    """A many2one without a foreign key; see ``keep`` for what takes its place."""

    def update_db_foreign_key(self, model, column):
        """Add none, and take off that of a former version."""
        model.env.cr.execute(
            SQL(
                "ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s",
                SQL.identifier(model._table),
                SQL.identifier(f"{model._table}_{self.name}_fkey"),
            )
        )


def keep(model, *names):
    """Have the database refuse to delete what fields without foreign key point to.

    :param names: of fields which are ``Unlocked``
    """
    cr = model.env.cr
    cr.execute(_FUNCTION)
    for name in names:
        cr.execute(
            SQL(
                "CREATE OR REPLACE TRIGGER %s AFTER DELETE ON %s FOR EACH ROW"
                " EXECUTE FUNCTION finance_hub_keep_referenced(%s, %s)",
                SQL.identifier(f"{model._table}_{name}_kept"),
                SQL.identifier(model.env[model._fields[name].comodel_name]._table),
                model._table,
                name,
            )
        )
