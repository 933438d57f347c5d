# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Exceptions: something a person must decide."""

from typing import Annotated, Literal

from pydantic import Field

from ..base import Contract, Description, Identifier, Label, UtcDateTime
from ..classification import PERSONAL
from .event_type import EventType


class ExceptionOpened(Contract):
    """An exception that waits for a person.

    :ivar id: opaque id in Odoo.
    :ivar code: a code of the exception taxonomy.
    :ivar klass: what kind of thing went wrong.
    :ivar title: what happened, in a few words.
    :ivar owner: the team that decides.
    :ivar severity: how bad it is.
    :ivar summary: what happened this time.
    :ivar next_step: what to do, in plain words.
    :ivar subject: what it is about, ``<object>/<stable id>``.
    :ivar connector: the connected system it concerns.
    :ivar correlation_id: joins everything that belongs to one business case.
    :ivar opened_at: since when it waits.
    :ivar due_at: by when it has to be decided.
    """

    id: Identifier
    code: Identifier
    klass: Annotated[
        Literal["technical", "data_quality", "business", "control"],
        Field(alias="class"),
    ]
    title: Label
    owner: Label | None = None
    severity: Literal["info", "low", "medium", "high", "critical"]
    summary: Annotated[Description, PERSONAL] | None = None
    next_step: Description | None = None
    subject: Label | None = None
    connector: Label | None = None
    correlation_id: Identifier | None = None
    opened_at: UtcDateTime
    due_at: UtcDateTime | None = None


class ExceptionEscalated(ExceptionOpened):
    """An exception that was passed on because nobody decided it in time.

    :ivar escalated_to: the person or team it was passed on to.
    :ivar level: how often it was passed on.
    """

    escalated_at: UtcDateTime
    escalated_to: Annotated[Label, PERSONAL] | None = None
    level: Annotated[int, Field(ge=1)] = 1


class ExceptionResolved(ExceptionOpened):
    """An exception that was decided.

    :ivar resolved_at: when it was settled.
    :ivar resolution: what was done: ``retried``, ``corrected``, ``waived`` …
    :ivar resolved_by: who settled it.
    :ivar reason: why, in the person's words.
    """

    resolved_at: UtcDateTime
    resolution: Label
    resolved_by: Annotated[Label, PERSONAL] | None = None
    reason: Annotated[Description, PERSONAL] | None = None


_SAMPLE = {
    "id": "17",
    "code": "B-UNMATCHED",
    "class": "business",
    "title": "No document fits the payment",
    "owner": "Receivables",
    "severity": "medium",
    "summary": "No open document INV/2026/00099 was found.",
    "next_step": "Find the document, enter its number and resubmit.",
    "subject": "command/311",
    "connector": "Payment provider",
    "correlation_id": "0f6f6c1e-8a43-4f0e-9a29-52d0f2b1c001",
    "opened_at": "2026-02-10T08:15:00Z",
    "due_at": "2026-02-11T08:15:00Z",
}

TYPES = (
    EventType(
        object="exception",
        verb="opened",
        title="Exception opened",
        description="Sent when something needs a person's decision.",
        model=ExceptionOpened,
        sample=_SAMPLE,
        owner="Integration operations",
    ),
    EventType(
        object="exception",
        verb="escalated",
        title="Exception escalated",
        description="Sent when an exception is passed on, as nobody decided it in "
        "time.",
        model=ExceptionEscalated,
        sample={
            **_SAMPLE,
            "escalated_at": "2026-02-11T08:15:00Z",
            "escalated_to": "Chief accountant",
            "level": 1,
        },
        owner="Integration operations",
    ),
    EventType(
        object="exception",
        verb="resolved",
        title="Exception resolved",
        description="Sent when a person or a remedy has settled an exception.",
        model=ExceptionResolved,
        sample={
            **_SAMPLE,
            "resolved_at": "2026-02-10T09:02:00Z",
            "resolution": "corrected",
            "resolved_by": "Marc Demo",
            "reason": "The customer quoted the wrong number.",
        },
        owner="Integration operations",
    ),
)
