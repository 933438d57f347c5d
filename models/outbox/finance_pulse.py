from odoo import fields, models


class FinancePulse(models.Model):
    """What was sent to an endpoint in one minute, or in one hour, of one lane.

    Counted as it happens, so that rates and sparklines need no scan of attempts.
    """

    _name = "finance.pulse"
    _description = "Finance Endpoint Pulse"
    _order = "started_at desc"
    _rec_name = "started_at"
    _log_access = False

    endpoint_id = fields.Many2one(
        "finance.endpoint", required=True, readonly=True, ondelete="cascade"
    )
    company_id = fields.Many2one("res.company", required=True, readonly=True)
    lane = fields.Selection(
        [("critical", "Critical"), ("standard", "Standard"), ("bulk", "Bulk")],
        required=True,
        readonly=True,
    )
    span = fields.Selection(
        [("minute", "Minute"), ("hour", "Hour")], required=True, readonly=True
    )
    started_at = fields.Datetime(required=True, readonly=True)
    delivered = fields.Integer(readonly=True)
    failed = fields.Integer(readonly=True)
    throttled = fields.Integer(readonly=True)
    duration_ms = fields.Float(
        string="Total Duration (ms)", readonly=True, help="Sum over all requests."
    )

    _bucket_unique = models.UniqueIndex("(endpoint_id, span, started_at, lane)")
