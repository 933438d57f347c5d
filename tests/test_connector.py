import logging
import os
import stat
import tempfile
from pathlib import Path
from unittest.mock import patch

from psycopg2.errors import CheckViolation, UniqueViolation
from standardwebhooks import Webhook

from odoo.exceptions import UserError, ValidationError
from odoo.tests import Form, new_test_user, tagged
from odoo.tools import config, mute_logger

from ..contracts import EVENT_TYPES
from ..models import constants, keyring
from ..signing import SecretBox, generate_key, generate_key_pair
from .common import FinanceHubCommon

SECRET = "whsec_" + "A" * 32
OTHER_SECRET = "whsec_" + "B" * 32


class ConnectorCase(FinanceHubCommon):
    def setUp(self):
        super().setUp()
        self.administrator = self.users["administrator"]
        self.approver = self.users["approver"]

    def prepare(self, code="prepared", **values):
        """Return a connector that the administrator has made ready."""
        connector = (
            self.env["finance.connector"]
            .with_user(self.administrator)
            .create(
                {
                    "name": "Prepared",
                    "code": code,
                    "company_id": self.company.id,
                    "runbook": "<p>Call the owner.</p>",
                    **values,
                }
            )
        )
        credential = connector.env["finance.credential"].create(
            {"name": "Secret", "connector_id": connector.id, "direction": "inbound"}
        )
        credential._set_secret(SECRET)
        return connector

    def tracked(self, record):
        """Return the record as people use it: with its changes being logged."""
        self.end_transaction()
        return record.with_context(
            tracking_disable=False, mail_notrack=False, mail_create_nolog=False
        )

    def logged(self, record, field):
        """Return the changes of a field in the log, in order."""
        self.end_transaction()
        return (
            record.sudo()
            .message_ids.tracking_value_ids.filtered(
                lambda value: value.field_id.name == field
            )
            .sorted("id")
        )


