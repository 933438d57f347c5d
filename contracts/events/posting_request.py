# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Posting requests: what other systems ask to be posted, and what became of it."""

from functools import partial
from typing import Annotated

from ..base import Contract, Description, Identifier, Label, PlainDate
from ..classification import PERSONAL
from .event_type import EventType
from .parties import LEGAL_ENTITY_SAMPLE, DocumentLink, LegalEntity


class PostingError(Contract):
    """One fault.

    :ivar code: of the exception taxonomy.
    :ivar pointer: JSON Pointer (RFC 6901) into the request.
    """

    code: Identifier
    pointer: str | None = None
    message: Description


class PostingRequest(Contract):
    """A request to post an entry.

    :ivar business_key: the sender's key; the same key is never posted twice.
    :ivar entry: what was posted.
    :ivar reason: why it is held or was rejected.
    """

    id: Identifier
    business_key: Label
    legal_entity: LegalEntity
    source: Label
    date: PlainDate
    preparer: Annotated[Label, PERSONAL] | None = None
    entry: DocumentLink | None = None
    reason: Annotated[Description, PERSONAL] | None = None
    errors: list[PostingError] = []


_SAMPLE = {
    "id": "71",
    "business_key": "payroll-2026-01",
    "legal_entity": LEGAL_ENTITY_SAMPLE,
    "source": "Payroll",
    "date": "2026-01-31",
    "preparer": "Payroll service",
    "errors": [],
}

_type = partial(
    EventType, object="posting_request", model=PostingRequest, owner="General ledger"
)

TYPES = (
    _type(
        verb="accepted",
        title="Posting request accepted",
        description="Sent when a request to post is complete and can be posted.",
        sample=_SAMPLE,
    ),
    _type(
        verb="held",
        title="Posting request held",
        description="Sent when a request to post waits for a decision.",
        sample={**_SAMPLE, "reason": "Above the approval threshold"},
    ),
    _type(
        verb="posted",
        title="Posting request posted",
        description="Sent when the requested entry is posted.",
        sample={**_SAMPLE, "entry": {"id": "2051", "number": "MISC/2026/01/0004"}},
    ),
    _type(
        verb="rejected",
        title="Posting request rejected",
        description="Sent when a request to post is refused.",
        sample={
            **_SAMPLE,
            "errors": [
                {
                    "code": "D-UNMAPPED",
                    "pointer": "/lines/0/account",
                    "message": "The account 6400 is not mapped.",
                }
            ],
        },
    ),
)
