from odoo import api, fields, models

from .. import clock


class FinanceHold(models.Model):
    """Holds that a policy placed, and what lets their documents go."""

    _inherit = "finance.hold"

    policy_ids = fields.Many2many(
        "finance.policy", "finance_hold_policy_rel", string="Policies", readonly=True
    )
    policy_version = fields.Char(
        string="Version",
        readonly=True,
        help="Of what is held: a verdict counts for this version only.",
    )

    @api.model_create_multi
    def create(self, vals_list):
        holds = super().create(vals_list)
        for hold in holds:
            record = hold._record()
            if record and hasattr(record, "_finance_approval_version"):
                hold.policy_version = record._finance_approval_version()
        return holds

    @api.model
    def _cleared(self, records, matched):
        """Return {record id: ids of policies whose verdict was given}.

        A verdict counts for what was looked at: not for what was changed since.

        :param dict matched: {record id: policies}
        """
        waiting = {
            record_id: policies.filtered(lambda policy: policy.effect == "hold")
            for record_id, policies in matched.items()
        }
        if not any(waiting.values()):
            return {}
        found = {}
        now = clock.naive_now()
        for hold in self.sudo().search(
            [
                ("res_model", "=", records._name),
                ("res_id", "in", records.ids),
                ("state", "=", "released"),
            ]
        ):
            record = records.browse(hold.res_id)
            if hold.cleared_until and hold.cleared_until <= now:
                continue
            if hold.policy_version != record._finance_approval_version():
                continue
            for policy in waiting.get(record.id, ()):
                said = policy in hold.policy_ids or hold.verdict == "approved"
                same = hold.kind == policy.hold_kind
                if said and same and (hold.topic or "") == (policy.hold_topic or ""):
                    found.setdefault(record.id, set()).add(policy.id)
        return found
