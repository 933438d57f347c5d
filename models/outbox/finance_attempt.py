import json

from odoo import api, fields, models
from odoo.exceptions import UserError


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
    endpoint_id = fields.Many2one("finance.endpoint", compute="_compute_endpoint_id")
    company_id = fields.Many2one("res.company", required=True, readonly=True)
    number = fields.Integer(required=True, readonly=True)
    started_at = fields.Datetime(required=True, readonly=True)
    duration_ms = fields.Float(string="Duration (ms)", readonly=True, digits=(12, 1))
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
    status = fields.Integer(string="HTTP Status", readonly=True, aggregator=False)
    error_code = fields.Char(readonly=True)
    error = fields.Text(string="Cause", readonly=True)
    url = fields.Char(string="Address", readonly=True)
    remote_ip = fields.Char(string="Remote IP", readonly=True)
    request_headers = fields.Json(string="Request Headers (raw)", readonly=True)
    response_headers = fields.Json(string="Response Headers (raw)", readonly=True)
    response_body = fields.Text(readonly=True)
    request_headers_text = fields.Text(
        string="Request Headers", compute="_compute_texts"
    )
    response_headers_text = fields.Text(
        string="Response Headers", compute="_compute_texts"
    )
    request_body = fields.Text(compute="_compute_request_body")
    phases = fields.Json(readonly=True)

    _subject_present = models.Constraint(
        "CHECK (num_nonnulls(delivery_id, batch_id) = 1)",
        "An attempt belongs to a delivery or to a batch.",
    )

    # === COMPUTES === #

    @api.depends("delivery_id", "batch_id")
    def _compute_endpoint_id(self):
        for attempt in self:
            attempt.endpoint_id = (attempt.delivery_id or attempt.batch_id).endpoint_id

    @api.depends("request_headers", "response_headers")
    def _compute_texts(self):
        def lines(headers):
            return "\n".join(
                f"{name}: {value}" for name, value in (headers or {}).items()
            )

        for attempt in self:
            attempt.request_headers_text = lines(attempt.request_headers)
            attempt.response_headers_text = lines(attempt.response_headers)

    @api.depends("delivery_id")
    def _compute_request_body(self):
        # The body is not stored per attempt: it is a function of the immutable
        # event, and the same at every try.
        for attempt in self:
            attempt.request_body = json.dumps(
                json.loads(attempt.delivery_id._body()), indent=2, ensure_ascii=False
            )

    # === CRUD === #

    def write(self, vals):  # pylint: disable=method-required-super
        raise UserError(self.env._("The record of an attempt never changes."))
