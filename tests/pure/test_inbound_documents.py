# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Presets that fetch what they verify with: PayPal, tokens, and what keeps it."""

import base64
import dataclasses
import hmac
import json
import threading
from datetime import datetime, timedelta, timezone

import jwt as pyjwt
import pytest
from certificates import Authority
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from finance_hub.signing import PRESETS, Call, Documents, Settings, VerificationError
from finance_hub.signing import constants as const
from finance_hub.signing.inbound.jwks import read_key_set
from hypothesis import given
from hypothesis import strategies as st
from inbound_calls import (
    BODY,
    CLAIMS,
    JWKS_URL,
    JWT_SETTINGS,
    NOW,
    PAYPAL_NAME,
    PAYPAL_URL,
    documents,
    documents_of,
    jwk,
    paypal,
    paypal_headers,
    paypal_world,
    rsa_key,
    token,
)


def refused(code, function, *args, **kwargs):
    with pytest.raises(VerificationError) as caught:
        function(*args, **kwargs)
    assert caught.value.code == code, (caught.value.code, caught.value.message)
    return caught.value


class Web:
    """What is fetched from, and how often."""

    def __init__(self, contents=None):
        self.contents = contents or {}
        self.asked = []

    def __call__(self, url):
        self.asked.append(url)
        content = self.contents.get(url)
        if content is None:
            raise ValueError("There is nothing at this address.")
        if isinstance(content, Exception):
            raise content
        return content


# === PAYPAL === #

WEBHOOK = "8PT597110X687430L"


def check_paypal(headers=None, chain=None, roots=None, now=NOW, body=BODY, docs=None):
    good = paypal()
    if docs is None:
        url = (headers or good.headers)["PAYPAL-CERT-URL"]
        docs = documents_of({url: paypal_world()[1] if chain is None else chain})
    return PRESETS["paypal"].verify(
        [WEBHOOK],
        Call(headers or good.headers, body),
        now,
        Settings(roots=good.settings.roots if roots is None else roots),
        docs,
    )


def test_paypal():
    proof = check_paypal()
    assert proof.message_id == "trans-1"
    assert proof.timestamp == NOW


@pytest.mark.parametrize(
    "url",
    [
        "http://api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com.example.net/v1/certs/CERT-1",
        "https://paypal.com.example.net/x",
        "https://evilpaypal.com/x",
        "https://api.paypal.com@example.net/x",
        "https://example.net/api.paypal.com/x",
        "https://example.net#.paypal.com/x",
        "https://example.net/?.paypal.com/x",
        "https://example.net\\.paypal.com/x",
        "https://api.paypal.com:8443/x",
        "https://api.paypal.com/../x",
        "https://api.paypal.com/x?url=https://example.net",
        "https://api.paypal.com/redirect/..%2f",
        "https://127.0.0.1/.paypal.com",
        "https://[::1].paypal.com/x",
        "https://api.paypal.com",
        "https://.paypal.com/x",
        "HTTPS://API.PAYPAL.COM/X",
        "file:///etc/ssl/.paypal.com/x",
        "https://" + "a" * 300 + ".paypal.com/x",
    ],
)
def test_paypals_certificate_comes_from_paypal(url):
    web = Web({url: paypal_world()[1]})
    error = refused(
        "untrusted_certificate",
        check_paypal,
        paypal_headers(WEBHOOK, url=url),
        docs=Documents(web),
    )
    assert not web.asked, "not even asked"
    assert "at PayPal" in error.message


def issue(authority=None, hosts=(PAYPAL_NAME,), key=None, **values):
    key = key or rsa.generate_private_key(65537, 2048)
    values.setdefault("start", datetime.fromtimestamp(NOW, timezone.utc))
    values["start"] -= timedelta(days=1)
    authority = authority or paypal_world()[0]
    return authority.issue(PAYPAL_NAME, key, hosts=hosts, **values)[0].encode(), key


