# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""How the hub knows who calls it: one file per scheme, one line in the catalogue."""

from .base import Call, Preset, Proof, Settings, generate_text
from .catalogue import PRESETS
from .certificate import is_in
from .documents import Documents

__all__ = [
    "PRESETS",
    "Call",
    "Documents",
    "Preset",
    "Proof",
    "Settings",
    "generate_text",
    "is_in",
]
