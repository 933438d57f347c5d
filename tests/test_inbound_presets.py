import base64
import hashlib
import hmac
import json
import ssl
import tempfile
import threading
import zlib
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest.mock import patch
from urllib.parse import quote

import jwt
import stripe
from Adyen.util import generate_notification_sig, generate_payload_sig
from aiohttp.resolver import ThreadedResolver
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from svix.webhooks import Webhook as SvixWebhook

from odoo.exceptions import UserError, ValidationError
from odoo.tests import Form, HttpCase, tagged
from odoo.tools import mute_logger

from ..models.connector import finance_connector_inbound
from ..models.connector.schemes import INBOUND, OUTBOUND
from ..models.connector.schemes import inbound as schemes
from ..models.inbox.finance_refusal import TALLY
from ..signing import MessageSigner, generate_key_pair, key_id_of
from ..signing.constants import PAYPAL_CERTIFICATE_NAME
from .common import FinanceHubCommon
from .pure.certificates import Authority

ADYEN_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
OTHER_ADYEN_KEY = "00" + ADYEN_KEY[2:]
NEW, OLD = "the-new-secret-of-both", "the-old-secret-of-both"
PAYPAL_HOST = "api.paypal.com"
PAYPAL_PATH = "/v1/notifications/certs/CERT-360caa42-fca2a594"


def now():
    return int(datetime.now(timezone.utc).timestamp())


def mac(secret, content, algorithm="sha256"):
    return hmac.new(secret.encode(), content, getattr(hashlib, algorithm)).digest()


def b64(raw):
    return base64.b64encode(raw).decode()


class Documents(ThreadingHTTPServer):
    """A real server on loopback that gives out keys and certificates.

    :ivar contents: by path
    :ivar asked: the paths that were asked for
    """

    daemon_threads = True

    def __init__(self, context=None):
        super().__init__(("127.0.0.1", 0), _Handler)
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.contents = {}
        self.asked = []
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)
        self._thread.start()

    def close(self):
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        body = self.server.contents.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_args):
        """Nothing: the test's own output is enough."""


class InboundCase(FinanceHubCommon, HttpCase):
    """A live connector, and real calls to it."""

    def setUp(self):
        super().setUp()
        TALLY.clear()
        self.addCleanup(TALLY.clear)
        finance_connector_inbound.documents.clear()
        self.addCleanup(finance_connector_inbound.documents.clear)
        self.connector = self.make_connector("shop")
        self.body = self.cloud_event(self.captured("INV/1"))

    def post(self, headers, body=None, code="shop"):
        self.env.flush_all()
        response = self.url_open(
            f"/finance/v1/inbound/{code}",
            data=self.body if body is None else body,
            headers=headers,
            method="POST",
        )
        self.env.invalidate_all()
        return response

    def messages(self):
        return self.env["finance.message"].search(
            [("connector_id", "=", self.connector.id)]
        )

    def credential(self, scheme, secret=None, **values):
        credential = self.env["finance.credential"].create(
            {
                "name": f"Key of {scheme}",
                "connector_id": self.connector.id,
                "scheme": scheme,
                "direction": "inbound",
                **values,
            }
        )
        if secret:
            credential._set_secret(secret)
        return credential

    def assertAccepted(self, headers, body=None, status=202):
        before = len(self.messages())
        response = self.post(headers, body)
        self.assertEqual(response.status_code, status, response.text)
        self.assertEqual(len(self.messages()), before + 1)
        return self.messages()[0]

    def assertRefused(self, headers, body=None, status=401):
        before = len(self.messages())
        response = self.post(headers, body)
        self.assertEqual(response.status_code, status, response.text)
        self.assertEqual(len(self.messages()), before)
        return response


