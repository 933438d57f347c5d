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
    _inherit = ["finance.captured", "mail.thread", "mail.activity.mixin"]
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

    def _mail_get_operation_for_mail_message_operation(self, message_operation):
        """Let those comment who work here, see finance.exception."""
        if message_operation == "create" and any(
            self.env.user.has_group(group) for group in constants.GROUPS_WORKING
        ):
            return dict.fromkeys(self, "read")
        return super()._mail_get_operation_for_mail_message_operation(message_operation)

    # === ACTIONS === #

    def action_release(self):
        """Ask for the reason with which the holds are released."""
        require_group(self.env, constants.GROUP_APPROVER)
        self.check_access("read")
        self._check_releasable()
        return self.env["finance.decide.wizard"]._action_for(
            self, "release", self.env._("Release: why?")
        )

    def action_open_record(self):
        """Open what is held."""
        self.ensure_one()
        self.check_access("read")
        return {
            "type": "ir.actions.act_window",
            "res_model": self.res_model,
            "res_id": self.res_id,
            "views": [(False, "form")],
        }

    def action_open_trace(self):
        self.ensure_one()
        self.check_access("read")
        return self.env["finance.trace.step"]._action_for(
            self.correlation_id, self.title
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

    def _record(self):
        """Return what is held, an empty recordset if it is gone."""
        self.ensure_one()
        if self.res_model not in self.env:
            return self.browse()
        return self.env[self.res_model].browse(self.res_id).exists()

    @api.model
    def _stopping(self, model, ids, partner_ids=(), company_ids=()):
        """Return the holds that stop records or business with counterparties.

        One query beneath the ORM, as every posting comes by here. A clearance whose
        time is over stops like a hold.

        :param str model: of the records
        :param partner_ids: commercial entities
        :param company_ids: in which the counterparties' holds count
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
                "kinds": list(STOPPING),
                "now": clock.naive_now(),
            },
        )
        return self.sudo().browse(row[0] for row in self.env.cr.fetchall())

    def _stops(self):
        """Return whether the hold is of a kind that stops a posting."""
        return self.kind in STOPPING

    def _over_limit(self, moves):
        """Return whether a credit hold of a counterparty stops its invoices.

        One that the hub placed by comparing figures looks at today's: the customer
        may have paid meanwhile. Others stop until they are released.

        :param moves: drafts of the counterparty
        """
        self.ensure_one()
        if self.origin != "check":
            return True
        exposures = self.env["finance.exposure"].sudo()
        position = exposures._position(self._record(), self.company_id)
        due = sum(moves.mapped("amount_total_signed"))
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

    # === RELEASING === #

    @api.model
    def _release(self, record, kind, reason, *, command=None, topic=ANY, verdict=None):
        """Release the active holds of a record.

        :param str kind: of the holds; ``None`` for all
        :param str reason: what released it, in plain words
        :param command: the ``finance.command`` that says so
        :param topic: of this topic only; ``None`` for those without one
        :param dict verdict: values of the fields of the latest verdict
        :return: the holds that were released
        """
        holds = self._active(record, kind, topic=topic)
        holds._end("released", reason, command=command, values=verdict)
        return holds

    def _release_by_person(self, reason):
        """Release after an approver's decision.

        :raise UserError: when it is the decision of whoever placed it
        """
        require_group(self.env, constants.GROUP_APPROVER)
        self.check_access("read")
        self._check_releasable()
        self.sudo()._end("released", reason, user=self.env.user)

    def _check_releasable(self):
        for hold in self:
            if hold.state != "active":
                raise UserError(self.env._("“%s” is not active any more.", hold.title))
            self.env["finance.duty"]._check(
                hold,
                "release",
                hold.sudo()._duty_people(),
                message=self.env._(
                    "You placed “%s”, or corrected what placed it, so somebody "
                    "else must release it.",
                    hold.title,
                ),
                retry="action_release",
            )
            if hold.kind == "approval":
                pending = self.env["finance.approval"]._pending(hold.sudo()._record())
                if pending:
                    raise UserError(
                        self.env._(
                            "“%s” ends with the approval it waits for. Decide on that "
                            "in Approvals.",
                            hold.title,
                        )
                    )

    def _duty_people(self):
        """Return who had which part in it, see ``finance.duty._check``."""
        self.ensure_one()
        correctors = self.env["res.users"]
        for command in self.command_id | self.command_ids:
            correctors |= command._correctors()
        return {"placed": self.placed_by_id, "made": correctors}

    def _end(self, state, reason, *, command=None, user=None, values=None):
        """End active holds, and let go what they stopped.

        :param str state: ``released`` or ``expired``
        :param user: the person who decided
        """
        now = clock.naive_now()
        for hold in self.filtered(lambda h: h.state == "active"):
            hold.write(
                {
                    **(values or {}),
                    "state": state,
                    "released_at": now,
                    "released_by_id": (user or self.env.user).id,
                    "release_reason": reason,
                    "release_command_id": command and command.id,
                    "is_overdue": False,
                }
            )
            hold._note_on_record(
                self.env._(
                    "The hold (%(kind)s) ended: %(reason)s",
                    kind=hold._kind_label(),
                    reason=reason,
                )
            )
        # The check of a posting reads beneath the ORM.
        self.flush_model()
        self._exceptions()._resolve(reason)
        self.command_ids.filtered(lambda c: c.state == "held")._resubmit()
        for hold in self:
            self.env["finance.command"]._provide(f"hold:{hold.id}", hold.company_id)
            hold._post_what_waited()

    def _exceptions(self):
        """Return the open exceptions about the holds."""
        return (
            self.env["finance.exception"]
            .sudo()
            .search(
                [
                    ("res_model", "=", self._name),
                    ("res_id", "in", self.ids),
                    ("is_open", "=", True),
                ]
            )
        )

    def _post_what_waited(self):
        """Post the document for which somebody asked so, once nothing stops it."""
        record = self._record()
        if hasattr(record, "_finance_post_released"):
            record._finance_post_released()

    @api.model
    def _forget_clearances(self, record, kind, topic, company):
        self.search(
            [
                ("res_model", "=", record._name),
                ("res_id", "=", record.id),
                ("kind", "=", kind),
                ("topic", "=", topic),
                ("company_id", "=", company.id),
                ("cleared_until", "!=", False),
            ]
        ).write({"cleared_until": False})

    # === VERDICTS === #

    @api.model
    def _last_verdict(self, record, kind, topic, company):
        """Return the hold with the latest verdict on a record, empty without one."""
        return self.sudo().search(
            [
                ("res_model", "=", record._name),
                ("res_id", "=", record.id),
                ("kind", "=", kind),
                ("topic", "=", topic),
                ("company_id", "=", company.id),
                ("decided_at", "!=", False),
            ],
            order="decided_at DESC, id DESC",
            limit=1,
        )

    @api.model
    def _clear(self, record, kind, reason, *, topic, verdict, command):
        """Let a record go, or keep that it may go before anything held it.

        :param dict verdict: values of the fields of the verdict
        :return: the holds that carry the verdict
        """
        company = command.company_id
        self._forget_clearances(record, kind, topic, company)
        held = self._active(record, kind, topic=topic, company=company)
        if held:
            held._end("released", reason, command=command, values=verdict)
            return held
        now = clock.naive_now()
        return self.sudo().create(
            {
                "company_id": company.id,
                "res_model": record._name,
                "res_id": record.id,
                "record_name": record.display_name,
                "kind": kind,
                "topic": topic,
                "connector_id": command.connector_id.id,
                "command_id": command.id,
                "placed_at": now,
                "placed_by_id": self.env.uid,
                "state": "released",
                "reason": self.env._("Nothing held it when the verdict came."),
                "released_at": now,
                "released_by_id": self.env.uid,
                "release_reason": reason,
                "release_command_id": command.id,
                "correlation_id": self._correlation_of(record, command),
                **verdict,
            }
        )

    def _report_rejected(self, posted):
        """Tell a person that a verdict is no.

        :param bool posted: whether the document was posted before the verdict came
        """
        self.ensure_one()
        cause = self._reason_sentence()
        if posted:
            cause = self.env._(
                "%(reason)s It was posted before the verdict came.", reason=cause
            )
        return self.env["finance.exception"]._open(
            "B-RISK-REJECTED",
            company=self.company_id,
            record=self,
            connector=self.connector_id,
            fingerprint=f"hold:{self.id}",
            summary=self.env._("Rejected by the check: %s", self.record_name),
            cause=cause,
            correlation_id=self.correlation_id,
            amount=self.amount if self.currency_id else None,
            currency=self.currency_id,
        )

    # === TIME === #

    @api.model
    def _cron_expire(self):
        """End what only waited, tell of verdicts that are overdue, hold again.

        What guards something goes on when its time is over: silence is no consent.
        """
        now = clock.naive_now()
        due = self.search(
            [
                ("state", "=", "active"),
                ("expires_at", "<=", now),
                ("is_overdue", "=", False),
            ],
            limit=constants.HOLD_BATCH,
        )
        guarding = due.filtered(lambda hold: hold.kind in GUARDING)
        (due - guarding)._end("expired", self.env._("Its time is over"))
        guarding.write({"is_overdue": True})
        for hold in guarding:
            hold._report_pending(self.env._("Nothing was decided in time."))
        self._hold_again(now)

    def _report_pending(self, why):
        """Tell a person that a verdict is missing."""
        self.ensure_one()
        return self.env["finance.exception"]._open(
            "B-RISK-PENDING",
            company=self.company_id,
            record=self,
            connector=self.connector_id,
            fingerprint=f"hold:{self.id}",
            summary=self.env._("No valid verdict: %s", self.title),
            cause=f"{why} {self._reason_sentence()}",
            correlation_id=self.correlation_id,
            amount=self.amount if self.currency_id else None,
            currency=self.currency_id,
        )

    def _report_exceeded(self, position):
        """Tell a person that a counterparty is above its limit."""
        self.ensure_one()
        self.env["finance.exception"]._open(
            "B-LIMIT-EXCEEDED",
            company=self.company_id,
            record=self,
            connector=self.connector_id,
            fingerprint=f"credit:{self.company_id.id}:{self.res_id}",
            summary=self.env._("%s is above its credit limit", self.record_name),
            cause=self.env._(
                "%(reason)s No invoice of it can be confirmed meanwhile.",
                reason=self._reason_sentence(),
            ),
            correlation_id=self.correlation_id,
            amount=position.exposure - position.limit,
            currency=position.currency,
        )

    @api.model
    def _hold_again(self, now):
        """Hold what a verdict cleared that ended before the document was posted."""
        over = self.search(
            [("cleared_until", "<=", now)], limit=constants.HOLD_BATCH, order="id"
        )
        for hold in over:
            record = hold._record()
            waits = getattr(record, "_finance_waits_to_post", None)
            if not record or not waits or not waits():
                hold.cleared_until = False
                continue
            again = self._place(
                record,
                hold.kind,
                self.env._("The verdict expired before this was posted."),
                connector=hold.connector_id,
                topic=hold.topic,
                amount=hold.amount,
                currency=hold.currency_id,
                company=hold.company_id,
            )
            again._report_pending(
                self.env._("The verdict ended before the document was posted.")
            )

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
