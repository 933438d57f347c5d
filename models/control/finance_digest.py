from datetime import datetime, time, timedelta, timezone

import pytz

from odoo import api, fields, models

from .. import clock, constants
from ..words import moment_text
from .finance_exception import OPEN_STATES

FREQUENCIES = [("none", "Never"), ("daily", "Every Day"), ("weekly", "Every Week")]


class FinanceDigest(models.AbstractModel):
    """The mail that says what is open, late and solved: only when there is something.

    It speaks the person's language, in their time zone, of the companies they work in.
    """

    _name = "finance.digest"
    _description = "Finance Digest"

    @api.model
    def _cron_send(self):
        """Send the digests whose time has come; see :meth:`_window`."""
        now = clock.now()
        for user in self._readers():
            frequency = user._finance_digest_frequency()
            if frequency == "none" or not user.email:
                continue
            begin = self._window(user, frequency, now)
            sent = user.finance_digest_sent_at
            if sent and clock.aware(sent) >= begin:
                continue
            span = timedelta(days=7 if frequency == "weekly" else 1)
            since = max(clock.aware(sent), begin - span) if sent else begin - span
            content = self._for(user)._content(user, clock.naive(since))
            # Looked at, whether there was something to say or not.
            user.finance_digest_sent_at = clock.naive(now)
            if content:
                digests = self._for(user)
                digests._send(
                    user,
                    digests.env._("Finance: %s exceptions open", content["open_count"]),
                    "finance_hub.mail_digest",
                    content,
                )

    @api.model
    def _readers(self):
        """Return the people who work at exceptions."""
        groups = [self.env.ref(group) for group in constants.GROUPS_WORKING]
        users = self.env["res.users"]
        for group in groups:
            users |= group.sudo().all_user_ids
        return users.filtered(lambda user: user.active and not user.share)

    @api.model
    def _window(self, user, frequency, now):
        """Return when the latest digest was due: this morning, or this week's.

        :param now: aware, UTC
        :return: aware, UTC
        """
        zone = pytz.timezone(user.tz or "UTC")
        today = now.astimezone(zone).date()
        if frequency == "weekly":
            back = (today.weekday() - constants.DIGEST_WEEKDAY) % 7
            today -= timedelta(days=back)
        begin = self._morning(zone, today)
        if begin > now:
            step = 7 if frequency == "weekly" else 1
            begin = self._morning(zone, today - timedelta(days=step))
        return begin

    @api.model
    def _morning(self, zone, day):
        local = zone.localize(datetime.combine(day, time(constants.DIGEST_HOUR)))
        return local.astimezone(timezone.utc)

    @api.model
    def _for(self, user):
        """Return this model as a person reads: rights, companies, language, time."""
        return self.with_user(user).with_context(
            lang=user.lang,
            tz=user.tz,
            allowed_company_ids=user.company_ids.ids,
        )

    @api.model
    def _content(self, user, since):
        """Return what a digest says, None when there is nothing to say.

        :param since: naive UTC
        """
        exceptions = self.env["finance.exception"]
        now = clock.naive_now()
        mine = [
            "|",
            "|",
            ("user_id", "=", user.id),
            ("team_id.leader_id", "=", user.id),
            ("team_id.member_ids", "in", user.ids),
        ]
        pending = [
            *mine,
            ("state", "in", OPEN_STATES),
            "|",
            ("snoozed_until", "=", False),
            ("snoozed_until", "<=", now),
        ]
        solved = exceptions.search_count(
            [*mine, ("state", "=", "resolved"), ("resolved_at", ">=", since)]
        )
        count = exceptions.search_count(pending)
        if not count and not solved:
            return None
        top = exceptions.search(pending, limit=constants.DIGEST_LINES)
        late = [("due_at", "<", now)]
        soon = [("due_at", ">=", now), ("due_at", "<", now + constants.DIGEST_SOON)]
        return {
            "open_count": count,
            "late_count": exceptions.search_count([*pending, *late]),
            "soon_count": exceptions.search_count([*pending, *soon]),
            "new_count": exceptions.search_count(
                [*pending, ("opened_at", ">=", since)]
            ),
            "solved_count": solved,
            "lines": [self._line(exception) for exception in top],
            "more": max(count - len(top), 0),
        }

    @api.model
    def _line(self, exception):
        """Return what a mail says of an exception."""
        exception = exception.with_env(self.env)
        return {
            "summary": exception.summary,
            "kind": exception.kind_id.with_context(lang=self.env.lang).title
            or exception.code_title,
            "amount": exception.currency_id.format(exception.amount)
            if exception.currency_id
            else "",
            "due": moment_text(self.env, exception.due_at, clock.naive_now())
            if exception.due_at
            else "",
            "late": exception.is_overdue,
            "url": f"{exception.get_base_url()}/odoo/finance.exception/{exception.id}",
        }

    @api.model
    def _send(self, user, subject, template, values):
        """Queue a mail to a person, in their language."""
        body = (
            self.env["ir.qweb"]
            .sudo()
            ._render(template, {"user": user.sudo(), "env": self.env, **values})
        )
        company = user.sudo().company_id
        robot = self.env.ref("base.user_root").sudo()
        self.env["mail.mail"].sudo().create(
            {
                "subject": subject,
                "body_html": body,
                "email_to": user.sudo().email_formatted,
                "email_from": company.email_formatted or robot.email_formatted,
                "auto_delete": True,
            }
        )


class ResUsers(models.Model):
    _inherit = "res.users"

    finance_digest = fields.Selection(
        [("team", "As My Team"), *FREQUENCIES],
        default="team",
        required=True,
        help="A mail that says which exceptions are open, late and solved.",
    )
    finance_alert_mail = fields.Boolean(
        string="Finance Alerts by Mail",
        default=True,
        help="One mail an hour at most. Alerts are activities, too.",
    )
    finance_digest_sent_at = fields.Datetime(readonly=True, copy=False)

    @property
    def SELF_READABLE_FIELDS(self):
        return [*super().SELF_READABLE_FIELDS, "finance_digest", "finance_alert_mail"]

    @property
    def SELF_WRITEABLE_FIELDS(self):
        return [*super().SELF_WRITEABLE_FIELDS, "finance_digest", "finance_alert_mail"]

    def _finance_digest_frequency(self):
        """Return how often somebody gets a digest: their choice, or their teams'."""
        self.ensure_one()
        if self.finance_digest != "team":
            return self.finance_digest
        teams = self.env["finance.team"].search(
            ["|", ("leader_id", "=", self.id), ("member_ids", "in", self.ids)]
        )
        found = set(teams.mapped("digest"))
        return next((f for f in ("daily", "weekly") if f in found), "none")
