from odoo import api, fields, models
from odoo.tools import SQL

KINDS = [
    ("role", "Role"),
    ("client", "API Client"),
    ("credential", "Credential"),
    ("delegation", "Delegation"),
]
# Rows of a kind get ids of their own range, and stay below what a browser can count.
SHIFT = 1 << 50

# Every internal user with the groups that they have, and by which of their own, in
# every company that they may work in.
ROLES = """
    WITH RECURSIVE implied(gid, hid) AS (
        SELECT id, id FROM res_groups
         UNION
        SELECT i.gid, r.hid
          FROM implied i JOIN res_groups_implied_rel r ON r.gid = i.hid
    ), holds AS (
        SELECT u.id AS user_id, i.hid AS group_id,
               bool_or(i.gid = i.hid) AS direct,
               min(i.gid) FILTER (WHERE i.gid <> i.hid) AS via_id
          FROM res_users u
          JOIN res_groups_users_rel r ON r.uid = u.id
          JOIN implied i ON i.gid = r.gid
         WHERE u.active AND NOT u.share AND u.id <> 1
         GROUP BY u.id, i.hid
    ), duties AS (
        SELECT DISTINCT h.user_id, d.duty_id
          FROM holds h JOIN finance_duty_group_rel d ON d.group_id = h.group_id
          JOIN finance_duty f ON f.id = d.duty_id AND f.kind = 'standing'
    ), clashes AS (
        SELECT a.user_id, c.id AS conflict_id, c.duty_id, c.other_id
          FROM finance_duty_conflict c
          JOIN duties a ON a.duty_id = c.duty_id
          JOIN duties b ON b.duty_id = c.other_id AND b.user_id = a.user_id
         WHERE c.scope = 'person' AND c.effect <> 'allow'
    )
    SELECT 1 * {shift}::bigint + (h.user_id::bigint * 4096 + w.cid) * 65536
               + h.group_id AS id,
           'role' AS kind, h.user_id, h.user_id AS owner_id, h.group_id,
           NULL::int AS client_id, NULL::int AS scope_id, NULL::int AS credential_id,
           NULL::int AS delegation_res_id, NULL::int AS connector_id,
           w.cid AS company_id,
           CASE WHEN g.id IS NOT NULL THEN 'emergency'
                WHEN h.direct THEN 'direct' ELSE 'implied' END AS way,
           CASE WHEN h.direct THEN NULL ELSE h.via_id END AS via_id,
           (SELECT min(e.at) FROM finance_audit_entry e
             WHERE e.res_model = 'res.users' AND e.res_id = h.user_id
               AND e.action = 'role.change' AND e.after->'roles' ? n.name
               AND NOT EXISTS (
                   SELECT FROM finance_audit_entry l
                    WHERE l.res_model = 'res.users' AND l.res_id = h.user_id
                      AND l.action = 'role.change' AND l.id > e.id
                      AND NOT l.after->'roles' ? n.name)) AS since,
           (SELECT e.at FROM finance_audit_entry e
             WHERE e.actor_uid = h.user_id ORDER BY e.id DESC LIMIT 1) AS last_used_at,
           g.ends_at AS expires_at,
           (SELECT count(DISTINCT c.conflict_id) FROM clashes c
              JOIN finance_duty_group_rel d
                ON d.group_id = h.group_id AND d.duty_id IN (c.duty_id, c.other_id)
             WHERE c.user_id = h.user_id)::int AS conflict_count
      FROM holds h
      JOIN res_company_users_rel w ON w.user_id = h.user_id
      JOIN (VALUES %s) AS n(group_id, name, role) ON n.group_id = h.group_id
      LEFT JOIN finance_break_glass g
        ON g.user_id = h.user_id AND g.role = n.role AND g.state = 'active'
"""

CLIENTS = """
    SELECT 2 * {shift}::bigint + c.id::bigint * 65536 + r.finance_scope_id,
           'client', NULL::int, c.user_id, NULL::int,
           c.id, r.finance_scope_id, NULL::int, NULL::int, c.connector_id, c.company_id,
           'key', NULL::int, c.key_set_at, u.last_used_at,
           (c.expires_on + 1)::timestamp, 0
      FROM finance_client c
      JOIN finance_client_finance_scope_rel r ON r.finance_client_id = c.id
      LEFT JOIN finance_client_usage u ON u.client_id = c.id
     WHERE c.state = 'active'
"""

