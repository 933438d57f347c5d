# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Approvals: what needs somebody's consent, and the decision."""

from functools import partial
from typing import Annotated, Literal

from ..base import (
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


class ApprovalRequested(Contract):
    """Something that waits for consent.

    :ivar subject: what it is about, ``<object>/<stable id>``.
    :ivar subject_version: the decision counts for this version only.
    :ivar threshold: the limit of the policy which asks for consent.
    :ivar approver: who is asked, a person or a team.
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
            "decision": "approved",
            "decided_at": "2026-01-31T11:05:00Z",
            "reason": "Agrees with the payroll report",
        },
    ),
)
