"""What a credential can be.

A scheme says what the secret has to look like, whether the hub can make one, and what
becomes of it: outbound a signer, an authenticator or a client certificate, inbound a
preset that verifies who calls.
"""

from .base import AUTHENTICATION, CERTIFICATE, SIGNING, InboundReplies
from .inbound import INBOUND
from .outbound import OUTBOUND

#: What is shown of each kind; some serve both directions.
SCHEMES = {**OUTBOUND, **{k: v for k, v in INBOUND.items() if k not in OUTBOUND}}


def scheme_of(name, direction):
    """Return how a kind of credential works in a direction.

    Where it has no use there, how it works in the other.
    """
    if direction == "inbound":
        return INBOUND.get(name) or OUTBOUND[name]
    return OUTBOUND.get(name) or INBOUND[name]


__all__ = [
    "AUTHENTICATION",
    "CERTIFICATE",
    "INBOUND",
    "OUTBOUND",
    "SCHEMES",
    "SIGNING",
    "InboundReplies",
    "scheme_of",
]