CREDENTIALS = """
    SELECT 3 * {shift}::bigint + c.id, 'credential', NULL::int, n.user_id, NULL::int,
           NULL::int, NULL::int, c.id, NULL::int, c.connector_id, c.company_id,
           'secret', NULL::int, c.secret_set_at, NULL::timestamp, c.expires_at, 0
      FROM finance_credential c
      JOIN finance_connector n ON n.id = c.connector_id
     WHERE c.state = 'active'
"""


DELEGATIONS = """
    SELECT 4 * {shift}::bigint + d.id, 'delegation', d.delegate_id, d.user_id,
           NULL::int, NULL::int, NULL::int, NULL::int, d.id, NULL::int, d.company_id,
           'delegation', NULL::int, d.date_from, NULL::timestamp, d.date_to, 0
      FROM finance_delegation d
     WHERE d.state = 'active' AND d.date_to > now() AT TIME ZONE 'UTC'
"""


class FinanceAccessLine(models.Model):
    """Who holds what: people and roles, clients and scopes, secrets, delegations."""

    _name = "finance.access.line"
    _description = "Finance Access"
    _auto = False
    _order = "kind, id"
    _rec_name = "what"

    kind = fields.Selection(KINDS, string="Kind of Access", readonly=True)
    who = fields.Char(compute="_compute_words")
    what = fields.Char(compute="_compute_words")
    user_id = fields.Many2one("res.users", string="Person", readonly=True)
    owner_id = fields.Many2one(
        "res.users",
        string="Answers for It",
        readonly=True,
        help="The person, or the owner of the client or connector.",
    )
    group_id = fields.Many2one("res.groups", string="Role", readonly=True)
    client_id = fields.Many2one("finance.client", readonly=True)
    scope_id = fields.Many2one("finance.scope", readonly=True)
    credential_id = fields.Many2one("finance.credential", readonly=True)
    # No link: the model of delegations need not be there.
    delegation_res_id = fields.Integer(readonly=True, aggregator=False)
    connector_id = fields.Many2one("finance.connector", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True)
    way = fields.Selection(
        [
            ("direct", "Given"),
            ("implied", "By Way of a Group"),
            ("emergency", "Emergency Access"),
            ("key", "API Key"),
            ("secret", "Secret"),
            ("delegation", "Delegated"),
        ],
        string="How",
        readonly=True,
    )
    via_id = fields.Many2one("res.groups", string="By Way Of", readonly=True)
    since = fields.Datetime(
        readonly=True, help="As far as the audit trail knows; empty: from before it."
    )
    last_used_at = fields.Datetime(
        string="Last Used",
        readonly=True,
        help="Of a person: the last entry in the audit trail. Of a client: its last "
        "call.",
    )
    expires_at = fields.Datetime(string="Ends", readonly=True)
    conflict_count = fields.Integer(string="Conflicts", readonly=True)
    conflicts = fields.Text(string="Conflicts With", compute="_compute_conflicts")

    @property
    def _table_query(self):
        groups = self.env["finance.duty"]._role_groups().with_context(lang=None)
        xmlids = groups.get_external_id()
        # Names as the audit trail keeps them.
        names = SQL(", ").join(
            SQL("(%s, %s, %s)", group.id, group.name, xmlids[group.id])
            for group in groups
        )
        parts = [CLIENTS, CREDENTIALS]
        if "finance.delegation" in self.env:
            parts.append(DELEGATIONS)
        return SQL(" UNION ALL ").join(
            [
                SQL(ROLES.format(shift=SHIFT), names),
                *(SQL(part.format(shift=SHIFT)) for part in parts),
            ]
        )

    # === COMPUTES === #

    @api.depends("kind")
    def _compute_words(self):
        for line in self:
            values = line.sudo()
            if line.kind == "role":
                line.who, line.what = values.user_id.name, values.group_id.name
            elif line.kind == "client":
                line.who, line.what = values.client_id.name, values.scope_id.name
            elif line.kind == "delegation":
                line.who = values.user_id.name
                line.what = self.env._("Decides for %s", values.owner_id.name)
            else:
                line.who = values.connector_id.name
                line.what = values.credential_id.name

    @api.depends("user_id", "group_id", "conflict_count")
    def _compute_conflicts(self):
        found = self.env["finance.duty.conflict"]._by_person(
            self.filtered("conflict_count").sudo().user_id
        )
        for line in self:
            mine = found.get(line.sudo().user_id, ())
            line.conflicts = "\n".join(
                f"{conflict.name}: {conflict.why}"
                for conflict in mine
                if line.group_id.id
                in (conflict.duty_id | conflict.other_id).group_ids.ids
            )
