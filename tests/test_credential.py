import asyncio
import base64
import json
import logging
import os
import ssl
import stat
import tempfile
import threading
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest.mock import patch

import aiohttp
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from psycopg2.errors import ForeignKeyViolation
from standardwebhooks import Webhook

from odoo.exceptions import UserError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import config, mute_logger

from ..models import clock, keyring
from ..models.connector.schemes import INBOUND, OUTBOUND, SCHEMES
from ..signing import (
    SecretBox,
    generate_key,
    generate_key_pair,
    key_id_of,
    public_key_of,
    verify,
    verify_request,
)
from ..transport import Proxy
from .pure.certificates import Authority, key_pem
from .test_connector import ConnectorCase

SECRET = "whsec_" + "A" * 32
OTHER_SECRET = "whsec_" + "B" * 32


class TokenServer(ThreadingHTTPServer):
    """A real OAuth 2 token endpoint on loopback.

    :ivar asked: the Authorization header and the body of each request
    :ivar status: what it answers
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _TokenHandler)
        self.asked = []
        self.status = 200
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/token"

    def close(self):
        self.shutdown()
        self.server_close()
        self._thread.join()


class _TokenHandler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked.append((self.headers["Authorization"], body))
        token = f"token-{len(self.server.asked)}"
        content = json.dumps({"access_token": token, "expires_in": 3600}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_args):
        """Nothing: the test's own output is enough."""


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
        pair = {"scheme": "standard_webhooks_ed25519"}
        inbound = self.make_credential(self.connector, "inbound", public, **pair)
        self.assertEqual(inbound._secrets(), [public])
        outbound = self.make_credential(self.connector, "outbound", private, **pair)
        self.assertEqual(outbound._secrets(), [private])
        self.assertEqual(outbound.public_key, public)
        for direction, secret in (
            ("outbound", public),
            ("inbound", private),
            ("outbound", SECRET),
        ):
            with self.subTest(direction), self.assertRaises(ValidationError):
                self.make_credential(self.connector, direction, secret, **pair)

    def test_secret_keeps_its_purpose(self):
        """A secret is neither carried to another system nor turned round."""
        endpoint = self.make_endpoint("https://example.com/hook", self.connector)
        credential = endpoint.credential_id.with_user(self.administrator)
        other = self.make_connector("other-system")
        for values in (
            {"connector_id": other.id},
            {"direction": "inbound"},
            {"scheme": "standard_webhooks_ed25519"},
        ):
            with self.subTest(values=list(values)), self.assertRaises(UserError):
                credential.write(values)
        self.assertEqual(endpoint.credential_id.connector_id, self.connector)

    def test_malformed_public_key(self):
        """What can't verify anything is refused when it is entered."""
        self.credential.write(
            {"direction": "inbound", "scheme": "standard_webhooks_ed25519"}
        )
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