@tagged("post_install", "-at_install")
class TestGoLive(ConnectorCase):
    """cap 72, 87, 94, 98: ready, reviewed by a second person, and only then live."""

    def test_the_way_to_live(self):
        connector = self.prepare()
        self.assertEqual(connector.state, "draft")
        self.assertEqual(connector.user_id, self.administrator, "the owner")
        connector.action_request_review()
        self.assertEqual(connector.state, "in_review")
        self.assertEqual(connector.requested_by_id, self.administrator)
        connector.with_user(self.approver).action_approve()
        self.assertEqual(connector.state, "live")
        self.assertEqual(connector.approved_by_id, self.approver)

    def test_sent_back(self):
        connector = self.prepare()
        connector.action_request_review()
        connector.with_user(self.approver).action_reject()
        self.assertEqual(connector.state, "draft")
        self.assertFalse(connector.approved_by_id)
        connector.action_request_review()
        self.assertEqual(connector.state, "in_review")

    def test_who_prepared_it_cannot_approve(self):
        """Both roles in one hand do not help: a second person decides."""
        connector = self.prepare()
        connector.action_request_review()
        self.administrator.group_ids += self.env.ref(constants.GROUP_APPROVER)
        with self.assertRaisesRegex(UserError, "somebody else must put it live"):
            connector.action_approve()
        self.assertEqual(connector.state, "in_review")

    def test_who_submitted_it_cannot_approve(self):
        connector = self.prepare()
        both = new_test_user(
            self.env,
            "both_roles",
            f"{constants.GROUP_ADMINISTRATOR},{constants.GROUP_APPROVER}",
            company_id=self.company.id,
            company_ids=[(6, 0, self.company.ids)],
        )
        connector.with_user(both).action_request_review()
        with self.assertRaisesRegex(UserError, "somebody else must put it live"):
            connector.with_user(both).action_approve()
        connector.with_user(self.approver).action_approve()
        self.assertEqual(connector.state, "live")

    def test_no_way_round_the_review(self):
        """Over RPC as little as on the screen: state moves by its buttons only."""
        connector = self.prepare()
        for values in (
            {"state": "live"},
            {"approved_by_id": self.approver.id},
            {"requested_by_id": self.approver.id},
        ):
            with self.subTest(values=list(values)), self.assertRaises(UserError):
                connector.write(values)
        with self.subTest("create"), self.assertRaises(UserError):
            self.prepare("bypass", state="live")

    def test_no_way_round_the_review_by_defaults(self):
        """What a caller puts into the context is as little a way round."""
        connectors = self.env["finance.connector"].with_user(self.administrator)
        values = {"name": "Bypass", "code": "bypass", "company_id": self.company.id}
        try:
            connector = connectors.with_context(
                default_state="live",
                default_requested_by_id=self.administrator.id,
                default_approved_by_id=self.approver.id,
            ).create(values)
        except UserError:
            return
        self.assertEqual(connector.state, "draft")
        self.assertFalse(connector.approved_by_id)
        self.assertFalse(connector.requested_by_id)

    def test_what_is_missing_is_named(self):
        connector = self.prepare(runbook=False, user_id=False)
        connector.credential_ids.unlink()
        with self.assertRaises(UserError) as caught:
            connector.action_request_review()
        message = str(caught.exception)
        for word in (connector.name, "an owner", "a runbook", "an endpoint"):
            self.assertIn(word, message)
        connector.user_id = self.administrator
        connector.runbook = "<p>Call.</p>"
        connector.env["finance.endpoint"].create(
            {
                "name": "Warehouse",
                "connector_id": connector.id,
                "url": "https://example.com/hook",
            }
        )
        with self.assertRaisesRegex(
            UserError, "signing secret for endpoint “Warehouse”"
        ):
            connector.action_request_review()
        self.assertEqual(connector.state, "draft")

    def test_empty_runbook_is_none(self):
        """What the editor leaves when everything was deleted is no runbook."""
        connector = self.prepare(runbook="<p><br></p>")
        with self.assertRaisesRegex(UserError, "a runbook"):
            connector.action_request_review()

    def test_still_ready_when_approved(self):
        """What became incomplete during the review does not go live."""
        connector = self.prepare()
        connector.action_request_review()
        connector.credential_ids.action_revoke()
        with self.assertRaisesRegex(UserError, "can't go live yet"):
            connector.with_user(self.approver).action_approve()

    def test_empty_credential_is_not_enough(self):
        connector = self.prepare()
        connector.credential_ids.unlink()
        connector.env["finance.credential"].create(
            {"name": "Empty", "connector_id": connector.id, "direction": "inbound"}
        )
        with self.assertRaisesRegex(UserError, "signing secret"):
            connector.action_request_review()

    def test_suspend_and_resume(self):
        connector = self.make_connector("live")
        for user in (self.administrator, self.approver):
            connector.with_user(user).action_suspend()
            self.assertEqual(connector.state, "suspended")
            connector.with_user(user).action_resume()
            self.assertEqual(connector.state, "live")

    def test_retired_is_the_end(self):
        connector = self.make_connector("live")
        connector.with_user(self.administrator).action_retire()
        self.assertEqual(connector.state, "retired")
        for user, action in (
            (self.administrator, "action_request_review"),
            (self.approver, "action_approve"),
            (self.approver, "action_reject"),
            (self.approver, "action_suspend"),
            (self.approver, "action_resume"),
            (self.administrator, "action_retire"),
        ):
            with self.subTest(action), self.assertRaisesRegex(UserError, "Retired"):
                getattr(connector.with_user(user), action)()

    def test_every_button_knows_its_states(self):
        allowed = {
            "action_request_review": {"draft"},
            "action_approve": {"in_review"},
            "action_reject": {"in_review"},
            "action_suspend": {"live"},
            "action_resume": {"suspended"},
            "action_retire": {"draft", "in_review", "live", "suspended"},
        }
        states = dict(self.env["finance.connector"]._fields["state"].selection)
        for action, from_states in allowed.items():
            for state in states:
                if state in from_states:
                    continue
                connector = self.prepare(f"{action}-{state}".replace("_", "-"))
                connector.sudo().state = state
                user = (
                    self.approver
                    if action in ("action_approve", "action_reject")
                    else self.administrator
                )
                with (
                    self.subTest(action=action, state=state),
                    self.assertRaisesRegex(UserError, "possible only from"),
                ):
                    getattr(connector.with_user(user), action)()

    def test_only_a_draft_is_deleted(self):
        draft = self.prepare()
        draft.unlink()
        self.assertFalse(draft.exists())
        for state in ("in_review", "live", "suspended", "retired"):
            connector = self.make_connector(f"used-{state}".replace("_", "-"), state)
            with self.assertRaisesRegex(UserError, "Retire it"):
                connector.with_user(self.administrator).unlink()

    def test_history_is_kept(self):
        """cap 93: who requested and approved stands in the log of the connector."""
        connector = self.tracked(self.prepare())
        connector.action_request_review()
        self.end_transaction()
        connector.with_user(self.approver).action_approve()
        values = self.logged(connector, "state")
        self.assertEqual(values.mapped("new_value_char"), ["In Review", "Live"])
        self.assertEqual(
            [value.mail_message_id.author_id for value in values],
            [self.administrator.partner_id, self.approver.partner_id],
        )


