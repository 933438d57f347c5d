"""Taking what describes a person out of a row, where the law lets it.

Amounts, ids, dates and states stay, and so do the audit trail, its seals, and the
digests of what was sent and received: they tell what it was, and nothing of whom.
"""

from psycopg2.extras import Json

from ...contracts import EVENT_TYPES, mask_data, without_persons
from ...contracts.constants import PERSON_REMOVED
from .holding import held

SOURCES = {
    "finance.event": "event",
    "finance.message": "message",
    "finance.command": "command",
    "finance.attempt": "attempt",
}
# What nothing is done with any more.
DONE = {
    "finance.event": lambda row: (
        set(row.delivery_ids.mapped("state")) <= {"delivered", "cancelled"}
    ),
    "finance.message": lambda row: row.state == "processed",
    "finance.command": lambda row: row.state in ("applied", "ignored", "superseded"),
    "finance.attempt": lambda row: (
        (row.delivery_id or row.batch_id).state not in ("waiting", "parked", "dead")
    ),
}


def obstacle(record):
    """Return why a row can't be changed: ``held``, ``busy``; None if it can."""
    record = record.sudo()
    if held(record.env, SOURCES[record._name], record.ids):
        return "held"
    if not DONE[record._name](record):
        return "busy"
    open_exceptions = record.env["finance.exception"].search_count(
        [
            ("res_model", "=", record._name),
            ("res_id", "=", record.id),
            ("is_open", "=", True),
        ],
        limit=1,
    )
    return "busy" if open_exceptions else None


def take_out(record):
    """Take what describes a person out of a row, and out of the blind index."""
    record = record.sudo()
    record.env.flush_all()
    WAYS[record._name](record)
    record.env["finance.privacy.index"]._forget(SOURCES[record._name], record.ids)


def _event(event):
    known = event.type in EVENT_TYPES
    data = (
        mask_data(event.type, event.data, personal=True, confidential=False)
        if known
        else without_persons(event.data)
    )
    label = event.label
    if event.res_model in ("res.partner", "res.partner.bank"):
        # Such a record is called as the person is.
        label = event.aggregate
    _beneath(
        event,
        "UPDATE finance_event SET data = %s, label = %s WHERE id = %s",
        [Json(data), label, event.id],
    )


def _attempt(attempt):
    _beneath(
        attempt,
        "UPDATE finance_attempt SET response_body = %s WHERE id = %s",
        [PERSON_REMOVED, attempt.id],
    )


def _message(message):
    # As after its retention time: digest, size and headers stay.
    _beneath(
        message, "UPDATE finance_message SET body = NULL WHERE id = %s", [message.id]
    )


def _command(command):
    command.write(
        {"data": without_persons(command.data, command.type), "is_pseudonymous": True}
    )


WAYS = {
    "finance.event": _event,
    "finance.message": _message,
    "finance.command": _command,
    "finance.attempt": _attempt,
}


def _beneath(record, query, values):
    cr = record.env.cr
    # What guards the logs lets it happen in this transaction, and only this.
    cr.execute("SELECT set_config('finance_hub.pseudonymise', 'on', true)")
    cr.execute(query, values)
    cr.execute("SELECT set_config('finance_hub.pseudonymise', 'off', true)")
    record.invalidate_recordset(flush=False)
