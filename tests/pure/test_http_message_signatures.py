# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import base64
import hashlib
import hmac
from datetime import UTC, datetime

import http_message_signatures as hms
import pytest
from finance_hub.signing import (
    MessageSigner,
    Signer,
    VerificationError,
    check_content_digest,
    content_digest,
    generate_key_pair,
    generate_secret,
    key_id_of,
    public_key_of,
    public_key_pem,
    signature_base,
    verify_request,
)
from hypothesis import given
from hypothesis import strategies as st

# The request of RFC 9421, appendix B.2, and the keys of B.1.
URL = "https://example.com/foo?param=Value&Pet=dog"
BODY = b'{"hello": "world"}'
HEADERS = {
    "Host": "example.com",
    "Date": "Tue, 20 Apr 2021 02:07:55 GMT",
    "Content-Type": "application/json",
    "Content-Digest": "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWn"
    "rIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
    "Content-Length": "18",
}
CREATED = 1618884473
SHARED = (
    "whsec_uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsas"
    "jlTMtDQ=="
)
ED25519_PRIVATE_PEM = b"""-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF
-----END PRIVATE KEY-----
"""
ED25519_PUBLIC_PEM = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=
-----END PUBLIC KEY-----
"""
ED25519_SEED = base64.b64decode("n4Ni+HpISpVObnQMW0wOhCKROaIKqKtW/2ZYb2p9KcU=")
ED25519_PUBLIC = base64.b64decode("JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=")
PRIVATE = "whsk_" + base64.b64encode(ED25519_SEED + ED25519_PUBLIC).decode()
PUBLIC = "whpk_" + base64.b64encode(ED25519_PUBLIC).decode()

NOW = int(datetime.now(UTC).timestamp())


# === VECTORS === #


def test_b_2_5_hmac():
    signer = MessageSigner(
        [("test-shared-secret", SHARED)],
        components=("date", "@authority", "content-type"),
        name_algorithm=False,
    )
    added = signer.sign_request("POST", URL, "m", CREATED, BODY, HEADERS)
    assert added["Signature-Input"] == (
        'sig1=("date" "@authority" "content-type")'
        ';created=1618884473;keyid="test-shared-secret"'
    )
    assert added["Signature"] == "sig1=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:"


def test_b_2_6_ed25519():
    components = (
        "date",
        "@method",
        "@path",
        "@authority",
        "content-type",
        "content-length",
    )
    signer = MessageSigner(
        [("test-key-ed25519", PRIVATE)], components=components, name_algorithm=False
    )
    added = signer.sign_request("POST", URL, "m", CREATED, BODY, HEADERS)
    assert added["Signature"] == (
        "sig1=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5l"
        "Ip5WPpBKRCw==:"
    )
    sent = {
        **HEADERS,
        "Signature-Input": added["Signature-Input"].replace("sig1", "sig-b26"),
        "Signature": added["Signature"].replace("sig1", "sig-b26"),
    }
    verified = verify_request(
        {"test-key-ed25519": PUBLIC},
        "POST",
        URL,
        sent,
        BODY,
        CREATED,
        required=("@method", "content-length"),
    )
    assert (verified.label, verified.created) == ("sig-b26", CREATED)
    assert verified.covered == components


def test_derived_components():
    base = signature_base(
        ("@method", "@target-uri", "@scheme", "@path", "@query", "@request-target"),
        "()",
        "POST",
        URL,
        {},
    )
    assert base.decode().splitlines() == [
        '"@method": POST',
        f'"@target-uri": {URL}',
        '"@scheme": https',
        '"@path": /foo',
        '"@query": ?param=Value&Pet=dog',
        '"@request-target": /foo?param=Value&Pet=dog',
        '"@signature-params": ()',
    ]
    for url, authority in (
        ("https://EXAMPLE.com:443/", "example.com"),
        ("https://example.com:8443", "example.com:8443"),
        ("http://example.com:80/", "example.com"),
        ("https://[2001:db8::1]:443/", "[2001:db8::1]"),
    ):
        assert (
            signature_base(("@authority",), "", "GET", url, {}).decode().splitlines()[0]
            == f'"@authority": {authority}'
        )


def test_content_digest_vectors_of_rfc_9530():
    assert content_digest(b'{"hello": "world"}\n') == (
        "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
    )
    check_content_digest(HEADERS["Content-Digest"], BODY)
    digest = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    check_content_digest(f"md5=:AAAA:, sha-256=:{digest}:", BODY)
    for value in (
        content_digest(b"other"),
        f"sha-256=:{digest}:, sha-512=:AAAA:",
        "md5=:AAAA:",
        "sha-256=AAAA",
        "sha-256=:A:",
        f"sha-256=:{digest}:, sha-256=:{digest}:",
        "",
    ):
        with pytest.raises(VerificationError):
            check_content_digest(value, BODY)


def test_key_ids():
    """RFC 8037, appendix A.3: the thumbprint of an Ed25519 key."""
    seed = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    public = base64.urlsafe_b64decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    private = "whsk_" + base64.b64encode(seed + public).decode()
    thumbprint = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert key_id_of(private) == thumbprint
    assert key_id_of("whpk_" + base64.b64encode(public).decode()) == thumbprint
    first, second = generate_secret(), generate_secret()
    assert key_id_of(first) == key_id_of(first) != key_id_of(second)
    assert key_id_of(first).startswith("hub-")
    with pytest.raises(VerificationError):
        key_id_of("hunter2")


def test_public_keys():
    assert public_key_of(PRIVATE) == PUBLIC
    assert public_key_pem(PRIVATE) == public_key_pem(PUBLIC) == ED25519_PUBLIC_PEM
    for secret in (PUBLIC, SHARED, "", "whsk_AAAA"):
        with pytest.raises(VerificationError):
            public_key_of(secret)


# === THE OTHER SIDE === #


class Request:
    """What the reference package reads."""

    def __init__(self, method, url, headers, body):
        self.method, self.url, self.headers, self.body = method, url, headers, body


class Keys(hms.HTTPSignatureKeyResolver):
    def __init__(self, key):
        self.key = key

    def resolve_public_key(self, _key_id):
        return self.key

    resolve_private_key = resolve_public_key


ALGORITHMS = {
    "hmac": (hms.algorithms.HMAC_SHA256, SHARED, base64.b64decode(SHARED[6:]), SHARED),
    "ed25519": (hms.algorithms.ED25519, PRIVATE, ED25519_PUBLIC_PEM.encode(), PUBLIC),
}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_reference_package_verifies_what_we_sign(name):
    algorithm, secret, key, _public = ALGORITHMS[name]
    sent = {"Content-Type": "application/json", "User-Agent": "finance-hub/1"}
    sent |= MessageSigner([("key-1", secret)]).sign_request(
        "POST", URL, "msg_1", NOW, BODY, sent
    )
    verifier = hms.HTTPMessageVerifier(
        signature_algorithm=algorithm, key_resolver=Keys(key)
    )
    results = verifier.verify(Request("POST", URL, sent, BODY), body=BODY)
    covered = {name.strip('"') for name in results[0].covered_components}
    assert covered >= {
        "@method",
        "@target-uri",
        "content-digest",
        "content-type",
        "webhook-id",
    }
    assert results[0].parameters["keyid"] == "key-1"
    for changed in (
        Request("PUT", URL, sent, BODY),
        Request("POST", URL + "x", sent, BODY),
        Request("POST", URL, {**sent, "Content-Type": "text/plain"}, BODY),
        Request("POST", URL, {**sent, "webhook-id": "msg_2"}, BODY),
        Request("POST", URL, sent, BODY + b" "),
    ):
        with pytest.raises(hms.InvalidSignature):
            verifier.verify(changed, body=changed.body)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_we_verify_what_the_reference_package_signs(name):
    algorithm, _secret, key, public = ALGORITHMS[name]
    # The package asks the system's clock, maybe long after this file was loaded.
    now = datetime.now(UTC).timestamp()
    if name == "ed25519":
        key = ED25519_PRIVATE_PEM
    request = Request("POST", URL, {"Content-Type": "application/json"}, BODY)
    signer = hms.HTTPMessageSigner(
        signature_algorithm=algorithm, key_resolver=Keys(key)
    )
    signer.sign(
        request,
        key_id="theirs",
        covered_component_ids=("@method", "@target-uri", "content-type"),
        body=BODY,
    )
    verified = verify_request(
        {"ours": generate_secret(), "theirs": public},
        "POST",
        URL,
        request.headers,
        BODY,
        now,
    )
    assert verified.key_id == "theirs"
    with pytest.raises(VerificationError):
        verify_request({"theirs": public}, "POST", URL, request.headers, b"x", now)
    with pytest.raises(VerificationError):
        verify_request({"ours": public}, "POST", URL, request.headers, BODY, now)


@pytest.mark.parametrize("number", [0, 1])
def test_during_a_rotation_both_keys_verify(number):
    pairs = [generate_key_pair() for _ in range(2)]
    signer = MessageSigner([(key_id_of(private), private) for private, _ in pairs])
    sent = signer.sign_request("POST", URL, "msg_1", NOW, BODY, {})
    assert sent["Signature"].startswith("sig1=:") and ", sig2=:" in sent["Signature"]
    public = pairs[number][1]
    verified = verify_request({key_id_of(public): public}, "POST", URL, sent, BODY, NOW)
    assert verified.label == f"sig{number + 1}"
    verifier = hms.HTTPMessageVerifier(
        signature_algorithm=hms.algorithms.ED25519,
        key_resolver=Keys(public_key_pem(public).encode()),
    )
    verifier.allow_label_only_selection = True
    with pytest.warns(hms.signatures.SignatureVerifyWarning):
        verifier.verify(
            Request("POST", URL, sent, BODY),
            expect_label=f"sig{number + 1}",
            body=BODY,
        )


# === SIGNING === #


def test_both_signers_are_called_alike():
    sent = {"Content-Type": "application/json"}
    arguments = ("POST", URL, "msg_1", NOW, BODY, sent)
    standard = Signer([SHARED, PRIVATE])
    assert standard.sign_request(*arguments) == standard.sign_headers(
        "msg_1", NOW, BODY
    )
    added = MessageSigner([("k", SHARED)]).sign_request(*arguments)
    assert set(added) == {
        "webhook-id",
        "Content-Digest",
        "Signature-Input",
        "Signature",
    }
    assert sent == {"Content-Type": "application/json"}, "never changed"
    assert "key" in repr(MessageSigner([("k", SHARED)]))
    assert SHARED not in repr(MessageSigner([("k", SHARED)]))


def test_covers_what_is_there():
    signer = MessageSigner([("k", SHARED)])
    bare = signer.sign_request("POST", URL, "m", NOW, BODY, {})
    assert bare["Signature-Input"] == (
        'sig1=("@method" "@target-uri" "content-digest" "webhook-id")'
        f';created={NOW};keyid="k";alg="hmac-sha256"'
    )


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ([], "bad_secret"),
        ([("k", "hunter2")], "bad_secret"),
        ([("k", PUBLIC)], "bad_secret"),
        ([("k", None)], "bad_secret"),
        ([("", SHARED)], "bad_key_id"),
        ([('k"', SHARED)], "bad_key_id"),
        ([("k\\", SHARED)], "bad_key_id"),
        ([("k\r\nX: y", SHARED)], "bad_key_id"),
        ([("ä", SHARED)], "bad_key_id"),
        ([("k" * 129, SHARED)], "bad_key_id"),
        ([(None, SHARED)], "bad_key_id"),
    ],
)
def test_refused_keys(keys, code):
    with pytest.raises(VerificationError) as caught:
        MessageSigner(keys)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "post"},
        {"method": "POST\n"},
        {"url": "https://example.com/ä"},
        {"message_id": "a b"},
        {"timestamp": "1"},
        {"timestamp": -1},
        {"timestamp": True},
        {"headers": {"Content-Type": "a\r\nb"}},
        {"headers": {"Content-Type": "ä"}},
    ],
)
def test_refused_requests(changes):
    arguments = {
        "method": "POST",
        "url": URL,
        "message_id": "m",
        "timestamp": NOW,
        "body": BODY,
        "headers": {},
        **changes,
    }
    with pytest.raises(VerificationError):
        MessageSigner([("k", SHARED)]).sign_request(**arguments)


# === VERIFICATION === #


def signed(created=NOW, body=BODY, secret=SHARED, **options):
    signer = MessageSigner([("k", secret)], **options)
    return signer.sign_request("POST", URL, "m", created, body, {})


def refused(code, sent, keys=None, now=NOW, body=BODY, **kwargs):
    with pytest.raises(VerificationError) as caught:
        verify_request(
            {"k": SHARED} if keys is None else keys,
            "POST",
            URL,
            sent,
            body,
            now,
            **kwargs,
        )
    assert caught.value.code == code
    assert caught.value.message.endswith(".")


def test_time():
    assert verify_request({"k": SHARED}, "POST", URL, signed(), BODY, NOW + 300)
    assert verify_request({"k": SHARED}, "POST", URL, signed(), BODY, NOW - 300)
    refused("timestamp_too_old", signed(), now=NOW + 301)
    refused("timestamp_too_new", signed(), now=NOW - 301)


def test_what_is_not_covered_is_not_accepted():
    for components in (
        ("@method", "@target-uri"),
        ("content-digest",),
        ("@target-uri", "content-digest"),
    ):
        refused("malformed_header", signed(components=components))


def test_no_or_wrong_keys():
    refused("bad_secret", signed(), keys={})
    refused("bad_secret", signed(), keys={"k": "hunter2"})
    refused("bad_secret", signed(), keys={"k": PRIVATE})
    refused("no_matching_signature", signed(), keys={"k": generate_secret()})
    refused("no_matching_signature", signed(), keys={"other": SHARED})
    refused("malformed_header", signed(), keys={"k": PUBLIC})


def test_a_key_serves_its_own_algorithm_only():
    """A public key is public: as a shared secret it would be no secret at all."""
    as_secret = "whsec_" + PUBLIC.removeprefix("whpk_")
    refused(
        "no_matching_signature",
        signed(secret=as_secret, name_algorithm=False),
        keys={"k": PUBLIC},
    )


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("Signature", None, "missing_header"),
        ("Signature-Input", None, "missing_header"),
        ("Content-Digest", None, "missing_header"),
        ("Content-Digest", content_digest(b"x"), "no_matching_signature"),
        ("Signature", "sig1", "malformed_header"),
        ("Signature", "sig1=:AAAA", "malformed_header"),
        ("Signature", "sig1=AAAA", "malformed_header"),
        ("Signature", "sig1=:AAAB:", "no_matching_signature"),
        ("Signature", "sig1=:AB==:", "malformed_header"),
        ("Signature", "sig2=:AAAA:", "no_matching_signature"),
        ("Signature", "sig1=:AAAA:, sig1=:AAAA:", "malformed_header"),
        ("Signature", "sig1=:AAAA:,", "malformed_header"),
        ("Signature", "x" * 9000, "malformed_header"),
        ("Signature", "ü", "malformed_header"),
        ("Signature-Input", 'sig1=("@method"', "malformed_header"),
        ("Signature-Input", "sig1=(@method)", "malformed_header"),
        ("Signature-Input", "sig1=()", "no_matching_signature"),
        ("Signature-Input", 'sig1=();keyid="k"', "malformed_header"),
        ("Signature-Input", "sig1=1", "malformed_header"),
    ],
)
def test_mangled_headers(name, value, code):
    sent = signed()
    if value is None:
        del sent[name]
    else:
        sent[name] = value
    refused(code, sent)


def test_two_different_values_of_one_header():
    sent = signed()
    refused("malformed_header", {**sent, "signature": "sig1=:AAAA:"})


def test_expired():
    sent = signed()
    parameters = sent["Signature-Input"].partition("=")[2] + f";expires={NOW - 1}"
    base = signature_base(
        ("@method", "@target-uri", "content-digest", "webhook-id"),
        parameters,
        "POST",
        URL,
        sent,
    )
    raw = hmac.digest(base64.b64decode(SHARED[6:]), base, "sha256")
    sent["Signature-Input"] = f"sig1={parameters}"
    sent["Signature"] = f"sig1=:{base64.b64encode(raw).decode()}:"
    refused("timestamp_too_old", sent)
    assert verify_request({"k": SHARED}, "POST", URL, sent, BODY, NOW - 10)


@given(
    st.text(max_size=120),
    st.text(max_size=80),
    st.sampled_from(["Signature", "Signature-Input", "Content-Digest"]),
)
def test_raises_nothing_else(text, other, name):
    for value in (text, f'sig1=("@method" {text});keyid="k"{other}', f"sig1=:{text}:"):
        with pytest.raises(VerificationError):
            verify_request(
                {"k": SHARED}, "POST", URL, {**signed(), name: value}, BODY, NOW
            )
