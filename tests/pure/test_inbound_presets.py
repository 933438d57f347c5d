# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Every inbound preset: who it lets in, and that it lets nobody else in."""

import base64
import dataclasses
import json
import random
import string
from urllib.parse import quote

import gocardless_pro.webhooks
import pytest
import stripe
from finance_hub.signing import (
    PRESETS,
    Call,
    Settings,
    VerificationError,
    generate_key_pair,
)
from finance_hub.signing import constants as const
from finance_hub.transport import parse_networks
from hypothesis import given
from hypothesis import strategies as st
from inbound_calls import (
    ADYEN_KEY,
    BODY,
    MAKERS,
    NOW,
    TEXT_SECRET,
    adyen_body,
    adyen_item,
    b64,
    documents,
    mac,
)

GOOD = {name: make() for name, make in MAKERS.items()}
every = pytest.mark.parametrize("name", GOOD)


def verify(good, call=None, secrets=None, now=NOW, settings=None):
    return PRESETS[good.preset].verify(
        good.secrets if secrets is None else secrets,
        call or good.call(),
        now,
        settings or good.settings,
        documents(),
    )


def refused(good, *codes, **kwargs):
    with pytest.raises(VerificationError) as caught:
        verify(good, **kwargs)
    error = caught.value
    assert not codes or error.code in codes, (error.code, error.message)
    assert error.message.endswith("."), error.message
    for secret in good.secrets:
        if not PRESETS[good.preset].public:
            assert secret not in error.message
    return error


def test_every_preset_has_a_good_call():
    assert {good.preset for good in GOOD.values()} == set(PRESETS)


# === WHAT HOLDS FOR ALL === #


@every
def test_good(name):
    good = GOOD[name]
    proof = verify(good)
    assert proof.secret == 0
    assert verify(good, secrets=good.secrets[:1]).secret == 0


@every
def test_header_names_are_case_insensitive(name):
    good = GOOD[name]
    for change in (str.lower, str.upper):
        headers = {change(key): value for key, value in good.headers.items()}
        assert verify(good, good.call(headers)).secret == 0


@every
def test_headers_may_be_bytes(name):
    good = GOOD[name]
    headers = {
        key.encode(): value.encode("latin-1") for key, value in good.headers.items()
    }
    assert verify(good, good.call(headers)).secret == 0


@every
def test_both_secrets_count_while_they_are_rotated(name):
    good = GOOD[name]
    old = good.call(good.old, good.old_body)
    assert verify(good, old).secret == 1
    # After the overlap the old one counts no more.
    refused(good, call=old, secrets=good.secrets[:1])
    # And an old one on the way back is the newest again.
    assert verify(good, old, secrets=good.secrets[::-1]).secret == 0


@every
@pytest.mark.parametrize("secrets", [[], (), [""], [None]], ids=str)
def test_without_a_secret_nothing_is_accepted(name, secrets):
    refused(GOOD[name], "bad_secret", secrets=secrets)


@every
def test_without_headers_nothing_is_accepted(name):
    good = GOOD[name]
    if not good.headers:
        return
    refused(good, "missing_header", call=good.call({}))
    for missing in good.headers:
        rest = {key: value for key, value in good.headers.items() if key != missing}
        refused(good, call=good.call(rest))
        refused(good, call=good.call({**good.headers, missing: " "}))


@every
def test_headers_that_contradict_each_other(name):
    good = GOOD[name]
    for key in good.headers:
        twice = {**good.headers, key.swapcase(): "something else"}
        refused(good, "malformed_header", call=good.call(twice))
        # Said twice the same way is no contradiction.
        same = {**good.headers, key.swapcase(): good.headers[key]}
        assert verify(good, good.call(same)).secret == 0


@every
def test_other_secrets_do_not_fit(name):
    good, other = GOOD[name], MAKERS[name]()
    if name in ("jwt", "paypal", "adyen", "adyen_platform"):
        secrets = {
            "jwt": ["https://login.example.com/other.json"],
            "paypal": ["0AA000000A000000A"],
        }.get(name, ["00" * 32])
    elif other.secrets == good.secrets:
        secrets = [secret[:-1] + "!" for secret in good.secrets]
        if name in ("standard",):
            secrets = ["whsec_" + "C" * 32]
    else:
        secrets = other.secrets
    refused(good, secrets=secrets)


