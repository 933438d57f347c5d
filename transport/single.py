# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""One message, sent at once and outside of any run: the test of an endpoint."""

import asyncio
from collections.abc import Sequence

from .engine import SENDERS, Parcel, Result
from .outcome import Outcome


def send_once(parcel: Parcel, networks: Sequence = ()) -> Result:
    """Send a parcel by its destination's transport, and wait for the answer.

    Neither the breaker nor a limited rate is asked: a person wants to know.

    :param networks: private networks that may be reached, see
        :func:`~.addresses.parse_networks`.
    :return: the outcome, and the headers that were sent, secrets included
    """
    return asyncio.run(_send(parcel, networks))


async def _send(parcel, networks):
    sender = SENDERS[parcel.destination.transport](networks)
    try:
        outcome, headers = await sender.send(parcel)
    except Exception as error:
        outcome, headers = Outcome(error="internal", detail=type(error).__name__), {}
    finally:
        await sender.close()
    return Result(parcel, outcome, headers)
