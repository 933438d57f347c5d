from odoo import fields, models


class FinanceEndpointHealth(models.Model):
    """How an endpoint is doing: its circuit breaker, its pace, its failures.

    Apart from the endpoint itself, as dispatchers write it often and beneath the
    ORM, while people edit the endpoint.
    """

    _name = "finance.endpoint.health"
    _description = "Finance Endpoint Health"
    _rec_name = "endpoint_id"
    _log_access = False

    endpoint_id = fields.Many2one(
        "finance.endpoint", required=True, readonly=True, ondelete="cascade"
    )
    company_id = fields.Many2one(related="endpoint_id.company_id", store=True)
    breaker = fields.Selection(
        [("closed", "Closed"), ("open", "Open"), ("half_open", "Trying Again")],
        required=True,
        readonly=True,
        default="closed",
    )
    opened_at = fields.Datetime(readonly=True)
    closed_at = fields.Datetime(
        readonly=True, help="When the breaker closed last; failures before are over."
    )
    probe_at = fields.Datetime(
        string="Next Try",
        readonly=True,
        help="When one request is let through to see whether the receiver is back.",
    )
    trips = fields.Integer(
        readonly=True, help="How often in a row the breaker opened without a success."
    )
    paused_until = fields.Datetime(
        readonly=True, help="The receiver asked for nothing before that moment."
    )
    failing_since = fields.Datetime(
        readonly=True, help="First failure since the last success."
    )
    last_success_at = fields.Datetime(readonly=True)
    last_failure_at = fields.Datetime(readonly=True)
    last_error = fields.Char(readonly=True)
    notice = fields.Integer(
        readonly=True,
        help="Share of the time until suspension, in percent, that the owner was "
        "told about last.",
    )
    tokens = fields.Float(readonly=True)
    tokens_at = fields.Datetime(readonly=True)

    _endpoint_unique = models.UniqueIndex("(endpoint_id)")
