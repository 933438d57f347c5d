# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Shopify: HMAC-SHA256 of the body in base64.

Source: Shopify, "Deliver webhooks through HTTPS". The secret is the client secret of
the app, or the one shown below the webhooks of a shop.
"""

from .base import Preset, body_hmac, clean_text

HEADER = "X-Shopify-Hmac-Sha256"

PRESET = Preset("shopify", "Shopify", body_hmac(HEADER, "base64"), clean_text)
