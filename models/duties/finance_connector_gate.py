from typing import NamedTuple

from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import is_html_empty

from .. import clock
from .. import constants as hub
from ..access import create_guarded, refuse_fields, require_group
from . import constants

GUARDED = {"configured_by_ids": False, "configured_at": False, "live_at": False}
# States in which the form shows the checklist.
BEFORE_LIVE = ("draft", "in_review", "suspended")
ITEM = Markup(
    '<li class="d-flex gap-2 py-1"><i class="fa {icon} {color} mt-1" title="{mark}"/>'
    "<div><b>{title}</b>{text}</div></li>"
)


class Item(NamedTuple):
    """One line of the go-live checklist.

    :ivar title: what it is about
    :ivar missing: what it still needs, in words that follow “it still needs”
    :ivar todo: what a person does about it
    """

    title: str
    missing: list
    todo: str


class FinanceConnector(models.Model):
    """The gate that a connector passes to go live, and again after a change."""

    _inherit = "finance.connector"

    configured_by_ids = fields.Many2many(
        "res.users",
        "finance_connector_configured_rel",
        "connector_id",
        "user_id",
        readonly=True,
        copy=False,
        help="Who changed it, its endpoints, subscriptions, secrets, clients or "
        "formats since it was last live. None of them can put it live.",
    )
    configured_at = fields.Datetime(
        string="Changed Since Live", readonly=True, copy=False
    )
    live_at = fields.Datetime(string="Live Since", readonly=True, copy=False)
    test_call_ids = fields.One2many("finance.test.call", "connector_id", "Test Calls")
    gate_html = fields.Html(
        string="Before It Can Go Live", compute="_compute_gate_html", sanitize=False
    )
    needs_gate = fields.Boolean(compute="_compute_needs_gate")

    # === COMPUTES === #

    @api.depends("state", "configured_at")
    def _compute_needs_gate(self):
        for connector in self:
            connector.needs_gate = connector.state in ("draft", "in_review") or bool(
                connector.state == "suspended" and connector.configured_at
            )

    @api.depends(
        "state",
        "user_id",
        "runbook",
        "criticality",
        "endpoint_ids",
        "credential_ids",
        "client_ids",
        "max_failure_percent",
        "max_past_due_minutes",
        "test_call_ids",
    )
    def _compute_gate_html(self):
        for connector in self:
            if connector.state not in BEFORE_LIVE or not connector.ids:
                connector.gate_html = False
                continue
            lines = [connector._gate_line(item) for item in connector._gate()]
            lines.append(connector._second_person_line())
            connector.gate_html = Markup(
                '<ul class="list-unstyled mb-0">{}</ul>'
            ).format(Markup("").join(lines))

    def _gate_line(self, item):
        done = not item.missing
        text = "" if done else f": {'; '.join(item.missing)}. {item.todo}"
        return ITEM.format(
            icon="fa-check-circle" if done else "fa-circle-o",
            color="text-success" if done else "text-danger",
            mark=self.env._("Done") if done else self.env._("Missing"),
            title=item.title,
            text=text,
        )

    def _second_person_line(self):
        names = ", ".join(self._hands().mapped("name"))
        return ITEM.format(
            icon="fa-user-o",
            color="text-muted",
            mark=self.env._("To do"),
            title=self.env._("A second person"),
            text=self.env._(
                ": an approver puts it live, other than who configured or submitted "
                "it%s.",
                f" ({names})" if names else "",
            ),
        )

    # === CRUD === #

    @api.model_create_multi
    def create(self, vals_list):
        return super().create(create_guarded(self.env, vals_list, GUARDED))

    def write(self, vals):
        refuse_fields(self.env, vals, GUARDED.keys())
        result = super().write(vals)
        if vals.get("state") == "live":
            self._forget_hands()
        return result

    # === ACTIONS === #

    def action_resume(self):
        """Go on; what was changed meanwhile passes the gate first."""
        changed = self.filtered(
            lambda c: c.state == "suspended" and c.sudo().configured_at
        )
        if changed:
            require_group(self.env, hub.GROUP_ADMINISTRATOR, hub.GROUP_APPROVER)
        for connector in changed:
            connector._expect_state("suspended")
            if not self.env.user.has_group(hub.GROUP_APPROVER):
                raise UserError(
                    self.env._(
                        "The configuration of “%s” was changed since it was live. An "
                        "approver who did not change it puts it live again.",
                        connector.name,
                    )
                )
            connector._check_second_person("action_resume")
            connector._check_ready()
        return super().action_resume()

    # === BUSINESS METHODS === #

    def _hands(self):
        """Return who configured or submitted it since it was last live."""
        self.ensure_one()
        connector = self.sudo()
        hands = connector.configured_by_ids | connector.requested_by_id.filtered(
            lambda _user: connector.state == "in_review"
        )
        if not connector.live_at:
            hands |= connector.create_uid
        return hands

    def _check_second_person(self, retry):
        """Refuse to put live what one configured or submitted.

        :param str retry: name of the button that was pressed
        """
        self.ensure_one()
        connector = self.sudo()
        configured = connector.configured_by_ids
        if not connector.live_at:
            configured |= connector.create_uid
        requested = connector.requested_by_id
        if connector.state != "in_review":
            requested = requested.browse()
        self.env["finance.duty"]._check(
            self,
            "go_live",
            {"configured": configured, "requested": requested},
            message=self.env._(
                "You configured or submitted “%s” yourself, so somebody else must put "
                "it live.",
                self.name,
            ),
            retry=retry,
        )

    def _missing(self):
        return [text for item in self._gate() for text in item.missing]

    def _gate(self):
        """Return the checklist: items, in the order in which one fills them in."""
        self.ensure_one()
        connector = self.sudo()
        return [
            Item(
                self.env._("Owner"),
                [] if connector.user_id else [self.env._("an owner")],
                self.env._("Choose under Owner who answers for this connection."),
            ),
            Item(
                self.env._("Criticality"),
                [] if connector.criticality else [self.env._("a criticality")],
                self.env._("Choose how much depends on it."),
            ),
            Item(
                self.env._("Runbook"),
                [self.env._("a runbook (what to do when it fails)")]
                if is_html_empty(connector.runbook)
                else [],
                self.env._("Write on the page Runbook whom to call and what to check."),
            ),
            Item(
                self.env._("Thresholds"),
                connector._missing_thresholds(),
                self.env._("Set them on the page Thresholds."),
            ),
            Item(
                self.env._("Way in or out"),
                connector._missing_way(),
                self.env._("Add it on the pages Endpoints or Credentials."),
            ),
            Item(
                self.env._("Secrets"),
                connector._missing_secrets(),
                self.env._("Enter or generate them on the credential."),
            ),
            Item(
                self.env._("Successful test"),
                connector._missing_tests(),
                self.env._("Press Send Test Event, or Try a Message."),
            ),
        ]

    def _missing_way(self):
        if self.endpoint_ids or self._has_inbound_credential():
            return []
        return [
            self.env._(
                "an endpoint to send to, or a signing secret for messages that come in"
            )
        ]

    def _missing_secrets(self):
        missing = []
        for endpoint in self.endpoint_ids:
            if endpoint.transport == "feed":
                if not endpoint.feed_client_ids:
                    missing.append(
                        self.env._(
                            "an API client with a key that may read events, for the "
                            "feed “%s”",
                            endpoint.name,
                        )
                    )
            # A broker vouches for the sender by its own login.
            elif (
                endpoint.transport != "amqp" or endpoint.credential_id
            ) and not endpoint.credential_id._usable():
                missing.append(
                    self.env._("a signing secret for endpoint “%s”", endpoint.name)
                )
            missing += [
                self.env._(
                    "the secret of “%(credential)s” for “%(endpoint)s”",
                    credential=credential.name,
                    endpoint=endpoint.name,
                )
                for credential in (
                    endpoint.auth_credential_id | endpoint.client_certificate_id
                )
                if not credential._usable()
            ]
        used = self.credential_ids._usable().filtered(
            lambda c: c.direction == "inbound" or c.used_by_ids
        )
        return missing + [
            problem for credential in used if (problem := credential._gate_problem())
        ]

    def _missing_tests(self):
        """Return what was not tried with the present settings, or not lately."""
        tests = self.env["finance.test.call"]
        days = constants.TEST_VALID.days
        missing = [
            self.env._(
                "a test event that “%(endpoint)s” took, with its present settings, in "
                "the last %(days)s days",
                endpoint=endpoint.name,
                days=days,
            )
            for endpoint in self.endpoint_ids
            if endpoint.transport != "feed" and not tests._passed(self, endpoint)
        ]
        if (
            self._has_inbound_credential()
            and not tests._passed(self)
            and not self._processed_lately()
        ):
            missing.append(
                self.env._(
                    "a message that was tried and understood, with the present format, "
                    "in the last %s days",
                    days,
                )
            )
        return missing

    def _processed_lately(self):
        since = clock.naive_now() - constants.TEST_VALID
        if self.configured_at:
            # With the settings of before it is no test of these.
            return False
        return bool(
            self.env["finance.message"].search_count(
                [
                    ("connector_id", "=", self.id),
                    ("state", "=", "processed"),
                    ("received_at", ">=", since),
                ],
                limit=1,
            )
        )


class FinanceCredential(models.Model):
    _inherit = "finance.credential"

    def _gate_problem(self):
        """Return why a credential in use would fail, ``None`` if it works."""
        self.ensure_one()
        if self.expires_at and self.expires_at <= clock.naive_now():
            return self.env._("a successor of “%s”, which has expired", self.name)
        try:
            self._secrets()
        except UserError:
            return self.env._(
                "the encryption key of the secret “%s”, or the secret anew", self.name
            )
        return None
