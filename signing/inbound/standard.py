# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Standard Webhooks 1.0.0, and Svix, whose headers are called ``svix-*``.

Source: the Standard Webhooks specification 1.0.0.
"""

import contextlib

from ..standard_webhooks import VerificationError
from ..standard_webhooks import verify as _verify
from .base import DEFAULTS, Preset, Proof, check_secrets


def verify(secrets, call, now, settings=DEFAULTS, documents=None) -> Proof:
    """See :func:`..standard_webhooks.verify`."""
    secrets = check_secrets(secrets)
    found = _verify(secrets, call.headers, call.body, now, settings.tolerance)
    fitting = 0
    if len(secrets) > 1:
        for index, secret in enumerate(secrets):
            with contextlib.suppress(VerificationError):
                _verify([secret], call.headers, call.body, now, settings.tolerance)
                fitting = index
                break
    return Proof(fitting, found.message_id, found.timestamp)


def clean(secret: str, settings=DEFAULTS) -> str:
    """Return a ``whsec_`` secret or a ``whpk_`` public key.

    :raises VerificationError: ``bad_secret``.
    """
    secret = secret.strip()
    headers = {
        "webhook-id": "check",
        "webhook-timestamp": "0",
        "webhook-signature": "v1,none",
    }
    try:
        _verify([secret], headers, b"", now=0)
    except VerificationError as error:
        # That nothing fits is expected; that the secret is none is the answer.
        if error.code == "bad_secret":
            raise
    return secret


PRESET = Preset("standard_webhooks", "Standard Webhooks", verify, clean)