def test_paypals_certificate_is_a_good_one():
    start = datetime.fromtimestamp(NOW, timezone.utc)
    stranger = Authority(start=start - timedelta(days=9))
    sandbox, key = issue(hosts=("messageverificationcerts.sandbox.paypal.com",))
    check_paypal(paypal_headers(WEBHOOK, key=key), sandbox)
    for chain, key in (
        issue(stranger),
        issue(hosts=("www.paypal.com",)),
        issue(hosts=("messageverificationcerts.example.com",)),
        issue(hosts=("messageverificationcerts.paypal.com.example.net",)),
        issue(hosts=()),
        issue(start=start + timedelta(days=3)),
        issue(start=start - timedelta(days=60), days=30),
        issue(key=rsa.generate_private_key(65537, 1024)),
        (b"", paypal_world()[2]),
        (b"no certificate", paypal_world()[2]),
        (paypal_world()[1] * 9, paypal_world()[2]),
        (paypal_world()[0].pem.encode(), paypal_world()[2]),
    ):
        refused(
            "untrusted_certificate",
            check_paypal,
            paypal_headers(WEBHOOK, key=key),
            chain,
        )
    refused("untrusted_certificate", check_paypal, roots=b"")
    refused("untrusted_certificate", check_paypal, roots=stranger.pem.encode())


def test_a_key_that_is_no_rsa_key():
    key = ec.generate_private_key(ec.SECP256R1())
    pem, _key = issue(key=key)
    refused("untrusted_certificate", check_paypal, chain=pem)


def test_another_key_of_paypals_does_not_fit():
    _chain, other = issue()
    refused("no_matching_signature", check_paypal, paypal_headers(WEBHOOK, key=other))


def test_a_kept_certificate_ends_in_time():
    start = datetime.fromtimestamp(NOW, timezone.utc)
    # Valid for less than the time it is kept.
    chain, key = issue(start=start - timedelta(days=1), days=1)
    docs = documents_of({PAYPAL_URL: chain})
    early = paypal_headers(WEBHOOK, key=key, at=NOW - 1800)
    check_paypal(early, docs=docs, now=NOW - 1800)
    headers = paypal_headers(WEBHOOK, key=key)
    error = refused(
        "untrusted_certificate", check_paypal, headers, docs=docs, now=NOW + 1
    )
    assert "at this time" in error.message


def test_paypals_certificate_is_fetched_once():
    web = Web({PAYPAL_URL: paypal_world()[1]})
    docs = Documents(web)
    for seconds in range(0, 3000, 300):
        check_paypal(docs=docs, now=NOW + seconds)
    assert web.asked == [PAYPAL_URL]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PAYPAL-AUTH-ALGO", "SHA1withRSA"),
        ("PAYPAL-AUTH-ALGO", "none"),
        ("PAYPAL-TRANSMISSION-TIME", "yesterday"),
        ("PAYPAL-TRANSMISSION-ID", "trans|1"),
        ("PAYPAL-TRANSMISSION-SIG", "!"),
    ],
)
def test_malformed_paypal_headers(name, value):
    web = Web({PAYPAL_URL: paypal_world()[1]})
    headers = {**paypal().headers, name: value}
    refused("malformed_header", check_paypal, headers, docs=Documents(web))
    assert not web.asked, "what can't be right costs no fetch"


def test_an_old_library_verifies_nothing(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "cryptography.x509.verification", None)
    monkeypatch.delattr("cryptography.x509.verification", raising=False)
    refused("unavailable", check_paypal)


@pytest.mark.parametrize("preset", ["paypal", "jwt"])
def test_without_a_way_to_fetch_nothing_is_accepted(preset):
    headers = {**paypal().headers, "Authorization": f"Bearer {token()}"}
    with pytest.raises(VerificationError) as caught:
        PRESETS[preset].verify([WEBHOOK], Call(headers, BODY), NOW, JWT_SETTINGS, None)
    assert caught.value.code == "unavailable"


# === TOKENS === #


def check_token(text, docs=None, settings=JWT_SETTINGS, now=NOW, **changes):
    settings = dataclasses.replace(settings, **changes)
    call = Call({"Authorization": f"Bearer {text}"}, BODY)
    return PRESETS["jwt"].verify([JWKS_URL], call, now, settings, docs or documents())


