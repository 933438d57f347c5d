"""Which rows a legal hold keeps: one query a hold, over the rows that would go.

Never a scan: only rows that a purge has found old enough and free are asked about, and
each by its keys. Where a row does not say all that a scope asks for, it is kept.
"""

from datetime import datetime, time, timedelta

# Of each kind of row: the tables, and where in them the scope is found. ``{events}``
# is filled with what an event (``e``) has to be.
ATTEMPT = """
    SELECT r.id FROM finance_attempt r
      LEFT JOIN finance_endpoint n ON n.id = r.endpoint_id
     WHERE r.id = ANY(%(ids)s) AND {row}
       AND (r.delivery_id IS NULL OR EXISTS (
            SELECT FROM finance_delivery d JOIN finance_event e ON e.id = d.event_id
             WHERE d.id = r.delivery_id AND {event}))
       AND (r.batch_id IS NULL OR EXISTS (
            SELECT FROM finance_delivery d JOIN finance_event e ON e.id = d.event_id
             WHERE d.batch_id = r.batch_id AND {event}))
"""
DELIVERY = """
    SELECT r.id FROM finance_delivery r
      LEFT JOIN finance_endpoint n ON n.id = r.endpoint_id
      JOIN finance_event e ON e.id = r.event_id
     WHERE r.id = ANY(%(ids)s) AND {row} AND {event}
"""
# A batch without deliveries tells no longer what was in it.
BATCH = """
    SELECT r.id FROM finance_batch r
      LEFT JOIN finance_endpoint n ON n.id = r.endpoint_id
     WHERE r.id = ANY(%(ids)s) AND {row}
"""
# An event goes after its deliveries, so it can't tell who got it.
EVENT = """
    SELECT e.id FROM finance_event e
     WHERE e.id = ANY(%(ids)s) AND {row} AND {event}
"""
MESSAGE = """
    SELECT r.id FROM finance_message r
     WHERE r.id = ANY(%(ids)s) AND {row} AND {message}
"""
COMMAND = """
    SELECT c.id FROM finance_command c JOIN finance_message r ON r.id = c.message_id
     WHERE c.id = ANY(%(ids)s) AND {row} AND {command}
"""
# (query, company, connector or None, moment)
PLACES = {
    "attempt": (ATTEMPT, "r.company_id", "n.connector_id", "r.started_at"),
    "delivery": (DELIVERY, "r.company_id", "n.connector_id", "r.created_at"),
    "batch": (BATCH, "r.company_id", "n.connector_id", "r.created_at"),
    "event": (EVENT, "e.company_id", None, "e.occurred_at"),
    "message": (MESSAGE, "r.company_id", "r.connector_id", "r.received_at"),
    "command": (COMMAND, "r.company_id", "r.connector_id", "r.received_at"),
}
# Alone under the audit's tables: a hold keeps every entry of its company and time, as
# an entry does not say whom it concerns.
AUDIT_SEAL = """
    SELECT DISTINCT p.seal_id
      FROM finance_audit_position p JOIN finance_audit_entry e ON e.id = p.entry_id
     WHERE p.seal_id = ANY(%(ids)s) AND {conditions}
"""


def held(env, kind, ids):
    """Return {id: ids of the holds that keep it} of those of ``ids`` that stay.

    :param str kind: one of ``PLACES``
    """
    kept = {}
    if not ids:
        return kept
    for hold in env["finance.legal.hold"]._in_force():
        query, values = _query(hold, kind)
        # Made of the texts above.
        env.cr.execute(query, {**values, "ids": list(ids)})
        for (row_id,) in env.cr.fetchall():
            kept.setdefault(row_id, []).append(hold.id)
    return kept


def held_seals(env, seal_ids):
    """Return the ids of the seals of which an entry has to stay."""
    found = set()
    for hold in env["finance.legal.hold"]._in_force():
        conditions, values = _of_row(hold, "e.company_id", None, "e.at")
        if hold.correlation_id and not hold.partner_id:
            conditions.append("e.correlation_id = %(correlation)s")
            values["correlation"] = hold.correlation_id
        query = AUDIT_SEAL.format(conditions=" AND ".join(conditions) or "true")
        env.cr.execute(query, {**values, "ids": list(seal_ids)})
        found.update(seal for (seal,) in env.cr.fetchall())
    return found


