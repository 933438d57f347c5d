from odoo import api, fields, models

from .. import clock, constants
from ..words import count_text

ACTIVITY = "mail.mail_activity_data_warning"


class FinanceAlert(models.Model):
    """What somebody was told about an exception, so that nobody is told twice.

    One activity per person and cause: what comes after it is counted on it. One mail
    per person and window, the gravest first. Systems are told by the events of the
    exception.
    """

    _name = "finance.alert"
    _description = "Finance Alert"
    _order = "id desc"
    _rec_name = "text"

    user_id = fields.Many2one(
        "res.users", required=True, readonly=True, index=True, ondelete="cascade"
    )
    exception_id = fields.Many2one(
        "finance.exception",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
    )
    company_id = fields.Many2one(related="exception_id.company_id", store=True)
    kind = fields.Selection(
        [
            ("assigned", "Assigned"),
            ("warning", "Due Soon"),
            ("late", "Late"),
        ],
        required=True,
        readonly=True,
    )
    text = fields.Char(required=True, readonly=True)
    raised_at = fields.Datetime(required=True, readonly=True)
    mailed_at = fields.Datetime(readonly=True)

    _unmailed_idx = models.Index("(user_id, id) WHERE mailed_at IS NULL")

    # === TELLING === #

    @api.model
    def _tell(self, exception, user, kind, text):
        """Put something before somebody who may see the exception.

        :param str kind: ``assigned``, ``warning`` or ``late``
        """
        exception = exception.sudo()
        if not exception.with_user(user).has_access("read"):
            return
        self.sudo().create(
            {
                "user_id": user.id,
                "exception_id": exception.id,
                "kind": kind,
                "text": text,
                "raised_at": clock.naive_now(),
            }
        )
        self.sudo()._put_activity(exception, user, text)

    @api.model
    def _put_activity(self, exception, user, text):
        """Have one activity of a person for a cause, about the latest of it."""
        activity = self._activity_of(exception, user)
        if not activity:
            # The mail is this model's own.
            exception.with_context(mail_activity_quick_update=True).activity_schedule(
                ACTIVITY, summary=text, user_id=user.id
            )
        elif activity.res_id == exception.id:
            activity.summary = text
        else:
            others = self._others(exception, user)
            limit = constants.GLANCE_COUNT_LIMIT
            activity.note = self.env._(
                "%(count)s more with the same cause, the latest: %(text)s",
                count=count_text(self.env, len(others), limit),
                text=text,
            )

    @api.model
    def _activity_of(self, exception, user):
        """Return the activity of a person about the cause of an exception."""
        same = exception.search(exception._same_cause_domain()) | exception
        return (
            self.env["mail.activity"]
            .sudo()
            .search(
                [
                    ("res_model", "=", exception._name),
                    ("res_id", "in", same.ids),
                    ("user_id", "=", user.id),
                    ("automated", "=", True),
                    (
                        "activity_type_id",
                        "=",
                        self.env.ref(ACTIVITY).id,
                    ),
                ],
                limit=1,
            )
        )

    @api.model
    def _others(self, exception, user):
        """Return the open exceptions of a cause that a person was told of."""
        alerts = self.sudo().search(
            [
                ("user_id", "=", user.id),
                ("exception_id.is_open", "=", True),
                ("exception_id.code", "=", exception.code),
                ("exception_id.connector_id", "=", exception.connector_id.id),
                ("exception_id.res_model", "=", exception.res_model),
                ("exception_id.company_id", "=", exception.company_id.id),
            ],
            limit=constants.GLANCE_COUNT_LIMIT,
        )
        return alerts.exception_id

    @api.model
    def _pass_on(self, closed):
        """Hand the activities of closed exceptions to others with their cause."""
        activities = (
            self.env["mail.activity"]
            .sudo()
            .search(
                [
                    ("res_model", "=", closed._name),
                    ("res_id", "in", closed.ids),
                    ("automated", "=", True),
                    ("activity_type_id", "=", self.env.ref(ACTIVITY).id),
                ]
            )
        )
        for activity in activities:
            exception, user = closed.browse(activity.res_id).sudo(), activity.user_id
            activity.unlink()
            left = self._others(exception, user).sorted()[:1]
            if left and not self._activity_of(left, user):
                left.with_context(mail_activity_quick_update=True).activity_schedule(
                    ACTIVITY, summary=left.summary, user_id=user.id
                )

    # === MAIL === #

    @api.model
    def _cron_mail(self):
        """Send each person one mail with what they were told since the last one."""
        now = clock.naive_now()
        groups = self._read_group(
            [("mailed_at", "=", False)], ["user_id"], ["id:recordset"]
        )
        for user, alerts in groups:
            if self._mailed_lately(user, now):
                continue
            waiting = alerts.filtered("exception_id.is_open")
            if waiting and user.active and user.email and user.finance_alert_mail:
                self._mail(user, waiting)
            # What is solved meanwhile is no news.
            alerts.mailed_at = now
        self.search([("raised_at", "<", now - constants.ALERTS_KEPT)]).filtered(
            lambda alert: not alert.exception_id.is_open
        ).unlink()

    @api.model
    def _mailed_lately(self, user, now):
        return self.search_count(
            [
                ("user_id", "=", user.id),
                ("mailed_at", ">", now - constants.ALERT_WINDOW),
            ],
            limit=1,
        )

    @api.model
    def _mail(self, user, alerts):
        latest = {}
        for alert in alerts.sorted("id"):
            latest[alert.exception_id] = alert
        ranked = sorted(
            latest.values(), key=lambda a: (-a.exception_id.rank, a.exception_id.id)
        )
        digests = self.env["finance.digest"]._for(user)
        digests._send(
            user,
            digests.env._("Finance: %s", ranked[0].text)
            if len(ranked) == 1
            else digests.env._("Finance: %s exceptions need you", len(ranked)),
            "finance_hub.mail_alerts",
            {
                "alerts": [
                    (alert, digests._line(alert.exception_id))
                    for alert in ranked[: constants.ALERT_LINES]
                ],
                "more": max(len(ranked) - constants.ALERT_LINES, 0),
            },
        )
