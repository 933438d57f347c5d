import os
import socket
import ssl
from unittest.mock import patch

import http_message_signatures as hms

from odoo.tests import tagged

from ..transport.tls import _brief_file
from .common import FinanceHubCommon
from .pure.certificates import Authority
from .test_credential import TokenServer


class Request:
    """What the reference package of RFC 9421 reads."""

    def __init__(self, url, headers):
        self.method, self.url, self.headers = "POST", url, headers


@tagged("post_install", "-at_install")
class TestAccessDelivery(FinanceHubCommon):
    """cap 90, 96: signed in every way and let in in every way, on the wire."""

    def setUp(self):
        super().setUp()
        self.sink = self.receiver()
        self.connector = self.make_connector("access")

    def credential(self, scheme, secret=None, **values):
        return self.make_credential(
            self.connector, secret=secret, scheme=scheme, **values
        )

    def endpoint(self, **values):
        return self.make_endpoint(
            values.pop("url", self.sink.url), self.connector, **values
        )

    def deliver(self):
        """Send one event; return its attempt."""
        delivery = self.events_of(self.make_invoice()).delivery_ids
        self.assertEqual(len(delivery), 1)
        self.dispatch()
        self.env.invalidate_all()
        return delivery.attempt_ids

    def test_message_signatures_are_verified_by_the_reference_package(self):
        credential = self.credential("http_message_signatures")
        endpoint = self.endpoint(credential_id=credential.id)
        self.assertEqual(self.deliver().status, 200)
        [(headers, body)] = self.sink.requests

        class Keys(hms.HTTPSignatureKeyResolver):
            def resolve_public_key(self, key_id):
                return {credential.key_id: credential.public_key.encode()}.get(key_id)

        verifier = hms.HTTPMessageVerifier(
            signature_algorithm=hms.algorithms.ED25519, key_resolver=Keys()
        )
        request = Request(endpoint.url, headers)
        [result] = verifier.verify(request, body=body)
        covered = {name.strip('"') for name in result.covered_components}
        self.assertGreaterEqual(
            covered, {"@method", "@target-uri", "content-digest", "webhook-id"}
        )
        with self.assertRaises(hms.InvalidSignature):
            verifier.verify(request, body=body + b" ")

    def test_fixed_headers_are_masked_in_the_attempt(self):
        access = self.credential("static_headers", "X-Odd-Name: letmein\nX-Tenant: 7")
        self.endpoint(auth_credential_id=access.id)
        attempt = self.deliver()
        [(headers, _body)] = self.sink.requests
        self.assertEqual((headers["X-Odd-Name"], headers["X-Tenant"]), ("letmein", "7"))
        self.assertEqual(attempt.status, 200)
        self.assertNotIn("letmein", str(attempt.request_headers))
        self.assertIn("X-Odd-Name", str(attempt.request_headers))

    def oauth(self):
        server = TokenServer()
        self.addCleanup(server.close)
        access = self.credential(
            "oauth2", "client secret", token_url=server.url, client_id="hub"
        )
        self.endpoint(auth_credential_id=access.id)
        return server

    def test_oauth2_asks_once_for_many_runs(self):
        server = self.oauth()
        for _ in range(3):
            self.assertEqual(self.deliver().status, 200)
        self.assertEqual(len(server.asked), 1)
        self.assertEqual(
            {headers["Authorization"] for headers, _body in self.sink.requests},
            {"Bearer token-1"},
        )

    def test_oauth2_token_that_was_taken_back(self):
        server = self.oauth()
        self.sink.answers = [
            lambda headers, _body: (
                200 if headers["Authorization"] == "Bearer token-2" else 401,
                {},
            )
        ]
        attempt = self.deliver()
        self.assertEqual(len(attempt), 1, "one attempt")
        self.assertEqual(attempt.status, 200)
        self.assertEqual(len(server.asked), 2)
        self.assertEqual(len(self.sink.requests), 2)
        self.assertNotIn("token-", str(attempt.request_headers))

    def test_no_token_no_message(self):
        server = self.oauth()
        server.status = 503
        attempt = self.deliver()
        self.assertEqual(attempt.error_code, "T-AUTH")
        self.assertIn("token server", attempt.error)
        self.assertNotIn("client secret", attempt.error)
        self.assertEqual(attempt.delivery_id.state, "waiting")
        self.assertFalse(self.sink.requests)

    def test_both_certificates(self):
        """mTLS with authorities that nobody else knows."""
        ours, theirs = Authority("Ours"), Authority("Theirs")
        certificate, key = theirs.issue("receiver.example.com")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=ours.pem)
        context.verify_mode = ssl.CERT_REQUIRED
        with _brief_file((certificate + key).encode()) as path:
            context.load_cert_chain(path)
        self.sink.socket = context.wrap_socket(self.sink.socket, server_side=True)
        certificate, key = ours.issue("hub.example.com")
        endpoint = self.endpoint(
            url=f"https://127.0.0.1:{self.sink.server_port}/hook", ca_pem=theirs.pem
        )
        attempt = self.deliver()
        self.assertFalse(attempt.status, "without a certificate there is no way in")
        endpoint.client_certificate_id = self.credential(
            "client_certificate", key, certificate_pem=certificate
        )
        self.assertEqual(self.deliver().status, 200)
        endpoint.ca_pem = False
        self.assertEqual(self.deliver().error_code, "T-TLS")
        self.assertEqual(len(self.sink.requests), 1)

    def test_the_proxy_is_used_or_not(self):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            dead = listener.getsockname()[1]
        endpoint = self.endpoint()
        url = f"http://127.0.0.1:{dead}"
        self.startPatcher(patch.dict(os.environ, {"FINANCE_HUB_PROXY": url}))
        self.assertEqual(self.deliver().error_code, "T-CONNECT")
        endpoint.use_proxy = False
        self.assertEqual(self.deliver().status, 200)

    def test_rotation_on_the_wire(self):
        credential = self.credential("http_message_signatures")
        endpoint = self.endpoint(credential_id=credential.id)
        first = credential.key_id
        credential.action_generate()
        self.deliver()
        [(headers, _body)] = self.sink.requests
        self.assertIn(f'keyid="{first}"', headers["Signature-Input"])
        self.assertIn(f'keyid="{credential.key_id}"', headers["Signature-Input"])
        self.assertEqual(endpoint.state, "live")