@every
def test_too_many_headers(name):
    good = GOOD[name]
    many = {f"X-{number}": "x" for number in range(const.HEADERS_MAX_COUNT)}
    if name in ("adyen", "standard", "message_signatures"):
        # The first looks at no header, the others bound what they look at.
        return
    refused(good, "malformed_header", call=good.call({**good.headers, **many}))


@every
def test_long_and_odd_headers(name):
    good = GOOD[name]
    for key in good.headers:
        for value in ("x" * 100_000, "ä", "\x00", "=,;", "1" * 5_000, "-1", "v1=,t="):
            refused(good, call=good.call({**good.headers, key: value}))


def flip(text, position, bit):
    raw = bytearray(text.encode("latin-1"))
    raw[position % len(raw)] ^= 1 << bit
    return raw.decode("latin-1")


@every
@given(st.integers(0, 2**16), st.integers(0, 7))
def test_any_flipped_bit_of_the_body(name, position, bit):
    good = GOOD[name]
    if not good.body_signed:
        return
    body = bytearray(good.body)
    body[position % len(body)] ^= 1 << bit
    refused(good, call=good.call(body=bytes(body)))


@every
@given(st.data(), st.integers(0, 2**16), st.integers(0, 7))
def test_any_flipped_bit_of_a_header(name, data, position, bit):
    good = GOOD[name]
    if not good.signed:
        return
    key = data.draw(st.sampled_from(good.signed))
    changed = flip(good.headers[key], position, bit)
    # Blanks around a value are no part of it.
    if changed.strip(" \t") == good.headers[key]:
        return
    refused(good, call=good.call({**good.headers, key: changed}))


@pytest.mark.parametrize("name", ["basic", "bearer", "jwt"])
@given(st.integers(0, 2**16), st.integers(0, 7))
def test_any_flipped_bit_of_a_token(name, position, bit):
    good = GOOD[name]
    scheme, _blank, rest = good.headers["Authorization"].partition(" ")
    changed = flip(rest, position, bit)
    if changed.strip(" \t") == rest:
        return
    refused(good, call=good.call({"Authorization": f"{scheme} {changed}"}))


@pytest.mark.parametrize("position", range(7 + 32 * 8))
def test_any_flipped_bit_of_an_rfc_9421_signature(position):
    good = GOOD["message_signatures"]
    label, _equals, encoded = good.headers["Signature"].partition("=")
    raw = bytearray(base64.b64decode(encoded.strip(":")))
    raw[position % len(raw)] ^= 1 << (position // len(raw))
    headers = {**good.headers, "Signature": f"{label}=:{b64(bytes(raw))}:"}
    refused(good, call=good.call(headers))


NAMES = sorted({key for good in GOOD.values() for key in good.headers})
VALUES = st.one_of(
    st.sampled_from(
        [value for good in GOOD.values() for value in good.headers.values()]
    ),
    st.text(max_size=200),
    st.text(string.printable, max_size=200),
    st.binary(max_size=200),
    st.integers(),
)


@every
@given(
    st.dictionaries(st.one_of(st.sampled_from(NAMES), st.text()), VALUES, max_size=9),
    st.one_of(
        st.binary(max_size=300),
        st.sampled_from([good.body for good in GOOD.values()]),
    ),
    st.one_of(st.none(), st.text(max_size=40)),
)
def test_nothing_but_a_refusal(name, headers, body, peer):
    """Whatever comes: a proof or a VerificationError, and no proof by chance."""
    good = GOOD[name]
    call = Call(headers, body, "POST", "https://hub.example.com/x", peer)
    try:
        verify(good, call)
    except VerificationError as error:
        assert error.code and error.message
    else:
        lowered = {
            (key if isinstance(key, str) else key.decode("latin-1")).lower(): value
            for key, value in headers.items()
        }
        known = [good.headers, good.old]
        assert any(
            all(
                str(lowered.get(key.lower())).strip() == value
                for key, value in one.items()
            )
            for one in known
        )


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(JSON, st.sampled_from(["whole", "item", "amount", "additionalData", "value"]))
def test_hostile_json_for_adyen(value, where):
    good = GOOD["adyen"]
    item = adyen_item()
    if where == "amount":
        item["amount"] = value
    elif where == "additionalData":
        item["additionalData"] = value
    elif where == "value":
        item["pspReference"] = value
    content = {"notificationItems": [{"NotificationRequestItem": item}]}
    if where == "whole":
        content = value
    elif where == "item":
        content = {"notificationItems": [{"NotificationRequestItem": value}]}
    refused(good, call=good.call(body=json.dumps(content).encode()))


# === TIME === #


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("standard", 300, 300),
        ("stripe", 300, 300),
        ("message_signatures", 300, 300),
        ("generic_hmac", 60, 60),
        ("generic_ed25519", 300, 300),
        ("paypal", 3 * 86400 + 300, 300),
    ],
)
def test_tolerance_both_ways(name, before, after):
    good = GOOD[name]
    verify(good, now=NOW + before)
    verify(good, now=NOW - after + 1)
    old = refused(good, "timestamp_too_old", now=NOW + before + 2)
    new = refused(good, "timestamp_too_new", now=NOW - after - 2)
    # What was good once is told from what never was; of PayPal nothing is fetched for
    # it, so there it is not known.
    assert (old.authentic, new.authentic) == (name != "paypal",) * 2
    changed = good.call(body=good.body + b" ")
    assert not refused(good, call=changed, now=NOW + before + 2).authentic


