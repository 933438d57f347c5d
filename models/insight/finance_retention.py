import json
import logging
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ...contracts import EVENT_TYPES
from .. import clock, constants

_logger = logging.getLogger(__name__)

POSITIONS = "finance_hub.purge_positions"
# While such an exception is open every row may be evidence.
FREEZING_CODE = "C-AUDIT-CHAIN"
DATACLASSES = [
    ("internal", "Internal"),
    ("confidential", "Confidential"),
    ("personal", "Personal"),
    ("restricted", "Restricted"),
]

# === WALKS === #
# Each walk goes through one table, the oldest row first, page by page along an index.
# A page gives (id, moment, company, kind of retention).

ATTEMPT_PAGE = """
    SELECT id, started_at, company_id,
           CASE outcome WHEN 'delivered' THEN 'attempt_delivered'
                        ELSE 'attempt_failed' END
      FROM finance_attempt
     WHERE id > %(after)s
     ORDER BY id LIMIT %(page)s
"""

DELIVERY_PAGE = """
    SELECT id, COALESCE(delivered_at, created_at), company_id, 'delivery'
      FROM finance_delivery
     WHERE id > %(after)s
     ORDER BY id LIMIT %(page)s
"""

BATCH_PAGE = """
    SELECT id, COALESCE(delivered_at, created_at), company_id, 'delivery'
      FROM finance_batch
     WHERE id > %(after)s
     ORDER BY id LIMIT %(page)s
"""

EVENT_PAGE = """
    SELECT id, occurred_at, company_id, 'event'
      FROM finance_event
     WHERE type = %(type)s AND id > %(after)s
     ORDER BY id LIMIT %(page)s
"""

MESSAGE_PAGE = """
    SELECT id, received_at, company_id, 'message'
      FROM finance_message
     WHERE body IS NOT NULL AND state = 'processed' AND id > %(after)s
     ORDER BY id LIMIT %(page)s
"""

# The types that there are events of, by jumping through the index.
TYPES = """
    WITH RECURSIVE seen(type) AS (
        (SELECT type FROM finance_event ORDER BY type LIMIT 1)
        UNION ALL
        SELECT (SELECT e.type FROM finance_event e
                 WHERE e.type > s.type ORDER BY e.type LIMIT 1)
          FROM seen s WHERE s.type IS NOT NULL
    )
    SELECT type FROM seen WHERE type IS NOT NULL
"""

# === WHAT MAY GO === #
# Of the rows that are old enough: those nobody needs any more. What is not done, hangs
# on an open exception, or is needed by a row that stays, stays.

ATTEMPT_FREE = """
    SELECT a.id
      FROM finance_attempt a
      LEFT JOIN finance_delivery d ON d.id = a.delivery_id
      LEFT JOIN finance_batch b ON b.id = a.batch_id
      LEFT JOIN finance_exception x
        ON x.id = COALESCE(d.exception_id, b.exception_id)
       AND x.state IN ('open', 'in_progress')
     WHERE a.id = ANY(%(ids)s)
       AND COALESCE(d.state, b.state) NOT IN ('waiting', 'parked', 'dead')
       AND x.id IS NULL
     ORDER BY a.id
"""

DELIVERY_FREE = """
    SELECT d.id
      FROM finance_delivery d
      LEFT JOIN finance_batch b ON b.id = d.batch_id
      LEFT JOIN finance_replay r ON r.id = d.replay_id
      LEFT JOIN finance_exception x
        ON x.id = d.exception_id AND x.state IN ('open', 'in_progress')
     WHERE d.id = ANY(%(ids)s)
       AND d.state IN ('delivered', 'cancelled')
       AND (r.id IS NULL OR r.state IN ('done', 'cancelled'))
       AND (b.id IS NULL OR b.state NOT IN ('waiting', 'dead'))
       AND x.id IS NULL
       AND NOT EXISTS (SELECT FROM finance_attempt a WHERE a.delivery_id = d.id)
     ORDER BY d.id
"""

