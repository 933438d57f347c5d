# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""HTTP Message Signatures (RFC 9421) of what comes in."""

from ..http_message_signatures import check_key_id, key_id_of, verify_request
from ..standard_webhooks import PUBLIC_PREFIX, SECRET_PREFIX, VerificationError
from .base import DEFAULTS, Preset, Proof, check_secrets, check_tolerance


def verify(secrets, call, now, settings=DEFAULTS, documents=None) -> Proof:
    """See :func:`..http_message_signatures.verify_request`.

    Both secrets may go by the same id: the one that fits counts.
    """
    refused = None
    found = None
    for index, secret in enumerate(check_secrets(secrets)):
        key_id = (
            settings.key_ids[index] if index < len(settings.key_ids) else ""
        ) or key_id_of(secret)
        try:
            verified = verify_request(
                {key_id: secret},
                call.method,
                call.url,
                call.headers,
                call.body,
                now,
                settings.tolerance,
            )
        except VerificationError as error:
            refused = refused or error
        else:
            found = found or Proof(
                index, timestamp=verified.created, identity=verified.key_id
            )
    if found is None:
        raise refused
    return found


def clean(secret: str, settings=DEFAULTS) -> str:
    """Return a ``whsec_`` secret or a ``whpk_`` public key.

    :raises VerificationError: ``bad_secret``.
    """
    secret = secret.strip()
    if not secret.startswith((SECRET_PREFIX, PUBLIC_PREFIX)):
        raise VerificationError(
            "bad_secret",
            f"Enter the sender's public key ({PUBLIC_PREFIX}…) or the secret that both "
            f"sides know ({SECRET_PREFIX}…); a key in base64 becomes one with that "
            "put before it.",
        )
    key_id_of(secret)
    return secret


def check_settings(settings) -> None:
    """Refuse ids that can't be sent.

    :raises VerificationError: ``bad_key_id`` or ``bad_setting``.
    """
    for key_id in filter(None, settings.key_ids):
        check_key_id(key_id)
    check_tolerance(settings.tolerance)


PRESET = Preset(
    "http_message_signatures",
    "HTTP Message Signatures (RFC 9421)",
    verify,
    clean,
    check_settings,
    uses=frozenset({"key_ids", "tolerance"}),
)