# === STRIPE === #


def test_stripes_own_package_agrees():
    good = GOOD["stripe"]
    header = good.headers["Stripe-Signature"]
    assert stripe.WebhookSignature.verify_header(BODY, header, good.secrets[0])
    content = f"{NOW}.{BODY.decode()}"
    made = stripe.WebhookSignature._compute_signature(content, good.secrets[0])
    headers = {"Stripe-Signature": f"t={NOW},v1={made}"}
    assert verify(good, good.call(headers)).timestamp == NOW


def test_stripe_rolls_a_secret():
    good = GOOD["stripe"]
    both = good.make(*good.secrets)
    for secret in good.secrets:
        verify(good, good.call(both), secrets=[secret])


@pytest.mark.parametrize("position", range(64))
def test_any_flipped_digit_of_stripe(position):
    good = GOOD["stripe"]
    header = good.make(good.secrets[0])["Stripe-Signature"]
    start = header.index("v1=") + 3 + position
    for bit in range(8):
        changed = flip(header, start, bit)
        refused(good, call=good.call({"Stripe-Signature": changed}))


@pytest.mark.parametrize(
    "header",
    [
        "t={t}",
        "v1={v}",
        "t={t},t={t},v1={v}",
        "t=+{t},v1={v}",
        "t=0{t},v1={v}",
        "t={t},v0={v}",
        "t={t},v1={v} ",
        "t={t}, v1={v}",
        "t={t},v1=" + "{v},v1=" * 40 + "{v}",
        "{t},{v}",
        ",,,===",
    ],
)
def test_malformed_stripe_headers(header):
    good = GOOD["stripe"]
    signature = mac(good.secrets[0], b"%d.%b" % (NOW, BODY)).hex()
    text = header.format(t=NOW, v=signature)
    if text.endswith(" "):
        verify(good, good.call({"Stripe-Signature": text}))
    else:
        refused(good, "malformed_header", call=good.call({"Stripe-Signature": text}))


# === ADYEN === #


def test_adyens_published_vector():
    signature = "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0="
    item = adyen_item()
    assert item["additionalData"]["hmacSignature"] == signature
    good = GOOD["adyen"]
    verify(good, good.call(body=adyen_body(item)), secrets=[ADYEN_KEY])


@pytest.mark.parametrize(
    "name",
    [
        "pspReference",
        "merchantAccountCode",
        "merchantReference",
        "eventCode",
        "success",
        "originalReference",
    ],
)
def test_every_signed_value_of_adyen_counts(name):
    good = GOOD["adyen"]
    item = adyen_item(originalReference="first")
    for value in (item[name] + "x", "", None, 1, [item[name]], {"a": 1}):
        changed = {**item, name: value}
        refused(good, call=good.call(body=adyen_body(changed)))


def test_amounts_of_adyen_count():
    good = GOOD["adyen"]
    item = adyen_item()
    for amount in (
        {"value": 1131, "currency": "EUR"},
        {"value": 1130, "currency": "USD"},
        {"value": 1130.0, "currency": "EUR"},
        {"currency": "EUR"},
        [],
        None,
    ):
        refused(good, call=good.call(body=adyen_body({**item, "amount": amount})))


