# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from finance_hub.transport import CLOSED, OPEN, Breaker, Gate, Outcome
from finance_hub.transport.constants import RETRY_AFTER_MAX, THROTTLE_DELAY

NOW = 1_700_000_000.0


def answer(status, retry_after=None):
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return Outcome(status, headers=headers)


@pytest.mark.parametrize(
    "outcome, pause",
    [
        (answer(429, "120"), 120),
        (answer(429), THROTTLE_DELAY),
        (answer(429, "soon"), THROTTLE_DELAY),
        (answer(503, "90"), 90),
        (answer(503), 0),
        (answer(503, "soon"), 0),
        (answer(500, "90"), 0),
        (answer(200, "90"), 0),
        (answer(429, "9" * 30), RETRY_AFTER_MAX.total_seconds()),
        (Outcome(error="amqp_blocked"), THROTTLE_DELAY),
        (Outcome(error="amqp_nack"), 0),
    ],
)
def test_the_whole_endpoint_waits_as_long_as_was_asked(outcome, pause):
    gate = Gate()
    gate.note(outcome, NOW)
    assert gate.changed == bool(pause)
    assert gate.opens_at(NOW) == (NOW + pause if pause else None)
    assert gate.admits(NOW + pause)
    if pause:
        assert not gate.admits(NOW + pause - 0.1)


def test_a_date_is_read_too():
    gate = Gate()
    until = datetime.fromtimestamp(NOW, timezone.utc) + timedelta(minutes=3)
    gate.note(answer(429, format_datetime(until, usegmt=True)), NOW)
    assert gate.opens_at(NOW) == NOW + 180


def test_a_shorter_pause_does_not_end_a_longer_one():
    gate = Gate()
    gate.note(answer(429, "600"), NOW)
    gate.changed = False
    gate.note(answer(429, "5"), NOW + 1)
    assert gate.opens_at(NOW + 2) == NOW + 600 and not gate.changed


def test_a_pause_says_nothing_of_the_breaker():
    gate = Gate()
    for _index in range(100):
        gate.note(answer(429, "1"), NOW)
    assert gate.breaker.state == CLOSED
    for _index in range(100):
        gate.note(answer(503, "1"), NOW)
    assert gate.breaker.state == OPEN, "a 503 is a failure besides"


def test_it_opens_when_both_do():
    gate = Gate(Breaker(state=OPEN, probe_at=NOW + 10), paused_until=NOW + 20)
    assert gate.opens_at(NOW) == NOW + 20
    assert gate.opens_at(NOW + 20) is None
    gate.breaker.half_open()
    assert not gate.admits(NOW + 15), "and the one request is not used up by asking"
    assert gate.admits(NOW + 20) and not gate.admits(NOW + 20)


def test_late_answers_ask_for_patience_all_the_same():
    gate = Gate()
    before = gate.breaker.era
    gate.breaker.half_open()
    gate.note(answer(429, "30"), NOW, before)
    assert gate.opens_at(NOW) == NOW + 30 and gate.breaker.state != OPEN
