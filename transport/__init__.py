# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Sending: address guard, retry schedule, outcomes; the engine stands on top.

What needs aiohttp (``resolver``, ``http``, ``amqp``, ``engine``) is imported by its
module name where it is used, so that a process which sends nothing does not pay for it.
"""

from .addresses import (
    AddressRefused,
    Target,
    check_address,
    check_amqp_url,
    check_url,
    parse_networks,
)
from .authentication import (
    CLIENT_SECRET_BASIC,
    CLIENT_SECRET_POST,
    AuthenticationError,
    Authenticator,
    Basic,
    Bearer,
    ClientCredentials,
    StaticHeaders,
    authenticated,
    parse_headers,
    parse_parameters,
)
from .breaker import CLOSED, HALF_OPEN, OPEN, Breaker, verdict
from .bucket import next_token, take
from .constants import BREAKER_WINDOW_SECONDS, RETRY_SCHEDULE, ROUTING_KEY
from .fetching import FetchError, fetch
from .gate import Gate
from .outcome import ERRORS, Outcome, truncate_body
from .proxy import Proxy, ProxyError, parse_proxy
from .quiet import QuietWindow, parse_quiet, quiet_until
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
from .tls import (
    Certificate,
    CertificateError,
    check_authorities,
    check_pair,
    client_context,
    read_certificate,
    read_private_key,
)

__all__ = [
    "BREAKER_WINDOW_SECONDS",
    "CLIENT_SECRET_BASIC",
    "CLIENT_SECRET_POST",
    "CLOSED",
    "DEAD",
    "DEADLETTER_CODE",
    "DELIVERED",
    "ERRORS",
    "GONE",
    "HALF_OPEN",
    "OPEN",
    "RETRY",
    "RETRY_SCHEDULE",
    "ROUTING_KEY",
    "ROUTING_KEY_FIELDS",
    "AddressRefused",
    "AuthenticationError",
    "Authenticator",
    "Basic",
    "Bearer",
    "Breaker",
    "Certificate",
    "CertificateError",
    "ClientCredentials",
    "Decision",
    "Explanation",
    "FetchError",
    "Gate",
    "Outcome",
    "Proxy",
    "ProxyError",
    "QuietWindow",
    "StaticHeaders",
    "Target",
    "authenticated",
    "check_address",
    "check_amqp_url",
    "check_authorities",
    "check_pair",
    "check_routing_key",
    "check_schedule",
    "check_url",
    "client_context",
    "decide",
    "error_code",
    "explain",
    "fetch",
    "format_routing_key",
    "format_schedule",
    "next_token",
    "parse_headers",
    "parse_networks",
    "parse_parameters",
    "parse_proxy",
    "parse_quiet",
    "parse_retry_after",
    "parse_schedule",
    "quiet_until",
    "read_certificate",
    "read_private_key",
    "take",
    "truncate_body",
    "verdict",
    "with_jitter",
]