def test_token():
    proof = check_token(token())
    assert proof.identity == "shop"
    assert proof.timestamp == NOW - 10


@pytest.mark.parametrize(
    ("algorithm", "make"),
    [
        ("RS256", rsa_key),
        ("RS512", rsa_key),
        ("PS256", rsa_key),
        ("ES256", lambda: ec.generate_private_key(ec.SECP256R1())),
        ("ES384", lambda: ec.generate_private_key(ec.SECP384R1())),
        ("ES512", lambda: ec.generate_private_key(ec.SECP521R1())),
        ("EdDSA", ed25519.Ed25519PrivateKey.generate),
    ],
)
def test_public_key_algorithms(algorithm, make):
    key = make()
    docs = documents_of(
        {JWKS_URL: json.dumps({"keys": [jwk(key, "k1", algorithm)]}).encode()}
    )
    text = token(key, algorithm=algorithm)
    check_token(text, docs, algorithms=(algorithm,))
    others = tuple(one for one in const.JWT_ALGORITHMS if one != algorithm)
    refused("bad_token", check_token, text, docs, algorithms=others)


def segments(header, claims=None, signature=b""):
    claims = CLAIMS if claims is None else claims
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(
        base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts
    )


def test_the_classical_forgeries():
    public = jwk(rsa_key(), "k1")
    pem = (
        rsa_key()
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    for header in (
        {"alg": "none", "kid": "k1"},
        {"alg": "None", "kid": "k1"},
        {"alg": "", "kid": "k1"},
        {"kid": "k1"},
        {"alg": ["RS256"], "kid": "k1"},
    ):
        refused("bad_token", check_token, segments(header, signature=b"x"))
        refused("bad_token", check_token, segments(header) + "AA")
    # A public key taken for a shared secret.
    for shared in (pem, json.dumps(public).encode()):
        unsigned = segments({"alg": "HS256", "kid": "k1"}).rpartition(".")[0]
        signature = hmac.digest(shared, unsigned.encode(), "sha256")
        forged = segments({"alg": "HS256", "kid": "k1"}, signature=signature)
        refused("bad_token", check_token, forged)
        refused("bad_setting", check_token, forged, algorithms=("HS256",))
        refused("bad_setting", check_token, forged, algorithms=("none",))
    # A key that the token brings along.
    other = rsa.generate_private_key(65537, 2048)
    for headers in (
        {"jwk": jwk(other, "k1")},
        {"jku": "https://example.net/jwks.json"},
        {"x5u": "https://example.net/x"},
    ):
        text = token(other, headers=headers)
        refused("no_matching_signature", check_token, text)
    for headers in ({"crit": ["exp"]}, {"b64": False}):
        text = segments({"alg": "RS256", "kid": "k1", **headers}, signature=b"x")
        refused("bad_token", check_token, text)


@pytest.mark.parametrize(
    ("code", "values"),
    [
        ("bad_token", {"drop": ("exp",)}),
        ("bad_token", {"exp": "soon"}),
        ("bad_token", {"exp": True}),
        ("bad_token", {"exp": 1e300}),
        ("timestamp_too_old", {"exp": NOW - 61}),
        ("timestamp_too_new", {"nbf": NOW + 61}),
        ("timestamp_too_new", {"iat": NOW + 61}),
        ("bad_token", {"iss": "https://login.example.net/"}),
        ("bad_token", {"iss": "https://login.example.com"}),
        ("bad_token", {"drop": ("iss",)}),
        ("bad_token", {"aud": "another"}),
        ("bad_token", {"aud": []}),
        ("bad_token", {"aud": {"finance-hub": 1}}),
        ("bad_token", {"drop": ("aud",)}),
        ("bad_token", {"scope": "postage"}),
        ("bad_token", {"drop": ("scope",)}),
    ],
)
def test_claims(code, values):
    web = Web()
    refused(code, check_token, token(**values), Documents(web))
    assert not web.asked, "who is not meant costs no fetch"


def test_claims_within_the_leeway():
    for values in (
        {"exp": NOW - 59},
        {"nbf": NOW + 59},
        {"aud": "finance-hub"},
        {"scope": ["post"]},
    ):
        check_token(token(**values))
    check_token(token(azp=7, ok=True), claims=(("azp", "7"), ("ok", "true")))


@pytest.mark.parametrize(
    "changes",
    [{"issuer": ""}, {"audiences": ()}, {"algorithms": ()}, {"leeway": 3600}],
    ids=str,
)
def test_settings_under_which_any_token_counts(changes):
    refused("bad_setting", check_token, token(), **changes)


@pytest.mark.parametrize(
    "text", ["x", "a.b", "a.b.c.d", ".", "..", "a" * 10_000, "é.b.c"]
)
def test_what_is_no_token(text):
    with pytest.raises(VerificationError) as caught:
        check_token(text)
    assert caught.value.code in ("bad_token", "malformed_header")


@given(
    st.recursive(
        st.one_of(
            st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9)
        ),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["alg", "kid", "exp", "aud", "iss", "keys", "kty", "n", "e"]
                )
                | st.text(max_size=3),
                inner,
                max_size=5,
            )
        ),
        max_leaves=12,
    )
)
def test_hostile_tokens_and_key_sets(value):
    header = value if isinstance(value, dict) else {"kid": value}
    for text in (
        segments({"alg": "RS256", **header}),
        segments({"alg": "RS256", **header}, {**CLAIMS}, b"x"),
        segments(header, value),
        segments({"alg": "RS256"}, {**CLAIMS, **header}, b"x"),
    ):
        with pytest.raises(VerificationError):
            check_token(text)
    keys = key_set(value, header, {"kid": "k1", "kty": "RSA", **header})
    docs = documents_of({JWKS_URL: keys})
    with pytest.raises(VerificationError):
        check_token(token(), docs)


