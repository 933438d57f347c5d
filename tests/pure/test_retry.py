# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import random
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from finance_hub.contracts import TAXONOMY
from finance_hub.transport import (
    DEADLETTER_CODE,
    ERRORS,
    RETRY_SCHEDULE,
    Outcome,
    check_schedule,
    decide,
    error_code,
    explain,
    format_schedule,
    parse_retry_after,
    parse_schedule,
    truncate_body,
    with_jitter,
)
from finance_hub.transport import constants as const
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


class NoJitter(random.Random):
    def random(self):
        return 0.0


class FullJitter(random.Random):
    def random(self):
        return 0.999999


def answer(status, **headers):
    return Outcome(
        status=status,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def wait(decision):
    return (decision.due_at - NOW).total_seconds()


# === SCHEDULE === #


def test_the_default_schedule_is_the_published_one():
    assert RETRY_SCHEDULE == (0, 5, 300, 1800, 7200, 18000, 36000, 36000)


def test_a_failing_delivery_walks_through_the_schedule_and_dies():
    waits = []
    for made in range(1, len(RETRY_SCHEDULE)):
        decision = decide(answer(500), made, NOW, rng=NoJitter())
        assert decision.kind == "retry" and decision.counts_as_attempt
        waits.append(wait(decision))
    assert waits == list(RETRY_SCHEDULE[1:])
    last = decide(answer(500), len(RETRY_SCHEDULE), NOW)
    assert (last.kind, last.due_at, last.counts_as_attempt) == ("dead", None, True)
    assert "8 attempts" in last.reason


@given(st.floats(0, 1e6), st.integers())
def test_jitter_only_adds(delay, seed):
    jittered = with_jitter(delay, random.Random(seed))
    assert delay <= jittered <= delay * (1 + const.JITTER_SHARE)


@given(
    st.one_of(st.none(), st.integers(100, 599)),
    st.one_of(st.none(), st.sampled_from(sorted(ERRORS)), st.text(max_size=5)),
    st.integers(1, 12),
    st.one_of(st.none(), st.text(max_size=12), st.integers(0, 10**7).map(str)),
    st.booleans(),
    st.integers(0, 1000),
)
def test_decide_is_total_and_never_early(
    status, error, made, retry_after, dead_on_client_error, throttles
):
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    outcome = Outcome(status=status, error=error, headers=headers)
    decision = decide(
        outcome,
        made,
        NOW,
        dead_on_client_error=dead_on_client_error,
        throttles_made=throttles,
    )
    assert decision.reason
    assert (decision.kind == "delivered") == outcome.delivered
    assert (decision.due_at is None) == (decision.kind != "retry")
    if decision.kind == "retry":
        asked = parse_retry_after(retry_after, NOW) or 0.0
        assert decision.due_at.utcoffset() == timedelta(0)
        assert wait(decision) >= asked - 1e-6
        if decision.counts_as_attempt:
            assert wait(decision) >= RETRY_SCHEDULE[made] - 1e-6
        else:
            assert status == 429 or error in const.THROTTLE_ERRORS
            assert wait(decision) >= const.THROTTLE_MIN_DELAY
    if not outcome.delivered:
        explanation = explain(outcome)
        assert explanation.code in TAXONOMY
        assert explanation.cause.endswith(".") and explanation.next_step.endswith(".")


def test_wrong_arguments():
    for now, made, schedule in (
        (NOW.replace(tzinfo=None), 1, RETRY_SCHEDULE),
        (NOW, 0, RETRY_SCHEDULE),
        (NOW, 1, ()),
        (NOW, 1, (0, -1)),
    ):
        with pytest.raises(ValueError):
            decide(answer(500), made, now, schedule)
    assert check_schedule([1, 2]) == (1, 2)


def test_due_at_is_utc_whatever_the_zone_of_now():
    eastern = NOW.astimezone(timezone(timedelta(hours=-5)))
    decision = decide(answer(500), 1, eastern, rng=NoJitter())
    assert decision.due_at == NOW + timedelta(seconds=5)
    assert decision.due_at.tzinfo is UTC


def test_schedules_as_text():
    assert parse_schedule("0, 5,300") == (0.0, 5.0, 300.0)
    assert parse_schedule(format_schedule(RETRY_SCHEDULE)) == RETRY_SCHEDULE
    for text in ("", None, "x", "1,,2", "-1", "1e3", "٣", ",".join("1" * 51), "9" * 9):
        with pytest.raises(ValueError):
            parse_schedule(text)


# === ANSWERS === #


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_delivered(status):
    decision = decide(answer(status), 1, NOW)
    assert (decision.kind, decision.due_at) == ("delivered", None)


@pytest.mark.parametrize("status", [100, 199, 301, 302, 307, 308, 500, 502, 503, 504])
def test_retried_whatever_the_setting(status):
    for setting in (False, True):
        decision = decide(answer(status), 1, NOW, dead_on_client_error=setting)
        assert decision.kind == "retry" and decision.counts_as_attempt


@pytest.mark.parametrize("status", [408, 409, 425])
def test_client_errors_which_mean_later(status):
    assert decide(answer(status), 1, NOW, dead_on_client_error=True).kind == "retry"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 451])
