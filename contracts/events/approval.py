# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Approvals: what needs somebody's consent, and the decision."""

from functools import partial
from typing import Annotated, Literal

from ..base import (
    OPEN_CHOICE,
    Contract,
    CurrencyCode,
    Description,
    Identifier,
    Label,
    Money,
    UtcDateTime,
)
from ..classification import CONFIDENTIAL, PERSONAL
from .event_type import EventType
from .parties import LEGAL_ENTITY_SAMPLE, LegalEntity


class ApprovalStep(Contract):
    """One consent that is needed.

    :ivar id: names the step in an ``approval.outcome``.
    :ivar name: of the step in the policy or flow; it names the step, too.
    :ivar turn: steps of the same turn are asked at once, later turns after them.
    :ivar who: whose consent it is.
    :ivar external: whether another system may report it.
    """

    id: Identifier
    name: Label
    turn: int
    who: Annotated[Label, PERSONAL] | None = None
    state: Annotated[
        Literal["waiting", "to_decide", "approved", "rejected", "ended"], OPEN_CHOICE
    ]
    external: bool


class ApprovalRequested(Contract):
    """Something that waits for consent.

    :ivar subject: what it is about, ``<object>/<stable id>``.
    :ivar subject_version: the decision counts for this version only.
    :ivar threshold: the limit of the policy which asks for consent.
    :ivar approver: who is asked, a person or a team.
    :ivar steps: every consent that is needed, in order of their turns.
    """

    id: Identifier
    legal_entity: LegalEntity
    subject: Label
    subject_version: Label | None = None
    policy: Label | None = None
    amount: Money | None = None
    threshold: Annotated[Money, CONFIDENTIAL] | None = None
    currency: CurrencyCode | None = None
    requested_by: Annotated[Label, PERSONAL] | None = None
    approver: Annotated[Label, PERSONAL] | None = None
    requested_at: UtcDateTime
    due_at: UtcDateTime | None = None
    steps: list[ApprovalStep] = []


class ApprovalDecided(ApprovalRequested):
    """The decision."""

    decision: Literal["approved", "rejected", "withdrawn", "expired"]
    decided_at: UtcDateTime
    reason: Annotated[Description, PERSONAL] | None = None


_SAMPLE = {
    "id": "9",
    "legal_entity": LEGAL_ENTITY_SAMPLE,
    "subject": "posting_request/71",
    "subject_version": "1",
    "policy": "Entries above 10,000",
    "amount": "12500.00",
    "threshold": "10000.00",
    "currency": "EUR",
    "requested_by": "Payroll service",
    "approver": "Chief accountant",
    "requested_at": "2026-01-31T09:30:00Z",
    "due_at": "2026-02-02T09:30:00Z",
    "steps": [
        {
            "id": "12",
            "name": "Chief accountant",
            "turn": 10,
            "who": "Chief accountant",
            "state": "to_decide",
            "external": True,
        }
    ],
}

_type = partial(EventType, object="approval", owner="Controlling")

TYPES = (
    _type(
        verb="requested",
        title="Approval requested",
        description="Sent when something waits for somebody's consent.",
        model=ApprovalRequested,
        sample=_SAMPLE,
    ),
    _type(
        verb="decided",
        title="Approval decided",
        description="Sent when consent is given or refused.",
        model=ApprovalDecided,
        sample={
            **_SAMPLE,
            "steps": [{**_SAMPLE["steps"][0], "state": "approved"}],
            "decision": "approved",
            "decided_at": "2026-01-31T11:05:00Z",
            "reason": "Agrees with the payroll report",
        },
    ),
)
