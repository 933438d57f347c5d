import time

from odoo import SUPERUSER_ID, http
from odoo.http import request

from ..models import constants
from ..models.connector.finance_connector import CODE_PATTERN
from ..models.connector.finance_connector_inbound import REFUSAL_STATUSES
from ..signing import VerificationError
from .problem import json_response, problem_response

# When a refusal was last recorded, by connector; one per server process.
_recorded: dict[tuple[str, int], float] = {}


class InboundController(http.Controller):
    """Where external systems POST their messages.

    Verify, store, answer: nothing else happens while the sender waits. Odoo commits
    before it sends the answer, so a 202 is never given for what could be lost.
    """

    @http.route(
        "/finance/v1/inbound/<string:code>",
        type="http",
        auth="public",
        methods=["POST"],
        csrf=False,
        save_session=False,
        readonly=False,
        max_content_length=constants.MAX_BODY_BYTES,
        raw_body=True,
    )
    def inbound(self, code, **_form):
        """Take one message in.

        202 stored (or known already) · 401 not signed rightly · 404 no such
        connector · 409 the id came before with another body · 410 retired ·
        413 too large · 503 suspended, come back later
        """
        env = request.env(user=SUPERUSER_ID, su=True)
        connector = env["finance.connector"]
        if CODE_PATTERN.fullmatch(code):
            connector = connector.search([("code", "=", code)], limit=1)
        refused = _refuse_by_state(connector)
        if refused is not None:
            return refused
        # Kept by ir.http before anything parsed it; also for when Odoo calls the
        # controller again after a lost race.
        body = request.httprequest.get_data(cache=True)
        headers = dict(request.httprequest.headers)
        try:
            credential = connector._verify_inbound(
                headers,
                body,
                request.httprequest.remote_addr,
                request.httprequest.url,
            )
        except VerificationError as error:
            return _refuse_signature(connector, error)
        adapter, _options = connector._format_of(headers)
        external_id = adapter.external_id(headers, body)
        outcome = env["finance.message"]._receive(
            connector,
            external_id,
            body,
            headers,
            request.httprequest.remote_addr,
            credential,
        )
        if outcome == "conflict":
            return problem_response(
                409,
                "C-IDEMP-MISUSE",
                "Id used twice",
                "This message id came before with another body. Give every message "
                "an id of its own.",
            )
        reply = connector._inbound_replies().accepted
        if reply:
            return _reply(reply)
        return json_response(
            202, {"id": external_id, "duplicate": outcome == "duplicate"}
        )


def _refuse_by_state(connector):
    """Return the answer for a connector that takes nothing, None if it does."""
    if not connector or connector.state in ("draft", "in_review"):
        return problem_response(
            404,
            "NOT-FOUND",
            "No such connector",
            "There is no live connector at this address. Check the last part of it.",
        )
    if connector.state == "retired":
        return problem_response(
            410, "GONE", "Connector retired", "This connection has ended; stop sending."
        )
    if connector.state == "suspended":
        return problem_response(
            503,
            "SUSPENDED",
            "Connector suspended",
            "This connection is suspended for the moment; send again later.",
            retryable=True,
            headers=[("Retry-After", str(constants.SUSPENDED_RETRY_AFTER))],
        )
    return None


def _refuse_signature(connector, error):
    """Record a refused call, now and then, and say what was wrong with it."""
    key = (request.env.cr.dbname, connector.id)
    now = time.monotonic()
    interval = constants.REFUSAL_RECORD_INTERVAL.total_seconds()
    if now - _recorded.get(key, -interval) >= interval:
        _recorded[key] = now
        env = connector.env
        env["finance.exception"]._open(
            "C-SIGNATURE",
            company=connector.company_id,
            record=connector,
            connector=connector,
            fingerprint=f"connector:{connector.id}:{error.code}",
            summary=env._(
                "Calls to %s are refused: the signature is not right", connector.name
            ),
            cause=env._(
                "Last one from %(address)s: %(error)s",
                address=request.httprequest.remote_addr,
                error=error,
            ),
        )
    status = REFUSAL_STATUSES.get(error.code, 401)
    reply = connector._inbound_replies().refused
    if reply and status == 401:
        return _reply(reply)
    return problem_response(
        status,
        "C-SIGNATURE",
        "Signature refused",
        str(error),
        retryable=status == 503,
        headers=[("Retry-After", str(constants.UNAVAILABLE_RETRY_AFTER))]
        if status == 503
        else (),
    )


def _reply(reply):
    return request.make_response(
        reply.body, headers=[("Content-Type", reply.content_type)], status=reply.status
    )