def test_without_pyjwt_nothing_is_accepted(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "jwt", None)
    error = refused("unavailable", check_token, token())
    assert "pip install PyJWT" in error.message


# === KEY SETS === #


def key_set(*keys):
    return json.dumps({"keys": list(keys)}).encode()


def test_keys_that_are_not_for_this():
    good = jwk(rsa_key(), "k1")
    for change in (
        {"use": "enc"},
        {"key_ops": ["encrypt"]},
        {"alg": "RS512"},
        {"kty": "oct", "k": "AAAA"},
        {"kid": "k2"},
        {"d": "AAAA"},
    ):
        docs = documents_of({JWKS_URL: key_set({**good, **change})})
        refused("bad_token", check_token, token(), docs)
    small = rsa.generate_private_key(65537, 1024)
    docs = documents_of({JWKS_URL: key_set(jwk(small, "k1"))})
    with pytest.warns(pyjwt.warnings.InsecureKeyLengthWarning):
        weak = token(small)
    refused("no_matching_signature", check_token, weak, docs)
    broken = {**good, "n": "AA"}
    docs = documents_of({JWKS_URL: key_set(broken)})
    refused("no_matching_signature", check_token, token(), docs)


def test_tokens_without_a_key_id():
    one, other = jwk(rsa_key(), "k1"), jwk(rsa_key(1), "k2")
    check_token(token(kid=None), documents_of({JWKS_URL: key_set(one)}))
    docs = documents_of({JWKS_URL: key_set(one, other)})
    refused("bad_token", check_token, token(kid=None), docs)


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{}", b'{"keys": 1}', b"[" * 100_000, key_set(*[{}] * 101)]
)
def test_what_is_no_key_set(raw):
    refused("unavailable", read_key_set, raw)
    refused("unavailable", check_token, token(), documents_of({JWKS_URL: raw}))


