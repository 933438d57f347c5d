# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from finance_hub.transport import next_token, take
from hypothesis import given
from hypothesis import strategies as st

RATES = st.floats(0.01, 1000)
BURSTS = st.integers(0, 1000)


def test_burst_then_rate():
    assert take(5.0, 0.0, 1.0, 5, 10) == (5, 0.0)
    assert take(0.0, 2.5, 1.0, 5, 10) == (2, 0.5)
    assert take(0.5, 100.0, 1.0, 5, 3) == (3, 2.0), "no more gathers than the burst"
    assert take(0.0, 2.0, 1.0, 0, 9) == (1, 0.0), "a burst of one at least"


def test_a_clock_that_went_back_gives_nothing_and_takes_nothing():
    assert take(2.0, -100.0, 1.0, 5, 1) == (1, 1.0)


def test_debts_are_paid_first():
    assert take(-10.0, 5.0, 1.0, 5, 3) == (0, -5.0)
    assert next_token(-5.0, 1.0) == 6.0
    assert take(-5.0, 6.0, 1.0, 5, 3) == (1, 0.0)


def test_the_next_token():
    assert next_token(0.25, 0.5) == 1.5
    assert next_token(1.0, 0.5) == 0.0


@given(
    rate=RATES,
    burst=BURSTS,
    steps=st.lists(st.tuples(st.floats(0, 10), st.integers(1, 50)), max_size=50),
)
def test_never_faster_than_rate_and_burst(rate, burst, steps):
    tokens, total, elapsed = float(burst), 0, 0.0
    for seconds, wanted in steps:
        elapsed += seconds
        granted, tokens = take(tokens, seconds, rate, burst, wanted)
        assert 0 <= granted <= wanted and tokens >= 0
        total += granted
        assert total <= max(burst, 1) + elapsed * rate + 1e-6


@given(rate=RATES, tokens=st.floats(-100, 0.999))
def test_after_the_wait_there_is_one(rate, tokens):
    wait = next_token(tokens, rate)
    # A little longer than the time that rounding takes away.
    granted, _left = take(tokens, wait * (1 + 1e-9) + 1e-9, rate, 10, 1)
    assert granted == 1
