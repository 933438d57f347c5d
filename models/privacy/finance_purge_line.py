from odoo import api, fields, models
from odoo.exceptions import UserError

from .. import constants
from .finance_connector import CLASSIFICATIONS

KINDS = [
    ("attempt", "Attempts"),
    ("delivery", "Deliveries"),
    ("batch", "Batches"),
    ("event", "Events"),
    ("message", "Content of Messages"),
]


class FinancePurgeLine(models.Model):
    """What one run did with the rows of one kind, class and company."""

    _name = "finance.purge.line"
    _description = "Line of a Finance Purge"
    _order = "id desc"
    _rec_name = "kind"
    _log_access = False

    purge_id = fields.Many2one(
        "finance.purge", required=True, readonly=True, index=True, ondelete="restrict"
    )
    started_at = fields.Datetime(related="purge_id.started_at", string="When")
    kind = fields.Selection(KINDS, string="What", required=True, readonly=True)
    dataclass = fields.Selection(
        [*CLASSIFICATIONS, ("personal", "Personal")], string="Class", readonly=True
    )
    rule_id = fields.Many2one("finance.retention", readonly=True, ondelete="set null")
    days = fields.Integer(string="Kept for (days)", readonly=True, aggregator=False)
    company_id = fields.Many2one("res.company", required=True, readonly=True)
    removed_count = fields.Integer(string="Removed", readonly=True)
    held_count = fields.Integer(
        string="Kept by Legal Holds",
        readonly=True,
        help="Old enough to go, and covered by a hold in force.",
    )
    needed_count = fields.Integer(
        string="Still Needed",
        readonly=True,
        help="Old enough to go, but not done, before a person, or needed by a row "
        "that stays.",
    )
    from_at = fields.Datetime(string="From", readonly=True)
    to_at = fields.Datetime(string="To", readonly=True)
    hold_ids = fields.Many2many("finance.legal.hold", readonly=True)
    archive_ids = fields.One2many(
        "finance.archive",
        "line_id",
        "Files",
        readonly=True,
        groups=f"{constants.GROUP_ADMINISTRATOR},{constants.GROUP_AUDITOR}",
    )
    digests = fields.Text(
        string="SHA-256 of the Files", compute="_compute_digests", compute_sudo=True
    )

    @api.depends("archive_ids.sha256")
    def _compute_digests(self):
        for line in self:
            line.digests = "\n".join(
                f"{archive.sha256}  {archive.name}" for archive in line.archive_ids
            )

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("This is evidence of what was removed; it is kept."))

    def _note_kept(self, held, needed):
        """Count what stays.

        :param held: {row id: ids of the legal holds that keep it}
        :param int needed: how many rows are needed by others
        """
        holds = {hold for ids in held.values() for hold in ids}
        if held or needed:
            self.write(
                {
                    "held_count": self.held_count + len(held),
                    "needed_count": self.needed_count + needed,
                    "hold_ids": [(4, hold) for hold in sorted(holds)],
                }
            )

    def _note_removed(self, ids, moments):
        """Count what went, and from when to when it was."""
        times = [moments[row_id] for row_id in ids]
        self.write(
            {
                "removed_count": self.removed_count + len(ids),
                "from_at": min([*times, self.from_at or times[0]]),
                "to_at": max([*times, self.to_at or times[0]]),
            }
        )
