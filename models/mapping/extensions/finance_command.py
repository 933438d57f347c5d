from odoo import fields, models
from odoo.exceptions import UserError

from ... import constants
from ...access import require_group
from ..duplicates import UPSERT

DUPLICATE = "D-DUPLICATE-PARTY"


class FinanceCommand(models.Model):
    _inherit = "finance.command"

    party_is_new = fields.Boolean(
        string="Decided: New Party",
        readonly=True,
        copy=False,
        help="A person decided that the party is not one of those that look like it.",
    )

    def action_decide_party(self):
        """Open the form in which a person says who a counterparty is."""
        self.ensure_one()
        require_group(self.env, constants.GROUP_OPERATOR)
        self.check_access("read")
        self._expect_undecided()
        return self.env["finance.party.wizard"].create({"command_id": self.id})._open()

    def _expect_undecided(self):
        """Raise unless a person is to say who the counterparty is.

        :raise UserError: when that was done
        """
        if self.state != "failed" or self.error_code != DUPLICATE:
            raise UserError(
                self.env._("There is no party to decide about, or it was decided.")
            )

    def _handler(self):
        """Let checks know which command they are about."""
        return super()._handler().with_context(finance_command_id=self.id)

    def _same_party(self):
        """Return the commands that wait for the same decision, oldest first."""
        self.ensure_one()
        failed = self.search(
            [
                ("connector_id", "=", self.connector_id.id),
                ("type", "=", UPSERT),
                ("state", "=", "failed"),
                ("error_code", "=", DUPLICATE),
            ],
            order="id",
        )
        # Compared by the hub, whoever asks and whatever is hidden from him.
        external_id = self.sudo().data["external_id"]
        same = failed.sudo().filtered(lambda c: c.data["external_id"] == external_id)
        return same.with_env(self.env)
