import hashlib
import json

from markupsafe import Markup

from odoo import api, fields, models

from .. import constants
from .differences import differences


class FinanceCommand(models.Model):
    """Corrections: what changed, and the second person who looks at it."""

    _name = "finance.command"
    _inherit = ["finance.command", "finance.approvable"]

    difference_html = fields.Html(
        string="What Was Changed", compute="_compute_difference_html"
    )

    @api.depends("data", "corrected_from_id.data")
    @api.depends_context("uid")
    def _compute_difference_html(self):
        for command in self:
            original = command.corrected_from_id
            command.difference_html = (
                difference_html(self.env, original.data, command.data)
                if original and not command.content_hidden
                else False
            )

    # === THE SECOND PERSON === #

    def _correctors(self):
        """Return the people who corrected the commands, or what they correct.

        Whoever corrects cannot approve.
        """
        people = self.env["res.users"]
        command = self
        while command:
            people |= command.corrected_by_id
            command = command.corrected_from_id
        return people

    def _hand_in(self):
        """Have a correction applied; one of more than a name is approved first."""
        self.ensure_one()
        if not self.corrected_from_id._changes_more_than_names(self._clear_data()):
            return super()._hand_in()
        self.write(
            {
                "state": "held",
                "error": self.env._(
                    "Corrected by %s. A second person has to approve what was changed.",
                    self.corrected_by_id.name,
                ),
            }
        )
        self.env["finance.approval"]._request(
            self,
            title=self.env._("Correction: %s", self.title),
            policy=self.env._(
                "A correction that changes more than a reference needs a second person."
            ),
            connector=self.connector_id,
            correlation_id=self.correlation_id,
        )
        return None

    def _changes_more_than_names(self, data):
        """Return whether a correction to ``data`` needs a second person.

        Not one that only changes what the command belongs to; nor where the connector
        has every entry approved: its approver is the second person.
        """
        self.ensure_one()
        if (
            self.type == "posting.request"
            and self.connector_id.posting_approval == "always"
        ):
            return False
        changed = {
            path.partition("/")[0]
            for path, _old, _new in differences(self._clear_data(), data)
        }
        return not changed <= constants.FREELY_CORRECTED

    def _finance_approval_version(self):
        self.ensure_one()
        facts = [self.type, self._clear_data(), self.corrected_from_id.id]
        text = json.dumps(facts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def _finance_approval_people(self):
        return self._correctors()

    def _finance_approved(self, approval):
        self._resubmit()

    def _finance_refused(self, approval):
        """Go back to the original, which waits for another decision."""
        original = self.corrected_from_id
        self.write(
            {
                "state": "ignored",
                "error": self.env._("The correction was refused: %s", approval.reason),
            }
        )
        # Superseded, it keeps the code of what was wrong with it.
        original.state = "failed"
        exceptions = self._exceptions()
        exceptions.write({"state": "open", "res_id": original.id})
        exceptions._log_action(self.env._("Correction refused"), approval.reason)


def difference_html(env, old, new):
    """Return what changed as a table: the field, what it said, what it says."""
    changed = differences(old, new)
    if not changed:
        return False
    rows = Markup().join(
        Markup(
            '<tr><td>%s</td><td class="text-danger">%s</td>'
            '<td class="text-success">%s</td></tr>'
        )
        % (path, "–" if was is None else was, "–" if now is None else now)
        for path, was, now in changed[: constants.DIFFERENCES_SHOWN]
    )
    return Markup(
        '<table class="table table-sm"><thead><tr><th>%s</th><th>%s</th><th>%s</th>'
        "</tr></thead><tbody>%s</tbody></table>"
    ) % (env._("Field"), env._("Came In"), env._("Corrected"), rows)