@tagged("post_install", "-at_install")
class TestKinds(ConnectorCase):
    """cap 90, 96: every kind of signature and access, from the form to the wire."""

    def setUp(self):
        super().setUp()
        self.connector = self.make_connector("kinds")
        self.credentials = self.env["finance.credential"].with_user(self.administrator)

    def make(self, scheme, secret=None, **values):
        """Return a credential as an administrator makes it."""
        if secret:
            values["secret_input"] = secret
        return self.credentials.create(
            {
                "name": scheme,
                "connector_id": self.connector.id,
                "scheme": scheme,
                **values,
            }
        )

    def headers(self, credential, **options):
        """Return what a credential without a token server sends along."""
        authenticator = credential.sudo()._authenticator(**options)
        return asyncio.run(authenticator.headers(None))

    def request(self, credential, body=b"{}"):
        """Return the headers that a credential signs a request with."""
        now = int(clock.now().timestamp())
        sent = {"Content-Type": "application/json"}
        added = (
            credential.sudo()
            ._signer()
            .sign_request("POST", "https://example.com/hook", "msg_1", now, body, sent)
        )
        return {**sent, **added}

    def verify_request(self, keys, sent, body=b"{}"):
        now = clock.now().timestamp()
        return verify_request(keys, "POST", "https://example.com/hook", sent, body, now)

    # === SIGNATURES === #

    def test_standard_webhooks(self):
        credential = self.make("standard_webhooks")
        self.assertTrue(credential.can_generate)
        secret = credential.action_generate()["params"]["secret"]
        Webhook(secret).verify(b"{}", self.request(credential))
        self.assertFalse(credential.public_key)
        self.assertFalse(credential.key_id)

    def test_key_pair(self):
        """The private key is never shown; the public one always is."""
        credential = self.make("standard_webhooks_ed25519")
        action = credential.action_generate()
        [private] = credential.sudo()._secrets()
        self.assertTrue(private.startswith("whsk_"))
        self.assertNotIn(private, str(action))
        self.assertTrue(credential.public_key.startswith("whpk_"))
        for user in self.users.values():
            self.assertNotIn(private, str(credential.with_user(user).read()))
        sent = self.request(credential)
        now = clock.now().timestamp()
        self.assertTrue(verify([credential.public_key], sent, b"{}", now))
        before = credential.public_key
        credential.action_generate()
        self.assertNotEqual(credential.public_key, before)
        sent = self.request(credential)
        self.assertEqual(sent["webhook-signature"].count("v1a,"), 2)
        for public in (before, credential.public_key):
            self.assertTrue(verify([public], sent, b"{}", now))

    def test_key_pair_for_what_comes_in(self):
        _private, public = generate_key_pair()
        credential = self.make("standard_webhooks_ed25519", public, direction="inbound")
        self.assertFalse(credential.can_generate)
        self.assertEqual(credential.sudo()._secrets(), [public])
        with self.assertRaisesRegex(UserError, "other side gives"):
            credential.action_generate()

    def test_message_signatures_with_a_key_pair(self):
        credential = self.make("http_message_signatures")
        credential.action_generate()
        first_id, first_key = credential.key_id, credential.public_key
        self.assertTrue(first_key.startswith("-----BEGIN PUBLIC KEY-----"))
        [private] = credential.sudo()._secrets()
        self.assertEqual(first_id, key_id_of(private))
        public = public_key_of(private)
        self.assertEqual(
            self.verify_request({first_id: public}, self.request(credential)).label,
            "sig1",
        )
        credential.action_generate()
        self.assertEqual(credential.previous_key_id, first_id)
        self.assertNotEqual(credential.key_id, first_id)
        sent = self.request(credential)
        self.assertEqual(self.verify_request({first_id: public}, sent).label, "sig2")
        self.later(hours=25)
        sent = self.request(credential)
        self.assertNotIn("sig2", sent["Signature"])
        self.assertNotIn(first_id, sent["Signature-Input"])

    def test_message_signatures_with_a_shared_secret(self):
        credential = self.make(
            "http_message_signatures", signature_algorithm="hmac-sha256"
        )
        secret = credential.action_generate()["params"]["secret"]
        self.assertFalse(credential.public_key)
        sent = self.request(credential)
        self.assertTrue(self.verify_request({credential.key_id: secret}, sent))
        self.assertIn('alg="hmac-sha256"', sent["Signature-Input"])

    def test_key_ids_that_the_receiver_gave(self):
        """An id belongs to its key: it comes and goes with it."""
        before = self.make(
            "http_message_signatures",
            SECRET,
            signature_algorithm="hmac-sha256",
            key_id="theirs-1",
        )
        self.assertEqual(before.key_id, "theirs-1")
        before.write({"key_id": "theirs-2", "secret_input": OTHER_SECRET})
        self.assertEqual(before.key_id, "theirs-2")
        self.assertEqual(before.previous_key_id, "theirs-1")
        sent = self.request(before)
        for key_id, secret in (("theirs-1", SECRET), ("theirs-2", OTHER_SECRET)):
            verified = self.verify_request({key_id: secret}, sent)
            self.assertEqual(verified.key_id, key_id)
        before.key_id = "renamed"
        self.assertEqual(before.sudo()._secrets(), [OTHER_SECRET, SECRET])
        before.action_generate()
        self.assertEqual(before.previous_key_id, "renamed")
        for key_id in ('quo"te', "ä", "a\r\nb", "k" * 200):
            with self.subTest(key_id), self.assertRaises(ValidationError):
                before.key_id = key_id

    def test_the_algorithm_wants_its_own_secret(self):
        for algorithm, secret in (("ed25519", SECRET), ("hmac-sha256", "whsk_" + "A")):
            with (
                self.subTest(algorithm),
                self.assertRaisesRegex(ValidationError, "starts with"),
            ):
                self.make(
                    "http_message_signatures", secret, signature_algorithm=algorithm
                )
        credential = self.make("http_message_signatures")
        credential.action_generate()
        with self.assertRaises(UserError):
            credential.signature_algorithm = "hmac-sha256"

    # === ACCESS === #

    def test_static_headers(self):
        credential = self.make("static_headers")
        self.assertFalse(credential.can_generate)
        credential.secret_lines_input = "X-Api-Key:  4711\n\nX-Tenant: a b\n"
        self.assertEqual(
            self.headers(credential), {"X-Api-Key": "4711", "X-Tenant": "a b"}
        )
        self.assertEqual(credential.secret_hint, "X-Api-Key: ****, X-Tenant: ****")
        for text in ("Host: evil", "webhook-id: 1", "X-A: 1\rX-B: 2", "nothing"):
            with self.subTest(text), self.assertRaises(ValidationError):
                credential.secret_lines_input = text
        self.assertEqual(len(self.headers(credential)), 2, "nothing was changed")

    def test_basic(self):
        credential = self.make("basic", "pässwörd", username="hub")
        login = self.headers(credential)["Authorization"].removeprefix("Basic ")
        self.assertEqual(base64.b64decode(login).decode(), "hub:pässwörd")
        self.assertEqual(credential.secret_hint, "****")
        for values in ({"username": "a:b"}, {"username": False}):
            with self.subTest(values), self.assertRaises(ValidationError):
                credential.write(values)

    def test_bearer(self):
        credential = self.make("bearer", " Bearer abc.def-123_456789012345\n")
        self.assertEqual(
            self.headers(credential),
            {"Authorization": "Bearer abc.def-123_456789012345"},
        )
        self.assertEqual(credential.secret_hint[-4:], "2345")
        credential.secret_input = "second-token"
        self.assertFalse(credential.previous_valid_until, "one token at a time")
        self.assertEqual(credential.sudo()._secrets(), ["second-token"])

    def oauth(self, **values):
        return self.make(
            "oauth2",
            "client secret",
            **{
                "token_url": "https://login.example.com/token",
                "client_id": "hub",
                **values,
            },
        )

    def test_oauth2(self):
        """One object keeps the token of a credential, until a setting changes."""
        credential = self.oauth(scope="a b", token_parameters="resource=urn:x")
        authenticator = credential.sudo()._authenticator()
        self.assertIs(authenticator, credential.sudo()._authenticator())
        for values in ({"scope": "c"}, {"secret_input": "another"}):
            credential.write(values)
            changed = credential.sudo()._authenticator()
            self.assertIsNot(changed, authenticator)
            self.assertIs(changed, credential.sudo()._authenticator())
            authenticator = changed
        authority = Authority().pem
        proxy = Proxy("http://10.0.0.1:3128")
        for options in ({"ca_pem": authority}, {"proxy": proxy}):
            other = credential.sudo()._authenticator(**options)
            self.assertIsNot(other, authenticator)
            self.assertIs(other, credential.sudo()._authenticator(**options))

    def test_oauth2_asks_a_real_token_server(self):
        server = TokenServer()
        self.addCleanup(server.close)
        credential = self.oauth(token_url=server.url)

        async def ask():
            async with aiohttp.ClientSession() as session:
                return await credential.sudo()._authenticator().headers(session)

        for _ in range(3):
            # Each job has an event loop of its own.
            self.assertEqual(asyncio.run(ask()), {"Authorization": "Bearer token-1"})
        [(login, form)] = server.asked
        self.assertEqual(
            base64.b64decode(login.removeprefix("Basic ")).decode(),
            "hub:client+secret",
        )
        self.assertEqual(form, "grant_type=client_credentials")
        credential.action_revoke()
        with self.assertRaisesRegex(UserError, "has no secret"):
            credential.sudo()._authenticator()

    def test_oauth2_settings(self):
        for values, word in (
            ({"token_url": "http://login.example.com/"}, "https"),
            ({"token_url": "https://10.0.0.1/"}, "10.0.0.1"),
            ({"token_url": False}, "empty"),
            ({"client_id": False}, "client id"),
            ({"token_parameters": "scope=x"}, "Line 1"),
        ):
            with self.subTest(values), self.assertRaisesRegex(ValidationError, word):
                self.oauth(**values)

    def test_a_client_secret_goes_to_its_own_token_server_only(self):
        """Whoever may change settings can't have the secret sent to himself."""
        credential = self.oauth()
        with self.assertRaisesRegex(UserError, "token address"):
            credential.token_url = "https://attacker.example.com/token"

    # === CLIENT CERTIFICATES === #

    def test_client_certificate(self):
        authority = Authority()
        key = rsa.generate_private_key(65537, 2048)
        certificate, _key = authority.issue("hub.example.com", key)
        credential = self.make("client_certificate", certificate_pem=certificate)
        self.assertEqual(credential.certificate_subject, "CN=hub.example.com")
        self.assertEqual(credential.certificate_issuer, "CN=Test Authority")
        self.assertTrue(credential.expires_at)
        self.assertEqual(credential.state, "empty")
        with self.assertRaisesRegex(ValidationError, "passphrase"):
            credential.secret_lines_input = key_pem(key, b"secret phrase")
        credential.write(
            {
                "secret_lines_input": key_pem(key, b"secret phrase"),
                "passphrase_input": "secret phrase",
            }
        )
        self.assertEqual(credential.state, "active")
        self.assertEqual(credential.secret_hint, "****")
        context = credential.sudo()._client_context(authority.pem)
        self.assertEqual(context.verify_mode, ssl.CERT_REQUIRED)
        self.assertNotIn("PRIVATE", str(credential.read()))

    def test_certificate_and_key_belong_together(self):
        authority = Authority()
        certificate, key = authority.issue("hub.example.com")
        other, other_key = authority.issue("other.example.com")
        values = {"certificate_pem": certificate, "secret_lines_input": other_key}
        with self.assertRaisesRegex(ValidationError, "does not belong"):
            self.make("client_certificate", **values)
        credential = self.make(
            "client_certificate", certificate_pem=certificate, secret_lines_input=key
        )
        with (
            self.assertRaisesRegex(ValidationError, "does not belong"),
            self.env.cr.savepoint(),
        ):
            credential.certificate_pem = other
        self.assertEqual(credential.certificate_pem, certificate)
        with self.assertRaisesRegex(ValidationError, "does not belong"):
            credential.secret_lines_input = other_key
        credential.write({"certificate_pem": other, "secret_lines_input": other_key})
        self.assertEqual(credential.certificate_subject, "CN=other.example.com")

    def test_a_key_never_lies_in_the_certificates_field(self):
        authority = Authority()
        certificate, key = authority.issue("hub.example.com")
        with self.assertRaisesRegex(ValidationError, "field for the key"):
            self.make("client_certificate", certificate_pem=certificate + key)
        endpoint = self.make_endpoint("https://example.com/", self.connector)
        with self.assertRaisesRegex(ValidationError, "field for the key"):
            endpoint.ca_pem = authority.pem + key

    # === ALL OF THEM === #

    def test_each_kind_in_its_direction_only(self):
        settings = {"username": "hub", "inbound_header": "X-Signature"}
        for scheme in SCHEMES:
            for direction, possible in (("inbound", INBOUND), ("outbound", OUTBOUND)):
                if scheme in possible:
                    continue
                with self.subTest(scheme), self.assertRaises(ValidationError):
                    self.make(scheme, direction=direction, **settings)

    def test_nothing_in_clear(self):
        """What is entered is in no column of the credential."""
        authority = Authority()
        certificate, key = authority.issue("hub.example.com")
        marks = ["topsecretheader", "topsecretpassword", "topsecretbearer"]
        marks += ["topsecretclient", key.splitlines()[2], "topsecretphrase"]
        self.make("static_headers", secret_lines_input="X-Key: topsecretheader")
        self.make("basic", "topsecretpassword", username="hub")
        self.make("bearer", "topsecretbearer")
        self.make(
            "oauth2",
            "topsecretclient",
            token_url="https://login.example.com/",
            client_id="hub",
        )
        protected = key_pem(
            load_pem_private_key(key.encode(), None), b"topsecretphrase"
        )
        self.make(
            "client_certificate",
            certificate_pem=certificate,
            secret_lines_input=protected,
            passphrase_input="topsecretphrase",
        )
        self.env.flush_all()
        for table in ("finance_credential", "mail_message", "mail_tracking_value"):
            self.env.cr.execute(f"SELECT string_agg(t::text, '') FROM \"{table}\" t")
            text = self.env.cr.fetchone()[0] or ""
            for mark in marks:
                self.assertNotIn(mark, text, table)

    def test_forms(self):
        """Every kind can be entered on the screen, and shows only what it needs."""
        needed = {
            "standard_webhooks": {},
            "standard_webhooks_ed25519": {},
            "http_message_signatures": {"key_id": "theirs"},
            "static_headers": {"secret_lines_input": "X-Api-Key: 4711"},
            "basic": {"username": "hub", "secret_input": "password"},
            "bearer": {"secret_input": "token"},
            "oauth2": {
                "token_url": "https://login.example.com/token",
                "client_id": "hub",
                "secret_input": "secret",
            },
            "client_certificate": {},
        }
        certificate, key = Authority().issue("hub.example.com")
        needed["client_certificate"] = {
            "certificate_pem": certificate,
            "secret_lines_input": key,
        }
        self.assertEqual(set(needed), set(OUTBOUND))
        for scheme, values in needed.items():
            with self.subTest(scheme):
                form = Form(self.credentials)
                form.name = scheme
                form.connector_id = self.connector
                form.direction = "outbound"
                form.scheme = scheme
                for name, value in values.items():
                    form[name] = value
                credential = form.save()
                expected = "active" if "secret" in str(values) else "empty"
                self.assertEqual(credential.state, expected)

    def test_kind_decides_the_direction(self):
        form = Form(self.credentials)
        form.name = "Inbound, then access"
        form.connector_id = self.connector
        form.direction = "inbound"
        form.scheme = "oauth2"
        self.assertEqual(form.direction, "outbound")
        form.scheme = "stripe"
        self.assertEqual(form.direction, "inbound")
        form.scheme = "basic"
        self.assertEqual(form.direction, "inbound", "both are possible")


