import json
import logging
from datetime import timedelta
from time import monotonic

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ...contracts import CLASSES, EVENT_TYPES
from .. import clock, constants
from ..privacy.finance_connector import CLASSIFICATIONS
from ..privacy.holding import held
from .purging import TYPES, WALKS

_logger = logging.getLogger(__name__)

POSITIONS = "finance_hub.purge_positions"
# While such an exception is open every row may be evidence.
FREEZING_CODE = "C-AUDIT-CHAIN"
DATACLASSES = [
    ("public", "Public"),
    ("internal", "Internal"),
    ("confidential", "Confidential"),
    ("personal", "Personal"),
    ("restricted", "Restricted"),
]
EVENT_CLASSES = CLASSES
INTERFACE_CLASSES = tuple(name for name, _title in CLASSIFICATIONS)


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
        help="Of events: as the catalogue says for their type. Of all else: how the "
        "connector is classified. Empty means any.",
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
        for rule in self:
            known = EVENT_CLASSES if rule.kind == "event" else INTERFACE_CLASSES
            if rule.dataclass and rule.dataclass not in known:
                raise ValidationError(
                    self.env._(
                        "“%(kind)s” has no such class. Choose one of: %(known)s.",
                        kind=dict(
                            self._fields["kind"]._description_selection(self.env)
                        )[rule.kind],
                        known=", ".join(
                            label for name, label in DATACLASSES if name in known
                        ),
                    )
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
        run = self.env["finance.purge"]._begin()
        try:
            for walk in WALKS:
                for key, arguments in self._paths(walk):
                    self._walk(walk, key, arguments, rules, positions, deadline, run)
            finished = True
        except OutOfTime:
            _logger.info("finance_hub: the purge goes on in the next run")
        run._end(finished)
        if positions or parameters.get_param(POSITIONS):
            parameters.set_param(POSITIONS, json.dumps(positions))
        self.env["ir.cron"]._commit_progress(remaining=0 if finished else 1)

    @api.model
    def _paths(self, walk):
        """Return (key, arguments of the page) of the ways of a walk."""
        if walk.name != "event":
            return [(walk.name, {})]
        self.env.cr.execute(TYPES)
        paths = []
        for (type_name,) in self.env.cr.fetchall():
            known = EVENT_TYPES.get(type_name)
            paths.append(
                (
                    f"event:{type_name}",
                    # A type that is no longer published: only the rule for any class.
                    {
                        "type": type_name,
                        "dataclass": known.dataclass if known else None,
                    },
                )
            )
        return paths

    @api.model
    def _walk(self, walk, key, arguments, rules, positions, deadline, run):
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
            for row_id, moment, company_id, kind, dataclass in page:
                rule = self._rule_for(rules, kind, dataclass, company_id)
                if rule and rule.days and moment < now - timedelta(days=rule.days):
                    aged.setdefault((company_id, rule, dataclass), []).append(row_id)
                    moments[row_id] = moment
            for (company_id, rule, dataclass), ids in aged.items():
                place = (walk.name, dataclass, rule, company_id)
                self._remove(walk, run, place, ids, moments, deadline)
            positions[key] = page[-1][0]
            if monotonic() > deadline:
                raise OutOfTime

    @api.model
    def _remove(self, walk, run, place, ids, moments, deadline):
        """Archive and remove those of ``ids`` that nobody needs, file by file.

        :param place: of the run's line that tells of it, see ``Run._line``
        """
        cr = self.env.cr
        cr.execute(walk.free, {"ids": ids})
        free = [row_id for (row_id,) in cr.fetchall()]
        kept = held(self.env, walk.name, free)
        if not free:
            return
        line = run._line(*place)
        line._note_kept(kept, len(ids) - len(free))
        free = [row_id for row_id in free if row_id not in kept]
        rule, company = line.rule_id, line.company_id
        while free:
            gone = self.env["finance.archive"]._store(
                walk.name, company, free, moments, line
            )
            self.env["finance.audit.entry"]._note(
                "retention.purge", rule, company=company, facts={"removed": len(gone)}
            )
            self._delete(walk, gone)
            line._note_removed(gone, moments)
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