# The last of a subscription stays, as the next number follows from it.
BATCH_FREE = """
    SELECT b.id
      FROM finance_batch b
      LEFT JOIN finance_exception x
        ON x.id = b.exception_id AND x.state IN ('open', 'in_progress')
     WHERE b.id = ANY(%(ids)s)
       AND b.state IN ('delivered', 'split', 'cancelled')
       AND x.id IS NULL
       AND NOT EXISTS (SELECT FROM finance_attempt a WHERE a.batch_id = b.id)
       AND NOT EXISTS (SELECT FROM finance_delivery d WHERE d.batch_id = b.id)
       AND NOT EXISTS (SELECT FROM finance_batch c WHERE c.parent_id = b.id)
       AND EXISTS (
           SELECT FROM finance_batch n
            WHERE n.subscription_id = b.subscription_id AND n.number > b.number)
     ORDER BY b.id
"""

# The last event of a document stays, as the next sequence number, and by it the id of
# the next event, follows from it.
EVENT_FREE = """
    SELECT e.id
      FROM finance_event e
     WHERE e.id = ANY(%(ids)s)
       AND NOT EXISTS (SELECT FROM finance_delivery d WHERE d.event_id = e.id)
       AND NOT EXISTS (
           SELECT FROM finance_exception x
            WHERE x.res_model = 'finance.event' AND x.res_id = e.id
              AND x.state IN ('open', 'in_progress'))
       AND NOT EXISTS (
           SELECT FROM finance_replay_event_rel p
             JOIN finance_replay r ON r.id = p.finance_replay_id
            WHERE p.finance_event_id = e.id
              AND r.state NOT IN ('done', 'cancelled'))
       AND EXISTS (
           SELECT FROM finance_event n
            WHERE n.aggregate = e.aggregate AND n.company_id = e.company_id
              AND n.sequence > e.sequence)
     ORDER BY e.id
"""

MESSAGE_FREE = """
    SELECT m.id
      FROM finance_message m
     WHERE m.id = ANY(%(ids)s)
       AND NOT EXISTS (
           SELECT FROM finance_command c
             JOIN finance_exception x
               ON x.res_model = 'finance.command' AND x.res_id = c.id
              AND x.state IN ('open', 'in_progress')
            WHERE c.message_id = m.id)
       AND NOT EXISTS (
           SELECT FROM finance_exception x
            WHERE x.res_model = 'finance.message' AND x.res_id = m.id
              AND x.state IN ('open', 'in_progress'))
     ORDER BY m.id
"""

# === REMOVING === #

DELETE_ATTEMPTS = "DELETE FROM finance_attempt WHERE id = ANY(%(ids)s)"
DELETE_DELIVERIES = "DELETE FROM finance_delivery WHERE id = ANY(%(ids)s)"
DELETE_BATCHES = "DELETE FROM finance_batch WHERE id = ANY(%(ids)s)"
DELETE_EVENTS = "DELETE FROM finance_event WHERE id = ANY(%(ids)s)"
# Digest, size and headers stay: what arrived when, and that it was seen before.
EMPTY_MESSAGES = "UPDATE finance_message SET body = NULL WHERE id = ANY(%(ids)s)"


@dataclass(frozen=True, slots=True)
class Walk:
    """One way through a table.

    :ivar name: also the kind of the archive
    :ivar model: whose rows they are
    """

    name: str
    model: str
    page: str
    free: str
    remove: str


WALKS = (
    Walk("attempt", "finance.attempt", ATTEMPT_PAGE, ATTEMPT_FREE, DELETE_ATTEMPTS),
    Walk(
        "delivery", "finance.delivery", DELIVERY_PAGE, DELIVERY_FREE, DELETE_DELIVERIES
    ),
    Walk("batch", "finance.batch", BATCH_PAGE, BATCH_FREE, DELETE_BATCHES),
    Walk("event", "finance.event", EVENT_PAGE, EVENT_FREE, DELETE_EVENTS),
    Walk("message", "finance.message", MESSAGE_PAGE, MESSAGE_FREE, EMPTY_MESSAGES),
)


