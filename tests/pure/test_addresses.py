# License LGPL-3.0 or later (https://www.gnu.org/licenses/lgpl).
import asyncio
import contextlib
import ipaddress
import socket
import struct

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver
from finance_hub.transport import (
    AddressRefused,
    check_address,
    check_amqp_url,
    check_url,
    parse_networks,
)
from finance_hub.transport.constants import METADATA_ADDRESSES
from finance_hub.transport.resolver import GuardedResolver
from hypothesis import given
from hypothesis import strategies as st

EVERYTHING = parse_networks("0.0.0.0/0, ::/0")
LOOPBACK = parse_networks("127.0.0.0/8, ::1/128")


def refused(code, function, *args, **kwargs):
    with pytest.raises(AddressRefused) as caught:
        function(*args, **kwargs)
    assert caught.value.code == code
    assert caught.value.message == str(caught.value)


# === ADDRESSES === #

PRIVATE = [
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.255.255.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.7",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::FFFF:7f00:1",
    "::127.0.0.1",
    "100::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",  # Teredo
    "2002:7f00:1::1",  # 6to4 of 127.0.0.1
    "2002:0808:0808::1",  # 6to4 of a public address
    "64:ff9b::7f00:1",  # NAT64 of 127.0.0.1
    "64:ff9b::8.8.8.8",
    "64:ff9b:1::808:808",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fec0::1",
]

NEVER = [
    "0.0.0.0",
    "0.1.2.3",
    "169.254.0.1",
    "169.254.255.255",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::ffff:169.254.1.1",
    "::ffff:0.0.0.0",
    "fe80::1",
    "febf::1",
    "ff02::1",
    "64:ff9b::e000:1",  # NAT64 of multicast
    "2002:a9fe:101::1",  # 6to4 of link-local
]

METADATA = [
    *METADATA_ADDRESSES,
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::ffff:168.63.129.16",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "::169.254.169.254",
    "2001:0:a9fe:a9fe::1",  # Teredo server
    "2001:0:4136:e378:8000:63bf:5601:5601",  # Teredo client 169.254.169.254
]

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.215.14",
    "172.15.255.255",
    "172.32.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "192.167.255.255",
    "223.255.255.255",
    "::ffff:8.8.8.8",
    "2606:4700:4700::1111",
    "2a00:1450:4001::200e",
]

MALFORMED = [
    "",
    "x",
    "1",
    "127.1",
    "0177.0.0.1",
    "1.2.3.4.5",
    "fe80::1%eth0",
    "::g",
    " 1.1.1.1",
]


@pytest.mark.parametrize("ip", PRIVATE)
def test_private_addresses_pass_only_when_allowed(ip):
    refused("address_refused", check_address, ip)
    check_address(ip, EVERYTHING)


@pytest.mark.parametrize("ip", NEVER)
def test_some_addresses_never_pass(ip):
    refused("address_refused", check_address, ip)
    refused("address_refused", check_address, ip, EVERYTHING)


@pytest.mark.parametrize("ip", METADATA)
def test_metadata_services_never_pass(ip):
    refused("metadata_refused", check_address, ip)
    refused("metadata_refused", check_address, ip, EVERYTHING)


@pytest.mark.parametrize("ip", PUBLIC)
def test_public_addresses_pass(ip):
    check_address(ip)


@pytest.mark.parametrize("ip", MALFORMED)
def test_malformed_addresses(ip):
    refused("address_malformed", check_address, ip)


def test_allowing_the_translator_does_not_allow_what_is_behind_it():
    nat64 = parse_networks("64:ff9b::/96")
    check_address("64:ff9b::8.8.8.8", nat64)
    refused("address_refused", check_address, "64:ff9b::10.0.0.1", nat64)
    refused("address_refused", check_address, "127.0.0.2", parse_networks("127.0.0.1"))


@given(st.ip_addresses())
def test_what_passes_is_public(address):
    try:
        check_address(str(address))
    except AddressRefused:
        return
    inner = getattr(address, "ipv4_mapped", None) or address
    assert inner.is_global and not inner.is_multicast


@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_the_address(address):
    def verdict(ip):
        try:
            check_address(ip)
        except AddressRefused as error:
            return error.code
        return None

    assert verdict(str(address)) == verdict(f"::ffff:{address}")


# === NETWORKS === #


def test_parse_networks():
    assert parse_networks("127.0.0.0/8, ::1/128;10.1.2.3\n") == (
        ipaddress.ip_network("127.0.0.0/8"),
        ipaddress.ip_network("::1/128"),
        ipaddress.ip_network("10.1.2.3/32"),
    )
    assert parse_networks("") == parse_networks(None) == ()
    for text in ("10.0.0.1/8", "localhost", "10.0.0.0/33", "10.0.0.0/8 x"):
        refused("network_malformed", parse_networks, text)


