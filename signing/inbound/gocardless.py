# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""GoCardless: HMAC-SHA256 of the body in hexadecimal digits.

Source: GoCardless, "Signing webhooks". One body holds up to 250 events.
"""

from .base import Preset, body_hmac, clean_text

HEADER = "Webhook-Signature"

PRESET = Preset("gocardless", "GoCardless", body_hmac(HEADER, "hex"), clean_text)
