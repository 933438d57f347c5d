# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The catalogue of providers. A new provider is one file and one line here."""

from . import (
    adyen,
    adyen_settlement,
    camt,
    canonical,
    csv_statement,
    generic_json,
    gocardless,
    pain002,
    paypal,
    stripe,
)
from .base import Adapter

_MODULES = (
    canonical,
    stripe,
    adyen,
    gocardless,
    paypal,
    generic_json,
    camt,
    pain002,
    adyen_settlement,
    csv_statement,
)

#: Every adapter by the name a connector is set to.
ADAPTERS: dict[str, Adapter] = {
    module.ADAPTER.name: module.ADAPTER for module in _MODULES
}
