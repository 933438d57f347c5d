"""What is sent of an event: one place for deliveries, batches, feeds and screens.

The same bytes at every attempt: a function of the immutable event and of what the
subscription says about version, masks and form.
"""

from dataclasses import dataclass
from datetime import timezone
from functools import lru_cache

from ...contracts import (
    CONTENT_TYPE_BATCH,
    CONTENT_TYPE_STRUCTURED,
    binary_from_row,
    dump_json,
    event_type,
    mask_data,
    parse_json,
    project,
    schema_uri,
    sequence_text,
    structured_from_row,
    utc_text,
)

# What a body needs of an event, and of the delivery's subscription: for the SQL of
# whoever reads rows. The data as text, as it need not be parsed in most cases.
EVENT_SQL = """
    e.event_id, e.type, e.aggregate, e.sequence, e.company_id, e.source, e.subject,
    e.occurred_at, e.correlation_id, e.causation_id, e.actor, e.data::text AS data,
    e.label
"""


@dataclass(frozen=True, slots=True)
class Form:
    """How a subscription wants its events.

    :ivar mode: ``structured``, ``binary`` or ``batched``
    :ivar mask_personal: leave out what is personal
    :ivar mask_confidential: leave out what is confidential
    """

    mode: str = "structured"
    mask_personal: bool = False
    mask_confidential: bool = False


@lru_cache(maxsize=16)
def form(mode: str | None, personal: bool | None, confidential: bool | None) -> Form:
    """Return the form of what a subscription says; that of none when all is empty."""
    return Form(mode or "structured", bool(personal), bool(confidential))


def row(event) -> dict:
    """Return a ``finance.event`` record as a row of :data:`EVENT_SQL`."""
    event.env.cr.execute(
        f"SELECT {EVENT_SQL} FROM finance_event e WHERE e.id = %s",  # noqa: S608
        [event.id],
    )
    names = [column.name for column in event.env.cr.description]
    return dict(zip(names, event.env.cr.fetchone(), strict=True))


def content(row: dict, form: Form, version: int | None) -> tuple[dict, bytes]:
    """Return (attributes, data as JSON text) of an event for one subscriber.

    :param dict row: the columns of :data:`EVENT_SQL`
    :param version: of the contract; the event's own when empty
    """
    type_name, data = row["type"], row["data"].encode()
    projected = version and event_type(type_name).version != version
    if projected or form.mask_personal or form.mask_confidential:
        values = parse_json(data, "The event")
        if projected:
            type_name, values = project(type_name, values, version)
        values = mask_data(
            type_name,
            values,
            personal=form.mask_personal,
            confidential=form.mask_confidential,
        )
        data = dump_json(values)
    occurred_at = row["occurred_at"].replace(tzinfo=timezone.utc)
    attributes = {
        "id": row["event_id"],
        "source": row["source"],
        "type": type_name,
        "subject": row["subject"],
        "time": utc_text(occurred_at),
        **_of_type(type_name),
        "correlationid": row["correlation_id"],
        "causationid": row["causation_id"],
        "partitionkey": row["aggregate"],
        "sequence": sequence_text(row["sequence"]),
        "actor": row["actor"],
        "legalentity": str(row["company_id"]),
    }
    return attributes, data


@lru_cache(maxsize=512)
def _of_type(type_name):
    return {
        "dataschema": schema_uri(type_name),
        "dataclass": event_type(type_name).dataclass,
    }


def message(row: dict, form: Form, version: int | None) -> tuple[dict, bytes]:
    """Return (headers, body) of an event sent on its own."""
    attributes, data = content(row, form, version)
    if form.mode == "binary":
        return binary_from_row(attributes, data)
    body = structured_from_row(attributes, data)
    if form.mode == "batched":
        return batch([body])
    return {"Content-Type": f"{CONTENT_TYPE_STRUCTURED}; charset=utf-8"}, body


def batch(bodies: list[bytes]) -> tuple[dict, bytes]:
    """Return (headers, body) of structured events sent as one CloudEvents batch."""
    headers = {"Content-Type": f"{CONTENT_TYPE_BATCH}; charset=utf-8"}
    return headers, b"[" + b",".join(bodies) + b"]"


def structured(row: dict, form: Form, version: int | None) -> bytes:
    """Return an event as one structured CloudEvent, whatever the form's mode."""
    return structured_from_row(*content(row, form, version))
