import hashlib
import shlex

from odoo import api, fields, models
from odoo.exceptions import UserError

from ...signing import MASK
from .. import constants
from ..guard import drop_former, guard, only, setting
from ..privacy.finance_connector import may_see_confidential
from ..privacy.showing import shown_text
from ..words import header_lines, phases_text
from . import batching

SIGNATURE_HEADERS = ("webhook-signature", "signature", "signature-input")


class FinanceAttempt(models.Model):
    """One try to deliver an event: what was sent, and what came back."""

    _name = "finance.attempt"
    _description = "Finance Delivery Attempt"
    _order = "id desc"
    _rec_name = "outcome"
    _log_access = False

    delivery_id = fields.Many2one(
        "finance.delivery",
        index="btree_not_null",
        readonly=True,
        ondelete="cascade",
    )
    batch_id = fields.Many2one(
        "finance.batch", index="btree_not_null", readonly=True, ondelete="cascade"
    )
    endpoint_id = fields.Many2one(
        "finance.endpoint", readonly=True, ondelete="restrict"
    )
    company_id = fields.Many2one("res.company", required=True, readonly=True)
    number = fields.Integer(required=True, readonly=True, aggregator=False)
    started_at = fields.Datetime(string="When", required=True, readonly=True)
    duration_ms = fields.Float(
        string="Duration (ms)", readonly=True, digits=(12, 1), aggregator="avg"
    )
    outcome = fields.Selection(
        [
            ("delivered", "Delivered"),
            ("retry", "Failed, Tried Again Later"),
            ("throttled", "Asked to Slow Down"),
            ("dead", "Failed, Given Up"),
            ("gone", "Endpoint Is Gone"),
        ],
        required=True,
        readonly=True,
    )
    status = fields.Integer(string="Answer", readonly=True, aggregator=False)
    error_code = fields.Char(string="Code", readonly=True)
    error = fields.Text(string="Cause", readonly=True)
    url = fields.Char(string="Address", readonly=True)
    remote_ip = fields.Char(
        string="Remote IP",
        readonly=True,
        help="The address that the host name stood for, and that was connected to.",
    )
    request_headers = fields.Json(string="Request Headers (raw)", readonly=True)
    response_headers = fields.Json(string="Response Headers (raw)", readonly=True)
    response_body = fields.Text(
        string="Response Body (raw)",
        readonly=True,
        groups=constants.GROUP_CONFIDENTIAL,
        help="The first 64 KiB of what came back.",
    )
    response_text = fields.Text(
        string="Response Body",
        compute="_compute_response_text",
        help="The first 64 KiB of what came back.",
    )
    content_hidden = fields.Boolean(compute="_compute_content_hidden")
    body_sha256 = fields.Char(
        string="SHA-256 of the Body",
        readonly=True,
        help="Digest of the bytes that were sent.",
    )
    phases = fields.Json(string="Phases (raw)", readonly=True)
    request_line = fields.Char(compute="_compute_texts")
    request_headers_text = fields.Text(
        string="Request Headers", compute="_compute_texts"
    )
    response_headers_text = fields.Text(
        string="Response Headers", compute="_compute_texts"
    )
    signature = fields.Char(compute="_compute_texts")
    phases_text = fields.Char(string="Time Spent", compute="_compute_texts")
    request_body = fields.Text(compute="_compute_request_body")
    body_check = fields.Selection(
        [
            ("same", "As it was sent"),
            ("changed", "Not as it was sent"),
            ("unknown", "No digest was kept"),
        ],
        string="Body Shown",
        compute="_compute_request_body",
        help="The body is made again from the event, which never changes, and its "
        "digest compared with that of what was sent. It differs when the version or "
        "the masks of the subscription were changed since.",
    )
    curl = fields.Text(
        string="As a Command",
        compute="_compute_curl",
        help="The same request for a command line. Secrets are left out, and the "
        "signature is only valid for a few minutes.",
    )

    _subject_present = models.Constraint(
        "CHECK (num_nonnulls(delivery_id, batch_id) = 1)",
        "An attempt belongs to a delivery or to a batch.",
    )
    _endpoint_idx = models.Index("(endpoint_id, id DESC)")
    # Failures are few, and they are what people look for.
    _failed_idx = models.Index("(id DESC) WHERE error_code IS NOT NULL")
    _code_idx = models.Index("(error_code, id DESC) WHERE error_code IS NOT NULL")
    _status_idx = models.Index("(status, id DESC) WHERE status >= 300")
    # Rows lie in order of time, so a few bytes per block tell where a day is.
    _started_idx = models.Index("USING brin (started_at) WITH (autosummarize = on)")

    def init(self):
        """Make the database refuse what the ORM must never do."""
        drop_former(self.env.cr, self._table, "finance_attempt_immutable")
        guard(
            self.env.cr,
            self._table,
            delete=(setting("purge"),),
            update=(f"{setting('pseudonymise')} AND {only('response_body')}",),
        )

    # === COMPUTES === #

    @api.depends("number", "endpoint_id")
    def _compute_display_name(self):
        for attempt in self:
            attempt.display_name = self.env._(
                "%(endpoint)s, attempt %(number)s",
                endpoint=attempt.endpoint_id.name or "",
                number=attempt.number,
            )

    @api.depends("request_headers", "response_headers", "phases", "url")
    def _compute_texts(self):
        for attempt in self:
            attempt.request_line = f"POST {attempt.url or ''}"
            headers = attempt.request_headers or {}
            attempt.request_headers_text = header_lines(headers)
            attempt.response_headers_text = header_lines(attempt.response_headers)
            attempt.signature = next(
                (
                    value
                    for wanted in SIGNATURE_HEADERS
                    for name, value in headers.items()
                    if name.lower() == wanted
                ),
                False,
            )
            attempt.phases_text = phases_text(self.env, attempt.phases)

    def _connector(self):
        """Return the connector whose classification says who may see what was sent."""
        return self.sudo().endpoint_id.connector_id

    @api.depends("endpoint_id.connector_id.classification")
    @api.depends_context("uid")
    def _compute_content_hidden(self):
        may_see = may_see_confidential(self.env)
        for attempt in self:
            concealed = not may_see and bool(attempt._connector())
            attempt.content_hidden = concealed and attempt._connector()._conceals()

    @api.depends("response_body")
    @api.depends_context("uid")
    def _compute_response_text(self):
        for attempt in self:
            attempt.response_text = shown_text(
                self.env, attempt.sudo().response_body, attempt._connector()
            )

    def _shown_body(self):
        """Return the body that was sent for whoever asks, as a text."""
        body = self._sent_body().decode("utf-8", "replace")
        return shown_text(self.env, body, self._connector())

    def _sent_body(self):
        """Return the bytes that were sent, made again from what they were made of."""
        self.ensure_one()
        if self.batch_id:
            return batching.request(self.batch_id.sudo())[1]
        return self.delivery_id.sudo()._body()

    @api.depends("delivery_id", "batch_id")
    @api.depends_context("uid")
    def _compute_request_body(self):
        for attempt in self:
            body = attempt._sent_body()
            attempt.request_body = attempt._shown_body()[: constants.PREVIEW_CHARS]
            if not attempt.body_sha256:
                attempt.body_check = "unknown"
            elif hashlib.sha256(body).hexdigest() == attempt.body_sha256:
                attempt.body_check = "same"
            else:
                attempt.body_check = "changed"

    @api.depends("delivery_id", "batch_id", "request_headers", "url")
    @api.depends_context("uid")
    def _compute_curl(self):
        for attempt in self:
            lines = [f"curl --request POST {shlex.quote(attempt.url or '')}"]
            for name, value in (attempt.request_headers or {}).items():
                header = f"{name}: {value.replace(MASK, '<secret>')}"
                lines.append(f"  --header {shlex.quote(header)}")
            body = attempt._shown_body()
            lines.append(f"  --data-raw {shlex.quote(body)}")
            attempt.curl = " \\\n".join(lines)

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):  # pylint: disable=method-required-super
        raise UserError(self.env._("Attempts are recorded as they happen."))

    def write(self, vals):  # pylint: disable=method-required-super
        raise UserError(self.env._("The record of an attempt never changes."))

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("The record of an attempt is kept."))