def test_every_item_of_adyen_has_to_verify():
    good = GOOD["adyen"]
    right, wrong = adyen_item(), adyen_item("00" * 32)
    unsigned = {**right, "additionalData": {}}
    for items in ((right, wrong), (wrong, right), (wrong,)):
        refused(good, "no_matching_signature", call=good.call(body=adyen_body(*items)))
    for items in ((right, unsigned), (unsigned,)):
        refused(good, "missing_header", call=good.call(body=adyen_body(*items)))
    refused(good, "malformed_body", call=good.call(body=adyen_body()))


def test_colons_cannot_be_moved_between_the_values_of_adyen():
    good = GOOD["adyen"]
    item = adyen_item(merchantReference="shop:order:7")
    verify(good, good.call(body=adyen_body(item)))
    for changed in (
        {
            **item,
            "merchantAccountCode": "TestMerchant:shop",
            "merchantReference": "order:7",
        },
        {**item, "originalReference": ":TestMerchant", "merchantAccountCode": "shop"},
        {
            **item,
            "amount": {"value": "7:1130", "currency": "EUR"},
            "merchantReference": "shop:order",
        },
    ):
        refused(good, "malformed_body", call=good.call(body=adyen_body(changed)))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"notificationItems": {}}',
        b'{"notificationItems": [[]]}',
        b'{"notificationItems": [{"NotificationRequestItem": []}]}',
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b'{"notificationItems": [], "notificationItems": []}',
        b'{"x": ' + b"9" * 10_000 + b"}",
        b"\xff\xfe",
    ],
    ids=lambda body: str(body[:30]),
)
def test_bodies_that_are_none_of_adyens(body):
    good = GOOD["adyen"]
    refused(good, "malformed_body", call=good.call(body=body))


def test_values_of_adyen_named_twice():
    """Another reader might take the other one."""
    good = GOOD["adyen"]
    body = adyen_body(adyen_item())
    twice = body.replace(b'"success": "true"', b'"success": "false", "success": "true"')
    assert twice != body
    refused(good, "malformed_body", call=good.call(body=twice))


# === OTHER PROVIDERS === #


def test_githubs_published_vector():
    digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = {"X-Hub-Signature-256": f"sha256={digest}"}
    call = Call(headers, b"Hello, World!")
    PRESETS["github"].verify([TEXT_SECRET], call, NOW)


def test_the_prefix_belongs_to_it():
    good = GOOD["github"]
    digest = good.headers["X-Hub-Signature-256"].removeprefix("sha256=")
    for value in (digest, f"sha1={digest}", f"SHA256={digest}", f"sha256= {digest}"):
        refused(good, call=good.call({"X-Hub-Signature-256": value}))


def test_gocardless_own_package_agrees():
    good = GOOD["gocardless"]
    body = json.dumps({"events": [{"id": "EV1", "links": {}}]}).encode()
    signature = mac(TEXT_SECRET, body).hex()
    headers = {"Webhook-Signature": signature}
    assert gocardless_pro.webhooks.parse(body, TEXT_SECRET, signature)
    verify(good, good.call(headers, body))
    with pytest.raises(gocardless_pro.errors.InvalidSignatureError):
        gocardless_pro.webhooks.parse(body + b" ", TEXT_SECRET, signature)
    refused(good, call=good.call(headers, body + b" "))


def test_standard_webhooks_published_vector():
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    body = b'{"test": 2432232314}'
    proof = PRESETS["standard_webhooks"].verify(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], Call(headers, body), 1614265330
    )
    assert proof.message_id == headers["webhook-id"]
    headers["webhook-signature"] = (
        "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3m"
        "Nl8EM+m7TBAg=="
    )
    PRESETS["standard_webhooks"].verify(
        ["whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="],
        Call(headers, body),
        1614265330,
    )


def test_rfc_9421_covers_method_and_address():
    good = GOOD["message_signatures"]
    for method, url in (
        ("PUT", "https://hub.example.com/finance/v1/inbound/shop"),
        ("POST", "https://hub.example.com/finance/v1/inbound/other"),
        ("POST", "http://hub.example.com/finance/v1/inbound/shop"),
    ):
        refused(good, call=Call(good.headers, BODY, method, url))


