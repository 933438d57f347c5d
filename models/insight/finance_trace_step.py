from odoo import api, fields, models

from ..windows import window_at

# Each stage of the way of the data, as rows of one timeline. Columns: kind, key within
# the kind, moment, words, state, model, id, company, correlation id. A new stage is one
# more SELECT.
STAGES = """
    SELECT 'document', m.id, m.create_date, COALESCE(m.name, '/'), m.state::varchar,
           'account.move', m.id, m.company_id, m.finance_correlation_id
      FROM account_move m
     WHERE m.finance_correlation_id IS NOT NULL AND m.origin_payment_id IS NULL
     UNION ALL
    SELECT 'payment', p.id, p.create_date, COALESCE(p.name, p.memo, '/'), p.state,
           'account.payment', p.id, p.company_id, p.finance_correlation_id
      FROM account_payment p
     WHERE p.finance_correlation_id IS NOT NULL
     UNION ALL
    SELECT 'event', e.id, e.occurred_at, e.type || ' · ' || e.label, NULL,
           'finance.event', e.id, e.company_id, e.correlation_id
      FROM finance_event e
     UNION ALL
    SELECT 'delivery', d.id, COALESCE(d.delivered_at, d.created_at),
           e.type || ' → ' || n.name, d.state,
           'finance.delivery', d.id, d.company_id, e.correlation_id
      FROM finance_event e
      JOIN finance_delivery d ON d.event_id = e.id
      JOIN finance_endpoint n ON n.id = d.endpoint_id
     UNION ALL
    SELECT 'replay', d.id, r.started_at, r.reason, r.state,
           'finance.replay', r.id, r.company_id, e.correlation_id
      FROM finance_event e
      JOIN finance_delivery d ON d.event_id = e.id
      JOIN finance_replay r ON r.id = d.replay_id
     UNION ALL
    SELECT 'message', g.id, g.received_at, g.external_id, g.state,
           'finance.message', g.id, g.company_id, g.correlation_id
      FROM finance_message g
     UNION ALL
    SELECT 'command', c.id, c.create_date,
           c.type || COALESCE(' · ' || c.error, ''), c.state,
           'finance.command', c.id, c.company_id, c.correlation_id
      FROM finance_command c
     UNION ALL
    SELECT 'transition', t.id, t.create_date, t.axis || ': ' || t.status, NULL,
           'finance.transaction', t.transaction_id, x.company_id, x.correlation_id
      FROM finance_transaction x
      JOIN finance_transition t ON t.transaction_id = x.id
     UNION ALL
    SELECT 'request', r.id, r.create_date, r.name || COALESCE(' · ' || r.reason, ''),
           r.state, 'finance.posting.request', r.id, r.company_id, r.correlation_id
      FROM finance_posting_request r
     UNION ALL
    SELECT 'approval', a.id, a.requested_at, a.title, a.state,
           'finance.approval', a.id, a.company_id, a.correlation_id
      FROM finance_approval a
     UNION ALL
    SELECT 'hold', h.id, h.placed_at, h.kind || ' · ' || h.reason, h.state,
           'finance.hold', h.id, h.company_id, h.correlation_id
      FROM finance_hold h
     UNION ALL
    SELECT 'compensation', k.id, COALESCE(k.done_at, k.requested_at),
           k.title || ' · ' || k.reason, k.state,
           'finance.compensation', k.id, k.company_id, k.correlation_id
      FROM finance_compensation k
     UNION ALL
    SELECT 'exception', q.id, q.opened_at, q.code || ' · ' || q.summary, q.state,
           'finance.exception', q.id, q.company_id, q.correlation_id
      FROM finance_exception q
"""
KINDS = [
    ("document", "Document"),
    ("payment", "Payment"),
    ("event", "Event"),
    ("delivery", "Delivery"),
    ("replay", "Replay"),
    ("message", "Message"),
    ("command", "Command"),
    ("transition", "Status"),
    ("request", "Posting Request"),
    ("approval", "Approval"),
    ("hold", "Hold"),
    ("compensation", "Compensation"),
    ("exception", "Exception"),
]


class FinanceTraceStep(models.Model):
    """Everything that belongs to one business transaction, in order of time."""

    _name = "finance.trace.step"
    _description = "Finance Trace"
    _auto = False
    _order = "moment, kind_rank, res_id"
    _rec_name = "label"

    kind = fields.Selection(KINDS, readonly=True)
    kind_rank = fields.Integer(readonly=True)
    moment = fields.Datetime(string="When", readonly=True)
    label = fields.Char(string="What", readonly=True)
    status = fields.Char(readonly=True)
    res_model = fields.Char(readonly=True)
    res_id = fields.Many2oneReference(
        string="Record", model_field="res_model", readonly=True
    )
    company_id = fields.Many2one("res.company", readonly=True)
    correlation_id = fields.Char(readonly=True)

    @property
    def _table_query(self):
        ranks = " ".join(
            f"WHEN '{kind}' THEN {rank}" for rank, (kind, _label) in enumerate(KINDS)
        )
        # Built from the constants above alone.
        return f"""
            SELECT s.key * {len(KINDS)}::bigint + CASE s.kind {ranks} END AS id,
                   CASE s.kind {ranks} END AS kind_rank,
                   s.kind, s.moment, s.label, s.status, s.res_model, s.res_id,
                   s.company_id, s.correlation_id
              FROM ({STAGES}) AS s (
                   kind, key, moment, label, status, res_model, res_id, company_id,
                   correlation_id)
        """  # noqa: S608

    @api.model
    def _action_for(self, correlation_id, title):
        """Return the action that shows the timeline of a correlation id."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "finance_hub.finance_trace_step_action"
        )
        action["name"] = self.env._("Timeline of %s", title)
        action["domain"] = [("correlation_id", "=", correlation_id)]
        return action

    def action_open(self):
        """Open the record behind the step."""
        self.ensure_one()
        return window_at(self.env, self.res_model, self.res_id)
