# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What follows from an attempt: done, again later, or given up. Pure functions.

Sources: Standard Webhooks 1.0.0 (deliverability), CloudEvents HTTP webhooks 1.0
(429 and Retry-After), RFC 9110 section 10.2.3 (Retry-After).
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

from . import constants as const
from .outcome import Outcome

_SECONDS = re.compile(r"[0-9]+")
_system_rng = random.SystemRandom()

DELIVERED = "delivered"
RETRY = "retry"
DEAD = "dead"
GONE = "gone"

#: Taxonomy code of a delivery whose decision is ``dead``.
DEADLETTER_CODE = "T-DEADLETTER"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do after an attempt.

    :ivar kind: ``delivered``; ``retry`` at ``due_at``; ``dead`` (given up, opens an
        exception); ``gone`` (given up, and the endpoint is to be suspended).
    :ivar due_at: when to try again, UTC; ``None`` unless ``kind`` is ``retry``.
    :ivar counts_as_attempt: whether the attempt uses up one of the schedule.
    :ivar reason: a sentence for a person.
    """

    kind: str
    due_at: datetime | None
    counts_as_attempt: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A failed attempt in words.

    :ivar code: a code of the exception taxonomy.
    :ivar cause: what happened, a sentence in plain English.
    :ivar next_step: what a person can do about it.
    """

    code: str
    cause: str
    next_step: str