def test_keys_by_one_id():
    """The other side may keep the id when it changes the key."""
    good = GOOD["message_signatures"]
    identity = verify(good).identity
    settings = dataclasses.replace(good.settings, key_ids=(identity, identity))
    assert verify(good, settings=settings).secret == 0
    assert verify(good, settings=settings, secrets=good.secrets[::-1]).secret == 1
    other = dataclasses.replace(good.settings, key_ids=("other", "another"))
    refused(good, settings=other)


# === GENERIC === #


def generic(**values):
    return Settings(header="X-Sig", **values)


def check(settings, headers, body=BODY, secret=TEXT_SECRET, url="", now=NOW):
    preset = PRESETS["generic_hmac"]
    preset.check_settings(settings)
    call = Call(headers, body, "POST", url)
    return preset.verify([preset.clean(secret, settings)], call, now, settings)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("hex", bytes.hex),
        ("hex", lambda raw: raw.hex().upper()),
        ("base64", b64),
        ("base64url", lambda raw: base64.urlsafe_b64encode(raw).decode()),
        ("base64url", lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("=")),
    ],
)
def test_generic_algorithms_and_encodings(algorithm, encoding, encode):
    signature = encode(mac(TEXT_SECRET, BODY, algorithm))
    settings = generic(algorithm=algorithm, encoding=encoding)
    check(settings, {"X-Sig": signature})
    with pytest.raises(VerificationError):
        check(settings, {"X-Sig": signature}, BODY + b" ")


@pytest.mark.parametrize(
    ("template", "content"),
    [
        ("{body}", BODY),
        ("{timestamp}.{body}", b"%d.%b" % (NOW, BODY)),
        ("v0:{timestamp}:{body}", b"v0:%d:%b" % (NOW, BODY)),
        ("{timestamp}{body}", b"%d%b" % (NOW, BODY)),
        ("{id}.{timestamp}.{body}", b"m1.%d.%b" % (NOW, BODY)),
        ("{method}{url}{body}{timestamp}", b"POSThttps://h.example/%b%d" % (BODY, NOW)),
        ("{url}{body}", b"https://h.example/%b" % BODY),
        ("ä{body}", "ä".encode() + BODY),
    ],
)
def test_generic_templates(template, content):
    settings = generic(
        template=template,
        timestamp_header="X-Time" if "{timestamp}" in template else "",
        id_header="X-Id" if "{id}" in template else "",
    )
    headers = {
        "X-Sig": mac(TEXT_SECRET, content).hex(),
        "X-Time": str(NOW),
        "X-Id": "m1",
    }
    check(settings, headers, url="https://h.example/")


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("seconds", str(NOW)),
        ("milliseconds", f"{NOW}123"),
        ("iso8601", "2026-02-02T02:40:00Z"),
        ("iso8601", "2026-02-02T02:40:00.123456789Z"),
    ],
)
def test_generic_times(form, text):
    settings = generic(
        template="{timestamp}.{body}", timestamp_header="X-Time", timestamp_format=form
    )

    def headers(moment):
        content = moment.encode() + b"." + BODY
        return {"X-Sig": mac(TEXT_SECRET, content).hex(), "X-Time": moment}

    check(settings, headers(text))
    for moved in (400, -400):
        with pytest.raises(VerificationError) as caught:
            check(settings, headers(text), now=NOW + moved)
        assert caught.value.code.startswith("timestamp_too")
    for wrong in ("soon", "2026-13-02T02:40:00Z", f"0{text}", "9" * 50, "2026-02-02"):
        with pytest.raises(VerificationError) as caught:
            check(settings, headers(wrong))
        assert caught.value.code in ("malformed_header", "timestamp_too_new")


def test_generic_lists_of_signatures():
    """While the sender rotates, one header may hold several."""
    settings = generic(prefix="v1=")
    right, wrong = mac(TEXT_SECRET, BODY).hex(), "00" * 32
    for value in (
        f"v1={wrong},v1={right}",
        f"v1={right} v1={wrong}",
        f"v0=x,v1={right}",
    ):
        check(settings, {"X-Sig": value})
    for value in (f"v1={wrong},{right}", f"v0={right}", "v1=" * 5, f"v1={wrong}," * 50):
        with pytest.raises(VerificationError):
            check(settings, {"X-Sig": value})


