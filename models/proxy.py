"""The proxy that requests leave through, if the server's network asks for one.

Like the allowed networks it comes from the server's side (environment or configuration
file), never from a screen, so that nobody can lead the hub's messages elsewhere from
inside Odoo.
"""

import os
from functools import lru_cache

from odoo.tools import config

from ..transport import Proxy, parse_proxy

ENV_VARIABLE = "FINANCE_HUB_PROXY"
CONFIG_OPTION = "finance_hub_proxy"


@lru_cache(maxsize=8)
def _parse(raw: str) -> Proxy | None:
    return parse_proxy(raw)


def is_configured() -> bool:
    """Return whether the server names a proxy, a good one or not."""
    return bool(_raw())


def proxy() -> Proxy | None:
    """Return the proxy, None if requests go straight out.

    :raise ValueError: when the setting is malformed; the message says how it looks
    """
    return _parse(_raw())


def _raw() -> str:
    return (os.environ.get(ENV_VARIABLE) or config.get(CONFIG_OPTION) or "").strip()
