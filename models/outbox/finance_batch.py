from odoo import fields, models


class FinanceBatch(models.Model):
    """Several events that leave in one request, for one subscription.

    Its deliveries share its fate: they are delivered when it is. When the receiver
    refuses it, it is split in two, so that one event which cannot be taken is soon
    alone and the others arrive.
    """

    _name = "finance.batch"
    _description = "Finance Batch"
    _order = "id desc"
    _rec_name = "batch_key"
    _log_access = False

    batch_key = fields.Char(string="Batch ID", required=True, readonly=True)
    subscription_id = fields.Many2one(
        "finance.subscription", required=True, readonly=True, ondelete="restrict"
    )
    endpoint_id = fields.Many2one(
        "finance.endpoint", required=True, readonly=True, ondelete="restrict"
    )
    connector_id = fields.Many2one(
        related="endpoint_id.connector_id", search="_search_connector_id"
    )
    company_id = fields.Many2one("res.company", required=True, readonly=True)
    lane = fields.Selection(
        [("critical", "Critical"), ("standard", "Standard"), ("bulk", "Bulk")],
        required=True,
        readonly=True,
    )
    format = fields.Selection(
        [
            ("cloudevents", "CloudEvents Batch"),
            ("jsonl", "File, JSON Lines"),
            ("csv", "File, CSV"),
        ],
        required=True,
        readonly=True,
    )
    state = fields.Selection(
        [
            ("waiting", "Waiting"),
            ("split", "Split"),
            ("delivered", "Delivered"),
            ("dead", "Given Up"),
            ("cancelled", "Cancelled"),
        ],
        required=True,
        readonly=True,
        default="waiting",
    )
    number = fields.Integer(
        required=True,
        readonly=True,
        aggregator=False,
        help="Counts the batches of a subscription without a gap.",
    )
    event_count = fields.Integer(string="Events", required=True, readonly=True)
    parent_id = fields.Many2one("finance.batch", string="Split From", readonly=True)
    created_at = fields.Datetime(required=True, readonly=True)
    due_at = fields.Datetime(string="Next Attempt", readonly=True)
    delivered_at = fields.Datetime(readonly=True)
    attempt_count = fields.Integer(string="Tries", readonly=True)
    throttle_count = fields.Integer(readonly=True)
    last_status = fields.Integer(string="Last Answer", readonly=True, aggregator=False)
    last_error = fields.Char(readonly=True)
    exception_id = fields.Many2one(
        "finance.exception", readonly=True, index="btree_not_null", ondelete="set null"
    )
    manifest = fields.Json(readonly=True)
    attachment_id = fields.Many2one("ir.attachment", string="File", readonly=True)
    delivery_ids = fields.One2many("finance.delivery", "batch_id", "Deliveries")
    attempt_ids = fields.One2many("finance.attempt", "batch_id", "Attempts")

    _batch_key_unique = models.UniqueIndex("(batch_key)")
    _number_unique = models.UniqueIndex("(subscription_id, number)")
    _claim_idx = models.Index("(endpoint_id, lane, due_at) WHERE state = 'waiting'")
    _open_idx = models.Index("(state, id DESC) WHERE state <> 'delivered'")

    # === COMPUTES === #

    def _search_connector_id(self, operator, value):
        return [("endpoint_id.connector_id", operator, value)]