@pytest.mark.parametrize(
    ("form", "secret"), [("hex", "00ff" * 8), ("base64", "AAEC" * 8)]
)
def test_generic_secrets_that_stand_for_bytes(form, secret):
    import hashlib
    import hmac as hmac_module

    raw = bytes.fromhex(secret) if form == "hex" else base64.b64decode(secret)
    signature = hmac_module.new(raw, BODY, hashlib.sha256).hexdigest()
    settings = generic(secret_encoding=form)
    check(settings, {"X-Sig": signature}, secret=secret)
    with pytest.raises(VerificationError):
        check(generic(), {"X-Sig": signature}, secret=secret)
    for wrong in ("not that form!", "ab"):
        with pytest.raises(VerificationError) as caught:
            PRESETS["generic_hmac"].clean(wrong, settings)
        assert caught.value.code == "bad_secret"


@pytest.mark.parametrize(
    "values",
    [
        {"template": ""},
        {"template": "{timestamp}"},
        {"template": "{body}{body}"},
        {"template": "{body"},
        {"template": "body}"},
        {"template": "{Body}"},
        {"template": "{secret}{body}"},
        {"template": "{body.__class__}"},
        {"template": "x" * 300 + "{body}"},
        {"template": "{timestamp}.{body}"},
        {"template": "{body}", "timestamp_header": "X-Time"},
        {"template": "{id}.{body}"},
        {"template": "{body}", "id_header": "X-Id"},
        {"template": "{id}{body}", "id_header": "X-Id"},
        {"header": ""},
        {"header": "X Sig"},
        {"header": "X_Sig"},
        {"header": "X-Sig:"},
        {"header": "X-Sig\r\n"},
        {"header": "x" * 100},
        {"algorithm": "md5"},
        {"algorithm": "sha1"},
        {"encoding": "rot13"},
        {"secret_encoding": "utf-16"},
        {"prefix": "a b"},
        {"prefix": "x" * 50},
        {
            "template": "{timestamp}.{body}",
            "timestamp_header": "T",
            "timestamp_format": "weeks",
        },
        {"template": "{timestamp}.{body}", "timestamp_header": "T", "tolerance": 0},
        {"template": "{timestamp}.{body}", "timestamp_header": "T", "tolerance": 1e9},
    ],
    ids=str,
)
def test_generic_settings_that_prove_nothing(values):
    settings = Settings(**{"header": "X-Sig", **values})
    with pytest.raises(VerificationError) as caught:
        PRESETS["generic_hmac"].check_settings(settings)
    assert caught.value.code == "bad_setting"
    # Nor do they verify anything, if they come by another way.
    with pytest.raises(VerificationError):
        PRESETS["generic_hmac"].verify([TEXT_SECRET], Call({}, BODY), NOW, settings)


def test_public_keys_in_every_form():
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = Ed25519PrivateKey.generate()
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    preset, settings = PRESETS["generic_ed25519"], generic()
    call = Call({"X-Sig": key.sign(BODY).hex()}, BODY)
    for text in (raw.hex(), b64(raw), f"whpk_{b64(raw)}", pem.decode()):
        preset.verify([preset.clean(text, settings)], call, NOW, settings)
    for text in (
        "",
        "whpk_",
        "x" * 64,
        b64(raw + b"x"),
        "-----BEGIN PUBLIC KEY-----",
        generate_key_pair()[0],
    ):
        with pytest.raises(VerificationError) as caught:
            preset.clean(text, settings)
        assert caught.value.code == "bad_secret"


# === SECRETS THAT A PERSON ENTERS === #


@pytest.mark.parametrize(
    ("preset", "secret"),
    [
        ("stripe", "sk_live_" + "x" * 30),
        ("stripe", "whsec_" + "x" * 9000),
        ("adyen", "no hexadecimal digits"),
        ("adyen", ADYEN_KEY[:-1]),
        ("adyen_platform", ADYEN_KEY + "00"),
        ("gocardless", ""),
        ("github", "short"),
        ("shopify", "two\nlines of a secret"),
        ("paypal", "not an id!"),
        ("api_key", "with a blank in it"),
        ("bearer", "tökentöken"),
        ("jwt", "ftp://login.example.com/keys"),
        ("jwt", "https://login example"),
        ("standard_webhooks", "whsec_!"),
        ("http_message_signatures", "whsk_AAAA"),
        ("proxy_certificate", "ab" * 20),
        ("proxy_certificate", "-----BEGIN CERTIFICATE-----"),
    ],
)
def test_secrets_that_are_none(preset, secret):
    with pytest.raises(VerificationError) as caught:
        PRESETS[preset].clean(secret, Settings(proxies=parse_networks("10.0.0.1")))
    assert caught.value.code == "bad_secret"
    assert caught.value.message.endswith((".", ".)", "instead.)"))