@tagged("post_install", "-at_install")
class TestEndpointAuthentication(ConnectorCase):
    """An endpoint takes a credential only for what it is made for."""

    def setUp(self):
        super().setUp()
        self.endpoint = self.make_endpoint("https://example.com/hook")
        self.connector = self.endpoint.connector_id
        certificate, key = Authority().issue("hub.example.com")
        self.bearer = self.make_credential(
            self.connector, secret="token", scheme="bearer"
        )
        self.certificate = self.make_credential(
            self.connector,
            secret=key,
            scheme="client_certificate",
            certificate_pem=certificate,
        )

    def test_each_in_its_place(self):
        self.endpoint.write(
            {
                "auth_credential_id": self.bearer.id,
                "client_certificate_id": self.certificate.id,
            }
        )
        for credential in (self.bearer, self.certificate, self.endpoint.credential_id):
            self.assertEqual(credential.used_by_ids, self.endpoint)
        places = {
            "credential_id": self.endpoint.credential_id,
            "auth_credential_id": self.bearer,
            "client_certificate_id": self.certificate,
        }
        for name, right in places.items():
            for credential in places.values():
                if credential == right:
                    continue
                with (
                    self.subTest(name, credential=credential.name),
                    self.assertRaisesRegex(ValidationError, "of the right kind"),
                ):
                    self.endpoint[name] = credential
        other = self.make_connector("other")
        foreign = self.make_credential(other, secret="token", scheme="bearer")
        with self.assertRaises(ValidationError):
            self.endpoint.auth_credential_id = foreign

    def test_used_credentials_stay(self):
        self.endpoint.auth_credential_id = self.bearer
        with mute_logger("odoo.sql_db"), self.assertRaises(ForeignKeyViolation):
            self.bearer.unlink()

    def test_what_the_dispatcher_gets(self):
        endpoint = self.endpoint
        self.assertIsNone(endpoint._authenticator())
        self.assertIsNone(endpoint._ssl_context())
        self.assertIsNone(endpoint._proxy())
        endpoint.auth_credential_id = self.bearer
        headers = asyncio.run(endpoint._authenticator().headers(None))
        self.assertEqual(headers, {"Authorization": "Bearer token"})
        authority = Authority("Private Authority")
        endpoint.ca_pem = authority.pem
        for certificate in (self.certificate.browse(), self.certificate):
            endpoint.client_certificate_id = certificate
            context = endpoint._ssl_context()
            self.assertEqual(len(context.get_ca_certs()), 1)
            self.assertEqual(context.verify_mode, ssl.CERT_REQUIRED)
            self.assertTrue(context.check_hostname)

    def test_private_authorities_are_checked(self):
        for text in ("nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n"):
            with self.subTest(text), self.assertRaises(ValidationError):
                self.endpoint.ca_pem = text

    def test_proxy_comes_from_the_server(self):
        with patch.dict(os.environ, {"FINANCE_HUB_PROXY": ""}):
            self.assertFalse(self.endpoint.proxy_configured)
            with patch.dict(
                config.options, {"finance_hub_proxy": "http://proxy.example:3128"}
            ):
                self.assertEqual(
                    self.endpoint._proxy().url, "http://proxy.example:3128"
                )
        url = "http://user:secret@10.0.0.1:3128"
        with patch.dict(os.environ, {"FINANCE_HUB_PROXY": url}):
            self.env.invalidate_all()
            self.assertTrue(self.endpoint.proxy_configured)
            self.assertTrue(self.endpoint.use_proxy)
            self.assertEqual(self.endpoint._proxy().url, "http://10.0.0.1:3128")
            self.assertEqual(self.endpoint._proxy().password, "secret")
            self.endpoint.use_proxy = False
            self.assertIsNone(self.endpoint._proxy())
            self.endpoint.use_proxy = True
        with (
            patch.dict(os.environ, {"FINANCE_HUB_PROXY": "socks://user:secret@x"}),
            self.assertRaises(ValueError) as caught,
        ):
            self.endpoint._proxy()
        self.assertNotIn("secret", str(caught.exception))

    def test_not_live_without_its_secrets(self):
        empty = self.env["finance.credential"].create(
            {
                "name": "No token yet",
                "connector_id": self.connector.id,
                "scheme": "bearer",
            }
        )
        self.endpoint.auth_credential_id = empty
        with self.assertRaisesRegex(UserError, "the secret of “No token yet”"):
            self.connector._check_ready()
        empty._set_secret("token")
        self.make_tested(self.connector)
        self.connector._check_ready()

    def test_form(self):
        with Form(self.endpoint.with_user(self.administrator)) as form:
            form.auth_credential_id = self.bearer
            form.client_certificate_id = self.certificate
        self.assertEqual(self.endpoint.auth_credential_id, self.bearer)


