"""Answers in the form of RFC 9457."""

import json

from odoo.http import request

from ..contracts import problem

CONTENT_TYPE = "application/problem+json"


def problem_response(
    status,
    code,
    title,
    detail,
    *,
    retryable=False,
    headers=(),
    errors=(),
    correlation_id=None,
):
    """Return a response that says what was wrong and what to do."""
    body = problem(status, code, title, detail, retryable, correlation_id, errors)
    return request.make_response(
        json.dumps(body),
        headers=[("Content-Type", CONTENT_TYPE), *headers],
        status=status,
    )


def json_response(status, body, headers=()):
    """Return a JSON response."""
    return request.make_response(
        json.dumps(body),
        headers=[("Content-Type", "application/json"), *headers],
        status=status,
    )
