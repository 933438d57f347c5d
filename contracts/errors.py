# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""RFC 9457 problems: what can go wrong with a request, as data."""

from collections.abc import Sequence
from typing import Any

from . import constants as const


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
