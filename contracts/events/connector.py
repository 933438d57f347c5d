# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Connectors: what happens to the integration itself, so that others can watch it."""

from typing import Annotated

from pydantic import Field

from ..base import Contract, Description, Identifier, Label, UtcDateTime
from ..classification import PERSONAL
from .event_type import EventType


class Named(Contract):
    """A connector or endpoint, by opaque id and name.

    :ivar id: opaque id in Odoo.
    :ivar name: as it is called on the screens.
    """

    id: Identifier
    name: Label


class Ping(Contract):
    """A test that a person started; nothing happened in the books.

    :ivar connector: the connected system that is tested.
    :ivar endpoint: where the test is sent.
    :ivar message: a greeting.
    :ivar sent_by: who started it.
    """

    connector: Named
    endpoint: Named | None = None
    message: Description | None = None
    sent_by: Annotated[Label, PERSONAL] | None = None


class DeliveryExhausted(Contract):
    """An event that could not be delivered.

    :ivar connector: the connected system which did not take it.
    :ivar endpoint: where it was sent.
    :ivar delivery_id: opaque id of the delivery in Odoo.
    :ivar event_id: id of the event, under which it can be replayed.
    :ivar event_type: its full type.
    :ivar attempts: how many attempts counted.
    :ivar first_attempt_at: when it was first tried.
    :ivar last_attempt_at: when it was last tried.
    :ivar status: HTTP status of the last answer, ``None`` without one.
    :ivar error_code: why the last attempt failed, a code of the taxonomy.
    :ivar detail: the same in plain words.
    """

    connector: Named
    endpoint: Named
    delivery_id: Identifier
    event_id: Identifier
    event_type: Identifier
    attempts: Annotated[int, Field(ge=0)]
    first_attempt_at: UtcDateTime | None = None
    last_attempt_at: UtcDateTime | None = None
    status: Annotated[int, Field(ge=100, le=999)] | None = None
    error_code: Label | None = None
    detail: Description | None = None


class Condition(Contract):
    """How a connector, or one of its endpoints, is doing.

    :ivar endpoint: absent when the whole connector is meant.
    :ivar reason: why, in plain words.
    :ivar waiting: how many deliveries wait for it, where that was counted.
    """

    connector: Named
    endpoint: Named | None = None
    reason: Description | None = None
    at: UtcDateTime
    waiting: Annotated[int, Field(ge=0)] | None = None


_CONNECTOR = {"id": "3", "name": "Revenue platform"}
_ENDPOINT = {"id": "5", "name": "Revenue platform, production"}

TYPES = (
    EventType(
        object="connector",
        verb="ping",
        title="Connector test",
        description="Sent when a person tests an endpoint; carries no business data.",
        model=Ping,
        sample={
            "connector": _CONNECTOR,
            "endpoint": _ENDPOINT,
            "message": "Test from the Finance Integration Hub",
        },
        owner="Integration operations",
    ),
    EventType(
        object="connector",
        verb="delivery_exhausted",
        title="Delivery given up",
        description="Sent when all attempts to deliver an event have failed.",
        model=DeliveryExhausted,
        sample={
            "connector": _CONNECTOR,
            "endpoint": _ENDPOINT,
            "delivery_id": "901",
            "event_id": "5c3f4e0e-6f0f-5d57-a8f6-0c3b2f6f9d11",
            "event_type": "finance.invoice.posted.v1",
            "attempts": 8,
            "first_attempt_at": "2026-01-31T09:30:00Z",
            "last_attempt_at": "2026-02-01T13:05:05Z",
            "status": 500,
            "error_code": "T-5XX",
            "detail": "The receiver failed (answer 500).",
        },
        owner="Integration operations",
    ),
    *(
        EventType(
            object="connector",
            verb=verb,
            title=title,
            description=f"Sent when {when}.",
            model=Condition,
            sample={
                "connector": _CONNECTOR,
                "endpoint": _ENDPOINT,
                "reason": reason,
                "at": "2026-01-31T09:45:00Z",
            },
            owner="Integration operations",
        )
        for verb, title, when, reason in (
            (
                "degraded",
                "Connector degraded",
                "deliveries to an endpoint fail so often that they are slowed down",
                "Half of the requests of the last minutes failed.",
            ),
            (
                "suspended",
                "Connector suspended",
                "a connector or endpoint is suspended, by a person or by the hub; "
                "what is due for it is kept",
                "The receiver answered 410 (gone).",
            ),
            (
                "recovered",
                "Connector recovered",
                "a connector or endpoint works again after it was degraded or "
                "suspended",
                "Resumed by Mitchell Admin",
            ),
        )
    ),
)
