import os
from unittest.mock import patch

from psycopg2.errors import CheckViolation, UniqueViolation

from odoo.exceptions import UserError, ValidationError
from odoo.tests import Form, new_test_user, tagged
from odoo.tools import config, mute_logger

from ..contracts import EVENT_TYPES, newest
from ..models import constants
from .common import FinanceHubCommon

SECRET = "whsec_" + "A" * 32


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
        self.make_tested(connector)
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
        with self.assertRaisesRegex(UserError, "is not ready yet"):
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
        self.assertEqual(
            subscription.matched_types,
            ", ".join(name for name in EVENT_TYPES if newest(name).name == name),
        )
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
