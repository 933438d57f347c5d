# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""What can go wrong, as data: the exception taxonomy, and RFC 9457 problems."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from . import constants as const

TECHNICAL = "technical"
DATA_QUALITY = "data_quality"
BUSINESS = "business"
CONTROL = "control"

_CLASSES = {"T": TECHNICAL, "D": DATA_QUALITY, "B": BUSINESS, "C": CONTROL}

SEVERITIES = ("info", "low", "medium", "high", "critical")

_MINUTES = {minutes: timedelta(minutes=minutes) for minutes in (15,)}
_HOURS = {hours: timedelta(hours=hours) for hours in (1, 2, 4, 8)}
_DAYS = {days: timedelta(days=days) for days in (1, 5)}


@dataclass(frozen=True, slots=True)
class ExceptionCode:
    """One kind of exception.

    :ivar code: stable name, ``<class letter>-<WORDS>``.
    :ivar klass: ``technical``, ``data_quality``, ``business`` or ``control``.
    :ivar title: what happened, in a few plain words.
    :ivar owner: the team that decides; empty when nobody has to.
    :ivar severity: one of :data:`SEVERITIES`.
    :ivar due: by when after opening; ``None`` when it follows from the case itself
        (a scheme's date, a cutoff) or when there is no hurry.
    :ivar remedy: what the hub does by itself; empty when nothing.
    :ivar next_step: what a person does, in plain words.
    """

    code: str
    klass: str
    title: str
    owner: str
    severity: str
    due: timedelta | None
    remedy: str
    next_step: str


def _code(code, title, owner, severity, due, remedy, next_step) -> ExceptionCode:
    return ExceptionCode(
        code, _CLASSES[code[0]], title, owner, severity, due, remedy, next_step
    )


_RETRIED = "Retried by the schedule, with backoff."

