# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The proxy that requests leave through, where the server's network asks for one.

With a proxy the hub does not connect to the receiver but asks the proxy to, and the
proxy looks the name up again. So the address guard can only judge beforehand:
:meth:`Proxy.options` looks the name up here and refuses what the guard refuses; a name
that can't be looked up here (many networks resolve outside names in the proxy only) is
left to the proxy. The proxy has to refuse private addresses itself.
"""

import base64
import contextlib
import re
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from . import constants as const
from .addresses import AddressRefused, Target

_SCHEMES = ("http", "https")
_VISIBLE = re.compile(r"[\x21-\x7e]+")


class ProxyError(ValueError):
    """The proxy's URL in the server's configuration can't be used."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, taken apart.

    :ivar url: without user name and password.
    :ivar username: for the proxy itself, ``None`` if it asks for none.
    :ivar password: never shown.
    """

    url: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    # What was found out about names, and until when it is believed.
    _verdicts: dict = field(default_factory=dict, repr=False, compare=False)

    async def options(
        self,
        target: Target,
        networks: Sequence = (),
        *,
        inner: Any = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> dict[str, Any]:
        """Return what a request through the proxy is given, once its name is checked.

        :param target: where the request goes; see ``addresses.check_url``.
        :param networks: private networks that may be reached.
        :param inner: what does the look-up; the operating system's by default.
        :param clock: seconds that only ever go on.
        :return: arguments of a request of ``aiohttp``, ``proxy`` and maybe more
        :raises addresses.AddressRefused: when the name leads to a refused address.
        """
        if not target.literal:
            await self._check_name(target, tuple(networks), inner, clock)
        if self.username is None:
            return {"proxy": self.url}
        password = self.password or ""
        if target.scheme == "https":
            # Goes to the proxy with its CONNECT, never to the receiver.
            raw = f"{self.username}:{password}".encode()
            login = f"Basic {base64.b64encode(raw).decode('ascii')}"
            return {"proxy": self.url, "proxy_headers": {"Proxy-Authorization": login}}
        scheme, _, rest = self.url.partition("://")
        user = f"{quote(self.username, safe='')}:{quote(password, safe='')}"
        return {"proxy": f"{scheme}://{user}@{rest}"}

    async def _check_name(self, target, networks, inner, clock) -> None:
        from .resolver import GuardedResolver

        key = (target.host, networks)
        known = self._verdicts.get(key)
        if known is None or known[0] <= clock():
            verdict = None
            resolver = GuardedResolver(networks, inner)
            try:
                # A name that is unknown here may be one that only the proxy knows.
                with contextlib.suppress(OSError):
                    await resolver.resolve(target.host, target.port, socket.AF_UNSPEC)
            except AddressRefused as error:
                verdict = error.code, error.message
            if len(self._verdicts) >= const.PROXY_NAMES_MAX_COUNT:
                self._verdicts.clear()
            known = self._verdicts[key] = (clock() + const.DNS_TTL, verdict)
        if known[1] is not None:
            raise AddressRefused(*known[1])


def parse_proxy(text: str | None) -> Proxy | None:
    """Return the proxy of a URL such as ``http://user:password@proxy.example:3128``.

    The proxy is the administrator's choice, so any address is good, private ones and
    plain ``http`` included: what goes to an ``https`` receiver is encrypted end to end.

    :return: ``None`` when there is none
    :raises ProxyError: naming what is wrong; never with the password.
    """
    text = (text or "").strip()
    if not text:
        return None
    try:
        if not _VISIBLE.fullmatch(text):
            raise ValueError
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ProxyError(_advice("is malformed")) from None
    if parts.scheme not in _SCHEMES:
        raise ProxyError(_advice("begins with neither http:// nor https://"))
    if not host or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ProxyError(_advice("has to name a host and a port, and nothing else"))
    shown = f"[{host}]" if ":" in host else host
    url = f"{parts.scheme}://{shown}:{port or _default_port(parts.scheme)}"
    username = unquote(parts.username) if parts.username is not None else None
    password = unquote(parts.password) if parts.password is not None else None
    if username is not None and (":" in username or not username):
        raise ProxyError(_advice("has an empty user name, or one with a colon"))
    return Proxy(url, username, password)


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _advice(what: str) -> str:
    return (
        f"The proxy in the server's configuration {what}. Write it like "
        "http://proxy.example:3128, with user:password@ before the host if the proxy "
        "asks for it."
    )