@tagged("post_install", "-at_install")
class TestInboundPresets(InboundCase):
    """cap 38: each provider's own way to prove who it is, over real HTTP."""

    def check(self, scheme, secrets, sign, *, body=None, status=202, **values):
        """Let right calls in and wrong ones not, before, during and after a rotation.

        :param secrets: the old one, the new one
        :param sign: ``(secret, body) -> headers``, or ``-> (headers, body)``
        """
        plain = body if body is not None else self.body
        number = 0

        def call(secret, signed=None):
            # Each message is another one.
            nonlocal number
            number += 1
            content = plain + b" " * number
            made = sign(secret, content)
            return made if isinstance(made, tuple) else (made, signed or content)

        old, new = secrets
        credential = self.credential(scheme, old, **values)
        self.assertEqual(credential.state, "active")
        message = self.assertAccepted(*call(old), status=status)
        self.assertEqual(message.verified_by, credential.name)
        self.assertRefused(*call(new))
        self.assertRefused({})
        credential._set_secret(new)
        message = self.assertAccepted(*call(new), status=status)
        self.assertEqual(message.verified_by, credential.name)
        message = self.assertAccepted(*call(old), status=status)
        self.assertEqual(message.verified_by, f"{credential.name} (previous secret)")
        headers, content = call(new)
        if headers:
            self.assertRefused(dict.fromkeys(headers, "x"), content)
        credential.action_revoke()
        self.assertRefused(*call(new))
        self.assertFalse(self.connector._has_inbound_credential())
        return call

    def check_body(self, scheme, secrets, sign, **values):
        """The same, where the whole body is signed."""
        call = self.check(scheme, secrets, sign, **values)
        self.credential(scheme, secrets[1], **values.get("again", {}))
        headers, content = call(secrets[1])
        self.assertRefused(headers, content[:-1] + b"\n")
        self.assertRefused(headers, b"")

    def test_every_preset_is_tested(self):
        tested = {
            name.removeprefix("test_") for name in dir(self) if name.startswith("test_")
        }
        self.assertLessEqual(set(INBOUND), tested)

    # === PROVIDERS === #

    def test_stripe(self):
        def sign(secret, body):
            at = now()
            signature = stripe.WebhookSignature._compute_signature(
                f"{at}.{body.decode()}", secret
            )
            return {"Stripe-Signature": f"t={at},v1={signature}"}

        self.check_body("stripe", ("whsec_" + "o" * 32, "whsec_" + "n" * 32), sign)
        headers = sign("whsec_" + "n" * 32, self.body)
        self.later(seconds=310)
        response = self.assertRefused(headers)
        self.assertIn("clock", response.json()["detail"])

    def test_adyen(self):
        def sign(key, body):
            item = {
                "additionalData": {},
                "amount": {"value": 1130, "currency": "EUR"},
                "pspReference": f"psp{len(body)}",
                "eventCode": "AUTHORISATION",
                "merchantAccountCode": "TestMerchant",
                "merchantReference": "TestPayment-1407325143704",
                "success": "true",
            }
            signature = generate_notification_sig(item, key).decode()
            item["additionalData"] = {"hmacSignature": signature}
            items = [{"NotificationRequestItem": item}]
            content = {"live": "false", "notificationItems": items}
            return {}, json.dumps(content).encode()

        call = self.check("adyen", (ADYEN_KEY, OTHER_ADYEN_KEY), sign)
        self.credential("adyen", ADYEN_KEY)
        _headers, content = call(ADYEN_KEY)
        self.assertRefused({}, content.replace(b"1130", b"9130"))
        unsigned = json.loads(content)
        second = json.loads(content)["notificationItems"][0]
        del second["NotificationRequestItem"]["additionalData"]
        unsigned["notificationItems"].append(second)
        self.assertRefused({}, json.dumps(unsigned).encode())

    def test_adyen_platform(self):
        def sign(key, body):
            return {"HmacSignature": generate_payload_sig(body, key).decode()}

        self.check_body("adyen_platform", (ADYEN_KEY, OTHER_ADYEN_KEY), sign)

    def test_gocardless(self):
        self.check_body(
            "gocardless",
            (OLD, NEW),
            lambda secret, body: {"Webhook-Signature": mac(secret, body).hex()},
        )

    def test_shopify(self):
        self.check_body(
            "shopify",
            (OLD, NEW),
            lambda secret, body: {"X-Shopify-Hmac-Sha256": b64(mac(secret, body))},
        )

    def test_github(self):
        self.check_body(
            "github",
            (OLD, NEW),
            lambda secret, body: {
                "X-Hub-Signature-256": f"sha256={mac(secret, body).hex()}"
            },
        )

    def test_xero(self):
        """Intent to receive: 200 and 401, both with an empty body."""

        def sign(secret, body):
            return {"x-xero-signature": b64(mac(secret, body))}

        self.check_body("xero", (OLD, NEW), sign, status=200)
        self.assertEqual(self.post(sign(NEW, self.body)).content, b"")
        response = self.assertRefused(sign(OLD, self.body))
        self.assertEqual(response.content, b"")
        self.assertNotIn("Set-Cookie", response.headers)

    def test_quickbooks(self):
        def sign(secret, body):
            return {"intuit-signature": b64(mac(secret, body))}

        self.check_body("quickbooks", (OLD, NEW), sign, status=200)
        self.assertEqual(self.post(sign(NEW, self.body)).content, b"")

    def make_paypal(self):
        """Set up a PayPal of our own: its name, its certificates, its key.

        The name leads to loopback; TLS, the chain and the fetch are real.
        """
        authority = Authority()
        pem, key = authority.issue(PAYPAL_HOST, hosts=(PAYPAL_HOST,))
        folder = tempfile.mkdtemp()
        paths = {}
        for name, content in (("pair", pem + key), ("roots", authority.pem)):
            paths[name] = f"{folder}/{name}.pem"
            with open(paths[name], "w") as file:
                file.write(content)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(paths["pair"])
        server = Documents(context)
        self.addCleanup(server.close)

        async def resolve(_resolver, host, port=0, family=0):
            self.assertEqual((host, port), (PAYPAL_HOST, 443))
            return [
                {
                    "hostname": host,
                    "host": "127.0.0.1",
                    "port": server.server_port,
                    "family": 2,
                    "proto": 0,
                    "flags": 0,
                }
            ]

        schemes._public_roots.cache_clear()
        self.addCleanup(schemes._public_roots.cache_clear)
        for patcher in (
            patch.object(ThreadedResolver, "resolve", resolve),
            patch.dict("os.environ", {"SSL_CERT_FILE": paths["roots"]}),
            patch("certifi.where", lambda: paths["roots"]),
        ):
            patcher.start()
            self.addCleanup(patcher.stop)
        name = f"{PAYPAL_CERTIFICATE_NAME}.paypal.com"
        private = rsa.generate_private_key(65537, 2048)
        pem, _key = authority.issue(name, private, hosts=(name,))
        server.contents[PAYPAL_PATH] = pem.encode()

        def sign(webhook_id, body, host=PAYPAL_HOST, **changes):
            moment = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
            content = f"t-{len(body)}|{moment}|{webhook_id}|{zlib.crc32(body)}"
            signature = private.sign(
                content.encode(), padding.PKCS1v15(), hashes.SHA256()
            )
            return {
                "PAYPAL-TRANSMISSION-ID": f"t-{len(body)}",
                "PAYPAL-TRANSMISSION-TIME": moment,
                "PAYPAL-TRANSMISSION-SIG": b64(signature),
                "PAYPAL-CERT-URL": f"https://{host}{PAYPAL_PATH}",
                "PAYPAL-AUTH-ALGO": "SHA256withRSA",
                **changes,
            }

        return server, sign

    def test_paypal(self):
        server, sign = self.make_paypal()
        self.check_body("paypal", ("8PT597110X687430L", "1JE4291016473214C"), sign)
        self.assertEqual(server.asked, [PAYPAL_PATH], "fetched once")
        credential = self.connector.credential_ids._usable()
        self.assertEqual(credential.secret_hint, "1JE4291016473214C", "no secret")
        for host in ("paypal.example.net", "api.paypal.com.example.net", "127.0.0.1"):
            self.assertRefused(sign("1JE4291016473214C", self.body, host))
        self.assertEqual(server.asked, [PAYPAL_PATH], "nobody else is asked")

    def test_paypal_event_is_known_by_its_own_id(self):
        """The same under another transmission is known; a borrowed one is refused."""
        self.connector.adapter = "paypal"
        _server, sign = self.make_paypal()
        webhook = "8PT597110X687430L"
        self.credential("paypal", webhook)

        def event(number, **values):
            body = json.dumps(
                {
                    "id": f"WH-{number}",
                    "event_type": "CUSTOMER.DISPUTE.CREATED",
                    "create_time": "2026-02-02T02:41:00Z",
                    "resource": {"id": "PP-1"},
                    **values,
                }
            ).encode()
            return sign(webhook, body), body

        message = self.assertAccepted(*event(1))
        self.assertEqual(message.external_id, "WH-1")
        again, body = event(1, transmissions=[{"http_status": 500}])
        transmission = "Paypal-Transmission-Id"
        self.assertNotEqual(message.headers[transmission], again[transmission.upper()])
        for headers in (again, again):
            answer = self.post(headers, body).json()
            self.assertEqual(answer, {"id": "WH-1", "duplicate": True})
        self.assertEqual(len(self.messages()), 1)
        self.assertEqual(message.duplicate_count, 2)
        # As long, so signed for the transmission of the first: as if the sum fitted.
        headers, body = event(2)
        self.assertEqual(headers[transmission.upper()], message.headers[transmission])
        self.assertRefused(headers, body)
        self.assertAccepted(*event(22))

    def test_paypal_cannot_be_reached(self):
        """Refused, but PayPal is told to come back."""
        server, sign = self.make_paypal()
        pem = server.contents.pop(PAYPAL_PATH)
        self.credential("paypal", "8PT597110X687430L")
        headers = sign("8PT597110X687430L", self.body)
        response = self.assertRefused(headers, status=503)
        self.assertTrue(response.json()["retryable"])
        self.assertTrue(response.headers["Retry-After"])
        server.contents[PAYPAL_PATH] = pem
        self.assertRefused(headers, status=503)
        self.assertEqual(len(server.asked), 1, "not asked again at once")
        self.later(seconds=16)
        self.assertAccepted(headers)

    # === STANDARDS === #

    def test_standard_webhooks(self):
        def sign(secret, body):
            moment = datetime.now(timezone.utc)
            return {
                "svix-id": f"msg_{len(body)}",
                "svix-timestamp": str(int(moment.timestamp())),
                "svix-signature": SvixWebhook(secret).sign(
                    f"msg_{len(body)}", moment, body.decode()
                ),
            }

        secrets = ("whsec_" + "A" * 32, "whsec_" + "B" * 32)
        self.check_body("standard_webhooks", secrets, sign)

    def test_standard_webhooks_ed25519(self):
        made = [generate_key_pair() for _number in range(2)]
        pairs = {public: private for private, public in made}

        def sign(public, body):
            seed = base64.b64decode(pairs[public].removeprefix("whsk_"))[:32]
            key = Ed25519PrivateKey.from_private_bytes(seed)
            at = now()
            content = f"msg_{len(body)}.{at}.".encode() + body
            return {
                "webhook-id": f"msg_{len(body)}",
                "webhook-timestamp": str(at),
                "webhook-signature": f"v1a,{b64(key.sign(content))}",
            }

        self.check_body("standard_webhooks_ed25519", tuple(pairs), sign)

    def test_http_message_signatures(self):
        made = [generate_key_pair() for _number in range(2)]
        pairs = {public: private for private, public in made}

        def sign(public, body, path="/finance/v1/inbound/shop"):
            return MessageSigner([(key_id_of(public), pairs[public])]).sign_request(
                "POST",
                f"{self.base_url()}{path}",
                f"msg_{len(body)}",
                now(),
                body,
                {},
            )

        self.check_body("http_message_signatures", tuple(pairs), sign)
        public = tuple(pairs)[1]
        self.assertRefused(sign(public, self.body, "/finance/v1/inbound/other"))
        # What the caller says of the host counts for nothing.
        headers = MessageSigner([(key_id_of(public), pairs[public])]).sign_request(
            "POST",
            "http://hub.example.com/finance/v1/inbound/shop",
            "msg_0",
            now(),
            self.body,
            {},
        )
        self.assertRefused({**headers, "Host": "hub.example.com"})

    def test_keys_of_rfc_9421_by_the_others_id(self):
        private, public = generate_key_pair()
        other, other_public = generate_key_pair()
        credential = self.credential(
            "http_message_signatures", public, key_id="shop-key"
        )

        def sign(key, body):
            return MessageSigner([("shop-key", key)]).sign_request(
                "POST",
                f"{self.base_url()}/finance/v1/inbound/shop",
                f"msg_{len(body)}",
                now(),
                body,
                {},
            )

        self.assertAccepted(sign(private, self.body))
        # The key is renewed, its id stays.
        credential.write({"secret_input": other_public, "key_id": "shop-key"})
        for key in (other, private):
            body = self.body + (b" " if key is other else b"  ")
            self.assertAccepted(sign(key, body), body)

    def test_generic_hmac(self):
        def sign(secret, body):
            moment = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
            content = f"v0:{moment}:m{len(body)}:".encode() + body
            return {
                "X-Acme-Signature": f"v0={b64(mac(secret, content, 'sha512'))}",
                "X-Acme-Time": moment,
                "X-Acme-Id": f"m{len(body)}",
            }

        settings = {
            "inbound_header": "X-Acme-Signature",
            "inbound_algorithm": "sha512",
            "inbound_encoding": "base64",
            "inbound_prefix": "v0=",
            "inbound_template": "v0:{timestamp}:{id}:{body}",
            "inbound_timestamp_header": "X-Acme-Time",
            "inbound_timestamp_format": "iso8601",
            "inbound_id_header": "X-Acme-Id",
            "inbound_tolerance": 60,
        }
        self.check("generic_hmac", (OLD, NEW), sign, **settings)
        self.credential("generic_hmac", NEW, **settings)
        headers = sign(NEW, self.body)
        self.assertRefused(headers, self.body + b" ")
        self.later(seconds=70)
        self.assertRefused(headers)

    def test_generic_ed25519(self):
        keys = [Ed25519PrivateKey.generate() for _number in range(2)]
        publics = [
            key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
            for key in keys
        ]

        def sign(public, body):
            key = keys[publics.index(public)]
            return {"X-Signature-Ed25519": key.sign(body).hex()}

        self.check(
            "generic_ed25519", publics, sign, inbound_header="X-Signature-Ed25519"
        )

    # === ACCESS === #

    def test_api_key(self):
        self.check(
            "api_key",
            (OLD, NEW),
            lambda secret, _body: {"X-Acme-Key": secret},
            inbound_header="X-Acme-Key",
        )
        credential = self.credential("api_key")
        secret = credential.action_generate()["params"]["secret"]
        message = self.assertAccepted({"X-Api-Key": secret}, self.body + b"\n")
        self.assertNotIn(secret, json.dumps(message.headers), "masked")

    def test_basic(self):
        self.check(
            "basic",
            ("pässword-old", "pässword-new"),
            lambda secret, _body: {
                "Authorization": f"Basic {b64(f'shop:{secret}'.encode())}"
            },
            username="shop",
        )

    def test_bearer(self):
        self.check(
            "bearer",
            (OLD, NEW),
            lambda secret, _body: {"Authorization": f"Bearer {secret}"},
        )
        credential = self.credential("bearer", NEW)
        message = self.assertAccepted(
            {"Authorization": f"bearer {NEW}"}, self.body + b"\n"
        )
        self.assertEqual(message.headers["Authorization"], "bearer ****")
        self.assertNotIn(NEW, credential.secret_hint)

    def make_issuer(self):
        server = Documents()
        self.addCleanup(server.close)
        keys = {}

        def publish(path, kid):
            keys[path] = rsa.generate_private_key(65537, 2048), kid
            made = jwt.algorithms.RSAAlgorithm.to_jwk(keys[path][0].public_key())
            key = {**json.loads(made), "kid": kid, "use": "sig", "alg": "RS256"}
            server.contents[path] = json.dumps({"keys": [key]}).encode()
            return f"http://127.0.0.1:{server.server_port}{path}"

        def sign(url, _body=None, drop=(), **claims):
            key, kid = keys["/" + url.rpartition("/")[2]]
            content = {
                "iss": "https://login.example.com/",
                "aud": "finance-hub",
                "sub": "shop",
                "exp": now() + 300,
                **claims,
            }
            for name in drop:
                del content[name]
            token = jwt.encode(content, key, "RS256", headers={"kid": kid})
            return {"Authorization": f"Bearer {token}"}

        return server, publish, sign

    ISSUER = {
        "token_issuer": "https://login.example.com/",
        "audience": "finance-hub",
        "token_claims": "sub=shop",
    }

    def test_jwt(self):
        server, publish, sign = self.make_issuer()
        old, new = publish("/old", "k0"), publish("/new", "k1")
        self.check("jwt", (old, new), sign, **self.ISSUER)
        self.assertEqual(sorted(set(server.asked)), ["/new", "/old"])
        credential = self.credential("jwt", new, **self.ISSUER)
        self.assertEqual(credential.secret_hint, new, "no secret")
        for wrong in (
            {"iss": "https://login.example.net/"},
            {"aud": "another"},
            {"sub": "another shop"},
            {"exp": now() - 100},
            {"drop": ("exp",)},
        ):
            self.assertRefused(sign(new, **wrong))
        # The issuer changes its key: it is found, though not more than once a minute.
        publish("/new", "k2")
        self.assertRefused(sign(new))
        self.later(seconds=61)
        self.assertAccepted(sign(new), self.body + b"\n")

    def test_keys_out_of_reach(self):
        server, publish, sign = self.make_issuer()
        url = publish("/keys", "k0")
        self.credential("jwt", url, **self.ISSUER)
        headers = sign(url)
        content = server.contents.pop("/keys")
        self.assertRefused(headers, status=503)
        server.contents["/keys"] = content
        self.later(seconds=16)
        self.assertAccepted(headers)
        server.contents.clear()
        self.later(hours=2)
        late = sign(url, exp=now() + 10_000)
        self.assertAccepted(late, self.body + b"\n")

    def test_addresses_of_keys_are_guarded(self):
        for address in (
            "http://login.example.com/keys",
            "https://10.0.0.1/keys",
            "https://169.254.169.254/latest",
            "file:///etc/passwd",
        ):
            with self.subTest(address), self.assertRaises(ValidationError):
                self.credential("jwt", address, **self.ISSUER)

    def test_proxy_certificate(self):
        authority = Authority()
        pems = {}
        for name in ("old", "new"):
            pem = authority.issue(name)[0]
            der = base64.b64decode("".join(pem.split("\n")[1:-2]))
            pems[hashlib.sha256(der).hexdigest()] = pem
        self.check(
            "proxy_certificate",
            tuple(pems),
            lambda secret, _body: {"X-Ssl-Cert": quote(pems[secret], safe="")},
            proxy_networks="127.0.0.1",
            proxy_form="certificate",
            inbound_header="X-Ssl-Cert",
        )
        fingerprint, pem = next(iter(pems.items()))
        far = self.credential("proxy_certificate", pem, proxy_networks="10.0.0.0/24")
        self.assertEqual(far.secret_hint, fingerprint, "read from the certificate")
        self.assertRefused({"X-Client-Cert": fingerprint}, status=403)
        far.proxy_networks = "10.0.0.0/24, 127.0.0.1"
        self.assertAccepted({"X-Client-Cert": fingerprint}, self.body + b"\n")

    def test_who_is_connected_counts_and_not_whom_it_stands_for(self):
        """With ``proxy_mode`` the caller's address is the one behind the proxy."""
        fingerprint = "ab" * 32
        credential = self.credential(
            "proxy_certificate", fingerprint, proxy_networks="10.0.0.5"
        )
        verify = self.connector._verify_inbound
        call = ({"X-Client-Cert": fingerprint}, b"", "203.0.113.7", "http://hub/")
        self.assertEqual(verify(*call, peer_addr="10.0.0.5"), credential.name)
        for peer in (None, "203.0.113.7", "10.0.0.6"):
            with self.assertRaises(ValueError) as caught:
                verify(*call, peer_addr=peer)
            self.assertEqual(caught.exception.code, "address_not_allowed")


