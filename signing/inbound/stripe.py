# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Stripe: ``Stripe-Signature: t=1700000000,v1=<hex>,v1=<hex>``.

Source: Stripe, "Verify webhook signatures manually". Signed is ``{t}.{body}``, by
HMAC-SHA256 under the signing secret as it is shown, its ``whsec_`` included. While a
secret is rolled there is one ``v1`` for each; other schemes (``v0``) do not count.
"""

import hmac

from .. import constants as const
from ..standard_webhooks import VerificationError
from .base import (
    DEFAULTS,
    Preset,
    Proof,
    check_secrets,
    check_time,
    clean_text,
    read_time,
    secret_key,
    which_fits,
)

HEADER = "Stripe-Signature"


def verify(secrets, call, now, settings=DEFAULTS, documents=None) -> Proof:
    """Check the header; every retry is signed anew, so the time has to be recent."""
    secrets = check_secrets(secrets)
    times, signatures = _read(call.header(HEADER))
    if len(times) != 1 or not 1 <= len(signatures) <= const.SIGNATURES_MAX_COUNT:
        raise VerificationError(
            "malformed_header",
            f"The header {HEADER} looks like t=<time>,v1=<signature>; it has one t and "
            "at least one v1.",
        )
    timestamp = read_time(times[0], "seconds", HEADER)
    content = b"%b.%b" % (times[0].encode("ascii"), call.body)
    fitting = which_fits(
        [
            (hmac.digest(secret_key(secret), content, "sha256").hex(),)
            for secret in secrets
        ],
        signatures,
    )
    check_time(timestamp, now, settings.tolerance)
    return Proof(fitting, timestamp=timestamp)


def _read(text: str) -> tuple[list[str], list[str]]:
    pairs = [item.partition("=") for item in text.split(",")]
    return (
        [value for name, _equals, value in pairs if name == "t"],
        [value for name, _equals, value in pairs if name == "v1"],
    )


def clean(secret: str, settings=DEFAULTS) -> str:
    """Return the endpoint's signing secret.

    :raises VerificationError: ``bad_secret``.
    """
    secret = clean_text(secret)
    if not secret.startswith("whsec_"):
        raise VerificationError(
            "bad_secret",
            "Stripe's signing secret starts with whsec_. It stands with the webhook "
            "endpoint in Stripe's dashboard; an API key (sk_…) is not it.",
        )
    return secret


PRESET = Preset("stripe", "Stripe", verify, clean)
