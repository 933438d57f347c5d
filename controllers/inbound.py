import hashlib
import re

from psycopg2.errors import SerializationFailure

from odoo import SUPERUSER_ID, http
from odoo.http import request

from ..models import constants
from ..models.connector.finance_connector import CODE_PATTERN
from ..models.connector.finance_connector_inbound import REFUSAL_STATUSES
from ..models.inbox.shape import header_fault, is_deeper
from ..signing import VerificationError
from .problem import json_response, problem_response

ALLOWED = [("Allow", "POST, OPTIONS")]
JSON_TYPE = re.compile(r"application/(?:json|[\w.!#$&^-]+\+json)", re.ASCII)
# The CloudEvents webhook profile names an origin by its DNS name.
ORIGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?")
TOO_OLD = "timestamp_too_old"


def _gate(env, code):
    """Return the connector's gate, None for what is no connector's code."""
    if not CODE_PATTERN.fullmatch(code):
        return None
    return env["finance.connector"]._inbound_gate(code)


def _body_limit(env, args):
    gate = _gate(env, args["code"])
    return gate.max_bytes if gate else constants.MAX_BODY_BYTES


def _refuse_size(env, args, limit):
    detail = f"A message may have {limit} bytes at most. Split it."
    call = Call(env, args["code"], read=False)
    return call.refuse("too_large", 413, "D-SCHEMA", "Too large", detail)


class InboundController(http.Controller):
    """Where external systems POST their messages.

    Verify, store, answer: nothing else happens while the sender waits. Odoo commits
    before it sends the answer, so what was acknowledged is never lost.
    """

    @http.route(
        "/finance/v1/inbound/<string:code>",
        type="http",
        # Nothing of Odoo's own users is asked for: the signature decides.
        auth="none",
        # One route, as Odoo would let any of several answer an OPTIONS.
        methods=["POST", "OPTIONS", "GET", "HEAD", "PUT", "PATCH", "DELETE"],
        csrf=False,
        save_session=False,
        readonly=False,
        max_content_length=constants.MAX_FILE_BYTES,
        raw_body=(_body_limit, _refuse_size),
    )
    def inbound(self, code, **_form):
        """Take one message in.

        202, or what the provider expects, stored (or known already) · 400 nested too
        deep · 401 not signed rightly · 404 no such connector · 405 nothing to read ·
        409 the id came before with other content · 410 retired · 413 too large · 415
        compressed · 429 too many · 431 headers · 503 suspended, come back later
        """
        method = request.httprequest.method
        if method not in ("POST", "OPTIONS"):
            return _explain()
        call = Call(request.env(user=SUPERUSER_ID, su=True), code)
        if method == "OPTIONS":
            return call.refused_by_state() or call.greet()
        return call.refused_by_state() or call.refused_by_shape() or call.take_in()


def _explain():
    """Tell whoever looks at the address with a browser what it is for."""
    return problem_response(
        405,
        "METHOD",
        "Send a POST",
        "This address takes signed messages by POST. There is nothing to read here.",
        headers=ALLOWED,
    )


