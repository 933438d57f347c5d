# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Name resolution under the address guard, for aiohttp connectors."""

import socket
from collections.abc import Sequence

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from .addresses import Network, check_address


class GuardedResolver(AbstractResolver):
    """Resolves a name and refuses it unless every address is good.

    aiohttp connects to the very addresses returned here, so what was checked is what
    is connected to, and a name that changes its answer in between ("DNS rebinding")
    gains nothing. One bad address among good ones refuses the name: which one would
    be taken is not ours to choose. aiohttp does not ask a resolver about a literal
    address; ``check_url`` judges those.

    :param allowed_networks: see ``addresses.parse_networks``.
    :param inner: what does the look-up; the operating system's by default. Has to be
        made inside of a running event loop.
    """

    def __init__(
        self,
        allowed_networks: Sequence[Network] = (),
        inner: AbstractResolver | None = None,
    ):
        self._allowed_networks = tuple(allowed_networks)
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of ``host``, all of them checked.

        :raises addresses.AddressRefused: when any of them is refused.
        :raises OSError: when the name cannot be resolved.
        """
        results = await self._inner.resolve(host, port, family)
        if not results:
            raise OSError(f"The name {host} has no address.")
        for result in results:
            check_address(result["host"], self._allowed_networks)
        return results

    async def close(self) -> None:
        """Release the inner resolver."""
        await self._inner.close()
