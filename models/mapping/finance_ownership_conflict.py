from odoo import api, fields, models
from odoo.exceptions import UserError

from .. import clock, constants
from ..access import require_group

# Only the reason is for typing.
WRITABLE = {"reason"}


class FinanceOwnershipConflict(models.Model):
    """A command of a system that does not own the data: apply it once, or reject?

    One person asks for it with a reason, another one agrees; rejecting takes one.
    """

    _name = "finance.ownership.conflict"
    _description = "Finance Ownership Conflict"
    _inherit = ["mail.thread"]
    _order = "id desc"
    _rec_name = "title"

    command_id = fields.Many2one(
        "finance.command",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
    )
    title = fields.Char(related="command_id.title")
    connector_id = fields.Many2one(
        related="command_id.connector_id", string="Wants to Write", store=True
    )
    company_id = fields.Many2one(
        related="command_id.company_id", store=True, index=True
    )
    ownership_id = fields.Many2one(
        "finance.ownership", readonly=True, ondelete="set null"
    )
    owner_name = fields.Char(string="Owner", readonly=True)
    message = fields.Text(readonly=True)
    content = fields.Text(related="command_id.data_text", related_sudo=False)
    state = fields.Selection(
        [
            ("open", "Open"),
            ("requested", "Waits for Approval"),
            ("applied", "Applied Once"),
            ("rejected", "Rejected"),
        ],
        required=True,
        default="open",
        readonly=True,
        tracking=True,
    )
    reason = fields.Char(
        tracking=True, help="Why it is right to apply it although another system owns."
    )
    requested_by_id = fields.Many2one("res.users", readonly=True)
    decided_by_id = fields.Many2one("res.users", readonly=True)
    decided_at = fields.Datetime(readonly=True)

    _command_unique = models.UniqueIndex(
        "(command_id, ownership_id) WHERE state IN ('open', 'requested')"
    )

    # === CRUD === #

    def write(self, vals):
        if not self.env.su and not vals.keys() <= WRITABLE:
            raise UserError(
                self.env._("Only the reason can be written; use the buttons.")
            )
        if not self.env.su and any(conflict.state != "open" for conflict in self):
            raise UserError(self.env._("This was submitted already."))
        return super().write(vals)

    # === ACTIONS === #

    def action_request(self):
        """Ask another person's consent to apply the command once."""
        require_group(self.env, constants.GROUP_OPERATOR)
        for conflict in self:
            conflict._expect_state("open")
            if not (conflict.reason or "").strip():
                raise UserError(
                    self.env._("Say in the reason why it is right to apply it.")
                )
        self.sudo().write({"state": "requested", "requested_by_id": self.env.user.id})
        return True

    def action_approve(self):
        """Apply the command this once: a second person's decision."""
        require_group(self.env, constants.GROUP_APPROVER)
        for conflict in self:
            conflict._expect_state("requested")
            self.env["finance.duty"]._check(
                conflict,
                "agree",
                {"requested": conflict.requested_by_id},
                message=self.env._("You asked for it, so somebody else must agree."),
                retry="action_approve",
            )
        self.sudo()._decide("applied", self.env.user)
        for conflict in self.sudo():
            conflict.command_id._resubmit()
        return True

    def action_reject(self):
        """Refuse the command; it fails."""
        require_group(self.env, constants.GROUP_OPERATOR, constants.GROUP_APPROVER)
        for conflict in self:
            conflict._expect_state("open", "requested")
        self.sudo()._decide("rejected", self.env.user)
        commands = self.sudo().command_id.filtered(lambda c: c.state == "held")
        commands.write({"state": "ignored"})
        commands._exceptions()._resolve(
            self.env._("Rejected: another system owns the data.")
        )
        return True

    # === BUSINESS METHODS === #

    def _expect_state(self, *states):
        self.ensure_one()
        self.check_access("read")
        if self.state not in states:
            raise UserError(self.env._("“%s” was decided already.", self.title))

    def _decide(self, state, user):
        self.write(
            {
                "state": state,
                "decided_by_id": user.id,
                "decided_at": clock.naive_now(),
            }
        )

    @api.model
    def _is_allowed(self, command_id, ownership):
        """Return whether two people agreed to apply a command once."""
        return bool(
            command_id
            and self.search_count(
                [
                    ("command_id", "=", command_id),
                    ("ownership_id", "=", ownership.id),
                    ("state", "=", "applied"),
                ],
                limit=1,
            )
        )

    @api.model
    def _ask(self, command, ownership, message):
        """Have people decide about a held command."""
        conflict = self.search(
            [
                ("command_id", "=", command.id),
                ("ownership_id", "=", ownership.id),
                ("state", "in", ("open", "requested")),
            ]
        ) or self.create(
            {
                "command_id": command.id,
                "ownership_id": ownership.id,
                "owner_name": ownership.owner_name,
                "message": message,
            }
        )
        self.env["finance.exception"]._open(
            "D-OWNERSHIP",
            company=command.company_id,
            # Of the command: it is closed when the command is applied.
            record=command,
            connector=command.connector_id,
            fingerprint=f"command:{command._first_command().id}",
            summary=self.env._(
                "%(title)s: %(owner)s owns this data; decide under Ownership Conflicts",
                title=command.title,
                owner=ownership.owner_name,
            ),
            cause=message,
            correlation_id=command.correlation_id,
        )
        return conflict
