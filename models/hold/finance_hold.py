from odoo import api, fields, models
from odoo.exceptions import UserError

from .. import clock, constants
from ..access import require_group
from ..capture import payload_master as payload

KINDS = [
    ("revenue", "Revenue"),
    ("order", "Order"),
    ("credit", "Credit"),
    ("risk", "Risk"),
    ("approval", "Approval"),
    ("exposure", "Exposure"),
]
# Kinds that stop a document or payment from being posted.
STOPPING = ("risk", "approval", "exposure", "credit")
# Kinds that end only by a decision: when their time is over, a person is told and
# they go on. The others are over when their time is.
GUARDING = ("risk", "approval", "exposure")
# Stands for “whatever it is”, as no topic is a topic, too.
ANY = object()
ORIGINS = [
    ("system", "Another System"),
    ("check", "A Check of the Hub"),
    ("person", "A Person"),
]


class RecordHeld(UserError):
    """A record can't go on, as it is held.

    :ivar holds: the ``finance.hold`` that stop it
    """

    def __init__(self, message, holds):
        super().__init__(message)
        self.holds = holds


class FinanceHold(models.Model):
    """The stop of a document, payment or counterparty until somebody decides.

    Holds are never deleted: what was held, why, and who let it go stays visible.
    """

    _name = "finance.hold"
    _description = "Finance Hold"
    _inherit = ["finance.captured", "finance.about", "mail.activity.mixin"]
    _order = "id desc"
    _rec_name = "title"

    _finance_fields = ("state",)

    title = fields.Char(compute="_compute_title")
    company_id = fields.Many2one("res.company", required=True, readonly=True)
    res_model = fields.Char(string="Model", required=True, readonly=True)
    res_id = fields.Many2oneReference(
        string="Record", model_field="res_model", required=True, readonly=True
    )
    record_name = fields.Char(string="What Is Held", required=True, readonly=True)
    kind = fields.Selection(KINDS, required=True, readonly=True)
    topic = fields.Char(
        readonly=True,
        help="What is looked at, where a kind has several: fraud, sanctions…",
    )
    origin = fields.Selection(
        ORIGINS, string="Placed By", required=True, readonly=True, default="system"
    )
    state = fields.Selection(
        [("active", "Active"), ("released", "Released"), ("expired", "Expired")],
        required=True,
        readonly=True,
        default="active",
        tracking=True,
    )
    reason = fields.Text(required=True, readonly=True, tracking=True)
    released_by_text = fields.Char(
        string="What Releases It", compute="_compute_released_by_text"
    )
    connector_id = fields.Many2one("finance.connector", readonly=True, index=True)
    command_id = fields.Many2one(
        "finance.command", string="Placed by Command", readonly=True
    )
    command_ids = fields.Many2many(
        "finance.command",
        "finance_hold_command_rel",
        string="Commands That Wait",
        readonly=True,
        help="Applied once the hold is released.",
    )
    amount = fields.Monetary(string="At Stake", readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    placed_at = fields.Datetime(required=True, readonly=True)
    placed_by_id = fields.Many2one("res.users", string="Placed By User", readonly=True)
    expires_at = fields.Datetime(string="Decision Due", readonly=True, tracking=True)
    is_overdue = fields.Boolean(readonly=True)
    released_at = fields.Datetime(string="Ended", readonly=True)
    released_by_id = fields.Many2one("res.users", readonly=True)
    release_reason = fields.Text(readonly=True, tracking=True)
    release_command_id = fields.Many2one(
        "finance.command", string="Released by Command", readonly=True
    )
    # === THE LATEST VERDICT === #
    verdict = fields.Selection(
        [("approved", "Approved"), ("rejected", "Rejected"), ("review", "In Review")],
        readonly=True,
        tracking=True,
    )
    verdict_reference = fields.Char(readonly=True)
    verdict_score = fields.Char(string="Score", readonly=True)
    verdict_reason = fields.Text(readonly=True)
    decided_at = fields.Datetime(string="Verdict Made", readonly=True)
    cleared_until = fields.Datetime(
        readonly=True,
        help="When the verdict that released it ends: what is not posted by then is "
        "held again.",
    )
    correlation_id = fields.Char(readonly=True, index=True)

    # One active hold for one reason to stop: what comes again joins it.
    _active_unique = models.UniqueIndex(
        "(company_id, res_model, res_id, kind, COALESCE(topic, ''))"
        " WHERE state = 'active'"
    )
    # All that a posting looks at.
    _record_idx = models.Index(
        "(res_model, res_id) WHERE state = 'active' OR cleared_until IS NOT NULL"
    )
    _history_idx = models.Index("(res_model, res_id, decided_at)")
    _expiry_idx = models.Index("(expires_at) WHERE state = 'active'")
    _cleared_idx = models.Index("(cleared_until) WHERE cleared_until IS NOT NULL")

    # === COMPUTES === #

    @api.depends("kind", "topic", "record_name")
    def _compute_title(self):
        for hold in self:
            hold.title = self.env._(
                "%(kind)s hold · %(record)s",
                kind=hold._kind_label(),
                record=hold.record_name,
            )

    @api.depends("kind")
    def _compute_released_by_text(self):
        texts = self._released_by_texts()
        for hold in self:
            hold.released_by_text = texts.get(hold.kind)

    @api.model
    def _released_by_texts(self):
        _ = self.env._
        return {
            "revenue": _("the payment provider's next word, or an approver"),
            "order": _("the capture of its payment, or an approver"),
            "credit": _("a higher limit, a payment of the customer, or an approver"),
            "risk": _("the verdict of the risk system, or an approver"),
            "approval": _("an approver's consent"),
            "exposure": _("the calculation of the exposure, or an approver"),
        }

    def _kind_label(self):
        self.ensure_one()
        kind = dict(self._fields["kind"]._description_selection(self.env))[self.kind]
        if self.topic and self.topic != self.kind:
            return f"{kind} ({self.topic})"
        return kind

    # === CRUD === #

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("Holds are kept; release them instead."))

    # === ACTIONS === #

    def action_release(self):
        """Ask for the reason with which the holds are released."""
        require_group(self.env, constants.GROUP_APPROVER)
        self.check_access("read")
        self._check_releasable()
        return self.env["finance.decide.wizard"]._action_for(
            self, "release", self.env._("Release: why?")
        )

    # === PLACING === #

    @api.model
    def _place(
        self,
        record,
        kind,
        reason,
        *,
        connector=None,
        command=None,
        expires_at=None,
        topic=None,
        origin="system",
        amount=None,
        currency=None,
        company=None,
        verdict=None,
    ):
        """Hold a record; one that is held so already is held on.

        :param record: what is held, of any model
        :param str kind: ``revenue``, ``order``, ``credit``, ``risk``, ``approval`` or
            ``exposure``; see :data:`STOPPING` for those that stop a posting
        :param str reason: in plain words, for whoever finds the document stopped
        :param command: the ``finance.command`` that places it; one in the state
            ``held`` is applied once the hold is released
        :param expires_at: naive UTC; until when somebody has to decide. Then a person
            is told, or the hold ends by itself where it only waits (revenue, order,
            credit).
        :param str topic: what is looked at, where a kind has several
        :param company: by default that of the record, else of the command
        :param dict verdict: values of the fields of the latest verdict
        :return: the ``finance.hold``
        """
        record.ensure_one()
        company = company or self._company_of(record, command, connector)
        holds = self.sudo()
        hold = holds._active(record, kind, topic=topic, company=company)
        values = {
            **({"reason": reason} if reason else {}),
            **({"expires_at": expires_at, "is_overdue": False} if expires_at else {}),
            **({"amount": amount, "currency_id": currency.id} if currency else {}),
            **(verdict or {}),
        }
        if hold:
            hold = hold[0]
            hold.write(values)
        else:
            hold = holds.create(
                {
                    "company_id": company.id,
                    "res_model": record._name,
                    "res_id": record.id,
                    "record_name": record.display_name,
                    "kind": kind,
                    "topic": topic,
                    "origin": origin,
                    "connector_id": connector and connector.id,
                    "command_id": command and command.id,
                    "placed_at": clock.naive_now(),
                    "placed_by_id": self.env.uid,
                    "correlation_id": self._correlation_of(record, command),
                    **values,
                }
            )
            # An earlier clearance counts no more.
            holds._forget_clearances(record, kind, topic, company)
            hold._note_on_record(
                self.env._(
                    "Held (%(kind)s): %(reason)s",
                    kind=hold._kind_label(),
                    reason=reason,
                )
            )
        if command and command.state == "held":
            hold.command_ids |= command
        # The check of a posting reads beneath the ORM.
        holds.flush_model()
        return hold

    @api.model
    def _company_of(self, record, command, connector):
        company = record.company_id if "company_id" in record._fields else None
        if not company and (command or connector):
            company = (command or connector).company_id
        return company or self.env.company

    @api.model
    def _correlation_of(self, record, command):
        if hasattr(record, "_finance_correlation"):
            return record._finance_correlation()
        if "finance_correlation_id" in record._fields:
            return record.finance_correlation_id
        return command.correlation_id if command else None

    def _note_on_record(self, body):
        """Say it in the history of what is held, where it has one."""
        for hold in self:
            record = hold._record()
            if record and hasattr(record, "message_post"):
                record.message_post(body=body)

    # === LOOKING === #

    @api.model
    def _active(self, record, kind=None, *, topic=ANY, company=None):
        """Return the active holds of records.

        :param record: recordset of any model
        :param str kind: of this kind only
        :param topic: of this topic only; ``None`` for those without one
        """
        domain = [
            ("res_model", "=", record._name),
            ("res_id", "in", record.ids),
            ("state", "=", "active"),
        ]
        if kind:
            domain.append(("kind", "=", kind))
        if topic is not ANY:
            domain.append(("topic", "=", topic))
        if company:
            domain.append(("company_id", "=", company.id))
        return self.sudo().search(domain, order="id")

    @api.model
    def _stopping(self, model, ids, partner_ids=(), company_ids=(), kinds=STOPPING):
        """Return the holds that stop records or business with counterparties.

        One query beneath the ORM, as every posting comes by here. A clearance whose
        time is over stops like a hold.

        :param str model: of the records
        :param partner_ids: commercial entities
        :param company_ids: in which the counterparties' holds count
        :param kinds: of holds that stop
        """
        self.env.cr.execute(
            """
            SELECT id FROM finance_hold
             WHERE ((res_model = %(model)s AND res_id = ANY(%(ids)s))
                    OR (res_model = 'res.partner' AND res_id = ANY(%(partners)s)
                        AND company_id = ANY(%(companies)s)))
               AND kind = ANY(%(kinds)s)
               AND (state = 'active' OR cleared_until <= %(now)s)
             ORDER BY id
            """,
            {
                "model": model,
                "ids": list(ids),
                "partners": list(partner_ids),
                "companies": list(company_ids),
                "kinds": list(kinds),
                "now": clock.naive_now(),
            },
        )
        return self.sudo().browse(row[0] for row in self.env.cr.fetchall())

    def _stops(self):
        """Return whether the hold is of a kind that stops a posting."""
        return self.kind in STOPPING

    def _over_limit(self, moves):
        """Return whether a credit hold of a counterparty stops its invoices.

        :param moves: drafts of the counterparty
        """
        return self._over_limit_by(sum(moves.mapped("amount_total_signed")))

    def _over_limit_by(self, due):
        """Return whether a credit hold stops what would be owed in addition.

        One that the hub placed by comparing figures looks at today's: the customer
        may have paid meanwhile. Others stop until they are released.

        :param float due: in the currency of the company
        """
        self.ensure_one()
        if self.origin != "check":
            return True
        exposures = self.env["finance.exposure"].sudo()
        position = exposures._position(self._record(), self.company_id)
        return position.exceeded_by(due)

    def _raise(self):
        """Stop what is going on, in words that name every hold of ``self``.

        :raise RecordHeld: always
        """
        lines = [
            self.env._(
                "“%(record)s” is held (%(kind)s): %(reason)s It is released by "
                "%(released_by)s.",
                record=hold.record_name,
                kind=hold._kind_label(),
                reason=hold._reason_sentence(),
                released_by=hold.released_by_text,
            )
            for hold in self
        ]
        raise RecordHeld("\n".join(lines), self)

    def _reason_sentence(self):
        reason = (
            self.env._("The verdict expired before this was posted")
            if self.state == "released"
            else self.reason.strip()
        )
        return reason if reason[-1:] in ".!?" else f"{reason}."

    # === EVENTS === #

    def _finance_transitions(self, before, now, marks):
        """Return that business with a counterparty is held, see finance.captured."""
        if self.kind != "credit" or self.res_model != "res.partner":
            return []
        was, state = before and before["state"], now["state"]
        found = []
        if "limit_exceeded" in marks:
            found.append(("limit_exceeded", None))
        if state == "active" and was != "active":
            found.append(("hold_placed", None))
        elif state != "active" and was == "active":
            found.append(("hold_released", None))
        return found

    def _finance_event_values(self, verb, extra=None, facts=None):
        """Return what an event about this hold says, see finance.captured."""
        self.ensure_one()
        partner = self._record()
        if not partner:
            return []
        reason = self.release_reason if verb == "hold_released" else self.reason
        return [
            {
                "object": "credit",
                "key": str(partner.id),
                "label": partner.name or str(partner.id),
                "company": self.company_id,
                "correlation_id": self.correlation_id,
                "data": {
                    **payload.credit_limit(partner, self.company_id),
                    "reason": reason,
                },
            }
        ]
