from collections import namedtuple

from odoo import api, fields, models
from odoo.exceptions import UserError

from .. import clock, constants
from .errors import CommandIgnored


class Position(namedtuple("Position", "limit exposure currency")):
    """How a counterparty stands, in the currency of the company.

    :ivar limit: ``None`` when there is none, zero when it gets no credit.
    :ivar exposure: the larger of what it owes in Odoo and what was reported.
    """

    __slots__ = ()

    def exceeded_by(self, further=0.0):
        """Return whether the limit is exceeded once ``further`` is owed, too."""
        if self.limit is None:
            return False
        return self.currency.compare_amounts(self.exposure + further, self.limit) > 0


class FinanceExposure(models.Model):
    """What another system says of a counterparty's credit: limits and exposures.

    Every figure is kept; the newest of a kind is current. Only the system that owns
    these figures can change them, by its commands.
    """

    _name = "finance.exposure"
    _description = "Finance Credit Figure"
    _order = "as_of desc, id desc"
    _rec_name = "partner_id"

    company_id = fields.Many2one("res.company", required=True, readonly=True)
    partner_id = fields.Many2one(
        "res.partner",
        string="Counterparty",
        required=True,
        readonly=True,
        ondelete="restrict",
    )
    kind = fields.Selection(
        [("limit", "Credit Limit"), ("exposure", "Exposure")],
        string="Figure",
        required=True,
        readonly=True,
    )
    amount = fields.Monetary(readonly=True)
    currency_id = fields.Many2one("res.currency", required=True, readonly=True)
    company_amount = fields.Monetary(
        string="In Company Currency",
        currency_field="company_currency_id",
        readonly=True,
        help="At the rate of the day it was right.",
    )
    company_currency_id = fields.Many2one(
        related="company_id.currency_id", string="Company Currency"
    )
    as_of = fields.Datetime(required=True, readonly=True, help="When it was right.")
    version = fields.Char(readonly=True, help="As the other system counts them.")
    recorded_at = fields.Datetime(required=True, readonly=True)
    is_current = fields.Boolean(string="Current", readonly=True)
    connector_id = fields.Many2one("finance.connector", readonly=True, index=True)
    command_id = fields.Many2one("finance.command", readonly=True)

    _current_unique = models.UniqueIndex(
        "(company_id, partner_id, kind) WHERE is_current"
    )
    _partner_idx = models.Index("(partner_id, as_of)")

    # === CRUD === #

    def write(self, vals):
        if vals.keys() != {"is_current"} or not self.env.su:
            raise UserError(
                self.env._("Figures are kept as they were reported; send a newer one.")
            )
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("Figures are kept as they were reported."))

    # === KEEPING === #

    @api.model
    def _current(self, kind, partner, company):
        """Return the newest figure of a counterparty, empty without one."""
        return self.search(
            [
                ("kind", "=", kind),
                ("partner_id", "=", partner.commercial_partner_id.id),
                ("company_id", "=", company.id),
                ("is_current", "=", True),
            ]
        )

    @api.model
    def _keep(self, kind, command, partner, content, currency):
        """Keep a figure that a command reports.

        :param str kind: ``limit`` or ``exposure``
        :param partner: the counterparty
        :param content: contracts.CreditLimitUpdate or contracts.ExposureUpdate
        :return: the figure
        :raise CommandIgnored: D-STALE, when a newer one is known
        """
        company = command.company_id
        partner = partner.commercial_partner_id
        as_of = clock.naive(content.as_of)
        known = self._current(kind, partner, company)
        if known and known._is_newer_than(as_of, content.version):
            raise CommandIgnored(
                "D-STALE",
                self.env._(
                    "A newer figure is known: %(amount)s as of %(as_of)s.",
                    amount=known.currency_id.format(known.amount),
                    as_of=known.as_of,
                ),
            )
        known.is_current = False
        # The index of current figures is to see the one before the other.
        known.flush_recordset()
        return self.create(
            {
                "company_id": company.id,
                "partner_id": partner.id,
                "kind": kind,
                "amount": float(content.amount),
                "currency_id": currency.id,
                "company_amount": currency._convert(
                    float(content.amount),
                    company.currency_id,
                    company,
                    content.as_of.date(),
                ),
                "as_of": as_of,
                "version": content.version,
                "recorded_at": clock.naive_now(),
                "is_current": True,
                "connector_id": command.connector_id.id,
                "command_id": command.id,
            }
        )

    def _is_newer_than(self, as_of, version):
        """Return whether a figure reported now is older than this one."""
        self.ensure_one()
        if self.as_of != as_of:
            return self.as_of > as_of
        known = self.version or ""
        if known.isdecimal() and (version or "").isdecimal():
            return int(known) > int(version)
        return False

    # === COMPARING === #

    @api.model
    def _position(self, partner, company):
        """Return how a counterparty stands.

        What it owes in Odoo counts beside what was reported, the larger of both: one
        may know of what the other does not yet.
        """
        partner = partner.commercial_partner_id.sudo().with_company(company)
        # Computed once and kept by Odoo, whatever is posted afterwards.
        partner.invalidate_recordset(["credit"])
        reported = self._current("exposure", partner, company)
        limit = partner.credit_limit or None
        if limit is None and self._current("limit", partner, company):
            # Odoo knows no zero limit; the owner of the limits does.
            limit = 0.0
        return Position(
            limit,
            max(partner.credit, reported.company_amount),
            company.currency_id,
        )

    @api.model
    def _reconsider(self, partner, company, *, command=None):
        """Place or release the credit hold of a counterparty by its figures.

        :param command: the ``finance.command`` that changed them
        """
        partner = partner.commercial_partner_id
        position = self._position(partner, company)
        holds = self.env["finance.hold"]
        held = holds._active(partner, "credit", company=company).filtered(
            lambda hold: hold.origin == "check"
        )
        values = {
            "exposure": position.currency.format(position.exposure),
            "limit": position.currency.format(position.limit or 0.0),
        }
        if not position.exceeded_by():
            held._end(
                "released",
                self.env._(
                    "Within the limit again: exposure %(exposure)s, limit %(limit)s.",
                    **values,
                )
                if position.limit is not None
                else self.env._("There is no limit any more."),
                command=command,
            )
            return
        reason = self.env._(
            "The exposure of %(exposure)s is above the limit of %(limit)s.", **values
        )
        hold = holds._place(
            partner,
            "credit",
            reason,
            connector=command and command.connector_id,
            command=command,
            origin="check",
            amount=position.exposure - position.limit,
            currency=position.currency,
            company=company,
        )
        if not held and hold.origin == "check":
            self.env["finance.capture"]._note(hold, "limit_exceeded")
            hold._report_exceeded(position)

    @api.model
    def _cron_reconsider(self):
        """Release the credit holds of counterparties that have paid meanwhile."""
        held = self.env["finance.hold"].search(
            [
                ("state", "=", "active"),
                ("kind", "=", "credit"),
                ("origin", "=", "check"),
            ],
            limit=constants.HOLD_BATCH,
        )
        for hold in held:
            partner = hold._record()
            if partner:
                self._reconsider(partner, hold.company_id)
