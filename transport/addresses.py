# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
"""The address guard: which URLs and which IP addresses the hub may connect to.

An endpoint's URL is typed by a person and a DNS answer by whoever owns the name, so
without a guard the hub would be a way into the network it runs in (server-side
request forgery). The rules:

* :func:`check_url` refuses every URL which two programs could read differently, and
  judges a literal address at once, because an HTTP client asks no resolver for it;
* :func:`check_address` judges one IP address;
* ``resolver.GuardedResolver`` applies it to every address of a DNS answer and hands
  these very addresses to the connection, so that no second look-up happens.

Sources: IANA special-purpose address registries, WHATWG URL (hosts ending in a
number), RFC 3986, RFC 4291, RFC 6052 (NAT64), RFC 3056 (6to4), RFC 4380 (Teredo).
"""

import functools
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from . import constants as const

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Stricter than RFC 3986: visible ASCII only, nothing a client might "repair".
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?P<authority>[^/?#]*)"
    r"(?P<path>/[^?#]*)?"
    r"(?P<query>\?[^#]*)?"
    r"(?P<fragment>#.*)?"
)
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_UNSAFE = frozenset('\\"<>^`{|}')
_AUTHORITY = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?P<colon>:(?P<port>.*))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")
# What WHATWG calls "ends in a number": such a host is an IPv4 address or nothing.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

_METADATA = frozenset(ipaddress.ip_address(a) for a in const.METADATA_ADDRESSES)
_NEVER = tuple(
    (ipaddress.ip_network(network), what)
    for network, what in const.NEVER_NETWORKS.items()
)
_REFUSED = tuple(
    (ipaddress.ip_network(network), what)
    for network, what in const.REFUSED_NETWORKS.items()
)
_GLOBAL_V6 = ipaddress.ip_network(const.GLOBAL_UNICAST_V6)
_NAT64 = tuple(
    ipaddress.ip_network(network) for network in ("64:ff9b::/96", "64:ff9b:1::/48")
)
_IPV4_COMPATIBLE = ipaddress.ip_network("::/96")


