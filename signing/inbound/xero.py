# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Xero: HMAC-SHA256 of the body in base64.

Source: Xero, "Webhooks". To find out whether a receiver verifies ("intent to receive")
Xero sends good and bad signatures and expects 200 and 401, both with an empty body.
"""

from .base import Preset, body_hmac, clean_text

HEADER = "x-xero-signature"

PRESET = Preset("xero", "Xero", body_hmac(HEADER, "base64"), clean_text)
