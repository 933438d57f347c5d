"""The administrator's list of private networks that may be delivered to.

It comes from the server's side (environment or configuration file), never from a
screen, so that nobody can widen it from inside Odoo.
"""

import os
from functools import lru_cache

from odoo.tools import config

from ..transport import parse_networks

ENV_VARIABLE = "FINANCE_HUB_ALLOWED_NETWORKS"
CONFIG_OPTION = "finance_hub_allowed_networks"


@lru_cache(maxsize=8)
def _parse(raw):
    return parse_networks(raw)


def allowed_networks():
    """Return the networks, as a tuple of :mod:`ipaddress` networks.

    :raise ValueError: when the list is malformed; the message names the entry
    """
    return _parse(os.environ.get(ENV_VARIABLE) or config.get(CONFIG_OPTION) or "")
