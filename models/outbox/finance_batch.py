import json

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from .. import clock, constants
from ..access import require_group


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
    parent_id = fields.Many2one(
        "finance.batch", string="Split From", readonly=True, index="btree_not_null"
    )
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
    manifest = fields.Json(string="Manifest (raw)", readonly=True)
    manifest_text = fields.Text(string="Manifest", compute="_compute_manifest_text")
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

    @api.depends("subscription_id", "number", "event_count")
    def _compute_display_name(self):
        for batch in self:
            batch.display_name = self.env._(
                "%(subscription)s, batch %(number)s",
                subscription=batch.subscription_id.name,
                number=batch.number,
            )

    @api.depends("manifest")
    def _compute_manifest_text(self):
        for batch in self:
            batch.manifest_text = batch.manifest and json.dumps(
                batch.manifest, indent=2, ensure_ascii=False
            )

    # === CRUD === #

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("What was sent is kept."))

    # === ACTIONS === #

    def action_retry(self):
        """Send again, at once and with a fresh schedule."""
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        batches = self.filtered(lambda batch: batch.state in ("waiting", "dead"))
        if not batches:
            raise UserError(self.env._("Only what has not arrived can be sent again."))
        batches.sudo()._rearm()
        return True

    def action_cancel(self):
        """Give a batch up for good, with everything in it."""
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        batches = self.filtered(lambda batch: batch.state in ("waiting", "dead"))
        if not batches:
            raise UserError(self.env._("Only what has not arrived can be cancelled."))
        exceptions = batches.exception_id
        batches = batches.sudo()
        batches.write({"state": "cancelled", "exception_id": False})
        batches.delivery_ids.write({"state": "cancelled", "exception_id": False})
        batches.delivery_ids._unpark()
        exceptions.sudo()._resolve_if_done(self.env._("Batches cancelled"))
        return True

    # === BUSINESS METHODS === #

    def _divisible(self):
        """Return whether the batch may be sent in halves.

        A file has its totals: it is sent as it is, or not at all.
        """
        self.ensure_one()
        return self.format == "cloudevents" and self.event_count > 1

    def _rearm(self):
        """Make the batches due now, with all attempts of the schedule ahead."""
        self.write(
            {
                "state": "waiting",
                "due_at": clock.naive_now(),
                "attempt_count": 0,
                "throttle_count": 0,
            }
        )
        self.delivery_ids.filtered(lambda d: d.state == "dead").write(
            {"state": "waiting"}
        )
        self.delivery_ids._unpark()
        self.env["finance.delivery"]._wake_after_commit(set(self.mapped("lane")))

    def _delivered(self, status, now):
        """Mark the batch and everything in it as delivered."""
        self.write(
            {
                "state": "delivered",
                "delivered_at": now,
                "last_status": status,
                "attempt_count": self.attempt_count + 1,
            }
        )
        self._share_state("delivered", status, None, now)

    def _share_state(self, state, status, error, delivered_at=None):
        """Give the deliveries of the batch its state, however many there are."""
        self.flush_model()
        self.env.execute_query(
            SQL(
                """
                UPDATE finance_delivery
                   SET state = %s, last_status = %s, delivered_at = %s,
                       last_error = COALESCE(%s, last_error),
                       attempt_count = attempt_count + 1
                 WHERE batch_id = %s AND state = 'waiting'
             RETURNING id
                """,
                state,
                status,
                delivered_at,
                error,
                self.id,
            )
        )
        self.env["finance.delivery"].invalidate_model(flush=False)