def _query(hold, kind):
    query, company, connector, moment = PLACES[kind]
    row, values = _of_row(hold, company, connector, moment)
    event, message, command = [], [], []
    if hold.correlation_id:
        values["correlation"] = hold.correlation_id
        event.append("e.correlation_id = %(correlation)s")
        message.append(
            "(r.correlation_id = %(correlation)s OR EXISTS (SELECT FROM"
            " finance_command c WHERE c.message_id = r.id"
            " AND c.correlation_id = %(correlation)s))"
        )
        command.append("c.correlation_id = %(correlation)s")
    if hold.partner_id:
        values["partners"] = hold._partners()
        values["marks"] = hold.env["finance.privacy.index"]._marks_of(
            hold.partner_id.commercial_partner_id
        )
        models = _models_with_partner(hold.env)
        event.append(
            f"({_of_partner(hold.env, 'e', models)} OR {_marked('event', 'e.id')})"
        )
        of_command = (
            f"({_of_partner(hold.env, 'c', models)} OR {_marked('command', 'c.id')}"
            " OR EXISTS (SELECT FROM finance_transaction t"
            " LEFT JOIN account_move m ON m.id = t.move_id"
            " LEFT JOIN account_payment p ON p.id = t.payment_id"
            " WHERE t.id = c.transaction_id AND"
            " (m.partner_id = ANY(%(partners)s) OR p.partner_id = ANY(%(partners)s))))"
        )
        command.append(of_command)
        message.append(
            f"({_marked('message', 'r.id')} OR EXISTS (SELECT FROM finance_command c"
            f" WHERE c.message_id = r.id AND {of_command}))"
        )
    return query.format(
        row=_all(row), event=_all(event), message=_all(message), command=_all(command)
    ), values


def _all(conditions):
    return f"({' AND '.join(conditions)})" if conditions else "true"


def _of_row(hold, company, connector, moment):
    """Return (conditions, values) of what every row tells of itself."""
    conditions, values = [], {}
    if hold._company():
        values["company"] = hold._company().id
        conditions.append(f"({company} = %(company)s OR {company} IS NULL)")
    if hold.connector_id and connector:
        values["connector"] = hold.connector_id.id
        conditions.append(f"({connector} = %(connector)s OR {connector} IS NULL)")
    if hold.date_from:
        values["from"] = datetime.combine(hold.date_from, time.min)
        conditions.append(f"{moment} >= %(from)s")
    if hold.date_to:
        values["to"] = datetime.combine(hold.date_to + timedelta(days=1), time.min)
        conditions.append(f"{moment} < %(to)s")
    return conditions, values


def _models_with_partner(env):
    """Return (model, table) of the records that events and commands are about."""
    found = []
    for name in sorted(env.registry):
        model = env[name]
        if model._abstract or model._transient or not model._auto:
            continue
        field = model._fields.get("partner_id")
        captured = "_finance_event_values" in dir(type(model))
        if captured and field is not None and field.store and field.column_type:
            found.append((name, model._table))
    return found


def _of_partner(env, alias, models):
    parts = [
        f"({alias}.res_model = 'res.partner' AND {alias}.res_id = ANY(%(partners)s))"
    ]
    parts += [
        f"({alias}.res_model = '{name}' AND EXISTS (SELECT FROM {table} x"
        f" WHERE x.id = {alias}.res_id AND x.partner_id = ANY(%(partners)s)))"
        for name, table in models
    ]
    return f"({' OR '.join(parts)})"


def _marked(source, row):
    return (
        "EXISTS (SELECT FROM finance_privacy_mark k"
        f" WHERE k.source = '{source}' AND k.row_id = {row}"
        " AND k.mark = ANY(%(marks)s))"
    )
