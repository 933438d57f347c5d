# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""GitHub, and all who do as GitHub does: ``X-Hub-Signature-256: sha256=<hex>``.

Source: GitHub, "Validating webhook deliveries".
"""

from .base import Preset, body_hmac, clean_text

HEADER = "X-Hub-Signature-256"

PRESET = Preset(
    "github",
    "GitHub style",
    body_hmac(HEADER, "hex", prefix="sha256="),
    clean_text,
    generates=True,
)