def test_other_client_errors(status):
    assert decide(answer(status), 1, NOW).kind == "retry"
    decision = decide(answer(status), 1, NOW, dead_on_client_error=True)
    assert decision.kind == "dead" and decision.due_at is None


def test_gone():
    decision = decide(answer(410), 1, NOW)
    assert decision.kind == "gone" and "410" in decision.reason


@pytest.mark.parametrize("error", sorted(set(ERRORS) - const.THROTTLE_ERRORS))
def test_errors_are_retried(error):
    assert decide(Outcome(error=error), 1, NOW).kind == "retry"
    assert decide(Outcome(error=error), 8, NOW).kind == "dead"


def test_an_answer_with_an_error_is_no_success():
    outcome = Outcome(status=200, error="too_large")
    assert not outcome.delivered
    assert decide(outcome, 1, NOW).kind == "retry"


@pytest.mark.parametrize("error", sorted(const.REFUSAL_ERRORS))
def test_refusals_of_a_broker_are_like_client_errors(error):
    assert error in ERRORS
    decision = decide(Outcome(error=error), 1, NOW, dead_on_client_error=True)
    assert decision.kind == "dead" and decision.counts_as_attempt
    assert decide(Outcome(error=error), 1, NOW).kind == "retry"


def test_a_confirm_is_a_success_without_a_status():
    outcome = Outcome(confirmed=True)
    assert outcome.delivered and not Outcome(confirmed=True, error="connect").delivered
    decision = decide(outcome, 1, NOW)
    assert decision.kind == "delivered" and "None" not in decision.reason


# === THROTTLING === #


@pytest.mark.parametrize("error", sorted(const.THROTTLE_ERRORS))
def test_a_broker_that_takes_nothing_uses_up_no_attempt(error):
    assert error in ERRORS
    decision = decide(Outcome(error=error), 8, NOW, rng=NoJitter())
    assert (decision.kind, decision.counts_as_attempt) == ("retry", False)
    assert wait(decision) == const.THROTTLE_DELAY
    limits = {"throttles_made": const.THROTTLES_MAX}
    assert decide(Outcome(error=error), 8, NOW, **limits).kind == "dead"


def test_throttling_uses_up_no_attempt():
    decision = decide(answer(429, Retry_After="7"), 8, NOW, rng=NoJitter())
    assert (decision.kind, decision.counts_as_attempt) == ("retry", False)
    assert wait(decision) == 7
    without = decide(answer(429), 8, NOW, rng=NoJitter())
    assert wait(without) == const.THROTTLE_DELAY


def test_throttling_does_not_go_on_for_ever():
    for limits in (
        {"throttles_made": const.THROTTLES_MAX},
        {"first_attempt_at": NOW - const.THROTTLE_AGE_MAX},
    ):
        assert decide(answer(429), 2, NOW, **limits).counts_as_attempt
        assert decide(answer(429), 8, NOW, **limits).kind == "dead"
    fresh = {
        "throttles_made": const.THROTTLES_MAX - 1,
        "first_attempt_at": NOW - const.THROTTLE_AGE_MAX + timedelta(seconds=1),
    }
    assert not decide(answer(429), 8, NOW, **fresh).counts_as_attempt