_ALL = (
    # === TECHNICAL === #
    _code(
        "T-TIMEOUT",
        "No answer in time",
        "Integration operations",
        "low",
        _HOURS[4],
        _RETRIED,
        "Wait for the retries; if it stays, ask the other system to answer faster.",
    ),
    _code(
        "T-CONNECT",
        "No connection",
        "Integration operations",
        "low",
        _HOURS[4],
        _RETRIED,
        "Check that the other system is running and can be reached from this server.",
    ),
    _code(
        "T-TLS",
        "Certificate refused",
        "Integration operations",
        "medium",
        _HOURS[4],
        _RETRIED,
        "Ask the other system to renew or correct its certificate, then retry.",
    ),
    _code(
        "T-5XX",
        "The other system failed",
        "Integration operations",
        "low",
        _HOURS[4],
        _RETRIED,
        "Wait for the retries; if it stays, tell the other system's team.",
    ),
    _code(
        "T-4XX",
        "The other system refused the message",
        "Integration operations",
        "medium",
        _HOURS[4],
        _RETRIED,
        "Read the answer in the attempt log, correct what it names, then retry.",
    ),
    _code(
        "T-AUTH",
        "Could not get access",
        "Integration operations",
        "high",
        _HOURS[2],
        _RETRIED,
        "Correct the authentication credential of the endpoint, then retry.",
    ),
    _code(
        "T-REDIRECT",
        "Answered with a redirect",
        "Integration operations",
        "medium",
        _HOURS[4],
        _RETRIED,
        "Enter the final URL on the endpoint, then retry.",
    ),
    _code(
        "T-THROTTLED",
        "Asked for a slower pace",
        "Integration operations",
        "low",
        _HOURS[4],
        "The hub waits as long as asked; no attempt is used up.",
        "Lower the endpoint's rate, or ask the other system to raise its limit.",
    ),
    _code(
        "T-GONE",
        "The endpoint no longer exists",
        "Integration operations",
        "high",
        _HOURS[2],
        "The endpoint is suspended; what arrives is kept.",
        "Ask for the new URL, enter it, and resume the endpoint.",
    ),
    _code(
        "T-SUSPENDED",
        "Suspended after days of failure",
        "Integration operations",
        "high",
        _HOURS[2],
        "The endpoint is suspended; what arrives is kept.",
        "Have the other side repaired, send a test event, then resume the endpoint.",
    ),
    _code(
        "T-STUCK",
        "Work is not moving",
        "Integration operations",
        "high",
        _HOURS[2],
        "Woken again every few minutes; closed by itself once it moves.",
        "Check that the job runner works (Queue › Jobs), then read the server's log.",
    ),
    _code(
        "T-THRESHOLD",
        "A connection is beyond its thresholds",
        "Integration operations",
        "high",
        _HOURS[2],
        "Closed by itself when it is within its thresholds again.",
        "Read which threshold, and follow the connection's runbook.",
    ),
    _code(
        "T-ADDRESS",
        "Address not allowed",
        "Integration operations",
        "medium",
        _HOURS[4],
        _RETRIED,
        "Correct the URL, or have an administrator allow the network.",
    ),
    _code(
        "T-DEADLETTER",
        "Gave up delivering",
        "Integration operations",
        "high",
        _HOURS[2],
        "",
        "Find the cause in the attempts, correct it, then press Retry.",
    ),
    _code(
        "T-INDOUBT",
        "Not known whether it was done",
        "Payment operations",
        "high",
        _HOURS[1],
        "The hub asks for the status; it never sends again.",
        "Look the payment up at the provider; record on the transaction what happened.",
    ),
    _code(
        "T-CERT-EXPIRING",
        "Certificate or credential expires soon",
        "Security",
        "medium",
        _DAYS[5],
        "",
        "Add the new credential beside the old one before it expires.",
    ),
    _code(
        "T-INTERNAL",
        "Unexpected error in the hub",
        "Integration operations",
        "high",
        _HOURS[4],
        _RETRIED,
        "Read the error text; retry once, then report it with its correlation id.",
    ),
    # === DATA QUALITY === #
    _code(
        "D-SCHEMA",
        "Message does not fit its contract",
        "Interface owner",
        "medium",
        _HOURS[8],
        "",
        "Correct the fields that are named and resubmit, or ask the sender to.",
    ),
    _code(
        "D-VERSION",
        "Unknown type or version",
        "Interface owner",
        "medium",
        _HOURS[8],
        "",
        "Ask the sender for a version the hub knows; the catalogue lists them.",
    ),
    _code(
        "D-UNMAPPED",
        "A code has no counterpart in Odoo",
        "Mapping steward",
        "medium",
        _HOURS[4],
        "Everything that waits is processed once the mapping is approved.",
        "Add the missing mapping and have it approved.",
    ),
    _code(
        "D-DUPLICATE-PARTY",
        "Possibly a duplicate party",
        "Master data",
        "medium",
        _DAYS[1],
        "",
        "Decide whether it is the known party, and link or create it.",
    ),
    _code(
        "D-OWNERSHIP",
        "Another system owns this data",
        "Master data",
        "medium",
        _DAYS[1],
        "",
        "Have the change made in the owning system, or change the ownership.",
    ),
    _code(
        "D-STALE",
        "Older than what is known",
        "",
        "info",
        None,
        "Discarded and logged.",
        "Nothing to do.",
    ),
    _code(
        "D-ORPHAN",
        "What it belongs to has not arrived",
        "Integration operations",
        "low",
        _HOURS[1],
        "Parked, and retried when the parent arrives.",
        "If it does not come, ask the sender, or Link what is there already.",
    ),
    _code(
        "D-STMT-GAP",
        "Statement missing in the chain",
        "Treasury",
        "high",
        _HOURS[4],
        "Fetched again once.",
        "Ask the bank for the missing statement.",
    ),
    _code(
        "D-STMT-BALANCE",
        "Statement balances do not add up",
        "Treasury",
        "high",
        _HOURS[4],
        "Fetched again once.",
        "Compare opening, closing and lines with the bank's own view.",
    ),
    _code(
        "D-TAX-MISMATCH",
        "Tax differs from the tax service",
        "Tax",
        "medium",
        _DAYS[1],
        "",
        "Compare the lines, and correct the document or the mapping.",
    ),
    # === BUSINESS PROCESS === #
    _code(
        "B-UNMATCHED",
        "No document fits the payment",
        "Receivables",
        "medium",
        _DAYS[1],
        "",
        "Find the document and press Link, or enter its number and resubmit.",
    ),
    _code(
        "B-SHORTPAY",
        "Less was paid than is open",
        "Receivables",
        "medium",
        _DAYS[1],
        "Settled when inside of the tolerance.",
        "Leave the rest open, ask the customer, or write it off with Compensate.",
    ),
    _code(
        "B-OVERPAY",
        "More was paid than is open",
        "Receivables",
        "medium",
        _DAYS[1],
        "Settled when inside of the tolerance.",
        "Keep it as credit, Link it to another document, or pay it back.",
    ),
    _code(
        "B-AMBIGUOUS",
        "Several documents fit the payment",
        "Receivables",
        "medium",
        _DAYS[1],
        "",
        "Choose the right document with Link, or enter its number and resubmit.",
    ),
    _code(
        "B-SETTLEMENT-DELAY",
        "Settlement is late",
        "Treasury",
        "high",
        _HOURS[4],
        "",
        "Ask the provider where the money is; Link the bank line once it is there.",
    ),
    _code(
        "B-PAYOUT-MISMATCH",
        "Payout and its items differ",
        "Treasury",
        "high",
        _HOURS[4],
        "",
        "Compare the provider's report with the items, and find the difference.",
    ),
    _code(
        "B-RETURNED",
        "Payment was returned",
        "Receivables",
        "high",
        None,
        "A compensating entry is proposed.",
        "Check the reason, press Compensate where needed, and contact the payer.",
    ),
    _code(
        "B-DISPUTE",
        "Payment is disputed",
        "Receivables",
        "high",
        None,
        "A compensating entry is proposed.",
        "Send the evidence before the scheme's date, or accept it with Compensate.",
    ),
    _code(
        "B-PERIOD-LOCKED",
        "The period is closed",
        "General ledger",
        "medium",
        _HOURS[8],
        "Never dated otherwise in silence.",
        "Decide: reopen the period, or approve another date.",
    ),
    _code(
        "B-APPROVAL-SLA",
        "Approval is overdue",
        "Approver chain",
        "medium",
        None,
        "Escalated to the next approver.",
        "Decide on the request, or name a deputy.",
    ),
    _code(
        "B-RISK-PENDING",
        "Risk verdict is missing",
        "Approver chain",
        "medium",
        None,
        "Escalated to the next approver.",
        "Ask the risk system for its verdict, or have an approver release the hold.",
    ),
    _code(
        "B-RISK-REJECTED",
        "Risk verdict is no",
        "Approver chain",
        "high",
        _HOURS[4],
        "The document or counterparty stays held.",
        "Read the verdict; cancel the document, or release the hold with a reason.",
    ),
    _code(
        "B-LIMIT-EXCEEDED",
        "Credit limit exceeded",
        "Credit",
        "high",
        _HOURS[4],
        "The document is held.",
        "Raise the limit, collect, or refuse the document.",
    ),
    _code(
        "B-FEED-MISSING",
        "An expected feed did not come",
        "Feed owner",
        "high",
        None,
        "Fetched again.",
        "Ask the sender for the feed before the cutoff.",
    ),
    _code(
        "B-PROCESS-STOPPED",
        "A step of a process failed",
        "Integration operations",
        "high",
        _HOURS[4],
        "Looked at again with every new fact; goes on by itself once it holds.",
        "Open the process, see which step failed and why, correct it, look again.",
    ),
    _code(
        "B-PROCESS-LATE",
        "A step of a process is late",
        "Integration operations",
        "medium",
        _HOURS[4],
        "Closed by itself when the step is done.",
        "Open the process and see what its step waits for.",
    ),
    _code(
        "B-FLOW-THRESHOLD",
        "A flow is outside its thresholds",
        "Integration operations",
        "high",
        _HOURS[4],
        "Closed by itself when the flow is within its thresholds again.",
        "Open the flow's late and stopped processes and look for what they share.",
    ),
    # === CONTROL BREACH === #
    _code(
        "C-SIGNATURE",
        "Signature is not valid",
        "Security",
        "critical",
        _MINUTES[15],
        "Rejected.",
        "Find out who sent it; compare or rotate the shared secret.",
    ),
    _code(
        "C-REPLAYED",
        "Old message sent again",
        "Security",
        "critical",
        _MINUTES[15],
        "Rejected.",
        "Find out who sent it; check the sender's clock, rotate the secret.",
    ),
    _code(
        "C-ACCESS",
        "API call refused",
        "Security",
        "high",
        _HOURS[1],
        "Refused.",
        "Find out who called; correct the client's rights, or rotate its key.",
    ),
    _code(
        "C-AMOUNT-INTEGRITY",
        "Amount changed on the way",
        "Controller",
        "critical",
        _HOURS[1],
        "Frozen.",
        "Compare both systems; correct what came in, or Compensate what was booked.",
    ),
    _code(
        "C-SOD",
        "Segregation of duties violated",
        "Controller",
        "critical",
        _HOURS[1],
        "Blocked.",
        "Have a second person do it.",
    ),
    _code(
        "C-BREAK-GLASS",
        "Emergency access was taken",
        "Controller",
        "critical",
        _HOURS[1],
        "The role ends by itself; everything done meanwhile is marked.",
        "Ask why, look at what was done, and review it once it has ended.",
    ),
    _code(
        "C-ACCESS-REVIEW",
        "Access review is overdue",
        "Controller",
        "high",
        _HOURS[8],
        "Closed by itself when every access was decided on.",
        "Certify or revoke every access that is left.",
    ),
    _code(
        "C-BYPASS",
        "A control was bypassed",
        "Controller",
        "critical",
        _HOURS[1],
        "Frozen.",
        "Find out how; have it approved after the fact, or reverse it with Compensate.",
    ),
    _code(
        "C-IDEMP-MISUSE",
        "Same id, other content",
        "Interface owner",
        "high",
        _HOURS[4],
        "Rejected.",
        "Ask the sender to use a new id for new content.",
    ),
    _code(
        "C-AUDIT-CHAIN",
        "Audit chain is broken",
        "Controller and security",
        "critical",
        _MINUTES[15],
        "Nothing is purged until it is solved.",
        "Keep the evidence, compare with a backup and find who changed it.",
    ),
    _code(
        "C-DRIFT",
        "Systems disagree about a total",
        "Controller",
        "high",
        None,
        "A correction is proposed, for four eyes.",
        "Find the difference before the period closes.",
    ),
    _code(
        "C-DIVERGENCE",
        "Process and books disagree",
        "Controller",
        "high",
        _HOURS[4],
        "Closed by itself when they agree again.",
        "Compare the process with the document and the payment; correct what is wrong.",
    ),
)

#: Every exception code by its name.
TAXONOMY: dict[str, ExceptionCode] = {entry.code: entry for entry in _ALL}


def problem(
    status: int,
    code: str,
    title: str,
    detail: str,
    retryable: bool,
    correlation_id: str | None,
    errors: Sequence[dict[str, str]] = (),
) -> dict[str, Any]:
    """Return the body of an ``application/problem+json`` answer (RFC 9457).

    :param status: HTTP status of the answer.
    :param code: stable code a program can decide by.
    :param title: the kind of problem, the same for every occurrence.
    :param detail: what happened this time and what to do, without secrets.
    :param retryable: whether the same request may succeed later.
    :param correlation_id: what to quote when asking for help.
    :param errors: ``[{"pointer": …, "message": …}]``.
    """
    body = {
        "type": const.PROBLEM_TYPE + code.lower(),
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "retryable": retryable,
    }
    if correlation_id:
        body["correlation_id"] = correlation_id
    if errors:
        body["errors"] = [dict(error) for error in errors]
    return body
