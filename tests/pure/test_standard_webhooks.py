# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import base64
import json
from datetime import UTC, datetime

import pytest
import standardwebhooks
import svix
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from finance_hub.signing import (
    Signer,
    VerificationError,
    generate_key_pair,
    generate_secret,
    sign,
    sign_headers,
    verify,
)
from hypothesis import given
from hypothesis import strategies as st

# The vectors of the specification.
MESSAGE_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIMESTAMP = 1614265330
BODY = b'{"test": 2432232314}'
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
PRIVATE = (
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9l"
    "MicMFs6Kvg=="
)
PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
SIGNATURE_A = (
    "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8"
    "EM+m7TBAg=="
)

OTHER = generate_secret()


def headers(signature=SIGNATURE, **changes):
    values = {
        "webhook-id": MESSAGE_ID,
        "webhook-timestamp": str(TIMESTAMP),
        "webhook-signature": signature,
    }
    values.update({name.replace("_", "-"): value for name, value in changes.items()})
    return {name: value for name, value in values.items() if value is not None}


def refused(code, *args, **kwargs):
    with pytest.raises(VerificationError) as caught:
        verify(*args, **kwargs)
    assert caught.value.code == code
    assert caught.value.message == str(caught.value)
    assert caught.value.message.endswith(".")


# === VECTORS === #


def test_symmetric_vector():
    assert sign(SECRET, MESSAGE_ID, TIMESTAMP, BODY) == SIGNATURE
    verified = verify([SECRET], headers(), BODY, TIMESTAMP)
    assert (verified.message_id, verified.timestamp) == (MESSAGE_ID, TIMESTAMP)


def test_asymmetric_vector():
    assert sign(PRIVATE, MESSAGE_ID, TIMESTAMP, BODY) == SIGNATURE_A
    assert verify([PUBLIC], headers(SIGNATURE_A), BODY, TIMESTAMP)


def test_signer_gives_what_sign_gives():
    signer = Signer([SECRET, PRIVATE])
    expected = headers(f"{SIGNATURE} {SIGNATURE_A}")
    assert signer.sign_headers(MESSAGE_ID, TIMESTAMP, BODY) == expected
    assert sign_headers([SECRET, PRIVATE], MESSAGE_ID, TIMESTAMP, BODY) == expected
    assert SECRET not in repr(signer)


# === THE OTHER SIDE === #


def test_the_reference_package_verifies_what_we_sign():
    secret = generate_secret()
    now = int(datetime.now(UTC).timestamp())
    sent = sign_headers([OTHER, secret], "msg_1", now, BODY)
    assert standardwebhooks.Webhook(secret).verify(BODY, sent) == json.loads(BODY)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(generate_secret()).verify(BODY, sent)


def test_the_packages_of_svix_verify_what_we_sign():
    """Neither package knows v1a; both look past it, so both schemes can go together."""
    secret = generate_secret()
    private, public = generate_key_pair()
    now = int(datetime.now(UTC).timestamp())
    sent = Signer([private, OTHER, secret]).sign_request(
        "POST", "https://example.com/", "msg_1", now, BODY, {}
    )
    assert sent["webhook-signature"].startswith("v1a,")
    for package in (svix.webhooks, standardwebhooks):
        package.Webhook(secret).verify(BODY, sent)
        for changed in ({"webhook-id": "msg_2"}, {"webhook-timestamp": str(now - 600)}):
            with pytest.raises(package.WebhookVerificationError):
                package.Webhook(secret).verify(BODY, {**sent, **changed})
        with pytest.raises(package.WebhookVerificationError):
            package.Webhook(secret).verify(BODY + b" ", sent)
        with pytest.raises(package.WebhookVerificationError):
            package.Webhook(generate_secret()).verify(BODY, sent)
    assert verify([public], sent, BODY, now)


def test_a_public_key_is_all_the_receiver_needs():
    """Checked with nothing of ours: the bytes of the specification and Ed25519."""
    private, public = generate_key_pair()
    sent = Signer([private]).sign_headers("msg_1", TIMESTAMP, BODY)
    key = Ed25519PublicKey.from_public_bytes(
        base64.b64decode(public.removeprefix("whpk_"))
    )
    signature = base64.b64decode(sent["webhook-signature"].removeprefix("v1a,"))
    key.verify(signature, b"msg_1.%d.%b" % (TIMESTAMP, BODY))


