# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Makes the pure rooms importable as ``finance_hub`` where there is no Odoo.

The addon's own ``__init__.py`` imports the ORM; a bare package object with the
addon's folder as its path stands in for it.
"""

import sys
import types
from pathlib import Path

from hypothesis import settings

ADDON = Path(__file__).resolve().parents[2]

package = types.ModuleType("finance_hub")
package.__path__ = [str(ADDON)]
sys.modules.setdefault("finance_hub", package)

# What several tests share stands beside them.
sys.path.insert(0, str(Path(__file__).resolve().parent))

# No database of examples and no deadline: the same on every machine.
settings.register_profile(
    "pure", database=None, deadline=None, max_examples=60, derandomize=True
)
settings.load_profile("pure")
