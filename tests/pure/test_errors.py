# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import json
from datetime import timedelta

import pytest
from finance_hub.contracts import SEVERITIES, TAXONOMY, problem

# Everything the design names.
NAMED = [
    "T-TIMEOUT",
    "T-5XX",
    "T-THROTTLED",
    "T-DEADLETTER",
    "T-THRESHOLD",
    "T-INDOUBT",
    "T-CERT-EXPIRING",
    "D-SCHEMA",
    "D-VERSION",
    "D-UNMAPPED",
    "D-DUPLICATE-PARTY",
    "D-OWNERSHIP",
    "D-STALE",
    "D-ORPHAN",
    "D-STMT-GAP",
    "D-STMT-BALANCE",
    "D-TAX-MISMATCH",
    "B-UNMATCHED",
    "B-SHORTPAY",
    "B-OVERPAY",
    "B-AMBIGUOUS",
    "B-SETTLEMENT-DELAY",
    "B-PAYOUT-MISMATCH",
    "B-RETURNED",
    "B-DISPUTE",
    "B-PERIOD-LOCKED",
    "B-APPROVAL-SLA",
    "B-RISK-PENDING",
    "B-LIMIT-EXCEEDED",
    "B-FEED-MISSING",
    "C-SIGNATURE",
    "C-REPLAYED",
    "C-AMOUNT-INTEGRITY",
    "C-SOD",
    "C-BREAK-GLASS",
    "C-ACCESS-REVIEW",
    "C-BYPASS",
    "C-IDEMP-MISUSE",
    "C-AUDIT-CHAIN",
    "C-DRIFT",
]


def test_the_taxonomy_is_whole():
    assert set(NAMED) <= set(TAXONOMY)


@pytest.mark.parametrize("code", sorted(TAXONOMY))
def test_every_code_is_complete(code):
    entry = TAXONOMY[code]
    classes = {"T": "technical", "D": "data_quality", "B": "business", "C": "control"}
    assert entry.code == code and entry.klass == classes[code[0]]
    assert entry.severity in SEVERITIES
    assert entry.title and not entry.title.endswith(".")
    assert entry.next_step.endswith(".")
    assert entry.owner or entry.severity == "info"
    assert entry.due is None or entry.due > timedelta(0)
    assert entry.klass != "control" or entry.severity in ("high", "critical")


def test_problem():
    errors = [{"pointer": "/a", "message": "x"}]
    body = problem(422, "D-SCHEMA", "Bad", "Do this.", False, "c-1", errors)
    assert json.loads(json.dumps(body)) == {
        "type": "urn:finance-hub:problem:d-schema",
        "title": "Bad",
        "status": 422,
        "detail": "Do this.",
        "code": "D-SCHEMA",
        "retryable": False,
        "correlation_id": "c-1",
        "errors": errors,
    }
    short = problem(503, "T-5XX", "Later", "Try again.", True, None)
    assert "correlation_id" not in short and "errors" not in short
