from odoo import models

from .. import clock
from .errors import CommandIgnored

# Of two verdicts made at the same moment the more careful one counts.
CARE = {"approved": 0, "review": 1, "rejected": 2}


class VerdictExpired(CommandIgnored):
    """A verdict whose time was over when it came: it is none.

    :ivar record: what it is about
    """

    def __init__(self, message, record, kind, topic):
        super().__init__("B-RISK-PENDING", message)
        self.record = record
        self.kind = kind
        self.topic = topic

    def report(self, command):
        """Have a person ask for another verdict."""
        env = command.env
        held = env["finance.hold"]._active(
            self.record, self.kind, topic=self.topic, company=command.company_id
        )
        if held:
            held._report_pending(self.message)
            return
        env["finance.exception"]._open(
            "B-RISK-PENDING",
            company=command.company_id,
            record=command,
            connector=command.connector_id,
            fingerprint=_fingerprint(self.record, self.kind, self.topic),
            summary=env._("No valid verdict: %s", self.record.display_name),
            cause=self.message,
            correlation_id=command.correlation_id,
        )


class FinanceHandlerRiskDecision(models.AbstractModel):
    """``risk.decision``: what waits for a verdict goes on, or stays held.

    Of all verdicts on a subject the one made last counts, in whatever order they
    come.
    """

    _name = "finance.handler.risk.decision"
    _description = "Handler of Risk Decision"
    _inherit = "finance.handler"

    def _identity_fields(self):
        return ("verdict", "decided_at", "expires_at")

    def _handle(self, command, content):
        """See finance.handler; ``content`` is contracts.RiskDecision.

        :raise CommandWaits: D-ORPHAN
        :raise CommandIgnored: D-STALE, or B-RISK-PENDING for one that expired
        """
        record = self._subject_of(command, content)
        # Exposure has holds of its own; the others are topics of a risk hold.
        kind = "exposure" if content.kind == "exposure" else "risk"
        topic = None if content.kind in ("exposure", "risk") else content.kind
        self._check_newest(command, content, record, kind, topic)
        if clock.naive(content.expires_at) <= clock.naive_now():
            raise VerdictExpired(
                self.env._(
                    "The verdict (%(verdict)s) on %(record)s expired on %(date)s. Ask "
                    "for another one.",
                    verdict=content.verdict,
                    record=record.display_name,
                    date=content.expires_at.date().isoformat(),
                ),
                record,
                kind,
                topic,
            )
        holds = getattr(self, f"_apply_{content.verdict}")(
            command, content, record, kind, topic
        )
        self._resolve_expired(record, kind, topic)
        command.write({"res_model": holds._name, "res_id": holds[:1].id})

    def _check_newest(self, command, content, record, kind, topic):
        known = self.env["finance.hold"]._last_verdict(
            record, kind, topic, command.company_id
        )
        if not known:
            return
        decided_at = clock.naive(content.decided_at)
        if (known.decided_at, CARE[known.verdict]) >= (
            decided_at,
            CARE[content.verdict],
        ):
            raise CommandIgnored(
                "D-STALE",
                self.env._(
                    "A later verdict is known: %(verdict)s, made %(at)s.",
                    verdict=known.verdict,
                    at=known.decided_at,
                ),
            )

    def _verdict(self, content, **values):
        return {
            "verdict": content.verdict,
            "verdict_reference": content.decision_ref,
            "verdict_score": content.score,
            "verdict_reason": content.reason,
            "decided_at": clock.naive(content.decided_at),
            **values,
        }

    def _apply_approved(self, command, content, record, kind, topic):
        waits = getattr(record, "_finance_waits_to_post", None)
        return self.env["finance.hold"]._clear(
            record,
            kind,
            content.reason
            or self.env._(
                "Approved by %(system)s (%(kind)s).",
                system=command.connector_id.name,
                kind=content.kind,
            ),
            topic=topic,
            command=command,
            verdict=self._verdict(
                content,
                cleared_until=(
                    clock.naive(content.expires_at) if waits and waits() else False
                ),
            ),
        )

    def _apply_rejected(self, command, content, record, kind, topic):
        reason = content.reason or self.env._(
            "%(system)s said no (%(kind)s).",
            system=command.connector_id.name,
            kind=content.kind,
        )
        hold = self._hold(
            command, content, record, kind, topic, reason, expires_at=False
        )
        waits = getattr(record, "_finance_waits_to_post", None)
        hold._report_rejected(posted=bool(waits and not waits()))
        return hold

    def _apply_review(self, command, content, record, kind, topic):
        reason = content.reason or self.env._(
            "People of %(system)s are looking at it (%(kind)s).",
            system=command.connector_id.name,
            kind=content.kind,
        )
        hold = self._hold(
            command,
            content,
            record,
            kind,
            topic,
            reason,
            expires_at=clock.naive(content.expires_at),
        )
        hold._exceptions()._resolve(self.env._("It is being looked at"))
        return hold

    def _hold(self, command, content, record, kind, topic, reason, expires_at):
        amount, currency = _amount_of(record)
        return self.env["finance.hold"]._place(
            record,
            kind,
            reason,
            connector=command.connector_id,
            command=command,
            topic=topic,
            amount=amount,
            currency=currency,
            company=command.company_id,
            verdict=self._verdict(content, expires_at=expires_at, is_overdue=False),
        )

    def _resolve_expired(self, record, kind, topic):
        self.env["finance.exception"].search(
            [
                (
                    "fingerprint",
                    "=",
                    f"B-RISK-PENDING:{_fingerprint(record, kind, topic)}",
                ),
                ("is_open", "=", True),
            ]
        )._resolve(self.env._("A valid verdict came"))


def _fingerprint(record, kind, topic):
    return f"verdict:{record._name}:{record.id}:{kind}:{topic or ''}"


def _amount_of(record):
    """Return (amount, currency) that a record is about, (None, None) for none."""
    for name in ("amount_total", "amount"):
        if name in record._fields and "currency_id" in record._fields:
            return record[name], record.currency_id
    return None, None