# === URLS === #


def test_a_url_is_taken_apart():
    target = check_url("HTTPS://Hooks.Example.com:8443/in?x=1")
    assert target.url == "https://hooks.example.com:8443/in?x=1"
    assert (target.scheme, target.host, target.port) == (
        "https",
        "hooks.example.com",
        8443,
    )
    assert target.path == "/in?x=1" and not target.literal
    assert check_url("https://example.com").url == "https://example.com/"
    assert check_url("https://example.com:443?a=b").url == "https://example.com/?a=b"
    literal = check_url("https://[2606:4700:4700:0::1111]/")
    assert literal.literal and literal.url == "https://[2606:4700:4700::1111]/"
    assert check_url("https://xn--bcher-kva.example/").host == "xn--bcher-kva.example"
    assert check_url("https://[::ffff:8.8.8.8]/").url == "https://8.8.8.8/"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", "url_malformed"),
        (None, "url_malformed"),
        ("example.com", "url_malformed"),
        ("//example.com", "url_malformed"),
        ("https:/example.com", "url_malformed"),
        ("https://", "host_spelling"),
        ("https:///path", "host_spelling"),
        ("https://example.com/\n", "url_malformed"),
        ("https://exa mple.com/", "url_malformed"),
        (" https://example.com/", "url_malformed"),
        ("https://example.com\\@127.0.0.1/", "url_malformed"),
        ("https://example.com/" + "a" * 2048, "url_malformed"),
        ("https://[::1/", "url_malformed"),
        ("https://[::1]x/", "url_malformed"),
        ("https://::1/", "host_spelling"),
        ("ftp://example.com/", "scheme_refused"),
        ("file:///etc/passwd", "scheme_refused"),
        ("gopher://example.com/", "scheme_refused"),
        ("javascript://example.com/", "scheme_refused"),
        ("http://example.com/", "http_refused"),
        ("http://8.8.8.8/", "http_refused"),
        ("https://user@example.com/", "userinfo_refused"),
        ("https://user:pw@example.com/", "userinfo_refused"),
        ("https://example.com@127.0.0.1/", "userinfo_refused"),
        ("https://example.com/#x", "fragment_refused"),
        ("https://example.com#", "fragment_refused"),
        ("https://example.com./", "host_spelling"),
        ("https://example..com/", "host_spelling"),
        ("https://.example.com/", "host_spelling"),
        ("https://-a.example/", "host_spelling"),
        ("https://" + "a" * 64 + ".example/", "host_spelling"),
        ("https://" + "a." * 130 + "example/", "host_spelling"),
        ("https://ex%61mple.com/", "host_spelling"),
        ("https://2130706433/", "host_spelling"),
        ("https://0x7f000001/", "host_spelling"),
        ("https://0x7f.0.0.1/", "host_spelling"),
        ("https://0X7F.1/", "host_spelling"),
        ("https://0177.0.0.1/", "host_spelling"),
        ("https://017700000001/", "host_spelling"),
        ("https://127.1/", "host_spelling"),
        ("https://127.0.1/", "host_spelling"),
        ("https://127.0.0.1./", "host_spelling"),
        ("https://1.2.3.4.5/", "host_spelling"),
        ("https://256.1.1.1/", "host_spelling"),
        ("https://foo.0x/", "host_spelling"),
        ("https://[fe80::1%25eth0]/", "host_spelling"),
        ("https://[127.0.0.1]/", "host_spelling"),
        ("https://[v1.x]/", "host_spelling"),
        ("https://bücher.example/", "host_spelling"),
        ("https://１２７.0.0.1/", "host_spelling"),
        ("https://127。0。0。1/", "host_spelling"),
        ("https://ⓛocalhost/", "host_spelling"),
        ("https://example.com:0/", "port_refused"),
        ("https://example.com:/", "port_refused"),
        ("https://example.com:65536/", "port_refused"),
        ("https://example.com:0443/", "port_refused"),
        ("https://example.com:+443/", "port_refused"),
        ("https://example.com:1:2/", "port_refused"),
        ("https://example.com:25/", "port_refused"),
        ("https://example.com:6379/", "port_refused"),
        ("https://127.0.0.1/", "address_refused"),
        ("https://[::1]/", "address_refused"),
        ("https://[::ffff:127.0.0.1]/", "address_refused"),
        ("https://[::ffff:7f00:1]:8443/", "address_refused"),
        ("https://169.254.169.254/latest/meta-data/", "metadata_refused"),
        ("https://[fd00:ec2::254]/", "metadata_refused"),
        # What programs have been talked into by other spellings.
        ("https://0/", "host_spelling"),
        ("https://00000127.0.0.1/", "host_spelling"),
        ("https://127.0.0.01/", "host_spelling"),
        ("https://0x7F.0x0.0x0.0x1/", "host_spelling"),
        ("https://0300.0250.0.1/", "host_spelling"),
        ("https://4294967297/", "host_spelling"),
        ("https://127.0.0.1.nip.0x1/", "host_spelling"),
        ("https://①②⑦.⓪.⓪.①/", "host_spelling"),
        ("https://127．0．0．1/", "host_spelling"),
        ("https://LOCALHOST./", "host_spelling"),
        ("https://localhost%00.example.com/", "host_spelling"),
        ("https://%31%32%37.0.0.1/", "host_spelling"),
        ("https://127%2e0%2e0%2e1/", "host_spelling"),
        ("https://example.com%2f@127.0.0.1/", "userinfo_refused"),
        ("https://127.0.0.1:443@example.com/", "userinfo_refused"),
        ("https://@127.0.0.1/", "userinfo_refused"),
        ("https://example.com:@127.0.0.1/", "userinfo_refused"),
        ("https://example.com\t@127.0.0.1/", "url_malformed"),
        ("https://example.com\r\nHost: 127.0.0.1/", "url_malformed"),
        ("https://example.com;@127.0.0.1/", "userinfo_refused"),
        ("https:\\\\127.0.0.1/", "url_malformed"),
        ("https://127.0.0.1\\.example.com/", "url_malformed"),
        ("https:127.0.0.1/", "url_malformed"),
        ("HTTPS://[FE80::1]/", "address_refused"),
        ("https://[::]/", "address_refused"),
        ("https://[0:0:0:0:0:FFFF:127.0.0.1]/", "address_refused"),
        ("https://[0000:0000:0000:0000:0000:0000:0000:0001]/", "address_refused"),
        ("https://[::ffff:0:127.0.0.1]/", "address_refused"),  # translated (SIIT)
        ("https://[::FFFF:A9FE:A9FE]/", "metadata_refused"),
        ("https://[64:FF9B::169.254.169.254]/", "metadata_refused"),
    ],
)
def test_refused_urls(url, code):
    refused(code, check_url, url)