@every
def test_good_secrets_are_kept_as_they_are(name):
    good = GOOD[name]
    for secret in good.secrets:
        clean = PRESETS[good.preset].clean(f"  {secret}\n", good.settings)
        assert clean == secret


def test_a_token_entered_with_its_scheme():
    assert PRESETS["bearer"].clean("Bearer abcdefgh", Settings()) == "abcdefgh"


@every
@given(st.text(max_size=80))
def test_no_text_breaks_the_check_of_a_secret(name, text):
    good = GOOD[name]
    try:
        PRESETS[good.preset].clean(text, good.settings)
    except VerificationError as error:
        assert error.code == "bad_secret"


# === PROXIES === #


def test_only_a_trusted_proxy_vouches():
    good = GOOD["proxy_certificate"]
    verify(good, good.call(peer="10.0.0.255"))
    verify(good, good.call(peer="::ffff:10.0.0.7"))
    for peer in ("10.0.1.7", "::1", "", None, "10.0.0.7 ", "nonsense", "10.0.0.7/24"):
        call = Call(good.headers, good.body, "POST", "", peer)
        refused(good, "address_not_allowed", call=call)


def test_forms_of_a_vouched_certificate():
    good = GOOD["proxy_certificate"]
    secret, text = good.secrets[0], good.headers["X-Client-Cert"]
    settings = dataclasses.replace(good.settings, form="fingerprint")
    colons = ":".join(secret[i : i + 2] for i in range(0, 64, 2)).upper()
    for value in (secret, secret.upper(), colons):
        verify(good, good.call({"X-Client-Cert": value}), settings=settings)
        assert PRESETS["proxy_certificate"].clean(value, settings) == secret
    from urllib.parse import unquote

    pem = unquote(text)
    der = "".join(pem.split("\n")[1:-2])
    # nginx, Traefik, and a proxy that puts it on one line.
    for value in (quote(pem), quote(der), der, pem.replace("\n", " ")):
        verify(good, good.call({"X-Client-Cert": value}))
    assert PRESETS["proxy_certificate"].clean(pem, good.settings) == secret
    subject = dataclasses.replace(good.settings, form="subject")
    call = good.call({"X-Client-Cert": "CN=shop,O=Example"})
    verify(good, call, secrets=["CN=shop,O=Example"], settings=subject)
    refused(good, call=call, secrets=["CN=shop,O=Another"], settings=subject)
    refused(
        good,
        call=good.call({"X-Client-Cert": "CN=shop,O=Example,CN=x"}),
        secrets=["CN=shop,O=Example"],
        settings=subject,
    )


@pytest.mark.parametrize(
    "values",
    [
        {"proxies": ()},
        {"proxies": parse_networks("0.0.0.0/0")},
        {"proxies": parse_networks("10.0.0.1, ::/0")},
        {"proxies": parse_networks("10.0.0.1"), "form": "hearsay"},
        {"proxies": parse_networks("10.0.0.1"), "header": "X_Cert"},
    ],
    ids=str,
)
def test_settings_that_let_anybody_vouch(values):
    with pytest.raises(VerificationError) as caught:
        PRESETS["proxy_certificate"].check_settings(Settings(**values))
    assert caught.value.code == "bad_setting"


@given(st.randoms(use_true_random=False))
def test_no_secret_is_found_by_trying(source: random.Random):
    """Prefixes and near misses of a shared secret are as wrong as anything else."""
    good = GOOD["api_key"]
    secret = good.secrets[0]
    cut = source.randrange(len(secret))
    for value in (
        secret[:cut] or "x",
        secret + "x",
        secret[:cut] + "~" + secret[cut + 1 :],
    ):
        refused(good, "no_matching_signature", call=good.call({"X-Acme-Key": value}))