# === RETRY-AFTER === #


def test_retry_after_is_honoured_in_full():
    longer = decide(answer(503, retry_after="7200"), 1, NOW, rng=NoJitter())
    assert wait(longer) == 7200 and longer.counts_as_attempt
    shorter = decide(answer(503, retry_after="1"), 3, NOW, rng=NoJitter())
    assert wait(shorter) == 1800
    jittered = decide(answer(503, retry_after="7200"), 1, NOW, rng=FullJitter())
    assert 7200 < wait(jittered) <= 7200 * 1.2


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 120 ", 120),
        ("000000000000120", 120),
        ("86400", 86400),
        ("86401", 86400),
        ("9" * 5000, 86400),
        (format_datetime(NOW + timedelta(hours=2), usegmt=True), 7200),
        (format_datetime(NOW - timedelta(hours=2), usegmt=True), 0),
        ("Saturday, 31-Jan-26 10:30:00 GMT", 3600),
        ("Sat Jan 31 10:30:00 2026", 3600),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86400),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("120, 240", None),
        ("١٢٠", None),
        ("Sat, 99 Jan 2026 10:30:00 GMT", None),
    ],
)
def test_parse_retry_after(value, seconds):
    assert parse_retry_after(value, NOW) == seconds


@given(st.text())
def test_parse_retry_after_is_total(value):
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or 0 <= seconds <= const.RETRY_AFTER_MAX.total_seconds()


# === WORDS === #


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome(error="timeout"), "T-TIMEOUT"),
        (answer(408), "T-TIMEOUT"),
        (answer(504), "T-TIMEOUT"),
        (Outcome(error="connect"), "T-CONNECT"),
        (Outcome(error="dns"), "T-CONNECT"),
        (Outcome(), "T-CONNECT"),
        (Outcome(error="tls"), "T-TLS"),
        (Outcome(error="address_refused"), "T-ADDRESS"),
        (Outcome(status=302, error="redirect"), "T-REDIRECT"),
        (answer(302), "T-REDIRECT"),
        (answer(500), "T-5XX"),
        (answer(503), "T-5XX"),
        (answer(503, Retry_After="3"), "T-THROTTLED"),
        (answer(429), "T-THROTTLED"),
        (answer(410), "T-GONE"),
        (answer(401), "T-4XX"),
        (answer(404), "T-4XX"),
        (answer(422), "T-4XX"),
        (Outcome(error="amqp_unroutable"), "T-4XX"),
        (Outcome(error="amqp_login"), "T-4XX"),
        (Outcome(error="amqp_nack"), "T-THROTTLED"),
        (Outcome(error="amqp_blocked"), "T-THROTTLED"),
        (Outcome(error="amqp_timeout"), "T-TIMEOUT"),
        (Outcome(error="amqp_channel"), "T-5XX"),
        (Outcome(error="amqp_protocol"), "T-CONNECT"),
        (Outcome(error="amqp_library"), "T-INTERNAL"),
    ],
)
def test_error_code(outcome, code):
    assert error_code(outcome) == code and code in TAXONOMY


def test_every_error_has_words_of_its_own():
    words = [explain(Outcome(error=error)) for error in ERRORS]
    assert len({explanation.cause for explanation in words}) == len(ERRORS)
    assert {explanation.code for explanation in words} <= set(TAXONOMY)
    assert DEADLETTER_CODE in TAXONOMY
    with pytest.raises(ValueError):
        explain(answer(200))


def test_outcome():
    outcome = answer(200, Content_Type="x")
    assert outcome.header("content-type") == "x" and outcome.header("none") is None
    assert truncate_body(b"x" * 65536) == (b"x" * 65536, False)
    assert truncate_body(b"x" * 65537) == (b"x" * 65536, True)
    with pytest.raises(AttributeError):
        outcome.status = 500
