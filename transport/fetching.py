# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""Fetches a small document, under the address guard: keys, certificates."""

import asyncio
import ssl
from collections.abc import Sequence
from typing import Any

from . import constants as const
from .addresses import AddressRefused, check_url
from .proxy import Proxy


class FetchError(ValueError):
    """A document could not be had.

    :ivar code: ``address_refused``, ``unreachable``, ``refused`` or ``too_large``.
    :ivar message: a sentence for a person, which says what to do.
    """

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code
        self.message = message


def fetch(
    url: str,
    networks: Sequence = (),
    proxy: Proxy | None = None,
    timeout: float = const.FETCH_TIMEOUT,
    max_bytes: int = const.FETCH_MAX_BYTES,
    ssl_context: ssl.SSLContext | None = None,
) -> bytes:
    """Return the body of a GET that was answered with 200.

    No redirects are followed, and what has not come in time, all of it, does not count.

    :param networks: private networks that may be reached, see
        :func:`~.addresses.parse_networks`.
    :param timeout: in seconds, for all of it.
    :param ssl_context: for the server; the system's authorities by default.
    :raises FetchError: and nothing else.
    """
    # Not asyncio.run: that would wait for a look-up of a name that has timed out.
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(
            asyncio.wait_for(
                _fetch(url, tuple(networks), proxy, max_bytes, ssl_context), timeout
            )
        )
    except (asyncio.TimeoutError, TimeoutError) as error:
        raise FetchError(
            "unreachable",
            f"{_host(url)} did not answer within {timeout:.0f} seconds.",
        ) from error
    finally:
        loop.close()


async def _fetch(url, networks, proxy, max_bytes, ssl_context) -> bytes:
    import aiohttp
    import yarl
    from aiohttp.resolver import ThreadedResolver

    from .http import classify
    from .resolver import GuardedResolver

    try:
        target = check_url(url, networks)
        options: dict[str, Any] = {}
        if proxy is not None:
            options = await proxy.options(target, networks)
        resolver = ThreadedResolver() if options else GuardedResolver(networks)
        connector = aiohttp.TCPConnector(resolver=resolver, force_close=True)
        async with (
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            ) as session,
            session.get(
                yarl.URL(target.url, encoded=True),
                allow_redirects=False,
                ssl=ssl_context or ssl.create_default_context(),
                **options,
            ) as response,
        ):
            if response.status != 200:
                raise FetchError(
                    "refused",
                    f"{target.host} answered {response.status}. Check the address.",
                )
            body = bytearray()
            async for chunk in response.content.iter_chunked(max_bytes):
                body += chunk
                if len(body) > max_bytes:
                    raise FetchError(
                        "too_large",
                        f"{target.host} answered with more than {max_bytes} bytes. "
                        "Check the address.",
                    )
            return bytes(body)
    except FetchError:
        raise
    except AddressRefused as error:
        raise FetchError("address_refused", error.message) from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        if isinstance(error, (asyncio.TimeoutError, TimeoutError)):
            raise
        if classify(error) == "address_refused":
            raise FetchError(
                "address_refused",
                f"{_host(url)} leads to an address that the hub does not connect to.",
            ) from error
        raise FetchError(
            "unreachable",
            f"{_host(url)} could not be reached ({type(error).__name__}). Check the "
            "address, and whether the server is up.",
        ) from error


def _host(url: object) -> str:
    """Return what of an address can be shown: its host, or how it begins."""
    text = str(url).partition("://")[2].partition("/")[0].rpartition("@")[2]
    return (text or "The address")[: const.HOST_MAX_LENGTH]