class OutOfTime(Exception):
    """The rest is for the next run."""


class FinanceRetention(models.Model):
    """How long one kind of row is kept."""

    _name = "finance.retention"
    _description = "Finance Retention Rule"
    _inherit = ["mail.thread"]
    _order = "sequence, id"
    _rec_name = "kind"

    sequence = fields.Integer(default=10)
    kind = fields.Selection(
        [
            ("attempt_delivered", "Attempts That Arrived"),
            ("attempt_failed", "Attempts That Failed"),
            ("delivery", "Deliveries and Batches That Are Done"),
            ("event", "Events"),
            ("message", "Content of Messages That Came In"),
        ],
        string="What",
        required=True,
        tracking=True,
    )
    dataclass = fields.Selection(
        DATACLASSES,
        string="Data Class",
        tracking=True,
        help="Of events: as the catalogue says for their type. Empty means any.",
    )
    company_id = fields.Many2one(
        "res.company",
        tracking=True,
        help="A rule of a company goes before the rule for all of them.",
    )
    days = fields.Integer(
        string="Keep (days)",
        required=True,
        tracking=True,
        help="After so many days it is written to an archive file and removed. 0 "
        "means for ever.",
    )
    removed_count = fields.Integer(string="Removed So Far", readonly=True, copy=False)
    removed_at = fields.Datetime(string="Last Removed", readonly=True, copy=False)

    _rule_unique = models.UniqueIndex(
        "(kind, COALESCE(dataclass, ''), COALESCE(company_id, 0))",
        "There is a rule for this already; change that one.",
    )
    _days_range = models.Constraint(
        f"CHECK (days = 0 OR days >= {constants.MIN_RETENTION_DAYS})",
        f"Keep it for {constants.MIN_RETENTION_DAYS} days or more, or 0 for ever.",
    )

    # === CONSTRAINTS === #

    @api.constrains("kind", "dataclass")
    def _check_dataclass(self):
        if any(rule.dataclass and rule.kind != "event" for rule in self):
            raise ValidationError(
                self.env._("Only events have a data class; leave it empty.")
            )

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):
        if not self.env.su:
            for vals in vals_list:
                vals.pop("removed_count", None)
                vals.pop("removed_at", None)
        return super().create(vals_list)

    def write(self, vals):
        if not self.env.su:
            vals = {
                name: value
                for name, value in vals.items()
                if name not in ("removed_count", "removed_at")
            }
        return super().write(vals)

    # === RULES === #

    @api.model
    def _rules(self):
        """Return {(kind, data class, company id): rule}, absent keys are False."""
        return {
            (rule.kind, rule.dataclass, rule.company_id.id): rule
            for rule in self.search([])
        }

    @staticmethod
    def _rule_for(rules, kind, dataclass, company_id):
        """Return the rule that holds: the company's first, then the data class's."""
        for key in (
            (kind, dataclass, company_id),
            (kind, False, company_id),
            (kind, dataclass, False),
            (kind, False, False),
        ):
            if key in rules:
                return rules[key]
        return None

    # === PURGE === #

    @api.model
    def _cron_purge(self):
        """Archive and remove what is kept for long enough."""
        deadline = monotonic() + constants.PURGE_BUDGET
        parameters = self.env["ir.config_parameter"].sudo()
        positions = json.loads(parameters.get_param(POSITIONS) or "{}")
        rules = self._rules()
        finished = False
        if self.env["finance.exception"].search_count(
            [("code", "=", FREEZING_CODE), ("is_open", "=", True)], limit=1
        ):
            _logger.warning(
                "finance_hub: nothing is removed while %s is open", FREEZING_CODE
            )
            return
        try:
            for walk in WALKS:
                for key, dataclass, arguments in self._paths(walk):
                    self._walk(
                        walk, key, dataclass, arguments, rules, positions, deadline
                    )
            finished = True
        except OutOfTime:
            _logger.info("finance_hub: the purge goes on in the next run")
        if positions or parameters.get_param(POSITIONS):
            parameters.set_param(POSITIONS, json.dumps(positions))
        self.env["ir.cron"]._commit_progress(remaining=0 if finished else 1)

    @api.model
    def _paths(self, walk):
        """Return (key, data class, arguments of the page) of the ways of a walk."""
        if walk.name != "event":
            return [(walk.name, False, {})]
        self.env.cr.execute(TYPES)
        paths = []
        for (type_name,) in self.env.cr.fetchall():
            known = EVENT_TYPES.get(type_name)
            paths.append(
                (
                    f"event:{type_name}",
                    # A type that is no longer published: only the rule for any class.
                    known.dataclass if known else None,
                    {"type": type_name},
                )
            )
        return paths

    @api.model
    def _walk(self, walk, key, dataclass, arguments, rules, positions, deadline):
        """Walk through one table up to what is too young to go.

        :param positions: {key: id to go on after}; kept while time runs out
        :raise OutOfTime: when the run has used up its time
        """
        now = clock.naive_now()
        shortest = min((rule.days for rule in rules.values() if rule.days), default=0)
        if not shortest:
            return
        while True:
            self.env.cr.execute(
                walk.page,
                {
                    **arguments,
                    "after": positions.get(key, 0),
                    "page": constants.PURGE_PAGE,
                },
            )
            page = self.env.cr.fetchall()
            if not any(row[1] < now - timedelta(days=shortest) for row in page):
                # Next time from the beginning: what stayed may go then.
                positions.pop(key, None)
                return
            aged, moments = {}, {}
            for row_id, moment, company_id, kind in page:
                rule = self._rule_for(rules, kind, dataclass, company_id)
                if rule and rule.days and moment < now - timedelta(days=rule.days):
                    aged.setdefault((company_id, rule), []).append(row_id)
                    moments[row_id] = moment
            for (company_id, rule), ids in aged.items():
                self._remove(walk, company_id, rule, ids, moments, deadline)
            positions[key] = page[-1][0]
            if monotonic() > deadline:
                raise OutOfTime

    @api.model
    def _remove(self, walk, company_id, rule, ids, moments, deadline):
        """Archive and remove those of ``ids`` that nobody needs, file by file."""
        cr = self.env.cr
        cr.execute(walk.free, {"ids": ids})
        free = [row_id for (row_id,) in cr.fetchall()]
        company = self.env["res.company"].browse(company_id)
        while free:
            gone = self.env["finance.archive"]._store(walk.name, company, free, moments)
            self.env["finance.audit.entry"]._note(
                "retention.purge", rule, company=company, facts={"removed": len(gone)}
            )
            self._delete(walk, gone)
            rule.write(
                {
                    "removed_count": rule.removed_count + len(gone),
                    "removed_at": clock.naive_now(),
                }
            )
            free = free[len(gone) :]
            left = self.env["ir.cron"]._commit_progress(len(gone), remaining=1)
            if not left or monotonic() > deadline:
                raise OutOfTime

    @api.model
    def _delete(self, walk, ids):
        cr = self.env.cr
        self.env.flush_all()
        if walk.name == "batch":
            self.env["finance.batch"].browse(ids).attachment_id.unlink()
        # What guards the logs lets go for this transaction alone.
        cr.execute("SELECT set_config('finance_hub.purge', 'on', true)")
        cr.execute(walk.remove, {"ids": ids})
        cr.execute("SELECT set_config('finance_hub.purge', 'off', true)")
        self.env[walk.model].invalidate_model(flush=False)
