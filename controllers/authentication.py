"""Who calls the REST API, and whether that may be: one line per route.

    @http.route("/finance/v1/…", type="http", auth="public", …, readonly=False)
    @authenticated("event:read")
    def events(self, client, **path):
        …

The key comes as ``Authorization: Bearer fhk_…`` (RFC 6750). Checked in this order: the
key, the client's address, its connector, its rate, its scope. Every refusal is a
problem by RFC 9457, and what a known client is refused for its key, its address or its
scope becomes an exception.
"""

import functools
import logging
import math
import re
import time
import uuid

from odoo import SUPERUSER_ID
from odoo.http import request

from ..contracts import ContractError
from ..models import constants
from ..models.audit.calls import note_call, note_refused
from .problem import problem_response

_logger = logging.getLogger(__name__)

REALM = "finance-hub"
CORRELATION_HEADER = "X-Correlation-Id"
# What a caller may give its calls as a name: visible characters, no longer than that.
_CORRELATION_ID = re.compile(r"[\x21-\x7e]{1,128}")

# When a refusal was last recorded, by database, client and reason; one per server
# process.
_recorded: dict[tuple[str, int, str], float] = {}


class Refused(Exception):
    """A call that is not answered.

    :ivar response: what the caller is told
    """

    def __init__(self, response):
        super().__init__(response.status)
        self.response = response


def authenticated(scope):
    """Let a route be called by clients that hold ``scope`` only.

    The route's method gets the client (superuser, in an environment of the request)
    before its own arguments. A :class:`ContractError` that it raises is answered with
    400. Every answer carries ``X-Correlation-Id`` and is stored nowhere on the way.

    :param str scope: such as ``event:read``; a record of ``finance.scope``
    """

    def decorator(method):
        # Not functools.wraps as it is: Odoo would read the wrapped signature.
        @functools.wraps(method, assigned=("__name__", "__qualname__", "__doc__"))
        def wrapper(self, **parameters):
            # A parameter of the URL is never taken for the caller.
            parameters.pop("client", None)
            headers = [
                (CORRELATION_HEADER, correlation_id()),
                ("Cache-Control", "no-store"),
            ]
            try:
                client, rate = authenticate(scope)
                headers += rate
                response = method(self, client, **parameters)
                note_call(client, scope, response, correlation_id())
            except Refused as refused:
                response = refused.response
            except ContractError as error:
                response = refuse(
                    400, error.code, "Bad request", error.message, errors=error.errors
                )
            for name, value in headers:
                response.headers.setdefault(name, value)
            return response

        del wrapper.__wrapped__
        return wrapper

    return decorator


def correlation_id():
    """Return the name of this call: the caller's own, or a new one."""
    known = getattr(request, "finance_correlation_id", None)
    if known is None:
        given = request.httprequest.headers.get(CORRELATION_HEADER, "")
        known = given if _CORRELATION_ID.fullmatch(given) else str(uuid.uuid4())
        request.finance_correlation_id = known
    return known


def refuse(status, code, title, detail, **kwargs):
    """Return a problem response that names the call."""
    return problem_response(
        status, code, title, detail, correlation_id=correlation_id(), **kwargs
    )


def authenticate(scope):
    """Return (client, headers): who calls, and the ``RateLimit`` headers to send.

    :raise Refused: when the call must not be answered
    """
    env = request.env(user=SUPERUSER_ID, su=True)
    remote_addr = request.httprequest.remote_addr
    key = _bearer_key()
    client = env["finance.client"]._identify(key)
    if not client:
        _warn_of_unknown_key(remote_addr)
        raise Refused(
            _unauthorised(
                "KEY-UNKNOWN",
                "There is no such key. Compare it with what you were given.",
            )
        )
    problem = client._key_problem(key)
    if problem:
        _record(client, *problem)
        raise Refused(_unauthorised(*problem))
    if not client._may_come_from(remote_addr):
        detail = f"Calls from {remote_addr} are not allowed for this client."
        _record(client, "ADDRESS-NOT-ALLOWED", detail)
        raise Refused(refuse(403, "ADDRESS-NOT-ALLOWED", "Forbidden", detail))
    _check_connector(client.connector_id)
    rate = _count(client, key, remote_addr)
    if not client._may(scope):
        detail = f"This client may not do that: it lacks the scope {scope}."
        _record(client, "SCOPE-MISSING", detail)
        raise Refused(
            refuse(
                403,
                "SCOPE-MISSING",
                "Forbidden",
                detail,
                headers=[
                    *rate,
                    (
                        "WWW-Authenticate",
                        f'Bearer realm="{REALM}", error="insufficient_scope", '
                        f'scope="{scope}"',
                    ),
                ],
            )
        )
    return client, rate


