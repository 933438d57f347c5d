# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Good calls under every inbound preset, as the other side would make them.

Where a provider publishes a Python package that signs, it does; elsewhere the scheme is
written out by hand from the provider's description.
"""

import base64
import hashlib
import hmac
import json
import zlib
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cache
from urllib.parse import quote

import jwt as pyjwt
from Adyen.util import generate_notification_sig, generate_payload_sig
from certificates import Authority
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
)
from finance_hub.signing import (
    Call,
    Documents,
    MessageSigner,
    Settings,
    generate_key_pair,
    key_id_of,
    sign_headers,
)
from finance_hub.transport import parse_networks

NOW = 1_770_000_000
BODY = b'{"id": "evt_1", "amount": 1130, "name": "M\xc3\xbcller"}'
URL = "https://hub.example.com/finance/v1/inbound/shop"
PEER = "10.0.0.7"

TEXT_SECRET = "It's a Secret to Everybody"
OLD_SECRET = "the secret before the rotation"
ADYEN_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
OLD_ADYEN_KEY = "00" + ADYEN_KEY[2:]

PAYPAL_URL = "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594"
PAYPAL_NAME = "messageverificationcerts.paypal.com"
JWKS_URL = "https://login.example.com/jwks.json"
OLD_JWKS_URL = "https://login.example.com/old.json"


@dataclass
class Good:
    """A call that verifies.

    :ivar preset: by which it does
    :ivar secrets: newest first; the call is made with the first
    :ivar old: the call as made with the second
    :ivar signed: names of the headers of which every bit counts
    :ivar body_signed: whether every bit of the body counts
    """

    preset: str
    secrets: list
    headers: dict
    old: dict
    signed: tuple
    body: bytes = BODY
    old_body: bytes = BODY
    settings: Settings = field(default_factory=Settings)
    body_signed: bool = True
    peer: str = PEER

    def call(self, headers=None, body=None, peer=None):
        return Call(
            self.headers if headers is None else headers,
            self.body if body is None else body,
            "POST",
            URL,
            self.peer if peer is None else peer,
        )


def mac(secret, content, algorithm="sha256"):
    return hmac.new(secret.encode(), content, getattr(hashlib, algorithm)).digest()


def b64(raw):
    return base64.b64encode(raw).decode()


def by_body(preset, header, encode, prefix="", secrets=(TEXT_SECRET, OLD_SECRET)):
    new, old = ({header: prefix + encode(mac(one, BODY))} for one in secrets)
    return Good(preset, list(secrets), new, old, (header,))


# === PROVIDERS === #


def stripe():
    new, old = "whsec_" + "n" * 32, "whsec_" + "o" * 32

    def header(*secrets, t=NOW):
        content = b"%d.%b" % (t, BODY)
        signatures = ",".join(f"v1={mac(one, content).hex()}" for one in secrets)
        return {"Stripe-Signature": f"t={t},{signatures},v0=00"}

    # The rest of the header is free: other schemes mean nothing.
    good = Good("stripe", [new, old], header(new), header(old), ())
    good.make = header
    return good


def adyen_item(key=ADYEN_KEY, **values):
    item = {
        "additionalData": {},
        "amount": {"value": 1130, "currency": "EUR"},
        "pspReference": "7914073381342284",
        "eventCode": "AUTHORISATION",
        "eventDate": "2026-01-31T10:00:00+01:00",
        "merchantAccountCode": "TestMerchant",
        "merchantReference": "TestPayment-1407325143704",
        "success": "true",
        **values,
    }
    signature = generate_notification_sig(item, key).decode()
    item["additionalData"] = {"hmacSignature": signature}
    return item


def adyen_body(*items):
    wrapped = [{"NotificationRequestItem": item} for item in items]
    return json.dumps({"live": "false", "notificationItems": wrapped}).encode()


def adyen():
    second = {"pspReference": "second", "originalReference": "7914073381342284"}
    return Good(
        "adyen",
        [ADYEN_KEY, OLD_ADYEN_KEY],
        {},
        {},
        (),
        body=adyen_body(adyen_item(), adyen_item(**second)),
        old_body=adyen_body(adyen_item(OLD_ADYEN_KEY)),
        body_signed=False,
    )


def adyen_platform():
    new, old = (
        {"HmacSignature": generate_payload_sig(BODY, key).decode()}
        for key in (ADYEN_KEY, OLD_ADYEN_KEY)
    )
    return Good(
        "adyen_platform", [ADYEN_KEY, OLD_ADYEN_KEY], new, old, ("HmacSignature",)
    )


@cache
def paypal_world():
    """Return (authority, chain PEM, private key) of a PayPal of our own."""
    start = datetime.fromtimestamp(NOW - 86400 * 10, timezone.utc)
    authority = Authority(start=start)
    key = rsa.generate_private_key(65537, 2048)
    pem, _key = authority.issue(PAYPAL_NAME, key, start=start, hosts=(PAYPAL_NAME,))
    return authority, pem.encode(), key


def paypal_headers(webhook_id, body=BODY, at=NOW, key=None, url=PAYPAL_URL):
    moment = datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    content = f"trans-1|{moment}|{webhook_id}|{zlib.crc32(body)}"
    signature = (key or paypal_world()[2]).sign(
        content.encode(), padding.PKCS1v15(), hashes.SHA256()
    )
    return {
        "PAYPAL-TRANSMISSION-ID": "trans-1",
        "PAYPAL-TRANSMISSION-TIME": moment,
        "PAYPAL-TRANSMISSION-SIG": b64(signature),
        "PAYPAL-CERT-URL": url,
        "PAYPAL-AUTH-ALGO": "SHA256withRSA",
    }


def paypal():
    new, old = "8PT597110X687430L", "1JE4291016473214C"
    return Good(
        "paypal",
        [new, old],
        paypal_headers(new),
        paypal_headers(old),
        (
            "PAYPAL-TRANSMISSION-ID",
            "PAYPAL-TRANSMISSION-TIME",
            "PAYPAL-TRANSMISSION-SIG",
            "PAYPAL-CERT-URL",
            "PAYPAL-AUTH-ALGO",
        ),
        settings=Settings(roots=paypal_world()[0].pem.encode()),
    )


# === STANDARDS === #


def standard():
    new, old = "whsec_" + "A" * 32, "whsec_" + "B" * 32
    return Good(
        "standard_webhooks",
        [new, old],
        sign_headers([new], "msg_1", NOW, BODY),
        sign_headers([old], "msg_1", NOW, BODY),
        ("webhook-id", "webhook-timestamp", "webhook-signature"),
    )


def message_signatures():
    pairs = [generate_key_pair(), generate_key_pair()]
    new, old = (
        MessageSigner([(key_id_of(private), private)]).sign_request(
            "POST", URL, "msg_1", NOW, BODY, {}
        )
        for private, _public in pairs
    )
    return Good(
        "http_message_signatures",
        [public for _private, public in pairs],
        new,
        old,
        ("Content-Digest", "webhook-id"),
    )


def generic_hmac():
    settings = Settings(
        header="X-Acme-Signature",
        algorithm="sha512",
        encoding="base64url",
        prefix="v0=",
        template="v0:{id}:{timestamp}:{body}",
        timestamp_header="X-Acme-Time",
        timestamp_format="milliseconds",
        id_header="X-Acme-Id",
        tolerance=60,
    )

    def headers(secret):
        moment = f"{NOW}250"
        raw = mac(secret, f"v0:m-1:{moment}:".encode() + BODY, "sha512")
        return {
            "X-Acme-Signature": f"v0={base64.urlsafe_b64encode(raw).decode()}",
            "X-Acme-Time": moment,
            "X-Acme-Id": "m-1",
        }

    return Good(
        "generic_hmac",
        [TEXT_SECRET, OLD_SECRET],
        headers(TEXT_SECRET),
        headers(OLD_SECRET),
        ("X-Acme-Signature", "X-Acme-Time", "X-Acme-Id"),
        settings=settings,
    )


def generic_ed25519():
    keys = [Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()]
    settings = Settings(
        header="X-Signature-Ed25519",
        template="{timestamp}{body}",
        timestamp_header="X-Signature-Timestamp",
    )
    new, old = (
        {
            "X-Signature-Ed25519": key.sign(b"%d%b" % (NOW, BODY)).hex(),
            "X-Signature-Timestamp": str(NOW),
        }
        for key in keys
    )
    return Good(
        "generic_ed25519",
        [
            key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
            for key in keys
        ],
        new,
        old,
        ("X-Signature-Ed25519", "X-Signature-Timestamp"),
        settings=settings,
    )


# === WHAT IS KNOWN === #


def api_key():
    new, old = "new-key-0815", "old-key-4711"
    return Good(
        "api_key",
        [new, old],
        {"X-Acme-Key": new},
        {"X-Acme-Key": old},
        ("X-Acme-Key",),
        settings=Settings(header="X-Acme-Key"),
        body_signed=False,
    )


def basic():
    new, old = "pässword-new", "pässword-old"

    def headers(password):
        return {"Authorization": f"Basic {b64(f'hub:{password}'.encode())}"}

    return Good(
        "basic",
        [new, old],
        headers(new),
        headers(old),
        (),
        settings=Settings(username="hub"),
        body_signed=False,
    )


def bearer():
    new, old = "new-token-0815", "old-token-4711"
    return Good(
        "bearer",
        [new, old],
        {"Authorization": f"Bearer {new}"},
        {"Authorization": f"Bearer {old}"},
        (),
        body_signed=False,
    )


@cache
def rsa_key(number=0):
    return rsa.generate_private_key(65537, 2048)


def jwk(key, kid, algorithm="RS256"):
    made = pyjwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key())
    return {**json.loads(made), "kid": kid, "use": "sig", "alg": algorithm}


CLAIMS = {
    "iss": "https://login.example.com/",
    "aud": ["finance-hub", "another"],
    "sub": "shop",
    "scope": "post read",
    "iat": NOW - 10,
    "exp": NOW + 300,
}


def token(key=None, kid="k1", algorithm="RS256", headers=None, drop=(), **claims):
    content = {**CLAIMS, **claims}
    for name in drop:
        del content[name]
    return pyjwt.encode(
        content,
        key or rsa_key(),
        algorithm,
        headers={**({"kid": kid} if kid else {}), **(headers or {})},
    )


JWT_SETTINGS = Settings(
    issuer="https://login.example.com/",
    audiences=("finance-hub",),
    claims=(("scope", "post"),),
)


def jwt():
    return Good(
        "jwt",
        [JWKS_URL, OLD_JWKS_URL],
        {"Authorization": f"Bearer {token()}"},
        {"Authorization": f"Bearer {token(rsa_key(1), 'k0')}"},
        (),
        settings=JWT_SETTINGS,
        body_signed=False,
    )


def proxy_certificate():
    authority = Authority()
    pems = [authority.issue(name)[0] for name in ("new", "old")]
    ders = [base64.b64decode("".join(pem.split("\n")[1:-2])) for pem in pems]
    new, old = ({"X-Client-Cert": quote(pem, safe="")} for pem in pems)
    return Good(
        "proxy_certificate",
        [hashlib.sha256(der).hexdigest() for der in ders],
        new,
        old,
        (),
        settings=Settings(form="certificate", proxies=parse_networks("10.0.0.0/24")),
        body_signed=False,
    )


def documents_of(contents):
    """Return documents that are fetched from a dictionary."""

    def fetch(url):
        if url not in contents:
            raise ValueError("There is nothing at this address.")
        return contents[url]

    return Documents(fetch)


def documents():
    """Return what the good calls are verified with."""
    key_sets = {
        JWKS_URL: [jwk(rsa_key(), "k1")],
        OLD_JWKS_URL: [jwk(rsa_key(1), "k0")],
    }
    return documents_of(
        {
            PAYPAL_URL: paypal_world()[1],
            **{
                url: json.dumps({"keys": keys}).encode()
                for url, keys in key_sets.items()
            },
        }
    )


MAKERS = {
    maker.__name__: maker
    for maker in (
        standard,
        stripe,
        adyen,
        adyen_platform,
        paypal,
        message_signatures,
        generic_hmac,
        generic_ed25519,
        api_key,
        basic,
        bearer,
        jwt,
        proxy_certificate,
    )
}
MAKERS["gocardless"] = lambda: by_body("gocardless", "Webhook-Signature", bytes.hex)
MAKERS["shopify"] = lambda: by_body("shopify", "X-Shopify-Hmac-Sha256", b64)
MAKERS["github"] = lambda: by_body(
    "github", "X-Hub-Signature-256", bytes.hex, "sha256="
)
MAKERS["xero"] = lambda: by_body("xero", "x-xero-signature", b64)
MAKERS["quickbooks"] = lambda: by_body("quickbooks", "intuit-signature", b64)
