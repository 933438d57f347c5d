import os
from datetime import date, datetime, timedelta, timezone
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from ..controllers import authentication
from ..models import clock, constants
from ..signing import generate_api_key
from .common import GROUPS, FinanceHubCommon


@tagged("post_install", "-at_install")
class TestClient(FinanceHubCommon):
    """cap 88, 90: the machine identities of the API, and their keys."""

    def setUp(self):
        super().setUp()
        self.connector = self.make_connector()
        self.client, self.key = self.make_client(self.connector, "event:read")

    def stored(self):
        self.env.flush_all()
        self.env.cr.execute(
            "SELECT to_jsonb(c)::text FROM finance_client c WHERE id = %s",
            [self.client.id],
        )
        return self.env.cr.fetchone()[0]

    # === KEYS === #

    def test_only_a_digest_is_stored(self):
        prefix, secret = self.key[:12], self.key[13:]
        self.assertIn(prefix, self.stored())
        self.assertNotIn(secret, self.stored())
        messages = self.client.message_ids.mapped("body")
        self.assertNotIn(secret, str(messages))
        self.assertEqual(self.client.key_prefix, prefix)
        self.assertEqual(self.client.state, "active")

    def test_identify(self):
        clients = self.env["finance.client"]
        self.assertEqual(clients._identify(self.key), self.client)
        self.assertFalse(clients._identify(self.key[:-1] + "!"))
        self.assertFalse(clients._identify(""))
        self.assertFalse(clients._identify(self.key[:12]))
        self.assertFalse(clients._identify(generate_api_key().key))
        self.assertFalse(
            clients._identify(self.key[:13] + generate_api_key().key[13:]),
            "the public part alone opens nothing",
        )

    def test_rotation_overlaps(self):
        new = self.client.action_generate()["params"]["secret"]
        clients = self.env["finance.client"]
        for key in (self.key, new):
            self.assertEqual(clients._identify(key), self.client)
            self.assertIsNone(self.client._key_problem(key))
        self.later(hours=24, minutes=1)
        self.assertIsNone(self.client._key_problem(new))
        self.assertEqual(self.client._key_problem(self.key)[0], "KEY-REPLACED")
        self.client.action_generate()
        self.assertFalse(clients._identify(self.key), "the last but one is forgotten")

    def test_revoke_ends_both(self):
        new = self.client.action_generate()["params"]["secret"]
        self.client.action_revoke()
        for key in (self.key, new):
            self.assertEqual(self.client._key_problem(key)[0], "KEY-REVOKED")
        self.assertEqual(self.env["finance.client"]._identify(new), self.client)
        newest = self.client.action_generate()["params"]["secret"]
        self.assertIsNone(self.client._key_problem(newest))
        self.assertFalse(
            self.env["finance.client"]._identify(self.key),
            "what was revoked does not come back with a new key",
        )
        self.assertFalse(self.env["finance.client"]._identify(new))

    def test_expiry_is_the_end_of_its_day(self):
        self.client.expires_on = date(2030, 5, 31)
        self.set_clock(datetime(2030, 5, 31, 23, 59, 59, tzinfo=timezone.utc))
        self.assertIsNone(self.client._key_problem(self.key))
        self.set_clock(datetime(2030, 6, 1, tzinfo=timezone.utc))
        self.assertEqual(self.client._key_problem(self.key)[0], "KEY-EXPIRED")
        self.client.invalidate_recordset(["is_expired"])
        self.assertTrue(self.client.is_expired)
        self.assertFalse(self.client._usable())
        with self.assertRaisesRegex(UserError, "has expired"):
            self.client.action_generate()

    def test_key_belongs_to_one_system(self):
        other = self.make_connector("other")
        with self.assertRaisesRegex(UserError, "made for one system"):
            self.client.connector_id = other
        with self.assertRaisesRegex(UserError, "keeps its history"):
            self.client.unlink()
        draft = self.client.copy()
        self.assertEqual(draft.state, "draft")
        self.assertFalse(draft.key_prefix)
        draft.connector_id = other
        draft.unlink()

    def test_the_default_is_a_year(self):
        day = datetime(2027, 3, 1, 12, tzinfo=timezone.utc)
        self.set_clock(day)
        client, _key = self.make_client(self.connector)
        self.assertEqual(client.expires_on, date(2028, 2, 29))
        self.assertEqual(client.environment, self.connector.environment)

    def test_scopes_of_the_domain(self):
        names = set(self.env["finance.scope"].search([]).mapped("name"))
        self.assertEqual(
            names,
            {
                "invoice:read",
                "invoice:write",
                "payment:read",
                "payment:initiate",
                "posting:submit",
                "ledger:read",
                "balance:read",
                "bank:read",
                "counterparty:read",
                "counterparty:write",
                "tax:validate",
                "risk:check",
                "reference:read",
                "reconciliation:read",
                "exception:read",
                "exception:act",
                "event:read",
                "event:replay",
                "audit:read",
            },
        )

    # === ADDRESSES === #

    def test_networks(self):
        self.client.allowed_networks = "192.0.2.0/24, 2001:db8::/32"
        for address, allowed in {
            "192.0.2.7": True,
            "::ffff:192.0.2.7": True,
            "192.0.3.7": False,
            "2001:db8::1": True,
            "2001:db9::1": False,
            "": False,
            None: False,
            "192.0.2.7, 10.0.0.1": False,
        }.items():
            with self.subTest(address):
                self.assertEqual(self.client._may_come_from(address), allowed)
        self.client.allowed_networks = False
        self.assertTrue(self.client._may_come_from("198.51.100.1"))

    def test_networks_are_checked(self):
        with self.assertRaisesRegex(ValidationError, "is not a network"):
            self.client.allowed_networks = "192.0.2.0/24, office"

    # === RATE === #

    def count(self, client=None):
        return self.env["finance.client.usage"]._count(
            client or self.client, "fhk_aaaaaaaa", "192.0.2.1"
        )

    def test_rate(self):
        """A bucket of one minute's calls that is refilled evenly."""
        self.client.rate_limit = 3
        start = datetime(2030, 1, 1, tzinfo=timezone.utc)
        self.client.usage_ids.tokens_at = clock.naive(start)
        self.set_clock(start)
        with self.enter_registry_test_mode():
            for left, back in ((2, 20), (1, 40), (0, 60)):
                allowed, remaining, seconds = self.count()
                self.assertTrue(allowed)
                self.assertEqual((remaining, seconds), (left, back))
            for _again in range(3):
                allowed, remaining, seconds = self.count()
                self.assertFalse(allowed)
                self.assertEqual((remaining, seconds), (0, 20))
            self.set_clock(start + timedelta(seconds=15))
            self.assertEqual(self.count(), (False, 0, 5))
            self.set_clock(start + timedelta(seconds=20))
            self.assertTrue(self.count()[0])
            self.assertFalse(self.count()[0])
            # A clock that goes back gives nothing.
            self.set_clock(start)
            self.assertFalse(self.count()[0])
            self.set_clock(start + timedelta(days=1))
            self.assertEqual(self.count()[1], 2, "it never holds more than its limit")

    def test_rate_of_one_is_not_that_of_another(self):
        self.client.rate_limit = 1
        other, _key = self.make_client(self.connector, "event:read")
        with self.enter_registry_test_mode():
            self.assertTrue(self.count()[0])
            self.assertFalse(self.count()[0])
            self.assertTrue(self.count(other)[0])

    def test_last_use(self):
        start = datetime(2030, 1, 1, tzinfo=timezone.utc)
        self.set_clock(start)
        with self.enter_registry_test_mode():
            self.count()
        self.assertEqual(self.client.last_used_at, clock.naive(start))
        self.assertEqual(self.client.last_used_from, "192.0.2.1")
        self.assertEqual(self.client.last_used_key, "fhk_aaaaaaaa")

    def test_rate_limits_are_checked(self):
        with self.assertRaises(Exception) as caught, mute_logger("odoo.sql_db"):
            self.client.rate_limit = 0
            self.env.flush_all()
        self.assertIn("rate_range", str(caught.exception))

    # === WHO MAY === #

    def test_no_door_leads_to_the_digest(self):
        for group in GROUPS:
            self.users[group].group_ids += self.env.ref("base.group_allow_export")
            client = self.client.with_user(self.users[group])
            for name in ("key_digest", "previous_key_digest"):
                for attempt in (
                    lambda c=client, n=name: c.read([n]),
                    lambda c=client, n=name: c.search([(n, "like", "a")]),
                    lambda c=client, n=name: c.export_data([n]),
                    lambda c=client, n=name: c.write({n: "mine"}),
                ):
                    with (
                        self.subTest(group=group, field=name),
                        mute_logger("odoo.models"),
                        self.assertRaises(AccessError),
                    ):
                        attempt()
                self.assertNotIn(name, client.fields_get())

    def test_keys_move_by_the_buttons_alone(self):
        client = self.client.with_user(self.users["administrator"])
        for name, value in {
            "state": "active",
            "key_prefix": "fhk_mine",
            "previous_valid_until": "2999-01-01 00:00:00",
        }.items():
            with self.subTest(name), self.assertRaises(UserError):
                client.write({name: value})


