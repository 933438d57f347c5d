# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The catalogue of providers. A new provider is one file and one line here."""

from . import adyen_settlement, camt, canonical, csv_statement, pain002
from .base import Adapter

_MODULES = (
    canonical,
    camt,
    pain002,
    adyen_settlement,
    csv_statement,
)

#: Every adapter by the name a connector is set to.
ADAPTERS: dict[str, Adapter] = {
    module.ADAPTER.name: module.ADAPTER for module in _MODULES
}
