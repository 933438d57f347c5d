"""What the way of a posting keeps to itself, and what policies are compared with.

The marks live in this process alone: no caller from outside can set them, as it could
a key of the context.
"""

from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

# What is posted now follows from something that has happened, or was consented to
# where it was asked for.
_covered = ContextVar("finance_hub_covered", default=False)
# {(model, id)} of the records that the method which posts them has looked at.
_checked = ContextVar("finance_hub_checked", default=frozenset())
# The records that assistants made inside and that wait for consent, None outside.
_left = ContextVar("finance_hub_left", default=None)


@contextmanager
def covered():
    """Let what is posted inside go without a consent of its own.

    For what a provider or bank reports, for what Odoo books when items are matched,
    and for entries whose request was consented to.
    """
    token = _covered.set(True)
    try:
        yield
    finally:
        _covered.reset(token)


def is_covered():
    return _covered.get()


@contextmanager
def checked(records):
    """Tell the guard of the state inside that ``records`` were looked at already."""
    keys = {(records._name, record_id) for record_id in records._ids}
    token = _checked.set(_checked.get() | keys)
    try:
        yield
    finally:
        _checked.reset(token)


@contextmanager
def leaving_drafts():
    """Have what lacks a consent asked for and left a draft, instead of refused.

    For assistants that make and post in one go.

    :return: a list that gets a recordset for each lot that was left
    """
    left = []
    token = _left.set(left)
    try:
        yield left
    finally:
        _left.reset(token)


def left_drafts():
    """Return the list of :func:`leaving_drafts`, None outside of it."""
    return _left.get()


def unchecked(records):
    """Return the records that nobody looked at."""
    known = _checked.get()
    if not known:
        return records
    return records.filtered(lambda record: (record._name, record.id) not in known)


class Subject(NamedTuple):
    """What a policy is compared with.

    :ivar key: of the answer, such as the id of the record
    :ivar kind: a key of ``approval.finance_policy.KINDS``
    :ivar amount: positive, in the currency of the company
    :ivar partners: recordset of counterparties, commercial entities among them
    :ivar connector_ids: set of ids of the systems that know it
    :ivar record: of the model that a further condition is about, None without one
    """

    key: Any
    kind: str
    company: Any
    amount: float
    partners: Any
    connector_ids: set
    record: Any
