# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Signature schemes in and out, the secret box, masking: pure functions."""

from .api_key import (
    ApiKey,
    api_key_digest,
    api_key_matches,
    api_key_prefix,
    generate_api_key,
)
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
    "ApiKey",
    "SecretBox",
    "SecretBoxError",
    "Signer",
    "VerificationError",
    "Verified",
    "api_key_digest",
    "api_key_matches",
    "api_key_prefix",
    "ensure_key_file",
    "generate_api_key",
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
