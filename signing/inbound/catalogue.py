# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The ways an inbound call can be authenticated: one line each."""

from . import (
    adyen,
    certificate,
    generic,
    github,
    gocardless,
    jwks,
    message_signatures,
    paypal,
    quickbooks,
    shared,
    shopify,
    standard,
    stripe,
    xero,
)

#: By the name a credential is set to.
PRESETS = {
    preset.name: preset
    for preset in (
        standard.PRESET,
        stripe.PRESET,
        adyen.PRESET,
        adyen.PLATFORM_PRESET,
        gocardless.PRESET,
        paypal.PRESET,
        shopify.PRESET,
        github.PRESET,
        xero.PRESET,
        quickbooks.PRESET,
        message_signatures.PRESET,
        generic.HMAC_PRESET,
        generic.ED25519_PRESET,
        shared.API_KEY_PRESET,
        shared.BASIC_PRESET,
        shared.BEARER_PRESET,
        jwks.PRESET,
        certificate.PRESET,
    )
}
