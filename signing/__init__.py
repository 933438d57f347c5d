# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Signature schemes in and out, the secret box, masking: pure functions."""

from .masking import mask_headers, mask_iban, mask_secret
from .secret_box import (
    SecretBox,
    SecretBoxError,
    ensure_key_file,
    generate_key,
    read_key_file,
)
from .standard_webhooks import (
    Signer,
    VerificationError,
    Verified,
    generate_key_pair,
    generate_secret,
    sign,
    sign_headers,
    verify,
)

__all__ = [
    "SecretBox",
    "SecretBoxError",
    "Signer",
    "VerificationError",
    "Verified",
    "ensure_key_file",
    "generate_key",
    "generate_key_pair",
    "generate_secret",
    "mask_headers",
    "mask_iban",
    "mask_secret",
    "read_key_file",
    "sign",
    "sign_headers",
    "verify",
]
