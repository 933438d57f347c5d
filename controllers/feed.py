from typing import NamedTuple
from urllib.parse import urlencode

from odoo import http
from odoo.http import request

from ..contracts import (
    CONTENT_TYPE_BATCH,
    ContractError,
    decode_cursor,
    dump_json,
    encode_cursor,
    validate_pattern,
)
from ..models import constants
from ..models.connector.finance_endpoint_feed import SCOPE
from .authentication import authenticated, refuse, suspended

PATH = "/finance/v1/events"
CONTENT_TYPE_JSON = "application/json"


class Query(NamedTuple):
    """What the caller asks for.

    :ivar after: a cursor; empty for the beginning
    :ivar limit: events at most
    :ivar types: patterns of event types; all of them when empty
    :ivar feed: which feed, empty where there is only one
    """

    after: str
    limit: int
    types: tuple[str, ...]
    feed: str


class FeedController(http.Controller):
    """Where external systems fetch their events."""

    @http.route(
        PATH,
        type="http",
        auth="public",
        methods=["GET"],
        csrf=False,
        save_session=False,
        readonly=False,
    )
    @authenticated(SCOPE)
    def events(self, client, **_parameters):
        """Return the events that follow a cursor, and acknowledge those up to it.

        200 a page · 400 a parameter is wrong · 401, 403 see ``authentication`` ·
        404 there is no feed · 409 the cursor is ahead of the feed · 429 too many
        calls · 503 suspended
        """
        query = _query(request.httprequest.args)
        endpoint = _endpoint(client, query.feed)
        if not endpoint:
            return refuse(
                404,
                "NO-FEED",
                "No feed",
                "This connection has no such pull feed. Ask its administrator for an "
                "endpoint of the transport “Pull Feed”.",
            )
        if endpoint.state == "suspended":
            return suspended("This feed is suspended; nothing is lost meanwhile.")
        realm = client.env["ir.config_parameter"].get_param("database.uuid")
        after = _position(realm, endpoint, query.after)
        feed = endpoint.feed_ids
        if after > feed.head:
            return refuse(
                409,
                "CURSOR-AHEAD",
                "Cursor ahead of the feed",
                "The feed does not reach that far, as after restoring an older backup. "
                "Begin anew without “after”; what you have already carries the ids you "
                "know.",
            )
        page = feed._read(after, query.limit, query.types)
        return _answer(
            page, encode_cursor(realm, endpoint.id, page.position), query, endpoint
        )


def _answer(page, cursor, query, endpoint):
    """Return the page in the form that the caller prefers."""
    accept = request.httprequest.accept_mimetypes
    content_type = accept.best_match(
        [CONTENT_TYPE_JSON, CONTENT_TYPE_BATCH], default=CONTENT_TYPE_JSON
    )
    # Put together from what was signed and masked already, not parsed again.
    body = b"[" + b",".join(page.bodies) + b"]"
    if content_type == CONTENT_TYPE_JSON:
        rest = dump_json({"has_more": page.more, "next": cursor})
        body = b'{"events":' + body + b"," + rest[1:]
    following = urlencode(
        [
            ("feed", endpoint.id),
            ("after", cursor),
            ("limit", query.limit),
            *(("types", pattern) for pattern in query.types),
        ]
    )
    return request.make_response(
        body,
        headers=[
            ("Content-Type", content_type),
            ("Link", f'<{PATH}?{following}>; rel="next"'),
            ("Vary", "Accept"),
        ],
    )


def _query(arguments):
    """Return what is asked for.

    A parameter that is not known is refused: a misspelt ``after`` would begin anew in
    silence.

    :raise ContractError: naming the parameter and what it must be
    """
    unknown = sorted(set(arguments) - set(Query._fields))
    if unknown:
        raise _bad(unknown[0], f"Known are {', '.join(Query._fields)}.")
    for name in ("after", "limit", "feed"):
        if len(arguments.getlist(name)) > 1:
            raise _bad(name, "It can stand there once only.")
    text = arguments.get("limit", str(constants.FEED_DEFAULT_LIMIT))
    # Digits only: int() takes signs, blanks and underscores, too.
    limit = int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0
    if not 1 <= limit <= constants.FEED_MAX_LIMIT:
        raise _bad("limit", f"It is a number from 1 to {constants.FEED_MAX_LIMIT}.")
    types = tuple(
        dict.fromkeys(
            pattern.strip()
            for text in arguments.getlist("types")
            for pattern in text.split(",")
            if pattern.strip()
        )
    )
    if len(types) > constants.FEED_MAX_PATTERNS:
        raise _bad("types", f"At most {constants.FEED_MAX_PATTERNS} patterns.")
    for pattern in types:
        try:
            validate_pattern(pattern)
        except ContractError as error:
            raise _bad("types", error.message) from error
    return Query(arguments.get("after", ""), limit, types, arguments.get("feed", ""))


def _bad(name, reason):
    """Return the error of a query parameter."""
    return ContractError(
        f"The parameter “{name[:64]}” is wrong. {reason}",
        [{"parameter": name[:64], "message": reason}],
    )


def _endpoint(client, feed):
    """Return the endpoint whose feed is asked for, empty if there is none.

    :param str feed: its id, as in the address that the endpoint's form shows
    :raise ContractError: when there are several and none was named
    """
    endpoints = client.connector_id.endpoint_ids.filtered(
        lambda endpoint: endpoint.transport == "feed"
    )
    if feed:
        return endpoints.filtered(lambda endpoint: str(endpoint.id) == feed)
    if len(endpoints) > 1:
        choices = ", ".join(
            f"{endpoint.id} ({endpoint.name})" for endpoint in endpoints
        )
        raise _bad("feed", f"This connection has several. Say which: {choices}.")
    return endpoints


def _position(realm, endpoint, after):
    """Return the position a cursor stands for.

    :raise ContractError: when it is none, or of another feed
    """
    if not after:
        return 0
    try:
        endpoint_id, position = decode_cursor(realm, after)
    except ContractError as error:
        raise _bad("after", error.message) from error
    if endpoint_id != endpoint.id:
        raise _bad("after", "This cursor is one of another feed.")
    return position