@tagged("post_install", "-at_install")
class TestConfiguration(ConnectorCase):
    """What can't work is refused when it is entered, with words that help."""

    def test_codes(self):
        for code in ("ab", "shop-1", "shop_1", "1shop", "a" * 63):
            self.assertTrue(self.make_connector(code))
        for code in (
            "a",
            "Shop",
            "-shop",
            "_shop",
            "a b",
            "a/b",
            "ü1",
            "a" * 64,
            "a.b",
        ):
            with (
                self.subTest(code),
                self.assertRaisesRegex(ValidationError, "can't be part of an address"),
            ):
                self.make_connector(code)

    def test_code_is_unique(self):
        self.make_connector("twice")
        with (
            mute_logger("odoo.sql_db"),
            self.assertRaises(UniqueViolation),
            self.env.cr.savepoint(),
        ):
            self.make_connector("twice")

    def test_copy_starts_anew(self):
        original = self.make_connector("original")
        self.make_credential(original, "inbound", SECRET)
        copy = original.with_user(self.administrator).copy({"code": "the-copy"})
        self.assertEqual(copy.state, "draft")
        self.assertFalse(copy.approved_by_id)
        self.assertFalse(copy.credential_ids, "secrets are not copied")

    def test_address_for_messages(self):
        connector = self.make_connector("shop")
        self.assertTrue(
            connector.inbound_url.endswith("/finance/v1/inbound/shop"),
            connector.inbound_url,
        )

    def test_live_code_cannot_change_unseen(self):
        """A live connector's code is in the sender's settings; a change is logged."""
        connector = self.tracked(self.make_connector("shop"))
        connector.with_user(self.administrator).code = "shop2"
        self.assertEqual(self.logged(connector, "code").new_value_char, "shop2")

    # === ADDRESSES (SSRF GUARD) === #

    def set_url(self, url, networks=""):
        with patch.dict(os.environ, {"FINANCE_HUB_ALLOWED_NETWORKS": networks}):
            return self.env["finance.endpoint"].create(
                {
                    "name": "Endpoint",
                    "connector_id": self.connector.id,
                    "url": url,
                }
            )

    def test_addresses(self):
        self.connector = self.make_connector("guard")
        self.assertTrue(self.set_url("https://example.com/hook?a=1"))
        refused = {
            "": (
                "http://example.com/hook",
                "https://127.0.0.1/hook",
                "http://127.0.0.1/hook",
                "https://[::1]/hook",
                "https://10.1.2.3/hook",
                "https://192.168.1.1/hook",
                "https://169.254.169.254/latest/meta-data",
                "https://0.0.0.0/",
                "https://2130706433/",
                "https://0x7f.1/",
                "https://[::ffff:127.0.0.1]/",
                "https://user:password@example.com/",
                "https://example.com/#part",
                "https://example.com:22/",
                "ftp://example.com/",
                "file:///etc/passwd",
                "javascript:alert(1)",
                "example.com/hook",
                "https://",
                "https://exa mple.com/",
            ),
            # Nothing opens the metadata service of a cloud.
            "0.0.0.0/0, ::/0": (
                "https://169.254.169.254/latest/meta-data",
                "http://169.254.169.254/latest/meta-data",
                "https://[fd00:ec2::254]/",
            ),
            "127.0.0.0/8": ("https://10.1.2.3/hook", "http://example.com/"),
        }
        for networks, urls in refused.items():
            for url in urls:
                with (
                    self.subTest(url=url, networks=networks),
                    self.assertRaisesRegex(ValidationError, "can't be used"),
                ):
                    self.set_url(url, networks)

    def test_allowed_networks_come_from_the_server(self):
        self.connector = self.make_connector("guard")
        self.assertTrue(self.set_url("http://127.0.0.1:8029/hook", "127.0.0.0/8"))
        self.assertTrue(self.set_url("https://10.1.2.3/hook", "10.0.0.0/8"))
        with (
            patch.dict(os.environ, {"FINANCE_HUB_ALLOWED_NETWORKS": ""}),
            patch.dict(config.options, {"finance_hub_allowed_networks": "10.0.0.0/8"}),
        ):
            self.assertTrue(
                self.env["finance.endpoint"].create(
                    {
                        "name": "Endpoint",
                        "connector_id": self.connector.id,
                        "url": "https://10.1.2.3/hook",
                    }
                )
            )

    def test_change_of_address_is_checked_and_logged(self):
        endpoint = self.tracked(self.make_endpoint("https://example.com/a"))
        with self.assertRaises(ValidationError):
            endpoint.url = "https://10.0.0.1/"
        endpoint.url = "https://example.com/b"
        self.assertEqual(
            self.logged(endpoint, "url").new_value_char, "https://example.com/b"
        )

    def test_names_of_private_addresses(self):
        """A name is judged by what it resolves to, at the moment of sending."""
        sink = self.receiver()
        url = f"https://localhost:{sink.server_port}/hook"
        with patch.dict(os.environ, {"FINANCE_HUB_ALLOWED_NETWORKS": ""}):
            endpoint = self.make_endpoint(url)
            delivery = self.events_of(self.make_invoice()).delivery_ids
            self.dispatch()
        self.assertEqual(delivery.endpoint_id, endpoint)
        self.assertEqual(delivery.attempt_ids.error_code, "T-ADDRESS")
        self.assertFalse(sink.requests)

    # === RETRIES AND LIMITS === #

    def test_retry_schedules(self):
        endpoint = self.make_endpoint("https://example.com/hook")
        for schedule in ("0", "0, 5, 300", "0,5,300", "10"):
            endpoint.retry_schedule = schedule
        for schedule, word in (
            ("soon", "soon"),
            ("0, -5", "-5"),
            ("0, 1.5", "1.5"),
            ("0,,5", "commas"),
            (" ", "commas"),
            (", ".join(["1"] * 500), "at most"),
            ("0, 999999999", "too long"),
        ):
            with (
                self.subTest(schedule[:20]),
                self.assertRaisesRegex(ValidationError, word),
            ):
                endpoint.retry_schedule = schedule

    def test_limits(self):
        endpoint = self.make_endpoint("https://example.com/hook")
        for values in (
            {"timeout": 0},
            {"timeout": constants.MAX_TIMEOUT + 1},
            {"concurrency": 0},
            {"concurrency": constants.MAX_CONCURRENCY + 1},
        ):
            with (
                self.subTest(values),
                mute_logger("odoo.sql_db"),
                self.assertRaises(CheckViolation),
                self.env.cr.savepoint(),
            ):
                endpoint.write(values)
                endpoint.flush_recordset()

    def test_endpoint_with_history_stays(self):
        endpoint = self.make_endpoint("https://example.com/hook")
        self.events_of(self.make_invoice())
        with self.assertRaisesRegex(UserError, "Archive it"):
            endpoint.with_user(self.administrator).unlink()
        unused = self.make_endpoint(
            "https://example.com/hook", self.make_connector("unused"), patterns=None
        )
        unused.with_user(self.administrator).unlink()
        self.assertFalse(unused.exists())

    def test_endpoint_suspend_and_resume(self):
        endpoint = self.make_endpoint("https://example.com/hook")
        as_administrator = endpoint.with_user(self.administrator)
        as_administrator.action_suspend()
        self.assertEqual(endpoint.state, "suspended")
        self.assertIn(self.administrator.name, endpoint.suspended_reason)
        as_administrator.action_resume()
        self.assertEqual(endpoint.state, "live")
        self.assertFalse(endpoint.suspended_reason)

    def test_signing_credential_is_the_connectors_own(self):
        """An endpoint signs neither with another connector's nor an inbound secret."""
        endpoint = self.make_endpoint("https://example.com/hook")
        foreign = self.make_credential(self.make_connector("foreign"))
        inbound = self.make_credential(endpoint.connector_id, "inbound")
        for credential in (foreign, inbound):
            with self.subTest(credential.name), self.assertRaises(UserError):
                endpoint.credential_id = credential

    # === SUBSCRIPTIONS === #

    def test_patterns(self):
        endpoint = self.make_endpoint("https://example.com/hook", patterns=None)
        subscription = self.env["finance.subscription"].create(
            {"name": "All", "endpoint_id": endpoint.id, "patterns": "*"}
        )
        self.assertEqual(subscription.matched_types, ", ".join(EVENT_TYPES))
        subscription.patterns = "finance.invoice.paid.v1 , finance.payment.*"
        matched = subscription.matched_types.split(", ")
        self.assertIn("finance.invoice.paid.v1", matched)
        self.assertIn("finance.payment.created.v1", matched)
        self.assertNotIn("finance.invoice.posted.v1", matched)
        for patterns in ("", " , ", "finance invoice", "finance..v1", "finance.[a-z]"):
            with self.subTest(patterns), self.assertRaises(ValidationError):
                subscription.patterns = patterns

    def test_pattern_that_matches_nothing_is_refused(self):
        """A typing error must not become an endpoint that silently gets nothing."""
        endpoint = self.make_endpoint("https://example.com/hook", patterns=None)
        with self.assertRaises(ValidationError):
            self.env["finance.subscription"].create(
                {
                    "name": "Typo",
                    "endpoint_id": endpoint.id,
                    "patterns": "finance.invioce.*",
                }
            )

    def test_screen_says_what_is_matched_before_saving(self):
        endpoint = self.make_endpoint("https://example.com/hook", patterns=None)
        with Form(
            self.env["finance.subscription"].with_user(self.administrator)
        ) as form:
            form.name = "Paid"
            form.endpoint_id = endpoint
            form.patterns = "finance.*.paid.v1"
            self.assertIn("finance.invoice.paid.v1", form.matched_types)
            self.assertNotIn("posted", form.matched_types)

    def test_routes_follow_every_change(self):
        """Routing is cached; no change of what it depends on goes unseen."""
        endpoint = self.make_endpoint("https://example.com/hook", patterns="*")
        subscription = endpoint.subscription_ids

        def routed():
            return bool(self.events_of(self.make_invoice()).delivery_ids)

        self.assertTrue(routed())
        for record, values, back in (
            (subscription, {"patterns": "finance.payment.*"}, {"patterns": "*"}),
            (subscription, {"active": False}, {"active": True}),
            (endpoint, {"active": False}, {"active": True}),
            (endpoint.connector_id, {"active": False}, {"active": True}),
            (endpoint.connector_id, {"state": "draft"}, {"state": "live"}),
        ):
            record.write(values)
            self.assertFalse(routed(), values)
            record.write(back)
            self.assertTrue(routed(), back)
        with self.assertRaisesRegex(UserError, "Archive it instead"):
            subscription.unlink()
        unused = subscription.copy()
        unused.unlink()
        self.assertFalse(unused.exists())


