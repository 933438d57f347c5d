# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import pytest
from finance_hub.transport import CLOSED, HALF_OPEN, OPEN, Breaker, Outcome, verdict
from finance_hub.transport.constants import (
    BREAKER_BUCKET_SECONDS,
    BREAKER_MIN_SAMPLE,
    BREAKER_REST_MAX_SECONDS,
    BREAKER_REST_SECONDS,
    BREAKER_WINDOW_SECONDS,
)
from hypothesis import given
from hypothesis import strategies as st

NOW = 1_000_000.0


def opened(now=NOW):
    breaker = Breaker()
    for _index in range(BREAKER_MIN_SAMPLE):
        breaker.record(False, now)
    assert breaker.state == OPEN
    return breaker


@pytest.mark.parametrize(
    "outcome, said",
    [
        (Outcome(200), True),
        (Outcome(confirmed=True), True),
        (Outcome(429), None),
        (Outcome(error="amqp_nack"), None),
        (Outcome(error="cancelled"), None),
        (Outcome(error="too_large"), True),
        (Outcome(400), True),
        (Outcome(422), True),
        (Outcome(401), False),
        (Outcome(404), False),
        (Outcome(500), False),
        (Outcome(302, error="redirect"), False),
        (Outcome(304), False),
        (Outcome(error="timeout"), False),
        (Outcome(error="auth"), False),
        (Outcome(), False),
    ],
)
def test_what_an_outcome_says(outcome, said):
    assert verdict(outcome) is said


def test_below_the_sample_it_stays_closed():
    breaker = Breaker()
    for _index in range(BREAKER_MIN_SAMPLE - 1):
        breaker.record(False, NOW)
    assert breaker.state == CLOSED and breaker.admits(NOW) and not breaker.changed
    breaker.record(False, NOW)
    assert breaker.state == OPEN and not breaker.admits(NOW) and breaker.changed


def test_it_opens_by_the_rate():
    breaker = Breaker()
    for _index in range(100):
        breaker.record(True, NOW)
    for _index in range(99):
        breaker.record(False, NOW)
    assert breaker.state == CLOSED
    breaker.record(False, NOW)
    assert breaker.state == OPEN


def test_a_success_never_opens_it():
    breaker = Breaker()
    breaker.seed(0, 100, NOW)
    breaker.record(True, NOW)
    assert breaker.state == CLOSED
    breaker.record(False, NOW)
    assert breaker.state == OPEN


def test_failures_are_forgotten_after_the_window():
    breaker = Breaker()
    for _index in range(BREAKER_MIN_SAMPLE - 1):
        breaker.record(False, NOW)
    later = NOW + BREAKER_WINDOW_SECONDS + 1
    assert breaker.counts(later) == (0, 0)
    breaker.record(False, later)
    assert breaker.state == CLOSED


def test_memory_is_bounded():
    breaker = Breaker()
    for second in range(10_000):
        breaker.record(True, NOW + second)
    assert len(breaker._buckets) <= BREAKER_WINDOW_SECONDS / BREAKER_BUCKET_SECONDS + 1


def test_a_request_that_succeeds_closes_it():
    breaker = opened()
    assert breaker.probe_at == NOW + BREAKER_REST_SECONDS
    breaker.half_open()
    assert breaker.admits(NOW) and not breaker.admits(NOW), "once"
    breaker.record(True, NOW)
    assert (breaker.state, breaker.probe_at, breaker.trips) == (CLOSED, None, 0)
    assert breaker.counts(NOW) == (0, 0), "what was before is over"


def test_a_request_that_fails_doubles_the_rest():
    breaker, now, rests = opened(), NOW, []
    for _index in range(10):
        rests.append(breaker.probe_at - now)
        now = breaker.probe_at
        breaker.half_open()
        breaker.record(False, now)
    assert rests[:3] == [
        BREAKER_REST_SECONDS,
        BREAKER_REST_SECONDS * 2,
        BREAKER_REST_SECONDS * 4,
    ]
    assert rests[-1] == BREAKER_REST_MAX_SECONDS
    assert rests == sorted(rests)


def test_one_that_says_nothing_leaves_it_to_the_next():
    breaker = opened()
    breaker.half_open()
    assert breaker.admits(NOW)
    breaker.record(None, NOW + 20)
    assert (breaker.state, breaker.probe_at, breaker.trips) == (OPEN, NOW + 20, 1)
    breaker.half_open()
    assert breaker.admits(NOW + 21)


def test_late_answers_of_an_earlier_era_decide_nothing():
    """Sent before it opened, a time-out comes in when another request is on trial."""
    breaker = Breaker()
    before = breaker.era
    for _index in range(BREAKER_MIN_SAMPLE):
        breaker.record(False, NOW, before)
    breaker.half_open()
    assert breaker.admits(NOW)
    trial = breaker.era
    breaker.record(False, NOW + 16, before)
    assert breaker.state == HALF_OPEN and not breaker.admits(NOW + 16)
    breaker.record(True, NOW + 17, trial)
    assert breaker.state == CLOSED
    for _index in range(BREAKER_MIN_SAMPLE):
        breaker.record(False, NOW + 18, before)
    assert breaker.state == CLOSED


def test_what_another_run_saw_is_taken_over():
    breaker = Breaker()
    breaker.adopt(OPEN, NOW, NOW + 60, 3)
    assert (breaker.state, breaker.probe_at, breaker.trips) == (OPEN, NOW + 60, 3)
    assert not breaker.changed, "it is saved already"
    breaker.adopt(HALF_OPEN, NOW, NOW + 100, 3)
    assert (breaker.state, breaker.probe_at) == (OPEN, NOW + 100), "the other one's"
    breaker.adopt(CLOSED, None, None, 0)
    assert breaker.state == CLOSED and breaker.admits(NOW) and not breaker.changed
    breaker.record(False, NOW)
    breaker.adopt(CLOSED, None, None, 0)
    assert breaker.counts(NOW) == (0, 1), "its own counts stay"


@given(st.lists(st.tuples(st.sampled_from([True, False, None]), st.floats(0, 30))))
def test_whatever_happens_there_is_a_way_out(story):
    breaker, now = Breaker(), NOW
    for healthy, seconds in story:
        now += seconds
        if breaker.state == OPEN and now >= breaker.probe_at:
            breaker.half_open()
        if breaker.admits(now):
            breaker.record(healthy, now)
        assert breaker.state in (CLOSED, OPEN)
        if breaker.state == OPEN:
            assert breaker.probe_at - now <= BREAKER_REST_MAX_SECONDS
    if breaker.state == OPEN:
        breaker.half_open()
        assert breaker.admits(now)
        breaker.record(True, now)
    assert breaker.state == CLOSED
