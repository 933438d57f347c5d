from odoo import api, fields, models
from odoo.exceptions import UserError

from .. import constants
from ..access import require_group
from ..windows import window_at
from .finance_privacy_wizard import MODELS, SEARCHERS
from .pseudonymising import obstacle, take_out


class FinancePrivacyWizardLine(models.TransientModel):
    """One row in which a person was found, and what can be done about it."""

    _name = "finance.privacy.wizard.line"
    _description = "Personal Data Found in the Finance Hub"
    _order = "source, row_id desc"

    search_id = fields.Many2one(
        "finance.privacy.wizard", required=True, ondelete="cascade", readonly=True
    )
    source = fields.Selection(
        selection=lambda self: (
            self.env["finance.privacy.mark"]._fields["source"].selection
        ),
        string="What",
        required=True,
        readonly=True,
    )
    row_id = fields.Integer(string="Record ID", readonly=True)
    res_model = fields.Char(compute="_compute_record")
    title = fields.Char(string="Record", compute="_compute_record")
    happened_at = fields.Datetime(string="When", compute="_compute_record")
    kinds = fields.Char(string="Found By", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True)
    archive_id = fields.Many2one("finance.archive", readonly=True)
    state = fields.Selection(
        [
            ("possible", "Can Be Taken Out"),
            ("held", "Under a Legal Hold"),
            ("busy", "Still Needed"),
            ("archived", "In an Archive File"),
            ("gone", "Nothing There Any More"),
        ],
        string="What Can Be Done",
        compute="_compute_state",
    )

    @api.depends("source", "row_id")
    def _compute_record(self):
        moments = {
            "event": "occurred_at",
            "message": "received_at",
            "command": "create_date",
            "attempt": "started_at",
        }
        for finding in self:
            finding.res_model = MODELS[finding.source]
            record = finding._record()
            finding.title = record.display_name if record else False
            finding.happened_at = record[moments[finding.source]] if record else False

    @api.depends("source", "row_id", "archive_id")
    def _compute_state(self):
        for finding in self:
            if finding.archive_id:
                finding.state = "archived"
                continue
            record = finding._record()
            finding.state = (obstacle(record) or "possible") if record else "gone"

    def _record(self):
        """Return the row, empty if it is in an archive file or was removed."""
        self.ensure_one()
        if self.archive_id and self.source != "message":
            return self.env[MODELS[self.source]].sudo().browse()
        # Whoever may search sees that it is there; its content has its own rules.
        return self.env[MODELS[self.source]].sudo().browse(self.row_id).exists()

    # === ACTIONS === #

    def action_open_record(self):
        """Open the row, or the archive file that it was written to."""
        self.ensure_one()
        require_group(self.env, *SEARCHERS)
        self.check_access("read")
        if self.archive_id:
            model, record_id = "finance.archive", self.archive_id.id
        elif self._record():
            model, record_id = self.res_model, self.row_id
        else:
            raise UserError(self.env._("It was removed meanwhile."))
        return window_at(self.env, model, record_id)

    def action_pseudonymise(self):
        """Take the personal data out of these rows."""
        self._pseudonymise(self.search_id[:1].reason)
        return self.search_id[:1]._reopened()

    def _pseudonymise(self, reason):
        """Take the personal data out of what may be changed, and have it recorded.

        :param str reason: why
        :return: how many rows were changed
        """
        require_group(self.env, constants.GROUP_ADMINISTRATOR)
        if not (reason or "").strip():
            raise UserError(self.env._("Say why: enter a reason first."))
        possible = self.filtered(
            lambda finding: (
                finding.state == "possible" and finding.company_id <= self.env.companies
            )
        )
        if not possible:
            raise UserError(
                self.env._(
                    "Nothing of this can be taken out now: it is under a legal hold, "
                    "still needed, or in an archive file."
                )
            )
        for finding in possible:
            record = finding._record()
            take_out(record)
            self.env["finance.audit.entry"]._note(
                "privacy.pseudonymise",
                record,
                reason=reason,
                facts={"found_by": finding.kinds},
            )
        return len(possible)