@tagged("post_install", "-at_install")
class TestInboundPolicy(InboundCase):
    """Where calls may come from, several credentials, and what can be configured."""

    def test_address_allow_list(self):
        self.credential("bearer", NEW)
        headers = {"Authorization": f"Bearer {NEW}"}
        self.connector.inbound_networks = "192.0.2.0/24\n2001:db8::1"
        response = self.assertRefused(headers, status=403)
        self.assertNotIn("192.0.2", response.text, "not told what would be right")
        # Before anything else: who has no secret learns nothing of the secret.
        self.assertEqual(self.assertRefused({}, status=403).json(), response.json())
        self.connector.inbound_networks = "192.0.2.0/24\n127.0.0.0/8"
        self.assertAccepted(headers)
        self.assertRefused({})

    def test_address_allow_list_is_checked(self):
        for text in ("192.0.2.1/24", "shop.example.com", "192.0.2.0/24\nall"):
            with self.subTest(text), self.assertRaises(ValidationError):
                self.connector.inbound_networks = text
        self.connector.inbound_networks = " 192.0.2.0/24 \r\n\r\n2001:db8::/32\n"
        self.connector.inbound_networks = False

    def test_one_of_several_is_enough(self):
        """While the other side changes from one kind to another."""
        self.credential("bearer", OLD)
        self.credential("api_key", NEW)
        message = self.assertAccepted({"Authorization": f"Bearer {OLD}"})
        self.assertEqual(message.verified_by, "Key of bearer")
        message = self.assertAccepted({"X-Api-Key": NEW}, self.body + b" ")
        self.assertEqual(message.verified_by, "Key of api_key")
        self.assertRefused({"X-Api-Key": OLD, "Authorization": f"Bearer {NEW}"})

    def test_all_of_several(self):
        """A signature and a password, as Adyen advises."""
        self.credential("github", OLD)
        self.credential("basic", NEW, username="shop")
        self.connector.inbound_match = "all"
        password = {"Authorization": f"Basic {b64(f'shop:{NEW}'.encode())}"}
        signature = {"X-Hub-Signature-256": f"sha256={mac(OLD, self.body).hex()}"}
        for headers in (password, signature, {}):
            self.assertRefused(headers)
        message = self.assertAccepted({**password, **signature})
        self.assertEqual(
            set(message.verified_by.split(", ")), {"Key of github", "Key of basic"}
        )
        self.assertRefused({**password, **signature}, self.body + b" ")

    def test_the_refusal_that_helps_is_told(self):
        self.credential("bearer", OLD)
        self.credential("github", NEW)
        wrong = {"X-Hub-Signature-256": f"sha256={mac(OLD, self.body).hex()}"}
        self.assertIn("same secret", self.assertRefused(wrong).json()["detail"])

    def test_outbound_credentials_open_nothing(self):
        for scheme, values in (("bearer", {}), ("basic", {"username": "hub"})):
            self.credential(scheme, NEW, direction="outbound", **values)
        self.assertRefused({"Authorization": f"Bearer {NEW}"})
        self.assertRefused({"Authorization": f"Basic {b64(f'hub:{NEW}'.encode())}"})

    def test_inbound_credentials_are_not_shown_to_others(self):
        """What somebody proves himself with is nothing to send along."""
        endpoint = self.make_endpoint("https://example.com/", self.connector)
        for scheme in ("bearer", "api_key"):
            with self.assertRaises(ValidationError):
                endpoint.auth_credential_id = self.credential(scheme, NEW)

    def test_unreadable_secrets_let_nobody_in(self):
        self.credential("bearer", NEW)
        self.env.registry.clear_cache()
        with (
            patch.dict("os.environ", {"FINANCE_HUB_ENCRYPTION_KEYS": "no-key"}),
            mute_logger(finance_connector_inbound.__name__),
        ):
            response = self.assertRefused({"Authorization": f"Bearer {NEW}"})
        self.assertIn("administrator", response.json()["detail"])
        self.env.registry.clear_cache()
        self.assertAccepted({"Authorization": f"Bearer {NEW}"})

    def test_overlap_ends_though_nobody_writes(self):
        """What is kept in memory knows until when it counts."""
        credential = self.credential("bearer", OLD)
        credential._set_secret(NEW)
        headers = {"Authorization": f"Bearer {OLD}"}
        self.assertAccepted(headers)
        self.later(hours=23)
        self.assertAccepted(headers, self.body + b" ")
        self.later(hours=25)
        self.assertRefused(headers, self.body + b"  ")

    def test_refusals_name_no_secret(self):
        secret = "a-secret-that-nobody-may-see"
        self.credential("api_key", secret)
        response = self.assertRefused({"X-Api-Key": secret + "x"})
        self.assertNotIn(secret, response.text)
        exceptions = self.env["finance.exception"].search([])
        self.assertNotIn(secret, str(exceptions.read()))

    def test_ready_to_go_live(self):
        connector = self.make_connector("fresh", state="draft")
        with self.assertRaises(UserError):
            connector.action_request_review()
        self.env["finance.credential"].create(
            {
                "name": "Stripe",
                "connector_id": connector.id,
                "scheme": "stripe",
                "secret_input": "whsec_" + "x" * 32,
            }
        )
        with self.assertRaisesRegex(UserError, "tried and understood"):
            connector.action_request_review()
        self.make_tested(connector)
        connector.action_request_review()
        self.assertEqual(connector.state, "in_review")

    # === SCREENS === #

    def test_forms(self):
        """Every kind can be entered on the screen, and shows only what it needs."""
        key = Ed25519PrivateKey.generate().public_key()
        needed = {
            "standard_webhooks": {"secret_input": "whsec_" + "A" * 32},
            "standard_webhooks_ed25519": {"secret_input": generate_key_pair()[1]},
            "http_message_signatures": {"secret_input": generate_key_pair()[1]},
            "stripe": {"secret_input": "whsec_" + "A" * 32},
            "adyen": {"secret_input": ADYEN_KEY},
            "adyen_platform": {"secret_input": ADYEN_KEY},
            "paypal": {"secret_input": "8PT597110X687430L"},
            "generic_hmac": {"inbound_header": "X-Sig", "secret_input": NEW},
            "generic_ed25519": {
                "inbound_header": "X-Sig",
                "secret_lines_input": key.public_bytes(
                    Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
                ).decode(),
            },
            "basic": {"username": "shop", "secret_input": NEW},
            "jwt": {
                "token_issuer": "https://login.example.com/",
                "audience": "finance-hub",
                "secret_input": "https://login.example.com/jwks.json",
            },
            "proxy_certificate": {
                "proxy_networks": "10.0.0.5",
                "secret_lines_input": Authority().issue("shop")[0],
            },
        }
        credentials = self.env["finance.credential"].with_user(
            self.users["administrator"]
        )
        for scheme in INBOUND:
            with self.subTest(scheme):
                form = Form(credentials)
                form.name = scheme
                form.connector_id = self.connector
                form.scheme = scheme
                if scheme in OUTBOUND:
                    form.direction = "inbound"
                self.assertEqual(form.direction, "inbound")
                for name, value in needed.get(scheme, {"secret_input": NEW}).items():
                    form[name] = value
                credential = form.save()
                self.assertEqual(credential.state, "active")
                self.assertTrue(credential.secret_hint)
                if not INBOUND[scheme].preset.public:
                    secret = needed.get(scheme, {}).get("secret_input", NEW)
                    if not secret.startswith("whpk_"):
                        self.assertNotIn(secret, str(credential.read()))

    def test_settings_that_prove_nothing(self):
        for scheme, values in (
            ("generic_hmac", {}),
            ("generic_hmac", {"inbound_header": "X Sig"}),
            ("generic_hmac", {"inbound_header": "X-Sig", "inbound_template": "{id}"}),
            (
                "generic_hmac",
                {"inbound_header": "X-Sig", "inbound_timestamp_header": "X-Time"},
            ),
            ("api_key", {"inbound_header": "no header"}),
            ("basic", {"username": "with:colon"}),
            ("jwt", {"token_issuer": "https://login.example.com/"}),
            ("jwt", {**TestInboundPresets.ISSUER, "token_algorithms": "HS256"}),
            ("jwt", {**TestInboundPresets.ISSUER, "token_algorithms": "none"}),
            ("jwt", {**TestInboundPresets.ISSUER, "token_claims": "sub"}),
            ("proxy_certificate", {}),
            ("proxy_certificate", {"proxy_networks": "0.0.0.0/0"}),
            ("proxy_certificate", {"proxy_networks": "the proxy"}),
        ):
            with self.subTest(f"{scheme} {values}"), self.assertRaises(ValidationError):
                self.credential(scheme, **values)

    def test_a_secret_keeps_its_meaning(self):
        credential = self.credential("generic_hmac", NEW, inbound_header="X-Sig")
        with self.assertRaises(UserError):
            credential.inbound_secret_encoding = "hex"
        # Settings of the other side may change, and are checked.
        credential.inbound_header = "X-Signature"
        with self.assertRaises(ValidationError):
            credential.inbound_template = "nothing"

    def test_generated_secrets_fit(self):
        for scheme, values in (
            ("github", {}),
            ("api_key", {}),
            ("bearer", {}),
            ("basic", {"username": "shop"}),
            ("generic_hmac", {"inbound_header": "X-Sig"}),
            (
                "generic_hmac",
                {"inbound_header": "X-Sig", "inbound_secret_encoding": "hex"},
            ),
            (
                "generic_hmac",
                {"inbound_header": "X-Sig", "inbound_secret_encoding": "base64"},
            ),
            ("http_message_signatures", {"signature_algorithm": "hmac-sha256"}),
        ):
            with self.subTest(f"{scheme} {values}"):
                credential = self.credential(scheme, **values)
                self.assertTrue(credential.can_generate)
                action = credential.action_generate()
                self.assertEqual(credential._secrets(), [action["params"]["secret"]])
        for scheme in ("stripe", "adyen", "paypal", "xero"):
            credential = self.credential(scheme)
            with self.assertRaises(UserError):
                credential.action_generate()

    def test_policy_is_kept_in_memory(self):
        """No query for a call, until something changes."""
        self.credential("bearer", NEW)
        self.env.flush_all()
        call = ({"Authorization": f"Bearer {NEW}"}, b"", "127.0.0.1", "http://hub/x")
        self.connector._verify_inbound(*call)
        with self.assertQueryCount(0):
            self.connector._verify_inbound(*call)
        self.connector.credential_ids.action_revoke()
        with self.assertRaises(ValueError):
            self.connector._verify_inbound(*call)