class AddressRefused(ValueError):
    """A URL or an address the hub will not connect to.

    :ivar code: ``url_malformed``, ``scheme_refused``, ``http_refused``,
        ``amqp_refused``, ``userinfo_refused``, ``fragment_refused``, ``host_spelling``,
        ``port_refused``, ``address_malformed``, ``address_refused``,
        ``metadata_refused`` or ``network_malformed``.
    :ivar message: a sentence for a person, which says what to do.
    """

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that passed the guard, taken apart.

    :ivar url: the URL in its one canonical spelling; connect to this one.
    :ivar scheme: ``https`` or ``http``, ``amqps`` or ``amqp``.
    :ivar host: lower-case name, or the literal address without brackets.
    :ivar port: 1 to 65535.
    :ivar path: path and query, beginning with ``/``.
    :ivar literal: whether ``host`` is an IP address, which no resolver will see.
    """

    url: str
    scheme: str
    host: str
    port: int
    path: str
    literal: bool


# === NETWORKS === #


@functools.lru_cache(maxsize=64)
def parse_networks(text: str | None) -> tuple[Network, ...]:
    """Return the networks of an allow-list such as ``127.0.0.0/8, ::1/128``.

    Separated by commas, semicolons or blanks; an address alone means just itself.

    :raises AddressRefused: ``network_malformed``.
    """
    networks = []
    for item in re.split(r"[,;\s]+", text or ""):
        if not item:
            continue
        try:
            networks.append(ipaddress.ip_network(item))
        except ValueError as error:
            raise AddressRefused(
                "network_malformed",
                f"{item[:64]!r} is not a network: {error}. Write it like 10.1.2.0/24 "
                "or 10.1.2.3.",
            ) from None
    return tuple(networks)


def _allowed(address: Address, networks: Sequence[Network]) -> bool:
    return any(
        address.version == network.version and address in network
        for network in networks
    )


# === ADDRESSES === #


def _parse_address(text: str) -> Address:
    try:
        if "%" in text:
            raise ValueError
        address = ipaddress.ip_address(text)
    except ValueError:
        raise AddressRefused(
            "address_malformed",
            f"{str(text)[:64]!r} is not an IP address in its usual spelling.",
        ) from None
    # ::ffff:a.b.c.d is the IPv4 address as far as the kernel is concerned.
    if address.version == 6 and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _embedded(address: Address) -> tuple[ipaddress.IPv4Address, ...]:
    """Return the IPv4 addresses an IPv6 address would be translated to."""
    if address.version == 4:
        return ()
    found = []
    if address.sixtofour is not None:
        found.append(address.sixtofour)
    if address.teredo is not None:
        found.extend(address.teredo)
    if address in _IPV4_COMPATIBLE and int(address) > 0xFFFF:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    if any(address in network for network in _NAT64):
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return tuple(found)


def check_address(ip: str, allowed_networks: Sequence[Network] = ()) -> None:
    """Refuse an address which is not on the public internet.

    Private ranges pass when ``allowed_networks`` holds them; metadata services,
    link-local, multicast and reserved addresses never do. Of a translated address
    (NAT64, 6to4, Teredo) both the outer and the embedded one have to pass.

    :param ip: IPv4 or IPv6 address in its usual spelling.
    :param allowed_networks: see :func:`parse_networks`.
    :raises AddressRefused: ``address_malformed``, ``metadata_refused`` or
        ``address_refused``.
    """
    address = _parse_address(ip)
    embedded = _embedded(address)
    for candidate in (address, *embedded):
        if candidate in _METADATA:
            raise AddressRefused(
                "metadata_refused",
                f"{address} leads to a cloud metadata service. The hub never connects "
                "to one; enter the address of the receiving system.",
            )
        for network, what in _NEVER:
            if _allowed(candidate, (network,)):
                raise AddressRefused(
                    "address_refused",
                    f"{address} is a {what} address. The hub never connects to one; "
                    "enter the address of the receiving system.",
                )
    if not _allowed(address, allowed_networks):
        _check_public(address)
    for inner in embedded:
        if not _allowed(inner, allowed_networks):
            _check_public(inner)


def _check_public(address: Address) -> None:
    what = next(
        (what for network, what in _REFUSED if _allowed(address, (network,))), None
    )
    if what is None:
        # A second opinion, for ranges registered after the tables above were written.
        if address.version == 6 and address not in _GLOBAL_V6:
            what = "not publicly routed"
        elif not address.is_global:
            what = "special-purpose"
        else:
            return
    raise AddressRefused(
        "address_refused",
        f"{address} is in a range that is not on the public internet ({what}). If the "
        "receiver really is in your own network, an administrator can allow its "
        "network in the server's configuration.",
    )


# === URLS === #


def check_url(
    url: str, allowed_networks: Sequence[Network] = (), allow_http: bool = False
) -> Target:
    """Check and take apart the URL of an endpoint; nothing is looked up.

    :param url: absolute ``https`` URL. ``http`` passes with ``allow_http``, or when
        the host is a literal address inside ``allowed_networks``.
    :param allowed_networks: see :func:`parse_networks`.
    :raises AddressRefused: see its codes.
    """
    return _check(url, allowed_networks, allow_http, secure="https", plain="http")


def check_amqp_url(
    url: str, allowed_networks: Sequence[Network] = ()
) -> tuple[Target, str]:
    """Check and take apart the URL of an AMQP broker; nothing is looked up.

    :param url: ``amqps://host``, ``amqps://host:port`` or ``amqps://host:port/vhost``;
        special characters of the virtual host are percent-encoded, and without one it
        is ``/``. ``amqp`` passes when the host is a literal address inside
        ``allowed_networks``.
    :param allowed_networks: see :func:`parse_networks`.
    :return: the target, and the name of the virtual host
    :raises AddressRefused: see its codes.
    """
    target = _check(url, allowed_networks, False, secure="amqps", plain="amqp")
    encoded = target.path[1:]
    if "/" in encoded or "?" in encoded or _BAD_ESCAPE.search(encoded):
        raise AddressRefused(
            "url_malformed",
            "After the host only the name of the virtual host may follow, such as "
            "amqps://broker.example.com/finance. Write a / inside of it as %2F.",
        )
    try:
        vhost = unquote(encoded, errors="strict") or const.DEFAULT_VHOST
    except UnicodeDecodeError:
        vhost = "\0"
    if not vhost.isprintable() or len(vhost.encode()) > const.SHORT_STRING_MAX_BYTES:
        raise AddressRefused(
            "url_malformed",
            "The name of the virtual host is not readable, or too long. Write it in "
            "UTF-8, percent-encoded.",
        )
    return target, vhost


def _check(url, allowed_networks, allow_plain, *, secure, plain) -> Target:
    match = _match_url(url, secure)
    scheme = match["scheme"].lower()
    if scheme not in (secure, plain):
        raise AddressRefused(
            "scheme_refused",
            f"The URL starts with {scheme[:32]}://; only {secure}:// can be used.",
        )
    authority = match["authority"]
    if "@" in authority:
        raise AddressRefused(
            "userinfo_refused",
            "The URL holds a user name or password before an @. Leave it out and "
            "enter it as a credential.",
        )
    if match["fragment"] is not None:
        raise AddressRefused(
            "fragment_refused",
            "The URL holds a # part, which is never sent. Leave it out.",
        )
    parts = _AUTHORITY.fullmatch(authority)
    if not parts:
        raise AddressRefused(
            "url_malformed",
            f"The host of the URL is malformed. Write {secure}://host/.",
        )
    host, address = _check_host(parts["host"].lower())
    port = _check_port(parts, scheme)
    if address is not None:
        check_address(str(address), allowed_networks)
    if scheme == plain and not (
        allow_plain or (address is not None and _allowed(address, allowed_networks))
    ):
        raise AddressRefused(
            f"{plain}_refused",
            f"The URL starts with {plain}://, so everything would be sent in the "
            f"clear. Use {secure}://.",
        )
    path = (match["path"] or "/") + (match["query"] or "")
    shown = f"[{host}]" if ":" in host else host
    if port != const.DEFAULT_PORTS[scheme]:
        shown = f"{shown}:{port}"
    return Target(
        f"{scheme}://{shown}{path}", scheme, host, port, path, address is not None
    )


def _match_url(url: str, secure: str) -> re.Match:
    if not isinstance(url, str) or not url:
        raise AddressRefused(
            "url_malformed",
            f"The URL is empty. Enter one that starts with {secure}://.",
        )
    if len(url) > const.URL_MAX_LENGTH:
        raise AddressRefused(
            "url_malformed",
            f"The URL is longer than {const.URL_MAX_LENGTH} characters.",
        )
    if not url.isascii():
        raise AddressRefused(
            "host_spelling",
            "The URL holds characters outside of ASCII. Write an international host "
            "name in its xn-- form, and percent-encode the path.",
        )
    match = _URL.fullmatch(url)
    if not match or not _VISIBLE.fullmatch(url) or not _UNSAFE.isdisjoint(url):
        raise AddressRefused(
            "url_malformed",
            f"The URL is malformed. Write it like {secure}://host.example/path, "
            "without blanks, quotes or backslashes.",
        )
    return match


def _check_host(host: str) -> tuple[str, Address | None]:
    if host.startswith("["):
        try:
            if "%" in host:
                raise ValueError
            address = ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            raise _spelling(host) from None
        mapped = address.ipv4_mapped
        return (str(mapped), mapped) if mapped is not None else (str(address), address)
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        # 127.1, 2130706433, 0x7f.1 and 0177.0.0.1 all mean 127.0.0.1 to some programs.
        try:
            address = ipaddress.IPv4Address(host)
        except ValueError:
            raise _spelling(host) from None
        return str(address), address
    if len(host) > const.HOST_MAX_LENGTH or not all(
        len(label) <= const.LABEL_MAX_LENGTH and _LABEL.fullmatch(label)
        for label in labels
    ):
        raise _spelling(host)
    return host, None


def _spelling(host: str) -> AddressRefused:
    return AddressRefused(
        "host_spelling",
        f"The host {host[:64]!r} is not spelled in the usual way. Write a name such "
        "as hooks.example.com without a dot at its end, or a whole address such as "
        "203.0.113.7.",
    )


def _check_port(parts: re.Match, scheme: str) -> int:
    if parts["colon"] is None:
        return const.DEFAULT_PORTS[scheme]
    if not _PORT.fullmatch(parts["port"]) or int(parts["port"]) > 65535:
        raise AddressRefused(
            "port_refused",
            "The port of the URL has to be a number from 1 to 65535.",
        )
    port = int(parts["port"])
    if port in const.REFUSED_PORTS:
        raise AddressRefused(
            "port_refused",
            f"Port {port} belongs to a service that does not receive events.",
        )
    return port