def test_a_new_key_is_found_at_once_but_not_too_often():
    web = Web({JWKS_URL: key_set(jwk(rsa_key(), "k1"))})
    docs = Documents(web)
    check_token(token(), docs)
    later = NOW + const.DOCUMENT_REFRESH_SECONDS
    web.contents[JWKS_URL] = key_set(jwk(rsa_key(1), "k2"))
    # Too soon after the last one.
    refused("bad_token", check_token, token(rsa_key(1), "k2"), docs)
    assert len(web.asked) == 1
    check_token(token(rsa_key(1), "k2"), docs, now=later)
    assert len(web.asked) == 2
    for _again in range(50):
        refused("bad_token", check_token, token(kid="unknown"), docs, now=later)
    assert len(web.asked) == 2, "unknown keys do not make the hub ask for ever"


# === KEEPING === #


def get(docs, url="https://a.example/", now=NOW, parse=bytes.decode, **kwargs):
    return docs.get("test", url, parse, now, **kwargs)


def test_fresh_then_renewed():
    web = Web({"https://a.example/": b"1"})
    docs = Documents(web)
    assert get(docs) == "1"
    web.contents["https://a.example/"] = b"2"
    assert get(docs, now=NOW + const.DOCUMENT_FRESH_SECONDS - 1) == "1"
    assert get(docs, now=NOW + const.DOCUMENT_FRESH_SECONDS) == "2"
    assert len(web.asked) == 2


def test_what_was_good_serves_on_for_a_day():
    web = Web({"https://a.example/": b"1"})
    docs = Documents(web)
    get(docs)
    web.contents.clear()
    end = NOW + const.DOCUMENT_FRESH_SECONDS + const.DOCUMENT_STALE_SECONDS
    assert get(docs, now=NOW + const.DOCUMENT_FRESH_SECONDS) == "1"
    assert get(docs, now=end - 1) == "1"
    error = refused("unavailable", get, docs, now=end)
    assert "nothing at this address" in error.message


def test_failures_are_not_repeated_at_once():
    web = Web()
    docs = Documents(web)
    for seconds in (0, 1, const.DOCUMENT_RETRY_SECONDS - 1):
        refused("unavailable", get, docs, now=NOW + seconds)
    assert len(web.asked) == 1
    web.contents["https://a.example/"] = b"1"
    assert get(docs, now=NOW + const.DOCUMENT_RETRY_SECONDS) == "1"


def test_what_is_not_good_is_not_kept():
    web = Web({"https://a.example/": b"1"})
    docs = Documents(web)

    def parse(_raw):
        raise VerificationError("untrusted_certificate", "Not good.")

    refused("untrusted_certificate", get, docs, parse=parse)
    later = NOW + const.DOCUMENT_RETRY_SECONDS
    assert get(docs, now=later) == "1"


def test_a_flood_of_addresses_is_bounded():
    web = Web({"https://good.example/": b"good"})
    docs = Documents(web)
    assert get(docs, "https://good.example/") == "good"
    for number in range(500):
        refused("unavailable", get, docs, f"https://{number}.example/")
    assert len(web.asked) == const.FETCHES_PER_MINUTE
    assert docs.count() <= const.DOCUMENTS_MAX_COUNT
    assert get(docs, "https://good.example/", now=NOW + 1) == "good", "still kept"
    # Another kind has a share of its own.
    assert docs.get("other", "https://good.example/", bytes.decode, NOW) == "good"
    refused("unavailable", get, docs, "https://x.example/", now=NOW + 61)
    assert len(web.asked) == const.FETCHES_PER_MINUTE + 2
    docs.clear()
    assert not docs.count()


def test_few_fetches_at_a_time():
    started, go_on = threading.Semaphore(0), threading.Event()

    def fetch(url):
        started.release()
        assert go_on.wait(20)
        return url.encode()

    docs = Documents(fetch)
    results = []
    threads = [
        threading.Thread(
            target=lambda n=n: results.append(get(docs, f"https://{n}.example/"))
        )
        for n in range(const.FETCHES_AT_A_TIME)
    ]
    for thread in threads:
        thread.start()
    for _thread in threads:
        assert started.acquire(timeout=20)
    error = refused("unavailable", get, docs, "https://x.example/")
    assert "is being fetched" in error.message
    # Nor is one that is on its way asked for twice.
    refused("unavailable", get, docs, "https://0.example/")
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert len(results) == const.FETCHES_AT_A_TIME