def test_we_verify_what_the_reference_package_signs():
    secret = generate_secret()
    moment = datetime.fromtimestamp(TIMESTAMP, UTC)
    signature = standardwebhooks.Webhook(secret).sign(MESSAGE_ID, moment, BODY.decode())
    assert verify([secret], headers(signature), BODY, TIMESTAMP)
    refused("no_matching_signature", [OTHER], headers(signature), BODY, TIMESTAMP)


# === ROTATION AND NAMES === #


def test_any_secret_and_any_signature_may_match():
    both = headers(f"v1,AAAA v2,zzz {SIGNATURE_A} {SIGNATURE}")
    assert verify([OTHER, SECRET], both, BODY, TIMESTAMP)
    assert verify([PUBLIC], both, BODY, TIMESTAMP)
    refused("no_matching_signature", [OTHER], both, BODY, TIMESTAMP)


def test_a_scheme_is_not_taken_for_another():
    swapped = headers("v1a," + SIGNATURE.partition(",")[2])
    refused("no_matching_signature", [SECRET, PUBLIC], swapped, BODY, TIMESTAMP)


@pytest.mark.parametrize(
    "names",
    [
        ("Webhook-Id", "WEBHOOK-TIMESTAMP", "webhook-Signature"),
        ("svix-id", "svix-timestamp", "svix-signature"),
        ("Svix-Id", "Svix-Timestamp", "Svix-Signature"),
    ],
)
def test_header_names(names):
    sent = dict(zip(names, (MESSAGE_ID, str(TIMESTAMP), SIGNATURE), strict=True))
    assert verify([SECRET], sent, BODY, TIMESTAMP)


def test_header_families_are_not_mixed():
    sent = {
        "webhook-id": MESSAGE_ID,
        "svix-timestamp": str(TIMESTAMP),
        "svix-signature": SIGNATURE,
    }
    refused("missing_header", [SECRET], sent, BODY, TIMESTAMP)


def test_two_values_of_one_header_are_refused():
    sent = {**headers(), "Webhook-Id": "msg_other"}
    refused("malformed_header", [SECRET], sent, BODY, TIMESTAMP)


# === REFUSALS === #


@pytest.mark.parametrize(
    "name", ["webhook-id", "webhook-timestamp", "webhook-signature"]
)
def test_missing_header(name):
    refused("missing_header", [SECRET], {**headers(), name: ""}, BODY, TIMESTAMP)
    sent = headers()
    del sent[name]
    refused("missing_header", [SECRET], sent, BODY, TIMESTAMP)


@pytest.mark.parametrize(
    "value", ["x", "-1", "1e9", "1614265330.0", " 1 2", "01614265330", "9" * 40, "١٢٣"]
)
def test_malformed_timestamp(value):
    sent = headers(webhook_timestamp=value)
    refused("malformed_header", [SECRET], sent, BODY, TIMESTAMP)


@pytest.mark.parametrize("value", ["a" * 257, "a\x00b", "a b", "é", "a\nb"])
def test_malformed_message_id(value):
    refused("malformed_header", [SECRET], headers(webhook_id=value), BODY, TIMESTAMP)
    with pytest.raises(VerificationError) as caught:
        sign(SECRET, value, TIMESTAMP, BODY)
    assert caught.value.code == "malformed_header"


@pytest.mark.parametrize("timestamp", [-1, 1.5, True, 10**40, "1614265330"])
def test_malformed_timestamp_to_sign(timestamp):
    with pytest.raises(VerificationError):
        sign(SECRET, MESSAGE_ID, timestamp, BODY)


def test_tolerance_is_both_ways_and_its_end_is_inside():
    for distance in (-300, 0, 300):
        assert verify([SECRET], headers(), BODY, TIMESTAMP + distance)
    refused("timestamp_too_old", [SECRET], headers(), BODY, TIMESTAMP + 300.5)
    refused("timestamp_too_new", [SECRET], headers(), BODY, TIMESTAMP - 300.5)
    assert verify([SECRET], headers(), BODY, TIMESTAMP + 900, tolerance=900)


