from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from .. import clock, constants
from ..access import require_group
from ..windows import list_of, window_of
from .finance_mapping_domain import TARGETS
from .suggesting import SAME_CODE, Candidate, suggest


class FinanceUnmapped(models.Model):
    """A code that came in and stands for nothing in Odoo, once for all commands."""

    _name = "finance.unmapped"
    _description = "Unmapped Finance Code"
    _order = "last_seen_at desc, id desc"
    _rec_name = "code"

    connector_id = fields.Many2one(
        "finance.connector",
        string="System",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
    )
    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, index=True
    )
    domain_id = fields.Many2one(
        "finance.mapping.domain",
        string="Kind of Code",
        required=True,
        readonly=True,
        ondelete="cascade",
    )
    code = fields.Char(string="External Code", required=True, readonly=True)
    key = fields.Char(required=True, readonly=True, index=True)
    date = fields.Date(
        string="Needed On", readonly=True, help="The accounting day it was needed for."
    )
    state = fields.Selection(
        [("open", "Unmapped"), ("mapped", "Mapped")],
        required=True,
        default="open",
        readonly=True,
    )
    count = fields.Integer(
        string="Times Seen",
        readonly=True,
        help="Commands that could not be applied for want of this code.",
    )
    first_seen_at = fields.Datetime(string="First Seen", readonly=True)
    last_seen_at = fields.Datetime(string="Last Seen", readonly=True)
    command_id = fields.Many2one(
        "finance.command", string="Example", readonly=True, ondelete="set null"
    )
    mapping_id = fields.Many2one(
        "finance.mapping", string="Mapped By", readonly=True, ondelete="set null"
    )
    waiting_count = fields.Integer(string="Waiting", compute="_compute_waiting_count")
    proposed_count = fields.Integer(compute="_compute_waiting_count")

    _key_unique = models.UniqueIndex("(key)")

    # === COMPUTES === #

    @api.depends("key", "state")
    def _compute_waiting_count(self):
        waiting = dict(
            self.env["finance.command"]._read_group(
                [("state", "=", "waiting"), ("waits_for", "in", self.mapped("key"))],
                ["waits_for"],
                ["__count"],
            )
        )
        for unmapped in self:
            unmapped.waiting_count = waiting.get(unmapped.key, 0)
            unmapped.proposed_count = len(unmapped._pending_mappings())

    # === ACTIONS === #

    def action_map(self):
        """Open the form in which a mapping is proposed, or the one there is."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR, constants.GROUP_ADMINISTRATOR)
        self.check_access("read")
        pending = self._pending_mappings()[:1]
        if pending:
            return window_of(pending)
        return self.env["finance.map.wizard"].create({"unmapped_id": self.id})._open()

    def action_propose_equal(self):
        """Propose mappings for codes that exactly one record of Odoo has, too."""
        require_group(self.env, constants.GROUP_OPERATOR, constants.GROUP_ADMINISTRATOR)
        self.check_access("read")
        proposed = self.env["finance.mapping"]
        for unmapped in self.filtered(lambda row: row.state == "open"):
            if unmapped._pending_mappings():
                continue
            equal = [row for row in unmapped._suggestions() if row[3] == SAME_CODE]
            if len(equal) == 1:
                proposed |= unmapped._propose(equal[0][0])
        if not proposed:
            raise UserError(
                self.env._(
                    "None of these codes is the code of exactly one record in Odoo. "
                    "Use Map, one by one."
                )
            )
        return list_of(self.env, "finance_mapping_action", [("id", "in", proposed.ids)])

    def action_open_commands(self):
        """Show the commands that wait for the code."""
        self.ensure_one()
        self.check_access("read")
        return list_of(
            self.env,
            "finance_command_action",
            [("state", "=", "waiting"), ("waits_for", "=", self.key)],
        )

    # === BUSINESS METHODS === #

    def _pending_mappings(self):
        """Return the drafts and proposals for the code, proposals first."""
        self.ensure_one()
        return (
            self.env["finance.mapping"]
            .search(
                [
                    ("company_id", "=", self.company_id.id),
                    ("domain_id", "=", self.domain_id.id),
                    ("code", "=", self.code),
                    ("connector_id", "in", (self.connector_id.id, False)),
                    ("state", "in", ("draft", "proposed")),
                ]
            )
            .sorted(lambda mapping: mapping.state != "proposed")
        )

    def _propose(self, res_id, **values):
        """Make a mapping in the user's name and ask for its approval.

        :return: the ``finance.mapping``
        """
        self.ensure_one()
        mapping = self.env["finance.mapping"].create(
            {
                "company_id": self.company_id.id,
                "connector_id": self.connector_id.id,
                "domain_id": self.domain_id.id,
                "code": self.code,
                "res_id": res_id,
                **values,
            }
        )
        mapping.action_propose()
        return mapping

    def _suggestions(self):
        """Return [(record id, name, why, score)] of what the code may stand for."""
        self.ensure_one()
        # Names only, of the code's company, whatever apps the user has.
        kind, company = self.domain_id.sudo(), self.company_id
        records = kind._records_of(company).search(
            kind._candidates(company), limit=constants.SUGGESTION_SEARCH_LIMIT
        )
        others = (
            self.env["finance.mapping"]
            .sudo()
            .search(
                [
                    ("company_id", "=", company.id),
                    ("domain_id", "=", kind.id),
                    ("code", "=", self.code),
                    ("state", "=", "approved"),
                ]
            )
        )
        mapped = set(others.mapped("res_id"))
        *code_fields, name_field = TARGETS[kind.target_model]
        found = suggest(
            self.code,
            (
                Candidate(
                    record.id,
                    next((record[f] for f in code_fields if record[f]), ""),
                    record[name_field] or "",
                    record.id in mapped,
                )
                for record in records
            ),
        )[: constants.SUGGESTIONS_SHOWN]
        labels = self._reason_labels()
        names = {
            record.id: record.display_name
            for record in records.browse([candidate.key for candidate, *_ in found])
        }
        return [
            (candidate.key, names[candidate.key], labels[reason], score)
            for candidate, score, reason in found
        ]

    def _reason_labels(self):
        return {
            "same_code": self.env._("The same code"),
            "same_code_written_differently": self.env._(
                "The same code, written differently"
            ),
            "same_name": self.env._("The same name"),
            "other_system": self.env._("Another system's equal code stands for it"),
            "same_but_zeros": self.env._("The same code but for zeros"),
            "same_beginning": self.env._("A code that begins alike"),
            "similar_name": self.env._("A similar name"),
        }

    @api.model
    def _report(self, command, error):
        """Count a command that waits for a code, and tell a person once.

        :param command: the ``finance.command``
        :param error: the :class:`Unmapped` that its handler raised
        """
        # A command that only tries again was counted the first time.
        again = bool(command.retry_count)
        now = clock.naive_now()
        kind = self.env["finance.mapping.domain"]._named(error.domain)
        values = {
            "connector_id": error.connector.id,
            "company_id": command.company_id.id,
            "domain_id": kind.id,
            "code": error.external_code,
            "key": error.key,
            "date": error.date,
            "state": "open",
            "count": 1,
            "first_seen_at": now,
            "last_seen_at": now,
            "command_id": command.id,
            "create_uid": self.env.uid,
            "write_uid": self.env.uid,
            "create_date": now,
            "write_date": now,
        }
        # In SQL, as two processes may meet the same code at the same moment.
        self.env.flush_all()
        [(unmapped_id,)] = self.env.execute_query(
            SQL(
                """
            INSERT INTO finance_unmapped (%s) VALUES (%s)
            ON CONFLICT (key) DO UPDATE
               SET count = finance_unmapped.count + %s,
                   last_seen_at = EXCLUDED.last_seen_at,
                   date = EXCLUDED.date,
                   state = 'open'
            RETURNING id
                """,
                SQL(", ").join(map(SQL.identifier, values)),
                SQL(", ").join(SQL("%s", value) for value in values.values()),
                0 if again else 1,
            )
        )
        self.invalidate_model(flush=False)
        unmapped = self.browse(unmapped_id)
        if again and unmapped._exceptions():
            return unmapped
        self.env["finance.exception"]._open(
            "D-UNMAPPED",
            company=command.company_id,
            record=unmapped,
            connector=error.connector,
            fingerprint=error.key,
            summary=self.env._(
                "%(kind)s “%(code)s” of %(system)s stands for nothing in Odoo",
                kind=kind.sudo().title,
                code=error.external_code,
                system=error.connector.name,
            ),
            cause=error.describe(),
            correlation_id=command.correlation_id,
        )
        return unmapped

    def _exceptions(self):
        """Return the open exceptions about the codes."""
        return self.env["finance.exception"].sudo()._about(self)

    @api.model
    def _mapped(self, mapping):
        """Have everything processed that waited for a mapping, now approved."""
        rows = self.search(
            [
                ("company_id", "=", mapping.company_id.id),
                ("domain_id", "=", mapping.domain_id.id),
                ("code", "=", mapping.code),
                ("state", "=", "open"),
                *(
                    [("connector_id", "=", mapping.connector_id.id)]
                    if mapping.connector_id
                    else []
                ),
            ]
        )
        for row in rows:
            row._settle(mapping.display_name, mapping)

    def _settle(self, target, mapping=None):
        """Close, and hand back what waited to the job that applies it.

        A command of another day may find that nothing counts on that day; it then
        opens the code again.

        :param str target: what it stands for, for a person
        """
        self.ensure_one()
        commands = self.env["finance.command"]
        count = commands.search_count(
            [("state", "=", "waiting"), ("waits_for", "=", self.key)]
        )
        commands._provide(self.key, self.company_id)
        self.write({"state": "mapped", "mapping_id": mapping and mapping.id})
        self._exceptions()._resolve(
            self.env._(
                "Mapped: %(target)s. Commands processed again: %(count)s.",
                target=target,
                count=count,
            )
        )
