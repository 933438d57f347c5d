# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Decisions of other systems about something that is held here."""

from typing import Annotated, Literal

from pydantic import Field

from ..base import Contract, Identifier, LongText, Text, UtcDateTime
from .command_type import CommandType

_Subject = Annotated[
    Identifier,
    Field(
        description="What it is about: `<object>/<id>` as in the event that asked, or "
        "the number of the document."
    ),
]


class RiskDecision(Contract):
    """A verdict of a fraud, sanctions, compliance or risk system.

    :ivar decision_ref: the sender's id of the verdict.
    :ivar kind: what was looked at.
    :ivar verdict: ``review`` means that the other system's people are at it.
    :ivar expires_at: an expired verdict is not valid.
    """

    subject: _Subject
    decision_ref: Identifier
    kind: Literal["risk", "fraud", "sanctions", "compliance", "exposure"] = "risk"
    verdict: Literal["approved", "rejected", "review"]
    decided_at: UtcDateTime
    expires_at: UtcDateTime
    score: Identifier | None = None
    reason: LongText | None = None


class ApprovalOutcome(Contract):
    """What was decided in an external workflow tool.

    :ivar version: of the subject, as in the event that asked: the decision counts
        only if the subject is unchanged since.
    :ivar step: which of several steps is decided on, by its name or id in the event
        that asked. Without it, it is the first that is open and the approver's.
    :ivar approver: who decided, as the tool names them.
    """

    subject: _Subject
    version: Identifier
    step: Identifier | None = None
    decision: Literal["approved", "rejected"]
    approver: Text
    decided_at: UtcDateTime
    reason: LongText | None = None


_MOMENT = "2026-02-10T08:15:00Z"

TYPES = (
    CommandType(
        name="risk.decision",
        title="Risk decision",
        description="Releases or rejects what waits for the verdict.",
        model=RiskDecision,
        business_key=("subject", "decision_ref"),
        time_field="decided_at",
        sample={
            "subject": "invoice/1042",
            "decision_ref": "rd_90c1",
            "kind": "fraud",
            "verdict": "approved",
            "decided_at": _MOMENT,
            "expires_at": "2026-02-11T08:15:00Z",
            "score": "12",
        },
    ),
    CommandType(
        name="approval.outcome",
        title="Approval outcome",
        description="Applies a decision made elsewhere, if the subject is unchanged.",
        model=ApprovalOutcome,
        business_key=("subject", "version", "decided_at"),
        # Two steps can be decided on in the same moment.
        optional_key=("step",),
        time_field="decided_at",
        sample={
            "subject": "posting_request/71",
            "version": "3b1f0c55",
            "step": "Chief accountant",
            "decision": "approved",
            "approver": "chief.accountant@example.com",
            "decided_at": _MOMENT,
        },
    ),
)