@pytest.mark.parametrize("ip", [*PRIVATE, *NEVER, *METADATA])
def test_a_literal_host_is_judged_like_an_address(ip):
    """An HTTP client asks no resolver about it, so the URL has to be refused."""
    host = f"[{ip}]" if ":" in ip else ip
    for url in (f"https://{host}/", f"HTTPS://{host.upper()}:8443/x?y=z"):
        with pytest.raises(AddressRefused) as caught:
            check_url(url)
        assert caught.value.code in ("address_refused", "metadata_refused")


def test_allowed_networks_open_literals_and_plain_http():
    assert check_url("http://127.0.0.1:8080/x", LOOPBACK).port == 8080
    assert check_url("http://[::1]:8080/x", LOOPBACK).host == "::1"
    assert check_url("http://[::ffff:127.0.0.1]/", LOOPBACK).host == "127.0.0.1"
    refused("address_refused", check_url, "http://10.0.0.1/", LOOPBACK)
    refused("http_refused", check_url, "http://localhost/", LOOPBACK)
    assert check_url("http://receiver:8080/", allow_http=True).host == "receiver"
    refused("metadata_refused", check_url, "http://169.254.169.254/", EVERYTHING)


@given(st.text(max_size=60))
def test_check_url_raises_nothing_else(text):
    for url in (text, f"https://{text}", f"https://example.com{text}"):
        try:
            target = check_url(url)
        except AddressRefused:
            continue
        assert check_url(target.url) == target


# === URLS OF BROKERS === #