@tagged("post_install", "-at_install")
class TestExpiry(ConnectorCase):
    """What expires is said in time, once for each notice."""

    def setUp(self):
        super().setUp()
        self.now = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)
        self.set_clock(self.now)
        self.endpoint = self.make_endpoint("https://example.com/hook")
        self.authority = Authority()
        values = self.certificate(days=60)
        self.credential = self.make_credential(
            self.endpoint.connector_id,
            secret=values.pop("secret_lines_input"),
            scheme="client_certificate",
            **values,
        )
        self.endpoint.client_certificate_id = self.credential

    def certificate(self, days):
        start = self.now - timedelta(days=1)
        pem, key = self.authority.issue("hub.example.com", days=days, start=start)
        return {"certificate_pem": pem, "secret_lines_input": key}

    def notices(self, after_days):
        """Return the open notices after a daily run of that day."""
        self.set_clock(self.now + timedelta(days=after_days))
        self.env["finance.credential"]._cron_expiring()
        return self.exceptions("open")

    def exceptions(self, state=None):
        found = self.env["finance.exception"].search(
            [("code", "=", "T-CERT-EXPIRING"), ("res_id", "=", self.credential.id)]
        )
        return found.filtered(lambda e: not state or e.state == state)

    def test_read_from_the_certificate(self):
        expires_at = clock.naive(self.now + timedelta(days=60))
        self.assertEqual(self.credential.expires_at, expires_at)
        self.credential.expires_at = "2030-01-01"
        self.assertEqual(self.credential.expires_at, expires_at)

    def test_notices(self):
        self.assertFalse(self.notices(0))
        self.assertFalse(self.notices(29))
        first = self.notices(30)
        self.assertEqual(len(first), 1)
        self.assertIn("expires on 2026-07-31", first.summary)
        self.assertIn(self.endpoint.name, first.cause)
        self.assertEqual(first.connector_id, self.endpoint.connector_id)
        self.assertEqual(self.notices(31), first, "said once")
        self.assertEqual(first.occurrences, 1)
        second = self.notices(53)
        self.assertEqual(len(second), 1)
        self.assertNotEqual(second, first)
        self.assertEqual(first.state, "resolved")
        last = self.notices(60)
        self.assertIn("expired on 2026-07-31", last.summary)
        self.assertEqual(second.state, "resolved")
        self.assertEqual(self.notices(90), last)

    def test_who_closed_it_is_not_asked_again(self):
        notice = self.notices(30)
        notice.with_user(self.users["operator"])._cancel("Not used any more")
        self.assertFalse(self.notices(31))
        self.assertTrue(self.notices(53))

    def test_renewal_closes_it(self):
        notice = self.notices(40)
        self.credential.with_user(self.administrator).write(self.certificate(days=400))
        self.assertEqual(notice.state, "resolved")
        self.assertFalse(self.notices(41))

    def test_revocation_closes_it(self):
        notice = self.notices(40)
        self.credential.with_user(self.administrator).action_revoke()
        self.assertEqual(notice.state, "resolved")
        self.assertFalse(self.notices(41))

    def test_other_credentials_have_a_date_that_is_entered(self):
        self.credential = self.make_credential(
            self.endpoint.connector_id, secret="token", scheme="bearer"
        )
        self.credential.expires_at = self.now.replace(tzinfo=None) + timedelta(days=5)
        self.assertEqual(len(self.notices(0)), 1)
        self.credential.expires_at = False
        self.assertFalse(self.exceptions("open"))

    def test_daily(self):
        cron = self.env.ref("finance_hub.cron_expiring_credentials")
        self.assertEqual((cron.interval_number, cron.interval_type), (1, "days"))
        self.set_clock(self.now + timedelta(days=31))
        cron.ir_actions_server_id.run()
        self.assertEqual(len(self.exceptions("open")), 1)
