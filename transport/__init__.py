# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Sending: address guard, retry schedule, outcomes; the engine stands on top.

What needs aiohttp (``resolver``, ``engine``, ``amqp``) is imported by its module name
where it is used, so that a process which sends nothing does not pay for it.
"""

from .addresses import (
    AddressRefused,
    Target,
    check_address,
    check_amqp_url,
    check_url,
    parse_networks,
)
from .constants import RETRY_SCHEDULE, ROUTING_KEY
from .outcome import ERRORS, Outcome, truncate_body
from .retry import (
    DEAD,
    DEADLETTER_CODE,
    DELIVERED,
    GONE,
    RETRY,
    Decision,
    Explanation,
    check_schedule,
    decide,
    error_code,
    explain,
    parse_retry_after,
    with_jitter,
)
from .routing_key import ROUTING_KEY_FIELDS, check_routing_key, format_routing_key
from .schedule import format_schedule, parse_schedule

__all__ = [
    "DEAD",
    "DEADLETTER_CODE",
    "DELIVERED",
    "ERRORS",
    "GONE",
    "RETRY",
    "RETRY_SCHEDULE",
    "ROUTING_KEY",
    "ROUTING_KEY_FIELDS",
    "AddressRefused",
    "Decision",
    "Explanation",
    "Outcome",
    "Target",
    "check_address",
    "check_amqp_url",
    "check_routing_key",
    "check_schedule",
    "check_url",
    "decide",
    "error_code",
    "explain",
    "format_routing_key",
    "format_schedule",
    "parse_networks",
    "parse_retry_after",
    "parse_schedule",
    "truncate_body",
    "with_jitter",
]