# === RETRY-AFTER === #


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Return the wait a receiver asks for, in seconds from ``now``.

    Both forms of RFC 9110 are read: a number of seconds, and an HTTP date. The
    answer is never shorter than asked, except that it ends at ``RETRY_AFTER_MAX``.
    ``None`` when there is none or it is unreadable; 0 for a date in the past.

    :param now: the present time, timezone-aware.
    """
    value = (value or "").strip()
    longest = const.RETRY_AFTER_MAX.total_seconds()
    if _SECONDS.fullmatch(value):
        digits = value.lstrip("0") or "0"
        if len(digits) > const.RETRY_AFTER_MAX_DIGITS:
            return longest
        return min(float(digits), longest)
    if not value.isascii():
        return None
    try:
        asked = parsedate_to_datetime(value)
        if asked.tzinfo is None:
            asked = asked.replace(tzinfo=timezone.utc)
        seconds = (asked - now).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(max(seconds, 0.0), longest)


# === DECISION === #


def check_schedule(schedule: Sequence[float]) -> tuple[float, ...]:
    """Return ``schedule`` as a tuple.

    :raises ValueError: when it is empty or holds a negative delay.
    """
    schedule = tuple(schedule)
    if not schedule or any(delay < 0 for delay in schedule):
        raise ValueError("A retry schedule needs one or more delays of 0 or more.")
    return schedule


def with_jitter(delay: float, rng: random.Random | None = None) -> float:
    """Return ``delay`` or somewhat more, never less. Seconds."""
    return delay * (1.0 + const.JITTER_SHARE * (rng or _system_rng).random())


def decide(
    outcome: Outcome,
    attempts_made: int,
    now: datetime,
    schedule: Sequence[float] = const.RETRY_SCHEDULE,
    rng: random.Random | None = None,
    *,
    dead_on_client_error: bool = False,
    throttles_made: int = 0,
    first_attempt_at: datetime | None = None,
) -> Decision:
    """Decide what follows from the outcome of an attempt.

    * an answer in the 200s, or a broker's confirm: delivered;
    * 410: gone, the endpoint is to be suspended;
    * 429, or one of ``THROTTLE_ERRORS``: again later, without using up an attempt,
      until ``THROTTLES_MAX`` of them or ``THROTTLE_AGE_MAX`` after the first attempt;
      then it counts;
    * other answers in the 400s except 408, 409 and 425, and ``REFUSAL_ERRORS``: dead
      at once when ``dead_on_client_error``, else retried;
    * everything else (redirects, 5xx, time-outs, no connection): retried.

    A retry is due after the schedule's delay or the receiver's Retry-After, whichever
    is longer, plus jitter. When the schedule is used up the delivery is dead.

    :param attempts_made: attempts that counted so far, with this one included: 1
        after the first. The caller stores it when ``counts_as_attempt`` is true.
    :param now: the present time, UTC and timezone-aware.
    :param schedule: delay before each attempt in seconds, the first one included; its
        length is the number of attempts.
    :param rng: source of the jitter; the system's by default.
    :param throttles_made: how many 429 of this delivery did not count so far.
    :param first_attempt_at: when this delivery was tried first, timezone-aware.
    :raises ValueError: for a naive ``now``, an empty schedule, ``attempts_made`` < 1.
    """
    if now.tzinfo is None:
        raise ValueError("now has to be timezone-aware.")
    if attempts_made < 1:
        raise ValueError("attempts_made includes the attempt just made: 1 or more.")
    schedule = check_schedule(schedule)
    status = outcome.status
    if outcome.delivered:
        how = "confirmed by the broker" if outcome.confirmed else f"answer {status}"
        return Decision(DELIVERED, None, True, f"Delivered, {how}.")
    cause = explain(outcome).cause
    if status == 410:
        return Decision(GONE, None, True, cause)
    if dead_on_client_error and _refused(outcome):
        return Decision(
            DEAD,
            None,
            True,
            f"{cause} The endpoint is set to give up at once on such an answer.",
        )
    asked = parse_retry_after(outcome.header("retry-after"), now)
    throttled = status == 429 or outcome.error in const.THROTTLE_ERRORS
    if throttled and not _throttled_for_too_long(throttles_made, now, first_attempt_at):
        delay = const.THROTTLE_DELAY if asked is None else asked
        delay = max(delay, const.THROTTLE_MIN_DELAY)
        return _retry(now, delay, rng, False, cause)
    if attempts_made >= len(schedule):
        return Decision(
            DEAD,
            None,
            True,
            f"{cause} That was the last of {len(schedule)} attempts.",
        )
    delay = max(float(schedule[attempts_made]), asked or 0.0)
    return _retry(now, delay, rng, True, cause)


def _refused(outcome: Outcome) -> bool:
    """Whether trying again is unlikely to help."""
    status = outcome.status
    return outcome.error in const.REFUSAL_ERRORS or (
        status is not None
        and 400 <= status < 500
        and status not in const.RETRYABLE_CLIENT_ERRORS
    )


def _throttled_for_too_long(
    throttles_made: int, now: datetime, first_attempt_at: datetime | None
) -> bool:
    return throttles_made >= const.THROTTLES_MAX or (
        first_attempt_at is not None
        and now - first_attempt_at >= const.THROTTLE_AGE_MAX
    )


def _retry(
    now: datetime,
    delay: float,
    rng: random.Random | None,
    counts: bool,
    cause: str,
) -> Decision:
    due_at = now.astimezone(timezone.utc) + timedelta(seconds=with_jitter(delay, rng))
    return Decision(RETRY, due_at, counts, cause)


# === WORDS === #

_EXPLANATIONS = {
    "timeout": (
        "T-TIMEOUT",
        "The receiver did not answer in time.",
        "Ask the receiver to store the message, answer at once and work afterwards. "
        "The hub tries again by itself.",
    ),
    "connect": (
        "T-CONNECT",
        "No connection to the receiver, or it broke off.",
        "Check that the receiver is running and reachable from this server. The hub "
        "tries again by itself.",
    ),
    "tls": (
        "T-TLS",
        "The receiver's TLS certificate or handshake was refused.",
        "Ask the receiver to renew or correct its certificate and chain.",
    ),
    "dns": (
        "T-CONNECT",
        "The receiver's host name could not be resolved.",
        "Check the spelling of the endpoint's URL and the name server.",
    ),
    "address_refused": (
        "T-ADDRESS",
        "The receiver's address is not one the hub may connect to.",
        "Correct the endpoint's URL. If the receiver really is in your own network, an "
        "administrator can allow that network.",
    ),
    "auth": (
        "T-AUTH",
        "The hub could not get access to the receiver, so nothing was sent.",
        "Read the detail in the attempt log: it says what the token server answered. "
        "Correct the authentication credential of the endpoint, then retry.",
    ),
    "redirect": (
        "T-REDIRECT",
        "The receiver answered with a redirect, which the hub does not follow.",
        "Enter the final URL on the endpoint.",
    ),
    "too_large": (
        "T-4XX",
        "The message or the answer is larger than the limit.",
        "Ask the receiver to accept larger messages, or to answer with less.",
    ),
    "protocol": (
        "T-CONNECT",
        "What the receiver answered is not valid HTTP.",
        "Check that the endpoint's URL and port lead to the receiving service.",
    ),
    "cancelled": (
        "T-CONNECT",
        "The hub was stopped while it was sending.",
        "Nothing to do: the hub sends the message again by itself.",
    ),
    "internal": (
        "T-INTERNAL",
        "The hub itself failed while it was sending.",
        "Tell the administrator: the server's log says what went wrong.",
    ),
    "amqp_nack": (
        "T-THROTTLED",
        "The broker refused to take the message (nack).",
        "Most often a queue is full: ask the broker's team to see to its readers or "
        "its limits. The hub tries again by itself.",
    ),
    "amqp_unroutable": (
        "T-4XX",
        "The broker has no queue for this message, and sent it back.",
        "Ask the broker's team to bind a queue to the exchange for this routing key, "
        "or correct the routing key on the endpoint, then retry.",
    ),
    "amqp_blocked": (
        "T-THROTTLED",
        "The broker takes no messages: it is short of memory or disk space.",
        "Tell the broker's team. The hub waits and tries again by itself.",
    ),
    "amqp_timeout": (
        "T-TIMEOUT",
        "The broker did not confirm the message in time.",
        "The hub sends it again by itself, with the same id, so it may arrive twice. "
        "If it stays, tell the broker's team.",
    ),
    "amqp_login": (
        "T-4XX",
        "The broker refused the hub's user name, password or certificate.",
        "Compare the credential of the endpoint with the broker's user, then retry.",
    ),
    "amqp_vhost": (
        "T-4XX",
        "The broker does not have this virtual host, or the hub may not enter it.",
        "Correct the end of the endpoint's address, or ask the broker's team to let "
        "the hub's user in, then retry.",
    ),
    "amqp_exchange": (
        "T-4XX",
        "The broker does not have this exchange, or has it with other settings.",
        "Correct the name of the exchange on the endpoint, or ask the broker's team to "
        "create it, then retry.",
    ),
    "amqp_denied": (
        "T-4XX",
        "The broker does not allow the hub's user to use this exchange.",
        "Ask the broker's team for permission to write to the exchange (and to create "
        "it, if the endpoint says so), then retry.",
    ),
    "amqp_channel": (
        "T-5XX",
        "The broker broke off because of an error.",
        "The hub tries again by itself. If it stays, tell the broker's team what the "
        "attempt log says.",
    ),
    "amqp_protocol": (
        "T-CONNECT",
        "What answers at this address is not an AMQP 0-9-1 broker.",
        "Check the endpoint's address and port: amqps:// usually goes with port 5671, "
        "amqp:// with 5672.",
    ),
    "amqp_library": (
        "T-INTERNAL",
        "This server cannot speak AMQP: the Python package pika is missing.",
        "Ask the administrator of the server to install it (pip install pika) and to "
        "restart Odoo, then retry.",
    ),
}


def explain(outcome: Outcome) -> Explanation:
    """Return the taxonomy code, the cause and the next step of a failed attempt.

    :raises ValueError: when the outcome is a success.
    """
    if outcome.delivered:
        raise ValueError("A delivered message needs no explanation.")
    status = outcome.status
    if outcome.error is not None:
        code, cause, next_step = _EXPLANATIONS.get(
            outcome.error, _EXPLANATIONS["connect"]
        )
        return Explanation(code, cause, next_step)
    if status is None:
        return Explanation(*_EXPLANATIONS["connect"])
    if status < 400:
        return Explanation(*_EXPLANATIONS["redirect" if status >= 300 else "protocol"])
    if status == 429 or (status == 503 and outcome.header("retry-after")):
        return Explanation(
            "T-THROTTLED",
            f"The receiver asked for a slower pace (answer {status}).",
            "Nothing to do at first: the hub waits as asked. If it stays, lower the "
            "endpoint's rate or ask the receiver to raise its limit.",
        )
    if status in (408, 504):
        return Explanation(
            "T-TIMEOUT",
            f"The receiver reports a time-out of its own (answer {status}).",
            "The hub tries again by itself. If it stays, tell the receiver's team.",
        )
    if status >= 500:
        return Explanation(
            "T-5XX",
            f"The receiver failed (answer {status}).",
            "The hub tries again by itself. If it stays, tell the receiver's team and "
            "send it the answer in the attempt log.",
        )
    if status == 410:
        return Explanation(
            "T-GONE",
            "The receiver says that this endpoint no longer exists (answer 410).",
            "Ask the receiver for the new URL, enter it and resume the endpoint. What "
            "arrives until then is kept.",
        )
    if status in (401, 403):
        return Explanation(
            "T-4XX",
            f"The receiver did not accept the hub's credential (answer {status}).",
            "Compare the secret of the endpoint with the receiver's, then retry.",
        )
    if status == 404:
        return Explanation(
            "T-4XX",
            "The receiver does not know this URL (answer 404).",
            "Correct the endpoint's URL, then retry.",
        )
    return Explanation(
        "T-4XX",
        f"The receiver refused the message (answer {status}).",
        "Read the answer in the attempt log, correct what it names, then retry.",
    )


def error_code(outcome: Outcome) -> str:
    """Return the taxonomy code of a failed attempt, such as ``T-TIMEOUT``.

    A delivery whose attempts are used up is ``T-DEADLETTER``, whatever the last
    attempt's code was: see :data:`DEADLETTER_CODE`.

    :raises ValueError: when the outcome is a success.
    """
    return explain(outcome).code