@tagged("post_install", "-at_install")
class TestAuthentication(FinanceHubCommon, HttpCase):
    """cap 87, 88, 92: who is not let in, and what is said and kept about it."""

    def setUp(self):
        super().setUp()
        authentication._recorded.clear()
        self.addCleanup(authentication._recorded.clear)
        self.feed = self.make_feed()
        self.connector = self.feed.connector_id
        self.client, self.key = self.make_client(self.connector, "event:read")

    def call(self, key=None, **headers):
        self.env.flush_all()
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        response = self.url_open("/finance/v1/events", headers=headers)
        self.env.invalidate_all()
        return response

    def exceptions(self):
        return self.env["finance.exception"].search(
            [("code", "=", "C-ACCESS"), ("connector_id", "=", self.connector.id)]
        )

    def assertRefused(self, response, status, code):
        self.assertEqual(response.status_code, status, response.text)
        self.assertEqual(response.headers["Content-Type"], "application/problem+json")
        self.assertEqual(response.headers["Cache-Control"], "no-store")
        problem = response.json()
        self.assertEqual((problem["status"], problem["code"]), (status, code))
        self.assertTrue(problem["detail"])
        self.assertEqual(
            problem["correlation_id"], response.headers["X-Correlation-Id"]
        )
        self.assertNotIn(self.key[13:], response.text)
        return problem

    def test_let_in(self):
        response = self.call(self.key)
        self.assertEqual(response.status_code, 200, response.text)
        self.assertEqual(response.headers["RateLimit-Limit"], "300")
        self.assertEqual(response.headers["RateLimit-Remaining"], "299")
        self.assertEqual(response.headers["RateLimit-Reset"], "1")
        self.assertEqual(self.client.last_used_from, "127.0.0.1")
        self.assertEqual(self.client.last_used_key, self.client.key_prefix)
        self.assertFalse(self.exceptions())

    def test_the_scheme_is_in_any_case(self):
        self.assertEqual(
            self.call(Authorization=f"bEaReR  {self.key}").status_code, 200
        )

    def test_no_key(self):
        for headers in (
            {},
            {"Authorization": ""},
            {"Authorization": "Bearer"},
            {"Authorization": "Bearer "},
            {"Authorization": f"Basic {self.key}"},
            {"Authorization": self.key},
            {"X-Api-Key": self.key},
        ):
            with self.subTest(headers):
                response = self.call(**headers)
                self.assertRefused(response, 401, "KEY-MISSING")
                self.assertEqual(
                    response.headers["WWW-Authenticate"], 'Bearer realm="finance-hub"'
                )

    def test_wrong_key(self):
        with self.assertLogs(
            "odoo.addons.finance_hub.controllers.authentication", "WARNING"
        ) as logged:
            for key in (
                generate_api_key().key,
                self.key[:13] + generate_api_key().key[13:],
                "x",
                "fhk_" + "é" * 50,
                "' OR 1=1 --",
                "x" * 5000,
            ):
                with self.subTest(key[:20]):
                    response = self.call(Authorization=f"Bearer {key}".encode())
                    self.assertRefused(response, 401, "KEY-UNKNOWN")
                    self.assertIn(
                        'error="invalid_token"', response.headers["WWW-Authenticate"]
                    )
        self.assertEqual(len(logged.output), 1, "not each one of a flood")
        self.assertNotIn("fhk_", logged.output[0])
        self.assertEqual(self.client.usage_ids.tokens, 300, "nobody else pays for it")

    def test_the_key_is_not_taken_from_the_address(self):
        response = self.url_open(
            f"/finance/v1/events?access_token={self.key}&client={self.client.id}"
        )
        self.assertRefused(response, 401, "KEY-MISSING")

    def test_a_parameter_is_no_client(self):
        """The name of the route's own argument can't be set from outside."""
        self.env.flush_all()
        response = self.url_open(
            f"/finance/v1/events?client={self.client.id}",
            headers={"Authorization": f"Bearer {self.key}"},
        )
        self.assertRefused(response, 400, "D-SCHEMA")

    def test_revoked(self):
        self.client.action_revoke()
        self.assertRefused(self.call(self.key), 401, "KEY-REVOKED")
        exception = self.exceptions()
        self.assertEqual(exception._record(), self.client)
        self.assertIn("127.0.0.1", exception.cause)
        self.assertIn("revoked", exception.cause)
        self.assertNotIn(self.key[13:], exception.cause)

    def test_rotated_and_expired(self):
        new = self.client.action_generate()["params"]["secret"]
        self.assertEqual(self.call(self.key).status_code, 200)
        self.assertEqual(self.client.last_used_key, self.client.previous_key_prefix)
        self.assertEqual(self.call(new).status_code, 200)
        self.assertEqual(self.client.last_used_key, self.client.key_prefix)
        self.later(hours=25)
        self.assertRefused(self.call(self.key), 401, "KEY-REPLACED")
        self.assertEqual(self.call(new).status_code, 200)
        self.later(days=366)
        self.assertRefused(self.call(new), 401, "KEY-EXPIRED")

    def test_scope(self):
        client, key = self.make_client(self.connector, "invoice:read", "event:replay")
        response = self.call(key)
        self.assertRefused(response, 403, "SCOPE-MISSING")
        self.assertIn(
            'error="insufficient_scope"', response.headers["WWW-Authenticate"]
        )
        self.assertIn('scope="event:read"', response.headers["WWW-Authenticate"])
        self.assertEqual(self.exceptions()._record(), client)

    def test_address(self):
        self.client.allowed_networks = "192.0.2.0/24"
        self.assertRefused(self.call(self.key), 403, "ADDRESS-NOT-ALLOWED")
        self.assertRefused(
            self.call(self.key, **{"X-Forwarded-For": "192.0.2.1"}),
            403,
            "ADDRESS-NOT-ALLOWED",
        )
        self.assertIn("127.0.0.1", self.exceptions().cause)
        self.client.allowed_networks = "127.0.0.0/8"
        self.assertEqual(self.call(self.key).status_code, 200)

    def test_connector(self):
        for state, status, code in (
            ("draft", 403, "NOT-LIVE"),
            ("in_review", 403, "NOT-LIVE"),
            ("retired", 403, "NOT-LIVE"),
            ("suspended", 503, "SUSPENDED"),
        ):
            with self.subTest(state):
                self.connector.state = state
                response = self.call(self.key)
                problem = self.assertRefused(response, status, code)
                self.assertEqual(problem["retryable"], status == 503)
        self.assertEqual(response.headers["Retry-After"], "300")
        self.connector.state = "live"
        self.connector.active = False
        self.assertRefused(self.call(self.key), 403, "NOT-LIVE")

    def test_too_many(self):
        self.client.rate_limit = 2
        self.client.usage_ids.tokens = 2
        start = datetime(2030, 1, 1, tzinfo=timezone.utc)
        self.client.expires_on = date(2031, 1, 1)
        self.client.usage_ids.tokens_at = clock.naive(start)
        self.set_clock(start)
        left = [self.call(self.key).headers["RateLimit-Remaining"] for _ in range(2)]
        self.assertEqual(left, ["1", "0"])
        response = self.call(self.key)
        problem = self.assertRefused(response, 429, "RATE-LIMITED")
        self.assertTrue(problem["retryable"])
        self.assertEqual(response.headers["Retry-After"], "30")
        self.assertEqual(response.headers["RateLimit-Limit"], "2")
        self.assertEqual(response.headers["RateLimit-Remaining"], "0")
        self.assertEqual(response.headers["RateLimit-Reset"], "30")
        self.assertFalse(self.exceptions(), "being too fast is no breach")
        self.set_clock(start + timedelta(seconds=30))
        self.assertEqual(self.call(self.key).status_code, 200)

    def test_a_flood_is_recorded_now_and_then(self):
        self.client.action_revoke()
        for _again in range(5):
            self.call(self.key)
        self.assertEqual(self.exceptions().occurrences, 1)
        with patch.object(constants, "REFUSAL_RECORD_INTERVAL", timedelta(0)):
            self.call(self.key)
        self.assertEqual(self.exceptions().occurrences, 2)

    def test_correlation(self):
        response = self.call(self.key, **{"X-Correlation-Id": "nightly-7"})
        self.assertEqual(response.headers["X-Correlation-Id"], "nightly-7")
        response = self.call("wrong", **{"X-Correlation-Id": "nightly-8"})
        self.assertEqual(response.json()["correlation_id"], "nightly-8")
        for bad in ("with blank", "x" * 129, "é"):
            response = self.call(self.key, **{"X-Correlation-Id": bad.encode()})
            self.assertNotEqual(response.headers["X-Correlation-Id"], bad)
            self.assertEqual(len(response.headers["X-Correlation-Id"]), 36)

    def test_the_proxy_is_believed_where_odoo_believes_it(self):
        """The address is the one that Odoo determined, not a header of our choice."""
        self.assertNotIn("proxy_mode", os.environ)
        self.client.allowed_networks = "127.0.0.1"
        self.assertEqual(
            self.call(self.key, **{"X-Real-IP": "192.0.2.1"}).status_code, 200
        )
