# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Statuses of a business transaction: separate axes, folded from a log.

The state is never stored by overwriting; it is computed from an append-only log of
transitions, so that any order of arrival gives the same state.

The rule, for each axis by itself: the transition with the highest **rank** wins;
among equal ranks the latest **event time**; then the greatest transition id, then
the status name. That is a total order on what a transition says, so the result
depends neither on the order nor on repetitions.

Why rank before time: clocks of different systems disagree and progress is mostly one
way, so ``captured`` stays although an ``authorised`` with a later time trails in.
Statuses which can follow one another both ways, and ends that exclude each other
(``returned`` and ``capture_failed``, ``won`` and ``lost``), share a rank and leave
it to the event time.
"""

from collections.abc import Iterable
from datetime import datetime

from .base import ContractError

#: Rank of each status on each axis.
AXES: dict[str, dict[str, int]] = {
    "execution": {
        "initiated": 10,
        "pending_approval": 20,
        "approved": 30,
        "held": 35,
        "submitted": 40,
        # Not known is not failed: whatever is known later outranks it.
        "unknown": 45,
        "acknowledged": 50,
        # A payer may try again after a failure, so success outranks it …
        "rejected": 55,
        "failed": 55,
        "authorised": 60,
        # … but what ends an authorisation outranks that in turn.
        "cancelled": 65,
        "expired": 65,
        "captured": 70,
        # Both take a capture back.
        "capture_failed": 80,
        "returned": 80,
    },
    "settlement": {
        "none": 0,
        "pending": 10,
        "settled": 20,
        "paid_out": 30,
        "reversed": 40,
    },
    "refund": {
        "none": 0,
        "pending": 10,
        "partial": 20,
        "full": 20,
        # Each refund has a log of its own, and what fails after it succeeded never
        # succeeds again. What several refunds of a payment come to follows from their
        # amounts.
        "failed": 30,
        "reversed": 30,
    },
    "dispute": {"none": 0, "inquiry": 10, "open": 20, "won": 30, "lost": 30},
    "accounting": {"none": 0, "held": 10, "posted": 20, "reversed": 30},
    "reconciliation": {
        # A reconciliation can be undone and done again.
        "unreconciled": 10,
        "tentative": 10,
        "reconciled": 10,
    },
}

#: Statuses in which a person has to look: money that was thought to be there is not.
ADVERSE = frozenset(
    {
        ("execution", "rejected"),
        ("execution", "failed"),
        ("execution", "expired"),
        ("execution", "capture_failed"),
        ("execution", "returned"),
        ("settlement", "reversed"),
        ("dispute", "open"),
        ("dispute", "lost"),
    }
)

Transition = tuple[str, str, datetime, str | int]


def rank(axis: str, status: str) -> int:
    """Return the rank of a status on its axis.

    :raises ContractError: ``D-SCHEMA`` for an unknown axis or status.
    """
    try:
        return AXES[axis][status]
    except KeyError:
        known = ", ".join(AXES.get(axis, AXES))
        raise ContractError(
            f"There is no status {status!r} on the axis {axis!r}; known: {known}."
        ) from None


def fold(transitions: Iterable[Transition]) -> dict[str, str]:
    """Return the status of every axis that has a transition.

    Order and repetition of the transitions do not matter; see the module's rule.

    :param transitions: ``(axis, status, event time, transition id)``; the times all
        timezone-aware, or all naive UTC as the ORM keeps them; the ids all texts or
        all numbers.
    :raises ContractError: ``D-SCHEMA`` for an unknown axis or status.
    """
    best: dict[str, tuple] = {}
    for axis, status, event_time, transition_id in transitions:
        key = (rank(axis, status), event_time, transition_id, status)
        if axis not in best or key > best[axis]:
            best[axis] = key
    return {axis: best[axis][3] for axis in AXES if axis in best}
