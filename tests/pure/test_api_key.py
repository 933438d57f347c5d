# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import base64
import hashlib
import re

import pytest
from finance_hub.signing import (
    api_key_digest,
    api_key_matches,
    api_key_prefix,
    generate_api_key,
)
from hypothesis import given
from hypothesis import strategies as st


def test_form():
    new = generate_api_key()
    prefix, secret = re.fullmatch(r"(fhk_[a-z2-7]{8})_(.{43})", new.key).groups()
    assert new.prefix == prefix == api_key_prefix(new.key)
    assert len(base64.urlsafe_b64decode(secret + "=")) * 8 == 256
    assert new.digest == hashlib.sha256(new.key.encode()).hexdigest()


def test_no_two_alike():
    keys = [generate_api_key() for _ in range(500)]
    assert len({new.key for new in keys}) == 500
    assert len({new.digest for new in keys}) == 500


def test_matches_itself_only():
    one, other = generate_api_key(), generate_api_key()
    assert api_key_matches(one.key, one.digest)
    assert not api_key_matches(one.key, other.digest)
    assert not api_key_matches(one.key[:-1], one.digest)
    # The same public part with another secret.
    assert not api_key_matches(one.prefix + other.key[12:], one.digest)


@pytest.mark.parametrize("nothing", [None, ""])
def test_nothing_stored_fits_nothing(nothing):
    assert not api_key_matches(generate_api_key().key, nothing)
    assert not api_key_matches("", nothing)


@given(st.text(max_size=80))
def test_garbage_has_no_prefix(text):
    assert api_key_prefix(text) is None
    assert not api_key_matches(text, api_key_digest(text + "x"))


@pytest.mark.parametrize("tail", ["\n", " ", "x"])
def test_a_key_with_more_is_none(tail):
    assert api_key_prefix(generate_api_key().key + tail) is None
