# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import itertools
import random
from datetime import UTC, datetime, timedelta

import pytest
from finance_hub.contracts import ADVERSE, AXES, ContractError, fold, rank
from hypothesis import given
from hypothesis import strategies as st

START = datetime(2026, 1, 31, tzinfo=UTC)


def at(hours):
    return START + timedelta(hours=hours)


def execution(*steps):
    return fold(
        ("execution", status, at(hours), number)
        for number, (status, hours) in enumerate(steps)
    )["execution"]


statuses = st.sampled_from([(axis, status) for axis in AXES for status in AXES[axis]])
transitions = st.builds(
    lambda pair, hours, number: (*pair, at(hours), number),
    statuses,
    st.integers(0, 5),
    st.integers(0, 5),
)


@given(st.lists(transitions, max_size=12), st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_give_one_state(log, rng):
    expected = fold(log)
    shuffled = log + rng.choices(log, k=len(log)) if log else log
    rng.shuffle(shuffled)
    assert fold(shuffled) == expected
    assert set(expected) == {axis for axis, *_rest in log}


@given(st.lists(transitions, max_size=4))
def test_all_permutations(log):
    assert len({tuple(fold(each).items()) for each in itertools.permutations(log)}) == 1


@given(st.lists(transitions, max_size=8), st.lists(transitions, max_size=8))
def test_folding_in_two_steps_is_no_shortcut_that_changes_the_result(first, second):
    def best(log):
        found = {}
        for axis, status, moment, number in log:
            key = (rank(axis, status), moment, number, status)
            found[axis] = max(found.get(axis, key), key)
        return [(axis, key[3], key[1], key[2]) for axis, key in found.items()]

    assert fold(best(first) + best(second)) == fold(first + second)


def test_a_late_authorisation_does_not_take_back_a_capture():
    assert execution(("captured", 1), ("authorised", 2)) == "captured"


def test_success_after_a_failed_try():
    assert execution(("failed", 1), ("captured", 2)) == "captured"
    assert execution(("captured", 2), ("failed", 3)) == "captured"


def test_what_takes_a_capture_back():
    assert execution(("captured", 1), ("capture_failed", 2)) == "capture_failed"
    assert execution(("captured", 1), ("returned", 2)) == "returned"


def test_excluding_ends_are_decided_by_time():
    assert execution(("returned", 2), ("capture_failed", 1)) == "returned"
    dispute = [("dispute", "won", at(2), 1), ("dispute", "lost", at(3), 2)]
    assert fold(dispute) == {"dispute": "lost"}
    undone = [
        ("reconciliation", "reconciled", at(1), 1),
        ("reconciliation", "unreconciled", at(2), 2),
    ]
    assert fold(reversed(undone)) == {"reconciliation": "unreconciled"}


def test_unknown_is_not_failed():
    assert execution(("submitted", 1), ("unknown", 2)) == "unknown"
    assert execution(("unknown", 2), ("acknowledged", 1)) == "acknowledged"
    assert ("execution", "unknown") not in ADVERSE


def test_axes_are_separate():
    log = [
        ("execution", "captured", at(1), 1),
        ("settlement", "settled", at(2), 2),
        ("refund", "partial", at(3), 3),
    ]
    random.Random(0).shuffle(log)
    assert fold(log) == {
        "execution": "captured",
        "settlement": "settled",
        "refund": "partial",
    }
    assert fold([]) == {}


def test_unknown_axes_and_statuses():
    for axis, status in (("execution", "x"), ("x", "captured"), ("refund", "captured")):
        with pytest.raises(ContractError):
            fold([(axis, status, START, 1)])
    assert all(status in AXES[axis] for axis, status in ADVERSE)