@pytest.mark.parametrize(
    ("url", "host", "port", "vhost"),
    [
        ("amqps://broker.example.com", "broker.example.com", 5671, "/"),
        ("amqps://broker.example.com/", "broker.example.com", 5671, "/"),
        ("AMQPS://Broker.Example.com:5700/a.b", "broker.example.com", 5700, "a.b"),
        ("amqps://broker.example.com/%2F", "broker.example.com", 5671, "/"),
        ("amqps://broker.example.com/a%2fb", "broker.example.com", 5671, "a/b"),
        ("amqps://broker.example.com/b%C3%BCro", "broker.example.com", 5671, "büro"),
        ("amqps://8.8.8.8/x", "8.8.8.8", 5671, "x"),
        ("amqp://127.0.0.1/x", "127.0.0.1", 5672, "x"),
        ("amqp://[::1]:5673/x", "::1", 5673, "x"),
    ],
)
def test_a_brokers_url_is_taken_apart(url, host, port, vhost):
    target, found = check_amqp_url(url, LOOPBACK)
    assert (target.host, target.port, found) == (host, port, vhost)
    assert check_amqp_url(target.url, LOOPBACK) == (target, vhost)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", "url_malformed"),
        ("https://broker.example.com/", "scheme_refused"),
        ("amqp://broker.example.com/", "amqp_refused"),
        ("amqp://8.8.8.8/", "amqp_refused"),
        ("amqp://localhost/", "amqp_refused"),
        ("amqps://10.0.0.1/", "address_refused"),
        ("amqp://10.0.0.1/", "address_refused"),
        ("amqps://169.254.169.254/", "metadata_refused"),
        ("amqps://0x7f.1/", "host_spelling"),
        ("amqps://guest:guest@broker.example.com/", "userinfo_refused"),
        ("amqps://broker.example.com/a/b", "url_malformed"),
        ("amqps://broker.example.com/a?heartbeat=1", "url_malformed"),
        ("amqps://broker.example.com/?heartbeat=1", "url_malformed"),
        ("amqps://broker.example.com/%", "url_malformed"),
        ("amqps://broker.example.com/%zz", "url_malformed"),
        ("amqps://broker.example.com/%ff", "url_malformed"),
        ("amqps://broker.example.com/a%00b", "url_malformed"),
        ("amqps://broker.example.com/" + "a" * 256, "url_malformed"),
        ("amqps://broker.example.com:6379/", "port_refused"),
    ],
)
def test_refused_urls_of_brokers(url, code):
    refused(code, check_amqp_url, url, LOOPBACK)


def test_one_kind_of_url_is_not_taken_for_the_other():
    refused("scheme_refused", check_url, "amqps://broker.example.com/")
    refused("scheme_refused", check_url, "amqp://127.0.0.1/", LOOPBACK)
    with pytest.raises(AddressRefused, match="amqps://"):
        check_amqp_url("ftp://broker.example.com/")


@given(st.text(max_size=60))
def test_check_amqp_url_raises_nothing_else(text):
    for url in (text, f"amqps://{text}", f"amqps://example.com/{text}"):
        try:
            target, vhost = check_amqp_url(url)
        except AddressRefused:
            continue
        assert check_amqp_url(target.url) == (target, vhost)


# === RESOLVER === #


class Names(AbstractResolver):
    """Answers from a table, and counts the look-ups."""

    def __init__(self, table):
        self.table = table
        self.asked = []

    async def resolve(self, host, port=0, family=socket.AF_INET):
        self.asked.append(host)
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            }
            for address in self.table[host]
        ]

    async def close(self):
        self.table = None


def test_every_address_of_an_answer_is_checked():
    async def main():
        inner = Names(
            {
                "good": ["8.8.8.8", "2606:4700:4700::1111"],
                "mixed": ["8.8.8.8", "10.0.0.1"],
                "mapped": ["::ffff:127.0.0.1"],
                "metadata": ["169.254.169.254"],
                "none": [],
            }
        )
        resolver = GuardedResolver(parse_networks("192.168.7.0/24"), inner)
        assert [item["host"] for item in await resolver.resolve("good", 443)] == [
            "8.8.8.8",
            "2606:4700:4700::1111",
        ]
        for name in ("mixed", "mapped", "metadata"):
            with pytest.raises(AddressRefused):
                await resolver.resolve(name, 443)
        with pytest.raises(OSError):
            await resolver.resolve("none", 443)
        await resolver.close()
        assert inner.table is None

    asyncio.run(main())


def test_a_connection_goes_to_the_checked_address_and_nowhere_else():
    async def main():
        async def answer(_request):
            return web.Response(text="here")

        app = web.Application()
        app.router.add_get("/", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        inner = Names({"receiver.test": ["127.0.0.1"]})
        url = f"http://receiver.test:{port}/"
        try:
            guarded = aiohttp.TCPConnector(resolver=GuardedResolver((), inner))
            async with aiohttp.ClientSession(connector=guarded) as session:
                with pytest.raises(AddressRefused):
                    await session.get(url)
            inner.table = {"receiver.test": ["127.0.0.1"]}
            inner.asked.clear()
            allowed = aiohttp.TCPConnector(resolver=GuardedResolver(LOOPBACK, inner))
            async with (
                aiohttp.ClientSession(connector=allowed) as session,
                session.get(url) as response,
            ):
                assert await response.text() == "here"
            assert inner.asked == ["receiver.test"]
        finally:
            await runner.cleanup()

    asyncio.run(main())


# === A NAME THAT CHANGES ITS ANSWER === #


class NameServer(asyncio.DatagramProtocol):
    """A real DNS server on loopback (RFC 1035) that answers with TTL 0.

    :ivar answers: addresses of the A record, one question after the other, the last
        one for ever
    """

    def __init__(self, *answers):
        self.answers = list(answers)
        self.questions = 0

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.questions += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        question = data[12:]
        header = data[:2] + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0)
        # A pointer to the name of the question, type A, class IN, TTL 0.
        record = struct.pack(">HHHIH", 0xC00C, 1, 1, 0, 4) + socket.inet_aton(answer)
        self.transport.sendto(header + question + record, address)


