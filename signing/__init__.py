# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Signature schemes in and out, the secret box, masking: pure functions."""

from .api_key import (
    ApiKey,
    api_key_digest,
    api_key_matches,
    api_key_prefix,
    generate_api_key,
)
from .constants import MASK
from .http_message_signatures import (
    ALGORITHMS,
    MessageSigner,
    VerifiedRequest,
    check_content_digest,
    check_key_id,
    content_digest,
    key_id_of,
    signature_base,
    verify_request,
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
    public_key_of,
    public_key_pem,
    sign,
    sign_headers,
    verify,
)

__all__ = [
    "ALGORITHMS",
    "MASK",
    "ApiKey",
    "MessageSigner",
    "SecretBox",
    "SecretBoxError",
    "Signer",
    "VerificationError",
    "Verified",
    "VerifiedRequest",
    "api_key_digest",
    "api_key_matches",
    "api_key_prefix",
    "check_content_digest",
    "check_key_id",
    "content_digest",
    "ensure_key_file",
    "generate_api_key",
    "generate_key",
    "generate_key_pair",
    "generate_secret",
    "key_id_of",
    "mask_headers",
    "mask_iban",
    "mask_secret",
    "public_key_of",
    "public_key_pem",
    "read_key_file",
    "sign",
    "sign_headers",
    "signature_base",
    "verify",
    "verify_request",
]