def _bearer_key():
    """Return the key of the ``Authorization`` header.

    :raise Refused: when there is none
    """
    scheme, _blank, key = request.httprequest.headers.get(
        "Authorization", ""
    ).partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key:
        raise Refused(
            refuse(
                401,
                "KEY-MISSING",
                "Unauthorised",
                "Send the key of an API client: Authorization: Bearer fhk_…",
                # RFC 6750, 3.1: no error code where no key was given.
                headers=[("WWW-Authenticate", f'Bearer realm="{REALM}"')],
            )
        )
    return key


def _unauthorised(code, detail):
    return refuse(
        401,
        code,
        "Unauthorised",
        detail,
        headers=[
            ("WWW-Authenticate", f'Bearer realm="{REALM}", error="invalid_token"')
        ],
    )


def _check_connector(connector):
    """Refuse unless the connector is live.

    :raise Refused: 503 when it is suspended, else 403
    """
    if connector.state == "live" and connector.active:
        return
    if connector.state == "suspended":
        raise Refused(suspended("This connection is suspended; try again later."))
    raise Refused(
        refuse(
            403,
            "NOT-LIVE",
            "Forbidden",
            "This connection has ended."
            if connector.state == "retired" or not connector.active
            else "This connection is not live yet. Ask its administrator.",
        )
    )


def suspended(detail):
    """Return the answer for what a person has stopped for the time being."""
    return refuse(
        503,
        "SUSPENDED",
        "Suspended",
        detail,
        retryable=True,
        headers=[("Retry-After", str(constants.SUSPENDED_RETRY_AFTER))],
    )


def _count(client, key, remote_addr):
    """Take the call off the client's allowance; return the headers that tell.

    ``RateLimit-Reset`` is in seconds: until all calls are back, or until there is one.

    :raise Refused: 429 when nothing is left
    """
    allowed, left, seconds = client.env["finance.client.usage"]._count(
        client, key[: len(client.key_prefix)], remote_addr
    )
    wait = str(max(1, math.ceil(seconds)) if not allowed else math.ceil(seconds))
    headers = [
        ("RateLimit-Limit", str(client.rate_limit)),
        ("RateLimit-Remaining", str(left)),
        ("RateLimit-Reset", wait),
    ]
    if not allowed:
        raise Refused(
            refuse(
                429,
                "RATE-LIMITED",
                "Too many calls",
                f"This client may make {client.rate_limit} calls per minute. Try again "
                f"in {wait} s.",
                retryable=True,
                headers=[*headers, ("Retry-After", wait)],
            )
        )
    return headers


# === RECORDING === #


def _is_news(*key):
    """Whether a refusal has to be recorded: not each one of a flood."""
    key = (request.env.cr.dbname, *key)
    now = time.monotonic()
    interval = constants.REFUSAL_RECORD_INTERVAL.total_seconds()
    if now - _recorded.get(key, -interval) < interval:
        return False
    _recorded[key] = now
    return True


def _warn_of_unknown_key(remote_addr):
    # Whose key it should have been is not known, so there is nobody to tell but the
    # server's own administrator.
    if _is_news(0, "KEY-UNKNOWN"):
        _logger.warning(
            "finance_hub: API call with an unknown key from %s", remote_addr
        )
        note_refused(
            request.env(user=SUPERUSER_ID, su=True),
            "KEY-UNKNOWN",
            "There is no such key.",
            correlation_id=correlation_id(),
        )


def _record(client, code, detail):
    """Open or count the exception of a refused call, now and then."""
    if not _is_news(client.id, code):
        return
    env = client.env
    note_refused(env, code, detail, client, correlation_id())
    env["finance.exception"]._open(
        "C-ACCESS",
        company=client.company_id,
        record=client,
        connector=client.connector_id,
        fingerprint=f"client:{client.id}:{code}",
        summary=env._("Calls of the API client %s are refused", client.name),
        cause=env._(
            "Last one from %(address)s: %(detail)s",
            address=request.httprequest.remote_addr,
            detail=detail,
        ),
        correlation_id=correlation_id(),
    )
