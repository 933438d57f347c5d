# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Accounting periods and their locks."""

from functools import partial
from typing import Annotated, Literal

from ..base import Contract, Description, Identifier, Label, PlainDate, UtcDateTime
from ..classification import PERSONAL
from .event_type import EventType
from .parties import LEGAL_ENTITY_SAMPLE, LegalEntity


class LockException(Contract):
    """A lock date that does not hold for somebody, for a while.

    :ivar person: for whom; absent is for everybody.
    :ivar date: the lock date which holds instead.
    :ivar until: absent is without end.
    """

    id: Identifier
    person: Annotated[Label, PERSONAL] | None = None
    date: PlainDate | None = None
    until: UtcDateTime | None = None
    reason: Annotated[Description, PERSONAL] | None = None


class Period(Contract):
    """A lock date of a company.

    :ivar lock: ``all`` journals, those of ``sales`` or ``purchases``, the ``tax``
        return, or ``hard``, which nobody can undo.
    :ivar date: everything up to this day is locked; absent when nothing is.
    :ivar previous_date: the lock date before.
    :ivar exception: where not the date itself changed.
    """

    id: Identifier
    legal_entity: LegalEntity
    lock: Literal["all", "sales", "purchases", "tax", "hard"]
    date: PlainDate | None = None
    previous_date: PlainDate | None = None
    exception: LockException | None = None


_SAMPLE = {
    "id": "1",
    "legal_entity": LEGAL_ENTITY_SAMPLE,
    "lock": "all",
    "date": "2026-01-31",
    "previous_date": "2025-12-31",
}

_type = partial(EventType, object="period", model=Period, owner="General ledger")

TYPES = (
    _type(
        verb="locked",
        title="Period locked",
        description="Sent when a lock date moves on, or an exception to one is "
        "revoked.",
        sample=_SAMPLE,
    ),
    _type(
        verb="unlocked",
        title="Period unlocked",
        description="Sent when a lock date moves back or is removed, or somebody gets "
        "an exception to it.",
        sample={
            **_SAMPLE,
            "exception": {
                "id": "4",
                "person": "Marc Demo",
                "date": "2025-12-31",
                "until": "2026-02-05T18:00:00Z",
                "reason": "Late supplier bill",
            },
        },
    ),
)