@pytest.mark.parametrize("value", ["v1", "garbage", "v1 v1a", "x" * 9000 + ",y"])
def test_malformed_signature_header(value):
    sent = headers(webhook_signature=value)
    refused("malformed_header", [SECRET], sent, BODY, TIMESTAMP)


@pytest.mark.parametrize(
    "secrets",
    [
        [],
        [""],
        [None],
        ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        ["whsec_"],
        ["whsec_!!!!"],
        ["whsec_" + base64.b64encode(b"x" * 23).decode()],
        ["whsec_" + base64.b64encode(b"x" * 65).decode()],
        ["whpk_" + base64.b64encode(b"x" * 31).decode()],
        ["whsec_é"],
        [PRIVATE],
        [SECRET, "whsec_zz"],
    ],
)
def test_without_good_secrets_nothing_is_accepted(secrets):
    refused("bad_secret", secrets, headers(), BODY, TIMESTAMP)


def test_secrets_to_sign_with():
    for secret in ("", PUBLIC, "whsk_AAAA", PRIVATE[:-4] + "AA==", "whsec_AAAA"):
        with pytest.raises(VerificationError) as caught:
            Signer([secret])
        assert caught.value.code == "bad_secret"
        assert not secret or secret not in caught.value.message
    with pytest.raises(VerificationError):
        Signer([])


def test_only_one_spelling_of_a_signature_is_valid():
    # The last character before the padding has spare bits.
    loose = SIGNATURE_A[:-3] + "h=="
    assert base64.b64decode(loose[4:]) == base64.b64decode(SIGNATURE_A[4:])
    refused("no_matching_signature", [PUBLIC], headers(loose), BODY, TIMESTAMP)


# === PROPERTIES === #

ids = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1)
times = st.integers(0, 10**11 - 1)


@given(ids, times, st.binary())
def test_roundtrip(message_id, timestamp, body):
    secret = generate_secret()
    private, public = generate_key_pair()
    sent = sign_headers([secret, private], message_id, timestamp, body)
    for key in (secret, public):
        verified = verify([key], sent, body, timestamp)
        assert (verified.message_id, verified.timestamp) == (message_id, timestamp)


@given(st.data())
def test_changing_any_byte_is_noticed(data):
    private, public = generate_key_pair()
    secret, key = data.draw(st.sampled_from([(SECRET, SECRET), (private, public)]))
    message_id = data.draw(ids)
    body = data.draw(st.binary(min_size=1))
    sent = sign_headers([secret], message_id, TIMESTAMP, body)
    part = data.draw(
        st.sampled_from(
            ["body", "webhook-id", "webhook-timestamp", "webhook-signature"]
        )
    )
    original = body if part == "body" else sent[part].encode()
    place = data.draw(st.integers(0, len(original) - 1))
    byte = data.draw(st.integers(0x21, 0x7E).filter(lambda b: b != original[place]))
    changed = original[:place] + bytes([byte]) + original[place + 1 :]
    if part == "body":
        body = changed
    else:
        sent[part] = changed.decode()
    with pytest.raises(VerificationError):
        verify([key], sent, body, TIMESTAMP)


values = st.one_of(
    st.text(max_size=40), st.binary(max_size=40), st.integers(), st.none()
)
names = st.one_of(
    st.sampled_from(
        ["webhook-id", "Webhook-Timestamp", "webhook-signature", "svix-id", b"svix-id"]
    ),
    st.text(max_size=10),
    st.integers(),
)


@given(
    st.dictionaries(names, values, max_size=6),
    st.binary(max_size=60),
    st.floats(0, 4e9),
    st.lists(st.one_of(st.text(max_size=30), st.sampled_from([SECRET, PUBLIC]))),
)
def test_verify_raises_nothing_else(headers, body, now, secrets):
    with pytest.raises(VerificationError):
        verify(secrets, headers, body, now)


@given(st.binary(max_size=60), st.text(max_size=80))
def test_verify_raises_nothing_else_beyond_the_headers(body, signature):
    sent = headers(webhook_signature=f"v1,{signature} v1a,{signature}")
    with pytest.raises(VerificationError):
        verify([SECRET, PUBLIC], sent, body, TIMESTAMP)
