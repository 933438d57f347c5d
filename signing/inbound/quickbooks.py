# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""QuickBooks Online: HMAC-SHA256 of the body in base64, under the verifier token.

Source: Intuit, "Validating the notification".
"""

from .base import Preset, body_hmac, clean_text

HEADER = "intuit-signature"

PRESET = Preset("quickbooks", "QuickBooks", body_hmac(HEADER, "base64"), clean_text)