class StubResolver(AbstractResolver):
    """Asks a DNS server for every look-up, as a system without a cache does."""

    def __init__(self, server):
        self.server = server

    async def resolve(self, host, port=0, family=socket.AF_INET):
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.connect(self.server)
            labels = b"".join(
                bytes([len(label)]) + label.encode() for label in host.split(".")
            )
            query = struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0)
            await loop.sock_sendall(
                client, query + labels + b"\0" + struct.pack(">HH", 1, 1)
            )
            answer = await loop.sock_recv(client, 512)
        return [
            {
                "hostname": host,
                "host": socket.inet_ntoa(answer[-4:]),
                "port": port,
                "family": socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            }
        ]

    async def close(self):
        pass


@contextlib.asynccontextmanager
async def rebinding(*answers):
    """Yield a resolver, its DNS server, a port, and who was called on it.

    Two services listen on the same port of two addresses: 127.0.0.1, which is allowed
    and stands for the internet, and 127.0.0.2, which stands for the inside.
    """
    called = []

    async def answer(request):
        called.append(request.transport.get_extra_info("sockname")[0])
        return web.Response(text="here", headers={"Connection": "close"})

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    await web.TCPSite(runner, "127.0.0.2", port).start()
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        lambda: NameServer(*answers), local_addr=("127.0.0.1", 0)
    )
    try:
        yield StubResolver(transport.get_extra_info("sockname")), server, port, called
    finally:
        transport.close()
        await runner.cleanup()


OUTSIDE, INSIDE = "127.0.0.1", "127.0.0.2"
ONLY_OUTSIDE = parse_networks(OUTSIDE)


def test_the_rebinding_would_work_without_the_guard():
    """The trap is real: an unguarded client ends up inside."""

    async def main():
        async with rebinding(OUTSIDE, INSIDE) as (inner, _server, port, called):
            connector = aiohttp.TCPConnector(resolver=inner, use_dns_cache=False)
            async with aiohttp.ClientSession(connector=connector) as session:
                for _ in range(2):
                    async with session.get(f"http://rebind.test:{port}/") as response:
                        assert response.status == 200
            assert called == [OUTSIDE, INSIDE]

    asyncio.run(main())


def test_what_was_checked_is_what_is_connected_to():
    """Between the check and the connection there is no second question."""

    async def main():
        async with rebinding(OUTSIDE, INSIDE) as (inner, server, port, called):
            connector = aiohttp.TCPConnector(
                resolver=GuardedResolver(ONLY_OUTSIDE, inner), use_dns_cache=False
            )
            async with aiohttp.ClientSession(connector=connector) as session:
                async with session.get(f"http://rebind.test:{port}/") as response:
                    assert response.status == 200
                assert (called, server.questions) == ([OUTSIDE], 1)
                # Asked again for a new connection, the name leads inside.
                for _ in range(3):
                    with pytest.raises(AddressRefused):
                        await session.get(f"http://rebind.test:{port}/")
            assert called == [OUTSIDE]

    asyncio.run(main())


def test_an_answer_is_believed_for_a_while_only_with_its_verdict():
    """The cache of the connector stands behind the guard, not before it."""

    async def main():
        async with rebinding(INSIDE, OUTSIDE) as (inner, server, port, called):
            connector = aiohttp.TCPConnector(
                resolver=GuardedResolver(ONLY_OUTSIDE, inner), ttl_dns_cache=30
            )
            async with aiohttp.ClientSession(connector=connector) as session:
                with pytest.raises(AddressRefused):
                    await session.get(f"http://rebind.test:{port}/")
                for _ in range(3):
                    async with session.get(f"http://rebind.test:{port}/") as response:
                        assert response.status == 200
            assert called == [OUTSIDE] * 3
            assert server.questions == 2

    asyncio.run(main())
