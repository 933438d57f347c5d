# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import pytest
from finance_hub.signing import mask_headers, mask_iban, mask_secret
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        (None, ""),
        ("", ""),
        ("short", "****"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_****LaSw"),
        ("sk_live_abcdefghijklmnop", "sk_live_****mnop"),
        ("abcdefghijklmnopqrstuvwxyz", "****wxyz"),
    ],
)
def test_mask_secret(value, masked):
    assert mask_secret(value) == masked


@given(st.text(min_size=1))
def test_most_of_a_secret_is_hidden(value):
    masked = mask_secret(value)
    assert "****" in masked
    assert len(masked.replace("****", "")) <= 14


def test_mask_headers():
    headers = {
        "Authorization": "Bearer abc",
        "Proxy-Authorization": "abc",
        "Cookie": "a=b",
        "Set-Cookie": "a=b",
        "X-Api-Key": "abc",
        "X-Vault-Token": "abc",
        "X-Own": "abc",
        "Webhook-Signature": "v1,abc",
        "Content-Type": "application/json",
        "Idempotency-Key": "abc",
        "Raw": b"bytes",
    }
    assert mask_headers(headers, also=["x-own"]) == {
        "Authorization": "Bearer ****",
        "Proxy-Authorization": "****",
        "Cookie": "****",
        "Set-Cookie": "****",
        "X-Api-Key": "****",
        "X-Vault-Token": "****",
        "X-Own": "****",
        "Webhook-Signature": "v1,abc",
        "Content-Type": "application/json",
        "Idempotency-Key": "abc",
        "Raw": "bytes",
    }
    assert headers["Authorization"] == "Bearer abc"


@pytest.mark.parametrize(
    ("iban", "masked"),
    [
        (None, ""),
        ("", ""),
        ("DE89 3704 0044 0532 0130 00", "DE89****3000"),
        ("no15 9386 0111 1947", "NO15****1947"),
        ("12345", "****"),
    ],
)
def test_mask_iban(iban, masked):
    assert mask_iban(iban) == masked