class Call:
    """One call from outside.

    :param bool read: whether its body was read
    """

    def __init__(self, env, code, *, read=True):
        http_request = request.httprequest
        self.env = env
        self.code = code
        self.gate = _gate(env, code)
        # Kept by ir.http before anything parsed it; also for when Odoo calls the
        # controller again after a lost race.
        self.body = http_request.get_data(cache=True) if read else b""
        self.headers = dict(http_request.headers)
        self.address = http_request.remote_addr
        self.url = http_request.url

    # === REFUSING === #

    def refuse(
        self, reason, status, code, title, detail, *, replayed=False, **problem_values
    ):
        """Count a refused call, and return the answer.

        :param str reason: of the ``finance.refusal``
        :param bool replayed: its signature is right, but old
        """
        self.env["finance.refusal"]._note(
            self.gate,
            self.code,
            self.address,
            reason,
            detail,
            replayed=replayed,
            facts={
                "size": len(self.body),
                "sha256": hashlib.sha256(self.body).hexdigest(),
                "header_names": ", ".join(self.headers)[
                    : constants.REFUSAL_DETAIL_CHARS
                ].replace("\0", "\ufffd"),
            },
        )
        return problem_response(status, code, title, detail, **problem_values)

    def refused_by_state(self):
        """Return the answer for a connector that takes nothing, None if it does."""
        gate = self.gate
        if not gate or gate.state in ("draft", "in_review"):
            return self.refuse(
                "unknown_connector",
                404,
                "NOT-FOUND",
                "No such connector",
                "There is no live connector at this address. Check the last part of "
                "it.",
            )
        if gate.state == "retired":
            return problem_response(
                410,
                "GONE",
                "Connector retired",
                "This connection has ended; stop sending.",
            )
        if gate.state == "suspended":
            return problem_response(
                503,
                "SUSPENDED",
                "Connector suspended",
                "This connection is suspended for the moment; send again later.",
                retryable=True,
                headers=[("Retry-After", str(constants.SUSPENDED_RETRY_AFTER))],
            )
        return None

    def refused_by_shape(self):
        """Return the answer to a call that can't be worked on, None if it can."""
        fault = header_fault(
            request.httprequest.headers,
            constants.MAX_HEADERS,
            constants.MAX_HEADER_BYTES,
        )
        if fault:
            return self.refuse("bad_header", 431, "D-SCHEMA", "Headers", fault)
        encoding = self.headers.get("Content-Encoding", "").strip().lower()
        if encoding not in ("", "identity"):
            return self.refuse(
                "unsupported_encoding",
                415,
                "D-SCHEMA",
                "Compressed content",
                "Compressed content is not taken, as a signature is over the bytes. "
                "Send it without Content-Encoding.",
                # RFC 9110, 15.5.16.
                headers=[("Accept-Encoding", "identity")],
            )
        if self.gate.rate:
            wait = self.env["finance.connector.usage"]._take(self.gate)
            if wait:
                seconds = str(int(wait) + 1)
                return self.refuse(
                    "too_many",
                    429,
                    "RATE-LIMITED",
                    "Too many calls",
                    f"This connection may make {self.gate.rate} calls per minute. Try "
                    f"again in {seconds} s.",
                    retryable=True,
                    headers=[("Retry-After", seconds)],
                )
        return None

    def refuse_signature(self, error, adapter):
        """Return the answer to a call that was not verified."""
        replayed = error.code == TOO_OLD and (
            error.authentic or self._is_known(adapter)
        )
        status = REFUSAL_STATUSES.get(error.code, 401)
        answer = self.refuse(
            error.code,
            status,
            "C-REPLAYED" if replayed else "C-SIGNATURE",
            "Signature refused",
            str(error),
            replayed=replayed,
            retryable=status == 503,
            headers=[("Retry-After", str(constants.UNAVAILABLE_RETRY_AFTER))]
            if status == 503
            else (),
        )
        if self.gate.refused and status == 401:
            return _reply(self.gate.refused)
        return answer

    def _is_known(self, adapter):
        """Return whether the very same message was taken in before."""
        self.env.cr.execute(
            """
            SELECT sha256 FROM finance_message
             WHERE connector_id = %s AND external_id = %s
            """,
            [self.gate.id, adapter.external_id(self.headers, self.body)],
        )
        row = self.env.cr.fetchone()
        return bool(row) and row[0] == hashlib.sha256(self.body).hexdigest()

    # === LETTING IN === #

    def take_in(self):
        """Verify and store a message; return the answer."""
        gate = self.gate
        adapter = gate.adapter_of(self.headers)
        try:
            vouched = (
                self.env["finance.connector"]
                .browse(gate.id)
                ._verify_inbound(self.headers, self.body, self.address, self.url)
            )
        except VerificationError as error:
            return self.refuse_signature(error, adapter)
        content_type = self.headers.get("Content-Type", "").partition(";")[0]
        if JSON_TYPE.fullmatch(content_type.strip().lower()) and is_deeper(
            self.body, constants.MAX_NESTING
        ):
            return self.refuse(
                "too_deep",
                400,
                "D-SCHEMA",
                "Nested too deep",
                f"JSON may be nested {constants.MAX_NESTING} levels deep at most.",
            )
        external_id = adapter.external_id(self.headers, self.body)
        if self._is_borrowed(external_id):
            return self.refuse(
                "transmission_reused",
                401,
                "C-REPLAYED",
                "Signature used twice",
                "The transmission that is signed came before with another event.",
                replayed=True,
            )
        outcome = self._store(adapter, external_id, vouched)
        if outcome == "conflict":
            return problem_response(
                409,
                "C-IDEMP-MISUSE",
                "Id used twice",
                "This message id came before with other content. Give every message "
                "an id of its own.",
            )
        # What was refused often enough is kept apart, and the sender may stop.
        reply = gate.accepted or adapter.reply
        if reply:
            return _reply(reply)
        return json_response(
            202, {"id": external_id, "duplicate": outcome == "duplicate"}
        )

    def _is_borrowed(self, external_id):
        """Return whether another message came with the transmission of this one.

        A message that is sent again is the same, whatever its transmission.
        """
        transmission = self.headers.get(constants.TRANSMISSION_HEADER)
        if not transmission:
            return False
        self.env.cr.execute(
            """
            SELECT 1 FROM finance_message
             WHERE connector_id = %s AND external_id <> %s AND headers->>%s = %s
             LIMIT 1
            """,
            [self.gate.id, external_id, constants.TRANSMISSION_HEADER, transmission],
        )
        return bool(self.env.cr.fetchone())

    def _store(self, adapter, external_id, vouched):
        """Store the message; again, if another call was storing the same."""
        fingerprint = adapter.fingerprint(self.headers, self.body)
        for attempt in range(1, constants.PROCESS_MAX_TRIES + 1):
            try:
                return self.env["finance.message"]._receive(
                    self.gate,
                    external_id,
                    self.body,
                    self.headers,
                    self.address,
                    vouched,
                    fingerprint,
                )
            except SerializationFailure:
                if attempt == constants.PROCESS_MAX_TRIES:
                    raise
                # At once, and not after the second or so that Odoo waits.
                self.env.cr.rollback()
        return None

    def greet(self):
        """Answer the handshake of CloudEvents' webhook profile.

        A sender asks before it delivers whether it is welcome (CloudEvents 1.0, HTTP
        1.1 Web Hooks, 4). Each message is verified all the same.
        """
        # Asked for in any case, unlike in the dictionary.
        headers = request.httprequest.headers
        origin = headers.get("WebHook-Request-Origin", "").strip()
        if not origin:
            return request.make_response("", headers=ALLOWED, status=204)
        if not ORIGIN.fullmatch(origin):
            return problem_response(
                400,
                "D-SCHEMA",
                "Origin not understood",
                "WebHook-Request-Origin has to be a DNS name.",
            )
        return request.make_response(
            "",
            headers=[
                *ALLOWED,
                ("WebHook-Allowed-Origin", origin),
                ("WebHook-Allowed-Rate", str(self.gate.rate or "*")),
            ],
        )


def _reply(reply):
    return request.make_response(
        reply.body,
        headers=[("Content-Type", reply.content_type)],
        status=reply.status,
    )
