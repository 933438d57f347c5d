import hashlib
import json

from odoo import fields, models
from odoo.exceptions import UserError

from ..consent import is_covered, unchecked
from ..windows import window_of


class ConsentMissing(UserError):
    """Something can't be posted, as a policy asks for a consent or verdict first."""


class FinancePoliced(models.AbstractModel):
    """What policies are about: documents, entries and payments.

    Whatever posts them comes by ``_finance_check_consents`` at the latest when the
    state is written. Confirm asks for the consent before, and leaves the draft.
    """

    _name = "finance.policed"
    _description = "Subject of Finance Policies"
    _inherit = ["finance.approvable"]

    finance_post_user_id = fields.Many2one(
        "res.users",
        string="Post When Released, Asked By",
        copy=False,
        readonly=True,
        help="Who asked for it to be posted once nothing holds it and all have "
        "consented.",
    )
    finance_consent_state = fields.Selection(
        [("requested", "Waits for Consent"), ("rejected", "Rejected")],
        string="Consent",
        compute="_compute_finance_consent",
        compute_sudo=True,
    )
    finance_consent_text = fields.Text(
        string="Who Has to Decide",
        compute="_compute_finance_consent",
        compute_sudo=True,
    )

    def _compute_finance_consent(self):
        drafts = self.filtered(lambda record: record.state == "draft" and record.id)
        latest = {}
        for approval in self.env["finance.approval"].search(
            [("res_model", "=", self._name), ("res_id", "in", drafts.ids)],
            order="id",
        ):
            latest[approval.res_id] = approval
        for record in self:
            approval = latest.get(record.id)
            record.finance_consent_state = record.finance_consent_text = False
            if not approval:
                continue
            if approval.state == "requested":
                record.finance_consent_state = "requested"
                record.finance_consent_text = (
                    self.env._(
                        "It waits for the consent of %(who)s (%(why)s).",
                        who=approval.waits_for,
                        why=approval.policy or approval.title,
                    )
                    if approval.version == record._finance_approval_version()
                    else self.env._(
                        "It was changed since consent was asked for. Confirm it again "
                        "to ask anew."
                    )
                )
            elif record._finance_was_rejected(approval):
                record.finance_consent_state = "rejected"
                record.finance_consent_text = record._finance_rejection(approval)

    # === HOOKS === #

    def _finance_policy_subjects(self):
        """Return the list of ``finance_policy_match.Subject`` of the records.

        Those that need no consent of their own are left out.
        """
        raise NotImplementedError

    def _finance_consent_content(self):
        """Return all that is consented to, in JSON types."""
        raise NotImplementedError

    def _finance_consent_title(self):
        """Return what is asked, in a line."""
        raise NotImplementedError

    def _finance_post_released(self):
        """Post what somebody asked to post, if nothing is in the way any more."""
        raise NotImplementedError

    def _finance_connector_ids(self):
        """Return {id: ids of the systems that know the record}.

        Without a policy that asks for it nothing is looked up.
        """
        if not self.env["finance.policy"]._needs_connectors():
            return {}
        return self._finance_known_to()

    def _finance_known_to(self):
        """Return {id: ids of the systems that have an id for the record}."""
        found = {}
        known = self.env["finance.reference"].sudo()
        for reference in known.search(
            [("res_model", "=", self._name), ("res_id", "in", self.ids)]
        ):
            found.setdefault(reference.res_id, set()).add(reference.connector_id.id)
        return found

    # === CHECKING === #

    def _finance_is_policed(self):
        """Return whether a policy may ask for anything here. Reads no record."""
        return not is_covered() and self.env["finance.policy"]._asks_about(self._name)

    def _finance_unmet(self):
        """Return {record: (policies, amount)} of what may not be posted yet.

        Costs no query without a policy about such records, and with one a number that
        does not grow with the records.
        """
        policies = self.env["finance.policy"]
        if not self or not self._finance_is_policed():
            return {}
        subjects = {subject.key: subject for subject in self._finance_policy_subjects()}
        matched = policies._matching(list(subjects.values()))
        if not matched:
            return {}
        records = self.browse(matched).sudo()
        consented = self.env["finance.approval"]._consented(records)
        cleared = self.env["finance.hold"]._cleared(records, matched)
        unmet = {}
        for record_id, needed in matched.items():
            met = consented.get(record_id, set()) | cleared.get(record_id, set())
            left = needed.filtered(lambda policy, met=met: policy.id not in met)
            if left:
                unmet[self.browse(record_id)] = (left, subjects[record_id].amount)
        return unmet

    def _finance_check_consents(self):
        """Stop what lacks a consent or verdict.

        :raise RecordHeld: when a hold waits for the verdict already
        :raise ConsentMissing: naming the policies and what to do
        """
        unmet = unchecked(self)._finance_unmet()
        if not unmet:
            return
        self._finance_check_holds()
        raise ConsentMissing(
            "\n".join(
                self.env._(
                    "“%(record)s” can't be posted yet: %(policies)s. Press Confirm on "
                    "the draft: that asks whoever has to decide, and it is posted by "
                    "itself afterwards.",
                    record=record.display_name,
                    policies=", ".join(policies.mapped("name")),
                )
                for record, (policies, _amount) in unmet.items()
            )
        )

    def _finance_still_waits(self):
        """Return whether a hold or a missing consent is in the way."""
        try:
            self._finance_check_holds()
            self._finance_check_consents()
        except UserError:
            return True
        return False

    # === ASKING === #

    def _finance_ask_consents(self, when_given=True):
        """Ask for what is missing, and return the records that wait for it.

        :param bool when_given: post them by themselves afterwards
        :raise ConsentMissing: for what was rejected as it is now
        """
        waiting = self.browse()
        for record, (policies, amount) in self._finance_unmet().items():
            asking = record.sudo()
            approving = policies.filtered(lambda policy: policy.effect == "approval")
            if approving:
                # All of them, as one request replaces another.
                asking._finance_request(approving, amount)
            for policy in policies - approving:
                policy._place_hold(asking, amount)
            if when_given and record.finance_post_user_id != self.env.user:
                asking.finance_post_user_id = self.env.user
            waiting |= record
        return waiting

    def _finance_request(self, policies, amount):
        self.ensure_one()
        approvals = self.env["finance.approval"]
        version = self._finance_approval_version()
        refused = approvals.search(
            [
                ("res_model", "=", self._name),
                ("res_id", "=", self.id),
                ("version", "=", version),
                ("state", "in", ("approved", "rejected", "requested")),
            ],
            order="id desc",
            limit=1,
        )
        if refused.state == "rejected":
            raise ConsentMissing(self._finance_rejection(refused))
        approvals._request(
            self,
            title=self._finance_consent_title(),
            policy=", ".join(policies.mapped("name")),
            amount=amount,
            threshold=policies._threshold(self.company_id),
            currency=self.company_id.currency_id,
            policies=policies,
            expires_at=policies._expiry(),
            correlation_id=self.finance_correlation_id,
        )

    def _finance_waiting_action(self, waiting, then=None):
        """Return the message for whoever pressed Confirm on what needs consent.

        :param dict then: the action that follows, by default the same page anew
        """
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "info",
                "title": self.env._("Not posted yet"),
                "message": self.env._(
                    "%(records)s: whoever has to decide was asked. It is posted by "
                    "itself once they have consented.",
                    records=", ".join(waiting.mapped("display_name")),
                ),
                "next": then or {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    # === APPROVAL, see finance.approvable === #

    def _finance_approval_version(self):
        self.ensure_one()
        content = json.dumps(
            self.sudo()._finance_consent_content(), sort_keys=True, default=str
        )
        return hashlib.sha256(content.encode()).hexdigest()[:32]

    def _finance_approval_people(self):
        """Return who made it, changed it or asked for it to be posted."""
        self.ensure_one()
        record = self.sudo()
        changes = record.message_ids.filtered("tracking_value_ids")
        return (
            record.create_uid
            | record.write_uid
            | record.finance_post_user_id
            | changes.author_id.user_ids
        )

    def _finance_approved(self, approval):
        self._finance_post_released()

    def _finance_refused(self, approval):
        """Tell whoever wanted it posted, and leave the draft to them."""
        self.ensure_one()
        text = self._finance_rejection(approval)
        user = self.finance_post_user_id
        self.finance_post_user_id = False
        self.message_post(body=text)
        if user.active and approval.state != "withdrawn":
            self.activity_schedule(
                "mail.mail_activity_data_todo",
                user_id=user.id,
                summary=self.env._("Consent was not given"),
                note=text,
            )

    def _finance_was_rejected(self, approval):
        return (
            approval.state == "rejected"
            and approval.version == self._finance_approval_version()
        )

    def _finance_rejection(self, approval):
        return self.env._(
            "“%(record)s”: consent was not given (%(state)s by %(who)s: %(reason)s). "
            "Change it, then confirm it again.",
            record=self.display_name,
            state=dict(approval._fields["state"]._description_selection(self.env))[
                approval.state
            ],
            who=approval.decided_by or "?",
            reason=approval.reason or "–",
        )

    # === ACTIONS === #

    def action_open_finance_consent(self):
        """Open the request for consent that was made last."""
        self.ensure_one()
        self.check_access("read")
        approval = self.env["finance.approval"].search(
            [("res_model", "=", self._name), ("res_id", "=", self.id)], limit=1
        )
        return window_of(approval)