@tagged("post_install", "-at_install")
class TestCredential(ConnectorCase):
    """cap 90: secrets are encrypted, shown once, rotated and ended."""

    def setUp(self):
        super().setUp()
        self.connector = self.make_connector("secrets")
        self.credential = self.env["finance.credential"].create(
            {"name": "Secret", "connector_id": self.connector.id}
        )
        self.as_administrator = self.credential.with_user(self.administrator)

    def stored(self, credential=None):
        """Return the two columns as the database holds them."""
        self.env.flush_all()
        self.env.cr.execute(
            "SELECT secret_token, previous_secret_token FROM finance_credential"
            " WHERE id = %s",
            [(credential or self.credential).id],
        )
        return self.env.cr.fetchone()

    # === SHOWN ONCE === #

    def test_generated_and_shown_once(self):
        self.assertEqual(self.credential.state, "empty")
        action = self.as_administrator.action_generate()
        self.assertEqual(action["type"], "ir.actions.client")
        self.assertEqual(action["tag"], "finance_hub.show_secret")
        secret = action["params"]["secret"]
        self.assertTrue(Webhook(secret))
        self.assertTrue(secret.startswith("whsec_"))
        self.assertFalse(action["params"]["overlap_until"])
        self.assertEqual(self.credential.state, "active")
        self.assertTrue(self.credential.secret_set_at)
        token, previous = self.stored()
        self.assertNotIn(secret.removeprefix("whsec_"), token)
        self.assertIsNone(previous)
        hint = self.credential.secret_hint
        self.assertTrue(hint.startswith("whsec_"))
        self.assertEqual(hint[-4:], secret[-4:])
        self.assertLess(len(hint), 20)
        values = self.as_administrator.read()[0]
        self.assertNotIn(secret, str(values))
        self.assertEqual(self.credential._secrets(), [secret])

    def test_entered_by_hand(self):
        self.as_administrator.secret_input = f"  {SECRET}\n"
        self.assertEqual(self.credential._secrets(), [SECRET])
        self.assertEqual(self.credential.state, "active")

    def test_entered_when_created(self):
        credential = (
            self.env["finance.credential"]
            .with_user(self.administrator)
            .create(
                {
                    "name": "Pasted",
                    "connector_id": self.connector.id,
                    "secret_input": SECRET,
                }
            )
        )
        self.assertEqual(credential.sudo()._secrets(), [SECRET])

    def test_input_is_write_only(self):
        """Not even the answer to saving it holds the secret."""
        answer = self.as_administrator.web_save(
            {"secret_input": SECRET},
            {"secret_input": {}, "secret_hint": {}, "state": {}},
        )
        self.assertEqual(answer[0]["state"], "active")
        self.assertNotIn(SECRET, str(answer))
        self.assertFalse(
            self.as_administrator.read(["secret_input"])[0]["secret_input"]
        )
        self.env.invalidate_all()
        self.assertFalse(self.as_administrator.secret_input)

    def test_empty_input_changes_nothing(self):
        self.as_administrator.secret_input = SECRET
        self.as_administrator.write({"secret_input": False, "name": "Renamed"})
        self.assertEqual(self.credential._secrets(), [SECRET])
        self.assertFalse(self.credential.previous_valid_until)

    def test_malformed_secrets(self):
        for secret in (
            "hunter2",
            "whsec_",
            "whsec_short",
            "whsec_" + "A" * 400,
            "whsec_not base64 at all!!!!!!!!!!!!!!!",
            "whsk_" + "A" * 32,
            "whpk_" + "A" * 43 + "=",
        ):
            with (
                self.subTest(secret[:20]),
                self.assertRaisesRegex(ValidationError, "can't be used") as caught,
            ):
                self.as_administrator.secret_input = secret
            if len(secret) > len("whsec_"):
                self.assertNotIn(secret, str(caught.exception))
        self.assertEqual(self.stored(), (None, None))

    def test_public_keys_verify_and_do_not_sign(self):
        """cap 96: the sender's public key is all that is needed to verify."""
        private, public = generate_key_pair()
        inbound = self.make_credential(self.connector, "inbound", public)
        self.assertEqual(inbound._secrets(), [public])
        outbound = self.make_credential(self.connector, "outbound", private)
        self.assertEqual(outbound._secrets(), [private])
        with self.assertRaises(ValidationError):
            self.make_credential(self.connector, "outbound", public)

    def test_secret_keeps_its_purpose(self):
        """A secret is neither carried to another system nor turned round."""
        endpoint = self.make_endpoint("https://example.com/hook", self.connector)
        credential = endpoint.credential_id.with_user(self.administrator)
        other = self.make_connector("other-system")
        for values in ({"connector_id": other.id}, {"direction": "inbound"}):
            with self.subTest(values=list(values)), self.assertRaises(UserError):
                credential.write(values)
        self.assertEqual(endpoint.credential_id.connector_id, self.connector)

    def test_malformed_public_key(self):
        """What can't verify anything is refused when it is entered."""
        self.credential.direction = "inbound"
        for secret in ("whpk_", "whpk_garbage", "whpk_" + "A" * 20):
            with (
                self.subTest(secret),
                self.assertRaisesRegex(ValidationError, "can't be used"),
            ):
                self.as_administrator.secret_input = secret

    def test_private_key_is_no_inbound_secret(self):
        """A key that signs can't verify: saying so later is a closed door then."""
        private, _public = generate_key_pair()
        self.credential.direction = "inbound"
        with self.assertRaises(ValidationError):
            self.as_administrator.secret_input = private

    # === ROTATION AND END === #

    def test_rotation(self):
        first = self.as_administrator.action_generate()["params"]["secret"]
        action = self.as_administrator.action_generate()
        second = action["params"]["secret"]
        self.assertNotEqual(first, second)
        self.assertEqual(self.credential._secrets(), [second, first])
        self.assertTrue(self.credential.previous_valid_until)
        self.assertTrue(action["params"]["overlap_until"])
        self.later(hours=23)
        self.assertEqual(self.credential._secrets(), [second, first])
        self.later(hours=25)
        self.assertEqual(self.credential._secrets(), [second])

    def test_two_rotations_keep_two(self):
        self.as_administrator.secret_input = SECRET
        self.as_administrator.secret_input = OTHER_SECRET
        third = self.as_administrator.action_generate()["params"]["secret"]
        self.assertEqual(self.credential._secrets(), [third, OTHER_SECRET])

    def test_revoked_at_once(self):
        self.as_administrator.action_generate()
        self.as_administrator.action_generate()
        self.as_administrator.action_revoke()
        self.assertEqual(self.credential.state, "revoked")
        self.assertEqual(self.stored(), (None, None))
        self.assertFalse(self.credential.secret_hint)
        self.assertEqual(self.credential._secrets(), [])
        self.as_administrator.action_generate()
        self.assertEqual(self.credential.state, "active")
        self.assertEqual(len(self.credential._secrets()), 1, "nothing comes back")

    def test_copy_has_no_secret(self):
        self.as_administrator.action_generate()
        copy = self.as_administrator.copy()
        self.assertEqual(copy.state, "empty")
        self.assertEqual(self.stored(copy), (None, None))

    # === ENCRYPTION KEYS === #

    def use_keys(self, *keys):
        patcher = patch.dict(
            os.environ, {"FINANCE_HUB_ENCRYPTION_KEYS": ", ".join(keys)}
        )
        patcher.start()
        self.addCleanup(patcher.stop)

    def test_rotation_of_the_key(self):
        old, new = generate_key(), generate_key()
        self.use_keys(old)
        self.as_administrator.secret_input = SECRET
        self.as_administrator.secret_input = OTHER_SECRET
        before = self.stored()
        self.assertEqual(SecretBox([old]).decrypt(before[0]), OTHER_SECRET)
        self.use_keys(new, old)
        self.assertEqual(self.credential._secrets(), [OTHER_SECRET, SECRET])
        self.assertEqual(self.stored(), before, "reading changes nothing")
        changed = (
            self.env["finance.credential"]
            .with_user(self.administrator)
            .action_reencrypt()
        )
        self.assertGreaterEqual(changed, 1)
        self.use_keys(new)
        self.assertEqual(self.credential._secrets(), [OTHER_SECRET, SECRET])
        self.assertEqual(SecretBox([new]).decrypt(self.stored()[0]), OTHER_SECRET)
        self.use_keys(new, old)
        self.assertEqual(self.env["finance.credential"].action_reencrypt(), 0)

    def test_lost_key_is_said_clearly(self):
        self.use_keys(generate_key())
        self.as_administrator.secret_input = SECRET
        self.use_keys(generate_key())
        with self.assertRaisesRegex(UserError, "can't be decrypted") as caught:
            self.credential._secrets()
        self.assertIn(self.credential.name, str(caught.exception))

    def test_lost_key_while_encrypting_anew(self):
        """What can't be read is said in words for a person, not as a crash."""
        self.use_keys(generate_key())
        self.as_administrator.secret_input = SECRET
        self.use_keys(generate_key())
        with self.assertRaises(UserError):
            self.env["finance.credential"].action_reencrypt()

    def test_lost_key_does_not_stop_a_new_secret(self):
        """Whoever lost the key enters the secret anew and is well again."""
        self.use_keys(generate_key())
        self.as_administrator.secret_input = SECRET
        self.use_keys(generate_key())
        self.as_administrator.secret_input = OTHER_SECRET
        self.assertEqual(self.credential._secrets(), [OTHER_SECRET])

    def test_bad_key_is_said_clearly(self):
        """A wrong setting of the server is no crash on the screen."""
        self.use_keys("not-a-key")
        with self.assertRaises(UserError):
            self.as_administrator.secret_input = SECRET

    def test_key_from_the_configuration(self):
        key = generate_key()
        with (
            patch.dict(os.environ),
            patch.dict(config.options, {"finance_hub_encryption_keys": key}),
        ):
            os.environ.pop("FINANCE_HUB_ENCRYPTION_KEYS", None)
            self.as_administrator.secret_input = SECRET
        self.assertEqual(SecretBox([key]).decrypt(self.stored()[0]), SECRET)

    def test_key_file_is_made_for_its_owner_only(self):
        """Nothing configured: a key file appears, readable by the server alone."""
        with (
            tempfile.TemporaryDirectory() as folder,
            patch.dict(os.environ),
            patch.dict(
                config.options,
                {"data_dir": folder, "finance_hub_encryption_keys": False},
            ),
        ):
            os.environ.pop("FINANCE_HUB_ENCRYPTION_KEYS", None)
            path = Path(keyring.key_file_path())
            self.assertEqual(path.parent.parent, Path(folder))
            self.assertFalse(path.exists())
            self.as_administrator.secret_input = SECRET
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
            self.assertEqual(stat.S_IMODE(path.parent.stat().st_mode), 0o700)
            content = path.read_text()
            self.env.invalidate_all()
            self.assertEqual(self.credential._secrets(), [SECRET])
            self.assertEqual(path.read_text(), content, "made once")

    # === NOWHERE IN CLEAR === #

    def test_nowhere_in_clear(self):
        """No table, no log line holds a secret: not when set, used or refused."""
        sink = self.receiver()
        with self.assertLogs(level=logging.DEBUG) as logs:
            endpoint = self.make_endpoint(sink.url, self.connector)
            credential = endpoint.credential_id.with_user(self.administrator)
            secrets = [credential.action_generate()["params"]["secret"], SECRET]
            credential.secret_input = SECRET
            self.events_of(self.make_invoice())
            self.env["finance.delivery"]._wake()
            self.dispatch()
            self.env.flush_all()
            self.cr.precommit.run()
        self.assertEqual(len(sink.requests), 1, "it was used")
        marks = [secret.removeprefix("whsec_") for secret in secrets]
        for line in logs.output:
            for mark in marks:
                self.assertNotIn(mark, line)
        self.env.cr.execute(
            """
            SELECT table_name FROM information_schema.tables
             WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'
               AND (table_name LIKE 'finance\\_%' OR table_name LIKE 'mail\\_%'
                    OR table_name LIKE 'queue\\_%' OR table_name LIKE 'ir\\_logging')
            """
        )
        tables = [row[0] for row in self.env.cr.fetchall()]
        for table in ("finance_credential", "queue_job", "mail_tracking_value"):
            self.assertIn(table, tables)
        for table in tables:
            for mark in marks:
                self.env.cr.execute(
                    f'SELECT count(*) FROM "{table}" t WHERE strpos(t::text, %s) > 0',
                    [mark],
                )
                self.assertEqual(self.env.cr.fetchone()[0], 0, table)
